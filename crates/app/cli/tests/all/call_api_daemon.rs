//! `call-api` as a process, with `call-api-client` and a simulated OpenSIPS: what the seeds promise, signals, TLS and
//! tokens.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::call_api_harness::{Place, Ran, Running, opensips, sip, yml};

/// A daemon that listens, and its port.
fn daemon(place: &Place) -> (Running, u16) {
    let mut daemon = place.start("call-api", &["-config", "a.yml"]);
    let line = daemon.until("Listening for JSON-RPC over WebSocket on ");
    let (_, address) = line.split_once(" on ").unwrap();
    let port = address.split(['/', ' ']).next().unwrap().rsplit(':').next().unwrap();
    let port = port.parse().unwrap();
    (daemon, port)
}

fn client(port: u16, arguments: &[&str]) -> Ran {
    let place = Place::new()
        .with("call-api.yml", &format!("ws_server: {{ host: 127.0.0.1, port: {port} }}\nlog: {{ pii: true }}"));
    let all: Vec<&str> = ["-config", "call-api.yml"].iter().chain(arguments).copied().collect();
    place.run("call-api-client", &all)
}

fn parties(caller: &str, callee: &str) -> String {
    format!(r#"{{"caller": "{}", "callee": "{}"}}"#, sip(caller), sip(callee))
}

#[test]
fn a_call_is_started_as_the_readme_shows() {
    let opensips = opensips();
    let place = Place::new().with("a.yml", &yml(&opensips));
    let (mut daemon, port) = daemon(&place);
    let listening = daemon.seen.last().unwrap().clone();
    assert_eq!(listening, format!("info Listening for JSON-RPC over WebSocket on 127.0.0.1:{port}/call-api ..."));
    let ran = client(port, &["-method", "CallStart", "-params", &parties("alice", "bob")]);
    assert_eq!(ran.status, 0, "{ran:#?}");
    for event in ["Started", "CallerAnswered", "Transferring", "TransferStart", "CalleeAnswered", "Ended"] {
        assert!(ran.stderr.contains(&format!("\\\"event\\\":\\\"{event}\\\"")), "{event}: {ran:#?}");
    }
    daemon.until(r#"recv: {"jsonrpc":"2.0","id":"","method":"CallStart""#);
    let busy = client(port, &["-method", "CallStart", "-params", &parties("alice", "erin")]);
    assert_eq!((busy.status, busy.of_level("fatal")), (1, vec!["transfer failed with status 486 Busy Here"]));
    let unknown = client(port, &["-method", "Nope"]);
    assert_eq!((unknown.status, unknown.of_level("fatal")), (1, vec!["unknown JSON-RPC method"]));
    let missing = client(port, &["-method", "CallEnd"]);
    assert_eq!((missing.status, missing.of_level("fatal")), (1, vec!["callid not specified"]));
}

#[test]
fn people_are_not_named_in_its_log_unless_that_is_wanted() {
    let opensips = opensips();
    let place = Place::new().with("a.yml", &yml(&opensips).replace("pii: true", "pii: false"));
    let (mut daemon, port) = daemon(&place);
    assert_eq!(client(port, &["-method", "CallStart", "-params", &parties("alice", "bob")]).status, 0);
    daemon.signal("TERM");
    daemon.until("draining");
    let ran = daemon.end();
    assert!(ran.log.iter().any(|line| line.contains("CallStart")), "the request is there: {ran:#?}");
    assert!(ran.log.iter().all(|line| !line.contains("alice") && !line.contains("bob@")), "{ran:#?}");
}

#[test]
fn the_first_signal_drains_and_the_second_stops() {
    let opensips = opensips();
    let place = Place::new().with("a.yml", &yml(&opensips));
    let (daemon_of_one, _) = daemon(&place);
    daemon_of_one.signal("TERM");
    let ran = daemon_of_one.end();
    assert_eq!((ran.status, ran.log.last().unwrap().as_str()), (0, "info stopped"), "idle, it ends at once: {ran:#?}");

    let (mut busy, port) = daemon(&place);
    let url = format!("ws://127.0.0.1:{port}/call-api");
    let params = parties("ringo", "bob");
    let rings = Place::new().with("a.yml", "log: { pii: true }");
    let mut rings =
        rings.start("call-api-client", &["-config", "a.yml", "-url", &url, "-method", "CallStart", "-params", &params]);
    rings.until("Started");
    busy.signal("TERM");
    busy.until("draining: no new commands");
    busy.signal("TERM");
    busy.until("stopped by a second signal");
    assert_eq!(busy.end().status, 0);
    assert_eq!(rings.end().status, 1, "its command's end was not heard");
}

#[test]
fn a_drain_has_its_time() {
    let opensips = opensips();
    let place = Place::new().with("a.yml", &format!("{}timeouts: {{ drain: 300ms }}\n", yml(&opensips)));
    let (mut daemon, port) = daemon(&place);
    let url = format!("ws://127.0.0.1:{port}/call-api");
    let rings = Place::new().with("a.yml", "");
    let params = parties("ringo", "bob");
    let mut rings =
        rings.start("call-api-client", &["-config", "a.yml", "-url", &url, "-method", "CallStart", "-params", &params]);
    rings.until("Started");
    daemon.signal("INT");
    daemon.until("commands are left after timeouts.drain");
    assert_eq!(daemon.end().status, 0);
}

#[test]
fn a_hang_up_reopens_the_log() {
    let opensips = opensips();
    let config = yml(&opensips).replace("log:\n", "log:\n  file_path: a.log\n").replace("port: 0", "port: 0 # any");
    let place = Place::new().with("a.yml", &config);
    let daemon = place.start("call-api", &["-config", "a.yml"]);
    let wait_for = |name: &str, text: &str| {
        let begun = std::time::Instant::now();
        while !std::fs::read_to_string(place.path(name)).is_ok_and(|lines| lines.contains(text)) {
            assert!(begun.elapsed() < crate::call_api_harness::PATIENCE, "no {text:?} in {name}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    wait_for("a.log", "Listening for");
    std::fs::rename(place.path("a.log"), place.path("a.log.1")).unwrap();
    daemon.signal("HUP");
    wait_for("a.log", "SIGHUP: log file reopened");
    daemon.signal("TERM");
    assert_eq!(daemon.end().status, 0);
    wait_for("a.log", "msg=stopped");
}

#[test]
fn tls_and_tokens_from_one_end_to_the_other() {
    let opensips = opensips();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let config = yml(&opensips).replace(
        "  port: 0\n",
        "  port: 0\n  tls: { certificate: cert.pem, key: key.pem }\n  auth:\n    tokens:\n      - name: desk\n        \
         secret: 0123456789abcdef\n        commands: [ Echo ]\n",
    );
    let place = Place::new()
        .with("a.yml", &config)
        .with("cert.pem", &made.cert.pem())
        .with("key.pem", &made.signing_key.serialize_pem());
    let (_daemon, port) = daemon(&place);
    let url = format!("wss://localhost:{port}/call-api");
    let run = |place: &Place, more: &[&str]| {
        let all: Vec<&str> =
            ["-config", "b.yml", "-url", &url, "-method", "Echo"].iter().chain(more).copied().collect();
        place.run("call-api-client", &all)
    };
    let place = place.with("b.yml", "client: { ca: cert.pem }");
    let ran = run(&place, &["-token", "0123456789abcdef"]);
    assert_eq!(ran.status, 0, "{ran:#?}");
    assert_eq!(run(&place, &[]).of_level("fatal"), ["dial:websocket: bad handshake (401 Unauthorized)"]);
    let other = run(&place, &["-token", "0123456789abcdef", "-method", "CallEnd", "-params", "{\"callid\":\"x\"}"]);
    assert_eq!(other.status, 1, "its token allows Echo only: {other:#?}");
    let place = place.env("CALL_API_TOKEN", "0123456789abcdef");
    assert_eq!(run(&place, &["-strict"]).status, 0);
    let untrusting = Place::new().with("b.yml", "").env("CALL_API_TOKEN", "0123456789abcdef");
    let ran = run(&untrusting, &[]);
    assert!(ran.status == 1 && ran.of_level("fatal")[0].starts_with("dial:tls: "), "{ran:#?}");
}

#[test]
fn health_is_shown_where_http_listens() {
    let opensips = opensips();
    let place = Place::new().with("a.yml", &format!("{}http: {{ listen: '127.0.0.1:0' }}\n", yml(&opensips)));
    let mut daemon = place.start("call-api", &["-config", "a.yml"]);
    let line = daemon.until("status pages: http://");
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let begun = std::time::Instant::now();
    loop {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        // At first nobody knows yet.
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(begun.elapsed() < crate::call_api_harness::PATIENCE, "{answer}");
    }
}
