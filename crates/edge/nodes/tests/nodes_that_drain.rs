//! SIP nodes that are drained: only phones that are registered nowhere else are called there, and what is there goes on.

mod pair;

use std::time::Duration;

use hookswitch_call::{Cause, Fault, Found, Kind, Op, Report};
use hookswitch_mediaswitch::{Config, Dialogs};
use hookswitch_nodes::{BEAT, Half as _, LegsHalf as _, NodeState};
use pair::*;

fn nowhere(found: Found) -> (u16, String) {
    let Found::Nowhere(cause) = found else { panic!("{found:?}") };
    (cause.code, cause.text.to_string())
}

#[test]
fn a_node_that_drains_is_given_no_calls_but_to_its_own_phones_and_keeps_those_it_has() {
    let mut pair = Pair::new();
    pair.registered = r#"{"users":{"bob":{"registered":true}}}"#.to_owned();
    pair.legs.domain("x.test", Some(r#"[{"username":"bob","secret":"x"}]"#.to_owned()));
    let (call, leg) = pair.talking();
    pair.node.set_draining(true);
    pair.pass(BEAT);
    let standing = pair.legs.standing().remove(0);
    assert_eq!((standing.state, standing.carries), (NodeState::Draining, 1));
    let load = standing.load.expect("it has said so");
    assert_eq!((load.active, load.available, load.draining), (1, 0, true));
    let unknown = || Found::Nowhere(Cause::new(Kind::NotFound, Fault::Peer));
    let unreached = || Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer));
    assert_eq!(nowhere(pair.locate("tel:+4930", None, unknown())), (503, "All SIP Nodes Drain".into()));
    let bob = "bob@x.test";
    let Found::Targets(places) = pair.locate("sip:bob@x.test", Some(bob), unreached()) else { panic!("not reached") };
    assert_eq!(places.iter().map(|place| place.via).collect::<Vec<_>>(), [Some(0)], "only it has his phone");
    assert_eq!(pair.locate("sip:carol@x.test", Some("carol@x.test"), unreached()), unreached(), "she is nowhere");
    pair.happen(Report::Reoffered { call, leg, sdp: Some(sdp(ANSWER)) });
    assert!(matches!(pair.report(), Report::Reoffered { .. }), "the call is changed as ever");
    // What was on its way to the node when that was drained, and is for no phone of its own, is refused there.
    pair.order(Op::Dial { call: CALL, leg: hookswitch_call::LegId(9), dial: Box::new(dial()) });
    let Op::Locate { call, .. } = pair.op() else { panic!("it is not looked for") };
    let drained = Cause::new(Kind::Overloaded, Fault::Server).with_text("Server Is Drained");
    pair.happen(Report::Located { call, found: Found::Nowhere(drained), codecs: None, forwards: None });
    let Report::Ended { cause, .. } = pair.report() else { panic!("it is called") };
    assert_eq!((cause.code, cause.text.as_str()), (503, "Server Is Drained"));
    pair.node.set_draining(false);
    pair.pass(BEAT);
    assert_eq!(pair.legs.standing()[0].state, NodeState::Up);
    assert!(matches!(pair.locate("sip:bob@x.test", Some(bob), unreached()), Found::Targets(_)));
    assert!(matches!(pair.locate("tel:+4930", None, unknown()), Found::Targets(_)));
}

#[test]
fn a_node_that_is_about_to_stop_drains() {
    let mut pair = Pair::new();
    pair.node.drain();
    pair.pass(BEAT);
    assert_eq!(pair.legs.standing()[0].state, NodeState::Draining);
}

#[test]
fn a_node_that_was_started_anew_between_two_questions_has_lost_its_legs_and_learns_the_domains() {
    let mut pair = Pair::new();
    pair.legs.domain("x.test", Some("[]".to_owned()));
    pair.talking();
    pair.pushed.clear();
    pair.node = Dialogs::new(Config::default(), [3; 32]);
    pair.pass(BEAT);
    let Report::Ended { cause, .. } = pair.report() else { panic!("it goes on") };
    assert_eq!((cause.code, cause.text.as_str(), pair.legs.live()), (503, "Node Lost", 0));
    assert_eq!(
        pair.pushed.iter().map(|(method, path, _)| format!("{method} {path}")).collect::<Vec<_>>(),
        ["PUT /dir/x.test"]
    );
    pair.pass(Duration::from_secs(5));
    assert!(pair.reports().is_empty() && pair.pushed.len() == 1, "once");
}
