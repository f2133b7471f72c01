//! The log of events: entries with numbers that grow by one, in a redb file of their own.
//!
//! ```text
//!   append(entries, notes) ──▶ one durable commit: new entries, what is noted beside them, the oldest ones out
//!   read(after) ─────────────▶ a page, from another thread, while that goes on
//! ```
//!
//! A number is never given twice: the next one is stored with the entries, so a log that was emptied by age goes on
//! where it was. What the bytes mean is the caller's business, as with every store.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition};

use crate::StoreError;
use crate::embedded::{guarded, make_folder, open_file, translate};

/// The file within the data folder.
pub const LOG_FILE_NAME: &str = "events.redb";

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

/// What an append has thrown out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trimmed {
    /// Entries that were too old.
    pub aged: u64,
    /// Entries that were young enough, but too many: [`LogKeeps::entries`] or [`LogKeeps::bytes`] is reached.
    pub crowded: u64,
}

/// The log. One thread appends, others read meanwhile.
pub struct EventLog {
    path: PathBuf,
    /// None after a failure: redb refuses to go on with a file after an error of the system, so the next use opens it
    /// anew.
    database: RwLock<Option<Database>>,
    extent: Mutex<LogExtent>,
    closed: AtomicBool,
}

impl EventLog {
    /// Opens the log in this folder, or makes both. The first entry of a new log gets the number `first`.
    ///
    /// # Errors
    /// The folder or file cannot be used, is in use, or is no log of ours.
    pub fn open(folder: &Path, first: u64) -> Result<Self, StoreError> {
        make_folder(folder)?;
        let path = folder.join(LOG_FILE_NAME);
        let (database, extent) = open_database(&path, first)?;
        Ok(Self {
            path,
            database: RwLock::new(Some(database)),
            extent: Mutex::new(extent),
            closed: AtomicBool::new(false),
        })
    }

    /// Closes the file, for whoever opens it next. Whoever still has this log gets errors from then on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.database.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// What there is.
    #[must_use]
    pub fn extent(&self) -> LogExtent {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, LogExtent> {
        // Nothing under this lock can panic half-way, so what it protects is sound even then.
        self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds entries and changes notes, all of them or none, and throws out what is not to be kept. On return they
    /// survive the loss of the process and of the power. After an error the same entries may be appended again.
    ///
    /// # Errors
    /// The disk fails; or the numbers leave a gap after the last entry, which would be a defect of ours.
    pub fn append(&self, entries: &[LogEntry], notes: &[LogNote], keeps: &LogKeeps) -> Result<Trimmed, StoreError> {
        let (extent, trimmed) = self.attempt(|database| append(database, entries, notes, keeps))?.ok_or_else(|| {
            StoreError::corrupt(&self.path, "the numbers of its events would have a gap: another program wrote to it")
        })?;
        *self.lock() = extent;
        Ok(trimmed)
    }

    /// The entries after this number, the oldest first: at most so many, and no more once they have so many bytes, but
    /// one if there is one.
    ///
    /// # Errors
    /// The disk fails.
    pub fn read(&self, after: u64, entries: usize, bytes: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.attempt(|database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let (mut page, mut size) = (Vec::new(), 0);
            for item in table.range(after.saturating_add(1)..)?.take(entries) {
                let (id, value) = item?;
                let (at, text) = value.value();
                size += text.len();
                if size > bytes && !page.is_empty() {
                    break;
                }
                page.push(LogEntry { id: id.value(), at, bytes: text.into() });
            }
            Ok(page)
        })
    }

    /// Calls `note` with the key and the value of everything noted, in the order of the keys.
    ///
    /// # Errors
    /// The disk fails.
    pub fn notes(&self, mut note: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.attempt(|database| {
            for item in database.begin_read()?.open_table(NOTES)?.iter()? {
                let (key, value) = item?;
                note(key.value(), value.value());
            }
            Ok(())
        })
    }

    /// Does something with the open database. After an error it is closed.
    fn attempt<T>(&self, job: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*opened {
            let result = guarded(&self.path, || job(database));
            drop(opened);
            return self.checked(result);
        }
        drop(opened);
        let mut closed = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::io(&self.path, io::Error::other("the log is closed")));
        }
        if closed.is_none() {
            let first = self.lock().next;
            *closed = Some(open_database(&self.path, first)?.0);
        }
        let Some(database) = &*closed else { return Err(StoreError::corrupt(&self.path, "it cannot be opened")) };
        let result = guarded(&self.path, || job(database));
        drop(closed);
        self.checked(result)
    }

    fn checked<T>(&self, result: Result<Result<T, redb::Error>, StoreError>) -> Result<T, StoreError> {
        let result = result.and_then(|result| result.map_err(|error| translate(&self.path, error)));
        if result.is_err() {
            self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        }
        result
    }
}

/// One commit. None, and nothing is changed, if the numbers leave a gap.
fn append(
    database: &Database,
    entries: &[LogEntry],
    notes: &[LogNote],
    keeps: &LogKeeps,
) -> Result<Option<(LogExtent, Trimmed)>, redb::Error> {
    let transaction = database.begin_write()?;
    let (mut table, mut meta) = (transaction.open_table(ENTRIES)?, transaction.open_table(META)?);
    let mut extent = read_extent(&table, &meta)?;
    for entry in entries {
        if entry.id > extent.next {
            return Ok(None);
        }
        let before = table.insert(entry.id, (entry.at, &*entry.bytes))?.map_or(0, |old| old.value().1.len());
        extent.bytes += entry.bytes.len() as u64;
        extent.bytes -= before as u64;
        extent.next = extent.next.max(entry.id + 1);
    }
    let mut kept = transaction.open_table(NOTES)?;
    for note in notes {
        match &note.value {
            Some(value) => drop(kept.insert(&*note.key, &**value)?),
            None => drop(kept.remove(&*note.key)?),
        }
    }
    drop(kept);
    let trimmed = trim(&mut table, &mut extent, keeps, 2 * entries.len() + TRIMMED_AT_ONCE)?;
    meta.insert(NEXT, extent.next)?;
    meta.insert(BYTES, extent.bytes)?;
    drop((table, meta));
    transaction.commit()?;
    Ok(Some((extent, trimmed)))
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

fn open_database(path: &Path, first: u64) -> Result<(Database, LogExtent), StoreError> {
    let file = open_file(path)?;
    let opened = guarded(path, || {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create_file(file)?;
        let known = agree(&database, first)?;
        Ok((database, known))
    })?;
    match opened {
        Ok((database, Ok(extent))) => Ok((database, extent)),
        Ok((_, Err(found))) => Err(StoreError::Version { path: path.into(), found, supported: LOG_VERSION }),
        Err(error) => Err(translate(path, error)),
    }
}

/// What is in the file; a new file gets its tables and its first number. An error is the version of a file that we do
/// not read.
fn agree(database: &Database, first: u64) -> Result<Result<LogExtent, u64>, redb::Error> {
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
    let table = transaction.open_table(ENTRIES)?;
    transaction.open_table(NOTES)?;
    let extent = read_extent(&table, &meta)?;
    // The sum is only as good as the arithmetic above; the table knows better when it is empty.
    let extent = if table.is_empty()? { LogExtent { bytes: 0, ..extent } } else { extent };
    drop((meta, table));
    transaction.commit()?;
    Ok(Ok(extent))
}
