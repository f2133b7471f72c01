//! Endpoints joined by a network with weather.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_sip::{ConnId, Counts, Endpoint, EndpointConfig, Event, Flow, Input, Output, Time, Transport};

use super::{Dice, START};

/// What the network does to datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Datagrams lost, in percent.
    pub loss: u64,
    /// Datagrams doubled, in percent.
    pub double: u64,
    /// Least time on the way.
    pub delay: Duration,
    /// Most time added to it at random, which also changes the order.
    pub jitter: Duration,
}

impl Weather {
    pub const CLEAR: Weather = Weather { loss: 0, double: 0, delay: Duration::from_millis(10), jitter: Duration::ZERO };
}

pub struct Host {
    pub endpoint: Endpoint,
    pub at: SocketAddr,
    pub events: Vec<Event>,
    /// A dead host hears nothing and says nothing.
    pub dead: bool,
}

struct Parcel {
    to: usize,
    input: Input,
}

/// The network, its clock and its hosts.
pub struct Net {
    pub now: Time,
    pub hosts: Vec<Host>,
    pub weather: Weather,
    pub dice: Dice,
    /// First lines of all messages sent, with who sent them.
    pub ladder: Vec<(Duration, usize, String)>,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    parcels: HashMap<u64, Parcel>,
    serial: u64,
    /// For each end of a connection: the host and the connection at the other end.
    conns: HashMap<ConnId, (usize, Flow)>,
    by_pair: HashMap<(usize, SocketAddr), ConnId>,
}

impl Net {
    pub fn new(configs: Vec<(SocketAddr, EndpointConfig)>, weather: Weather, seed: u64) -> Net {
        let hosts = configs.into_iter().enumerate().map(|(index, (at, config))| Host {
            endpoint: Endpoint::new(config, [index as u8 + 1; 32]),
            at,
            events: Vec::new(),
            dead: false,
        });
        Net {
            now: START,
            hosts: hosts.collect(),
            weather,
            dice: Dice::new(seed),
            ladder: Vec::new(),
            queue: BinaryHeap::new(),
            parcels: HashMap::new(),
            serial: 0,
            conns: HashMap::new(),
            by_pair: HashMap::new(),
        }
    }

    /// A flow from one host to another.
    pub fn flow(&self, transport: Transport, from: usize, to: usize) -> Flow {
        Flow { transport, ..Flow::udp(self.hosts[from].at, self.hosts[to].at) }
    }

    fn post(&mut self, at: Time, to: usize, input: Input) {
        self.serial += 1;
        self.queue.push(Reverse((at, self.serial)));
        self.parcels.insert(self.serial, Parcel { to, input });
    }

    /// Takes out what a host wants; called after every touch.
    pub fn drain(&mut self, host: usize) {
        while let Some(output) = self.hosts[host].endpoint.poll_output() {
            match output {
                Output::Event(event) => self.hosts[host].events.push(event),
                _ if self.hosts[host].dead => {}
                Output::Send { flow, bytes } => self.carry(host, flow, bytes),
                Output::Close { flow } => self.cut(flow),
            }
        }
    }

    fn carry(&mut self, from: usize, flow: Flow, bytes: Bytes) {
        let line = String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned();
        self.ladder.push((self.now - START, from, line));
        match flow.transport {
            Transport::Udp => self.carry_datagram(from, flow, bytes),
            _ => self.carry_stream(from, flow, bytes),
        }
    }

    fn carry_datagram(&mut self, from: usize, flow: Flow, bytes: Bytes) {
        let Some(to) = self.hosts.iter().position(|host| host.at == flow.remote) else {
            return;
        };
        if self.dice.percent(self.weather.loss) {
            return;
        }
        let copies = if self.dice.percent(self.weather.double) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = self.dice.below(self.weather.jitter.as_micros() as u64 + 1);
            let at = self.now + self.weather.delay + Duration::from_micros(jitter);
            let flow = Flow::udp(self.hosts[to].at, self.hosts[from].at);
            self.post(at, to, Input::Datagram { flow, bytes: bytes.clone() });
        }
    }

    fn carry_stream(&mut self, from: usize, flow: Flow, bytes: Bytes) {
        let at = self.now + self.weather.delay;
        let known = flow.conn.or_else(|| self.by_pair.get(&(from, flow.remote)).copied());
        let conn = match known.filter(|conn| self.conns.contains_key(conn)) {
            Some(conn) => conn,
            None => {
                let Some(to) = self.hosts.iter().position(|host| host.at == flow.remote && !host.dead) else {
                    self.post(at, from, Input::Unreachable { flow });
                    return;
                };
                self.connect(from, to, at)
            }
        };
        let (to, far) = self.conns[&conn];
        self.post(at, to, Input::Stream { flow: far, bytes });
    }

    fn connect(&mut self, from: usize, to: usize, at: Time) -> ConnId {
        self.serial += 2;
        let (near, far) = (ConnId(self.serial), ConnId(self.serial + 1));
        self.serial += 1;
        let here = SocketAddr::new(self.hosts[from].at.ip(), 40_000 + (self.serial % 20_000) as u16);
        let near_flow = Flow::connection(Transport::Tcp, here, self.hosts[to].at, near);
        let far_flow = Flow::connection(Transport::Tcp, self.hosts[to].at, here, far);
        self.conns.insert(near, (to, far_flow));
        self.conns.insert(far, (from, near_flow));
        self.by_pair.insert((from, self.hosts[to].at), near);
        self.post(self.now, from, Input::Opened { flow: near_flow });
        self.post(at, to, Input::Opened { flow: far_flow });
        near
    }

    /// Breaks a connection at both ends.
    pub fn cut(&mut self, flow: Flow) {
        let Some((far_host, far)) = flow.conn.and_then(|conn| self.conns.remove(&conn)) else {
            return;
        };
        if let Some((near_host, near)) = far.conn.and_then(|conn| self.conns.remove(&conn)) {
            self.post(self.now, near_host, Input::Closed { flow: near });
        }
        self.post(self.now, far_host, Input::Closed { flow: far });
    }

    /// Breaks every connection.
    pub fn cut_all(&mut self) {
        let flows: Vec<Flow> = self.conns.values().map(|(_, flow)| *flow).collect();
        for flow in flows {
            self.cut(flow);
        }
    }

    fn next(&self) -> Option<Time> {
        let parcel = self.queue.peek().map(|Reverse((at, _))| *at);
        let timers = self.hosts.iter().filter(|host| !host.dead).filter_map(|host| host.endpoint.poll_timeout());
        timers.chain(parcel).min()
    }

    /// Does the next thing that is due until then; false when there is none.
    pub fn step(&mut self, until: Time) -> bool {
        let Some(next) = self.next().filter(|next| *next <= until) else {
            return false;
        };
        self.now = self.now.max(next);
        if let Some(Reverse((at, serial))) = self.queue.peek().copied()
            && at <= self.now
        {
            self.queue.pop();
            if let Some(Parcel { to, input }) = self.parcels.remove(&serial)
                && !self.hosts[to].dead
            {
                self.hosts[to].endpoint.handle_input(self.now, input);
                self.drain(to);
            }
            return true;
        }
        for host in 0..self.hosts.len() {
            if !self.hosts[host].dead {
                self.hosts[host].endpoint.handle_timeout(self.now);
                self.drain(host);
            }
        }
        true
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Runs until nobody waits for anything, but not for more than a virtual day.
    pub fn settle(&mut self) {
        let until = self.now + Duration::from_secs(86_400);
        while self.step(until) {}
    }

    #[track_caller]
    pub fn assert_nothing_left(&self) {
        for (index, host) in self.hosts.iter().enumerate().filter(|(_, host)| !host.dead) {
            let counts = host.endpoint.counts();
            let connections = counts.connections;
            assert_eq!(counts, Counts { connections, ..Counts::default() }, "host {index} holds on to something");
        }
    }
}
