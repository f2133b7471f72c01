//! Calls that are led from outside, step by step.

use std::sync::Arc;

use crate::support::{Desk, sec, target};
use hookswitch_call::*;

fn sales() -> Flow {
    Flow { name: "sales".into(), domain: "x".into() }
}

/// Alice has called a flow.
fn calls() -> (Desk, CallId) {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.tell(Report::Located { call, found: Found::Service(Service::Flow(sales())), codecs: None, forwards: None });
    assert_eq!(std::mem::take(&mut desk.wanted), [("sales".into(), false)]);
    desk.since();
    (desk, call)
}

/// The same, and she is on the line.
fn answered() -> (Desk, CallId) {
    let (mut desk, call) = calls();
    step(&mut desk, call, Step::Answer).expect("taken");
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    assert_eq!(desk.results(), [Ok(())]);
    desk.since();
    (desk, call)
}

fn step(desk: &mut Desk, call: CallId, step: Step) -> Result<Ticket, Refused> {
    desk.submit(Command::Step { call: CallRef::Id(call), step })
}

fn dial(groups: &[&[&str]]) -> Step {
    let addresses = |group: &&[&str]| group.iter().map(|text| Address::from(*text)).collect();
    Step::Dial(Box::new(Dialled { groups: groups.iter().map(addresses).collect(), ring_time: Some(sec(20)) }))
}

fn codes(desk: &mut Desk) -> Vec<u16> {
    desk.results().into_iter().map(|result| result.map_or_else(|failure| failure.cause.code, |()| 200)).collect()
}

#[test]
fn a_led_call_waits_unanswered_and_rings_when_it_is_told_to() {
    let (mut desk, call) = calls();
    step(&mut desk, call, Step::Ring).expect("taken");
    step(&mut desk, call, Step::Ring).expect("taken");
    assert_eq!((desk.since(), codes(&mut desk)), (vec!["ring 180".to_owned()], vec![200, 200]), "it rings once");
    // Nobody has to wait for a leader that says nothing.
    desk.pass(sec(120));
    assert_eq!(desk.since(), ["hangup 0 408 Request Timeout"]);
}

#[test]
fn it_is_refused_with_the_leaders_own_cause() {
    let (mut desk, call) = calls();
    let cause = Cause::from_status(486, "Busy Here");
    desk.submit(Command::End { call: CallRef::Id(call), cause }).expect("taken");
    assert_eq!(desk.since(), ["hangup 0 486 Busy Here"]);
}

#[test]
fn an_answered_one_hears_nothing_until_something_is_played() {
    let (mut desk, call) = calls();
    step(&mut desk, call, Step::Answer).expect("taken");
    assert_eq!(desk.since(), ["answer 0 our-answer", "Caller hears Silence"]);
    assert_eq!(codes(&mut desk), [200]);
    assert!(desk.wanted.is_empty(), "the outcome says it");
    let soup = Arc::new(Soup { sounds: vec![Sound::of(SoundKind::Wav, "hello")], ..Soup::default() });
    let order = AudioOrder::Play { soup, update: false, to: Audience::Party };
    desk.submit(Command::Audio { call: CallRef::Id(call), party: Party::Caller, order }).expect("played");
    assert_eq!(desk.since().len(), 1);
    for late in [Step::Ring, Step::Answer, Step::Divert(Address::from("sip:bob@x"))] {
        let refused = step(&mut desk, call, late).expect_err("answered already");
        assert_eq!(refused, Refused::Impossible("the call is answered".into()));
    }
}

#[test]
fn somebody_dialled_before_the_answer_answers_the_call_and_gives_it_back() {
    let (mut desk, call) = calls();
    step(&mut desk, call, dial(&[&["sip:bob@x"]])).expect("taken");
    assert_eq!(desk.since(), ["locate sip:bob@x"]);
    let refused = step(&mut desk, call, dial(&[&["sip:bob@x"]])).expect_err("one step at a time");
    assert!(matches!(refused, Refused::Pending(_)), "{refused}");
    desk.located(call, &["sip:b1@x"]);
    desk.progress(call, 1, 180, None);
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    assert_eq!(codes(&mut desk), [200]);
    assert!(desk.since().contains(&"answer 0 our-answer".to_owned()));
    // Bob hangs up: alice is led again.
    desk.ended(call, 1, Cause::hangup());
    assert_eq!(desk.since(), ["spare seat for Callee", "swap", "Caller hears Silence", "spare seat closed"]);
    assert_eq!(std::mem::take(&mut desk.wanted), [("sales".into(), true)]);
    step(&mut desk, call, dial(&[&["sip:carol@x"]])).expect("another one");
    assert_eq!(desk.since(), ["spare seat for Callee", "locate sip:carol@x"]);
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(codes(&mut desk).len(), 1, "the step ends with the call, once");
    desk.pass(sec(60));
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn nobody_who_answers_leaves_it_unanswered_for_another_step() {
    let (mut desk, call) = calls();
    step(&mut desk, call, dial(&[&["sip:bob@x"]])).expect("taken");
    desk.located(call, &["sip:b1@x"]);
    desk.progress(call, 1, 183, Some("early"));
    desk.ended(call, 1, Cause::from_status(486, ""));
    assert_eq!(codes(&mut desk), [486]);
    desk.since();
    // What was shown of our own session before stands in the answer, too.
    step(&mut desk, call, Step::Answer).expect("taken");
    assert_eq!(desk.since(), ["answer 0 our-answer", "Caller hears Silence"]);
    assert_eq!(codes(&mut desk), [200]);
    step(&mut desk, call, dial(&[&["sip:nobody@x"]])).expect("taken");
    desk.nowhere(call, Kind::NotFound);
    assert_eq!(codes(&mut desk), [404]);
    assert_eq!(desk.board.live(), 1, "it is still on the line");
    desk.end(CallRef::Id(call)).expect("ended");
}

#[test]
fn groups_are_called_one_after_the_other_and_their_members_together() {
    for talks in [false, true] {
        let (mut desk, call) = if talks { answered() } else { calls() };
        let seats: &[&str] = if talks { &["spare seat for Callee"] } else { &[] };
        step(&mut desk, call, dial(&[&["sip:a@x", "sip:b@x"], &["sip:c@x"]])).expect("taken");
        assert_eq!(desk.since(), [seats, &["locate sip:a@x"]].concat());
        // The second place of a is called when neither has answered at the first.
        desk.found(call, vec![target("sip:a1@x"), Target { group: 1, ..target("sip:a2@x") }], None);
        desk.diverted(call, "sip:b-cell@x");
        desk.located(call, &["sip:b1@x"]);
        desk.located(call, &["sip:c1@x"]);
        let first = if talks { 2 } else { 1 };
        let mut said = desk.since();
        said.retain(|line| line.starts_with("dial") || line.starts_with("locate"));
        let dialled = |nth: usize, who: &str| format!("dial {} sip:{who}1@x our-offer", first + nth);
        let looked_up = ["locate sip:b@x", "locate sip:b-cell@x", "locate sip:c@x"].map(str::to_owned);
        assert_eq!(said, [&looked_up[..], &[dialled(0, "a"), dialled(1, "b")]].concat());
        desk.pass(sec(20));
        let next = format!("dial {} sip:a2@x our-offer", first + 2);
        assert!(desk.since().contains(&next), "the time of the group is up");
        desk.ended(call, first as u16 + 2, Cause::from_status(480, ""));
        desk.tell(Report::Dialed { call, leg: LegId(first as u16 + 3), wire_id: "c".into() });
        assert!(desk.since().contains(&dialled(3, "c")));
        desk.answered(call, first as u16 + 3, Some("c"));
        assert_eq!(codes(&mut desk), [200]);
        desk.end(CallRef::Id(call)).expect("ended");
    }
}

#[test]
fn a_group_in_which_nobody_can_be_called_fails_as_one_does() {
    let (mut desk, call) = calls();
    step(&mut desk, call, dial(&[&["sip:a@x", "sip:echo@x"]])).expect("taken");
    desk.nowhere(call, Kind::NotFound);
    desk.tell(Report::Located { call, found: Found::Service(Service::Echo), codecs: None, forwards: None });
    assert_eq!(codes(&mut desk).len(), 1);
    assert_eq!(desk.board.call(call).expect("there").state, machine::State::AwaitStep);
}

#[test]
fn a_flow_cannot_be_dialled_but_a_call_can_pass_to_one() {
    let other = || Found::Service(Service::Flow(Flow { name: "other".into(), domain: "x".into() }));
    for talks in [false, true] {
        let (mut desk, call) = if talks { answered() } else { calls() };
        for _ in 0..2 {
            step(&mut desk, call, dial(&[&["sip:other@x"]])).expect("taken");
            desk.tell(Report::Located { call, found: other(), codecs: None, forwards: None });
            assert_eq!(codes(&mut desk), [501]);
        }
        assert!(desk.wanted.is_empty());
        let to = Address::from("sip:other@x");
        if talks {
            let command = Command::Transfer { call: CallRef::Id(call), party: Party::Caller, to, by: Some(By::Bridge) };
            desk.submit(command).expect("taken");
        } else {
            step(&mut desk, call, Step::Divert(to)).expect("taken");
        }
        desk.tell(Report::Located { call, found: other(), codecs: None, forwards: None });
        assert_eq!((codes(&mut desk), std::mem::take(&mut desk.wanted)), (vec![200], vec![("other".into(), talks)]));
    }
}

#[test]
fn a_diverted_call_is_led_no_more() {
    let (mut desk, call) = calls();
    step(&mut desk, call, Step::Divert(Address::from("sip:carol@x"))).expect("taken");
    assert_eq!(codes(&mut desk), [200]);
    assert_eq!(desk.since(), ["locate sip:carol@x", "ring 181"]);
    desk.located(call, &["sip:c1@x"]);
    let Some(Op::Dial { dial, .. }) = desk.ops.last() else { panic!("{:?}", desk.ops.last()) };
    assert_eq!(dial.diversions, [Diversion { from: Address::from("sip:bob@x"), why: Diverting::Always }]);
    let refused = step(&mut desk, call, Step::Answer).expect_err("not led");
    assert_eq!(refused, Refused::Impossible("nobody leads this call".into()));
    desk.ended(call, 1, Cause::from_status(486, "Busy Here"));
    assert!(desk.since().contains(&"hangup 0 486 Busy Here".to_owned()));
}

#[test]
fn a_transfer_by_somebody_else_ends_the_leading() {
    let (mut desk, call) = answered();
    let to = Address::from("sip:carol@x");
    let command = Command::Transfer { call: CallRef::Id(call), party: Party::Caller, to, by: Some(By::Bridge) };
    desk.submit(command).expect("taken");
    desk.located(call, &["sip:c1@x"]);
    desk.answered(call, 2, Some("c"));
    assert_eq!(codes(&mut desk), [200]);
    desk.since();
    desk.ended(call, 2, Cause::hangup());
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    assert!(desk.wanted.is_empty());
}

/// The call that Bob has made is joined with Alice, who waits in one of her own; both are led.
fn joined() -> (Desk, CallId) {
    let (mut desk, waits) = answered();
    let call = desk.incoming(Some("b"));
    desk.tell(Report::Located { call, found: Found::Service(Service::Flow(sales())), codecs: None, forwards: None });
    step(&mut desk, call, Step::Answer).expect("taken");
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    assert_eq!(codes(&mut desk), [200]);
    desk.wanted.clear();
    desk.since();
    let (party, other_party) = (Party::Caller, Party::Caller);
    let (which, other) = (CallRef::Id(call), CallRef::Id(waits));
    let join = Command::Join { call: which, party, other, other_party, to: None, by: Some(By::Bridge) };
    desk.submit(join).expect("taken");
    assert_eq!(desk.since(), ["spare seat for Callee", "reoffer 0 our-offer"]);
    desk.reaccepted(waits, 0, "z");
    let said = desk.since();
    for expected in [format!("move 0 to {call} 2").as_str(), "swap", "Caller hears Peer", "Callee hears Peer"] {
        assert!(said.iter().any(|line| line == expected), "{expected}: {said:?}");
    }
    assert_eq!(codes(&mut desk), [200]);
    assert!(desk.board.call(waits).is_none(), "nobody is left in hers");
    (desk, call)
}

#[test]
fn two_led_parties_who_are_joined_are_led_no_more_whoever_hangs_up() {
    for (gone, other) in [(0, 2), (2, 0)] {
        let (mut desk, call) = joined();
        let refused = step(&mut desk, call, dial(&[&["sip:carol@x"]])).expect_err("not led");
        assert_eq!(refused, Refused::Impossible("nobody leads this call".into()));
        desk.ended(call, gone, Cause::hangup());
        assert_eq!(desk.since(), [format!("hangup {other} 200 OK")]);
        desk.ended(call, other, Cause::hangup());
        assert!(desk.wanted.is_empty(), "nobody is asked for a step");
        assert_eq!(desk.board.live(), 0);
    }
}

#[test]
fn somebody_who_is_transferred_to_a_flow_is_led_from_there() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let to = Address::from("sip:sales@x");
    let command = Command::Transfer { call: CallRef::Id(call), party: Party::Callee, to, by: Some(By::Bridge) };
    desk.submit(command).expect("taken");
    desk.tell(Report::Located { call, found: Found::Service(Service::Flow(sales())), codecs: None, forwards: None });
    assert_eq!(desk.wanted, [("sales".into(), true)]);
    desk.results();
    step(&mut desk, call, dial(&[&["sip:dave@x"]])).expect("taken");
    desk.located(call, &["sip:d1@x"]);
    desk.answered(call, 3, Some("d"));
    assert_eq!(codes(&mut desk), [200]);
}

#[test]
fn steps_have_their_limits() {
    let (mut desk, call) = calls();
    let many = vec!["sip:a@x"; MAX_DIALLED + 1];
    let groups = vec![&["sip:a@x"][..]; MAX_GROUPS + 1];
    for wrong in [dial(&[]), dial(&[&[]]), dial(&[&many]), dial(&groups)] {
        let refused = step(&mut desk, call, wrong).expect_err("too much or nothing");
        assert_eq!(refused, Refused::Impossible("1 to 10 groups with up to 20 addresses are called".into()));
    }
    let long = format!("sip:{}@x", "a".repeat(MAX_ADDRESS));
    for wrong in [dial(&[&[&long]]), Step::Divert(Address::from(long.as_str()))] {
        assert_eq!(step(&mut desk, call, wrong), Err(Refused::AddressTooLong));
    }
    let other = desk.talking();
    let refused = step(&mut desk, other, Step::Ring).expect_err("an ordinary call");
    assert_eq!(refused, Refused::Impossible("nobody leads this call".into()));
    desk.end(CallRef::Id(call)).expect("ended");
    assert_eq!(step(&mut desk, call, Step::Ring), Err(Refused::Impossible("nobody leads this call".into())));
}

#[test]
fn the_record_of_a_led_call_can_be_stored_and_moved() {
    let (mut desk, call) = calls();
    step(&mut desk, call, dial(&[&["sip:a@x", "sip:b@x"]])).expect("taken");
    let record = desk.board.take(call).expect("there");
    let text = serde_json::to_string(&record).expect("plain data");
    desk.board.put(serde_json::from_str(&text).expect("the same"));
    desk.located(call, &["sip:a1@x"]);
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 2, Some("b"));
    assert_eq!(codes(&mut desk), [200]);
}
