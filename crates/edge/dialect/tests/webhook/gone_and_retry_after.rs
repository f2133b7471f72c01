use std::time::Duration;

use hookswitch_dialect::journal::EventId;
use hookswitch_dialect::webhook::{Answer, Target, Terms};

use crate::rig::*;

#[test]
fn a_target_that_is_gone_is_left_in_peace_until_somebody_switches_it_on() {
    let mut rig = Rig::new(Terms::default());
    rig.take(&event(1, 1));
    rig.take(&event(2, 2));
    rig.answer(1, status(410));
    assert_eq!(rig.endpoint.off_since(), Some(START));
    assert_eq!(rig.endpoint.room(), 0);
    // What was on its way may still arrive.
    rig.ok(2);
    rig.pass(48 * HOUR);
    assert!(rig.open.is_empty() && rig.disk.dead.is_empty());
    let mut rig = rig.restart();
    rig.pass(HOUR);
    assert!(rig.open.is_empty());
    assert_eq!(rig.disk.off, Some(START));
    rig.endpoint.switch_on(rig.now);
    rig.drain();
    assert_eq!((rig.events(), rig.disk.off), (vec![1], None));
    rig.ok(1);
    assert_eq!(rig.disk.cursor, Some(EventId(2)));
}

#[test]
fn a_second_url_that_is_gone_has_only_failed() {
    let mut rig = Rig::new(Terms { has_fallback: true, fallback_after: 1, ..Terms::default() });
    rig.take(&event(1, 1));
    rig.fails(1);
    assert_eq!(rig.answer(1, status(410)), Target::Fallback);
    assert_eq!(rig.endpoint.off_since(), None);
    rig.pass(5 * SECOND);
    assert_eq!(rig.events(), [1]);
}

#[test]
fn a_target_that_says_when_to_come_again_is_asked_by_nobody_until_then() {
    for code in [429, 503] {
        let mut rig = Rig::new(Terms::default());
        rig.take(&event(1, 1));
        rig.answer(1, Answer::Status { code, retry_after: Some(Duration::from_secs(90)) });
        rig.take(&event(2, 2));
        rig.pass(89 * SECOND);
        assert!(rig.open.is_empty(), "{code}");
        rig.pass(SECOND);
        let mut events = rig.events();
        events.sort_unstable();
        assert_eq!(events, [1, 2], "{code}");
    }
}

#[test]
fn meanwhile_the_second_url_serves() {
    let mut rig = Rig::new(Terms { has_fallback: true, ..Terms::default() });
    rig.take(&event(1, 1));
    rig.answer(1, Answer::Status { code: 429, retry_after: Some(Duration::from_secs(90)) });
    rig.take(&event(2, 2));
    assert_eq!(rig.ok(2), Target::Fallback);
    rig.pass(2 * SECOND);
    assert_eq!(rig.ok(1), Target::Fallback);
}

#[test]
fn with_any_other_status_that_word_means_nothing() {
    let mut rig = Rig::new(Terms::default());
    rig.take(&event(1, 1));
    rig.answer(1, Answer::Status { code: 500, retry_after: Some(Duration::from_secs(90)) });
    rig.pass(SECOND);
    assert_eq!(rig.events(), [1]);
}
