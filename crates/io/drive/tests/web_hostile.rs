//! Clients of the Call API that do not behave, and many that do.

mod harness;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use harness::{PATIENCE, config, tcp};
use hookswitch_drive::{MAX_OUTBOX_BYTES, Switch};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const HANDSHAKE: &str = "GET /call-api HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// One text frame of a client, with a mask of zeros.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend((text.len() as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// Reads the answer to [`HANDSHAKE`].
fn upgraded(stream: &mut TcpStream) {
    stream.write_all(HANDSHAKE.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
}

#[test]
fn a_handshake_that_comes_byte_by_byte_is_not_waited_for() {
    let mut config = config(27_200);
    config.application.as_mut().unwrap().handshake_time = Duration::from_millis(500);
    let switch = Switch::start(config).unwrap();
    let mut stream = tcp(switch.addresses().call_api[0]);
    let start = Instant::now();
    // Each byte shows that the peer is alive; only their number would take too long.
    for byte in HANDSHAKE.bytes() {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        sleep(Duration::from_millis(50));
        if start.elapsed() > PATIENCE {
            panic!("was never disconnected");
        }
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    // Nobody who says nothing at all is waited for either.
    let mut silent = tcp(switch.addresses().call_api[0]);
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
}

#[test]
fn a_connection_reset_in_the_middle_of_a_frame_leaves_its_place_to_others() {
    let mut config = config(27_200);
    config.application.as_mut().unwrap().max_sessions = 1;
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    for cut in [1, 2, 9, 13, 40] {
        // The place of the one before becomes free as soon as its reset has been seen.
        let mut stream = connect_when_there_is_room(address);
        let whole = frame(&format!(r#"{{"jsonrpc":"2.0","id":"1","method":"Echo","params":{{"n":"{cut}"}}}}"#));
        stream.write_all(&whole[..cut]).unwrap();
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
    }
    let mut stream = connect_when_there_is_room(address);
    stream.write_all(&frame(r#"{"jsonrpc":"2.0","id":"1","method":"Echo","params":{}}"#)).unwrap();
    let mut answer = [0; 64];
    let len = stream.read(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer[..len]).contains("jsonrpc"));
}

fn connect_when_there_is_room(address: SocketAddr) -> TcpStream {
    for _ in 0..200 {
        let mut stream = tcp(address);
        stream.write_all(HANDSHAKE.as_bytes()).unwrap();
        let mut head = [0; 512];
        let len = stream.read(&mut head).unwrap();
        if head[..len].starts_with(b"HTTP/1.1 101") {
            return stream;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("no room for a session");
}

#[test]
fn whoever_talks_and_never_reads_is_disconnected() {
    let mut config = config(27_200);
    config.application.as_mut().unwrap().ping_every = Duration::from_millis(300);
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    // Small windows: what it does not read waits in the switch.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    upgraded(&mut stream);
    let word = "x".repeat(60_000);
    let echo = frame(&format!(r#"{{"jsonrpc":"2.0","id":"1","method":"Echo","params":{{"word":"{word}"}}}}"#));
    // Fewer bytes than may wait for one application, more than the network takes.
    const { assert!(60 * 61_000 < MAX_OUTBOX_BYTES) };
    let mut alive = (0..60).all(|_| stream.write_all(&echo).is_ok());
    // It goes on to prove that it is alive, and so no ping is ever missed.
    let start = Instant::now();
    while alive {
        assert!(start.elapsed() < PATIENCE, "was never disconnected");
        sleep(Duration::from_millis(50));
        alive = stream.write_all(&[0x89, 0x80, 0, 0, 0, 0]).is_ok();
    }
}

#[test]
fn a_thousand_connections_are_served_side_by_side() {
    let switch = Switch::start(config(27_200)).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut sockets = Vec::new();
        for _ in 0..10 {
            let some = join_all((0..100).map(|_| connect_async(format!("ws://{address}/call-api")))).await;
            sockets.extend(some.into_iter().map(|socket| socket.unwrap().0));
        }
        assert_eq!(sockets.len(), 1_000);
        let talks = sockets.iter_mut().enumerate().map(|(n, socket)| async move {
            let echo = format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"Echo","params":{{"cmd_id":"c{n}"}}}}"#);
            socket.send(Message::text(echo)).await.unwrap();
            let mut texts = Vec::new();
            while texts.len() < 3 {
                let message = timeout(PATIENCE * 3, socket.next()).await.unwrap().unwrap().unwrap();
                texts.push(message.into_text().unwrap().as_str().to_owned());
            }
            let own = format!("\"c{n}\"");
            assert!(texts.iter().all(|text| text.contains(&own)), "{texts:?}");
            assert!(texts[0].contains("Started") && texts[1].contains("Reply") && texts[2].contains("Ended"));
        });
        join_all(talks).await;
        assert!(connect_async(format!("ws://{address}/call-api")).await.is_err(), "the limit is a thousand");
    });
}
