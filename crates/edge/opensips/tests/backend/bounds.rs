//! Nothing grows without a limit.

use hookswitch_call::{Command, Refused};
use hookswitch_opensips::Config;
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
    let mut rig = Rig::with(Config { max_calls: 20, ..config() }, VERSION);
    for number in 0..25 {
        rig.dialog_event(&format!("{number}"), 4);
    }
    assert_eq!(rig.core.counts().calls, 20);
    assert_eq!(rig.core.counts().calls_unnoticed, 5);
    let start = Command::Start { caller: "sip:a@h".into(), callee: "sip:b@h".into(), wire_id: None };
    assert_eq!(rig.submit(start), Err(Refused::TooManyCalls(20)));
}

#[test]
fn what_is_left_over_is_bounded_too() {
    let mut rig = Rig::with(Config { max_commands: 5, ..config() }, VERSION);
    for number in 0..12 {
        rig.call_start(&format!("{number}"));
        // Answered, but not as it should be: the first leg has to be ended.
        rig.accept("t_uac_dlg", json!({"Status": "202 Accepted"}));
    }
    assert_eq!((rig.core.counts().leftovers, rig.core.counts().leftovers_dropped), (10, 2));
    for _ in 0..10 {
        rig.accept("dlg_end_dlg", json!("OK"));
    }
    assert_eq!(rig.core.counts().leftovers, 0);
}

/// Some hundred rounds of every command with its ordinary end, and what is left of them.
#[test]
fn what_is_over_leaves_nothing_behind() {
    let mut rig = Rig::up();
    for round in 0..300 {
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
    assert_eq!(rig.outcomes.len(), 1_200);
    assert!(rig.outcomes.iter().all(|outcome| outcome.result.is_ok()));
}
