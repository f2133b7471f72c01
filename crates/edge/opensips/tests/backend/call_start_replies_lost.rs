//! The INVITE's reply, its request or an event is lost, and the truth is found out.

use hookswitch_opensips::{Config, MiError, MiKind};
use serde_json::json;

use crate::rig::{Rig, VERSION, answered, config, dialog, seconds};

fn answered_without_reply(rig: &mut Rig) {
    rig.call_start("one");
    rig.take("t_uac_dlg");
}

#[test]
fn an_invite_is_never_sent_twice() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.take("t_uac_dlg");
    rig.pass(seconds(100));
    assert!(rig.try_take("t_uac_dlg").is_none());
}

#[test]
fn a_dialog_that_is_confirmed_proves_the_answer() {
    let mut rig = Rig::up();
    answered_without_reply(&mut rig);
    rig.dialog_event("one", 4);
    rig.read();
    rig.pass(seconds(1));
    rig.accept("dlg_list", dialog(4));
    rig.expect(&["answered caller"]);
    rig.take("call_transfer");
}

#[test]
fn without_events_the_look_up_finds_the_answer() {
    let mut rig = Rig::up();
    answered_without_reply(&mut rig);
    rig.read();
    rig.pass(config().mi_timeout);
    rig.accept("dlg_list", dialog(2));
    rig.expect(&[]);
    rig.pass(seconds(10));
    rig.accept("dlg_list", dialog(4));
    rig.expect(&["answered caller"]);
}

#[test]
fn a_dialog_that_ends_without_a_reply_ends_the_command() {
    let mut rig = Rig::up();
    answered_without_reply(&mut rig);
    rig.dialog_event("one", 2);
    rig.dialog_event("one", 5);
    rig.pass(seconds(1));
    let lookup = rig.take("dlg_list");
    rig.error(&lookup, 404, "No such dialog");
    assert!(rig.read().pop().unwrap().starts_with("failed Caller: 480 the call ended"));
}

#[test]
fn a_request_that_never_arrived_is_found_out_where_dialogs_are_known_to_be_made() {
    let mut rig = Rig::up();
    // This OpenSIPS makes dialogs of such calls: seen once.
    rig.call_start("zero");
    rig.dialog_event("zero", 2);
    rig.accept("t_uac_dlg", json!({"Status": "486 Busy Here"}));
    answered_without_reply(&mut rig);
    rig.read();
    for _ in 0..3 {
        rig.pass(config().mi_timeout);
        let lookup = rig.take("dlg_list");
        rig.error(&lookup, 404, "Dialog not found");
    }
    assert!(rig.read().pop().unwrap().starts_with("failed Backend: 503 OpenSIPS knows of no such call"));
    rig.take("t_uac_cancel");
}

#[test]
fn where_no_dialog_has_been_seen_a_missing_one_proves_nothing() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.read();
    for _ in 0..9 {
        rig.pass(seconds(10));
        if let Some(lookup) = rig.try_take("dlg_list") {
            rig.error(&lookup, 404, "Dialog not found");
        }
    }
    rig.expect(&[]);
    rig.result(&invite, answered());
    rig.expect(&["answered caller"]);
}

#[test]
fn a_broken_connection_leads_to_a_look_up() {
    let over_http = Config { mi: MiKind::Http, ..config() };
    let mut rig = Rig::with(over_http.clone(), VERSION);
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.pass(seconds(5));
    assert!(rig.methods().is_empty(), "a connection loses nothing by itself");
    rig.fail(&invite, MiError::Other("connection reset".into()));
    rig.pass(seconds(0));
    rig.accept("dlg_list", dialog(4));
    assert_eq!(rig.read().pop().unwrap(), "answered caller");

    let mut gone = Rig::with(over_http, VERSION);
    gone.call_start("one");
    let invite = gone.take("t_uac_dlg");
    gone.fail(&invite, MiError::Timeout);
    gone.pass(seconds(0));
    let lookup = gone.take("dlg_list");
    gone.error(&lookup, 404, "Dialog not found");
    assert!(gone.read().pop().unwrap().starts_with("failed Backend: 503"));
    gone.take("t_uac_cancel");
}

#[test]
fn a_lost_ok_is_proven_by_the_new_dialog_or_by_the_phone() {
    let referred = || {
        let mut rig = Rig::up();
        rig.call_start("one");
        rig.accept("t_uac_dlg", answered());
        rig.dialog_event("one", 4);
        rig.accept("call_transfer", json!("Accepted"));
        rig.transfer_event("one", "two", "start", "");
        rig
    };
    let mut by_dialog = referred();
    by_dialog.dialog_event("two", 4);
    by_dialog.pass(seconds(1));
    assert_eq!(by_dialog.read()[4..], ["answered callee", "ok"]);

    let mut over_already = referred();
    over_already.dialog_event("two", 5);
    over_already.pass(seconds(1));
    assert_eq!(over_already.read()[4..], ["answered callee", "ok", "ended 200 OK"]);

    let mut by_phone = referred();
    by_phone.transfer_event("one", "two", "notify", "200 OK");
    by_phone.pass(seconds(1));
    assert_eq!(by_phone.read()[4..], ["answered callee", "ok"]);

    let mut at_last = referred();
    at_last.pass(config().ring_timeout);
    at_last.accept("dlg_list", dialog(4));
    assert_eq!(at_last.read()[4..], ["answered callee", "ok"]);
}

#[test]
fn a_lost_fail_is_proven_by_the_new_dialog_or_by_the_phone() {
    let referred = || {
        let mut rig = Rig::up();
        rig.call_start("one");
        rig.accept("t_uac_dlg", answered());
        rig.dialog_event("one", 4);
        rig.accept("call_transfer", json!("Accepted"));
        rig.transfer_event("one", "two", "start", "");
        rig
    };
    let mut by_phone = referred();
    by_phone.transfer_event("one", "two", "notify", "486 Busy Here");
    by_phone.pass(seconds(1));
    assert_eq!(by_phone.read().pop().unwrap(), "failed Callee: 486 Busy Here (Peer)");

    let mut by_dialog = referred();
    by_dialog.unanswered_dialog_ends("two");
    by_dialog.pass(seconds(1));
    let last = by_dialog.read().pop().unwrap();
    assert_eq!(last, "failed Callee: 480 the new call ended before it was answered (Peer)");
}

#[test]
fn a_lost_transfer_reply_is_settled_by_the_events_or_by_a_look_up() {
    let answered_caller = || {
        let mut rig = Rig::up();
        rig.call_start("one");
        rig.accept("t_uac_dlg", answered());
        rig.dialog_event("one", 4);
        rig.take("call_transfer");
        rig.read();
        rig
    };
    let mut late = answered_caller();
    late.pass(config().mi_timeout);
    late.accept("dlg_list", dialog(4));
    late.expect(&[]);
    assert!(late.try_take("call_transfer").is_none(), "it is not asked twice");
    late.transfer_event("one", "two", "start", "");
    late.expect(&["connecting to sip:bob@10.0.0.11", "dialing callee two at sip:cindy@10.0.0.12:5060"]);

    let mut gone = answered_caller();
    gone.pass(config().mi_timeout);
    let lookup = gone.take("dlg_list");
    gone.error(&lookup, 404, "Dialog not found");
    assert_eq!(gone.read().pop().unwrap(), "failed Transfer: 404 Dialog not found (Controller)");

    let mut silent = answered_caller();
    silent.pass(config().mi_timeout);
    silent.accept("dlg_list", dialog(4));
    silent.pass(config().refer_timeout);
    assert_eq!(silent.read().pop().unwrap(), "failed Transfer: 408 transfer not started (Peer)");
}

#[test]
fn a_dialog_that_is_listed_as_ended_is_not_waited_for() {
    let mut rig = Rig::up();
    answered_without_reply(&mut rig);
    rig.dialog_event("one", 2);
    rig.read();
    for _ in 0..3 {
        rig.pass(config().mi_timeout);
        rig.accept("dlg_list", dialog(5));
    }
    assert!(rig.read().pop().unwrap().starts_with("failed Backend: 503 OpenSIPS knows of no such call"));
}
