//! Calls that others make come to notice, and nobody else's events disturb a command.

use hookswitch_call::CallRef;
use hookswitch_opensips::AUDIT_AFTER;
use serde_json::json;

use crate::rig::{Rig, seconds};

#[test]
fn a_call_of_others_is_noticed_and_its_end_is_told() {
    let mut rig = Rig::up();
    for state in [2, 3, 4, 4] {
        rig.dialog_event("other", state);
    }
    rig.expect(&["noticed other"]);
    rig.dialog_event("other", 5);
    rig.expect(&["ended 200 OK"]);
    rig.dialog_event("other", 4);
    rig.dialog_event("other", 5);
    rig.expect(&[]);
    assert_eq!((rig.core.counts().calls, rig.core.counts().events_late), (0, 2));
}

#[test]
fn events_of_calls_that_no_command_deals_with_are_counted() {
    let mut rig = Rig::up();
    rig.transfer_event("other", "new", "start", "");
    rig.hold_event("other", "caller", "hold", "ok");
    rig.dialog_event("ended long ago", 5);
    rig.event("E_UL_CONTACT_INSERT", json!({"aor": "a"}));
    rig.expect(&[]);
    assert_eq!(rig.core.counts().events_foreign, 4);
}

#[test]
fn a_call_whose_end_was_lost_is_looked_up_and_forgotten() {
    let mut rig = Rig::up();
    rig.dialog_event("other", 4);
    rig.read();
    rig.pass(AUDIT_AFTER - seconds(1));
    assert!(rig.try_take("dlg_list").is_none());
    rig.pass(seconds(1));
    let lookup = rig.take("dlg_list");
    assert_eq!(lookup.params, json!({"callid": "other"}));
    rig.result(&lookup, crate::rig::dialog(4));
    for _ in 0..40 {
        rig.pass(seconds(10));
        if rig.methods() == ["dlg_list"] {
            break;
        }
    }
    let lookup = rig.take("dlg_list");
    rig.error(&lookup, 404, "Dialog not found");
    rig.expect(&["ended 200 OK"]);
    assert_eq!(rig.core.counts().calls, 0);
}

#[test]
fn a_noticed_call_can_be_controlled_by_our_name_for_it() {
    let mut rig = Rig::up();
    let first = hookswitch_call::CallId(crate::rig::config().first_call);
    rig.dialog_event("other", 4);
    let command = hookswitch_call::Command::Hold {
        call: CallRef::Id(first),
        party: None,
        notes: hookswitch_call::Notes::default(),
    };
    rig.submit(command).unwrap();
    assert_eq!(rig.take("call_hold").params, json!({"callid": "other"}));
}
