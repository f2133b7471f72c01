//! What the simulation has found, each as the smallest case that showed it.

use hookswitch_call::Event;
use hookswitch_lab::{Audio, Lab, seconds};
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
