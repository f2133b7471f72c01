//! The native REST of the calls that an OpenSIPS carries: two dialogs are one call, from its start to its record.

use std::collections::HashMap;
use std::sync::Arc;

use hookswitch_call::{CallId, Event, Party};
use hookswitch_dialect::access::Grant;
use hookswitch_dialect::journal::CommandName;
use hookswitch_dialect::journal::record::Ender;
use hookswitch_dialect::rest::{CommandTotals, Headers, Request, Response, Work};
use hookswitch_lab::opensips::{LabConfig, Network, OpenSipsLab};
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::{millis, seconds};
use hookswitch_opensips_sim::Answer;
use hookswitch_shard::{FrontConfig, FrontInput, Mode};
use serde_json::{Value, json};

pub(crate) const DAVE: &str = "sip:dave@127.0.0.1:5080";
pub(crate) const ERIN: &str = "sip:erin@127.0.0.1:5080";
const START: &str = r#"{"from":"sip:dave@127.0.0.1:5080","to":"sip:erin@127.0.0.1:5080","carrier":"opensips"}"#;

fn request(method: &str, target: &str, body: &str, grant: Grant) -> Request {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Request {
        method: method.into(),
        path: path.into(),
        query: query.map(Into::into),
        headers: Headers { content_type: Some("application/json".into()), ..Headers::default() },
        body: body.as_bytes().to_vec(),
        grant: Arc::new(grant),
        webhook: Some(Ok("c-1".into())),
        work: Work::Here,
    }
}

pub(crate) fn ask(lab: &mut OpenSipsLab, method: &str, target: &str, body: &str) -> Response {
    lab.rest(request(method, target, body, Grant::everything()))
}

pub(crate) fn document(response: &Response) -> Value {
    serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.body))
}

/// Starts a call; its path and its document.
pub(crate) fn start(lab: &mut OpenSipsLab) -> (String, Value) {
    let response = ask(lab, "POST", "/v1/calls", START);
    assert_eq!(response.status, 201, "{}", response.body);
    let call = document(&response);
    (format!("/v1/calls/{}", call["id"].as_str().unwrap()), call)
}

pub(crate) fn state(lab: &mut OpenSipsLab, path: &str) -> Value {
    document(&ask(lab, "GET", path, ""))["state"].clone()
}

pub(crate) fn list(lab: &mut OpenSipsLab) -> Vec<Value> {
    document(&ask(lab, "GET", "/v1/calls?carrier=opensips", ""))["calls"].as_array().unwrap().clone()
}

#[test]
fn a_call_is_started_shown_held_and_ended() {
    let mut lab = OpenSipsLab::default();
    let (path, call) = start(&mut lab);
    assert_eq!((&call["carrier"], &call["state"]), (&"opensips".into(), &"locating".into()));
    assert_eq!(state(&mut lab, &path), "ringing");
    assert_eq!((&call["caller"], &call["callee"], &call["anchored"]), (&DAVE.into(), &ERIN.into(), &false.into()));
    let early = ask(&mut lab, "POST", &format!("{path}/hold"), "{}");
    assert_eq!((early.status, document(&early)["code"].clone()), (409, "not_answered".into()));

    lab.pass(seconds(20));
    let shown = document(&ask(&mut lab, "GET", &format!("{path}?audio=true"), ""));
    assert_eq!((&shown["state"], &shown["audio"]), (&"talking".into(), &Value::Null));
    assert!(shown["answered"].is_string(), "{shown}");
    let legs: Vec<_> = shown["legs"].as_array().unwrap().iter().map(|leg| (&leg["party"], &leg["state"])).collect();
    // The first dialog is over once the phone has made the second one.
    assert_eq!(legs, [(&"caller".into(), &"ended".into()), (&"callee".into(), &"talking".into())]);
    let legs = document(&ask(&mut lab, "GET", "/v1/legs?carrier=opensips&state=talking", ""));
    assert_eq!((legs["legs"].as_array().unwrap().len(), &legs["legs"][0]["call"]), (1, &call["id"]));
    assert_eq!(list(&mut lab).len(), 1, "two dialogs are one call");
    let domain = |name: &str| format!("/v1/calls?carrier=opensips&domain={name}");
    assert_eq!(document(&ask(&mut lab, "GET", &domain("127.0.0.1"), ""))["calls"].as_array().unwrap().len(), 1);
    assert_eq!(document(&ask(&mut lab, "GET", &domain("x.test"), ""))["calls"], json!([]));

    let held = ask(&mut lab, "POST", &format!("{path}/hold"), "{}");
    assert_eq!(held.status, 202, "{}", held.body);
    lab.pass(seconds(20));
    let command = format!("/v1/commands/{}", document(&held)["id"].as_str().unwrap());
    assert_eq!(document(&ask(&mut lab, "GET", &command, ""))["status"], "done");

    let ended = ask(&mut lab, "DELETE", &path, "");
    assert_eq!((ended.status, state(&mut lab, &path)), (202, "ending".into()));
    assert_eq!(document(&ask(&mut lab, "DELETE", &path, ""))["code"], "call_ending");
    lab.pass(seconds(20));
    assert_eq!((state(&mut lab, &path), list(&mut lab).len()), ("ended".into(), 0));
    let page = document(&ask(&mut lab, "GET", "/v1/call-records?carrier=opensips", ""));
    assert_eq!(
        (&page["call_records"][0]["id"], &page["call_records"][0]["carrier"]),
        (&call["id"], &"opensips".into())
    );
    let ends: Vec<_> = lab.noted().commands.iter().map(|end| (end.kind, end.result.is_ok())).collect();
    assert_eq!(ends, [("start", true), ("hold", true), ("end", true)]);
    let (totals, running) = lab.front().rest_totals();
    let counted: Vec<_> = totals.iter().map(|(kind, one)| (*kind, one.done, one.failed, one.refused)).collect();
    // It was held before it was answered, and ended twice.
    assert_eq!((counted, running), (vec![("end", 1, 0, 1), ("hold", 1, 0, 1), ("start", 1, 0, 0)], 0));
}

#[test]
fn what_is_told_of_a_started_call_is_one_story_with_its_command_and_its_record() {
    let mut lab = OpenSipsLab::default();
    let body = START.replace('}', r#","webhook":{"url":"http://127.0.0.1:1/x"}}"#);
    let response = ask(&mut lab, "POST", "/v1/calls", &body);
    let call = document(&response);
    assert_eq!(call["webhook"], "c-1");
    lab.pass(seconds(20));
    let first = lab.noted().told[0].0.call;
    assert_eq!(format!("call_{first}"), call["id"]);
    assert_eq!(lab.noted().webhooks, [(first, "c-1".into(), 0)], "before anything is told of the call");
    ask(&mut lab, "DELETE", &format!("/v1/calls/call_{first}"), "");
    lab.pass(seconds(20));
    let story: Vec<&str> = lab.noted().told.iter().map(|(told, _)| word(&told.event)).collect();
    let expected = [
        "started",
        "dialing 0",
        "answered 0",
        "connecting",
        "dialing 1",
        "progress 1",
        "answered 1",
        "bridged",
        "over 0",
        "ended",
    ];
    assert_eq!(story, expected);
    for (number, (told, command)) in lab.noted().told.iter().enumerate() {
        assert_eq!((told.call, told.seq as usize), (first, number));
        // All of it but the end of the first dialog, which nobody has asked for, comes of one of the two commands.
        let of_rest = matches!(command, Some(CommandName::Rest(_)));
        assert_eq!(of_rest, !matches!(told.event, Event::LegEnded { .. }), "{told:?} {command:?}");
    }
    let [record] = lab.noted().records.as_slice() else { panic!("{:?}", lab.noted().records) };
    assert_eq!((record.call, record.carrier, record.ended_by), (first, "opensips", Ender::Application));
    assert_eq!((&*record.caller.0, &*record.callee.0, record.by_command), (DAVE, ERIN, true));
    assert!(record.answered.is_some() && record.talked > seconds(1), "{record:?}");
    let legs: Vec<_> = record.legs.iter().map(|leg| leg.party).collect();
    assert_eq!(legs, [Party::Caller, Party::Callee]);
}

fn word(event: &Event) -> &'static str {
    let of = |leg: u16, words: [&'static str; 2]| words[usize::from(leg)];
    if let Event::Dialing { leg, .. } = event {
        return of(leg.0, ["dialing 0", "dialing 1"]);
    }
    if let Event::Progress { leg, .. } = event {
        return of(leg.0, ["progress 0", "progress 1"]);
    }
    if let Event::Answered { leg, .. } = event {
        return of(leg.0, ["answered 0", "answered 1"]);
    }
    if let Event::LegEnded { leg, .. } = event {
        return of(leg.0, ["over 0", "over 1"]);
    }
    let names = [
        (matches!(event, Event::Started { .. }), "started"),
        (matches!(event, Event::Connecting { .. }), "connecting"),
        (matches!(event, Event::Bridged), "bridged"),
        (matches!(event, Event::Ended { .. }), "ended"),
        (matches!(event, Event::Noticed { .. }), "noticed"),
    ];
    names.iter().find(|(is, _)| *is).map_or("other", |(_, name)| name)
}

#[test]
fn a_call_that_comes_to_nothing_ends_once_and_has_a_record() {
    let busy = |user: &str| scripted(user).answering(Answer::Refuses(486, millis(50)));
    for user in ["dave", "erin"] {
        let mut lab = OpenSipsLab::default();
        lab.sim().phone(user, busy(user));
        let (path, call) = start(&mut lab);
        lab.pass(seconds(60));
        let over = document(&ask(&mut lab, "GET", &path, ""));
        assert_eq!((&over["state"], &over["cause"]["code"]), (&"ended".into(), &486.into()), "{user}");
        let ends = lab.noted().told.iter().filter(|(told, _)| matches!(told.event, Event::Ended { .. })).count();
        assert_eq!((ends, lab.noted().records.len()), (1, 1), "{user}");
        assert_eq!(lab.noted().records[0].answered, None);
        let end = &lab.noted().commands[0];
        assert_eq!(end.result.as_ref().unwrap_err().cause.code, 486);
        let failed = CommandTotals { failed: 1, ..CommandTotals::default() };
        assert_eq!(lab.front().rest_totals().0["start"], failed);
        let command = format!("/v1/commands/{}", call["command"].as_str().unwrap());
        assert_eq!(document(&ask(&mut lab, "GET", &command, ""))["status"], "failed");
    }
}

#[test]
fn what_opensips_cannot_do_is_said_to_be_unsupported() {
    let mut lab = OpenSipsLab::default();
    let (path, _) = start(&mut lab);
    lab.pass(seconds(20));
    let orders = [
        ("play", r#"{"party":"caller","sounds":[{"file":"a.wav"}]}"#),
        ("record", r#"{"party":"caller"}"#),
        ("transfer", r#"{"party":"caller","to":"sip:frank@127.0.0.1:5080","by":"switch"}"#),
    ];
    for (order, body) in orders {
        let refused = ask(&mut lab, "POST", &format!("{path}/{order}"), body);
        assert_eq!(
            (refused.status, document(&refused)["code"].clone()),
            (409, "unsupported".into()),
            "{order}: {}",
            refused.body
        );
    }
    let ours = ask(&mut lab, "POST", "/v1/calls", &START.replace("opensips", "switch"));
    assert_eq!(
        (document(&ours)["code"].clone(), document(&ours)["field"].clone()),
        ("not_enabled".into(), "/carrier".into())
    );
    let somewhere = ask(&mut lab, "POST", "/v1/calls/call_0000000000ff/hold", "{}");
    assert_eq!(somewhere.status, 404);
}

/// One whose OpenSIPS is asked who talks in the calls of others.
fn asking(network: Network, seed: u64) -> OpenSipsLab {
    let mut front = FrontConfig::default();
    front.opensips.parties = true;
    OpenSipsLab::new(LabConfig { front, network, seed, ..LabConfig::default() })
}

#[test]
fn calls_of_others_have_parties_a_story_and_a_record() {
    let mut lab = asking(Network::CLEAR, 0);
    let now = lab.now();
    lab.sim().call(now, "theirs@x", "dave", "erin");
    lab.pass(seconds(5));
    let calls = list(&mut lab);
    assert_eq!(calls.len(), 1);
    let one = &calls[0];
    assert_eq!(
        (&one["call_id"], &one["caller"], &one["callee"], &one["state"]),
        (&"theirs@x".into(), &DAVE.into(), &ERIN.into(), &"talking".into())
    );
    assert!(one["answered"].is_string(), "{one}");
    let path = format!("/v1/calls/{}", one["id"].as_str().unwrap());
    let of = |domain: &str| Grant { domains: vec![domain.into()], ..Grant::everything() };
    assert_eq!(lab.rest(request("GET", &path, "", of("127.0.0.1"))).status, 200);
    assert_eq!(lab.rest(request("GET", &path, "", of("x.test"))).status, 404);
    lab.pass(seconds(5));
    let now = lab.now();
    lab.sim().hang_up(now, "theirs@x");
    lab.pass(seconds(1));
    let story: Vec<&str> = lab.noted().told.iter().map(|(told, _)| word(&told.event)).collect();
    assert_eq!(story, ["noticed", "started", "bridged", "ended"]);
    let [record] = lab.noted().records.as_slice() else { panic!("{:?}", lab.noted().records) };
    assert_eq!((&*record.caller.0, &*record.callee.0, record.carrier), (DAVE, ERIN, "opensips"));
    assert_eq!((record.by_command, record.ended_by, record.cause.code), (false, Ender::Unknown, 200));
    assert_eq!(record.legs[0].wire_id.as_deref(), Some("theirs@x"));
    assert!(record.talked > seconds(8) && record.talked < seconds(11), "{record:?}");
    assert_eq!(document(&ask(&mut lab, "GET", &path, ""))["state"], "ended");
}

#[test]
fn a_call_of_others_that_nobody_answers_says_so_in_its_record() {
    for is_ended in [false, true] {
        let mut lab = asking(Network::CLEAR, 0);
        lab.sim().phone("erin", scripted("erin").answering(Answer::Rings));
        let now = lab.now();
        lab.sim().call(now, "theirs@x", "dave", "erin");
        lab.pass(seconds(2));
        let calls = list(&mut lab);
        assert_eq!(calls[0]["state"], "ringing");
        if is_ended {
            let path = format!("/v1/calls/{}", calls[0]["id"].as_str().unwrap());
            assert_eq!(ask(&mut lab, "DELETE", &path, "").status, 202);
        }
        lab.pass(seconds(60));
        let [record] = lab.noted().records.as_slice() else { panic!("{:?}", lab.noted().records) };
        assert_eq!((record.answered, record.talked, &*record.caller.0), (None, seconds(0), DAVE));
        let expected = if is_ended { (487, Ender::Application) } else { (408, Ender::Unknown) };
        assert_eq!((record.cause.code, record.ended_by), expected);
    }
}

/// OpenSIPS is not asked who they are.
#[test]
fn calls_of_others_without_parties_are_shown_by_their_call_id_and_can_be_ended() {
    let mut lab = OpenSipsLab::default();
    let now = lab.now();
    lab.sim().call(now, "theirs@x", "dave", "erin");
    lab.pass(seconds(5));
    let calls = list(&mut lab);
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (&calls[0]["call_id"], &calls[0]["caller"], &calls[0]["state"]),
        (&"theirs@x".into(), &"".into(), &"talking".into())
    );
    let path = format!("/v1/calls/{}", calls[0]["id"].as_str().unwrap());
    let of_one_domain = || Grant { domains: vec!["127.0.0.1".into()], ..Grant::everything() };
    assert_eq!(lab.rest(request("GET", &path, "", of_one_domain())).status, 404, "nobody knows in which domain it is");
    assert_eq!(ask(&mut lab, "DELETE", &path, "").status, 202);
    lab.pass(seconds(20));
    let [record] = lab.noted().records.as_slice() else { panic!("{:?}", lab.noted().records) };
    assert_eq!((&*record.caller.0, &*record.callee.0, record.ended_by), ("", "", Ender::Application));
    assert!(record.talked > seconds(4), "{record:?}");
    assert_eq!((list(&mut lab).len(), lab.sim().calls().count()), (0, 0));
}

/// A phone makes that call, and OpenSIPS tells of it as of those of strangers.
#[test]
fn the_call_of_a_transferred_phone_has_its_parties_and_a_record() {
    const FRANK: &str = "sip:frank@127.0.0.1:5080";
    for is_attended in [false, true] {
        let mut lab = OpenSipsLab::default();
        let (path, call) = start(&mut lab);
        let to_grace = START.replace("erin", "grace").replace("dave", "frank");
        let other = document(&ask(&mut lab, "POST", "/v1/calls", &to_grace));
        lab.pass(seconds(20));
        let (order, body, callee) = match is_attended {
            true => {
                let body = json!({ "party": "caller", "with": other["id"], "with_party": "caller" });
                ("bridge", body.to_string(), FRANK)
            }
            false => ("transfer", json!({ "party": "caller", "to": FRANK }).to_string(), FRANK),
        };
        let ordered = ask(&mut lab, "POST", &format!("{path}/{order}"), &body);
        assert_eq!(ordered.status, 202, "{}", ordered.body);
        lab.pass(seconds(20));
        let command = format!("/v1/commands/{}", document(&ordered)["id"].as_str().unwrap());
        assert_eq!(document(&ask(&mut lab, "GET", &command, ""))["status"], "done");
        assert_eq!(state(&mut lab, &path), "ended");
        let calls = list(&mut lab);
        let made = calls.iter().find(|one| one["call_id"].is_string()).unwrap_or_else(|| panic!("{calls:?}"));
        assert_ne!(made["id"], call["id"]);
        assert_eq!(
            (&made["caller"], &made["callee"], &made["state"]),
            (&DAVE.into(), &callee.into(), &"talking".into())
        );
        let path = format!("/v1/calls/{}", made["id"].as_str().unwrap());
        let of_one_domain = Grant { domains: vec!["127.0.0.1".into()], ..Grant::everything() };
        assert_eq!(lab.rest(request("DELETE", &path, "", of_one_domain)).status, 202);
        lab.pass(seconds(20));
        let record = lab.noted().records.last().unwrap();
        assert_eq!((&*record.caller.0, &*record.callee.0, record.carrier), (DAVE, callee, "opensips"));
        assert!(record.talked > seconds(10), "{record:?}");
    }
}

#[test]
fn a_call_of_the_call_api_is_one_call_as_well() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    lab.ask(session, "CallStart", "x", &[("caller", DAVE), ("callee", ERIN)]);
    lab.pass(seconds(20));
    let calls = list(&mut lab);
    assert_eq!((calls.len(), &calls[0]["caller"], &calls[0]["state"]), (1, &DAVE.into(), &"talking".into()));
    let path = format!("/v1/calls/{}", calls[0]["id"].as_str().unwrap());
    assert_eq!(ask(&mut lab, "DELETE", &path, "").status, 202);
    lab.pass(seconds(20));
    assert_eq!(lab.noted().records.len(), 1);
    let (started, by) = &lab.noted().told[0];
    assert!(
        matches!(started.event, Event::Started { .. }) && matches!(by, Some(CommandName::CallApi { .. })),
        "{by:?}"
    );
}

#[test]
fn new_calls_are_refused_while_it_drains_and_while_opensips_is_away() {
    let mut lab = OpenSipsLab::default();
    assert_eq!(ask(&mut lab, "POST", "/v1/drain", "{}").status, 202);
    assert!(lab.front().draining());
    assert_eq!(document(&ask(&mut lab, "POST", "/v1/calls", START))["code"], "draining");
    let mut lab = OpenSipsLab::default();
    lab.stop_opensips();
    lab.pass(seconds(30));
    assert_eq!(document(&ask(&mut lab, "POST", "/v1/calls", START))["code"], "carrier_down");
}

/// Datagrams are lost, come twice and overtake each other: the event that says whose the second dialog is may come after those
/// of the dialog itself.
#[test]
fn every_story_is_told_from_its_beginning_to_one_end_on_a_bad_network() {
    let (mut overtaken, mut named) = (0, 0);
    for seed in 0..60 {
        let mut lab = asking(Network::ROUGH, seed);
        let paths: Vec<String> = (0..4).map(|_| start(&mut lab).0).collect();
        lab.pass(millis(40 * (seed % 10)));
        ask(&mut lab, "DELETE", &paths[0], "");
        lab.pass(seconds(30));
        for path in &paths {
            ask(&mut lab, "DELETE", path, "");
        }
        lab.pass(seconds(1_200));
        let mut seen: HashMap<CallId, (u32, bool)> = HashMap::new();
        for (told, _) in &lab.noted().told {
            let (next, is_over) = seen.entry(told.call).or_default();
            assert_eq!((told.seq, *is_over), (*next, false), "seed {seed}: {told:?}");
            let begins = matches!(told.event, Event::Started { .. } | Event::Noticed { .. });
            // It may have been taken for a call of strangers, of which it is told later who they are.
            let is_named = told.seq > 0 && matches!(told.event, Event::Started { .. });
            assert_eq!(begins, told.seq == 0 || is_named, "seed {seed}: {told:?}");
            named += usize::from(is_named);
            *next += 1;
            *is_over = matches!(told.event, Event::Ended { .. });
        }
        assert!(seen.values().all(|(_, is_over)| *is_over), "seed {seed}: {seen:?}");
        assert_eq!((list(&mut lab).len(), lab.noted().records.len()), (0, 4), "seed {seed}");
        overtaken += seen.len().saturating_sub(4);
    }
    assert!(overtaken > 0, "no event has overtaken another");
    assert!(named <= overtaken, "{named} of {overtaken}");
}

#[test]
fn as_many_commands_run_as_may_and_no_more() {
    let mut front = FrontConfig::default();
    front.rest.max_running = 1;
    let mut lab = OpenSipsLab::new(LabConfig { front, ..LabConfig::default() });
    start(&mut lab);
    let second = ask(&mut lab, "POST", "/v1/calls", START);
    assert_eq!((second.status, document(&second)["code"].clone()), (503, "too_many_commands".into()));
    lab.put(FrontInput::Drain);
}
