//! An application has a party's phone make the transfer (REFER).

use crate::support::*;

use hookswitch_call::*;

/// The caller's phone is asked to call Carol.
fn asked(limits: Limits, by: Option<By>) -> (Desk, CallId, Ticket) {
    let mut desk = Desk::new(limits);
    let call = desk.talking();
    let to = Address::from("sip:carol@x");
    let ticket = desk.submit(Command::Transfer { call: CallRef::Id(call), party: Party::Caller, to, by }).unwrap();
    assert_eq!(desk.since(), ["refer 0 sip:carol@x"]);
    (desk, call, ticket)
}

fn answers(desk: &mut Desk, call: CallId, result: Result<(), Cause>) {
    desk.tell(Report::ReferAnswered { call, leg: LegId(0), result });
}

fn notifies(desk: &mut Desk, call: CallId, status: u16, text: &str) {
    desk.tell(Report::ReferProgress { call, leg: LegId(0), status, text: text.into() });
}

fn failure(desk: &mut Desk) -> (Stage, String) {
    let mut results = desk.results();
    assert_eq!(results.len(), 1, "one outcome");
    let failure = results.remove(0).expect_err("it fails");
    (failure.stage, failure.cause.to_string())
}

#[test]
fn the_phones_words_are_progress_and_its_last_word_the_outcome() {
    let (mut desk, call, ticket) = asked(Limits::default(), Some(By::Refer));
    answers(&mut desk, call, Ok(()));
    notifies(&mut desk, call, 100, "Trying");
    notifies(&mut desk, call, 180, "Ringing");
    assert!(desk.outcomes.is_empty());
    notifies(&mut desk, call, 200, "OK");
    assert_eq!(desk.outcomes, [Outcome { ticket, result: Ok(()) }]);
    assert!(desk.events.iter().all(|told| told.owner == Some(ticket)));
    assert_eq!(
        desk.event_names(),
        ["transferring Caller", "transfer progress 100", "transfer progress 180", "transferred"]
    );
    assert_eq!(desk.since(), ["hangup 0 200 OK", "hangup 1 200 OK"], "the two talk in a call of their own");
}

#[test]
fn a_phone_that_refuses_or_ignores_it_has_transferred_nothing() {
    let (mut desk, call, _) = asked(Limits::default(), Some(By::Refer));
    answers(&mut desk, call, Err(Cause::from_status(405, "Method Not Allowed")));
    assert_eq!(failure(&mut desk), (Stage::Transfer, "405 Method Not Allowed".into()));
    assert!(desk.hold(call, true, None).is_ok(), "the call stands");

    let (mut desk, call, _) = asked(Limits::default(), Some(By::Refer));
    desk.pass(sec(36));
    assert_eq!(failure(&mut desk), (Stage::Transfer, "408 Request Timeout".into()));
    answers(&mut desk, call, Ok(()));
    notifies(&mut desk, call, 200, "OK");
    assert_eq!(desk.since(), [""; 0], "too late");
}

#[test]
fn a_target_that_the_phone_does_not_reach_is_a_failure_with_its_status() {
    let (mut desk, call, _) = asked(Limits::default(), Some(By::Refer));
    answers(&mut desk, call, Ok(()));
    notifies(&mut desk, call, 486, "Busy Here");
    assert_eq!(failure(&mut desk), (Stage::Callee, "486 Busy Here".into()));
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn a_phone_that_never_says_its_last_word_has_its_time() {
    let (mut desk, call, _) = asked(Limits { ring_time: sec(30), ..Limits::default() }, Some(By::Refer));
    answers(&mut desk, call, Ok(()));
    notifies(&mut desk, call, 180, "Ringing");
    desk.pass(sec(29));
    assert!(desk.outcomes.is_empty());
    desk.pass(sec(2));
    assert_eq!(failure(&mut desk), (Stage::Callee, "408 Request Timeout".into()));
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn a_word_that_overtakes_the_answer_stands_for_it() {
    let (mut desk, call, _) = asked(Limits::default(), Some(By::Refer));
    notifies(&mut desk, call, 180, "Ringing");
    answers(&mut desk, call, Err(Cause::from_status(500, "")));
    assert!(desk.outcomes.is_empty());
    notifies(&mut desk, call, 200, "OK");
    assert_eq!(desk.results(), [Ok(())]);
}

#[test]
fn the_configuration_decides_where_the_command_does_not() {
    asked(Limits { transfers: By::Refer, ..Limits::default() }, None);
    // Whose audio runs elsewhere can only be transferred by its phones.
    asked(Limits { anchor: false, ..Limits::default() }, None);
}

#[test]
fn a_phone_that_hangs_up_meanwhile_ends_it() {
    let (mut desk, call, _) = asked(Limits::default(), Some(By::Refer));
    answers(&mut desk, call, Ok(()));
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(failure(&mut desk), (Stage::Callee, "487 the call has ended".into()));
}

#[test]
fn an_attended_transfer_names_the_leg_that_is_replaced() {
    for to in [None, Some(Address::from("sip:z@elsewhere"))] {
        let mut desk = Desk::new(Limits::default());
        let (a, b) = desk.two_calls();
        let (call, other) = (CallRef::Id(a), CallRef::Id(b));
        let (party, other_party, by) = (Party::Caller, Party::Callee, Some(By::Refer));
        desk.submit(Command::Join { call, party, other, other_party, to: to.clone(), by }).unwrap();
        let to = to.unwrap_or_else(|| Address::from("sip:b1@x"));
        let expected = Op::Refer { call: a, leg: LegId(0), to, replaces: Some((b, LegId(0))), by: None };
        assert_eq!(desk.ops.last(), Some(&expected));
        notifies(&mut desk, a, 200, "OK");
        assert_eq!(desk.results(), [Ok(())]);
        assert_eq!(desk.board.call(b).unwrap().state, machine::State::Talking, "its phone ends the second call");
    }
}
