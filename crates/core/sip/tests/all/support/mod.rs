//! A virtual clock and a virtual network for endpoints, and a scripted other side.
#![allow(dead_code, reason = "every test file uses a part of this")]

pub mod lone;
pub mod net;

use std::net::SocketAddr;
use std::time::Duration;

use hookswitch_sip::{EndpointConfig, Listen, Time, Transport};

/// When every test begins.
pub const START: Time = Duration::from_millis(1_763_700_000_000);

pub const HERE: &str = "10.0.0.1:5060";
pub const THERE: &str = "10.0.0.2:5060";

pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

pub fn addr(text: &str) -> SocketAddr {
    text.parse().expect("tests write addresses correctly")
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An endpoint at that address, over both transports. Its sessions do not expire, so that a call can be left alone.
pub fn config(at: SocketAddr) -> EndpointConfig {
    EndpointConfig {
        listen: vec![
            Listen { transport: Transport::Udp, address: at, advertise: None },
            Listen { transport: Transport::Tcp, address: at, advertise: None },
        ],
        session_expires: Duration::ZERO,
        ..EndpointConfig::default()
    }
}

/// A small generator for tests: the same seed gives the same run.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { (self.next() >> 16) % bound }
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}
