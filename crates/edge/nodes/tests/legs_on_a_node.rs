//! What the switchboard wants of a leg the node's SIP stack is asked for, and what that reports the switchboard hears.

mod pair;

use std::time::Duration;

use hookswitch_call::{
    Address, Alerting, CallId, Cause, Digit, Diversion, Diverting, Fault, Identity, Kind, LegId, Notes, Op, Parcel,
    ParcelKind, ReferTo, Report,
};
use pair::*;

#[test]
fn a_party_that_calls_comes_with_everything_that_is_known_of_it() {
    let mut pair = Pair::new();
    let mut calling = incoming();
    calling.identity = Identity {
        display: Some("Älice \"A\"".as_bytes().into()),
        asserted: Some(Address::from("tel:+49301")),
        private: true,
    };
    calling.diversions = vec![Diversion { from: Address::from("sip:carol@x.test"), why: Diverting::NoAnswer }];
    calling.alerting = Alerting { tone: Some("<http://h/tone>".into()), answer_after: Some(2) };
    calling.referred_by = Some(Address::from("sip:dave@x.test"));
    pair.arrive(&calling);
    let Report::Incoming(heard) = pair.report() else { panic!("no call") };
    calling.handle = heard.handle;
    assert_eq!(*heard, calling);
    assert_eq!(pair.taken, Some(200));
}

#[test]
fn a_call_is_rung_answered_acknowledged_and_hung_up_from_here() {
    let mut pair = Pair::new();
    let (call, leg) = pair.adopted();
    pair.order(Op::Ring { call: CALL, leg: LEG, status: 182, sdp: None });
    assert_eq!(pair.op(), Op::Ring { call, leg, status: 182, sdp: None });
    pair.order(Op::Ring { call: CALL, leg: LEG, status: 183, sdp: Some(sdp(ANSWER)) });
    assert_eq!(pair.op(), Op::Ring { call, leg, status: 183, sdp: Some(sdp(ANSWER)) });
    pair.order(Op::Answer { call: CALL, leg: LEG, sdp: sdp(ANSWER) });
    assert_eq!(pair.op(), Op::Answer { call, leg, sdp: sdp(ANSWER) });
    pair.happen(Report::Confirmed { call, leg, sdp: None });
    assert_eq!(pair.report(), Report::Confirmed { call: CALL, leg: LEG, sdp: None });
    let cause = Cause::new(Kind::Expired, Fault::Server);
    pair.order(Op::Hangup { call: CALL, leg: LEG, cause: cause.clone() });
    assert_eq!(pair.op(), Op::Hangup { call, leg, cause: cause.clone() }, "it is told the very cause");
    pair.happen(Report::Ended { call, leg, cause: cause.clone() });
    assert_eq!(pair.report(), Report::Ended { call: CALL, leg: LEG, cause });
    assert_eq!((pair.legs.live(), pair.node.live()), (0, 0));
}

#[test]
fn a_call_that_is_refused_before_it_is_one_leaves_nothing() {
    let mut pair = Pair::new();
    let (call, leg) = pair.arrive(&incoming());
    let Report::Incoming(here) = pair.report() else { panic!("no call") };
    let cause = Cause::new(Kind::Overloaded, Fault::Server);
    pair.order(Op::Refuse { handle: here.handle, cause: cause.clone() });
    assert_eq!(pair.op(), Op::Hangup { call, leg, cause: cause.clone() });
    pair.happen(Report::Ended { call, leg, cause });
    assert_eq!((pair.reports().len(), pair.legs.live(), pair.node.live()), (0, 0, 0));
}

#[test]
fn a_caller_that_gives_up_before_it_has_a_name_ends_as_soon_as_it_has_one() {
    let mut pair = Pair::new();
    let (call, leg) = pair.arrive(&incoming());
    let Report::Incoming(here) = pair.report() else { panic!("no call") };
    pair.happen(Report::Ended { call, leg, cause: Cause::new(Kind::Cancelled, Fault::Peer) });
    assert!(pair.reports().is_empty());
    pair.order(Op::Adopt { handle: here.handle, call: CALL, leg: LEG });
    let Report::Ended { call, cause, .. } = pair.report() else { panic!("it goes on") };
    assert_eq!((call, cause.kind, pair.legs.live()), (CALL, Kind::Cancelled, 0));
}

#[test]
fn a_party_is_called_as_the_switchboard_says_and_answers() {
    let mut pair = Pair::new();
    let mut wanted = dial();
    wanted.identity = Identity { display: Some(b"Alice".as_slice().into()), asserted: None, private: true };
    wanted.diversions = vec![Diversion { from: Address::from("sip:carol@x.test"), why: Diverting::Busy }];
    wanted.alerting = Alerting { tone: None, answer_after: Some(0) };
    wanted.wire_id = Some("chosen@here".into());
    let (call, leg) = pair.dialing(wanted.clone());
    let Op::Dial { dial: asked, .. } = pair.op() else { panic!("nobody is called") };
    assert_eq!((&asked.from, &asked.to, &asked.offer), (&wanted.from, &wanted.to, &wanted.offer));
    assert_eq!(
        (&asked.identity, &asked.diversions, &asked.alerting),
        (&wanted.identity, &wanted.diversions, &wanted.alerting)
    );
    assert_eq!((asked.hops, asked.wire_id.as_deref()), (68, Some("chosen@here")));
    assert_eq!(pair.report(), Report::Dialed { call: CALL, leg: LEG, wire_id: "chosen@here".into() });
    pair.happen(Report::Progress { call, leg, status: 180, text: "Ringing".into(), sdp: None });
    assert_eq!(
        pair.report(),
        Report::Progress { call: CALL, leg: LEG, status: 180, text: "Ringing".into(), sdp: None }
    );
    pair.happen(Report::Progress { call, leg, status: 183, text: "Heard".into(), sdp: Some(sdp(ANSWER)) });
    assert_eq!(
        pair.report(),
        Report::Progress { call: CALL, leg: LEG, status: 183, text: "Heard".into(), sdp: Some(sdp(ANSWER)) }
    );
    pair.happen(Report::Answered { call, leg, sdp: Some(sdp(ANSWER)) });
    assert_eq!(pair.report(), Report::Answered { call: CALL, leg: LEG, sdp: Some(sdp(ANSWER)) });
    assert_eq!(pair.op(), Op::Confirm { call, leg, sdp: None }, "the node acknowledges by itself");
    pair.order(Op::Confirm { call: CALL, leg: LEG, sdp: None });
    assert!(pair.ops.is_empty());
}

#[test]
fn a_party_that_makes_the_offer_is_answered_in_its_acknowledgement() {
    let mut pair = Pair::new();
    let (call, leg) = pair.dialing(hookswitch_call::Dial { offer: None, ..dial() });
    pair.ops.clear();
    pair.reports();
    pair.happen(Report::Answered { call, leg, sdp: Some(sdp(OFFER)) });
    assert_eq!(pair.report(), Report::Answered { call: CALL, leg: LEG, sdp: Some(sdp(OFFER)) });
    pair.order(Op::Confirm { call: CALL, leg: LEG, sdp: Some(sdp(ANSWER)) });
    assert_eq!(pair.op(), Op::Confirm { call, leg, sdp: Some(sdp(ANSWER)) });
}

#[test]
fn a_party_that_cannot_be_called_ends_with_what_the_node_says() {
    let mut pair = Pair::new();
    pair.order(Op::Dial { call: CALL, leg: LEG, dial: Box::new(dial()) });
    let Op::Locate { call, anywhere, .. } = pair.op() else { panic!("nobody is called") };
    assert!(!anywhere, "a phone has dialled it");
    let found = hookswitch_call::Found::Nowhere(Cause::new(Kind::NotFound, Fault::Peer));
    pair.happen(Report::Located { call, found, codecs: None, forwards: None });
    let Report::Ended { cause, .. } = pair.report() else { panic!("it goes on") };
    assert_eq!((cause.code, cause.kind, pair.legs.live()), (404, Kind::NotFound, 0));
    let (call, leg) = pair.dialing(dial());
    pair.ops.clear();
    pair.reports();
    let to = vec![Address::from("sip:else@y.test")];
    pair.happen(Report::Redirected { call, leg, to: to.clone() });
    assert_eq!(pair.report(), Report::Redirected { call: CALL, leg: LEG, to });
    let busy = Cause::from_status(486, "Talking");
    pair.happen(Report::Ended { call, leg, cause: busy.clone() });
    assert_eq!(pair.report(), Report::Ended { call: CALL, leg: LEG, cause: busy });
}

#[test]
fn a_call_that_is_given_up_is_cancelled_for_its_cause() {
    let mut pair = Pair::new();
    let (call, leg) = pair.dialing(dial());
    pair.ops.clear();
    let cause = Cause::new(Kind::AnsweredElsewhere, Fault::Nobody);
    pair.order(Op::Hangup { call: CALL, leg: LEG, cause: cause.clone() });
    assert_eq!(pair.op(), Op::Hangup { call, leg, cause }, "so that no phone shows a missed call");
}

#[test]
fn both_sides_change_the_session() {
    let mut pair = Pair::new();
    let (call, leg) = pair.talking();
    let held = OFFER.replace("a=z:1", "a=sendonly");
    pair.happen(Report::Reoffered { call, leg, sdp: Some(sdp(&held)) });
    assert_eq!(pair.report(), Report::Reoffered { call: CALL, leg: LEG, sdp: Some(sdp(&held)) });
    pair.order(Op::Reanswer { call: CALL, leg: LEG, sdp: Ok(sdp(ANSWER)) });
    assert_eq!(pair.op(), Op::Reanswer { call, leg, sdp: Ok(sdp(ANSWER)) });
    pair.happen(Report::Reoffered { call, leg, sdp: None });
    assert_eq!(pair.report(), Report::Reoffered { call: CALL, leg: LEG, sdp: None });
    let cause = Cause::new(Kind::NotAcceptable, Fault::Server);
    pair.order(Op::Reanswer { call: CALL, leg: LEG, sdp: Err(cause.clone()) });
    assert_eq!(pair.op(), Op::Reanswer { call, leg, sdp: Err(cause) });
    pair.happen(Report::Reoffered { call, leg, sdp: Some(sdp(OFFER)) });
    pair.happen(Report::Withdrawn { call, leg });
    assert_eq!(pair.reports()[1], Report::Withdrawn { call: CALL, leg: LEG });
    pair.order(Op::Reanswer { call: CALL, leg: LEG, sdp: Err(Cause::new(Kind::Pending, Fault::Server)) });
    assert!(pair.ops.is_empty() && pair.reports().is_empty(), "it comes too late, and harms nobody");
    let notes = Notes(vec![("X-Note".into(), "1".into())]);
    pair.order(Op::Reoffer { call: CALL, leg: LEG, sdp: Some(sdp(&held)), notes: notes.clone() });
    assert_eq!(pair.op(), Op::Reoffer { call, leg, sdp: Some(sdp(&held)), notes });
    pair.order(Op::Withdraw { call: CALL, leg: LEG });
    assert_eq!(pair.op(), Op::Withdraw { call, leg });
    let cause = Cause::new(Kind::Cancelled, Fault::Controller);
    pair.happen(Report::Reaccepted { call, leg, sdp: Err(cause.clone()) });
    assert_eq!(pair.report(), Report::Reaccepted { call: CALL, leg: LEG, sdp: Err(cause) });
    pair.order(Op::Reoffer { call: CALL, leg: LEG, sdp: None, notes: Notes::default() });
    pair.ops.clear();
    pair.happen(Report::Reaccepted { call, leg, sdp: Ok(Some(sdp(OFFER))) });
    assert_eq!(pair.report(), Report::Reaccepted { call: CALL, leg: LEG, sdp: Ok(Some(sdp(OFFER))) });
    pair.order(Op::Confirm { call: CALL, leg: LEG, sdp: Some(sdp(ANSWER)) });
    assert_eq!(pair.op(), Op::Confirm { call, leg, sdp: Some(sdp(ANSWER)) });
}

#[test]
fn a_change_that_meets_another_may_be_tried_again() {
    let mut pair = Pair::new();
    let (call, leg) = pair.talking();
    pair.happen(Report::Reoffered { call, leg, sdp: Some(sdp(&OFFER.replace("a=z:1", "a=sendonly"))) });
    pair.reports();
    pair.order(Op::Reoffer { call: CALL, leg: LEG, sdp: Some(sdp(ANSWER)), notes: Notes::default() });
    let Report::Reaccepted { sdp: Err(cause), .. } = pair.report() else { panic!("it went well") };
    assert_eq!((cause.kind, pair.legs.live()), (Kind::Pending, 1));
}

#[test]
fn transfers_go_both_ways() {
    let mut pair = Pair::new();
    let (call, leg) = pair.talking();
    let (to, by) = (Address::from("sip:carol@x.test"), Some(Address::from("sip:alice@x.test")));
    pair.happen(Report::ReferAsked { call, leg, to: ReferTo::Address(to.clone()), by: by.clone() });
    assert_eq!(
        pair.report(),
        Report::ReferAsked { call: CALL, leg: LEG, to: ReferTo::Address(to.clone()), by: by.clone() }
    );
    assert_eq!(pair.op(), Op::AnswerRefer { call, leg, result: Ok(()) });
    pair.order(Op::AnswerRefer { call: CALL, leg: LEG, result: Ok(()) });
    pair.order(Op::TellRefer { call: CALL, leg: LEG, status: 180, text: "Ringing".into() });
    assert_eq!(pair.op(), Op::TellRefer { call, leg, status: 180, text: "Ringing".into() });
    // One that is refused here was agreed to there: it goes wrong.
    pair.happen(Report::ReferAsked { call, leg, to: ReferTo::Address(to.clone()), by: None });
    pair.reports();
    pair.ops.clear();
    pair.order(Op::AnswerRefer { call: CALL, leg: LEG, result: Err(Cause::new(Kind::Declined, Fault::Nobody)) });
    assert!(matches!(pair.op(), Op::TellRefer { status: 603, .. }));
    pair.order(Op::Refer { call: CALL, leg: LEG, to: to.clone(), replaces: None, by: by.clone() });
    assert_eq!(pair.op(), Op::Refer { call, leg, to: to.clone(), replaces: None, by });
    pair.happen(Report::ReferAnswered { call, leg, result: Ok(()) });
    assert_eq!(pair.report(), Report::ReferAnswered { call: CALL, leg: LEG, result: Ok(()) });
    pair.happen(Report::ReferProgress { call, leg, status: 200, text: "OK".into() });
    assert_eq!(pair.report(), Report::ReferProgress { call: CALL, leg: LEG, status: 200, text: "OK".into() });
    // A leg that is not on this node cannot be replaced there.
    let nobody = Some((CallId(5), LegId(5)));
    pair.order(Op::Refer { call: CALL, leg: LEG, to, replaces: nobody, by: None });
    let Report::ReferAnswered { result: Err(cause), .. } = pair.report() else { panic!("it was asked") };
    assert_eq!(cause.kind, Kind::Unsupported);
}

#[test]
fn the_rest_passes_too_and_what_cannot_is_refused() {
    let mut pair = Pair::new();
    let (call, leg) = pair.talking();
    let digit = Digit { key: '5', time: Duration::from_millis(250) };
    pair.happen(Report::Digit { call, leg, digit });
    assert_eq!(pair.report(), Report::Digit { call: CALL, leg: LEG, digit });
    pair.order(Op::Probe { call: CALL, leg: LEG });
    assert_eq!(pair.op(), Op::Probe { call, leg });
    pair.order(Op::Focus { call: CALL, leg: LEG, on: true });
    assert_eq!(pair.op(), Op::Focus { call, leg, on: true });
    let parcel = Parcel { kind: ParcelKind::Info, content_type: "text/plain".into(), body: b"x".as_slice().into() };
    pair.order(Op::Deliver { call: CALL, leg: LEG, receipt: 7, parcel });
    assert_eq!(pair.report(), Report::Delivered { call: CALL, leg: LEG, receipt: 7, status: 501 });
    let (there, elsewhere) = ((CallId(8), LegId(3)), digit);
    pair.order(Op::Move { from: (CALL, LEG), to: there });
    pair.happen(Report::Digit { call, leg, digit: elsewhere });
    assert_eq!(pair.report(), Report::Digit { call: there.0, leg: there.1, digit: elsewhere });
}
