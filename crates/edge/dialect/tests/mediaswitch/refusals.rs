//! What is refused says what was wrong and where, changes nothing, and never repeats a body.

use proptest::prelude::*;

use crate::host::{Host, refusal};

#[test]
fn bodies() {
    let mut host = Host::configured();
    for (body, error, place) in [
        ("", "body must be a JSON object", "body"),
        ("[]", "body must be a JSON object", "body"),
        ("nonsense", "body must be a JSON object", "body"),
        (r#"{"control":"","#, "the body is not valid JSON", "body, line 1 column 14"),
        (r#"{"control":"","users":[]} x"#, "the body is not valid JSON", "body, line 1 column 27"),
        (r#"{"users":[],"users":[]}"#, "a member occurs twice", "body, line 1 column 19"),
        ("{}", "control is required", "control"),
        (r#"{"users":[]}"#, "control is required", "control"),
        (r#"{"control":"http://a"}"#, "users is required", "users"),
        (r#"{"control":5,"users":[]}"#, "control must be a string", "control"),
        (r#"{"control":"ftp://a","users":[]}"#, "control must be an http or https URL", "control"),
        (r#"{"control":"http://a\r\nb","users":[]}"#, "control must be an http or https URL", "control"),
        (r#"{"control":{"port":9001},"users":[]}"#, "control.host is required", "control.host"),
        (r#"{"control":{"host":1},"users":[]}"#, "control.host must be a string", "control.host"),
        (r#"{"control":{"host":"a/b"},"users":[]}"#, "control.host must be a host", "control.host"),
        (r#"{"control":{"host":""},"users":[]}"#, "control.host must be a host", "control.host"),
        (
            r#"{"control":{"host":"a","port":65536},"users":[]}"#,
            "control.port must be a number from 0 to 65535",
            "control.port",
        ),
        (
            r#"{"control":{"host":"a","port":true},"users":[]}"#,
            "control.port must be a number from 0 to 65535",
            "control.port",
        ),
        (r#"{"control":"","users":{}}"#, "users must be a list", "users"),
        (r#"{"control":"","users":["secret-1"]}"#, "users[0] must be an object", "users[0]"),
        (
            r#"{"control":"","users":[{},{"username":1,"secret":""}]}"#,
            "users[1].username must be a string",
            "users[1].username",
        ),
        (
            r#"{"control":"","users":[{"username":"1","secret":["secret-1"]}]}"#,
            "users[0].secret must be a string",
            "users[0].secret",
        ),
    ] {
        let response = host.ask("PUT", "/dir/b.test", body);
        assert_eq!(refusal(&response), (400, error.to_owned(), place.to_owned()), "{body}");
    }
    assert_eq!(refusal(&host.ask_bytes("PUT", "/dir/b.test", b"{\"\xff\"}")).2, "body, byte 2");
    assert_eq!(host.get("/dir/b.test").0, 404);
    assert_eq!(host.directory.poll_change(), None);
}

#[test]
fn names_and_secrets() {
    let mut host = Host::configured();
    let long = "x".repeat(256);
    let users = |name: &str, secret: &str| {
        let users = serde_json::json!([{"username": "good", "secret": ""}, {"username": name, "secret": secret}]);
        serde_json::json!({"control": "", "users": users}).to_string()
    };
    for (path, body, place) in [
        ("/dir/b.test", users("a b", ""), "users[1].username"),
        ("/dir/b.test", users("", ""), "users[1].username"),
        ("/dir/b.test", users("a\r\nb", ""), "users[1].username"),
        ("/dir/b.test", users(&long, ""), "users[1].username"),
        ("/dir/b.test", users("a", &long), "users[1].secret"),
        ("/dir/b%20c", users("a", ""), "path"),
        ("/dir/b%40c", users("a", ""), "path"),
        ("/dir/a.test/a%20b", r#"{"secret":""}"#.to_owned(), "path"),
        ("/dir/a.test/a", serde_json::json!({"secret": long}).to_string(), "secret"),
    ] {
        let (status, _, found) = refusal(&host.ask("PUT", path, &body));
        assert_eq!((status, found.as_str()), (400, place), "{path} {body}");
    }
    assert_eq!(host.directory.poll_change(), None);
}

#[test]
fn forwards() {
    let mut host = Host::configured();
    let shape = "an object of texts `always`, `busy`, `no_answer`, `unreachable` and a number `no_answer_after`";
    let address = "is not an address such as sip:NAME@HOST or tel:NUMBER";
    for (forward, error, place) in [
        ("\"sip:a@b\"", format!("forward must be {shape}"), "forward"),
        (r#"{"bussy":"sip:a@b"}"#, format!("forward must be {shape}"), "forward"),
        (r#"{"busy":"1002"}"#, format!("forward.busy of \"b\" {address}"), "forward.busy"),
        (
            r#"{"no_answer":"sip:a@b","no_answer_after":0}"#,
            "forward.no_answer_after of \"b\" must be from 1 to 3600 seconds".to_owned(),
            "forward.no_answer_after",
        ),
    ] {
        let one = host.ask("PUT", "/dir/a.test/b", &format!(r#"{{"secret":"s","forward":{forward}}}"#));
        assert_eq!(refusal(&one), (400, error, place.to_owned()), "{forward}");
        let users = format!(r#"{{"control":"","users":[{{}},{{"username":"b","secret":"s","forward":{forward}}}]}}"#);
        let listed = refusal(&host.ask("PUT", "/dir/a.test", &users));
        assert_eq!((listed.0, listed.2), (400, format!("users[1].{place}")), "{forward}");
    }
    assert_eq!(host.directory.poll_change(), None);
}

#[test]
fn paths() {
    let mut host = Host::configured();
    for (method, path, status) in [
        ("PUT", "/dir", 400),
        ("PATCH", "/dir/", 400),
        ("DELETE", "/dir", 400),
        ("DELETE", "/dir/a/b/c", 400),
        ("GET", "/dir/a.test/alice", 400),
        ("PUT", "/dir/a/b/c", 400),
        ("GET", "/reg/a/b/c", 400),
        ("GET", "/dir//a.test", 400),
        ("GET", "/dir/%zz", 400),
        ("GET", "/", 404),
        ("GET", "", 404),
        ("GET", "/directory", 404),
        ("PUT", "/channels", 404),
    ] {
        let (found, error, place) = refusal(&host.ask(method, path, ""));
        assert_eq!((found, place.as_str()), (status, "path"), "{method} {path}: {error}");
    }
}

#[test]
fn verbs() {
    let mut host = Host::configured();
    for (path, allow) in [("/dir", "GET, HEAD, PUT, PATCH, DELETE"), ("/reg/a.test", "GET, HEAD")] {
        for method in ["POST", "OPTIONS", "get", ""] {
            let response = host.ask(method, path, "");
            assert_eq!((response.status, response.allow), (405, Some(allow)));
            assert_eq!(refusal(&response).2, "method");
        }
    }
    assert_eq!(host.ask("DELETE", "/reg/a.test", "").status, 405);
    assert_eq!(host.ask("GET", "/dir", "").allow, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_do_harm(
        method in "GET|PUT|PATCH|DELETE|HEAD|POST",
        path in "(/dir|/reg)?(/[a-z.%0-9A-F ]{0,8}){0,4}",
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            r#"\{"(control|users|secret)":["\[{]?[a-z:/"{}\[\],]{0,40}\}"#.prop_map(String::into_bytes),
        ],
    ) {
        let mut host = Host::configured();
        let response = host.ask_bytes(&method, &path, &body);
        prop_assert!((200..600).contains(&response.status));
        prop_assert_ne!(response.status, 500);
        prop_assert_eq!(host.secret("a.test", "alice").is_some(), true);
    }
}
