//! `/drain`: whoever calls is sent elsewhere, what there is goes on, and it is taken back.

use crate::support::*;
use hookswitch_shard::Input;
use hookswitch_sip::{Body, Event, Flow, Header, Invite};
use hookswitch_sip_msg::{HeaderName, Message};
use serde_json::{Value, json};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

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
    let sdp =
        json!({ "v": 0, "c": [{ "address": "10.0.0.9" }], "m": [{ "media": "audio", "port": 6000, "payloads": [8] }] });
    let wanted = json!({
        "from": { "domain": "x.test", "user": "1" }, "to": { "user": "bob" }, "maxforwards": 69,
        "cid": { "number": "1", "name": "One", "private": false }, "sdp": sdp,
    });
    let (status, refusal) = world.ask("POST", "/dialog/invite", &wanted);
    assert_eq!((status, refusal["error"].as_str()), (503, Some("Server Is Drained")));
    assert_eq!((world.register(1), world.notes().len()), (200, 1), "phones stay with it, and that is told");
    let (status, health) = world.ask("GET", "/health", &Value::Null);
    assert_eq!((status, health["status"].as_str()), (503, Some("draining")));
    world.command("answer", &json!({ "callid": callid, "sdp": sdp }));
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
