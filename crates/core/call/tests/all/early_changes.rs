//! Sessions that change before the call is answered (RFC 3311), and offers of ours that are answered by then (RFC 3262).

use crate::support::*;

use hookswitch_call::*;

fn unanchored() -> Limits {
    Limits { anchor: false, probe_time: sec(0), ..Limits::default() }
}

fn reoffered(desk: &mut Desk, call: CallId, leg: u16, sdp: &str) {
    desk.tell(Report::Reoffered { call, leg: LegId(leg), sdp: Some(Sdp::from(sdp)) });
}

fn confirmed(desk: &mut Desk, call: CallId, leg: u16, sdp: Option<&str>) {
    desk.tell(Report::Confirmed { call, leg: LegId(leg), sdp: sdp.map(Sdp::from) });
}

/// Bob's phones play something: the first of them is heard.
fn early(limits: Limits, phones: &[&str]) -> (Desk, CallId) {
    let mut desk = Desk::new(limits);
    let call = desk.incoming(Some("a"));
    desk.located(call, phones);
    for leg in 1..=phones.len() {
        desk.progress(call, leg as u16, 183, Some("b"));
    }
    desk.since();
    desk.media.clear();
    (desk, call)
}

/// What the media engine was given of a party, and asked for.
fn media(desk: &mut Desk) -> Vec<String> {
    let text = |op| match op {
        MediaOp::Offered { seat, sdp, .. } => Some(format!("{seat:?} offers {}", sdp.0)),
        MediaOp::MakeAnswer { seat, leg, .. } => Some(format!("answer {seat:?} {leg}")),
        MediaOp::MakeOffer { seat, leg, .. } => Some(format!("offer {seat:?} {leg}")),
        MediaOp::Accept { seat, leg, sdp, .. } => Some(format!("{seat:?} {leg} agrees {}", sdp.0)),
        _ => None,
    };
    desk.media.drain(..).filter_map(text).collect()
}

#[test]
fn a_caller_that_changes_its_session_before_the_answer_is_answered_by_the_media_engine() {
    let (mut desk, call) = early(Limits::default(), &["sip:b1@x"]);
    reoffered(&mut desk, call, 0, "a2");
    assert_eq!(media(&mut desk), ["Of(Caller) offers a2", "answer Of(Caller) 0"]);
    assert_eq!(desk.since(), ["reanswer 0 our-answer"], "the called party is not bothered");
    desk.answered(call, 1, Some("b"));
    assert_eq!(desk.since(), ["confirm 1", "answer 0 our-answer", "Caller hears Peer", "Callee hears Peer"]);
}

#[test]
fn a_called_party_that_is_heard_may_change_its_session() {
    let (mut desk, call) = early(Limits::default(), &["sip:b1@x"]);
    reoffered(&mut desk, call, 1, "b2");
    assert_eq!(media(&mut desk), ["Of(Callee) offers b2", "answer Of(Callee) 1"]);
    assert_eq!(desk.since(), ["reanswer 1 our-answer"]);
    desk.answered(call, 1, None);
    assert_eq!(media(&mut desk), Vec::<String>::new(), "the answer describes nothing any more");
    assert_eq!(desk.since(), ["confirm 1", "answer 0 our-answer", "Caller hears Peer", "Callee hears Peer"]);
}

#[test]
fn of_a_fork_only_the_branch_that_is_heard_has_a_session_to_change() {
    let (mut desk, call) = early(Limits::default(), &["sip:b1@x", "sip:b2@x"]);
    reoffered(&mut desk, call, 2, "c2");
    assert_eq!(desk.since(), ["reanswer 2 refused 500"], "to be tried again later");
    assert_eq!(media(&mut desk), Vec::<String>::new());
    reoffered(&mut desk, call, 1, "b2");
    assert_eq!(desk.since(), ["reanswer 1 our-answer"]);
}

#[test]
fn a_change_that_the_engine_refuses_leaves_the_call_as_it_was() {
    let (mut desk, call) = early(Limits::default(), &["sip:b1@x"]);
    desk.silent_media = true;
    reoffered(&mut desk, call, 1, "b2");
    let (seat, cause) = (Seat::Of(Party::Callee), Cause::new(Kind::NotAcceptable, Fault::Peer));
    desk.tell_media(MediaReport::Refused { call, seat, leg: LegId(1), cause });
    assert_eq!(desk.since(), ["reanswer 1 refused 488"]);
    desk.answered(call, 1, Some("b"));
    assert_eq!(desk.event_names().last().map(String::as_str), Some("bridged"));
}

#[test]
fn past_us_the_other_party_is_asked() {
    for (asks, answers) in [(0, 1), (1, 0)] {
        let (mut desk, call) = early(unanchored(), &["sip:b1@x"]);
        reoffered(&mut desk, call, asks, "new");
        assert_eq!(desk.since(), [format!("reoffer {answers} new")]);
        reoffered(&mut desk, call, answers, "crossing");
        assert_eq!(desk.since(), [format!("reanswer {answers} refused 491")]);
        desk.reaccepted(call, answers, "yes");
        assert_eq!(desk.since(), [format!("reanswer {asks} yes")]);
        desk.answered(call, 1, None);
        assert_eq!(desk.event_names().last().map(String::as_str), Some("bridged"));
    }
}

#[test]
fn past_us_nobody_is_asked_who_has_no_session_yet() {
    let mut desk = Desk::new(unanchored());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.progress(call, 1, 183, Some("b"));
    desk.since();
    for leg in [0, 1] {
        reoffered(&mut desk, call, leg, "new");
        assert_eq!(desk.since(), [format!("reanswer {leg} refused 500")], "two are called, so nothing was shown");
    }
}

#[test]
fn a_change_that_crosses_the_answer_is_answered_all_the_same() {
    let (mut desk, call) = early(unanchored(), &["sip:b1@x"]);
    reoffered(&mut desk, call, 0, "a2");
    desk.answered(call, 1, Some("b"));
    desk.since();
    desk.reaccepted(call, 1, "yes");
    assert_eq!(desk.since(), ["reanswer 0 yes"]);
}

#[test]
fn whoever_is_called_next_is_offered_what_the_caller_changed_to() {
    let forwards = Forwards { unreachable: Some(Address::from("sip:c@x")), ..Forwards::default() };
    let mut desk = Desk::new(unanchored());
    let call = desk.incoming(Some("a"));
    desk.found(call, vec![target("sip:b1@x")], Some(forwards));
    desk.progress(call, 1, 183, Some("b"));
    reoffered(&mut desk, call, 0, "a2");
    desk.reaccepted(call, 1, "yes");
    desk.ended(call, 1, Cause::from_status(480, ""));
    desk.since();
    desk.located(call, &["sip:c@x"]);
    assert_eq!(desk.since(), ["dial 2 sip:c@x a2"]);
}

#[test]
fn a_caller_without_an_offer_may_answer_ours_before_the_call_is_answered() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming_with(|incoming| (incoming.offer, incoming.answers_early) = (None, true));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    desk.progress(call, 1, 183, Some("b"));
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer", "ring 183 our-offer"]);
    desk.media.clear();
    confirmed(&mut desk, call, 0, Some("a"));
    assert_eq!(media(&mut desk), ["Of(Caller) 0 agrees a"]);
    desk.answered(call, 1, Some("b"));
    desk.since();
    confirmed(&mut desk, call, 0, None);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking, "its acknowledgement owes nothing");
    assert_eq!(desk.board.call(call).unwrap().leg(LegId(0)).unwrap().state, machine::LegState::Up);
}

#[test]
fn the_answer_to_the_call_waits_for_that_to_our_offer() {
    for limits in [Limits::default(), unanchored()] {
        let mut desk = Desk::new(limits);
        let call = desk.incoming_with(|incoming| (incoming.offer, incoming.answers_early) = (None, true));
        desk.located(call, &["sip:b1@x"]);
        desk.progress(call, 1, 183, Some("b"));
        desk.answered(call, 1, None);
        assert!(!desk.since().iter().any(|said| said.starts_with("answer")));
        confirmed(&mut desk, call, 0, Some("a"));
        assert!(desk.since().iter().any(|said| said.starts_with("answer 0")));
    }
}

#[test]
fn past_us_the_callers_answer_goes_to_whoever_made_the_offer_before_the_answer() {
    let mut desk = Desk::new(unanchored());
    let call = desk.incoming_with(|incoming| (incoming.offer, incoming.answers_early) = (None, true));
    desk.located(call, &["sip:b1@x"]);
    assert!(desk.ops.iter().any(|op| matches!(op, Op::Dial { dial, .. } if dial.answers_early)));
    desk.since();
    desk.progress(call, 1, 183, Some("b-offer"));
    assert_eq!(desk.since(), ["ring 183 b-offer"]);
    confirmed(&mut desk, call, 0, Some("a-answer"));
    assert_eq!(desk.since(), ["confirm 1 a-answer"]);
    desk.answered(call, 1, None);
    assert_eq!(desk.since()[..2], ["confirm 1", "answer 0 b-offer"]);
    confirmed(&mut desk, call, 0, None);
    assert_eq!(desk.event_names().last().map(String::as_str), Some("bridged"));
}

#[test]
fn of_several_that_are_called_none_makes_an_offer_before_it_answers() {
    for phones in [&["sip:b1@x", "sip:b2@x"][..], &["sip:b1@x"]] {
        let mut desk = Desk::new(unanchored());
        let can = phones.len() > 1;
        let call = desk.incoming_with(|incoming| (incoming.offer, incoming.answers_early) = (None, can));
        desk.located(call, phones);
        assert!(desk.ops.iter().all(|op| !matches!(op, Op::Dial { dial, .. } if dial.answers_early)));
    }
}
