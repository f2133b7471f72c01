//! `call-api-client` with servers of every kind: it waits for the end of its own command, and its exit status says how
//! that went. The original's ended with 0 on an error and hung on a refusal.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::call_api_harness::{Place, Ran};
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

/// A server for one client, which does with it whatever the test says.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Server {
    fn start(play: impl FnOnce(&mut WebSocket<TcpStream>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(crate::call_api_harness::PATIENCE)).unwrap();
            play(&mut accept(stream).unwrap());
        });
        Self { address, thread }
    }

    /// Says these texts once it has read the request.
    fn saying(texts: &[&str]) -> Self {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Self::start(move |socket| {
            socket.read().unwrap();
            for text in texts {
                socket.send(Message::text(text)).unwrap();
            }
            // Until the client has said goodbye.
            while socket.read().is_ok() {}
        })
    }

    /// Runs the client against it.
    fn client(self, arguments: &[&str]) -> Ran {
        let place = Place::new().with("a.yml", "log: { pii: true }");
        let url = format!("ws://{}/call-api", self.address);
        let all = ["-config", "a.yml", "-url", &url].iter().chain(arguments).copied().collect::<Vec<_>>();
        let ran = place.run("call-api-client", &all);
        self.thread.join().unwrap();
        ran
    }
}

const STARTED: &str = r#"{"jsonrpc":"2.0","id":"","result":{"cmd_id":"c1","event":"Started"}}"#;
const ENDED: &str = r#"{"jsonrpc":"2.0","method":"Echo","params":{"cmd_id":"c1","event":"Ended"}}"#;
const ERROR: &str =
    r#"{"jsonrpc":"2.0","method":"Echo","params":{"cmd_id":"c1","data":"404 Dialog not found","event":"Error"}}"#;

#[test]
fn a_success_is_shown_as_the_original_showed_it() {
    let ran = Server::saying(&[STARTED, ENDED]).client(&["-method", "Echo", "-params", r#"{"a": "sip:x@y"}"#]);
    assert_eq!(ran.status, 0, "{ran:#?}");
    assert_eq!(
        ran.log[1..],
        [
            r#"info send: {"jsonrpc":"2.0","id":"","method":"Echo","params":{"a": "sip:x@y"}}"#.to_owned(),
            format!("info recv: {STARTED}"),
            format!("info recv: {ENDED}"),
            "info gracefully closing connection...".to_owned(),
        ]
    );
    assert!(ran.log[0].starts_with("info connecting to ws://127.0.0.1:") && ran.stdout.is_empty(), "{ran:#?}");
}

#[test]
fn an_error_is_status_1_after_the_end_has_come() {
    let ran = Server::saying(&[STARTED, ERROR, ENDED]).client(&["-method", "Echo"]);
    assert_eq!((ran.status, ran.of_level("fatal")), (1, vec!["404 Dialog not found"]), "{ran:#?}");
    assert!(ran.log.contains(&format!("info recv: {ENDED}")), "{ran:#?}");
    assert!(ran.log.contains(&r#"info send: {"jsonrpc":"2.0","id":"","method":"Echo","params":{}}"#.to_owned()));
}

#[test]
fn an_error_whose_end_never_comes_is_not_awaited_for_ever() {
    let begun = Instant::now();
    let ran = Server::saying(&[STARTED, ERROR]).client(&["-method", "Echo"]);
    assert_eq!(ran.status, 1, "{ran:#?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_json_rpc_error_is_status_1_at_once() {
    for id in ["\"\"", "null"] {
        let refusal =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":32000,"message":"unknown JSON-RPC method"}}}}"#);
        let ran = Server::saying(&[&refusal]).client(&["-method", "Nope", "-timeout", "15"]);
        assert_eq!((ran.status, ran.of_level("fatal")), (1, vec!["unknown JSON-RPC method"]), "{ran:#?}");
    }
}

#[test]
fn only_its_own_command_counts() {
    let foreign = ENDED.replace("c1", "c2");
    let foreign_error = ERROR.replace("c1", "c2");
    let ran = Server::saying(&[&foreign, &foreign_error, STARTED, &foreign, &foreign_error, ENDED])
        .client(&["-method", "Echo"]);
    assert_eq!((ran.status, ran.of_level("fatal").len()), (0, 0), "{ran:#?}");
    let ran = Server::saying(&[ENDED, STARTED]).client(&["-method", "Echo", "-timeout", "15"]);
    assert_eq!(ran.status, 0, "the original's order is none: {ran:#?}");
}

#[test]
fn whatever_a_server_says_it_survives() {
    let deep = "[".repeat(100_000);
    let odd =
        ["", "5", "null", "[]", "\"x\"", "{", "{}", r#"{"params":5}"#, r#"{"method":"x","params":["Ended"]}"#, &deep];
    let ran = Server::start({
        let odd: Vec<String> = odd.iter().map(|text| (*text).to_owned()).collect();
        move |socket| {
            socket.read().unwrap();
            for text in odd {
                socket.send(Message::text(text)).unwrap();
            }
            socket.send(Message::binary(vec![0xff, 0xfe])).unwrap();
            socket.send(Message::Ping(vec![1].into())).unwrap();
            for text in [STARTED, ENDED] {
                socket.send(Message::binary(text.as_bytes().to_vec())).unwrap();
            }
            while socket.read().is_ok() {}
        }
    })
    .client(&["-method", "Echo"]);
    assert_eq!(ran.status, 0, "{:#?}", ran.log.len());
}

#[test]
fn a_server_that_leaves_or_is_not_there_is_status_1() {
    let ran = Server::start(|socket| {
        socket.read().unwrap();
        socket.send(Message::text(STARTED)).unwrap();
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    })
    .client(&["-method", "Echo"]);
    assert!(ran.status == 1 && ran.of_level("error")[0].starts_with("read: websocket: close"), "{ran:#?}");
    let place = Place::new().with("a.yml", "");
    let ran = place.run("call-api-client", &["-config", "a.yml", "-wshost=127.0.0.1", "-wsport=1", "-method=Echo"]);
    assert_eq!(ran.log[0], "info connecting to ws://127.0.0.1:1/call-api");
    assert_eq!(ran.of_level("fatal"), ["dial:dial tcp 127.0.0.1:1: connect: connection refused"]);
    assert_eq!(ran.status, 1);
}

#[test]
fn patience_ends_with_status_3() {
    let ran = Server::saying(&[STARTED]).client(&["-method", "Echo", "-timeout", "500ms"]);
    assert_eq!((ran.status, ran.of_level("fatal")), (3, vec!["no end of Echo within 500ms"]), "{ran:#?}");
    // A server that takes the connection and never answers the handshake.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", deaf.local_addr().unwrap());
    let place = Place::new().with("a.yml", "client: { timeout: 500ms }");
    let ran = place.run("call-api-client", &["-config", "a.yml", "-url", &url, "-method", "Echo"]);
    assert_eq!((ran.status, ran.of_level("fatal")), (3, vec!["dial:no answer within 500ms"]), "{ran:#?}");
}

#[test]
fn an_interrupt_ends_a_call_start_and_waits_for_its_end() {
    let started = r#"{"jsonrpc":"2.0","id":"","result":{"cmd_id":"c1","event":"Started"}}"#;
    let (say, said) = std::sync::mpsc::channel();
    let server = Server::start(move |socket| {
        socket.read().unwrap();
        socket.send(Message::text(started)).unwrap();
        say.send(socket.read().unwrap().into_text().unwrap().as_str().to_owned()).unwrap();
        for text in [ERROR, ENDED] {
            socket.send(Message::text(text.replace("Echo", "CallStart"))).unwrap();
        }
        while socket.read().is_ok() {}
    });
    let place = Place::new().with("a.yml", "");
    let url = format!("ws://{}/", server.address);
    let mut tool = place.start("call-api-client", &["-config", "a.yml", "-url", &url, "-method", "CallStart"]);
    tool.until("recv: ");
    tool.signal("INT");
    let ran = tool.end();
    assert_eq!(
        said.recv().unwrap(),
        r#"{"jsonrpc":"2.0","id":"interrupt","method":"CallEnd","params":{"callid":"c1"}}"#
    );
    assert!(ran.status == 130 && ran.log.iter().any(|line| line.contains("\"Ended\"")), "{ran:#?}");
    server.thread.join().unwrap();
}

#[test]
fn an_interrupt_before_the_reply_ends_the_call_start_that_begins_all_the_same() {
    let (say, said) = std::sync::mpsc::channel();
    let (interrupted, is_interrupted) = std::sync::mpsc::channel();
    let server = Server::start(move |socket| {
        socket.read().unwrap();
        is_interrupted.recv().unwrap();
        socket.send(Message::text(STARTED)).unwrap();
        say.send(socket.read().unwrap().into_text().unwrap().as_str().to_owned()).unwrap();
        for text in [ERROR, ENDED] {
            socket.send(Message::text(text)).unwrap();
        }
        while socket.read().is_ok() {}
    });
    let place = Place::new().with("a.yml", "");
    let url = format!("ws://{}/", server.address);
    let mut tool = place.start("call-api-client", &["-config", "a.yml", "-url", &url, "-method", "CallStart"]);
    tool.until("send: ");
    tool.signal("INT");
    tool.until("interrupt");
    interrupted.send(()).unwrap();
    assert_eq!(tool.end().status, 130);
    assert!(said.recv().unwrap().contains(r#""params":{"callid":"c1"}"#));
    server.thread.join().unwrap();
}

#[test]
fn a_second_interrupt_waits_for_nothing() {
    let server = Server::saying(&[STARTED]);
    let place = Place::new().with("a.yml", "");
    let url = format!("ws://{}/", server.address);
    let mut tool = place.start("call-api-client", &["-config", "a.yml", "-url", &url, "-method", "CallStart"]);
    tool.until("recv: ");
    let begun = Instant::now();
    tool.signal("INT");
    tool.until("CallEnd");
    tool.signal("INT");
    assert_eq!(tool.end().status, 130);
    assert!(begun.elapsed() < Duration::from_secs(4));
    server.thread.join().unwrap();
}

#[test]
fn json_is_one_line_a_message_whatever_the_server_writes() {
    let spread = STARTED.replace(",\"result\"", ",\n \"result\"");
    let ran = Server::saying(&[&spread, "nonsense", "[]", ENDED]).client(&["-json", "-method", "Echo"]);
    let expected =
        format!(r#"{{"id":"","jsonrpc":"2.0","result":{{"cmd_id":"c1","event":"Started"}}}}{}{ENDED}{}"#, '\n', '\n');
    assert_eq!((ran.status, ran.stdout), (0, expected));
    assert!(!ran.stderr.contains("recv:"));
}

#[test]
fn people_are_not_named_in_the_lines_unless_that_is_wanted() {
    let server = Server::saying(&[STARTED, ENDED]);
    let url = format!("ws://{}/", server.address);
    let place = Place::new().with("a.yml", "");
    let params = r#"{"caller":"sip:alice@example.test"}"#;
    let ran = place.run("call-api-client", &["-config", "a.yml", "-url", &url, "-method", "Echo", "-params", params]);
    assert!(ran.status == 0 && !ran.stderr.contains("alice"), "{ran:#?}");
    server.thread.join().unwrap();
}
