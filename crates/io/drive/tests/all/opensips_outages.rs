//! An OpenSIPS that is not there yet, that dies in the middle of something, and that comes back.

use std::time::Instant;

use crate::opensips_kit::{
    Client, LOOPBACK, Mi, PATIENCE, config, error, front, mi_of, opensips, uri, wait_until, wait_until_down,
    wait_until_up,
};
use hookswitch_drive::OpenSipsFront;
use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};
use hookswitch_opensips::Link;
use serde_json::json;

/// The same OpenSIPS, started again where it was.
fn again(config: &SimulatorConfig, first: &Simulator) -> SimulatorConfig {
    let bound = first.addresses();
    SimulatorConfig { udp: bound.udp, unix: bound.unix.clone(), http: bound.http, seed: [9; 32], ..config.clone() }
}

/// A port that nobody listened on a moment ago.
fn free_port() -> u16 {
    std::net::UdpSocket::bind(LOOPBACK).unwrap().local_addr().unwrap().port()
}

#[test]
fn a_refused_port_is_known_at_once_and_commands_are_refused() {
    let mut refused = config(&format!("udp:127.0.0.1:{}", free_port()), "udp");
    // Only the network's own answer can be this fast.
    refused.opensips.mi_timeout = PATIENCE * 2;
    let front = OpenSipsFront::start(refused).unwrap();
    wait_until_down(&front);
    let begun = Instant::now();
    let mut client = Client::of(&front);
    let notices = client.run("CallStart", json!({ "caller": uri("alice"), "callee": uri("bob") }));
    assert_eq!(error(&notices), "503 OpenSIPS is not answering");
    let notices = client.run("CallEnd", json!({ "callid": "x@y" }));
    assert_eq!(error(&notices), "503 OpenSIPS is not answering");
    assert!(begun.elapsed() < PATIENCE);
    // What needs no OpenSIPS works.
    client.succeed("Echo", json!({ "word": "hello" }));
}

/// OpenSIPS is killed while one phone rings, and comes back.
fn is_lost_and_found(mi: Mi, events: &str) {
    let folder = tempfile::tempdir().unwrap();
    let set_up = opensips(folder.path(), &[mi]);
    let first = Simulator::start(set_up.clone()).unwrap();
    let events = events.replace("FOLDER", folder.path().to_str().unwrap());
    let front = front(&mi_of(&first, mi), &events);
    let mut client = Client::of(&front);
    client.whole_call();
    let ringing = client.start("CallStart", json!({ "caller": uri("ron"), "callee": uri("bob") }));
    wait_until("the phone rings", || first.with(|sim, _| sim.counts().transactions).unwrap() > 0);

    let next = again(&set_up, &first);
    drop(first);
    wait_until_down(&front);
    let Link::Down { why, .. } = front.health().mi else { panic!("up again") };
    assert!(!why.is_empty());
    assert_eq!(error(&client.end_of(&ringing)), "503 OpenSIPS is not answering");

    let second = Simulator::start(next).unwrap();
    wait_until_up(&front);
    client.whole_call();
    assert!(front.stop());
    drop(second);
}

#[test]
fn udp_recovers() {
    is_lost_and_found(Mi::Udp, "udp");
}

#[test]
fn unix_recovers() {
    is_lost_and_found(Mi::Unix, "unix:FOLDER/events");
}

#[test]
fn http_recovers() {
    is_lost_and_found(Mi::Http, "tcp");
}

#[test]
fn a_restart_too_quick_to_be_noticed_costs_no_subscription() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Udp])).unwrap();
    let front = front(&mi_of(&simulator, Mi::Udp), "udp");
    // Only who was seen in OpenSIPS's list can be missed there.
    let sent = front.counts().unwrap().opensips.requests_sent;
    wait_until("the list was looked at", || front.counts().unwrap().opensips.requests_sent > sent + 4);
    simulator.with(hookswitch_opensips_sim::Sim::restart).unwrap();
    assert_eq!(crate::opensips_kit::live_subscriptions(&simulator), 0);
    wait_until("the subscriptions are made again", || crate::opensips_kit::live_subscriptions(&simulator) > 0);
    wait_until_up(&front);
    Client::of(&front).whole_call();
}

#[test]
fn an_opensips_that_is_started_after_us_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mi");
    let front = OpenSipsFront::start(config(&format!("unix:{}", path.display()), "udp")).unwrap();
    wait_until_down(&front);
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Unix])).unwrap();
    wait_until_up(&front);
    Client::of(&front).whole_call();
    drop(simulator);
}

#[test]
fn a_name_is_looked_up_again_and_still_leads_there() {
    let folder = tempfile::tempdir().unwrap();
    let set_up = opensips(folder.path(), &[Mi::Udp]);
    let first = Simulator::start(set_up.clone()).unwrap();
    let port = first.addresses().udp.unwrap().port();
    let front = front(&format!("udp:localhost:{port}"), "udp");
    let next = again(&set_up, &first);
    drop(first);
    wait_until_down(&front);
    let second = Simulator::start(next).unwrap();
    wait_until_up(&front);
    Client::of(&front).whole_call();
    drop(second);
}
