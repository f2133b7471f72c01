//! A controller has parties called, each with a description of its own.

use crate::support::controller::Mood;
use crate::support::*;
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::rest;
use hookswitch_shard::{HttpId, Input};
use hookswitch_sip::Event;
use hookswitch_sip_msg::{HeaderName, Message};
use serde_json::{Value, json};

const ANSWER: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.3\r\ns=-\r\nc=IN IP4 10.0.0.3\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";

fn offer() -> Value {
    json!({ "v": 0, "c": [{ "address": "10.0.0.9" }], "m": [{ "media": "audio", "port": 6000, "payloads": [8] }] })
}

fn wanted(to: &str) -> Value {
    json!({
        "from": { "domain": "x.test", "user": "1000" }, "to": { "user": to }, "maxforwards": 69,
        "cid": { "number": "01442", "name": "Bob \"B\" Smith", "private": false },
        "control": "http://127.0.0.1:9001", "sdp": offer(),
    })
}

/// A switch on which bob has a phone, called by a controller.
fn calling() -> (World, Value) {
    let mut world = World::new(shard_config());
    assert_eq!(world.register(1), 200);
    let (status, answer) = world.ask("POST", "/dialog/invite", &wanted("bob"));
    assert_eq!(status, 200, "{answer}");
    (world, answer["callid"].clone())
}

fn invite_of(world: &World, agent: usize) -> Message {
    world.called(agent).expect("an INVITE").1
}

#[test]
fn a_registered_user_is_called_as_the_controller_says() {
    let (mut world, callid) = calling();
    let invite = invite_of(&world, 1);
    assert_eq!(invite.call_id(), Ok(callid.as_str().unwrap()));
    assert_eq!(callid.as_str().unwrap().len(), 36, "in the shape of a UUID");
    assert_eq!(invite.max_forwards().unwrap(), Some(69));
    assert_eq!(invite.header_str(HeaderName::RemotePartyId), Some("\"Bob \\\"B\\\" Smith\" <sip:01442@x.test>"));
    assert!(invite.header_str(HeaderName::From).unwrap().contains("<sip:1000@x.test>"));
    assert!(String::from_utf8(invite.body().to_vec()).unwrap().contains("m=audio 6000 RTP/AVP 8"));
    world.respond(1, 180, None);
    let event = world.event();
    assert_eq!((&event["callid"], &event["ring"], &event["originator"]), (&callid, &json!(true), &json!(true)));
    assert_eq!((&event["to"], &event["from"], &event["domain"]), (&json!("bob"), &json!("1000"), &json!("x.test")));
    world.respond(1, 200, Some(ANSWER));
    let event = world.event();
    assert_eq!((&event["answered"], &event["sdp"]["them"]["m"][0]["port"]), (&json!(true), &json!(5000)));
    assert_eq!(event["remote"], json!({ "host": "10.0.0.3", "port": 5060 }));
    assert!(event["contact"].as_str().unwrap().contains("10.0.0.3"));
    assert!(world.has(1, |event| matches!(event, Event::Acked { .. })));
    world.command("hangup", &json!({ "callid": callid }));
    assert!(world.has(1, |event| matches!(event, Event::Ended { .. })));
    assert_eq!(world.event()["hangup"], true);
    world.assert_clean();
}

#[test]
fn early_media_is_told() {
    let (mut world, callid) = calling();
    world.respond(1, 183, Some(ANSWER));
    let event = world.event();
    assert_eq!((&event["ring"], &event["sdp"]["them"]["m"][0]["port"]), (&json!(false), &json!(5000)));
    world.command("hangup", &json!({ "callid": callid }));
    let event = world.event();
    assert_eq!((&event["hangup"], &event["error"]["code"]), (&json!(true), &json!(0)), "it was cancelled");
    world.assert_clean();
}

#[test]
fn who_refuses_is_told_with_code_and_phrase() {
    for (status, expected) in [
        (486, "Busy Here"),
        (404, "Not Found"),
        (503, "Service Unavailable"),
        (603, "Decline"),
        (302, "Moved Temporarily"),
    ] {
        let (mut world, _) = calling();
        world.respond(1, status, None);
        let event = world.event();
        assert_eq!(event["hangup"], true);
        assert_eq!(event["error"], json!({ "code": status, "status": expected }));
        world.assert_clean();
    }
}

#[test]
fn nobody_is_called_for_longer_than_three_minutes() {
    let (mut world, _) = calling();
    world.respond(1, 180, None);
    world.event();
    world.pass(sec(181));
    assert!(world.has(1, |event| matches!(event, Event::Cancelled { .. })));
    let event = world.event();
    assert_eq!((&event["hangup"], &event["error"]["code"]), (&json!(true), &json!(408)));
    world.assert_clean();
}

#[test]
fn whom_nobody_knows_is_said_at_once() {
    let mut world = World::new(shard_config());
    for (body, expected, what) in [
        (wanted("bob"), 480, "Temporarily Unavailable"),
        (wanted("nobody"), 404, "To user not found"),
        (wanted("echo"), 404, "To user not found"),
        (json!({}), 500, "Missing param or params in invite"),
    ] {
        let (status, answer) = world.ask("POST", "/dialog/invite", &body);
        assert_eq!((status, answer["error"].as_str()), (expected, Some(what)), "{body}");
    }
    assert_eq!(world.ask("GET", "/dialog", &Value::Null).1["count"], 0);
    world.assert_clean();
}

#[test]
fn everything_that_the_original_wants_must_be_there() {
    let mut world = World::new(shard_config());
    for missing in ["/from/domain", "/from/user", "/to/user", "/maxforwards", "/cid/number", "/cid/name", "/sdp"] {
        let mut body = wanted("bob");
        *body.pointer_mut(missing).unwrap() = Value::Null;
        let (status, answer) = world.ask("POST", "/dialog/invite", &body);
        let place = missing[1..].replace('/', ".");
        assert_eq!((status, &answer["where"]), (500, &json!(place)));
    }
    for (place, value) in [
        ("/from/domain", json!("a b")),
        ("/to/user", json!("a\r\nb")),
        ("/maxforwards", json!(256)),
        ("/cid/private", json!("yes")),
        ("/control", json!("ftp://h")),
        ("/sdp", json!({ "m": 1 })),
    ] {
        let mut body = wanted("bob");
        *body.pointer_mut(place).unwrap() = value;
        let (status, answer) = world.ask("POST", "/dialog/invite", &body);
        assert_eq!(status, 400, "{answer}");
        assert_eq!(answer["where"].as_str().unwrap().split('.').next(), place[1..].split('/').next(), "{answer}");
    }
}

#[test]
fn a_private_caller_is_marked_so() {
    let mut world = World::new(shard_config());
    world.register(1);
    let mut body = wanted("bob");
    body["cid"]["private"] = json!(true);
    body["maxforwards"] = json!("3");
    assert_eq!(world.ask("POST", "/dialog/invite", &body).0, 200);
    let invite = invite_of(&world, 1);
    assert!(invite.header_str(HeaderName::RemotePartyId).unwrap().ends_with(";privacy=full"));
    assert_eq!(invite.max_forwards().unwrap(), Some(3));
}

#[test]
fn the_flat_form_of_the_readme_calls_without_a_description_and_gets_the_partys() {
    let mut world = World::new(shard_config());
    world.register(1);
    let body = json!([{ "domain": "x.test", "to": "bob", "from": "1000", "maxforwards": 70,
        "callerid": { "number": "123", "name": "123", "private": false }, "control": { "host": "127.0.0.1", "port": 9001 } }]);
    let (status, answer) = world.ask("POST", "/invite", &body);
    assert_eq!(status, 200, "{answer}");
    assert!(invite_of(&world, 1).body().is_empty());
    world.respond(1, 200, Some(ANSWER));
    let event = world.event();
    assert_eq!((&event["answered"], &event["sdp"]["them"]["m"][0]["port"]), (&json!(true), &json!(5000)));
    assert!(!world.has(1, |event| matches!(event, Event::Acked { .. })), "our answer is still to come");
    world.command("ok", &json!({ "callid": answer["callid"], "sdp": offer() }));
    let acked = world.agents[1].events.iter().find_map(|event| match event {
        Event::Acked { request, .. } => Some(String::from_utf8(request.body().to_vec()).unwrap()),
        _ => None,
    });
    assert!(acked.unwrap().contains("m=audio 6000"));
    world.command("hangup", &json!({ "callid": answer["callid"] }));
    world.assert_clean();
}

#[test]
fn an_empty_description_asks_the_party_for_its_offer() {
    for empty in [json!({}), json!("")] {
        let mut world = World::new(shard_config());
        world.register(1);
        let mut body = wanted("bob");
        body["sdp"] = empty;
        let (status, answer) = world.ask("POST", "/dialog/invite", &body);
        assert_eq!(status, 200, "{answer}");
        assert!(invite_of(&world, 1).body().is_empty());
        world.respond(1, 200, Some(ANSWER));
        assert_eq!(world.event()["sdp"]["them"]["m"][0]["port"], 5000);
        world.command("ok", &json!({ "callid": answer["callid"], "sdp": offer() }));
        world.command("hangup", &json!({ "callid": answer["callid"] }));
        world.assert_clean();
    }
}

#[test]
fn a_gateway_that_asks_who_calls_is_told_with_the_secret() {
    let mut world = World::new(shard_config());
    let mut body = wanted("0123");
    body["to"]["domain"] = json!("10.0.0.5");
    body["from"]["authsecret"] = json!("carol-pw");
    body["from"]["user"] = json!("carol");
    world.challenge = Some(3);
    let (status, answer) = world.ask("POST", "/dialog/invite", &body);
    assert_eq!(status, 200, "{answer}");
    let sent: Vec<Message> = world
        .wire
        .iter()
        .filter(|(_, to, message)| {
            *to == at("10.0.0.5:5060") && message.method().is_some_and(|m| m.as_str() == "INVITE")
        })
        .map(|(_, _, message)| message.clone())
        .collect();
    assert_eq!(sent.len(), 2, "once without and once with credentials");
    let credentials = sent[1].header_str(HeaderName::Authorization).expect("credentials");
    assert!(credentials.contains("username=\"carol\"") && !credentials.contains("carol-pw"), "{credentials}");
    world.command("hangup", &json!({ "callid": answer["callid"] }));
    world.assert_clean();
}

#[test]
fn both_phones_of_a_user_ring_and_the_first_answer_counts() {
    let mut world = World::new(shard_config());
    world.register(1);
    world.register(2);
    let (_, answer) = world.ask("POST", "/dialog/invite", &wanted("bob"));
    world.respond(1, 180, None);
    world.respond(2, 180, None);
    assert_eq!(world.event()["ring"], true, "it rings, once");
    world.respond(2, 200, Some(ANSWER));
    assert!(world.has(1, |event| matches!(event, Event::Cancelled { .. })));
    assert_eq!(world.event()["remote"]["host"], "10.0.0.4");
    world.command("hangup", &json!({ "callid": answer["callid"] }));
    world.assert_clean();
}

#[test]
fn one_phone_that_refuses_ends_nothing_while_another_rings() {
    let mut world = World::new(shard_config());
    world.register(1);
    world.register(2);
    world.ask("POST", "/dialog/invite", &wanted("bob"));
    world.respond(1, 480, None);
    assert!(world.notes().is_empty());
    world.respond(2, 486, None);
    assert_eq!(world.event()["error"]["code"], 486, "the better of both");
    world.assert_clean();
}

#[test]
fn without_a_controller_of_its_own_the_domains_is_told_and_without_that_nobody() {
    for (control, told) in [(true, 1), (false, 0)] {
        let mut world = if control { World::controlled() } else { World::new(shard_config()) };
        world.register(1);
        world.notes();
        let mut body = wanted("bob");
        body["control"] = Value::Null;
        assert_eq!(world.ask("POST", "/dialog/invite", &body).0, 200);
        world.respond(1, 486, None);
        let notes = world.notes();
        let events: Vec<_> =
            notes.iter().map(|told| (told.note.method, told.note.url.as_str(), &told.document["hangup"])).collect();
        assert_eq!(events.len(), told, "{events:?}");
        world.assert_clean();
    }
}

#[test]
fn a_dead_controller_does_not_end_a_call_out() {
    let (mut world, callid) = calling();
    world.mood = Mood::Dead;
    world.respond(1, 180, None);
    world.respond(1, 200, Some(ANSWER));
    world.pass(sec(200));
    assert_eq!(world.shard.counts().calls, 1);
    world.command("hangup", &json!({ "callid": callid }));
    world.pass(sec(400));
    let (waiting, lost) = world.shard.controller_notes();
    assert_eq!((waiting, lost), (0, 3));
    world.assert_clean();
}

/// What a control server with this grant answers.
fn control(world: &mut World, method: &str, path: &str, body: &Value, grant: Grant) -> (u16, Value) {
    let request = rest::Request {
        method: method.into(),
        path: path.into(),
        query: None,
        headers: rest::Headers::default(),
        body: body.to_string().into_bytes(),
        grant: std::sync::Arc::new(grant),
        webhook: None,
        work: rest::Work::Here,
    };
    let now = world.now;
    world.shard.handle(now, Input::Rest { id: HttpId(1), request: Box::new(request) });
    world.run();
    let answer = world.responses.pop().expect("an answer");
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

#[test]
fn a_control_server_originates_calls_through_the_switch_and_lists_them() {
    // The caller is called when the media engine has described the session.
    let mut world = World::anchoring();
    world.register(1);
    let body = json!({ "from": { "domain": "x.test", "user": "bob" }, "to": { "user": "carol" } });
    let everything = Grant::everything;
    let (status, answer) = control(&mut world, "POST", "/invite", &body, everything());
    assert_eq!(status, 200, "{answer}");
    let callid = answer["callid"].as_str().unwrap().to_owned();
    assert_eq!(control(&mut world, "GET", "/calls", &Value::Null, everything()), (200, json!([callid])));
    let other = Grant { domains: vec!["other.test".into()], ..everything() };
    assert_eq!(control(&mut world, "GET", "/calls", &Value::Null, other.clone()), (200, json!([])));
    assert_eq!(control(&mut world, "POST", "/invite", &body, other).0, 403);
    let reader = Grant { scopes: vec![Scope::Read], ..everything() };
    assert_eq!(control(&mut world, "POST", "/invite", &body, reader).0, 403);
    let callee = Grant { callees: vec!["sip:alice@x.test".into()], ..everything() };
    assert_eq!(control(&mut world, "POST", "/invite", &body, callee).1["where"], "to");
    assert_eq!(control(&mut world, "POST", "/invite", &json!({}), everything()).0, 500);
    assert_eq!(control(&mut world, "PUT", "/invite", &json!({}), everything()).0, 405);
}

#[test]
fn a_control_server_is_told_what_a_call_of_the_switch_cannot_have() {
    let mut world = World::anchoring();
    world.register(1);
    let body = json!({
        "from": { "domain": "x.test", "user": "bob" }, "to": { "user": "carol" }, "maxforwards": 70,
        "cid": { "number": "123", "name": "Bob", "private": false }, "control": "http://127.0.0.1:9001", "sdp": offer(),
    });
    let (mut private, mut secret) = (body.clone(), body.clone());
    private["cid"]["private"] = json!(true);
    secret["from"]["authsecret"] = json!("s3cret");
    for (refused, place) in [(private, "cid.private"), (secret, "authsecret")] {
        let (status, answer) = control(&mut world, "POST", "/invite", &refused, Grant::everything());
        assert_eq!((status, &answer["where"]), (501, &json!(place)), "{answer}");
    }
    assert!(world.called(1).is_none(), "nobody is called whose wish cannot be met");
    let (status, answer) = control(&mut world, "POST", "/invite", &body, Grant::everything());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["ignored"], json!(["cid.number", "cid.name", "maxforwards", "control", "sdp"]));
    assert!(world.called(1).is_some());
}
