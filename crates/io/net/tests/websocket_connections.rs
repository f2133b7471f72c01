//! WebSockets that carry SIP (RFC 7118): who may open one, what comes through, and what ends it.

mod streams;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use hookswitch_net::{CloseReason, MAX_UPGRADE, MAX_WEBSOCKET_MESSAGE, StreamKind, StreamSetup, TcpEvent, Towards};
use rustls::{ClientConnection, StreamOwned};
use streams::{Authority, PATIENCE, Side, any, client, server};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

const NAME: &str = "sip.example.test";

fn request(address: &str, headers: &[(&'static str, &str)]) -> tungstenite::handshake::client::Request {
    let mut request = address.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    request
}

/// A client on a thread of its own, so that the switch can take its turns.
fn peer<T: Send + 'static>(
    switch: &mut Side,
    headers: &[(&'static str, &str)],
    act: impl FnOnce(Result<WebSocket<TcpStream>, Error>) -> T + Send + 'static,
) -> T {
    let at = switch.address();
    let request = request(&format!("ws://{at}/"), headers);
    run(
        switch,
        std::thread::spawn(move || {
            let stream = TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            act(tungstenite::client(request, stream).map(|(socket, _)| socket).map_err(|error| match error {
                tungstenite::HandshakeError::Failure(error) => error,
                tungstenite::HandshakeError::Interrupted(_) => panic!("it blocks"),
            }))
        }),
    )
}

/// Takes turns until the thread has ended; what comes in whole is sent back.
fn run<T>(switch: &mut Side, thread: JoinHandle<T>) -> T {
    let mut answered = 0;
    while !thread.is_finished() {
        switch.turn();
        while let Some(event) = switch.events.get(answered) {
            answered += 1;
            if let TcpEvent::Message { id, bytes, kind, .. } = event {
                let to = Towards { kind: *kind, ..Towards::plain(any(), any()) };
                let (id, bytes) = (*id, bytes.clone());
                switch.send(Some(id), to, bytes);
            }
        }
    }
    thread.join().unwrap()
}

const SIP: (&str, &str) = ("sec-websocket-protocol", "sip");

#[test]
fn messages_go_both_ways_as_text_and_as_binary() {
    let mut switch = Side::new(StreamKind::Ws, StreamSetup::default());
    let echoes = peer(&mut switch, &[("sec-websocket-protocol", "chat, sip")], |socket| {
        let mut socket = socket.unwrap();
        let mut echoes = Vec::new();
        for message in [Message::text("REGISTER"), Message::binary(vec![0xff, 0, 1]), Message::binary(&b"text"[..])] {
            socket.send(message).unwrap();
            echoes.push(socket.read().unwrap());
        }
        socket.send(Message::Ping(vec![7].into())).unwrap();
        echoes.push(socket.read().unwrap());
        echoes
    });
    // What is text goes back as text, however it came.
    let expected = [
        Message::text("REGISTER"),
        Message::binary(vec![0xff, 0, 1]),
        Message::text("text"),
        Message::Pong(vec![7].into()),
    ];
    assert_eq!(echoes, expected);
    assert_eq!(switch.messages(), [&b"REGISTER"[..], &[0xff, 0, 1], b"text"]);
    assert!(matches!(switch.events[0], TcpEvent::Opened { kind: StreamKind::Ws, .. }));
}

#[test]
fn the_same_within_tls() {
    let authority = Authority::new();
    let setup = StreamSetup { server: Some(server(authority.issue(NAME), None)), ..StreamSetup::default() };
    let mut switch = Side::new(StreamKind::Wss, setup);
    let (at, config) = (switch.address(), client(authority.roots(), None));
    let request = request(&format!("wss://{NAME}/"), &[SIP]);
    let thread = std::thread::spawn(move || {
        let tcp = TcpStream::connect(at).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
        let tls = StreamOwned::new(ClientConnection::new(Arc::clone(&config), name).unwrap(), tcp);
        let (mut socket, response) = tungstenite::client(request, tls).unwrap_or_else(|error| panic!("{error}"));
        let large = Message::text("x".repeat(MAX_WEBSOCKET_MESSAGE));
        socket.send(large.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), large);
        response.headers()["sec-websocket-protocol"].clone()
    });
    assert_eq!(run(&mut switch, thread), "sip");
    assert!(matches!(switch.events[0], TcpEvent::Opened { kind: StreamKind::Wss, .. }));
}

fn status(result: Result<WebSocket<TcpStream>, Error>) -> u16 {
    match result {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn who_does_not_ask_for_sip_or_comes_from_a_foreign_page_is_refused() {
    let pages = StreamSetup { origins: ["https://phone.example.test".to_owned()].into(), ..StreamSetup::default() };
    for (setup, headers, expected) in [
        (StreamSetup::default(), &[][..], 400),
        (StreamSetup::default(), &[("sec-websocket-protocol", "xmpp")][..], 400),
        (StreamSetup::default(), &[SIP, ("origin", "https://evil.test")][..], 101),
        (pages.clone(), &[SIP, ("origin", "https://evil.test")][..], 403),
        (pages.clone(), &[SIP, ("origin", "https://Phone.example.test")][..], 101),
        (pages, &[SIP][..], 101),
    ] {
        let mut switch = Side::new(StreamKind::Ws, setup);
        assert_eq!(peer(&mut switch, headers, status), expected, "{headers:?}");
        if expected != 101 {
            assert!(switch.events.is_empty(), "what never was open is not told: {:?}", switch.events);
        }
    }
}

fn talk(switch: &mut Side, bytes: Vec<u8>) -> String {
    let at = switch.address();
    run(
        switch,
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&bytes).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        }),
    )
}

#[test]
fn what_is_no_request_for_a_websocket_is_told_so() {
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(MAX_UPGRADE));
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"),
        ("OPTIONS sip:x SIP/2.0\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("\0\0\0", "HTTP/1.1 400 Bad Request"),
        (long.as_str(), "HTTP/1.1 431 Request Header Fields Too Large"),
    ] {
        let mut switch = Side::new(StreamKind::Ws, StreamSetup::default());
        let answer = talk(&mut switch, request.as_bytes().to_vec());
        assert!(answer.starts_with(expected), "{answer}");
        switch.emptied();
        assert!(switch.events.is_empty(), "{:?}", switch.events);
    }
}

#[test]
fn a_frame_may_come_right_behind_the_request_and_in_pieces() {
    let mut switch = Side::new(StreamKind::Ws, StreamSetup::default());
    let at = switch.address();
    let head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Protocol: sip\r\n\r\n";
    // "Hello", masked, as in RFC 6455 5.7.
    let frame = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let bytes = [head.as_bytes(), &frame, &frame].concat();
    let answer = run(
        &mut switch,
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in [&bytes[..20], &bytes[20..head.len() + 3], &bytes[head.len() + 3..]] {
                stream.write_all(piece).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let mut answer = Vec::new();
            while !answer.ends_with(b"HelloHello") && !answer.ends_with(b"Hello\x81\x05Hello") {
                let mut some = [0; 512];
                let len = stream.read(&mut some).unwrap();
                assert!(len > 0);
                answer.extend_from_slice(&some[..len]);
            }
            String::from_utf8_lossy(&answer).into_owned()
        }),
    );
    assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    assert_eq!(switch.messages(), [b"Hello", b"Hello"]);
}

#[test]
fn what_breaks_the_rules_is_closed_with_the_code_that_says_why() {
    for (message, expected) in [
        (Message::text("x".repeat(MAX_WEBSOCKET_MESSAGE + 1)), CloseCode::Size),
        (Message::Close(None), CloseCode::Status),
    ] {
        let mut switch = Side::new(StreamKind::Ws, StreamSetup::default());
        let code = peer(&mut switch, &[SIP], move |socket| {
            let mut socket = socket.unwrap();
            socket.send(message).unwrap();
            match socket.read() {
                Ok(Message::Close(frame)) => frame.map_or(CloseCode::Status, |frame| frame.code),
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(code, expected);
        let reason = switch.until(|events| {
            events.iter().find_map(|event| match event {
                TcpEvent::Closed { reason, .. } => Some(*reason),
                _ => None,
            })
        });
        assert_eq!(reason, if expected == CloseCode::Size { CloseReason::Broken } else { CloseReason::Peer });
    }
}

#[test]
fn nobody_is_connected_to_by_websocket() {
    let mut switch = Side::new(StreamKind::Ws, StreamSetup::default());
    let listener = std::net::TcpListener::bind(any()).unwrap();
    let to = Towards { kind: StreamKind::Ws, ..Towards::plain(any(), listener.local_addr().unwrap()) };
    switch.send(None, to, &b"hello"[..]);
    switch.turn();
    assert!(matches!(switch.events[..], [TcpEvent::Unreachable { kind: StreamKind::Ws, .. }]));
}
