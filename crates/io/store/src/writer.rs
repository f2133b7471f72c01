//! The thread that owns a store and commits whatever has been queued meanwhile in one go.
//!
//! A disk makes a few hundred durable commits a second, a burst of registrations asks for thousands: they share
//! commits. What is queued for the same entry replaces what waited for it before, so the queue is no longer than the
//! number of entries that have changed since the last commit. What can wait ([`Writer::push_lazily`]) is gathered for a
//! while: a commit of a thousand entries costs far less than a thousand commits.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{PACE, Store, StoreError, Table, Write};

/// Entries that may wait for the disk.
pub const MAX_PENDING: usize = 65_536;

/// Bytes of keys and values that may wait for the disk. A single larger entry is taken when nothing else waits.
pub const MAX_PENDING_BYTES: usize = 128 * 1024 * 1024;

/// How long a change that can wait does so at most.
pub const LAZY: Duration = Duration::from_secs(1);

/// With so many entries in the queue nothing waits any longer.
const ENOUGH: usize = MAX_PENDING / 4;

/// Pause before a failed commit is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The receipt for a queued change. Later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ticket(pub u64);

/// The disk does not keep up: [`MAX_PENDING`] entries or [`MAX_PENDING_BYTES`] wait. The change was not queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store does not keep up: too many changes wait for the disk")]
pub struct QueueFull;

/// How a commit went.
#[derive(Debug)]
pub struct Committed {
    /// Everything queued up to this receipt is durable, or, after an error, is not yet.
    pub up_to: Ticket,
    /// On an error the changes stay queued and are tried again after a second.
    pub result: Result<(), StoreError>,
}

/// Which entry a change is about.
type Place = (Table, Box<[u8]>);

#[derive(Default)]
struct Pending {
    writes: HashMap<Place, Option<Box<[u8]>>>,
    bytes: usize,
    last: u64,
    /// Something in the queue cannot wait.
    urgent: bool,
    stopping: bool,
}

impl Pending {
    fn is_due(&self) -> bool {
        self.stopping || self.urgent || self.writes.len() >= ENOUGH
    }
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Nothing under this lock can panic half-way, so what it protects is sound even then.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Queues changes for a store that lives on a thread of its own.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Writer {
    /// Starts the thread. `committed` is called on it after each commit; it should only pass the news on.
    ///
    /// # Errors
    /// The system does not give us a thread.
    pub fn start(store: Box<dyn Store>, committed: impl FnMut(Committed) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("store".to_owned()).spawn(move || run(&for_thread, store, committed))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Queues a change, to be committed as soon as the disk is free.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn push(&self, write: Write) -> Result<Ticket, QueueFull> {
        self.queue(write, true)
    }

    /// The same for a change that can wait for [`LAZY`], so that many share a commit.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn push_lazily(&self, write: Write) -> Result<Ticket, QueueFull> {
        self.queue(write, false)
    }

    fn queue(&self, write: Write, urgent: bool) -> Result<Ticket, QueueFull> {
        let mut pending = self.shared.lock();
        let size = size_of(&write.key, write.value.as_deref());
        let place = (write.table, write.key);
        let replaced = pending.writes.get(&place).map_or(0, |value| size_of(&place.1, value.as_deref()));
        let bytes = pending.bytes - replaced + size;
        let (is_more, was_due) = (replaced == 0, pending.is_due());
        if is_more && pending.writes.len() >= MAX_PENDING || bytes > MAX_PENDING_BYTES && pending.writes.len() > 1 {
            return Err(QueueFull);
        }
        pending.bytes = bytes;
        pending.writes.insert(place, write.value);
        pending.last += 1;
        let ticket = Ticket(pending.last);
        pending.urgent |= urgent;
        let wakes = pending.writes.len() == 1 || !was_due && pending.is_due();
        drop(pending);
        if wakes {
            self.shared.changed.notify_one();
        }
        Ok(ticket)
    }

    /// Commits what is queued and ends the thread.
    ///
    /// # Errors
    /// The last commit failed: what was queued is not stored.
    pub fn stop(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_one();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            // A panic of the thread has been printed by then; there is no store left to speak of.
            Some(Err(_)) | None => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.thread.is_some()
            && let Err(error) = self.finish()
        {
            tracing::error!(%error, "the last changes could not be stored");
        }
    }
}

/// What an entry counts in the queue, in bytes. Never 0: an entry costs its place.
fn size_of(key: &[u8], value: Option<&[u8]>) -> usize {
    1 + key.len() + value.map_or(0, <[u8]>::len)
}

fn run(shared: &Shared, mut store: Box<dyn Store>, mut committed: impl FnMut(Committed)) -> Result<(), StoreError> {
    loop {
        let (writes, up_to, stopping) = wait(shared);
        if writes.is_empty() {
            return Ok(());
        }
        let (up_to, began) = (Ticket(up_to), Instant::now());
        match store.commit(&writes) {
            Ok(()) => {
                committed(Committed { up_to, result: Ok(()) });
                thread::sleep(PACE.saturating_sub(began.elapsed()));
            }
            Err(error) if stopping => return Err(error),
            Err(error) => {
                put_back(shared, writes);
                committed(Committed { up_to, result: Err(error) });
                pause(shared);
            }
        }
    }
}

/// Waits for changes and takes them all. No changes mean that it is time to stop.
fn wait(shared: &Shared) -> (Vec<Write>, u64, bool) {
    let mut pending = shared.lock();
    while pending.writes.is_empty() && !pending.stopping {
        pending = shared.changed.wait(pending).unwrap_or_else(PoisonError::into_inner);
    }
    let waited = shared.changed.wait_timeout_while(pending, LAZY, |pending| !pending.is_due());
    let (mut pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
    pending.bytes = 0;
    pending.urgent = false;
    let (writes, last, stopping) = (std::mem::take(&mut pending.writes), pending.last, pending.stopping);
    drop(pending);
    let mut writes: Vec<Write> = writes.into_iter().map(|((table, key), value)| Write { table, key, value }).collect();
    // Neighbours stand on the same page of the file.
    writes.sort_unstable_by(|a, b| (a.table, &a.key).cmp(&(b.table, &b.key)));
    (writes, last, stopping)
}

/// Queues again what could not be committed, unless something newer waits for the same entry. May exceed the limits:
/// that refuses new changes, which is right while the disk fails.
fn put_back(shared: &Shared, writes: Vec<Write>) {
    let mut pending = shared.lock();
    for write in writes {
        let size = size_of(&write.key, write.value.as_deref());
        let place = (write.table, write.key);
        if let std::collections::hash_map::Entry::Vacant(entry) = pending.writes.entry(place) {
            entry.insert(write.value);
            pending.bytes += size;
            pending.urgent = true;
        }
    }
}

/// Lets a while pass, unless it is time to stop.
fn pause(shared: &Shared) {
    let pending = shared.lock();
    let wait = shared.changed.wait_timeout_while(pending, RETRY_AFTER, |pending| !pending.stopping);
    drop(wait.unwrap_or_else(PoisonError::into_inner));
}
