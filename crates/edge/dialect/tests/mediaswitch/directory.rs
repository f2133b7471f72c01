//! What is pushed, and what is read of it.

use hookswitch_call::directory::DirectoryChange;

use crate::host::{Host, refusal};

const BLING: &str = "/dir/bling.example.test";
const BODY: &str = r#"{"control":"http://127.0.0.1:9001","users":[{"username":"1003","secret":"secret-1"}]}"#;

#[test]
fn a_domain_is_put_and_replaced() {
    let mut host = Host::new();
    let response = host.ask("PUT", BLING, BODY);
    assert_eq!((response.status, response.body.as_str()), (201, ""));
    assert_eq!(host.get(BLING), (200, r#"{"users":["1003"],"control":"http://127.0.0.1:9001"}"#.to_owned()));
    assert_eq!(host.secret("bling.example.test", "1003"), Some("secret-1"));

    let other = r#"{"control":"","users":[{"username":"1004","secret":"secret-2"}]}"#;
    assert_eq!(host.ask("PUT", BLING, other).status, 201);
    assert_eq!(host.get(BLING).1, r#"{"users":["1004"]}"#);
}

#[test]
fn a_domain_is_patched() {
    let mut host = Host::new();
    assert_eq!(refusal(&host.ask("PATCH", BLING, BODY)).0, 404);
    host.ask("PUT", BLING, BODY);
    let more = r#"{"users":[{"username":"1003","secret":"secret-2"},{"username":"1004","secret":"secret-3"}]}"#;
    let response = host.ask("PATCH", BLING, more);
    assert_eq!((response.status, response.body.as_str()), (200, ""));
    assert_eq!(host.get(BLING).1, r#"{"users":["1003","1004"],"control":"http://127.0.0.1:9001"}"#);
    assert_eq!(host.secret("bling.example.test", "1003"), Some("secret-2"));
    assert_eq!(host.ask("PATCH", BLING, r#"{"control":"https://b.test/x"}"#).status, 200);
    assert_eq!(host.directory.control("bling.example.test"), Some("https://b.test/x"));
    assert_eq!(host.ask("PATCH", BLING, "{}").status, 200);
    assert_eq!(host.directory.control("bling.example.test"), Some("https://b.test/x"));
}

#[test]
fn a_control_server_is_taken_away_by_an_empty_text_and_by_null() {
    for none in [r#""""#, "null"] {
        let mut host = Host::new();
        host.ask("PUT", BLING, BODY);
        assert_eq!(host.ask("PATCH", BLING, &format!(r#"{{"control":{none}}}"#)).status, 200);
        assert_eq!(host.get(BLING).1, r#"{"users":["1003"]}"#, "{none}");
        let user = format!("{BLING}/1004");
        host.ask("PUT", BLING, BODY);
        assert_eq!(host.ask("PUT", &user, r#"{"secret":"secret-2"}"#).status, 200);
        assert_eq!(host.directory.control("bling.example.test"), Some("http://127.0.0.1:9001"), "a user says nothing");
        assert_eq!(host.ask("PUT", BLING, &format!(r#"{{"control":{none},"users":[]}}"#)).status, 201);
        assert_eq!(host.get(BLING).1, "{}", "{none}");
    }
}

/// As the list of members in the readme of the original has it; its examples have a URL.
#[test]
fn a_control_server_may_be_a_structure_of_host_and_port() {
    for (written, url) in [
        (r#"{"host":"127.0.0.1","port":9001}"#, "http://127.0.0.1:9001"),
        (r#"{"port":"9001","host":"control.test"}"#, "http://control.test:9001"),
        (r#"{"host":"[::1]","port":9001}"#, "http://[::1]:9001"),
        (r#"{"host":"control.test","port":null}"#, "http://control.test"),
    ] {
        let mut host = Host::new();
        assert_eq!(host.ask("PUT", BLING, &format!(r#"{{"control":{written},"users":[]}}"#)).status, 201, "{written}");
        assert_eq!(host.directory.control("bling.example.test"), Some(url));
        host.ask("PUT", BLING, r#"{"control":"","users":[]}"#);
        assert_eq!(host.ask("PATCH", BLING, &format!(r#"{{"control":{written}}}"#)).status, 200, "{written}");
        assert_eq!(host.directory.control("bling.example.test"), Some(url));
    }
}

/// PUT and PATCH of a user are the same: that user is replaced, the others stay.
#[test]
fn a_user_is_put_or_patched() {
    for method in ["PUT", "PATCH"] {
        let mut host = Host::new();
        let user = format!("{BLING}/1005");
        assert_eq!(refusal(&host.ask(method, &user, r#"{"secret":"secret-9"}"#)).0, 404);
        host.ask("PUT", BLING, BODY);
        let response = host.ask(method, &user, r#"{"secret":"secret-9"}"#);
        assert_eq!((response.status, response.body.as_str()), (200, ""));
        assert_eq!(host.secret("bling.example.test", "1005"), Some("secret-9"));
        assert_eq!(host.secret("bling.example.test", "1003"), Some("secret-1"));
        assert_eq!(refusal(&host.ask(method, &user, "{}")), (400, "secret is required".into(), "secret".into()));
    }
}

#[test]
fn entries_that_lack_something_are_passed_over() {
    let mut host = Host::new();
    let body = r#"{"control":"","more":1,"users":[{"username":"a"},{"secret":"s"},{},{"username":"b","secret":null},
        {"username":"c","secret":"secret-1"},{"username":"c","secret":"secret-2"}]}"#;
    assert_eq!(host.ask("PUT", BLING, body).status, 201);
    assert_eq!(host.get(BLING).1, r#"{"users":["c"]}"#);
    assert_eq!(host.secret("bling.example.test", "c"), Some("secret-2"));
}

#[test]
fn the_tree_of_domains_is_listed_level_by_level() {
    let mut host = Host::new();
    assert_eq!(host.get("/dir"), (200, "{}".to_owned()));
    host.ask("PUT", BLING, BODY);
    host.ask("PUT", "/dir/blong.example.test", BODY);
    host.ask("PUT", "/dir/other", BODY);
    assert_eq!(host.get("/dir").1, r#"{"domains":["other","test"]}"#);
    assert_eq!(host.get("/dir/").1, r#"{"domains":["other","test"]}"#);
    assert_eq!(host.get("/dir/test").1, r#"{"domains":["example"]}"#);
    assert_eq!(host.get("/dir/example.test/").1, r#"{"domains":["bling","blong"]}"#);
    assert_eq!(host.get("/dir/nothing.test").0, 404);
    assert_eq!(host.ask("HEAD", "/dir?x=y", "").status, 200);
}

#[test]
fn domains_and_users_are_removed() {
    let mut host = Host::new();
    host.ask("PUT", BLING, BODY);
    for _ in 0..2 {
        let response = host.ask("DELETE", &format!("{BLING}/1003"), "");
        assert_eq!((response.status, response.body.as_str()), (200, ""));
        assert_eq!(host.secret("bling.example.test", "1003"), None);
    }
    assert_eq!(host.ask("DELETE", BLING, "").status, 200);
    assert_eq!(host.get("/dir").1, "{}");
    assert_eq!(refusal(&host.ask("DELETE", BLING, "")).0, 400);
    assert_eq!(refusal(&host.ask("DELETE", &format!("{BLING}/1003"), "")).0, 404);
}

#[test]
fn what_the_configuration_file_says_cannot_be_deleted() {
    let mut host = Host::configured();
    for path in ["/dir/a.test", "/dir/a.test/alice"] {
        let (status, error, place) = refusal(&host.ask("DELETE", path, ""));
        assert_eq!((status, place.as_str()), (409, "path"));
        assert!(error.contains("configuration file"), "{error}");
    }
    assert_eq!(host.ask("PATCH", "/dir/a.test/alice", r#"{"secret":"secret-2"}"#).status, 200);
    assert_eq!(host.secret("a.test", "alice"), Some("secret-2"));
    assert_eq!(host.ask("DELETE", "/dir/a.test/alice", "").status, 200);
    assert_eq!(host.secret("a.test", "alice"), Some("configured-secret"));
}

#[test]
fn names_are_unescaped() {
    let mut host = Host::new();
    host.ask("PUT", "/dir/Bling%2Eexample.test", BODY);
    host.ask("PUT", &format!("{BLING}/%2B49%2F30"), r#"{"secret":"secret-1"}"#);
    assert_eq!(host.secret("bling.example.test", "+49/30"), Some("secret-1"));
    assert_eq!(host.get(BLING).1, r#"{"users":["+49/30","1003"],"control":"http://127.0.0.1:9001"}"#);
}

/// Every change is told to whoever stores it; a refused one is not.
#[test]
fn changes_are_told_once() {
    let mut host = Host::new();
    host.ask("PUT", BLING, BODY);
    host.ask("PUT", BLING, "nonsense");
    host.ask("PUT", &format!("{BLING}/1"), r#"{"secret":"secret-1"}"#);
    host.ask("DELETE", BLING, "");
    let mut kinds = Vec::new();
    while let Some(change) = host.directory.poll_change() {
        kinds.push(match change {
            DirectoryChange::Put(_, layer) => layer.users.len(),
            DirectoryChange::Removed(_) => 0,
        });
    }
    assert_eq!(kinds, [1, 2, 0]);
}

#[test]
fn users_bring_along_whom_to_call_instead() {
    let mut host = Host::new();
    let body = r#"{"control":"","users":[
        {"username":"1","secret":"s","forward":{"always":"sip:2@b.test","no_answer":null}},
        {"username":"2","secret":"s","forward":{"no_answer":"tel:+4930","no_answer_after":20}},
        {"username":"3","secret":"s","forward":null},{"username":"4","secret":"s"}]}"#;
    assert_eq!(host.ask("PUT", BLING, body).status, 201);
    let always = |host: &Host, user: &str| {
        let found = host.directory.forwards("bling.example.test", user);
        found.and_then(|forwarding| forwarding.always.as_ref()).map(ToString::to_string)
    };
    assert_eq!(always(&host, "1").as_deref(), Some("sip:2@b.test"));
    let second = host.directory.forwards("bling.example.test", "2").expect("named");
    assert_eq!(second.otherwise.no_answer_after, Some(std::time::Duration::from_secs(20)));
    for user in ["3", "4"] {
        assert_eq!(host.directory.forwards("bling.example.test", user), None);
    }
    let one = format!("{BLING}/1");
    assert_eq!(host.ask("PATCH", &one, r#"{"secret":"s","forward":{"always":"sip:9@b.test"}}"#).status, 200);
    assert_eq!(always(&host, "1").as_deref(), Some("sip:9@b.test"));
    assert_eq!(host.ask("PUT", &one, r#"{"secret":"s"}"#).status, 200);
    assert_eq!(always(&host, "1"), None);
}

#[test]
fn users_are_pushed_with_their_limits() {
    let mut host = Host::configured();
    let limits = |host: &Host, user: &str| {
        let limits = host.directory.limits("bling.example.test", user);
        (limits.contacts, limits.calls)
    };
    let body = r#"{"control":"","users":[{"username":"1","secret":"s","limits":{"calls":2}},
        {"username":"2","secret":"s","limits":{"contacts":0,"calls":null}},{"username":"3","secret":"s","limits":null}]}"#;
    assert_eq!(host.ask("PUT", "/dir/bling.example.test", body).status, 201);
    assert_eq!(["1", "2", "3"].map(|user| limits(&host, user)), [(None, Some(2)), (Some(0), None), (None, None)]);
    let one = "/dir/bling.example.test/1";
    assert_eq!(host.ask("PATCH", one, r#"{"secret":"s","limits":{"contacts":3}}"#).status, 200);
    assert_eq!(limits(&host, "1"), (Some(3), None));
    assert_eq!(host.ask("PATCH", one, r#"{"secret":"s"}"#).status, 200);
    assert_eq!(limits(&host, "1"), (None, None));
}

#[test]
fn users_are_pushed_with_whether_they_are_recorded() {
    let mut host = Host::configured();
    let recorded = |host: &Host, user: &str| host.directory.record("bling.example.test", user);
    let body = r#"{"control":"","users":[{"username":"1","secret":"s","record":"always"},
        {"username":"2","secret":"s","record":"never"},{"username":"3","secret":"s","record":null}]}"#;
    assert_eq!(host.ask("PUT", "/dir/bling.example.test", body).status, 201);
    assert_eq!(["1", "2", "3"].map(|user| recorded(&host, user)), [Some(true), Some(false), None]);
    let one = "/dir/bling.example.test/1";
    assert_eq!(host.ask("PATCH", one, r#"{"secret":"s","record":"never"}"#).status, 200);
    assert_eq!(recorded(&host, "1"), Some(false));
    assert_eq!(host.ask("PATCH", one, r#"{"secret":"s"}"#).status, 200);
    assert_eq!(recorded(&host, "1"), None);
    for wrong in ["true", "\"sometimes\"", "1", "{}"] {
        let body = format!(r#"{{"control":"","users":[{{"username":"1","secret":"s","record":{wrong}}}]}}"#);
        assert_eq!(host.ask("PUT", "/dir/bling.example.test", &body).status, 400, "{wrong}");
    }
}
