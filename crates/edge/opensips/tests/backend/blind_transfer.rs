//! One party of a call is connected with somebody else.

use hookswitch_call::{Address, Command, Party, Stage};
use serde_json::json;

use crate::rig::{Rig, config, dialog, millis, seconds, wire};

#[test]
fn a_transfer_comes_about_and_the_old_call_is_ended() {
    let mut rig = Rig::up();
    rig.transfer("a");
    let transfer = rig.take("call_transfer");
    assert_eq!(transfer.params, json!({"callid": "a", "leg": "callee", "destination": "sip:cindy@10.0.0.12"}));
    rig.result(&transfer, json!("Accepted"));
    rig.expect(&["noticed a", "transferring callee to sip:cindy@10.0.0.12"]);
    rig.transfer_event("a", "new", "start", "");
    rig.transfer_event("a", "new", "notify", "180 Ringing");
    rig.transfer_event("a", "new", "ok", "200 OK");
    rig.expect(&["started new at sip:cindy@10.0.0.12:5060", "transfer 180 Ringing", "transferred", "ok"]);
    assert_eq!(rig.take("dlg_end_dlg").params, json!({"dialog_id": "a"}));
    rig.transfer_event("a", "new", "notify", "200 OK");
    rig.expect(&[]);
    rig.dialog_event("a", 5);
    rig.expect(&["ended 200 OK"]);
}

#[test]
fn a_failed_transfer_leaves_the_call_as_it_was() {
    let mut rig = Rig::up();
    rig.transfer("a");
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("a", "new", "start", "");
    rig.read();
    rig.transfer_event("a", "new", "fail", "486 Busy Here");
    rig.expect(&["failed Callee: 486 Busy Here (Peer)"]);
    assert!(rig.methods().is_empty(), "nothing is ended");
}

#[test]
fn a_call_that_was_transferred_once_says_why_it_cannot_be_again() {
    // O5: 491 for ever.
    let mut rig = Rig::up();
    rig.transfer("a");
    let transfer = rig.take("call_transfer");
    rig.refuse(&transfer, 491, "Request Pending");
    let failure = rig.outcomes[0].result.clone().unwrap_err();
    assert_eq!(failure.stage, Stage::Transfer);
    assert_eq!(failure.upstream.unwrap().text, "Request Pending");
    assert!(failure.cause.text.contains("transfers a call only once"), "{}", failure.cause.text);
    assert_eq!(rig.core.counts().calls, 0, "nothing is known of that call");
}

#[test]
fn events_of_an_earlier_transfer_are_not_taken_for_the_next() {
    let mut rig = Rig::up();
    rig.transfer("a");
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("a", "new", "start", "");
    rig.transfer_event("a", "new", "fail", "486 Busy Here");
    rig.read();
    rig.transfer("a");
    rig.transfer_event("a", "new", "notify", "486 Busy Here");
    rig.transfer_event("a", "new", "ok", "200 OK");
    rig.expect(&[]);
    assert_eq!(rig.core.counts().events_late, 2);
    let transfer = rig.take("call_transfer");
    rig.refuse(&transfer, 491, "Request Pending");
    assert_eq!(rig.outcomes.len(), 2);
}

#[test]
fn two_transfers_of_one_call_do_not_share_events() {
    let mut rig = Rig::up();
    let first = rig.transfer("a");
    let second = rig.transfer("a");
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("a", "new", "start", "");
    let transfer = rig.take("call_transfer");
    rig.refuse(&transfer, 491, "Request Pending");
    rig.transfer_event("a", "new", "ok", "200 OK");
    let ended: Vec<_> = rig.outcomes.iter().map(|outcome| (outcome.ticket, outcome.result.is_ok())).collect();
    assert_eq!(ended, [(second, false), (first, true)]);
}

#[test]
fn steps_that_come_early_wait_for_those_before_them() {
    let mut rig = Rig::up();
    rig.transfer("a");
    let transfer = rig.take("call_transfer");
    rig.transfer_event("a", "new", "notify", "100 Trying");
    rig.expect(&["noticed a", "transferring callee to sip:cindy@10.0.0.12"]);
    rig.transfer_event("a", "new", "start", "");
    rig.expect(&["started new at sip:cindy@10.0.0.12:5060", "transfer 100 Trying"]);
    rig.result(&transfer, json!("Accepted"));
    rig.transfer_event("a", "new", "ok", "200 OK");
    rig.expect(&["transferred", "ok"]);

    let mut lost = Rig::up();
    lost.transfer("a");
    lost.accept("call_transfer", json!("Accepted"));
    lost.transfer_event("a", "new", "notify", "180 Ringing");
    lost.read();
    lost.pass(millis(200));
    lost.expect(&["started new", "transfer 180 Ringing"]);

    let mut sudden = Rig::up();
    sudden.transfer("a");
    sudden.transfer_event("a", "new", "ok", "200 OK");
    sudden.expect(&[
        "noticed a",
        "transferring callee to sip:cindy@10.0.0.12",
        "started new at sip:cindy@10.0.0.12:5060",
        "transferred",
        "ok",
    ]);
}

#[test]
fn a_transfer_whose_party_does_nothing_ends_in_time() {
    let mut rig = Rig::up();
    rig.transfer("a");
    rig.accept("call_transfer", json!("Accepted"));
    rig.pass(config().refer_timeout);
    assert_eq!(rig.read().pop().unwrap(), "failed Transfer: 408 transfer not started (Peer)");
    assert!(rig.methods().is_empty());
}

#[test]
fn a_transfer_that_rings_for_ever_ends_in_time() {
    let mut rig = Rig::up();
    rig.transfer("a");
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("a", "new", "start", "");
    rig.pass(config().ring_timeout);
    let lookup = rig.take("dlg_list");
    rig.error(&lookup, 404, "Dialog not found");
    assert_eq!(rig.read().pop().unwrap(), "failed Callee: 408 Request Timeout (Peer)");
}

#[test]
fn errors_of_opensips_are_handed_on() {
    for (code, text) in [(404, "Dialog not found"), (-32000, "Server error"), (-32601, "Method not found")] {
        let mut rig = Rig::up();
        rig.transfer("a");
        let transfer = rig.take("call_transfer");
        rig.refuse(&transfer, code, text);
        let upstream = rig.outcomes[0].result.clone().unwrap_err().upstream.unwrap();
        assert_eq!((upstream.code, upstream.text.as_str()), (code, text));
    }
}

#[test]
fn an_address_that_is_none_is_not_sent() {
    let mut rig = Rig::up();
    for to in ["sip:a@h\r\nX-Evil: 1", "sip:a@h\\r\\nX: 1", "bob", "sip:a@h, sip:b@h"] {
        let to = Address::from(to);
        rig.submit(Command::Transfer { call: wire("a"), party: Party::Caller, to, by: None }).unwrap();
        rig.expect(&["failed Request: 400 Invalid ruri (Controller)"]);
    }
    assert!(rig.methods().is_empty());
    assert_eq!(rig.core.counts().calls, 0);
}

#[test]
fn a_lost_start_and_a_lost_ok_are_made_up_for_by_what_came() {
    let mut rig = Rig::up();
    rig.transfer("a");
    rig.accept("call_transfer", json!("Accepted"));
    rig.read();
    rig.transfer_event("a", "new", "notify", "200 OK");
    rig.pass(seconds(2));
    rig.expect(&["started new", "transfer 200 OK", "transferred", "ok"]);
}

#[test]
fn the_new_call_is_a_call_of_its_own() {
    let mut rig = Rig::up();
    rig.transfer("a");
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("a", "new", "start", "");
    rig.transfer_event("a", "new", "ok", "200 OK");
    rig.read();
    rig.dialog_event("new", 4);
    rig.dialog_event("a", 5);
    rig.dialog_event("new", 5);
    rig.expect(&["noticed new", "ended 200 OK", "ended 200 OK"]);
    assert_eq!(rig.core.counts().calls, 0);
}

#[test]
fn a_reply_that_is_lost_is_settled_by_a_look_up() {
    let mut rig = Rig::up();
    rig.transfer("a");
    rig.take("call_transfer");
    rig.pass(config().mi_timeout);
    rig.accept("dlg_list", dialog(4));
    rig.transfer_event("a", "new", "ok", "200 OK");
    assert_eq!(rig.read().pop().unwrap(), "ok");
    assert_eq!(rig.core.counts().replies_lost, 1);
}
