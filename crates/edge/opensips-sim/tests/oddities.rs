//! What OpenSIPS does that nobody expects, each as it was observed or read in its sources.

use std::time::Duration;

use hookswitch_opensips_sim::{
    Answer, Behaviour, Modules, Oddities, PeerId, Reaction, Sim, SimConfig, SimOutput, Time, Version,
};
use serde_json::{Value, json};

const START: Time = Duration::from_secs(1_700_000_000);
const SOCKET: &str = "udp:127.0.0.1:49136";

/// A simulated OpenSIPS, its clock, and what it has said.
struct Bench {
    sim: Sim,
    now: Time,
    replies: Vec<String>,
    events: Vec<Value>,
}

impl Bench {
    fn new(config: SimConfig) -> Self {
        let mut sim = Sim::new(config, [7; 32]);
        for (user, host) in [("dave", "127.0.0.21:5060"), ("erin", "127.0.0.22:5060"), ("frank", "127.0.0.23:5060")] {
            sim.phone(user, Behaviour::scripted(user, host));
        }
        let mut bench = Self { sim, now: START, replies: Vec::new(), events: Vec::new() };
        for event in ["E_CALL_TRANSFER", "E_CALL_HOLD", "E_DLG_STATE_CHANGED"] {
            assert_eq!(
                bench.ask("event_subscribe", json!({"event": event, "socket": SOCKET, "expire": 120}))["result"],
                "OK"
            );
        }
        bench
    }

    fn orderly() -> Self {
        Self::new(SimConfig { spread: Duration::ZERO, ..SimConfig::default() })
    }

    fn say(&mut self, text: &str) {
        self.sim.handle_mi(self.now, PeerId(1), text.as_bytes());
        self.take();
    }

    fn take(&mut self) {
        while let Some(output) = self.sim.poll_output() {
            match output {
                SimOutput::MiReply { bytes, .. } => self.replies.push(String::from_utf8(bytes.to_vec()).unwrap()),
                SimOutput::Event { bytes, .. } => self.events.push(serde_json::from_slice(&bytes).unwrap()),
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.sim.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.sim.handle_timeout(self.now);
            self.take();
        }
        self.now = until;
    }

    /// Asks, and waits a while for the answer; null if there is none.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        let before = self.replies.len();
        self.say(&json!({"jsonrpc": "2.0", "id": "x", "method": method, "params": params}).to_string());
        self.pass(Duration::from_millis(100));
        self.replies.get(before).map_or(Value::Null, |reply| serde_json::from_str(reply).unwrap())
    }

    fn call(&mut self, callid: &str, caller: &str, callee: &str) {
        self.sim.call(self.now, callid, caller, callee);
        self.pass(Duration::from_millis(500));
        self.events.clear();
    }

    fn transfer(&mut self, callid: &str) -> Value {
        self.ask("call_transfer", json!({"callid": callid, "leg": "caller", "destination": "sip:frank@127.0.0.1:5080"}))
    }

    /// State and leg of each event of transfers.
    fn transfers(&self) -> Vec<(String, Value)> {
        let all = self.events.iter().filter(|event| event["method"] == "E_CALL_TRANSFER");
        all.map(|event| (event["params"]["state"].as_str().unwrap().to_owned(), event["params"]["leg"].clone()))
            .collect()
    }
}

fn invite(callid: &str, user: &str) -> Value {
    let headers = format!(
        "From: <sip:{user}@127.0.0.1:5080>\r\nTo: <sip:erin@127.0.0.1:5080>\r\nCSeq: 1 INVITE\r\nCall-Id: {callid}\r\n"
    );
    json!({"method": "INVITE", "ruri": format!("sip:{user}@127.0.0.1:5080"), "headers": headers})
}

#[test]
fn o2_the_leg_of_a_start_is_the_new_call_id_but_not_in_3_1() {
    for (version, is_wrong) in [(Version::V3_1, false), (Version::V3_4, true), (Version::V4_1, true)] {
        let mut bench = Bench::new(SimConfig { version, spread: Duration::ZERO, ..SimConfig::default() });
        bench.call("a", "dave", "erin");
        bench.transfer("a");
        let start = &bench.events.iter().find(|event| event["params"]["state"] == "start").unwrap()["params"];
        assert_eq!(start["leg"] == start["transfer_callid"], is_wrong, "{version:?}");
        assert_eq!(start["leg"] == "caller", !is_wrong, "{version:?}");
    }
}

#[test]
fn o4_an_answer_of_the_script_is_seen_as_408_and_the_phone_tells_the_truth() {
    let mut bench = Bench::orderly();
    bench.call("a", "dave", "erin");
    bench.ask("call_transfer", json!({"callid": "a", "leg": "caller", "destination": "sip:nobody@127.0.0.1:5080"}));
    bench.events.retain(|event| event["method"] == "E_CALL_TRANSFER");
    let told: Vec<(&Value, &Value)> =
        bench.events.iter().map(|event| (&event["params"]["state"], &event["params"]["status"])).collect();
    let fail = told.iter().position(|told| *told == (&json!("fail"), &json!("408 Request Timeout"))).unwrap();
    assert_eq!(told[fail + 1], (&json!("notify"), &json!("404 Not Found")));
    let destination = bench.events[fail]["params"]["destination"].as_str().unwrap();
    assert!(destination.starts_with("sip:nobody@127.0.0.1:5080;osid="), "{destination}");
}

#[test]
fn o5_a_call_is_transferred_once_and_never_again() {
    let mut bench = Bench::orderly();
    bench.call("a", "dave", "erin");
    assert_eq!(bench.transfer("a")["result"], "Accepted");
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.transfer("a")["error"]["code"], 491);
}

#[test]
fn o6_of_a_refused_or_ignored_refer_nothing_is_told() {
    for refer in [Reaction::Refuses(603), Reaction::Ignores] {
        let mut bench = Bench::orderly();
        bench.sim.phone("dave", Behaviour::scripted("dave", "127.0.0.21:5060").referred(refer));
        bench.call("a", "dave", "erin");
        assert_eq!(bench.transfer("a")["result"], "Accepted");
        bench.pass(Duration::from_secs(60));
        assert_eq!(bench.events, Vec::<Value>::new());
        assert_eq!(bench.transfer("a")["error"]["code"], 491);
    }
}

#[test]
fn o8_a_notify_after_the_end_may_have_no_leg() {
    let oddities = Oddities { early_notify: 0, null_leg: 100, ..Oddities::default() };
    let mut bench = Bench::new(SimConfig { spread: Duration::ZERO, oddities, ..SimConfig::default() });
    bench.call("a", "dave", "erin");
    bench.transfer("a");
    let transfers = bench.transfers();
    assert_eq!(transfers.last().unwrap(), &("notify".to_owned(), Value::Null));
    assert!(transfers.iter().position(|told| told.0 == "ok") < transfers.iter().rposition(|told| told.0 == "notify"));
}

#[test]
fn o9_baresip_sends_one_notify_that_nobody_sees_and_hangs_up() {
    let mut bench = Bench::orderly();
    bench.sim.phone("dave", Behaviour::baresip("dave", "127.0.0.21:5060"));
    bench.call("a", "dave", "erin");
    bench.transfer("a");
    assert_eq!(bench.transfers().iter().map(|told| told.0.as_str()).collect::<Vec<_>>(), ["start", "ok"]);
    assert_eq!(bench.ask("dlg_end_dlg", json!({"dialog_id": "a"}))["error"]["code"], 404);
}

#[test]
fn o10_processes_overtake_each_other() {
    let orders: std::collections::BTreeSet<String> = (0..20)
        .map(|seed| {
            let mut sim = Sim::new(SimConfig::default(), [seed; 32]);
            for user in ["dave", "erin"] {
                sim.phone(user, Behaviour::scripted(user, "127.0.0.21:5060"));
            }
            let mut bench = Bench { sim, now: START, replies: Vec::new(), events: Vec::new() };
            bench.ask("event_subscribe", json!({"event": "E_CALL_HOLD", "socket": SOCKET}));
            bench.call("a", "dave", "erin");
            bench.ask("call_hold", json!({"callid": "a"}));
            assert_eq!(bench.events.len(), 4);
            let word = |event: &Value| format!("{}{} ", event["params"]["leg"], event["params"]["state"]);
            bench.events.iter().map(word).collect()
        })
        .collect();
    assert!(orders.len() > 3, "{orders:?}");
}

#[test]
fn o11_what_is_no_json_is_answered_in_plain_text() {
    let mut bench = Bench::orderly();
    bench.say("this is not json");
    assert_eq!(bench.replies.last().unwrap(), "400 Parse_error");
}

#[test]
fn o12_large_ids_are_clamped_and_texts_are_not() {
    let mut bench = Bench::orderly();
    for (id, back) in [("2147483648", "2147483647"), ("7", "7"), ("\"hs-1\"", "\"hs-1\"")] {
        bench.say(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"version\"}}"));
        bench.pass(Duration::from_millis(10));
        assert!(bench.replies.last().unwrap().ends_with(&format!("\"id\":{back}}}")), "{:?}", bench.replies.last());
    }
    let before = bench.replies.len();
    bench.say("{\"jsonrpc\":\"2.0\",\"method\":\"version\"}");
    bench.pass(Duration::from_millis(10));
    assert_eq!(bench.replies.len(), before, "who gives no id gets no answer");
}

#[test]
fn o13_a_value_without_a_method_kills_4_1_but_not_3_4() {
    for (version, dies) in [(Version::V4_1, true), (Version::V3_4, false)] {
        let mut bench = Bench::new(SimConfig { version, ..SimConfig::default() });
        bench.say("[]");
        assert_eq!(bench.sim.is_dead(), dies, "{version:?}");
        assert_eq!(bench.ask("version", json!({})).is_null(), dies);
        bench.sim.restart(bench.now);
        assert!(!bench.ask("version", json!({})).is_null());
        assert_eq!(bench.sim.counts().subscriptions, 0, "a restart forgets who is subscribed");
    }
}

#[test]
fn o14_a_subscription_that_was_ended_lives_until_the_second_is_over() {
    let mut bench = Bench::orderly();
    bench.call("a", "dave", "erin");
    bench.now += Duration::from_secs(1) - Duration::from_nanos(u64::from(bench.now.subsec_nanos()));
    bench.ask("event_subscribe", json!({"event": "E_CALL_HOLD", "socket": SOCKET, "expire": 0}));
    bench.ask("call_hold", json!({"callid": "a"}));
    assert_eq!(bench.events.len(), 4);
    bench.pass(Duration::from_secs(1));
    bench.ask("call_unhold", json!({"callid": "a"}));
    assert_eq!(bench.events.len(), 4);
}

#[test]
fn a_subscription_runs_out_and_is_listed_with_what_it_has_left() {
    let mut bench = Bench::orderly();
    bench.pass(Duration::from_secs(20));
    let listed = bench.ask("subscribers_list", json!({"event": "E_CALL_HOLD", "socket": SOCKET}));
    let ttl = listed["result"]["Event"]["Subscriber"]["ttl"].as_u64().unwrap();
    assert!((98..=100).contains(&ttl), "{ttl}");
    bench.pass(Duration::from_secs(110));
    let listed = bench.ask("subscribers_list", json!({"event": "E_CALL_HOLD"}));
    assert_eq!(listed["result"]["Event"]["Subscribers"][0]["ttl"], "expired");
    bench.call("a", "dave", "erin");
    bench.ask("call_hold", json!({"callid": "a"}));
    assert_eq!(bench.events, Vec::<Value>::new());
    assert_eq!(bench.ask("subscribers_list", json!({"event": "E_CORE_LOG"}))["result"], json!({"Event": {}}));
}

#[test]
fn o17_a_second_leg_that_cannot_be_asked_has_an_event_of_field_names() {
    let oddities = Oddities { unsendable_hold: 100, ..Oddities::default() };
    let mut bench = Bench::new(SimConfig { oddities, ..SimConfig::default() });
    bench.call("a", "dave", "erin");
    assert_eq!(bench.ask("call_hold", json!({"callid": "a"}))["error"]["code"], -32_000);
    let odd = json!({"callid": "a", "leg": "callee", "action": "action", "state": "state"});
    assert!(bench.events.iter().any(|event| event["params"] == odd), "{:?}", bench.events);
}

#[test]
fn a_doubled_invite_is_refused_as_a_loop_and_makes_a_second_dialog() {
    let mut bench = Bench::orderly();
    bench.sim.phone("dave", Behaviour::scripted("dave", "").answering(Answer::Rings));
    bench.ask("t_uac_dlg", invite("x", "dave"));
    let doubled = bench.ask("t_uac_dlg", invite("x", "dave"));
    assert_eq!(doubled["result"]["Status"], "482 Loop Detected");
    let over = bench.events.iter().find(|event| event["params"]["new_state"] == 5).unwrap();
    let rings = bench.events.iter().find(|event| event["params"]["new_state"] == 2).unwrap();
    assert_eq!(over["params"]["callid"], rings["params"]["callid"]);
    assert_ne!(over["params"]["id"], rings["params"]["id"]);
    assert_eq!(bench.ask("dlg_end_dlg", json!({"dialog_id": "x"}))["result"], "OK");
    let last: Value = serde_json::from_str(bench.replies.last().unwrap()).unwrap();
    assert_eq!(last["result"]["Status"], "487 Request Terminated");
    assert_eq!(bench.ask("t_uac_cancel", json!({"callid": "x", "cseq": "1"}))["result"], "OK", "a while longer");
    assert_eq!(bench.ask("dlg_list", json!({"callid": "x"}))["result"]["Dialog"]["state"], 5);
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.ask("t_uac_cancel", json!({"callid": "x", "cseq": "1"}))["error"]["code"], 481);
    assert_eq!(bench.ask("dlg_list", json!({"callid": "x"}))["error"]["message"], "No such dialog");
}

#[test]
fn a_transfer_fails_when_its_new_call_is_ended_while_it_rings() {
    let mut bench = Bench::orderly();
    bench.sim.phone("frank", Behaviour::scripted("frank", "127.0.0.23:5060").answering(Answer::Rings));
    bench.call("a", "dave", "erin");
    bench.transfer("a");
    let new = bench.sim.calls().find(|call| *call != "a").unwrap().to_owned();
    assert_eq!(bench.ask("dlg_end_dlg", json!({"dialog_id": new}))["result"], "OK");
    bench.pass(Duration::from_secs(60));
    let ends: Vec<&Value> = bench.events.iter().filter(|event| event["params"]["state"] == "fail").collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0]["params"]["status"], "487 Request Terminated");
}

#[test]
fn methods_are_named_by_version_and_module() {
    let found = |version, modules, method: &str| {
        let mut bench = Bench::new(SimConfig { version, ..SimConfig::default() });
        bench.sim = Sim::new(SimConfig { version, modules, ..SimConfig::default() }, [1; 32]);
        bench.ask(method, json!({"callid": "a"}))["error"]["code"].as_i64().unwrap()
    };
    let (all, few) = (Modules::default(), Modules { callops: false, ..Modules::default() });
    assert_eq!(found(Version::V4_1, all, "callops:hold"), 404);
    assert_eq!(found(Version::V4_1, all, "call_hold"), 404);
    assert_eq!(found(Version::V4_1, all, "hold"), 404);
    assert_eq!(found(Version::V4_1, all, "list"), -32_001);
    assert_eq!(found(Version::V4_1, few, "call_hold"), -32_601);
    assert_eq!(found(Version::V3_4, all, "callops:hold"), -32_601);
    assert_eq!(found(Version::V3_4, all, "call_hold"), 404);
}

#[test]
fn one_leg_can_be_held_since_4_0() {
    for (version, code) in [(Version::V3_1, -32_602), (Version::V4_1, 404)] {
        let mut bench = Bench::new(SimConfig { version, ..SimConfig::default() });
        assert_eq!(bench.ask("call_hold", json!({"callid": "a", "leg": "caller"}))["error"]["code"], code);
    }
}
