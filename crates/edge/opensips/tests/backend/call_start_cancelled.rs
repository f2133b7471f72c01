//! A call being started is given up.

use hookswitch_call::{CallRef, Cause, Command, Ticket};
use serde_json::json;

use crate::rig::{Rig, answered, config, millis, seconds, wire};

fn end(rig: &mut Rig, call: CallRef) -> Ticket {
    rig.submit(Command::End { call, cause: Cause::hangup() }).unwrap()
}

#[test]
fn a_ringing_caller_is_cancelled_by_the_commands_name() {
    let mut rig = Rig::up();
    let start = rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    let ender = end(&mut rig, wire("one"));
    let cancel = rig.take("t_uac_cancel");
    assert_eq!(cancel.params, json!({"callid": "one", "cseq": "1"}));
    rig.result(&cancel, json!("OK"));
    rig.read();
    rig.result(&invite, json!({"Status": "487 Request Terminated"}));
    rig.expect(&["ended 487 Request Terminated", "failed Caller: 487 Request Terminated (Controller)", "ok"]);
    assert_eq!([rig.outcomes[0].ticket, rig.outcomes[1].ticket], [start, ender]);
    assert!(rig.methods().is_empty());
    assert_eq!(rig.core.counts().commands, 0);
}

#[test]
fn an_answer_in_the_same_moment_is_hung_up() {
    let mut rig = Rig::up();
    let start = rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    end(&mut rig, CallRef::Ticket(start));
    let cancel = rig.take("t_uac_cancel");
    rig.result(&invite, answered());
    assert!(rig.read().contains(&"failed Caller: 487 Request Terminated (Controller)".to_owned()));
    rig.take("dlg_end_dlg");
    rig.error(&cancel, 481, "No such transaction");
    assert_eq!(rig.core.counts().replies_late, 1);
}

#[test]
fn a_cancel_that_overtakes_its_invite_is_repeated() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    end(&mut rig, wire("one"));
    let cancel = rig.take("t_uac_cancel");
    rig.error(&cancel, 481, "No such transaction");
    rig.pass(millis(500));
    rig.accept("t_uac_cancel", json!("OK"));
    rig.result(&invite, json!({"Status": "487 Request Terminated"}));
    assert_eq!(rig.outcomes.len(), 2);
}

#[test]
fn a_cancelled_invite_whose_reply_is_lost_ends_in_time_and_is_cleaned_up() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.take("t_uac_dlg");
    end(&mut rig, wire("one"));
    rig.accept("t_uac_cancel", json!("OK"));
    rig.pass(config().mi_timeout);
    assert_eq!(rig.outcomes.len(), 2);
    rig.accept("t_uac_cancel", json!("OK"));
    rig.accept("dlg_end_dlg", json!("OK"));
    assert_eq!(rig.core.counts().leftovers, 0);
}

#[test]
fn a_caller_that_rings_for_ever_is_cancelled_by_us() {
    let mut rig = Rig::up();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    assert_eq!(invite.patience, config().ring_timeout + config().mi_timeout * 2);
    rig.pass(config().ring_timeout);
    rig.accept("t_uac_cancel", json!("OK"));
    rig.result(&invite, json!({"Status": "487 Request Terminated"}));
    assert_eq!(rig.read().pop().unwrap(), "failed Caller: 408 Request Timeout (Peer)");
}

#[test]
fn after_the_answer_everything_is_ended() {
    let mut rig = Rig::up();
    let start = rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("one", 4);
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("one", "two", "start", "");
    end(&mut rig, wire("two"));
    let ended: Vec<_> = [rig.take("dlg_end_dlg"), rig.take("dlg_end_dlg")].map(|end| end.params).into();
    assert_eq!(ended, [json!({"dialog_id": "two"}), json!({"dialog_id": "one"})]);
    assert_eq!(rig.outcomes[0].ticket, start);
    assert_eq!(rig.read().pop().unwrap(), "ok");
}

#[test]
fn a_name_that_is_no_longer_starting_means_the_call_as_it_is() {
    let mut rig = Rig::up();
    let start = rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("one", 4);
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("one", "two", "start", "");
    rig.transfer_event("one", "two", "ok", "200 OK");
    rig.accept("dlg_end_dlg", json!("OK"));
    rig.pass(seconds(1));
    end(&mut rig, CallRef::Ticket(start));
    let request = rig.take("dlg_end_dlg");
    assert_eq!(request.params, json!({"dialog_id": "two"}));
    rig.result(&request, json!("OK"));
    assert_eq!(rig.read().pop().unwrap(), "ok");
}
