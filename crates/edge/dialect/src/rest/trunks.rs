//! `/v1/trunks`: how the ways to other networks stand. They are configured in the file.

use serde_json::{Value, json};

use super::Response;
use super::desk::{Done, Turn};
use super::problem::{Code, Problem};
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, Kind, object_schema};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "trunks";

const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/trunks",
        name: "listTrunks",
        tag: TAG,
        about: "All trunks, in the order of the configuration. They belong to no domain: a token for some domains sees none.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "The trunks.", schema: Some("Trunks") }],
        problems: &[],
        run: list,
    },
    Route {
        method: Method::Get,
        path: "/v1/trunks/{trunk}",
        name: "getTrunk",
        tag: TAG,
        about: "How one trunk stands.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "The trunk.", schema: Some("Trunk") }],
        problems: &[Code::NoSuchTrunk],
        run: get,
    },
];

fn list(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let all = if turn.request.grant.domains.is_empty() { turn.switch.trunks() } else { Vec::new() };
    let trunks: Vec<Value> = all.into_iter().map(|trunk| trunk.document).collect();
    Ok(Done::Now(Response::json(200, &json!({ "trunks": trunks }))))
}

fn get(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let all = if turn.request.grant.domains.is_empty() { turn.switch.trunks() } else { Vec::new() };
    let found = all.into_iter().find(|trunk| trunk.name == turn.path[0]);
    let trunk = found.ok_or_else(|| Problem::new(Code::NoSuchTrunk, "no trunk of the configuration has this name"))?;
    Ok(Done::Now(Response::json(200, &trunk.document)))
}

fn schemas() -> Vec<(&'static str, Value)> {
    const COUNT: Kind = Kind::Whole(0, i64::MAX);
    const FIELDS: &[Field] = &[
        Field::must("name", Kind::Text(1, 255), "its name"),
        Field::must("calls", COUNT, "calls there are, in both directions"),
        Field::must("max_calls", COUNT, "how many there may be; 0 is no limit"),
        Field::must("sent", COUNT, "calls that were sent to it since the start"),
        Field::must("received", COUNT, "calls that have come from it"),
        Field::must("passed_over", COUNT, "calls that went on to another host, or were given up"),
        Field::must("registration", Kind::OrNull(&Kind::Any), "our registration there, if there is to be one"),
        Field::must("hosts", Kind::List(&Kind::Any, 0, 1_000), "its hosts"),
    ];
    let list = json!({
        "type": "object", "required": ["trunks"], "additionalProperties": false,
        "properties": { "trunks": { "type": "array", "items": { "$ref": "#/components/schemas/Trunk" } } },
    });
    vec![("Trunk", object_schema(FIELDS)), ("Trunks", list)]
}
