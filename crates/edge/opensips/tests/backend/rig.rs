//! A backend whose OpenSIPS is played by the test.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_call::{Address, CallRef, Command, Event, Failure, Notes, Outcome, Party, Refused, Ticket, Time, Told};
use hookswitch_opensips::{Config, Health, Input, Learned, MiError, OpenSips, Output, RequestId};
use serde_json::{Value, json};

pub(crate) const SOCKET: &str = "udp:127.0.0.1:49136";
pub(crate) const VERSION: &str = "OpenSIPS (4.1.0-dev (x86_64/linux))";

/// A request that the backend sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) request: RequestId,
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) params: Value,
    pub(crate) raw: String,
    pub(crate) patience: Duration,
}

pub(crate) struct Rig {
    pub(crate) core: OpenSips,
    pub(crate) now: Time,
    /// Requests nobody has looked at.
    pub(crate) sent: VecDeque<Sent>,
    pub(crate) story: Vec<String>,
    pub(crate) told: Vec<Told>,
    pub(crate) outcomes: Vec<Outcome>,
    /// What has been said of calls that no command makes.
    pub(crate) learned: Vec<Learned>,
    pub(crate) health: Vec<Health>,
    /// Whether the version, subscriptions and their list are answered by the rig itself.
    pub(crate) is_answering: bool,
    pub(crate) version: &'static str,
    pub(crate) socket: String,
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn config() -> Config {
    Config { event_socket: SOCKET.into(), ..Config::default() }
}

pub(crate) fn wire(callid: &str) -> CallRef {
    CallRef::Wire(callid.into())
}

impl Rig {
    /// One that has found its OpenSIPS.
    pub(crate) fn up() -> Self {
        Self::with(config(), VERSION)
    }

    pub(crate) fn with(config: Config, version: &'static str) -> Self {
        let mut rig = Self::new(config, [7; 32]);
        rig.version = version;
        rig.start();
        assert_eq!(rig.core.health().mi, hookswitch_opensips::Link::Up);
        rig.story.clear();
        rig.health.clear();
        rig
    }

    /// One that has not spoken.
    pub(crate) fn new(config: Config, seed: [u8; 32]) -> Self {
        let socket = config.event_socket.to_string();
        Self {
            core: OpenSips::new(config, seed),
            now: Duration::from_secs(1_795_190_884),
            sent: VecDeque::new(),
            story: Vec::new(),
            told: Vec::new(),
            outcomes: Vec::new(),
            learned: Vec::new(),
            health: Vec::new(),
            is_answering: true,
            version: VERSION,
            socket,
        }
    }

    pub(crate) fn start(&mut self) {
        self.core.start(self.now);
        self.drain();
    }

    pub(crate) fn submit(&mut self, command: Command) -> Result<Ticket, Refused> {
        let ticket = self.core.submit(self.now, command);
        self.drain();
        ticket
    }

    pub(crate) fn call_start(&mut self, wire_id: &str) -> Ticket {
        let (caller, callee) = ("sip:alice@10.0.0.10".into(), "sip:bob@10.0.0.11".into());
        self.submit(Command::Start { caller, callee, wire_id: Some(wire_id.into()) }).unwrap()
    }

    pub(crate) fn hold(&mut self, callid: &str) -> Ticket {
        self.submit(Command::Hold { call: wire(callid), party: None, notes: Notes::default() }).unwrap()
    }

    pub(crate) fn unhold(&mut self, callid: &str) -> Ticket {
        self.submit(Command::Unhold { call: wire(callid), party: None, notes: Notes::default() }).unwrap()
    }

    pub(crate) fn transfer(&mut self, callid: &str) -> Ticket {
        let to = Address::from("sip:cindy@10.0.0.12");
        self.submit(Command::Transfer { call: wire(callid), party: Party::Callee, to, by: None }).unwrap()
    }

    pub(crate) fn join(&mut self, a: &str, b: &str, to: Option<&str>) -> Ticket {
        let (party, other_party) = (Party::Caller, Party::Callee);
        let to = to.map(Address::from);
        self.submit(Command::Join { call: wire(a), party, other: wire(b), other_party, to, by: None }).unwrap()
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.drain();
    }

    pub(crate) fn reply_text(&mut self, text: &str) {
        self.handle(Input::Reply(text.to_owned().into()));
    }

    pub(crate) fn result(&mut self, sent: &Sent, result: Value) {
        self.reply_text(&json!({"jsonrpc": "2.0", "result": result, "id": sent.id}).to_string());
    }

    pub(crate) fn error(&mut self, sent: &Sent, code: i32, message: &str) {
        let error = json!({"code": code, "message": message});
        self.reply_text(&json!({"jsonrpc": "2.0", "error": error, "id": sent.id}).to_string());
    }

    /// An error that is believed only when nothing else has come for a while.
    pub(crate) fn refuse(&mut self, sent: &Sent, code: i32, message: &str) {
        self.error(sent, code, message);
        self.pass(hookswitch_opensips::DOUBLED_WITHIN);
    }

    pub(crate) fn fail(&mut self, sent: &Sent, error: MiError) {
        self.handle(Input::MiFailed { request: sent.request, error });
    }

    pub(crate) fn event(&mut self, method: &str, params: Value) {
        let text = json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string();
        self.handle(Input::Event(text.into()));
    }

    /// A transfer's event as OpenSIPS writes it, `leg` as useless as ever.
    pub(crate) fn transfer_event(&mut self, callid: &str, new: &str, state: &str, status: &str) {
        let destination = if state == "notify" { "" } else { "sip:cindy@10.0.0.12:5060;osid=4c1.079ae703" };
        self.event(
            "E_CALL_TRANSFER",
            json!({"callid": callid, "leg": null, "transfer_callid": new, "destination": destination,
                   "state": state, "status": status}),
        );
    }

    pub(crate) fn hold_event(&mut self, callid: &str, leg: &str, action: &str, state: &str) {
        self.event("E_CALL_HOLD", json!({"callid": callid, "leg": leg, "action": action, "state": state}));
    }

    pub(crate) fn dialog_event(&mut self, callid: &str, state: u8) {
        let params = json!({"id": "4d.e7806df5", "callid": callid, "old_state": state - 1, "new_state": state});
        self.event("E_DLG_STATE_CHANGED", params);
    }

    /// The end of a dialog that nobody had answered.
    pub(crate) fn unanswered_dialog_ends(&mut self, callid: &str) {
        let params = json!({"id": "4d.e7806df5", "callid": callid, "old_state": 2, "new_state": 5});
        self.event("E_DLG_STATE_CHANGED", params);
    }

    /// The next request of this kind, whatever was sent besides.
    pub(crate) fn take(&mut self, method: &str) -> Sent {
        self.try_take(method).unwrap_or_else(|| panic!("no {method} was sent, but {:?}", self.methods()))
    }

    pub(crate) fn try_take(&mut self, method: &str) -> Option<Sent> {
        let place = self.sent.iter().position(|sent| sent.method == method)?;
        self.sent.remove(place)
    }

    /// The next request of this kind, sent now or as soon as a started call may be transferred.
    pub(crate) fn try_take_due(&mut self, method: &str) -> Option<Sent> {
        if let Some(sent) = self.try_take(method) {
            return Some(sent);
        }
        self.pass(millis(1));
        self.try_take(method)
    }

    pub(crate) fn methods(&self) -> Vec<&str> {
        self.sent.iter().map(|sent| sent.method.as_str()).collect()
    }

    pub(crate) fn accept(&mut self, method: &str, result: Value) {
        let sent = self.take(method);
        self.result(&sent, result);
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// What has been told and not been read.
    pub(crate) fn read(&mut self) -> Vec<String> {
        std::mem::take(&mut self.story)
    }

    pub(crate) fn expect(&mut self, story: &[&str]) {
        assert_eq!(self.read(), story);
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Mi { request, bytes, patience } => self.sending(request, &bytes, patience),
                Output::Event(told) => {
                    self.story.push(words(&told.event));
                    self.told.push(told);
                }
                Output::Outcome(outcome) => {
                    self.story.push(outcome_words(&outcome.result));
                    self.outcomes.push(outcome);
                }
                Output::Health(health) => self.health.push(health),
                Output::Learned { what, .. } => self.learned.push(what),
            }
        }
    }

    fn sending(&mut self, request: RequestId, bytes: &[u8], patience: Duration) {
        let raw = String::from_utf8(bytes.to_vec()).unwrap();
        let value: Value = serde_json::from_str(&raw).unwrap();
        let sent = Sent {
            request,
            id: value["id"].as_str().expect("ids are strings").to_owned(),
            method: value["method"].as_str().unwrap().to_owned(),
            params: value["params"].clone(),
            raw,
            patience,
        };
        let answer = match sent.method.as_str() {
            "version" => json!({"Server": self.version}),
            "event_subscribe" => json!("OK"),
            "subscribers_list" => json!({"Event": {"name": "E_CALL_TRANSFER", "id": 6, "Subscribers": [
                {"socket": self.socket, "expire": 120, "ttl": 80}]}}),
            _ => return self.sent.push_back(sent),
        };
        if !self.is_answering {
            return self.sent.push_back(sent);
        }
        let text = json!({"jsonrpc": "2.0", "result": answer, "id": sent.id}).to_string();
        self.core.handle(self.now, Input::Reply(text.into()));
    }
}

fn party(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Callee => "callee",
    }
}

/// An event in a few words.
pub(crate) fn words(event: &Event) -> String {
    match event {
        Event::Dialing { party: end, wire_id, to, .. } => format!("dialing {} {wire_id} at {to}", party(*end)),
        Event::Answered { party: end, .. } => format!("answered {}", party(*end)),
        Event::Connecting { to } => format!("connecting to {to}"),
        Event::Progress { party: end, status, text, .. } => format!("progress {} {status} {text}", party(*end)),
        Event::HoldAccepted { hold } => format!("accepted hold={hold}"),
        Event::HoldAsked { party: end, hold } => format!("asked {} hold={hold}", party(*end)),
        Event::Held { party: end, hold } => format!("held {} hold={hold}", party(*end)),
        Event::Transferring { party: end, to } => match to {
            Some(to) => format!("transferring {} to {to}", party(*end)),
            None => format!("transferring {}", party(*end)),
        },
        Event::TransferStarted { wire_id, to } => match to {
            Some(to) => format!("started {wire_id} at {to}"),
            None => format!("started {wire_id}"),
        },
        Event::TransferProgress { status, text } => format!("transfer {status} {text}"),
        Event::Transferred => "transferred".to_owned(),
        Event::Started { .. } => "started".into(),
        Event::Noticed { wire_id } => format!("noticed {wire_id}"),
        Event::Ended { cause, .. } => format!("ended {cause}"),
        other => format!("{other:?}"),
    }
}

pub(crate) fn outcome_words(result: &Result<(), Failure>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(failure) => format!("failed {:?}: {} ({:?})", failure.stage, failure.cause, failure.cause.fault),
    }
}

/// The reply to an INVITE that was answered.
pub(crate) fn answered() -> Value {
    json!({"Status": "200 Answering", "RURI": "sip:alice-0x560b6157bcc0@127.0.0.11:5060", "Message": "..."})
}

pub(crate) fn dialog(state: u8) -> Value {
    json!({"Dialog": {"ID": "a5c.a3125381", "state": state}})
}
