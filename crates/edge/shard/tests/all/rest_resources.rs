//! The native REST shows and changes what is beside calls: the directory, registrations, trunks, records.

use crate::support::*;

use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::rest::{Headers, Response};
use hookswitch_shard::Change;
use serde_json::{Value, json};

const USER: &str = "/v1/directory/x.test/users/dave";

fn document(response: &Response) -> Value {
    serde_json::from_str(&response.body).expect(&response.body)
}

fn version(response: &Response) -> String {
    let found = response.headers.iter().find(|(name, _)| *name == "etag");
    found.map(|(_, value)| value.clone()).expect("a version")
}

fn if_match(version: &str) -> Headers {
    Headers { if_match: Some(version.into()), ..Headers::default() }
}

#[test]
fn a_user_is_made_changed_and_removed_and_its_secret_never_shown() {
    let mut world = World::new(shard_config());
    assert_eq!(world.register_as(0, "dave", World::credentials("dave"), 600), 403);
    let made = world.rest("PUT", USER, r#"{"secret":"dave-pw","forward":{"busy":"sip:bob@x.test"}}"#);
    assert_eq!((made.status, document(&made)["origin"].clone()), (201, "pushed".into()));
    assert!(world.stored.iter().any(|change| matches!(change, Change::Directory(_))), "the answer waits for this");
    assert_eq!(world.register_as(0, "dave", World::credentials("dave"), 600), 200);

    let shown = world.rest("GET", USER, "");
    assert_eq!(document(&shown)["forward"], json!({ "busy": "sip:bob@x.test" }));
    let known = Headers { if_none_match: Some(version(&shown).into()), ..Headers::default() };
    let same = world.rest_with("GET", USER, "", known.clone(), Grant::everything());
    assert_eq!((same.status, same.body.as_str()), (304, ""));

    let changed = world.rest("PATCH", USER, r#"{"forward":null,"limits":{"calls":2}}"#);
    assert_eq!((&document(&changed)["forward"], &document(&changed)["limits"]), (&Value::Null, &json!({ "calls": 2 })));
    assert_eq!(world.rest_with("GET", USER, "", known, Grant::everything()).status, 200);
    let stale = world.rest_with("PUT", USER, r#"{"secret":"x"}"#, if_match(&version(&shown)), Grant::everything());
    assert_eq!((stale.status, document(&stale)["code"].clone()), (412, "precondition_failed".into()));
    let secret =
        world.rest_with("PATCH", USER, r#"{"secret":"other"}"#, if_match(&version(&changed)), Grant::everything());
    assert_eq!(secret.status, 200);
    assert_ne!(version(&secret), version(&changed), "another secret is another version");
    for response in [made, shown, changed, secret] {
        assert!(!response.body.contains("pw") && !response.body.contains("other"), "{}", response.body);
    }
    assert_eq!(world.rest("DELETE", USER, "").status, 204);
    assert_eq!(world.rest("GET", USER, "").status, 404);
    assert_eq!(world.shard.counts().bindings, 0, "and with the user its registration");
}

#[test]
fn a_domain_is_made_once_listed_and_removed() {
    let mut world = World::new(shard_config());
    let users: Vec<Value> = (0..5).map(|n| json!({ "username": format!("u{n}"), "secret": "s" })).collect();
    let body = json!({ "users": users }).to_string();
    let new = Headers { if_none_match: Some("*".into()), ..Headers::default() };
    let made = world.rest_with("PUT", "/v1/directory/New.Test", &body, new.clone(), Grant::everything());
    assert_eq!((made.status, document(&made)["users"].clone()), (201, 5.into()));
    assert_eq!(world.rest_with("PUT", "/v1/directory/new.test", &body, new, Grant::everything()).status, 412);
    assert_eq!(world.rest("PUT", "/v1/directory/new.test", &body).status, 200);
    let mut names = Vec::new();
    let mut target = "/v1/directory/new.test/users?limit=2".to_owned();
    loop {
        let page = document(&world.rest("GET", &target, ""));
        names
            .extend(page["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/v1/directory/new.test/users?limit=2&after={next}");
    }
    assert_eq!(names, ["u0", "u1", "u2", "u3", "u4"]);
    let domains = document(&world.rest("GET", "/v1/directory", ""));
    let listed: Vec<&Value> = domains["domains"].as_array().unwrap().iter().map(|domain| &domain["domain"]).collect();
    assert_eq!(listed, ["new.test", "x.test"]);
    assert_eq!(world.rest("DELETE", "/v1/directory/new.test", "").status, 204);
    assert_eq!(world.rest("DELETE", "/v1/directory/new.test", "").status, 404);
    let configured = world.rest("DELETE", "/v1/directory/x.test", "");
    assert_eq!((configured.status, document(&configured)["code"].clone()), (409, "configured".into()));
}

#[test]
fn null_takes_the_control_server_of_a_domain_away_and_silence_leaves_it() {
    let mut world = World::new(shard_config());
    let control = |response: &Response| document(response)["control"].clone();
    let body = r#"{"control":"http://127.0.0.1:9001","users":[{"username":"a","secret":"s"}]}"#;
    assert_eq!(control(&world.rest("PUT", "/v1/directory/new.test", body)), "http://127.0.0.1:9001");
    let silent = world.rest("PATCH", "/v1/directory/new.test", r#"{"users":[{"username":"b","secret":"s"}]}"#);
    assert_eq!(control(&silent), "http://127.0.0.1:9001");
    let none = world.rest("PATCH", "/v1/directory/new.test", r#"{"control":null}"#);
    assert_eq!((none.status, control(&none), document(&none)["users"].clone()), (200, Value::Null, 2.into()));
}

#[test]
fn what_is_wrong_in_a_list_of_users_is_told_with_its_place() {
    let mut world = World::new(shard_config());
    for (body, field) in [
        (json!({ "users": [{ "username": "a" }] }), "/users/0/secret"),
        (
            json!({ "users": [{ "username": "a", "secret": "s" }, { "username": "a", "secret": "s" }] }),
            "/users/1/username",
        ),
        (json!({ "users": [{ "username": "a b\n", "secret": "s" }] }), "/users/0/username"),
        (json!({ "users": [{ "username": "a", "secret": "\u{e4}".repeat(200) }] }), "/users/0/secret"),
        (
            json!({ "users": [{ "username": "a", "secret": "s", "forward": { "busy": "bob" } }] }),
            "/users/0/forward/busy",
        ),
        (
            json!({ "users": [{ "username": "a", "secret": "s", "forward": { "no_answer_after_seconds": 9 } }] }),
            "/users/0/forward/no_answer_after_seconds",
        ),
        (json!({ "users": [], "control": "ftp://x" }), "/control"),
        (json!({ "control": null }), "/users"),
    ] {
        let answer = world.rest("PUT", "/v1/directory/new.test", &body.to_string());
        assert_eq!((answer.status, document(&answer)["field"].as_str().unwrap_or("")), (422, field), "{body}");
    }
    assert_eq!(world.rest("GET", "/v1/directory/new.test", "").status, 404, "nothing has changed");
}

#[test]
fn a_token_for_one_domain_reaches_no_other() {
    let mut world = World::new(shard_config());
    world.register(0);
    let elsewhere = Grant { domains: vec!["y.test".into()], ..Grant::everything() };
    let ask = |world: &mut World, method: &str, path: &str, body: &str| {
        world.rest_with(method, path, body, Headers::default(), elsewhere.clone())
    };
    for (method, path, body, status) in [
        ("GET", "/v1/directory/x.test", "", 403),
        ("PUT", USER, r#"{"secret":"s"}"#, 403),
        ("DELETE", "/v1/registrations/x.test/alice", "", 404),
        ("PUT", "/v1/directory/y.test", r#"{"users":[]}"#, 201),
    ] {
        assert_eq!(ask(&mut world, method, path, body).status, status, "{method} {path}");
    }
    let listed = document(&ask(&mut world, "GET", "/v1/directory", ""));
    assert_eq!(listed["domains"].as_array().map(Vec::len), Some(1));
    assert_eq!(document(&ask(&mut world, "GET", "/v1/registrations", ""))["registrations"], json!([]));
    let reader = Grant { scopes: vec![Scope::Read, Scope::Control], ..Grant::everything() };
    assert_eq!(world.rest_with("PUT", USER, r#"{"secret":"s"}"#, Headers::default(), reader).status, 403);
}

#[test]
fn registrations_are_listed_and_removed() {
    let mut world = World::new(shard_config());
    for agent in [0, 1, 2] {
        world.register(agent);
    }
    let first = document(&world.rest("GET", "/v1/registrations?limit=2", ""));
    let of = |page: &Value, member: &str| {
        let all = page["registrations"].as_array().unwrap().iter();
        all.map(|one| one[member].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(&first, "user"), ["alice", "bob"]);
    assert_eq!(of(&first, "source"), ["10.0.0.2:5060", "10.0.0.3:5060"]);
    assert_eq!(of(&first, "registered"), ["2023-11-14T22:13:20.000Z"; 2]);
    let next = format!("/v1/registrations?limit=2&after={}", first["next"].as_str().unwrap());
    assert_eq!(of(&document(&world.rest("GET", &next, "")), "user"), ["bob"]);
    assert_eq!(of(&document(&world.rest("GET", "/v1/registrations?user=bob&domain=X.TEST", "")), "user").len(), 2);
    assert_eq!(world.rest("DELETE", "/v1/registrations/x.test/bob", "").status, 204);
    assert_eq!(world.rest("DELETE", "/v1/registrations/x.test/bob", "").status, 404);
    assert_eq!(world.shard.counts().bindings, 1);
}

#[test]
fn the_last_calls_are_remembered_with_their_causes() {
    let mut world = World::anchoring();
    world.register(1);
    world.register(2);
    for _ in 0..2 {
        let call = world.invite(0, "sip:bob@x.test", Some("a"));
        world.cancel(0, call);
    }
    world.pass(sec(60));
    let page = document(&world.rest("GET", "/v1/call-records?limit=1", ""));
    let newest = &page["call_records"][0];
    assert_eq!((&newest["state"], &newest["cause"]["kind"]), (&"ended".into(), &"cancelled".into()));
    let next = format!("/v1/call-records?after={}", page["next"].as_str().unwrap());
    let rest = document(&world.rest("GET", &next, ""));
    assert_eq!((rest["call_records"].as_array().map(Vec::len), &rest["next"]), (Some(1), &Value::Null));
    let one = world.rest("GET", &format!("/v1/call-records/{}", newest["id"].as_str().unwrap()), "");
    assert_eq!((one.status, &document(&one)["caller"]), (200, &newest["caller"]));
    assert_eq!(document(&world.rest("GET", "/v1/call-records?domain=other.test", ""))["call_records"], json!([]));
    assert_eq!(world.rest("GET", "/v1/call-records/call_0000000000ff", "").status, 404);
}

#[test]
fn there_are_no_trunks_but_those_of_the_configuration() {
    let mut world = World::new(shard_config());
    assert_eq!(document(&world.rest("GET", "/v1/trunks", "")), json!({ "trunks": [] }));
    assert_eq!(world.rest("GET", "/v1/trunks/nowhere", "").status, 404);
}
