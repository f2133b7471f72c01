//! Calls into a domain with a controller belong to it: it hears of everything and decides everything.

use crate::support::controller::Mood;
use crate::support::*;
use hookswitch_shard::{Input, NoteId};
use hookswitch_sip::Event;
use hookswitch_sip_msg::{HeaderName, Message};
use serde_json::{Value, json};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=candidate:1 1 udp 1 10.0.0.2 4000 typ host\r\n";
const HELD: &str = "v=0\r\no=- 1 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

fn ours(port: u16) -> Value {
    json!({ "v": 0, "o": { "username": "c", "sessionid": 7, "sessionversion": 1, "address": "10.0.0.9" }, "s": "c",
            "c": [{ "address": "10.0.0.9" }], "t": { "start": 0, "stop": 0 },
            "m": [{ "media": "audio", "port": port, "proto": "RTP/AVP", "payloads": [8], "direction": "sendrecv" }] })
}

/// A call of alice for 6 that its controller knows of, and its callid.
fn called(world: &mut World) -> (hookswitch_sip::DialogId, Value) {
    let dialog = world.invite(0, "sip:6@x.test", Some(OFFER));
    let event = world.event();
    (dialog, event["callid"].clone())
}

/// The same, answered.
fn talking(world: &mut World) -> (hookswitch_sip::DialogId, Value) {
    let (dialog, callid) = called(world);
    world.command("answer", &json!({ "callid": callid, "sdp": ours(6000) }));
    world.ack(0, dialog, None);
    assert_eq!(world.event()["answered"], true);
    (dialog, callid)
}

fn sent_to_alice(world: &World, status: u16) -> Vec<Message> {
    let to_alice = world.wire.iter().filter(|(_, to, _)| *to == at("10.0.0.2:5060"));
    to_alice.filter(|(_, _, message)| message.status() == Some(status)).map(|(_, _, message)| message.clone()).collect()
}

#[test]
fn an_incoming_call_is_told_as_a_whole_document_and_nothing_else_happens() {
    let mut world = World::controlled();
    let dialog = world.invite(0, "sip:6@x.test", Some(OFFER));
    let mut notes = world.notes();
    assert_eq!(notes.len(), 1);
    let told = notes.remove(0);
    let callid = told.document["callid"].as_str().unwrap().to_owned();
    assert_eq!((told.note.method, told.note.url), ("PUT", format!("http://127.0.0.1:9001/dialog/{callid}")));
    let invite = &world.wire.iter().find(|(_, to, _)| *to == at(SWITCH)).unwrap().2;
    assert_eq!(invite.call_id(), Ok(callid.as_str()), "it is called by its Call-ID");
    let document = told.document;
    let start = world.now.as_secs();
    assert_eq!(
        document,
        json!({
            "callid": callid, "seq": 1, "domain": "x.test", "to": "6", "from": "alice", "contact": document["contact"],
            "maxforwards": 70, "authenticated": true, "ring": false, "answered": false, "hold": false,
            "originator": false, "hangup": false, "error": { "code": 0, "status": "" },
            "remote": { "host": "10.0.0.2", "port": 5060 },
            "sdp": { "them": document["sdp"]["them"], "us": {} },
            "epochs": { "start": start, "ring": 0, "answer": 0, "end": 0 },
        })
    );
    assert!(document["contact"].as_str().unwrap().contains("@10.0.0.2"), "{document}");
    assert_eq!(document["sdp"]["them"]["m"][0]["candidate"], "1 1 udp 1 10.0.0.2 4000 typ host");
    world.pass(sec(60));
    assert!(sent_to_alice(&world, 180).is_empty() && world.failure(0).is_none());
    assert_eq!(world.shard.counts().calls, 1);
    let (status, count) = world.ask("GET", "/dialog", &Value::Null);
    assert_eq!((status, &count["count"], &count["counter"]), (200, &json!(1), &json!(1)));
    world.cancel(0, dialog);
    assert_eq!(world.event()["hangup"], true);
    world.assert_clean();
}

#[test]
fn a_controller_lets_it_ring_answers_and_hangs_up() {
    let mut world = World::controlled();
    let (dialog, callid) = called(&mut world);
    for _ in 0..2 {
        world.command("ring", &json!({ "callid": callid, "alertinfo": "<http://h>;info=alert-group" }));
    }
    let ringing = sent_to_alice(&world, 180);
    assert_eq!(ringing.len(), 1, "only if it does not ring yet");
    assert_eq!(ringing[0].header_str(HeaderName::AlertInfo), Some("<http://h>;info=alert-group"));
    for _ in 0..2 {
        world.command("answer", &json!({ "callid": callid, "sdp": ours(6000) }));
    }
    let answers = sent_to_alice(&world, 200);
    assert_eq!(answers.len(), 1);
    let body = String::from_utf8(answers[0].body().to_vec()).unwrap();
    assert!(body.contains("m=audio 6000 RTP/AVP 8\r\n") && body.contains("a=sendrecv\r\n"), "{body}");
    assert!(world.notes().is_empty(), "it is told with the ACK");
    world.ack(0, dialog, None);
    let event = world.event();
    assert_eq!((&event["answered"], &event["ring"], &event["seq"]), (&json!(true), &json!(true), &json!(2)));
    assert_eq!(event["sdp"]["us"]["m"][0]["port"], 6000);
    assert_eq!(event["epochs"]["answer"], json!(world.now.as_secs()));
    world.command("hangup", &json!({ "callid": callid, "code": 486 }));
    assert!(world.has(0, |event| matches!(event, Event::Ended { .. })), "an answered call gets a BYE");
    let event = world.event();
    assert_eq!((&event["hangup"], &event["error"]["code"]), (&json!(true), &json!(0)));
    assert_eq!(world.ask("PUT", "/dialog/ring", &json!({ "callid": callid })).0, 404, "it is over");
    world.assert_clean();
}

#[test]
fn an_unanswered_call_is_refused_with_the_code_of_the_controller() {
    for (body, expected, phrase) in [
        (json!({}), 404, "Not Found"),
        (json!({ "code": 402, "reason": "Top Up" }), 402, "Top Up"),
        (json!({ "code": "486" }), 486, "Busy Here"),
        (json!({ "code": 503 }), 503, "Service Unavailable"),
        (json!({ "code": 603 }), 603, "Decline"),
    ] {
        let mut world = World::controlled();
        let (_, callid) = called(&mut world);
        let mut body = body;
        body["callid"] = callid;
        world.command("hangup", &body);
        assert_eq!(world.failure(0), Some(expected));
        let refusal = sent_to_alice(&world, expected);
        assert_eq!(refusal[0].reason(), phrase.as_bytes());
        let event = world.event();
        assert_eq!((&event["hangup"], &event["answered"]), (&json!(true), &json!(false)));
        world.assert_clean();
    }
}

#[test]
fn without_a_controller_that_takes_the_first_event_a_call_is_not_answered() {
    for mood in [Mood::Dead, Mood::Says(404), Mood::Says(500)] {
        let mut world = World::controlled();
        world.mood = mood;
        world.invite(0, "sip:6@x.test", Some(OFFER));
        assert_eq!(world.failure(0), Some(480), "{mood:?}");
        assert_eq!(world.notes().len(), 1, "it is asked once");
        world.assert_clean();
    }
}

#[test]
fn a_dead_controller_ends_no_answered_call_and_hears_everything_when_it_is_back() {
    let mut world = World::controlled();
    let (dialog, callid) = talking(&mut world);
    world.mood = Mood::Dead;
    world.bye(0, dialog);
    world.pass(sec(20));
    assert!(world.notes().len() > 3, "it is asked again");
    world.mood = Mood::Says(200);
    world.pass(sec(40));
    let event = world.event();
    assert_eq!((&event["callid"], &event["hangup"], &event["seq"]), (&callid, &json!(true), &json!(3)));
    world.assert_clean();
}

#[test]
fn events_come_one_after_the_other_with_their_numbers() {
    let mut world = World::controlled();
    world.mood = Mood::Later;
    let dialog = world.invite(0, "sip:6@x.test", Some(OFFER));
    let first = world.event();
    world.command("answer", &json!({ "callid": first["callid"], "sdp": ours(6000) }));
    world.ack(0, dialog, None);
    world.bye(0, dialog);
    assert!(world.notes().is_empty(), "the first is not taken yet");
    for (id, seq) in [(0, 2), (1, 3)] {
        let now = world.now;
        world.shard.handle(now, Input::Controller { id: NoteId(id), status: Some(200) });
        world.run();
        assert_eq!(world.event()["seq"], seq);
    }
    world.mood = Mood::Says(200);
    world.assert_clean();
}

#[test]
fn a_call_that_nobody_decides_about_ends_after_three_minutes() {
    let mut world = World::controlled();
    let (_, callid) = called(&mut world);
    world.command("ring", &json!({ "callid": callid }));
    world.pass(sec(179));
    assert_eq!(world.failure(0), None);
    world.pass(sec(2));
    assert_eq!(world.failure(0), Some(480));
    let event = world.event();
    assert_eq!((&event["hangup"], &event["error"]["code"]), (&json!(true), &json!(480)));
    world.assert_clean();
}

#[test]
fn a_description_may_come_late_from_the_party() {
    let mut world = World::controlled();
    let dialog = world.invite(0, "sip:6@x.test", None);
    let event = world.event();
    assert_eq!(event["sdp"], json!({ "them": {}, "us": {} }));
    world.command("answer", &json!({ "callid": event["callid"], "sdp": ours(6000) }));
    world.ack(0, dialog, Some(OFFER));
    let event = world.event();
    assert_eq!((&event["answered"], &event["sdp"]["them"]["m"][0]["port"]), (&json!(true), &json!(4000)));
    world.bye(0, dialog);
    world.assert_clean();
}

#[test]
fn hold_is_told_and_agreed_to_by_the_controller() {
    let mut world = World::controlled();
    let (dialog, callid) = talking(&mut world);
    for (offer, hold) in [(HELD, true), (OFFER, false)] {
        let now = world.now;
        world.agents[0].endpoint.reinvite(now, dialog, Some(hookswitch_sip::Body::sdp(offer)), Vec::new()).unwrap();
        world.run();
        let event = world.event();
        assert_eq!((&event["hold"], &event["answered"]), (&json!(hold), &json!(true)), "{event}");
        let before = sent_to_alice(&world, 200).len();
        world.command("ok", &json!({ "callid": callid, "sdp": ours(6002) }));
        assert_eq!(sent_to_alice(&world, 200).len(), before + 1);
        world.ack(0, dialog, None);
    }
    world.bye(0, dialog);
    world.assert_clean();
}

#[test]
fn a_change_that_the_controller_does_not_answer_is_refused_and_the_call_goes_on() {
    let mut world = World::controlled();
    let (dialog, _) = talking(&mut world);
    let now = world.now;
    world.agents[0].endpoint.reinvite(now, dialog, Some(hookswitch_sip::Body::sdp(HELD)), Vec::new()).unwrap();
    world.run();
    assert_eq!(world.event()["hold"], true);
    world.pass(sec(26));
    assert!(world.has(0, |event| matches!(event, Event::ReinviteFailed { status: 480, .. })));
    assert_eq!(world.event()["hold"], false, "it is as it was");
    world.bye(0, dialog);
    world.assert_clean();
}

#[test]
fn a_controller_changes_the_session() {
    let mut world = World::controlled();
    let (dialog, callid) = talking(&mut world);
    world.command("invite", &json!({ "callid": callid, "sdp": ours(6004) }));
    assert_eq!(world.ask("PUT", "/dialog/invite", &json!({ "callid": callid })).0, 409, "one at a time");
    let reinvite = world.agents[0].events.iter().rev().find_map(|event| match event {
        Event::Reinvite { request, .. } => Some(String::from_utf8(request.body().to_vec()).unwrap()),
        _ => None,
    });
    assert!(reinvite.unwrap().contains("m=audio 6004 "));
    let now = world.now;
    let mut response = hookswitch_sip::Response::new(200);
    response.body = Some(hookswitch_sip::Body::sdp(HELD));
    world.agents[0].endpoint.respond(now, dialog, response);
    world.run();
    let event = world.event();
    assert_eq!((&event["sdp"]["us"]["m"][0]["port"], &event["hold"]), (&json!(6004), &json!(true)));
    world.bye(0, dialog);
    world.assert_clean();
}

#[test]
fn a_transfer_is_told_once_and_finished_by_the_controller() {
    let mut world = World::controlled();
    let (dialog, callid) = talking(&mut world);
    let now = world.now;
    let mut refer = hookswitch_sip::RequestOut::inside(dialog, hookswitch_sip_msg::Method::Refer);
    refer.headers.push(hookswitch_sip::Header::new(HeaderName::ReferTo, "<sip:1001@x.test>"));
    world.agents[0].endpoint.request(now, refer).unwrap();
    world.run();
    assert_eq!(world.last_status(0), Some(202));
    let event = world.event();
    assert_eq!(event["refer"], json!({ "to": "1001", "uri": "sip:1001@x.test" }));
    world.command("notify", &json!({ "callid": callid }));
    let notifies: Vec<String> = world
        .wire
        .iter()
        .filter(|(_, to, message)| *to == at("10.0.0.2:5060") && message.body().starts_with(b"SIP/2.0"))
        .map(|(_, _, message)| String::from_utf8(message.body().to_vec()).unwrap())
        .collect();
    assert_eq!(notifies, ["SIP/2.0 100 Trying\r\n", "SIP/2.0 200 OK\r\n"]);
    world.bye(0, dialog);
    let event = world.event();
    assert_eq!((event.get("refer"), &event["hangup"]), (None, &json!(true)));
    world.assert_clean();
}

#[test]
fn an_attended_transfer_names_the_other_dialog() {
    let mut world = World::controlled();
    let (first, _) = talking(&mut world);
    let second = world.invite(0, "sip:7@x.test", Some(OFFER));
    let callid = world.event()["callid"].clone();
    world.command("answer", &json!({ "callid": callid, "sdp": ours(6000) }));
    world.ack(0, second, None);
    world.event();
    let other = world.agents[0].endpoint.dialog(second).unwrap();
    let replaces = format!("{};to-tag={};from-tag={}", other.call_id(), other.remote_tag(), other.local_tag());
    let replaces = replaces.replace('@', "%40").replace(';', "%3B").replace('=', "%3D");
    let mut refer = hookswitch_sip::RequestOut::inside(first, hookswitch_sip_msg::Method::Refer);
    refer.headers.push(hookswitch_sip::Header::new(HeaderName::ReferTo, format!("<sip:7@x.test?Replaces={replaces}>")));
    let now = world.now;
    world.agents[0].endpoint.request(now, refer).unwrap();
    world.run();
    assert_eq!(world.last_status(0), Some(202));
    assert_eq!(world.event()["refer"], json!({ "to": "7", "replaces": callid }));
    world.bye(0, first);
    world.bye(0, second);
    world.assert_clean();
}

#[test]
fn who_is_not_understood_is_told_so() {
    let mut world = World::controlled();
    let (dialog, callid) = talking(&mut world);
    for (method, path, body, expected) in [
        ("PUT", "/dialog/ring", json!({ "callid": "nobody" }), 404),
        ("PUT", "/dialog/ring", json!({}), 404),
        ("PUT", "/dialog/dance", json!({ "callid": callid }), 404),
        ("POST", "/dialog/dance", json!({ "callid": callid }), 404),
        ("DELETE", "/dialog", Value::Null, 405),
        ("PATCH", "/dialog/ring", json!({ "callid": callid }), 405),
        ("PUT", "/dialog/hangup", json!({ "callid": callid, "code": 200 }), 400),
        ("PUT", "/dialog/hangup", json!({ "callid": callid, "reason": "a\r\nb" }), 400),
        ("PUT", "/dialog/invite", json!({ "callid": callid, "sdp": { "m": [{}] } }), 400),
        ("PUT", "/dialog/hangup", json!(7), 400),
        ("PUT", "/dialog/hangup", json!("x".repeat(70_000)), 413),
    ] {
        let (status, answer) = world.ask(method, path, &body);
        assert_eq!(status, expected, "{method} {path} {answer}");
        assert!(answer["error"].is_string() && answer["where"].is_string(), "{answer}");
    }
    assert!(world.notes().is_empty());
    world.bye(0, dialog);
    world.assert_clean();
}

#[test]
fn other_domains_and_a_switch_without_controllers_keep_their_calls() {
    let mut config = shard_config();
    config.b2bua.trusted = vec![hookswitch_sip::Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
    let mut world = World::new(config);
    assert_eq!(world.http("PATCH", "/dir/x.test", r#"{"control":"http://127.0.0.1:9001"}"#).0, 200);
    assert_eq!(world.register(1), 200);
    world.invite(0, "sip:bob@x.test", Some(OFFER));
    world.respond(1, 180, None);
    assert_eq!(sent_to_alice(&world, 180).len(), 1);
    assert!(world.notes().is_empty());
}

#[test]
fn a_full_or_stopping_switch_takes_no_call_for_a_controller() {
    let mut config = shard_config();
    config.dialogs.controllers = true;
    config.dialogs.limits.max_dialogs = 1;
    let mut world = World::new(config);
    assert_eq!(world.http("PATCH", "/dir/x.test", r#"{"control":"http://127.0.0.1:9001"}"#).0, 200);
    let (dialog, _) = called(&mut world);
    world.invite(0, "sip:6@x.test", Some(OFFER));
    assert_eq!(world.failure(0), Some(503));
    let now = world.now;
    world.shard.handle(now, Input::Drain);
    assert!(!world.shard.idle());
    // A CANCEL waits for the 100.
    world.pass(sec(1));
    world.cancel(0, dialog);
    assert!(world.shard.idle());
    world.invite(0, "sip:6@x.test", Some(OFFER));
    assert!(world.shard.idle());
    world.assert_clean();
}

#[test]
fn all_that_is_known_of_a_dialog_is_one_record() {
    let mut world = World::controlled();
    let (dialog, callid) = talking(&mut world);
    let record = world.shard.dialog(callid.as_str().unwrap()).expect("a record");
    let stored = serde_json::to_string(record).unwrap();
    let read: hookswitch_shard::DialogRecord = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, *record);
    world.bye(0, dialog);
    world.assert_clean();
}
