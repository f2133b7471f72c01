//! Nothing grows without a limit.

use hookswitch_call::{Command, Refused};
use hookswitch_opensips::{Config, MAX_CALLS};
use serde_json::json;

use crate::rig::{Rig, VERSION, answered, config, seconds, wire};

#[test]
fn there_is_a_limit_of_commands() {
    let mut rig = Rig::with(Config { max_commands: 3, ..config() }, VERSION);
    for callid in ["a", "b", "c"] {
        rig.hold(callid);
    }
    let hold = Command::Hold { call: wire("d"), party: None, notes: Default::default() };
    assert_eq!(rig.submit(hold.clone()), Err(Refused::TooManyCommands(3)));
    let one = rig.take("call_hold");
    rig.error(&one, 404, "Dialog not found");
    rig.submit(hold).unwrap();
}

#[test]
fn there_is_a_limit_to_an_address() {
    let mut rig = Rig::up();
    let long = format!("sip:{}@h", "x".repeat(hookswitch_call::MAX_ADDRESS));
    let start = Command::Start { caller: long.as_str().into(), callee: "sip:b@h".into(), wire_id: None };
    assert_eq!(rig.submit(start), Err(Refused::AddressTooLong));
}

#[test]
fn there_is_a_limit_of_calls_that_are_noticed() {
    let mut rig = Rig::up();
    for number in 0..MAX_CALLS + 5 {
        rig.dialog_event(&format!("{number}"), 4);
    }
    assert_eq!(rig.core.counts().calls, MAX_CALLS);
    assert_eq!(rig.core.counts().calls_unnoticed, 5);
    let start = Command::Start { caller: "sip:a@h".into(), callee: "sip:b@h".into(), wire_id: None };
    assert_eq!(rig.submit(start), Err(Refused::TooManyCalls(MAX_CALLS)));
}

/// A thousand rounds of every command with its ordinary end, and what is left of them.
#[test]
fn what_is_over_leaves_nothing_behind() {
    let mut rig = Rig::up();
    for round in 0..1_000 {
        let (one, two) = (format!("one{round}"), format!("two{round}"));
        rig.call_start(&one);
        rig.accept("t_uac_dlg", answered());
        rig.dialog_event(&one, 4);
        rig.accept("call_transfer", json!("Accepted"));
        rig.transfer_event(&one, &two, "start", "");
        rig.transfer_event(&one, &two, "ok", "200 OK");
        rig.accept("dlg_end_dlg", json!("OK"));
        rig.dialog_event(&one, 5);
        rig.hold(&two);
        rig.accept("call_hold", json!("OK"));
        rig.hold_event(&two, "caller", "hold", "ok");
        rig.hold_event(&two, "callee", "hold", "ok");
        rig.transfer(&two);
        rig.accept("call_transfer", json!("Accepted"));
        rig.transfer_event(&two, &format!("new{round}"), "ok", "200 OK");
        rig.accept("dlg_end_dlg", json!("OK"));
        rig.dialog_event(&two, 5);
        rig.submit(Command::End { call: wire(&format!("new{round}")), cause: hookswitch_call::Cause::hangup() })
            .unwrap();
        rig.accept("dlg_end_dlg", json!("OK"));
        rig.pass(seconds(7));
        rig.read();
    }
    let counts = rig.core.counts();
    assert_eq!((counts.commands, counts.calls, counts.requests, counts.leftovers), (0, 0, 0, 0));
    assert_eq!(rig.outcomes.len(), 4_000);
    assert!(rig.outcomes.iter().all(|outcome| outcome.result.is_ok()));
}
