//! An application starts a call between two parties, and ends it.

use crate::support::*;

use hookswitch_call::*;

/// The only call there is.
fn call_of(desk: &Desk) -> CallId {
    desk.board.calls().next().expect("one call").id
}

#[test]
fn the_caller_is_called_first_and_then_connected() {
    let mut desk = Desk::new(Limits::default());
    let ticket = desk.start();
    let call = call_of(&desk);
    desk.located(call, &["sip:a1@x"]);
    desk.progress(call, 0, 180, None);
    desk.answered(call, 0, Some("a-answer"));
    desk.located(call, &["sip:b1@x"]);
    desk.progress(call, 1, 180, None);
    desk.answered(call, 1, Some("b-answer"));
    assert_eq!(
        desk.since(),
        [
            "locate sip:alice@x",
            "dial 0 sip:a1@x our-offer",
            "confirm 0",
            "locate sip:bob@x",
            "dial 1 sip:b1@x our-offer",
            "Caller hears Ringback",
            "confirm 1",
            "Caller hears Peer",
            "Callee hears Peer"
        ]
    );
    assert_eq!(
        desk.event_names(),
        [
            "started",
            "dialing Caller 0",
            "progress Caller 180",
            "answered Caller",
            "connecting",
            "dialing Callee 1",
            "progress Callee 180",
            "answered Callee",
            "bridged"
        ]
    );
    assert_eq!(desk.outcomes, [Outcome { ticket, result: Ok(()) }]);
    assert_eq!(desk.board.by_wire("first-leg"), Some(call), "found by the name the client chose");
    assert!(desk.board.by_wire(&format!("b-{call}-1")).is_some(), "and by the callee's");
}

#[test]
fn a_failing_callee_ends_the_callers_leg() {
    let mut desk = Desk::new(Limits::default());
    let ticket = desk.start();
    let call = call_of(&desk);
    desk.located(call, &["sip:a1@x"]);
    desk.answered(call, 0, Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    desk.ended(call, 1, Cause::from_status(486, "Busy Here"));
    assert_eq!(desk.since(), ["hangup 0 486 Busy Here"]);
    let Err(failure) = &desk.outcomes[0].result else { panic!("must fail") };
    assert_eq!((desk.outcomes[0].ticket, failure.stage), (ticket, Stage::Callee));
    assert_eq!(failure.cause.to_string(), "486 Busy Here");
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.board.live(), 0);
    assert_eq!(desk.outcomes.len(), 1);
}

#[test]
fn a_caller_that_cannot_be_had_fails_the_command_at_its_stage() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = call_of(&desk);
    desk.nowhere(call, Kind::BadAddress);
    let Err(failure) = &desk.outcomes[0].result else { panic!("must fail") };
    assert_eq!((failure.stage, failure.cause.to_string()), (Stage::Caller, "400 Invalid ruri".into()));
    assert_eq!(desk.board.live(), 0);
    assert_eq!(desk.board.by_wire("first-leg"), None, "the name is free again");
}

#[test]
fn ending_it_while_the_caller_rings_cancels_and_fails_the_start() {
    let mut desk = Desk::new(Limits::default());
    let start = desk.start();
    let call = call_of(&desk);
    desk.located(call, &["sip:a1@x"]);
    desk.since();
    let end = desk.end(CallRef::Ticket(start)).expect("accepted");
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    let order: Vec<_> = desk.outcomes.iter().map(|o| (o.ticket, o.result.is_ok())).collect();
    assert_eq!(order, [(start, false), (end, true)]);
    let Err(failure) = &desk.outcomes[0].result else { panic!("must fail") };
    assert_eq!((failure.stage, failure.cause.code), (Stage::Caller, 487));
    assert_eq!(desk.end(CallRef::Id(call)), Err(Refused::Ending));
    desk.ended(call, 0, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(desk.end(CallRef::Id(call)), Err(Refused::NoSuchCall));
}

#[test]
fn ending_an_answered_call_by_either_name_hangs_up_both() {
    for name in ["first-leg", "b"] {
        let mut desk = Desk::new(Limits::default());
        desk.start();
        let call = call_of(&desk);
        desk.located(call, &["sip:a1@x"]);
        desk.answered(call, 0, Some("a"));
        desk.located(call, &["sip:b1@x"]);
        desk.answered(call, 1, Some("b"));
        desk.since();
        let wire = if name == "b" { format!("b-{call}-1") } else { name.into() };
        desk.end(CallRef::Wire(wire.as_str().into())).expect("found");
        assert_eq!(desk.since(), ["hangup 0 200 OK", "hangup 1 200 OK"]);
    }
}

#[test]
fn a_name_in_use_is_refused() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let again = Command::Start {
        caller: Address::from("sip:c@x"),
        callee: Address::from("sip:d@x"),
        wire_id: Some("first-leg".into()),
    };
    assert_eq!(desk.board.submit(desk.now, again), Err(Refused::WireIdInUse("first-leg".into())));
    let long = Command::Start {
        caller: Address::from("x".repeat(MAX_ADDRESS + 1).as_str()),
        callee: Address::from("sip:d@x"),
        wire_id: None,
    };
    assert_eq!(desk.board.submit(desk.now, long), Err(Refused::AddressTooLong));
}

#[test]
fn the_caller_can_be_connected_with_a_service_but_not_be_one() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = call_of(&desk);
    desk.located(call, &["sip:a1@x"]);
    desk.answered(call, 0, Some("a"));
    desk.tell(Report::Located { call, found: Found::Service(Service::Echo), codecs: None, forwards: None });
    assert_eq!(desk.since().last().unwrap(), "Caller hears Echo");
    assert_eq!(desk.outcomes[0].result, Ok(()));
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.board.live(), 0);

    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = call_of(&desk);
    desk.tell(Report::Located { call, found: Found::Service(Service::Echo), codecs: None, forwards: None });
    assert!(desk.outcomes[0].result.is_err());
}

#[test]
fn early_media_of_the_callee_replaces_the_ringing_tone() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = call_of(&desk);
    desk.located(call, &["sip:a1@x"]);
    desk.answered(call, 0, Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    desk.progress(call, 1, 183, Some("b-early"));
    desk.progress(call, 1, 180, None);
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
}

#[test]
fn a_caller_that_hangs_up_while_the_callee_rings_ends_everything() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = call_of(&desk);
    desk.located(call, &["sip:a1@x", "sip:a2@x"]);
    desk.answered(call, 0, Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 2 200 OK"]);
    let Err(failure) = &desk.outcomes[0].result else { panic!("must fail") };
    assert_eq!((failure.stage, failure.cause.code), (Stage::Callee, 487));
}
