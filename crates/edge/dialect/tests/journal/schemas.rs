//! Every event is as its schema says, and there is no type without an event.

use std::collections::BTreeSet;

use hookswitch_dialect::journal::{Entry, EventId, Journal, KINDS};
use serde_json::Value;

use crate::told::{AT, CALL, elsewhere, ended, incoming, of, told, within};

/// Whether a value is what a schema describes. Objects have no members that it does not name.
fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{value} is not {what}: {schema}"));
    if let Some(one_of) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        return if one_of.iter().any(|schema| fits(schema, value).is_ok()) { Ok(()) } else { wrong("any of these") };
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return wrong("one of these");
    }
    if let Some(only) = schema.get("const")
        && only != value
    {
        return wrong("this");
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    match &schema["type"] {
        Value::Null => {}
        Value::String(name) if is(name) => {}
        Value::Array(names) if names.iter().any(|name| is(name.as_str().unwrap())) => {}
        _ => return wrong("of this type"),
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return wrong(&format!("complete without {name}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => fits(schema, member)?,
            None => return wrong(&format!("to have {name}")),
        }
    }
    value.as_array().into_iter().flatten().try_for_each(|item| fits(&schema["items"], item))
}

#[test]
fn every_event_fits_its_schema_and_every_type_occurs() {
    let mut journal = Journal::new(EventId(1));
    journal.start(AT, vec![(hookswitch_call::CallId(1), Default::default())]);
    journal.missed(AT, 1);
    let within = within().into_iter().map(told);
    let webhook = Entry::Webhook { at: AT, call: CALL, webhook: "call.1".into() };
    for entry in [told(incoming()), webhook].into_iter().chain(within).chain([told(ended())]).chain(elsewhere()) {
        journal.take(entry);
    }
    journal.take(of(hookswitch_call::CallId(2), incoming()));
    let mut seen = BTreeSet::new();
    for event in journal.drain().events {
        let row = KINDS.iter().find(|row| row.name == event.kind).unwrap_or_else(|| panic!("no row: {}", event.kind));
        let document: Value = serde_json::from_str(&event.text).unwrap();
        if let Err(error) = fits((row.schema)().as_value(), &document["data"]) {
            panic!("{}: {error}", row.name);
        }
        seen.insert(row.name);
    }
    let missing: Vec<_> = KINDS.iter().map(|row| row.name).filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "no event of {missing:?}");
}

#[test]
fn a_schema_stands_alone_and_says_what_each_member_means() {
    for row in KINDS {
        let schema = (row.schema)().to_value();
        let text = schema.to_string();
        assert!(!text.contains("$ref") && !text.contains("$defs"), "{}: {text}", row.name);
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            // That of records is described as a whole.
            let described = member["description"].is_string() || row.name == "call.record";
            assert!(described, "{}: {name} is not described: {member}", row.name);
        }
    }
}

#[test]
fn the_page_has_every_type_and_no_other() {
    let page = include_str!("../../../../../docs/event-log.md");
    let (_, table) = page.split_once("\n## Types\n").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = KINDS.iter().map(|row| format!("| `{}` | {} |", row.name, row.about)).collect();
    assert_eq!(rows, expected);
}
