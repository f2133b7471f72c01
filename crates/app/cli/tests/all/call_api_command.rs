//! `call-cmd` with an OpenSIPS and without one: one command, its lines, its exit status.

use std::time::{Duration, Instant};

use crate::call_api_harness::{Place, Ran, mi, opensips, sip, yml};
use hookswitch_drive::opensips::simulator::Simulator;
use serde_json::Value;

/// Runs a command with its own `cmd_id`.
fn cmd(opensips: &Simulator, words: &[&str]) -> Ran {
    let words: Vec<&str> = ["-config", "a.yml"].into_iter().chain(words.iter().copied()).collect();
    Place::new().with("a.yml", &yml(opensips)).run("call-cmd", &words)
}

fn call_start(caller: &str, callee: &str) -> [String; 4] {
    ["CallStart".into(), format!("caller={}", sip(caller)), format!("callee={}", sip(callee)), "cmd_id=c1".into()]
}

fn start(opensips: &Simulator, caller: &str, callee: &str) -> Ran {
    let words = call_start(caller, callee);
    cmd(opensips, &words.each_ref().map(String::as_str))
}

/// The Call-ID of the call that a successful CallStart made.
fn call(opensips: &Simulator) -> String {
    let ran = start(opensips, "alice", "bob");
    let line = ran.log.iter().find(|line| line.contains("CalleeAnswered")).unwrap_or_else(|| panic!("{ran:#?}"));
    let (_, rest) = line.split_once("callid:").unwrap();
    rest.trim_end_matches(']').split(' ').next().unwrap().to_owned()
}

#[test]
fn a_call_start_prints_its_events_as_the_original_and_succeeds() {
    let opensips = opensips();
    let ran = start(&opensips, "alice", "bob");
    assert_eq!(ran.status, 0, "{ran:#?}");
    let events = ran.of_level("info");
    assert_eq!(events.len(), ran.log.len(), "nothing but events: {ran:#?}");
    let (alice, bob) = (sip("alice"), sip("bob"));
    assert_eq!(events[0], format!("CallStart:c1: CallerAnswered: map[callee:{bob} caller:{alice}]"));
    assert_eq!(events[1], format!("CallStart:c1: Transferring: map[caller:{alice} destination:{bob}]"));
    assert!(events[2].starts_with(&format!("CallStart:c1: TransferStart: map[callee:{bob} caller:{alice} callid:")));
    assert!(events.last().unwrap().starts_with(&format!("CallStart:c1: CalleeAnswered: map[callee:{bob}")));
    assert!(!ran.stderr.contains("Started") && !ran.stderr.contains("Ended") && ran.stdout.is_empty(), "{ran:#?}");
}

#[test]
fn who_calls_whom_is_hidden_unless_log_pii_says_otherwise() {
    let opensips = opensips();
    let place = Place::new().with("a.yml", &yml(&opensips).replace("pii: true", "pii: false"));
    let words = call_start("alice", "bob");
    let ran = place.run("call-cmd", &["-config", "a.yml", &words[0], &words[1], &words[2], &words[3]]);
    assert_eq!(ran.status, 0, "{ran:#?}");
    assert!(!ran.stderr.contains("alice") && !ran.stderr.contains("bob"), "{ran:#?}");
    assert!(ran.stderr.contains("CallStart:c1: CallerAnswered: map[callee:[hidden] caller:[hidden]]"), "{ran:#?}");
}

#[test]
fn the_originals_file_is_taken_unchanged() {
    // What that file says, comments and empty section included; only OpenSIPS is elsewhere here.
    let file = "# properties for the MI\nmi:\n  url: 127.0.0.1:8080\n\nsip:\n  # proxy\n  #uri: sip:127.0.0.1\n\nlog:\n  \
                #file_path: /var/log/call-cmd.log\n  level: DEBUG\n";
    let opensips = opensips();
    let place = Place::new().with("config/call-cmd.yml", file).env("CALL_API_MI", mi(&opensips));
    let words = call_start("alice", "bob");
    let ran = place.run("call-cmd", &words.each_ref().map(String::as_str));
    assert_eq!((ran.status, ran.of_level("debug")[0]), (0, "Running command CallStart"), "{ran:#?}");
}

#[test]
fn a_command_that_fails_is_a_fatal_line_and_status_1() {
    let opensips = opensips();
    for (words, expected) in [
        (&["CallEnd", "callid=nobody-knows"][..], "404 Requested Dialog not found"),
        (&["CallHold", "callid=nobody-knows"], "404 Dialog not found"),
        (&["CallEnd"], "callid not specified"),
        (
            &["CallStart", "caller=nonsense", "callee=sip:bob@127.0.0.1:5080"],
            r#"400 Invalid ruri" reason="caller must be one SIP, SIPS or tel URI without header fields"#,
        ),
    ] {
        let ran = cmd(&opensips, words);
        assert_eq!((ran.status, ran.of_level("fatal")), (1, vec![expected]), "{words:?}: {ran:#?}");
    }
    for (caller, callee, expected) in [
        ("erin", "bob", "failed to establish initial call: 486 Busy Here"),
        ("alice", "erin", "transfer failed with status 486 Busy Here"),
    ] {
        let ran = start(&opensips, caller, callee);
        assert_eq!((ran.status, ran.of_level("fatal")), (1, vec![expected]), "{ran:#?}");
    }
}

#[test]
fn without_opensips_it_ends_soon_and_fails() {
    let place = Place::new().with("a.yml", "mi: { url: '127.0.0.1:9' }");
    let begun = Instant::now();
    let ran = place.run("call-cmd", &["-config", "a.yml", "CallEnd", "callid=x"]);
    assert_eq!((ran.status, ran.of_level("fatal")), (1, vec!["503 OpenSIPS is not answering"]), "{ran:#?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let ran = place.run("call-cmd", &["-config", "a.yml", "Echo", "a=b=c", "bare"]);
    assert_eq!(ran.status, 0, "Echo needs nobody: {ran:#?}");
    assert!(ran.of_level("info").iter().any(|line| line.ends_with(": Reply: map[a:b=c bare:]")), "{ran:#?}");
}

#[test]
fn json_is_one_message_a_line_and_nothing_else_on_standard_output() {
    let opensips = opensips();
    let words = call_start("alice", "bob");
    let ran = cmd(&opensips, &["-json", &words[0], &words[1], &words[2], &words[3]]);
    assert_eq!(ran.status, 0, "{ran:#?}");
    let messages: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(messages[0]["result"]["event"], "Started");
    let events: Vec<&str> = messages[1..].iter().map(|message| message["params"]["event"].as_str().unwrap()).collect();
    assert_eq!((events.first(), events.last()), (Some(&"CallerAnswered"), Some(&"Ended")));
    assert!(!ran.stderr.contains("CallStart:"), "events are not said twice: {ran:#?}");
    let ran = cmd(&opensips, &["-json", "CallEnd", "callid=x"]);
    let last: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ran.status, last[1]["params"]["data"].as_str()), (1, Some("404 Requested Dialog not found")));
}

#[test]
fn whoever_reads_only_the_first_line_harms_nothing() {
    let opensips = opensips();
    let place = Place::new().with("a.yml", &yml(&opensips));
    let words = call_start("alice", "bob");
    let mut tool = place.start("call-cmd", &["-config", "a.yml", "-json", &words[0], &words[1], &words[2]]);
    drop(tool.child.stdout.take());
    assert_eq!(tool.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_request_that_is_too_long_is_a_failure_and_no_waiting() {
    let place = Place::new().with("a.yml", "mi: { url: '127.0.0.1:9' }");
    let long = format!("x={}", "y".repeat(70_000));
    let ran = place.run("call-cmd", &["-config", "a.yml", "Echo", &long]);
    assert_eq!((ran.status, ran.of_level("error")), (1, vec!["read: the session was closed"]), "{:#?}", ran.log.len());
}

#[test]
fn calls_are_held_resumed_transferred_and_ended_one_command_after_the_other() {
    let opensips = opensips();
    let callid = format!("callid={}", call(&opensips));
    let events = |ran: &Ran, method: &str| -> Vec<String> {
        let start = format!("{method}:c2: ");
        ran.of_level("info").iter().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
    };
    let ran = cmd(&opensips, &["CallHold", &callid, "cmd_id=c2"]);
    assert_eq!(ran.status, 0, "{ran:#?}");
    let mut held = events(&ran, "CallHold");
    assert_eq!(held.remove(0), "CallHolding");
    held.sort();
    assert_eq!(
        held,
        [
            "CallHoldStart: map[leg:callee]",
            "CallHoldStart: map[leg:caller]",
            "CallHoldSuccessful: map[leg:callee]",
            "CallHoldSuccessful: map[leg:caller]",
        ]
    );
    assert_eq!(cmd(&opensips, &["CallHold", &callid]).of_level("fatal"), ["480 Both dialog legs are on hold"]);
    assert_eq!(cmd(&opensips, &["CallUnhold", &callid]).status, 0);
    let ran = cmd(
        &opensips,
        &["CallBlindTransfer", &callid, "leg=caller", "destination=sip:alice@127.0.0.1:5080", "cmd_id=c2"],
    );
    let transferred = events(&ran, "CallBlindTransfer");
    assert_eq!((ran.status, transferred[0].as_str()), (0, "Transferring: map[destination:sip:alice@127.0.0.1:5080]"));
    assert!(transferred.last().unwrap().starts_with("TransferSuccessful: map[callid:"), "{ran:#?}");
    let other = format!("callid={}", call(&opensips));
    assert_eq!(cmd(&opensips, &["CallEnd", &other]).status, 0);
    assert_eq!(cmd(&opensips, &["CallEnd", &other]).of_level("fatal"), ["404 Requested Dialog not found"]);
}

#[test]
fn an_interrupt_ends_a_call_start_that_rings() {
    let opensips = opensips();
    for signal in ["INT", "TERM"] {
        let place = Place::new().with("a.yml", &yml(&opensips).replace("INFO", "DEBUG"));
        let words = call_start("ringo", "bob");
        let mut tool =
            place.start("call-cmd", &["-json", "-config", "a.yml", &words[0], &words[1], &words[2], &words[3]]);
        tool.until("Running command CallStart");
        while calls(&opensips) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let begun = Instant::now();
        tool.signal(signal);
        let ran = tool.end();
        assert_eq!(ran.status, 130, "{ran:#?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "it waits for the end and no longer");
        assert!(ran.stdout.contains("failed to establish initial call: 487 Request Terminated"), "{ran:#?}");
        assert_eq!(calls(&opensips), 0, "nobody rings any more");
    }
}

#[test]
fn a_timeout_ends_a_call_start_that_rings_with_status_3() {
    let opensips = opensips();
    let words = call_start("ringo", "bob");
    let ran = cmd(&opensips, &["-timeout", "1.5s", &words[0], &words[1], &words[2], &words[3]]);
    assert_eq!(ran.status, 3, "{ran:#?}");
    assert_eq!(ran.of_level("fatal")[0], "no end of CallStart within 1.5s");
    assert_eq!(calls(&opensips), 0);
}

/// Calls, ringing ones included, that the simulated OpenSIPS knows.
fn calls(opensips: &Simulator) -> usize {
    opensips.with(|sim, _| sim.calls().count()).unwrap()
}
