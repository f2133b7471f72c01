//! Which recordings have been made, for longer than their calls are remembered: as long as their files may be there, and
//! over a restart.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{CallId, RecordEnd, Recorded, RecordingId};
use serde::{Deserialize, Serialize};

use super::known::Recording;
use crate::access::Grant;

/// Recordings that are found at most; that of the oldest call is forgotten first.
pub const RECORDINGS_FOUND: usize = 100_000;

/// The number of what a rule has recorded of a call.
const BY_RULE: u16 = 0;

/// A recording that has begun or is over, to be stored. At the next start those that are over and have a file are given back,
/// and of a beginning without an end is [said](KeptRecording::cut_off) what became of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct KeptRecording {
    pub(super) call: CallId,
    /// The domains of the parties when it was over: who may see it.
    pub(super) domains: Vec<CompactString>,
    #[serde(flatten)]
    pub(super) one: Recording,
}

impl KeptRecording {
    /// What a rule has recorded of a call, where no more is known of it than its file: the switch was ended in the middle of
    /// it, or nobody had noted it. It is not known who was in that call, so that those who see some domains do not see it.
    #[must_use]
    pub fn found(call: CallId, file: &str, size: u64, duration: Duration) -> Self {
        let reason = RecordEnd::Failed("it was found in the folder: how it ended is not known".into());
        let recorded = Recorded { size, duration, ..Recorded::nothing(&file.into(), reason) };
        let one = Recording { recorded: Some(recorded), ..Recording::new(RecordingId(BY_RULE)) };
        Self { call, domains: Vec::new(), one }
    }

    /// What names it: its call and its number there.
    #[must_use]
    pub const fn key(&self) -> (CallId, u16) {
        (self.call, self.one.recording.0)
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.one.recorded.is_some()
    }

    /// Whether it is over and has a file, or had one when it was asked for last.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.one.has_file()
    }

    /// The file of one that has begun, as it was ordered, if it is written here and not on a media node.
    #[must_use]
    pub fn file_here(&self) -> Option<&str> {
        self.one.begun.as_ref().filter(|_| self.one.node.is_none()).map(|begun| begun.file.as_str())
    }

    /// The same of one that nobody writes any more, because this process was ended in the middle of it. `found` is where its
    /// file lies, how many bytes it has, and how long it is; none where there is none, and where a media node has it.
    #[must_use]
    pub fn cut_off(self, found: Option<(&str, u64, Duration)>) -> Self {
        let ordered = self.one.begun.as_ref().map(|begun| begun.file.clone()).unwrap_or_default();
        let nothing = Recorded::nothing(&ordered, RecordEnd::Interrupted);
        let recorded = match found {
            Some((file, size, duration)) => Recorded { file: file.into(), size, duration, ..nothing },
            None => nothing,
        };
        Self { one: Recording { recorded: Some(recorded), ..self.one }, ..self }
    }

    /// The call that a rule has had recorded, if this is such a recording.
    #[must_use]
    pub fn by_rule(&self) -> Option<CallId> {
        (self.one.recording.0 == BY_RULE).then_some(self.call)
    }

    /// Whether somebody may see it.
    pub(super) fn is_seen(&self, grant: &Grant) -> bool {
        grant.domains.is_empty() || self.domains.iter().any(|domain| grant.sees_domain(domain))
    }
}

/// All of them, those of the newest call first.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<(Reverse<CallId>, u16), KeptRecording>);

impl Kept {
    pub(super) fn put(&mut self, kept: KeptRecording) {
        self.0.insert((Reverse(kept.call), kept.one.recording.0), kept);
        if self.0.len() > RECORDINGS_FOUND {
            self.0.pop_last();
        }
    }

    pub(super) fn get(&self, call: CallId, recording: u16) -> Option<&KeptRecording> {
        self.0.get(&(Reverse(call), recording))
    }

    /// Those behind one of them, or all.
    pub(super) fn behind(&self, after: Option<(CallId, u16)>) -> impl Iterator<Item = &KeptRecording> {
        let start = after.map_or(Bound::Unbounded, |(call, last)| Bound::Excluded((Reverse(call), last)));
        self.0.range((start, Bound::Unbounded)).map(|(_, kept)| kept)
    }

    /// Those of one call behind one of them, or all.
    pub(super) fn of_call(&self, call: CallId, after: Option<(CallId, u16)>) -> impl Iterator<Item = &KeptRecording> {
        let all = self.0.range((Reverse(call), 0)..=(Reverse(call), u16::MAX)).map(|(_, kept)| kept);
        all.filter(move |kept| {
            after.is_none_or(|(last, number)| last > call || last == call && kept.one.recording.0 > number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::Begun;
    use super::*;

    fn kept(call: u64, recording: u16) -> KeptRecording {
        let recorded = Recorded {
            duration: Duration::from_millis(1_500),
            size: 24_044,
            ..Recorded::nothing(&"2026-11-22/a.wav".into(), RecordEnd::Failed("the disk is full".into()))
        };
        let one = Recording {
            recorded: Some(recorded),
            node: Some("http://m:9002".into()),
            ..Recording::new(RecordingId(recording))
        };
        KeptRecording { call: CallId(call), domains: vec!["x.test".into()], one }
    }

    #[test]
    fn the_newest_call_stands_first_and_a_place_in_the_list_is_found_again() {
        let mut all = Kept::default();
        for (call, recording) in [(1, 0), (3, 1), (3, 0), (2, 0)] {
            all.put(kept(call, recording));
        }
        let names = |found: Vec<&KeptRecording>| -> Vec<(u64, u16)> {
            found.into_iter().map(|kept| (kept.call.0, kept.one.recording.0)).collect()
        };
        assert_eq!(names(all.behind(None).collect()), [(3, 0), (3, 1), (2, 0), (1, 0)]);
        assert_eq!(names(all.behind(Some((CallId(3), 0))).collect()), [(3, 1), (2, 0), (1, 0)]);
        assert_eq!(names(all.of_call(CallId(3), Some((CallId(3), 0))).collect()), [(3, 1)]);
        assert_eq!(names(all.of_call(CallId(3), Some((CallId(2), 0))).collect()), []);
        assert_eq!(names(all.of_call(CallId(2), Some((CallId(3), 1))).collect()), [(2, 0)]);
    }

    #[test]
    fn beyond_the_limit_the_oldest_call_is_forgotten() {
        let mut all = Kept::default();
        let count = RECORDINGS_FOUND as u64;
        (0..=count).rev().for_each(|call| all.put(kept(call, 0)));
        assert_eq!((all.0.len(), all.get(CallId(0), 0)), (RECORDINGS_FOUND, None));
        assert!(all.get(CallId(1), 0).is_some() && all.get(CallId(count), 0).is_some());
    }

    #[test]
    fn what_is_stored_is_a_line_and_says_everything() {
        let begun = Some(Begun { at: Duration::from_millis(1_795_300_000_007), file: "2026-11-22/a.wav".into() });
        let one = KeptRecording { one: Recording { begun, ..kept(7, 2).one }, ..kept(7, 2) };
        let line = serde_json::to_string(&one).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<KeptRecording>(&line).unwrap(), one);
        let older = r#"{"call":7,"domains":["x.test"],"recording":2,"party":null,"recorded":null,"node":null}"#;
        let older: KeptRecording = serde_json::from_str(older).unwrap();
        assert_eq!((older.key(), older.is_over(), older.file_here()), ((CallId(7), 2), false, None));
    }

    #[test]
    fn one_that_was_cut_off_has_the_file_that_is_found_or_that_of_its_node() {
        let begun = Some(Begun { at: Duration::from_secs(1), file: "day/a.wav".into() });
        let one = Recording { begun, ..Recording::new(RecordingId(256)) };
        let here = KeptRecording { call: CallId(7), domains: vec!["x.test".into()], one };
        assert_eq!((here.file_here(), here.has_file()), (Some("day/a.wav"), false));
        let found = here.clone().cut_off(Some(("/r/day/a.wav", 8_044, Duration::from_millis(500))));
        let recorded = found.one.recorded.as_ref().unwrap();
        assert_eq!(
            (recorded.file.as_str(), recorded.size, &recorded.reason),
            ("/r/day/a.wav", 8_044, &RecordEnd::Interrupted)
        );
        assert!(
            found.has_file() && found.is_over() && found.domains == here.domains && found.one.begun == here.one.begun
        );
        assert!(!here.clone().cut_off(None).has_file(), "somebody has removed it");
        let there = KeptRecording { one: Recording { node: Some("http://m:9002".into()), ..here.one.clone() }, ..here };
        assert_eq!(there.file_here(), None);
        let there = there.cut_off(None);
        assert!(there.has_file(), "its node has it");
        assert_eq!(there.one.recorded.as_ref().map(|over| (over.file.as_str(), over.size)), Some(("day/a.wav", 0)));
    }
}
