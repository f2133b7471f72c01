//! A phone transfers its party (REFER), and is told how it goes.

use crate::support::*;

use std::time::Duration;

use hookswitch_call::*;

fn refers(desk: &mut Desk, call: CallId, leg: u16, to: ReferTo) {
    desk.tell(Report::ReferAsked { call, leg: LegId(leg), to, by: Some(Address::from("sip:bob@x")) });
}

fn carol() -> ReferTo {
    ReferTo::Address(Address::from("sip:carol@x"))
}

/// A call of the transferring phone's that has not been answered: leg 0 is its own.
fn consultation(desk: &mut Desk) -> CallId {
    let call = desk.incoming(Some("t"));
    desk.located(call, &["sip:z1@x"]);
    desk.progress(call, 1, 180, None);
    desk.since();
    desk.events.clear();
    call
}

#[test]
fn a_blind_transfer_is_told_to_its_end() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    assert_eq!(
        desk.since(),
        ["refer 1 accepted", "tell 1 100", "Callee hears Silence", "spare seat for Callee", "locate sip:carol@x"]
    );
    let anywhere =
        desk.ops.iter().rev().find_map(|op| if let Op::Locate { anywhere, .. } = op { Some(*anywhere) } else { None });
    assert_eq!(anywhere, Some(false), "a phone reaches by transfer whom it could call");
    let by = desk.ops.iter().rev().find_map(|op| if let Op::Locate { by, .. } = op { Some(by) } else { None });
    assert_eq!(by, Some(&Orderer { leg: Some(LegId(1)), forwarders: Vec::new() }), "it is that phone's call");
    desk.located(call, &["sip:c1@x"]);
    let dial = desk.ops.iter().rev().find_map(|op| if let Op::Dial { dial, .. } = op { Some(dial) } else { None });
    assert_eq!(dial.unwrap().referred_by, Some(Address::from("sip:bob@x")));
    desk.since();
    desk.progress(call, 2, 180, None);
    desk.progress(call, 2, 180, None);
    assert_eq!(desk.since(), ["tell 1 180", "Caller hears Ringback"], "told once");
    desk.answered(call, 2, Some("c"));
    assert_eq!(
        desk.since(),
        ["confirm 2", "swap", "Caller hears Peer", "Callee hears Peer", "tell 1 200"],
        "it is the phone that hangs up (RFC 5589 section 6.1)"
    );
    desk.ended(call, 1, Cause::hangup());
    assert_eq!(desk.since(), ["spare seat closed"]);
    assert!(desk.events.iter().all(|told| told.owner.is_none()));
    assert_eq!(desk.event_names().iter().filter(|event| *event == "transferred").count(), 1);
    assert!(desk.outcomes.is_empty());
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
    desk.ended(call, 2, Cause::hangup());
    desk.ended(call, 0, Cause::hangup());
    assert_eq!((desk.board.live(), desk.board.poll_timeout()), (0, None));
}

#[test]
fn a_phone_that_does_not_hang_up_is_hung_up() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    desk.located(call, &["sip:c1@x"]);
    desk.answered(call, 2, Some("c"));
    desk.since();
    desk.pass(Duration::from_millis(1_999));
    assert_eq!(desk.since(), [""; 0]);
    desk.pass(Duration::from_millis(2));
    assert_eq!(desk.since(), ["hangup 1 200 OK", "spare seat closed"]);
}

#[test]
fn what_the_parties_send_each_other_does_not_go_to_who_leaves() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    desk.located(call, &["sip:c1@x"]);
    desk.answered(call, 2, Some("c"));
    desk.since();
    let parcel = Parcel { kind: ParcelKind::Message, content_type: "text/plain".into(), body: b"hi"[..].into() };
    desk.tell(Report::Brought { call, leg: LegId(0), receipt: 7, parcel });
    assert!(desk.since().iter().any(|line| line.starts_with("deliver 2 ")));
}

#[test]
fn who_leaves_does_not_make_a_command_wait() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    desk.located(call, &["sip:c1@x"]);
    desk.answered(call, 2, Some("c"));
    desk.since();
    desk.hold(call, true, Some(Party::Callee)).unwrap();
    assert_eq!(desk.since(), ["hangup 1 200 OK", "spare seat closed", "Callee on hold", "reoffer 2 our-offer"]);
}

#[test]
fn a_failed_transfer_gives_the_party_back() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 0, carol());
    desk.located(call, &["sip:c1@x"]);
    desk.since();
    desk.ended(call, 2, Cause::from_status(486, "On the phone"));
    assert_eq!(desk.since(), ["Caller hears Peer", "spare seat closed", "tell 0 486"]);
    assert_eq!(desk.event_names().last().unwrap(), "transfer failed 486");
    refers(&mut desk, call, 0, carol());
    assert_eq!(desk.since()[0], "refer 0 accepted");
}

#[test]
fn a_phone_that_has_hung_up_is_told_nothing() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    desk.located(call, &["sip:c1@x"]);
    desk.ended(call, 1, Cause::hangup());
    desk.since();
    desk.progress(call, 2, 180, None);
    desk.answered(call, 2, Some("c"));
    assert_eq!(
        desk.since(),
        ["Caller hears Ringback", "confirm 2", "swap", "Caller hears Peer", "Callee hears Peer", "spare seat closed"]
    );
}

/// Its phone may use the port for another call by then.
#[test]
fn a_phone_that_has_hung_up_hears_nothing_when_its_transfer_fails() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    desk.located(call, &["sip:c1@x"]);
    desk.ended(call, 1, Cause::hangup());
    desk.since();
    desk.ended(call, 2, Cause::from_status(480, "Nobody here"));
    assert_eq!(desk.since(), ["spare seat closed", "hangup 0 480 Nobody here"]);
}

#[test]
fn a_phone_that_has_hung_up_hears_nothing_of_a_target_that_played_something() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    desk.located(call, &["sip:c1@x"]);
    desk.progress(call, 2, 183, Some("c-early"));
    desk.ended(call, 1, Cause::hangup());
    desk.since();
    desk.ended(call, 2, Cause::from_status(480, "Nobody here"));
    // Whoever comes back hears what was heard at its place.
    assert_eq!(
        desk.since(),
        [
            "Callee hears Silence",
            "swap",
            "Caller hears Ringback",
            "Caller hears Peer",
            "spare seat closed",
            "hangup 0 480 Nobody here"
        ]
    );
}

#[test]
fn what_cannot_be_done_is_refused() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    refers(&mut desk, call, 0, carol());
    assert_eq!(desk.since(), ["refer 0 refused 603"], "not answered");
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.hold(call, true, None).unwrap();
    desk.since();
    refers(&mut desk, call, 0, carol());
    assert_eq!(desk.since(), ["refer 0 refused 491"]);
    desk.reaccepted(call, 0, "a");
    desk.reaccepted(call, 1, "b");
    desk.since();
    refers(&mut desk, call, 0, ReferTo::Leg(call, LegId(1)));
    assert_eq!(desk.since(), ["refer 0 refused 603"], "with itself");
    refers(&mut desk, call, 0, ReferTo::Leg(CallId(77), LegId(1)));
    assert_eq!(desk.since(), ["refer 0 refused 481"], "with a leg that is gone");
    let long = Address::from(format!("sip:{}@x", "c".repeat(3_000)).as_str());
    refers(&mut desk, call, 0, ReferTo::Address(long));
    assert_eq!(desk.since(), ["refer 0 refused 400"]);
    let tone = desk.incoming(Some("a"));
    desk.tell(Report::Located { call: tone, found: Found::Service(Service::Tone), codecs: None, forwards: None });
    desk.since();
    refers(&mut desk, tone, 0, carol());
    assert_eq!(desk.since(), ["refer 0 refused 603"], "a service");
}

#[test]
fn an_attended_transfer_joins_the_two_calls() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    // The phone's leg of the second call is its caller's.
    refers(&mut desk, a, 1, ReferTo::Leg(b, LegId(0)));
    assert_eq!(desk.since(), ["refer 1 accepted", "tell 1 100", "spare seat for Callee", "reoffer 1 our-offer"]);
    desk.reaccepted(b, 1, "z");
    assert_eq!(
        desk.since(),
        [
            format!("move 1 to {a} 2").as_str(),
            "hangup 0 200 OK",
            "swap",
            "Caller hears Peer",
            "Callee hears Peer",
            "tell 1 200"
        ]
    );
    desk.ended(b, 0, Cause::hangup());
    desk.ended(a, 1, Cause::hangup());
    assert_eq!(desk.since(), ["media closed", "spare seat closed"]);
    assert_eq!(desk.board.live(), 1);
}

#[test]
fn a_refused_attended_transfer_gives_everybody_back() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    refers(&mut desk, a, 1, ReferTo::Leg(b, LegId(0)));
    desk.since();
    desk.refused(b, 1, 500);
    assert_eq!(desk.since(), ["spare seat closed", "tell 1 500"]);
    assert_eq!(desk.event_names().last().unwrap(), "transfer failed 500");
    assert_eq!(desk.board.live(), 2);
}

#[test]
fn a_transfer_to_somebody_who_still_rings_waits_for_the_answer() {
    let mut desk = Desk::new(Limits::default());
    let a = desk.talking();
    let b = consultation(&mut desk);
    refers(&mut desk, a, 1, ReferTo::Leg(b, LegId(0)));
    assert_eq!(desk.since(), ["refer 1 accepted", "tell 1 100", "Caller hears Ringback", "Callee hears Silence"]);
    desk.answered(b, 1, Some("z"));
    let said = desk.since();
    assert!(said.contains(&"answer 0 our-answer".to_owned()), "{said:?}");
    assert_eq!(said[said.len() - 2..], ["spare seat for Callee", "reoffer 1 our-offer"]);
    desk.reaccepted(b, 1, "z");
    assert_eq!(desk.since().last().unwrap(), "tell 1 200");
}

#[test]
fn who_rang_and_is_cancelled_is_not_transferred_to() {
    let mut desk = Desk::new(Limits::default());
    let a = desk.talking();
    let b = consultation(&mut desk);
    refers(&mut desk, a, 1, ReferTo::Leg(b, LegId(0)));
    desk.since();
    desk.ended(b, 0, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(
        desk.since(),
        [
            "hangup 1 487 Request Terminated",
            "Caller hears Peer",
            "Callee hears Peer",
            "spare seat closed",
            "tell 1 487"
        ]
    );
}

fn passed_on() -> (Desk, CallId) {
    let mut desk = Desk::new(Limits { transfers: By::Refer, ..Limits::default() });
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    assert_eq!(desk.since(), ["refer 0 sip:carol@x"]);
    (desk, call)
}

#[test]
fn as_configured_the_request_is_passed_on_and_the_words_back() {
    let (mut desk, call) = passed_on();
    desk.tell(Report::ReferAnswered { call, leg: LegId(0), result: Ok(()) });
    assert_eq!(desk.since(), ["refer 1 accepted", "tell 1 100"]);
    for (status, text) in [(100, "Trying"), (180, "Ringing"), (200, "OK")] {
        desk.tell(Report::ReferProgress { call, leg: LegId(0), status, text: text.into() });
    }
    assert_eq!(desk.since(), ["tell 1 180", "tell 1 200"]);
    desk.ended(call, 1, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
}

#[test]
fn a_refusal_of_the_other_phone_is_passed_back() {
    let (mut desk, call) = passed_on();
    let cause = Cause::from_status(405, "");
    desk.tell(Report::ReferAnswered { call, leg: LegId(0), result: Err(cause) });
    assert_eq!(desk.since(), ["refer 1 refused 405"]);
    assert_eq!(desk.event_names().last().unwrap(), "transfer failed 405");
    let (mut desk, call) = passed_on();
    desk.tell(Report::ReferProgress { call, leg: LegId(0), status: 486, text: "Busy Here".into() });
    assert_eq!(desk.since(), ["refer 1 accepted", "tell 1 100", "tell 1 486"]);
}

#[test]
fn a_call_is_over_when_nobody_hangs_up_after_a_transfer_that_was_passed_on() {
    let (mut desk, call) = passed_on();
    desk.tell(Report::ReferProgress { call, leg: LegId(0), status: 200, text: "OK".into() });
    desk.since();
    assert_eq!(desk.hold(call, true, None), Err(Refused::Ending), "nobody is left in it");
    desk.pass(sec(2));
    assert_eq!(desk.since(), ["hangup 0 200 OK", "hangup 1 200 OK"]);
}

#[test]
fn an_attended_transfer_that_is_passed_on_names_the_leg_that_is_replaced() {
    let mut desk = Desk::new(Limits { transfers: By::Refer, ..Limits::default() });
    let (a, b) = desk.two_calls();
    refers(&mut desk, a, 1, ReferTo::Leg(b, LegId(0)));
    let refer = desk.ops.iter().rev().find(|op| matches!(op, Op::Refer { .. }));
    let by = Some(Address::from("sip:bob@x"));
    let expected =
        Op::Refer { call: a, leg: LegId(0), to: Address::from("sip:b1@x"), replaces: Some((b, LegId(0))), by };
    assert_eq!(refer, Some(&expected));
}

#[test]
fn who_transfers_may_hold_while_the_target_plays_something() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    refers(&mut desk, call, 1, carol());
    desk.located(call, &["sip:c1@x"]);
    desk.progress(call, 2, 183, Some("c-early"));
    desk.events.clear();
    desk.since();
    desk.presses_hold(call, Party::Callee, true);
    assert_eq!(desk.event_names(), ["hold true by Callee"]);
    assert_eq!(desk.since(), [""; 0], "the caller hears the target");
    desk.ended(call, 2, Cause::from_status(480, "Nobody here"));
    assert!(desk.since().contains(&"Caller hears Hold".to_owned()));
    desk.presses_hold(call, Party::Callee, false);
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
}
