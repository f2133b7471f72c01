//! The only place of the switch that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hookswitch_call::Time;

/// Time since the UNIX epoch on a clock that never goes back: the calendar is looked at once, at the start, and from
/// then on only the monotonic clock counts. A calendar that is set later changes nothing here.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    epoch: Duration,
}

impl Clock {
    /// A clock that shows the calendar's time now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
            // A calendar before 1970 is one that nobody has set; any start will do then.
            epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.epoch + self.origin.elapsed()
    }

    /// What the calendar shows now, which may have been set meanwhile: for what others compare with theirs.
    #[must_use]
    pub fn calendar(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// How long ago something happened that the system noted by the calendar's clock, such as the arrival of a
    /// datagram. Zero if the calendar was set back meanwhile.
    #[must_use]
    pub fn since(&self, noted: Duration) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_show_the_same_time_and_it_goes_forward() {
        let clock = Clock::start();
        let copy = clock;
        let first = clock.now();
        let second = copy.now();
        assert!(second >= first && second - first < Duration::from_secs(1));
        // 2020-01-01: somebody has set the calendar.
        assert!(first > Duration::from_secs(1_577_836_800));
    }
}
