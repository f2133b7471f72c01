//! What the simulation has found, each as the smallest case that showed it.

use hookswitch_call::Event;
use hookswitch_lab::simulate::{Act, Case, Set, Step};
use hookswitch_lab::{Audio, Lab, millis, seconds};
use hookswitch_phone::{AnswerPolicy, Hold};

/// A hold that a party asks for before the other one has answered is told of when the two are joined.
#[test]
fn a_hold_before_the_answer_is_told_of_with_it() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [bob, dave] = lab.registered(["bob", "dave"]);
    lab.set_answer(dave, AnswerPolicy::Ring);
    let app = lab.app();
    lab.start_call(app, "start", "bob", "dave");
    lab.until("bob has answered", |lab| lab.talks(bob));
    lab.until("dave rings", |lab| lab.rings(dave));
    lab.pass(seconds(1));
    lab.hold(bob, Hold::Silent);
    lab.pass(seconds(1));
    lab.answer(dave);
    lab.pass(seconds(1));
    let told = |wanted: fn(&Event) -> bool| lab.told().iter().filter(|told| wanted(&told.event)).count();
    assert_eq!(told(|event| matches!(event, Event::Bridged)), 1);
    assert_eq!(told(|event| matches!(event, Event::HeldBy { hold: true, .. })), 1);
    lab.hang_up(bob);
    lab.finish();
}

/// A phone that has answered, and hangs up while its 200 still waits for the PRACK to its 183, refuses the call: that is
/// its end, and no other word of it comes.
#[test]
fn an_answer_that_waits_for_a_prack_and_is_taken_back_leaves_no_call_behind() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [alice] = lab.registered_with(["alice"], |phone| {
        phone.early_media = true;
        phone.reliable = true;
        phone.answer = AnswerPolicy::Answer { after: seconds(1) };
    });
    let [bob] = lab.registered(["bob"]);
    lab.lose(|letter| letter.begins("PRACK"));
    lab.dial(bob, "alice");
    lab.pass(millis(1_500));
    assert!(!lab.talks(bob), "the answer waits for the PRACK");
    lab.hang_up(alice);
    lab.pass(seconds(1));
    lab.lose_no_more();
    assert_eq!(lab.refusal_of(bob), Some(480));
    lab.finish();
}

/// A phone whose hold meets a change of ours, and is refused time and again, answers ours as the session is and not as
/// it would like it to be.
#[test]
fn a_hold_that_meets_a_transfer_and_is_given_up_is_nowhere_said() {
    let step = |act, after| Step { act, after };
    let case = Case {
        seed: 10014840,
        weather: 1,
        phones: [0, 1, 2].map(Set::plain).into(),
        steps: vec![
            step(Act::Start { caller: 2, callee: 1 }, 1_000),
            step(Act::Start { caller: 2, callee: 0 }, 1_000),
            step(Act::Hold { who: 2, style: 2 }, 22),
            step(Act::Attended { call: 2, leg: 2, other: 0, other_leg: 1 }, 1_000),
            step(Act::Choose { who: 2 }, 3_970),
        ],
        ..Case::default()
    };
    assert_eq!(case.play().map(drop).map_err(|finding| finding.what), Ok(()));
}
