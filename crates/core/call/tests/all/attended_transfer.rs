//! One party of a call is connected with one party of another, at an application's wish.

use crate::support::*;

use hookswitch_call::*;

fn join(
    desk: &mut Desk,
    (call, party): (CallId, Party),
    (other, other_party): (CallId, Party),
) -> Result<Ticket, Refused> {
    let (call, other) = (CallRef::Id(call), CallRef::Id(other));
    desk.submit(Command::Join { call, party, other, other_party, to: None, by: None })
}

/// The caller of the first call with the callee of the second.
fn usual(desk: &mut Desk, a: CallId, b: CallId) -> Ticket {
    join(desk, (a, Party::Caller), (b, Party::Callee)).expect("accepted")
}

fn failure(desk: &mut Desk) -> Failure {
    let mut results = desk.results();
    assert_eq!(results.len(), 1, "one outcome");
    results.remove(0).expect_err("it fails")
}

fn state(desk: &Desk, call: CallId) -> Option<machine::State> {
    desk.board.call(call).map(|call| call.state)
}

#[test]
fn the_leg_of_the_other_call_comes_here_and_the_rest_is_let_go() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    let ticket = usual(&mut desk, a, b);
    assert_eq!(desk.since(), ["spare seat for Callee", "reoffer 1 our-offer"]);
    desk.media.clear();
    desk.reaccepted(b, 1, "z");
    assert_eq!(
        desk.since(),
        [
            format!("move 1 to {a} 2").as_str(),
            "hangup 0 200 OK",
            "swap",
            "Caller hears Peer",
            "Callee hears Peer",
            "hangup 1 200 OK",
            "spare seat closed"
        ]
    );
    let accept = MediaOp::Accept { call: a, seat: Seat::Spare, leg: LegId(2), sdp: Sdp::from("z") };
    assert_eq!(desk.media[0], accept, "the answer belongs to this call's channel");
    assert_eq!(desk.outcomes, [Outcome { ticket, result: Ok(()) }]);
    let of_a: Vec<Told> = desk.events.iter().filter(|told| told.call == a).cloned().collect();
    assert!(of_a.iter().all(|told| told.owner == Some(ticket)), "{of_a:?}");
    let names: Vec<String> = of_a.iter().map(|told| event_text(&told.event)).collect();
    let name = format!("b-{b}-1");
    let started = format!("transfer started {name}");
    assert_eq!(names, ["transferring Caller", started.as_str(), "Callee replaced 2 sip:b1@x", "transferred"]);
    assert_eq!(desk.board.by_wire(&name), Some(a), "found here by the name it has always had");

    // The second call ends with its last leg, and takes nothing along.
    desk.ended(b, 0, Cause::hangup());
    assert!(desk.board.call(b).is_none());
    assert_eq!(desk.board.by_wire(&name), Some(a));
    desk.ended(a, 1, Cause::hangup());
    desk.since();
    // What the leg does from now on, it does here.
    desk.ended(a, 2, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    desk.ended(a, 0, Cause::hangup());
    assert_eq!((desk.board.live(), desk.board.poll_timeout()), (0, None));
}

#[test]
fn a_phone_that_holds_whoever_it_talks_to_holds_whom_it_is_joined_with() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    let direction = |call, leg, listens| {
        let (party, leg) = (Party::Callee, LegId(leg));
        MediaReport::Direction { call, party, leg, sends: listens, listens }
    };
    desk.board.tell_media(desk.now, direction(b, 1, false));
    desk.drain();
    usual(&mut desk, a, b);
    desk.reaccepted(b, 1, "z");
    let said = desk.since();
    assert_eq!(said[said.len() - 2..], ["Caller hears Hold", "Callee hears Silence"]);
    let held = |desk: &Desk| {
        let of_a = desk.events.iter().filter(|told| told.call == a);
        of_a.map(|told| told.event.clone()).filter(|event| matches!(event, Event::HeldBy { .. })).collect::<Vec<_>>()
    };
    assert_eq!(held(&desk), [Event::HeldBy { party: Party::Callee, hold: true }]);
    desk.board.tell_media(desk.now, direction(a, 2, true));
    desk.drain();
    assert_eq!(held(&desk)[1..], [Event::HeldBy { party: Party::Callee, hold: false }]);
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
}

#[test]
fn any_end_may_be_joined_with_any_end() {
    for (party, other_party) in [
        (Party::Caller, Party::Caller),
        (Party::Caller, Party::Callee),
        (Party::Callee, Party::Caller),
        (Party::Callee, Party::Callee),
    ] {
        let mut desk = Desk::new(Limits::default());
        let (a, b) = desk.two_calls();
        join(&mut desk, (a, party), (b, other_party)).unwrap();
        let (leg, gone) = if other_party == Party::Caller { (0, 1) } else { (1, 0) };
        desk.reaccepted(b, leg, "z");
        assert_eq!(desk.results(), [Ok(())]);
        desk.ended(b, gone, Cause::hangup());
        let record = desk.board.call(a).unwrap();
        assert_eq!(record.leg(LegId(2)).map(|leg| (leg.party, leg.spare)), Some((party.other(), false)));
        assert_eq!(desk.board.live(), 1);
    }
}

#[test]
fn a_refusal_leaves_both_calls_as_they_were() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    usual(&mut desk, a, b);
    desk.since();
    desk.refused(b, 1, 488);
    assert_eq!(desk.since(), ["spare seat closed"]);
    assert_eq!(failure(&mut desk).cause.code, 488);
    usual(&mut desk, a, b);
    desk.reaccepted(b, 1, "z");
    assert_eq!(desk.results(), [Ok(())], "tried again");
}

#[test]
fn a_party_that_has_taken_the_offer_too_late_gets_its_own_session_again() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    usual(&mut desk, a, b);
    desk.pass(sec(36));
    assert_eq!(failure(&mut desk).cause.code, 408);
    desk.since();
    desk.media.clear();
    desk.reaccepted(b, 1, "z");
    assert_eq!(desk.since(), ["reoffer 1 our-offer"]);
    assert!(!desk.media.iter().any(|op| matches!(op, MediaOp::Accept { .. })), "an answer to somebody else's offer");
    desk.reaccepted(b, 1, "b");
    assert!(desk.media.contains(&MediaOp::Accept {
        call: b,
        seat: Party::Callee.into(),
        leg: LegId(1),
        sdp: Sdp::from("b")
    }));
    assert_eq!(state(&desk, b), Some(machine::State::Talking));
}

#[test]
fn without_an_offer_of_ours_the_other_call_never_notices() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    desk.silent_media = true;
    usual(&mut desk, a, b);
    desk.since();
    let cause = Cause::new(Kind::Overloaded, Fault::Server);
    desk.tell_media(MediaReport::Refused { call: a, seat: Seat::Spare, leg: LegId(2), cause });
    assert_eq!(desk.since(), ["spare seat closed"]);
    assert_eq!(failure(&mut desk).cause.code, 503);
    desk.silent_media = false;
    usual(&mut desk, b, a);
}

#[test]
fn either_call_may_end_meanwhile() {
    // (call, leg): who hangs up; whether the other call goes on.
    for (first, leg) in [(true, 0), (false, 1)] {
        let mut desk = Desk::new(Limits::default());
        let (a, b) = desk.two_calls();
        usual(&mut desk, a, b);
        let (ends, stays) = if first { (a, b) } else { (b, a) };
        desk.ended(ends, leg, Cause::hangup());
        assert_eq!(failure(&mut desk).cause.code, 487);
        assert_eq!(state(&desk, stays), Some(machine::State::Talking));
        desk.since();
        desk.reaccepted(b, 1, "z");
        let expected: &[&str] = if first { &["reoffer 1 our-offer"] } else { &[] };
        assert_eq!(desk.since(), expected);
        desk.pass(sec(60));
        assert!(desk.board.call(ends).is_none());
        assert!(desk.hold(stays, true, Some(Party::Caller)).is_ok(), "nothing is left of it");
    }
}

#[test]
fn whoever_is_let_go_may_go_before_that() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    usual(&mut desk, a, b);
    desk.since();
    desk.ended(a, 1, Cause::hangup());
    desk.ended(b, 0, Cause::hangup());
    assert_eq!(desk.since(), ["Callee hears Silence", "Caller hears Silence"], "its port may serve another call now");
    assert!(desk.outcomes.is_empty());
    desk.reaccepted(b, 1, "z");
    assert_eq!(desk.results(), [Ok(())]);
    assert_eq!(desk.board.live(), 1);
}

#[test]
fn with_nobody_to_return_to_a_refusal_ends_both_calls() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    usual(&mut desk, a, b);
    desk.ended(a, 1, Cause::hangup());
    desk.ended(b, 0, Cause::hangup());
    desk.since();
    desk.refused(b, 1, 488);
    assert_eq!(failure(&mut desk).cause.code, 488);
    assert_eq!(
        desk.since(),
        ["hangup 1 488 Not Acceptable Here", "spare seat closed", "hangup 0 488 Not Acceptable Here"]
    );
}

#[test]
fn the_two_calls_must_be_two_and_answered_and_idle() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    assert!(matches!(join(&mut desk, (a, Party::Caller), (a, Party::Callee)), Err(Refused::Unsupported(_))));
    assert_eq!(join(&mut desk, (CallId(77), Party::Caller), (b, Party::Callee)), Err(Refused::NoSuchCall));
    let ticket = join(&mut desk, (a, Party::Caller), (CallId(77), Party::Callee)).unwrap();
    let outcome = desk.outcomes.remove(0);
    assert_eq!(outcome.ticket, ticket);
    assert_eq!(outcome.result.unwrap_err().cause.to_string(), "404 Transfer dialog not found");
    let ringing = desk.incoming(Some("c"));
    assert_eq!(join(&mut desk, (a, Party::Caller), (ringing, Party::Callee)), Err(Refused::NotAnswered));
    usual(&mut desk, a, b);
    assert!(matches!(join(&mut desk, (b, Party::Caller), (a, Party::Callee)), Err(Refused::Pending(_))), "crossing");
    assert!(matches!(join(&mut desk, (a, Party::Caller), (b, Party::Callee)), Err(Refused::Pending(_))), "twice");
    let c = desk.talking();
    assert!(matches!(join(&mut desk, (c, Party::Caller), (b, Party::Callee)), Err(Refused::Pending(_))), "taken");
}

#[test]
fn joins_may_follow_one_another() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    let c = desk.talking();
    usual(&mut desk, a, b);
    desk.reaccepted(b, 1, "z");
    desk.ended(b, 0, Cause::hangup());
    desk.ended(a, 1, Cause::hangup());
    // The leg that came from the second call goes on to the third.
    desk.since();
    usual(&mut desk, c, a);
    assert_eq!(desk.since(), ["spare seat for Callee", "reoffer 2 our-offer"]);
    desk.reaccepted(a, 2, "z");
    assert_eq!(desk.since()[0], format!("move 2 to {c} 2"));
    assert_eq!(desk.results(), [Ok(()), Ok(())]);
    desk.ended(a, 0, Cause::hangup());
    desk.ended(c, 1, Cause::hangup());
    assert_eq!(desk.board.by_wire(&format!("b-{b}-1")), Some(c));
    desk.ended(c, 2, Cause::hangup());
    desk.ended(c, 0, Cause::hangup());
    assert_eq!((desk.board.live(), desk.board.poll_timeout()), (0, None));
}

#[test]
fn a_leg_that_is_just_changing_its_session_is_offered_ours_when_that_is_over() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    desk.tell(Report::Reoffered { call: b, leg: LegId(1), sdp: None });
    desk.since();
    usual(&mut desk, a, b);
    assert_eq!(desk.since(), ["spare seat for Callee"]);
    desk.tell(Report::Confirmed { call: b, leg: LegId(1), sdp: Some(Sdp::from("b2")) });
    assert_eq!(desk.since(), ["reoffer 1 our-offer"]);
    desk.reaccepted(b, 1, "z");
    assert_eq!(desk.results(), [Ok(())]);
}

#[test]
fn a_service_is_not_joined() {
    let mut desk = Desk::new(Limits::default());
    let a = desk.talking();
    let b = desk.incoming(Some("c"));
    desk.tell(Report::Located { call: b, found: Found::Service(Service::Echo), codecs: None, forwards: None });
    assert!(matches!(join(&mut desk, (a, Party::Caller), (b, Party::Callee)), Err(Refused::Unsupported(_))));
    usual(&mut desk, b, a);
    desk.reaccepted(a, 1, "z");
    assert_eq!(desk.results(), [Ok(())], "but somebody may take its place");
}

/// Two calls whose transfer the other party has accepted, while the media engine looks at its answer.
fn accepted_unseen(desk: &mut Desk) -> (CallId, CallId) {
    let (a, b) = desk.two_calls();
    usual(desk, a, b);
    desk.silent_media = true;
    desk.since();
    desk.media.clear();
    desk.reaccepted(b, 1, "z");
    assert_eq!(desk.since(), [""; 0], "nobody changes places yet");
    let (call, seat, leg) = (a, Seat::Spare, LegId(2));
    let accept = MediaOp::Accept { call, seat, leg, sdp: Sdp::from("z") };
    assert_eq!(desk.media, [accept, MediaOp::MakeOffer { call, seat, leg, near: None }]);
    desk.media.clear();
    (a, b)
}

fn answer_is_refused(desk: &mut Desk, a: CallId) {
    let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
    desk.tell_media(MediaReport::Refused { call: a, seat: Seat::Spare, leg: LegId(2), cause });
}

/// The leg of the other call is offered its own session again, and takes it.
fn gets_its_own_session(desk: &mut Desk, b: CallId) {
    let (call, seat, leg) = (b, Party::Callee.into(), LegId(1));
    let described = MediaOp::MakeOffer { call, seat, leg, near: None };
    assert_eq!(desk.media.iter().filter(|op| **op == described).count(), 1);
    desk.tell_media(MediaReport::Local { call, seat, leg, sdp: Sdp::from("own") });
    assert_eq!(desk.since(), ["reoffer 1 own"]);
    desk.media.clear();
    desk.reaccepted(b, 1, "b");
    assert_eq!(desk.media, [MediaOp::Accept { call, seat, leg, sdp: Sdp::from("b") }]);
}

#[test]
fn an_answer_that_cannot_be_used_leaves_both_calls_as_they_were() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = accepted_unseen(&mut desk);
    desk.events.clear();
    answer_is_refused(&mut desk, a);
    assert_eq!(desk.since(), ["spare seat closed"]);
    let failed = failure(&mut desk);
    assert_eq!((failed.stage, failed.cause.code), (Stage::Callee, 488));
    gets_its_own_session(&mut desk, b);
    assert!(desk.events.is_empty(), "{:?}", desk.events);
    for call in [a, b] {
        let record = desk.board.call(call).unwrap();
        assert_eq!(record.state, machine::State::Talking);
        assert!(record.legs[..2].iter().all(|leg| leg.state == machine::LegState::Up && !leg.spare));
    }
    assert_eq!(desk.board.by_wire(&format!("b-{b}-1")), Some(b));
    desk.silent_media = false;
    desk.outcomes.clear();
    usual(&mut desk, a, b);
    desk.reaccepted(b, 1, "z");
    assert_eq!(desk.results(), [Ok(())], "tried again");
}

#[test]
fn holds_are_as_they_were_after_an_answer_that_cannot_be_used() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    desk.presses_hold(a, Party::Callee, true);
    desk.presses_hold(b, Party::Callee, true);
    desk.hold(b, true, Some(Party::Callee)).unwrap();
    desk.reaccepted(b, 1, "b-held");
    usual(&mut desk, a, b);
    desk.silent_media = true;
    desk.reaccepted(b, 1, "z");
    desk.since();
    desk.media.clear();
    answer_is_refused(&mut desk, a);
    assert_eq!(desk.since(), ["spare seat closed"], "nobody hears anything else");
    gets_its_own_session(&mut desk, b);
    assert!(desk.board.call(b).unwrap().is_held(Party::Callee));
    desk.presses_hold(a, Party::Callee, false);
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
}

#[test]
fn whoever_goes_while_its_answer_is_looked_at_is_not_waited_for() {
    // (call, leg): who hangs up; who is left.
    for (first, leg) in [(true, 0), (false, 1)] {
        let mut desk = Desk::new(Limits::default());
        let (a, b) = accepted_unseen(&mut desk);
        let (ends, stays) = if first { (a, b) } else { (b, a) };
        desk.ended(ends, leg, Cause::hangup());
        assert_eq!(failure(&mut desk).cause.code, 487);
        assert_eq!(state(&desk, stays), Some(machine::State::Talking));
        desk.since();
        if first {
            gets_its_own_session(&mut desk, b);
        }
        desk.tell_media(MediaReport::Local { call: a, seat: Seat::Spare, leg: LegId(2), sdp: Sdp::from("s") });
        assert_eq!(desk.since(), [""; 0], "too late");
    }
}

#[test]
fn with_nobody_to_return_to_an_answer_that_cannot_be_used_ends_both_calls() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = accepted_unseen(&mut desk);
    desk.ended(a, 1, Cause::hangup());
    desk.ended(b, 0, Cause::hangup());
    desk.since();
    answer_is_refused(&mut desk, a);
    assert_eq!(failure(&mut desk).cause.code, 488);
    let mut said = desk.since();
    said.sort_unstable();
    assert_eq!(said, ["hangup 0 488 Not Acceptable Here", "hangup 1 200 OK", "spare seat closed"]);
}

/// It goes on sending to a port that nobody has (RFC 3261 section 14.1), so that its call cannot go on.
#[test]
fn a_party_that_refuses_to_come_back_from_the_other_call_ends_its_own() {
    let gone = ["hangup 0 488 Not Acceptable Here", "hangup 1 488 Not Acceptable Here"];
    // It has accepted in time.
    let mut desk = Desk::new(Limits::default());
    let (a, b) = accepted_unseen(&mut desk);
    desk.silent_media = false;
    desk.ended(a, 0, Cause::hangup());
    desk.since();
    desk.refused(b, 1, 488);
    assert_eq!(desk.since(), gone);
    // It has accepted what nobody waited for any more.
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    usual(&mut desk, a, b);
    desk.ended(a, 0, Cause::hangup());
    desk.since();
    desk.reaccepted(b, 1, "z");
    assert_eq!(desk.since(), ["reoffer 1 our-offer"]);
    desk.refused(b, 1, 488);
    assert_eq!(desk.since(), gone);
}

#[test]
fn a_party_that_refuses_to_come_back_and_was_to_be_held_meanwhile_fails_both() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = accepted_unseen(&mut desk);
    desk.silent_media = false;
    desk.ended(a, 0, Cause::hangup());
    desk.outcomes.clear();
    desk.hold(b, true, Some(Party::Callee)).expect("nothing else is being done");
    desk.since();
    desk.refused(b, 1, 488);
    assert_eq!(desk.since(), ["Callee on hold", "reoffer 1 our-offer"], "it is asked once more, for the hold");
    desk.refused(b, 1, 488);
    assert_eq!(failure(&mut desk).cause.code, 488);
    assert!(desk.since().contains(&"hangup 1 488 Not Acceptable Here".to_owned()));
}

#[test]
fn a_party_that_has_been_back_may_refuse_what_it_is_offered() {
    // What brings it back: our offer, or a change of its own.
    for theirs in [false, true] {
        let mut desk = Desk::new(Limits::default());
        let (a, b) = accepted_unseen(&mut desk);
        desk.silent_media = false;
        desk.ended(a, 0, Cause::hangup());
        if theirs {
            desk.tell(Report::Reoffered { call: b, leg: LegId(1), sdp: Some(Sdp::from("b2")) });
            desk.refused(b, 1, 487);
        } else {
            desk.reaccepted(b, 1, "b");
            desk.hold(b, true, Some(Party::Callee)).expect("nothing else is being done");
        }
        desk.since();
        desk.refused(b, 1, 488);
        assert_eq!(state(&desk, b), Some(machine::State::Talking), "{theirs}");
        assert!(!desk.since().iter().any(|op| op.starts_with("hangup")));
    }
}

#[test]
fn a_media_engine_that_says_nothing_of_the_answer_does_not_keep_the_calls_for_ever() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = accepted_unseen(&mut desk);
    desk.pass(Limits::default().setup_time);
    assert_eq!(failure(&mut desk).cause.to_string(), "500 Setup Timeout");
    assert_eq!(desk.since(), ["spare seat closed"]);
    gets_its_own_session(&mut desk, b);
    assert_eq!(state(&desk, a), Some(machine::State::Talking));
}

#[test]
fn a_change_of_a_party_waits_until_its_answer_has_been_looked_at() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = accepted_unseen(&mut desk);
    desk.tell(Report::Reoffered { call: b, leg: LegId(1), sdp: Some(Sdp::from("b2")) });
    let refused = desk.ops.iter().any(|op| matches!(op, Op::Reanswer { sdp: Err(cause), .. } if cause.code == 491));
    assert!(refused, "{:?}", desk.ops);
    desk.since();
    desk.tell_media(MediaReport::Local { call: a, seat: Seat::Spare, leg: LegId(2), sdp: Sdp::from("s") });
    assert_eq!(desk.since()[0], format!("move 1 to {a} 2"));
    assert_eq!(desk.results(), [Ok(())]);
}
