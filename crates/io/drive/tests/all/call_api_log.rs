//! `Subscribe` with `after`: the log of events on a connection of the Call API, each event once and in order.

use std::net::SocketAddr;
use std::time::Duration;

use crate::harness::{PATIENCE, config};
use futures_util::{SinkExt, StreamExt};
use hookswitch_call::{CallId, Event, Told};
use hookswitch_dialect::call_api::Mode;
use hookswitch_dialect::journal::{Entry, TrunkWord};
use hookswitch_drive::{Clock, JournalConfig, JournalHandle, JournalThread, Switch};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

struct Rig {
    _switch: Switch,
    address: SocketAddr,
    journal: Option<JournalThread>,
}

impl Rig {
    /// A strict listener, with a log in memory.
    fn start() -> Self {
        Self::with(Some(JournalThread::start(&JournalConfig::new(None)).unwrap()))
    }

    fn with(journal: Option<JournalThread>) -> Self {
        let mut config = config(29_000);
        config.application.as_mut().unwrap().mode = Mode::Strict;
        config.journal = journal.as_ref().map(JournalThread::handle);
        let switch = Switch::start(config).unwrap();
        Self { address: switch.addresses().call_api[0], _switch: switch, journal }
    }

    fn log(&self) -> JournalHandle {
        self.journal.as_ref().expect("a log").handle()
    }

    async fn connect(&self) -> Client {
        let (socket, _) = connect_async(format!("ws://{}/call-api", self.address)).await.unwrap();
        Client(socket)
    }
}

struct Client(Socket);

impl Client {
    async fn send(&mut self, method: &str, params: Value) {
        let text = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("nothing in time").expect("closed").unwrap();
            match message {
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Subscribes; the reply comes before all events.
    async fn subscribe(&mut self, after: &str) {
        self.send("Subscribe", json!({ "cmd_id": "log", "after": after })).await;
        assert_eq!(self.next().await["result"]["event"], "Started");
    }

    /// The next event of the log.
    async fn event(&mut self) -> Value {
        let mut message = self.next().await;
        assert_eq!(
            (&message["params"]["event"], &message["params"]["cmd_id"]),
            (&"Logged".into(), &"log".into()),
            "{message}"
        );
        message["params"]["data"].take()
    }
}

fn tell(journal: &JournalHandle, call: u64) {
    let told = Told { at: Clock::start().now(), seq: 0, call: CallId(call), owner: None, event: Event::Bridged };
    journal.push(Entry::Call(told, None));
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

#[test]
fn a_client_goes_on_where_its_lost_connection_has_left_off() {
    let rig = Rig::start();
    let log = rig.log();
    run(async {
        let mut client = rig.connect().await;
        client.subscribe("now").await;
        // Its place is taken when the connection takes the order, behind the reply.
        client.send("Echo", json!({ "cmd_id": "e" })).await;
        for _ in 0..3 {
            client.next().await;
        }
        log.push(Entry::Trunk {
            at: Clock::start().now(),
            trunk: "carrier".into(),
            what: TrunkWord::Up,
            text: "".into(),
        });
        (1..=3).for_each(|call| tell(&log, call));
        let mut last = String::new();
        for call in 1..=2 {
            let event = client.event().await;
            assert_eq!((&event["type"], &event["call"]), (&"call.bridged".into(), &format!("call_{call:012x}").into()));
            last = event["id"].as_str().unwrap().to_owned();
        }
        drop(client);
        tell(&log, 4);
        let mut again = rig.connect().await;
        again.subscribe(&last).await;
        for call in 3..=4 {
            assert_eq!(again.event().await["call"], format!("call_{call:012x}"));
        }
        again.send("Unsubscribe", json!({ "cmd_id": "log" })).await;
        assert_eq!(again.next().await["result"]["event"], "Started");
        let ends = [again.next().await, again.next().await];
        assert_eq!(ends.map(|end| end["params"]["event"].clone()), ["Ended", "Ended"]);
        tell(&log, 5);
        again.send("Echo", json!({ "cmd_id": "e" })).await;
        assert_eq!(again.next().await["result"]["cmd_id"], "e", "nothing is told any more");
    });
}

#[test]
fn a_client_that_wants_some_calls_reads_of_no_other() {
    let rig = Rig::start();
    let log = rig.log();
    run(async {
        let mut client = rig.connect().await;
        client.send("Subscribe", json!({ "cmd_id": "log", "call": "call_2,call_4", "type": "call.*" })).await;
        // As above: its place is taken behind the reply.
        client.send("Echo", json!({ "cmd_id": "e" })).await;
        for _ in 0..4 {
            client.next().await;
        }
        (1..=4).for_each(|call| tell(&log, call));
        for call in [2, 4] {
            assert_eq!(client.event().await["call"], format!("call_{call:012x}"));
        }
    });
}

#[test]
fn more_than_fits_into_its_outbox_comes_at_the_pace_of_the_reader() {
    const EVENTS: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(Some(JournalThread::start(&JournalConfig::new(Some(folder.path().to_owned()))).unwrap()));
    let log = rig.log();
    run(async {
        let mut client = rig.connect().await;
        client.subscribe(&log.newest().0.to_string()).await;
        (1..=EVENTS).for_each(|call| tell(&log, call));
        while log.newest().0 < log.oldest().0 + EVENTS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for call in 1..=EVENTS {
            assert_eq!(client.event().await["call"], format!("call_{call:012x}"));
        }
        client.send("Echo", json!({ "cmd_id": "e" })).await;
        assert_eq!(client.next().await["result"]["cmd_id"], "e", "the connection is as it was");
    });
}

#[test]
fn a_place_that_is_not_in_the_log_ends_the_command_with_the_oldest_that_is() {
    let rig = Rig::start();
    let log = rig.log();
    run(async {
        let mut client = rig.connect().await;
        client.subscribe("1").await;
        let error = client.next().await;
        let reason = &error["params"]["reason"];
        assert_eq!((&error["params"]["event"], &reason["code"]), (&"Error".into(), &410.into()));
        assert_eq!(client.next().await["params"]["event"], "Ended");
        let oldest: u64 = reason["oldest"].as_str().unwrap().parse().unwrap();
        assert_eq!(oldest, log.oldest().0);
        client.subscribe(&(oldest - 1).to_string()).await;
        tell(&log, 7);
        assert_eq!(client.event().await["call"], "call_000000000007");
    });
}

#[test]
fn without_a_log_it_says_so() {
    let rig = Rig::with(None);
    run(async {
        let mut client = rig.connect().await;
        client.subscribe("now").await;
        assert_eq!(client.next().await["params"]["reason"]["code"], 501);
        assert_eq!(client.next().await["params"]["event"], "Ended");
    });
}
