//! One party of a call is connected with somebody else by the switch, at an application's wish.

use crate::support::*;

use hookswitch_call::*;

fn transfer(desk: &mut Desk, call: CallId, party: Party) -> Result<Ticket, Refused> {
    let to = Address::from("sip:carol@x");
    desk.submit(Command::Transfer { call: CallRef::Id(call), party, to, by: None })
}

fn failure(desk: &mut Desk) -> Failure {
    let mut results = desk.results();
    assert_eq!(results.len(), 1, "one outcome");
    results.remove(0).expect_err("it fails")
}

fn targets(contacts: &[&str]) -> Found {
    Found::Targets(contacts.iter().map(|contact| target(contact)).collect())
}

#[test]
fn the_new_party_takes_the_place_of_the_other_one() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let ticket = transfer(&mut desk, call, Party::Caller).unwrap();
    assert_eq!(desk.since(), ["Callee hears Silence", "spare seat for Callee", "locate sip:carol@x"]);
    desk.located(call, &["sip:c1@x"]);
    assert_eq!(desk.since(), ["dial 2 sip:c1@x our-offer"]);
    desk.progress(call, 2, 180, None);
    assert_eq!(desk.since(), ["Caller hears Ringback"]);
    desk.answered(call, 2, Some("c"));
    assert_eq!(
        desk.since(),
        ["confirm 2", "swap", "Caller hears Peer", "Callee hears Peer", "hangup 1 200 OK", "spare seat closed"]
    );
    assert!(desk.events.iter().all(|told| told.owner == Some(ticket)), "{:?}", desk.events);
    let name = format!("transfer started b-{call}-2");
    assert_eq!(
        desk.event_names(),
        [
            "transferring Caller",
            "dialing Callee 2",
            name.as_str(),
            "transfer progress 180",
            "Callee replaced 2 sip:carol@x",
            "transferred"
        ]
    );
    assert_eq!(desk.outcomes, [Outcome { ticket, result: Ok(()) }]);
    // The old leg's end is nobody's business but its own.
    desk.ended(call, 1, Cause::hangup());
    assert_eq!(desk.event_names(), ["leg 1 ended 200"]);
    assert_eq!(desk.board.by_wire(&format!("b-{call}-2")), Some(call), "the call is found by its new leg");
    desk.ended(call, 2, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    desk.ended(call, 0, Cause::hangup());
    assert_eq!((desk.board.live(), desk.board.poll_timeout()), (0, None));
}

#[test]
fn the_answer_goes_to_the_spare_seat_and_changes_to_the_table() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Callee).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.media.clear();
    desk.answered(call, 2, Some("c"));
    let accept = MediaOp::Accept { call, seat: Seat::Spare, leg: LegId(2), sdp: Sdp::from("c") };
    let described = MediaOp::MakeOffer { call, seat: Seat::Spare, leg: LegId(2), near: None };
    assert_eq!(desk.media[..3], [accept, described, MediaOp::Swap { call }]);
    // From now on the newcomer is the caller.
    desk.tell(Report::Reoffered { call, leg: LegId(2), sdp: Some(Sdp::from("c2")) });
    let seat = Party::Caller.into();
    assert!(desk.media.contains(&MediaOp::Offered { call, seat, sdp: Sdp::from("c2") }));
    let dial = desk.ops.iter().rev().find_map(|op| if let Op::Dial { dial, .. } = op { Some(dial) } else { None });
    let dial = dial.expect("the target was called");
    assert_eq!((dial.from.0.as_str(), dial.to.0.as_str()), ("sip:bob@x", "sip:carol@x"), "it sees who stays");
    assert_eq!(dial.referred_by, None);
}

#[test]
fn of_several_contacts_the_first_that_answers_wins() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x", "sip:c2@x"]);
    desk.progress(call, 2, 180, None);
    desk.since();
    desk.answered(call, 3, Some("c"));
    assert_eq!(desk.since()[..2], ["hangup 2 200 Call completed elsewhere", "confirm 3"]);
    desk.ended(call, 2, Cause::from_status(487, ""));
    assert_eq!(desk.results(), [Ok(())]);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
    let started = desk.event_names().iter().filter(|event| event.starts_with("transfer started")).count();
    assert_eq!(started, 1);
}

#[test]
fn a_busy_target_leaves_everybody_where_they_were() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.progress(call, 2, 180, None);
    desk.since();
    desk.ended(call, 2, Cause::from_status(486, "On the phone"));
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer", "spare seat closed"]);
    let failed = failure(&mut desk);
    assert_eq!((failed.stage, failed.cause.to_string().as_str()), (Stage::Callee, "486 On the phone"));
    assert!(transfer(&mut desk, call, Party::Caller).is_ok(), "it may be tried again");
}

#[test]
fn hold_is_as_it_was_after_a_failure() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.presses_hold(call, Party::Callee, true);
    assert_eq!(desk.since()[0], "Caller hears Hold");
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.progress(call, 2, 183, Some("c-early"));
    desk.since();
    desk.ended(call, 2, Cause::from_status(486, ""));
    assert_eq!(desk.since()[3..], ["Caller hears Hold".to_owned(), "spare seat closed".into()]);
    desk.presses_hold(call, Party::Callee, false);
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
}

#[test]
fn a_hold_of_whoever_went_does_not_bind_whoever_came() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.presses_hold(call, Party::Callee, true);
    desk.hold(call, true, Some(Party::Callee)).unwrap();
    desk.reaccepted(call, 1, "b-held");
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.since();
    desk.answered(call, 2, Some("c"));
    assert_eq!(desk.since()[1..5], ["swap", "Callee off hold", "Caller hears Peer", "Callee hears Peer"]);
    assert!(!desk.board.call(call).unwrap().is_held(Party::Callee));
}

#[test]
fn who_is_on_hold_by_command_stays_so() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    desk.reaccepted(call, 0, "a-held");
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.progress(call, 2, 180, None);
    assert!(!desk.since().contains(&"Caller hears Ringback".to_owned()));
    desk.answered(call, 2, Some("c"));
    assert!(desk.since().contains(&"Caller hears Hold".to_owned()));
    assert!(desk.board.call(call).unwrap().is_held(Party::Caller));
}

#[test]
fn early_media_of_the_target_is_heard_by_who_stays() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x", "sip:c2@x"]);
    desk.since();
    desk.progress(call, 2, 183, Some("c-early"));
    assert_eq!(desk.since(), ["swap", "Caller hears Peer", "Callee hears Peer"]);
    desk.progress(call, 3, 180, None);
    assert_eq!(desk.since(), [""; 0], "it is heard, not rung over");
    desk.ended(call, 2, Cause::from_status(480, ""));
    assert_eq!(desk.since(), ["Callee hears Silence", "swap", "Caller hears Ringback"]);
    desk.progress(call, 3, 183, Some("c-early"));
    desk.since();
    desk.answered(call, 3, Some("c"));
    assert_eq!(
        desk.since(),
        ["confirm 3", "Caller hears Peer", "Callee hears Peer", "hangup 1 200 OK", "spare seat closed"],
        "the seats are changed already"
    );
}

#[test]
fn a_silent_target_fails_after_its_time_to_ring() {
    let mut desk = Desk::new(Limits { ring_time: sec(30), ..Limits::default() });
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.pass(sec(29));
    assert!(desk.outcomes.is_empty());
    desk.since();
    desk.pass(sec(2));
    assert_eq!(desk.since(), ["hangup 2 408 Request Timeout", "Callee hears Peer", "spare seat closed"]);
    assert_eq!(failure(&mut desk).cause.code, 408);
    // Its answer crosses our CANCEL: the backend hangs it up, the call does not care.
    desk.answered(call, 2, Some("c"));
    assert_eq!(desk.since(), [""; 0]);
    desk.ended(call, 2, Cause::hangup());
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn an_unknown_target_and_a_look_up_without_answer_fail() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.nowhere(call, Kind::NotFound);
    assert_eq!(failure(&mut desk).cause.code, 404);
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.pass(sec(11));
    assert_eq!(failure(&mut desk).cause.to_string(), "500 Setup Timeout");
    desk.since();
    desk.located(call, &["sip:c1@x"]);
    assert_eq!(desk.since(), [""; 0], "too late");
}

#[test]
fn a_target_may_be_a_service() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.since();
    desk.tell(Report::Located { call, found: Found::Service(Service::Echo), codecs: None, forwards: None });
    assert_eq!(desk.since(), ["swap", "Caller hears Echo", "hangup 1 200 OK", "spare seat closed"]);
    assert_eq!(desk.results(), [Ok(())]);
    assert_eq!(desk.event_names()[1..], ["transfer started a-0@phone", "Callee replaced 2 sip:carol@x", "transferred"]);
    desk.ended(call, 1, Cause::hangup());
    // And away from it again.
    assert!(matches!(transfer(&mut desk, call, Party::Callee), Err(Refused::Unsupported(_))));
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.answered(call, 3, Some("c"));
    assert_eq!(desk.results(), [Ok(())]);
    assert_eq!(desk.since().last().unwrap(), "spare seat closed");
    desk.ended(call, 0, Cause::hangup());
    desk.ended(call, 3, Cause::hangup());
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn forwards_of_the_target_are_followed() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    let forwards = Forwards { busy: Some(Address::from("sip:dave@x")), ..Forwards::default() };
    let found = targets(&["sip:c1@x"]);
    desk.tell(Report::Located { call, found, codecs: None, forwards: Some(Box::new(forwards)) });
    desk.progress(call, 2, 183, Some("c-early"));
    desk.since();
    desk.ended(call, 2, Cause::from_status(486, ""));
    assert_eq!(desk.since(), ["Callee hears Silence", "swap", "Caller hears Ringback", "locate sip:dave@x"]);
    desk.located(call, &["sip:d1@x"]);
    desk.answered(call, 3, Some("d"));
    assert_eq!(desk.results(), [Ok(())]);
    assert!(desk.event_names().contains(&"Callee replaced 3 sip:dave@x".to_owned()));
}

#[test]
fn whoever_transfers_may_go_while_the_target_rings() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.since();
    desk.ended(call, 1, Cause::hangup());
    assert_eq!(desk.since(), [""; 0], "the transfer goes on");
    desk.answered(call, 2, Some("c"));
    assert_eq!(desk.since(), ["confirm 2", "swap", "Caller hears Peer", "Callee hears Peer", "spare seat closed"]);
    assert_eq!(desk.results(), [Ok(())]);
}

#[test]
fn with_nobody_to_return_to_a_failure_ends_the_call() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.ended(call, 1, Cause::hangup());
    desk.since();
    desk.ended(call, 2, Cause::from_status(486, ""));
    assert_eq!(failure(&mut desk).cause.code, 486);
    assert_eq!(desk.since().last().unwrap(), "hangup 0 486 Busy Here");
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn when_who_stays_hangs_up_the_target_is_cancelled() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.progress(call, 2, 180, None);
    desk.since();
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 1 200 OK", "hangup 2 200 OK"]);
    assert_eq!(failure(&mut desk).cause.to_string(), "487 the call has ended");
    desk.ended(call, 1, Cause::hangup());
    desk.ended(call, 2, Cause::from_status(487, ""));
    assert_eq!((desk.board.live(), desk.board.poll_timeout()), (0, None));
}

#[test]
fn an_end_by_command_takes_the_transfer_along() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Callee).unwrap();
    desk.end(CallRef::Id(call)).unwrap();
    let results = desk.results();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "the end");
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1, "the transfer");
}

#[test]
fn an_answer_without_description_is_a_failure() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.since();
    desk.answered(call, 2, None);
    assert_eq!(
        desk.since(),
        ["confirm 2", "hangup 2 488 Answer without session description", "Callee hears Peer", "spare seat closed"]
    );
    assert_eq!(failure(&mut desk).cause.code, 488);
}

#[test]
fn one_thing_at_a_time() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    transfer(&mut desk, call, Party::Caller).unwrap();
    assert!(matches!(transfer(&mut desk, call, Party::Callee), Err(Refused::Pending(_))));
    assert!(matches!(desk.hold(call, true, None), Err(Refused::Pending(_))));
}

#[test]
fn the_legs_of_a_call_are_counted() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let mut transfers = 0;
    let refused = loop {
        match transfer(&mut desk, call, Party::Caller) {
            Ok(_) => transfers += 1,
            Err(refused) => break refused,
        }
        let contacts: Vec<String> = (0..10).map(|n| format!("sip:{n}@y")).collect();
        desk.located(call, &contacts.iter().map(String::as_str).collect::<Vec<_>>());
        let legs = desk.board.call(call).unwrap().legs.len();
        desk.answered(call, u16::try_from(legs - 1).unwrap(), Some("c"));
        desk.ops.clear();
    };
    assert!(matches!(refused, Refused::Unsupported(_)), "{refused}");
    assert!((90..100).contains(&transfers), "{transfers}");
    assert!(desk.board.call(call).unwrap().legs.len() <= 1_000);
}

#[test]
fn only_answered_calls_of_our_own_audio_are_bridged() {
    let mut desk = Desk::new(Limits { anchor: false, ..Limits::default() });
    assert_eq!(transfer(&mut desk, CallId(77), Party::Caller), Err(Refused::NoSuchCall));
    let call = desk.incoming(Some("a"));
    assert_eq!(transfer(&mut desk, call, Party::Caller), Err(Refused::NotAnswered));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    let to = Address::from("sip:carol@x");
    let by = Some(By::Bridge);
    let bridged = desk.submit(Command::Transfer { call: CallRef::Id(call), party: Party::Caller, to, by });
    assert!(matches!(bridged, Err(Refused::Unsupported(_))));
    let to = Address::from(format!("sip:{}@x", "c".repeat(3_000)).as_str());
    let long = desk.submit(Command::Transfer { call: CallRef::Id(call), party: Party::Caller, to, by: None });
    assert_eq!(long, Err(Refused::AddressTooLong));
}

/// A transfer whose target has answered, while the media engine looks at the answer.
fn answered_unseen(desk: &mut Desk) -> CallId {
    let call = desk.talking();
    transfer(desk, call, Party::Caller).unwrap();
    desk.located(call, &["sip:c1@x"]);
    desk.silent_media = true;
    desk.since();
    desk.answered(call, 2, Some("c"));
    assert_eq!(desk.since(), ["confirm 2"], "nobody changes places yet");
    call
}

#[test]
fn a_target_whose_answer_cannot_be_used_leaves_everybody_as_before() {
    let mut desk = Desk::new(Limits::default());
    let call = answered_unseen(&mut desk);
    let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
    desk.tell_media(MediaReport::Refused { call, seat: Seat::Spare, leg: LegId(2), cause });
    assert_eq!(
        desk.since(),
        ["hangup 2 488 Not Acceptable Here", "Callee hears Peer", "spare seat closed"],
        "the two talk on"
    );
    assert_eq!(failure(&mut desk).cause.code, 488);
    let legs = &desk.board.call(call).unwrap().legs;
    assert!(legs[..2].iter().all(|leg| leg.state == machine::LegState::Up && !leg.spare));
}

#[test]
fn a_target_that_is_gone_again_before_it_has_its_place_has_failed() {
    let mut desk = Desk::new(Limits::default());
    let call = answered_unseen(&mut desk);
    desk.ended(call, 2, Cause::hangup());
    assert_eq!(desk.since(), ["Callee hears Peer", "spare seat closed"]);
    assert_eq!(failure(&mut desk).stage, Stage::Callee);
    assert_eq!(desk.board.live(), 1);
}

#[test]
fn a_media_engine_that_says_nothing_of_the_answer_does_not_keep_a_transfer_for_ever() {
    let mut desk = Desk::new(Limits::default());
    answered_unseen(&mut desk);
    desk.pass(Limits::default().setup_time);
    assert_eq!(failure(&mut desk).cause.code, 500);
    assert_eq!(desk.since(), ["hangup 2 500 Setup Timeout", "Callee hears Peer", "spare seat closed"]);
}

#[test]
fn a_hold_key_that_is_pressed_before_the_newcomer_has_its_place_is_told_then() {
    let mut desk = Desk::new(Limits::default());
    let call = answered_unseen(&mut desk);
    desk.events.clear();
    let party = Party::Callee;
    desk.tell_media(MediaReport::Direction { call, party, leg: LegId(2), sends: true, listens: false });
    assert!(desk.events.is_empty(), "it holds nobody yet");
    desk.tell_media(MediaReport::Local { call, seat: Seat::Spare, leg: LegId(2), sdp: Sdp::from("s") });
    assert_eq!(desk.event_names(), ["Callee replaced 2 sip:carol@x", "hold true by Callee", "transferred"]);
    assert!(desk.since().contains(&"Caller hears Hold".to_owned()));
    desk.presses_hold(call, Party::Callee, false);
    assert_eq!(desk.event_names(), ["hold false by Callee"]);
}
