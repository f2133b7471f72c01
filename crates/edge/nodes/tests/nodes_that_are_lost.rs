//! Nodes and switchboards that go and come back: nothing hangs, on either side.

mod pair;

use std::time::Duration;

use hookswitch_call::{Cause, Fault, Found, Kind, Op, Report};
use hookswitch_mediaswitch::PATIENCE;
use hookswitch_nodes::{BEAT, Half as _, Legs, LegsHalf as _, MISSES, NodeId, Told};
use pair::*;

fn lost(report: &Report) -> (u16, &str) {
    let Report::Ended { cause, .. } = report else { panic!("{report:?}") };
    (cause.code, cause.text.as_str())
}

#[test]
fn the_legs_of_a_node_that_does_not_answer_are_over_and_ended_there_when_it_is_back() {
    let mut pair = Pair::new();
    let (call, leg) = pair.talking();
    pair.dead = true;
    pair.pass(BEAT * u32::from(MISSES));
    assert_eq!(lost(&pair.report()), (503, "Node Lost"));
    assert_eq!((pair.legs.live(), pair.node.live()), (0, 1));
    pair.order(Op::Dial { call: CALL, leg: LEG, dial: Box::new(dial()) });
    assert_eq!(lost(&pair.report()), (503, "Node Lost"), "nobody is called there");
    pair.dead = false;
    pair.pass(BEAT * 2);
    let Op::Hangup { call: ended, cause, .. } = pair.op() else { panic!("it hangs") };
    assert_eq!((ended, cause.text.as_str()), (call, "Controller Restarted"));
    pair.happen(Report::Ended { call, leg, cause });
    assert_eq!((pair.node.live(), pair.reports().len()), (0, 0));
}

#[test]
fn one_order_without_an_answer_ends_the_leg_on_both_sides() {
    let mut pair = Pair::new();
    let (call, _) = pair.adopted();
    pair.dead = true;
    pair.order(Op::Answer { call: CALL, leg: LEG, sdp: sdp(ANSWER) });
    assert_eq!(lost(&pair.report()), (503, "Node Does Not Answer"));
    pair.dead = false;
    pair.pass(BEAT * 2);
    assert!(matches!(pair.op(), Op::Hangup { call: ended, .. } if ended == call));
}

#[test]
fn a_switchboard_that_has_restarted_ends_what_it_does_not_know() {
    // By what the node has, as soon as it is asked.
    let mut pair = Pair::new();
    let (call, _) = pair.talking();
    pair.legs = Legs::new(1, "http://c:9001", [9; 32]);
    pair.pass(Duration::ZERO);
    assert!(matches!(pair.op(), Op::Hangup { call: ended, .. } if ended == call));
    // By an event of a leg that is unknown, whatever was asked.
    let mut pair = Pair::new();
    let (call, leg) = pair.talking();
    pair.legs = Legs::new(1, "http://c:9001", [9; 32]);
    pair.happen(Report::Reoffered { call, leg, sdp: None });
    assert_eq!(pair.taken, Some(404));
    let Op::Hangup { call: ended, cause, .. } = pair.op() else { panic!("it hangs") };
    assert_eq!((ended, cause.text.as_str()), (call, "Controller Lost"));
    pair.happen(Report::Ended { call, leg, cause });
    assert_eq!((pair.node.live(), pair.reports().len()), (0, 0));
}

#[test]
fn a_switchboard_that_is_not_heard_of_any_more_leaves_nothing_behind_where_something_happens() {
    let mut pair = Pair::new();
    let (call, leg) = pair.talking();
    pair.deaf = true;
    pair.happen(Report::Reoffered { call, leg, sdp: None });
    pair.pass(PATIENCE / 2);
    assert!(!pair.ops.iter().any(|op| matches!(op, Op::Hangup { .. })), "it may come back");
    pair.pass(PATIENCE);
    assert!(pair.ops.iter().any(|op| matches!(op, Op::Hangup { call: ended, .. } if *ended == call)));
}

#[test]
fn nodes_are_told_of_domains_when_they_are_there_and_again_when_they_are_back() {
    let mut pair = Pair::new();
    let users = r#"[{"username":"bob","secret":"x"}]"#;
    pair.registered = r#"{"users":{"bob":{"registered":true},"carol":{"registered":false}}}"#.to_owned();
    pair.legs.domain("x.test", Some(users.to_owned()));
    pair.run();
    let body = format!(r#"{{"control":"http://c:9001/sip-node/0","users":{users}}}"#);
    assert_eq!(std::mem::take(&mut pair.pushed), [("PUT".into(), "/dir/x.test".into(), body.clone())]);
    let unreached = || Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer));
    let Found::Targets(places) = pair.locate("sip:bob@x.test", Some("bob@x.test"), unreached()) else {
        panic!("nowhere")
    };
    assert_eq!((places.len(), places[0].via), (1, Some(0)));
    assert_eq!(pair.locate("sip:carol@x.test", Some("carol@x.test"), unreached()), unreached());
    pair.dead = true;
    pair.pass(BEAT * u32::from(MISSES));
    assert_eq!(pair.locate("sip:bob@x.test", Some("bob@x.test"), unreached()), unreached());
    pair.dead = false;
    pair.pass(BEAT * 2);
    assert_eq!(std::mem::take(&mut pair.pushed), [("PUT".into(), "/dir/x.test".into(), body)]);
    assert!(matches!(pair.locate("sip:bob@x.test", Some("bob@x.test"), unreached()), Found::Targets(_)));
    pair.legs.domain("x.test", None);
    pair.run();
    assert_eq!(pair.pushed, [("DELETE".into(), "/dir/x.test".into(), String::new())]);
}

#[test]
fn addresses_that_are_nobodys_go_to_a_node_and_services_stay() {
    let mut pair = Pair::new();
    let unknown = || Found::Nowhere(Cause::new(Kind::NotFound, Fault::Peer));
    let Found::Targets(places) = pair.locate("tel:+4930", None, unknown()) else { panic!("nowhere") };
    assert_eq!((places[0].address.0.as_str(), places[0].via), ("tel:+4930", Some(0)));
    let echo = || Found::Service(hookswitch_call::Service::Echo);
    assert_eq!(pair.locate("sip:echo@x.test", None, echo()), echo());
    let bad = || Found::Nowhere(Cause::new(Kind::BadAddress, Fault::Controller));
    assert_eq!(pair.locate("x", None, bad()), bad());
    pair.dead = true;
    pair.pass(BEAT * u32::from(MISSES));
    let Found::Nowhere(cause) = pair.locate("tel:+4930", None, unknown()) else { panic!("somewhere") };
    assert_eq!((cause.code, cause.text.as_str()), (503, "No SIP Node"));
}

#[test]
fn an_order_that_crosses_the_end_of_its_leg_does_not_hide_why_it_ended() {
    let mut pair = Pair::new();
    let (call, leg) = pair.adopted();
    // The party gives up, and what tells of that is on its way.
    pair.deaf = true;
    let cause = Cause::new(Kind::Cancelled, Fault::Peer);
    pair.happen(Report::Ended { call, leg, cause: cause.clone() });
    pair.order(Op::Ring { call: CALL, leg: LEG, status: 180, sdp: None });
    assert_eq!((pair.reports(), pair.ops.len()), (Vec::new(), 0), "the node knows no such leg any more");
    pair.deaf = false;
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.report(), Report::Ended { call: CALL, leg: LEG, cause });
    // And where nothing is told of it at all, it is over a little later.
    let mut pair = Pair::new();
    pair.adopted();
    // As if it had been forgotten: by a node that is the same, for all that can be seen.
    pair.node = hookswitch_mediaswitch::Dialogs::new(hookswitch_mediaswitch::Config::default(), [2; 32]);
    pair.order(Op::Ring { call: CALL, leg: LEG, status: 180, sdp: None });
    assert!(pair.reports().is_empty());
    pair.pass(Duration::from_secs(6));
    assert_eq!(lost(&pair.report()), (480, "Leg Lost"));
}

#[test]
fn a_registration_may_name_its_user_in_the_path_or_in_the_body() {
    let mut pair = Pair::new();
    let reached = |pair: &mut Pair| {
        let found = Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer));
        matches!(pair.locate("sip:bob@x.test", Some("bob@x.test"), found), Found::Targets(_))
    };
    let named = r#"{ "domain": "x.test", "user": "bob" }"#;
    for (method, path, body, status, is_there) in [
        ("POST", "/reg", named, 200, true),
        ("DELETE", "/reg", named, 200, false),
        ("PUT", "/reg/x.test/bob", "{}", 200, true),
        ("DELETE", "/reg", r#"{ "user": "bob" }"#, 400, true),
        ("DELETE", "/reg/x.test/bob", "", 200, false),
        ("GET", "/reg", "", 404, false),
    ] {
        let told = Told { method, path, body: body.as_bytes() };
        assert_eq!(pair.legs.told(pair.now, NodeId(0), told), status, "{method} {path}");
        assert_eq!(reached(&mut pair), is_there, "{method} {path}");
    }
}
