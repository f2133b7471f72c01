//! The network doubles a datagram: what was asked is done once, and the refusal of the second is not the truth.

use hookswitch_call::{Cause, Command};
use hookswitch_opensips::{Config, DOUBLED_WITHIN, MiKind};
use serde_json::json;

use crate::rig::{Rig, VERSION, answered, config, dialog, millis, seconds, wire};

#[test]
fn a_refusal_that_overtakes_the_acceptance_is_not_believed() {
    let mut rig = Rig::up();
    rig.transfer("a");
    let transfer = rig.take("call_transfer");
    rig.error(&transfer, 491, "Request Pending");
    rig.pass(DOUBLED_WITHIN - millis(1));
    assert!(rig.outcomes.is_empty());
    rig.result(&transfer, json!("Accepted"));
    rig.transfer_event("a", "new", "start", "");
    rig.transfer_event("a", "new", "ok", "200 OK");
    assert_eq!(rig.read().pop().unwrap(), "ok");

    rig.hold("b");
    let hold = rig.take("call_hold");
    rig.error(&hold, 480, "Both dialog legs are on hold");
    rig.error(&hold, 480, "Both dialog legs are on hold");
    rig.result(&hold, json!("OK"));
    rig.hold_event("b", "caller", "hold", "ok");
    rig.hold_event("b", "callee", "hold", "ok");
    assert_eq!(rig.read().pop().unwrap(), "ok");

    rig.submit(Command::End { call: wire("c"), cause: Cause::hangup() }).unwrap();
    let end = rig.sent.pop_back().unwrap();
    rig.error(&end, 404, "Requested Dialog not found");
    rig.result(&end, json!("OK"));
    assert_eq!(rig.read().pop().unwrap(), "ok");
}

#[test]
fn a_refusal_that_stays_alone_is_believed_and_no_other_is_doubted() {
    let mut rig = Rig::up();
    rig.hold("a");
    let hold = rig.take("call_hold");
    rig.error(&hold, 480, "Both dialog legs are on hold");
    rig.pass(DOUBLED_WITHIN);
    assert_eq!(rig.outcomes.len(), 1);
    rig.hold("a");
    let hold = rig.take("call_hold");
    rig.error(&hold, 404, "Dialog not found");
    assert_eq!(rig.outcomes.len(), 2);
    assert_eq!(rig.core.counts().replies_lost, 0);
}

#[test]
fn over_http_nothing_is_doubled_and_every_refusal_believed() {
    let mut rig = Rig::with(Config { mi: MiKind::Http, ..config() }, VERSION);
    rig.transfer("a");
    let transfer = rig.take("call_transfer");
    rig.error(&transfer, 491, "Request Pending");
    assert_eq!(rig.outcomes.len(), 1);
}

#[test]
fn a_doubled_invite_goes_on_ringing_where_its_dialog_is() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.read();
    rig.result(&invite, json!({"Status": "482 Loop Detected"}));
    rig.pass(seconds(0));
    rig.accept("dlg_list", dialog(2));
    rig.expect(&[]);
    rig.pass(seconds(5));
    rig.result(&invite, answered());
    rig.expect(&["answered caller"]);
}

#[test]
fn the_end_of_a_doubled_invites_second_dialog_ends_nothing() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.dialog_event("one", 2);
    rig.unanswered_dialog_ends("one");
    rig.pass(seconds(1));
    rig.accept("dlg_list", dialog(2));
    rig.result(&invite, answered());
    rig.unanswered_dialog_ends("one");
    rig.dialog_event("one", 4);
    rig.unanswered_dialog_ends("one");
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("one", "two", "start", "");
    rig.transfer_event("one", "two", "ok", "200 OK");
    assert_eq!(rig.read().pop().unwrap(), "ok", "and the first leg is not over yet");
    rig.dialog_event("one", 5);
    rig.expect(&["ended 200 OK"]);
}

#[test]
fn a_482_without_a_dialog_is_the_truth_and_leaves_nothing_behind() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.result(&invite, json!({"Status": "482 Loop Detected"}));
    rig.pass(seconds(0));
    let lookup = rig.take("dlg_list");
    rig.error(&lookup, 404, "Dialog not found");
    assert_eq!(rig.read().pop().unwrap(), "failed Caller: 482 Loop Detected (Peer)");
    rig.take("t_uac_cancel");
}

#[test]
fn a_caller_that_answers_after_all_is_hung_up() {
    let failed = || {
        let mut rig = Rig::up();
        rig.call_start("one");
        let invite = rig.take("t_uac_dlg");
        rig.result(&invite, json!({"Status": "486 Busy Here"}));
        rig.read();
        (rig, invite)
    };
    let (mut by_reply, invite) = failed();
    by_reply.result(&invite, answered());
    assert_eq!(by_reply.take("dlg_end_dlg").params, json!({"dialog_id": "one"}));
    by_reply.result(&invite, answered());
    assert!(by_reply.methods().is_empty(), "once is enough");

    let (mut by_dialog, _) = failed();
    by_dialog.dialog_event("one", 4);
    by_dialog.accept("t_uac_cancel", json!("OK"));
    by_dialog.take("dlg_end_dlg");
    by_dialog.expect(&[]);

    let (mut over, invite) = failed();
    over.dialog_event("one", 5);
    over.result(&invite, json!({"Status": "486 Busy Here"}));
    assert!(over.methods().is_empty(), "nothing lives");
}

#[test]
fn a_call_that_came_about_is_not_ended_by_a_late_event() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.result(&invite, answered());
    rig.dialog_event("one", 4);
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("one", "two", "start", "");
    rig.transfer_event("one", "two", "ok", "200 OK");
    rig.accept("dlg_end_dlg", json!("OK"));
    rig.dialog_event("one", 5);
    rig.dialog_event("one", 4);
    rig.result(&invite, answered());
    rig.transfer_event("one", "two", "ok", "200 OK");
    rig.dialog_event("two", 4);
    assert!(rig.methods().is_empty());
}

#[test]
fn a_party_that_calls_after_it_was_given_up_is_stopped() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("one", 4);
    rig.accept("call_transfer", json!("Accepted"));
    rig.submit(Command::End { call: wire("one"), cause: Cause::hangup() }).unwrap();
    rig.accept("dlg_end_dlg", json!("OK"));
    assert_eq!(rig.outcomes.len(), 2);
    rig.transfer_event("one", "two", "start", "");
    assert_eq!(rig.take("dlg_end_dlg").params, json!({"dialog_id": "two"}));
}

#[test]
fn a_name_is_not_given_to_a_new_call_while_the_old_one_is_being_ended() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.result(&invite, json!({"Status": "202 Accepted"}));
    let again = Command::Start { caller: "sip:a@h".into(), callee: "sip:b@h".into(), wire_id: Some("one".into()) };
    assert_eq!(rig.submit(again.clone()), Err(hookswitch_call::Refused::WireIdInUse("one".into())));
    rig.accept("dlg_end_dlg", json!("OK"));
    rig.submit(again).unwrap();
    // The old call's late answer must not end the new one.
    rig.result(&invite, answered());
    assert!(rig.try_take("dlg_end_dlg").is_none());
}
