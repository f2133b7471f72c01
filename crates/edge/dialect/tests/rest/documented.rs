//! docs/dialects/rest.md lists what the program answers. `HOOKSWITCH_REST_TABLES=print` prints the tables.

use std::fmt::Write as _;

use hookswitch_dialect::rest::{CODES, ROUTES, openapi};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/dialects/rest.md");
    std::fs::read_to_string(path).expect("the page")
}

fn assert_holds(table: &str) {
    if std::env::var_os("HOOKSWITCH_REST_TABLES").is_some() {
        println!("{table}");
        return;
    }
    let page = page();
    for line in table.lines() {
        assert!(page.lines().any(|other| other == line), "the page lacks or has drifted from\n{line}");
    }
}

#[test]
fn each_operation_stands_in_the_page() {
    let mut table = String::new();
    for route in ROUTES.iter() {
        let scope = format!("{:?}", route.scope).to_lowercase();
        writeln!(table, "| `{} {}` | {scope} | {} |", route.method.name(), route.path, route.about).unwrap();
    }
    assert_holds(&table);
    let listed = page().lines().filter(|line| line.contains(" /v1/") && line.starts_with("| `")).count();
    assert_eq!(listed, ROUTES.iter().count(), "the page lists nothing else");
}

#[test]
fn each_code_stands_in_the_page() {
    let mut table = String::new();
    for row in CODES {
        writeln!(table, "| `{}` | {} | {} |", row.name, row.status, row.title).unwrap();
    }
    assert_holds(&table);
}

#[test]
fn the_openapi_document_is_json_and_names_each_operation() {
    let document: serde_json::Value = serde_json::from_str(&openapi()).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let schemes = document["components"]["securitySchemes"].as_object().expect("schemes");
    for way in document["security"].as_array().expect("ways to prove who one is") {
        assert!(way.as_object().expect("names").keys().all(|name| schemes.contains_key(name)), "{way}");
    }
    assert_eq!(schemes["certificate"]["type"], "mutualTLS");
    for route in ROUTES.iter() {
        let operation = &document["paths"][route.path][route.method.name().to_lowercase()];
        assert_eq!(operation["operationId"], route.name);
        assert_eq!(operation["requestBody"].is_object(), route.body.is_some(), "{}", route.name);
    }
}
