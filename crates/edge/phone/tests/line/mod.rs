//! Two phones on one wire, in virtual time.
#![allow(dead_code)] // each test file uses its part

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_phone::{EndCause, Event, Heard, Input, Ladder, Output, Phone, PhoneConfig, Time};
use hookswitch_sip::Flow;

/// How long a packet travels.
const DELAY: Duration = Duration::from_millis(5);

/// No test needs more steps than this.
const MAX_STEPS: usize = 2_000_000;

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Alice at 10.0.0.1 and Bob at 10.0.0.2, each the other's server.
pub fn config(name: &str) -> PhoneConfig {
    let (own, other) = if name == "alice" { (1, 2) } else { (2, 1) };
    PhoneConfig::new(
        name,
        "a.test",
        address(&format!("10.0.0.{own}:5060")),
        address(&format!("10.0.0.{other}:5060")),
        address(&format!("10.0.0.{own}:4000")),
    )
}

enum Packet {
    Sip { from: SocketAddr, to: SocketAddr, bytes: Bytes },
    Rtp { from: SocketAddr, to: SocketAddr, bytes: Bytes },
}

pub struct Line {
    pub now: Time,
    pub alice: Phone,
    pub bob: Phone,
    wire: VecDeque<(Time, Packet)>,
    pub alice_heard: Vec<Event>,
    pub bob_heard: Vec<Event>,
    pub ladder: Ladder,
    pub drawn: String,
    /// Every SIP message, whole.
    pub sent: Vec<String>,
    /// SIP messages that contain this text are lost.
    pub lose: Option<&'static str>,
    /// Every n-th RTP packet is lost.
    pub lose_rtp: Option<u64>,
    rtp_count: u64,
}

impl Line {
    pub fn new(alice: PhoneConfig, bob: PhoneConfig) -> Line {
        let mut ladder = Ladder::default();
        ladder.party("alice", alice.local).party("bob", bob.local);
        Line {
            now: Duration::from_secs(1_000_000),
            alice: Phone::new(alice, [1; 32]),
            bob: Phone::new(bob, [2; 32]),
            wire: VecDeque::new(),
            alice_heard: Vec::new(),
            bob_heard: Vec::new(),
            ladder,
            drawn: String::new(),
            sent: Vec::new(),
            lose: None,
            lose_rtp: None,
            rtp_count: 0,
        }
    }

    /// Alice calls Bob.
    pub fn dial(&mut self) -> &mut Line {
        self.alice.call(self.now, "sip:bob@a.test").unwrap();
        self.collect();
        self
    }

    /// Lets `time` pass.
    pub fn pass(&mut self, time: Duration) -> &mut Line {
        let end = self.now + time;
        for _ in 0..MAX_STEPS {
            self.collect();
            let due = [self.wire.front().map(|(at, _)| *at), self.alice.poll_timeout(), self.bob.poll_timeout()];
            let Some(next) = due.into_iter().flatten().min().filter(|next| *next <= end) else {
                self.now = end;
                return self;
            };
            self.now = self.now.max(next);
            match self.wire.pop_front_if(|(at, _)| *at <= next) {
                Some((_, packet)) => self.deliver(packet),
                None => {
                    self.alice.handle_timeout(self.now);
                    self.bob.handle_timeout(self.now);
                }
            }
        }
        panic!("the phones never rest");
    }

    fn deliver(&mut self, packet: Packet) {
        let now = self.now;
        match packet {
            Packet::Sip { from, to, bytes } => {
                let phone = if to == self.alice.config().local { &mut self.alice } else { &mut self.bob };
                phone.handle_sip(now, Input::Datagram { flow: Flow::udp(to, from), bytes });
            }
            Packet::Rtp { from, to, bytes } => {
                let phone = if to.ip() == self.alice.config().rtp.ip() { &mut self.alice } else { &mut self.bob };
                phone.handle_rtp_at(now, to, from, &bytes);
            }
        }
    }

    /// The requests of a method, whole, each time that they were sent.
    pub fn requests(&self, method: &str) -> Vec<&String> {
        self.sent.iter().filter(|text| text.starts_with(method)).collect()
    }

    pub fn collect(&mut self) {
        for is_alice in [true, false] {
            let phone = if is_alice { &mut self.alice } else { &mut self.bob };
            while let Some(output) = phone.poll_output() {
                match output {
                    Output::Sip { flow, bytes } => {
                        self.drawn += &self.ladder.message(self.now, flow.local, flow.remote, &bytes);
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        self.sent.push(text.clone());
                        if self.lose.is_none_or(|lose| !text.contains(lose)) {
                            let packet = Packet::Sip { from: flow.local, to: flow.remote, bytes };
                            self.wire.push_back((self.now + DELAY, packet));
                        }
                    }
                    Output::Rtp { from, to, bytes } => {
                        self.rtp_count += 1;
                        if self.lose_rtp.is_none_or(|nth| !self.rtp_count.is_multiple_of(nth)) {
                            self.wire.push_back((self.now + DELAY, Packet::Rtp { from, to, bytes }));
                        }
                    }
                    Output::Close { .. } => {}
                    Output::Event(event) => {
                        if is_alice { &mut self.alice_heard } else { &mut self.bob_heard }.push(event);
                    }
                }
            }
        }
    }
}

pub fn end(events: &[Event]) -> Option<&EndCause> {
    events.iter().find_map(|event| match event {
        Event::Ended { cause, .. } => Some(cause),
        _ => None,
    })
}

pub fn tones(events: &[Event]) -> Vec<Heard> {
    let heard = events.iter().filter_map(|event| match event {
        Event::Heard(heard) => Some(*heard),
        _ => None,
    });
    heard.collect()
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
