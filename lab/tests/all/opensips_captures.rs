//! The simulated OpenSIPS against the recorded one: what was asked of it then is asked again, and what it answers and
//! reports is compared. Names that are made up by chance differ, and so does the order of what different processes say.

use std::collections::BTreeMap;
use std::time::Duration;

use hookswitch_call::Time;
use hookswitch_lab::opensips_cast::{Line, Scene, enter, recording, recordings, scripted};
use hookswitch_lab::{Dice, millis, seconds};
use hookswitch_opensips_sim::{Answer, PeerId, Sim, SimConfig, SimOutput};
use serde_json::{Value, json};

/// What came out of the simulator.
#[derive(Default)]
struct Said {
    replies: BTreeMap<u64, Vec<Value>>,
    events: BTreeMap<String, Vec<Value>>,
}

fn drain(sim: &mut Sim, said: &mut Said) {
    while let Some(output) = sim.poll_output() {
        match output {
            SimOutput::MiReply { to, bytes } => {
                said.replies.entry(to.0).or_default().push(serde_json::from_slice(&bytes).unwrap());
            }
            SimOutput::Event { socket, bytes } => {
                said.events.entry(socket.into()).or_default().push(serde_json::from_slice(&bytes).unwrap());
            }
        }
    }
}

fn advance(sim: &mut Sim, said: &mut Said, until: Time) {
    while let Some(next) = sim.poll_timeout().filter(|next| *next <= until) {
        sim.handle_timeout(next);
        drain(sim, said);
    }
}

fn port(socket: &str) -> u64 {
    socket.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// A reply without what is made up by chance: addresses, tags, branches, sessions.
fn plain_reply(reply: &Value) -> Value {
    let mut reply = reply.clone();
    let Some(result) = reply.get_mut("result").and_then(Value::as_object_mut) else {
        return reply;
    };
    if let Some(message) = result.get("Message").and_then(Value::as_str) {
        let (head, body) = message.split_once("\r\n\r\n").unwrap();
        let fields: Vec<&str> = head.split("\r\n").map(|line| line.split(':').next().unwrap()).collect();
        let has_body = !body.is_empty();
        result.insert("Message".into(), json!({"fields": fields, "has_body": has_body}));
    }
    for name in ["Next-hop", "Routes"] {
        if let Some(value) = result.get(name) {
            let text = value.to_string();
            let shape: String = text.split("ftag=").next().unwrap().to_owned();
            result.insert(name.into(), shape.into());
        }
    }
    reply
}

/// An event without what is made up by chance. A leg that is missing in a late NOTIFY was there or not by chance.
fn plain_event(event: &Value) -> String {
    let mut event = event.clone();
    let params = event["params"].as_object_mut().unwrap();
    for name in ["id", "db_id", "from_tag", "to_tag"] {
        if params.contains_key(name) {
            params.insert(name.into(), "made up".into());
        }
    }
    if let Some(new) = params.get("transfer_callid").cloned() {
        if params["leg"] == new {
            params.insert("leg".into(), "the new call".into());
        }
        if params["state"] == "notify" {
            params.insert("leg".into(), "by chance".into());
        }
        params.insert("transfer_callid".into(), "the new call".into());
        let destination = params["destination"].as_str().unwrap();
        let destination = destination.split(";osid=").next().unwrap().to_owned();
        let has_osid = params["destination"].as_str().unwrap().contains(";osid=");
        params.insert("destination".into(), format!("{destination} {has_osid}").into());
    }
    event.to_string()
}

fn sorted(events: &[Value]) -> Vec<String> {
    let new: Vec<&Value> = events.iter().map(|event| &event["params"]["transfer_callid"]).collect();
    let named = |event: &Value| {
        let mut event = event.clone();
        if new.contains(&&event["params"]["callid"]) {
            event["params"]["callid"] = "the new call".into();
        }
        plain_event(&event)
    };
    let mut plain: Vec<String> = events.iter().map(named).collect();
    plain.sort();
    plain
}

/// Of one call, `start` comes before everything else, and its end after every NOTIFY of progress.
fn assert_started_first(name: &str, events: &[Value]) {
    let mut started = Vec::new();
    for params in events.iter().map(|event| &event["params"]) {
        let key = (params["callid"].to_string(), params["leg"].to_string());
        if params["state"] == "start" {
            started.push(key.0);
        } else if params["state"] == "ok" || params["state"] == "fail" {
            assert!(started.contains(&key.0), "{name}: {params} before its start");
        }
    }
}

fn replay(name: &str) {
    let lines: Vec<Line> =
        recording(name).into_iter().filter(|line| ["mi", "evi"].contains(&line.channel.as_str())).collect();
    let Some(first) = lines.first() else {
        return;
    };
    let scene = Scene::of(name);
    let mut sim = scene.set(first.at, Duration::ZERO, Dice::new(1).seed());
    let mut said = Said::default();
    let mut recorded = Said::default();
    for line in &lines {
        match (line.channel.as_str(), line.from.as_str()) {
            ("mi", "call-api") => {
                advance(&mut sim, &mut said, line.at);
                sim.handle_mi(line.at, PeerId(port(&line.socket)), line.text.as_bytes());
                drain(&mut sim, &mut said);
            }
            ("mi", _) => recorded.replies.entry(port(&line.socket)).or_default().push(line.payload.clone()),
            _ => recorded.events.entry(format!("udp:{}", line.socket)).or_default().push(line.payload.clone()),
        }
    }
    advance(&mut sim, &mut said, lines.last().unwrap().at + seconds(2));
    compare(name, &said, &recorded);
}

fn compare(name: &str, said: &Said, recorded: &Said) {
    for (peer, replies) in &recorded.replies {
        let by_id = |replies: &[Value]| {
            let mut plain: Vec<String> = replies.iter().map(plain_reply).map(|reply| reply.to_string()).collect();
            plain.sort();
            plain
        };
        let ours = said.replies.get(peer).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(by_id(ours), by_id(replies), "{name}: replies");
    }
    for (socket, events) in &recorded.events {
        let ours = said.events.get(socket).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(sorted(ours), sorted(events), "{name}: events at {socket}");
        assert_started_first(name, ours);
    }
}

#[test]
fn the_simulated_opensips_says_what_the_recorded_one_said() {
    let names = recordings();
    assert_eq!(names.len(), 40);
    for name in names.iter().filter(|name| *name != "mi-extras") {
        replay(name);
    }
}

/// What people did while `mi-extras` was recorded: milliseconds from its zero, and what.
type Act = fn(&mut Sim, Time);
const ACTS: [(u64, Act); 5] = [
    (510, |sim, at| sim.call(at, "ce034b27a4dd@127.0.0.21", "dave", "erin")),
    (512, |sim, at| sim.call(at, "542d08c5f5d9@127.0.0.23", "frank", "grace")),
    (4_551, |sim, at| {
        for callid in sim.calls().map(str::to_owned).collect::<Vec<_>>() {
            sim.hang_up(at, &callid);
        }
    }),
    (6_060, |sim, at| sim.call(at, "8a2642559d6d@127.0.0.21", "dave", "erin")),
    (6_570, |sim, _| sim.phone("dave", scripted("dave").answering(Answer::Rings))),
];

#[test]
fn names_recipes_sockets_and_oddities_are_those_of_mi_extras() {
    let lines = recording("mi-extras");
    let zero = lines[0].at - Duration::from_secs_f64(0.506_549);
    let config = SimConfig { spread: Duration::ZERO, dialog_timeout: seconds(3_600), ..SimConfig::default() };
    let mut sim = Sim::new(config, Dice::new(1).seed());
    enter(&mut sim);
    let mut said = Said::default();
    let mut recorded = Vec::new();
    let mut sockets: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let mut acts = ACTS.into_iter().peekable();
    for line in &lines {
        // People act between the requests.
        while let Some((at, act)) = acts.next_if(|(at, _)| zero + millis(*at) <= line.at) {
            advance(&mut sim, &mut said, zero + millis(at));
            act(&mut sim, zero + millis(at));
        }
        match (line.from.as_str(), line.to.as_str()) {
            ("mi-client", _) => {
                advance(&mut sim, &mut said, line.at);
                sim.handle_mi(line.at, PeerId(1), line.text.as_bytes());
                drain(&mut sim, &mut said);
            }
            (_, "mi-client") => recorded.push(line.payload.clone()),
            (_, "evi-tcp") => {
                let stream = serde_json::Deserializer::from_str(&line.text).into_iter::<Value>();
                sockets.entry("tcp:127.0.0.1:60059").or_default().extend(stream.map(Result::unwrap));
            }
            (_, "evi-udp") => sockets.entry("udp:127.0.0.1:48743").or_default().push(line.payload.clone()),
            (_, "evi-unix") => sockets.entry("unix:/run/opensips/evi.sock").or_default().push(line.payload.clone()),
            _ => assert_eq!(line.from, "note"),
        }
    }
    advance(&mut sim, &mut said, lines.last().unwrap().at + seconds(2));
    let ours = &said.replies[&1];
    assert_eq!(ours.len(), recorded.len());
    for (ours, theirs) in ours.iter().zip(&recorded) {
        compare_extras(ours, theirs);
    }
    for (socket, events) in &sockets {
        assert_eq!(sorted(&said.events[*socket]), sorted(events), "{socket}");
    }
}

/// Without the names that OpenSIPS and phones make up.
fn unnamed(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let made_up = ["ID", "db_id", "caller_tag", "callee_tag"];
            members
                .iter()
                .filter(|(name, _)| !made_up.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), unnamed(value)))
                .collect()
        }
        Value::Array(values) => values.iter().map(unnamed).collect(),
        other => other.clone(),
    }
}

fn compare_extras(ours: &Value, theirs: &Value) {
    if let Some(list) = theirs["result"]["Event"]["Subscribers"].as_array() {
        // The list had others as well, and had dropped one that had run out.
        let listed = &ours["result"]["Event"];
        for socket in ["tcp:127.0.0.1:60059", "unix:/run/opensips/evi.sock"] {
            let row = |list: &[Value]| list.iter().find(|row| row["socket"] == socket).cloned();
            assert_eq!(row(listed["Subscribers"].as_array().unwrap()), row(list));
        }
        assert_eq!((&listed["name"], &listed["id"]), (&json!("E_CALL_HOLD"), &json!(7)));
        return;
    }
    assert_eq!(unnamed(&plain_reply(ours)), unnamed(&plain_reply(theirs)));
}
