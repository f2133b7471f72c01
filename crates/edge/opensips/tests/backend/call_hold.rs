//! Parties are put on hold, and taken off.

use hookswitch_call::{Party, Stage};
use hookswitch_opensips::OTHER_LEG;
use serde_json::json;

use crate::rig::{Rig, config, dialog, millis, seconds};

#[test]
fn both_parties_are_held() {
    let mut rig = Rig::up();
    rig.hold("a");
    let hold = rig.take("call_hold");
    assert_eq!(hold.params, json!({"callid": "a"}));
    rig.hold_event("a", "caller", "hold", "start");
    rig.hold_event("a", "caller", "hold", "ok");
    rig.hold_event("a", "callee", "hold", "start");
    rig.result(&hold, json!("OK"));
    rig.hold_event("a", "callee", "hold", "ok");
    rig.expect(&[
        "noticed a",
        "accepted hold=true",
        "asked caller hold=true",
        "held caller hold=true",
        "asked callee hold=true",
        "held callee hold=true",
        "ok",
    ]);
}

#[test]
fn one_that_is_held_already_is_not_waited_for() {
    let mut rig = Rig::up();
    rig.hold("a");
    rig.accept("call_hold", json!("OK"));
    rig.hold_event("a", "callee", "hold", "start");
    rig.hold_event("a", "callee", "hold", "ok");
    rig.pass(OTHER_LEG - millis(1));
    assert!(rig.outcomes.is_empty());
    rig.pass(millis(1));
    assert_eq!(rig.read().pop().unwrap(), "ok");

    let mut slow = Rig::up();
    slow.hold("a");
    slow.accept("call_hold", json!("OK"));
    slow.hold_event("a", "callee", "hold", "start");
    slow.pass(seconds(3));
    assert!(slow.outcomes.is_empty());
    slow.hold_event("a", "callee", "hold", "ok");
    assert_eq!(slow.read().pop().unwrap(), "ok");
}

#[test]
fn a_party_that_refuses_is_named_after_both_have_finished() {
    let mut rig = Rig::up();
    rig.hold("a");
    rig.accept("call_hold", json!("OK"));
    rig.hold_event("a", "caller", "hold", "start");
    rig.hold_event("a", "callee", "hold", "start");
    rig.hold_event("a", "callee", "hold", "fail");
    assert!(rig.outcomes.is_empty());
    rig.hold_event("a", "caller", "hold", "ok");
    let failure = rig.outcomes[0].result.clone().unwrap_err();
    assert_eq!((failure.stage, failure.party), (Stage::Hold, Some(Party::Callee)));
    assert_eq!(failure.held, [Party::Caller]);
}

#[test]
fn a_party_that_will_not_resume_stays_on_hold() {
    let mut rig = Rig::up();
    rig.unhold("a");
    rig.accept("call_unhold", json!("OK"));
    for (leg, end) in [("callee", "ok"), ("caller", "fail")] {
        rig.hold_event("a", leg, "unhold", "start");
        rig.hold_event("a", leg, "unhold", end);
    }
    let failure = rig.outcomes[0].result.clone().unwrap_err();
    assert_eq!((failure.stage, failure.party), (Stage::Unhold, Some(Party::Caller)));
    assert_eq!(failure.held, [Party::Caller]);
}

#[test]
fn a_party_that_never_answers_is_not_waited_for_for_ever() {
    let mut rig = Rig::up();
    rig.hold("a");
    rig.accept("call_hold", json!("OK"));
    rig.hold_event("a", "caller", "hold", "start");
    rig.hold_event("a", "callee", "hold", "start");
    rig.hold_event("a", "caller", "hold", "ok");
    rig.pass(config().hold_timeout - millis(1));
    assert!(rig.outcomes.is_empty());
    rig.pass(millis(1));
    assert_eq!(rig.read().pop().unwrap(), "failed Hold: 408 Request Timeout (Peer)");
    rig.hold_event("a", "callee", "hold", "ok");
    rig.expect(&[]);
}

#[test]
fn an_accepted_hold_of_which_nothing_is_heard_ends_in_time_and_asks_whether_we_are_told() {
    let mut rig = Rig::up();
    rig.is_answering = false;
    rig.hold("a");
    rig.accept("call_hold", json!("OK"));
    rig.pass(OTHER_LEG);
    rig.take("subscribers_list");
    rig.is_answering = true;
    rig.pass(config().hold_timeout);
    assert!(rig.read().pop().unwrap().starts_with("failed Hold: 408 OpenSIPS accepted"));
}

#[test]
fn errors_of_opensips_are_handed_on() {
    for (code, text) in [(404, "Dialog not found"), (480, "Both dialog legs are on hold"), (-32601, "Method not found")]
    {
        let mut rig = Rig::up();
        rig.hold("a");
        let hold = rig.take("call_hold");
        rig.refuse(&hold, code, text);
        let upstream = rig.outcomes[0].result.clone().unwrap_err().upstream.unwrap();
        assert_eq!((upstream.code, upstream.text.as_str()), (code, text));
    }
}

#[test]
fn a_second_leg_that_could_not_be_asked_fails_the_hold() {
    // O17: the event has its parameters' names for values.
    let mut rig = Rig::up();
    rig.hold("a");
    let hold = rig.take("call_hold");
    rig.hold_event("a", "caller", "hold", "start");
    rig.hold_event("a", "callee", "action", "state");
    rig.error(&hold, -32000, "Server error");
    assert_eq!(rig.outcomes[0].result.clone().unwrap_err().upstream.unwrap().code, -32000);

    let mut lost = Rig::up();
    lost.hold("a");
    lost.take("call_hold");
    lost.hold_event("a", "caller", "hold", "start");
    lost.hold_event("a", "callee", "action", "state");
    lost.hold_event("a", "caller", "hold", "ok");
    lost.pass(config().mi_timeout);
    assert!(lost.read().pop().unwrap().starts_with("failed Backend: 503 OpenSIPS could not ask"));
}

#[test]
fn a_lost_reply_is_settled_by_events_or_by_a_look_up() {
    let lost = || {
        let mut rig = Rig::up();
        rig.hold("a");
        rig.take("call_hold");
        rig
    };
    let mut heard = lost();
    heard.hold_event("a", "caller", "hold", "ok");
    heard.pass(config().mi_timeout + OTHER_LEG);
    assert_eq!(heard.read().pop().unwrap(), "ok");

    let mut gone = lost();
    gone.pass(config().mi_timeout);
    let lookup = gone.take("dlg_list");
    gone.error(&lookup, 404, "Dialog not found");
    assert_eq!(gone.read().pop().unwrap(), "failed Hold: 404 Dialog not found (Controller)");

    let mut unknown = lost();
    unknown.pass(config().mi_timeout);
    unknown.accept("dlg_list", dialog(4));
    assert!(unknown.read().pop().unwrap().starts_with("failed Backend: 503 OpenSIPS did not reply"));
    assert!(unknown.try_take("call_hold").is_none(), "it is not asked twice");
}

#[test]
fn a_hold_and_an_unhold_of_one_call_do_not_see_each_others_events() {
    let mut rig = Rig::up();
    let hold = rig.hold("a");
    let unhold = rig.unhold("a");
    for leg in ["caller", "callee"] {
        rig.hold_event("a", leg, "unhold", "ok");
    }
    assert_eq!(rig.outcomes.last().unwrap().ticket, unhold);
    for leg in ["caller", "callee"] {
        rig.hold_event("a", leg, "hold", "ok");
    }
    assert_eq!(rig.outcomes.last().unwrap().ticket, hold);
}

#[test]
fn holds_of_two_calls_do_not_see_each_others_events() {
    let mut rig = Rig::up();
    rig.hold("a");
    let second = rig.hold("b");
    for leg in ["caller", "callee"] {
        rig.hold_event("b", leg, "hold", "start");
        rig.hold_event("b", leg, "hold", "ok");
    }
    assert_eq!(rig.outcomes.len(), 1);
    assert_eq!(rig.outcomes[0].ticket, second);
}

#[test]
fn a_call_that_ends_meanwhile_ends_the_hold() {
    let mut rig = Rig::up();
    rig.hold("a");
    rig.accept("call_hold", json!("OK"));
    rig.hold_event("a", "caller", "hold", "start");
    rig.dialog_event("a", 5);
    rig.pass(seconds(1));
    let story = rig.read();
    assert_eq!(story[3..], ["ended 200 OK", "failed Hold: 487 the call has ended (Peer)"]);
}
