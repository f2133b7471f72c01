//! How late ticks begin.

use std::time::Duration;

/// How late the ticks of a media thread have begun, against the time that each was due at: that does not move with the
/// ticks before it, so that one late tick makes no other late.
///
/// A tick makes what is said here: tones, sounds, keys, what a room hears, and reports. What is only relayed needs none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lateness {
    /// Ticks that were at most as late as the bound of the same place in [`BOUNDS`](Self::BOUNDS) and later than the one
    /// before it; the last one is of those beyond all.
    counts: [u64; Self::BOUNDS.len() + 1],
    sum: Duration,
    longest: Duration,
}

impl Lateness {
    /// What ticks are sorted by.
    pub const BOUNDS: [Duration; 11] = [
        Duration::from_micros(50),
        Duration::from_micros(100),
        Duration::from_micros(200),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_millis(2),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(20),
        Duration::from_millis(50),
        Duration::from_millis(100),
    ];

    pub(crate) fn note(&mut self, late: Duration) {
        self.counts[Self::BOUNDS.partition_point(|bound| *bound < late)] += 1;
        self.sum = self.sum.saturating_add(late);
        self.longest = self.longest.max(late);
    }

    /// Ticks in all.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bound with its number of ticks; the last ones, beyond all bounds, have none.
    pub fn counts(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        Self::BOUNDS.into_iter().map(Some).chain([None]).zip(self.counts)
    }

    /// How late all of them were together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How late the latest was.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The first bound that so great a part (0 to 1) of all ticks keep, or the longest where that is less; zero where
    /// there were no ticks.
    #[must_use]
    pub fn kept_by(&self, part: f64) -> Duration {
        let wanted = (part.clamp(0.0, 1.0) * self.ticks() as f64).ceil() as u64;
        let mut seen = 0;
        let bound = self.counts().find(|(_, count)| {
            seen += count;
            seen >= wanted
        });
        bound.and_then(|(bound, _)| bound).map_or(self.longest, |bound| bound.min(self.longest))
    }

    /// With those of another thread.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count += other;
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.longest = self.longest.max(other.longest);
        self
    }

    /// What has been added since. The longest is that of all the time.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        for (count, earlier) in self.counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(earlier);
        }
        self.sum = self.sum.saturating_sub(earlier.sum);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_tick_is_counted_with_the_first_bound_that_it_keeps() {
        let mut late = Lateness::default();
        for time in [Duration::ZERO, MS, MS + Duration::from_nanos(1), 100 * MS, 101 * MS] {
            late.note(time);
        }
        let counted: Vec<_> = late.counts().filter(|(_, count)| *count > 0).collect();
        let expected = [(Some(MS / 20), 1), (Some(MS), 1), (Some(2 * MS), 1), (Some(100 * MS), 1), (None, 1)].to_vec();
        assert_eq!(counted, expected);
        assert_eq!((late.ticks(), late.longest()), (5, 101 * MS));
        assert_eq!(late.sum(), 203 * MS + Duration::from_nanos(1));
    }

    #[test]
    fn quantiles_are_bounds_and_never_more_than_the_longest() {
        let mut late = Lateness::default();
        assert_eq!(late.kept_by(0.99), Duration::ZERO);
        for _ in 0..99 {
            late.note(MS / 15);
        }
        late.note(30 * MS);
        assert_eq!((late.kept_by(0.5), late.kept_by(0.99)), (MS / 10, MS / 10));
        assert_eq!(late.kept_by(1.0), 30 * MS);
    }

    #[test]
    fn threads_are_added_and_what_was_before_is_taken_away() {
        let (mut one, mut other) = (Lateness::default(), Lateness::default());
        one.note(MS);
        other.note(3 * MS);
        let both = one.with(&other);
        assert_eq!((both.ticks(), both.sum(), both.longest()), (2, 4 * MS, 3 * MS));
        let rest = both.since(&one);
        assert_eq!((rest.ticks(), rest.sum()), (1, 3 * MS));
    }
}
