//! A call is started.

use hookswitch_call::{CallId, CallRef, Cause, Command, Refused, Stage};
use hookswitch_opensips::{READY_AFTER, TRUTH_WITHIN};
use serde_json::json;

use crate::rig::{Rig, answered, config, millis, seconds};

const NOT_CALLED_YET: &[&str] = &["dialing caller one at sip:alice@10.0.0.10"];

/// One whose caller has answered and been transferred.
fn referring() -> Rig {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("one", 4);
    rig.accept("call_transfer", json!("Accepted"));
    rig.read();
    rig
}

/// One whose callee is being called.
fn ringing() -> Rig {
    let mut rig = referring();
    rig.transfer_event("one", "two", "start", "");
    rig.read();
    rig
}

#[test]
fn a_call_comes_about_and_its_first_leg_is_ended() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.expect(NOT_CALLED_YET);
    let invite = rig.take("t_uac_dlg");
    rig.result(&invite, answered());
    rig.expect(&["answered caller"]);
    rig.dialog_event("one", 4);
    let transfer = rig.take("call_transfer");
    assert_eq!(transfer.params, json!({"callid": "one", "leg": "callee", "destination": "sip:bob@10.0.0.11"}));
    rig.result(&transfer, json!("Accepted"));
    rig.expect(&["connecting to sip:bob@10.0.0.11"]);
    rig.transfer_event("one", "two", "start", "");
    rig.expect(&["dialing callee two at sip:cindy@10.0.0.12:5060"]);
    rig.transfer_event("one", "two", "notify", "100 Trying");
    rig.transfer_event("one", "two", "notify", "180 Ringing");
    rig.expect(&["progress callee 100 Trying", "progress callee 180 Ringing"]);
    rig.transfer_event("one", "two", "ok", "200 Answering");
    rig.expect(&["answered callee", "ok"]);
    let end = rig.take("dlg_end_dlg");
    assert_eq!(end.params, json!({"dialog_id": "one"}));
    rig.error(&end, 404, "Requested Dialog not found");
    assert_eq!(rig.core.counts().leftovers, 0, "already gone is gone");
    rig.dialog_event("one", 5);
    rig.expect(&["ended 200 OK"]);
    rig.dialog_event("two", 4);
    rig.expect(&[]);
    rig.pass(seconds(30));
    rig.dialog_event("two", 5);
    rig.expect(&["ended 200 OK"]);
    assert_eq!(rig.core.counts().calls, 0);
    assert_eq!(rig.outcomes.len(), 1);
}

#[test]
fn the_call_and_its_first_leg_are_two_calls_with_one_end_each() {
    // As an application reads it: each Call-ID by its own name, and none without its end.
    let mut rig = Rig::up();
    let start = rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("one", 4);
    rig.accept("call_transfer", json!("Accepted"));
    // The new dialog comes to notice before the transfer tells of it.
    rig.dialog_event("two", 2);
    rig.transfer_event("one", "two", "start", "");
    rig.transfer_event("one", "two", "ok", "200 OK");
    rig.dialog_event("one", 5);
    let calls: Vec<_> = rig.told.iter().map(|told| (told.call.0, told.seq, told.owner.is_some())).collect();
    let expected = [(1, 0, true), (1, 1, true), (1, 2, true), (2, 0, false), (2, 1, true), (2, 2, true), (1, 3, false)];
    assert_eq!(calls, expected);
    rig.pass(seconds(5));
    let hold = Command::Hold { call: CallRef::Id(CallId(2)), party: None, notes: Default::default() };
    rig.submit(hold).unwrap();
    assert_eq!(rig.take("call_hold").params, json!({"callid": "two"}));
    let end = Command::End { call: CallRef::Ticket(start), cause: Cause::hangup() };
    rig.submit(end).unwrap();
    rig.take("dlg_end_dlg");
    assert_eq!(rig.take("dlg_end_dlg").params, json!({"dialog_id": "two"}));
}

#[test]
fn a_first_leg_that_ends_early_or_unheard_has_its_end_told_all_the_same() {
    let mut early = ringing();
    early.dialog_event("one", 5);
    early.expect(&[]);
    early.transfer_event("one", "two", "ok", "200 OK");
    early.expect(&["answered callee", "ok", "ended 200 OK"]);

    let mut unheard = ringing();
    unheard.transfer_event("one", "two", "ok", "200 OK");
    unheard.accept("dlg_end_dlg", json!("OK"));
    unheard.read();
    unheard.pass(seconds(10));
    while let Some(lookup) = unheard.try_take("dlg_list") {
        unheard.error(&lookup, 404, "Dialog not found");
    }
    unheard.expect(&["ended 200 OK"]);
}

#[test]
fn a_call_that_is_over_before_it_is_known_to_be_answered_is_answered_first() {
    let mut rig = ringing();
    rig.dialog_event("two", 4);
    rig.dialog_event("two", 5);
    rig.transfer_event("one", "two", "ok", "200 OK");
    rig.expect(&["answered callee", "ok", "ended 200 OK"]);
}

#[test]
fn the_transfer_waits_for_the_confirmed_dialog_and_no_longer_than_that() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("one", 3);
    assert!(rig.try_take("call_transfer").is_none());
    rig.dialog_event("one", 4);
    rig.take("call_transfer");

    let mut early = Rig::up();
    early.call_start("one");
    let invite = early.take("t_uac_dlg");
    early.dialog_event("one", 4);
    early.result(&invite, answered());
    early.take("call_transfer");

    let mut silent = Rig::up();
    silent.call_start("one");
    silent.accept("t_uac_dlg", answered());
    silent.pass(READY_AFTER - millis(1));
    assert!(silent.try_take("call_transfer").is_none());
    silent.pass(millis(1));
    silent.take("call_transfer");
}

#[test]
fn a_caller_that_does_not_answer_is_told_with_its_status() {
    for (status, expected) in [
        ("486 Busy Here", "failed Caller: 486 Busy Here (Peer)"),
        ("404 Not Found", "failed Caller: 404 Not Found (Peer)"),
        ("408 Request Timeout", "failed Caller: 408 Request Timeout (Peer)"),
        ("603 Decline", "failed Caller: 603 Decline (Peer)"),
        ("302 Moved", "failed Caller: 302 Moved (Peer)"),
    ] {
        let mut rig = Rig::up();
        rig.call_start("one");
        rig.accept("t_uac_dlg", json!({"Status": status}));
        let story = rig.read();
        assert_eq!(story[0], NOT_CALLED_YET[0]);
        assert_eq!(story[2], expected);
        assert!(rig.methods().is_empty(), "there is nothing to end");
        assert_eq!((rig.core.counts().calls, rig.core.counts().commands), (0, 0));
    }
}

#[test]
fn an_answer_that_is_not_200_is_a_failure_and_hung_up() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", json!({"Status": "202 Accepted"}));
    assert_eq!(rig.read().pop().unwrap(), "failed Caller: 202 Accepted (Peer)");
    rig.take("dlg_end_dlg");
}

#[test]
fn an_error_of_opensips_is_handed_on_in_its_own_words() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.error(&invite, 400, "Invalid ruri");
    let failure = rig.outcomes[0].result.clone().unwrap_err();
    assert_eq!(failure.stage, Stage::Caller);
    assert_eq!(failure.upstream.unwrap().text, "Invalid ruri");
}

#[test]
fn a_busy_callee_is_told_with_its_status_and_the_caller_is_not_left_in_silence() {
    let mut rig = ringing();
    rig.transfer_event("one", "two", "fail", "486 Busy Here");
    rig.expect(&["ended 486 Busy Here", "ended 486 Busy Here", "failed Callee: 486 Busy Here (Peer)"]);
    assert_eq!(rig.take("dlg_end_dlg").params, json!({"dialog_id": "one"}));
    // O8: the party's own report comes after that.
    rig.transfer_event("one", "two", "notify", "486 Busy Here");
    rig.expect(&[]);
    assert_eq!(rig.core.counts().events_late, 1);
}

#[test]
fn an_unknown_callee_is_told_with_the_truth_and_not_with_the_408_of_the_script() {
    let mut rig = ringing();
    rig.transfer_event("one", "two", "fail", "408 Request Timeout");
    rig.expect(&[]);
    rig.pass(millis(3));
    rig.transfer_event("one", "two", "notify", "404 Not Found");
    rig.expect(&["ended 404 Not Found", "ended 404 Not Found", "failed Callee: 404 Not Found (Peer)"]);
    // O4: and the first report comes last.
    rig.pass(seconds(1));
    rig.transfer_event("one", "two", "notify", "100 Trying");
    rig.expect(&[]);
}

#[test]
fn a_silent_callee_is_a_408_when_the_truth_has_had_its_time() {
    let mut rig = ringing();
    rig.transfer_event("one", "two", "notify", "100 Trying");
    rig.read();
    rig.transfer_event("one", "two", "fail", "408 Request Timeout");
    rig.transfer_event("one", "two", "notify", "100 Trying");
    rig.pass(TRUTH_WITHIN - millis(1));
    rig.expect(&[]);
    rig.pass(millis(1));
    rig.expect(&[
        "ended 408 Request Timeout",
        "ended 408 Request Timeout",
        "failed Callee: 408 Request Timeout (Peer)",
    ]);
}

#[test]
fn a_truth_that_overtakes_the_408_is_kept() {
    let mut rig = ringing();
    rig.transfer_event("one", "two", "notify", "404 Not Found");
    rig.expect(&[]);
    rig.transfer_event("one", "two", "fail", "408 Request Timeout");
    rig.expect(&["ended 404 Not Found", "ended 404 Not Found", "failed Callee: 404 Not Found (Peer)"]);
}

#[test]
fn a_refer_that_is_refused_or_ignored_ends_in_time_and_cleans_up() {
    // O6: OpenSIPS says nothing at all.
    let mut rig = referring();
    rig.pass(config().refer_timeout - millis(1));
    rig.expect(&[]);
    rig.pass(millis(1));
    rig.expect(&["ended 408 transfer not started", "failed Transfer: 408 transfer not started (Peer)"]);
    rig.take("dlg_end_dlg");
}

#[test]
fn a_caller_who_hangs_up_before_the_transfer_ends_the_command() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.read();
    rig.dialog_event("one", 5);
    rig.expect(&["ended 487 Request Terminated", "failed Caller: 487 Request Terminated (Peer)"]);
}

#[test]
fn a_phone_that_hangs_up_when_asked_to_call_may_still_call() {
    let mut rig = referring();
    rig.dialog_event("one", 5);
    rig.pass(millis(300));
    rig.transfer_event("one", "two", "start", "");
    rig.transfer_event("one", "two", "ok", "200 OK");
    assert_eq!(rig.read()[1..], ["answered callee", "ok", "ended 200 OK"]);

    let mut gone = referring();
    gone.dialog_event("one", 5);
    gone.pass(seconds(2));
    assert_eq!(gone.read().pop().unwrap(), "failed Transfer: 408 transfer not started (Peer)");
}

#[test]
fn an_error_of_the_transfer_ends_the_first_leg() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("one", 4);
    let transfer = rig.take("call_transfer");
    rig.error(&transfer, -32601, "Method not found");
    let failure = rig.outcomes[0].result.clone().unwrap_err();
    assert_eq!((failure.stage, failure.upstream.unwrap().code), (Stage::Transfer, -32601));
    rig.take("dlg_end_dlg");
}

#[test]
fn a_callee_that_rings_for_ever_is_looked_up_and_ended() {
    let mut rig = ringing();
    rig.pass(config().ring_timeout);
    let lookup = rig.take("dlg_list");
    assert_eq!(lookup.params, json!({"callid": "two"}));
    rig.result(&lookup, crate::rig::dialog(2));
    rig.expect(&[
        "ended 408 Request Timeout",
        "ended 408 Request Timeout",
        "failed Callee: 408 Request Timeout (Peer)",
    ]);
    let ended: Vec<_> = [rig.take("dlg_end_dlg"), rig.take("dlg_end_dlg")].map(|end| end.params).into();
    assert_eq!(ended, [json!({"dialog_id": "two"}), json!({"dialog_id": "one"})]);
}

#[test]
fn a_call_id_in_use_is_refused_and_free_again_afterwards() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let again = Command::Start { caller: "sip:a@h".into(), callee: "sip:b@h".into(), wire_id: Some("one".into()) };
    assert_eq!(rig.submit(again.clone()), Err(Refused::WireIdInUse("one".into())));
    rig.accept("t_uac_dlg", json!({"Status": "486 Busy Here"}));
    rig.submit(again).unwrap();
}

#[test]
fn without_a_name_each_call_gets_one_of_its_own() {
    let mut rig = Rig::up();
    let start = Command::Start { caller: "sip:a@h".into(), callee: "sip:b@h".into(), wire_id: None };
    let mut names = Vec::new();
    for _ in 0..3 {
        rig.submit(start.clone()).unwrap();
        let headers = rig.take("t_uac_dlg").params["headers"].as_str().unwrap().to_owned();
        names.push(headers.split_once("\r\nCall-Id: ").unwrap().1.trim_end().to_owned());
    }
    names.dedup();
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())));
}

#[test]
fn a_caller_without_a_phone_is_refused_early_where_that_is_configured() {
    let config = || hookswitch_opensips::Config { registered_domains: vec!["example.test".into()], ..config() };
    let start = |caller: &str| Command::Start { caller: caller.into(), callee: "sip:b@h".into(), wire_id: None };

    let mut rig = Rig::with(config(), crate::rig::VERSION);
    rig.submit(start("sip:nobody@example.test:5080;x=1")).unwrap();
    let lookup = rig.take("ul_show_contact");
    assert_eq!(lookup.params, json!({"aor": "nobody@example.test", "table_name": "location"}));
    rig.error(&lookup, 404, "AOR not found");
    assert_eq!(rig.read().pop().unwrap(), "failed Caller: 404 Not Found: no phone is registered (Peer)");
    assert!(rig.methods().is_empty(), "nobody was called");

    // Registered, unknown to the module, or not answered: called.
    rig.submit(start("sip:a@example.test")).unwrap();
    rig.accept("ul_show_contact", json!({"AOR": "a", "Contacts": []}));
    rig.take("t_uac_dlg");
    rig.submit(start("sip:a@example.test")).unwrap();
    let lookup = rig.take("ul_show_contact");
    rig.error(&lookup, -32601, "Method not found");
    rig.take("t_uac_dlg");
    rig.submit(start("sip:a@elsewhere.test")).unwrap();
    rig.take("t_uac_dlg");
}
