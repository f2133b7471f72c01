//! What reaches the sockets for events and is none: garbage, strangers, streams cut anywhere.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::opensips_kit::{
    Client, LOOPBACK, Mi, PATIENCE, config, front, mi_of, opensips, uri, wait_until, wait_until_up,
};
use hookswitch_drive::opensips::simulator::Simulator;
use hookswitch_drive::opensips::{BoundEvents, MAX_EVENT_STREAMS, OpenSipsFront};
use serde_json::json;

const GARBAGE: [&[u8]; 8] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe\x00",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"E_CALL_TRANSFER\",\"params\":{\"callid\":7,\"state\":[]}}",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"E_CALL_HOLD\"}",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"E_NO_SUCH_EVENT\",\"params\":{}}",
];

#[test]
fn garbage_on_the_port_for_events_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Udp])).unwrap();
    let front = front(&mi_of(&simulator, Mi::Udp), "udp");
    let BoundEvents::Udp(at) = front.addresses().events else { panic!() };
    let neighbour = UdpSocket::bind(LOOPBACK).unwrap();
    let long = vec![b'['; 60_000];
    for bytes in GARBAGE.into_iter().chain([long.as_slice()]) {
        neighbour.send_to(bytes, at).unwrap();
    }
    Client::of(&front).whole_call();
    let counts = front.counts().unwrap();
    assert!(counts.opensips.events_bad >= 5, "{counts:?}");
    assert_eq!(counts.foreign_events, 0);
}

#[test]
fn garbage_on_a_unix_socket_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Unix])).unwrap();
    let path = folder.path().join("events");
    let front = front(&mi_of(&simulator, Mi::Unix), &format!("unix:{}", path.display()));
    let neighbour = UnixDatagram::unbound().unwrap();
    for bytes in GARBAGE {
        neighbour.send_to(bytes, &path).unwrap();
    }
    Client::of(&front).whole_call();
    assert!(front.counts().unwrap().opensips.events_bad >= 5);
}

/// A front whose OpenSIPS is far away, so that everybody on this host is a stranger.
fn far_away(events: &str) -> OpenSipsFront {
    OpenSipsFront::start(config("udp:192.0.2.1:8080", events)).unwrap()
}

#[test]
fn datagrams_of_strangers_are_counted_and_not_read() {
    let front = far_away("udp:127.0.0.1:0");
    let BoundEvents::Udp(at) = front.addresses().events else { panic!() };
    let stranger = UdpSocket::bind(LOOPBACK).unwrap();
    for _ in 0..5 {
        stranger.send_to(b"{\"jsonrpc\":\"2.0\",\"method\":\"E_CALL_HOLD\",\"params\":{}}", at).unwrap();
    }
    wait_until("they are counted", || front.counts().unwrap().foreign_events == 5);
    let counts = front.counts().unwrap().opensips;
    assert_eq!((counts.events, counts.events_bad), (0, 0));
}

#[test]
fn streams_of_strangers_are_closed() {
    let front = far_away("tcp:127.0.0.1:0");
    let BoundEvents::Tcp(at) = front.addresses().events else { panic!() };
    let mut stranger = TcpStream::connect(at).unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    // Whether the end comes as such or as an error depends on what was still under way.
    let _ = stranger.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"E_CALL_HOLD\",\"params\":{}}");
    assert!(matches!(stranger.read(&mut [0; 8]), Ok(0) | Err(_)));
    wait_until("it is counted", || front.counts().unwrap().foreign_events == 1);
    assert_eq!(front.counts().unwrap().opensips.events, 0);
}

#[test]
fn there_is_a_limit_of_streams() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Udp])).unwrap();
    let front = front(&mi_of(&simulator, Mi::Udp), "tcp");
    let BoundEvents::Tcp(at) = front.addresses().events else { panic!() };
    let streams: Vec<TcpStream> = (0..MAX_EVENT_STREAMS).map(|_| TcpStream::connect(at).unwrap()).collect();
    let mut beyond = TcpStream::connect(at).unwrap();
    beyond.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(beyond.read(&mut [0; 8]), Ok(0) | Err(_)));
    // OpenSIPS finds room again once those have gone.
    drop((streams, beyond));
    wait_until("there is room", || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        // One that is let in hears nothing.
        matches!(stream.read(&mut [0; 8]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    });
    Client::of(&front).whole_call();
}

/// Carries streams of events on to `to` in small pieces, and cuts the first of them after so many bytes.
fn sieve(to: std::net::SocketAddr, piece: usize, cut_after: Option<usize>) -> std::net::SocketAddr {
    let listener = TcpListener::bind(LOOPBACK).unwrap();
    let at = listener.local_addr().unwrap();
    let streams = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut from) = stream else { return };
            let Ok(mut onwards) = TcpStream::connect(to) else { return };
            onwards.set_nodelay(true).unwrap();
            let is_first = streams.fetch_add(1, Ordering::Relaxed) == 0;
            thread::spawn(move || {
                let mut left = cut_after.filter(|_| is_first).unwrap_or(usize::MAX);
                let mut room = [0; 4096];
                while let Ok(len @ 1..) = from.read(&mut room) {
                    for bytes in room[..len].chunks(piece) {
                        let bytes = &bytes[..bytes.len().min(left)];
                        left -= bytes.len();
                        if onwards.write_all(bytes).is_err() || left == 0 {
                            return;
                        }
                    }
                }
            });
        }
    });
    at
}

/// A front whose events come through a sieve.
fn sieved(piece: usize, cut_after: Option<usize>) -> (tempfile::TempDir, Simulator, OpenSipsFront) {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Udp])).unwrap();
    let port = TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap();
    let mut config = config(&mi_of(&simulator, Mi::Udp), &format!("tcp:{port}"));
    config.advertise = Some(format!("tcp:{}", sieve(port, piece, cut_after)).into());
    let front = OpenSipsFront::start(config).unwrap();
    wait_until_up(&front);
    (folder, simulator, front)
}

#[test]
fn a_stream_may_be_cut_into_pieces_of_any_size() {
    for piece in [1, 7, 100] {
        let (_folder, _simulator, front) = sieved(piece, None);
        Client::of(&front).whole_call();
        assert_eq!(front.counts().unwrap().opensips.events_bad, 0);
    }
}

#[test]
fn a_stream_may_end_anywhere() {
    // Somewhere in the first event, in a later one, and between two.
    for cut_after in [1, 60, 333, 900, 1_500] {
        let (_folder, _simulator, front) = sieved(64, Some(cut_after));
        let mut client = Client::of(&front);
        // The event that was lost may have been the one that mattered, so the command may fail; it ends all the same.
        client.run("CallStart", json!({ "caller": uri("alice"), "callee": uri("bob") }));
        client.run("CallStart", json!({ "caller": uri("alice"), "callee": uri("bob") }));
        client.whole_call();
    }
}
