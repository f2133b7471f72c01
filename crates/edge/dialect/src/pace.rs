//! How fast requests may come.

use std::time::Duration;

use hookswitch_call::Time;

/// For how long a client that has been quiet may ask at any speed, counted in its own rate: a
/// burst of twice the requests of a second.
pub const BURST: Duration = Duration::from_secs(2);

/// Lets so many requests in a second pass, twice as many at once after a pause. One number is all
/// it keeps: the moment at which all that has passed will have been paid for (the generic cell
/// rate algorithm of ITU-T I.371).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    paid_at: Time,
}

/// What a client may still ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// So many requests at once.
    pub requests: u64,
    /// Until as many may come at once as after a pause, if none comes meanwhile.
    pub full_in: Duration,
    /// Until the next one may come; zero while some may.
    pub next_in: Duration,
}

impl Pace {
    /// Whether one more may pass now, at this many in a second.
    pub fn pass(&mut self, now: Time, rate: u32) -> bool {
        if rate == 0 {
            return false;
        }
        let paid_at = self.paid_at.max(now) + Duration::from_secs(1) / rate;
        if paid_at > now + BURST {
            return false;
        }
        self.paid_at = paid_at;
        true
    }

    /// What may still pass now, at this many in a second, which is at least 1.
    #[must_use]
    pub fn left(&self, now: Time, rate: u32) -> Left {
        let debt = self.paid_at.saturating_sub(now);
        let each = (Duration::from_secs(1) / rate.max(1)).max(Duration::from_nanos(1));
        let room = BURST.saturating_sub(debt);
        Left {
            // Two seconds are at most 2 * 10^9 times the least there is.
            requests: u64::try_from(room.as_nanos() / each.as_nanos()).unwrap_or(u64::MAX),
            full_in: debt,
            next_in: each.saturating_sub(room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_rate_at_once_and_then_the_rate() {
        let start = Duration::from_secs(1_700_000_000);
        let mut pace = Pace::default();
        let passed = (0..100).filter(|_| pace.pass(start, 5)).count();
        assert_eq!(passed, 10);
        let passed = (1..=10_000).filter(|ms| pace.pass(start + Duration::from_millis(*ms), 5)).count();
        assert_eq!(passed, 50);
        let rested = start + Duration::from_secs(1_000);
        assert_eq!((0..100).filter(|_| pace.pass(rested, 5)).count(), 10);
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_pass() {
        assert!(!Pace::default().pass(Duration::from_secs(9), 0));
        assert!(Pace::default().pass(Duration::from_secs(9), u32::MAX));
    }

    #[test]
    fn what_is_left_is_what_passes() {
        let start = Duration::from_secs(1_700_000_000);
        for rate in [1, 3, 5, 1_000] {
            let mut pace = Pace::default();
            let whole = u64::from(rate) * 2;
            assert_eq!(pace.left(start, rate), Left { requests: whole, ..pace.left(start, rate) });
            for passed in 1..=whole {
                assert!(pace.pass(start, rate));
                assert_eq!(pace.left(start, rate).requests, whole - passed, "{rate}");
            }
            let left = pace.left(start, rate);
            assert!(left.next_in > Duration::ZERO && left.full_in <= BURST, "{left:?}");
            assert!(!pace.pass(start + left.next_in - Duration::from_nanos(1), rate), "{rate}");
            assert!(pace.pass(start + left.next_in, rate), "{rate}");
        }
    }
}
