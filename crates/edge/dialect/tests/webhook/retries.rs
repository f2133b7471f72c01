use hookswitch_dialect::journal::{EventId, Filter};
use hookswitch_dialect::webhook::{Endpoint, Failure, Target, Terms};

use crate::rig::*;

#[test]
fn what_was_answered_2xx_is_posted_once() {
    let mut rig = Rig::new(Terms::default());
    rig.take(&event(1, 5));
    assert_eq!((rig.one().target, &*rig.one().text), (Target::First, "{\"id\":\"1\"}"));
    rig.answer(1, status(299));
    rig.pass(48 * HOUR);
    assert!(rig.open.is_empty());
    assert_eq!(rig.disk.cursor, Some(EventId(1)));
}

#[test]
fn anything_else_is_posted_again_with_growing_pauses_and_then_given_up() {
    for answer in [
        status(500),
        status(302),
        status(199),
        status(404),
        hookswitch_dialect::webhook::Answer::Failed(Failure::Private([10, 0, 0, 1].into())),
    ] {
        let mut rig = Rig::new(Terms::default());
        rig.take(&event(1, 5));
        let posted = rig.play(24 * HOUR + SECOND, &answer);
        let pauses: Vec<f64> = posted.windows(2).map(|pair| (pair[1].1 - pair[0].1).as_secs_f64()).collect();
        assert!((0.5..=1.0).contains(&pauses[0]) && (1.0..=2.0).contains(&pauses[1]), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= 600.0));
        assert!(pauses[10..pauses.len() - 1].iter().all(|pause| *pause >= 300.0), "{pauses:?}");
        // Up to the end, and the last time at the end.
        assert_eq!(posted.last().unwrap().1, 24 * HOUR);
        assert_eq!(rig.disk.dead.len(), 1, "{answer:?}");
        assert!(rig.disk.waiting.is_empty());
        assert_eq!(rig.disk.cursor, Some(EventId(1)));
    }
}

#[test]
fn two_endpoints_that_fail_together_do_not_come_back_together() {
    let pauses = |seed| {
        let mut endpoint = Endpoint::new(Terms::default(), Filter::default(), seed);
        endpoint.take(START, &event(1, 1));
        endpoint.answered(START, 1, status(500));
        endpoint.deadline().unwrap()
    };
    assert_ne!(pauses(1), pauses(2));
    assert_eq!(pauses(1), pauses(1));
}

#[test]
fn an_event_that_is_older_than_the_retry_time_is_tried_once() {
    let mut rig = Rig::new(Terms::default());
    rig.pass(25 * HOUR);
    rig.take(&event(1, 5));
    rig.fails(1);
    rig.pass(HOUR);
    assert!(rig.open.is_empty() && rig.disk.dead.contains_key(&EventId(1)));
}

#[test]
fn so_many_are_posted_at_a_time_and_so_many_are_held() {
    let mut rig = Rig::new(Terms { parallel: 3, window: 5, ..Terms::default() });
    for id in 1..=5 {
        assert_eq!(rig.endpoint.room(), 6 - id as usize);
        rig.take(&event(id, id));
    }
    assert_eq!(rig.endpoint.room(), 0);
    assert_eq!(rig.events(), [1, 2, 3]);
    rig.ok(2);
    assert_eq!(rig.events(), [1, 3, 4]);
    assert_eq!(rig.endpoint.room(), 1);
}

#[test]
fn those_that_failed_leave_places_for_those_that_were_never_tried() {
    let mut rig = Rig::new(Terms { parallel: 4, ..Terms::default() });
    for id in 1..=4 {
        rig.take(&event(id, id));
        rig.fails(id);
    }
    rig.pass(2 * SECOND);
    // All four could go again; half of the places are left.
    assert_eq!(rig.open.len(), 2);
    rig.take(&event(5, 5));
    rig.take(&event(6, 6));
    assert_eq!(rig.events()[2..], [5, 6]);
}

#[test]
fn a_target_that_is_back_gets_everything_at_once() {
    let mut rig = Rig::new(Terms::default());
    for id in 1..=20 {
        rig.take(&event(id, id));
    }
    rig.play(2 * HOUR, &status(500));
    let waited = rig.endpoint.deadline().unwrap() - rig.now;
    rig.pass(waited);
    let first = rig.events()[0];
    rig.ok(first);
    assert_eq!(rig.open.len(), 19, "the others wait out their pauses");
}
