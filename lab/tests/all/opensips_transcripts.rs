//! Every recording of the original daemon is played again. What ours tells the client is what the original told it, or
//! what one of the rulings makes of that; the table names them for each recording, and no ruling is named that changes
//! nothing.

use hookswitch_lab::opensips::{Client, Network, OpenSipsLab};
use hookswitch_lab::opensips_cast::{Line, Scene, recording, recordings, scripted};
use hookswitch_lab::opensips_replay::Replay;
use hookswitch_lab::{Dice, START, millis, seconds};
use hookswitch_opensips_sim::Answer;
use hookswitch_shard::{FrontConfig, Mode};
use serde_json::{Value, json};

/// A row of section 2 of the specification, as far as these recordings show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ruling {
    /// 7: the id is echoed exactly, large integers are not rounded.
    ExactId,
    /// 12: notifications come in causal order.
    InOrder,
    /// 13: `Error`, then `Ended`, whatever fails; no reply is lost because a daemon died.
    AlwaysEnds,
    /// 15: a callee that fails is told once and ends the command.
    CalleeFails,
    /// 16: 408 gives way to the truth.
    TrueStatus,
    /// 17: a transfer that never starts fails.
    NotStarted,
    /// 19: a hold that fails says so, and no event has an empty name.
    HoldFails,
    /// 20 and 3.5: events reach a command 120 s after the connection's first.
    StillSubscribed,
    /// 26: nothing is said to a client that has gone, and nothing dies.
    Gone,
    /// 27: replies are matched, so that no event is lost.
    NoneLost,
    /// 28: only commands can be called.
    NotACommand,
}

use Ruling::{
    AlwaysEnds, CalleeFails, ExactId, Gone, HoldFails, InOrder, NoneLost, NotACommand, NotStarted, StillSubscribed,
    TrueStatus,
};

const TABLE: [(&str, &[Ruling]); 40] = [
    ("attended-consult-ok", &[InOrder]),
    ("attended-ok", &[]),
    ("blind-bad-leg", &[]),
    ("blind-dest-unregistered", &[TrueStatus, CalleeFails]),
    ("blind-ok", &[]),
    ("blind-ok-scripted", &[]),
    ("blind-refer-rejected", &[NotStarted]),
    ("callend-ok", &[]),
    ("callhold-twice", &[InOrder]),
    ("callhold-unhold-ok", &[InOrder, NoneLost]),
    ("callhold-unhold-scripted", &[InOrder]),
    ("callstart-bad-uri", &[]),
    ("callstart-callee-busy", &[CalleeFails]),
    ("callstart-callee-busy-baresip", &[CalleeFails]),
    ("callstart-callee-noanswer", &[CalleeFails]),
    ("callstart-callee-unregistered", &[TrueStatus, CalleeFails]),
    ("callstart-caller-busy", &[]),
    ("callstart-caller-noanswer", &[]),
    ("callstart-caller-unreachable", &[]),
    ("callstart-caller-unregistered", &[]),
    ("callstart-client-disconnect", &[Gone]),
    ("callstart-cmd-id", &[]),
    ("callstart-ok", &[]),
    ("callstart-refer-rejected", &[NotStarted]),
    ("echo", &[]),
    ("echo-cmd-id", &[]),
    ("errors-params", &[AlwaysEnds]),
    ("errors-protocol", &[ExactId]),
    ("exported-method-notify", &[NotACommand]),
    ("exported-method-notifyend", &[NotACommand]),
    ("exported-method-notifyevent", &[NotACommand]),
    ("exported-method-notifynewerror", &[NotACommand]),
    ("exported-method-run", &[NotACommand]),
    ("exported-method-runsync", &[NotACommand]),
    ("exported-method-test", &[]),
    ("exported-method-wait", &[NotACommand]),
    ("mi-extras", &[]),
    ("notification-request", &[]),
    ("subscription-expiry-no-refresh", &[HoldFails, StillSubscribed]),
    ("unknown-callid", &[]),
];

/// One request, and all that was said about it.
#[derive(Clone, Debug, PartialEq)]
struct Exchange {
    request: String,
    said: Vec<Value>,
}

/// The place of an event in its command: see ruling 12.
fn rank(message: &Value) -> (u8, String, u8) {
    let params = &message["params"];
    let leg = params["data"]["leg"].as_str().unwrap_or_default().to_owned();
    match params["event"].as_str() {
        None => (0, leg, 0),
        Some("CallerAnswered") => (1, leg, 0),
        Some("Transferring" | "CallHolding" | "CallUnholding") => (2, leg, 0),
        Some("TransferStart") => (3, leg, 0),
        Some("TransferPending") => (4, leg, 0),
        Some("CallHoldStart" | "CallUnholdStart") => (5, leg, 0),
        Some("CallHoldSuccessful" | "CallUnholdSuccessful") => (5, leg, 1),
        Some("Error") => (8, leg, 0),
        Some("Ended") => (9, leg, 0),
        Some(_) => (6, leg, 0),
    }
}

/// Whether a command was told of in causal order.
fn is_in_order(said: &[Value]) -> bool {
    let step = |message: &Value| {
        let (rank, leg, half) = rank(message);
        (if rank == 5 { 5 } else { rank }, leg, half)
    };
    let steps: Vec<_> = said.iter().map(step).collect();
    steps.windows(2).all(|pair| {
        let ((before, leg, half), (after, other, other_half)) = (&pair[0], &pair[1]);
        before < after || (before == after && (leg != other || half <= other_half))
    }) && steps.iter().enumerate().all(|(index, step)| {
        !steps[index..].iter().any(|later| (later.0, &later.1) == (step.0, &step.1) && later.2 < step.2)
    })
}

/// Messages by the request that they belong to.
fn exchanges(requests: &[String], heard: &[Value]) -> Vec<Exchange> {
    let mut replies = heard.iter().filter(|message| message.get("id").is_some());
    let mut exchanges: Vec<(Option<String>, Exchange)> = Vec::new();
    for request in requests {
        let reply = replies.next().cloned();
        let cmd_id = reply.as_ref().and_then(|reply| reply["result"]["cmd_id"].as_str()).map(str::to_owned);
        exchanges.push((cmd_id, Exchange { request: request.clone(), said: reply.into_iter().collect() }));
    }
    let mut begun = 0;
    for message in heard {
        if message.get("id").is_some() {
            begun += 1;
            continue;
        }
        let cmd_id = message["params"]["cmd_id"].as_str();
        // Its reply may have come later.
        let known = exchanges.iter().rposition(|(id, _)| id.as_deref() == cmd_id && cmd_id.is_some());
        let latest = exchanges[..begun.min(exchanges.len())].iter().rposition(|(id, _)| id.as_deref() == cmd_id);
        let index = latest.or(known).unwrap_or_else(|| panic!("nobody asked for {message}"));
        exchanges[index].1.said.push(message.clone());
    }
    exchanges.into_iter().map(|(_, exchange)| exchange).collect()
}

/// Without what may differ: our `reason`, the words after it for a refused re-INVITE, a `cmd_id` that was made up.
fn comparable(exchange: &Exchange) -> Exchange {
    let mut exchange = exchange.clone();
    let request = exchange.request.clone();
    for message in &mut exchange.said {
        for holder in ["params", "result"] {
            let Some(members) = message.get_mut(holder).and_then(Value::as_object_mut) else { continue };
            members.remove("reason");
            let chosen = members.get("cmd_id").and_then(Value::as_str);
            if !chosen.is_some_and(|id| request.contains(&format!("\"{id}\""))) {
                members.insert("cmd_id".to_owned(), "made up".into());
            }
            if let Some(words) = members.get("data").and_then(Value::as_str)
                && words.starts_with("hold failed on leg callee: ")
            {
                members.insert("data".to_owned(), "hold failed on leg callee: ".into());
            }
        }
        if let Some(error) = message.get_mut("error").and_then(Value::as_object_mut) {
            error.remove("data");
        }
    }
    exchange.said.sort_by_key(rank);
    exchange
}

fn note(like: &Value, event: &str, data: Value) -> Value {
    let mut message = like.clone();
    message["params"]["event"] = event.into();
    if data.is_null() {
        message["params"].as_object_mut().unwrap().remove("data");
    } else {
        message["params"]["data"] = data;
    }
    message
}

fn fail(exchange: &mut Exchange, words: &str) {
    let last = exchange.said.last().unwrap().clone();
    exchange.said.push(note(&last, "Error", words.into()));
    exchange.said.push(note(&last, "Ended", Value::Null));
}

/// The status of a `TransferPending` that is the new call's last.
fn last_status(message: &Value) -> Option<&str> {
    let extra = message["params"]["data"]["extra"].as_str()?;
    (message["params"]["event"] == "TransferPending" && extra >= "3").then_some(extra)
}

/// What a ruling makes of what the original said to one connection.
fn apply(ruling: Ruling, name: &str, exchanges: &mut [Exchange], others: &[Exchange]) {
    for exchange in exchanges.iter_mut() {
        match ruling {
            ExactId => {
                for message in &mut exchange.said {
                    if message["id"].as_f64() == Some(12_345_678_901_234_567_890.0) {
                        message["id"] = json!(12_345_678_901_234_567_890_u64);
                    }
                }
            }
            InOrder => {
                exchange.said.sort_by_key(rank);
                let place = |message: &Value| message["params"]["data"]["destination"].clone();
                let start =
                    exchange.said.iter().find(|message| message["params"]["event"] == "TransferStart").map(place);
                let pending = |message: &&mut Value| message["params"]["event"] == "TransferPending";
                for message in exchange.said.iter_mut().filter(pending) {
                    if place(message).is_null() && message["method"] == "CallAttendedTransfer" {
                        message["params"]["data"]["destination"] = start.clone().unwrap_or_default();
                    }
                }
            }
            AlwaysEnds => always_ends(exchange, others),
            TrueStatus => {
                let truth = exchange.said.iter().filter_map(last_status).find(|status| !status.starts_with("408"));
                if truth.is_some() {
                    exchange
                        .said
                        .retain(|message| last_status(message).is_none_or(|status| !status.starts_with("408")));
                }
            }
            CalleeFails => {
                let Some(index) = exchange.said.iter().position(|message| last_status(message).is_some()) else {
                    continue;
                };
                exchange.said.truncate(index + 1);
                let words = format!("transfer failed with status {}", last_status(&exchange.said[index]).unwrap());
                fail(exchange, &words);
            }
            NotStarted => {
                if exchange.said.last().is_some_and(|last| last["params"]["event"] == "Transferring") {
                    fail(exchange, "transfer not started");
                }
            }
            HoldFails => {
                if let Some(index) = exchange.said.iter().position(|message| message["params"]["event"] == "") {
                    exchange.said.remove(index);
                    fail(exchange, "hold failed on leg callee: ");
                }
            }
            NoneLost => {
                let has = |event: &str| exchange.said.iter().any(|message| message["params"]["event"] == event);
                if has("CallUnholdStart") && !has("CallUnholding") {
                    let first = exchange.said[1].clone();
                    exchange.said.insert(1, note(&first, "CallUnholding", Value::Null));
                }
            }
            NotACommand => {
                let id: Value = serde_json::from_str(&exchange.request).unwrap();
                let error = json!({"code": 32_000, "message": "unknown JSON-RPC method"});
                exchange.said = vec![json!({"jsonrpc": "2.0", "id": id["id"], "error": error})];
            }
            Gone | StillSubscribed => unreachable!("{name} has a test of its own"),
        }
    }
}

/// A daemon died, or a connection was closed before its last word: the same request was answered elsewhere.
fn always_ends(exchange: &mut Exchange, others: &[Exchange]) {
    let is_full = |other: &&Exchange| other.said.last().is_some_and(|last| last["params"]["event"] == "Ended");
    let has_error = exchange.said.iter().any(|message| message["params"]["event"] == "Error");
    if has_error && !is_full(&&*exchange) {
        let last = exchange.said.last().unwrap().clone();
        exchange.said.push(note(&last, "Ended", Value::Null));
    } else if !has_error
        && let Some(other) = others.iter().filter(is_full).find(|other| other.request == exchange.request)
    {
        exchange.said = other.said.clone();
    }
}

/// What the client at one port said, and what it was told.
fn recorded(lines: &[Line], port: u64) -> Vec<Exchange> {
    let of = |from: &'static str| {
        let mine = lines.iter().filter(move |line| line.channel == "ws" && line.connection == Some(port));
        mine.filter(move |line| line.from == from && !line.text.starts_with("<WS") && !line.text.starts_with("<TCP"))
    };
    let requests: Vec<String> = of("ws-client").map(|line| line.text.clone()).collect();
    let heard: Vec<Value> = of("call-api").map(|line| serde_json::from_str(&line.text).unwrap()).collect();
    exchanges(&requests, &heard)
}

fn ours(client: &Client, theirs: &[Exchange]) -> Vec<Exchange> {
    let requests: Vec<String> = theirs.iter().map(|exchange| exchange.request.clone()).collect();
    let heard: Vec<Value> = client.heard.iter().map(|heard| heard.message.clone()).collect();
    exchanges(&requests, &heard)
}

/// Plays a recording; gives back whether each ruling was needed.
fn play(name: &str, rulings: &[Ruling]) {
    let replay = Replay::of(name, false);
    let lines = replay.lines();
    let mut needed = vec![false; rulings.len()];
    let mut others = Vec::new();
    for port in replay.clients().keys() {
        others.extend(recorded(lines, *port).iter().map(comparable));
    }
    for (port, client) in replay.clients() {
        let theirs: Vec<Exchange> = recorded(lines, *port);
        let ours = ours(client, &theirs);
        for exchange in &ours {
            assert!(is_in_order(&exchange.said), "{name}: {:#?}", exchange.said);
        }
        let mut expected = theirs;
        for (ruling, needed) in rulings.iter().zip(&mut needed) {
            let before = expected.clone();
            let was_in_order = expected.iter().all(|exchange| is_in_order(&exchange.said));
            apply(*ruling, name, &mut expected, &others);
            *needed |= if *ruling == InOrder { !was_in_order } else { before != expected };
        }
        if !rulings.contains(&InOrder) {
            assert!(expected.iter().all(|exchange| is_in_order(&exchange.said)), "{name} needs ruling 12");
        }
        let (ours, expected): (Vec<_>, Vec<_>) =
            (ours.iter().map(comparable).collect(), expected.iter().map(comparable).collect());
        assert_eq!(ours, expected, "{name}");
    }
    assert_eq!(replay.commands_left(), 0, "{name}");
    for (ruling, needed) in rulings.iter().zip(needed) {
        assert!(needed, "{name}: {ruling:?} changes nothing");
    }
}

#[test]
fn the_table_names_every_recording() {
    let named: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    let mut there = recordings();
    there.sort_by_key(|name| named.iter().position(|other| other == name));
    assert_eq!(named, there);
}

#[test]
fn ours_says_what_the_original_said_or_what_a_ruling_makes_of_it() {
    for (name, rulings) in TABLE {
        let has_its_own_test = rulings.contains(&Gone) || rulings.contains(&StillSubscribed) || name == "mi-extras";
        if !has_its_own_test {
            play(name, rulings);
        }
    }
}

/// A front and an OpenSIPS with the stage of a recording.
fn staged(name: &str) -> OpenSipsLab {
    let mut dice = Dice::new(1);
    let sim = Scene::of(name).set(START, millis(2), dice.seed());
    let mut lab = OpenSipsLab::with(FrontConfig::default(), sim, Network::CLEAR, START, dice);
    lab.pass(seconds(1));
    lab
}

#[test]
fn the_first_invite_is_asked_for_as_the_original_did() {
    let mut compared = 0;
    for (name, _) in TABLE {
        for (theirs, ours) in Replay::of(name, false).invites() {
            assert_eq!(theirs, ours, "{name}");
            compared += 1;
        }
    }
    // All but the one whose caller is no URI: that never reaches OpenSIPS.
    assert_eq!(compared, 12);
}

#[test]
fn ruling_26_a_client_that_leaves_hears_nothing_more_and_its_command_runs_on() {
    let replay = Replay::of("callstart-client-disconnect", true);
    let (port, client) = replay.clients().first_key_value().unwrap();
    let left = replay.lines().iter().find(|line| line.text.starts_with("<WS CLOSE")).unwrap().at;
    let mut theirs = recorded(replay.lines(), *port);
    let before = |message: &Value| {
        let is_it = |line: &&Line| line.payload == *message;
        replay.lines().iter().find(is_it).is_some_and(|line| line.at < left)
    };
    theirs[0].said.retain(before);
    let ours = ours(client, &theirs);
    assert_eq!(comparable(&ours[0]), comparable(&theirs[0]));
    assert_eq!(ours[0].said.last().unwrap()["params"]["data"]["extra"], "180 Ringing");
    assert_eq!(replay.commands_left(), 0);
}

#[test]
fn ruling_19_a_hold_that_one_leg_refuses_fails_by_name_and_ends() {
    let name = "subscription-expiry-no-refresh";
    let replay = Replay::of(name, false);
    let (port, client) = replay.clients().first_key_value().unwrap();
    let theirs = recorded(replay.lines(), *port);
    let ours = ours(client, &theirs);
    let mut expected = theirs.clone();
    apply(HoldFails, name, &mut expected, &[]);
    assert_eq!(comparable(&ours[0]), comparable(&expected[0]));
    let legs = &ours[0].said.iter().find(|message| message["params"]["event"] == "Error").unwrap()["params"]["reason"];
    assert_eq!(legs["legs"], json!(["caller"]));
}

#[test]
fn a_command_128_s_after_the_first_still_gets_its_events() {
    let mut lab = staged("subscription-expiry-no-refresh");
    let session = lab.open(Mode::Original);
    lab.ask(session, "CallHold", "A", &[("callid", "59bce1bdcc88@127.0.0.21")]);
    lab.settle(seconds(5));
    assert!(lab.client(session).error("A").starts_with("hold failed on leg callee: "));
    lab.pass(seconds(128));
    lab.ask(session, "CallHold", "B", &[("callid", "3a3fb3b379cf@127.0.0.23")]);
    lab.settle(seconds(5));
    let events = lab.client(session).events("B");
    assert_eq!(events.iter().filter(|event| **event == "CallHoldSuccessful").count(), 2, "{events:?}");
    assert_eq!(lab.sim().held("3a3fb3b379cf@127.0.0.23"), Some((true, true)));
}

/// `mi-extras` has no client of the Call API: what a client can reach of it is asked for, and OpenSIPS must be asked
/// what it was asked then.
#[test]
fn the_abilities_of_mi_extras_are_asked_for_as_they_were_then() {
    let mut lab = OpenSipsLab::default();
    lab.keep_requests();
    let now = lab.now();
    lab.sim().call(now, "ce034b27a4dd@127.0.0.21", "dave", "erin");
    lab.sim().call(now, "542d08c5f5d9@127.0.0.23", "frank", "grace");
    lab.pass(seconds(1));
    let session = lab.open(Mode::Original);
    let call = ("callid", "ce034b27a4dd@127.0.0.21");
    lab.ask(session, "CallHold", "hold", &[call, ("leg", "caller")]);
    lab.settle(seconds(5));
    lab.ask(session, "CallUnhold", "unhold", &[call, ("leg", "caller")]);
    lab.settle(seconds(5));
    let attended = [
        ("callidA", "ce034b27a4dd@127.0.0.21"),
        ("legA", "caller"),
        ("callidB", "542d08c5f5d9@127.0.0.23"),
        ("legB", "callee"),
        ("destination", "sip:grace@127.0.0.1:5080;x=1"),
    ];
    lab.ask(session, "CallAttendedTransfer", "join", &attended);
    lab.settle(seconds(5));
    lab.sim().phone("dave", scripted("dave").answering(Answer::Rings));
    let parties = [("caller", "sip:dave@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")];
    lab.ask(session, "CallStart", "ctd-cancel-1", &parties);
    lab.pass(seconds(1));
    lab.ask(session, "CallEnd", "end", &[("callid", "ctd-cancel-1")]);
    lab.settle(seconds(5));
    let client = lab.client(session);
    assert_eq!(client.failed, 1, "{:#?}", client.heard);
    assert_eq!(client.error("ctd-cancel-1"), "failed to establish initial call: 487 Request Terminated");
    assert_eq!(client.data("join", "TransferSuccessful")["destination"], "sip:grace@127.0.0.24:5060");
    let theirs = recording("mi-extras");
    let asked =
        |methods: [&str; 2]| theirs.iter().find(|line| methods.iter().any(|name| line.payload["method"] == *name));
    for methods in [["call_hold", "callops:hold"], ["call_unhold", "callops:unhold"], ["t_uac_cancel", "tm:uac_cancel"]]
    {
        let ours = lab.requests(methods[0]);
        assert_eq!(ours[0]["params"], asked(methods).unwrap().payload["params"], "{methods:?}");
    }
    assert_eq!(lab.requests("call_transfer")[0]["params"], asked(["call_transfer"; 2]).unwrap().payload["params"]);
}
