//! An application starts and ends calls over the Call API, and pushes users.

use crate::support::*;

use hookswitch_call::Limits;
use hookswitch_shard::{Admission, Input, Mode, SessionId};
use hookswitch_sip::Event;

/// Anchored: the test answers for the media engine.
fn world() -> World {
    let mut config = shard_config();
    config.limits = Limits::default();
    let mut world = World::new(config);
    let now = world.now;
    world.shard.handle(now, Input::SessionOpened { session: SessionId(1), admission: Admission::open(Mode::Original) });
    world
}

#[test]
fn an_unregistered_caller_is_reported_and_the_command_ends() {
    let mut world = world();
    let start = r#"{"jsonrpc":"2.0","id":"1","method":"CallStart","params":{"caller":"sip:alice@x.test","callee":"sip:bob@x.test","cmd_id":"c1"}}"#;
    world.say(start);
    assert_eq!(world.texts.len(), 3, "{:?}", world.texts);
    assert_eq!(world.texts[0], r#"{"jsonrpc":"2.0","id":"1","result":{"cmd_id":"c1","event":"Started"}}"#);
    assert!(world.texts[1].contains("failed to establish initial call: 480 Temporarily Unavailable"));
    assert!(world.texts[2].contains(r#""event":"Ended""#));
    world.assert_clean();
}

#[test]
fn an_address_that_is_none_is_refused_as_the_original_does() {
    let mut world = world();
    for caller in ["not a uri", "http://x.test", "sip:alice@x.test\\r\\nEvil: 1"] {
        world.texts.clear();
        world.say(&format!(
            r#"{{"jsonrpc":"2.0","id":"1","method":"CallStart","params":{{"caller":"{caller}","callee":"sip:bob@x.test"}}}}"#
        ));
        let error = world.texts.iter().find(|text| text.contains("Error")).expect("an error");
        assert!(error.contains("400 Invalid ruri"), "{error}");
    }
}

#[test]
fn a_pushed_user_can_register_until_it_is_removed() {
    let mut world = world();
    assert_eq!(world.register_as(0, "dave", World::credentials("dave"), 600), 403);
    assert_eq!(world.http("PUT", "/dir/x.test/dave", r#"{"secret":"dave-pw"}"#).0, 200);
    assert_eq!(world.register_as(0, "dave", World::credentials("dave"), 600), 200);
    let (status, body) = world.http("GET", "/reg/x.test/dave", "");
    assert_eq!(status, 200);
    assert!(body.contains(r#""registered":true"#) && body.contains(r#""host":"10.0.0.2""#), "{body}");
    assert!(!world.http("GET", "/dir/x.test", "").1.contains("dave-pw"));
    assert_eq!(world.http("DELETE", "/dir/x.test/dave", "").0, 200);
    assert_eq!(world.shard.counts().bindings, 0, "and with the user its binding");
}

#[test]
fn draining_refuses_new_calls_and_says_so_to_health_checks() {
    let mut world = world();
    assert_eq!(world.http("GET", "/health", "").0, 200);
    world.register(1);
    let now = world.now;
    world.shard.handle(now, Input::Drain);
    world.invite(0, "sip:bob@x.test", Some("a"));
    assert_eq!(world.failure(0), Some(503));
    assert!(!world.has(1, |event| matches!(event, Event::Invite { .. })));
    assert_eq!(world.http("GET", "/health", "").0, 503);
    assert!(world.shard.idle());
}

#[test]
fn stopping_hangs_up_whoever_talks_and_refuses_whoever_waits() {
    let mut world = World::trusting();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    let now = world.now;
    world.shard.handle(now, Input::EndAll);
    world.run();
    for agent in [0, 1] {
        assert!(world.has(agent, |event| matches!(event, Event::Ended { .. })), "{agent}");
    }
    world.assert_clean();
}
