//! `/v1/events`: what has happened, page by page. The same path is a WebSocket and a stream of Server-Sent Events for whoever
//! asks for one, of which the AsyncAPI document tells.

use serde_json::Value;

use super::page::LIMIT;
use super::problem::Code;
use super::route::{Answer, EVENT_STREAM, Method, Resource, Route, by_listener};
use super::shape::{Field, Kind, object_schema};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "events";

/// Many values with commas between them. As many as the log takes may be longer; this is what surely fits into a request.
const LISTED: Kind = Kind::Text(0, 500);

const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/events",
        name: "listEvents",
        tag: TAG,
        about: "A page of what has happened, the oldest first. With `Upgrade` or `Accept: text/event-stream`, each event as it happens.",
        scope: Scope::Read,
        query: &[
            LIMIT,
            Field::may("after", Kind::Text(1, 20), "only events after the one with this id; `next` of the page before"),
            Field::may("call", LISTED, "only events of these calls"),
            Field::may("type", LISTED, "only events of these types; `call.*` stands for all that begin so"),
            Field::may("domain", LISTED, "only events of these domains"),
        ],
        body: None,
        answers: &[
            Answer { status: 101, about: "With `Upgrade: websocket`: each event is a message.", schema: None },
            Answer { status: 200, about: "A page of events.", schema: Some("Events") },
            Answer {
                status: 200,
                about: "With `Accept: text/event-stream`: Server-Sent Events without an end.",
                schema: Some(EVENT_STREAM),
            },
        ],
        problems: &[Code::DomainNotAllowed, Code::Gone],
        run: by_listener,
    },
    Route {
        method: Method::Get,
        path: "/v1/events/{event}",
        name: "getEvent",
        tag: TAG,
        about: "One event, as long as it is kept.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "The event.", schema: Some("Event") }],
        problems: &[Code::Gone],
        run: by_listener,
    },
];

fn schemas() -> Vec<(&'static str, Value)> {
    const FIELDS: &[Field] = &[
        Field::must(
            "events",
            Kind::List(&Kind::Any, 0, 1_000),
            "what has happened, in order; the schema of each type is at `/v1/schemas/TYPE`",
        ),
        Field::must("next", Kind::Text(1, 20), "what to give as `after` for what comes next"),
    ];
    vec![("Events", object_schema(FIELDS)), ("Event", Kind::Any.schema())]
}
