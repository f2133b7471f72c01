//! `/v1/nodes`: the processes that have the legs and the audio of calls, where those are not in this one. They stand in the
//! configuration.

use serde_json::{Value, json};

use super::Response;
use super::desk::{Done, Turn};
use super::problem::Problem;
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, Kind, object_schema};
use super::switch::Node;
use super::time::moment_or_null;
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const ROUTES: &[Route] = &[Route {
    method: Method::Get,
    path: "/v1/nodes",
    name: "listNodes",
    tag: "switch",
    about: "How the SIP and media nodes stand, in the order of the configuration. A token for some domains sees none.",
    scope: Scope::Read,
    query: &[],
    body: None,
    answers: &[Answer { status: 200, about: "The nodes.", schema: Some("Nodes") }],
    problems: &[],
    run: list,
}];

fn list(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let all = if turn.request.grant.domains.is_empty() { turn.switch.nodes() } else { Vec::new() };
    let nodes: Vec<Value> = all.iter().map(document).collect();
    Ok(Done::Now(Response::json(200, &json!({ "nodes": nodes }))))
}

fn document(node: &Node) -> Value {
    let Node { kind, url, state, since, carries, load } = node;
    let mut document = json!({ "kind": kind, "url": url.as_str(), "state": state, "since": moment_or_null(*since) });
    document[if *kind == "media" { "calls" } else { "legs" }] = (*carries).into();
    if let Some(load) = load {
        document["processor_percent"] = f64::from(load.processor).into();
        let (active, free) = match *kind {
            "media" => ("channels", "channels_free"),
            _ => ("dialogs", "dialogs_free"),
        };
        document[active] = load.active.into();
        document[free] = load.available.into();
        if *kind == "media" {
            document["late_ticks"] = load.late_ticks.into();
        }
    }
    document
}

fn schemas() -> Vec<(&'static str, Value)> {
    const COUNT: Kind = Kind::Whole(0, i64::MAX);
    const FIELDS: &[Field] = &[
        Field::must("kind", Kind::OneOf(&["sip", "media"]), "what it is for: legs, or audio"),
        Field::must("url", Kind::Text(1, 2_048), "its base URL"),
        Field::must("state", Kind::OneOf(&["starting", "up", "draining", "lost"]), "how it is"),
        Field::must("since", Kind::OrNull(&Kind::Time), "since when; null while nothing is known of it"),
        Field::may("legs", COUNT, "of a SIP node: legs of ours there"),
        Field::may("calls", COUNT, "of a media node: calls of ours whose audio is there"),
        Field::may("dialogs", COUNT, "of a SIP node, as it said last: legs there, whoever has ordered them"),
        Field::may("dialogs_free", COUNT, "how many more it takes"),
        Field::may("channels", COUNT, "of a media node, as it said last: channels in use; a call is two"),
        Field::may("channels_free", COUNT, "how many more it takes"),
        Field::may(
            "processor_percent",
            Kind::Number,
            "processor time of its media threads, or of the thread that has SIP",
        ),
        Field::may("late_ticks", COUNT, "of a media node: ticks of its last second that were too late"),
    ];
    let list = json!({
        "type": "object", "required": ["nodes"], "additionalProperties": false,
        "properties": { "nodes": { "type": "array", "items": { "$ref": "#/components/schemas/Node" } } },
    });
    vec![("Node", object_schema(FIELDS)), ("Nodes", list)]
}
