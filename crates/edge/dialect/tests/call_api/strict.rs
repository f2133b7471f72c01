//! The rulings for strict sessions, and beside them what original sessions still get.

use hookswitch_dialect::call_api::Mode;
use serde_json::{Value, json};

use crate::rig::{NOW, Rig, events, request};

fn refused(mode: Mode, text: &str) -> (i64, Value, String) {
    let heard = Rig::new(mode).send(text);
    assert_eq!(events(&heard), ["error"], "{text}");
    let error = &heard[0]["error"];
    (error["code"].as_i64().unwrap(), heard[0]["id"].clone(), error["message"].as_str().unwrap().to_owned())
}

/// Rulings 2 and 3.
#[test]
fn codes_say_what_was_wrong() {
    for (text, code) in [
        ("nonsense", -32700),
        ("", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"Echo"} x"#, -32700),
        ("5", -32600),
        ("[]", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"Echo"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"Nope"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"Echo","params":[]}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"Echo","params":{"x":1}}"#, -32602),
    ] {
        let (strict, id, _) = refused(Mode::Strict, text);
        assert_eq!(strict, code, "{text}");
        assert!(id.is_null() || id == 1);
        if code == -32700 {
            assert_eq!(id, Value::Null);
        }
        if !text.contains("1.0") {
            assert_eq!(refused(Mode::Original, text).0, 32000, "{text}");
        }
    }
    assert_eq!(refused(Mode::Original, "nonsense").1, "");
}

/// Ruling 4: executed, not answered; what it says is heard all the same.
#[test]
fn a_request_without_an_id_is_not_answered() {
    let text = r#"{"jsonrpc":"2.0","method":"Echo","params":{"cmd_id":"x"}}"#;
    assert_eq!(events(&Rig::new(Mode::Strict).send(text)), ["Reply", "Ended"]);
    assert_eq!(events(&Rig::new(Mode::Original).send(text)), ["Started", "Reply", "Ended"]);
    for silent in [r#"{"jsonrpc":"2.0","method":"Nope"}"#, r#"{"jsonrpc":"2.0","method":"Echo","params":1}"#] {
        assert!(Rig::new(Mode::Strict).send(silent).is_empty());
    }
}

/// Ruling 7: to the last digit and letter.
#[test]
fn ids_come_back_as_they_were() {
    for id in ["12345678901234567890", "-0", "\"\\u0041\"", "\"\"", "null", "{ \"a\" : 1 }", "1.50", "[1, 2]"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"Echo","params":{{}}}}"#);
        let mut rig = Rig::new(Mode::Original);
        rig.hub.text(NOW, hookswitch_dialect::call_api::SessionId(1), &text);
        let reply = rig.drain().remove(0).1;
        assert!(reply.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#)), "{reply}");
    }
}

/// Rulings 8, 9 and 10: an error reply that names the parameter, and no command.
#[test]
fn parameters_are_checked_before_a_command_starts() {
    let uri = "sip:a@b";
    for (method, params, param, original) in [
        ("CallStart", json!({}), "caller", vec!["Started", "Error", "Ended"]),
        ("CallStart", json!({"caller": uri}), "callee", vec!["Started", "Error", "Ended"]),
        ("CallStart", json!({"caller": uri, "callee": uri, "more": ""}), "more", vec!["Started"]),
        ("CallStart", json!({"caller": 5, "callee": uri}), "caller", vec!["error"]),
        ("CallEnd", json!({"callid": null}), "callid", vec!["error"]),
        ("CallEnd", json!({}), "callid", vec!["Started", "Error", "Ended"]),
    ] {
        let text = request(method, &params);
        let mut rig = Rig::new(Mode::Strict);
        let heard = rig.send(&text);
        assert_eq!(heard[0]["error"]["code"], -32602, "{text}");
        assert_eq!(heard[0]["error"]["data"]["reason"]["param"], param, "{text}");
        assert_eq!((rig.submitted.len(), rig.hub.running()), (0, 0));
        assert_eq!(events(&Rig::new(Mode::Original).send(&text)), original, "{text}");
    }
    assert_eq!(refused(Mode::Strict, &request("CallEnd", &json!({}))).2, "callid not specified");
}

/// Ruling 23.
#[test]
fn a_cmd_id_has_no_control_characters() {
    for cmd_id in [json!("a\r\nX: y"), json!("\u{7f}"), json!("x".repeat(1_025)), json!(5), json!(null)] {
        let text = request("Echo", &json!({"cmd_id": cmd_id}));
        let message = "bad cmd_id (must be a string)";
        assert_eq!(refused(Mode::Original, &text), (32000, 1.into(), message.to_owned()));
        assert_eq!(refused(Mode::Strict, &text), (-32602, 1.into(), message.to_owned()));
    }
    let text = request("Echo", &json!({"cmd_id": "x".repeat(1_024)}));
    assert_eq!(events(&Rig::new(Mode::Original).send(&text)), ["Started", "Reply", "Ended"]);
}

/// Rulings 28 and 29.
#[test]
fn only_the_table_of_commands_can_be_called() {
    for method in ["Notify", "Run", "", "Test ", "__proto__", "CallStart\u{0}"] {
        let text = request(method, &json!({}));
        assert_eq!(refused(Mode::Original, &text).2, "unknown JSON-RPC method");
        assert_eq!(refused(Mode::Strict, &text).0, -32601);
    }
    let test = request("Test", &json!({"a": "b"}));
    assert_eq!(refused(Mode::Strict, &test).0, -32601);
    let heard = Rig::new(Mode::Original).send(&test);
    assert_eq!(events(&heard), ["Started", concat!("TO", "DO"), "Ended"]);
    assert_eq!(heard[1]["params"]["data"], json!({"a": "b"}));
}
