//! The media engine that carried a call is gone: another one does, and both parties are told where to send.

use crate::support::*;

use hookswitch_call::*;

fn moves(desk: &mut Desk, call: CallId) {
    desk.tell_media(MediaReport::Moved { call, result: Ok(()) });
}

#[test]
fn both_parties_of_an_answered_call_are_offered_their_sessions_anew() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.media.clear();
    moves(&mut desk, call);
    assert_eq!(desk.since(), ["reoffer 0 our-offer", "reoffer 1 our-offer"]);
    desk.reaccepted(call, 0, "a2");
    desk.reaccepted(call, 1, "b2");
    let accepts: Vec<_> = desk.media.iter().filter(|op| matches!(op, MediaOp::Accept { .. })).cloned().collect();
    let accept =
        |party: Party, leg, sdp| MediaOp::Accept { call, seat: party.into(), leg: LegId(leg), sdp: Sdp::from(sdp) };
    assert_eq!(accepts, [accept(Party::Caller, 0, "a2"), accept(Party::Callee, 1, "b2")]);
    assert!(desk.since().is_empty() && desk.event_names().is_empty(), "nobody else notices");
}

#[test]
fn a_party_that_refuses_keeps_its_session_and_the_other_one_is_told_all_the_same() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    moves(&mut desk, call);
    desk.since();
    desk.refused(call, 0, 488);
    desk.reaccepted(call, 1, "b2");
    assert!(desk.since().is_empty(), "it is not asked again, and nobody hangs up");
}

#[test]
fn who_is_moved_again_while_it_is_asked_is_asked_again_behind_that() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    moves(&mut desk, call);
    desk.since();
    moves(&mut desk, call);
    assert!(desk.since().is_empty());
    desk.reaccepted(call, 1, "b2");
    assert_eq!(desk.since(), ["reoffer 1 our-offer"]);
    // The first was refused, and what is asked now leads elsewhere.
    desk.refused(call, 0, 488);
    assert_eq!(desk.since(), ["reoffer 0 our-offer"]);
}

#[test]
fn a_party_on_its_way_to_hold_is_told_behind_that_and_stays_on_hold() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, Some(Party::Callee)).unwrap();
    assert_eq!(desk.since(), ["Callee on hold", "reoffer 1 our-offer"]);
    moves(&mut desk, call);
    assert_eq!(desk.since(), ["reoffer 0 our-offer"]);
    desk.reaccepted(call, 1, "held");
    assert!(desk.since().contains(&"reoffer 1 our-offer".to_owned()));
    assert_eq!(desk.results(), [Ok(())]);
    desk.reaccepted(call, 1, "held-2");
    assert!(desk.since().is_empty(), "it was not taken off hold");
    assert!(desk.board.call(call).unwrap().is_held(Party::Callee));
}

#[test]
fn a_change_of_the_party_s_own_is_answered_before_it_is_told() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.silent_media = true;
    desk.tell(Report::Reoffered { call, leg: LegId(1), sdp: Some(Sdp::from("b2")) });
    moves(&mut desk, call);
    assert!(desk.since().is_empty(), "one waits for the engine, and so does our offer to the other");
    let local =
        |seat: Party, leg, sdp| MediaReport::Local { call, seat: seat.into(), leg: LegId(leg), sdp: Sdp::from(sdp) };
    desk.tell_media(local(Party::Callee, 1, "answer"));
    assert_eq!(desk.since(), ["reanswer 1 answer"]);
    desk.tell_media(local(Party::Callee, 1, "offer"));
    desk.tell_media(local(Party::Caller, 0, "offer"));
    assert_eq!(desk.since(), ["reoffer 1 offer", "reoffer 0 offer"]);
}

#[test]
fn before_the_answer_nobody_can_be_told_and_behind_it_both_are() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    moves(&mut desk, call);
    desk.located(call, &["sip:b1@x"]);
    moves(&mut desk, call);
    desk.progress(call, 1, 180, None);
    desk.since();
    desk.answered(call, 1, Some("b"));
    let said = desk.since();
    assert_eq!(said.last().map(String::as_str), Some("reoffer 1 our-offer"), "{said:?}");
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    assert_eq!(desk.since(), ["reoffer 0 our-offer"], "not before it has acknowledged our answer");
}

#[test]
fn a_leg_that_another_call_has_borrowed_is_let_alone() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    let (call, other) = (CallRef::Id(a), CallRef::Id(b));
    desk.submit(Command::Join { call, party: Party::Caller, other, other_party: Party::Callee, to: None, by: None })
        .unwrap();
    desk.since();
    // Leg 1 of the second call has been sent the first one's offer.
    moves(&mut desk, b);
    assert_eq!(desk.since(), ["reoffer 0 our-offer"]);
    desk.refused(b, 1, 488);
    assert!(desk.since().contains(&"reoffer 1 our-offer".to_owned()), "it stays here after all");
}

#[test]
fn a_service_has_no_session_and_its_caller_is_told() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.tell(Report::Located { call, found: Found::Service(Service::Echo), codecs: None, forwards: None });
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    moves(&mut desk, call);
    assert_eq!(desk.since(), ["reoffer 0 our-offer"]);
}

#[test]
fn a_call_that_nobody_carries_any_more_ends_with_the_reason() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let cause = Cause::new(Kind::Overloaded, Fault::Server).with_text("No Media Node");
    desk.tell_media(MediaReport::Moved { call, result: Err(cause) });
    assert_eq!(desk.since(), ["hangup 0 503 No Media Node", "hangup 1 503 No Media Node"]);
    moves(&mut desk, call);
    assert!(desk.since().is_empty());
}
