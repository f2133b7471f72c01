//! The native REST gives calls webhooks of their own, and events say which command they come of.

use crate::support::*;

use hookswitch_call::Event as CallEvent;
use hookswitch_dialect::journal::CommandName;
use hookswitch_dialect::rest::{Code, Problem, Response};
use hookswitch_shard::{Admission, Input, Mode, SessionId};
use serde_json::Value;

const WITH: &str = r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test","webhook":{"url":"https://hooks.test/calls"}}"#;

fn document(response: &Response) -> Value {
    serde_json::from_str(&response.body).expect(&response.body)
}

fn world() -> World {
    let mut world = World::anchoring();
    world.register(0);
    world.register(1);
    world
}

#[test]
fn a_call_has_its_webhook_before_anything_is_told_of_it() {
    let mut world = world();
    world.webhook = Some(Ok("call.1".into()));
    let answer = document(&world.rest("POST", "/v1/calls", WITH));
    assert_eq!(answer["webhook"], "call.1");
    let call = world.told[0].call;
    assert_eq!(world.webhooks, [(call, "call.1".into(), 0)]);
    // It keeps that one.
    let path = format!("/v1/calls/call_{call}/webhook");
    let again = world.rest("PUT", &path, r#"{"url":"https://hooks.test/calls"}"#);
    assert_eq!((again.status, document(&again)["webhook"].as_str()), (200, Some("call.1")));
    world.webhook = Some(Ok("call.2".into()));
    let other = world.rest("PUT", &path, r#"{"url":"https://hooks.test/others"}"#);
    assert_eq!((other.status, document(&other)["code"].as_str()), (409, Some("impossible")));
    assert_eq!(world.webhooks.len(), 1);
    // One that asks for none gets none, until it does.
    let answer = document(&world.rest("POST", "/v1/calls", r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test"}"#));
    assert_eq!((&answer["webhook"], world.webhooks.len()), (&Value::Null, 1));
    let path = format!("/v1/calls/{}/webhook", answer["id"].as_str().unwrap());
    let answer = world.rest("PUT", &path, r#"{"url":"https://hooks.test/others"}"#);
    assert_eq!((answer.status, document(&answer)["webhook"].as_str()), (200, Some("call.2")));
    let (_, name, told) = &world.webhooks[1];
    assert!(*name == "call.2" && *told > 0);
}

#[test]
fn a_call_whose_webhook_is_not_taken_on_is_not_made() {
    let mut world = world();
    for (webhook, code) in [
        (None, "not_enabled"),
        (Some(Err(Problem::new(Code::LimitReached, "full").at("/webhook/url"))), "limit_reached"),
    ] {
        world.webhook = webhook;
        let answer = world.rest("POST", "/v1/calls", WITH);
        assert_eq!((answer.status, document(&answer)["code"].as_str()), (409, Some(code)), "{}", answer.body);
    }
    assert!(world.told.is_empty() && world.webhooks.is_empty());
    for (body, field) in [
        (r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test","webhook":"https://h.test/"}"#, "/webhook"),
        (r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test","webhook":{}}"#, "/webhook/url"),
        (r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test","webhook":{"url":"x","secret":"y"}}"#, "/webhook/secret"),
        (r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test","webhook":{"url":"x","events":[]}}"#, "/webhook/events"),
        (
            r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test","webhook":{"url":"x","events":["call.*","trunk.up"]}}"#,
            "/webhook/events/1",
        ),
        (r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test","webhook":{"url":"x","key":"a b"}}"#, "/webhook/key"),
    ] {
        let answer = world.rest("POST", "/v1/calls", body);
        assert_eq!((answer.status, document(&answer)["field"].as_str()), (422, Some(field)), "{}", answer.body);
    }
    let nobody = world.rest("PUT", "/v1/calls/call_0000000000ff/webhook", r#"{"url":"https://h.test/"}"#);
    assert_eq!(nobody.status, 404);
}

#[test]
fn events_name_the_command_that_makes_the_call_and_the_one_that_ends_it() {
    let mut world = world();
    let started = document(&world.rest("POST", "/v1/calls", r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test"}"#));
    for agent in [0, 1] {
        world.respond(agent, 200, Some("s"));
    }
    let path = format!("/v1/calls/{}", started["id"].as_str().unwrap());
    let rest = |document: &Value, name: &str| Some(CommandName::Rest(document[name].as_str().unwrap().into()));
    let held = document(&world.rest("POST", &format!("{path}/hold"), "{}"));
    let ended = document(&world.rest("DELETE", &path, ""));
    world.run();
    let sender = |is: fn(&CallEvent) -> bool| {
        let place = world.told.iter().position(|told| is(&told.event)).expect("told");
        world.senders[place].clone()
    };
    assert_eq!(sender(|event| matches!(event, CallEvent::Started { .. })), rest(&started, "command"));
    assert_eq!(sender(|event| matches!(event, CallEvent::Bridged)), rest(&started, "command"));
    assert_eq!(sender(|event| matches!(event, CallEvent::HoldAsked { .. })), rest(&held, "id"));
    assert_eq!(sender(|event| matches!(event, CallEvent::LegEnded { .. })), rest(&ended, "id"));
    assert_eq!(sender(|event| matches!(event, CallEvent::Ended { .. })), rest(&ended, "id"));
}

#[test]
fn events_name_commands_of_the_call_api_by_session_and_cmd_id() {
    let mut world = world();
    let opened = Input::SessionOpened { session: SessionId(1), admission: Admission::open(Mode::Original) };
    world.shard.handle(world.now, opened);
    world.say(r#"{"jsonrpc":"2.0","id":"1","method":"CallStart","params":{"cmd_id":"mine","caller":"sip:alice@x.test","callee":"sip:bob@x.test"}}"#);
    world.respond(0, 180, None);
    world.say(r#"{"jsonrpc":"2.0","id":"2","method":"CallEnd","params":{"cmd_id":"end","callid":"mine"}}"#);
    world.pass(sec(40));
    let named = |cmd_id: &str| Some(CommandName::CallApi { session: 1, cmd_id: cmd_id.into() });
    assert_eq!(world.senders.first(), Some(&named("mine")));
    assert!(matches!(world.told.last().map(|told| &told.event), Some(CallEvent::Ended { .. })));
    assert_eq!(world.senders.last(), Some(&named("end")));
}

#[test]
fn what_nobody_has_commanded_names_nobody() {
    let mut world = world();
    let path = {
        let answer = world.rest("POST", "/v1/calls", r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test"}"#);
        document(&answer)["id"].as_str().unwrap().to_owned()
    };
    for agent in [0, 1] {
        world.respond(agent, 200, Some("s"));
    }
    let (dialog, _) = world.called(0).expect("a call");
    world.bye(0, dialog);
    assert!(matches!(world.told.last().map(|told| &told.event), Some(CallEvent::Ended { .. })), "{path} is over");
    assert_eq!(world.senders.last(), Some(&None));
}
