//! How much one address may say: a token bucket for each, so that a flood from one is thrown away before it costs
//! anything, and nobody else notices.

use std::net::IpAddr;

use ahash::AHashMap;
use core::time::Duration;

use crate::Time;
use crate::config::Network;

/// Most addresses that are watched at a time. With more, spoofed ones among them, new ones are let through: nothing is
/// known of them that could tell them apart.
const MAX_SOURCES: usize = 100_000;

/// How much more than a second's worth an address may say at once, as a factor.
const BURST: u64 = 2;

/// Addresses that have been quiet for so long have full buckets and need not be remembered.
const FORGET_AFTER: Duration = Duration::from_secs(BURST);

/// The buckets.
pub(super) struct Guard {
    /// Messages per second; 0 lets everything through.
    rate: u64,
    trusted: Vec<Network>,
    buckets: AHashMap<IpAddr, Bucket>,
    swept_at: Time,
}

struct Bucket {
    /// What is left, in nanoseconds of the time that fills it.
    left: u64,
    at: Time,
}

impl Guard {
    pub(super) fn new(rate: u32, trusted: Vec<Network>) -> Guard {
        Guard { rate: u64::from(rate), trusted, buckets: AHashMap::new(), swept_at: Time::ZERO }
    }

    /// Whether a message from this address is to be looked at.
    pub(super) fn admits(&mut self, now: Time, source: IpAddr) -> bool {
        if self.rate == 0 || self.trusted.iter().any(|net| net.contains(source)) {
            return true;
        }
        if now.saturating_sub(self.swept_at) >= FORGET_AFTER {
            self.swept_at = now;
            self.buckets.retain(|_, bucket| now.saturating_sub(bucket.at) < FORGET_AFTER);
        }
        let full = BURST * 1_000_000_000;
        if self.buckets.len() >= MAX_SOURCES && !self.buckets.contains_key(&source) {
            return true;
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { left: full, at: now });
        let passed = u64::try_from(now.saturating_sub(bucket.at).as_nanos()).unwrap_or(full);
        bucket.left = bucket.left.saturating_add(passed).min(full);
        bucket.at = now;
        let price = 1_000_000_000 / self.rate;
        let admitted = bucket.left >= price;
        if admitted {
            bucket.left -= price;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn admitted(guard: &mut Guard, now: Time, source: &str, count: usize) -> usize {
        (0..count).filter(|_| guard.admits(now, ip(source))).count()
    }

    #[test]
    fn a_flood_is_cut_to_its_rate_and_others_are_not() {
        let mut guard = Guard::new(100, Vec::new());
        let start = Time::from_secs(1_000);
        assert_eq!(admitted(&mut guard, start, "192.0.2.1", 10_000), 200, "two seconds' worth at once");
        assert_eq!(admitted(&mut guard, start, "192.0.2.2", 50), 50);
        let second = start + Duration::from_secs(1);
        assert_eq!(admitted(&mut guard, second, "192.0.2.1", 10_000), 100, "and then the rate");
    }

    #[test]
    fn trusted_addresses_and_a_rate_of_zero_are_not_limited() {
        let net = Network { addr: ip("192.0.2.0"), prefix: 24 };
        let mut guard = Guard::new(1, vec![net]);
        assert_eq!(admitted(&mut guard, Time::ZERO, "192.0.2.9", 1_000), 1_000);
        let mut guard = Guard::new(0, Vec::new());
        assert_eq!(admitted(&mut guard, Time::ZERO, "198.51.100.1", 1_000), 1_000);
    }

    #[test]
    fn addresses_are_forgotten_and_their_number_is_bounded() {
        let mut guard = Guard::new(1, Vec::new());
        let start = Time::from_secs(1_000);
        for n in 0..MAX_SOURCES as u32 + 10 {
            assert!(guard.admits(start, IpAddr::from(n.to_be_bytes())));
        }
        assert_eq!(guard.buckets.len(), MAX_SOURCES);
        assert!(guard.admits(start + FORGET_AFTER, ip("192.0.2.1")));
        assert_eq!(guard.buckets.len(), 1);
    }
}
