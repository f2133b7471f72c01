"use strict";

/*
 * A client of the Call API (JSON-RPC 2.0 over WebSocket) for web pages, in one file and without anything else.
 *
 *   const api = new CallApi("ws://localhost:5059/call-api");
 *   api.addEventListener("state", ({ detail }) => console.log(detail.state, detail.why));
 *   api.connect();
 *
 *   const call = api.start("CallStart", { caller: "sip:alice@example.test", callee: "sip:bob@example.test" });
 *   call.listen(({ event, data }) => console.log(event, data));    // also what came before one listened
 *   await call.ended;                                              // or a CallApiError that says why not
 *
 * It is a classic script, not a module, because browsers load modules from no file: address.
 */
(() => {
  const REPLY_MS = 10_000;
  const CONNECT_MS = 10_000;
  const COMMAND_MS = 60_000;
  // Two phones that each ring for two minutes, and what lies between.
  const CALL_START_MS = 300_000;
  // Between an Error and the Ended that has to follow it.
  const AFTER_ERROR_MS = 2_000;
  // A connection without a word for so long is asked whether it still stands.
  const SILENCE_MS = 30_000;
  const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
  // What a subprotocol, and so a token in it, may be written with (RFC 9110, section 5.6.2).
  const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

  /**
   * Why a command did not succeed. `kind` says how it ended: `refused` (an error reply: there was no command),
   * `failed` (it ended with `Error`), `timeout`, `lost` (the connection ended, the command may go on without us),
   * `offline` (there was no connection: nothing was sent).
   * `reason` is the server's `{ code, stage, text, fault, ... }`, when it gave one.
   */
  class CallApiError extends Error {
    constructor(kind, message, reason = null) {
      super(message);
      this.name = "CallApiError";
      this.kind = kind;
      this.reason = reason;
    }
  }

  /** A command that was sent: its events in order, a promise for its start and one for its end. */
  class Command {
    constructor(method, params) {
      this.method = method;
      this.params = params;
      this.cmdId = params.cmd_id;
      /** All that came, in order: `{ event, data, reason, at }`. */
      this.events = [];
      this.over = false;
      this.error = null;
      this.listeners = new Set();
      this.timers = new Set();
      this.started = new Promise((resolve, reject) => { this.start = { resolve, reject }; });
      this.ended = new Promise((resolve, reject) => { this.end = { resolve, reject }; });
      // Whoever waits for neither is not told of an unhandled rejection.
      this.started.catch(() => {});
      this.ended.catch(() => {});
    }

    /** Calls `listener` with each event, first with those that were there before. The result stops it. */
    listen(listener) {
      this.events.forEach((entry) => listener(entry));
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    }

    note(event, data, reason) {
      const entry = { event, data, reason, at: new Date() };
      this.events.push(entry);
      for (const listener of [...this.listeners]) {
        // A listener that throws takes no event from the others.
        try { listener(entry); } catch (thrown) { setTimeout(() => { throw thrown; }); }
      }
    }

    after(milliseconds, then) {
      this.timers.add(setTimeout(then, milliseconds));
    }

    settle(error) {
      this.timers.forEach(clearTimeout);
      this.timers.clear();
      if (this.over) return;
      this.over = true;
      this.error = error;
      if (error) {
        this.start.reject(error);
        this.end.reject(error);
      } else {
        this.start.resolve(this);
        this.end.resolve(this.events);
      }
    }
  }

  /**
   * A connection that is made again whenever it is lost.
   *
   * Events: `state` with `detail` `{ state, why, code, retryIn }`, state being `closed`, `connecting`, `open` or
   * `waiting` (for `retryIn` milliseconds, before it tries again); `notification` with every notification,
   * `{ method, params }`, those included that belong to no command of ours.
   *
   * Options: `token` (sent as the subprotocol `bearer.TOKEN`), `strict` (asks for a strict session), `silence`
   * (milliseconds without a word after which the connection is checked; 0 never checks).
   */
  class CallApi extends EventTarget {
    constructor(url, { token = "", strict = false, silence = SILENCE_MS } = {}) {
      super();
      if (token && !TOKEN.test(token)) {
        throw new CallApiError("refused", "the token has characters that a browser cannot send");
      }
      this.url = url;
      this.protocols = [];
      if (strict) this.protocols.push("call-api.strict");
      // A browser ends a connection whose server chose none of the protocols offered: there has to be one to choose
      // beside the token, which should not come back.
      if (token) this.protocols.push(...(strict ? [] : ["call-api"]), `bearer.${token}`);
      this.silence = silence;
      this.state = "closed";
      this.socket = null;
      this.attempts = 0;
      this.lastId = 0;
      this.byId = new Map();
      this.byCmdId = new Map();
      this.timers = {};
    }

    connect() {
      if (this.socket) return;
      clearTimeout(this.timers.retry);
      this.say("connecting");
      let socket;
      try {
        socket = new WebSocket(this.url, this.protocols);
      } catch (error) {
        // Not an address of a WebSocket, or a page from https: that asks for ws: — trying again changes nothing.
        this.say("closed", { why: error.message });
        return;
      }
      this.socket = socket;
      let opened = false;
      this.timers.connect = setTimeout(() => this.lose(socket, opened, 0, "no answer"), CONNECT_MS);
      socket.onopen = () => {
        opened = true;
        this.attempts = 0;
        clearTimeout(this.timers.connect);
        this.heard();
        this.say("open");
      };
      socket.onmessage = ({ data }) => {
        this.heard();
        this.read(data);
      };
      socket.onclose = ({ code, reason }) => this.lose(socket, opened, code, reason);
    }

    /** Leaves. Commands that are running go on without us. */
    close() {
      clearTimeout(this.timers.retry);
      const socket = this.socket;
      if (socket) this.forget(socket);
      socket?.close(1000);
      this.abandon("the connection was closed");
      this.say("closed");
    }

    /**
     * Sends a command. `timeout` (milliseconds) is how long it may take to its end; a CallStart with `notify_end` ends
     * when its call does, and has so long to be answered. `cmdId` is its name, else one is made, so that no
     * notification can come before its name is known. Never throws: the promises say what is wrong.
     */
    start(method, params = {}, { timeout, cmdId = newName() } = {}) {
      const command = new Command(method, { ...params, cmd_id: cmdId });
      if (this.state !== "open") {
        command.settle(new CallApiError("offline", "not connected"));
        return command;
      }
      if (this.byCmdId.has(cmdId)) {
        command.settle(new CallApiError("refused", "cmd_id is in use"));
        return command;
      }
      const id = ++this.lastId;
      this.byId.set(id, command);
      this.byCmdId.set(cmdId, command);
      const late = (what) => () => command.settle(new CallApiError("timeout", `${what} took too long`));
      command.replyTimer = setTimeout(late("the reply"), REPLY_MS);
      command.timers.add(command.replyTimer);
      const most = timeout ?? (method === "CallStart" ? CALL_START_MS : COMMAND_MS);
      command.endTimer = setTimeout(late(method), most);
      command.timers.add(command.endTimer);
      this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params: command.params }));
      return command;
    }

    /** Sends a command and waits for its end; the result is its events. */
    call(method, params, options) {
      return this.start(method, params, options).ended;
    }

    read(text) {
      let message;
      try { message = JSON.parse(text); } catch { return; }
      for (const one of Array.isArray(message) ? message : [message]) {
        if (one?.method !== undefined) this.notified(one);
        else if (one) this.replied(one);
      }
    }

    replied({ id, result, error }) {
      const command = this.byId.get(id);
      if (!command) return;
      this.byId.delete(id);
      clearTimeout(command.replyTimer);
      if (error) {
        this.byCmdId.delete(command.cmdId);
        command.settle(new CallApiError("refused", error.message, error.data?.reason));
        return;
      }
      command.note(result?.event ?? "Started");
      command.start.resolve(command);
    }

    notified({ method, params = {} }) {
      const command = this.byCmdId.get(params.cmd_id);
      if (command) this.progressed(command, params);
      this.dispatchEvent(new CustomEvent("notification", { detail: { method, params } }));
    }

    progressed(command, { event, data, reason }) {
      if (event === "Error") {
        command.failure = new CallApiError("failed", String(data), reason);
        // Servers exist that forget the Ended.
        command.after(AFTER_ERROR_MS, () => this.finish(command));
      }
      if (event === "CalleeAnswered" && command.params.notify_end === "true") clearTimeout(command.endTimer);
      command.note(event, data, reason);
      if (event === "Ended") this.finish(command);
    }

    finish(command) {
      this.byCmdId.delete(command.cmdId);
      command.settle(command.failure ?? null);
    }

    lose(socket, opened, code, reason) {
      if (this.socket !== socket) return;
      this.forget(socket);
      socket.close();
      this.abandon("the connection was lost");
      const retryIn = RETRY_MS[Math.min(this.attempts, RETRY_MS.length - 1)];
      this.attempts += 1;
      this.timers.retry = setTimeout(() => this.connect(), retryIn);
      this.say("waiting", { retryIn, code, why: reason || (opened ? "connection lost" : "cannot connect") });
    }

    forget(socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      this.socket = null;
      clearTimeout(this.timers.connect);
      clearTimeout(this.timers.silence);
    }

    abandon(why) {
      const commands = [...this.byCmdId.values()];
      this.byId.clear();
      this.byCmdId.clear();
      commands.forEach((command) => command.settle(command.failure ?? new CallApiError("lost", why)));
    }

    /** Something came: the connection stands. A silence is broken by an Echo, a second one ends the connection. */
    heard() {
      clearTimeout(this.timers.silence);
      if (!this.silence) return;
      const socket = this.socket;
      this.timers.silence = setTimeout(() => {
        this.start("Echo");
        this.timers.silence = setTimeout(() => this.lose(socket, true, 0, "no answer any more"), REPLY_MS);
      }, this.silence);
    }

    say(state, more = {}) {
      this.state = state;
      this.dispatchEvent(new CustomEvent("state", { detail: { state, why: "", code: 0, retryIn: 0, ...more } }));
    }
  }

  // crypto.randomUUID exists only in pages from https: and localhost.
  function newName() {
    const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
    return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  Object.assign(globalThis, { CallApi, CallApiError });
})();
