//! What becomes of a call is what the phone was told to do with it.

use crate::line::{Line, config, end, millis, seconds};
use hookswitch_phone::{AnswerPolicy, EndCause, Event, PhoneError};

fn bob(answer: AnswerPolicy) -> Line {
    let bob = hookswitch_phone::PhoneConfig { answer, ..config("bob") };
    Line::new(config("alice"), bob)
}

#[test]
fn it_rings_then_answers_then_hangs_up() {
    let mut line = bob(AnswerPolicy::Answer { after: seconds(2) });
    line.dial().pass(seconds(1));
    assert!(line.alice_heard.contains(&Event::Ringing { status: 180, early_media: false }));
    assert!(matches!(&line.bob_heard[..], [Event::Incoming { from, .. }] if from == "sip:alice@a.test"));
    line.pass(seconds(2));
    assert!(matches!(line.alice_heard.last(), Some(Event::Answered { codec: "PCMU", .. })), "{:?}", line.alice_heard);
    assert!(matches!(line.bob_heard.last(), Some(Event::Answered { codec: "PCMU", .. })));
    line.alice.hang_up(line.now).unwrap();
    line.pass(seconds(1));
    assert_eq!(end(&line.alice_heard), Some(&EndCause::HungUp));
    assert_eq!(end(&line.bob_heard), Some(&EndCause::PeerHungUp { reason: None }));
    assert!(!line.alice.in_call() && !line.bob.in_call());
}

#[test]
fn a_call_ends_by_itself_when_it_was_told_so() {
    let alice = hookswitch_phone::PhoneConfig { hang_up_after: Some(seconds(3)), ..config("alice") };
    let mut line = Line::new(alice, config("bob"));
    line.dial().pass(millis(2_900));
    assert!(line.alice.in_call());
    line.pass(millis(200));
    assert_eq!(end(&line.alice_heard), Some(&EndCause::HungUp));
    assert!(end(&line.bob_heard).is_some());
}

#[test]
fn busy_and_declined_reach_the_caller() {
    for (policy, status, reason) in [(AnswerPolicy::BUSY, 486, "Busy Here"), (AnswerPolicy::DECLINE, 603, "Decline")] {
        let mut line = bob(policy);
        line.dial().pass(seconds(1));
        assert_eq!(end(&line.alice_heard), Some(&EndCause::Refused { status, reason: reason.into() }));
        assert_eq!(end(&line.bob_heard), Some(&EndCause::Declined { status }));
    }
}

#[test]
fn a_callee_that_never_answers_is_cancelled() {
    let mut line = bob(AnswerPolicy::Ring);
    line.dial().pass(seconds(20));
    assert!(line.alice.in_call());
    line.alice.hang_up(line.now).unwrap();
    line.pass(seconds(1));
    assert_eq!(end(&line.alice_heard), Some(&EndCause::Cancelled));
    assert_eq!(end(&line.bob_heard), Some(&EndCause::Cancelled));
}

#[test]
fn nobody_there_is_told_after_32_seconds() {
    let mut line = Line::new(config("alice"), config("bob"));
    line.lose = Some("INVITE sip:");
    line.dial().pass(seconds(31));
    assert_eq!(end(&line.alice_heard), None);
    line.pass(seconds(2));
    assert_eq!(end(&line.alice_heard), Some(&EndCause::NoReply));
    assert_eq!(line.drawn.matches("again: INVITE").count(), 6, "{}", line.drawn);
}

#[test]
fn a_phone_in_a_call_is_busy() {
    let mut line = bob(AnswerPolicy::Ring);
    line.dial().pass(seconds(1));
    assert_eq!(line.alice.call(line.now, "sip:bob@a.test"), Err(PhoneError::InCall));
    line.bob.call(line.now, "sip:alice@a.test").unwrap_err();
}

#[test]
fn a_call_without_ack_is_given_up_by_who_answered() {
    let alice = hookswitch_phone::PhoneConfig { withhold_ack: true, ..config("alice") };
    let mut line = Line::new(alice, config("bob"));
    line.dial().pass(seconds(40));
    assert_eq!(end(&line.bob_heard), Some(&EndCause::Lost), "{}", line.drawn);
    assert!(line.drawn.contains("again: 200 OK (INVITE)"));
}

#[test]
fn nothing_is_left_when_all_is_over() {
    let mut line = Line::new(config("alice"), config("bob"));
    for _ in 0..3 {
        line.dial().pass(seconds(1));
        line.bob.hang_up(line.now).unwrap();
        line.pass(seconds(1));
    }
    line.pass(seconds(40));
    assert_eq!(line.alice.counts(), hookswitch_sip::Counts::default());
    assert_eq!(line.bob.counts(), hookswitch_sip::Counts::default());
    assert_eq!(line.alice.poll_timeout(), None);
}

#[test]
fn a_change_of_mind_is_for_the_next_call() {
    for changed in [AnswerPolicy::Ring, AnswerPolicy::BUSY] {
        let mut line = bob(AnswerPolicy::Answer { after: seconds(2) });
        line.dial().pass(seconds(1));
        line.bob.set_answer(changed);
        line.pass(seconds(2));
        assert!(matches!(line.bob_heard.last(), Some(Event::Answered { .. })), "{:?}", line.bob_heard);
    }
}
