//! `/v1/reload`: the configuration file is read again, by the program and not by the switch.

use serde_json::{Value, json};

use super::Response;
use super::problem::Code;
use super::route::{Answer, Method, Resource, Route, by_listener};
use super::shape::{Field, Kind, object_schema};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const ROUTES: &[Route] = &[Route {
    method: Method::Post,
    path: "/v1/reload",
    name: "reload",
    tag: "switch",
    about: "Reads the configuration file again. What can change while calls go on takes effect; what cannot is named. A file that cannot be used changes nothing.",
    scope: Scope::Admin,
    query: &[],
    body: Some(&[]),
    answers: &[Answer { status: 200, about: "It was read.", schema: Some("Reload") }],
    problems: &[Code::DomainNotAllowed, Code::BadConfiguration],
    run: by_listener,
}];

/// The answer when the file was read: its path, the keys whose new values are in effect, and those that need a restart.
#[must_use]
pub fn reload_answer(file: Option<&str>, applied: &[String], needs_restart: &[String]) -> Response {
    Response::json(200, &json!({ "file": file, "applied": applied, "needs_restart": needs_restart }))
}

fn schemas() -> Vec<(&'static str, Value)> {
    const KEYS: Kind = Kind::List(&Kind::Text(1, 200), 0, 1_000);
    const FIELDS: &[Field] = &[
        Field::must("file", Kind::OrNull(&Kind::Text(1, 65_535)), "the file; null where the defaults serve"),
        Field::must("applied", KEYS, "keys whose new values are in effect"),
        Field::must("needs_restart", KEYS, "keys whose new values will be in effect after a restart"),
    ];
    vec![("Reload", object_schema(FIELDS))]
}
