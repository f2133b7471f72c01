//! Recorded exchanges of the original daemon: the client's side is replayed, and what ours
//! answers is compared member for member. `reason` is ours; a `cmd_id` that was made up differs.

use std::collections::BTreeMap;

use hookswitch_call::{Cause, Failure, Fault, Kind, Party, Refused, Stage, Upstream};
use hookswitch_dialect::call_api::{Mode, SessionId};
use serde_json::Value;

use crate::rig::{NOW, Rig, answered, connecting, dialing, event, failure, ringing};

/// One request and what followed it.
struct Exchange {
    client: String,
    server: Vec<Value>,
}

/// The exchanges of a recording by connection.
fn recording(name: &str) -> Vec<Vec<Exchange>> {
    let path = format!("{}/tests/fixtures/call_api/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut connections: BTreeMap<u64, Vec<Exchange>> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let exchanges = connections.entry(line["conn"].as_u64().unwrap()).or_default();
        match line["client"].as_str() {
            Some(client) => exchanges.push(Exchange { client: client.to_owned(), server: Vec::new() }),
            None => exchanges.last_mut().unwrap().server.push(line["server"].clone()),
        }
    }
    connections.into_values().collect()
}

/// Without what may differ: our `reason`, and the `cmd_id` unless the client chose it.
fn comparable(mut message: Value, client: &str) -> Value {
    for holder in ["params", "result"] {
        if let Some(members) = message.get_mut(holder).and_then(Value::as_object_mut) {
            members.remove("reason");
            let chosen = members.get("cmd_id").and_then(Value::as_str);
            if !chosen.is_some_and(|id| client.contains(&format!("\"{id}\""))) {
                members.insert("cmd_id".to_owned(), "made up".into());
            }
        }
    }
    if let Some(error) = message.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("data");
    }
    message
}

pub fn comparables(messages: Vec<Value>, client: &str) -> Vec<Value> {
    messages.into_iter().map(|message| comparable(message, client)).collect()
}

/// Replays recordings in which no call is made; every answer must be the same.
fn replay(name: &str) {
    for exchanges in recording(name) {
        let mut rig = Rig::new(Mode::Original);
        for exchange in exchanges {
            let ours = comparables(rig.send(&exchange.client), &exchange.client);
            assert_eq!(ours, comparables(exchange.server, &exchange.client), "{name}: {}", exchange.client);
        }
        assert_eq!(rig.hub.running(), 0);
    }
}

#[test]
fn echo_and_requests_without_an_id() {
    for name in ["echo", "echo-cmd-id", "notification-request"] {
        replay(name);
    }
}

#[test]
fn test_answers_and_ends() {
    replay("exported-method-test");
}

/// The one difference: a large number comes back as it was, not rounded (ruling 7).
#[test]
fn refused_requests() {
    const ROUNDED: &str = "12345678901234567000";
    const EXACT: &str = "12345678901234567890";
    for exchanges in recording("errors-protocol") {
        let mut rig = Rig::new(Mode::Original);
        for exchange in exchanges {
            rig.hub.text(NOW, SessionId(1), &exchange.client);
            let texts: Vec<String> = rig.drain().into_iter().map(|(_, text)| text).collect();
            if exchange.client.contains(EXACT) {
                assert!(texts[0].contains(&format!("\"id\":{EXACT},")), "{texts:?}");
                assert_eq!(exchange.server[0]["id"].to_string(), ROUNDED);
                continue;
            }
            let ours = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            let ours = comparables(ours, &exchange.client);
            assert_eq!(ours, comparables(exchange.server, &exchange.client), "{}", exchange.client);
        }
    }
}

/// Where the original died in the middle, ours goes on to `Ended` (ruling 13).
#[test]
fn missing_parameters() {
    for exchanges in recording("errors-params") {
        let mut rig = Rig::new(Mode::Original);
        for exchange in exchanges {
            let ours = comparables(rig.send(&exchange.client), &exchange.client);
            let theirs = comparables(exchange.server, &exchange.client);
            let is_whole = matches!(theirs.last().map(event), Some("Ended" | "error"));
            assert_eq!(ours[..theirs.len()], theirs, "{}", exchange.client);
            assert_eq!(is_whole, ours.len() == theirs.len(), "{}", exchange.client);
            assert!(matches!(ours.last().map(event), Some("Ended" | "error")));
        }
    }
}

/// Methods that were callable by accident are unknown (ruling 28).
#[test]
fn exported_methods_are_no_commands() {
    for name in ["notify", "notifyend", "notifyevent", "notifynewerror", "run", "runsync", "wait"] {
        for exchange in recording(&format!("exported-method-{name}")).into_iter().flatten() {
            let mut rig = Rig::new(Mode::Original);
            let heard = rig.send(&exchange.client);
            assert_eq!(heard.len(), 1, "{name}");
            assert_eq!(heard[0]["error"]["message"], "unknown JSON-RPC method");
            assert_eq!(heard[0]["id"], "x");
        }
    }
}

#[test]
fn ending_a_call_that_exists_and_one_that_does_not() {
    let [exchange] = recording("callend-ok").pop().unwrap().try_into().ok().unwrap();
    let mut rig = Rig::new(Mode::Original);
    let mut ours = rig.send(&exchange.client);
    ours.extend(rig.settle(rig.ticket, Ok(())));
    assert_eq!(comparables(ours, ""), comparables(exchange.server, ""));
}

/// Every command about a call that is not there: the carrier knows no such call, or OpenSIPS says
/// so in its words.
#[test]
fn calls_that_do_not_exist() {
    let mut seen = 0;
    for exchange in recording("unknown-callid").into_iter().flatten() {
        let theirs = comparables(exchange.server, "");
        let words = theirs[1]["params"]["data"].as_str().unwrap();
        let mut rig = Rig::new(Mode::Original);
        let mut ours = rig.send(&exchange.client);
        let (code, text) = words.split_once(' ').unwrap();
        let mut failure = Failure::new(Stage::Backend, Cause::from_status(404, text));
        failure.upstream = Some(Upstream { code: code.parse().unwrap(), text: text.into() });
        ours.extend(rig.settle(rig.ticket, Err(failure)));
        assert_eq!(comparables(ours, ""), theirs);
        // A carrier of our own makes no difference between the first and the second call.
        if !exchange.client.contains("CallAttendedTransfer") {
            rig.answers.push_back(Refused::NoSuchCall);
            assert_eq!(comparables(rig.send(&exchange.client), ""), theirs);
        }
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

/// Plays a `CallStart` whose recorded first leg answers, up to `TransferStart` under the recorded
/// Call-ID.
fn play_first_leg(rig: &mut Rig, exchange: &Exchange) -> Vec<Value> {
    let mut ours = rig.send(&exchange.client);
    let owner = Some(rig.ticket);
    let callid = exchange.server.iter().find_map(|message| message["params"]["data"]["callid"].as_str()).unwrap();
    for event in
        [dialing(Party::Caller, "caller-leg"), answered(Party::Caller), connecting(), dialing(Party::Callee, callid)]
    {
        ours.extend(rig.tell(owner, event));
    }
    ours
}

#[test]
fn a_call_between_two_phones() {
    for name in ["callstart-ok", "callstart-cmd-id"] {
        let exchange = recording(name).pop().unwrap().pop().unwrap();
        let mut rig = Rig::new(Mode::Original);
        let mut ours = play_first_leg(&mut rig, &exchange);
        ours.extend(rig.tell(Some(rig.ticket), answered(Party::Callee)));
        ours.extend(rig.settle(rig.ticket, Ok(())));
        let client = &exchange.client;
        assert_eq!(comparables(ours, client), comparables(exchange.server, client), "{name}");
    }
}

#[test]
fn a_caller_that_cannot_be_reached() {
    let failures = [
        ("callstart-caller-busy", failure(Stage::Caller, 486, "Busy Here")),
        ("callstart-caller-unregistered", failure(Stage::Caller, 404, "Not Found")),
        ("callstart-caller-noanswer", failure(Stage::Caller, 408, "Request Timeout")),
        ("callstart-caller-unreachable", failure(Stage::Caller, 408, "Request Timeout")),
    ];
    for (name, result) in failures {
        let exchange = recording(name).pop().unwrap().pop().unwrap();
        let mut rig = Rig::new(Mode::Original);
        let mut ours = rig.send(&exchange.client);
        ours.extend(rig.tell(Some(rig.ticket), dialing(Party::Caller, "x")));
        ours.extend(rig.settle(rig.ticket, result));
        assert_eq!(comparables(ours, ""), comparables(exchange.server, ""), "{name}");
    }
}

#[test]
fn a_caller_that_is_no_address() {
    let exchange = recording("callstart-bad-uri").pop().unwrap().pop().unwrap();
    let mut rig = Rig::new(Mode::Original);
    let ours = rig.send(&exchange.client);
    assert!(rig.submitted.is_empty());
    assert_eq!(comparables(ours, ""), comparables(exchange.server.clone(), ""));

    // The carrier may find fault with what looked like an address to us: the client sees the same.
    let client = exchange.client.replace("not a uri", "sip:fine");
    let mut ours = rig.send(&client);
    let cause = Cause::new(Kind::BadAddress, Fault::Controller);
    ours.extend(rig.settle(rig.ticket, Err(Failure::new(Stage::Caller, cause))));
    assert_eq!(comparables(ours, ""), comparables(exchange.server, ""));
}

/// The recordings repeat the failing status for ever and never end; ours says it once, then
/// `Error`, then `Ended` (rulings 15 and 16). Everything before is the same.
#[test]
fn a_callee_that_cannot_be_reached() {
    let failures = [
        ("callstart-callee-busy", None, 486, "Busy Here"),
        ("callstart-callee-busy-baresip", None, 486, "Busy Here"),
        ("callstart-callee-noanswer", Some((180, "Ringing")), 408, "Request Timeout"),
        ("callstart-callee-unregistered", None, 404, "Not Found"),
    ];
    for (name, rings, code, text) in failures {
        let exchange = recording(name).pop().unwrap().pop().unwrap();
        let mut rig = Rig::new(Mode::Original);
        let mut ours = play_first_leg(&mut rig, &exchange);
        if let Some((status, text)) = rings {
            ours.extend(rig.tell(Some(rig.ticket), ringing(status, text)));
        }
        ours.extend(rig.settle(rig.ticket, failure(Stage::Callee, code, text)));
        let ours = comparables(ours, "");
        let (last, told) = ours.split_last_chunk::<2>().map(|(told, last)| (last, told)).unwrap();

        let status = format!("{code} {text}");
        let mut theirs = comparables(exchange.server, "");
        let is_ours_to_say = |message: &Value| {
            let extra = message["params"]["data"]["extra"].as_str();
            extra.is_none_or(|extra| extra == status || extra == "180 Ringing")
        };
        theirs.retain(is_ours_to_say);
        theirs.dedup();
        assert_eq!(told, theirs, "{name}");
        assert_eq!(event(&last[0]), "Error");
        assert_eq!(last[0]["params"]["data"], format!("transfer failed with status {status}"));
        assert_eq!(event(&last[1]), "Ended");
    }
}

/// The client leaves while the callee rings: the original died of it.
#[test]
fn a_client_that_leaves() {
    let exchange = recording("callstart-client-disconnect").pop().unwrap().pop().unwrap();
    let mut rig = Rig::new(Mode::Original);
    let mut ours = play_first_leg(&mut rig, &exchange);
    ours.extend(rig.tell(Some(rig.ticket), ringing(180, "Ringing")));
    let mut theirs = comparables(exchange.server, "");
    theirs.retain(|message| message["params"]["data"]["extra"] != "100 Trying");
    assert_eq!(comparables(ours, ""), theirs);
    rig.hub.closed(SessionId(1));
    assert!(rig.tell(Some(rig.ticket), answered(Party::Callee)).is_empty());
    assert!(rig.settle(rig.ticket, Ok(())).is_empty());
    assert_eq!(rig.hub.running(), 0);
    assert_eq!(rig.hub.counts().unheard, 2);
}
