//! Calls of before the start: those that may still stand are looked up, and those that came to nothing are ended.

use hookswitch_call::{CallId, CallRef};
use hookswitch_opensips::Learned;
use serde_json::json;

use crate::rig::{self, Rig, dialog};

const OLD: CallId = CallId(7);

/// One that has a call of this Call-ID from before, and has found its OpenSIPS since.
fn with_a_call(wire_id: &str) -> Rig {
    let first_call = 100;
    let mut rig = Rig::new(hookswitch_opensips::Config { first_call, ..rig::config() }, [7; 32]);
    assert!(rig.core.take_back(rig.now, OLD, &wire_id.into(), true));
    assert!(!rig.core.take_back(rig.now, CallId(8), &wire_id.into(), true), "it has one name");
    assert!(rig.try_take("dlg_list").is_none(), "OpenSIPS has not been found");
    rig.start();
    rig
}

#[test]
fn one_that_stands_goes_on_by_its_name_until_its_end_is_told() {
    let mut rig = with_a_call("old");
    let lookup = rig.take("dlg_list");
    assert_eq!(lookup.params, json!({"callid": "old"}));
    rig.result(&lookup, dialog(4));
    assert_eq!(rig.core.find(&CallRef::Wire("old".into())), Some(OLD));
    rig.dialog_event("old", 5);
    rig.expect(&["ended 200 OK"]);
    assert_eq!((rig.told[0].call, rig.learned.len()), (OLD, 0));
    // A new one has a name of this start.
    rig.dialog_event("new", 2);
    assert_eq!(rig.core.find(&CallRef::Wire("new".into())), Some(CallId(100)));
}

#[test]
fn one_that_is_gone_is_told_to_be_and_when_it_ended_nobody_knows() {
    let mut rig = with_a_call("old");
    let lookup = rig.take("dlg_list");
    rig.error(&lookup, 404, "No such dialog");
    rig.expect(&["ended 200 OK"]);
    assert_eq!(rig.learned, [Learned::Gone]);
    assert_eq!(rig.core.counts().calls, 0);
}

#[test]
fn what_a_command_of_before_has_left_behind_is_ended_and_is_no_call() {
    let mut rig = Rig::new(rig::config(), [7; 32]);
    rig.core.give_up(rig.now, "half".into());
    rig.start();
    let cancel = rig.take("t_uac_cancel");
    assert_eq!(cancel.params["callid"], "half");
    rig.error(&cancel, 481, "No such transaction");
    rig.dialog_event("half", 3);
    rig.dialog_event("half", 4);
    rig.expect(&[]);
    rig.pass(rig::seconds(1));
    assert_eq!(rig.take("dlg_end_dlg").params["dialog_id"], "half");
    assert_eq!(rig.core.counts().calls, 0);
}
