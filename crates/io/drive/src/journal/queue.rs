//! What has happened and has no number yet: the queue between those who tell and the journal thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_call::Event;
use hookswitch_dialect::journal::Entry;

/// Entries that wait for a disk that fails; those beyond are lost, and counted.
pub const MAX_QUEUE: usize = 65_536;

/// Ends of calls that wait beyond that: whoever follows a call is to hear of its end.
pub const MAX_QUEUED_ENDS: usize = 16_384;

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// Where entries are missing, and how many.
    gap: Option<(usize, u64)>,
    stopping: bool,
}

/// What was taken from the queue.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) entries: Vec<Entry>,
    /// So many are missing before the entry at this place.
    pub(super) gap: Option<(usize, u64)>,
    pub(super) stopping: bool,
}

/// The queue. Its lock is held for a push, or for taking a batch, and never while something is written.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under this lock can panic half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry, or counts it as missing.
    pub(super) fn push(&self, entry: Entry) {
        let mut waiting = self.lock();
        let length = waiting.entries.len();
        let is_end = matches!(&entry, Entry::Call(told, _) if matches!(told.event, Event::Ended { .. }));
        let room = if is_end { MAX_QUEUE + MAX_QUEUED_ENDS } else { MAX_QUEUE };
        if length >= room {
            waiting.gap.get_or_insert((length, 0)).1 += 1;
            return;
        }
        waiting.entries.push_back(entry);
        drop(waiting);
        if length == 0 {
            self.changed.notify_one();
        }
    }

    /// Waits until there is something, at most so long, and takes at most so many.
    pub(super) fn take(&self, most: usize, patience: Duration) -> Taken {
        let is_idle = |waiting: &mut Waiting| waiting.entries.is_empty() && !waiting.stopping;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, is_idle);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entries.len().min(most);
        let entries = waiting.entries.drain(..count).collect();
        let gap = match &mut waiting.gap {
            Some((place, _)) if *place > count => {
                *place -= count;
                None
            }
            gap => gap.take(),
        };
        Taken { entries, gap, stopping: waiting.stopping && waiting.entries.is_empty() }
    }

    /// Lets a while pass; true at once when it is time to stop.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |waiting| !waiting.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    /// What is there is still taken, and then it is time to stop.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_call::{CallId, Cause, Told};

    use super::*;

    fn entry(seq: u32, event: Event) -> Entry {
        Entry::Call(Told { at: Duration::ZERO, seq, call: CallId(1), owner: None, event }, None)
    }

    #[test]
    fn what_finds_no_room_is_counted_where_it_is_missing() {
        let queue = Queue::default();
        let end = || Event::Ended { cause: Cause::hangup(), talked: Duration::ZERO };
        for seq in 0..MAX_QUEUE as u32 + 3 {
            queue.push(entry(seq, Event::Bridged));
        }
        // An end still has room.
        for _ in 0..=MAX_QUEUED_ENDS {
            queue.push(entry(0, end()));
        }
        let first = queue.take(1_000, Duration::ZERO);
        assert_eq!((first.entries.len(), first.gap), (1_000, None));
        let rest = queue.take(usize::MAX, Duration::ZERO);
        assert_eq!(rest.entries.len(), MAX_QUEUE - 1_000 + MAX_QUEUED_ENDS);
        assert_eq!(rest.gap, Some((MAX_QUEUE - 1_000, 4)));
        assert_eq!(rest.entries[MAX_QUEUE - 1_000], entry(0, end()));
        queue.push(entry(7, Event::Bridged));
        assert_eq!(queue.take(1, Duration::ZERO).gap, None);
    }

    #[test]
    fn what_is_there_is_taken_before_the_end() {
        let queue = Queue::default();
        for seq in 0..3 {
            queue.push(entry(seq, Event::Bridged));
        }
        queue.stop();
        assert!(!queue.take(2, Duration::ZERO).stopping);
        assert!(queue.take(2, Duration::ZERO).stopping);
        assert!(queue.pause(Duration::from_secs(3_600)));
    }
}
