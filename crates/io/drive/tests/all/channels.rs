//! Media channels of a controller, over real sockets: what one party says the other hears, and what happens is told.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::harness::{HttpResponse, LOOPBACK, PATIENCE, config, http, tcp, web};
use hookswitch_dialect::journal::Filter;
use hookswitch_drive::{HttpConfig, JournalConfig, JournalThread, Phase, Switch, SwitchConfig};
use hookswitch_net::PortRange;
use serde_json::{Value, json};

/// The payload type of telephone events.
const EVENTS: u8 = 101;

/// What is said: the loudest there is, which no silence is taken for.
const LOUD: [u8; 160] = [0x80; 160];

struct World {
    switch: Switch,
    http: TcpStream,
}

impl World {
    fn new(first_port: u16) -> Self {
        let mut config = config(first_port);
        config.shard.channels.capacity = 3;
        Self::with(config)
    }

    fn with(mut config: SwitchConfig) -> Self {
        config.channels = Some(HttpConfig::new(web("127.0.0.1:0")));
        let switch = Switch::start(config).unwrap();
        let http = tcp(switch.addresses().channels[0]);
        Self { switch, http }
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let response: HttpResponse = http(&mut self.http, method, path, &body.to_string());
        (response.status(), serde_json::from_str(&response.body).unwrap())
    }

    fn open(&mut self, payload: u8) -> Party {
        self.open_with(payload, &[payload])
    }

    /// The same for a party that takes these payload types.
    fn open_with(&mut self, payload: u8, payloads: &[u8]) -> Party {
        let (status, channel) = self.ask("POST", "/channel", &json!({}));
        assert_eq!(status, 200, "{channel}");
        let uuid = channel["uuid"].as_str().unwrap().to_owned();
        let ip: std::net::IpAddr = channel["ip"].as_str().unwrap().parse().unwrap();
        let to = SocketAddr::new(ip, u16::try_from(channel["port"].as_u64().unwrap()).unwrap());
        let rtp = UdpSocket::bind(LOOPBACK).unwrap();
        rtp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let target =
            json!({"ip": "127.0.0.1", "port": rtp.local_addr().unwrap().port(), "audio": {"payloads": payloads}});
        let (status, answer) = self.ask("PUT", &format!("/channel/{uuid}"), &target);
        assert_eq!(status, 200, "{answer}");
        Party { uuid, rtp, to, payload, sequence: 0 }
    }
}

struct Party {
    uuid: String,
    rtp: UdpSocket,
    to: SocketAddr,
    payload: u8,
    sequence: u16,
}

impl Party {
    fn say(&mut self, sound: &[u8]) {
        self.sequence += 1;
        let mut packet = vec![0x80, self.payload];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&u32::from(self.rtp.local_addr().unwrap().port()).to_be_bytes());
        packet.extend_from_slice(sound);
        self.rtp.send_to(&packet, self.to).unwrap();
    }

    /// A key of 100 ms of which only the end has arrived.
    fn presses(&mut self, key: u8) {
        let audio = std::mem::replace(&mut self.payload, EVENTS);
        self.say(&[key, 0x8a, 0x03, 0x20]);
        self.payload = audio;
    }

    /// The payload type and whether it is loud, of what comes within 20 ms.
    fn hears(&self) -> Option<(u8, bool)> {
        let mut buffer = [0; 2_048];
        let (length, _) = self.rtp.recv_from(&mut buffer).ok()?;
        let payload = buffer.get(12..length)?;
        // The top of the µ-law and A-law scale: few other bits than the sign.
        let loud = payload.iter().filter(|byte| matches!(**byte & 0x7f, 0..=0x20 | 0x2a..=0x3f)).count();
        Some((buffer[1] & 0x7f, loud > payload.len() / 2))
    }
}

/// `speaker` talks until `listener` hears it.
fn is_heard(speaker: &mut Party, listener: &Party) -> Option<u8> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        speaker.say(&LOUD);
        if let Some((payload, true)) = listener.hears() {
            return Some(payload);
        }
    }
    None
}

#[test]
fn parties_of_mixed_channels_hear_each_other_in_their_own_codecs() {
    let mut world = World::new(20_000);
    let (mut a, mut b) = (world.open(0), world.open(8));
    let (status, _) = world.ask("PUT", &format!("/channel/{}/mix/{}", a.uuid, b.uuid), &json!({}));
    assert_eq!(status, 200);
    assert_eq!(is_heard(&mut a, &b), Some(8));
    assert_eq!(is_heard(&mut b, &a), Some(0));
    let (status, known) = world.ask("GET", &format!("/channel/{}", a.uuid), &json!({}));
    assert_eq!((status, &known["stats"]["codec"]), (200, &json!("PCMU")));
    assert!(known["stats"]["in"]["count"].as_u64().unwrap() > 0, "{known}");
    // Ports, limit and load.
    let c = world.open(0);
    let (status, full) = world.ask("POST", "/channel", &json!({}));
    assert_eq!((status, full["error"].as_str()), (503, Some("Currently out of channels")));
    let (_, load) = world.ask("DELETE", &format!("/channel/{}", c.uuid), &json!({}));
    assert!(load["channels"]["available"].as_u64().is_some(), "{load}");
    assert!(world.switch.stop());
}

#[test]
fn a_key_of_one_of_two_mixed_parties_reaches_the_other_one() {
    let mut world = World::new(21_000);
    let (mut a, b) = (world.open_with(0, &[0, EVENTS]), world.open_with(8, &[8, EVENTS]));
    assert_eq!(world.ask("PUT", &format!("/channel/{}/mix/{}", a.uuid, b.uuid), &json!({})).0, 200);
    let start = Instant::now();
    let mut heard = None;
    while heard != Some(EVENTS) && start.elapsed() < PATIENCE {
        a.presses(5);
        heard = b.hears().map(|(payload, _)| payload);
    }
    assert_eq!(heard, Some(EVENTS));
    assert!(world.switch.stop());
}

#[test]
fn a_host_that_is_drained_says_so_where_channels_are_asked_for_and_is_alive() {
    let mut world = World::new(20_600);
    let calls = world.switch.addresses().http[0];
    let health = |world: &mut World| world.ask("GET", "/health", &json!({}));
    assert_eq!(health(&mut world).0, 200);
    assert_eq!(world.ask("POST", "/drain", &json!({})).1["channels"]["draining"], true);
    let (status, said) = health(&mut world);
    assert_eq!((status, &said["status"], &said["carriers"]["sip"]["state"]), (503, &json!("draining"), &json!("up")));
    assert_eq!(world.ask("GET", "/health/live", &json!({})), (200, json!({ "status": "alive" })));
    let metrics = http(&mut world.http, "GET", "/metrics", "").body;
    assert!(metrics.contains("hookswitch_channels_draining{carrier=\"sip\"} 1\n"), "{metrics}");
    // Its calls are another affair.
    assert_eq!(http(&mut tcp(calls), "GET", "/health", "").status(), 200);
    assert_eq!(world.ask("DELETE", "/drain", &json!({})).0, 200);
    assert_eq!(health(&mut world).0, 200);
    world.switch.drain();
    assert_eq!(world.switch.wait(Phase::Drained, Some(PATIENCE)), Phase::Drained);
    assert_eq!((health(&mut world).0, world.ask("GET", "/health/live", &json!({})).0), (503, 200), "it stops");
}

#[test]
fn a_party_hears_itself_and_what_is_played_to_it() {
    let mut world = World::new(20_200);
    let mut a = world.open(0);
    let path = format!("/channel/{}", a.uuid);
    assert_eq!(world.ask("PUT", &format!("{path}/echo"), &json!({})).0, 200);
    let start = Instant::now();
    let mut heard = false;
    while !heard && start.elapsed() < PATIENCE {
        a.say(&LOUD);
        heard = a.hears().is_some_and(|(_, loud)| loud);
    }
    assert!(heard, "its echo");
    assert_eq!(world.ask("DELETE", &format!("{path}/echo"), &json!({})).0, 200);
    // What is on its way yet.
    while a.hears().is_some() {}
    let soup = json!({"files": [{"tone": "440*0.9:1000"}], "loop": true});
    assert_eq!(world.ask("PUT", &format!("{path}/play"), &soup).0, 200);
    let start = Instant::now();
    let mut heard = false;
    while !heard && start.elapsed() < PATIENCE {
        heard = a.hears().is_some_and(|(_, loud)| loud);
    }
    assert!(heard, "the tone");
    assert!(world.switch.stop());
}

#[test]
fn ports_that_run_out_are_told_once_and_so_is_their_return() {
    let journal = JournalThread::start(&JournalConfig::new(None)).unwrap();
    let kinds = vec!["media.*".into()];
    let mut reader = journal.handle().reader(None, Filter { kinds, ..Filter::default() });
    let mut config = config(20_400);
    config.media.threads = 1;
    config.media.ports = PortRange { first: 20_400, last: 20_403 };
    config.journal = Some(journal.handle());
    let mut world = World::with(config);
    let first = world.open(0);
    world.open(0);
    for _ in 0..3 {
        assert_eq!(world.ask("POST", "/channel", &json!({})).0, 503);
    }
    assert_eq!(world.ask("DELETE", &format!("/channel/{}", first.uuid), &json!({})).0, 200);
    world.open(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = runtime.block_on(async {
        let mut told = Vec::new();
        while told.len() < 2 {
            told.extend(tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap());
        }
        told
    });
    let told: Vec<_> =
        told.iter().map(|event| (&*event.kind, serde_json::from_str::<Value>(&event.text).unwrap())).collect();
    let [("media.ports_exhausted", out), ("media.ports_free", back)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(out["data"], json!({"thread": 0, "pairs": 2}));
    assert_eq!(back["data"], json!({"thread": 0, "pairs": 2, "refused": 3}));
    assert!(world.switch.stop());
}
