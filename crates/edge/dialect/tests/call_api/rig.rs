//! A hub whose switchboard is played by the test.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_call::{
    Address, CallId, Cause, Command, Event, Failure, LegId, Outcome, Party, Refused, Stage, Ticket, Time, Told,
};
use hookswitch_dialect::call_api::{Admission, Config, Hub, HubOutput, LogOrder, Mode, SessionId};
use serde_json::Value;

pub const ALICE: &str = "sip:alice@127.0.0.1:5080";
pub const BOB: &str = "sip:bob@127.0.0.1:5080";

/// When tests begin.
pub const NOW: Time = Duration::from_millis(1_700_000_000_123);

pub struct Rig {
    pub hub: Hub,
    /// The time.
    pub now: Time,
    /// Answers for the next submissions; beyond them all are accepted.
    pub answers: VecDeque<Refused>,
    /// What was submitted, oldest first.
    pub submitted: Vec<Command>,
    /// The ticket of the last accepted submission.
    pub ticket: Ticket,
    /// Close codes.
    pub closed: Vec<(SessionId, u16)>,
    /// What clients are to be told of the log.
    pub logs: Vec<(SessionId, LogOrder)>,
    seq: u32,
}

impl Rig {
    pub fn new(mode: Mode) -> Self {
        Self::with(mode, Config::default())
    }

    /// With one session open: number 1.
    pub fn with(mode: Mode, config: Config) -> Self {
        Self::admitted(Admission::open(mode), config)
    }

    /// With one session open on these terms.
    pub fn admitted(admission: Admission, config: Config) -> Self {
        let mut hub = Hub::new(config, [7; 32]);
        hub.open(SessionId(1), admission).unwrap();
        Self {
            hub,
            now: NOW,
            answers: VecDeque::new(),
            submitted: Vec::new(),
            ticket: Ticket(0),
            closed: Vec::new(),
            logs: Vec::new(),
            seq: 0,
        }
    }

    /// Session 1 writes; what all sessions read.
    pub fn send(&mut self, text: &str) -> Vec<Value> {
        self.send_on(1, text)
    }

    pub fn send_on(&mut self, session: u64, text: &str) -> Vec<Value> {
        self.hub.text(self.now, SessionId(session), text);
        self.values()
    }

    /// Session 1 starts a call from alice to bob; its ticket.
    pub fn start(&mut self, cmd_id: &str) -> Ticket {
        let heard = self.send(&start_text(cmd_id));
        assert_eq!(events(&heard), ["Started"]);
        self.ticket
    }

    pub fn tell(&mut self, owner: Option<Ticket>, event: Event) -> Vec<Value> {
        self.tell_of(1, owner, event)
    }

    pub fn tell_of(&mut self, call: u64, owner: Option<Ticket>, event: Event) -> Vec<Value> {
        let told = Told { at: self.now, seq: self.seq, call: CallId(call), owner, event };
        self.seq += 1;
        self.hub.told(&told);
        self.values()
    }

    pub fn settle(&mut self, ticket: Ticket, result: Result<(), Failure>) -> Vec<Value> {
        self.hub.outcome(&Outcome { ticket, result });
        self.values()
    }

    pub fn values(&mut self) -> Vec<Value> {
        let read = |(_, text): (_, String)| serde_json::from_str(&text).expect("what is sent is JSON");
        self.drain().into_iter().map(read).collect()
    }

    /// Plays the switchboard until nothing is left; the texts in order.
    pub fn drain(&mut self) -> Vec<(SessionId, String)> {
        let mut texts = Vec::new();
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Text { session, text } => texts.push((session, text)),
                HubOutput::Close { session, code } => self.closed.push((session, code)),
                HubOutput::Log { session, order } => self.logs.push((session, order)),
                HubOutput::Submit { tag, command } => {
                    self.submitted.push(command);
                    let answer = match self.answers.pop_front() {
                        Some(refused) => Err(refused),
                        None => {
                            self.ticket.0 += 1;
                            Ok(self.ticket)
                        }
                    };
                    self.hub.submitted(tag, answer);
                }
            }
        }
        texts
    }
}

pub fn start_text(cmd_id: &str) -> String {
    let params = serde_json::json!({"caller": ALICE, "callee": BOB, "cmd_id": cmd_id});
    request("CallStart", &params)
}

pub fn request(method: &str, params: &Value) -> String {
    serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

/// The event of each message; `error` for an error reply.
pub fn events(heard: &[Value]) -> Vec<&str> {
    heard.iter().map(event).collect()
}

pub fn event(message: &Value) -> &str {
    let found = [&message["params"]["event"], &message["result"]["event"]].into_iter().find_map(Value::as_str);
    found.unwrap_or_else(|| {
        assert!(message["error"]["code"].is_i64(), "neither an event nor an error: {message}");
        "error"
    })
}

/// The `data` of each `Error`.
pub fn errors(heard: &[Value]) -> Vec<&str> {
    let errors = heard.iter().filter(|message| event(message) == "Error");
    errors.filter_map(|message| message["params"]["data"].as_str()).collect()
}

pub fn dialing(party: Party, wire_id: &str) -> Event {
    Event::Dialing { leg: leg(party), party, wire_id: wire_id.into(), to: Address::from("sip:somewhere") }
}

pub fn answered(party: Party) -> Event {
    Event::Answered { leg: leg(party), party }
}

pub fn ringing(status: u16, text: &str) -> Event {
    Event::Progress { leg: leg(Party::Callee), party: Party::Callee, status, text: text.into() }
}

pub fn connecting() -> Event {
    Event::Connecting { to: Address::from(BOB) }
}

pub fn over() -> Event {
    Event::Ended { cause: Cause::hangup(), talked: Duration::from_secs(3) }
}

pub fn failure(stage: Stage, code: u16, text: &str) -> Result<(), Failure> {
    Err(Failure::new(stage, Cause::from_status(code, text)))
}

fn leg(party: Party) -> LegId {
    match party {
        Party::Caller => LegId(0),
        Party::Callee => LegId(1),
    }
}
