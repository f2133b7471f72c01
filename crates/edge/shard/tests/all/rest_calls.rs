//! The native REST starts, shows, changes and ends calls.

use crate::support::*;

use hookswitch_call::{Event as CallEvent, Limits};
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::rest::{Headers, Response};
use hookswitch_shard::{Change, HttpId, Input, Stored};
use hookswitch_sip::Event;
use serde_json::Value;

const START: &str = r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test"}"#;

fn document(response: &Response) -> Value {
    serde_json::from_str(&response.body).expect(&response.body)
}

fn world() -> World {
    let mut world = World::anchoring();
    world.register(0);
    world.register(1);
    world
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|(its, _)| *its == name).map(|(_, value)| value.as_str())
}

/// Starts a call and has both phones answer. Its path.
fn talk(world: &mut World) -> String {
    let answer = world.rest("POST", "/v1/calls", START);
    assert_eq!(answer.status, 201, "{}", answer.body);
    for agent in [0, 1] {
        world.respond(agent, 200, Some("s"));
    }
    header(&answer, "location").expect("a place").to_owned()
}

#[test]
fn a_call_is_started_shown_and_ended() {
    let mut world = world();
    let answer = world.rest("POST", "/v1/calls", START);
    assert_eq!(answer.status, 201);
    let call = document(&answer);
    assert_eq!((&call["caller"], &call["state"]), (&"sip:alice@x.test".into(), &"locating".into()));
    let path = format!("/v1/calls/{}", call["id"].as_str().unwrap());
    assert_eq!(header(&answer, "location"), Some(path.as_str()));
    let first = world.told.iter().find(|told| matches!(told.event, CallEvent::Started { .. })).expect("told of first");
    assert_eq!((first.seq, format!("call_{}", first.call)), (0, call["id"].as_str().unwrap().to_owned()));

    let command = format!("/v1/commands/{}", call["command"].as_str().unwrap());
    assert_eq!(document(&world.rest("GET", &command, ""))["status"], "running");
    for agent in [0, 1] {
        world.respond(agent, 200, Some("s"));
    }
    let done = document(&world.rest("GET", &command, ""));
    assert_eq!((&done["status"], &done["call"], &done["kind"]), (&"done".into(), &call["id"], &"start".into()));
    let shown = document(&world.rest("GET", &path, ""));
    assert_eq!((&shown["state"], shown["legs"].as_array().map(Vec::len)), (&"talking".into(), Some(2)));
    assert_eq!(shown["answered"], "2023-11-14T22:13:20.000Z");
    assert_eq!(document(&world.rest("GET", "/v1/legs?party=callee", ""))["legs"][0]["call"], call["id"]);

    assert_eq!(world.rest("DELETE", &format!("{path}?cause=busy"), "").status, 202);
    assert!(world.has(0, |event| matches!(event, Event::Ended { .. })));
    world.assert_clean();
    let over = document(&world.rest("GET", &path, ""));
    assert_eq!((&over["state"], &over["cause"]["code"]), (&"ended".into(), &486.into()));
    let ends: Vec<_> = world.commands.iter().map(|end| (end.kind, end.result.is_ok())).collect();
    assert_eq!(ends, [("start", true), ("end", true)], "each end is told once");
    assert_eq!(world.rest("DELETE", &path, "").status, 404);
}

#[test]
fn a_body_where_none_is_taken_is_refused_and_changes_nothing() {
    let mut world = world();
    let path = talk(&mut world);
    let refused = world.rest("DELETE", &path, r#"{"cause":"busy"}"#);
    let problem = document(&refused);
    assert_eq!((refused.status, &problem["code"]), (422, &"unknown_field".into()));
    assert_eq!((&problem["field"], &problem["expected"]), (&"/cause".into(), &"no body".into()));
    assert_eq!(world.rest("GET", "/v1/calls", "state=talking").status, 400);
    assert_eq!(document(&world.rest("GET", &path, ""))["state"], "talking");
    assert_eq!(world.rest("DELETE", &path, "{}").status, 202, "an empty object says nothing");
}

#[test]
fn one_key_starts_one_call_also_across_a_restart() {
    let mut world = world();
    let key = || Headers { idempotency_key: Some("order-1".into()), ..Headers::default() };
    let first = world.rest_with("POST", "/v1/calls", START, key(), Grant::everything());
    assert_eq!(first.status, 201);
    let stored = |world: &World| {
        world.stored.iter().rev().find_map(|change| match change {
            Change::KeyPut(key) => Some(key.clone()),
            _ => None,
        })
    };
    let kept = stored(&world).expect("the answer waits for this");
    let again = world.rest_with("POST", "/v1/calls", START, key(), Grant::everything());
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(header(&again, "idempotency-replayed"), Some("true"));
    assert_eq!(header(&again, "location"), header(&first, "location"));
    assert_eq!(world.shard.counts().calls, 1);
    let other = world.rest_with("POST", "/v1/calls", &START.replace("bob", "carol"), key(), Grant::everything());
    assert_eq!((other.status, document(&other)["code"].clone()), (422, "key_reused".into()));
    let somebody = Grant { name: "somebody".into(), ..Grant::everything() };
    assert_eq!(world.rest_with("POST", "/v1/calls", START, key(), somebody).status, 201, "the key of somebody else");

    let mut later = World::new(shard_config());
    later.shard.handle(later.now, Input::Restore(Stored::Key(kept)));
    let after = later.rest_with("POST", "/v1/calls", START, key(), Grant::everything());
    assert_eq!((after.status, &after.body), (201, &first.body));
    assert_eq!(later.shard.counts().calls, 0, "started before the restart");
    later.pass(sec(24 * 3_600));
    let anew = later.rest_with("POST", "/v1/calls", START, key(), Grant::everything());
    assert_eq!(anew.status, 201, "{}", anew.body);
    assert!(header(&anew, "idempotency-replayed").is_none(), "after a day the key is forgotten");
    assert!(later.stored.iter().any(|change| matches!(change, Change::KeyRemoved(_))));
}

#[test]
fn what_is_refused_may_be_tried_again_under_its_key() {
    let mut world = world();
    let path = talk(&mut world);
    let key = || Headers { idempotency_key: Some("k".into()), ..Headers::default() };
    let nobody = world.rest_with("POST", "/v1/calls/call_0000000000ff/hold", "{}", key(), Grant::everything());
    assert_eq!(nobody.status, 404);
    assert_eq!(world.rest_with("POST", &format!("{path}/hold"), "{}", key(), Grant::everything()).status, 202);
    let bad = Headers { idempotency_key: Some("a b".into()), ..Headers::default() };
    assert_eq!(world.rest_with("POST", &format!("{path}/hold"), "{}", bad, Grant::everything()).status, 422);
}

#[test]
fn lists_are_cut_into_pages_and_filtered() {
    let mut world = world();
    let paths: Vec<String> =
        (0..3).map(|_| header(&world.rest("POST", "/v1/calls", START), "location").unwrap().to_owned()).collect();
    let first = document(&world.rest("GET", "/v1/calls?limit=2", ""));
    let ids =
        |page: &Value| page["calls"].as_array().unwrap().iter().map(|call| call["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&first).len(), 2);
    assert!(paths[2].ends_with(ids(&first)[0].as_str().unwrap()), "the newest first");
    let next = format!("/v1/calls?limit=2&after={}", first["next"].as_str().unwrap());
    let second = document(&world.rest("GET", &next, ""));
    assert_eq!((ids(&second).len(), &second["next"]), (1, &Value::Null));
    for (filter, count) in [
        ("state=ringing", 3),
        ("state=talking", 0),
        ("domain=X.test", 3),
        ("domain=other.test", 0),
        ("party=sip%3Abob%40x.test", 3),
        ("party=sip%3Acarol%40x.test", 0),
    ] {
        let page = document(&world.rest("GET", &format!("/v1/calls?{filter}"), ""));
        assert_eq!(ids(&page).len(), count, "{filter}");
    }
    let bad = world.rest("GET", "/v1/calls?after=zz", "");
    assert_eq!((bad.status, document(&bad)["code"].clone()), (422, "invalid_cursor".into()));
}

#[test]
fn a_token_does_and_sees_what_it_is_granted() {
    let mut world = world();
    let path = talk(&mut world);
    let ask = |world: &mut World, method: &str, path: &str, body: &str, grant: &Grant| {
        let response = world.rest_with(method, path, body, Headers::default(), grant.clone());
        let code = if response.status < 400 {
            String::new()
        } else {
            document(&response)["code"].as_str().unwrap().to_owned()
        };
        (response.status, code)
    };
    let reader = Grant { scopes: vec![Scope::Read], ..Grant::everything() };
    assert_eq!(ask(&mut world, "GET", &path, "", &reader).0, 200);
    assert_eq!(ask(&mut world, "DELETE", &path, "", &reader), (403, "forbidden".into()));
    let callers = Grant { callers: vec!["sip:carol@*".into()], ..Grant::everything() };
    assert_eq!(ask(&mut world, "POST", "/v1/calls", START, &callers), (403, "address_not_allowed".into()));
    let callees = Grant { callees: vec!["sip:carol@*".into()], ..Grant::everything() };
    assert_eq!(ask(&mut world, "POST", "/v1/calls", START, &callees), (403, "address_not_allowed".into()));
    let transfer = r#"{"party":"caller","to":"sip:bob@x.test"}"#;
    let change = format!("{path}/transfer");
    assert_eq!(ask(&mut world, "POST", &change, transfer, &callees), (403, "address_not_allowed".into()));
    let elsewhere = Grant { domains: vec!["y.test".into()], ..Grant::everything() };
    assert_eq!(ask(&mut world, "GET", &path, "", &elsewhere), (404, "no_such_call".into()));
    assert_eq!(ask(&mut world, "POST", &format!("{path}/hold"), "{}", &elsewhere), (404, "no_such_call".into()));
    assert_eq!(ask(&mut world, "POST", "/v1/calls", START, &elsewhere), (403, "domain_not_allowed".into()));
    for grant in [&callers, &callees, &elsewhere] {
        let told = document(&world.rest_with("POST", "/v1/calls", START, Headers::default(), grant.clone()));
        let field = if grant.callees.is_empty() { "/from" } else { "/to" };
        assert_eq!((told["field"].as_str(), told["expected"].is_string()), (Some(field), true), "{told}");
    }
    let list = world.rest_with("GET", "/v1/calls", "", Headers::default(), elsewhere.clone());
    assert_eq!(document(&list)["calls"], Value::Array(Vec::new()));
    let here = Grant { domains: vec!["x.test".into()], ..Grant::everything() };
    assert_eq!(ask(&mut world, "GET", &path, "", &here).0, 200);
}

#[test]
fn parties_are_held_transferred_and_bridged() {
    let mut world = world();
    let path = talk(&mut world);
    assert_eq!(world.rest("POST", &format!("{path}/hold"), r#"{"party":"callee"}"#).status, 202);
    let early = world.rest("POST", &format!("{path}/unhold"), "{}");
    assert_eq!((early.status, document(&early)["code"].clone()), (409, "pending".into()), "the phone has not answered");
    for (body, status) in [
        (r#"{"party":"caller","to":"sip:carol@x.test","by":"pigeon"}"#, 422),
        (r#"{"party":"caller"}"#, 422),
        (r#"{"party":"caller","to":"sip:carol@x.test","extra":1}"#, 422),
        ("nothing", 400),
    ] {
        assert_eq!(world.rest("POST", &format!("{path}/transfer"), body).status, status, "{body}");
    }
    let other = world.rest(
        "POST",
        &format!("{path}/bridge"),
        r#"{"party":"caller","with":"call_0000000000ff","with_party":"callee"}"#,
    );
    assert_eq!((other.status, document(&other)["field"].clone()), (404, "/with".into()));
    let text = Headers { content_type: Some("text/plain".into()), ..Headers::default() };
    assert_eq!(world.rest_with("POST", &format!("{path}/hold"), "{}", text, Grant::everything()).status, 415);
    let long = "x".repeat(65_537);
    assert_eq!(world.rest("POST", &format!("{path}/hold"), &long).status, 413);
}

#[test]
fn what_is_known_of_the_audio_comes_with_the_call_if_asked_for() {
    let mut world = world();
    let path = talk(&mut world);
    let plain = document(&world.rest("GET", &path, ""));
    assert!(plain.get("audio").is_none());
    let asked = document(&world.rest("GET", &format!("{path}?audio=true"), ""));
    assert_eq!((&asked["audio"], &asked["state"]), (&Value::Null, &"talking".into()));
}

#[test]
fn limits_are_told_and_draining_refuses_new_calls() {
    let mut config = shard_config();
    config.limits = Limits { calls: 1, ..Limits::default() };
    config.rest.max_running = 2;
    let mut world = World::new(config);
    world.register(0);
    let code = |response: &Response| document(response)["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!(world.rest("POST", "/v1/calls", START).status, 201);
    let full = world.rest("POST", "/v1/calls", START);
    assert_eq!((full.status, code(&full), header(&full, "retry-after")), (503, "too_many_calls".into(), Some("1")));
    let narrow = Grant { domains: vec!["x.test".into()], ..Grant::everything() };
    let refused = world.rest_with("POST", "/v1/drain", "", Headers::default(), narrow);
    assert_eq!((refused.status, code(&refused)), (403, "domain_not_allowed".into()));
    assert_eq!(document(&world.rest("GET", "/v1/health", ""))["status"], "ok");
    let drained = world.rest("POST", "/v1/drain", "");
    assert_eq!((drained.status, document(&drained)["status"].clone()), (202, "draining".into()));
    assert_eq!(code(&world.rest("POST", "/v1/calls", START)), "draining");
    assert_eq!(document(&world.rest("GET", "/v1/health", ""))["calls"], 1);
    // A controller gets no channels any more either.
    let asked = Input::Channel { id: HttpId(7), method: "POST".into(), path: "/channel".into(), body: "{}".into() };
    let now = world.now;
    world.shard.handle(now, asked);
    world.run();
    assert_eq!(world.answers.pop().map(|(status, _)| status), Some(503));
}
