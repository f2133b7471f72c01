//! A party calls in and is connected with a user's phones.

use crate::support::*;

use hookswitch_call::*;

#[test]
fn first_branch_that_answers_wins_and_the_others_are_told() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a-offer"));
    assert_eq!(desk.since(), ["adopt 0", "locate sip:bob@x"]);
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    assert_eq!(desk.since(), ["dial 1 sip:b1@x our-offer", "dial 2 sip:b2@x our-offer"]);
    desk.progress(call, 1, 180, None);
    desk.progress(call, 2, 180, None);
    assert_eq!(desk.since(), ["ring 180"], "two phones ring as one");
    desk.answered(call, 2, Some("b-answer"));
    assert_eq!(
        desk.since(),
        [
            "hangup 1 200 Call completed elsewhere",
            "confirm 2",
            "answer 0 our-answer",
            "Caller hears Peer",
            "Callee hears Peer"
        ]
    );
    // The loser's end does not disturb the call.
    desk.ended(call, 1, Cause::from_status(487, ""));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 2 200 OK"]);
    desk.ended(call, 2, Cause::hangup());
    assert_eq!(desk.since(), ["media closed"]);
    assert_eq!(desk.board.live(), 0);
    assert_eq!(desk.board.poll_timeout(), None);
    assert_eq!(
        desk.event_names(),
        [
            "incoming",
            "connecting",
            "dialing Callee 1",
            "dialing Callee 2",
            "progress Callee 180",
            "progress Callee 180",
            "answered Callee",
            "bridged",
            "leg 1 ended 487",
            "leg 0 ended 200",
            "leg 2 ended 200",
            "ended 200"
        ]
    );
}

#[test]
fn busy_reaches_the_caller_with_its_own_words() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    desk.ended(call, 1, Cause::from_status(486, "On the phone"));
    assert_eq!(desk.since(), ["hangup 0 486 On the phone"]);
}

#[test]
fn a_fork_fails_only_with_its_last_branch_and_with_the_best_answer() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x", "sip:b3@x"]);
    desk.since();
    desk.ended(call, 1, Cause::new(Kind::NoAnswer, Fault::Peer));
    desk.ended(call, 2, Cause::from_status(486, ""));
    assert_eq!(desk.since(), [""; 0]);
    desk.ended(call, 3, Cause::new(Kind::Unreachable, Fault::Peer));
    assert_eq!(desk.since(), ["hangup 0 486 Busy Here"]);
}

#[test]
fn a_decline_ends_every_branch() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.since();
    desk.ended(call, 1, Cause::from_status(603, "Decline"));
    assert_eq!(desk.since(), ["hangup 0 603 Decline", "hangup 2 603 Decline"]);
}

#[test]
fn nobody_answers_in_the_time_to_ring() {
    let mut desk = Desk::new(Limits { ring_time: sec(30), ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    desk.pass(sec(29));
    assert_eq!(desk.since(), [""; 0]);
    desk.pass(sec(2));
    assert_eq!(desk.since(), ["hangup 0 408 Request Timeout", "hangup 1 408 Request Timeout"]);
    desk.ended(call, 0, Cause::hangup());
    desk.ended(call, 1, Cause::from_status(487, ""));
    assert_eq!(desk.event_names().last().unwrap(), "ended 408");
}

#[test]
fn unknown_and_unregistered_users_are_told_apart() {
    for (kind, expected) in
        [(Kind::NotFound, "hangup 0 404 Not Found"), (Kind::Unreachable, "hangup 0 480 Temporarily Unavailable")]
    {
        let mut desk = Desk::new(Limits::default());
        let call = desk.incoming(Some("a"));
        desk.since();
        desk.nowhere(call, kind);
        assert_eq!(desk.since(), [expected]);
    }
}

#[test]
fn the_caller_gives_up_while_it_rings() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    desk.ended(call, 0, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(desk.since(), ["hangup 1 487 Request Terminated"]);
    // The callee answered at the same moment: its leg still ends once, by the backend's word.
    desk.answered(call, 1, Some("b"));
    assert_eq!(desk.since(), [""; 0]);
    desk.ended(call, 1, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(desk.since(), ["media closed"]);
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn early_media_is_answered_once_and_the_answer_stays_the_same() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.since();
    desk.progress(call, 1, 183, Some("b-early"));
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer", "ring 183 our-answer"]);
    desk.progress(call, 2, 183, Some("other-early"));
    assert_eq!(desk.since(), [""; 0], "the first that plays is heard");
    desk.answered(call, 1, Some("b-early"));
    assert_eq!(
        desk.since(),
        [
            "hangup 2 200 Call completed elsewhere",
            "confirm 1",
            "answer 0 our-answer",
            "Caller hears Peer",
            "Callee hears Peer"
        ]
    );
}

#[test]
fn an_answer_that_overtakes_the_media_engine_is_not_lost() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.silent_media = true;
    desk.progress(call, 1, 183, Some("b"));
    desk.answered(call, 1, Some("b"));
    desk.since();
    let (party, leg, sdp) = (Party::Caller, LegId(0), Sdp::from("late"));
    desk.board.tell_media(desk.now, MediaReport::Local { call, seat: party.into(), leg, sdp });
    desk.drain();
    assert_eq!(desk.since(), ["answer 0 late", "Caller hears Peer", "Callee hears Peer"]);
    let answers = desk.media.iter().filter(|op| matches!(op, MediaOp::MakeAnswer { .. })).count();
    assert_eq!(answers, 1);
}

#[test]
fn a_late_offer_gets_ours_and_the_ack_carries_the_answer() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(None);
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    assert!(desk.since().contains(&"answer 0 our-offer".to_string()));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: Some(Sdp::from("a-answer")) });
    let accepted =
        desk.media.iter().any(|op| matches!(op, MediaOp::Accept { sdp, .. } if sdp.0.as_ref() == "a-answer"));
    assert!(accepted);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn an_offer_that_is_never_answered_ends_the_call() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(None);
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.since();
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    assert_eq!(desk.since(), ["hangup 0 488 Offer was never answered", "hangup 1 488 Offer was never answered"]);
}

#[test]
fn a_service_answers_by_itself() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.tell(Report::Located { call, found: Found::Service(Service::Echo), codecs: None, forwards: None });
    assert_eq!(desk.since()[2..], ["answer 0 our-answer".to_string(), "Caller hears Echo".into()]);
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn without_anchoring_descriptions_pass_through() {
    let mut desk = Desk::new(Limits { anchor: false, ..Limits::default() });
    let call = desk.incoming(Some("a-offer"));
    desk.located(call, &["sip:b1@x"]);
    desk.progress(call, 1, 183, Some("b-early"));
    desk.answered(call, 1, Some("b-answer"));
    assert_eq!(
        desk.since()[2..],
        [
            "dial 1 sip:b1@x a-offer".to_string(),
            "ring 183 b-early".into(),
            "confirm 1".into(),
            "answer 0 b-answer".into()
        ]
    );
    assert!(desk.media.is_empty());
}

#[test]
fn without_anchoring_a_late_offer_goes_all_the_way_round() {
    let mut desk = Desk::new(Limits { anchor: false, ..Limits::default() });
    let call = desk.incoming(None);
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b-offer"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: Some(Sdp::from("a-answer")) });
    assert_eq!(
        desk.since()[2..],
        ["dial 1 sip:b1@x".to_string(), "answer 0 b-offer".into(), "confirm 1 a-answer".into()]
    );
}

#[test]
fn a_changed_session_is_settled_on_its_own_side() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.since();
    desk.tell(Report::Reoffered { call, leg: LegId(1), sdp: Some(Sdp::from("b2")) });
    assert_eq!(desk.since(), ["reanswer 1 our-answer"]);
    desk.tell(Report::Reoffered { call, leg: LegId(1), sdp: None });
    assert_eq!(desk.since(), ["reanswer 1 our-offer"]);
}

#[test]
fn no_common_codec_refuses_the_caller_and_hangs_up_the_callee() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.silent_media = true;
    desk.answered(call, 1, Some("b"));
    desk.since();
    let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
    let refused = MediaReport::Refused { call, seat: Party::Caller.into(), leg: LegId(0), cause };
    desk.board.tell_media(desk.now, refused);
    desk.drain();
    assert_eq!(desk.since(), ["hangup 0 488 Not Acceptable Here", "hangup 1 488 Not Acceptable Here"]);
}

#[test]
fn limits_refuse_new_calls_and_leave_the_others_alone() {
    let mut desk = Desk::new(Limits { calls: 1, ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.since();
    desk.incoming(Some("a"));
    assert_eq!(desk.since(), ["refuse 503 Service Unavailable"]);
    let refused = desk.board.submit(
        desk.now,
        Command::Start { caller: Address::from("sip:a@x"), callee: Address::from("sip:b@x"), wire_id: None },
    );
    assert_eq!(refused, Err(Refused::TooManyCalls(1)));
    desk.board.drain();
    desk.located(call, &["sip:b1@x"]);
    assert_eq!(desk.since().len(), 1, "the running call goes on while draining");
}

#[test]
fn a_leg_whose_end_is_never_told_does_not_keep_the_call() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.ended(call, 0, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(desk.board.live(), 1);
    desk.pass(sec(41));
    assert_eq!(desk.board.live(), 0);
    assert_eq!(desk.event_names().last().unwrap(), "ended 487");
}

#[test]
fn the_record_of_a_call_survives_as_text() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.progress(call, 1, 183, Some("b-early"));
    let record = serde_json::to_string(desk.board.call(call).unwrap()).unwrap();
    let back: machine::Call = serde_json::from_str(&record).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), record);
    assert_eq!(back.legs.len(), 3);
}

#[test]
fn a_silent_party_is_asked_whether_it_is_still_there() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    desk.board.tell_media(desk.now, MediaReport::Silent { call, party: Party::Callee });
    desk.drain();
    assert_eq!(desk.since(), ["probe 1"]);
    desk.ended(call, 1, Cause::new(Kind::Unreachable, Fault::Peer));
    assert_eq!(desk.since(), ["hangup 0 480 Temporarily Unavailable"]);
}

#[test]
fn a_call_in_which_nobody_speaks_ends_for_both_with_its_reason() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    let idle = MediaReport::Idle { call, silence: sec(300) };
    desk.board.tell_media(desk.now, idle.clone());
    desk.drain();
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    desk.pass(sec(300));
    desk.board.tell_media(desk.now, idle);
    desk.drain();
    assert_eq!(desk.since(), ["hangup 0 408 Media Timeout", "hangup 1 408 Media Timeout"]);
    desk.ended(call, 0, Cause::hangup());
    desk.ended(call, 1, Cause::hangup());
    let last = desk.events.last().map(|told| told.event.clone());
    let expected = Event::Ended { cause: Cause::new(Kind::Idle, Fault::Peer), talked: sec(300) };
    assert_eq!(last, Some(expected));
}

#[test]
fn parties_that_nobody_hears_are_asked_from_time_to_time() {
    let mut desk = Desk::new(Limits { anchor: false, probe_time: sec(60), ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    desk.pass(sec(125));
    assert_eq!(desk.since(), ["probe 0", "probe 1", "probe 0", "probe 1"]);
}
