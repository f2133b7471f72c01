//! The Call API's WebSocket: handshake, limits, pings, and readers that do not read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::harness::{PATIENCE, config, read_response, tcp};
use futures_util::{SinkExt, StreamExt};
use hookswitch_dialect::call_api::{Mode, Origins};
use hookswitch_drive::{MAX_MESSAGE, SUBPROTOCOL_STRICT, Switch};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

const ECHO: &str = r#"{"jsonrpc":"2.0","id":"1","method":"Echo","params":{"cmd_id":"c","word":"hello"}}"#;

async fn connect(address: SocketAddr) -> Socket {
    connect_async(format!("ws://{address}/call-api")).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Option<Message> {
    timeout(PATIENCE, socket.next()).await.expect("no answer in time")?.ok()
}

async fn text(socket: &mut Socket) -> String {
    loop {
        match next(socket).await.expect("closed") {
            Message::Text(text) => return text.as_str().to_owned(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Reads until the close frame and returns its code.
async fn close_code(socket: &mut Socket) -> u16 {
    loop {
        let message = next(socket).await.expect("closed without a frame");
        if let Message::Close(frame) = message {
            return frame.expect("a code").code.into();
        }
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

#[test]
fn a_command_is_answered_on_both_families_of_localhost() {
    let switch = Switch::start(config(29_000)).unwrap();
    for address in &switch.addresses().call_api {
        run(async {
            let mut socket = connect(*address).await;
            for frame in [Message::text(ECHO), Message::binary(ECHO.as_bytes().to_vec())] {
                socket.send(frame).await.unwrap();
                assert!(text(&mut socket).await.contains(r#""event":"Started""#));
                assert!(text(&mut socket).await.contains(r#""event":"Reply""#));
                assert!(text(&mut socket).await.contains(r#""event":"Ended""#));
            }
        });
    }
}

fn plain(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = tcp(address);
    stream.write_all(format!("{request}\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
    let response = read_response(&mut stream);
    (response.status(), response.head)
}

#[test]
fn what_is_no_handshake_is_refused() {
    let switch = Switch::start(config(29_000)).unwrap();
    let address = switch.addresses().call_api[0];
    let (status, head) = plain(address, "GET /call-api HTTP/1.1");
    assert_eq!(status, 400);
    assert!(head.contains("sec-websocket-version: 13\r\n"), "{head}");
    assert_eq!(plain(address, "GET / HTTP/1.1").0, 404);
    assert_eq!(plain(address, "GET /call-api/more HTTP/1.1").0, 404);
}

/// The status of a handshake from a web page.
async fn page(address: SocketAddr, origin: &str, subprotocol: Option<&str>) -> u16 {
    let mut request = format!("ws://{address}/call-api").into_client_request().unwrap();
    request.headers_mut().insert("Origin", origin.parse().unwrap());
    if let Some(name) = subprotocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", name.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn any_page_may_connect_unless_pages_are_listed_and_strict_sessions_want_them_listed() {
    let origin = "https://elsewhere.example";
    let open = Switch::start(config(29_000)).unwrap();
    let mut listed = config(29_000);
    let application = listed.application.as_mut().unwrap();
    application.origins = Origins(vec![origin.into()]);
    application.mode = Mode::Strict;
    let listed = Switch::start(listed).unwrap();
    run(async {
        let address = open.addresses().call_api[0];
        assert_eq!(page(address, origin, None).await, 101);
        assert_eq!(page(address, origin, Some(SUBPROTOCOL_STRICT)).await, 403);
        let address = listed.addresses().call_api[0];
        assert_eq!(page(address, origin, None).await, 101);
        assert_eq!(page(address, "https://evil.example", None).await, 403);
        // A listener may be strict by itself.
        let mut socket = connect(address).await;
        socket.send(Message::text("[]")).await.unwrap();
        assert!(text(&mut socket).await.contains("-32600"));
    });
}

#[test]
fn the_strict_dialect_may_be_asked_for() {
    let switch = Switch::start(config(29_000)).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut request = format!("ws://{address}/call-api").into_client_request().unwrap();
        let offered = format!("other, {SUBPROTOCOL_STRICT}");
        request.headers_mut().insert("Sec-WebSocket-Protocol", offered.parse().unwrap());
        let (mut socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL_STRICT);
        socket.send(Message::text("[]")).await.unwrap();
        assert!(text(&mut socket).await.contains("-32600"));
        // In the strict dialect messages are text.
        socket.send(Message::binary(ECHO.as_bytes().to_vec())).await.unwrap();
        assert_eq!(close_code(&mut socket).await, 1003);
    });
}

/// A sender that has not read anything yet is still told, because the switch reads on for a while after its close frame:
/// else the system would reset the connection, and the reset would overtake that frame.
#[test]
fn a_message_too_long_costs_its_sender_only_and_tells_it_so() {
    let switch = Switch::start(config(29_000)).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut other = connect(address).await;
        for size in [MAX_MESSAGE + 1, 2 * 1024 * 1024, 12 * 1024 * 1024] {
            let mut socket = connect(address).await;
            // The whole message can be sent, however early the switch has seen that it is too long.
            socket.send(Message::text(" ".repeat(size))).await.unwrap();
            assert_eq!(close_code(&mut socket).await, 1009, "{size}");
            // And the connection ends in good order.
            assert!(next(&mut socket).await.is_none(), "{size}");
        }
        let fits = format!("{ECHO}{}", " ".repeat(MAX_MESSAGE - ECHO.len()));
        other.send(Message::text(fits)).await.unwrap();
        assert!(text(&mut other).await.contains("Started"));
    });
}

#[test]
fn a_listener_may_take_shorter_messages_only() {
    let mut config = config(29_000);
    config.application.as_mut().unwrap().max_message = 1_000;
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut socket = connect(address).await;
        socket.send(Message::text(format!("{ECHO}{}", " ".repeat(1_000 - ECHO.len())))).await.unwrap();
        assert!(text(&mut socket).await.contains("Started"));
        socket.send(Message::text(" ".repeat(1_001))).await.unwrap();
        while !matches!(next(&mut socket).await.expect("closed without a frame"),
            Message::Close(Some(frame)) if u16::from(frame.code) == 1009)
        {}
    });
}

#[test]
fn broken_frames_are_a_protocol_error() {
    let switch = Switch::start(config(29_000)).unwrap();
    let address = switch.addresses().call_api[0];
    let mut stream = tcp(address);
    let handshake = "GET /call-api HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    // An opcode that does not exist, and no mask.
    stream.write_all(&[0x8B, 0x01, 0x00]).unwrap();
    let mut frame = [0; 4];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[0], 0x88);
    assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), 1002);
}

#[test]
fn whoever_does_not_answer_pings_is_disconnected() {
    let mut config = config(29_000);
    config.application.as_mut().unwrap().ping_every = Duration::from_millis(100);
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        // This one answers, because it reads.
        let mut alive = connect(address).await;
        let watch = async {
            let mut pings = 0;
            while pings < 8 {
                match next(&mut alive).await {
                    Some(Message::Ping(_)) => pings += 1,
                    other => panic!("{other:?}"),
                }
            }
        };
        watch.await;
        alive.send(Message::text(ECHO)).await.unwrap();
        text(&mut alive).await;
    });
    // This one reads nothing and so answers nothing.
    let mut dead = TcpStream::connect(address).unwrap();
    let handshake = "GET /call-api HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    dead.write_all(handshake.as_bytes()).unwrap();
    dead.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut all = Vec::new();
    dead.read_to_end(&mut all).unwrap();
    let frames = all.split_at(all.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4).1;
    // Two pings, and a close with 1008.
    assert_eq!(frames[..4], [0x89, 0, 0x89, 0]);
    assert_eq!(frames[4..8], [0x88, 2, 0x03, 0xF0]);
}

#[test]
fn a_slow_reader_is_disconnected_and_the_others_do_not_notice() {
    let switch = Switch::start(config(29_000)).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let slow = connect(address).await;
        let (mut sink, mut stream) = slow.split();
        let mut other = connect(address).await;
        let word = "x".repeat(60_000);
        let echo = format!(r#"{{"jsonrpc":"2.0","id":"1","method":"Echo","params":{{"word":"{word}"}}}}"#);
        // Every command is answered with as much as it says, and nothing of that is read.
        let flood = async {
            for _ in 0..2_000 {
                if timeout(PATIENCE, sink.send(Message::text(echo.clone()))).await.is_err() {
                    return;
                }
                if sink.send(Message::text(echo.clone())).await.is_err() {
                    return;
                }
            }
            panic!("was never disconnected");
        };
        flood.await;
        other.send(Message::text(ECHO)).await.unwrap();
        assert!(text(&mut other).await.contains("Started"));
        // What had been sent before is still there; then comes the end.
        while let Ok(Some(Ok(_))) = timeout(PATIENCE, stream.next()).await {}
    });
}

#[test]
fn sessions_beyond_the_limit_are_turned_away() {
    let mut config = config(29_000);
    config.application.as_mut().unwrap().max_sessions = 3;
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(connect(address).await);
        }
        let refused = connect_async(format!("ws://{address}/call-api")).await.unwrap_err();
        assert!(refused.to_string().contains("503"), "{refused}");
        sessions.pop().unwrap().close(None).await.unwrap();
        // The place is free as soon as the switch has seen the end of the session.
        for _ in 0..100 {
            if connect_async(format!("ws://{address}/call-api")).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the place was not given back");
    });
}

#[test]
fn a_switch_that_stops_says_goodbye() {
    let switch = Switch::start(config(29_000)).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut socket = connect(address).await;
        socket.send(Message::text(ECHO)).await.unwrap();
        text(&mut socket).await;
        let stopping = std::thread::spawn(move || switch.stop());
        assert_eq!(close_code(&mut socket).await, 1001);
        drop(socket);
        assert!(stopping.join().unwrap());
    });
}
