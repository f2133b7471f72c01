use hookswitch_dialect::webhook::{Target, Terms};

use crate::rig::*;

fn rig() -> Rig {
    Rig::new(Terms { has_fallback: true, ..Terms::default() })
}

#[test]
fn after_three_failures_of_the_first_url_the_second_gets_it_at_once() {
    let mut rig = rig();
    rig.take(&event(1, 1));
    for _ in 0..3 {
        assert_eq!(rig.fails(1), Target::First);
        rig.pass(5 * SECOND);
    }
    assert_eq!(rig.ok(1), Target::Fallback);
    // As long as the first is down, the second gets what comes.
    rig.take(&event(2, 2));
    assert_eq!(rig.ok(2), Target::Fallback);
}

#[test]
fn one_of_many_finds_out_whether_the_first_is_back() {
    let mut rig = rig();
    rig.take(&event(1, 1));
    for _ in 0..3 {
        rig.fails(1);
        rig.pass(5 * SECOND);
    }
    rig.ok(1);
    rig.pass(30 * SECOND);
    for id in 2..=4 {
        rig.take(&event(id, id));
    }
    let targets: Vec<Target> = rig.open.iter().map(|attempt| attempt.target).collect();
    assert_eq!(targets, [Target::First, Target::Fallback, Target::Fallback]);
    rig.ok(2);
    rig.take(&event(5, 5));
    assert_eq!(rig.open.last().unwrap().target, Target::First);
}

#[test]
fn one_event_that_the_first_cannot_take_goes_to_the_second_and_the_others_do_not() {
    let mut rig = rig();
    rig.take(&event(1, 1));
    for other in 2..5 {
        rig.take(&event(other, other));
        assert_eq!(rig.fails(1), Target::First);
        assert_eq!(rig.ok(other), Target::First);
        rig.pass(5 * SECOND);
    }
    assert_eq!(rig.one().target, Target::Fallback);
}

#[test]
fn where_both_fail_both_are_tried_in_turn_until_the_end() {
    let mut rig = rig();
    rig.take(&event(1, 1));
    let mut targets = Vec::new();
    while rig.now < START + HOUR {
        if rig.open.is_empty() {
            let due = rig.endpoint.deadline().unwrap();
            rig.pass(due - rig.now);
        }
        targets.push(rig.fails(1));
    }
    assert_eq!(targets[..3], [Target::First; 3]);
    let (mut first, mut second) = (0, 0);
    for pair in targets[3..].chunks_exact(2) {
        assert_eq!(pair, [Target::Fallback, Target::First]);
        first += 1;
        second += 1;
    }
    assert!(first > 3 && second > 3);
    rig.play(24 * HOUR, &status(500));
    assert_eq!(rig.disk.dead.len(), 1);
}
