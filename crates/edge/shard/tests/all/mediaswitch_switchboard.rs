//! A controller that is a switchboard of ours hears and may do more; a switch that carries no calls has nothing but controllers.

use crate::support::*;
use hookswitch_shard::ShardConfig;
use serde_json::{Value, json};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

fn switchboard() -> World {
    let mut config = shard_config();
    config.dialogs.controllers = true;
    config.directory = directory();
    switchboard_of(config)
}

fn switchboard_of(config: ShardConfig) -> World {
    let mut world = World::new(config);
    let (status, _) = world.http("PATCH", "/dir/x.test", r#"{"control":"http://127.0.0.1:9001/sip-node/0"}"#);
    assert_eq!(status, 200);
    world
}

/// A call of alice for 6, answered: its callid.
fn talking(world: &mut World) -> (hookswitch_sip::DialogId, Value) {
    let dialog = world.invite(0, "sip:6@x.test", Some(OFFER));
    let callid = world.event()["callid"].clone();
    world.command("answer", &json!({ "callid": callid, "sdp": OFFER }));
    world.ack(0, dialog, None);
    assert_eq!(world.event()["news"], json!({ "what": "confirmed", "described": false }));
    (dialog, callid)
}

#[test]
fn a_switchboard_hears_who_calls_what_has_happened_and_descriptions_as_they_are() {
    let mut world = switchboard();
    let dialog = world.invite(0, "sip:6@x.test", Some(OFFER));
    let told = world.event();
    assert_eq!(told["news"], json!({ "what": "arrived", "described": true }));
    assert_eq!(told["sdp"], json!({ "them": OFFER, "us": {} }));
    let party = &told["party"];
    assert_eq!(party["to"], "sip:6@x.test");
    assert!(party["from"].as_str().is_some_and(|from| from.contains("alice@x.test")), "{party}");
    world.pass(sec(1));
    world.cancel(0, dialog);
    let told = world.event();
    assert_eq!((&told["news"]["what"], &told["news"]["cause"]["kind"]), (&json!("ended"), &json!("cancelled")));
    assert_eq!(told.get("party"), None, "it is said once");
    world.assert_clean();
}

#[test]
fn its_commands_want_what_they_need_and_a_call_that_can_do_them() {
    let mut world = switchboard();
    let dialog = world.invite(0, "sip:6@x.test", Some(OFFER));
    let callid = world.event()["callid"].clone();
    for (action, body, status) in [
        ("ring", json!({ "status": 100 }), 400),
        ("ring", json!({ "status": 200 }), 400),
        ("notify", json!({ "status": 700 }), 400),
        ("hangup", json!({ "cause": { "kind": "tea" } }), 400),
        ("hangup", json!({ "code": 200 }), 400),
        ("refuse", json!({}), 409),
        ("withdraw", json!({}), 409),
        ("refer", json!({}), 400),
        ("refer", json!({ "to": "sip:a@b" }), 409),
        ("refer", json!({ "to": "sip:a@b", "replaces": "nobody" }), 404),
        ("focus", json!({ "on": "yes" }), 400),
        ("probe", json!({}), 409),
        ("invite", json!({ "notes": "X" }), 400),
        ("invite", json!({ "notes": vec![("a", "b"); 17] }), 400),
        ("invite", json!({ "notes": [["a", "b\r\nc"]] }), 400),
        ("tea", json!({}), 404),
    ] {
        let mut body = body;
        body["callid"] = callid.clone();
        let (got, answer) = world.ask("PUT", &format!("/dialog/{action}"), &body);
        assert_eq!(got, status, "{action} {body}: {answer}");
    }
    world.pass(sec(1));
    world.cancel(0, dialog);
    world.event();
    world.assert_clean();
}

#[test]
fn it_may_choose_the_name_of_a_dialog_and_asks_for_those_it_has() {
    let mut world = switchboard();
    let control = "http://127.0.0.1:9001/sip-node/0";
    let call = |callid: &str, to: &str| json!({ "callid": callid, "maxforwards": 70, "control": control, "sdp": OFFER, "party": { "from": "sip:alice@x.test", "to": to } });
    for (callid, to) in [("..", "sip:alice@x.test"), ("a b", "sip:alice@x.test"), ("a", ""), ("a", "sip:a b@x.test")] {
        assert_eq!(world.ask("POST", "/dialog/invite", &call(callid, to)).0, 400, "{callid} {to}");
    }
    let outside = world.ask("POST", "/dialog/invite", &call("a", "sip:somebody@elsewhere.test"));
    assert_eq!(outside.0, 404, "what a phone has dialled must be ours, or have a route");
    let (_, listed) = world.ask("GET", "/dialog/list", &Value::Null);
    assert_eq!(listed, json!({ "dialogs": [] }));
    let (dialog, callid) = talking(&mut world);
    let again = world.ask("POST", "/dialog/invite", &call(callid.as_str().unwrap(), "sip:alice@x.test"));
    assert_eq!(again.0, 409, "there is one of this name");
    let (_, listed) = world.ask("GET", "/dialog/list", &Value::Null);
    assert_eq!(listed, json!({ "dialogs": [{ "callid": callid, "control": control }] }));
    world.bye(0, dialog);
    world.event();
    world.assert_clean();
}

#[test]
fn a_switch_without_calls_of_its_own_refuses_those_of_nobody() {
    let mut config = shard_config();
    config.dialogs.controllers = true;
    config.dialogs.only = true;
    config.directory = directory();
    let mut world = World::new(config);
    world.invite(0, "sip:6@x.test", Some(OFFER));
    assert_eq!(world.failure(0), Some(480));
    assert_eq!(world.shard.counts().calls, 0);
    world.assert_clean();
}

/// What was told of registrations: whether there are any, and the names of the phones.
fn registrations(world: &mut World) -> Vec<(&'static str, Vec<Value>)> {
    let phones = |document: &Value| document["phones"].as_array().cloned().unwrap_or_default();
    world.notes().into_iter().map(|told| (told.note.method, phones(&told.document))).collect()
}

#[test]
fn it_hears_which_phones_a_user_has_and_of_each_that_goes() {
    let mut world = switchboard();
    world.register(1);
    let [(_, first)] = registrations(&mut world).try_into().expect("one note");
    assert_eq!(first.len(), 1);
    world.register(2);
    let [(_, both)] = registrations(&mut world).try_into().expect("one note");
    assert!(both.len() == 2 && both.contains(&first[0]), "{both:?}");
    let (_, listed) = world.ask("GET", "/reg/x.test", &Value::Null);
    assert_eq!(listed["users"]["bob"]["phones"], json!(both), "whoever asks is told the same");
    assert_eq!(listed["users"]["bob"]["ages"], json!([0.0, 0.0]));
    world.register_as(2, "bob", World::credentials("bob"), 0);
    assert_eq!(registrations(&mut world), [("PUT", first.clone())], "the other one is left");
}

#[test]
fn it_hears_how_long_ago_each_phone_has_registered() {
    let mut world = switchboard();
    let ages = |world: &mut World| -> Vec<f64> {
        let told = world.notes().pop().expect("a note").document;
        told["ages"].as_array().expect("ages").iter().filter_map(Value::as_f64).collect()
    };
    world.register(1);
    assert_eq!(ages(&mut world), [0.0]);
    world.pass(sec(20));
    world.register(2);
    let mut both = ages(&mut world);
    both.sort_by(f64::total_cmp);
    assert_eq!(both, [0.0, 20.0]);
    world.pass(sec(10));
    world.register(1);
    let mut refreshed = ages(&mut world);
    refreshed.sort_by(f64::total_cmp);
    assert_eq!(refreshed, [0.0, 10.0]);
    let (_, listed) = world.ask("GET", "/reg/x.test/bob", &Value::Null);
    assert_eq!(listed["users"]["bob"]["ages"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_phone_that_is_silent_is_none_that_it_hears_of() {
    let mut config = shard_config();
    config.dialogs.controllers = true;
    config.directory = directory();
    config.b2bua.registrar.options_ping = sec(30);
    let mut world = switchboard_of(config);
    world.register(1);
    assert_eq!(registrations(&mut world)[0].1.len(), 1);
    world.mute = Some(at("10.0.0.3:5060"));
    world.pass(sec(200));
    assert_eq!(registrations(&mut world), [("DELETE", vec![])]);
    let (_, listed) = world.ask("GET", "/reg/x.test", &Value::Null);
    let bob = &listed["users"]["bob"];
    assert_eq!((&bob["registered"], bob.get("phones")), (&true.into(), None), "it is kept, and cannot be reached");
}

#[test]
fn it_may_have_some_phones_of_a_user_called_and_not_the_others() {
    let mut world = switchboard();
    world.register(1);
    let mobile = registrations(&mut world).remove(0).1.remove(0);
    world.register(2);
    world.notes();
    let control = "http://127.0.0.1:9001/sip-node/0";
    let call = |callid: &str, phones: Value| json!({ "callid": callid, "maxforwards": 70, "control": control, "sdp": OFFER, "party": { "from": "sip:alice@x.test", "to": "sip:bob@x.test", "phones": phones } });
    let (status, refused) = world.ask("POST", "/dialog/invite", &call("none", json!(["bob's"])));
    assert_eq!((status, refused["where"].as_str()), (400, Some("party")), "{refused}");
    let gone = world.ask("POST", "/dialog/invite", &call("gone", json!(["0123456789abcdef"])));
    assert_eq!(gone.0, 480, "he has no such phone here");
    assert!(world.called(1).is_none() && world.called(2).is_none());
    assert_eq!(world.ask("POST", "/dialog/invite", &call("one", json!([mobile]))).0, 200);
    assert!(world.called(1).is_some() && world.called(2).is_none(), "only the one that is wanted rings");
    world.respond(1, 486, None);
    assert_eq!(world.event()["news"]["what"], "ended");
    world.ask("POST", "/drain", &Value::Null);
    assert_eq!(world.ask("POST", "/dialog/invite", &call("two", json!([mobile]))).0, 200, "drained or not");
    world.respond(1, 486, None);
    world.event();
    assert_eq!(world.ask("POST", "/dialog/invite", &call("all", json!([]))).0, 200);
    assert!(world.called(2).is_some(), "all of them, where none are named");
    for phone in [1, 2] {
        world.respond(phone, 486, None);
    }
    world.event();
    world.assert_clean();
}
