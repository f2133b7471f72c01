//! An answer holds so many reports; what comes beyond does not wait for it.

use std::time::Duration;

use hookswitch_call::{AudioNews, CallId, Digit, MediaOp, MediaReport, Party, Sdp, Seat, Source};
use hookswitch_channels::{Channels, Config, FIRST_CHANNEL, Output, RequestId};
use serde_json::{Value, json};

const NOW: Duration = Duration::from_secs(1_000);
const CONTROL: &str = "http://127.0.0.1:9001";
const THEIRS: CallId = CallId(77);
const OURS: CallId = CallId(FIRST_CHANNEL);

/// Most reports that wait for the answer of a request.
const MAX_TOLD: u64 = 256;

fn send(channels: &mut Channels, request: u64, method: &str, path: &str, body: &Value) {
    channels.request(NOW, RequestId(request), method, path, body.to_string().as_bytes());
}

/// What was answered and what was told of its own accord, since this was asked last.
fn drain(channels: &mut Channels) -> (Vec<Value>, Vec<Value>) {
    let (mut answers, mut told) = (Vec::new(), Vec::new());
    while let Some(output) = channels.poll_output() {
        match output {
            Output::Media(_) => {}
            Output::Answer(_, answer) => answers.push(serde_json::from_str(&answer.body).unwrap()),
            Output::Tell { body, .. } => told.push(serde_json::from_str(&body).unwrap()),
        }
    }
    (answers, told)
}

/// The engine has done all that was asked before.
fn done(channels: &mut Channels) {
    channels.report(MediaReport::Audio { call: OURS, news: AudioNews::Asked, audio: None });
}

/// A key that is known by how long it was pressed.
fn key(call: CallId, ms: u64) -> MediaReport {
    let digit = Digit { key: '5', time: Duration::from_millis(ms) };
    MediaReport::Digit { call, party: Party::Caller, digit, passed: true }
}

#[test]
fn reports_beyond_what_an_answer_holds_are_told_at_once() {
    let mut channels = Channels::new(Config::default(), [3; 32]);
    let offer = Some((Party::Caller, Sdp::from("offer")));
    let open = MediaOp::Open { call: THEIRS, offer, codecs: None, near: None, room: None };
    send(&mut channels, 1, "POST", "/channel", &json!({"control": CONTROL, "call": "call-77", "orders": [open]}));
    done(&mut channels);
    let (answers, _) = drain(&mut channels);
    let path = format!("/channel/{}", answers[0]["uuid"].as_str().unwrap());
    let hear = MediaOp::Hear { call: THEIRS, seat: Seat::Of(Party::Caller), source: Source::Echo };
    send(&mut channels, 2, "PUT", &path, &json!({"orders": [hear]}));
    for n in 0..MAX_TOLD + 2 {
        channels.report(key(OURS, n));
    }
    let (answers, told) = drain(&mut channels);
    assert_eq!(answers, Vec::<Value>::new(), "the engine is not done");
    let beyond: Vec<_> = told.iter().map(|told| (&told["seq"], &told["reports"])).collect();
    let (first, second) = (json!([key(THEIRS, MAX_TOLD)]), json!([key(THEIRS, MAX_TOLD + 1)]));
    assert_eq!(beyond, [(&json!(0), &first), (&json!(1), &second)]);
    done(&mut channels);
    let (answers, told) = drain(&mut channels);
    assert_eq!(told, Vec::<Value>::new());
    let waited: Vec<_> = (0..MAX_TOLD).map(|n| key(THEIRS, n)).collect();
    assert_eq!(answers[0]["reports"], json!(waited));
}
