//! What makes a commit quick: records go to the end of a file, which is synchronised, and to the database later, many at
//! once.
//!
//! ```text
//!   append ──▶ write-ahead file, fdatasync ──▶ safe
//!      └─────▶ pending, in memory ──▶ thread: one commit of the database for all that has gathered
//!                                       └──▶ the half of the file that held it may be written over
//! ```
//!
//! A commit of a B-tree writes each page on its way from the root and synchronises twice; that takes milliseconds, and
//! tens of them while the file grows. Whoever waits for a record to be safe waits for one synchronised write instead.
//!
//! Records have numbers; the database keeps that of the last one it has, in the same commit. After a crash those
//! beyond it are read from the file and committed before anything else happens. The numbers of a new database begin at
//! the time, so that a write-ahead file that belongs to another one is not taken for its own.

mod file;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use self::file::{AheadFile, Fit, HALF};
use crate::StoreError;

/// How long records gather for a commit of the database, unless somebody waits for it.
const GATHER: Duration = Duration::from_millis(100);

/// With so many bytes of records nothing gathers any longer: an eighth of the file, so that the database is never far behind.
const ENOUGH: usize = HALF as usize / 4;

/// Pause before a failed commit is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The database behind a write-ahead file.
pub(crate) trait Base: Send + 'static {
    /// What is appended.
    type Record: Send + Sync + 'static;

    /// Writes a record as bytes.
    fn encode(record: &Self::Record, into: &mut Vec<u8>);

    /// Reads what [`Self::encode`] has written; none if it is something else.
    fn decode(bytes: &[u8]) -> Option<Self::Record>;

    /// The number of the last record that the database has.
    fn applied(&mut self) -> Result<u64, StoreError>;

    /// Does all of this, in order, in one durable commit that notes `last` as well. Records may come that the database
    /// already has, and there may be none.
    fn apply(&mut self, records: &[Arc<Self::Record>], last: u64) -> Result<(), StoreError>;
}

/// The number from which a new database counts its records.
pub(crate) fn first_number() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(1)
}

/// A write-ahead file with the thread that empties it.
pub(crate) struct Ahead<B: Base> {
    path: PathBuf,
    shared: Arc<Shared<B::Record>>,
    file: Mutex<AheadFile>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<R> {
    state: Mutex<State<R>>,
    /// Something is to be done.
    asked: Condvar,
    /// Something was done, or has failed.
    done: Condvar,
}

struct State<R> {
    /// Records that the database does not have, with their lengths; their numbers end with `last`.
    pending: VecDeque<(Arc<R>, usize)>,
    bytes: usize,
    since: Instant,
    last: u64,
    applied: u64,
    /// Why the database does not take records, while that is so.
    failing: Option<(io::ErrorKind, String)>,
    /// Those who wait for the database.
    waiting: usize,
    /// How often a commit was wanted even if there were no records, and how many of these wishes are fulfilled.
    nudges: u64,
    nudged: u64,
    stopping: bool,
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing under this lock can panic half-way, so what it protects is sound even then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Base> Ahead<B> {
    /// Opens the file, brings the database up to date, and starts the thread under this name.
    ///
    /// # Errors
    /// The file or the database cannot be used.
    pub(crate) fn open(path: &Path, mut base: B, name: &str) -> Result<Self, StoreError> {
        let (file, found) = AheadFile::open(path)?;
        let applied = base.applied()?;
        let (mut last, mut records, mut lost) = (applied, Vec::new(), 0);
        for record in found.into_iter().filter(|record| record.number > applied) {
            if record.number != last + 1 {
                lost += 1;
                continue;
            }
            let read = B::decode(&record.text);
            records
                .push(Arc::new(read.ok_or_else(|| StoreError::corrupt(path, "a record in it means nothing to us"))?));
            last = record.number;
        }
        if lost > 0 {
            let file = path.display();
            tracing::error!(%file, lost, "records do not follow what the database has: damage, or the file of another one");
        }
        if !records.is_empty() {
            tracing::info!(file = %path.display(), records = records.len(), "taken from the write-ahead file");
            base.apply(&records, last)?;
        }
        let state = State {
            pending: VecDeque::new(),
            bytes: 0,
            since: Instant::now(),
            last,
            applied: last,
            failing: None,
            waiting: 0,
            nudges: 0,
            nudged: 0,
            stopping: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), asked: Condvar::new(), done: Condvar::new() });
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&for_thread, base))
            .map_err(|error| StoreError::io(path, error))?;
        Ok(Self { path: path.into(), shared, file: Mutex::new(file), thread: Mutex::new(Some(thread)) })
    }

    /// Adds a record. On return it survives the loss of the process and of the power.
    ///
    /// # Errors
    /// The disk fails, or the database does not take what was there before. The record may be there all the same.
    pub(crate) fn append(&self, record: Arc<B::Record>) -> Result<(), StoreError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let number = {
            let state = self.shared.lock();
            self.check(&state)?;
            state.last + 1
        };
        match file.prepare(number, |into| B::encode(&record, into)) {
            Fit::Here => {}
            Fit::NextHalf { after } => {
                self.wait_for(after)?;
                file.turn();
            }
            Fit::Nowhere => {
                // It goes to the database at once, after all others, and a run of records begins behind it.
                self.wait_for(number - 1)?;
                self.push(record, number, 0);
                file.turn();
                return self.wait_for(number);
            }
        }
        let size = file.write(number)?;
        self.push(record, number, size);
        Ok(())
    }

    fn push(&self, record: Arc<B::Record>, number: u64, size: usize) {
        let mut state = self.shared.lock();
        if state.pending.is_empty() {
            state.since = Instant::now();
        }
        state.pending.push_back((record, size));
        state.bytes += size;
        state.last = number;
        let wakes = state.pending.len() == 1 || state.bytes >= ENOUGH;
        drop(state);
        if wakes {
            self.shared.asked.notify_one();
        }
    }

    /// Waits until the database has the record with this number.
    fn wait_for(&self, number: u64) -> Result<(), StoreError> {
        self.wait(|state| state.applied >= number)
    }

    fn wait(&self, is_done: impl Fn(&State<B::Record>) -> bool) -> Result<(), StoreError> {
        let mut state = self.shared.lock();
        state.waiting += 1;
        self.shared.asked.notify_one();
        let waited =
            self.shared.done.wait_while(state, |state| !is_done(state) && state.failing.is_none() && !state.stopping);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if is_done(&state) { Ok(()) } else { self.check(&state) }
    }

    fn check(&self, state: &State<B::Record>) -> Result<(), StoreError> {
        match &state.failing {
            Some((kind, why)) => Err(StoreError::io(&self.path, io::Error::new(*kind, why.clone()))),
            None if state.stopping => Err(StoreError::io(&self.path, io::Error::other("it is closed"))),
            None => Ok(()),
        }
    }

    /// Makes the database commit soon, even if nothing was appended.
    pub(crate) fn nudge(&self) {
        self.shared.lock().nudges += 1;
        self.shared.asked.notify_one();
    }

    /// Waits until the database has everything.
    ///
    /// # Errors
    /// It fails.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        self.wait(|state| state.applied >= state.last && state.nudged == state.nudges)
    }

    /// What the database does not have yet, the oldest first. What is not among it is in the database.
    pub(crate) fn pending(&self) -> Vec<Arc<B::Record>> {
        self.shared.lock().pending.iter().map(|(record, _)| Arc::clone(record)).collect()
    }

    /// Gives the database what it does not have, and ends the thread. What fails then stays in the file.
    pub(crate) fn stop(&self) {
        self.shared.lock().stopping = true;
        self.shared.asked.notify_one();
        self.shared.done.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of a database had panicked");
        }
    }
}

impl<B: Base> Drop for Ahead<B> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Nice value of the thread: nobody waits for it, and calls do wait for a processor.
const NICE: i32 = 10;

fn run<B: Base>(shared: &Shared<B::Record>, mut base: B) {
    // On Linux this is about the calling thread.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a database is written at the priority of calls");
    }
    while let Some(Work { records, last, nudges }) = wait_for_work(shared) {
        let result = base.apply(&records, last);
        let mut state = shared.lock();
        state.failing = result.as_ref().err().map(|error| match error {
            StoreError::Io { source, .. } => (source.kind(), source.to_string()),
            other => (io::ErrorKind::Other, other.to_string()),
        });
        match result {
            Ok(()) => {
                let size: usize = state.pending.drain(..records.len()).map(|(_, size)| size).sum();
                state.bytes -= size;
                state.applied = last;
                state.nudged = nudges;
                state.since = Instant::now();
                shared.done.notify_all();
            }
            Err(error) if state.stopping => {
                let records = state.pending.len();
                return tracing::warn!(%error, records, "what the database does not take stays in the write-ahead file");
            }
            Err(_) => {
                shared.done.notify_all();
                drop(shared.asked.wait_timeout_while(state, RETRY_AFTER, |state| !state.stopping));
            }
        }
    }
}

/// All that the database does not have.
struct Work<R> {
    records: Vec<Arc<R>>,
    last: u64,
    nudges: u64,
}

/// What there is to do, once it is time; none when it is time to end.
fn wait_for_work<R>(shared: &Shared<R>) -> Option<Work<R>> {
    let mut state = shared.lock();
    loop {
        let now = Instant::now();
        let has_work = !state.pending.is_empty() || state.nudged < state.nudges;
        let is_urgent = state.waiting > 0 || state.nudged < state.nudges || state.stopping || state.bytes >= ENOUGH;
        let wait = (state.since + GATHER).saturating_duration_since(now);
        if has_work && (is_urgent || wait.is_zero()) {
            let records = state.pending.iter().map(|(record, _)| Arc::clone(record)).collect();
            return Some(Work { records, last: state.last, nudges: state.nudges });
        }
        if state.stopping {
            return None;
        }
        state = if has_work {
            shared.asked.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
        } else {
            shared.asked.wait(state).unwrap_or_else(PoisonError::into_inner)
        };
    }
}
