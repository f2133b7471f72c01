//! `/drain`: whoever calls is sent elsewhere, what there is goes on, and it is taken back.

use crate::support::*;
use hookswitch_shard::Input;
use hookswitch_sip::{Body, Event, Flow, Header, Invite, RequestOut};
use hookswitch_sip_msg::{HeaderName, Message, Method};
use serde_json::{Value, json};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

/// What a controller says of its own side of a call.
fn sdp() -> Value {
    json!({ "v": 0, "c": [{ "address": "10.0.0.9" }], "m": [{ "media": "audio", "port": 6000, "payloads": [8] }] })
}

/// A controller has somebody called.
fn call(world: &mut World, to: Value) -> (u16, Value) {
    let wanted = json!({
        "from": { "domain": "x.test", "user": "1" }, "to": to, "maxforwards": 69,
        "cid": { "number": "1", "name": "One", "private": false }, "sdp": sdp(),
    });
    world.ask("POST", "/dialog/invite", &wanted)
}

/// What carol's phone is answered when it asks the switch itself what it can.
fn asked(world: &mut World, to: &str) -> (Option<u16>, bool) {
    let flow = Flow::udp(at(SWITCH), at("10.0.0.5:5060"));
    let branch = world.wire.len();
    let options = format!(
        "OPTIONS sip:x.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:carol@x.test>;tag=c\r\nTo: {to}\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    world.shard.handle(world.now, Input::Sip(hookswitch_sip::Input::Datagram { flow, bytes: options.into() }));
    world.run();
    let answer = sent_to_carol(world).pop().unwrap();
    (answer.status(), answer.header(HeaderName::RetryAfter).is_some())
}

/// Responses that carol's phone was sent.
fn sent_to_carol(world: &World) -> Vec<&Message> {
    let to_carol =
        world.wire.iter().filter(|(_, to, message)| *to == at("10.0.0.5:5060") && message.status().is_some());
    to_carol.map(|(_, _, message)| message).collect()
}

#[test]
fn a_node_of_a_controller_refuses_new_calls_and_those_it_has_go_on_until_that_is_taken_back() {
    let mut world = World::controlled();
    let dialog = world.invite(0, "sip:6@x.test", Some(OFFER));
    let callid = world.event()["callid"].clone();
    let (status, load) = world.ask("POST", "/drain", &Value::Null);
    assert_eq!(
        (status, &load["draining"], &load["available"], &load["count"]),
        (200, &true.into(), &0.into(), &1.into())
    );
    world.invite(3, "sip:6@x.test", Some(OFFER));
    let refusals = sent_to_carol(&world);
    assert_eq!(refusals.len(), 1, "nobody has to prove anything for that");
    assert_eq!((refusals[0].status(), refusals[0].reason()), (Some(503), b"Server Is Drained".as_slice()));
    assert!(refusals[0].header(HeaderName::RetryAfter).is_some());
    assert_eq!((world.register(1), world.notes().len()), (200, 1), "phones stay with it, and that is told");
    let (status, health) = world.ask("GET", "/health", &Value::Null);
    assert_eq!((status, health["status"].as_str()), (503, Some("draining")));
    world.command("answer", &json!({ "callid": callid, "sdp": sdp() }));
    world.ack(0, dialog, None);
    assert_eq!(world.event()["answered"], true, "a call that was there is answered");
    let (status, load) = world.ask("DELETE", "/drain", &Value::Null);
    assert_eq!((status, &load["draining"], &load["available"]), (200, &false.into(), &9_999.into()));
    assert_eq!(world.ask("GET", "/health", &Value::Null).0, 200);
    let other = world.invite(3, "sip:6@x.test", Some(OFFER));
    assert_eq!(world.event()["from"], "carol");
    world.pass(sec(1));
    world.cancel(3, other);
    world.bye(0, dialog);
    assert_eq!(world.ask("GET", "/drain", &Value::Null).0, 405);
    world.assert_clean();
}

#[test]
fn a_whole_switch_refuses_calls_of_applications_too_and_a_call_may_still_be_picked_up() {
    const START: &str = r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test"}"#;
    let mut world = World::anchoring();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 180, None);
    assert_eq!(world.http("POST", "/drain", "").0, 200);
    let refused: Value = serde_json::from_str(&world.rest("POST", "/v1/calls", START).body).unwrap();
    assert_eq!(refused["code"], "draining");
    let (bobs, _) = world.called(1).unwrap();
    let bobs = world.agents[1].endpoint.dialog(bobs).unwrap();
    let replaces = format!("{};to-tag={};from-tag={}", bobs.call_id(), bobs.remote_tag(), bobs.local_tag());
    let flow = Flow::udp(at("10.0.0.5:5060"), at(SWITCH));
    let mut pickup = Invite::new("sip:bob@x.test", "<sip:carol@x.test>", "<sip:bob@x.test>", flow);
    pickup.headers.push(Header::new(HeaderName::Replaces, replaces));
    pickup.body = Some(Body::sdp("c"));
    let now = world.now;
    let carols = world.agents[3].endpoint.invite(now, pickup).unwrap();
    world.run();
    assert!(world.has(0, |event| matches!(event, Event::Answered { .. })), "alice talks to carol");
    world.ack(3, carols, None);
    world.ack(0, call, None);
    world.bye(0, call);
    assert_eq!(world.http("DELETE", "/drain", "").0, 200);
    world.invite(0, "sip:bob@x.test", Some("a"));
    assert_eq!(world.failure(0), None, "it takes calls again");
    let now = world.now;
    world.shard.handle(now, Input::EndAll);
    world.run();
    world.assert_clean();
}

#[test]
fn a_drained_node_has_phones_called_that_only_it_reaches_and_nobody_else() {
    let mut world = World::controlled();
    world.register(1);
    world.notes();
    world.ask("POST", "/drain", &Value::Null);
    let drained = (503, "Server Is Drained");
    for (to, refusal) in [
        (json!({ "user": "frank", "domain": "192.0.2.7" }), drained),
        // A route leads out.
        (json!({ "user": "bench-1" }), drained),
        (json!({ "user": "carol" }), (480, "Temporarily Unavailable")),
        (json!({ "user": "nobody" }), (404, "To user not found")),
    ] {
        let (status, said) = call(&mut world, to.clone());
        assert_eq!((status, said["error"].as_str().unwrap_or_default()), refusal, "{to}");
    }
    assert_eq!(call(&mut world, json!({ "user": "bob" })).0, 200);
    world.respond(1, 200, Some(OFFER));
    assert_eq!(world.event()["answered"], true);
    let (_, load) = world.ask("GET", "/dialog", &Value::Null);
    assert_eq!((&load["count"], &load["draining"]), (&1.into(), &true.into()));
    let (bobs, _) = world.called(1).unwrap();
    world.bye(1, bobs);
    world.notes();
    world.shard.handle(world.now, Input::Drain);
    let (status, said) = call(&mut world, json!({ "user": "bob" }));
    assert_eq!(
        (status, said["error"].as_str()),
        (503, Some("Server Is Stopping")),
        "then there is nothing to preserve"
    );
    world.assert_clean();
}

#[test]
fn options_is_answered_as_a_call_would_be_and_within_a_call_as_ever() {
    let mut world = World::trusting();
    world.register(1);
    let dialog = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, dialog, None);
    let itself = "<sip:x.test>";
    assert_eq!(asked(&mut world, itself), (Some(200), false));
    world.http("POST", "/drain", "");
    assert_eq!(asked(&mut world, itself), (Some(503), true), "RFC 3261 section 11.2");
    assert_eq!(asked(&mut world, "<sip:x.test>;tag=gone").0, Some(481), "a dialog that is over");
    let now = world.now;
    world.agents[0].endpoint.request(now, RequestOut::inside(dialog, Method::Options)).unwrap();
    world.run();
    assert_eq!(world.last_status(0), Some(200), "its call goes on");
    assert_eq!(world.register(3), 200, "and so do registrations");
    world.http("DELETE", "/drain", "");
    assert_eq!(asked(&mut world, itself), (Some(200), false));
    assert_eq!(world.rest("POST", "/v1/drain", "").status, 202);
    assert_eq!(asked(&mut world, itself), (Some(503), true));
    world.http("DELETE", "/drain", "");
    assert_eq!(asked(&mut world, itself), (Some(503), true), "that one is for good");
    world.bye(0, dialog);
    world.assert_clean();
}

#[test]
fn a_switch_that_stops_is_not_started_again_by_taking_a_drain_back() {
    let mut world = World::controlled();
    let now = world.now;
    world.shard.handle(now, Input::Drain);
    let (status, load) = world.ask("DELETE", "/drain", &Value::Null);
    assert_eq!((status, &load["draining"], &load["available"]), (200, &true.into(), &0.into()));
    world.invite(0, "sip:6@x.test", Some(OFFER));
    assert_eq!(world.failure(0), Some(503));
    assert!(world.notes().is_empty() && world.shard.draining());
}

#[test]
fn how_busy_the_thread_is_stands_beside_what_there_is() {
    let mut world = World::controlled();
    let now = world.now;
    world.shard.handle(now, Input::Busy(12.5));
    let (_, load) = world.ask("GET", "/dialog", &Value::Null);
    assert_eq!((&load["cpu"], &load["count"], &load["counter"]), (&12.5.into(), &0.into(), &0.into()));
    assert_eq!(load["instance"].as_str().map(str::len), Some(16), "a name of this start");
}
