//! Whatever happens in whatever order, a command says `Started` first, `Ended` last and once, and
//! its progress in causal order (ruling 12).

use std::collections::BTreeMap;

use hookswitch_call::{Address, Cause, Event, Failure, LegId, Party, Refused, Stage, Ticket, Upstream};
use hookswitch_dialect::call_api::{Admission, Mode, SessionId};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, NOW, Rig, answered, connecting, dialing, event, over, request, ringing, start_text};

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
        id.clone().prop_map(|id| request("CallHold", &json!({"callid": id, "cmd_id": id}))),
        id.clone().prop_map(|id| request("CallUnhold", &json!({"callid": id, "leg": "caller", "cmd_id": id}))),
        id.clone().prop_map(|id| request("CallBlindTransfer", &blind(&id))),
        id.clone().prop_map(|id| request("CallAttendedTransfer", &attended(&id))),
        id.clone().prop_map(|id| request("CallStart", &lasting(&id))),
        id.clone().prop_map(|id| request("Subscribe", &json!({"cmd_id": id}))),
        id.prop_map(|id| request("Unsubscribe", &json!({"cmd_id": id}))),
    ];
    prop_oneof![
        4 => named.clone(),
        1 => prop::collection::vec(named, 1..4).prop_map(|texts| format!("[{}]", texts.join(","))),
    ]
}

fn blind(id: &str) -> Value {
    json!({"callid": id, "leg": "callee", "destination": "sip:carol@example.test", "cmd_id": id})
}

fn attended(id: &str) -> Value {
    json!({"callidA": id, "legA": "caller", "callidB": "b", "legB": "callee", "cmd_id": id})
}

fn lasting(id: &str) -> Value {
    json!({"caller": ALICE, "callee": BOB, "cmd_id": id, "notify_end": "true"})
}

fn call_event() -> impl Strategy<Value = Event> {
    prop_oneof![3 => start_event(), 1 => over_event(), 3 => hold_event(), 3 => transfer_event()]
}

fn party() -> impl Strategy<Value = Party> {
    prop_oneof![Just(Party::Caller), Just(Party::Callee)]
}

fn hold_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(|hold| Event::HoldAccepted { hold }),
        (party(), any::<bool>()).prop_map(|(party, hold)| Event::HoldAsked { party, hold }),
        (party(), any::<bool>()).prop_map(|(party, hold)| Event::Held { party, hold }),
    ]
}

fn transfer_event() -> impl Strategy<Value = Event> {
    let to = || prop::option::of(Just(Address::from("sip:carol@192.0.2.7")));
    prop_oneof![
        (party(), to()).prop_map(|(party, to)| Event::Transferring { party, to }),
        ("[g-h]", to()).prop_map(|(wire_id, to)| Event::TransferStarted { wire_id: wire_id.into(), to }),
        (100u16..700).prop_map(|status| Event::TransferProgress { status, text: "Some Words".into() }),
        Just(Event::Transferred),
    ]
}

fn over_event() -> impl Strategy<Value = Event> {
    let ended = Event::LegEnded { leg: LegId(1), party: Party::Callee, cause: Cause::hangup() };
    prop_oneof![Just(ended), Just(over()), Just(Event::Noticed { wire_id: "n".into() })]
}

fn start_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(dialing(Party::Caller, "caller-leg")),
        Just(answered(Party::Caller)),
        Just(connecting()),
        "[d-f]".prop_map(|wire_id| dialing(Party::Callee, &wire_id)),
        Just(ringing(180, "Ringing")),
        Just(answered(Party::Callee)),
        Just(Event::Bridged),
    ]
}

fn result() -> impl Strategy<Value = Result<(), Failure>> {
    let stage = prop_oneof![
        Just(Stage::Request),
        Just(Stage::Caller),
        Just(Stage::Callee),
        Just(Stage::Transfer),
        Just(Stage::Hold),
        Just(Stage::Unhold),
        Just(Stage::End),
        Just(Stage::Backend),
    ];
    let upstream = prop::option::of(Just(Upstream { code: 491, text: "Request Pending".into() }));
    let failed =
        (stage, 200u16..700, upstream, prop::option::of(party())).prop_map(|(stage, code, upstream, party)| {
            let cause = Cause::from_status(code, "Some Words");
            let held = party.into_iter().collect();
            Err(Failure { upstream, party, held, ..Failure::new(stage, cause) })
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
        Just(Refused::Unsupported("no".into())),
        Just(Refused::CarrierDown("no".into())),
        Just(Refused::TooManyCommands(1)),
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
        match message["method"].as_str() {
            Some("CallStart") => check_start(said, &name, message),
            Some("CallBlindTransfer" | "CallAttendedTransfer") => check_transfer(said, &name, message),
            Some(hold @ ("CallHold" | "CallUnhold")) => check_hold(hold, said, &name, message),
            _ => {}
        }
        // A party is told apart by its name in `data`.
        let leg = message["params"]["data"]["leg"].as_str().unwrap_or_default();
        let is_leg = name.starts_with("CallHold") || name.starts_with("CallUnhold");
        said.push(if is_leg { name + leg } else { name });
    }
}

/// Everything before this place of the order has been said, and this only once unless it repeats.
fn check_order(order: &[&str], repeats: &str, said: &[String], name: &str, message: &Value) -> Option<usize> {
    let place = order.iter().position(|known| *known == name)?;
    let needs = order[..place].iter().filter(|need| **need != repeats);
    assert!(needs.clone().all(|need| said.iter().any(|one| one == need)), "{said:?} then {message}");
    let later = order[place + 1..].iter().filter(|later| **later != repeats || name != repeats);
    assert!(!later.clone().any(|later| said.iter().any(|one| one == later)), "{said:?} then {message}");
    assert!(name == repeats || !said.iter().any(|one| one == name), "{said:?} then {message}");
    Some(place)
}

fn check_start(said: &[String], name: &str, message: &Value) {
    let order = ["CallerAnswered", "Transferring", "TransferStart", "TransferPending", "CalleeAnswered", "CallEnded"];
    if let Some(place) = check_order(&order, "TransferPending", said, name, message)
        && place >= 2
    {
        assert!(message["params"]["data"]["callid"].is_string(), "{message}");
    }
}

fn check_transfer(said: &[String], name: &str, message: &Value) {
    let order = ["Transferring", "TransferStart", "TransferPending", "TransferSuccessful"];
    check_order(&order, "TransferPending", said, name, message);
    assert!(order.contains(&name) || name == "Error", "{message}");
}

fn check_hold(method: &str, said: &[String], name: &str, message: &Value) {
    let Some(step) = name.strip_prefix(method) else {
        assert_eq!(name, "Error", "{message}");
        return;
    };
    let leg = message["params"]["data"]["leg"].as_str().unwrap_or_default();
    let order = [format!("{method}ing"), format!("{method}Start{leg}"), format!("{method}Successful{leg}")];
    let order: Vec<&str> = order.iter().map(String::as_str).collect();
    assert!(check_order(&order, "", said, &format!("{method}{step}{leg}"), message).is_some(), "{message}");
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

    /// Settles everything that runs, and ends all calls and subscriptions: then every command has ended.
    fn finish(mut self) {
        for ticket in 1..=self.rig.ticket.0 {
            self.step(Step::Settle { ticket, result: Ok(()) });
            self.step(Step::Tell { ticket, event: over() });
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
