//! The phones of `bench registrations` with a switch, and with servers that behave otherwise.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use hookswitch_call::directory::{Directory, Layer, Secret};
use hookswitch_cli::bench::{self, BenchArgs};
use hookswitch_drive::{MediaConfig, SipListen, Switch, SwitchConfig};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_net::PortRange;
use hookswitch_shard::ShardConfig;
use hookswitch_sip::{Network, Transport};

#[derive(Parser)]
struct Shell {
    #[command(flatten)]
    bench: BenchArgs,
}

fn bench(line: &str) -> ExitCode {
    let words = std::iter::once("bench").chain(line.split_whitespace());
    bench::run(&Shell::parse_from(words).bench)
}

/// A port that was free a moment ago on every address.
fn free_port() -> u16 {
    UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

const USERS: usize = 30;

/// A switch with users in a domain, which trusts the callers of `bench calls`.
fn switch() -> Switch {
    let mut directory = Directory::new();
    let users = (0..USERS).map(|number| (format!("phone-{number}").into(), Secret::new("s3cret")));
    directory.configure("example.test", Layer { users: users.collect(), ..Layer::default() }).unwrap();
    let mut shard = ShardConfig { directory, ..ShardConfig::default() };
    shard.limits.anchor = false;
    shard.b2bua.trusted.push(Network { addr: Ipv4Addr::LOCALHOST.into(), prefix: 32 });
    let policy = AddressPolicy::Auto { fallback: Ipv4Addr::LOCALHOST.into() };
    let mut media = MediaConfig::new(EngineConfig::new(policy));
    media.threads = 1;
    media.ports = PortRange { first: 24_000, last: 24_039 };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Switch::start(SwitchConfig::new(vec![SipListen { transport: Transport::Udp, address }], media, shard)).unwrap()
}

fn bindings(switch: &Switch) -> usize {
    switch.counts().unwrap().bindings
}

#[test]
fn phones_register_and_refresh() {
    let switch = switch();
    let (server, port, pid) = (switch.addresses().sip[0].address, free_port(), std::process::id());
    let line = format!(
        "registrations --server {server} --phones 127.64.0.1:{port} --users {USERS} --rate 300 --refresh 0.3 \
         --pid {pid} --json"
    );
    assert_eq!(bench(&line), ExitCode::SUCCESS);
    assert_eq!(bindings(&switch), USERS);
}

#[test]
fn phones_that_stay_are_called() {
    let switch = switch();
    let (server, port) = (switch.addresses().sip[0].address, free_port());
    // For longer than this program runs.
    let line = format!("registrations --server {server} --phones 127.64.0.1:{port} --users {USERS} --stay 1000");
    std::thread::spawn(move || bench(&line));
    let end = Instant::now() + Duration::from_secs(20);
    while bindings(&switch) < USERS {
        assert!(Instant::now() < end, "the phones do not register");
        std::thread::yield_now();
    }
    let callee = format!("127.0.0.2:{}", free_port());
    let line = format!(
        "calls --server {server} --callee-addr {callee} --from sip:load@127.0.0.1 --to sip:phone-{{n}}@example.test \
         --among {USERS} --rate 100 --calls 60 --hold 0.1"
    );
    assert_eq!(bench(&line), ExitCode::SUCCESS);
}

#[test]
fn a_wrong_password_fails_the_run() {
    let switch = switch();
    let (server, port) = (switch.addresses().sip[0].address, free_port());
    let line = format!("registrations --server {server} --phones 127.64.0.1:{port} --users 2 --password wrong");
    assert_eq!(bench(&line), ExitCode::from(1));
    assert_eq!(bindings(&switch), 0);
}

#[test]
fn a_phone_that_is_sent_away_comes_again() {
    let server = UdpSocket::bind("127.0.0.2:0").unwrap();
    let address = server.local_addr().unwrap();
    let answers = std::thread::spawn(move || {
        for status in ["503 Service Unavailable", "200 OK"] {
            let mut room = [0; 2048];
            let (length, from) = server.recv_from(&mut room).unwrap();
            let text = String::from_utf8_lossy(&room[..length]).into_owned();
            let kept = text
                .lines()
                .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)))
                .map(|line| format!("{line}\r\n"));
            let answer = format!("SIP/2.0 {status}\r\n{}Retry-After: 1\r\n\r\n", kept.collect::<String>());
            server.send_to(answer.as_bytes(), from).unwrap();
        }
    });
    let line = format!("registrations --server {address} --phones 127.64.0.1:{} --users 1", free_port());
    assert_eq!(bench(&line), ExitCode::SUCCESS);
    answers.join().unwrap();
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for words in ["--users 0", "--rate 0", "--user phone", "--phones 255.255.255.255:9", "--refresh=-1"] {
        assert_eq!(bench(&format!("registrations --server 127.0.0.1:9 {words}")), ExitCode::from(2), "{words}");
    }
}
