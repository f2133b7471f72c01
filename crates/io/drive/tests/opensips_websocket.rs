//! The whole way: a WebSocket in front, a simulated OpenSIPS behind, a page that says whether it is there, and how often
//! the thread between them sleeps.

mod harness;
mod opensips_kit;

use std::fs;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use harness::{http, tcp, web};
use hookswitch_drive::opensips::simulator::Simulator;
use hookswitch_drive::{ApplicationConfig, HttpConfig, OpenSipsFront};
use opensips_kit::{Mi, PATIENCE, config, mi_of, opensips, uri, wait_until_down, wait_until_up};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// Only one test at a time has a front, so that it is clear whose thread is looked at.
static ONE_FRONT: Mutex<()> = Mutex::new(());

/// Runs one command over a WebSocket and returns the names of its events.
async fn command(address: SocketAddr, request: Value) -> Vec<String> {
    let (mut socket, _) = connect_async(format!("ws://{address}/call-api")).await.unwrap();
    socket.send(Message::text(request.to_string())).await.unwrap();
    let mut events = Vec::new();
    while events.last().is_none_or(|event| event != "Ended") {
        let message = timeout(PATIENCE, socket.next()).await.expect("nothing was said").unwrap().unwrap();
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        let said = message.get("params").unwrap_or(&message["result"]);
        events.push(said["event"].as_str().unwrap().to_owned());
    }
    events
}

#[test]
fn a_call_and_the_health_of_what_carries_it() {
    let _alone = ONE_FRONT.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Udp])).unwrap();
    let mut config = config(&mi_of(&simulator, Mi::Udp), "udp");
    config.application = Some(ApplicationConfig::new(web("127.0.0.1:0")));
    config.http = Some(HttpConfig::new(web("127.0.0.1:0")));
    let front = OpenSipsFront::start(config).unwrap();
    wait_until_up(&front);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let params = json!({ "caller": uri("alice"), "callee": uri("bob") });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "CallStart", "params": params });
    let events = runtime.block_on(command(front.addresses().call_api[0], request));
    assert_eq!(events[..4], ["Started", "CallerAnswered", "Transferring", "TransferStart"]);
    assert_eq!(events[events.len() - 2..], ["CalleeAnswered", "Ended"]);

    let page = front.addresses().http[0];
    let health = http(&mut tcp(page), "GET", "/health", "");
    assert_eq!(health.status(), 200, "{}", health.body);
    let metrics = http(&mut tcp(page), "GET", "/metrics", "");
    assert!(metrics.body.contains("hookswitch_commands_total{carrier=\"opensips\"} 1"), "{}", metrics.body);
    assert_eq!(http(&mut tcp(page), "GET", "/dir/example.test", "").status(), 404);

    drop(simulator);
    wait_until_down(&front);
    let health = http(&mut tcp(page), "GET", "/health", "");
    assert_eq!(health.status(), 503, "{}", health.body);
    assert!(front.stop());
}

/// How often the one thread of a front has gone to sleep since its start.
fn naps() -> u64 {
    let of_front =
        |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "front-0");
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(Result::unwrap);
    let status = tasks.filter(of_front).map(|task| fs::read_to_string(task.path().join("status")).unwrap());
    let counts = status.map(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap().to_owned();
        line.trim().parse::<u64>().unwrap()
    });
    counts.last().expect("there is a front")
}

/// Naps during so many Echoes with pauses between them.
async fn naps_during(address: SocketAddr, echoes: u64) -> u64 {
    let (mut socket, _) = connect_async(format!("ws://{address}/call-api")).await.unwrap();
    let mut before = 0;
    for id in 0..=echoes {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": "Echo", "params": [id] });
        socket.send(Message::text(request.to_string())).await.unwrap();
        let answer = timeout(PATIENCE, socket.next()).await.expect("nothing was said").unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(answer.to_text().unwrap()).unwrap()["id"], id);
        if id == 0 {
            before = naps();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    naps() - before
}

#[test]
fn a_front_that_is_to_stay_awake_does_so_between_messages_and_sleeps_when_none_come() {
    const ECHOES: u64 = 50;
    const AWAKE: Duration = Duration::from_millis(150);
    let _alone = ONE_FRONT.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Udp])).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let counts = [Duration::ZERO, AWAKE].map(|stay_awake| {
        let mut config = config(&mi_of(&simulator, Mi::Udp), "udp");
        config.application = Some(ApplicationConfig::new(web("127.0.0.1:0")));
        config.stay_awake = stay_awake;
        let front = OpenSipsFront::start(config).unwrap();
        wait_until_up(&front);
        let count = runtime.block_on(naps_during(front.addresses().call_api[0], ECHOES));
        if stay_awake == AWAKE {
            // OpenSIPS is asked for its health now and then, which keeps it awake for a moment each time.
            let since = naps();
            std::thread::sleep(8 * AWAKE);
            assert!(naps() > since, "it sleeps again once nobody says anything");
        }
        assert!(front.stop());
        count
    });
    assert!(counts[0] >= ECHOES / 2 && counts[1] <= ECHOES / 10, "{counts:?}");
}
