//! The measurement of the native REST, with a switch that does as it is told and with one that does not.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use hookswitch_b2bua::route::Route;
use hookswitch_cli::bench::{self, BenchArgs};
use hookswitch_dialect::access::Grant;
use hookswitch_drive::{ControlConfig, MediaConfig, SipListen, Switch, SwitchConfig, Token};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_net::PortRange;
use hookswitch_shard::ShardConfig;
use hookswitch_sip::Transport;

const SECRET: &str = "the-secret-of-the-load";

#[derive(Parser)]
struct Shell {
    #[command(flatten)]
    bench: BenchArgs,
}

fn bench(line: &str) -> ExitCode {
    let words = std::iter::once("bench").chain(line.split_whitespace());
    bench::run(&Shell::parse_from(words).bench)
}

/// A port that was free a moment ago.
fn phones() -> SocketAddr {
    UdpSocket::bind("127.0.0.2:0").unwrap().local_addr().unwrap()
}

/// A switch that finds the phones there.
fn switch(phones: SocketAddr) -> Switch {
    let mut shard = ShardConfig::default();
    shard.b2bua.routes.push(Route::new("sip:bench-*@*", &format!("sip:{phones}")).unwrap());
    let policy = AddressPolicy::Auto { fallback: Ipv4Addr::LOCALHOST.into() };
    let mut media = MediaConfig::new(EngineConfig::new(policy));
    media.threads = 1;
    media.ports = PortRange { first: 18_400, last: 18_599 };
    let sip = SipListen { transport: Transport::Udp, address: (Ipv4Addr::LOCALHOST, 0).into() };
    let mut config = SwitchConfig::new(vec![sip], media, shard);
    let mut control = ControlConfig::new("127.0.0.1:0".parse().unwrap());
    control.tokens = vec![Token::of_secret(SECRET, Arc::new(Grant::everything())).unwrap()];
    config.control = Some(control);
    Switch::start(config).unwrap()
}

#[test]
fn every_call_is_started_held_and_ended() {
    let phones = phones();
    let switch = switch(phones);
    let (server, pid) = (switch.addresses().control[0], std::process::id());
    let line = format!(
        "rest --server {server} --token {SECRET} --phones {phones} --rate 100 --duration 1 --connections 4 \
         --pid {pid} --json"
    );
    assert_eq!(bench(&line), ExitCode::SUCCESS);
    assert_eq!(switch.counts().unwrap().calls, 0);
}

#[test]
fn a_switch_that_refuses_fails_the_run() {
    let phones = phones();
    let switch = switch(phones);
    let server = switch.addresses().control[0];
    let nobody = format!("rest --server {server} --phones {phones} --rate 50 --duration 0.5");
    assert_eq!(bench(&nobody), ExitCode::from(1), "without the token everything is refused");
}

#[test]
fn nobody_to_ask_or_to_measure_is_an_error() {
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let phones = phones();
    assert_eq!(bench(&format!("rest --server {nowhere} --phones {phones}")), ExitCode::from(3));
    assert_eq!(bench(&format!("rest --server {nowhere} --pid {}", u32::MAX)), ExitCode::from(3));
    assert_eq!(bench(&format!("rest --server {nowhere} --rate 0")), ExitCode::from(2));
    assert_eq!(bench(&format!("rest --server {nowhere} --token gr\u{fc}n")), ExitCode::from(2));
}
