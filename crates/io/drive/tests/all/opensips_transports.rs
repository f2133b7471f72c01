//! Every way to an OpenSIPS with every way back: a whole call, and an orderly end.

use std::time::Instant;

use crate::opensips_kit::{Client, Mi, calls, config, front, live_subscriptions, mi_of, opensips, wait_until};
use hookswitch_drive::Phase;
use hookswitch_drive::opensips::simulator::Simulator;

/// Starts, holds, transfers and ends a call; then the front leaves, and OpenSIPS knows it.
fn carries_a_call(mi: Mi, events: &str) {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[mi])).unwrap();
    let events = events.replace("FOLDER", folder.path().to_str().unwrap());
    let front = front(&mi_of(&simulator, mi), &events);
    assert_eq!(front.addresses().event_socket.split(':').next(), events.split(':').next());
    assert!(front.health().version.is_some_and(|version| version.contains("4.1")));
    assert!(live_subscriptions(&simulator) > 0);

    Client::of(&front).whole_call();
    wait_until("every call is over", || calls(&simulator) == 0);

    front.drain();
    assert_eq!(front.wait(Phase::Drained, Some(crate::opensips_kit::PATIENCE)), Phase::Drained);
    assert!(front.stop());
    wait_until("no subscription is left", || live_subscriptions(&simulator) == 0);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "mi"), "{left:?}");
}

#[test]
fn udp_and_udp() {
    carries_a_call(Mi::Udp, "udp");
}

#[test]
fn udp_and_unix() {
    carries_a_call(Mi::Udp, "unix:FOLDER/events");
}

#[test]
fn udp_and_tcp() {
    carries_a_call(Mi::Udp, "tcp");
}

#[test]
fn unix_and_udp() {
    carries_a_call(Mi::Unix, "udp:127.0.0.1:0");
}

#[test]
fn unix_and_unix() {
    carries_a_call(Mi::Unix, "unix:FOLDER/events");
}

#[test]
fn unix_and_tcp() {
    carries_a_call(Mi::Unix, "tcp:127.0.0.1:0");
}

#[test]
fn http_and_udp() {
    carries_a_call(Mi::Http, "udp");
}

#[test]
fn http_and_unix() {
    carries_a_call(Mi::Http, "unix:FOLDER/events");
}

#[test]
fn http_and_tcp() {
    carries_a_call(Mi::Http, "tcp");
}

#[test]
fn http_and_tcp_over_ipv6() {
    let folder = tempfile::tempdir().unwrap();
    let mut set_up = opensips(folder.path(), &[]);
    set_up.http = Some("[::1]:0".parse().unwrap());
    let simulator = Simulator::start(set_up).unwrap();
    let front = front(&mi_of(&simulator, Mi::Http), "tcp");
    assert!(front.addresses().event_socket.starts_with("tcp:[::1]:"));
    Client::of(&front).whole_call();
}

#[test]
fn stopping_takes_no_longer_than_it_is_allowed_to_when_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Udp])).unwrap();
    let front = front(&mi_of(&simulator, Mi::Udp), "udp");
    // The socket stays, and nobody reads it any more.
    let address = simulator.addresses().udp.unwrap();
    drop(simulator);
    let silent = std::net::UdpSocket::bind(address).unwrap();
    let begun = Instant::now();
    assert!(front.stop());
    assert!(begun.elapsed() < crate::opensips_kit::PATIENCE / 2, "{:?}", begun.elapsed());
    drop(silent);
}

#[test]
fn a_front_that_is_dropped_leaves_too() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Unix])).unwrap();
    let front = front(&mi_of(&simulator, Mi::Unix), &format!("unix:{}/events", folder.path().display()));
    assert!(folder.path().join("events").exists());
    drop(front);
    assert!(!folder.path().join("events").exists());
}

#[test]
fn the_same_socket_for_replies_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Unix])).unwrap();
    let reply = folder.path().join("replies");
    let mut config = config(&mi_of(&simulator, Mi::Unix), "udp");
    config.mi_reply = Some(reply.clone());
    let front = hookswitch_drive::OpenSipsFront::start(config).unwrap();
    crate::opensips_kit::wait_until_up(&front);
    assert!(reply.exists());
    assert!(front.stop());
    assert!(!reply.exists());
}

#[test]
fn a_session_inside_the_program_may_say_a_lot() {
    // Nobody answers, but an echo needs nobody.
    let front = hookswitch_drive::OpenSipsFront::start(config("udp:127.0.0.1:9", "udp")).unwrap();
    let mut client = Client::of(&front);
    let commands: Vec<String> =
        (0..2_000).map(|number| client.start("Echo", serde_json::json!({ "word": number.to_string() }))).collect();
    for command in commands {
        assert_eq!(client.end_of(&command).len(), 3);
    }
}
