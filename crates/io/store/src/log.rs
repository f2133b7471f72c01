//! The log of events: entries with numbers that grow by one, in a redb file of their own behind a write-ahead file.
//!
//! ```text
//!   append(batch) ──▶ write-ahead file ──▶ soon, with others, one commit: new entries, what is noted beside them, the oldest out
//!   read(after) ────▶ a page of both, from another thread, while that goes on
//! ```
//!
//! A number is never given twice: the next one is stored with the entries, so a log that was emptied by age goes on
//! where it was. What the bytes mean is the caller's business, as with every store.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition};

use crate::StoreError;
use crate::ahead::{Ahead, Base, first_number};
use crate::bytes::{Bytes, put_bytes, put_option, put_u32, put_u64};
use crate::database::{DatabaseFile, make_folder};

/// The file within the data folder.
pub const LOG_FILE_NAME: &str = "events.redb";

/// The write-ahead file beside it.
pub const LOG_AHEAD_NAME: &str = "events.ahead";

/// What is said in the file under [`VERSION`].
const LOG_VERSION: u64 = 1;

/// Memory for pages of the file: the newest entries are read from memory by everybody who keeps up.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// So many old entries go with each append, beside twice as many as come: a log that has become too long shrinks, and no
/// commit takes long because of it.
const TRIMMED_AT_ONCE: usize = 256;

const ENTRIES: TableDefinition<'_, u64, (u64, &[u8])> = TableDefinition::new("entries");
const NOTES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("notes");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const VERSION: &str = "version";
const NEXT: &str = "next";
const BYTES: &str = "bytes";
/// The number of the last record of the write-ahead file that this file has.
const AHEAD: &str = "ahead";

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Its number.
    pub id: u64,
    /// When, in milliseconds since the epoch: by this it grows too old.
    pub at: u64,
    /// What it says.
    pub bytes: Box<[u8]>,
}

/// A fact that is kept beside the entries until it is taken back, and changes in the same commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogNote {
    /// Which.
    pub key: Box<[u8]>,
    /// What it is from now on; `None` takes it back.
    pub value: Option<Box<[u8]>>,
}

/// What is kept. Whatever is over goes, the oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogKeeps {
    /// Entries from before this go, in milliseconds since the epoch.
    pub since: u64,
    /// So many entries at most.
    pub entries: u64,
    /// So many bytes of entries at most. The file is larger, by half or so.
    pub bytes: u64,
}

/// What there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogExtent {
    /// The number of the oldest entry; that of the next one if there is none.
    pub first: u64,
    /// The number that the next entry gets.
    pub next: u64,
    /// Bytes of all entries.
    pub bytes: u64,
}

impl LogExtent {
    /// How many entries there are.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.next - self.first
    }
}

/// What was thrown out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trimmed {
    /// Entries that were too old.
    pub aged: u64,
    /// Entries that were young enough, but too many: [`LogKeeps::entries`] or [`LogKeeps::bytes`] is reached.
    pub crowded: u64,
}

/// What is appended in one go, all of it or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogBatch {
    /// Entries, each with the number after the one before it.
    pub entries: Vec<LogEntry>,
    /// What is noted beside them.
    pub notes: Vec<LogNote>,
}

/// The log. One thread appends, others read meanwhile.
pub struct EventLog {
    ahead: Ahead<Entries>,
    shared: Arc<Shared>,
}

struct Shared {
    file: DatabaseFile,
    extent: Mutex<LogExtent>,
    keeps: Mutex<LogKeeps>,
    trimmed: Mutex<Trimmed>,
}

/// Nothing under these locks can panic half-way, so what they protect is sound even then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventLog {
    /// Opens the log in this folder, or makes both. The first entry of a new log gets the number `first`.
    ///
    /// # Errors
    /// The folder or file cannot be used, is in use, or is no log of ours.
    pub fn open(folder: &Path, first: u64) -> Result<Self, StoreError> {
        make_folder(folder)?;
        let agree = Box::new(move |database: &Database| agree(database, first));
        let file = DatabaseFile::open(folder.join(LOG_FILE_NAME), CACHE_BYTES, LOG_VERSION, agree)?;
        let extent = file.attempt(stored_extent)?;
        let keeps = LogKeeps { since: 0, entries: u64::MAX, bytes: u64::MAX };
        let trimmed = Mutex::new(Trimmed::default());
        let shared = Arc::new(Shared { file, extent: Mutex::new(extent), keeps: Mutex::new(keeps), trimmed });
        let ahead = Ahead::open(&folder.join(LOG_AHEAD_NAME), Entries(Arc::clone(&shared)), "events-file")?;
        // What came out of the write-ahead file counts as well.
        *lock(&shared.extent) = shared.file.attempt(stored_extent)?;
        Ok(Self { ahead, shared })
    }

    /// Puts everything where it belongs and closes the files, for whoever opens them next. Whoever still has this log gets
    /// errors from then on.
    pub fn close(&self) {
        self.ahead.stop();
        self.shared.file.close();
    }

    /// What there is.
    #[must_use]
    pub fn extent(&self) -> LogExtent {
        *lock(&self.shared.extent)
    }

    /// Adds a batch, all of it or nothing. On return it survives the loss of the process and of the power, and can be read.
    /// What is not to be kept is thrown out soon after that. After an error the same batch may be appended again.
    ///
    /// # Errors
    /// The disk fails; or the numbers leave a gap after the last entry, which would be a defect of ours.
    pub fn append(&self, batch: &Arc<LogBatch>, keeps: &LogKeeps) -> Result<(), StoreError> {
        *lock(&self.shared.keeps) = *keeps;
        if batch.entries.is_empty() && batch.notes.is_empty() {
            self.ahead.nudge();
            return Ok(());
        }
        let mut next = self.extent().next;
        let mut bytes = 0;
        for entry in &batch.entries {
            if entry.id > next {
                let why = "the numbers of its events would have a gap: another program wrote to it";
                return Err(StoreError::corrupt(self.shared.file.path(), why));
            }
            if entry.id == next {
                next += 1;
                bytes += entry.bytes.len() as u64;
            }
        }
        // Before they are there, since they may be out again by the time that this returns; the number not before.
        lock(&self.shared.extent).bytes += bytes;
        let result = self.ahead.append(Arc::clone(batch));
        let mut extent = lock(&self.shared.extent);
        match &result {
            Ok(()) => extent.next = next,
            Err(_) => extent.bytes -= bytes,
        }
        result
    }

    /// Waits until all of it is in the database and what is not to be kept is out, as far as one commit throws out.
    ///
    /// # Errors
    /// The disk fails.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.ahead.settle()
    }

    /// What was thrown out since this was last asked.
    #[must_use]
    pub fn take_trimmed(&self) -> Trimmed {
        std::mem::take(&mut *lock(&self.shared.trimmed))
    }

    /// The entries after this number, the oldest first: at most so many, and no more once they have so many bytes, but
    /// one if there is one.
    ///
    /// # Errors
    /// The disk fails.
    pub fn read(&self, after: u64, entries: usize, bytes: usize) -> Result<Vec<LogEntry>, StoreError> {
        // Looked at first: what is in neither would be lost, what is in both is left out below.
        let pending = self.ahead.pending();
        let mut page = Page { entries: Vec::new(), most: entries, room: bytes };
        let is_full = self.shared.file.attempt(|database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            for item in table.range(after.saturating_add(1)..)? {
                let (id, value) = item?;
                let (at, text) = value.value();
                if !page.add(id.value(), at, text) {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        if !is_full {
            for entry in pending.iter().flat_map(|batch| &batch.entries) {
                let after = page.entries.last().map_or(after, |last| last.id);
                if entry.id > after && !page.add(entry.id, entry.at, &entry.bytes) {
                    break;
                }
            }
        }
        Ok(page.entries)
    }

    /// Calls `note` with the key and the value of everything noted, in the order of the keys.
    ///
    /// # Errors
    /// The disk fails.
    pub fn notes(&self, mut note: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.ahead.settle()?;
        self.shared.file.attempt(|database| {
            for item in database.begin_read()?.open_table(NOTES)?.iter()? {
                let (key, value) = item?;
                note(key.value(), value.value());
            }
            Ok(())
        })
    }
}

/// A page that is being filled.
struct Page {
    entries: Vec<LogEntry>,
    most: usize,
    room: usize,
}

impl Page {
    /// Adds an entry. False if there is no room for it.
    fn add(&mut self, id: u64, at: u64, bytes: &[u8]) -> bool {
        if self.entries.len() >= self.most || bytes.len() > self.room && !self.entries.is_empty() {
            return false;
        }
        self.room = self.room.saturating_sub(bytes.len());
        self.entries.push(LogEntry { id, at, bytes: bytes.into() });
        true
    }
}

/// The tables of the file.
struct Entries(Arc<Shared>);

impl Base for Entries {
    type Record = LogBatch;

    fn encode(batch: &LogBatch, into: &mut Vec<u8>) {
        put_u32(into, batch.entries.len());
        for LogEntry { id, at, bytes } in &batch.entries {
            put_u64(into, *id);
            put_u64(into, *at);
            put_bytes(into, bytes);
        }
        for LogNote { key, value } in &batch.notes {
            put_bytes(into, key);
            put_option(into, value.as_deref());
        }
    }

    fn decode(bytes: &[u8]) -> Option<LogBatch> {
        let (mut bytes, mut batch) = (Bytes(bytes), LogBatch::default());
        for _ in 0..bytes.u32()? {
            let (id, at) = (bytes.u64()?, bytes.u64()?);
            batch.entries.push(LogEntry { id, at, bytes: bytes.bytes()?.into() });
        }
        while !bytes.0.is_empty() {
            let (key, value) = (bytes.bytes()?.into(), bytes.option()?.map(Into::into));
            batch.notes.push(LogNote { key, value });
        }
        Some(batch)
    }

    fn applied(&mut self) -> Result<u64, StoreError> {
        self.0.file.attempt(|database| {
            let meta = database.begin_read()?.open_table(META)?;
            Ok(meta.get(AHEAD)?.map_or(0, |value| value.value()))
        })
    }

    fn apply(&mut self, batches: &[Arc<LogBatch>], last: u64) -> Result<(), StoreError> {
        let keeps = *lock(&self.0.keeps);
        let (first, trimmed, bytes) = self.0.file.attempt(|database| append(database, batches, last, &keeps))?;
        let mut extent = lock(&self.0.extent);
        extent.first = first;
        extent.bytes -= bytes;
        drop(extent);
        let mut all = lock(&self.0.trimmed);
        all.aged += trimmed.aged;
        all.crowded += trimmed.crowded;
        Ok(())
    }
}

/// One commit. Returns the oldest entry, what was thrown out, and how many bytes that was.
fn append(
    database: &Database,
    batches: &[Arc<LogBatch>],
    last: u64,
    keeps: &LogKeeps,
) -> Result<(u64, Trimmed, u64), redb::Error> {
    let transaction = database.begin_write()?;
    let (mut table, mut meta) = (transaction.open_table(ENTRIES)?, transaction.open_table(META)?);
    let mut extent = read_extent(&table, &meta)?;
    let mut count = 0;
    for entry in batches.iter().flat_map(|batch| &batch.entries) {
        let before = table.insert(entry.id, (entry.at, &*entry.bytes))?.map_or(0, |old| old.value().1.len());
        extent.bytes += entry.bytes.len() as u64;
        extent.bytes -= before as u64;
        extent.next = extent.next.max(entry.id + 1);
        count += 1;
    }
    let mut kept = transaction.open_table(NOTES)?;
    for note in batches.iter().flat_map(|batch| &batch.notes) {
        match &note.value {
            Some(value) => drop(kept.insert(&*note.key, &**value)?),
            None => drop(kept.remove(&*note.key)?),
        }
    }
    drop(kept);
    let before = extent.bytes;
    let trimmed = trim(&mut table, &mut extent, keeps, 2 * count + TRIMMED_AT_ONCE)?;
    meta.insert(NEXT, extent.next)?;
    meta.insert(BYTES, extent.bytes)?;
    meta.insert(AHEAD, last)?;
    drop((table, meta));
    transaction.commit()?;
    Ok((extent.first, trimmed, before - extent.bytes))
}

fn trim(
    table: &mut Table<'_, u64, (u64, &[u8])>,
    extent: &mut LogExtent,
    keeps: &LogKeeps,
    most: usize,
) -> Result<Trimmed, redb::Error> {
    let mut trimmed = Trimmed::default();
    for _ in 0..most {
        let crowded = extent.entries() > keeps.entries || extent.bytes > keeps.bytes;
        let Some((_, oldest)) = table.first()? else { break };
        let (at, text) = oldest.value();
        let (aged, size) = (at < keeps.since, text.len() as u64);
        drop(oldest);
        if !aged && !crowded {
            break;
        }
        table.pop_first()?;
        extent.bytes -= size;
        extent.first += 1;
        if aged {
            trimmed.aged += 1;
        } else {
            trimmed.crowded += 1;
        }
    }
    Ok(trimmed)
}

fn read_extent(
    table: &impl ReadableTable<u64, (u64, &'static [u8])>,
    meta: &impl ReadableTable<&'static str, u64>,
) -> Result<LogExtent, redb::Error> {
    let number = |key| Ok::<_, redb::Error>(meta.get(key)?.map_or(0, |value| value.value()));
    let next = number(NEXT)?;
    let first = table.first()?.map_or(next, |(id, _)| id.value());
    Ok(LogExtent { first, next, bytes: number(BYTES)? })
}

fn stored_extent(database: &Database) -> Result<LogExtent, redb::Error> {
    let transaction = database.begin_read()?;
    let (table, meta) = (transaction.open_table(ENTRIES)?, transaction.open_table(META)?);
    let extent = read_extent(&table, &meta)?;
    // The sum is only as good as the arithmetic above; the table knows better when it is empty.
    Ok(if table.is_empty()? { LogExtent { bytes: 0, ..extent } } else { extent })
}

/// Whether the file is a log of our format; a new one gets its tables and its first number.
fn agree(database: &Database, first: u64) -> Result<Result<(), u64>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut meta = transaction.open_table(META)?;
    let found = meta.get(VERSION)?.map(|value| value.value());
    match found {
        Some(LOG_VERSION) => {}
        Some(other) => return Ok(Err(other)),
        None => {
            meta.insert(VERSION, LOG_VERSION)?;
            meta.insert(NEXT, first)?;
            meta.insert(BYTES, 0)?;
        }
    }
    if meta.get(AHEAD)?.is_none() {
        meta.insert(AHEAD, first_number())?;
    }
    drop(meta);
    transaction.open_table(ENTRIES)?;
    transaction.open_table(NOTES)?;
    transaction.commit()?;
    Ok(Ok(()))
}
