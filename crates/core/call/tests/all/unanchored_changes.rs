//! Parties change their session while their audio does not run through here.

use crate::support::*;

use hookswitch_call::*;

/// Two parties that talk past us; looked at from there on.
fn talking() -> (Desk, CallId) {
    let mut desk = Desk::new(Limits { anchor: false, probe_time: sec(0), ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    (desk, call)
}

fn reoffered(desk: &mut Desk, call: CallId, leg: u16, sdp: Option<&str>) {
    desk.tell(Report::Reoffered { call, leg: LegId(leg), sdp: sdp.map(Sdp::from) });
}

fn answered(desk: &mut Desk, call: CallId, leg: u16, sdp: Result<Option<&str>, Kind>) {
    let sdp = sdp.map(|sdp| sdp.map(Sdp::from)).map_err(|kind| Cause::new(kind, Fault::Peer));
    desk.tell(Report::Reaccepted { call, leg: LegId(leg), sdp });
}

#[test]
fn what_one_party_offers_the_other_one_answers() {
    for (asks, answers) in [(0, 1), (1, 0)] {
        let (mut desk, call) = talking();
        for round in ["first", "second"] {
            reoffered(&mut desk, call, asks, Some(round));
            assert_eq!(desk.since(), [format!("reoffer {answers} {round}")]);
            answered(&mut desk, call, answers, Ok(Some("yes")));
            assert_eq!(desk.since(), [format!("reanswer {asks} yes")]);
        }
    }
}

#[test]
fn a_refusal_reaches_the_party_that_asked_and_changes_nothing() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, Some("a2"));
    desk.since();
    answered(&mut desk, call, 1, Err(Kind::NotAcceptable));
    assert_eq!(desk.since(), ["reanswer 0 refused 488"]);
    reoffered(&mut desk, call, 1, Some("b2"));
    assert_eq!(desk.since(), ["reoffer 0 b2"], "the next one may");
}

#[test]
fn a_change_without_offer_goes_all_the_way_round() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 1, None);
    assert_eq!(desk.since(), ["reoffer 0"]);
    answered(&mut desk, call, 0, Ok(Some("a-offer")));
    assert_eq!(desk.since(), ["reanswer 1 a-offer"]);
    desk.tell(Report::Confirmed { call, leg: LegId(1), sdp: Some(Sdp::from("b-answer")) });
    assert_eq!(desk.since(), ["confirm 0 b-answer"]);
    reoffered(&mut desk, call, 0, Some("a3"));
    assert_eq!(desk.since(), ["reoffer 1 a3"]);
}

#[test]
fn nobody_changes_a_session_whose_offer_is_not_answered_yet() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 1, None);
    answered(&mut desk, call, 0, Ok(Some("a-offer")));
    desk.since();
    reoffered(&mut desk, call, 0, Some("a3"));
    assert_eq!(desk.since(), ["reanswer 0 refused 491"], "until the answer has come in the acknowledgement");
}

#[test]
fn two_changes_that_cross_are_both_to_be_tried_again() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, Some("a2"));
    reoffered(&mut desk, call, 1, Some("b2"));
    assert_eq!(desk.since(), ["reoffer 1 a2", "reanswer 1 refused 491"]);
    // The phone at the other end sees the same and refuses ours.
    answered(&mut desk, call, 1, Err(Kind::Pending));
    assert_eq!(desk.since(), ["reanswer 0 refused 491"]);
    reoffered(&mut desk, call, 1, Some("b3"));
    answered(&mut desk, call, 0, Ok(Some("a3")));
    assert_eq!(desk.since(), ["reoffer 0 b3", "reanswer 1 a3"]);
}

#[test]
fn a_party_that_took_its_change_back_waits_for_the_other_ones_answer() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, Some("a2"));
    desk.since();
    reoffered(&mut desk, call, 0, Some("a3"));
    assert_eq!(desk.since(), ["reanswer 0 refused 491"]);
}

#[test]
fn a_party_that_hangs_up_instead_of_answering_ends_the_call() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, Some("a2"));
    desk.since();
    desk.ended(call, 1, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    answered(&mut desk, call, 1, Ok(Some("late")));
    assert_eq!(desk.since(), [""; 0]);
}

#[test]
fn an_answer_without_description_is_no_answer() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, Some("a2"));
    desk.since();
    answered(&mut desk, call, 1, Ok(None));
    assert_eq!(desk.since(), ["reanswer 0 refused 488"]);
}

#[test]
fn nothing_can_be_changed_before_both_are_on_the_line() {
    let mut desk = Desk::new(Limits { anchor: false, ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    reoffered(&mut desk, call, 0, Some("a2"));
    assert_eq!(desk.since(), ["reanswer 0 refused 500"]);
    desk.answered(call, 1, Some("b"));
    desk.since();
    reoffered(&mut desk, call, 1, Some("b2"));
    assert_eq!(desk.since(), ["reanswer 1 refused 491"], "the caller has not acknowledged its session");
}

fn withdrawn(desk: &mut Desk, call: CallId, leg: u16) {
    desk.tell(Report::Withdrawn { call, leg: LegId(leg) });
}

#[test]
fn what_a_party_takes_back_is_taken_back_from_the_other_one() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, Some("a2"));
    desk.since();
    withdrawn(&mut desk, call, 0);
    assert_eq!(desk.since(), ["withdraw 1"]);
    answered(&mut desk, call, 1, Err(Kind::Cancelled));
    assert_eq!(desk.since(), Vec::<String>::new(), "nobody waits for that any more");
    for (asks, answers) in [(0, 1), (1, 0)] {
        reoffered(&mut desk, call, asks, Some("new"));
        assert_eq!(desk.since(), [format!("reoffer {answers} new")], "both may change again");
        answered(&mut desk, call, answers, Ok(Some("yes")));
        desk.since();
    }
}

#[test]
fn whoever_has_taken_what_was_taken_back_is_offered_what_the_other_one_still_has() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, Some("a2"));
    withdrawn(&mut desk, call, 0);
    desk.since();
    answered(&mut desk, call, 1, Ok(Some("b2")));
    assert_eq!(desk.since(), ["reoffer 0"], "what has it?");
    reoffered(&mut desk, call, 1, Some("b3"));
    assert_eq!(desk.since(), ["reanswer 1 refused 491"], "one after the other");
    answered(&mut desk, call, 0, Ok(Some("a1")));
    assert_eq!(desk.since(), ["reoffer 1 a1"]);
    answered(&mut desk, call, 1, Ok(Some("b1")));
    assert_eq!(desk.since(), ["confirm 0 b1"]);
    reoffered(&mut desk, call, 1, Some("b3"));
    assert_eq!(desk.since(), ["reoffer 0 b3"], "and everything goes on");
}

#[test]
fn an_offer_that_was_asked_for_by_somebody_who_has_taken_that_back_is_answered_all_the_same() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, None);
    withdrawn(&mut desk, call, 0);
    desk.since();
    answered(&mut desk, call, 1, Ok(Some("b-offer")));
    assert_eq!(desk.since(), ["reoffer 0 b-offer"]);
    answered(&mut desk, call, 0, Ok(Some("a-answer")));
    assert_eq!(desk.since(), ["confirm 1 a-answer"]);
}

#[test]
fn a_party_that_will_not_say_what_it_has_leaves_both_free() {
    let (mut desk, call) = talking();
    reoffered(&mut desk, call, 0, Some("a2"));
    withdrawn(&mut desk, call, 0);
    answered(&mut desk, call, 1, Ok(Some("b2")));
    answered(&mut desk, call, 0, Err(Kind::NotAcceptable));
    desk.since();
    reoffered(&mut desk, call, 1, Some("b3"));
    assert_eq!(desk.since(), ["reoffer 0 b3"]);
}
