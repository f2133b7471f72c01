//! A simulated OpenSIPS and fronts of it, on sockets of their own choice, and a client that understands what it hears.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use hookswitch_dialect::call_api::Mode;
use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};
use hookswitch_drive::opensips::{LocalSession, OpenSipsFront, OpenSipsFrontConfig};
use hookswitch_opensips::Link;
use hookswitch_opensips_sim::{Answer, Behaviour, SimConfig};
use serde_json::{Value, json};

/// Nothing in these tests takes longer, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where a simulated OpenSIPS takes requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mi {
    Udp,
    Unix,
    Http,
}

/// A quick OpenSIPS with Alice, Bob and Cindy, who answer, Bill, who is busy, and Ron, who rings.
pub fn opensips(folder: &Path, places: &[Mi]) -> SimulatorConfig {
    let phone = |name: &str, answer| (name.to_owned(), Behaviour::scripted(name, "127.0.0.1:5062").answering(answer));
    let after = |millis| Answer::After(Duration::from_millis(millis));
    SimulatorConfig {
        udp: places.contains(&Mi::Udp).then_some(LOOPBACK),
        unix: places.contains(&Mi::Unix).then(|| folder.join("mi")),
        http: places.contains(&Mi::Http).then_some(LOOPBACK),
        sim: SimConfig {
            fr_timeout: Duration::from_millis(500),
            fr_inv_timeout: Duration::from_secs(2),
            ..SimConfig::default()
        },
        phones: vec![
            phone("alice", after(10)),
            phone("bob", after(20)),
            phone("cindy", after(5)),
            phone("bill", Answer::Refuses(486, Duration::ZERO)),
            phone("ron", Answer::Rings),
        ],
        ..SimulatorConfig::default()
    }
}

/// The address of a simulated OpenSIPS, as a front is told it.
pub fn mi_of(simulator: &Simulator, mi: Mi) -> String {
    let bound = simulator.addresses();
    match mi {
        Mi::Udp => format!("udp:{}", bound.udp.unwrap()),
        Mi::Unix => format!("unix:{}", bound.unix.as_ref().unwrap().display()),
        Mi::Http => format!("http://{}/mi", bound.http.unwrap()),
    }
}

/// A front of the OpenSIPS at this address, with short times.
pub fn config(mi: &str, events: &str) -> OpenSipsFrontConfig {
    let mut config = OpenSipsFrontConfig {
        mi: mi.parse().unwrap(),
        events: events.parse().unwrap(),
        ..OpenSipsFrontConfig::default()
    };
    config.opensips.mi_timeout = Duration::from_millis(500);
    config.opensips.refer_timeout = Duration::from_secs(2);
    config.opensips.health_every = Duration::from_millis(200);
    config
}

pub fn front(mi: &str, events: &str) -> OpenSipsFront {
    let front = OpenSipsFront::start(config(mi, events)).unwrap();
    wait_until_up(&front);
    front
}

/// Waits until something is so, and says what was not when it never is.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn wait_until_up(front: &OpenSipsFront) {
    wait_until("requests and events work", || {
        let health = front.health();
        health.mi == Link::Up && health.events == Link::Up
    });
}

pub fn wait_until_down(front: &OpenSipsFront) {
    wait_until("the loss of OpenSIPS is noticed", || front.health().mi.is_down());
}

/// The subscriptions that a simulated OpenSIPS sends events for.
pub fn live_subscriptions(simulator: &Simulator) -> usize {
    simulator.with(|sim, now| sim.live_subscriptions(now)).unwrap()
}

/// Calls that a simulated OpenSIPS has.
pub fn calls(simulator: &Simulator) -> usize {
    simulator.with(|sim, _| sim.counts().dialogs).unwrap()
}

pub fn uri(user: &str) -> String {
    format!("sip:{user}@127.0.0.1:5080")
}

/// One notification of a command.
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    pub event: String,
    pub data: Value,
}

/// An application inside the program.
pub struct Client {
    session: LocalSession,
    next: u32,
    notices: HashMap<String, Vec<Notice>>,
}

impl Client {
    pub fn of(front: &OpenSipsFront) -> Self {
        Self { session: front.session(Mode::Original), next: 0, notices: HashMap::new() }
    }

    /// Starts a command and returns its `cmd_id`.
    pub fn start(&mut self, method: &str, mut params: Value) -> String {
        self.next += 1;
        let name = format!("command-{}-{}", self.next, rand::random::<u32>());
        params["cmd_id"] = name.clone().into();
        self.session.send(json!({ "jsonrpc": "2.0", "id": name, "method": method, "params": params }).to_string());
        name
    }

    /// Reads one message, whichever command it is about.
    fn read(&mut self) {
        let text = self.session.recv_timeout(PATIENCE).expect("nothing more was said");
        let message: Value = serde_json::from_str(&text).unwrap();
        let (name, said) = match message.get("params") {
            Some(params) => (&params["cmd_id"], params),
            None => (&message["id"], &message["result"]),
        };
        let notice = Notice { event: said["event"].as_str().expect(&text).to_owned(), data: said["data"].clone() };
        self.notices.entry(name.as_str().unwrap().to_owned()).or_default().push(notice);
    }

    /// Waits until a command has said this, and returns its data.
    pub fn wait_for(&mut self, command: &str, event: &str) -> Value {
        loop {
            if let Some(notice) = self.said(command).iter().find(|notice| notice.event == event) {
                return notice.data.clone();
            }
            assert!(!self.said(command).iter().any(|one| one.event == "Ended"), "{event}: {:?}", self.said(command));
            self.read();
        }
    }

    fn said(&self, command: &str) -> &[Notice] {
        self.notices.get(command).map_or(&[], Vec::as_slice)
    }

    /// Whether a command's end was among what was read so far.
    pub fn has_ended(&self, command: &str) -> bool {
        self.said(command).iter().any(|notice| notice.event == "Ended")
    }

    /// Waits until a command has ended, and returns all that it said.
    pub fn end_of(&mut self, command: &str) -> Vec<Notice> {
        while self.said(command).last().is_none_or(|notice| notice.event != "Ended") {
            self.read();
        }
        self.notices.remove(command).unwrap()
    }

    /// Runs a command from its beginning to its end.
    pub fn run(&mut self, method: &str, params: Value) -> Vec<Notice> {
        let command = self.start(method, params);
        self.end_of(&command)
    }

    /// Runs a command that must succeed; returns the names of what it said.
    pub fn succeed(&mut self, method: &str, params: Value) -> Vec<Notice> {
        let notices = self.run(method, params);
        assert!(!notices.iter().any(|notice| notice.event == "Error"), "{method}: {notices:?}");
        notices
    }

    /// Starts a call between two phones and returns its Call-ID.
    pub fn call(&mut self, caller: &str, callee: &str) -> String {
        let notices = self.succeed("CallStart", json!({ "caller": uri(caller), "callee": uri(callee) }));
        find(&notices, "TransferStart").data["callid"].as_str().unwrap().to_owned()
    }

    /// Everything that can be done with a call, from its beginning to its end.
    pub fn whole_call(&mut self) {
        let call = self.call("alice", "bob");
        for (method, event) in [("CallHold", "CallHoldSuccessful"), ("CallUnhold", "CallUnholdSuccessful")] {
            let notices = self.succeed(method, json!({ "callid": call }));
            assert_eq!(notices.iter().filter(|notice| notice.event == event).count(), 2, "{notices:?}");
        }
        let to_cindy = json!({ "callid": call, "leg": "callee", "destination": uri("cindy") });
        let notices = self.succeed("CallBlindTransfer", to_cindy);
        let call = find(&notices, "TransferSuccessful").data["callid"].as_str().unwrap().to_owned();
        self.succeed("CallEnd", json!({ "callid": call }));
    }
}

pub fn find<'a>(notices: &'a [Notice], event: &str) -> &'a Notice {
    notices.iter().find(|notice| notice.event == event).unwrap_or_else(|| panic!("no {event} in {notices:?}"))
}

/// What an `Error` said.
pub fn error(notices: &[Notice]) -> &str {
    find(notices, "Error").data.as_str().unwrap()
}
