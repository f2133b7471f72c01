//! Many commands at once, on one session and on a thousand: nothing is lost, repeated or out of order. Every client
//! checks that for each of its commands whenever it hears something.

use std::time::Duration;

use hookswitch_lab::opensips::{LabConfig, OpenSipsLab};
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::{millis, seconds};
use hookswitch_opensips_sim::Answer;
use hookswitch_shard::{FrontConfig, Mode, SessionId};

const STARTS: usize = 1_000;
const ECHOES: usize = 10_000;

fn lab() -> OpenSipsLab {
    let mut front = FrontConfig::default();
    front.call_api.max_sessions = 1_001;
    front.call_api.max_in_flight = 1_024;
    let mut lab = OpenSipsLab::new(LabConfig { front, ..LabConfig::default() });
    for user in ["dave", "erin"] {
        lab.sim().phone(user, scripted(user).answering(Answer::After(millis(800))));
    }
    lab
}

/// Starts a call for each session in turn, all within one moment.
fn start(lab: &mut OpenSipsLab, sessions: &[SessionId]) {
    for number in 0..STARTS {
        let session = sessions[number % sessions.len()];
        let parties = [("caller", "sip:dave@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")];
        lab.ask(session, "CallStart", &format!("start-{number}"), &parties);
    }
    assert_eq!(lab.front().commands_running(), STARTS, "all at once");
}

fn assert_all_connected(lab: &mut OpenSipsLab, sessions: &[SessionId]) {
    let steps = ["Started", "CallerAnswered", "Transferring", "TransferStart", "CalleeAnswered", "Ended"];
    let mut names = Vec::new();
    for session in sessions {
        let client = lab.client(*session);
        let told: Vec<(&str, &str)> = client.heard.iter().map(|heard| (heard.cmd_id(), heard.event())).collect();
        let mut by_command = std::collections::BTreeMap::<&str, Vec<&str>>::new();
        for (cmd_id, event) in told {
            by_command.entry(cmd_id).or_default().push(event);
        }
        for (cmd_id, mut events) in by_command {
            events.retain(|event| *event != "TransferPending");
            assert_eq!(events, steps, "{cmd_id}");
        }
        let new = client.heard.iter().filter(|heard| heard.event() == "CalleeAnswered");
        names.extend(new.map(|heard| heard.data()["callid"].as_str().unwrap().to_owned()));
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), STARTS, "every command was told of its own call");
    lab.pass(seconds(5));
    assert_eq!(lab.sim().counts().dialogs, STARTS, "the first legs are over, the new calls stand");
}

#[test]
fn a_thousand_starts_on_one_session() {
    let mut lab = lab();
    let sessions = [lab.open(Mode::Original)];
    start(&mut lab, &sessions);
    lab.settle(Duration::from_secs(120));
    assert_all_connected(&mut lab, &sessions);
}

#[test]
fn a_start_on_each_of_a_thousand_sessions() {
    let mut lab = lab();
    let sessions: Vec<SessionId> = (0..STARTS).map(|_| lab.open(Mode::Original)).collect();
    start(&mut lab, &sessions);
    lab.settle(Duration::from_secs(120));
    assert_all_connected(&mut lab, &sessions);
}

#[test]
fn ten_thousand_echoes_on_one_session_and_on_a_thousand() {
    for count in [1, 1_000] {
        let mut lab = lab();
        let sessions: Vec<SessionId> = (0..count).map(|_| lab.open(Mode::Original)).collect();
        for number in 0..ECHOES {
            lab.ask(sessions[number % count], "Echo", &format!("echo-{number}"), &[("n", &number.to_string())]);
        }
        let mut heard = 0;
        for (index, session) in sessions.iter().enumerate() {
            let client = lab.client(*session);
            for (turn, said) in client.heard.chunks(3).enumerate() {
                let number = turn * count + index;
                let events: Vec<&str> = said.iter().map(|heard| heard.event()).collect();
                assert_eq!(events, ["Started", "Reply", "Ended"]);
                assert_eq!(said[1].data()["n"], number.to_string());
                heard += 1;
            }
        }
        assert_eq!(heard, ECHOES);
    }
}
