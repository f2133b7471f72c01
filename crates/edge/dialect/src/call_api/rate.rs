//! How fast requests may come.

use std::time::Duration;

use hookswitch_call::Time;

/// For how long a client that has been quiet may ask at any speed, counted in its own rate: a
/// burst of twice the requests of a second.
const BURST: Duration = Duration::from_secs(2);

/// Lets so many requests in a second pass, twice as many at once after a pause. One number is all
/// it keeps: the moment at which all that has passed will have been paid for (the generic cell
/// rate algorithm of ITU-T I.371).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pace {
    paid_at: Time,
}

impl Pace {
    /// Whether one more may pass now, at this many in a second.
    pub(crate) fn pass(&mut self, now: Time, rate: u32) -> bool {
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
}
