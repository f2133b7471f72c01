//! Very many clients of the listeners for directories and for media channels that say nothing, or half of something.

mod harness;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use harness::{PATIENCE, config, http, tcp, web};
use hookswitch_drive::{HttpConfig, Switch};

const IDLE: Duration = Duration::from_secs(3);

/// Whether the switch has ended a connection, with or without a word, and not because it was asked anything.
fn is_over(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    let waits = read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    !waits && !rest.starts_with(b"HTTP/1.1 200")
}

/// Asks for a page while nobody else says anything, or only half a head; then all of those are gone.
fn asks_among_a_thousand(which: impl FnOnce(&Switch) -> SocketAddr, path: &str) {
    let mut config = config(30_000);
    config.http.as_mut().unwrap().idle_timeout = IDLE;
    config.channels = Some(HttpConfig { idle_timeout: IDLE, ..HttpConfig::new(web("127.0.0.1:0")) });
    let switch = Switch::start(config).unwrap();
    let address = which(&switch);
    let connect = |n: usize| {
        let mut stream = tcp(address);
        if n.is_multiple_of(2) {
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Ha").unwrap();
        }
        stream
    };
    let mut idle: Vec<TcpStream> = (0..1_000).map(connect).collect();
    let asked = Instant::now();
    let mut stream = tcp(address);
    for _ in 0..100 {
        assert_eq!(http(&mut stream, "GET", path, "").status(), 200, "{path}");
    }
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
    assert!(idle.iter_mut().all(is_over));
    assert_eq!(http(&mut tcp(address), "GET", path, "").status(), 200, "{path}");
}

#[test]
fn a_thousand_connections_that_say_nothing_hold_up_no_directory_and_end() {
    asks_among_a_thousand(|switch| switch.addresses().http[0], "/reg");
}

#[test]
fn a_thousand_connections_that_say_nothing_hold_up_no_channels_and_end() {
    asks_among_a_thousand(|switch| switch.addresses().channels[0], "/channel");
}
