//! `/v1/health` and `/v1/drain`.

use serde_json::{Value, json};

use super::Response;
use super::desk::{Done, Turn};
use super::problem::{Code, Problem};
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, Kind, object_schema};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "switch";

const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/health",
        name: "getHealth",
        tag: TAG,
        about: "How the switch is.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "It answers, so it is alive.", schema: Some("Health") }],
        problems: &[],
        run: health,
    },
    Route {
        method: Method::Post,
        path: "/v1/drain",
        name: "drain",
        tag: TAG,
        about: "Takes no new calls from now on and takes registrations at trunks back; calls that there are go on. Only a restart undoes it.",
        scope: Scope::Admin,
        query: &[],
        body: Some(&[]),
        answers: &[Answer { status: 202, about: "It drains.", schema: Some("Health") }],
        problems: &[Code::DomainNotAllowed],
        run: drain,
    },
];

fn document(turn: &Turn<'_>) -> Value {
    let health = turn.switch.health();
    let status = if health.draining { "draining" } else { "ok" };
    let (commands, keys) = turn.desk.counts();
    json!({
        "status": status, "calls": health.calls, "registrations": health.registrations, "commands": commands,
        "idempotency_keys": keys,
    })
}

fn health(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    Ok(Done::Now(Response::json(200, &document(turn))))
}

fn drain(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    if !turn.request.grant.domains.is_empty() {
        return Err(Problem::new(Code::DomainNotAllowed, "the switch is drained only by those who see all domains"));
    }
    turn.switch.drain();
    Ok(Done::Now(Response::json(202, &document(turn))))
}

const COUNT: Kind = Kind::Whole(0, i64::MAX);

fn schemas() -> Vec<(&'static str, Value)> {
    let fields = const {
        &[
            Field::must("status", Kind::OneOf(&["ok", "draining"]), "whether it takes new calls"),
            Field::must("calls", COUNT, "calls, ending ones included"),
            Field::must("registrations", COUNT, "registered contacts"),
            Field::must("commands", COUNT, "commands that run"),
            Field::must("idempotency_keys", COUNT, "keys that are remembered"),
        ]
    };
    vec![("Health", object_schema(fields))]
}
