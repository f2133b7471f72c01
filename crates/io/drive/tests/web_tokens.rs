//! Who may open a session of the Call API: tokens, pages, and addresses that other hosts can reach.

mod harness;

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use harness::{config, read_response, tcp, web};
use hookswitch_dialect::call_api::{Access, Mode};
use hookswitch_drive::{
    MAX_TOKENS, SUBPROTOCOL, SUBPROTOCOL_STRICT, StartError, Switch, SwitchConfig, Token, WebError,
};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;

const SECRET: &str = "5FtzB7xM2qLr-9wK";
const ECHO: &str = r#"{"jsonrpc":"2.0","id":"1","method":"Echo","params":{"cmd_id":"c","word":"hello"}}"#;

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn with_token() -> SwitchConfig {
    let mut config = config(27_000);
    let desk = Access { name: "desk".into(), ..Access::default() };
    config.application.as_mut().unwrap().tokens = vec![Token::new(SECRET, desk).unwrap()];
    config
}

/// What the switch says to a handshake with these headers.
async fn handshake(address: SocketAddr, headers: &[(&'static str, &str)]) -> Response {
    let mut request = format!("ws://{address}/call-api").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((mut socket, response)) => {
            socket.send(Message::text(ECHO)).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap().to_text().unwrap().contains("Started"));
            response.map(|_| None)
        }
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => *response,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_session_needs_a_token_where_there_are_tokens() {
    let switch = Switch::start(with_token()).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let missing = handshake(address, &[]).await;
        assert_eq!(missing.status(), 401);
        assert_eq!(missing.headers()["www-authenticate"], r#"Bearer realm="call-api""#);
        let wrong = handshake(address, &[("Authorization", "Bearer 5FtzB7xM2qLr-9wk")]).await;
        assert_eq!(wrong.status(), 401);
        assert_eq!(wrong.headers()["www-authenticate"], r#"Bearer realm="call-api", error="invalid_token""#);
        let right = format!("Bearer {SECRET}");
        assert_eq!(handshake(address, &[("Authorization", &right)]).await.status(), 101);
    });
}

#[test]
fn a_browser_names_its_token_among_the_subprotocols_and_never_hears_it_again() {
    let switch = Switch::start(with_token()).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        for protocol in [SUBPROTOCOL, SUBPROTOCOL_STRICT] {
            for offered in [format!("{protocol}, bearer.{SECRET}"), format!("bearer.{SECRET}, {protocol}")] {
                let response = handshake(address, &[("Sec-WebSocket-Protocol", &offered)]).await;
                assert_eq!(response.status(), 101);
                assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
                assert!(!format!("{:?}", response.headers()).contains(SECRET));
            }
        }
    });
    // Alone it is good as well, but there is no name then to answer with, and browsers insist on one.
    let mut stream = tcp(address);
    let request = format!(
        "GET /call-api HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bearer.{SECRET}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let response = read_response(&mut stream);
    assert_eq!(response.status(), 101);
    assert!(!response.head.contains("sec-websocket-protocol"), "{}", response.head);
}

#[test]
fn a_token_allows_what_its_access_says() {
    let mut config = config(27_000);
    let only_echo = Access { commands: Some(vec!["Echo".into()]), ..Access::default() };
    config.application.as_mut().unwrap().tokens = vec![Token::new(SECRET, only_echo).unwrap()];
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut request = format!("ws://{address}/call-api").into_client_request().unwrap();
        request.headers_mut().insert("Authorization", format!("Bearer {SECRET}").parse().unwrap());
        let (mut socket, _) = connect_async(request).await.unwrap();
        let end = r#"{"jsonrpc":"2.0","id":"1","method":"CallEnd","params":{"callid":"x"}}"#;
        for (request, expected) in [(end, r#""error""#), (ECHO, "Started")] {
            socket.send(Message::text(request)).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
            assert!(answer.contains(expected), "{answer}");
        }
    });
}

#[test]
fn strict_sessions_without_tokens_are_for_this_host_only() {
    let strict = |listen: &str, tokens: Vec<Token>| {
        let mut config = config(27_000);
        let application = config.application.as_mut().unwrap();
        application.listen = web(listen);
        application.mode = Mode::Strict;
        application.tokens = tokens;
        Switch::start(config)
    };
    let error = strict("0.0.0.0:0", Vec::new()).err().unwrap();
    assert!(matches!(error, StartError::Web(WebError::Exposed(_))), "{error:?}");
    assert!(error.to_string().contains("call_api.tokens"), "{error}");
    assert!(strict("127.0.0.1:0", Vec::new()).is_ok());
    assert!(strict("0.0.0.0:0", vec![Token::new(SECRET, Access::default()).unwrap()]).is_ok());
    let many = vec![Token::new(SECRET, Access::default()).unwrap(); MAX_TOKENS + 1];
    assert!(matches!(strict("127.0.0.1:0", many), Err(StartError::Web(WebError::TooManyTokens))));
}

#[test]
fn one_address_has_so_many_connections() {
    let mut config = config(27_000);
    config.application.as_mut().unwrap().max_per_address = NonZeroUsize::new(2);
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let url = format!("ws://{address}/call-api");
        let first = connect_async(&url).await.unwrap();
        let _second = connect_async(&url).await.unwrap();
        assert!(connect_async(&url).await.is_err());
        // From elsewhere there is still room.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let stream = socket.connect(address).await.unwrap();
        assert!(tokio_tungstenite::client_async(&url, stream).await.is_ok());
        drop(first);
        for _ in 0..100 {
            if connect_async(&url).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the place was not given back");
    });
}

/// Everything that is logged, at any level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_secret_is_ever_logged() {
    const LOGGED: &str = "s3cret-that-is-not-for-logs";
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    // The other tests of this file may log meanwhile, as they like.
    let _ = subscriber.with_writer(move || writer.clone()).try_init();
    let mut config = config(27_000);
    let named = Access { name: "kiosk".into(), ..Access::default() };
    config.application.as_mut().unwrap().tokens = vec![Token::new(LOGGED, named).unwrap()];
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let good = format!("Bearer {LOGGED}");
        let bad = format!("Bearer {LOGGED}x");
        let offered = format!("{SUBPROTOCOL_STRICT}, bearer.{LOGGED}");
        assert_eq!(handshake(address, &[("Authorization", &good)]).await.status(), 101);
        assert_eq!(handshake(address, &[("Authorization", &bad)]).await.status(), 401);
        assert_eq!(handshake(address, &[("Sec-WebSocket-Protocol", &offered)]).await.status(), 101);
    });
    assert!(switch.stop());
    let log = log.0.lock().unwrap();
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("a client without a valid token"), "{log}");
    // What the client of this test logs of its own request is not ours.
    let ours: Vec<&str> = log.lines().filter(|line| line.contains(LOGGED) && !line.contains("tungstenite::")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}
