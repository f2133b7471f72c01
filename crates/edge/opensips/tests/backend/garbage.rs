//! Whatever OpenSIPS or somebody in its place sends, every command ends once and nothing panics.

use std::collections::HashMap;

use hookswitch_opensips::{Input, MiError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::rig::{Rig, dialog, millis, seconds};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening {
    Command(u8, u8),
    Transfer { call: u8, new: u8, state: u8, status: u8 },
    Hold { call: u8, leg: bool, on: bool, state: u8 },
    Dialog { call: u8, state: u8 },
    Answer { which: u8, how: u8 },
    Lose { which: u8 },
    Repeat { which: u8 },
    Bytes(Vec<u8>),
    Stream(Vec<u8>),
    Down(bool),
    Pass(u32),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{Answer, Bytes, Command, Dialog, Down, Hold, Lose, Pass, Repeat, Stream, Transfer};
    prop_oneof![
        3 => (any::<u8>(), 0..6u8).prop_map(|(kind, call)| Command(kind, call)),
        4 => (0..6u8, 0..4u8, 0..4u8, 0..8u8)
            .prop_map(|(call, new, state, status)| Transfer { call, new, state, status }),
        3 => (0..6u8, any::<bool>(), any::<bool>(), 0..4u8).prop_map(|(call, leg, on, state)| Hold { call, leg, on, state }),
        3 => (0..9u8, 1..6u8).prop_map(|(call, state)| Dialog { call, state }),
        8 => (any::<u8>(), 0..8u8).prop_map(|(which, how)| Answer { which, how }),
        1 => any::<u8>().prop_map(|which| Lose { which }),
        1 => any::<u8>().prop_map(|which| Repeat { which }),
        1 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Bytes),
        1 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Stream),
        1 => any::<bool>().prop_map(Down),
        4 => (0..20_000u32).prop_map(Pass),
    ]
}

const STATUSES: [&str; 8] =
    ["", "100 Trying", "180 Ringing", "200 OK", "408 Request Timeout", "486 Busy Here", "no status", "999"];
const STATES: [&str; 4] = ["start", "notify", "ok", "fail"];

fn happen(rig: &mut Rig, happening: &Happening) {
    match happening {
        Happening::Command(kind, call) => command(rig, *kind, *call),
        Happening::Transfer { call, new, state, status } => {
            let (state, status) = (STATES[usize::from(*state)], STATUSES[usize::from(*status)]);
            rig.transfer_event(&format!("c{call}"), &format!("n{new}"), state, status);
        }
        Happening::Hold { call, leg, on, state } => {
            let leg = if *leg { "caller" } else { "callee" };
            let action = if *on { "hold" } else { "unhold" };
            let state = ["start", "ok", "fail", "state"][usize::from(*state)];
            let action = if state == "state" { "action" } else { action };
            rig.hold_event(&format!("c{call}"), leg, action, state);
        }
        Happening::Dialog { call, state } => {
            let callid = if *call < 6 { format!("c{call}") } else { format!("n{}", call - 6) };
            rig.dialog_event(&callid, *state);
        }
        Happening::Answer { which, how } => answer(rig, *which, *how),
        Happening::Lose { which } => {
            if !rig.sent.is_empty() {
                let place = usize::from(*which) % rig.sent.len();
                rig.sent.remove(place);
            }
        }
        Happening::Repeat { which } => {
            if !rig.sent.is_empty() {
                let sent = rig.sent[usize::from(*which) % rig.sent.len()].clone();
                rig.result(&sent, json!("OK"));
            }
        }
        Happening::Bytes(bytes) => {
            rig.handle(Input::Event(bytes.clone().into()));
            rig.handle(Input::Reply(bytes.clone().into()));
        }
        Happening::Stream(bytes) => rig.handle(Input::EventBytes { connection: 1, bytes: bytes.clone().into() }),
        Happening::Down(is_sure) => {
            rig.handle(Input::MiDown(if *is_sure { MiError::Refused } else { MiError::Timeout }));
        }
        Happening::Pass(time) => rig.pass(millis(u64::from(*time))),
    }
}

fn command(rig: &mut Rig, kind: u8, call: u8) {
    use hookswitch_call::{Cause, Command, Notes, Party};
    let name = format!("c{call}");
    let wire = |name: &str| crate::rig::wire(name);
    let _ = rig.submit(match kind % 6 {
        0 => Command::Start { caller: "sip:a@h".into(), callee: "sip:b@h".into(), wire_id: Some(name.into()) },
        1 => Command::End { call: wire(&name), cause: Cause::hangup() },
        2 => Command::Hold { call: wire(&name), party: None, notes: Notes::default() },
        3 => Command::Unhold { call: wire(&name), party: Some(Party::Caller), notes: Notes::default() },
        4 => Command::Transfer { call: wire(&name), party: Party::Caller, to: "sip:c@h".into(), by: None },
        _ => Command::Join {
            call: wire(&name),
            party: Party::Caller,
            other: wire("c0"),
            other_party: Party::Callee,
            to: None,
            by: None,
        },
    });
}

fn answer(rig: &mut Rig, which: u8, how: u8) {
    if rig.sent.is_empty() {
        return;
    }
    let place = usize::from(which) % rig.sent.len();
    let sent = rig.sent.remove(place).unwrap();
    let result: Value = match how {
        0 => json!({"Status": "200 OK"}),
        1 => json!({"Status": "486 Busy Here"}),
        2 => dialog(4),
        3 => dialog(5),
        4 => return rig.error(&sent, 404, "Dialog not found"),
        5 => return rig.error(&sent, -32000, "Server error"),
        6 => return rig.fail(&sent, MiError::Timeout),
        _ => json!("OK"),
    };
    rig.result(&sent, result);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_command_ends_once_whatever_happens(happenings in prop::collection::vec(happening(), 1..120)) {
        let mut rig = Rig::up();
        let mut tickets = 0;
        for one in &happenings {
            let before = rig.core.counts().commands + rig.outcomes.len();
            happen(&mut rig, one);
            // Nobody is forgotten between two happenings.
            let after = rig.core.counts().commands + rig.outcomes.len();
            prop_assert!(after >= before);
            tickets = after;
        }
        // Everything that OpenSIPS does not say has its time.
        rig.pass(seconds(600));
        prop_assert_eq!(rig.core.counts().commands, 0);
        prop_assert_eq!(rig.outcomes.len(), tickets);
        let mut seen = HashMap::new();
        for outcome in &rig.outcomes {
            *seen.entry(outcome.ticket).or_insert(0) += 1;
        }
        prop_assert!(seen.values().all(|count| *count == 1));
        prop_assert!(rig.core.counts().leftovers <= tickets * 2);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0..400usize) {
        let mut rig = Rig::up();
        rig.handle(Input::Reply(bytes.clone().into()));
        rig.handle(Input::Event(bytes.clone().into()));
        let cut = cut.min(bytes.len());
        rig.handle(Input::EventBytes { connection: 1, bytes: bytes[..cut].to_vec().into() });
        rig.handle(Input::EventBytes { connection: 1, bytes: bytes[cut..].to_vec().into() });
        rig.handle(Input::EventClosed { connection: 1 });
    }

    #[test]
    fn no_json_panics(method in "E_CALL_TRANSFER|E_CALL_HOLD|E_DLG_STATE_CHANGED", text in "\\PC{0,20}", number in any::<i64>()) {
        let mut rig = Rig::up();
        for value in [json!(text), json!(number), json!(null), json!([text]), json!({"a": number})] {
            for name in ["callid", "leg", "transfer_callid", "destination", "state", "status", "action", "new_state"] {
                let mut params = json!({"callid": "a", "leg": "caller", "transfer_callid": "n", "destination": "",
                    "state": "start", "status": "", "action": "hold", "new_state": 4});
                params[name] = value.clone();
                rig.event(&method, params);
            }
        }
    }
}
