//! How events read.

use hookswitch_dialect::journal::{Entry, EventId, Journal};
use serde_json::{Value, json};

use crate::told::{CALL, elsewhere, ended, incoming, told, within};

fn read(entries: impl IntoIterator<Item = Entry>) -> Vec<Value> {
    let mut journal = Journal::new(EventId(1));
    entries.into_iter().for_each(|entry| journal.take(entry));
    journal.drain().events.iter().map(|event| serde_json::from_str(&event.text).unwrap()).collect()
}

#[test]
fn the_first_and_the_last_event_of_a_call() {
    let read = read([told(incoming()), told(ended())]);
    assert_eq!(
        read[0],
        json!({
            "id": "1", "type": "call.incoming", "time": "2026-11-22T17:05:09.120Z", "call": "call_0000000000ab", "seq": 0,
            "domains": ["a.test", "[2001:db8::1]"],
            "data": { "caller": "sip:alice@A.test:5060;transport=tcp", "callee": "sips:bob@[2001:DB8::1]:5061" },
        })
    );
    assert_eq!(read[1]["seq"], 1);
    assert_eq!(
        read[1]["data"],
        json!({
            "cause": { "kind": "hangup", "fault": "nobody", "code": 200, "text": "OK", "q850": 16 },
            "talked_seconds": 61.5,
        })
    );
}

#[test]
fn what_happens_within_a_call() {
    let expected = [
        json!(["call.started", { "caller": "sip:alice@a.test", "callee": "tel:+49301" }]),
        json!(["call.connecting", { "to": "tel:+4930123456" }]),
        json!(["call.dialing", { "leg": 1, "party": "callee", "call_id": "x@y", "to": "sip:bob@192.0.2.7" }]),
        json!(["call.progress", { "leg": 1, "party": "callee", "status": 180, "text": "Ringing" }]),
        json!(["call.answered", { "leg": 1, "party": "callee" }]),
        json!(["call.bridged", {}]),
        json!(["call.noticed", { "call_id": "x@y" }]),
        json!(["call.hold_accepted", { "hold": true }]),
        json!(["call.hold_asked", { "party": "callee", "hold": true }]),
        json!(["call.held", { "party": "callee", "hold": false }]),
        json!(["call.held_by", { "party": "callee", "hold": true }]),
        json!(["call.diverted", { "from": "sip:bob@a.test", "to": "sip:carol@c.test", "why": "no_answer" }]),
        json!(["call.replaced", { "leg": 1, "party": "callee", "by": "sip:dave@a.test" }]),
        json!(["call.transferring", { "party": "callee", "to": "sip:erin@e.test" }]),
        json!(["call.transferring", { "party": "callee" }]),
        json!(["call.transfer_started", { "call_id": "z", "to": "sip:erin@192.0.2.8" }]),
        json!(["call.transfer_progress", { "status": 180, "text": "Ringing" }]),
        json!(["call.transferred", {}]),
        json!(["call.transfer_failed", { "cause": busy() }]),
        json!(["call.room", { "party": "callee", "room": "daily", "what": "entered", "members": 3 }]),
        json!(["call.room", { "party": "callee", "room": "daily", "what": "speaking" }]),
        json!(["call.room", { "party": "callee", "room": "daily", "what": "silent" }]),
        json!(["call.room", { "party": "callee", "room": "daily", "what": "refused", "cause": busy() }]),
        json!(["call.room", { "party": "callee", "room": "daily", "what": "left" }]),
        json!(["call.key", { "party": "callee", "key": "#", "duration_seconds": 0.16 }]),
        json!(["call.play", { "party": "callee", "what": "started", "position_seconds": 1.25 }]),
        json!(["call.play", { "party": "callee", "what": "missing", "position_seconds": 1.25, "sound": "gone.wav",
            "text": "no such file" }]),
        json!(["call.play", { "party": "callee", "what": "ended", "position_seconds": 1.25, "reason": "telephone-event" }]),
        json!(["call.collected", { "party": "callee", "keys": "12", "complete": true }]),
        json!(["call.recording", { "party": "callee", "what": "started", "recording": 256 }]),
        json!(["call.leg_ended", { "leg": 1, "party": "callee", "cause": busy() }]),
    ];
    let read: Vec<Value> =
        read(within().into_iter().map(told)).iter().map(|one| json!([one["type"], one["data"]])).collect();
    assert_eq!(read, expected);
}

fn busy() -> Value {
    json!({ "kind": "busy", "fault": "peer", "code": 486, "text": "Busy Here", "q850": 17 })
}

#[test]
fn what_happens_elsewhere() {
    let call = format!("call_{CALL}");
    let read = read(elsewhere());
    let of = |kind: &str| read.iter().find(|one| one["type"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    let file = json!({ "name": "x.wav", "duration_seconds": 0.0, "lost_seconds": 0.0, "size": 0, "reason": "failed",
        "text": "disk full" });
    let recording = of("call.recording");
    assert_eq!(recording["data"], json!({ "recording": 0, "what": "ended", "file": file }));
    // Nothing is known of the call, so it has no number within it.
    assert_eq!((&recording["call"], &recording["seq"]), (&json!(call), &Value::Null));
    let quality = &of("call.quality")["data"]["caller"];
    assert_eq!(quality["codec"], "PCMA");
    assert_eq!((&quality["jitter_ms"], &quality["mos"]), (&json!(2.5), &json!(4.12)));
    assert_eq!((&quality["round_trip_ms"], &quality["findings"]), (&json!(40.0), &json!(["moved"])));
    let ended: Vec<_> = read.iter().filter(|one| one["type"] == "command.ended").collect();
    assert_eq!(ended[0]["data"], json!({ "command": "cmd_1", "kind": "hold", "result": "done" }));
    assert_eq!(ended[1]["data"]["failure"]["stage"], "hold");
    assert_eq!(ended[1]["data"]["failure"]["party"], "caller");
    assert_eq!(ended[1]["call"], json!(call));
    let stale = of("registration.stale");
    assert_eq!(stale["data"], json!({ "user": "alice@A.test", "contact": "sip:a@192.0.2.1", "why": "silent" }));
    assert_eq!((&stale["domains"], &stale["call"]), (&json!(["a.test"]), &Value::Null));
    assert_eq!(of("trunk.down")["data"], json!({ "trunk": "carrier", "text": "192.0.2.9" }));
    assert_eq!(of("call.record")["data"]["call"], json!(call));
}
