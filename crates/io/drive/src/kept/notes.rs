//! What the lines of the notes come to: which recordings are over and have files, and which have begun and not ended.

use std::collections::{BTreeMap, HashMap};

use hookswitch_call::CallId;
use hookswitch_dialect::rest::KeptRecording;

/// Of each recording its last line counts; of those that are over, and of those that run, the last ones up to a limit.
pub(super) struct Notes<T> {
    counts: usize,
    lines: usize,
    last: HashMap<(CallId, u16), usize>,
    /// By their lines.
    over: BTreeMap<usize, (T, (CallId, u16))>,
    begun: BTreeMap<usize, (T, (CallId, u16))>,
}

impl<T> Notes<T> {
    pub(super) fn new(counts: usize) -> Self {
        Self { counts, lines: 0, last: HashMap::new(), over: BTreeMap::new(), begun: BTreeMap::new() }
    }

    /// Takes the next line; `what` is to be had of it.
    pub(super) fn take(&mut self, kept: KeptRecording, what: impl FnOnce(KeptRecording) -> T) {
        let (key, line) = (kept.key(), self.lines);
        self.lines += 1;
        if let Some(before) = self.last.remove(&key) {
            self.over.remove(&before);
            self.begun.remove(&before);
        }
        let those = match (kept.is_over(), kept.has_file()) {
            (false, _) => &mut self.begun,
            (true, true) => &mut self.over,
            // Its beginning is answered, and there is nothing to be found.
            (true, false) => return,
        };
        those.insert(line, (what(kept), key));
        self.last.insert(key, line);
        if those.len() > self.counts
            && let Some((_, (_, oldest))) = those.pop_first()
        {
            self.last.remove(&oldest);
        }
    }

    /// How many lines count.
    pub(super) fn len(&self) -> usize {
        self.over.len() + self.begun.len()
    }

    /// How many lines there were.
    pub(super) const fn lines(&self) -> usize {
        self.lines
    }

    /// Whether the line of this number counts, from 0.
    pub(super) fn counts(&self, line: usize) -> bool {
        self.over.contains_key(&line) || self.begun.contains_key(&line)
    }

    /// Those that are over and have files, and those that have begun and of whose end nothing is said, the oldest first.
    pub(super) fn into_parts(self) -> (Vec<T>, Vec<T>) {
        let those = |those: BTreeMap<usize, (T, (CallId, u16))>| those.into_values().map(|(what, _)| what).collect();
        (those(self.over), those(self.begun))
    }
}
