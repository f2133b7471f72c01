//! OpenSIPS is asked who talks in the calls that no command makes.

use hookswitch_call::Address;
use hookswitch_opensips::{AUDIT_AFTER, Config, Learned, MAX_UNASKED};
use serde_json::{Value, json};

use crate::rig::{self, Rig, VERSION, seconds};

fn asking() -> Rig {
    Rig::with(Config { parties: true, ..rig::config() }, VERSION)
}

fn dialog(state: u8, since: u64) -> Value {
    json!({"Dialog": {"state": state, "timestart": since, "from_uri": "sip:dave@x.test", "to_uri": "sip:erin@x.test"}})
}

fn parties() -> Learned {
    Learned::Parties([Address::from("sip:dave@x.test"), Address::from("sip:erin@x.test")])
}

#[test]
fn a_call_of_others_is_looked_up_once_and_its_answer_is_told() {
    let mut rig = asking();
    rig.dialog_event("other", 2);
    let lookup = rig.take("dlg_list");
    assert_eq!(lookup.params, json!({"callid": "other"}));
    rig.result(&lookup, dialog(2, 0));
    assert_eq!(rig.learned, [parties()]);
    rig.pass(seconds(3));
    let since = rig.now;
    rig.dialog_event("other", 3);
    rig.dialog_event("other", 4);
    assert_eq!(rig.learned, [parties(), Learned::Answered { since }]);
    assert!(rig.try_take("dlg_list").is_none());
    rig.dialog_event("other", 5);
    rig.expect(&["noticed other", "ended 200 OK"]);
}

#[test]
fn what_was_lost_is_learned_at_the_next_look_with_the_time_that_opensips_names() {
    let mut rig = asking();
    rig.dialog_event("other", 2);
    let lost = rig.take("dlg_list");
    rig.fail(&lost, hookswitch_opensips::MiError::Timeout);
    assert_eq!(rig.learned, []);
    let answered = rig.now + seconds(2);
    rig.pass(AUDIT_AFTER);
    rig.accept("dlg_list", dialog(4, answered.as_secs()));
    let since = seconds(answered.as_secs());
    assert_eq!(rig.learned, [parties(), Learned::Answered { since }]);
}

#[test]
fn an_answer_that_was_never_told_is_known_from_the_end() {
    let mut rig = asking();
    rig.dialog_event("other", 2);
    rig.accept("dlg_list", dialog(2, 0));
    rig.dialog_event("other", 5);
    assert_eq!(rig.learned, [parties(), Learned::Answered { since: rig.now }]);
    // One that nobody has answered.
    let mut rig = asking();
    rig.dialog_event("other", 2);
    rig.unanswered_dialog_ends("other");
    assert_eq!(rig.learned, []);
    rig.expect(&["noticed other", "ended 200 OK"]);
}

#[test]
fn calls_of_commands_are_not_looked_up_and_nobody_is_unless_that_is_wanted() {
    let mut rig = asking();
    rig.call_start("ours");
    rig.dialog_event("ours", 2);
    assert!(rig.try_take("dlg_list").is_none());
    let mut rig = Rig::up();
    rig.dialog_event("other", 2);
    assert!(rig.try_take("dlg_list").is_none());
    rig.dialog_event("other", 3);
    assert_eq!(rig.learned, [Learned::Answered { since: rig.now }]);
}

#[test]
fn no_more_are_looked_up_at_once_than_opensips_can_bear_and_no_more_wait() {
    let mut rig = asking();
    for number in 0..MAX_UNASKED + 20 {
        rig.dialog_event(&format!("call-{number}"), 2);
    }
    let under_way = rig.sent.iter().filter(|sent| sent.method == "dlg_list").count();
    assert_eq!((under_way, rig.core.counts().calls_unasked), (16, 4));
    // Each answer makes room for the next; one that is over by then is not asked for.
    rig.unanswered_dialog_ends("call-16");
    rig.accept("dlg_list", dialog(2, 0));
    let last = rig.sent.iter().rfind(|sent| sent.method == "dlg_list").unwrap();
    assert_eq!(last.params, json!({"callid": "call-17"}));
    assert_eq!(rig.learned.len(), 1);
}

#[test]
fn what_waits_is_asked_when_opensips_is_back() {
    let mut rig = asking();
    for number in 0..17 {
        rig.dialog_event(&format!("call-{number}"), 2);
    }
    rig.handle(hookswitch_opensips::Input::MiDown(hookswitch_opensips::MiError::Refused));
    rig.sent.clear();
    rig.pass(seconds(30));
    assert_eq!(rig.take("dlg_list").params, json!({"callid": "call-16"}));
}
