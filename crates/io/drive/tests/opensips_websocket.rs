//! The whole way: a WebSocket in front, a simulated OpenSIPS behind, and a page that says whether it is there.

mod harness;
mod opensips_kit;

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use harness::{http, tcp, web};
use hookswitch_drive::opensips::simulator::Simulator;
use hookswitch_drive::{ApplicationConfig, HttpConfig, OpenSipsFront};
use opensips_kit::{Mi, PATIENCE, config, mi_of, opensips, uri, wait_until_down, wait_until_up};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

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
