//! Replies and events as a real OpenSIPS sent them, and the requests that the original daemon sent for the same
//! commands.

use std::collections::HashMap;
use std::time::Duration;

use hookswitch_call::{Command, Notes, Party};
use hookswitch_opensips::Input;
use serde_json::Value;

use crate::rig::{Rig, wire};

/// Requests that the original sends and we do not: subscriptions are the process's, and a first leg is ended by
/// OpenSIPS and not by a hand-made BYE.
fn is_ours(request: &Value) -> bool {
    request["method"] != "event_subscribe" && request["params"]["method"] != "BYE"
}

fn command(request: &Value, callids: &HashMap<String, String>) -> Option<Command> {
    let text = |name: &str| request["params"][name].as_str();
    let party = |name: &str| match text(name)? {
        "caller" => Some(Party::Caller),
        "callee" => Some(Party::Callee),
        _ => None,
    };
    let call = |name: &str| text(name).map(wire);
    Some(match request["method"].as_str()? {
        "CallStart" => Command::Start {
            caller: text("caller")?.into(),
            callee: text("callee")?.into(),
            wire_id: callids.get(text("callee")?).map(|callid| callid.as_str().into()),
        },
        "CallEnd" => Command::End { call: call("callid")?, cause: hookswitch_call::Cause::hangup() },
        "CallHold" => Command::Hold { call: call("callid")?, party: None, notes: Notes::default() },
        "CallUnhold" => Command::Unhold { call: call("callid")?, party: None, notes: Notes::default() },
        "CallBlindTransfer" => {
            Command::Transfer { call: call("callid")?, party: party("leg")?, to: text("destination")?.into(), by: None }
        }
        "CallAttendedTransfer" => Command::Join {
            call: call("callidA")?,
            party: party("legA")?,
            other: call("callidB")?,
            other_party: party("legB")?,
            to: None,
            by: None,
        },
        _ => return None,
    })
}

/// The Call-ID that the original chose for each started call, by callee.
fn call_ids(lines: &[Value]) -> HashMap<String, String> {
    let between = |text: &str, start: &str, end: &str| -> Option<String> {
        Some(text.split_once(start)?.1.split_once(end)?.0.to_owned())
    };
    let mut found = HashMap::new();
    for line in lines {
        let request: Value = serde_json::from_str(line["raw"].as_str().unwrap()).unwrap();
        if let Some(headers) = request["params"]["headers"].as_str()
            && let Some(callid) = between(headers, "Call-Id: ", "\r\n")
            && let Some(callee) = between(headers, "To: <", ">")
        {
            found.insert(callee, callid);
        }
    }
    found
}

/// Plays a capture: our commands when the client's came, OpenSIPS's replies and events when they came. Where the
/// original sent a request that we send too, ours has the same bytes but for the id.
fn play(name: &str) -> Rig {
    let path = format!("{}/tests/fixtures/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let callids = call_ids(&lines);
    let mut rig = Rig::up();
    let begin = rig.now;
    // Requests of the original by id: those that are ours carry our request, once it is sent.
    let mut asked: HashMap<i64, Value> = HashMap::new();
    // Replies to requests that we send a little later than the original.
    let mut owed: Vec<(Value, String)> = Vec::new();
    for line in &lines {
        let at = begin + Duration::from_secs_f64(line["dt"].as_f64().unwrap());
        rig.pass(at.saturating_sub(rig.now));
        let raw = line["raw"].as_str().unwrap();
        let value: Value = serde_json::from_str(raw).unwrap();
        match (line["chan"].as_str().unwrap(), line["from"].as_str().unwrap()) {
            ("ws", _) => {
                asked.clear();
                if let Some(command) = command(&value, &callids) {
                    rig.submit(command).unwrap();
                }
            }
            ("mi", "client") => {
                asked.insert(value["id"].as_i64().unwrap(), value);
            }
            ("mi", _) => {
                if let Some(original) = asked.remove(&value["id"].as_i64().unwrap()).filter(is_ours) {
                    owed.push((original, raw.to_owned()));
                }
            }
            (_, _) => rig.handle(Input::Event(raw.to_owned().into())),
        }
        owed.retain(|(original, raw)| !answer(&mut rig, name, original, raw));
    }
    rig.pass(hookswitch_opensips::DOUBLED_WITHIN);
    assert_eq!(owed, [], "{name}: the original sent this, and we {:?}", rig.methods());
    rig
}

fn answer(rig: &mut Rig, name: &str, original: &Value, raw: &str) -> bool {
    let Some(sent) = rig.try_take_due(original["method"].as_str().unwrap()) else { return false };
    assert_eq!(sent.params, original["params"], "{name}");
    let id = original["id"].as_i64().unwrap();
    let renamed = raw.replace(&format!("\"id\":{id}}}"), &format!("\"id\":\"{}\"}}", sent.id));
    assert_ne!(renamed, raw);
    rig.reply_text(&renamed);
    true
}

/// What was told, without the addresses and names of that day.
fn gist(rig: &mut Rig) -> Vec<String> {
    let short = |line: String| {
        let line = line.split(" at ").next().unwrap().split(" to ").next().unwrap().to_owned();
        match line.split_once(' ') {
            Some((word @ ("noticed" | "started"), _)) => word.to_owned(),
            _ if line.starts_with("dialing") => line.split(' ').take(2).collect::<Vec<_>>().join(" "),
            _ => line,
        }
    };
    rig.read().into_iter().map(short).collect()
}

#[test]
fn a_started_call() {
    for name in ["callstart-ok", "callstart-cmd-id"] {
        let mut rig = play(name);
        let story = gist(&mut rig);
        let steps: Vec<_> = story.iter().filter(|line| !line.starts_with("progress")).map(String::as_str).collect();
        let expected = ["dialing caller", "answered caller", "connecting", "dialing callee", "answered callee", "ok"];
        assert_eq!(steps, expected, "{name}");
        rig.take("dlg_end_dlg");
    }
}

#[test]
fn a_started_call_whose_caller_does_not_answer() {
    for (name, expected) in [
        ("callstart-caller-busy", "failed Caller: 486 Busy Here (Peer)"),
        ("callstart-caller-unregistered", "failed Caller: 404 Not Found (Peer)"),
        ("callstart-caller-noanswer", "failed Caller: 408 Request Timeout (Peer)"),
    ] {
        assert_eq!(play(name).read().last().unwrap(), expected, "{name}");
    }
}

#[test]
fn a_started_call_whose_callee_does_not_answer() {
    for (name, expected) in [
        ("callstart-callee-busy", "failed Callee: 486 Busy Here (Peer)"),
        // Ruling 16: the truth, and not the 408 of the script.
        ("callstart-callee-unregistered", "failed Callee: 404 Not Found (Peer)"),
        ("callstart-callee-noanswer", "failed Callee: 408 Request Timeout (Peer)"),
    ] {
        let mut rig = play(name);
        assert_eq!(rig.read().last().unwrap(), expected, "{name}");
        rig.take("dlg_end_dlg");
        assert_eq!(rig.outcomes.len(), 1);
    }
}

#[test]
fn a_caller_that_refuses_the_refer() {
    // Ruling 17: the original waits for ever.
    let mut rig = play("callstart-refer-rejected");
    assert_eq!(rig.outcomes.len(), 0);
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.read().last().unwrap(), "failed Transfer: 408 transfer not started (Peer)");
    rig.take("dlg_end_dlg");
}

#[test]
fn a_blind_transfer() {
    for name in ["blind-ok", "blind-ok-scripted"] {
        let mut rig = play(name);
        let story = gist(&mut rig);
        assert_eq!(
            story[1..3].iter().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
            ["transferring", "started"]
        );
        assert_eq!(story[story.len() - 2..], ["transferred", "ok"], "{name}");
        assert_eq!(rig.core.counts().leftovers, 0, "{name}: the end was answered");
    }
}

#[test]
fn a_blind_transfer_that_fails() {
    let mut unknown = play("blind-dest-unregistered");
    assert_eq!(unknown.read().last().unwrap(), "failed Callee: 404 Not Found (Peer)");
    let mut rejected = play("blind-refer-rejected");
    // The first is still waiting when the second is refused for ever.
    let last = rejected.read().pop().unwrap();
    assert!(last.starts_with("failed Transfer: 491 Request Pending: OpenSIPS transfers a call only once"), "{last}");
    rejected.pass(Duration::from_secs(10));
    assert_eq!(rejected.read().pop().unwrap(), "failed Transfer: 408 transfer not started (Peer)");
    assert_eq!(rejected.outcomes.len(), 2);
}

#[test]
fn an_attended_transfer() {
    for name in ["attended-ok", "attended-consult-ok"] {
        let mut rig = play(name);
        let story = gist(&mut rig);
        assert_eq!(story[1..3], ["transferring caller", "started"], "{name}");
        assert_eq!(story[story.len() - 2..], ["transferred", "ok"], "{name}: {story:?}");
        assert_eq!(rig.outcomes.len(), 1);
    }
}

#[test]
fn holds_and_their_ends() {
    for name in ["callhold-unhold-ok", "callhold-unhold-scripted"] {
        let mut rig = play(name);
        let story = gist(&mut rig);
        let both = |on: bool, first: &str, second: &str| {
            let mut expected = vec![format!("accepted hold={on}")];
            for leg in [first, second] {
                expected.push(format!("asked {leg} hold={on}"));
                expected.push(format!("held {leg} hold={on}"));
            }
            expected.sort();
            expected
        };
        let (mut hold, mut unhold) = (story[1..6].to_vec(), story[7..12].to_vec());
        assert_eq!((hold[0].as_str(), unhold[0].as_str()), ("accepted hold=true", "accepted hold=false"));
        hold.sort();
        unhold.sort();
        assert_eq!(hold, both(true, "caller", "callee"), "{name}");
        assert_eq!(unhold, both(false, "callee", "caller"), "{name}");
        assert_eq!((story[6].as_str(), story[12].as_str()), ("ok", "ok"));
    }
    let mut twice = play("callhold-twice");
    twice.outcomes.sort_by_key(|outcome| outcome.ticket);
    let results: Vec<_> = twice.outcomes.iter().map(|outcome| outcome.result.is_ok()).collect();
    assert_eq!(results, [true, false, true, false]);
}

#[test]
fn a_hold_that_fails_on_one_leg() {
    // Ruling 19: an end, and the leg by its name; then a hold of another call that nobody tells of.
    let mut rig = play("subscription-expiry-no-refresh");
    let failure = rig.outcomes[0].result.clone().unwrap_err();
    assert_eq!((failure.party, failure.held), (Some(Party::Callee), vec![Party::Caller]));
    rig.pass(Duration::from_secs(40));
    assert_eq!(rig.outcomes.len(), 2);
}

#[test]
fn an_ended_call_and_calls_that_nobody_knows() {
    assert_eq!(play("callend-ok").read().last().unwrap(), "ok");
    let rig = play("unknown-callid");
    let texts: Vec<_> = rig
        .outcomes
        .iter()
        .map(|outcome| outcome.result.clone().unwrap_err().upstream.unwrap().text.to_string())
        .collect();
    assert!(!texts.is_empty());
    assert!(texts.iter().all(|text| text.ends_with("ialog not found")), "{texts:?}");
}
