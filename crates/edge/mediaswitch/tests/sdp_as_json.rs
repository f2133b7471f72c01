//! Session descriptions become JSON and the same lines again.

use hookswitch_mediaswitch::sdp::{is_hold, to_json, to_text};
use proptest::prelude::*;
use serde_json::{Value, json};

const WEB: &str = "v=0\r\no=- 18446744073709551615 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
a=msid-semantic: WMS\r\na=ice-lite\r\nm=audio 54400 UDP/TLS/RTP/SAVPF 111 0 126\r\nc=IN IP4 192.0.2.1\r\n\
a=candidate:1 1 udp 2122260223 192.0.2.1 54400 typ host\r\na=candidate:2 1 udp 1686052607 203.0.113.1 54400 typ srflx\r\n\
a=ice-ufrag:F7gI\r\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\r\na=fingerprint:sha-256 D2:FA:0E\r\na=setup:actpass\r\na=mid:0\r\n\
a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:126 telephone-event/8000\r\n\
a=ptime:20\r\na=ssrc:1 cname:a\r\na=ssrc:1 msid:b\r\n";

fn there_and_back(text: &str) -> String {
    to_text(&to_json(text).unwrap()).unwrap().unwrap()
}

/// The lines of the session and of each stream, those with attributes sorted: their order means nothing here.
fn sections(text: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            all.push(Vec::new());
        }
        all.last_mut().unwrap().push(line.trim_end().to_owned());
    }
    all.iter_mut().for_each(|lines| lines.sort());
    all
}

#[test]
fn a_browsers_offer_loses_nothing() {
    assert_eq!(sections(&there_and_back(WEB)), sections(WEB));
    let json = to_json(WEB).unwrap();
    assert_eq!(json["o"]["sessionid"], json!(u64::MAX));
    let stream = &json["m"][0];
    assert_eq!(stream["payloads"], json!([111, 0, 126]));
    assert_eq!(stream["rtpmap"]["111"], json!({ "encoding": "opus", "clock": 48000, "params": "2" }));
    assert_eq!(stream["candidate"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&stream["rtcp-mux"], &stream["ptime"], &stream["direction"]),
        (&json!(""), &json!(20), &json!("sendrecv"))
    );
    assert_eq!(json["a"]["group"], "BUNDLE 0 1");
}

#[test]
fn what_the_originals_controller_writes_is_read() {
    // As its `projectcontrol` builds it, with the texts that the original wants and with numbers.
    for (clock, id) in [(json!("8000"), json!("1")), (json!(8000), json!(1))] {
        let written = json!({
            "v": 0,
            "o": { "username": "z9hG", "sessionid": id, "sessionversion": 1, "nettype": "IN", "ipver": 4, "address": "10.0.0.1" },
            "s": "project", "t": { "start": 0, "stop": 0 },
            "c": [{ "nettype": "IN", "ipver": 4, "address": "10.0.0.1" }],
            "m": [{ "media": "audio", "port": 10000, "proto": "RTP/AVP", "direction": "sendrecv", "payloads": [8, 101],
                    "rtpmap": { "8": { "encoding": "PCMA", "clock": clock }, "101": { "encoding": "telephone-event", "clock": clock } },
                    "fmtp": { "101": "0-16" } }],
        });
        assert_eq!(
            to_text(&written).unwrap().unwrap(),
            "v=0\r\no=z9hG 1 1 IN IP4 10.0.0.1\r\ns=project\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 10000 RTP/AVP 8 101\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n"
        );
    }
}

#[test]
fn what_may_be_left_out_is_filled_in_and_text_passes_as_it_is() {
    let least = json!({ "c": { "address": "10.0.0.1" }, "m": [{ "media": "audio", "port": "4000", "payloads": [0] }] });
    let text = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(to_text(&least).unwrap().unwrap(), text);
    assert_eq!(to_text(&json!(text.replace("\r\n", "\n"))).unwrap().unwrap(), text);
    for nothing in [Value::Null, json!({}), json!("")] {
        assert_eq!(to_text(&nothing).unwrap(), None);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let good = || json!({ "c": { "address": "10.0.0.1" }, "m": [{ "media": "audio", "port": 4000, "payloads": [0] }] });
    let with = |pointer: &str, value: Value| {
        let mut json = good();
        *json.pointer_mut(pointer).unwrap() = value;
        to_text(&json).unwrap_err().to_string()
    };
    assert_eq!(with("/m/0/port", json!("x")), "sdp.m[0].port: must be a whole number");
    assert_eq!(with("/m/0/payloads", json!(8)), "sdp.m[0].payloads: must be a list");
    assert_eq!(with("/m/0/payloads/0", json!("0 8")), "sdp.m[0].payloads[0]: must be one word");
    assert_eq!(with("/m/0/media", json!("audio\r\na=x")), "sdp.m[0].media: must be one line");
    assert_eq!(with("/c/address", json!("a b")), "sdp.c.address: must be one word");
    assert_eq!(with("/c", json!({})), "sdp.c.address: is required");
    let mut json = good();
    json["m"][0]["rtpmap"] = json!({ "0": { "encoding": "PCMU" } });
    assert_eq!(to_text(&json).unwrap_err().to_string(), "sdp.m[0].rtpmap.0.clock: is required");
    json["m"][0]["rtpmap"] = json!({});
    json["m"][0]["direction"] = json!("both");
    assert_eq!(to_text(&json).unwrap_err().place, "sdp.m[0].direction");
    json["m"][0]["direction"] = Value::Null;
    json["m"][0]["evil\r\na"] = json!("x");
    assert!(to_text(&json).unwrap_err().what.contains("name of an attribute"));
    assert!(to_text(&json!("v=0\r\nm=audio\r\n")).unwrap_err().place.starts_with("sdp"));
    assert!(to_text(&json!(7)).is_err() && to_json("nothing").is_err());
}

#[test]
fn hold_is_told_by_direction_and_by_address() {
    let sdp = |session: &str, stream: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n{session}t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n{stream}"
        )
    };
    for (session, stream, hold) in [
        ("", "", false),
        ("", "a=sendrecv\r\n", false),
        ("", "a=recvonly\r\n", false),
        ("", "a=sendonly\r\n", true),
        ("", "a=inactive\r\n", true),
        ("a=inactive\r\n", "", true),
        ("a=inactive\r\n", "a=sendrecv\r\n", false),
        ("", "c=IN IP4 0.0.0.0\r\n", true),
    ] {
        assert_eq!(is_hold(&sdp(session, stream)), hold, "{session}{stream}");
    }
    assert!(is_hold(&sdp("", "").replace("c=IN IP4 10.0.0.1", "c=IN IP4 0.0.0.0")));
    assert!(is_hold(&sdp("", "").replace("1 1 IN IP4 10.0.0.1", "1 1 IN IP4 0.0.0.0")));
    assert!(!is_hold("nothing"));
}

fn attribute() -> impl Strategy<Value = String> {
    let named = ("[a-z][a-z-]{0,7}", "[ -~]{0,12}").prop_map(|(name, value)| format!("{name}:{value}"));
    let format = (0u8..130, prop::sample::select(vec!["PCMU/8000", "opus/48000/2", "x/008", "odd", "a/1/2/3", ""]))
        .prop_map(|(format, map)| format!("rtpmap:{format} {map}"));
    let parameters = (0u8..130, "[ -~]{0,9}").prop_map(|(format, value)| format!("fmtp:{format} {value}"));
    let number = prop::sample::select(vec![
        "ptime:20",
        "ptime:020",
        "ptime:20.5",
        "framerate:25.0",
        "framerate:29.97",
        "quality:7",
    ]);
    let known = prop::sample::select(vec![
        "sendrecv",
        "sendonly",
        "inactive",
        "rtcp-mux",
        "rtcp-mux:",
        "direction:both",
        "media:x",
        "a:1",
        ":",
        "",
    ]);
    prop_oneof![named, format, parameters, number.prop_map(str::to_owned), known.prop_map(str::to_owned), "[a-z]{1,9}"]
}

fn lines(kinds: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let other = prop::sample::select(kinds.to_vec()).prop_map(str::to_owned);
    let line = prop_oneof![1 => other, 4 => attribute().prop_map(|attribute| format!("a={attribute}"))];
    prop::collection::vec(line, 0..12)
}

const SESSION: &[&str] = &[
    "i=about",
    "u=http://h",
    "e=a@h",
    "e=b@h",
    "p=1",
    "c=IN IP6 ::1",
    "c=IN IP4 h.test",
    "b=AS:64",
    "b=TIAS:070",
    "b=odd",
    "k=prompt",
    "k=clear:x:y",
    "z=0 1h",
    "y=0100",
    "c=IN  IP4 10.0.0.1",
];
const STREAM: &[&str] =
    &["i=x", "c=IN IP4 224.0.0.1/127", "c=XX YY zz", "b=AS:64", "k=base64:x", "y=0200", "f=v", "s=odd"];
const STREAMS: &[&str] = &[
    "m=audio 4000 RTP/AVP 0 8 101",
    "m=audio 4000/2 RTP/AVP 0",
    "m=video 0 RTP/AVP 31",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "m=image 4000 udptl t38",
    "m=audio 4000 RTP/AVP 008",
];

proptest! {
    #[test]
    fn every_line_comes_back(
        origin in prop::sample::select(vec!["o=- 1 1 IN IP4 10.0.0.1", "o=me 99999999999999999999 007 IN IP6 ::1", "o=odd", "o=- 1 1 XX YY z"]),
        session in lines(SESSION),
        streams in prop::collection::vec((prop::sample::select(STREAMS.to_vec()), lines(STREAM)), 0..4),
    ) {
        let mut text = format!("v=0\r\n{origin}\r\ns=-\r\nt=0 0\r\n");
        for line in session {
            text.push_str(&format!("{line}\r\n"));
        }
        for (media, lines) in streams {
            text.push_str(&format!("{media}\r\n"));
            for line in lines {
                text.push_str(&format!("{line}\r\n"));
            }
        }
        prop_assume!(hookswitch_mediaswitch::sdp::to_json(&text).is_ok());
        prop_assert_eq!(sections(&there_and_back(&text)), sections(&text));
    }

    #[test]
    fn no_json_is_more_than_refused(text in "\\PC{0,60}", number in any::<u64>()) {
        let json = json!({ "o": text, "c": [text, { "address": text }], "m": [{ "media": text, "port": number, "payloads": [text] }], "a": { text.clone(): text } });
        if let Ok(Some(written)) = to_text(&json) {
            prop_assert!(to_json(&written).is_ok());
        }
    }
}
