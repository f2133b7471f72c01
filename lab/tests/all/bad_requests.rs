//! Malformed and oversized JSON: it costs its sender only.

use hookswitch_lab::{Dice, Lab, seconds};
use serde_json::json;

#[test]
fn text_that_is_no_request_gets_an_error_reply() {
    let mut lab = Lab::new();
    let app = lab.app();
    for text in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"\"",
        "{}x",
        "[{}]",
        "\u{0}",
        "{\"jsonrpc\":2}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7,\"params\":{}}",
    ] {
        let before = lab.heard_by(app).errors().len();
        lab.say(app, text);
        assert_eq!(lab.heard_by(app).errors().len(), before + 1, "{text:?}");
    }
    assert_eq!(lab.heard_by(app).closed_with(), None);
    lab.ask(app, "still", "Echo", json!({ "a": "b" }));
    assert_eq!(lab.heard_by(app).events("still"), ["Started", "Reply", "Ended"]);
    lab.finish();
}

#[test]
fn requests_that_make_no_sense_start_nothing() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    let app = lab.app();
    let errors = |lab: &Lab| lab.heard_by(app).errors().len();
    lab.say(app, r#"{"jsonrpc":"2.0","id":1,"method":"Explode","params":{}}"#);
    lab.say(app, r#"{"jsonrpc":"2.0","id":1,"method":"CallStart","params":[]}"#);
    lab.say(app, r#"{"jsonrpc":"2.0","id":1,"method":"CallStart","params":{"caller":7,"callee":"sip:bob@x.test"}}"#);
    lab.say(app, r#"{"jsonrpc":"2.0","id":1,"method":"CallStart"}"#);
    assert_eq!(errors(&lab), 4);
    lab.ask(app, "c1", "CallStart", json!({ "caller": "sip:alice@x.test" }));
    assert_eq!(lab.heard_by(app).data("c1", "Error"), Some(&json!("callee not specified")));
    for caller in ["", "alice", "sip:", "http://x.test/", "sip:alice@x.test\r\nEvil: 1", "sip:a b@x.test"] {
        lab.ask(app, "c2", "CallStart", json!({ "caller": caller, "callee": "sip:bob@x.test" }));
        assert_eq!(lab.heard_by(app).events("c2").last(), Some(&"Ended"), "{caller:?}");
    }
    lab.pass(seconds(1));
    assert!(!lab.in_call(alice) && !lab.in_call(bob));
    lab.finish();
}

#[test]
fn an_oversized_message_closes_its_session_only() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    let (one, other) = (lab.app(), lab.app());
    lab.start_call(one, "c1", "alice", "bob");
    lab.start_call(other, "c2", "alice", "bob");
    lab.say(one, "x".repeat(64 * 1024 + 1));
    assert_eq!(lab.heard_by(one).closed_with(), Some(1009));
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    assert_eq!(lab.heard_by(other).events("c2").last(), Some(&"Ended"));
    lab.ask(other, "still", "Echo", json!({}));
    assert_eq!(lab.heard_by(other).events("still"), ["Started", "Reply", "Ended"]);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn any_text_at_all() {
    let mut lab = Lab::new();
    let app = lab.app();
    let mut dice = Dice::new(lab.seed());
    let whole =
        r#"{"jsonrpc":"2.0","id":"1","method":"CallStart","params":{"caller":"sip:a@x.test","callee":"sip:b@x.test"}}"#;
    for _ in 0..2_000 {
        let mut bytes = whole.as_bytes().to_vec();
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] = b" !\"{}[]:,x0\\\n"[dice.below(13) as usize];
        }
        lab.say(app, String::from_utf8(bytes).unwrap());
    }
    lab.finish();
}
