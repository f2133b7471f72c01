//! What parties do at the worst moment, and what they would like to do to each other.

use crate::support::*;

use hookswitch_call::*;

fn incoming_as(desk: &mut Desk, wire_id: &str) -> CallId {
    let (from, to) = (Address::from("sip:mallory@x"), Address::from("sip:bob@x"));
    let incoming = Incoming::new(Handle(77), wire_id.into(), from, to, Some(Sdp::from("m")));
    desk.tell(Report::Incoming(Box::new(incoming)));
    desk.events.last().map(|told| told.call).expect("an incoming call is told")
}

fn talking(desk: &mut Desk) -> CallId {
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    call
}

fn refuse_media(desk: &mut Desk, call: CallId, party: Party, leg: u16) {
    let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
    desk.board.tell_media(desk.now, MediaReport::Refused { call, seat: party.into(), leg: LegId(leg), cause });
    desk.drain();
}

#[test]
fn nobody_can_take_the_name_of_a_running_call() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let own = desk.board.calls().next().expect("one call").id;
    let other = incoming_as(&mut desk, "first-leg");
    assert_ne!(own, other);
    assert_eq!(desk.board.by_wire("first-leg"), Some(own));
    desk.end(CallRef::Id(other)).expect("it runs");
    desk.ended(other, 0, Cause::hangup());
    assert_eq!(desk.board.by_wire("first-leg"), Some(own), "nor with its own end");
}

#[test]
fn a_caller_that_tries_again_under_the_same_name_is_found_while_its_first_call_ends() {
    let mut desk = Desk::new(Limits::default());
    let first = incoming_as(&mut desk, "again");
    desk.located(first, &["sip:b1@x"]);
    desk.ended(first, 0, Cause::new(Kind::Cancelled, Fault::Nobody));
    let second = incoming_as(&mut desk, "again");
    assert_eq!(desk.board.by_wire("again"), Some(second));
    desk.ended(first, 1, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(desk.board.by_wire("again"), Some(second));
}

#[test]
fn early_media_that_cannot_be_used_costs_the_branch_nothing() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.progress(call, 1, 183, Some("nonsense"));
    desk.since();
    refuse_media(&mut desk, call, Party::Callee, 1);
    assert_eq!(desk.since(), ["Caller hears Ringback", "Callee hears Silence"]);
    // Another branch may be heard now, and the first may still answer with something better.
    desk.progress(call, 2, 183, Some("music"));
    assert_eq!(desk.since()[..2], ["Caller hears Peer", "Callee hears Peer"]);
    desk.answered(call, 1, Some("b"));
    assert!(desk.since().contains(&"answer 0 our-answer".to_owned()));
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn an_answer_that_cannot_be_used_ends_the_call() {
    for third_party in [false, true] {
        let mut desk = Desk::new(Limits::default());
        let call = if third_party {
            desk.start();
            let call = desk.board.calls().next().expect("one call").id;
            desk.located(call, &["sip:a1@x"]);
            desk.answered(call, 0, Some("a"));
            call
        } else {
            desk.incoming(Some("a"))
        };
        desk.located(call, &["sip:b1@x"]);
        desk.silent_media = true;
        desk.answered(call, 1, Some("nonsense"));
        desk.since();
        refuse_media(&mut desk, call, Party::Callee, 1);
        assert_eq!(desk.since(), ["hangup 0 488 Not Acceptable Here", "hangup 1 488 Not Acceptable Here"]);
    }
}

#[test]
fn an_offer_that_cannot_be_made_fails_its_branch_only() {
    let mut desk = Desk::new(Limits::default());
    desk.silent_media = true;
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.since();
    refuse_media(&mut desk, call, Party::Callee, 1);
    assert_eq!(desk.since(), [""; 0]);
    refuse_media(&mut desk, call, Party::Callee, 2);
    assert_eq!(desk.since(), ["hangup 0 488 Not Acceptable Here"]);
}

#[test]
fn a_change_that_cannot_be_had_leaves_the_session_as_it_was() {
    let mut desk = Desk::new(Limits::default());
    let call = talking(&mut desk);
    desk.silent_media = true;
    desk.tell(Report::Reoffered { call, leg: LegId(1), sdp: Some(Sdp::from("nonsense")) });
    refuse_media(&mut desk, call, Party::Callee, 1);
    assert_eq!(desk.since(), ["reanswer 1 refused 488"]);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn a_late_offer_of_a_change_is_answered_in_the_acknowledgement() {
    let mut desk = Desk::new(Limits::default());
    let call = talking(&mut desk);
    desk.tell(Report::Reoffered { call, leg: LegId(0), sdp: None });
    assert_eq!(desk.since(), ["reanswer 0 our-offer"]);
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: Some(Sdp::from("a2")) });
    let accepted = desk.media.iter().any(|op| matches!(op, MediaOp::Accept { sdp, .. } if sdp.0.as_ref() == "a2"));
    assert!(accepted);
    desk.tell(Report::Reoffered { call, leg: LegId(0), sdp: None });
    desk.since();
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    assert_eq!(desk.since()[0], "hangup 0 488 Offer was never answered");
}

#[test]
fn a_change_on_top_of_one_that_is_still_described_is_refused_and_not_forgotten() {
    let mut desk = Desk::new(Limits::default());
    let call = talking(&mut desk);
    desk.silent_media = true;
    desk.tell(Report::Reoffered { call, leg: LegId(0), sdp: Some(Sdp::from("a2")) });
    // The party has cancelled that one, of which the core is told nothing.
    desk.tell(Report::Reoffered { call, leg: LegId(0), sdp: Some(Sdp::from("a3")) });
    assert_eq!(desk.since(), ["reanswer 0 refused 500"]);
}

#[test]
fn a_change_stands_for_a_lost_acknowledgement() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Reoffered { call, leg: LegId(0), sdp: Some(Sdp::from("a2")) });
    desk.since();
    desk.board.tell_media(desk.now, MediaReport::Silent { call, party: Party::Caller });
    desk.drain();
    assert_eq!(desk.since(), ["probe 0"], "it is on the line");
}

#[test]
fn without_anchoring_early_media_serves_for_an_answer_that_brings_none() {
    let mut desk = Desk::new(Limits { anchor: false, ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.progress(call, 1, 183, Some("b-early"));
    desk.since();
    desk.answered(call, 1, None);
    assert_eq!(desk.since(), ["confirm 1", "answer 0 b-early"]);
}

#[test]
fn an_answer_that_crosses_the_time_out_comes_too_late() {
    let mut desk = Desk::new(Limits { ring_time: sec(30), ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.pass(sec(31));
    desk.since();
    desk.answered(call, 1, Some("b"));
    assert_eq!(desk.since(), [""; 0], "the backend ends what it has already been told to end");
    desk.ended(call, 0, Cause::hangup());
    desk.ended(call, 1, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(desk.board.live(), 0);
    assert_eq!(desk.event_names().last().unwrap(), "ended 408");
}

#[test]
fn a_storm_of_calls_gives_its_memory_back() {
    let mut desk = Desk::new(Limits::default());
    let calls: Vec<CallId> = (0..5_000).map(|n| incoming_as(&mut desk, &format!("storm-{n}"))).collect();
    for call in calls {
        desk.ended(call, 0, Cause::new(Kind::Cancelled, Fault::Nobody));
    }
    assert_eq!(desk.board.live(), 0);
    assert!(desk.board.room_kept() <= 2_048, "{}", desk.board.room_kept());
}
