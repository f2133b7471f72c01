//! No parameter of no command carries a line end, or anything else that could become a header field,
//! to whoever writes the messages.

use hookswitch_call::{CallRef, Command};
use hookswitch_dialect::call_api::{COMMANDS, CommandRow, Kind, Mode};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::rig::{Rig, request};

const SMUGGLED: &[&str] = &[
    "\r\nX-Evil: 1",
    "\n",
    "\r",
    "\u{0}",
    "\u{b}",
    "\u{85}",
    "\u{7f}",
    "\\r\\nX-Evil:1",
    "%0d%0aX-Evil: 1",
    " X",
    "\t",
    ",sip:b@c",
    ">",
    "\"",
    "?X-Evil=1",
];

fn good(kind: Kind) -> &'static str {
    match kind {
        Kind::Uri => "sip:carol@example.test",
        Kind::CallId | Kind::CommandId => "some-call",
        Kind::Leg => "caller",
        Kind::Headers => "X-Note: lunch",
        Kind::Flag => "true",
        Kind::EventId => "now",
        Kind::Calls => "call_1",
        Kind::Types => "call.ended",
        Kind::Domains => "example.test",
    }
}

/// A row's parameters, one of them spoilt.
fn spoilt(row: &CommandRow, name: &str, text: &str) -> Value {
    let params = row.known_params().map(|param| (param.name.to_owned(), Value::from(good(param.kind))));
    let mut params: Map<String, Value> = params.collect();
    params.insert(name.to_owned(), text.into());
    params.into()
}

fn name(call: &CallRef) -> Option<&str> {
    match call {
        CallRef::Wire(wire_id) => Some(wire_id),
        CallRef::Id(_) | CallRef::Ticket(_) => None,
    }
}

/// Every text of a command that a carrier writes somewhere.
fn texts(command: &Command) -> Vec<&str> {
    match command {
        Command::Start { caller, callee, wire_id } => {
            [caller.0.as_str(), callee.0.as_str()].into_iter().chain(wire_id.as_deref()).collect()
        }
        Command::End { call, .. } => name(call).into_iter().collect(),
        Command::Hold { call, notes, .. } | Command::Unhold { call, notes, .. } => {
            let pairs = notes.0.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
            pairs.chain(name(call)).collect()
        }
        Command::Transfer { call, to, .. } => name(call).into_iter().chain([to.0.as_str()]).collect(),
        Command::Join { call, other, to, .. } => {
            let to = to.iter().map(|to| to.0.as_str());
            name(call).into_iter().chain(name(other)).chain(to).collect()
        }
        Command::Audio { call, .. } | Command::Step { call, .. } => name(call).into_iter().collect(),
    }
}

fn addresses(command: &Command) -> Vec<&str> {
    match command {
        Command::Start { caller, callee, .. } => vec![&caller.0, &callee.0],
        Command::Transfer { to, .. } => vec![&to.0],
        Command::Join { to, .. } => to.iter().map(|to| to.0.as_str()).collect(),
        Command::End { .. }
        | Command::Hold { .. }
        | Command::Unhold { .. }
        | Command::Audio { .. }
        | Command::Step { .. } => vec![],
    }
}

fn check(row: &CommandRow, name: &str, text: &str) {
    for mode in [Mode::Original, Mode::Strict].into_iter().filter(|mode| row.modes.has(*mode)) {
        let mut rig = Rig::new(mode);
        rig.send(&request(row.name, &spoilt(row, name, text)));
        for command in &rig.submitted {
            for text in texts(command) {
                assert!(!text.contains(|one: char| one.is_control() && one != '\t'), "{}: {name}: {text:?}", row.name);
            }
            for address in addresses(command) {
                let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\".contains(&byte));
                let place = address.rsplit('@').next().unwrap();
                let is_plain = is_plain && !place.contains(['?', ',']);
                assert!(is_plain, "{}: {name}: {address:?}", row.name);
            }
            if let Command::Start { wire_id: Some(wire_id), .. } = command {
                assert!(wire_id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{wire_id:?}");
            }
            if let Command::Hold { notes, .. } | Command::Unhold { notes, .. } = command {
                assert!(notes.0.iter().all(|(_, value)| !value.contains('\\')), "{notes:?}");
            }
        }
    }
}

#[test]
fn known_ways_through_every_parameter() {
    for row in COMMANDS {
        let names = row.known_params().map(|param| (param.name, good(param.kind)));
        for (name, good) in names.chain([("cmd_id", "x"), ("idempotency_key", "x")]) {
            for smuggled in SMUGGLED {
                check(row, name, &format!("{good}{smuggled}"));
                check(row, name, &format!("{smuggled}{good}"));
                check(row, name, smuggled);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_in_any_parameter(row in 0..COMMANDS.len(), at in 0usize..6, text in "(sip:)?[a-z@:;\\\\\r\n\t\u{0}<>?%0 -]{0,30}") {
        let row = &COMMANDS[row];
        let names: Vec<_> =
            row.known_params().map(|param| param.name).chain(["cmd_id", "idempotency_key"]).collect();
        check(row, names[at % names.len()], &text);
    }
}
