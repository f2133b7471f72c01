//! What the two ends of the calls want done, and what is counted on the way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::histogram::Histogram;

/// Which end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    Caller,
    Callee,
}

impl Leg {
    pub(super) fn index(self) -> usize {
        match self {
            Leg::Caller => 0,
            Leg::Callee => 1,
        }
    }

    pub(super) fn other(self) -> Leg {
        match self {
            Leg::Caller => Leg::Callee,
            Leg::Callee => Leg::Caller,
        }
    }
}

/// A call as its end names it: a place in its table, and which use of that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CallRef {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// What happened to a call, for whoever sends its audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// The call stands; audio goes to `remote`.
    Talks { leg: Leg, call: CallRef, number: Option<u64>, remote: Option<SocketAddr> },
    /// The call stands at the caller's end, under this Call-ID.
    Answered { number: u64, call_id: String },
    /// Both ends of this caller's call shall be quiet now.
    Hush { call: CallRef },
    /// The call is over.
    Over { leg: Leg, call: CallRef },
}

/// Filled by the machines, emptied by the loop.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) sip: Vec<(SocketAddr, Bytes)>,
    pub(super) deeds: Vec<Deed>,
}

/// Everything that is counted about signalling.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) started: u64,
    pub(super) answered: u64,
    pub(super) completed: u64,
    /// Why calls failed, in words: `486 Busy Here`.
    pub(super) failed: BTreeMap<String, u64>,
    /// Requests and answers sent again.
    pub(super) repeats_sent: u64,
    /// Requests and answers that came again.
    pub(super) repeats_seen: u64,
    /// Messages that belong to no call, or cannot be read.
    pub(super) strays: u64,
    /// From the INVITE to its 200.
    pub(super) setup: Histogram,
    /// Time of the last end of a call.
    pub(super) last_end: Duration,
}

/// Different reasons that are told apart; more are one.
const MAX_REASONS: usize = 50;

impl Tally {
    pub(super) fn new() -> Tally {
        Tally {
            started: 0,
            answered: 0,
            completed: 0,
            failed: BTreeMap::new(),
            repeats_sent: 0,
            repeats_seen: 0,
            strays: 0,
            setup: Histogram::new(),
            last_end: Duration::ZERO,
        }
    }

    pub(super) fn fail(&mut self, now: Duration, why: String) {
        let known = self.failed.len() < MAX_REASONS || self.failed.contains_key(&why);
        *self.failed.entry(if known { why } else { "other".into() }).or_default() += 1;
        self.last_end = now;
    }

    pub(super) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}
