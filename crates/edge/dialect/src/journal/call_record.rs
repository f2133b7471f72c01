//! The schema of `call.record`. The document itself is that of [`CallDetail`](super::record::CallDetail), which also goes
//! into files; a test compares the two.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::audio::Quality;
use super::cause::{End, Why};

/// What stands in `data` of `call.record`.
pub struct CallRecord;

impl JsonSchema for CallRecord {
    fn schema_name() -> Cow<'static, str> {
        "CallRecord".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let end = End::json_schema(generator);
        let cause = Why::json_schema(generator);
        let quality = Quality::json_schema(generator);
        let time = json_schema!({ "type": "string", "format": "date-time" });
        let maybe_time = json_schema!({ "type": ["string", "null"], "format": "date-time" });
        let text = json_schema!({ "type": "string" });
        let maybe_text = json_schema!({ "type": ["string", "null"] });
        let leg = json_schema!({
            "description": "A leg: one dialogue with one party, or one attempt at it.",
            "type": "object",
            "properties": {
                "leg": { "type": "integer" }, "party": end, "call_id": maybe_text, "to": maybe_text, "started": time,
                "answered": maybe_time, "ended": maybe_time, "cause": { "anyOf": [cause, { "type": "null" }] },
            },
            "required": ["leg", "party", "call_id", "to", "started", "answered", "ended", "cause"],
        });
        let transfer = json_schema!({
            "description": "A transfer, also one that failed. `result` is null if the call was over before it was known.",
            "type": "object",
            "properties": {
                "time": time, "party": end, "to": maybe_text, "result": { "enum": ["done", "failed", null] },
                "cause": { "anyOf": [cause, { "type": "null" }] },
            },
            "required": ["time", "party", "to", "result", "cause"],
        });
        let recording = json_schema!({
            "description": "A recording. `reason` is null if what became of it was not known in time.",
            "type": "object",
            "properties": {
                "recording": { "type": "integer" }, "file": text, "seconds": { "type": "number" },
                "lost_seconds": { "type": "number" }, "size": { "type": "integer" }, "reason": maybe_text,
                "failed": maybe_text, "mailbox": maybe_text,
            },
            "required": ["recording", "file", "reason"],
        });
        json_schema!({
            "title": "CallRecord",
            "description": "All that is known of a call that is over.",
            "type": "object",
            "properties": {
                "call": text,
                "carrier": { "enum": ["switch", "opensips"], "description": "Who carried it." },
                "origin": { "enum": ["incoming", "command"], "description": "Who made it: a party that called in, or a command." },
                "caller": text, "callee": text, "started": time,
                "ringing": maybe_time, "answered": maybe_time, "ended": time,
                "talked_seconds": { "type": "number", "description": "How long both parties were joined." },
                "ended_by": { "enum": ["caller", "callee", "application", "switch", "unknown"] },
                "cause": cause,
                "legs": { "type": "array", "items": leg },
                "diversions": { "type": "array", "items": {
                    "type": "object", "properties": { "time": time, "to": text, "why": text }, "required": ["time", "to", "why"],
                } },
                "transfers": { "type": "array", "items": transfer },
                "replacements": { "type": "array", "items": {
                    "type": "object", "properties": { "time": time, "party": end, "by": text }, "required": ["time", "party", "by"],
                } },
                "recordings": { "type": "array", "items": recording },
                "quality": { "anyOf": [quality, { "type": "null" }], "description": "Null where its audio did not run through the switch." },
                "truncated": { "type": "boolean", "description": "There was more of something than is kept." },
            },
            "required": ["call", "carrier", "origin", "caller", "callee", "started", "ringing", "answered", "ended", "talked_seconds",
                "ended_by", "cause", "legs", "diversions", "transfers", "replacements", "recordings", "quality", "truncated"],
        })
    }
}
