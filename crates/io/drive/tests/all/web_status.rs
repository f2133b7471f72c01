//! `GET /health` and `GET /metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::harness::{PATIENCE, config, http, tcp};
use futures_util::{SinkExt, StreamExt};
use hookswitch_dialect::call_api::Access;
use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};
use hookswitch_drive::opensips::{EventsAddress, OpenSipsFront, OpenSipsFrontConfig};
use hookswitch_drive::{ApplicationConfig, ControlConfig, JournalConfig, JournalThread, Phase, Switch, Token};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// The value of a metric, with its labels as written.
fn value(page: &str, metric: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {metric} in\n{page}")).parse().unwrap()
}

#[test]
fn health_names_version_uptime_and_carriers_until_it_drains() {
    let switch = Switch::start(config(27_400)).unwrap();
    let mut stream = tcp(switch.addresses().http[0]);
    let response = http(&mut stream, "GET", "/health", "");
    assert_eq!(response.status(), 200);
    assert!(response.head.contains("application/json"), "{}", response.head);
    let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(body["status"], "up");
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&body["calls"], &body["registrations"]), (&0.into(), &0.into()));
    assert!(body["uptime"].as_u64().unwrap() < 60);
    assert_eq!(body["carriers"]["sip"]["state"], "up");
    switch.drain();
    assert_eq!(switch.wait(Phase::Drained, Some(crate::harness::PATIENCE)), Phase::Drained);
    let response = http(&mut stream, "GET", "/health", "");
    assert_eq!(response.status(), 503);
    assert!(response.body.contains(r#""status":"draining""#), "{}", response.body);
    let alive = http(&mut stream, "GET", "/health/live", "");
    assert_eq!((alive.status(), alive.body.as_str()), (200, r#"{"status":"alive"}"#), "it drains in good health");
    // What is not there is said by the switch itself.
    assert_eq!(http(&mut stream, "PUT", "/health", "").status(), 405);
    assert_eq!(http(&mut stream, "GET", "/metrics/more", "").status(), 404);
}

#[test]
fn metrics_count_commands_sessions_refusals_and_ports() {
    let mut config = config(27_400);
    let secret = "0123456789abcdef";
    config.application.as_mut().unwrap().tokens = vec![Token::new(secret, Access::default()).unwrap()];
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().call_api[0];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _session = runtime.block_on(async {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
        let url = format!("ws://{address}/call-api");
        assert!(connect_async(&url).await.is_err());
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("Authorization", format!("Bearer {secret}").parse().unwrap());
        let (mut socket, _) = connect_async(request).await.unwrap();
        for request in [r#"{"jsonrpc":"2.0","id":"1","method":"Echo","params":{}}"#, "nonsense"] {
            socket.send(Message::text(request)).await.unwrap();
        }
        for _ in 0..4 {
            socket.next().await.unwrap().unwrap();
        }
        socket
    });
    let page = http(&mut tcp(switch.addresses().http[0]), "GET", "/metrics", "");
    assert_eq!(page.status(), 200);
    assert!(page.head.contains("application/openmetrics-text"), "{}", page.head);
    let page = page.body;
    assert_eq!(value(&page, r#"hookswitch_carrier_up{carrier="sip"}"#), 1);
    assert_eq!(value(&page, r#"hookswitch_calls{carrier="sip"}"#), 0);
    assert_eq!(value(&page, r#"hookswitch_sessions{carrier="sip"}"#), 1);
    assert_eq!(value(&page, r#"hookswitch_commands_total{carrier="sip"}"#), 1);
    assert_eq!(value(&page, r#"hookswitch_commands_refused_total{carrier="sip"}"#), 1);
    assert_eq!(value(&page, r#"hookswitch_unauthorized_total{carrier="sip"}"#), 1);
    assert_eq!(value(&page, "hookswitch_media_ports_taken"), 0);
    assert!(value(&page, "hookswitch_media_ports") > 0);
    assert_eq!(value(&page, r#"hookswitch_rtp_packets_total{direction="sent"}"#), 0);
    assert!(page.ends_with("# EOF\n"));
}

/// What OpenMetrics 1.0 asks of a page: families in one piece, each with its type and help before its samples, samples with
/// the endings of their type, no sample twice, one end.
fn assert_valid(page: &str) {
    let (body, end) = page.rsplit_once("# EOF\n").expect("an end");
    assert!(end.is_empty() && !body.contains("# EOF") && !body.contains("\n\n"), "one end, no empty line");
    let (mut families, mut samples) = (BTreeMap::<String, String>::new(), BTreeSet::new());
    let (mut family, mut kind, mut has_help) = (String::new(), String::new(), false);
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name, text) = (words.next().unwrap(), words.next().unwrap(), words.next().expect(line));
            if name != family {
                assert!(!families.contains_key(name), "{name} is in two pieces");
                (family, kind, has_help) = (name.to_owned(), "unknown".to_owned(), false);
                families.insert(family.clone(), String::new());
            }
            match what {
                "TYPE" => kind = text.to_owned(),
                "HELP" => has_help = !text.is_empty(),
                _ => panic!("{line}"),
            }
            continue;
        }
        assert!(has_help, "no help before {line}");
        let (sample, value) = line.rsplit_once(' ').expect(line);
        let value: f64 = value.parse().expect(line);
        let name = sample.split('{').next().unwrap();
        let ending = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} is in {family}"));
        let fits = match kind.as_str() {
            "gauge" => ending.is_empty(),
            "counter" => ending == "_total" && value >= 0.0,
            "histogram" => matches!(ending, "_bucket" | "_count" | "_sum"),
            _ => false,
        };
        assert!(fits && !family.ends_with("_total"), "{kind}: {line}");
        assert!(samples.insert(sample.to_owned()), "{sample} stands there twice");
    }
    assert!(families.len() > 50, "{}", families.len());
}

#[test]
fn the_page_is_openmetrics_and_tells_of_events_webhooks_controllers_and_the_program() {
    let journal = JournalThread::start(&JournalConfig::new(None)).unwrap();
    let mut config = config(27_400);
    config.journal = Some(journal.handle());
    config.control = Some(ControlConfig::new("127.0.0.1:0".parse().unwrap()));
    let switch = Switch::start(config).unwrap();
    let page = http(&mut tcp(switch.addresses().control[0]), "GET", "/metrics", "").body;
    assert_valid(&page);
    for metric in [
        "hookswitch_webhooks",
        "hookswitch_webhook_events_waiting",
        "hookswitch_webhook_dead_letters",
        r#"hookswitch_webhook_posts_total{result="delivered"}"#,
        "hookswitch_webhook_post_milliseconds_total",
        r#"hookswitch_controller_notes_waiting{carrier="sip"}"#,
        r#"hookswitch_controller_notes_lost_total{carrier="sip"}"#,
        r#"hookswitch_event_readers{carrier="sip"}"#,
        r#"hookswitch_event_bytes_kept{carrier="sip"}"#,
    ] {
        assert_eq!(value(&page, metric), 0, "{metric}");
    }
    value(&page, r#"hookswitch_event_last_id{carrier="sip"}"#);
    assert!(value(&page, "hookswitch_process_resident_bytes") > 1_000_000);
}

#[test]
fn an_opensips_is_shown_beside_our_own_switch_and_its_loss_is_everybodys() {
    let udp = Some((Ipv4Addr::LOCALHOST, 0).into());
    let simulator = Simulator::start(SimulatorConfig { udp, ..SimulatorConfig::default() }).unwrap();
    let mut front = OpenSipsFrontConfig {
        mi: format!("udp:{}", simulator.addresses().udp.unwrap()).parse().unwrap(),
        events: EventsAddress::Udp(Some(Ipv4Addr::LOCALHOST.into()), 0),
        ..OpenSipsFrontConfig::default()
    };
    let mut application = ApplicationConfig::new(crate::harness::web("127.0.0.1:0"));
    application.tokens = vec![Token::new("0123456789abcdef", Access::default()).unwrap()];
    front.application = Some(application);
    front.opensips.health_every = Duration::from_millis(200);
    front.opensips.mi_timeout = Duration::from_millis(500);
    let front = OpenSipsFront::start(front).unwrap();
    let mut config = config(27_400);
    config.application = None;
    config.http.as_mut().unwrap().also.push(front.status());
    let switch = Switch::start(config).unwrap();
    let mut stream = tcp(switch.addresses().http[0]);
    let up = when(&mut stream, 200);
    assert_eq!(up["carriers"]["sip"]["state"], "up");
    assert!(up["carriers"]["opensips"]["version"].as_str().unwrap().starts_with("4.1"), "{up}");
    let url = format!("ws://{}/call-api", front.addresses().call_api[0]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(connect_async(url)).is_err(), "without a token");
    let page = http(&mut stream, "GET", "/metrics", "").body;
    assert_eq!(value(&page, r#"hookswitch_unauthorized_total{carrier="opensips"}"#), 1);
    assert_eq!(value(&page, r#"hookswitch_unauthorized_total{carrier="sip"}"#), 0);
    assert_eq!(value(&page, r#"hookswitch_link_up{carrier="opensips",link="mi"}"#), 1);
    assert!(value(&page, r#"hookswitch_mi_requests_total{carrier="opensips"}"#) > 1);
    drop(simulator);
    let down = when(&mut stream, 503);
    assert_eq!(down["status"], "down");
    assert_eq!(down["carriers"]["sip"]["state"], "up");
    let mi = &down["carriers"]["opensips"]["mi"];
    assert_eq!(mi["state"], "down");
    assert!(mi["since"].as_str().unwrap().starts_with("20") && !mi["why"].as_str().unwrap().is_empty(), "{mi}");
    let page = http(&mut stream, "GET", "/metrics", "").body;
    assert_eq!(value(&page, r#"hookswitch_carrier_up{carrier="opensips"}"#), 0);
    assert_eq!(value(&page, r#"hookswitch_carrier_up{carrier="sip"}"#), 1);
}

/// The page of health as soon as it has this status.
fn when(stream: &mut std::net::TcpStream, status: u16) -> serde_json::Value {
    let start = std::time::Instant::now();
    loop {
        let page = http(stream, "GET", "/health", "");
        if page.status() == status {
            return serde_json::from_str(&page.body).unwrap();
        }
        assert!(start.elapsed() < PATIENCE, "{}", page.body);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_page_is_answered_although_the_switch_ends_meanwhile() {
    let switch = Switch::start(config(27_400)).unwrap();
    let mut stream = tcp(switch.addresses().http[0]);
    assert_eq!(http(&mut stream, "GET", "/metrics", "").status(), 200);
    assert!(switch.stop());
    // The media threads are gone, and so is everybody else; nothing hangs on.
    assert!(std::net::TcpStream::connect(stream.peer_addr().unwrap()).is_err());
}
