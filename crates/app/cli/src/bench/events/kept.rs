//! How soon events are kept: a reader within the process, who sees them as soon as anybody may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::anyhow;
use hookswitch_dialect::journal::Filter;
use hookswitch_drive::{Clock, JournalHandle};
use hookswitch_net::thread_cpu_time;
use tokio::time::timeout;

use super::super::histogram::Histogram;

/// How often it is looked whether it is time to stop.
const TURN: Duration = Duration::from_millis(20);

/// The thread of that reader.
pub(super) struct Kept {
    thread: JoinHandle<anyhow::Result<(Histogram, Duration)>>,
    wanted: Arc<AtomicU64>,
}

impl Kept {
    /// Follows the log until so many events of calls have come, or until it is told to stop. `clock` is the one by which
    /// events say when they happened.
    pub(super) fn follow(journal: &JournalHandle, clock: Clock, events: u64) -> anyhow::Result<Self> {
        let mut reader = journal.reader(None, Filter { kinds: vec!["call.*".into()], ..Filter::default() });
        let wanted = Arc::new(AtomicU64::new(events));
        let left = Arc::clone(&wanted);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new().name("kept".to_owned()).spawn(move || {
            let (mut latency, mut count) = (Histogram::new(), 0);
            let before = thread_cpu_time();
            runtime.block_on(async {
                while count < left.load(Ordering::Relaxed) {
                    let Ok(events) = timeout(TURN, reader.next()).await else { continue };
                    let (events, now) = (events?, clock.now());
                    count += events.len() as u64;
                    events.iter().for_each(|event| latency.add(now.saturating_sub(event.at)));
                }
                anyhow::Ok(())
            })?;
            let after = thread_cpu_time();
            Ok((latency, (after.0 + after.1).saturating_sub(before.0 + before.1)))
        })?;
        Ok(Self { thread, wanted })
    }

    /// How long after it was pushed each event that has come was kept, and the processor time that looking took.
    pub(super) fn finish(self) -> anyhow::Result<(Histogram, Duration)> {
        self.wanted.store(0, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the thread that follows the log has panicked"))?
    }
}
