//! A user with several phones: all ring, the first to answer wins, the others fall silent.

use hookswitch_lab::{Lab, millis, seconds};
use hookswitch_phone::{AnswerPolicy, EndCause};
use hookswitch_sip::Transport;

#[test]
fn the_first_to_answer_talks_and_the_other_stops_ringing() {
    let mut lab = Lab::new();
    let [alice, desk, mobile] = lab.registered(["alice", "bob", "bob"]);
    lab.set_answer(desk, AnswerPolicy::Ring);
    lab.set_answer(mobile, AnswerPolicy::Answer { after: seconds(1) });
    lab.dial(alice, "bob");
    lab.pass(millis(500));
    assert!(lab.rings(desk) && lab.rings(mobile) && lab.rings(alice));
    lab.pass(seconds(2));
    lab.assert_talking(alice, mobile);
    assert_eq!(lab.end_of(desk), Some(&EndCause::Cancelled));
    lab.hang_up(mobile);
    lab.finish();
}

#[test]
fn one_that_is_busy_does_not_end_the_ringing_of_the_other() {
    let mut lab = Lab::new();
    let [alice, desk, mobile] = lab.registered(["alice", "bob", "bob"]);
    lab.set_answer(desk, AnswerPolicy::BUSY);
    lab.set_answer(mobile, AnswerPolicy::Answer { after: seconds(1) });
    lab.dial(alice, "bob");
    lab.pass(seconds(3));
    lab.assert_talking(alice, mobile);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn when_all_refuse_the_caller_is_told_the_most_telling_reason() {
    let mut lab = Lab::new();
    let [alice, desk, mobile] = lab.registered(["alice", "bob", "bob"]);
    lab.set_answer(desk, AnswerPolicy::Refuse { status: 480, after: millis(100) });
    lab.set_answer(mobile, AnswerPolicy::Refuse { status: 486, after: millis(900) });
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    assert_eq!(lab.refusal_of(alice), Some(486));
    lab.finish();
}

#[test]
fn one_that_declines_for_the_person_ends_the_ringing_of_all() {
    let mut lab = Lab::new();
    let [alice, desk, mobile] = lab.registered(["alice", "bob", "bob"]);
    lab.set_answer(desk, AnswerPolicy::Refuse { status: 603, after: seconds(1) });
    lab.set_answer(mobile, AnswerPolicy::Ring);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    assert_eq!(lab.refusal_of(alice), Some(603));
    assert!(!lab.in_call(mobile));
    lab.finish();
}

#[test]
fn two_that_answer_at_the_same_moment_leave_one_call() {
    for apart in 0..12 {
        let mut lab = Lab::new();
        let [alice] = lab.registered(["alice"]);
        let desk = lab.phone("bob");
        let mobile = lab.phone_with("bob", |phone| phone.transport = Transport::Tcp);
        lab.register(desk);
        lab.register(mobile);
        lab.set_answer(desk, AnswerPolicy::Answer { after: millis(500) });
        lab.set_answer(mobile, AnswerPolicy::Answer { after: millis(500 + apart) });
        lab.dial(alice, "bob");
        lab.pass(seconds(2));
        assert!(lab.talks(desk) != lab.talks(mobile), "exactly one has the call");
        let winner = if lab.talks(desk) { desk } else { mobile };
        lab.assert_talking(alice, winner);
        lab.hang_up(alice);
        lab.finish();
    }
}

#[test]
fn a_caller_that_gives_up_silences_all() {
    let mut lab = Lab::new();
    let [alice, desk, mobile] = lab.registered(["alice", "bob", "bob"]);
    lab.set_answer(desk, AnswerPolicy::Ring);
    lab.set_answer(mobile, AnswerPolicy::Ring);
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    lab.hang_up(alice);
    lab.pass(seconds(1));
    assert!(!lab.in_call(desk) && !lab.in_call(mobile));
    lab.finish();
}
