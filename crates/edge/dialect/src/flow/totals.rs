//! What has been counted of flows.

use std::collections::BTreeMap;
use std::time::Duration;

use compact_str::CompactString;

/// What has been counted of one flow since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowTotals {
    /// Calls that came to it.
    pub calls: u64,
    /// Questions that had a good answer.
    pub answered: u64,
    /// Questions that had none, those included that were too many to be asked.
    pub failed: u64,
    /// From each question to its answer, good or not.
    pub waited: AnswerTimes,
    /// How often its fallback URL was asked.
    pub other_url: u64,
    /// How often the verbs of the configuration were carried out because of a question that had failed.
    pub fell_back: u64,
    /// Verbs that could not be carried out.
    pub verbs_failed: u64,
}

/// How long answers were waited for, sorted by how long that was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AnswerTimes {
    /// Answers that took at most the bound of the same place in [`BOUNDS`](Self::BOUNDS) and more than the one before it;
    /// the last one is of those that took more than all.
    counts: [u64; Self::BOUNDS.len() + 1],
    sum: Duration,
}

impl AnswerTimes {
    /// What they are sorted by.
    pub const BOUNDS: [Duration; 13] = [
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(20),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(200),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(20),
        Duration::from_secs(50),
    ];

    /// One more.
    pub fn note(&mut self, time: Duration) {
        self.counts[Self::BOUNDS.partition_point(|bound| *bound < time)] += 1;
        self.sum = self.sum.saturating_add(time);
    }

    /// Each bound with its number of answers; the last ones, beyond all bounds, have none.
    pub fn counts(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        Self::BOUNDS.into_iter().map(Some).chain([None]).zip(self.counts)
    }

    /// All of them together.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

/// Of all flows that are configured: there are no others.
#[derive(Debug, Default)]
pub(super) struct Totals(BTreeMap<CompactString, FlowTotals>);

impl Totals {
    pub(super) fn new<'n>(flows: impl Iterator<Item = &'n CompactString>) -> Self {
        Self(flows.map(|name| (name.clone(), FlowTotals::default())).collect())
    }

    pub(super) fn count(&mut self, flow: &str, change: impl FnOnce(&mut FlowTotals)) {
        if let Some(totals) = self.0.get_mut(flow) {
            change(totals);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&CompactString, &FlowTotals)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_with_the_first_bound_that_it_keeps() {
        let mut times = AnswerTimes::default();
        for millis in [0, 5, 6, 1_000, 50_000, 50_001] {
            times.note(Duration::from_millis(millis));
        }
        let counted: Vec<_> = times.counts().filter(|(_, count)| *count > 0).collect();
        let ms = |millis| Some(Duration::from_millis(millis));
        assert_eq!(counted, [(ms(5), 2), (ms(10), 1), (ms(1_000), 1), (ms(50_000), 1), (None, 1)]);
        assert_eq!(times.sum(), Duration::from_millis(101_012));
    }
}
