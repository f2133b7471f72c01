//! The measurement of a Call API daemon, with a front of this program as the daemon.

use std::net::UdpSocket;
use std::process::ExitCode;

use clap::Parser;
use hookswitch_cli::bench::{self, BenchArgs};
use hookswitch_drive::{ApplicationConfig, OpenSipsFront, OpenSipsFrontConfig};

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
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn every_command_says_what_it_should() {
    let mi = format!("127.0.0.1:{}", free_port());
    let config = OpenSipsFrontConfig {
        mi: mi.parse().unwrap(),
        application: Some(ApplicationConfig::new("127.0.0.1:0".parse().unwrap())),
        ..OpenSipsFrontConfig::default()
    };
    let front = OpenSipsFront::start(config).unwrap();
    let server = front.addresses().call_api[0];
    let pid = std::process::id();
    let line = format!(
        "call-api --server {server} --mi {mi} --commands 30 --probes 40 --rate 200 --echoes 1000 --connections 7 \
         --pid {pid} --json"
    );
    assert_eq!(bench(&line), ExitCode::SUCCESS);
}

#[test]
fn nobody_to_measure_is_an_error() {
    let mi = free_port();
    let line = format!("call-api --server 127.0.0.1:9 --mi 127.0.0.1:{mi} --rate 0");
    assert_eq!(bench(&line), ExitCode::from(2));
    let line = format!("call-api --server 127.0.0.1:9 --mi 127.0.0.1:{mi} --pid {}", u32::MAX);
    assert_eq!(bench(&line), ExitCode::from(3));
}
