//! Whatever happens in whatever order, a command says `Started` first, `Ended` last and once, and
//! its progress in causal order (ruling 12).

use std::collections::BTreeMap;

use hookswitch_call::{Cause, Event, Failure, LegId, Party, Refused, Stage, Ticket};
use hookswitch_dialect::call_api::{Admission, Mode, SessionId};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::rig::{NOW, Rig, answered, connecting, dialing, event, over, request, ringing, start_text};

#[derive(Clone, Debug)]
enum Step {
    Text { session: u64, text: String },
    Tell { ticket: u64, event: Event },
    Settle { ticket: u64, result: Result<(), Failure> },
    Refuse(Refused),
    Reconnect(u64),
}

fn text() -> impl Strategy<Value = String> {
    let id = prop_oneof!["[a-c]", Just(String::new())];
    let named = prop_oneof![
        id.clone().prop_map(|id| start_text(&id)),
        id.clone().prop_map(|id| request("CallEnd", &json!({"callid": id}))),
        id.clone().prop_map(|id| request("CallCancel", &json!({"cmd_id": id}))),
        id.clone().prop_map(|id| request("Echo", &json!({"cmd_id": id}))),
        id.clone().prop_map(|id| request("CallHold", &json!({"cmd_id": id}))),
        id.clone().prop_map(|id| request("Subscribe", &json!({"cmd_id": id}))),
        id.prop_map(|id| request("Unsubscribe", &json!({"cmd_id": id}))),
    ];
    prop_oneof![
        4 => named.clone(),
        1 => prop::collection::vec(named, 1..4).prop_map(|texts| format!("[{}]", texts.join(","))),
    ]
}

fn call_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(dialing(Party::Caller, "caller-leg")),
        Just(answered(Party::Caller)),
        Just(connecting()),
        "[d-f]".prop_map(|wire_id| dialing(Party::Callee, &wire_id)),
        Just(ringing(180, "Ringing")),
        Just(answered(Party::Callee)),
        Just(Event::Bridged),
        Just(Event::LegEnded { leg: LegId(1), party: Party::Callee, cause: Cause::hangup() }),
        Just(over()),
    ]
}

fn result() -> impl Strategy<Value = Result<(), Failure>> {
    let stage = prop_oneof![Just(Stage::Request), Just(Stage::Caller), Just(Stage::Callee), Just(Stage::End)];
    let failed = (stage, 200u16..700).prop_map(|(stage, code)| {
        let cause = Cause::from_status(code, "Some Words");
        Err(Failure::new(stage, cause))
    });
    prop_oneof![Just(Ok(())), failed]
}

fn refused() -> impl Strategy<Value = Refused> {
    prop_oneof![
        Just(Refused::NoSuchCall),
        Just(Refused::Ending),
        Just(Refused::WireIdInUse("x".into())),
        Just(Refused::TooManyCalls(1)),
        Just(Refused::Draining),
        Just(Refused::AddressTooLong),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u64..4, text()).prop_map(|(session, text)| Step::Text { session, text }),
        8 => (1u64..12, call_event()).prop_map(|(ticket, event)| Step::Tell { ticket, event }),
        4 => (1u64..12, result()).prop_map(|(ticket, result)| Step::Settle { ticket, result }),
        1 => refused().prop_map(Step::Refuse),
        1 => (1u64..4).prop_map(Step::Reconnect),
    ]
}

/// What one session has heard of its commands.
#[derive(Default)]
struct Listener {
    running: BTreeMap<String, Vec<String>>,
}

impl Listener {
    fn hear(&mut self, message: &Value) {
        for message in message.as_array().map_or(std::slice::from_ref(message), Vec::as_slice) {
            if event(message) != "error" {
                self.hear_event(message);
            }
        }
    }

    fn hear_event(&mut self, message: &Value) {
        let name = event(message).to_owned();
        let holder = if name == "Started" { &message["result"] } else { &message["params"] };
        let cmd_id = holder["cmd_id"].as_str().unwrap().to_owned();
        if name == "Started" {
            assert!(self.running.insert(cmd_id, Vec::new()).is_none(), "started twice: {message}");
            return;
        }
        let said = self.running.get_mut(&cmd_id).unwrap_or_else(|| panic!("not running: {message}"));
        if name == "Ended" {
            self.running.remove(&cmd_id);
            return;
        }
        assert_ne!(said.last().map(String::as_str), Some("Error"), "only Ended follows an Error: {message}");
        if message["method"] == "CallStart" {
            let order = ["CallerAnswered", "Transferring", "TransferStart", "TransferPending", "CalleeAnswered"];
            if let Some(place) = order.iter().position(|known| **known == name) {
                let needs = &order[..place.min(3)];
                assert!(needs.iter().all(|need| said.iter().any(|one| one == need)), "{said:?} then {message}");
                assert!(!said.iter().any(|one| one == "CalleeAnswered"), "{said:?} then {message}");
                assert!(name == "TransferPending" || !said.contains(&name), "{said:?} then {message}");
                if place >= 2 {
                    assert!(message["params"]["data"]["callid"].is_string(), "{message}");
                }
            }
        }
        said.push(name);
    }
}

struct Play {
    rig: Rig,
    listeners: BTreeMap<u64, Listener>,
    /// The number of each session on the wire: a name is never used twice.
    sessions: BTreeMap<u64, u64>,
    last_session: u64,
}

impl Play {
    fn new() -> Self {
        let mut play = Self {
            rig: Rig::new(Mode::Strict),
            listeners: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_session: 10,
        };
        for session in 1..4 {
            play.reconnect(session);
        }
        play
    }

    fn reconnect(&mut self, session: u64) {
        if let Some(old) = self.sessions.get(&session) {
            self.rig.hub.closed(SessionId(*old));
            self.listeners.remove(old);
        }
        self.last_session += 1;
        self.sessions.insert(session, self.last_session);
        self.listeners.insert(self.last_session, Listener::default());
        let mode = if session == 1 { Mode::Original } else { Mode::Strict };
        self.rig.hub.open(SessionId(self.last_session), Admission::open(mode)).unwrap();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Text { session, text } => self.rig.hub.text(NOW, SessionId(self.sessions[&session]), &text),
            Step::Refuse(refused) => self.rig.answers.push_back(refused),
            Step::Reconnect(session) => self.reconnect(session),
            Step::Tell { ticket, event } => {
                let told = hookswitch_call::Told {
                    at: std::time::Duration::ZERO,
                    seq: 0,
                    call: hookswitch_call::CallId(ticket),
                    owner: Some(Ticket(ticket)),
                    event,
                };
                self.rig.hub.told(&told);
            }
            Step::Settle { ticket, result } => {
                self.rig.hub.outcome(&hookswitch_call::Outcome { ticket: Ticket(ticket), result });
            }
        }
        for (session, text) in self.rig.drain() {
            let message = serde_json::from_str(&text).unwrap();
            self.listeners
                .get_mut(&session.0)
                .unwrap_or_else(|| panic!("a closed session hears {text}"))
                .hear(&message);
        }
    }

    /// Settles everything that runs and ends all subscriptions: then every command has ended.
    fn finish(mut self) {
        for ticket in 1..=self.rig.ticket.0 {
            self.step(Step::Settle { ticket, result: Ok(()) });
        }
        for (session, name) in self.sessions.clone() {
            let running: Vec<String> = self.listeners[&name].running.keys().cloned().collect();
            for cmd_id in running {
                let text = request("Unsubscribe", &json!({"cmd_id": cmd_id}));
                self.step(Step::Text { session, text });
            }
            assert!(self.listeners[&name].running.is_empty(), "never ended: {:?}", self.listeners[&name].running);
        }
        assert_eq!(self.rig.hub.running(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn started_first_ended_last_and_once(steps in prop::collection::vec(step(), 1..80)) {
        let mut play = Play::new();
        for step in steps {
            play.step(step);
        }
        play.finish();
    }
}
