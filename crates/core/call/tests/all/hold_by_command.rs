//! An application puts parties on hold, and takes them off.

use crate::support::*;

use hookswitch_call::*;

fn failure(desk: &mut Desk) -> Failure {
    let mut results = desk.results();
    assert_eq!(results.len(), 1, "one outcome");
    results.remove(0).expect_err("it fails")
}

#[test]
fn both_are_asked_and_hear_music_as_each_agrees() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let ticket = desk.hold(call, true, None).unwrap();
    assert_eq!(desk.since(), ["Caller on hold", "Callee on hold", "reoffer 0 our-offer", "reoffer 1 our-offer"]);
    assert_eq!(desk.event_names(), ["hold true accepted", "Caller asked hold true", "Callee asked hold true"]);
    desk.reaccepted(call, 1, "b-held");
    assert_eq!(desk.since(), ["Caller hears Silence", "Callee hears Hold"]);
    desk.reaccepted(call, 0, "a-held");
    assert_eq!(desk.since(), ["Caller hears Hold"]);
    assert!(desk.events.iter().all(|told| told.owner == Some(ticket)), "{:?}", desk.events);
    assert_eq!(desk.event_names(), ["Callee hold true", "Caller hold true"]);
    assert_eq!(desk.outcomes, [Outcome { ticket, result: Ok(()) }]);
    let accepted = desk.media.iter().filter(|op| matches!(op, MediaOp::Accept { .. })).count();
    assert_eq!(accepted, 3, "both answers reach the media engine, as did the first");

    desk.hold(call, false, None).unwrap();
    assert_eq!(desk.since(), ["Callee off hold", "Caller off hold", "reoffer 1 our-offer", "reoffer 0 our-offer"]);
    desk.reaccepted(call, 1, "b");
    desk.reaccepted(call, 0, "a");
    assert_eq!(desk.since(), ["Callee hears Silence", "Caller hears Peer", "Callee hears Peer"]);
    assert_eq!(
        desk.event_names(),
        [
            "hold false accepted",
            "Callee asked hold false",
            "Caller asked hold false",
            "Callee hold false",
            "Caller hold false"
        ]
    );
}

#[test]
fn one_party_is_held_and_the_other_hears_nothing() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, Some(Party::Callee)).unwrap();
    desk.reaccepted(call, 1, "b");
    assert_eq!(
        desk.since(),
        ["Callee on hold", "reoffer 1 our-offer", "Caller hears Silence", "Callee hears Hold"],
        "the caller's session is not touched"
    );
    assert!(desk.board.call(call).unwrap().is_held(Party::Callee));
    // The rest of the call: only who is not held yet is asked.
    desk.hold(call, true, None).unwrap();
    assert_eq!(desk.since(), ["Caller on hold", "reoffer 0 our-offer"]);
    desk.reaccepted(call, 0, "a");
    assert_eq!(desk.results(), [Ok(()), Ok(())]);
}

#[test]
fn what_parties_are_told_besides_goes_with_the_offer() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let notes = Notes(vec![("X-Why".into(), "lunch".into())]);
    desk.submit(Command::Hold { call: CallRef::Id(call), party: None, notes: notes.clone() }).unwrap();
    let told: Vec<&Notes> =
        desk.ops.iter().filter_map(|op| if let Op::Reoffer { notes, .. } = op { Some(notes) } else { None }).collect();
    assert_eq!(told, [&notes, &notes]);
}

#[test]
fn a_repeated_hold_fails_in_known_words_and_changes_nothing() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, false, None).unwrap();
    assert_eq!(failure(&mut desk).cause.to_string(), "480 No dialog legs on hold");
    desk.hold(call, true, None).unwrap();
    desk.reaccepted(call, 0, "a");
    desk.reaccepted(call, 1, "b");
    desk.results();
    desk.since();
    desk.hold(call, true, None).unwrap();
    let repeated = failure(&mut desk);
    assert_eq!(repeated.cause.to_string(), "480 Both dialog legs are on hold");
    assert_eq!((repeated.stage, repeated.cause.fault), (Stage::Hold, Fault::Controller));
    assert_eq!(repeated.held, [Party::Caller, Party::Callee]);
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    assert_eq!(failure(&mut desk).cause.to_string(), "480 Dialog leg is on hold");
    assert_eq!(desk.since(), [""; 0]);
}

#[test]
fn a_refusal_puts_the_other_party_back() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, None).unwrap();
    desk.reaccepted(call, 0, "a-held");
    desk.since();
    desk.events.clear();
    desk.refused(call, 1, 488);
    assert_eq!(desk.since(), ["Callee off hold", "Caller off hold", "reoffer 0 our-offer"]);
    assert!(desk.outcomes.is_empty(), "not before everybody is where it was");
    desk.reaccepted(call, 0, "a");
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
    assert_eq!(desk.event_names(), ["Caller asked hold false", "Caller hold false"]);
    let refused = failure(&mut desk);
    assert_eq!((refused.stage, refused.party, refused.cause.code), (Stage::Hold, Some(Party::Callee), 488));
    assert_eq!(refused.held, []);
}

#[test]
fn a_party_that_cannot_be_put_back_is_named() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, None).unwrap();
    desk.refused(call, 1, 488);
    desk.reaccepted(call, 0, "a-held");
    desk.refused(call, 0, 500);
    let refused = failure(&mut desk);
    assert_eq!((refused.party, refused.held), (Some(Party::Callee), vec![Party::Caller]));
    assert!(desk.board.call(call).unwrap().is_held(Party::Caller));
    desk.since();
    desk.hold(call, false, None).unwrap();
    assert_eq!(desk.since(), ["Caller off hold", "reoffer 0 our-offer"]);
}

#[test]
fn silence_for_the_time_of_a_change_is_a_refusal() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    desk.pass(sec(34));
    assert!(desk.outcomes.is_empty());
    desk.pass(sec(1));
    let silent = failure(&mut desk);
    assert_eq!((silent.cause.code, silent.cause.fault), (408, Fault::Peer));
    desk.since();
    // Its late answer means that it believes to be on hold: it is told otherwise.
    desk.reaccepted(call, 0, "a-held");
    assert_eq!(desk.since(), ["reoffer 0 our-offer"]);
    desk.reaccepted(call, 0, "a");
    assert_eq!(desk.since(), [""; 0]);
    assert!(!desk.board.call(call).unwrap().is_held(Party::Caller));
}

#[test]
fn a_hold_after_a_change_that_nobody_waited_for_is_sent_when_that_is_over() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    desk.pass(sec(36));
    desk.since();
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    assert_eq!(desk.since(), [""; 0], "one change of a session at a time");
    desk.refused(call, 0, 408);
    assert_eq!(desk.since(), ["Caller on hold", "reoffer 0 our-offer"]);
    desk.reaccepted(call, 0, "a-held");
    assert_eq!(desk.results().last(), Some(&Ok(())));
}

#[test]
fn a_party_that_changes_its_session_just_then_is_asked_when_that_is_over() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.tell(Report::Reoffered { call, leg: LegId(1), sdp: None });
    desk.since();
    desk.hold(call, true, Some(Party::Callee)).unwrap();
    assert_eq!(desk.since(), [""; 0], "its own change waits for an acknowledgement");
    desk.tell(Report::Confirmed { call, leg: LegId(1), sdp: Some(Sdp::from("b2")) });
    assert_eq!(desk.since(), ["Callee on hold", "reoffer 1 our-offer"]);
    desk.reaccepted(call, 1, "b-held");
    assert_eq!(desk.results(), [Ok(())]);
}

#[test]
fn a_change_of_a_party_passes_ours_that_waits_to_be_sent_again() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, Some(Party::Callee)).unwrap();
    assert_eq!(desk.since(), ["Callee on hold", "reoffer 1 our-offer"]);
    // The carrier would have refused it, had ours been on its way (RFC 3261 section 14.2).
    desk.tell(Report::Reoffered { call, leg: LegId(1), sdp: Some(Sdp::from("b2")) });
    assert_eq!(desk.since(), ["withdraw 1", "Callee off hold", "reanswer 1 our-answer"]);
    desk.refused(call, 1, 487);
    assert_eq!(desk.since(), ["Callee on hold", "reoffer 1 our-offer"], "it is made anew, with what holds now");
    desk.reaccepted(call, 1, "b-held");
    assert_eq!(desk.results(), [Ok(())]);
    let asked = "Callee asked hold true";
    assert_eq!(desk.event_names(), ["hold true accepted", asked, "Callee hold true"], "it is told once");
}

#[test]
fn a_change_before_a_party_is_asked_is_answered_with_what_holds_then() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.since();
    // The caller's acknowledgement is late, and its own change comes before it.
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    assert_eq!(desk.since(), [""; 0]);
    desk.tell(Report::Reoffered { call, leg: LegId(0), sdp: Some(Sdp::from("a2")) });
    assert_eq!(desk.since(), ["reanswer 0 our-answer", "Caller on hold", "reoffer 0 our-offer"]);
    desk.refused(call, 0, 488);
    assert_eq!(desk.since(), ["Caller off hold"], "the engine has described no hold, and none holds");
    assert_eq!(failure(&mut desk).held, []);
}

#[test]
fn one_thing_at_a_time() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, None).unwrap();
    assert!(matches!(desk.hold(call, false, None), Err(Refused::Pending(_))));
    desk.reaccepted(call, 0, "a");
    desk.reaccepted(call, 1, "b");
    assert!(desk.hold(call, false, None).is_ok());
}

#[test]
fn only_answered_calls_can_be_put_on_hold() {
    let mut desk = Desk::new(Limits::default());
    assert_eq!(desk.hold(CallId(77), true, None), Err(Refused::NoSuchCall));
    let call = desk.incoming(Some("a"));
    assert_eq!(desk.hold(call, true, None), Err(Refused::NotAnswered));
    desk.located(call, &["sip:b1@x"]);
    assert_eq!(desk.hold(call, true, None), Err(Refused::NotAnswered));
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.hold(call, true, None), Err(Refused::Ending));
}

#[test]
fn a_call_whose_audio_runs_elsewhere_cannot_be_put_on_hold() {
    let mut desk = Desk::new(Limits { anchor: false, ..Limits::default() });
    let call = desk.talking();
    assert!(matches!(desk.hold(call, true, None), Err(Refused::Unsupported(_))));
}

#[test]
fn a_service_is_not_asked() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.tell(Report::Located { call, found: Found::Service(Service::Tone), codecs: None, forwards: None });
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    assert!(matches!(desk.hold(call, true, Some(Party::Callee)), Err(Refused::Unsupported(_))));
    desk.hold(call, true, None).unwrap();
    desk.reaccepted(call, 0, "a-held");
    desk.hold(call, false, None).unwrap();
    desk.reaccepted(call, 0, "a");
    assert_eq!(
        desk.since(),
        [
            "Caller on hold",
            "reoffer 0 our-offer",
            "Caller hears Hold",
            "Caller off hold",
            "reoffer 0 our-offer",
            "Caller hears Reference"
        ]
    );
    assert_eq!(desk.results(), [Ok(()), Ok(())]);
}

#[test]
fn a_call_that_ends_takes_its_hold_along() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, None).unwrap();
    desk.reaccepted(call, 0, "a");
    desk.ended(call, 1, Cause::hangup());
    let failed = failure(&mut desk);
    assert_eq!(failed.cause.to_string(), "487 the call has ended");
    assert_eq!((failed.stage, failed.held), (Stage::Hold, vec![]));
    // The answer comes too late for everybody.
    desk.since();
    desk.reaccepted(call, 1, "b");
    assert_eq!(desk.since(), [""; 0]);
    desk.ended(call, 0, Cause::hangup());
    assert_eq!((desk.board.live(), desk.board.poll_timeout()), (0, None));
}

#[test]
fn an_offer_that_cannot_be_made_is_a_refusal_of_that_party() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.silent_media = true;
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    let cause = Cause::new(Kind::Overloaded, Fault::Server);
    desk.tell_media(MediaReport::Refused { call, seat: Party::Caller.into(), leg: LegId(0), cause });
    assert_eq!(failure(&mut desk).cause.code, 503);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}
