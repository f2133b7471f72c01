//! Durations counted by size, so that millions of them need one fixed block of memory.

use std::time::Duration;

/// Steps per doubling: a value is known to within 1/64 of itself.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Classes for every duration in nanoseconds that 64 bits can hold.
const CLASSES: usize = ((64 - STEP_BITS as usize) + 1) * STEPS as usize;

/// How often durations of each size occurred.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    longest: u64,
}

impl Histogram {
    pub(super) fn new() -> Histogram {
        Histogram { counts: vec![0; CLASSES].into(), total: 0, longest: 0 }
    }

    pub(super) fn add(&mut self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.counts[class(nanos)] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanos);
    }

    /// Adds what another one has.
    pub(super) fn join(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The duration that this part (0 to 1) of all do not exceed, rounded up to the next step; zero without any.
    pub(super) fn quantile(&self, part: f64) -> Duration {
        let wanted = (part.clamp(0.0, 1.0) * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper(index).min(self.longest));
            }
        }
        Duration::ZERO
    }
}

/// Below one doubling of [`STEPS`] each value is a class; above, the highest bits are.
fn class(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - STEP_BITS;
    ((u64::from(shift) + 1) * STEPS + ((nanos >> shift) - STEPS)) as usize
}

/// The largest value of a class.
fn upper(class: usize) -> u64 {
    let class = class as u64;
    if class < STEPS {
        return class;
    }
    let shift = class / STEPS - 1;
    let lowest = u128::from(STEPS + class % STEPS) << shift;
    u64::try_from(lowest + (1 << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_of_a_thousand_steps() {
        let mut histogram = Histogram::new();
        for millis in 1..=1000 {
            histogram.add(Duration::from_millis(millis));
        }
        let near = |part, millis: f64| {
            let found = histogram.quantile(part).as_secs_f64() * 1e3;
            assert!(found >= millis && found <= millis * 1.017, "{part}: {found} ms instead of {millis}");
        };
        near(0.5, 500.0);
        near(0.99, 990.0);
        near(0.001, 1.0);
        assert_eq!(histogram.quantile(1.0), Duration::from_secs(1), "never more than the longest");
        assert_eq!((histogram.total, histogram.longest()), (1000, Duration::from_secs(1)));
    }

    #[test]
    fn nothing_measured_is_zero() {
        assert_eq!(Histogram::new().quantile(0.99), Duration::ZERO);
    }

    #[test]
    fn the_ends_of_the_scale() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::ZERO);
        histogram.add(Duration::MAX);
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        assert_eq!(histogram.quantile(1.0), Duration::from_nanos(u64::MAX));
        assert_eq!(class(u64::MAX), CLASSES - 1);
    }

    proptest! {
        #[test]
        fn a_class_holds_its_values(nanos: u64) {
            let class = class(nanos);
            prop_assert!(upper(class) >= nanos);
            prop_assert!(upper(class) - nanos <= nanos / STEPS);
            prop_assert!(class == 0 || upper(class - 1) < nanos);
        }
    }
}
