//! The OpenAPI document, made from the table of routes.

use serde_json::{Map, Value, json};

use super::problem::{CODES, Code, PROBLEM_TYPE};
use super::route::{AUDIO, Answer, EVENT_STREAM, Method, OF_LISTENER, RESOURCES, ROUTES, Route};
use super::shape::{Field, Kind, object_schema};
use super::{JSON, MAX_KEY, recordings};
use crate::access::Scope;

/// What every request may be answered, whatever it asks for.
const ALWAYS: &[Code] = &[
    Code::MalformedRequest,
    Code::Unauthorized,
    Code::Forbidden,
    Code::OriginNotAllowed,
    Code::WrongHost,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::RequestTimeout,
    Code::BodyTooLarge,
    Code::UriTooLong,
    Code::UnknownParameter,
    Code::InvalidParameter,
    Code::RateLimited,
    Code::HeadersTooLarge,
    Code::Unavailable,
];

/// What else every command may be answered.
const OF_COMMANDS: &[Code] =
    &[Code::InvalidKey, Code::KeyReused, Code::TooManyKeys, Code::TooManyCommands, Code::NotStored];

/// What else a request with a body may be answered.
const OF_BODIES: &[Code] =
    &[Code::MalformedBody, Code::UnsupportedMediaType, Code::MissingField, Code::UnknownField, Code::InvalidField];

/// What else a request without one may be answered that has one.
const OF_NO_BODIES: &[Code] = &[Code::MalformedBody, Code::UnknownField];

/// The header fields of answers, and what they say.
const HEADERS: &[(&str, &str)] = &[
    ("Allow", "the methods that the resource has"),
    ("Content-Range", "which part of the file this is, or how long the file is"),
    ("ETag", "the version of this, for `If-Match`, `If-None-Match` and `If-Range`"),
    ("Idempotency-Replayed", "`true` where this is the answer of before, to the same request with the same key"),
    ("Location", "the path of what this has made"),
    ("RateLimit", "how many requests a token with a limit has left, and in how many seconds it has all again"),
    ("RateLimit-Policy", "how many requests a token with a limit has in how many seconds"),
    ("Retry-After", "after how many seconds it may be tried again"),
    ("WWW-Authenticate", "how to prove who asks"),
];

/// Those of every answer to a token that has a limit.
const RATE: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

/// The OpenAPI 3.1 document of everything in [`ROUTES`](super::ROUTES), as JSON.
#[must_use]
pub fn openapi() -> String {
    // Text and numbers always can be written.
    serde_json::to_string_pretty(&document()).unwrap_or_default()
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES.iter() {
        let item = paths.entry(route.path).or_insert_with(|| json!({ "parameters": path_parameters(route.path) }));
        item[route.method.name().to_lowercase()] = operation(route);
    }
    let mut schemas = Map::new();
    schemas.insert("Problem".into(), problem());
    for resource in RESOURCES.iter().chain(OF_LISTENER) {
        schemas.extend((resource.schemas)().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    }
    let fields: Map<String, Value> = HEADERS.iter().map(|(name, about)| header(name, about)).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hookswitch", "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "Calls, registrations and the directory of a voice switch. A command is answered at once and ends \
                with the event `command.ended`.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "certificate": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": fields,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "certificate": {
                    "type": "mutualTLS",
                    "description": "a certificate of the client, where the switch is configured to ask for one",
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route.query.iter().map(|field| parameter("query", field)).collect();
    if is_remembered(route) {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": { "type": "string", "pattern": format!("^[!-~]{{1,{MAX_KEY}}}$") },
            "description": "the same key and the same request again get the same answer again, for 24 hours",
        }));
    }
    if route.problems.contains(&Code::PreconditionFailed) {
        parameters.push(condition("If-Match", "only if the version is this one; `*` is any"));
        parameters.push(condition("If-None-Match", "`*`: only if there is nothing yet"));
    } else if route.answers.iter().any(|answer| answer.status == 304) {
        parameters.push(condition("If-None-Match", "versions that the sender has: then the answer is 304"));
    }
    if route.answers.iter().any(|answer| answer.status == 206) {
        parameters
            .push(condition("Range", "the part that is wanted, such as `bytes=0-1023`; of several the whole is sent"));
        parameters
            .push(condition("If-Range", "the version that the part is to be of; of another one the whole is sent"));
    }
    let scope = format!("{:?}", route.scope).to_lowercase();
    let mut operation = json!({
        "operationId": route.name, "tags": [route.tag], "summary": route.about, "parameters": parameters,
        "responses": responses(route), "x-scope": scope, "description": scope_text(route.scope),
    });
    if let Some(fields) = route.body {
        operation["requestBody"] = json!({
            "required": fields.iter().any(|field| field.required),
            "content": { JSON: { "schema": object_schema(fields) } },
        });
    }
    operation
}

/// Whether the desk carries it out and it may change something.
fn is_command(route: &Route) -> bool {
    let is_desk = RESOURCES.iter().any(|resource| resource.routes.iter().any(|one| one.name == route.name));
    is_desk && route.method != Method::Get
}

/// Whether its answers are remembered under keys. Only the desk does so.
fn is_remembered(route: &Route) -> bool {
    is_command(route) && route.name != recordings::DELETE
}

const fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "Needs the scope `read`.",
        Scope::Control => "Needs the scope `control`.",
        Scope::Admin => "Needs the scope `admin`.",
    }
}

fn condition(name: &str, about: &str) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": about, "schema": { "type": "string" } })
}

fn parameter(place: &str, field: &Field) -> Value {
    json!({
        "name": field.name, "in": place, "required": field.required, "description": field.about,
        "schema": field.kind.schema(),
    })
}

/// The parameters of a path: each names something that there is, or there is nothing.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let named = |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } });
    names.map(named).collect()
}

fn header(name: &str, about: &str) -> (String, Value) {
    (name.to_owned(), json!({ "description": about, "schema": { "type": "string" } }))
}

/// References to the header fields with these names.
fn headers<'n>(names: impl IntoIterator<Item = &'n str>) -> Value {
    let reference = |name: &str| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    Value::Object(names.into_iter().map(reference).collect())
}

/// The header fields of an answer when all is well.
fn of_answer(route: &Route, answer: &Answer) -> Vec<&'static str> {
    let is_made = answer.schema == Some("StartedCall") || answer.status == 202 && answer.schema == Some("Command");
    let has_version = answer.status == 304 || matches!(answer.schema, Some("Domain" | "User" | AUDIO));
    let fields = [
        ("Location", is_made),
        ("ETag", has_version),
        ("Content-Range", answer.status == 206),
        ("Idempotency-Replayed", is_remembered(route)),
    ];
    RATE.into_iter().chain(there(fields)).collect()
}

/// The header fields of a problem with this status.
fn of_problem(route: &Route, status: u16) -> Vec<&'static str> {
    let is_early = status == 409 && route.problems.contains(&Code::StillRecording);
    let fields = [
        ("WWW-Authenticate", status == 401),
        ("Allow", status == 405),
        ("Content-Range", status == 416),
        ("Retry-After", matches!(status, 429 | 503) || is_early),
    ];
    // Of whom nobody knows who it is, no limit is known.
    RATE.into_iter().filter(|_| status != 401).chain(there(fields)).collect()
}

/// Those fields that are there.
fn there(fields: [(&'static str, bool); 4]) -> impl Iterator<Item = &'static str> {
    fields.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name)
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for answer in route.answers {
        let begun = || json!({ "headers": headers(of_answer(route, answer)) });
        let response = responses.entry(answer.status.to_string()).or_insert_with(begun);
        let before = response["description"].as_str().map(|before| format!("{before} ")).unwrap_or_default();
        response["description"] = format!("{before}{}", answer.about).into();
        match answer.schema {
            // Bytes and streams have no schema.
            Some(kind @ (AUDIO | EVENT_STREAM)) => response["content"][kind] = json!({}),
            Some(schema) => {
                response["content"][JSON] = json!({ "schema": { "$ref": format!("#/components/schemas/{schema}") } });
            }
            None => {}
        }
    }
    let of_commands = if is_command(route) { OF_COMMANDS } else { &[] };
    let of_bodies = if route.body.is_some() { OF_BODIES } else { OF_NO_BODIES };
    let codes: Vec<&Code> = [ALWAYS, of_commands, of_bodies, route.problems].into_iter().flatten().collect();
    for row in CODES.iter().filter(|row| codes.contains(&&row.code)) {
        let status = row.status.to_string();
        let text = format!("`{}`: {}.", row.name, row.title);
        match responses.get_mut(&status) {
            Some(response) => {
                let before = response["description"].as_str().unwrap_or_default();
                response["description"] = format!("{before} {text}").into();
            }
            None => {
                let schema = json!({ "$ref": "#/components/schemas/Problem" });
                let content = json!({ PROBLEM_TYPE: { "schema": schema } });
                let headers = headers(of_problem(route, row.status));
                responses.insert(status, json!({ "description": text, "content": content, "headers": headers }));
            }
        }
    }
    Value::Object(responses)
}

fn problem() -> Value {
    const FIELDS: &[Field] = &[
        Field::must("type", Kind::Text(1, 100), "`/problems/` and the code"),
        Field::must("title", Kind::Text(1, 200), "what the code means"),
        Field::must("status", Kind::Whole(400, 599), "the status of the answer"),
        Field::must("code", Kind::Text(1, 60), "what kind of problem it is; stable"),
        Field::must("detail", Kind::Text(0, 65_535), "what was wrong this time"),
        Field::may(
            "field",
            Kind::Text(0, 65_535),
            "where: a JSON pointer into the body, `?` and a parameter, or a header field",
        ),
        Field::may("expected", Kind::Text(0, 65_535), "what was expected there"),
        Field::may("oldest", Kind::Text(1, 20), "of events that are `gone`: the id of the oldest that there is"),
    ];
    let mut schema = object_schema(FIELDS);
    schema["properties"]["code"]["enum"] = CODES.iter().map(|row| row.name).collect();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reference_leads_to_a_schema_and_each_operation_says_what_may_go_wrong() {
        let document = document();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 10);
        for reference in references {
            let place = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(place).is_some_and(Value::is_object), "{reference}");
        }
        for route in ROUTES.iter() {
            let operation = &document["paths"][route.path][route.method.name().to_lowercase()];
            assert_eq!(operation["operationId"], route.name);
            for status in ["400", "401", "403", "404", "405", "413", "422", "429", "503"] {
                assert!(operation["responses"][status].is_object(), "{} {status}", route.name);
            }
            assert!(
                route.problems.iter().all(|code| operation["responses"][code.row().status.to_string()].is_object())
            );
        }
    }

    #[test]
    fn answers_of_all_types_and_their_header_fields_are_told() {
        let document = document();
        let events = &document["paths"]["/v1/events"]["get"]["responses"];
        assert!(events["101"]["content"].is_null());
        assert!(events["200"]["content"][JSON].is_object() && events["200"]["content"][EVENT_STREAM].is_object());
        let has = |path: &str, method: &str, status: &str, name: &str| {
            document["paths"][path][method]["responses"][status]["headers"][name].is_object()
        };
        let (calls, domain) = ("/v1/calls", "/v1/directory/{domain}");
        assert!(has(calls, "post", "201", "Location") && has(calls, "post", "201", "Idempotency-Replayed"));
        assert!(has("/v1/calls/{call}", "delete", "202", "Location") && !has("/v1/drain", "post", "202", "Location"));
        assert!(has(domain, "get", "200", "ETag") && has(domain, "get", "304", "ETag"));
        assert!(has(calls, "get", "429", "Retry-After") && has(calls, "get", "503", "Retry-After"));
        assert!(has(calls, "get", "405", "Allow") && has(calls, "get", "200", "RateLimit"));
        assert!(!has(calls, "get", "200", "Idempotency-Replayed") && !has(calls, "get", "401", "RateLimit"));
        assert!(has("/v1/recordings/{recording}/audio", "get", "409", "Retry-After"));
    }

    #[test]
    fn a_key_is_offered_where_it_is_remembered() {
        let document = document();
        let offers = |path: &str, method: &str| {
            let parameters = document["paths"][path][method]["parameters"].as_array().expect(path);
            parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key")
        };
        for (path, method) in
            [("/v1/calls", "post"), ("/v1/calls/{call}", "delete"), ("/v1/directory/{domain}", "patch")]
        {
            assert!(offers(path, method), "{method} {path}");
        }
        for (path, method) in [("/v1/recordings/{recording}", "delete"), ("/v1/reload", "post")] {
            assert!(!offers(path, method), "{method} {path}");
        }
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| collect(value, references));
            }
            Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
}
