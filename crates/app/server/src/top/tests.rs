//! Readings become pictures, and keys change them.

use clap::Parser;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::figures::Figures;
use super::reading::{Call, Rates, Registration};
use super::*;

const NOW: &str = "2026-11-22T20:00:00Z";

fn reading(uptime: u64, metrics: &str) -> Reading {
    let health = json!({ "status": "up", "version": "0.1.0", "uptime": uptime, "calls": 3, "registrations": 2,
                         "carriers": { "sip": { "state": "up" }, "opensips": { "state": "down" } } });
    Reading::new(NOW.parse().unwrap(), serde_json::from_value(health).unwrap(), Figures::parse(metrics))
}

fn call(id: &str, state: &str, caller: &str, callee: &str, began: &str, answered: Value) -> Call {
    let document = json!({ "id": id, "state": state, "caller": caller, "callee": callee, "anchored": true,
                           "began": format!("2026-11-22T{began}Z"), "answered": answered });
    serde_json::from_value(document).unwrap()
}

fn three_calls() -> Reading {
    let mut reading =
        reading(3_725, "hookswitch_legs{carrier=\"sip\"} 5\nhookswitch_process_resident_bytes 104857600\n");
    reading.calls = vec![
        call("call_000000000003", "ringing", "sip:zoe@x.test", "sip:bob@x.test", "19:59:50", Value::Null),
        call(
            "call_000000000002",
            "talking",
            "sip:alice@x.test",
            "sip:dave@x.test",
            "19:58:00",
            "2026-11-22T19:59:00Z".into(),
        ),
        call(
            "call_000000000001",
            "talking",
            "sip:carol@x.test",
            "sip:\u{1b}[2Jer@x.test",
            "18:00:00",
            "2026-11-22T18:00:00Z".into(),
        ),
    ];
    reading
}

fn lines(view: &View, reading: &Reading) -> Vec<String> {
    text(view, "http://h:9001", reading).lines().map(str::to_owned).collect()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn a_picture_tells_the_switch_and_its_calls() {
    let view = View::new(Page::Calls, Sort::Age, None);
    let lines = lines(&view, &three_calls());
    assert_eq!(lines[0], "hookswitch 0.1.0 up, opensips down, 1:02:05   http://h:9001   2026-11-22 20:00:00 UTC");
    assert!(lines[1].starts_with("calls 3 (1 ringing, 2 talking)   legs 5   registrations 2"), "{}", lines[1]);
    assert!(lines[2].contains("memory 100 MiB") && lines[2].starts_with("processor -"), "{}", lines[2]);
    assert_eq!(lines[4], "calls of all domains by age");
    assert_eq!(words(&lines[5]), ["state", "age", "talked", "caller", "callee", "id"]);
    assert_eq!(words(&lines[6]), ["ringing", "0:10", "-", "sip:zoe@x.test", "sip:bob@x.test", "call_000000000003"]);
    assert_eq!(words(&lines[7])[..3], ["talking", "2:00", "1:00"]);
    assert!(words(&lines[8])[1] == "2:00:00" && lines[8].contains("sip:?[2Jer@x.test"), "{}", lines[8]);
    assert_eq!(lines.len(), 9);
}

#[test]
fn lists_are_sorted_by_each_column_and_turned_round() {
    let reading = three_calls();
    for (sort, expected) in [
        (Sort::Age, ["zoe", "alice", "carol"]),
        (Sort::State, ["zoe", "alice", "carol"]),
        (Sort::Caller, ["alice", "carol", "zoe"]),
        (Sort::Callee, ["carol", "zoe", "alice"]),
    ] {
        let mut view = View::new(Page::Calls, sort, None);
        let callers = |view: &View| -> Vec<String> {
            let of = |call: &&Call| call.caller.trim_start_matches("sip:").trim_end_matches("@x.test").to_owned();
            view.calls(&reading).iter().map(of).collect()
        };
        assert_eq!(callers(&view), expected, "{sort}");
        view.press(KeyCode::Char('r').into());
        assert_eq!(callers(&view), expected.into_iter().rev().collect::<Vec<_>>(), "{sort}");
    }
}

#[test]
fn registrations_are_a_page_of_their_own() {
    let mut reading = reading(1, "");
    let one = json!({ "domain": "x.test", "user": "bob", "id": "1", "contact": "sip:b@h", "source": "udp:192.0.2.1:5060",
                      "user_agent": "baresip", "registered": "2026-11-22T19:00:00Z", "refreshed": NOW,
                      "expires": "2026-11-22T20:05:00Z", "stale_since": NOW });
    let other = json!({ "domain": "x.test", "user": "alice", "id": "1", "contact": "sip:b@h", "source": "udp:192.0.2.2:5060",
                        "user_agent": null, "registered": NOW, "refreshed": NOW, "expires": NOW, "stale_since": null });
    let read = |document| serde_json::from_value::<Registration>(document).unwrap();
    (reading.registrations, reading.more) = (vec![read(one), read(other)], true);
    let mut view = View::new(Page::Calls, Sort::State, Some("x.test".into()));
    assert_eq!(view.press(KeyCode::Tab.into()), Done::Asked);
    let shown = lines(&view, &reading);
    assert_eq!(shown[4], "registrations of domain x.test by state; only the first 1000");
    assert_eq!(words(&shown[6]), ["bob@x.test", "udp:192.0.2.1:5060", "1:00:00", "5:00", "silent", "baresip"]);
    assert_eq!(words(&shown[7]), ["alice@x.test", "udp:192.0.2.2:5060", "0:00", "0:00", "well", "-"]);
    view.sort = Sort::Caller;
    assert!(lines(&view, &reading)[6].starts_with("alice"));
}

const BEFORE: &str = "hookswitch_calls_ended_total 10\nhookswitch_commands_total 5\n\
    hookswitch_rtp_packets_total{direction=\"received\"} 100\nhookswitch_rtp_packets_total{direction=\"sent\"} 100\n\
    hookswitch_media_tick_lateness_seconds_count 100\nhookswitch_media_tick_lateness_seconds_bucket{le=\"0.001\"} 100\n\
    hookswitch_process_processor_milliseconds_total 1000\n";
const AFTER: &str = "hookswitch_calls_ended_total 14\nhookswitch_commands_total 5\n\
    hookswitch_rtp_packets_total{direction=\"received\"} 300\nhookswitch_rtp_packets_total{direction=\"sent\"} 500\n\
    hookswitch_media_tick_lateness_seconds_count 200\nhookswitch_media_tick_lateness_seconds_bucket{le=\"0.001\"} 190\n\
    hookswitch_process_processor_milliseconds_total 2000\n";

#[test]
fn rates_are_what_has_been_counted_between_two_readings() {
    let before = reading(10, BEFORE);
    let mut after = reading(12, AFTER);
    after.at = before.at + Duration::from_secs(2);
    let rates = after.after(Some(&before)).rates.unwrap();
    let expected = Rates {
        calls_ended: 2.0,
        commands: 0.0,
        received: 100.0,
        sent: 200.0,
        lost: 0.0,
        processor: Some(50.0),
        late: Some(10.0),
    };
    assert!((rates.late.unwrap() - 10.0).abs() < 1e-9);
    assert_eq!(Rates { late: expected.late, ..rates }, expected);
}

#[test]
fn a_switch_that_has_started_anew_has_no_rates_until_the_next_reading() {
    let before = reading(1_000, AFTER);
    let mut after = reading(1, BEFORE);
    after.at = before.at + Duration::from_secs(2);
    assert_eq!(after.after(Some(&before)).rates, None);
}

#[test]
fn without_an_answer_the_last_reading_stays_and_the_reason_is_shown() {
    let mut view = View::new(Page::Calls, Sort::Age, None);
    view.rows = 3;
    let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 10));
    draw::draw(
        &mut buffer,
        &view,
        "http://h:9001",
        Some(&three_calls()),
        Some("no switch answers at http://h:9001: refused"),
    );
    let shown = draw::plain(&buffer);
    assert!(
        shown.contains("! no switch answers at http://h:9001: refused") && shown.contains("sip:zoe@x.test"),
        "{shown}"
    );
    assert!(shown.lines().last().unwrap().starts_with("q quit"), "{shown}");
    let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 10));
    draw::draw(&mut buffer, &view, "http://h:9001", None, Some("no switch answers"));
    assert!(draw::plain(&buffer).starts_with("hookswitch at http://h:9001: not seen yet"));
}

/// The same of a control process.
fn with_nodes() -> Reading {
    let mut reading = three_calls();
    let nodes = json!([
        { "kind": "sip", "url": "http://10.0.0.1:9000", "state": "up", "since": "2026-11-22T19:00:00Z", "legs": 6 },
        { "kind": "media", "url": "http://10.0.0.2:9002", "state": "up", "since": "2026-11-22T19:00:00Z", "calls": 3 },
        { "kind": "media", "url": "http://10.0.0.3:9002", "state": "lost", "since": "2026-11-22T19:59:20Z", "calls": 0 },
    ]);
    reading.health.nodes = serde_json::from_value(nodes).unwrap();
    reading
}

#[test]
fn nodes_stand_in_a_line_of_their_own_those_first_that_are_not_well() {
    let view = View::new(Page::Calls, Sort::Age, None);
    let lines = lines(&view, &with_nodes());
    let nodes = "nodes 2 of 3 up: media 10.0.0.3:9002 lost 0:40, calls 0; sip 10.0.0.1:9000 up 1:00:00, legs 6; media";
    assert!(lines[4].starts_with(nodes), "{}", lines[4]);
    assert_eq!((lines[5].as_str(), lines.len()), ("calls of all domains by age", 10));
    assert_eq!(words(&lines[7])[0], "ringing");
    let area = Rect::new(0, 0, 100, 10);
    assert_eq!((draw::rows(area, Some(&three_calls())), draw::rows(area, Some(&with_nodes()))), (3, 2));
}

#[test]
fn a_terminal_of_any_size_is_drawn_into() {
    for reading in [three_calls(), with_nodes()] {
        drawn_into_any_size(&reading);
    }
}

fn drawn_into_any_size(reading: &Reading) {
    for (width, height) in [(0, 0), (1, 1), (3, 5), (20, 6), (20, 7), (300, 100)] {
        for helps in [false, true] {
            let mut view = View::new(Page::Calls, Sort::Age, None);
            let area = Rect::new(0, 0, width, height);
            (view.helps, view.rows) = (helps, draw::rows(area, Some(reading)).max(1));
            draw::draw(&mut Buffer::empty(area), &view, "http://h", Some(reading), Some("late"));
        }
    }
}

#[test]
fn keys_scroll_no_further_than_there_is_something() {
    let reading = three_calls();
    let mut view = View::new(Page::Calls, Sort::Age, None);
    view.rows = 2;
    for (key, first) in [
        (KeyCode::Up, 0),
        (KeyCode::Down, 1),
        (KeyCode::Down, 1),
        (KeyCode::Home, 0),
        (KeyCode::End, 1),
        (KeyCode::PageUp, 0),
        (KeyCode::PageDown, 1),
    ] {
        assert_eq!(view.press(key.into()), Done::Shown);
        view.keep_within(&reading);
        assert_eq!(view.first, first, "{key}");
    }
}

#[test]
fn a_domain_is_written_and_taken_back() {
    let mut view = View::new(Page::Calls, Sort::Age, None);
    let mut type_in = |keys: &[KeyCode]| {
        let done: Vec<Done> = keys.iter().map(|key| view.press((*key).into())).collect();
        (done.last().copied(), view.domain.clone())
    };
    let d = KeyCode::Char('d');
    let keys = [d, KeyCode::Char('q'), KeyCode::Char('x'), KeyCode::Backspace, KeyCode::Char('.'), KeyCode::Enter];
    assert_eq!(type_in(&keys), (Some(Done::Asked), Some("q.".into())));
    assert_eq!(type_in(&[d, KeyCode::Char('z'), KeyCode::Esc]), (Some(Done::Shown), Some("q.".into())));
    let long: Vec<KeyCode> = [d].into_iter().chain([KeyCode::Char('a'); 300]).chain([KeyCode::Enter]).collect();
    assert_eq!(type_in(&long).1.map(|domain| domain.len()), Some(255));
    let none: Vec<KeyCode> = [d].into_iter().chain([KeyCode::Backspace; 255]).chain([KeyCode::Enter]).collect();
    assert_eq!(type_in(&none), (Some(Done::Asked), None));
    assert_eq!(view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Done::Ended);
    assert_eq!(view.press(KeyCode::Char('q').into()), Done::Ended);
}

#[test]
fn arguments_have_limits() {
    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        top: TopArgs,
    }
    let parse = |words: &[&str]| Program::try_parse_from(["top"].iter().chain(words)).map(|program| program.top.every);
    assert!((parse(&[]).unwrap() - 2.0).abs() < f64::EPSILON);
    assert!((parse(&["--every", "0.5"]).unwrap() - 0.5).abs() < f64::EPSILON);
    for words in [["--every", "0.4"], ["--every", "3601"], ["--every", "NaN"], ["--sort", "colour"], ["--show", "legs"]]
    {
        assert!(parse(&words).is_err(), "{words:?}");
    }
}
