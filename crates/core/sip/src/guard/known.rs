//! Flows of parties that we know: of registered phones, and of those we send requests to ourselves. Two sets by age:
//!
//! ```text
//!   know ─▶ young ──(period)──▶ old ──(period)──▶ forgotten
//! ```
//!
//! A flow is known for at least one period since it was last said to be, and for less than two.

use std::net::SocketAddr;

use ahash::{AHashSet, RandomState};

use super::source::Source;
use crate::Time;

/// Most flows and sources in one of the sets. With more, the sets change places early.
pub(super) const MAX_KNOWN: usize = 4_000_000;

/// The flows, by hash: 9 bytes each, and a collision in 2^64 spares somebody.
pub(super) struct Known {
    hasher: RandomState,
    young: AHashSet<u64>,
    old: AHashSet<u64>,
    period: Time,
    turned_at: Time,
}

impl Known {
    pub(super) fn new(hasher: RandomState, period: Time) -> Known {
        Known { hasher, young: AHashSet::new(), old: AHashSet::new(), period, turned_at: Time::ZERO }
    }

    pub(super) fn know(&mut self, now: Time, remote: SocketAddr) {
        let (flow, source) = (self.flow(remote), self.source(Source::of(remote.ip())));
        if now.saturating_sub(self.turned_at) >= self.period || self.young.len() >= MAX_KNOWN {
            // What was not heard of for two periods is not young either.
            let is_over = now.saturating_sub(self.turned_at) >= 2 * self.period;
            self.old = std::mem::take(&mut self.young);
            if is_over {
                self.old.clear();
            }
            self.turned_at = now;
        }
        self.young.insert(flow);
        self.young.insert(source);
    }

    pub(super) fn forget(&mut self, remote: SocketAddr) {
        let flow = self.flow(remote);
        self.young.remove(&flow);
        self.old.remove(&flow);
    }

    /// Whether this flow is known.
    pub(super) fn knows(&self, now: Time, remote: SocketAddr) -> bool {
        self.has(now, self.flow(remote))
    }

    /// Whether any flow behind this source is, or was not long ago.
    pub(super) fn knows_some(&self, now: Time, source: Source) -> bool {
        self.has(now, self.source(source))
    }

    fn has(&self, now: Time, key: u64) -> bool {
        // Nobody turns the sets while nobody is known anew.
        let age = now.saturating_sub(self.turned_at);
        (age < 2 * self.period && self.young.contains(&key)) || (age < self.period && self.old.contains(&key))
    }

    fn flow(&self, remote: SocketAddr) -> u64 {
        self.hasher.hash_one((remote.ip().to_canonical(), remote.port()))
    }

    fn source(&self, source: Source) -> u64 {
        // No flow has port 0.
        self.hasher.hash_one((source.address(), 0_u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_flow_is_known_for_a_period_at_least_and_for_two_at_most() {
        let hour = Time::from_secs(3_600);
        let start = Time::from_secs(1_000_000);
        let mut known = Known::new(RandomState::with_seeds(1, 2, 3, 4), hour);
        known.know(start, at("192.0.2.1:5060"));
        assert!(known.knows(start, at("192.0.2.1:5060")) && known.knows(start, at("[::ffff:192.0.2.1]:5060")));
        assert!(!known.knows(start, at("192.0.2.1:5061")) && !known.knows(start, at("192.0.2.2:5060")));
        assert!(known.knows_some(start, Source::of(at("192.0.2.1:1").ip())));
        known.know(start + hour, at("192.0.2.2:5060"));
        assert!(known.knows(start + hour * 3 / 2, at("192.0.2.1:5060")));
        assert!(!known.knows(start + hour * 2, at("192.0.2.1:5060")));
        assert!(known.knows(start + hour * 2, at("192.0.2.2:5060")));
        assert!(!known.knows(start + hour * 3, at("192.0.2.2:5060")));
        known.know(start + hour * 9, at("192.0.2.3:5060"));
        assert!(!known.knows(start + hour * 9, at("192.0.2.2:5060")));
        known.forget(at("192.0.2.3:5060"));
        assert!(!known.knows(start + hour * 9, at("192.0.2.3:5060")));
    }
}
