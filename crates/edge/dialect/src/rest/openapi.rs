//! The OpenAPI document, made from the table of routes.

use serde_json::{Map, Value, json};

use super::problem::{CODES, Code, PROBLEM_TYPE};
use super::route::{AUDIO, Method, OF_LISTENER, RESOURCES, ROUTES, Route};
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
    // Only the desk remembers keys.
    let is_desk = RESOURCES.iter().any(|resource| resource.routes.iter().any(|one| one.name == route.name));
    let is_command = is_desk && route.method != Method::Get;
    if is_command && route.name != recordings::DELETE {
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
        "responses": responses(route, is_command), "x-scope": scope, "description": scope_text(route.scope),
    });
    if let Some(fields) = route.body {
        operation["requestBody"] = json!({
            "required": fields.iter().any(|field| field.required),
            "content": { JSON: { "schema": object_schema(fields) } },
        });
    }
    operation
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

fn responses(route: &Route, is_command: bool) -> Value {
    let mut responses = Map::new();
    for answer in route.answers {
        let mut response = json!({ "description": answer.about });
        if answer.schema == Some(AUDIO) {
            // Bytes have no schema.
            response["content"] = json!({ AUDIO: {} });
        } else if let Some(schema) = answer.schema {
            response["content"] = json!({ JSON: { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
        }
        responses.insert(answer.status.to_string(), response);
    }
    let of_commands = if is_command { OF_COMMANDS } else { &[] };
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
                responses.insert(status, json!({ "description": text, "content": content }));
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
            let name = reference.strip_prefix("#/components/schemas/").expect("a schema");
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
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
