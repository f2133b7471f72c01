use hookswitch_dialect::journal::EventId;
use hookswitch_dialect::webhook::{NoSuchLetter, Terms};

use crate::rig::*;

/// An endpoint with dead letters of these events.
fn rig_with_dead(terms: Terms, count: u64) -> Rig {
    let mut rig = Rig::new(terms);
    rig.pass(25 * HOUR);
    for id in 1..=count {
        rig.take(&event(id, id));
        rig.fails(id);
        rig.pass(SECOND);
    }
    rig
}

#[test]
fn a_dead_letter_is_listed_with_its_reason_and_can_be_replayed() {
    let mut rig = rig_with_dead(Terms::default(), 2);
    let dead: Vec<_> = rig.endpoint.dead_letters(None).cloned().collect();
    assert_eq!(dead.len(), 2);
    assert_eq!((dead[0].letter.attempts, dead[0].letter.last_failure.as_deref()), (1, Some("no answer in time")));
    assert_eq!(rig.endpoint.dead_letters(Some(EventId(1))).count(), 1);
    let now = rig.now;
    rig.endpoint.replay(now, EventId(1)).unwrap();
    rig.drain();
    assert_eq!(rig.endpoint.replay(now, EventId(1)), Err(NoSuchLetter));
    // It has all the time of a new one.
    rig.fails(1);
    rig.pass(2 * HOUR);
    let mut rig = rig.restart();
    rig.pass(SECOND);
    rig.ok(1);
    assert_eq!((rig.disk.waiting.len(), rig.disk.dead.len()), (0, 1));
}

#[test]
fn all_are_replayed_in_their_order() {
    let mut rig = rig_with_dead(Terms { parallel: 1, ..Terms::default() }, 3);
    assert_eq!(rig.endpoint.replay_all(rig.now), 3);
    rig.drain();
    for id in 1..=3 {
        assert_eq!(rig.events(), [id]);
        rig.ok(id);
    }
    assert!(rig.disk.dead.is_empty() && rig.disk.waiting.is_empty());
    assert_eq!(rig.endpoint.replay_all(rig.now), 0);
}

#[test]
fn so_many_are_kept_and_then_the_oldest_is_dropped() {
    let rig = rig_with_dead(Terms { dead_kept: 3, ..Terms::default() }, 5);
    assert_eq!(rig.disk.dead.keys().map(|id| id.0).collect::<Vec<_>>(), [3, 4, 5]);
    let summary = rig.endpoint.summary();
    assert_eq!((summary.dead, summary.dropped), (3, 2));
}

#[test]
fn they_are_kept_for_so_long() {
    let mut rig = rig_with_dead(Terms::default(), 2);
    rig.pass(13 * 24 * HOUR);
    assert_eq!(rig.disk.dead.len(), 2);
    let mut rig = rig.restart();
    rig.pass(24 * HOUR);
    assert!(rig.disk.dead.is_empty());
    assert_eq!(rig.endpoint.deadline(), None);
}
