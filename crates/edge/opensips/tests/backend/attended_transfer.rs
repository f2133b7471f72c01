//! One party of a call is connected with one party of another.

use serde_json::json;

use crate::rig::{Rig, seconds};

#[test]
fn a_and_b_are_joined_and_a_is_ended() {
    let mut rig = Rig::up();
    rig.join("a", "b", None);
    let transfer = rig.take("call_transfer");
    let expected = json!({"callid": "a", "leg": "caller", "transfer_callid": "b", "transfer_leg": "callee"});
    assert_eq!(transfer.params, expected);
    rig.result(&transfer, json!("Accepted"));
    rig.expect(&["noticed a", "transferring caller"]);
    // O7: events of both calls, the other's first.
    rig.transfer_event("b", "new", "start", "");
    rig.transfer_event("a", "new", "start", "");
    rig.transfer_event("a", "new", "notify", "100 Trying");
    rig.transfer_event("b", "new", "ok", "200 OK");
    rig.transfer_event("a", "new", "notify", "200 OK");
    rig.transfer_event("a", "new", "ok", "200 OK");
    rig.expect(&[
        "started new at sip:cindy@10.0.0.12:5060",
        "transfer 100 Trying",
        "transfer 200 OK",
        "transferred",
        "ok",
    ]);
    assert_eq!(rig.take("dlg_end_dlg").params, json!({"dialog_id": "a"}));
    assert!(rig.methods().is_empty(), "the phones release the other call");
}

#[test]
fn a_destination_is_handed_on() {
    let mut rig = Rig::up();
    rig.join("a", "b", Some("sip:grace@127.0.0.1:5080;x=1"));
    let transfer = rig.take("call_transfer");
    assert_eq!(transfer.params["destination"], "sip:grace@127.0.0.1:5080;x=1");
    rig.result(&transfer, json!("Accepted"));
    rig.expect(&["noticed a", "transferring caller to sip:grace@127.0.0.1:5080;x=1"]);
}

#[test]
fn the_other_calls_ok_counts_when_its_own_is_lost() {
    let mut rig = Rig::up();
    rig.join("a", "b", None);
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("b", "new", "ok", "200 OK");
    rig.read();
    rig.pass(seconds(1));
    rig.expect(&["started new", "transferred", "ok"]);
}

#[test]
fn the_other_calls_failure_counts_when_its_own_is_lost() {
    let mut rig = Rig::up();
    rig.join("a", "b", None);
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("a", "new", "start", "");
    rig.transfer_event("b", "new", "fail", "486 Busy Here");
    rig.read();
    rig.pass(seconds(1));
    rig.expect(&["failed Callee: 486 Busy Here (Peer)"]);
}

#[test]
fn an_unknown_other_call_is_told_in_opensips_words() {
    let mut rig = Rig::up();
    rig.join("a", "b", None);
    let transfer = rig.take("call_transfer");
    rig.error(&transfer, 404, "Transfer dialog not found");
    rig.expect(&["failed Transfer: 404 Transfer dialog not found (Controller)"]);
}
