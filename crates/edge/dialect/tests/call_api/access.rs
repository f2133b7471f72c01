//! What a token allows: checked before anybody is asked anything, over all its connections.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::Stage;
use hookswitch_dialect::call_api::{Access, Admission, Config, Mode, SessionId};
use serde_json::{Value, json};

use crate::rig::{Rig, events, failure, request, start_text};

fn desk() -> Access {
    Access { name: "desk".into(), ..Access::default() }
}

fn rig(mode: Mode, access: Access) -> Rig {
    Rig::admitted(Admission { mode, access: Some(Arc::new(access)) }, Config::default())
}

fn open(rig: &mut Rig, session: u64, access: Access) {
    let admission = Admission { mode: Mode::Strict, access: Some(Arc::new(access)) };
    rig.hub.open(SessionId(session), admission).unwrap();
}

/// The one error of an answer, without the id.
fn error(heard: &[Value]) -> &Value {
    assert_eq!(events(heard), ["error"]);
    &heard[0]["error"]
}

#[test]
fn only_listed_commands() {
    let access = || Access { commands: Some(vec!["CallStart".into(), "Echo".into()]), ..desk() };
    for (mode, code) in [(Mode::Original, 32000), (Mode::Strict, -32001)] {
        let mut rig = rig(mode, access());
        rig.start("x");
        assert_eq!(events(&rig.send(&request("Echo", &json!({})))).last(), Some(&"Ended"));
        let submitted = rig.submitted.len();
        for (method, params) in [
            ("CallEnd", json!({"callid": "x"})),
            ("CallHold", json!({"callid": "never was"})),
            ("CallBlindTransfer", json!({"callid": "x", "leg": "caller", "destination": "sip:a@b"})),
        ] {
            let heard = rig.send(&request(method, &params));
            let error = error(&heard);
            assert_eq!(error["code"], code);
            assert_eq!(error["message"], format!("{method} is not allowed with this token"));
            let reason = json!({"code": 403, "fault": "controller", "stage": "request", "text": error["message"]});
            assert_eq!(error["data"]["reason"], reason);
        }
        assert_eq!(rig.submitted.len(), submitted);
        assert_eq!(error(&rig.send(&request("Nope", &json!({}))))["message"], "unknown JSON-RPC method");
    }
}

/// The callees' list holds for every address that a party is connected with.
#[test]
fn only_listed_parties() {
    let access = Access {
        callers: vec!["sip:*@desk.test".into()],
        callees: vec!["sip:*@example.test".into(), "tel:+4930*".into()],
        ..desk()
    };
    let mut rig = rig(Mode::Strict, access);
    let (good, bad) = ("sip:bob@example.test", "sip:bob@example.test.evil.test");
    let start = |caller: &str, callee: &str| request("CallStart", &json!({"caller": caller, "callee": callee}));
    let blind = |to: &str| request("CallBlindTransfer", &json!({"callid": "x", "leg": "caller", "destination": to}));
    let attended = |to: &str| {
        let params = json!({"callidA": "x", "legA": "caller", "callidB": "y", "legB": "callee", "destination": to});
        request("CallAttendedTransfer", &params)
    };
    for (text, param) in [
        (start(good, good), "caller"),
        (start("SIP:alice@desk.test", good), "caller"),
        (start("sip:alice@desk.test", bad), "callee"),
        (start("sip:alice@desk.test", "tel:+4940123"), "callee"),
        (blind(bad), "destination"),
        (attended(bad), "destination"),
    ] {
        let heard = rig.send(&text);
        let error = error(&heard);
        assert_eq!((&error["code"], &error["data"]["reason"]["param"]), (&json!(-32001), &json!(param)), "{text}");
    }
    assert!(rig.submitted.is_empty());
    for text in [start("sip:alice@desk.test", "tel:+4930123"), blind(good), attended(good)] {
        assert_eq!(events(&rig.send(&text)), ["Started"]);
    }
    // Without a destination it is between parties that are in calls already.
    let params = json!({"callidA": "x", "legA": "caller", "callidB": "y", "legB": "callee"});
    assert_eq!(events(&rig.send(&request("CallAttendedTransfer", &params))), ["Started"]);
}

/// A token that may not call everybody need not hear of everybody's calls either.
#[test]
fn subscribe_of_a_narrow_token_has_to_be_listed() {
    let subscribe = request("Subscribe", &json!({}));
    let narrow = Access { callees: vec!["sip:*@example.test".into()], ..desk() };
    assert_eq!(error(&rig(Mode::Strict, narrow.clone()).send(&subscribe))["code"], -32001);
    let listed = Access { commands: Some(vec!["Subscribe".into()]), ..narrow };
    assert_eq!(events(&rig(Mode::Strict, listed).send(&subscribe)), ["Started"]);
    assert_eq!(events(&rig(Mode::Strict, desk()).send(&subscribe)), ["Started"]);
}

#[test]
fn commands_in_flight_are_counted_over_all_connections_of_a_token() {
    let access = || Access { max_in_flight: Some(2), ..desk() };
    let mut rig = rig(Mode::Strict, access());
    open(&mut rig, 2, access());
    open(&mut rig, 3, Access { name: "other".into(), ..access() });
    let first = rig.start("a");
    assert_eq!(events(&rig.send_on(2, &start_text("b"))), ["Started"]);
    for session in [1, 2] {
        let heard = rig.send_on(session, &start_text("c"));
        assert_eq!(error(&heard)["code"], -32000);
        assert_eq!(error(&heard)["message"], "too many commands in flight");
        assert_eq!(error(&heard)["data"]["reason"]["text"], "2 commands of this token have not ended yet");
    }
    assert_eq!(events(&rig.send_on(3, &start_text("c"))), ["Started"]);

    // What frees a place has places of its own.
    let end = request("CallEnd", &json!({"callid": "a"}));
    assert_eq!(events(&rig.send(&end)), ["Started"]);
    assert_eq!(events(&rig.send(&end)), ["Started"]);
    assert_eq!(events(&rig.send(&end)), ["error"]);

    // A command whose client has left still runs.
    rig.hub.closed(SessionId(2));
    open(&mut rig, 4, access());
    assert_eq!(error(&rig.send_on(4, &start_text("d")))["code"], -32000);
    for ticket in (1..=rig.ticket.0).map(hookswitch_call::Ticket) {
        rig.settle(ticket, failure(Stage::Caller, 486, "Busy Here"));
    }
    assert_eq!(rig.settle(first, Ok(())), Vec::<Value>::new());
    assert_eq!(events(&rig.send_on(4, &start_text("d"))), ["Started"]);
    assert_eq!(events(&rig.send(&start_text("e"))), ["Started"]);
    assert_eq!(events(&rig.send(&start_text("f"))), ["error"]);
}

#[test]
fn requests_are_counted_over_all_connections_of_a_token() {
    let access = || Access { rate: Some(5), ..desk() };
    let mut rig = rig(Mode::Strict, access());
    open(&mut rig, 2, access());
    let echo = request("Echo", &json!({}));
    let passed =
        |rig: &mut Rig, tries: u64| (0..tries).filter(|turn| rig.send_on(1 + turn % 2, &echo).len() == 3).count();
    assert_eq!(passed(&mut rig, 30), 10);
    let heard = rig.send(&echo);
    assert_eq!((&error(&heard)["code"], &error(&heard)["message"]), (&json!(-32002), &json!("too many requests")));
    assert_eq!(error(&heard)["data"]["reason"]["code"], 429);
    assert_eq!(heard[0]["id"], 1);
    // What cannot be read counts too.
    rig.now += Duration::from_millis(400);
    rig.send("nonsense");
    assert_eq!(passed(&mut rig, 30), 1);
    rig.now += Duration::from_secs(60);
    let batch = format!("[{}]", vec![echo.clone(); 12].join(","));
    let replies = rig.send(&batch).remove(0);
    let refused = replies.as_array().unwrap().iter().filter(|reply| reply["error"]["code"] == -32002);
    assert_eq!(refused.count(), 2);
}
