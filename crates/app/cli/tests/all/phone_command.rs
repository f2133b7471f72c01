//! `hookswitch phone` against itself, over real sockets: exit codes are what scripts live by.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Parser;
use hookswitch_cli::phone::{self, PhoneArgs};

#[derive(Parser)]
struct Shell {
    #[command(flatten)]
    phone: PhoneArgs,
}

fn phone(line: &str) -> ExitCode {
    let words = std::iter::once("phone").chain(line.split_whitespace());
    phone::run(&Shell::parse_from(words).phone)
}

/// A port that was free a moment ago for both transports. None of those that the system gives away by itself: somebody
/// else would get it meanwhile, and whoever connects to it before the phone is there might meet itself.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let tried = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (std::process::id() as u16 % 1_000) * 16 + tried % 16;
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Starts a phone that waits, and returns once somebody is at its port.
fn waiting(port: u16, line: &str) -> JoinHandle<ExitCode> {
    let udp = !line.contains("tcp");
    let line = format!("--listen 127.0.0.1:{port} --server 127.0.0.1 --wait 20 {line}");
    let waiting = std::thread::spawn(move || phone(&line));
    while !(if udp { is_bound(port) } else { TcpStream::connect(("127.0.0.1", port)).is_ok() }) {
        assert!(!waiting.is_finished(), "the phone could not start");
    }
    waiting
}

/// A datagram to a port where nobody is comes back as an error.
fn is_bound(port: u16) -> bool {
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe.connect(("127.0.0.1", port)).unwrap();
    probe.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    probe.send(b"\r\n\r\n").unwrap();
    !matches!(probe.recv(&mut [0; 16]), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn a_call_to_an_echo_hears_itself() {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("heard.wav");
    let bob = waiting(port, &format!("--answer --record {}", wav.display()));
    // Not an echo in truth: both play the same tone.
    assert_eq!(phone(&format!("sip:echo@127.0.0.1:{port} --duration 1.6 --ladder")), ExitCode::SUCCESS);
    assert_eq!(bob.join().unwrap(), ExitCode::SUCCESS);
    assert!(std::fs::metadata(wav).unwrap().len() > 16_000, "a second of sound at least");
}

#[test]
fn over_tcp_too_and_the_wrong_tone_is_code_6() {
    let port = free_port();
    let bob = waiting(port, "--answer --transport tcp --tone 700");
    let line = format!("sip:bob@127.0.0.1:{port};transport=tcp --duration 1.6 --json --expect-tone 1000");
    assert_eq!(phone(&line), ExitCode::from(6));
    assert_eq!(bob.join().unwrap(), ExitCode::SUCCESS);
}

#[test]
fn busy_is_code_4_for_the_caller_and_0_for_who_was_to_be_busy() {
    let port = free_port();
    let bob = waiting(port, "--busy");
    assert_eq!(phone(&format!("sip:bob@127.0.0.1:{port}")), ExitCode::from(4));
    assert_eq!(bob.join().unwrap(), ExitCode::SUCCESS);
}

#[test]
fn nobody_there_is_code_5() {
    assert_eq!(phone(&format!("sip:bob@127.0.0.1:{}", free_port())), ExitCode::from(5));
}

#[test]
fn no_registrar_is_code_3_no_call_7_and_no_sense_2() {
    assert_eq!(phone(&format!("--register --server 127.0.0.1:{}", free_port())), ExitCode::from(3));
    assert_eq!(phone("--answer --server 127.0.0.1 --wait 0.1"), ExitCode::from(7));
    assert_eq!(phone("--server 127.0.0.1"), ExitCode::from(2));
    assert_eq!(phone("sip:echo@127.0.0.1 --play /does/not/exist.wav"), ExitCode::from(1));
}
