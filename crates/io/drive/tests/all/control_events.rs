//! The log of events on the control listener: for those who may read, and for the audit log, which notes how commands end.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, config, read_response, tcp, web};
use hookswitch_call::{CallId, Cause, Failure, Stage};
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::journal::Entry;
use hookswitch_drive::{AUDIT_FILE, ControlConfig, JournalConfig, JournalThread, Switch, SwitchConfig, Token};

const SECRET: &str = "5FtzB7xM2qLr-9wK";
const BLIND: &str = "blind-0123456789";

fn now() -> Duration {
    std::time::UNIX_EPOCH.elapsed().unwrap()
}

fn command(name: &str, result: Result<(), Failure>) -> Entry {
    Entry::Command { at: now(), command: name.into(), kind: "hold", call: Some(CallId(42)), result }
}

fn with(journal: &JournalThread, change: impl FnOnce(&mut ControlConfig)) -> SwitchConfig {
    let mut config = config(22_000);
    let mut control = ControlConfig::new(web("127.0.0.1:0"));
    change(&mut control);
    config.control = Some(control);
    config.journal = Some(journal.handle());
    config
}

fn get(stream: &mut TcpStream, path: &str, secret: &str) -> crate::harness::HttpResponse {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_response(stream)
}

#[test]
fn events_are_for_those_who_may_read_and_what_describes_them_for_everybody() {
    let journal = JournalThread::start(&JournalConfig::new(None)).unwrap();
    let grant = |name: &str, scope| Arc::new(Grant { name: name.into(), scopes: vec![scope], ..Grant::everything() });
    let config = with(&journal, |control| {
        control.tokens = vec![
            Token::of_secret(SECRET, grant("desk", Scope::Read)).unwrap(),
            Token::of_secret(BLIND, grant("blind", Scope::Control)).unwrap(),
        ];
    });
    let switch = Switch::start(config).unwrap();
    journal.handle().push(command("cmd_000000000007", Ok(())));
    let mut stream = tcp(switch.addresses().control[0]);
    assert_eq!(get(&mut stream, "/v1/events", BLIND).status(), 403);
    assert_eq!(get(&mut stream, "/v1/events", "nobody-0123456789").status(), 401);
    let start = Instant::now();
    while !get(&mut stream, "/v1/events?type=command.ended", SECRET).body.contains("cmd_000000000007") {
        assert!(start.elapsed() < PATIENCE, "the event is not told");
    }
    for path in ["/v1/asyncapi.json", "/v1/schemas/call.answered.json"] {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(read_response(&mut stream).status(), 200, "{path}");
    }
    // A stream goes on for as long as it is read.
    let mut stream = tcp(switch.addresses().control[0]);
    let ask = format!(
        "GET /v1/events?type=command.ended HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let (mut heard, mut piece) = (String::new(), [0; 4_096]);
    for expected in ["retry: ", "cmd_000000000008"] {
        while !heard.contains(expected) {
            let len = stream.read(&mut piece).unwrap();
            assert!(len > 0, "{heard}");
            heard += &String::from_utf8_lossy(&piece[..len]);
        }
        journal.handle().push(command("cmd_000000000008", Ok(())));
    }
}

#[test]
fn the_audit_log_notes_how_commands_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(AUDIT_FILE);
    let journal = JournalThread::start(&JournalConfig::new(None)).unwrap();
    let switch = Switch::start(with(&journal, |control| control.audit = Some(file.clone()))).unwrap();
    let failed = Failure::new(Stage::Hold, Cause::hangup());
    let start = Instant::now();
    let lines = loop {
        // Its follower may not be there yet when the first one is told.
        journal.handle().push(command("cmd_000000000007", Ok(())));
        journal.handle().push(command("cmd_000000000008", Err(failed.clone())));
        let text = fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<serde_json::Value> =
            text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect();
        if lines.len() >= 2 {
            break lines;
        }
        assert!(start.elapsed() < PATIENCE, "{text}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let line = |command: &str| lines.iter().find(|line| line["command"] == command).unwrap();
    let (done, failed) = (line("cmd_000000000007"), line("cmd_000000000008"));
    assert_eq!(
        (&done["event"], &done["outcome"], &done["call"]),
        (&"end".into(), &"done".into(), &"call_00000000002a".into())
    );
    assert_eq!((&failed["outcome"], &failed["cause"]), (&"failed".into(), &"hangup".into()));
    assert!(switch.stop());
}
