//! Bytes that mean nothing: no panic, one answer to the one who sent them, and the others never
//! notice.

use hookswitch_dialect::call_api::{Admission, Mode, SessionId};
use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;

use crate::rig::{NOW, Rig, event, events, request, start_text};

const GOOD: [&str; 6] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"CallStart","params":{"caller":"sip:a@b","callee":"sip:c@d","cmd_id":"x"}}"#,
    r#"{"jsonrpc":"2.0","id":"\ud83d\ude00","method":"Echo","params":{"x":"\u0000","y":"ü"}}"#,
    r#"[{"jsonrpc":"2.0","id":null,"method":"CallEnd","params":{"callid":"x"}},{"jsonrpc":"2.0","method":"Subscribe"}]"#,
    r#"{"JSONRPC":null,"ID":{"a":[1.5e300]},"Method":"CallBlindTransfer","Params":{"callid":"","leg":"","destination":""}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"CallHold","params":{"callid":"x","leg":"caller","headers":["A: b",{"name":"C","value":""}]}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"CallUnhold","params":{"callid":"x","headers":"A: b\r\nC:\r\n","idempotency_key":"k"}}"#,
];

/// Feeds one message to both kinds of session beside a quiet neighbour.
fn feed(bytes: &[u8]) {
    let mut rig = Rig::new(Mode::Original);
    rig.hub.open(SessionId(2), Admission::open(Mode::Strict)).unwrap();
    rig.hub.open(SessionId(3), Admission::open(Mode::Original)).unwrap();
    rig.send_on(3, &start_text("neighbour"));
    let ticket = rig.ticket;
    for session in [1, 2] {
        match std::str::from_utf8(bytes) {
            Ok(text) => rig.hub.text(NOW, SessionId(session), text),
            Err(_) => rig.hub.binary(NOW, SessionId(session), bytes),
        }
        for (to, text) in rig.drain() {
            assert_eq!(to, SessionId(session));
            let Ok(message) = serde_json::from_str::<serde_json::Value>(&text) else {
                // JSON all the same: an id that only its sender can make sense of.
                serde_json::from_str::<&RawValue>(&text).unwrap();
                continue;
            };
            for message in message.as_array().map_or(std::slice::from_ref(&message), Vec::as_slice) {
                event(message);
            }
        }
    }
    let echo = request("Echo", &json!({"a": "b"}));
    assert_eq!(events(&rig.send_on(3, &echo)), ["Started", "Reply", "Ended"]);
    assert_eq!(events(&rig.settle(ticket, Ok(()))).last(), Some(&"Ended"));
}

#[test]
fn deep_nesting_wide_objects_and_odd_escapes() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    let nested = deep("[", "]");
    for text in [
        nested.clone(),
        "[".repeat(60_000),
        format!(r#"{{"jsonrpc":"2.0","id":{nested},"method":"Echo","params":{{}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"Echo","params":{{"x":{nested}}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":{nested},"params":{{}}}}"#),
        format!("{{{}", r#""a":1,"#.repeat(9_000)),
        r#"{"jsonrpc":"2.0","id":1,"method":"Echo","params":{"\ud800":"\ud800"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"\ud800","params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"\ud800","method":"Echo","params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1e999,"method":"Echo","params":{"cmd_id":"\ud800"}}"#.to_owned(),
        "\u{feff}{}".to_owned(),
        "\0".repeat(1_000),
    ] {
        feed(text.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        feed(&bytes);
    }

    #[test]
    fn any_text_of_the_marks_of_json(text in r#"[\[\]{}:,"\\u0-9a-dtrue.eE+ -]{0,80}"#) {
        feed(text.as_bytes());
    }

    #[test]
    fn good_messages_with_some_bytes_changed(
        which in 0..GOOD.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = GOOD[which].as_bytes().to_vec();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        feed(&bytes);
    }
}
