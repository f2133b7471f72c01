use hookswitch_dialect::journal::EventId;
use hookswitch_dialect::webhook::{MAX_REMEMBERED, State, Target, Terms};

use crate::rig::*;

#[test]
fn the_state_of_each_event_can_be_seen() {
    let mut rig = Rig::new(Terms::default());
    rig.pass(25 * HOUR);
    rig.take(&event(1, 1));
    rig.fails(1);
    let young = |id, call| hookswitch_dialect::journal::Logged { at: START + 25 * HOUR, ..event(id, call) };
    rig.take(&young(2, 2));
    rig.answer(2, status(204));
    rig.take(&young(3, 3));
    rig.answer(3, status(500));
    rig.take(&young(4, 3));
    rig.take(&young(5, 5));
    let states: Vec<_> = rig.endpoint.deliveries(None, None, 10).iter().map(|one| (one.event.0, one.state)).collect();
    assert_eq!(
        states,
        [(1, State::Dead), (2, State::Delivered), (3, State::Retrying), (4, State::Waiting), (5, State::UnderWay)]
    );
    let done = rig.endpoint.delivery(EventId(2)).unwrap();
    assert_eq!((done.attempts, done.status, done.target), (1, Some(204), Some(Target::First)));
    let failed = rig.endpoint.delivery(EventId(3)).unwrap();
    assert_eq!((failed.attempts, failed.failure.as_deref()), (1, Some("status 500")));
    assert_eq!(failed.at, rig.endpoint.deadline());
    assert_eq!(rig.endpoint.delivery(EventId(6)), None);
    assert_eq!(rig.endpoint.deliveries(Some(State::Waiting), None, 10).len(), 1);
    let page: Vec<_> = rig.endpoint.deliveries(None, Some(EventId(2)), 2).iter().map(|one| one.event.0).collect();
    assert_eq!(page, [3, 4]);
    let summary = rig.endpoint.summary();
    assert_eq!((summary.waiting, summary.under_way, summary.dead, summary.delivered), (3, 1, 1, 1));
    assert_eq!((summary.failures_in_row, summary.cursor), (1, Some(EventId(4))));
}

#[test]
fn of_those_that_are_delivered_the_latest_are_remembered() {
    let mut rig = Rig::new(Terms::default());
    let count = MAX_REMEMBERED as u64 + 1;
    for id in 1..=count {
        rig.take(&event(id, id));
        rig.ok(id);
    }
    assert_eq!(rig.endpoint.delivery(EventId(1)), None);
    assert!(rig.endpoint.delivery(EventId(2)).is_some());
    assert_eq!(rig.endpoint.summary().delivered, count);
}
