use hookswitch_dialect::journal::EventId;
use hookswitch_dialect::webhook::Terms;

use crate::rig::*;

#[test]
fn what_was_on_its_way_is_posted_again_and_what_was_delivered_is_not() {
    let mut rig = Rig::new(Terms::default());
    for id in 1..=4 {
        rig.take(&event(id, id));
    }
    rig.ok(1);
    rig.ok(3);
    let mut rig = rig.restart();
    assert_eq!(rig.endpoint.read_to(), Some(EventId(1)));
    assert!(rig.open.is_empty());
    for id in 2..=4 {
        rig.take(&event(id, id));
    }
    // The cursor stood before the second; the third is posted twice.
    assert_eq!(rig.events(), [2, 3, 4]);
}

#[test]
fn what_has_failed_goes_on_without_the_log_and_keeps_the_count_of_its_failures() {
    let mut rig = Rig::new(Terms::default());
    rig.take(&event(1, 1));
    rig.fails(1);
    rig.take(&event(2, 1));
    rig.pass(10 * SECOND);
    rig.fails(1);
    assert_eq!(rig.endpoint.read_to(), Some(EventId(2)));
    let mut rig = rig.restart();
    assert_eq!(rig.endpoint.read_to(), Some(EventId(2)));
    assert_eq!((rig.events(), rig.disk.waiting[&EventId(1)].attempts), (vec![1], 2));
    rig.ok(1);
    rig.ok(2);
    assert!(rig.disk.waiting.is_empty());
}

#[test]
fn what_is_kept_on_its_own_is_not_taken_from_the_log_again() {
    let mut rig = Rig::new(Terms::default());
    rig.take(&event(1, 1));
    rig.take(&event(2, 2));
    rig.fails(2);
    // The cursor waits for the first.
    assert_eq!(rig.disk.cursor, Some(EventId(0)));
    let mut rig = rig.restart();
    assert_eq!(rig.events(), [2]);
    rig.take(&event(1, 1));
    rig.take(&event(2, 2));
    assert_eq!(rig.events(), [2, 1]);
    rig.ok(1);
    rig.ok(2);
    assert_eq!((rig.disk.cursor, rig.disk.waiting.len()), (Some(EventId(2)), 0));
}

#[test]
fn a_gap_in_the_log_is_counted_and_the_rest_is_delivered() {
    let mut rig = Rig::new(Terms::default());
    rig.take(&event(1, 1));
    rig.ok(1);
    rig.endpoint.skip_to(EventId(101));
    rig.take(&event(101, 1));
    rig.ok(101);
    assert_eq!((rig.endpoint.summary().gaps, rig.disk.cursor), (1, Some(EventId(101))));
}
