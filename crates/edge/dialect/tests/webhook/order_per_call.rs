use hookswitch_dialect::journal::EventId;
use hookswitch_dialect::webhook::Terms;

use crate::rig::*;

#[test]
fn the_next_event_of_a_call_waits_for_the_one_before() {
    let mut rig = Rig::new(Terms::default());
    for id in 1..=3 {
        rig.take(&event(id, 7));
    }
    assert_eq!(rig.events(), [1]);
    rig.fails(1);
    rig.pass(SECOND);
    assert_eq!(rig.events(), [1]);
    rig.ok(1);
    assert_eq!(rig.events(), [2]);
    rig.ok(2);
    rig.ok(3);
    assert_eq!((rig.disk.waiting.len(), rig.disk.cursor), (0, Some(EventId(3))));
}

#[test]
fn calls_do_not_wait_for_each_other_and_what_is_about_none_is_a_line_of_its_own() {
    let mut rig = Rig::new(Terms::default());
    rig.take(&event(1, 1));
    rig.take(&event(2, 2));
    rig.take(&event(3, 0));
    rig.take(&event(4, 0));
    assert_eq!(rig.events(), [1, 2, 3]);
    rig.fails(1);
    rig.ok(2);
    rig.ok(3);
    rig.ok(4);
    // What failed is kept on its own, and the cursor goes on.
    assert_eq!(rig.disk.cursor, Some(EventId(4)));
    assert_eq!(rig.disk.waiting.keys().copied().collect::<Vec<_>>(), [EventId(1)]);
}

#[test]
fn a_dead_letter_lets_the_rest_of_its_call_pass() {
    let mut rig = Rig::new(Terms::default());
    rig.take(&event(1, 7));
    rig.take(&event(2, 7));
    rig.play(23 * HOUR, &status(500));
    rig.pass(HOUR);
    rig.fails(1);
    assert_eq!(rig.events(), [2]);
    rig.ok(2);
    assert_eq!(rig.disk.dead.keys().copied().collect::<Vec<_>>(), [EventId(1)]);
    assert!(rig.disk.waiting.is_empty());
}

#[test]
fn an_event_that_nobody_wants_moves_the_cursor_and_nothing_else() {
    let mut rig = Rig::new(Terms::default());
    let filter = hookswitch_dialect::journal::Filter { kinds: vec!["trunk.*".into()], ..Default::default() };
    rig.endpoint = hookswitch_dialect::webhook::Endpoint::new(Terms::default(), filter, 1);
    rig.take(&event(9, 7));
    assert!(rig.open.is_empty());
    assert_eq!(rig.disk.cursor, Some(EventId(9)));
}
