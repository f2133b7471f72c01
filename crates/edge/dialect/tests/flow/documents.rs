//! What is a document, what is none, and where the mistake is.

use hookswitch_dialect::flow::{Document, MAX_DOCUMENT, MAX_NESTING, MAX_VERBS, Verb, schema, tones};

use super::desk::document;

fn error(text: &str) -> String {
    Document::read(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn every_verb_can_be_written() {
    let document = document(
        r##"{ "verbs": [
          { "ring": {} }, { "pause": { "seconds": 2 } }, { "answer": {} },
          { "play": { "sounds": [ "welcome.wav", { "tone": "425:200", "stop_seconds": 1.5 } ], "times": 2 } },
          { "collect": { "prompt": [ "menu.wav", { "wav": "a.wav", "pcmu": "a.ul", "g722": "a.g722" } ],
                         "most": 2, "terminator": "#", "pattern": "^9", "tries": 3,
                         "keys": { "1": [ { "dial": { "to": "alice" } } ], "22": [] }, "otherwise": [ { "hangup": {} } ] } },
          { "dial": { "to": [ "alice", "bob@y.test" ], "seconds": 20, "then": "/dialed" } },
          { "dial": { "to": [ [ "alice" ], [ "sip:carol@z.test", "tel:+4930" ] ], "after": [ { "ask": {} } ] } },
          { "record": { "silence_seconds": 3, "terminator": null, "then": "https://h.test/recorded",
                        "prompt": [ { "tone": "1000:300" } ], "interrupt": true, "barge_in": 900 } },
          { "record": { "background": true, "tracks": "mixed", "file": "{day}/{call}.wav" } },
          { "bridge": { "call": "call_0000000000ff", "party": "callee" } },
          { "conference": { "name": "sales" } }, { "redirect": { "to": "bob" } },
          { "ask": { "url": "next?x=1" } }, { "reject": { "status": 603, "reason": "Not now" } }, { "hangup": {} } ] }"##,
    );
    let names: Vec<&str> = document.verbs.iter().map(Verb::name).collect();
    let all = "ring pause answer play collect dial dial record record bridge conference redirect ask reject hangup";
    assert_eq!(names.join(" "), all);
    // What is written again is the same.
    let text = serde_json::to_string(&document).expect("JSON");
    assert_eq!(Document::read(text.as_bytes()).expect("the same"), document);
    let (played, before) = ("verbs[3].play.sounds[1].tone".to_owned(), "verbs[7].record.prompt[0].tone".to_owned());
    assert_eq!(tones(&document.verbs), [(played, "425:200"), (before, "1000:300")]);
}

#[test]
fn a_mistake_is_told_with_its_place() {
    for (text, expected) in [
        ("", "the document: EOF while parsing"),
        ("[]", "the document: invalid"),
        ("{}", "missing field `verbs`"),
        (r#"{"verbs":[],"x":1}"#, "unknown field `x`"),
        // A member without a name.
        (r#"{"":1}"#, "the document: unknown field ``"),
        (r#"{"verbs":[{"dial":{"":1}}]}"#, "verbs[0].dial: unknown field ``"),
        (r#"{"verbs":[{"jump":{}}]}"#, "verbs[0]: unknown variant `jump`, expected one of `answer`"),
        (r#"{"verbs":[{"answer":{}},{"dial":{}}]}"#, "verbs[1].dial: missing field `to`"),
        (r#"{"verbs":[{"dial":{"to":7}}]}"#, "verbs[0].dial.to: invalid type: integer `7`, expected an address"),
        (r#"{"verbs":[{"dial":{"to":"a b"}}]}"#, "verbs[0].dial.to: `a b` is neither a name nor a SIP or tel address"),
        (r#"{"verbs":[{"dial":{"to":["a","http://b"]}}]}"#, "verbs[0].dial.to[1]: `http://b` is neither"),
        (r#"{"verbs":[{"dial":{"to":[["a"],["b","c\r\nX: y"]]}}]}"#, "verbs[0].dial.to[1][1]: "),
        (r#"{"verbs":[{"dial":{"to":[["a"],"b"]}}]}"#, "verbs[0].dial.to: addresses and lists of addresses stand side"),
        (r#"{"verbs":[{"dial":{"to":[[]]}}]}"#, "verbs[0].dial.to: there is nobody to call"),
        (r#"{"verbs":[{"dial":{"to":"a","seconds":0}}]}"#, "verbs[0].dial.seconds: 0 is not from 1 to 300"),
        (r#"{"verbs":[{"dial":{"to":"a","then":"x","after":[{"hangup":{}}]}}]}"#, "either `then` or `after`"),
        (r#"{"verbs":[{"dial":{"to":"a","then":"ftp://x/"}}]}"#, "verbs[0].dial.then: not an http or https URL"),
        (r#"{"verbs":[{"play":{"sounds":[]}}]}"#, "verbs[0].play.sounds: there is nothing to play"),
        (r#"{"verbs":[{"play":{"sounds":["a",{}]}}]}"#, "verbs[0].play.sounds[1]: a sound is either"),
        (r#"{"verbs":[{"play":{"sounds":[{"mp3":"a"}]}}]}"#, "verbs[0].play.sounds[0].mp3: unknown field `mp3`"),
        (r#"{"verbs":[{"play":{"sounds":[{"file":"a","tone":"b"}]}}]}"#, "verbs[0].play.sounds[0].file: there is more"),
        (r#"{"verbs":[{"play":{"sounds":[{"g722":"a","tone":"b"}]}}]}"#, "verbs[0].play.sounds[0].tone: there is more"),
        (r#"{"verbs":[{"collect":{"prompt":[{"g722":"a","pcmu":""}]}}]}"#, "verbs[0].collect.prompt[0]: a name has 1"),
        (r#"{"verbs":[{"play":{"sounds":[{"file":"a","start_seconds":-1}]}}]}"#, "sounds[0].start_seconds: -1 is not"),
        (r#"{"verbs":[{"collect":{"most":33}}]}"#, "verbs[0].collect.most: 33 is not from 1 to 32"),
        (r#"{"verbs":[{"collect":{"keys":{"x":[]}}}]}"#, "verbs[0].collect.keys.x: the keys of a telephone"),
        (
            r#"{"verbs":[{"collect":{"keys":{"1":[{"pause":{"seconds":601}}]}}}]}"#,
            "verbs[0].collect.keys.1[0].pause.seconds: 601 is not from 1 to 600",
        ),
        (r#"{"verbs":[{"collect":{"pattern":"1*"}}]}"#, "verbs[0].collect.pattern: it matches no keys at all"),
        (r#"{"verbs":[{"record":{"file":"../x"}}]}"#, "verbs[0].record.file: names with `/` between them"),
        (r#"{"verbs":[{"record":{"interrupt":true}}]}"#, "verbs[0].record.interrupt: there is no `prompt` to end"),
        (r#"{"verbs":[{"record":{"barge_in":9}}]}"#, "verbs[0].record.barge_in: there is no `prompt` to end"),
        (r#"{"verbs":[{"record":{"prompt":["a"],"barge_in":0}}]}"#, "verbs[0].record.barge_in: 0 is not from 1 to"),
        (r#"{"verbs":[{"record":{"prompt":[{}]}}]}"#, "verbs[0].record.prompt[0]: a sound is either"),
        (r#"{"verbs":[{"reject":{"status":200}}]}"#, "verbs[0].reject.status: 200 is not from 400 to 699"),
        (r#"{"verbs":[{"reject":{"status":407}}]}"#, "verbs[0].reject.status: a call cannot be refused"),
        (r#"{"verbs":[{"reject":{"reason":"a\r\nb"}}]}"#, "verbs[0].reject.reason: a phrase"),
        (r#"{"verbs":[{"bridge":{"call":"7"}}]}"#, "verbs[0].bridge.call: a call is `call_`"),
        (r#"{"verbs":[{"conference":{"name":"a@b"}}]}"#, "verbs[0].conference.name: 1 to 53 letters"),
        (r#"{"verbs":[]} x"#, "the document: trailing characters"),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn a_document_has_its_limits() {
    let padded = |length: usize| format!(r#"{{"verbs":[]{}}}"#, " ".repeat(length - 12));
    assert!(Document::read(padded(MAX_DOCUMENT).as_bytes()).is_ok());
    assert_eq!(error(&padded(MAX_DOCUMENT + 1)), "the document is longer than 65536 bytes");

    let many = |count: usize| format!(r#"{{"verbs":[{}]}}"#, vec![r#"{"answer":{}}"#; count].join(","));
    assert!(Document::read(many(MAX_VERBS).as_bytes()).is_ok());
    assert_eq!(error(&many(MAX_VERBS + 1)), "verbs[100]: more than 100 verbs");
    // Those within others count, too.
    let hundred = vec![r#"{"answer":{}}"#; MAX_VERBS].join(",");
    let within = format!(r#"{{"verbs":[{{"dial":{{"to":"a","after":[{hundred}]}}}}]}}"#);
    assert_eq!(error(&within), "verbs[0].dial.after[99]: more than 100 verbs");

    let deep = |depth: usize| {
        let inner = (1..depth)
            .fold(r#"{"answer":{}}"#.to_owned(), |inner, _| format!(r#"{{"collect":{{"otherwise":[{inner}]}}}}"#));
        format!(r#"{{"verbs":[{inner}]}}"#)
    };
    assert!(Document::read(deep(MAX_NESTING).as_bytes()).is_ok());
    assert!(error(&deep(MAX_NESTING + 1)).ends_with("verbs stand within verbs more than 8 deep"));
    assert!(error(&deep(1_000)).contains("recursion limit"), "whoever nests without end does not hurt us");

    let addresses =
        |count: usize| format!(r#"{{"verbs":[{{"dial":{{"to":[{}]}}}}]}}"#, vec![r#""a""#; count].join(","));
    assert!(Document::read(addresses(20).as_bytes()).is_ok());
    assert!(error(&addresses(21)).contains("verbs[0].dial.to: more than 10 groups, or 20 addresses"));
}

#[test]
fn the_schema_knows_every_verb_and_its_members() {
    let schema = schema().to_string();
    for name in [
        "answer",
        "ring",
        "reject",
        "dial",
        "play",
        "collect",
        "record",
        "bridge",
        "conference",
        "redirect",
        "pause",
        "ask",
        "hangup",
        "otherwise",
        "background",
        "terminator",
        "start_seconds",
        "l1616k",
        "barge_in",
    ] {
        assert!(schema.contains(&format!("\"{name}\"")), "{name}");
    }
    assert!(schema.contains("https://json-schema.org/draft/2020-12/schema"));
}
