//! The log of events while the switch runs: a thread that numbers what happens and keeps it, and everybody who reads.
//!
//! ```text
//!   shard thread ── push ──▶ queue ──▶ journal thread ── one commit ──▶ events.redb
//!                                          │ then                          │ pages of old events,
//!                                          ▼                               ▼ each once for many readers
//!                                    ring in memory ─────▶ Reader ◀── pages thread
//! ```
//!
//! Nobody is told of an event before it is durable: what a reader has seen is there after a crash. While one commit runs
//! the next batch gathers, so a slow disk costs time and no throughput. A reader pulls; one that is slow costs nobody
//! anything, and finds what it has missed on the disk for as long as that is kept. A thousand that were away together find
//! it as fast as one.

mod entries;
mod pages;
mod queue;
mod reader;
mod ring;
#[cfg(test)]
mod tests;
mod waiters;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_dialect::journal::{Entry, EventId, Filter, LeftCall};
use hookswitch_opensips::Link;
use hookswitch_store::{EventLog, LogExtent, StoreError};

use crate::clock::Clock;
use crate::web::Figure;
pub(crate) use entries::{audio_entry, binding_entry, flow_entry, recorded_entry, trunk_entry};
use pages::Pages;
use queue::Queue;
pub use queue::{MAX_QUEUE, MAX_QUEUED_ENDS};
pub use reader::{Expired, READ_AT_ONCE, Reader};
use ring::Ring;
pub use ring::{RING_BYTES, RING_EVENTS};
use waiters::Waiters;
use writer::Writer;

/// What is kept, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalConfig {
    /// The data folder; none keeps events in memory only, until the process ends.
    pub folder: Option<PathBuf>,
    /// For how long. Default 48 h.
    pub kept: Duration,
    /// How many at most; the oldest go first. Default 10,000,000.
    pub max_events: u64,
    /// How many bytes of them at most. The file is larger, by half or so. Default 4 GiB.
    pub max_bytes: u64,
    /// Whether somebody takes the calls that a server beyond us carries and that have not ended: see
    /// [`JournalThread::take_left`]. Default no: they are told to be over, like all others.
    pub goes_on: bool,
}

impl JournalConfig {
    /// Everything at its default, in this folder.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            kept: Duration::from_secs(48 * 3_600),
            max_events: 10_000_000,
            max_bytes: 4 << 30,
            goes_on: false,
        }
    }
}

/// Why the log of events does not start.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its file.
    #[error("event log: {0}")]
    Store(#[from] StoreError),
    /// The system does not give us threads.
    #[error("event log: {0}")]
    System(#[from] io::Error),
}

/// What the threads of the journal and its readers have in common.
struct Shared {
    queue: Queue,
    ring: RwLock<Ring>,
    /// Readers that wait for events.
    waiters: Waiters,
    /// None keeps events in memory only.
    pages: Option<Arc<Pages>>,
    log: Option<Arc<EventLog>>,
    counted: Counted,
    /// Why the log cannot be written, while that is so.
    trouble: Mutex<Option<(Time, CompactString)>>,
}

/// What is counted for `/metrics`.
#[derive(Default)]
struct Counted {
    events: AtomicU64,
    missed: AtomicU64,
    commits: AtomicU64,
    failures: AtomicU64,
    crowded: AtomicU64,
    readers: AtomicUsize,
}

impl Shared {
    fn trouble(&self) -> Option<(Time, CompactString)> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<(Time, CompactString)>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// The number that the next event gets which readers may see.
    fn next(&self) -> u64 {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).next()
    }

    /// The oldest event that can be read, and the one after the newest.
    fn extent(&self) -> (u64, u64) {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let first = self.log.as_ref().map_or(ring.first(), |log| log.extent().first.min(ring.first()));
        (first, ring.next())
    }
}

/// The running log of events. Dropping it keeps what was pushed and ends its threads.
pub struct JournalThread {
    handle: JournalHandle,
    threads: Vec<JoinHandle<()>>,
    left: Vec<LeftCall>,
}

impl JournalThread {
    /// Opens the log, tells of the calls that the last process has left open, and starts.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn start(config: &JournalConfig) -> Result<Self, JournalError> {
        let clock = Clock::start();
        // Numbers of a new log begin at the time: a reader of an older one that was lost finds itself before them, not among
        // them.
        let first = u64::try_from(clock.now().as_micros()).unwrap_or(1);
        let log = config.folder.as_ref().map(|folder| EventLog::open(folder, first)).transpose()?.map(Arc::new);
        let next = log.as_ref().map_or(first, |log| log.extent().next);
        let (pages, reads) = match &log {
            Some(log) => Some(Pages::start(Arc::clone(log))?).unzip(),
            None => (None, None),
        };
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            ring: RwLock::new(Ring::new(next)),
            waiters: Waiters::new(next),
            pages,
            log: log.clone(),
            counted: Counted::default(),
            trouble: Mutex::new(None),
        });
        let (writer, left) = Writer::new(Arc::clone(&shared), clock, config, EventId(next))?;
        let writes = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
        let threads = [Some(writes), reads].into_iter().flatten().collect();
        Ok(Self { handle: JournalHandle { shared }, threads, left })
    }

    /// For those who tell and those who read.
    #[must_use]
    pub fn handle(&self) -> JournalHandle {
        self.handle.clone()
    }

    /// The calls that a server beyond us carries and that had not ended when the last process did: whoever takes them tells how they
    /// go on. Empty from then on.
    #[must_use]
    pub fn take_left(&mut self) -> Vec<LeftCall> {
        std::mem::take(&mut self.left)
    }

    /// Keeps what was pushed, ends, and closes the file. Readers get nothing more.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.handle.shared.queue.stop();
        if let Some(pages) = &self.handle.shared.pages {
            pages.stop();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the event log had panicked");
            }
        }
        if let Some(log) = &self.handle.shared.log {
            log.close();
        }
    }
}

impl Drop for JournalThread {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The way into the log, and out of it.
#[derive(Clone)]
pub struct JournalHandle {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for JournalHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, next) = self.shared.extent();
        f.debug_struct("JournalHandle").field("first", &first).field("next", &next).finish()
    }
}

impl JournalHandle {
    /// Tells that something has happened. Never waits; while the disk fails for long it may be lost, which readers are told
    /// with `log.gap`.
    pub fn push(&self, entry: Entry) {
        self.shared.queue.push(entry);
    }

    /// Reads the events after this one, or those from now on, that the filter wants. Nothing is held for a reader but its
    /// place.
    #[must_use]
    pub fn reader(&self, from: Option<EventId>, filter: Filter) -> Reader {
        Reader::new(Arc::clone(&self.shared), from, filter)
    }

    /// The oldest event that can be read; the one that comes next if there is none yet.
    #[must_use]
    pub fn oldest(&self) -> EventId {
        EventId(self.shared.extent().0)
    }

    /// The newest event there is. One before the first if there is none yet.
    #[must_use]
    pub fn newest(&self) -> EventId {
        EventId(self.shared.extent().1 - 1)
    }

    /// How many read now.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.shared.counted.readers.load(Ordering::Relaxed)
    }

    /// How many pages of old events were read from the disk.
    #[must_use]
    pub fn pages_read(&self) -> u64 {
        self.shared.pages.as_ref().map_or(0, |pages| pages.reads())
    }

    /// Whether what is told waits for a disk that fails.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.shared.trouble().is_some()
    }

    /// Whether events are kept, for `/health`. None where nothing can go wrong: in memory.
    pub(crate) fn link(&self) -> Option<Link> {
        self.shared.log.as_ref()?;
        Some(match self.shared.trouble() {
            None => Link::Up,
            Some((since, why)) => Link::Down { since, why },
        })
    }

    /// What is counted, for `/metrics`.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let counted = &self.shared.counted;
        let total = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let extent = self.shared.log.as_ref().map_or_else(LogExtent::default, |log| log.extent());
        let kept = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        vec![
            Figure::total("events_logged", "Events that were told.", total(&counted.events)),
            Figure::total("events_missed", "Events that could not be kept.", total(&counted.missed)),
            Figure::total("event_commits", "Commits of the event log.", total(&counted.commits)),
            Figure::total("event_commits_failed", "Commits of the event log that failed.", total(&counted.failures)),
            Figure::total("events_crowded_out", "Events thrown out young: the log was full.", total(&counted.crowded)),
            Figure::total("event_pages_read", "Pages of old events read from the disk.", self.pages_read()),
            Figure::now("events_kept", "Events in the log.", kept(extent.entries())),
            Figure::now("event_bytes_kept", "Bytes of events in the log.", kept(extent.bytes)),
            Figure::now("event_last_id", "The id of the newest event.", kept(self.newest().0)),
            Figure::now("event_readers", "Readers of events.", self.readers()),
        ]
    }
}
