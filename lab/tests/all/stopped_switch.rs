//! A switch that is told to stop ends every call, in whatever state, with a word to everybody.

use hookswitch_lab::{Lab, millis, seconds};
use hookswitch_phone::{AnswerPolicy, EndCause};

#[test]
fn calls_that_stand_and_calls_that_ring() {
    let mut lab = Lab::new();
    let [alice, bob, carol, dave, erin] = lab.registered(["alice", "bob", "carol", "dave", "erin"]);
    lab.set_answer(dave, AnswerPolicy::Ring);
    lab.dial(alice, "bob");
    lab.dial(carol, "dave");
    lab.dial(erin, "echo");
    let app = lab.app();
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.end_all_calls();
    lab.pass(seconds(1));
    assert!([alice, bob, carol, dave, erin].iter().all(|phone| !lab.in_call(*phone)));
    assert_eq!(lab.refusal_of(carol), Some(503));
    assert!(matches!(lab.end_of(bob), Some(EndCause::PeerHungUp { .. })));
    lab.start_call(app, "c1", "alice", "bob");
    assert_eq!(lab.heard_by(app).events("c1").last(), Some(&"Ended"));
    lab.finish();
}

#[test]
fn a_call_that_an_application_starts_at_any_moment() {
    for at in 0..40 {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        lab.pass(millis(at));
        lab.end_all_calls();
        lab.pass(seconds(1));
        assert!(!lab.in_call(alice) && !lab.in_call(bob), "after {at} ms");
        assert_eq!(lab.heard_by(app).events("c1").last(), Some(&"Ended"));
        lab.finish();
    }
}
