//! `idempotency_key`: what is asked twice is done once.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_dialect::call_api::{Access, Admission, Config, KEEP_KEYS, MAX_KEY, Mode, SessionId};
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, Rig, events, request};

fn start(key: &str, callee: &str) -> String {
    request("CallStart", &json!({"caller": ALICE, "callee": callee, "idempotency_key": key}))
}

fn cmd_id(heard: &[Value]) -> &str {
    heard[0]["result"]["cmd_id"].as_str().unwrap()
}

#[test]
fn a_repeated_request_gets_the_first_reply_and_does_nothing() {
    for mode in [Mode::Original, Mode::Strict] {
        let mut rig = Rig::new(mode);
        let first = rig.send(&start("k", BOB));
        assert_eq!(events(&first), ["Started"]);
        // Another connection, another id, the members in another order: still the same request.
        rig.hub.open(SessionId(2), Admission::open(mode)).unwrap();
        let again = format!(
            r#"{{"jsonrpc":"2.0","id":"again","method":"CallStart","params":
            {{"idempotency_key":"k","callee":"{BOB}","caller":"{ALICE}"}}}}"#
        );
        let second = rig.send_on(2, &again);
        assert_eq!(events(&second), ["Started"]);
        assert_eq!(second[0]["id"], "again");
        assert_eq!(cmd_id(&second), cmd_id(&first));
        assert_eq!((rig.submitted.len(), rig.hub.running()), (1, 1));
        // Nor after the command has ended.
        rig.settle(rig.ticket, Ok(()));
        assert_eq!(cmd_id(&rig.send(&start("k", BOB))), cmd_id(&first));
        assert_eq!((rig.submitted.len(), rig.hub.running()), (1, 0));
    }
}

#[test]
fn another_request_under_the_same_key_is_refused() {
    for (mode, code) in [(Mode::Original, 32000), (Mode::Strict, -32003)] {
        let mut rig = Rig::new(mode);
        rig.send(&start("k", BOB));
        let other_method = request("CallEnd", &json!({"callid": "x", "idempotency_key": "k"}));
        let other_name =
            request("CallStart", &json!({"caller": ALICE, "callee": BOB, "idempotency_key": "k", "cmd_id": "mine"}));
        for text in [start("k", ALICE), other_method, other_name] {
            let heard = rig.send(&text);
            assert_eq!(events(&heard), ["error"]);
            let error = &heard[0]["error"];
            assert_eq!(error["code"], code);
            assert_eq!(error["message"], "idempotency_key was used for something else");
            assert_eq!(error["data"]["reason"]["param"], "idempotency_key");
        }
        assert_eq!(rig.submitted.len(), 1);
    }
}

#[test]
fn every_command_takes_it() {
    let mut rig = Rig::new(Mode::Strict);
    for (method, params) in
        [("Echo", json!({"a": "b"})), ("Subscribe", json!({})), ("CallHold", json!({"callid": "x"}))]
    {
        let mut params = params;
        params["idempotency_key"] = method.into();
        let first = rig.send(&request(method, &params));
        let running = rig.hub.running();
        let second = rig.send(&request(method, &params));
        assert_eq!(second, first[..1], "{method}");
        assert_eq!(rig.hub.running(), running, "{method}");
    }
    // In a batch as well.
    let one = start("batch", BOB);
    let replies = rig.send(&format!("[{one},{one}]")).remove(0);
    assert_eq!(replies[0]["result"], replies[1]["result"]);
    assert_eq!(replies[0]["result"]["event"], "Started");
}

#[test]
fn it_is_forgotten_after_24_hours() {
    let mut rig = Rig::new(Mode::Original);
    let first = rig.send(&start("k", BOB));
    rig.now += KEEP_KEYS - Duration::from_millis(1);
    assert_eq!(cmd_id(&rig.send(&start("k", BOB))), cmd_id(&first));
    rig.now += Duration::from_millis(1);
    assert_ne!(cmd_id(&rig.send(&start("k", BOB))), cmd_id(&first));
    assert_eq!(rig.submitted.len(), 2);
}

/// What was refused did nothing, and may be tried again under the same key.
#[test]
fn an_error_reply_leaves_the_key_free() {
    let config = Config { max_in_flight: 1, ..Config::default() };
    let mut rig = Rig::with(Mode::Strict, config);
    let running = rig.start("x");
    assert_eq!(events(&rig.send(&start("k", BOB))), ["error"]);
    assert_eq!(events(&rig.send(&start("k", "no uri"))), ["error"]);
    rig.settle(running, Ok(()));
    assert_eq!(events(&rig.send(&start("k", BOB))), ["Started"]);
}

#[test]
fn keys_of_one_token_are_not_anothers() {
    let mut rig = Rig::new(Mode::Strict);
    for (session, name) in [(2, "desk"), (3, "shop"), (4, "desk")] {
        let access = Some(Arc::new(Access { name: name.into(), ..Access::default() }));
        rig.hub.open(SessionId(session), Admission { mode: Mode::Strict, access }).unwrap();
    }
    let heard: Vec<_> = (1..=4).map(|session| rig.send_on(session, &start("k", BOB))).collect();
    assert_eq!(rig.submitted.len(), 3);
    assert_eq!(cmd_id(&heard[1]), cmd_id(&heard[3]));
    assert_ne!(cmd_id(&heard[0]), cmd_id(&heard[1]));
    assert_ne!(cmd_id(&heard[1]), cmd_id(&heard[2]));
}

/// Nothing is forgotten to make room: a new key waits, everything else goes on.
#[test]
fn at_the_limit_new_keys_are_refused() {
    for config in [Config { max_keys: 2, ..Config::default() }, Config { max_key_bytes: 2 * 200, ..Config::default() }]
    {
        let mut rig = Rig::with(Mode::Strict, config);
        rig.send(&start("a", BOB));
        rig.now += Duration::from_secs(60);
        rig.send(&start("b", BOB));
        let heard = rig.send(&start("c", BOB));
        assert_eq!(heard[0]["error"]["code"], -32004);
        assert_eq!(heard[0]["error"]["message"], "too many idempotency keys");
        assert_eq!(heard[0]["error"]["data"]["reason"]["code"], 503);
        assert_eq!(events(&rig.send(&start("a", BOB))), ["Started"]);
        assert_eq!(rig.submitted.len(), 2);
        rig.start("without a key");
        rig.now += KEEP_KEYS - Duration::from_secs(60);
        assert_eq!(events(&rig.send(&start("c", BOB))), ["Started"]);
    }
}

#[test]
fn a_key_is_a_short_printable_string() {
    let longest = "k".repeat(MAX_KEY);
    assert_eq!(events(&Rig::new(Mode::Original).send(&start(&longest, BOB))), ["Started"]);
    for key in [json!(""), json!("k".repeat(MAX_KEY + 1)), json!("a\r\nb"), json!(5), json!(null), json!(["k"])] {
        let text = request("Echo", &json!({"idempotency_key": key}));
        for (mode, code) in [(Mode::Original, 32000), (Mode::Strict, -32602)] {
            let heard = Rig::new(mode).send(&text);
            assert_eq!(events(&heard), ["error"], "{key}");
            assert_eq!(heard[0]["error"]["code"], code);
            assert_eq!(heard[0]["error"]["message"], "bad idempotency_key");
        }
    }
}
