//! Calls that an OpenSIPS carries go on while the program does not run, and have one record each.

use hookswitch_call::{CallId, Event, Fault};
use hookswitch_dialect::journal::record::Ender;
use hookswitch_dialect::journal::{Entry, EventId, Journal, LeftCall, OpenCall};
use hookswitch_lab::opensips::{LabConfig, OpenSipsLab};
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::{millis, seconds};
use hookswitch_opensips_sim::Answer;
use hookswitch_shard::FrontConfig;
use serde_json::Value;

use crate::opensips_rest::{DAVE, ERIN, ask, document, list, start, state};

fn config(start: u64) -> FrontConfig {
    let mut front = FrontConfig::default();
    front.opensips.parties = true;
    front.opensips.first_call = CallId::FIRST_BEYOND.0 | start << 20;
    front
}

fn lab() -> OpenSipsLab {
    OpenSipsLab::new(LabConfig { front: config(1), ..LabConfig::default() })
}

/// What the log of events has stored of calls that had not ended.
fn left(lab: &OpenSipsLab) -> Vec<LeftCall> {
    let mut journal = Journal::new(EventId(1));
    for (told, command) in &lab.noted().told {
        journal.take(Entry::Call(told.clone(), command.clone()));
    }
    let open = journal.drain().open.into_iter().filter_map(|(call, open)| Some((call, open?)));
    let stored = open.map(|(call, open)| (call, serde_json::to_vec(&open).unwrap()));
    let mut read: Vec<(CallId, OpenCall)> =
        stored.map(|(call, bytes)| (call, serde_json::from_slice(&bytes).unwrap())).collect();
    let left = Journal::new(EventId(1_000)).go_on(&mut read);
    assert_eq!(read, []);
    left
}

fn restart(lab: &mut OpenSipsLab, left: Vec<LeftCall>) {
    lab.restart_front(config(2), left);
}

fn ends(lab: &OpenSipsLab) -> Vec<(CallId, Fault, String)> {
    let end = |told: &hookswitch_call::Told| {
        let Event::Ended { cause, .. } = &told.event else { return None };
        Some((told.call, cause.fault, cause.text.to_string()))
    };
    lab.noted().told.iter().filter_map(|(told, _)| end(told)).collect()
}

#[test]
fn a_call_that_talks_goes_on_by_its_name_and_its_record_is_of_the_whole_of_it() {
    let mut lab = lab();
    let (path, call) = start(&mut lab);
    lab.pass(seconds(20));
    let before = document(&ask(&mut lab, "GET", &path, ""));
    let left = left(&lab);
    restart(&mut lab, left);
    lab.pass(seconds(10));
    let after = document(&ask(&mut lab, "GET", &path, ""));
    for member in ["id", "state", "caller", "callee", "began", "answered"] {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert_eq!(after["legs"].as_array().unwrap().len(), 2, "{after}");
    let held = ask(&mut lab, "POST", &format!("{path}/hold"), "{}");
    assert_eq!(held.status, 202, "{}", held.body);
    lab.pass(seconds(10));
    assert_eq!(ask(&mut lab, "DELETE", &path, "").status, 202);
    lab.pass(seconds(10));
    assert_eq!((state(&mut lab, &path), lab.sim().calls().count()), ("ended".into(), 0));
    let [record] = lab.noted().records.as_slice() else { panic!("{:?}", lab.noted().records) };
    assert_eq!(format!("call_{}", record.call), call["id"]);
    assert_eq!((&*record.caller.0, &*record.callee.0, record.carrier), (DAVE, ERIN, "opensips"));
    assert_eq!((record.ended_by, record.by_command, record.legs.len()), (Ender::Application, true, 2));
    assert!(record.talked > seconds(30), "{record:?}");
    assert_eq!(ends(&lab), [(record.call, Fault::Nobody, "OK".into())]);
}

#[test]
fn one_that_ends_meanwhile_says_that_its_end_was_not_told() {
    let mut lab = lab();
    let (path, _) = start(&mut lab);
    lab.pass(seconds(20));
    let now = lab.now();
    lab.sim().call(now, "theirs@x", "frank", "grace");
    lab.pass(seconds(20));
    let left = left(&lab);
    assert_eq!(left.len(), 2);
    // They hang up while nobody listens.
    lab.stop_opensips();
    lab.start_opensips();
    restart(&mut lab, left);
    assert_eq!(list(&mut lab).len(), 2);
    lab.pass(seconds(60));
    assert_eq!((list(&mut lab).len(), state(&mut lab, &path)), (0, "ended".into()));
    assert_eq!(lab.noted().records.len(), 2);
    for record in &lab.noted().records {
        assert_eq!((record.cause.fault, &*record.cause.text), (Fault::Upstream, "The End Was Not Told"));
        assert_eq!(record.ended_by, Ender::Unknown);
        assert!(record.answered.is_some() && record.talked > seconds(15), "{record:?}");
    }
    assert_eq!(ends(&lab).len(), 2);
}

#[test]
fn one_that_a_command_was_making_is_over() {
    let mut lab = lab();
    lab.sim().phone("erin", scripted("erin").answering(Answer::Rings));
    let (path, call) = start(&mut lab);
    lab.pass(seconds(2));
    assert_eq!(state(&mut lab, &path), "ringing");
    let left = left(&lab);
    restart(&mut lab, left);
    assert_eq!(state(&mut lab, &path), "ended");
    let [record] = lab.noted().records.as_slice() else { panic!("{:?}", lab.noted().records) };
    assert_eq!(format!("call_{}", record.call), call["id"]);
    assert_eq!((record.answered, &*record.cause.text), (None, "The Switch Was Restarted"));
    // Nobody's phone rings on, and what OpenSIPS tells of that is no call.
    lab.pass(seconds(30));
    assert_eq!((lab.sim().calls().count(), list(&mut lab).len(), lab.noted().records.len()), (0, 0, 1));
}

#[test]
fn one_of_others_goes_on_ringing_and_talks() {
    let mut lab = lab();
    lab.sim().phone("erin", scripted("erin").answering(Answer::After(seconds(8))));
    let now = lab.now();
    lab.sim().call(now, "theirs@x", "dave", "erin");
    lab.pass(seconds(2));
    let left = left(&lab);
    restart(&mut lab, left);
    lab.pass(millis(100));
    let shown = list(&mut lab).remove(0);
    assert_eq!(
        (&shown["state"], &shown["caller"], &shown["answered"]),
        (&"ringing".into(), &DAVE.into(), &Value::Null)
    );
    lab.pass(seconds(20));
    let now = lab.now();
    lab.sim().hang_up(now, "theirs@x");
    lab.pass(seconds(1));
    let [record] = lab.noted().records.as_slice() else { panic!("{:?}", lab.noted().records) };
    assert_eq!((&*record.caller.0, record.cause.code), (DAVE, 200));
    assert!(record.talked > seconds(10) && record.talked < seconds(15), "{record:?}");
}
