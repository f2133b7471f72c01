//! Writes call detail records into files, on a thread of its own.
//!
//! ```text
//!   shard ── a record ──▶ queue (bounded, never waited for) ──▶ thread ──▶ calls-2026-11-22.jsonl
//!                                                                  │        calls-2026-11-22.1.jsonl …
//!                                                                  └─ disk full: records wait, and it is tried again
//! ```

mod files;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookswitch_dialect::journal::record::CallDetail;

use crate::clock::Clock;
use files::Files;

/// Records that may wait for the thread; those beyond are lost, and counted.
pub const MAX_QUEUED: usize = 16_384;

/// Bytes of records that may wait for the disk; those beyond are lost, and counted.
pub const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How long after a record was written it is safe from a power failure, at most.
pub const SYNC_AFTER: Duration = Duration::from_secs(5);

/// Pause before it is tried again to write what could not be written.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Records that are written at once.
const BATCH: usize = 1_024;

/// Where call detail records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecordsConfig {
    /// The folder, which must be there.
    pub folder: PathBuf,
    /// How they are written.
    pub format: RecordFormat,
    /// Bytes after which the next file is begun.
    pub max_size: u64,
}

/// How call detail records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// A JSON document a line.
    JsonLines,
    /// Comma-separated values (RFC 4180) under a line with their names.
    Csv,
}

/// What has become of call detail records.
#[derive(Debug, Default)]
pub(crate) struct RecordCounts {
    written: AtomicU64,
    lost: AtomicU64,
}

impl RecordCounts {
    /// Those that were written, and those that were lost.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }
}

/// The way to the thread.
#[derive(Debug)]
struct Queue {
    records: SyncSender<Box<CallDetail>>,
    counts: Arc<RecordCounts>,
}

impl Queue {
    fn push(&self, detail: Box<CallDetail>) {
        if self.records.try_send(detail).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Takes the records of another loop than that of our own switch, for as long as the thread runs. The default one leads nowhere.
#[derive(Clone, Debug, Default)]
pub struct CallRecordsHandle(Weak<Queue>);

impl CallRecordsHandle {
    /// Takes a record, without waiting for anybody. Where none are written it is gone.
    pub(crate) fn push(&self, detail: Box<CallDetail>) {
        if let Some(queue) = self.0.upgrade() {
            queue.push(detail);
        }
    }
}

/// The thread that writes records. Dropping it writes what there is.
pub(crate) struct CallRecords {
    queue: Option<Arc<Queue>>,
    counts: Arc<RecordCounts>,
    thread: Option<JoinHandle<()>>,
}

impl CallRecords {
    /// # Errors
    /// The system does not give us a thread.
    pub(crate) fn start(config: CallRecordsConfig, clock: Clock) -> io::Result<Self> {
        let (queue, records) = sync_channel(MAX_QUEUED);
        let counts = Arc::new(RecordCounts::default());
        let files = Files::new(config, Arc::clone(&counts));
        let thread =
            thread::Builder::new().name("call-records".to_owned()).spawn(move || run(files, &records, clock))?;
        let queue = Arc::new(Queue { records: queue, counts: Arc::clone(&counts) });
        Ok(Self { queue: Some(queue), counts, thread: Some(thread) })
    }

    /// Takes a record, without waiting for anybody.
    pub(crate) fn push(&self, detail: Box<CallDetail>) {
        if let Some(queue) = &self.queue {
            queue.push(detail);
        }
    }

    /// For those who have records besides.
    pub(crate) fn handle(&self) -> CallRecordsHandle {
        CallRecordsHandle(self.queue.as_ref().map(Arc::downgrade).unwrap_or_default())
    }

    pub(crate) fn counts(&self) -> &RecordCounts {
        &self.counts
    }
}

impl Drop for CallRecords {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread of call records had panicked");
        }
    }
}

fn run(mut files: Files, records: &Receiver<Box<CallDetail>>, clock: Clock) {
    loop {
        let now = clock.now();
        let wait = files.poll_timeout().map_or(Duration::MAX, |at| at.saturating_sub(now));
        match records.recv_timeout(wait) {
            Ok(first) => {
                files.add(&first);
                records.try_iter().take(BATCH).for_each(|record| files.add(&record));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return files.finish(clock.now()),
        }
        files.work(clock.now());
    }
}
