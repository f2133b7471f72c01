//! What is going to happen, and when.

use std::collections::BTreeMap;

use crate::Time;

/// Steps by time; those of the same time in the order in which they were put.
#[derive(Debug)]
pub(crate) struct Agenda<S> {
    steps: BTreeMap<(Time, u64), S>,
    count: u64,
}

impl<S> Agenda<S> {
    pub(crate) fn new() -> Self {
        Self { steps: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn put(&mut self, at: Time, step: S) {
        self.count += 1;
        self.steps.insert((at, self.count), step);
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.steps.first_key_value().map(|((at, _), _)| *at)
    }

    /// The first step that is due, and its time.
    pub(crate) fn due(&mut self, now: Time) -> Option<(Time, S)> {
        let entry = self.steps.first_entry()?;
        let at = entry.key().0;
        (at <= now).then(|| (at, entry.remove()))
    }

    pub(crate) fn clear(&mut self) {
        self.steps.clear();
    }
}
