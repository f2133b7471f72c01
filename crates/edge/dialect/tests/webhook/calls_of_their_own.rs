use hookswitch_call::CallId;
use hookswitch_dialect::journal::{EventId, Logged};
use hookswitch_dialect::webhook::{CallWebhook, Terms};

use crate::rig::*;

/// An event of a call that has the webhook `call.1`.
fn of(id: u64, call: u64, seq: u32, kind: &str) -> Logged {
    Logged { kind: kind.into(), seq: Some(seq), webhook: Some("call.1".into()), ..event(id, call) }
}

#[test]
fn only_calls_that_have_it_are_posted_to_it_each_in_its_order() {
    let mut rig = Rig::of_calls(Terms::default());
    rig.take(&of(1, 7, 0, "call.started"));
    rig.take(&Logged { webhook: None, ..event(2, 8) });
    rig.take(&Logged { webhook: Some("call.2".into()), ..event(3, 9) });
    rig.take(&of(4, 7, 1, "call.connecting"));
    assert_eq!(rig.events(), [1]);
    rig.ok(1);
    assert_eq!(rig.events(), [4]);
    rig.ok(4);
    assert_eq!((rig.disk.cursor, rig.endpoint.summary().calls), (Some(EventId(4)), 1));
}

#[test]
fn it_is_needed_until_the_record_of_the_last_call_is_delivered() {
    let mut rig = Rig::of_calls(Terms::default());
    assert!(rig.endpoint.is_done(rig.now));
    rig.take(&of(1, 7, 0, "call.started"));
    rig.ok(1);
    assert!(!rig.endpoint.is_done(rig.now), "the call goes on");
    // What was told of a call before is told no more; that it has a webhook is.
    rig.take(&of(2, 8, 12, "call.webhook"));
    rig.ok(2);
    rig.take(&of(3, 7, 1, "call.ended"));
    rig.ok(3);
    rig.take(&of(4, 7, 2, "call.record"));
    rig.ok(4);
    assert!(!rig.endpoint.is_done(rig.now), "the other one goes on");
    rig.take(&of(5, 8, 13, "call.ended"));
    rig.ok(5);
    assert!(!rig.endpoint.is_done(rig.now), "its record is to come");
    rig.take(&of(6, 8, 14, "call.record"));
    assert!(!rig.endpoint.is_done(rig.now), "it is not delivered");
    rig.ok(6);
    assert!(rig.endpoint.is_done(rig.now));
    assert!(rig.disk.calls.is_empty());
}

#[test]
fn a_record_that_does_not_come_is_not_waited_for_for_ever() {
    let mut rig = Rig::of_calls(Terms::default());
    rig.take(&of(1, 7, 0, "call.started"));
    rig.ok(1);
    rig.take(&of(2, 7, 1, "call.ended"));
    rig.ok(2);
    rig.pass(599 * SECOND);
    assert!(!rig.endpoint.is_done(rig.now));
    rig.pass(SECOND);
    assert!(rig.endpoint.is_done(rig.now));
}

#[test]
fn calls_are_known_after_a_restart_which_has_ended_them() {
    let mut rig = Rig::of_calls(Terms::default());
    rig.take(&of(1, 7, 0, "call.started"));
    rig.ok(1);
    assert_eq!(rig.disk.calls.iter().copied().collect::<Vec<_>>(), [CallId(7)]);
    let mut rig = rig.restart();
    assert!(!rig.endpoint.is_done(rig.now), "its end is to be told");
    rig.take(&of(2, 7, 1, "call.ended"));
    assert_eq!(rig.events(), [2]);
    rig.ok(2);
    let mut rig = rig.restart();
    assert!(rig.endpoint.is_done(rig.now), "nobody tells more of it");
    // A log that was lost has no ends in it.
    rig.take(&of(3, 8, 0, "call.started"));
    rig.ok(3);
    rig.endpoint.skip_to(EventId(1_000));
    rig.drain();
    assert!(rig.endpoint.is_done(rig.now) && rig.disk.calls.is_empty());
}

#[test]
fn a_target_that_is_gone_loses_the_event_and_nothing_else() {
    let mut rig = Rig::of_calls(Terms { gone_ends: false, ..Terms::default() });
    rig.take(&of(1, 7, 0, "call.started"));
    rig.take(&of(2, 7, 1, "call.connecting"));
    rig.answer(1, status(410));
    assert_eq!(rig.endpoint.off_since(), None);
    assert_eq!(rig.disk.dead[&EventId(1)].letter.last_failure.as_deref(), Some("status 410"));
    assert_eq!(rig.events(), [2]);
    rig.ok(2);
    assert!(!rig.endpoint.is_done(rig.now), "dead letters can be replayed");
}

#[test]
fn what_is_passed_by_is_not_looked_at_again() {
    let mut rig = Rig::of_calls(Terms::default());
    rig.endpoint.passed(EventId(90));
    rig.drain();
    assert_eq!(rig.disk.cursor, Some(EventId(90)));
    rig.take(&of(91, 7, 0, "call.started"));
    rig.endpoint.passed(EventId(95));
    rig.drain();
    // What is under way is not passed by.
    assert_eq!(rig.disk.cursor, Some(EventId(90)));
    rig.ok(91);
    assert_eq!(rig.disk.cursor, Some(EventId(95)));
}

#[test]
fn events_that_nobody_wants_are_not_posted_and_say_how_calls_go_all_the_same() {
    let mut rig = Rig::of_calls_and_types(Terms::default(), &["call.bridged", "call.hold*"]);
    rig.take(&of(1, 7, 0, "call.started"));
    assert_eq!((rig.events(), rig.endpoint.summary().calls), (vec![], 1));
    assert_eq!(rig.disk.cursor, Some(EventId(1)), "it is not looked at again");
    rig.take(&of(2, 7, 1, "call.bridged"));
    rig.ok(2);
    rig.take(&of(3, 7, 2, "call.held"));
    rig.take(&of(4, 7, 3, "call.hold_asked"));
    assert_eq!(rig.events(), [4]);
    rig.ok(4);
    let mut rig = rig.restart();
    assert!(!rig.endpoint.is_done(rig.now), "the call goes on");
    rig.take(&of(5, 7, 4, "call.ended"));
    assert!(rig.events().is_empty() && rig.disk.calls.is_empty());
    rig.take(&of(6, 7, 5, "call.record"));
    assert!(rig.events().is_empty() && rig.endpoint.is_done(rig.now));
}

#[test]
fn those_that_differ_in_nothing_have_one_name() {
    let to = |path: &str| CallWebhook::to(format!("https://a.test/{path}"));
    let name = to("x").name();
    assert_eq!((to("x").name(), name.len()), (name.clone(), 21));
    assert!(name.starts_with("call."), "{name}");
    let events = |events: &[&str]| Some(events.iter().map(ToString::to_string).collect());
    let some = CallWebhook { events: events(&["call.ended", "call.answered"]), ..to("x") };
    let others = [
        to("y"),
        some.clone(),
        CallWebhook { events: events(&["call.*"]), ..to("x") },
        CallWebhook { key: Some("crm".into()), ..to("x") },
        CallWebhook { key: Some("crm".into()), ..some.clone() },
    ];
    let names: std::collections::BTreeSet<_> = others.iter().map(CallWebhook::name).chain([name]).collect();
    assert_eq!(names.len(), others.len() + 1);
    // In which order they are named, and how often, is no difference.
    let same = CallWebhook { events: events(&["call.answered", "call.ended", "call.answered"]), ..to("x") };
    assert_eq!((same.name(), same.kinds()), (some.name(), vec!["call.answered".into(), "call.ended".into()]));
}
