//! The AsyncAPI document of the events, and their JSON Schemas: made from [`KINDS`].

use serde_json::{Map, Value, json};

use super::{KINDS, KindRow};

/// The JSON Schema (2020-12) of all events of one type.
#[must_use]
pub fn event_schema(row: &KindRow) -> Value {
    let data = (row.schema)().to_value();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": row.name,
        "description": row.about,
        "type": "object",
        "properties": {
            "id": { "type": "string", "pattern": "^[0-9]+$",
                "description": "Its id: grows by one from event to event and is never used again." },
            "type": { "const": row.name },
            "time": { "type": "string", "format": "date-time", "description": "When it happened, in UTC." },
            "call": { "type": "string", "pattern": "^call_[0-9a-f]+$", "description": "The call it is about." },
            "seq": { "type": "integer", "minimum": 0, "description": "Its number among the events of that call, from 0 without a gap." },
            "command": { "type": "string", "pattern": "^cmd_[0-9a-f]+$", "description": "The command that it comes of, as the native REST has answered it." },
            "session": { "type": "integer", "minimum": 0, "description": "The session of the Call API whose command it comes of." },
            "cmd_id": { "type": "string", "description": "That command's `cmd_id` in its session." },
            "domains": { "type": "array", "items": { "type": "string" }, "description": "The domains it concerns, in lower case." },
            "data": data,
        },
        "required": ["id", "type", "time", "domains", "data"],
    })
}

/// The AsyncAPI 3.0 document of `/v1/events`.
#[must_use]
pub fn asyncapi() -> Value {
    let mut messages = Map::new();
    let mut references = Map::new();
    for row in KINDS {
        let mut payload = event_schema(row);
        // AsyncAPI has a place of its own for the dialect of a schema.
        payload.as_object_mut().map(|payload| payload.remove("$schema"));
        let message = json!({ "name": row.name, "title": row.name, "summary": row.about, "contentType": "application/json", "payload": payload });
        messages.insert(row.name.to_owned(), message);
        let reference = format!("#/components/messages/{}", row.name);
        references.insert(row.name.to_owned(), json!({ "$ref": reference }));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hookswitch: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything that happens in the switch, as one sequence. Each message is one event. \
                A reader that names the last event it has seen (`after`, or `Last-Event-ID` over Server-Sent Events) \
                gets every later one once, in order.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": { "switch": { "host": "localhost:9001", "protocol": "ws", "description": "The control listener." } },
        "channels": { "events": {
            "address": "/v1/events",
            "title": "Events",
            "description": "Over WebSocket, or as `text/event-stream` for who accepts that.",
            "servers": [{ "$ref": "#/servers/switch" }],
            "bindings": { "ws": { "method": "GET", "bindingVersion": "0.1.0", "query": {
                "type": "object",
                "properties": {
                    "after": { "type": "string", "description": "The id of the last event seen; without it only later ones come." },
                    "call": { "type": "string", "description": "Only of these calls, with commas between them." },
                    "type": { "type": "string", "description": "Only of these types, with commas between them; `call.*` stands for all that begin so." },
                    "domain": { "type": "string", "description": "Only what concerns one of these domains, with commas between them." },
                },
            } } },
            "messages": references,
        } },
        "operations": { "read": {
            "action": "receive",
            "channel": { "$ref": "#/channels/events" },
            "summary": "Read events.",
        } },
        "components": { "messages": messages },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_a_message_of_the_channel() {
        let document = asyncapi();
        for row in KINDS {
            let message = &document["components"]["messages"][row.name];
            assert_eq!(message["payload"]["properties"]["type"]["const"], row.name);
            let reference = document["channels"]["events"]["messages"][row.name]["$ref"].as_str().unwrap();
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
        assert_eq!(document["components"]["messages"].as_object().unwrap().len(), KINDS.len());
    }
}
