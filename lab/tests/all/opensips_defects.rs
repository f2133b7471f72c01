//! The defects of the original daemon, each by what ours does instead.

use hookswitch_lab::opensips::{LabConfig, Network, OpenSipsLab};
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::{millis, seconds};
use hookswitch_opensips::Config;
use hookswitch_opensips_sim::{Answer, Oddities, Reaction, SimConfig};
use hookswitch_shard::{FrontConfig, FrontInput, Mode, SessionId};
use serde_json::{Value, json};

/// Where it is shown that ours does not have a defect: a test of this file, or the part of the tree that tests it.
enum Shown {
    Here(&'static [&'static str]),
    There(&'static str),
}

use Shown::{Here, There};

const DEFECTS: [(u8, &str, Shown); 22] = [
    (1, "concurrent writes", Here(&["a_thousand_echoes_in_a_row_are_answered_in_a_row"])),
    (2, "send on closed channel", Here(&["events_after_the_end_and_clients_that_leave_kill_nothing"])),
    (3, "kill by method name", Here(&["only_commands_can_be_called"])),
    (4, "order lost", Here(&["order_is_kept_when_datagrams_overtake_each_other"])),
    (
        5,
        "failure never detected",
        Here(&["a_callee_that_is_busy_unknown_or_silent_ends_the_command", "a_refused_hold_is_an_error"]),
    ),
    (
        6,
        "no timeouts",
        Here(&[
            "a_refused_or_ignored_refer_ends_the_command",
            "a_silent_opensips_ends_every_command",
            "a_closed_port_ends_every_command_at_once",
            "odd_replies_are_survived",
        ]),
    ),
    (7, "replies mixed up", Here(&["replies_find_their_commands_in_parallel"])),
    (8, "subscriptions not refreshed", Here(&["subscriptions_last_for_hours"])),
    (9, "hold events unfiltered", Here(&["two_holds_on_one_connection_do_not_see_each_other"])),
    (10, "leaks", Here(&["fifty_connections_leave_nothing_behind"])),
    (11, "BYE past the proxy", Here(&["the_first_leg_ends_in_opensips_too"])),
    (12, "contact of the first leg", Here(&["from_contact_and_next_hop_of_the_first_leg_are_configured"])),
    (13, "no cancelling", Here(&["a_ringing_start_can_be_cancelled", "a_client_that_leaves_may_end_its_start"])),
    (14, "header injection", Here(&["nothing_is_injected_into_sip"])),
    (15, "cmd_id not unique", Here(&["a_cmd_id_is_unique_while_it_runs"])),
    (16, "no reconnect", Here(&["a_lost_opensips_is_told_and_found_again"])),
    (17, "no unsubscribing", Here(&["stopping_ends_the_subscriptions"])),
    (18, "deviations from JSON-RPC", Here(&["strict_sessions_speak_json_rpc"])),
    (19, "missing fields read as empty", Here(&["odd_events_are_counted_and_change_nothing"])),
    (20, "no IPv6, UNIX, HTTP", There("crates/io/drive")),
    (21, "exit status of call-api-client", There("crates/app/cli")),
    (22, "stuck without any event", Here(&["a_transfer_of_which_nothing_is_heard_ends"])),
];

const ALICE: &str = "sip:alice@127.0.0.1:5080";
const DAVE: &str = "sip:dave@127.0.0.1:5080";
const ERIN: &str = "sip:erin@127.0.0.1:5080";

#[test]
fn every_defect_has_its_test() {
    let source = include_str!("opensips_defects.rs");
    for (index, (number, what, shown)) in DEFECTS.iter().enumerate() {
        assert_eq!(usize::from(*number), index + 1, "{what}");
        match shown {
            Here(tests) => {
                for test in *tests {
                    assert!(source.contains(&format!("#[test]\nfn {test}()")), "{number}: {test}");
                }
            }
            There(part) => assert!(part.starts_with("crates/")),
        }
    }
}

fn start(lab: &mut OpenSipsLab, session: SessionId, cmd_id: &str, caller: &str, callee: &str) {
    lab.ask(session, "CallStart", cmd_id, &[("caller", caller), ("callee", callee)]);
}

/// A lab with one call from dave to erin, and a session.
fn with_call() -> (OpenSipsLab, SessionId) {
    let mut lab = OpenSipsLab::default();
    let now = lab.now();
    lab.sim().call(now, "call-1", "dave", "erin");
    lab.pass(seconds(1));
    let session = lab.open(Mode::Original);
    (lab, session)
}

fn oddly(oddities: Oddities) -> OpenSipsLab {
    let sim = SimConfig { oddities, ..SimConfig::default() };
    OpenSipsLab::new(LabConfig { sim, ..LabConfig::default() })
}

#[test]
fn a_thousand_echoes_in_a_row_are_answered_in_a_row() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    for number in 0..1_000 {
        lab.ask(session, "Echo", &format!("echo-{number}"), &[("n", &number.to_string())]);
    }
    let client = lab.client(session);
    assert_eq!((client.ended, client.heard.len()), (1_000, 3_000));
    for (number, said) in client.heard.chunks(3).enumerate() {
        let cmd_id = format!("echo-{number}");
        assert!(said.iter().all(|heard| heard.cmd_id() == cmd_id));
        assert_eq!(said[1].data()["n"], number.to_string());
    }
}

#[test]
fn events_after_the_end_and_clients_that_leave_kill_nothing() {
    let mut lab = OpenSipsLab::default();
    let [first, second] = [lab.open(Mode::Original), lab.open(Mode::Original)];
    start(&mut lab, first, "a", DAVE, ERIN);
    lab.settle(seconds(10));
    let new = lab.client(first).data("a", "TransferStart")["callid"].as_str().unwrap().to_owned();
    for state in ["notify", "ok", "fail", "start"] {
        let params = json!({"callid": "a", "leg": null, "transfer_callid": new, "destination": "", "state": state, "status": "200 OK"});
        lab.event(&json!({"jsonrpc": "2.0", "method": "E_CALL_TRANSFER", "params": params}).to_string());
    }
    lab.pass(seconds(2));
    assert_eq!(lab.client(first).ended, 1);
    lab.sim().phone("erin", scripted("erin").answering(Answer::After(seconds(3))));
    start(&mut lab, second, "b", DAVE, ERIN);
    lab.pass(millis(1_500));
    lab.close(second);
    lab.pass(seconds(10));
    assert!(lab.front().idle());
    lab.ask(first, "Echo", "still-there", &[]);
    assert_eq!(lab.client(first).events("still-there"), ["Started", "Reply", "Ended"]);
}

#[test]
fn only_commands_can_be_called() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    for method in ["Wait", "Notify", "NotifyEnd", "NotifyError", "NotifyNewError", "NotifyEvent", "Run", "RunSync"] {
        lab.ask(session, method, "x", &[]);
        let last = lab.client(session).heard.last().unwrap();
        assert_eq!(last.message["error"]["message"], "unknown JSON-RPC method");
    }
    assert_eq!(lab.client(session).ended, 0);
}

#[test]
fn order_is_kept_when_datagrams_overtake_each_other() {
    for seed in hookswitch_lab::seeds(0..20) {
        let mut lab = OpenSipsLab::new(LabConfig { seed, ..LabConfig::default() });
        lab.network(Network { jitter: millis(20), ..Network::CLEAR });
        let session = lab.open(Mode::Original);
        start(&mut lab, session, "a", DAVE, ERIN);
        lab.settle(seconds(60));
        // The order itself is checked whenever a client hears something.
        let events = lab.client(session).events("a");
        let steps = ["Started", "CallerAnswered", "Transferring", "TransferStart", "CalleeAnswered", "Ended"];
        let told: Vec<&str> = events.into_iter().filter(|event| *event != "TransferPending").collect();
        assert_eq!(told, steps, "seed {seed}");
    }
}

#[test]
fn a_callee_that_is_busy_unknown_or_silent_ends_the_command() {
    let cases = [
        ("busy", "erin", Some(Answer::Refuses(486, millis(0))), "486 Busy Here"),
        ("declines", "erin", Some(Answer::Refuses(603, seconds(2))), "603 Decline"),
        ("unknown", "nobody", None, "404 Not Found"),
        ("rings", "erin", Some(Answer::Rings), "408 Request Timeout"),
        ("silent", "erin", Some(Answer::Silent), "408 Request Timeout"),
    ];
    for (name, callee, answer, status) in cases {
        let mut lab = OpenSipsLab::default();
        if let Some(answer) = answer {
            lab.sim().phone(callee, scripted(callee).answering(answer));
        }
        let session = lab.open(Mode::Original);
        start(&mut lab, session, name, DAVE, &format!("sip:{callee}@127.0.0.1:5080"));
        lab.settle(seconds(60));
        let client = lab.client(session);
        assert_eq!(client.error(name), format!("transfer failed with status {status}"));
        assert_eq!(client.reason(name)["stage"], "callee");
        let pending = client.heard.iter().rev().find(|heard| heard.event() == "TransferPending").unwrap();
        assert_eq!(pending.data()["extra"], status);
        lab.pass(seconds(5));
        assert_eq!(lab.sim().counts().dialogs, 0, "{name}: nobody sits in a silent call");
    }
}

#[test]
fn a_refused_hold_is_an_error() {
    let (mut lab, session) = with_call();
    lab.sim().phone("erin", scripted("erin").reinvited(Reaction::Refuses(488)));
    lab.ask(session, "CallHold", "a", &[("callid", "call-1")]);
    lab.settle(seconds(60));
    let client = lab.client(session);
    assert!(client.error("a").starts_with("hold failed on leg callee: "), "{}", client.error("a"));
    assert_eq!(client.reason("a")["legs"], json!(["caller"]));
    assert!(client.heard.iter().all(|heard| heard.message["params"]["event"] != ""));
    lab.sim().phone("erin", scripted("erin").reinvited(Reaction::Ignores));
    lab.ask(session, "CallHold", "b", &[("callid", "call-1")]);
    lab.settle(seconds(60));
    assert!(lab.client(session).error("b").starts_with("hold failed on leg callee: "));
}

#[test]
fn a_refused_or_ignored_refer_ends_the_command() {
    for refer in [Reaction::Refuses(603), Reaction::Ignores] {
        let (mut lab, session) = with_call();
        lab.sim().phone("dave", scripted("dave").referred(refer));
        start(&mut lab, session, "a", DAVE, ERIN);
        let transfer = [("callid", "call-1"), ("leg", "caller"), ("destination", ALICE)];
        lab.ask(session, "CallBlindTransfer", "b", &transfer);
        let begun = lab.now();
        lab.settle(seconds(60));
        assert!(lab.now() - begun < seconds(12));
        for cmd_id in ["a", "b"] {
            assert_eq!(lab.client(session).error(cmd_id), "transfer not started");
            assert_eq!(lab.client(session).reason(cmd_id)["stage"], "transfer");
        }
        lab.pass(seconds(5));
        assert_eq!(lab.sim().calls().collect::<Vec<_>>(), ["call-1"], "the first leg of the start is hung up");
        lab.ask(session, "CallBlindTransfer", "again", &transfer);
        lab.settle(seconds(60));
        assert_eq!(lab.client(session).error("again"), "491 Request Pending");
    }
}

/// One of each command.
fn all_commands(lab: &mut OpenSipsLab, session: SessionId) {
    start(lab, session, "start", DAVE, ERIN);
    lab.ask(session, "CallHold", "hold", &[("callid", "call-1")]);
    lab.ask(session, "CallUnhold", "unhold", &[("callid", "call-1")]);
    lab.ask(session, "CallEnd", "end", &[("callid", "call-1")]);
    lab.ask(session, "CallBlindTransfer", "blind", &[("callid", "call-1"), ("leg", "caller"), ("destination", ALICE)]);
    let attended = [("callidA", "call-1"), ("legA", "caller"), ("callidB", "call-2"), ("legB", "callee")];
    lab.ask(session, "CallAttendedTransfer", "attended", &attended);
}

const ALL: [&str; 6] = ["start", "hold", "unhold", "end", "blind", "attended"];

#[test]
fn a_silent_opensips_ends_every_command() {
    let (mut lab, session) = with_call();
    lab.cut_opensips_off();
    all_commands(&mut lab, session);
    lab.settle(seconds(200));
    for cmd_id in ALL {
        assert_eq!(lab.client(session).error(cmd_id), "503 OpenSIPS is not answering", "{cmd_id}");
        assert_eq!(lab.client(session).reason(cmd_id)["stage"], "backend");
    }
    all_commands(&mut lab, session);
    assert!(lab.client(session).running.is_empty(), "while it is known to be down they fail at once");
}

#[test]
fn a_closed_port_ends_every_command_at_once() {
    let (mut lab, session) = with_call();
    lab.stop_opensips();
    let begun = lab.now();
    all_commands(&mut lab, session);
    lab.settle(seconds(200));
    assert!(lab.now() - begun < seconds(15), "{:?}", lab.now() - begun);
    for cmd_id in ALL {
        assert_eq!(lab.client(session).error(cmd_id), "503 OpenSIPS is not answering", "{cmd_id}");
    }
}

#[test]
fn odd_replies_are_survived() {
    let mut lab = oddly(Oddities { internal_error: 30, ..Oddities::default() });
    let session = lab.open(Mode::Original);
    for number in 0..20 {
        start(&mut lab, session, &format!("a{number}"), DAVE, ERIN);
        for odd in ["400 Parse_error", "", "[]", "{}", "null", "{\"id\":7,\"result\":1}", "{\"id\":\"x\"", "\u{0}"] {
            lab.reply(odd);
        }
        lab.pass(seconds(1));
    }
    lab.settle(seconds(300));
    assert_eq!(lab.client(session).ended, 20);
    assert!(lab.front().counts().replies_bad >= 20, "{:?}", lab.front().counts());
}

#[test]
fn replies_find_their_commands_in_parallel() {
    let (mut lab, session) = with_call();
    let now = lab.now();
    for number in 0..20 {
        lab.sim().call(now, &format!("held-{number}"), "frank", "grace");
    }
    lab.pass(seconds(1));
    lab.sim().phone("heidi", scripted("heidi").answering(Answer::After(seconds(15))));
    start(&mut lab, session, "rings", "sip:heidi@127.0.0.1:5080", ERIN);
    for number in 0..20 {
        start(&mut lab, session, &format!("start-{number}"), DAVE, ERIN);
        lab.ask(session, "CallHold", &format!("hold-{number}"), &[("callid", &format!("held-{number}"))]);
    }
    lab.ask(session, "CallHold", "unknown", &[("callid", "nope")]);
    lab.pass(seconds(5));
    let client = lab.client(session);
    assert_eq!(client.running.keys().collect::<Vec<_>>(), ["rings"], "one that rings holds up no other");
    assert_eq!(client.error("unknown"), "404 Dialog not found");
    assert_eq!(client.failed, 1);
    lab.settle(seconds(60));
    // Right after its end, on the same connection.
    lab.ask(session, "CallHold", "after", &[("callid", "call-1")]);
    lab.settle(seconds(5));
    assert_eq!(lab.client(session).failed, 1);
    assert_eq!(lab.client(session).events("after").len(), 7);
}

#[test]
fn subscriptions_last_for_hours() {
    let (mut lab, session) = with_call();
    for hour in 0..5 {
        lab.pass(seconds(3_600));
        for (command, event) in [("CallHold", "CallHoldSuccessful"), ("CallUnhold", "CallUnholdSuccessful")] {
            let cmd_id = format!("{command}-{hour}");
            lab.ask(session, command, &cmd_id, &[("callid", "call-1")]);
            lab.settle(seconds(5));
            let events = lab.client(session).events(&cmd_id);
            assert_eq!(events.iter().filter(|told| **told == event).count(), 2, "{events:?}");
        }
    }
    assert_eq!(lab.front().counts().subscriptions_remade, 0);
}

#[test]
fn two_holds_on_one_connection_do_not_see_each_other() {
    let (mut lab, session) = with_call();
    let now = lab.now();
    lab.sim().call(now, "call-2", "frank", "grace");
    lab.pass(seconds(1));
    lab.sim().phone("grace", scripted("grace").reinvited(Reaction::Refuses(488)));
    lab.ask(session, "CallHold", "good", &[("callid", "call-1")]);
    lab.ask(session, "CallHold", "bad", &[("callid", "call-2")]);
    lab.settle(seconds(60));
    let client = lab.client(session);
    assert_eq!((client.error("good"), client.events("good").len()), ("", 7));
    assert!(client.error("bad").starts_with("hold failed on leg callee: "));
    assert!(lab.sim().held("call-1") == Some((true, true)));
}

#[test]
fn fifty_connections_leave_nothing_behind() {
    let (mut lab, _) = with_call();
    lab.keep_requests();
    let now = lab.now();
    let before = (lab.sim().live_subscriptions(now), lab.front().counts().calls);
    for number in 0..50 {
        let session = lab.open(Mode::Original);
        lab.ask(session, "CallHold", &format!("h{number}"), &[("callid", "nope")]);
        lab.say(session, r#"{"jsonrpc":"2.0","id":1,"method":"CallHold","params":{"callid":5}}"#);
        lab.pass(millis(200));
        lab.close(session);
    }
    lab.pass(seconds(1));
    assert!(lab.requests("event_subscribe").len() <= 3, "commands subscribe to nothing");
    let now = lab.now();
    assert_eq!((lab.sim().live_subscriptions(now), lab.front().counts().calls), before);
    assert_eq!((lab.front().sessions(), lab.front().commands_running()), (1, 0));
}

#[test]
fn the_first_leg_ends_in_opensips_too() {
    for caller in [DAVE, ALICE] {
        let mut lab = OpenSipsLab::default();
        lab.keep_requests();
        let session = lab.open(Mode::Original);
        start(&mut lab, session, "a", caller, ERIN);
        lab.settle(seconds(60));
        lab.pass(seconds(5));
        let new = lab.client(session).data("a", "CalleeAnswered")["callid"].as_str().unwrap().to_owned();
        assert_eq!(lab.client(session).error("a"), "");
        assert_eq!(lab.sim().calls().collect::<Vec<_>>(), [new.as_str()]);
        assert!(lab.requests("t_uac_dlg").iter().all(|request| request["params"]["method"] != "BYE"));
    }
}

#[test]
fn from_contact_and_next_hop_of_the_first_leg_are_configured() {
    let opensips = Config {
        from: Some("sip:click@127.0.0.1:5080".into()),
        contact: Some("sip:hookswitch@127.0.0.1:5066".into()),
        next_hop: Some("sip:127.0.0.1:5080".into()),
        ..Config::default()
    };
    let front = FrontConfig { opensips, ..FrontConfig::default() };
    let mut lab = OpenSipsLab::new(LabConfig { front, ..LabConfig::default() });
    lab.keep_requests();
    let session = lab.open(Mode::Original);
    start(&mut lab, session, "a", DAVE, ERIN);
    lab.settle(seconds(60));
    let params = &lab.requests("t_uac_dlg")[0]["params"];
    let headers = params["headers"].as_str().unwrap();
    assert!(headers.contains("From: <sip:click@127.0.0.1:5080>\r\n"), "{headers}");
    assert!(headers.contains("Contact: <sip:hookswitch@127.0.0.1:5066>\r\n"), "{headers}");
    assert_eq!(params["next_hop"], "sip:127.0.0.1:5080");
}

#[test]
fn a_ringing_start_can_be_cancelled() {
    for mode in [Mode::Original, Mode::Strict] {
        let mut lab = OpenSipsLab::default();
        lab.sim().phone("dave", scripted("dave").answering(Answer::Rings));
        let session = lab.open(mode);
        start(&mut lab, session, "order-1", DAVE, ERIN);
        lab.pass(seconds(2));
        lab.ask(session, "CallEnd", "end", &[("callid", "order-1")]);
        lab.settle(seconds(5));
        let client = lab.client(session);
        assert_eq!(client.error("order-1"), "failed to establish initial call: 487 Request Terminated");
        assert_eq!(client.events("end"), ["Started", "Ended"]);
        assert_eq!(lab.sim().counts().dialogs + lab.sim().counts().transactions, 0);
    }
}

#[test]
fn a_client_that_leaves_may_end_its_start() {
    let mut front = FrontConfig::default();
    front.call_api.on_disconnect = hookswitch_dialect::call_api::OnDisconnect::End;
    let mut lab = OpenSipsLab::new(LabConfig { front, ..LabConfig::default() });
    lab.sim().phone("dave", scripted("dave").answering(Answer::Rings));
    let session = lab.open(Mode::Original);
    start(&mut lab, session, "a", DAVE, ERIN);
    lab.pass(seconds(2));
    lab.close(session);
    lab.pass(seconds(2));
    assert!(lab.front().idle());
    assert_eq!(lab.sim().counts().transactions, 0);
}

#[test]
fn nothing_is_injected_into_sip() {
    let mut lab = OpenSipsLab::default();
    lab.keep_requests();
    let session = lab.open(Mode::Original);
    let bad =
        ["sip:dave@127.0.0.1:5080>\r\nX-Evil: 1\r\n", "sip:dave@127.0.0.1:5080\\r\\nX-Evil: 1", "sip:a@b?Route=x"];
    for (number, uri) in bad.into_iter().enumerate() {
        for (caller, callee) in [(uri, ERIN), (DAVE, uri)] {
            let cmd_id = format!("evil-{number}-{}", caller.len());
            start(&mut lab, session, &cmd_id, caller, callee);
            lab.settle(seconds(60));
            assert_eq!(lab.client(session).error(&cmd_id), "400 Invalid ruri");
        }
    }
    assert!(lab.requests("t_uac_dlg").is_empty());
    start(&mut lab, session, "evil\\r\\nX-Evil: 1", DAVE, ERIN);
    lab.settle(seconds(60));
    assert!(!lab.requests("t_uac_dlg")[0].to_string().contains("X-Evil"));
    lab.say(session, &json!({"jsonrpc": "2.0", "id": 1, "method": "Echo", "params": {"cmd_id": "a\r\nb"}}).to_string());
    assert!(lab.client(session).heard.last().unwrap().message["error"].is_object());
}

#[test]
fn a_cmd_id_is_unique_while_it_runs() {
    let mut lab = OpenSipsLab::default();
    let [first, second] = [lab.open(Mode::Original), lab.open(Mode::Original)];
    lab.keep_requests();
    start(&mut lab, first, "same", DAVE, ERIN);
    start(&mut lab, first, "same", DAVE, ERIN);
    assert_eq!(lab.client(first).heard.last().unwrap().message["error"]["message"], "cmd_id is in use");
    start(&mut lab, second, "same", "sip:frank@127.0.0.1:5080", ERIN);
    lab.settle(seconds(60));
    assert_eq!((lab.client(first).failed, lab.client(second).failed), (0, 0));
    let call_ids: Vec<String> =
        lab.requests("t_uac_dlg").iter().map(|request| request["params"]["headers"].to_string()).collect();
    assert!(
        call_ids[0].contains("Call-Id: same\\r\\n") || call_ids[0].contains("Call-ID: same\\r\\n"),
        "{}",
        call_ids[0]
    );
    assert!(!call_ids[1].contains(": same\\r\\n"), "another client's call has another name: {}", call_ids[1]);
    start(&mut lab, first, "same", DAVE, ERIN);
    lab.settle(seconds(60));
    assert_eq!(lab.client(first).ended, 2, "it is free again after its end");
}

#[test]
fn a_lost_opensips_is_told_and_found_again() {
    let (mut lab, session) = with_call();
    lab.sim().phone("heidi", scripted("heidi").answering(Answer::Rings));
    start(&mut lab, session, "rings", "sip:heidi@127.0.0.1:5080", ERIN);
    lab.pass(seconds(1));
    lab.stop_opensips();
    lab.pass(seconds(30));
    assert!(lab.front().health().mi.is_down());
    assert_eq!(lab.client(session).error("rings"), "503 OpenSIPS is not answering");
    start(&mut lab, session, "meanwhile", DAVE, ERIN);
    assert_eq!(lab.client(session).error("meanwhile"), "503 OpenSIPS is not answering");
    lab.start_opensips();
    lab.pass(seconds(30));
    assert!(lab.is_up());
    start(&mut lab, session, "again", DAVE, ERIN);
    lab.settle(seconds(60));
    assert_eq!(lab.client(session).error("again"), "");
    assert!(lab.healths().iter().any(|health| health.mi.is_down()));
    assert_eq!(lab.front().counts().losses, 1);
}

#[test]
fn stopping_ends_the_subscriptions() {
    let (mut lab, _) = with_call();
    let now = lab.now();
    assert_eq!(lab.sim().live_subscriptions(now), 3);
    lab.put(FrontInput::Drain);
    lab.put(FrontInput::Stop);
    lab.pass(seconds(2));
    let now = lab.now();
    assert_eq!(lab.sim().live_subscriptions(now), 0);
    assert!(lab.front().stopped());
}

#[test]
fn strict_sessions_speak_json_rpc() {
    let (mut lab, session) = with_call();
    let strict = lab.open(Mode::Strict);
    let say = |lab: &mut OpenSipsLab, text: &str| -> Value {
        lab.say(strict, text);
        lab.client(strict).heard.last().unwrap().message.clone()
    };
    for (text, code) in [
        ("no", -32_700),
        ("[]", -32_600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"Echo","params":{}}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"Nope","params":{}}"#, -32_601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"CallHold","params":{}}"#, -32_602),
    ] {
        assert_eq!(say(&mut lab, text)["error"]["code"], code, "{text}");
    }
    lab.ask(session, "CallHold", "h", &[("callid", "call-1")]);
    lab.settle(seconds(5));
    assert_eq!(lab.client(session).error("h"), "");
}

#[test]
fn odd_events_are_counted_and_change_nothing() {
    let (mut lab, session) = with_call();
    lab.ask(session, "CallHold", "h", &[("callid", "call-1")]);
    let odd = [
        json!({"jsonrpc": "2.0", "method": "E_CALL_HOLD", "params": {"callid": "call-1"}}),
        json!({"jsonrpc": "2.0", "method": "E_CALL_HOLD", "params": {"callid": "call-1", "leg": "callee", "action": "action", "state": "state"}}),
        json!({"jsonrpc": "2.0", "method": "E_CALL_TRANSFER", "params": {"callid": 5, "state": null}}),
        json!({"jsonrpc": "2.0", "method": "E_NOPE", "params": {}}),
        json!([1, 2]),
        json!("x"),
    ];
    for event in &odd {
        lab.event(&event.to_string());
    }
    lab.event("{\"jsonrpc\"");
    lab.settle(seconds(60));
    let events = lab.client(session).events("h");
    assert_eq!(lab.client(session).error("h"), "", "{events:?}");
    assert_eq!(events.len(), 7);
    assert!(lab.front().counts().events_bad >= 4, "{:?}", lab.front().counts());
}

#[test]
fn a_transfer_of_which_nothing_is_heard_ends() {
    let mut lab = oddly(Oddities { mute_transfer: 100, ..Oddities::default() });
    let session = lab.open(Mode::Original);
    start(&mut lab, session, "a", ALICE, "sip:bob@127.0.0.1:5080");
    let begun = lab.now();
    lab.settle(seconds(60));
    assert!(lab.now() - begun < seconds(15));
    assert_eq!(lab.client(session).error("a"), "transfer not started");
}
