//! Whole calls through trunks: the core and the caller see one leg, whichever host takes it in the end.

use crate::support::*;

use hookswitch_b2bua::route::Route;
use hookswitch_b2bua::trunk::{Register, Trunk};
use hookswitch_shard::{Input, ShardConfig};
use hookswitch_sip::{Event, Network};
use hookswitch_sip_msg::{HeaderName, Message, Method};
use serde_json::{Value, json};

const ALICE: usize = 0;
/// The host of the second trunk.
const SECOND: usize = 1;
/// The host of the first trunk.
const FIRST: usize = 3;

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n";
const EARLY: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 9500 RTP/AVP 0\r\n";
const ANSWER: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.3\r\ns=-\r\nc=IN IP4 10.0.0.3\r\nt=0 0\r\nm=audio 9300 RTP/AVP 0\r\n";

fn config() -> ShardConfig {
    let mut config = shard_config();
    config.b2bua.trunks = vec![Trunk::new("first", "sip:10.0.0.5"), Trunk::new("second", "sip:10.0.0.3")];
    config.b2bua.routes = vec![Route::new("sip:0*", "trunk:first,second").unwrap()];
    config
}

fn trunks(world: &mut World) -> String {
    let (status, body) = world.http("GET", "/trunks", "");
    assert_eq!(status, 200);
    body
}

/// The final answer that alice has got.
fn outcome(world: &World) -> Option<u16> {
    world.agents[ALICE].events.iter().rev().find_map(|event| match event {
        Event::Answered { .. } => Some(200),
        Event::Failed { status, .. } => Some(*status),
        _ => None,
    })
}

#[test]
fn a_trunk_that_fails_after_early_audio_gives_way_and_the_caller_talks_to_the_next() {
    for anchored in [true, false] {
        let mut config = config();
        config.limits.anchor = anchored;
        let mut world = World { described: anchored.then_some(0), ..World::new(config) };
        let call = world.invite(ALICE, "sip:0301234@x.test", Some(OFFER));
        world.respond(FIRST, 183, Some(EARLY));
        assert!(trunks(&mut world).contains("\"name\":\"first\",\"calls\":1"));
        world.respond(FIRST, 503, None);
        assert_eq!(outcome(&world), None, "the caller hears nothing of it");
        let (_, invite) = world.called(SECOND).expect("the next trunk is called");
        assert_eq!(invite.request_uri(), Some("sip:0301234@10.0.0.3"));
        world.respond(SECOND, 200, Some(ANSWER));
        assert_eq!(outcome(&world), Some(200), "anchored: {anchored}");
        world.ack(ALICE, call, None);
        let page = trunks(&mut world);
        assert!(
            page.contains("\"name\":\"first\",\"calls\":0") && page.contains("\"name\":\"second\",\"calls\":1"),
            "{page}"
        );
        world.bye(ALICE, call);
        world.pass(sec(60));
        assert!(trunks(&mut world).contains("\"name\":\"second\",\"calls\":0"));
        let counts = world.shard.counts();
        assert_eq!((counts.calls, counts.legs, counts.dialogs), (0, 0, 0), "anchored: {anchored}");
    }
}

#[test]
fn the_page_of_a_call_names_every_host_that_has_not_taken_it() {
    let mut world = World::new(config());
    let read =
        |world: &mut World, path: &str| -> Value { serde_json::from_str(&world.http("GET", path, "").1).unwrap() };
    world.invite(ALICE, "sip:01@x.test", Some(OFFER));
    world.respond(FIRST, 503, None);
    let calls = read(&mut world, "/calls");
    let number = calls["calls"][0]["call"].as_str().unwrap().to_owned();
    let first =
        json!({ "leg": 1, "trunk": "first", "host": "sip:10.0.0.5", "code": 503, "why": "503 Service Unavailable" });
    let live = read(&mut world, &format!("/calls/{number}"));
    assert_eq!(live["missed"], json!([first]));
    world.respond(SECOND, 503, None);
    world.pass(sec(60));
    let over = read(&mut world, &format!("/calls/{number}"));
    let second =
        json!({ "leg": 1, "trunk": "second", "host": "sip:10.0.0.3", "code": 503, "why": "503 Service Unavailable" });
    assert_eq!(over["missed"], json!([first, second]), "{over}");
    assert!(trunks(&mut world).contains("\"failure\":{\"why\":\"503 Service Unavailable\""));
}

#[test]
fn a_caller_is_told_what_the_last_trunk_says_and_why_there_is_none() {
    let mut world = World::new(config());
    world.invite(ALICE, "sip:01@x.test", Some(OFFER));
    world.respond(FIRST, 503, None);
    world.respond(SECOND, 486, None);
    assert_eq!(outcome(&world), Some(486));

    let mut config = config();
    for trunk in &mut config.b2bua.trunks {
        trunk.max_rate = 1;
    }
    let mut world = World::new(config);
    for _ in 0..2 {
        world.invite(ALICE, "sip:01@x.test", Some(OFFER));
    }
    assert_eq!(outcome(&world), None);
    world.invite(ALICE, "sip:01@x.test", Some(OFFER));
    assert_eq!(outcome(&world), Some(503));
    let has_advice = |(_, to, message): &(_, _, Message)| {
        *to == at("10.0.0.2:5060") && message.status() == Some(503) && message.header(HeaderName::RetryAfter).is_some()
    };
    assert!(world.wire.iter().any(has_advice));
}

#[test]
fn a_call_from_a_trunk_reaches_a_user_without_digest() {
    let mut config = config();
    config.b2bua.trunks[0].inbound.networks = vec![Network { addr: at("10.0.0.5:0").ip(), prefix: 32 }];
    config.b2bua.trunks[0].inbound.routes = vec![("21".into(), "sip:bob@x.test".into())];
    let mut world = World::new(config);
    assert_eq!(world.register(2), 200);
    let who = &mut world.agents[FIRST];
    let flow = hookswitch_sip::Flow::udp(who.address, at(SWITCH));
    let mut invite = hookswitch_sip::Invite::new("sip:21@10.0.0.1", "<sip:030@c.test>", "<sip:21@10.0.0.1>", flow);
    invite.body = Some(hookswitch_sip::Body::sdp(OFFER));
    who.endpoint.invite(world.now, invite).unwrap();
    world.run();
    let (_, invite) = world.called(2).expect("bob is called");
    assert!(String::from_utf8_lossy(invite.header(HeaderName::From).unwrap()).contains("sip:030@c.test"));
    assert!(trunks(&mut world).contains("\"received\":1"));
}

#[test]
fn a_switch_that_drains_takes_its_registration_back_before_it_is_idle() {
    let mut config = config();
    config.b2bua.trunks[0].register =
        Some(Register { registrar: None, user: Some("us".into()), contact_user: None, expires: sec(600) });
    let mut world = World::new(config);
    let asked = |world: &World| -> Vec<String> {
        let registers = world.wire.iter().filter(|(_, _, message)| message.method() == Some(&Method::Register));
        let expires = registers.filter_map(|(_, _, message)| message.header(HeaderName::Expires));
        expires.map(|expires| String::from_utf8_lossy(expires).into_owned()).collect()
    };
    world.mute = Some(at("10.0.0.5:5060"));
    world.pass(sec(1));
    assert!(trunks(&mut world).contains("\"state\":\"starting\""));
    world.mute = None;
    world.pass(sec(1));
    assert!(trunks(&mut world).contains("\"state\":\"registered\""));
    assert!(asked(&world).iter().all(|expires| expires == "600"));
    // The trunk is silent: nobody waits for it for ever.
    world.mute = Some(at("10.0.0.5:5060"));
    world.shard.handle(world.now, Input::Drain);
    world.run();
    assert_eq!(asked(&world).last().map(String::as_str), Some("0"));
    assert!(!world.shard.idle());
    world.pass(sec(5));
    assert!(world.shard.idle());
    assert!(trunks(&mut world).contains("\"state\":\"left\""));
}
