"use strict";

/* The page: what it shows follows from the notifications alone. It keeps nothing, and sends nothing by itself. */
(() => {
  const $ = (id) => document.getElementById(id);
  const LEGS = ["caller", "callee"];
  const STAGES = {
    caller: "while calling the caller",
    transfer: "before the caller's phone turned to the new party",
    callee: "while calling the new party",
    hold: "while putting on hold",
    unhold: "while resuming",
    end: "while ending the call",
  };
  const FAULTS = {
    controller: "the request",
    peer: "a phone",
    upstream: "the SIP server",
    server: "the server",
  };

  const calls = new Set();
  let api = null;

  const connected = () => api?.state === "open";
  const short = (uri) => uri.replace(/^sips?:|^tel:/, "").split(/[@;]/)[0] || uri;

  /** What went wrong, for people: the server's text, then where it happened and whose doing it was. */
  function explain(error) {
    const { stage, fault, text, param } = error.reason ?? {};
    const more = [STAGES[stage], param && `parameter ${param}`, FAULTS[fault] && `cause: ${FAULTS[fault]}`];
    if (text && !error.message.includes(text)) more.unshift(text);
    const known = more.filter(Boolean).join("; ");
    return known ? `${error.message} (${known})` : error.message;
  }

  /** Whether an error says that there is no such call (any more). The parties' own 404 have another text. */
  const unknownCall = (error) => /^404 (Requested |Transfer )?[Dd]ialog not found$/.test(error.message);

  /** That a call is over, and why, if not because somebody hung up. */
  const endText = (cause = "200 OK") => (cause.startsWith("200") ? "The call is over" : `The call is over: ${cause}`);

  /** Lines and values that came over the network are only ever text. */
  function element(name, text, className) {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  class Call {
    constructor(caller, callee) {
      this.parties = { caller, callee };
      this.held = new Set();
      this.callid = null;
      this.answeredAt = null;
      this.over = false;
      this.busy = false;
      this.ending = false;
      // Told to be over while a transfer was under way, which says itself what became of it.
      this.gone = false;
      this.moving = false;
      this.card = $("call-template").content.firstElementChild.cloneNode(true);
      this.find(".hold").onclick = () => this.hold("CallHold");
      this.find(".unhold").onclick = () => this.hold("CallUnhold");
      this.find(".end").onclick = () => this.end();
      this.find(".transfer").onclick = () => this.openTransfer(this.find(".transfer-form").hidden);
      this.find(".back").onclick = () => this.openTransfer(false);
      this.find(".dismiss").onclick = () => this.dismiss();
      this.find(".transfer-form").onsubmit = (event) => { event.preventDefault(); this.transfer(); };
      this.find(".destination").oninput = () => this.choose("blind");
      this.find(".other").onchange = () => this.choose("attended");
      this.find(".transfer-form").onkeydown = (event) => { if (event.key === "Escape") this.openTransfer(false); };
      calls.add(this);
      $("calls").prepend(this.card);
    }

    find(selector) {
      return this.card.querySelector(selector);
    }

    // --- the commands ---

    async start() {
      this.show("calling", `Calling ${this.parties.caller}`);
      // A server that does not know `notify_end` ends the command when the callee has answered, and tells no more.
      const params = { ...this.parties, notify_end: "true" };
      this.command = this.run("CallStart", params, (event, data) => this.startEvent(event, data));
      try {
        await this.command.ended;
      } catch (error) {
        if (this.answeredAt) {
          if (!this.over) this.complain(error);
        } else if (error.kind === "lost" || error.kind === "timeout") {
          this.fail(error, "unknown", "No longer followed: the call may go on");
        } else if (this.ending) {
          this.finish("ended", "Cancelled");
        } else {
          this.fail(error, "failed", "The call failed");
        }
      }
      this.draw();
    }

    startEvent(event, data) {
      const { caller, callee } = this.parties;
      if (event === "CallerAnswered") this.show("answered", `${short(caller)} has answered`);
      if (event === "Transferring") this.show("connecting", `Connecting with ${data?.destination ?? callee}`);
      if (event === "TransferStart") {
        this.callid = data.callid;
        this.show("ringing", `Calling ${callee}`);
      }
      if (event === "TransferPending" && data?.extra) this.show("ringing", `Calling ${callee}: ${data.extra}`);
      if (event === "CalleeAnswered") {
        this.callid = data?.callid ?? this.callid;
        this.talk();
      }
      // Of the call as it was before a transfer it says nothing that counts.
      if (event === "CallEnded" && (data?.callid ?? this.callid) === this.callid) {
        if (this.moving) this.gone = true;
        else this.finish("ended", endText(data?.cause));
      }
    }

    async hold(method) {
      const button = document.activeElement;
      const holding = method === "CallHold";
      await this.change(holding ? "Putting on hold" : "Resuming", async () => {
        await this.run(method, { callid: this.callid }, (event, data) => {
          if (event === "CallHoldSuccessful") this.held.add(data.leg);
          if (event === "CallUnholdSuccessful") this.held.delete(data.leg);
        }).ended;
      });
      // The button that was pressed is disabled now, and the keyboard goes on with the other one.
      const other = this.find(holding ? ".unhold" : ".hold");
      if (this.card.contains(button) && button.disabled && !other.disabled) other.focus();
    }

    async transfer() {
      const form = this.find(".transfer-form");
      const leg = form.elements.leg.value;
      const stays = this.parties[leg];
      if (form.elements.how.value === "blind") {
        const destination = this.find(".destination").value.trim();
        if (!destination) return this.find(".destination").focus();
        this.openTransfer(false);
        return this.moved(leg, stays, destination, ["CallBlindTransfer", { callid: this.callid, leg, destination }]);
      }
      const [name, otherLeg] = this.find(".other").value.split(" ");
      const other = [...calls].find((call) => call.callid === name && !call.over);
      if (!other) return this.find(".other").focus();
      this.openTransfer(false);
      other.busy = other.moving = true;
      const words = { callidA: this.callid, legA: leg, callidB: other.callid, legB: otherLeg };
      const joined = await this.moved(leg, stays, other.parties[otherLeg], ["CallAttendedTransfer", words]);
      other.busy = other.moving = false;
      if (joined) other.finish("ended", `Joined with the call of ${short(stays)}`);
      else if (other.gone) other.finish("ended", endText());
      other.draw();
    }

    /** Runs a transfer; when it has succeeded this is the new call, and else still the old one. */
    async moved(leg, stays, to, [method, params]) {
      let callid = null;
      this.moving = true;
      const done = await this.change(`Connecting ${short(stays)} with ${to}`, async () => {
        await this.run(method, params, (event, data) => {
          callid = data?.callid ?? callid;
          const calling = `${short(stays)} calls ${to}`;
          if (event === "TransferStart") this.show("working", calling);
          if (event === "TransferPending" && data?.extra) this.show("working", `${calling}: ${data.extra}`);
        }).ended;
      });
      this.moving = false;
      if (done && !this.over) {
        this.gone = false;
        this.parties = { caller: stays, callee: to };
        this.callid = callid;
        this.held.clear();
        this.talk();
      } else if (this.gone && !this.over) {
        const error = this.find(".error").textContent;
        this.finish("ended", endText());
        this.complain(new CallApiError("failed", error));
      }
      return done;
    }

    async end() {
      this.ending = true;
      // A CallStart that runs and is not answered is cancelled by its own name; else the call's counts, where it is known.
      const calling = !this.command.over && !this.answeredAt;
      const callid = calling ? this.command.cmdId : this.callid ?? this.command.cmdId;
      const before = [this.card.dataset.state, this.find(".state").textContent];
      this.show(before[0], "Ending the call");
      try {
        await this.run("CallEnd", { callid }).ended;
        if (!this.over) this.finish("ended", endText());
      } catch (error) {
        if (unknownCall(error)) {
          this.finish("ended", "The call was over already");
        } else if (!this.over) {
          this.show(...before);
          this.complain(error);
        }
      }
      this.ending = false;
      this.draw();
    }

    /** Does something to a call that stands, which stands as before when that fails. Says whether it was done. */
    async change(text, act) {
      this.busy = true;
      this.complain(null);
      this.show("working", text);
      let failed = null;
      try { await act(); } catch (error) { failed = error; }
      this.busy = false;
      // Meanwhile it may have been ended.
      if (!this.over) {
        if (failed && unknownCall(failed)) this.finish("ended", endText());
        else this.stand();
      }
      if (failed) this.complain(failed);
      this.draw();
      return !failed;
    }

    run(method, params, follow = () => {}) {
      const command = api.start(method, params);
      command.listen((entry) => {
        this.log(method, entry);
        if (!this.over) follow(entry.event, entry.data);
        this.draw();
      });
      return command;
    }

    // --- what is shown ---

    show(state, text) {
      this.card.dataset.state = state;
      this.find(".state").textContent = text;
      this.draw();
    }

    talk() {
      this.answeredAt ??= Date.now();
      this.stand();
    }

    /** How a call that was answered stands. */
    stand() {
      this.show("talking", this.held.size ? "On hold" : "In a call");
    }

    finish(state, text) {
      this.over = true;
      this.endedAt = Date.now();
      this.openTransfer(false);
      this.complain(null);
      this.show(state, text);
    }

    fail(error, state, text) {
      if (state === "failed") this.finish(state, text);
      else this.show(state, text);
      this.complain(error);
    }

    complain(error) {
      const line = this.find(".error");
      line.hidden = !error;
      line.textContent = error ? explain(error) : "";
    }

    log(method, { event, data, reason, at }) {
      const words = Object.entries(Object(data) === data ? data : {}).map(([name, value]) => `${name} ${value}`);
      if (typeof data === "string") words.push(data);
      if (reason) words.push(`stage ${reason.stage}, code ${reason.code}, fault ${reason.fault}`);
      const line = element("li", "");
      line.dataset.event = event;
      line.append(element("time", at.toLocaleTimeString()), ` ${method}: `, element("strong", event));
      if (words.length) line.append(` – ${words.join(", ")}`);
      const list = this.find(".events");
      list.append(line);
      list.scrollTop = list.scrollHeight;
    }

    draw() {
      const { caller, callee } = this.parties;
      const stands = this.callid !== null && this.answeredAt && !this.over;
      const free = connected() && stands && !this.busy && !this.ending;
      this.find("h3").textContent = `${short(caller)} → ${short(callee)}`;
      this.find(".caller").textContent = caller;
      this.find(".callee").textContent = callee;
      this.find(".leg-caller").textContent = `Caller, ${caller}`;
      this.find(".leg-callee").textContent = `Callee, ${callee}`;
      this.find(".callid").textContent = this.callid ?? "none yet";
      this.find(".held").textContent = LEGS.filter((leg) => this.held.has(leg)).join(" and ") || "nobody";
      this.find(".hold").disabled = !free || this.held.size === LEGS.length;
      this.find(".unhold").disabled = !free || this.held.size === 0;
      this.find(".transfer").disabled = !free;
      this.find(".end").disabled = !connected() || this.over || this.ending;
      this.find(".dismiss").hidden = !this.over;
      this.clock();
    }

    clock() {
      if (!this.answeredAt) return;
      const seconds = Math.floor(((this.endedAt ?? Date.now()) - this.answeredAt) / 1000);
      this.find(".talked").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    }

    openTransfer(open) {
      const form = this.find(".transfer-form");
      const button = this.find(".transfer");
      const inside = form.contains(document.activeElement);
      form.hidden = !open;
      button.setAttribute("aria-expanded", String(open));
      if (open) {
        this.offerOthers();
        this.find(".destination").focus();
      } else if (inside) {
        button.focus();
      }
    }

    /** The parties of other calls that stand. */
    offerOthers() {
      const others = [...calls].filter((call) => call !== this && call.callid && call.answeredAt && !call.over);
      const options = others.flatMap((call) => LEGS.map((leg) => {
        const { caller, callee } = call.parties;
        const option = element("option", `${call.parties[leg]} (${leg} of ${short(caller)} → ${short(callee)})`);
        option.value = `${call.callid} ${leg}`;
        return option;
      }));
      if (!options.length) options.push(element("option", "there is no other call"));
      this.find(".other").replaceChildren(...options);
      this.find(".other").disabled = !others.length;
      this.find("[value=attended]").disabled = !others.length;
      if (!others.length) this.choose("blind");
    }

    choose(how) {
      this.find(`[value=${how}]`).checked = true;
    }

    dismiss() {
      calls.delete(this);
      this.card.remove();
      draw();
      $("caller").focus();
    }
  }

  // --- the connection ---

  function connectionText({ state, why, code, retryIn }) {
    if (state === "open") return `Connected to ${api.url}`;
    if (state === "connecting") return `Connecting to ${api.url}`;
    if (state === "closed") return why ? `Cannot connect: ${why}` : "Not connected";
    const again = `Trying again in ${retryIn / 1000} s.`;
    // A browser tells a page no more than this about a refusal.
    if (why === "cannot connect") {
      return `Cannot connect to ${api.url}: nobody is there, or this page or its token is refused. ${again}`;
    }
    const more = [why === "connection lost" ? "" : why, code && `code ${code}`].filter(Boolean).join(", ");
    return `Connection lost${more && ` (${more})`}. ${again}`;
  }

  function onState({ detail }) {
    $("connection").dataset.state = detail.state;
    $("connection").textContent = connectionText(detail);
    draw();
  }

  function connect(event) {
    event.preventDefault();
    api?.close();
    try {
      api = new CallApi($("server").value.trim(), { token: $("token").value });
    } catch (error) {
      api = null;
      $("connection").dataset.state = "closed";
      $("connection").textContent = `Cannot connect: ${error.message}`;
      return draw();
    }
    api.addEventListener("state", onState);
    api.connect();
  }

  function startCall(event) {
    event.preventDefault();
    const [caller, callee] = [$("caller").value.trim(), $("callee").value.trim()];
    const twice = [...calls].some((call) => !call.over && !call.command.over && !call.answeredAt
      && call.parties.caller === caller);
    $("call-form-error").hidden = !twice;
    $("call-form-error").textContent = twice ? `${caller} is being called already.` : "";
    if (!twice) new Call(caller, callee).start();
    draw();
  }

  function draw() {
    const state = api?.state ?? "closed";
    $("connect").disabled = state === "open" || state === "connecting";
    $("connect").textContent = state === "waiting" ? "Connect now" : "Connect";
    $("disconnect").disabled = state === "closed";
    $("start").disabled = !connected();
    $("no-calls").hidden = calls.size > 0;
    calls.forEach((call) => call.draw());
  }

  function begin() {
    // A link may bring the addresses. It never calls: that takes a person.
    const given = new URLSearchParams(location.search);
    const secure = location.protocol === "https:" ? "wss" : "ws";
    $("server").value = given.get("server") ?? `${secure}://${location.hostname || "localhost"}:5059/call-api`;
    for (const name of LEGS) $(name).value = given.get(name) ?? "";
    $("server-form").onsubmit = connect;
    $("disconnect").onclick = () => api.close();
    $("call-form").onsubmit = startCall;
    setInterval(() => calls.forEach((call) => call.clock()), 1000);
    draw();
  }

  begin();
})();
