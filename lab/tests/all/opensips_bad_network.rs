//! One datagram is lost, doubled or late, whichever it is: a command still ends once, and well unless it was the one
//! that nobody can do without; and nobody is left in a silent call.

use std::time::Duration;

use hookswitch_lab::opensips::{LabConfig, Mishap, Network, OpenSipsLab};
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::{millis, seconds};
use hookswitch_opensips_sim::{Answer, Oddities, SimConfig};
use hookswitch_shard::{Mode, SessionId};

const DAVE: &str = "sip:dave@127.0.0.1:5080";
const ERIN: &str = "sip:erin@127.0.0.1:5080";

/// Longer than any command may take.
const PATIENCE: Duration = Duration::from_secs(200);

/// A lab in which nothing is going on: no regular look at OpenSIPS falls into the next seconds.
fn quiet(seed: u64) -> OpenSipsLab {
    let mut lab = OpenSipsLab::new(LabConfig { seed, ..LabConfig::default() });
    for user in ["dave", "erin", "frank", "grace"] {
        lab.sim().phone(user, scripted(user).answering(Answer::After(millis(700))));
    }
    let now = lab.now();
    lab.sim().call(now, "call-1", "dave", "erin");
    lab.sim().call(now, "call-2", "frank", "grace");
    lab.pass(seconds(10) + millis(500));
    lab
}

type Ask = fn(&mut OpenSipsLab, SessionId);

const COMMANDS: [(&str, Ask); 6] = [
    ("CallStart", |lab, session| lab.ask(session, "CallStart", "x", &[("caller", DAVE), ("callee", ERIN)])),
    ("CallHold", |lab, session| lab.ask(session, "CallHold", "x", &[("callid", "call-1")])),
    ("CallUnhold", |lab, session| lab.ask(session, "CallUnhold", "x", &[("callid", "call-1")])),
    ("CallBlindTransfer", |lab, session| {
        let params = [("callid", "call-1"), ("leg", "caller"), ("destination", "sip:frank@127.0.0.1:5080")];
        lab.ask(session, "CallBlindTransfer", "x", &params);
    }),
    ("CallAttendedTransfer", |lab, session| {
        let params = [("callidA", "call-1"), ("legA", "caller"), ("callidB", "call-2"), ("legB", "callee")];
        lab.ask(session, "CallAttendedTransfer", "x", &params);
    }),
    ("CallEnd", |lab, session| lab.ask(session, "CallEnd", "x", &[("callid", "call-1")])),
];

/// Runs a command while one datagram has its mishap; gives back the error, and whether there were so many datagrams.
fn run(name: &str, ask: Ask, mishap: Mishap, after: u32) -> (String, bool) {
    let mut lab = quiet(1);
    let session = lab.open(Mode::Original);
    if name == "CallUnhold" {
        lab.ask(session, "CallHold", "held", &[("callid", "call-1")]);
        lab.settle(seconds(5));
    }
    lab.mishap(mishap, after);
    ask(&mut lab, session);
    lab.settle(PATIENCE);
    let happened = lab.has_happened();
    let error = lab.client(session).error("x").to_owned();
    lab.pass(seconds(30));
    assert!(lab.front().idle(), "{name}, {mishap:?} after {after}");
    let calls: Vec<&str> = lab.sim().calls().collect();
    match name {
        // Whatever became of it, the first leg is over.
        "CallStart" => assert!(!calls.contains(&"x"), "{mishap:?} after {after}: {error:?}, {calls:?}"),
        "CallEnd" if error.is_empty() => assert!(!calls.contains(&"call-1"), "{mishap:?} after {after}"),
        _ => {}
    }
    (error, happened)
}

/// Runs a command for each of its datagrams; gives back how it failed, with the datagrams' numbers.
fn run_all(name: &str, ask: Ask, mishap: Mishap) -> Vec<(u32, String)> {
    let mut failures = Vec::new();
    for after in 0..60 {
        let (error, happened) = run(name, ask, mishap, after);
        if !happened {
            assert!(after > 1, "{name} takes {after} datagrams");
            return failures;
        }
        if !error.is_empty() {
            failures.push((after, error));
        }
    }
    panic!("{name} takes more than 60 datagrams");
}

#[test]
fn each_datagram_of_a_command_is_lost_once() {
    for (name, ask) in COMMANDS {
        let failures = run_all(name, ask, Mishap::Lost);
        // Those that nobody can do without: requests that must not be repeated, and the word of each party that was put
        // on hold.
        let most = match name {
            "CallHold" | "CallUnhold" => 3,
            "CallStart" => 2,
            _ => 1,
        };
        assert!(failures.len() <= most, "{name}: {failures:#?}");
    }
}

#[test]
fn each_datagram_of_a_command_comes_twice_once() {
    for (name, ask) in COMMANDS {
        assert_eq!(run_all(name, ask, Mishap::Doubled), [], "{name}");
    }
}

#[test]
fn each_datagram_of_a_command_comes_late_once() {
    for (name, ask) in COMMANDS {
        for late in [millis(5), millis(150)] {
            assert_eq!(run_all(name, ask, Mishap::Late(late)), [], "{name}, {late:?} late");
        }
    }
}

#[test]
fn everything_comes_twice_and_in_any_order() {
    for seed in hookswitch_lab::seeds(0..10) {
        for (name, ask) in COMMANDS {
            let mut lab = quiet(seed);
            let session = lab.open(Mode::Original);
            if name == "CallUnhold" {
                lab.ask(session, "CallHold", "held", &[("callid", "call-1")]);
                lab.settle(seconds(5));
            }
            lab.network(Network { double: 100, jitter: millis(3), ..Network::CLEAR });
            ask(&mut lab, session);
            lab.settle(PATIENCE);
            lab.network(Network::CLEAR);
            lab.pass(seconds(30));
            let calls: Vec<&str> = lab.sim().calls().collect();
            assert!(!calls.contains(&"x"), "seed {seed}, {name}: the first leg is over: {calls:?}");
            assert_eq!(lab.client(session).error("x"), "", "seed {seed}, {name}");
        }
    }
}

#[test]
fn an_end_that_opensips_calls_failed_has_ended_the_call() {
    let oddities = Oddities { unsendable_bye: 100, ..Oddities::default() };
    let sim = SimConfig { oddities, ..SimConfig::default() };
    let mut lab = OpenSipsLab::new(LabConfig { sim, ..LabConfig::default() });
    let session = lab.open(Mode::Original);
    lab.ask(session, "CallStart", "x", &[("caller", DAVE), ("callee", ERIN)]);
    lab.settle(PATIENCE);
    lab.pass(seconds(5));
    assert_eq!(lab.client(session).error("x"), "");
    assert_eq!(lab.sim().counts().dialogs, 1);
}

#[test]
fn in_a_storm_every_command_ends_once_and_no_first_leg_is_left() {
    for seed in hookswitch_lab::seeds(0..20) {
        let mut lab = quiet(seed);
        let session = lab.open(Mode::Original);
        lab.network(Network { loss: 10, double: 10, delay: millis(1), jitter: millis(50) });
        for number in 0..40 {
            let (_, ask) = COMMANDS[number % COMMANDS.len()];
            if number % COMMANDS.len() == 0 {
                let parties = [("caller", DAVE), ("callee", ERIN)];
                lab.ask(session, "CallStart", &format!("start-{number}"), &parties);
            } else if lab.client(session).running.contains_key("x") {
                lab.pass(seconds(2));
            } else {
                ask(&mut lab, session);
            }
            lab.pass(millis(300));
        }
        lab.settle(seconds(400));
        lab.network(Network::CLEAR);
        lab.pass(seconds(900));
        let left: Vec<&str> = lab.sim().calls().filter(|call| call.starts_with("start-")).collect();
        assert!(left.is_empty(), "seed {seed}: {left:?}");
        assert!(lab.is_up(), "seed {seed}");
        let running = (lab.front().commands_running(), lab.front().counts().commands, lab.front().counts().requests);
        assert_eq!(running, (0, 0, 0), "seed {seed}");
    }
}
