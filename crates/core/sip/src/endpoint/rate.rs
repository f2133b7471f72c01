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

/// A full bucket, in nanoseconds.
const FULL: u32 = BURST as u32 * 1_000_000_000;

/// Room for so many buckets is kept when they are gone.
const IDLE: usize = 1_024;

/// Addresses that have been quiet for so long have full buckets and need not be remembered.
const FORGET_AFTER: Duration = Duration::from_secs(BURST);

/// The buckets.
pub(super) struct Rate {
    /// Messages per second; 0 lets everything through.
    rate: u64,
    trusted: Vec<Network>,
    buckets: AHashMap<IpAddr, Bucket>,
    swept_at: Time,
}

/// There may be one for every phone, so it is kept small.
struct Bucket {
    /// When it was filled last, in nanoseconds.
    at: u64,
    /// What is left, in nanoseconds of the time that fills it.
    left: u32,
    /// The second in which it was last found empty; another one that looks the same is 136 years away.
    over_in: u32,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It is to be looked at.
    Within,
    /// It is too much.
    Over,
    /// The same, for the first time in this second.
    FirstOver,
}

impl Rate {
    pub(super) fn new(rate: u32, trusted: Vec<Network>) -> Rate {
        Rate { rate: u64::from(rate), trusted, buckets: AHashMap::new(), swept_at: Time::ZERO }
    }

    /// Whether a message from this address is to be looked at.
    pub(super) fn pace(&mut self, now: Time, source: IpAddr) -> Pace {
        if self.rate == 0 || self.trusted.iter().any(|net| net.contains(source)) {
            return Pace::Within;
        }
        if now.saturating_sub(self.swept_at) >= FORGET_AFTER {
            self.swept_at = now;
            self.buckets.retain(|_, bucket| now.saturating_sub(Time::from_nanos(bucket.at)) < FORGET_AFTER);
            let left = self.buckets.len();
            if self.buckets.capacity() > IDLE + 4 * left {
                self.buckets.shrink_to(2 * left);
            }
        }
        let moment = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        if self.buckets.len() >= MAX_SOURCES && !self.buckets.contains_key(&source) {
            return Pace::Within;
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { left: FULL, at: moment, over_in: 0 });
        let passed = u32::try_from(moment.saturating_sub(bucket.at)).unwrap_or(FULL);
        bucket.left = bucket.left.saturating_add(passed).min(FULL);
        bucket.at = moment;
        let price = (1_000_000_000 / self.rate) as u32;
        if bucket.left >= price {
            bucket.left -= price;
            return Pace::Within;
        }
        let second = now.as_secs() as u32;
        match std::mem::replace(&mut bucket.over_in, second) == second {
            true => Pace::Over,
            false => Pace::FirstOver,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn admitted(rate: &mut Rate, now: Time, source: &str, count: usize) -> usize {
        (0..count).filter(|_| rate.pace(now, ip(source)) == Pace::Within).count()
    }

    #[test]
    fn a_flood_is_cut_to_its_rate_and_others_are_not() {
        let mut rate = Rate::new(100, Vec::new());
        let start = Time::from_secs(1_000);
        assert_eq!(admitted(&mut rate, start, "192.0.2.1", 10_000), 200, "two seconds' worth at once");
        assert_eq!(admitted(&mut rate, start, "192.0.2.2", 50), 50);
        let second = start + Duration::from_secs(1);
        assert_eq!(admitted(&mut rate, second, "192.0.2.1", 10_000), 100, "and then the rate");
    }

    #[test]
    fn trusted_addresses_and_a_rate_of_zero_are_not_limited() {
        let net = Network { addr: ip("192.0.2.0"), prefix: 24 };
        let mut rate = Rate::new(1, vec![net]);
        assert_eq!(admitted(&mut rate, Time::ZERO, "192.0.2.9", 1_000), 1_000);
        let mut rate = Rate::new(0, Vec::new());
        assert_eq!(admitted(&mut rate, Time::ZERO, "198.51.100.1", 1_000), 1_000);
    }

    #[test]
    fn addresses_are_forgotten_and_their_number_is_bounded() {
        let mut rate = Rate::new(1, Vec::new());
        let start = Time::from_secs(1_000);
        for n in 0..MAX_SOURCES as u32 + 10 {
            assert_eq!(rate.pace(start, IpAddr::from(n.to_be_bytes())), Pace::Within);
        }
        assert_eq!(rate.buckets.len(), MAX_SOURCES);
        assert_eq!(rate.pace(start + FORGET_AFTER, ip("192.0.2.1")), Pace::Within);
        assert_eq!(rate.buckets.len(), 1);
    }
}
