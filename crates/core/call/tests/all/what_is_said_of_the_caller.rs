//! What a caller says of itself reaches whoever is called.

use crate::support::*;

use hookswitch_call::*;

fn dials(desk: &Desk) -> Vec<Dial> {
    let dials = desk.ops.iter().filter_map(|op| match op {
        Op::Dial { dial, .. } => Some((**dial).clone()),
        _ => None,
    });
    dials.collect()
}

#[test]
fn identity_diversions_and_alerting_go_to_every_place() {
    let identity =
        Identity { display: Some((*b"Alice").into()), asserted: Some(Address::from("sip:+4930@x")), private: true };
    let diversions = vec![Diversion { from: Address::from("sip:zoe@y"), why: Diverting::Busy }];
    let alerting = Alerting { tone: Some("<http://x/ring>".into()), answer_after: Some(3) };
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming_with(|incoming| {
        incoming.identity = identity.clone();
        incoming.diversions = diversions.clone();
        incoming.alerting = alerting.clone();
        incoming.referred_by = Some(Address::from("sip:yves@y"));
        incoming.hops = 12;
    });
    let forwards = Forwards { busy: Some(Address::from("sip:carol@x")), ..Forwards::default() };
    desk.found(call, vec![target("sip:b1@x"), target("sip:b2@x")], Some(forwards));
    for dial in dials(&desk) {
        assert_eq!((&dial.identity, &dial.diversions, &dial.alerting), (&identity, &diversions, &alerting));
        assert_eq!((dial.referred_by, dial.hops), (Some(Address::from("sip:yves@y")), 12));
        assert_eq!((dial.from, dial.to), (Address::from("sip:alice@x"), Address::from("sip:bob@x")));
    }
    desk.ended(call, 1, Cause::from_status(486, ""));
    desk.ended(call, 2, Cause::from_status(486, ""));
    desk.located(call, &["sip:c1@x"]);
    let dials = dials(&desk);
    let last = dials.last().expect("a third one");
    let turned: Vec<_> = last.diversions.iter().map(|passed| passed.from.to_string()).collect();
    assert_eq!((dials.len(), turned), (3, vec!["sip:zoe@y".to_owned(), "sip:bob@x".to_owned()]));
    assert_eq!((&last.identity, last.hops), (&identity, 11));
}

#[test]
fn a_phone_that_is_rung_up_for_somebody_answers_by_itself_if_configured() {
    for auto_answer in [false, true] {
        let mut desk = Desk::new(Limits { auto_answer, ..Limits::default() });
        desk.start();
        let call = desk.board.calls().next().unwrap().id;
        desk.located(call, &["sip:a1@x"]);
        desk.answered(call, 0, Some("a"));
        desk.located(call, &["sip:b1@x"]);
        let alerted: Vec<_> = dials(&desk).iter().map(|dial| dial.alerting.answer_after).collect();
        assert_eq!(alerted, [auto_answer.then_some(0), None], "never the one that is called afterwards");
    }
}
