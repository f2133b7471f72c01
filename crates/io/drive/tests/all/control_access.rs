//! Who may ask on the control listener, for what, how often and from which web page; and that it is noted.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crate::harness::{HttpResponse, config, read_response, tcp, web};
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_drive::{AUDIT_FILE, ControlConfig, MAX_TOKENS, StartError, Switch, SwitchConfig, Token, WebError};
use std::io::Write as _;

const SECRET: &str = "5FtzB7xM2qLr-9wK";
const OTHER: &str = "kiosk-0123456789";

fn grant(name: &str, scopes: &[Scope]) -> Arc<Grant> {
    Arc::new(Grant { name: name.into(), scopes: scopes.to_vec(), ..Grant::everything() })
}

fn token(secret: &str, grant: &Arc<Grant>) -> Token<Grant> {
    Token::of_secret(secret, Arc::clone(grant)).unwrap()
}

fn with(change: impl FnOnce(&mut ControlConfig)) -> SwitchConfig {
    let mut config = config(30_400);
    let mut control = ControlConfig::new(web("127.0.0.1:0"));
    change(&mut control);
    config.control = Some(control);
    config
}

fn with_tokens() -> SwitchConfig {
    with(|control| {
        let desk = grant("desk", &[Scope::Read, Scope::Control]);
        let kiosk = grant("kiosk", &[Scope::Control]);
        control.tokens = vec![token(SECRET, &desk), token(OTHER, &kiosk)];
    })
}

fn control(switch: &Switch) -> SocketAddr {
    switch.addresses().control[0]
}

fn ask(stream: &mut TcpStream, request: &str, headers: &[(&str, &str)]) -> HttpResponse {
    let mut text = format!("{request} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text += "Host: 127.0.0.1\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{text}Content-Length: 0\r\n\r\n").as_bytes()).unwrap();
    read_response(stream)
}

fn problem(response: &HttpResponse) -> String {
    assert!(response.head.contains("content-type: application/problem+json"), "{}", response.head);
    let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(body["status"], response.status());
    let code = body["code"].as_str().unwrap().to_owned();
    assert_eq!(body["type"], format!("/problems/{code}"));
    assert!(!body["detail"].as_str().unwrap().is_empty() && !body["title"].as_str().unwrap().is_empty());
    code
}

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

#[test]
fn whoever_asks_has_to_prove_who_it_is_where_there_are_grants() {
    let switch = Switch::start(with_tokens()).unwrap();
    let mut stream = tcp(control(&switch));
    let missing = ask(&mut stream, "GET /v1/nothing-is-here", &[]);
    assert_eq!((missing.status(), problem(&missing).as_str()), (401, "unauthorized"));
    assert!(missing.head.contains("www-authenticate: bearer realm=\"control\"\r\n"), "{}", missing.head);
    let wrong = ask(&mut stream, "GET /v1/nothing-is-here", &[("Authorization", &bearer("nobody-0123456789"))]);
    assert_eq!((wrong.status(), problem(&wrong).as_str()), (401, "unauthorized"));
    assert!(wrong.head.contains("error=\"invalid_token\""), "{}", wrong.head);
    // What is behind the gate says what is there.
    let right = ask(&mut stream, "GET /v1/nothing-is-here", &[("Authorization", &bearer(SECRET))]);
    assert_eq!((right.status(), problem(&right).as_str()), (404, "not_found"));
    let figures = ask(&mut stream, "GET /metrics", &[("Authorization", &bearer(SECRET))]);
    assert!(figures.body.contains("hookswitch_unauthorized_total{carrier=\"sip\"} 2\n"), "{}", figures.body);
}

#[test]
fn a_scope_allows_what_it_says_and_nothing_else() {
    let switch = Switch::start(with_tokens()).unwrap();
    let mut stream = tcp(control(&switch));
    let desk = bearer(SECRET);
    let kiosk = bearer(OTHER);
    // The kiosk may order and not look.
    let look = ask(&mut stream, "GET /v1/nothing-is-here", &[("Authorization", &kiosk)]);
    assert_eq!((look.status(), problem(&look).as_str()), (403, "forbidden"));
    assert!(look.body.contains("kiosk") && look.body.contains("scope read"), "{}", look.body);
    assert_eq!(ask(&mut stream, "POST /v1/nothing-is-here", &[("Authorization", &kiosk)]).status(), 404);
    assert_eq!(ask(&mut stream, "GET /metrics", &[("Authorization", &kiosk)]).status(), 403);
    assert_eq!(ask(&mut stream, "GET /metrics", &[("Authorization", &desk)]).status(), 200);
}

#[test]
fn who_sees_some_domains_neither_drains_the_switch_nor_has_its_file_read_again() {
    let narrow = Arc::new(Grant { domains: vec!["x.test".into()], ..Grant::everything() });
    let switch = Switch::start(with(|control| control.tokens = vec![token(SECRET, &narrow)])).unwrap();
    let mut stream = tcp(control(&switch));
    for request in ["POST /v1/drain", "POST /v1/reload"] {
        let refused = ask(&mut stream, request, &[("Authorization", &bearer(SECRET))]);
        assert_eq!((refused.status(), problem(&refused).as_str()), (403, "domain_not_allowed"), "{request}");
    }
    assert_eq!(ask(&mut stream, "GET /health/live", &[]).status(), 200);
    assert_eq!(ask(&mut stream, "GET /health", &[]).status(), 200);
}

#[test]
fn a_switch_that_an_application_has_drained_is_not_healthy_and_is_alive() {
    let switch = Switch::start(with(|_| {})).unwrap();
    let mut stream = tcp(control(&switch));
    assert_eq!(ask(&mut stream, "GET /health", &[]).status(), 200);
    assert_eq!(ask(&mut stream, "POST /v1/drain", &[]).status(), 202);
    let health = ask(&mut stream, "GET /health", &[]);
    assert_eq!(health.status(), 503);
    assert!(health.body.contains(r#""status":"draining""#), "{}", health.body);
    assert_eq!(ask(&mut stream, "GET /health/live", &[]).status(), 200);
}

#[test]
fn health_says_whether_all_is_well_to_strangers_and_more_to_those_who_may_read() {
    let switch = Switch::start(with_tokens()).unwrap();
    let mut stream = tcp(control(&switch));
    assert_eq!(ask(&mut stream, "GET /health", &[]).body, r#"{"status":"up"}"#);
    assert_eq!(ask(&mut stream, "GET /health", &[("Authorization", &bearer(OTHER))]).body, r#"{"status":"up"}"#);
    let whole = ask(&mut stream, "GET /health", &[("Authorization", &bearer(SECRET))]);
    assert!(whole.body.contains("\"carriers\""), "{}", whole.body);
    assert_eq!(ask(&mut stream, "GET /health/live", &[]).body, r#"{"status":"alive"}"#);
    // A token that nobody has is wrong everywhere.
    assert_eq!(ask(&mut stream, "GET /health", &[("Authorization", &bearer("nobody-0123456789"))]).status(), 401);
    let docs = ask(&mut stream, "GET /v1/docs", &[]);
    assert_eq!(docs.status(), 200);
    assert!(docs.head.contains("content-security-policy: default-src 'none'"), "{}", docs.head);
}

#[test]
fn a_page_that_is_asked_for_with_another_method_says_which_it_has() {
    let switch = Switch::start(with(|_| {})).unwrap();
    let mut stream = tcp(control(&switch));
    for path in ["/health", "/health/live", "/metrics", "/v1/docs", "/v1/openapi.json"] {
        let other = ask(&mut stream, &format!("POST {path}"), &[]);
        assert_eq!((other.status(), problem(&other).as_str()), (405, "method_not_allowed"), "{path}");
        assert!(other.head.contains("allow: get, head\r\n"), "{}", other.head);
        assert_eq!(ask(&mut stream, &format!("GET {path}"), &[]).status(), 200, "{path}");
    }
}

#[test]
fn without_grants_it_is_for_this_host_only() {
    let error = Switch::start(with(|control| control.listen = web("0.0.0.0:0"))).err().unwrap();
    assert!(matches!(error, StartError::Web(WebError::OpenToAll(_))), "{error:?}");
    assert!(error.to_string().contains("control.grants"), "{error}");
    let desk = grant("desk", &[Scope::Read]);
    let all = with(|control| {
        control.listen = web("0.0.0.0:0");
        control.tokens = vec![token(SECRET, &desk)];
    });
    assert!(Switch::start(all).is_ok());
    let many = with(|control| control.tokens = vec![token(SECRET, &desk); MAX_TOKENS + 1]);
    assert!(matches!(Switch::start(many), Err(StartError::Web(WebError::TooManyGrants))));
    let unchecked = with(|control| control.certificates = vec![("desk".into(), desk)]);
    assert!(matches!(Switch::start(unchecked), Err(StartError::Web(WebError::NoClientAuthority))));
}

#[test]
fn without_grants_a_name_of_somebody_elses_leads_nowhere() {
    let switch = Switch::start(with(|_| {})).unwrap();
    let mut stream = tcp(control(&switch));
    assert_eq!(ask(&mut stream, "POST /v1/nothing-is-here", &[]).status(), 404);
    // A page of evil.test, whose name leads to this host now, is of the same origin as far as its browser knows.
    let own = [("Host", "evil.test:9001"), ("Origin", "http://evil.test:9001")];
    let rebound = ask(&mut stream, "GET /v1/nothing-is-here", &own);
    assert_eq!((rebound.status(), problem(&rebound).as_str()), (421, "wrong_host"));
}

#[test]
fn pages_of_other_origins_ask_if_they_are_listed() {
    let switch = Switch::start(with(|control| control.origins = vec!["https://desk.example".into()])).unwrap();
    let mut stream = tcp(control(&switch));
    let desk = ("Origin", "https://desk.example");
    let preflight = ask(&mut stream, "OPTIONS /v1/calls", &[desk, ("Access-Control-Request-Method", "POST")]);
    assert_eq!(preflight.status(), 204);
    for field in [
        "access-control-allow-origin: https://desk.example\r\n",
        "access-control-allow-methods: get, head, post, put, patch, delete\r\n",
        "access-control-max-age: 600\r\n",
        "vary: origin\r\n",
    ] {
        assert!(preflight.head.contains(field), "{field} {}", preflight.head);
    }
    assert!(preflight.head.contains("idempotency-key"), "{}", preflight.head);
    let asked = ask(&mut stream, "POST /v1/nothing-is-here", &[desk]);
    assert_eq!(asked.status(), 404);
    assert!(asked.head.contains("access-control-allow-origin: https://desk.example\r\n"), "{}", asked.head);
    let exposed = "access-control-expose-headers: accept-ranges, content-range, etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, retry-after\r\n";
    assert!(asked.head.contains(exposed), "{}", asked.head);
    let other = ("Origin", "https://other.example");
    for request in ["OPTIONS /v1/calls", "POST /v1/nothing-is-here", "GET /health"] {
        let refused = ask(&mut stream, request, &[other, ("Access-Control-Request-Method", "POST")]);
        assert_eq!((refused.status(), problem(&refused).as_str()), (403, "origin_not_allowed"));
        assert!(!refused.head.contains("access-control-allow-origin"), "{}", refused.head);
    }
}

#[test]
fn a_grant_asks_as_often_as_it_may_and_is_told_how_often_that_is() {
    let config = with(|control| {
        let slow = Arc::new(Grant { rate: Some(1), ..(*grant("slow", &[Scope::Read])).clone() });
        control.tokens = vec![token(SECRET, &slow), token(OTHER, &grant("kiosk", &[Scope::Read]))];
    });
    let switch = Switch::start(config).unwrap();
    let mut stream = tcp(control(&switch));
    let slow = bearer(SECRET);
    let mut ask_slowly = || ask(&mut stream, "GET /metrics", &[("Authorization", &slow)]);
    let first = ask_slowly();
    assert_eq!(first.status(), 200);
    assert!(first.head.contains("ratelimit-policy: \"requests\";q=2;w=2\r\n"), "{}", first.head);
    assert!(first.head.contains("ratelimit: \"requests\";r=1;t=1\r\n"), "{}", first.head);
    let refused = (0..20).map(|_| ask_slowly()).find(|answer| answer.status() == 429).expect("never refused");
    assert_eq!(problem(&refused), "rate_limited");
    assert!(refused.head.contains("retry-after: 1\r\n") && refused.head.contains("r=0;"), "{}", refused.head);
    let unlimited = ask(&mut stream, "GET /metrics", &[("Authorization", &bearer(OTHER))]);
    assert!(unlimited.status() == 200 && !unlimited.head.contains("ratelimit"), "{}", unlimited.head);
}

#[test]
fn every_request_that_changes_something_is_noted_with_who_sent_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(AUDIT_FILE);
    let mut config = with_tokens();
    config.control.as_mut().unwrap().audit = Some(file.clone());
    let switch = Switch::start(config).unwrap();
    let mut stream = tcp(control(&switch));
    ask(&mut stream, "POST /v1/nothing-is-here?x=1", &[("Authorization", &bearer(SECRET))]);
    ask(&mut stream, "GET /v1/nothing-is-here", &[("Authorization", &bearer(SECRET))]);
    ask(&mut stream, "DELETE /v1/nothing-is-here", &[]);
    fs::rename(&file, folder.path().join("old")).unwrap();
    switch.reload();
    ask(&mut stream, "DELETE /v1/nothing-is-here", &[("Authorization", &bearer(OTHER))]);
    assert!(switch.stop());
    let read = |name: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (old, new) = (read("old"), read(AUDIT_FILE));
    assert_eq!((old.len(), new.len()), (1, 1), "{old:?} {new:?}");
    assert_eq!(
        (&old[0]["who"], &old[0]["method"], &old[0]["address"]),
        (&"desk".into(), &"POST".into(), &"127.0.0.1".into())
    );
    assert_eq!((&old[0]["path"], &old[0]["status"]), (&"/v1/nothing-is-here".into(), &404.into()));
    assert_eq!((&old[0]["outcome"], &old[0]["cause"]), (&"refused".into(), &"not_found".into()));
    assert_eq!((&new[0]["who"], &new[0]["method"]), (&"kiosk".into(), &"DELETE".into()));
}
