//! Somebody calls in to take the place of a leg (RFC 3891): a pickup, or the end of a transfer that
//! phones make among themselves.

use crate::support::*;

use hookswitch_call::*;

fn calls_in(desk: &mut Desk, (call, leg): (CallId, u16), early_only: bool, offer: Option<&str>) {
    let (from, to) = (Address::from("sip:dave@x"), Address::from("sip:bob@x"));
    let replaces = Some(Replaces { call, leg: LegId(leg), early_only });
    let incoming = Incoming::new(Handle(9), "d-1@phone".into(), from, to, offer.map(Sdp::from));
    desk.tell(Report::Incoming(Box::new(Incoming { replaces, ..incoming })));
}

#[test]
fn a_leg_on_the_line_gives_way() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    calls_in(&mut desk, (call, 1), false, Some("d"));
    assert_eq!(
        desk.since(),
        [
            "adopt 2",
            "spare seat for Callee",
            "answer 2 our-answer",
            "swap",
            "Caller hears Peer",
            "Callee hears Peer",
            "hangup 1 200 OK",
            "spare seat closed"
        ]
    );
    assert!(desk.media.contains(&MediaOp::Offered { call, seat: Seat::Spare, sdp: Sdp::from("d") }));
    assert_eq!(desk.event_names(), ["Callee replaced 2 sip:dave@x"]);
    assert_eq!(desk.board.by_wire("d-1@phone"), Some(call));
    desk.tell(Report::Confirmed { call, leg: LegId(2), sdp: None });
    desk.ended(call, 1, Cause::hangup());
    desk.ended(call, 2, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    desk.ended(call, 0, Cause::hangup());
    assert_eq!((desk.board.live(), desk.board.poll_timeout()), (0, None));
}

#[test]
fn a_newcomer_without_offer_gets_ours_and_answers_in_its_acknowledgement() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    calls_in(&mut desk, (call, 0), false, None);
    assert!(desk.since().contains(&"answer 2 our-offer".to_owned()));
    desk.tell(Report::Confirmed { call, leg: LegId(2), sdp: Some(Sdp::from("d")) });
    let accept = MediaOp::Accept { call, seat: Party::Caller.into(), leg: LegId(2), sdp: Sdp::from("d") };
    assert_eq!(desk.media.last(), Some(&accept));
}

#[test]
fn a_ringing_phone_is_picked_up() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.progress(call, 1, 180, None);
    desk.since();
    calls_in(&mut desk, (call, 1), true, Some("d"));
    assert_eq!(
        desk.since(),
        [
            "adopt 3",
            "spare seat for Callee",
            "answer 3 our-answer",
            "hangup 1 200 Call completed elsewhere",
            "hangup 2 200 Call completed elsewhere",
            "swap",
            "spare seat closed",
            "answer 0 our-answer",
            "Caller hears Peer",
            "Callee hears Peer"
        ]
    );
    desk.ended(call, 1, Cause::from_status(487, ""));
    desk.ended(call, 2, Cause::from_status(487, ""));
    let events = desk.event_names();
    assert!(events.contains(&"Callee replaced 3 sip:dave@x".to_owned()), "{events:?}");
    assert!(events.contains(&"bridged".to_owned()), "{events:?}");
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
    assert!(desk.hold(call, true, Some(Party::Callee)).is_ok());
}

#[test]
fn the_phones_of_a_call_that_an_application_starts_can_be_picked_up() {
    let mut desk = Desk::new(Limits::default());
    let ticket = desk.start();
    let call = desk.board.calls().next().expect("one call").id;
    desk.located(call, &["sip:a1@x"]);
    calls_in(&mut desk, (call, 0), true, Some("d"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    // The picked up caller's leg has not acknowledged yet, the callee rings.
    calls_in(&mut desk, (call, 2), true, Some("e"));
    assert_eq!(desk.outcomes, [Outcome { ticket, result: Ok(()) }]);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn only_what_may_be_replaced_is() {
    let mut desk = Desk::new(Limits::default());
    let refused = |desk: &mut Desk, leg: (CallId, u16), early_only| {
        desk.since();
        calls_in(desk, leg, early_only, Some("d"));
        let said = desk.since();
        assert_eq!(said.len(), 1, "{said:?}");
        said.into_iter().next().unwrap()
    };
    assert_eq!(refused(&mut desk, (CallId(77), 0), false), "refuse 481 Call/Transaction Does Not Exist");
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    assert_eq!(refused(&mut desk, (call, 0), false), "refuse 481 Call/Transaction Does Not Exist", "its own early leg");
    assert_eq!(refused(&mut desk, (call, 7), false), "refuse 481 Call/Transaction Does Not Exist");
    desk.answered(call, 1, Some("b"));
    assert_eq!(refused(&mut desk, (call, 1), true), "refuse 486 Busy Here", "too late for a pickup");
    desk.hold(call, true, Some(Party::Callee)).unwrap();
    assert_eq!(refused(&mut desk, (call, 1), false), "refuse 491 Request Pending");
    desk.reaccepted(call, 1, "b");
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(refused(&mut desk, (call, 1), false), "refuse 603 Decline");
    let mut desk = Desk::new(Limits { anchor: false, ..Limits::default() });
    let call = desk.talking();
    assert_eq!(refused(&mut desk, (call, 1), false), "refuse 501 Not Implemented");
}

#[test]
fn a_newcomer_without_a_common_codec_changes_nothing() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.silent_media = true;
    calls_in(&mut desk, (call, 1), false, Some("nonsense"));
    desk.since();
    let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
    desk.tell_media(MediaReport::Refused { call, seat: Seat::Spare, leg: LegId(2), cause });
    assert_eq!(desk.since(), ["hangup 2 488 Not Acceptable Here", "spare seat closed"]);
    desk.ended(call, 2, Cause::hangup());
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn a_newcomer_may_give_up_and_may_not_wait_for_ever() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.silent_media = true;
    calls_in(&mut desk, (call, 1), false, Some("d"));
    desk.since();
    desk.ended(call, 2, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(desk.since(), ["spare seat closed"]);
    calls_in(&mut desk, (call, 1), false, Some("d"));
    desk.since();
    desk.pass(sec(11));
    assert_eq!(desk.since(), ["hangup 3 500 Setup Timeout", "spare seat closed"]);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn whoever_answers_first_has_the_call() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.silent_media = true;
    calls_in(&mut desk, (call, 1), true, Some("d"));
    desk.answered(call, 1, Some("b"));
    let local = |leg| MediaReport::Local { call, seat: Seat::Spare, leg: LegId(leg), sdp: Sdp::from("ours") };
    desk.tell_media(local(0));
    desk.since();
    desk.tell_media(local(2));
    assert_eq!(desk.since(), ["hangup 2 603 Decline", "spare seat closed"], "it wanted a ringing phone");
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn a_newcomer_is_described_as_it_sees_us() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let near = Some("192.0.2.7".parse().unwrap());
    let (from, to) = (Address::from("sip:dave@x"), Address::from("sip:bob@x"));
    let incoming = Incoming::new(Handle(9), "d-1@phone".into(), from, to, Some(Sdp::from("d")));
    let replaces = Some(Replaces { call, leg: LegId(1), early_only: false });
    desk.tell(Report::Incoming(Box::new(Incoming { replaces, near, ..incoming })));
    assert!(desk.media.contains(&MediaOp::OpenSpare { call, party: Party::Callee, near }));
}
