//! Readers on real sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use futures_util::StreamExt as _;
use hookswitch_call::{CallId, Cause, Event, Told};
use hookswitch_dialect::journal::Entry;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::journal::{JournalConfig, JournalThread};

const PATIENCE: Duration = Duration::from_secs(30);

/// A log and its door on a port of its own.
struct World {
    thread: JournalThread,
    address: SocketAddr,
    start: u64,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(grant: Grant, max_readers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let thread = JournalThread::start(&JournalConfig::new(Some(folder.path().to_owned()))).unwrap();
        let router = router(thread.handle(), max_readers).layer(Extension(Arc::new(grant)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let journal = thread.handle();
        while journal.newest() < journal.oldest() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { address, start: journal.newest().0, thread, _folder: folder }
    }

    fn push(&self, call: u64, domain: &str) {
        let from = format!("sip:alice@{domain}");
        let event = Event::Incoming { from: from.as_str().into(), to: "tel:1".into() };
        self.thread.handle().push(told(call, event));
    }

    async fn socket(&self, query: &str) -> WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>> {
        connect_async(format!("ws://{}/v1/events{query}", self.address)).await.unwrap().0
    }

    /// Asks once on a connection of its own; head and body.
    async fn get(&self, target: &str, field: &str) -> (String, String) {
        let (address, target, field) = (self.address, target.to_owned(), field.to_owned());
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(stream, "GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{field}\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = answer.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    async fn json(&self, target: &str) -> (u16, Value) {
        let (head, body) = self.get(target, "").await;
        (head[9..12].parse().unwrap(), serde_json::from_str(&body).unwrap_or_else(|_| panic!("{head} {body}")))
    }
}

fn told(call: u64, event: Event) -> Entry {
    let at = std::time::UNIX_EPOCH.elapsed().unwrap();
    Entry::Call(Told { at, seq: 0, call: CallId(call), owner: None, event }, None)
}

async fn next_id(socket: &mut WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>) -> u64 {
    let message = timeout(PATIENCE, socket.next()).await.expect("nothing comes").unwrap().unwrap();
    let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
    event["id"].as_str().unwrap().parse().unwrap()
}

/// Pushes events in the background until so many are there, at times fast and at times slowly.
fn pushing(world: &World, count: u64) -> tokio::task::JoinHandle<()> {
    let journal = world.thread.handle();
    tokio::spawn(async move {
        let mut random = StdRng::seed_from_u64(7);
        for call in 0..count {
            journal.push(told(call, Event::Ended { cause: Cause::hangup(), talked: Duration::ZERO }));
            if random.random_ratio(1, 20) {
                tokio::time::sleep(Duration::from_millis(random.random_range(0..3))).await;
            }
        }
    })
}

/// Reads over a WebSocket and goes away without a word after at most so many events.
async fn read_socket(world: &World, seen: &mut Vec<u64>, most: usize) {
    let last = seen.last().copied().unwrap_or(world.start);
    let mut socket = world.socket(&format!("?after={last}")).await;
    for _ in 0..most {
        match timeout(Duration::from_millis(20), socket.next()).await {
            Ok(message) => {
                let event: Value = serde_json::from_str(message.unwrap().unwrap().to_text().unwrap()).unwrap();
                seen.push(event["id"].as_str().unwrap().parse().unwrap());
            }
            Err(_) => return,
        }
    }
}

/// Reads Server-Sent Events and goes away in the middle of the bytes.
async fn read_stream(world: &World, seen: &mut Vec<u64>, most: usize) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let last = seen.last().copied().unwrap_or(world.start);
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let request =
        format!("GET /v1/events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\nLast-Event-ID: {last}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while bytes.len() < most {
        let mut piece = vec![0; most - bytes.len()];
        match timeout(Duration::from_millis(20), stream.read(&mut piece)).await {
            Ok(Ok(length @ 1..)) => bytes.extend_from_slice(&piece[..length]),
            _ => break,
        }
    }
    // What a browser takes for an event: blocks that are complete. The sizes of chunks stand between, never in them.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (complete, _) = text.rsplit_once("\n\n").unwrap_or_default();
    seen.extend(complete.lines().filter_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_killed_a_thousand_times_has_every_event_once_and_in_order() {
    const KILLS: usize = 1_000;
    const EVENTS: u64 = 20_000;
    let world = World::new(Grant::everything(), MAX_EVENT_READERS).await;
    let pushing = pushing(&world, EVENTS);
    let mut random = StdRng::seed_from_u64(42);
    let (mut by_socket, mut by_stream) = (Vec::new(), Vec::new());
    for _ in 0..KILLS {
        read_socket(&world, &mut by_socket, random.random_range(0..40)).await;
        read_stream(&world, &mut by_stream, random.random_range(0..10_000)).await;
    }
    pushing.await.unwrap();
    let expected: Vec<u64> = (world.start + 1..=world.start + EVENTS).collect();
    for _ in 0..EVENTS {
        if by_socket.len() as u64 + by_stream.len() as u64 == 2 * EVENTS {
            break;
        }
        read_socket(&world, &mut by_socket, 10_000).await;
        read_stream(&world, &mut by_stream, 10_000_000).await;
    }
    assert_eq!(by_socket, expected);
    assert_eq!(by_stream, expected);
}

#[tokio::test]
async fn pages_follow_on_each_other_and_one_event_can_be_had() {
    let world = World::new(Grant::everything(), 1).await;
    for call in 0..5 {
        world.push(call, if call == 3 { "b.test" } else { "a.test" });
    }
    let mut socket = world.socket(&format!("?after={}", world.start)).await;
    for expected in 1..=5 {
        assert_eq!(next_id(&mut socket).await, world.start + expected);
    }
    let ids = |page: &Value| -> Vec<u64> {
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| event["id"].as_str().unwrap().parse::<u64>().unwrap() - world.start).collect()
    };
    let (status, first) = world.json("/v1/events?limit=3").await;
    // The first event is the start of the log.
    assert_eq!((status, ids(&first)), (200, vec![0, 1, 2]));
    let next = first["next"].as_str().unwrap();
    let (_, second) = world.json(&format!("/v1/events?limit=100&after={next}")).await;
    assert_eq!(ids(&second), [3, 4, 5]);
    let (_, last) = world.json(&format!("/v1/events?after={}", second["next"].as_str().unwrap())).await;
    assert_eq!((ids(&last), &last["next"]), (vec![], &second["next"]));
    let (_, domain) = world.json("/v1/events?domain=B.test").await;
    assert_eq!(ids(&domain), [4]);
    let (status, event) = world.json(&format!("/v1/events/{}", world.start + 4)).await;
    assert_eq!((status, &event["data"]["caller"]), (200, &Value::from("sip:alice@b.test")));
    for none in [format!("/v1/events/{}", world.start + 6), "/v1/events/0".to_owned(), "/v1/events/x".to_owned()] {
        assert_eq!(world.json(&none).await.0, 404, "{none}");
    }
}

#[tokio::test]
async fn a_grant_with_domains_sees_nothing_else() {
    let grant = Grant { domains: vec!["a.test".into()], ..Grant::everything() };
    let world = World::new(grant, 10).await;
    for (call, domain) in [(1, "b.test"), (2, "a.test"), (3, "b.test"), (4, "a.test")] {
        world.push(call, domain);
    }
    let mut socket = world.socket(&format!("?after={}", world.start)).await;
    assert_eq!(next_id(&mut socket).await, world.start + 2);
    assert_eq!(next_id(&mut socket).await, world.start + 4);
    let (_, page) = world.json("/v1/events").await;
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    assert_eq!(world.json(&format!("/v1/events/{}", world.start + 1)).await.0, 404);
    let (status, problem) = world.json("/v1/events?domain=b.test").await;
    assert_eq!((status, &problem["code"]), (403, &Value::from("domain_not_allowed")));
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_that_says_why() {
    let world = World::new(Grant::everything(), 1).await;
    let (status, gone) = world.json("/v1/events?after=1").await;
    assert_eq!((status, &gone["code"], &gone["oldest"]), (410, &"gone".into(), &world.start.to_string().into()));
    let (status, unknown) = world.json("/v1/events?form=1").await;
    assert_eq!((status, &unknown["code"], &unknown["field"]), (422, &"unknown_parameter".into(), &"?form".into()));
    let (status, invalid) = world.json("/v1/events?type=call").await;
    assert_eq!((status, &invalid["field"]), (422, &"?type".into()));
    let stream = "Accept: text/html, text/event-stream;q=0.9\r\n";
    let (head, _) = world.get("/v1/events", &format!("{stream}Last-Event-ID: 17\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 410"), "{head}");
    let (head, _) = world.get("/v1/events", &format!("{stream}Last-Event-ID: x\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 422"), "{head}");
    let (head, _) = world.get("/v1/events", "Upgrade: h2c\r\n").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    let expired = connect_async(format!("ws://{}/v1/events?after=1", world.address)).await.unwrap_err();
    assert!(expired.to_string().contains("410"), "{expired}");
    // One reader is one too many for the next, whichever way it comes.
    let _socket = world.socket("").await;
    let refused = connect_async(format!("ws://{}/v1/events", world.address)).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    let (head, _) = world.get("/v1/events", stream).await;
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 5"), "{head}");
}

#[tokio::test]
async fn a_reader_that_talks_is_told_to_go_and_leaves_its_place() {
    let world = World::new(Grant::everything(), 1).await;
    let mut socket = world.socket("").await;
    futures_util::SinkExt::send(&mut socket, Message::text("hello")).await.unwrap();
    let message = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    let Message::Close(Some(close)) = message else { panic!("{message:?}") };
    assert_eq!(close.code, CloseCode::Unsupported);
    drop(socket);
    let again = async {
        while connect_async(format!("ws://{}/v1/events", world.address)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("the place is not given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_delays_nobody_and_loses_nothing() {
    const EVENTS: u64 = 30_000;
    let world = World::new(Grant::everything(), 10).await;
    let mut asleep = world.socket("").await;
    let mut awake = world.socket("").await;
    pushing(&world, EVENTS).await.unwrap();
    for expected in 1..=EVENTS {
        assert_eq!(next_id(&mut awake).await, world.start + expected);
    }
    for expected in 1..=EVENTS {
        assert_eq!(next_id(&mut asleep).await, world.start + expected);
    }
}

#[tokio::test]
async fn the_documents_are_served() {
    let world = World::new(Grant::everything(), 1).await;
    let (status, document) = world.json("/v1/asyncapi.json").await;
    assert_eq!((status, &document["asyncapi"]), (200, &Value::from("3.0.0")));
    for name in ["call.ended", "call.ended.json"] {
        let (status, schema) = world.json(&format!("/v1/schemas/{name}")).await;
        assert_eq!((status, &schema["title"]), (200, &Value::from("call.ended")));
    }
    assert_eq!(world.json("/v1/schemas/call").await.0, 404);
}
