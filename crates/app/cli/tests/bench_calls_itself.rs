//! The load generator with nothing between its two ends: what it sends must be understood by what it receives.

use std::fs;
use std::net::UdpSocket;
use std::process::ExitCode;

use clap::Parser;
use hookswitch_cli::bench::{self, BenchArgs};

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
    UdpSocket::bind("127.0.0.2:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn calls_are_completed() {
    let callee = format!("127.0.0.2:{}", free_port());
    let line = format!("calls --server {callee} --callee-addr {callee} --rate 200 --calls 40 --hold 0.1 --ring 0.05");
    assert_eq!(bench(&line), ExitCode::SUCCESS);
}

#[test]
fn audio_arrives_and_the_process_is_measured() {
    let callee = format!("127.0.0.2:{}", free_port());
    let pid = std::process::id();
    let line = format!(
        "calls --server {callee} --callee-addr {callee} --rate 50 --calls 10 --hold 0.3 --rtp --pid {pid} --json"
    );
    assert_eq!(bench(&line), ExitCode::SUCCESS);
}

#[test]
fn a_server_that_refuses_fails_the_run() {
    let server = UdpSocket::bind("127.0.0.2:0").unwrap();
    let address = server.local_addr().unwrap();
    let refuse = std::thread::spawn(move || {
        let mut refused = 0;
        while refused < 3 {
            let mut room = [0; 2048];
            let (length, from) = server.recv_from(&mut room).unwrap();
            let text = String::from_utf8_lossy(&room[..length]).into_owned();
            let Some(headers) = text.strip_prefix("INVITE ").and_then(|rest| rest.split_once("\r\n")) else {
                refused += usize::from(text.starts_with("ACK "));
                continue;
            };
            let kept = headers
                .1
                .lines()
                .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)));
            let kept: Vec<&str> = kept.collect();
            let answer = format!("SIP/2.0 486 Busy Here\r\n{}\r\nContent-Length: 0\r\n\r\n", kept.join("\r\n"));
            server.send_to(answer.as_bytes(), from).unwrap();
        }
    });
    let line = format!("calls --server {address} --callee-addr 127.0.0.2:0 --rate 50 --calls 3");
    assert_eq!(bench(&line), ExitCode::from(1));
    refuse.join().unwrap();
}

#[test]
fn what_cannot_be_done_has_codes_of_its_own() {
    assert_eq!(bench("calls --server 127.0.0.1:9 --rate 0"), ExitCode::from(2));
    assert_eq!(bench("calls --server 127.0.0.1:9 --callee-addr 127.0.0.2:0 --pid 4294967295"), ExitCode::from(3));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.json");
    fs::write(&file, "{\"calls\":{\"completed\":1}}\n").unwrap();
    let file = file.display();
    assert_eq!(bench(&format!("ratios {file} {file}")), ExitCode::SUCCESS);
    assert_eq!(bench(&format!("ratios {file} /does/not/exist")), ExitCode::from(3));
}
