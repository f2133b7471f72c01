//! Requests that cross on their way: whatever comes first, the call ends once and for everybody.

use hookswitch_lab::{Lab, millis, seconds};
use hookswitch_phone::AnswerPolicy;
use hookswitch_sip::Transport;

const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];

#[test]
fn a_bye_and_a_bye() {
    for transport in TRANSPORTS {
        for apart in 0..15 {
            let mut lab = Lab::new();
            let [alice, bob] = lab.registered_with(["alice", "bob"], |phone| phone.transport = transport);
            lab.dial(alice, "bob");
            lab.pass(millis(500));
            lab.hang_up(alice);
            lab.pass(millis(apart));
            lab.hang_up(bob);
            lab.pass(seconds(1));
            assert_eq!(lab.endings().len(), 1);
            lab.finish();
        }
    }
}

#[test]
fn a_cancel_and_an_answer() {
    for transport in TRANSPORTS {
        for cancelled_at in 290..330 {
            let mut lab = Lab::new();
            let [alice, bob] = lab.registered_with(["alice", "bob"], |phone| phone.transport = transport);
            lab.set_answer(bob, AnswerPolicy::Answer { after: millis(285) });
            lab.dial(alice, "bob");
            lab.pass(millis(cancelled_at));
            lab.hang_up(alice);
            lab.pass(seconds(1));
            assert!(!lab.in_call(alice) && !lab.in_call(bob), "cancelled after {cancelled_at} ms");
            assert_eq!(lab.endings().len(), 1);
            lab.finish();
        }
    }
}

#[test]
fn a_cancel_and_a_refusal() {
    for cancelled_at in 290..330 {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.set_answer(bob, AnswerPolicy::Refuse { status: 486, after: millis(285) });
        lab.dial(alice, "bob");
        lab.pass(millis(cancelled_at));
        lab.hang_up(alice);
        lab.finish();
    }
}

#[test]
fn the_end_of_an_application_and_the_end_of_a_phone() {
    for apart in 0..12 {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        lab.pass(millis(500));
        lab.hang_up(bob);
        lab.pass(millis(apart));
        lab.end_call(app, "e1", "c1");
        lab.pass(seconds(1));
        assert!(!lab.in_call(alice));
        assert_eq!(lab.heard_by(app).events("e1").last(), Some(&"Ended"));
        lab.finish();
    }
}

#[test]
fn the_end_of_an_application_and_an_answer() {
    for at in 0..60 {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.set_answer(bob, AnswerPolicy::Answer { after: millis(20) });
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        lab.pass(millis(at));
        lab.end_call(app, "e1", "c1");
        lab.pass(seconds(1));
        assert!(!lab.in_call(alice) && !lab.in_call(bob), "ended after {at} ms");
        lab.finish();
    }
}

#[test]
fn two_that_call_each_other_at_once_are_both_busy_and_free_again() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.dial(bob, "alice");
    lab.pass(seconds(1));
    assert_eq!((lab.refusal_of(alice), lab.refusal_of(bob)), (Some(486), Some(486)));
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}
