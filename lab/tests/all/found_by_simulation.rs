//! What the simulation has found, each as the smallest case that showed it.

use hookswitch_call::directory::Forwarding;
use hookswitch_call::{Address, Event, Forwards};
use hookswitch_lab::simulate::{Act, Case, Set, Step};
use hookswitch_lab::{Audio, Lab, PhoneId, millis, seconds};
use hookswitch_phone::{AnswerPolicy, Hold, Phone};
use serde_json::json;

/// Whether each listens to and sends what, in its only call.
fn talks_both_ways(lab: &Lab, phone: PhoneId) -> bool {
    lab.handset(phone).phone.calls().all(|call| call.sends && call.receives)
}

/// How often something was told.
fn told(lab: &Lab, wanted: fn(&Event) -> bool) -> usize {
    lab.told().iter().filter(|told| wanted(&told.event)).count()
}

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
    assert_eq!(told(&lab, |event| matches!(event, Event::Bridged)), 1);
    assert_eq!(told(&lab, |event| matches!(event, Event::HeldBy { hold: true, .. })), 1);
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

/// A party whose acknowledgement is late is asked to hold when it has come, and not told that a change is pending.
#[test]
fn a_hold_waits_for_the_acknowledgement_of_the_change_before() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [carol, dave] = lab.registered(["carol", "dave"]);
    lab.dial(carol, "dave");
    lab.until("they talk", |lab| lab.talks(carol) && lab.talks(dave));
    lab.pass(seconds(1));
    let from = lab.handset(carol).phone.config().local;
    lab.lose(move |letter| letter.from == from && letter.begins("ACK"));
    lab.phone_acts(carol, Phone::move_audio).expect("nothing else is under way");
    lab.pass(seconds(1));
    let callid = lab.call_id_of(carol).expect("a call");
    let app = lab.app();
    lab.ask(app, "hold", "CallHold", json!({ "callid": callid }));
    lab.pass(seconds(1));
    assert!(talks_both_ways(&lab, carol), "it has not been asked yet");
    assert_eq!(lab.heard_by(app).running(), ["hold"]);
    lab.lose_no_more();
    lab.pass(seconds(5));
    assert!(!lab.heard_by(app).events("hold").contains(&"Error") && lab.heard_by(app).running().is_empty());
    assert_eq!(told(&lab, |event| matches!(event, Event::Held { hold: true, .. })), 2);
    lab.hang_up(carol);
    lab.finish();
}

/// A party that changes its session before it can be asked to hold, and then refuses to, talks as before.
#[test]
fn a_change_that_goes_before_a_refused_hold_knows_nothing_of_it() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let dave = lab.registered(["dave"])[0];
    let carol = lab.phone_with("carol", |phone| phone.refuse_changes = Some(488));
    lab.register(carol);
    let from = lab.handset(carol).phone.config().local;
    lab.lose(move |letter| letter.from == from && letter.begins("ACK sip:dave@10"));
    lab.dial(carol, "dave");
    lab.until("they talk", |lab| lab.talks(carol) && lab.talks(dave));
    let callid = lab.call_id_of(carol).expect("a call");
    let app = lab.app();
    lab.ask(app, "hold", "CallHold", json!({ "callid": callid, "leg": "caller" }));
    lab.pass(seconds(1));
    lab.phone_acts(carol, Phone::move_audio).expect("nothing else is under way");
    lab.pass(seconds(1));
    lab.lose_no_more();
    lab.pass(seconds(5));
    assert!(lab.heard_by(app).events("hold").contains(&"Error"));
    assert!(talks_both_ways(&lab, carol) && talks_both_ways(&lab, dave));
    lab.hang_up(carol);
    lab.finish();
}

/// A party that transfers the other one and is beside the table while the target plays something may press its hold
/// key: when nobody answers, it is back, and holds.
#[test]
fn a_hold_beside_the_table_is_told_of() {
    let mut lab = Lab::with_switch(|config| config.shard.limits.ring_time = seconds(20));
    lab.set_audio(Audio::Unchecked);
    let [carol, dave] = lab.registered(["carol", "dave"]);
    let erin = lab.phone_with("erin", |phone| {
        phone.early_media = true;
        phone.answer = AnswerPolicy::Ring;
    });
    lab.register(erin);
    lab.dial(carol, "dave");
    lab.until("they talk", |lab| lab.talks(carol) && lab.talks(dave));
    lab.pass(seconds(1));
    lab.phone_acts(carol, |phone, now| phone.refer(now, "sip:erin@x.test")).expect("a call to be transferred");
    lab.pass(seconds(2));
    lab.hold(carol, Hold::On);
    lab.pass(seconds(20));
    assert_eq!(told(&lab, |event| matches!(event, Event::TransferFailed { .. })), 1);
    assert_eq!(told(&lab, |event| matches!(event, Event::HeldBy { hold: true, .. })), 1);
    lab.hang_up(carol);
    lab.finish();
}

/// Somebody who rang with early media and is called no more hears nothing of what comes instead.
#[test]
fn who_rang_with_early_media_and_was_forwarded_away_hears_nothing_of_the_call() {
    let mut lab = Lab::with_switch(|switch| {
        let otherwise = Forwards {
            no_answer: Some(Address::from("sip:echo@x.test")),
            no_answer_after: Some(seconds(1)),
            ..Forwards::default()
        };
        switch.forward([("bob", Forwarding { always: None, otherwise })]);
    });
    lab.set_audio(Audio::Unchecked);
    let [alice, carol] = lab.registered(["alice", "carol"]);
    let [bob] = lab.registered_with(["bob"], |phone| {
        phone.early_media = true;
        phone.answer = AnswerPolicy::Ring;
    });
    lab.dial(alice, "bob");
    lab.pass(seconds(3));
    assert!(lab.talks(alice), "the echo answers");
    lab.assert_hears_nothing(bob, seconds(1));
    lab.dial(carol, "echo");
    lab.pass(seconds(1));
    lab.hang_up(carol);
    lab.hang_up(alice);
    lab.finish();
}
