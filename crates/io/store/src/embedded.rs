//! The embedded store: one redb file, readable only by its owner, because it holds secrets.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::{Store, StoreError, Table, Write};

/// The file within the data folder.
pub const FILE_NAME: &str = "hookswitch.redb";

/// What [`META`] says under [`VERSION_KEY`] in files that this program reads and writes.
pub const SCHEMA_VERSION: u64 = 1;

/// Memory for pages of the file. Everything is held in memory by those who use it, so a small cache does.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Facts about the file itself.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const VERSION_KEY: &str = "version";

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

struct EmbeddedStore {
    path: PathBuf,
    /// None after a failure: redb refuses to go on with a file after an error of the system, so the next use opens
    /// it anew.
    database: Option<Database>,
}

pub(crate) fn open(folder: &Path) -> Result<Box<dyn Store>, StoreError> {
    make_folder(folder)?;
    let path = folder.join(FILE_NAME);
    let mut store = EmbeddedStore { path, database: None };
    store.attempt(|_| Ok(()))?;
    Ok(Box::new(store))
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|error| StoreError::io(folder, error))
}

impl EmbeddedStore {
    /// Does something with the open database. After an error it is closed.
    fn attempt<T>(&mut self, job: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open_database(&self.path)?,
        };
        let (result, database) = guarded(&self.path, move || (job(&database), database))?;
        if result.is_ok() {
            self.database = Some(database);
        }
        result.map_err(|error| translate(&self.path, error))
    }
}

/// redb detects a damaged file in most places, but in some it breaks an assertion. That must cost the start, with a
/// message that names the file, and nothing else.
pub(crate) fn guarded<T>(path: &Path, job: impl FnOnce() -> T) -> Result<T, StoreError> {
    panic::catch_unwind(AssertUnwindSafe(job)).map_err(|_| StoreError::corrupt(path, "its structure is not sound"))
}

impl Store for EmbeddedStore {
    fn load(&mut self, table: Table, entry: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.attempt(|database| {
            let transaction = database.begin_read()?;
            let entries = match transaction.open_table(definition(table)) {
                // Written before there was such a table; the next commit makes it.
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
                other => other?,
            };
            for item in entries.iter()? {
                let (key, value) = item?;
                entry(key.value(), value.value());
            }
            Ok(())
        })
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.attempt(|database| {
            let transaction = database.begin_write()?;
            for table in Table::ALL {
                let mut entries = transaction.open_table(definition(table))?;
                for write in writes.iter().filter(|write| write.table == table) {
                    match &write.value {
                        Some(value) => drop(entries.insert(&*write.key, &**value)?),
                        None => drop(entries.remove(&*write.key)?),
                    }
                }
            }
            Ok(transaction.commit()?)
        })
    }
}

fn open_database(path: &Path) -> Result<Database, StoreError> {
    let file = open_file(path)?;
    let opened = guarded(path, || {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create_file(file)?;
        let version = agree_on_version(&database)?;
        Ok((database, version))
    })?;
    match opened {
        Ok((database, SCHEMA_VERSION)) => Ok(database),
        Ok((_, found)) => Err(StoreError::Version { path: path.into(), found, supported: SCHEMA_VERSION }),
        Err(error) => Err(translate(path, error)),
    }
}

/// Opens or makes the file, readable by its owner only from the first moment on.
pub(crate) fn open_file(path: &Path) -> Result<File, StoreError> {
    let wrap = |error: io::Error| StoreError::io(path, error);
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(wrap)?;
    if file.metadata().map_err(wrap)?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(wrap)?;
    }
    if let (true, Some(folder)) = (is_new, path.parent()) {
        // The entry in the folder has to survive a loss of power as well.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrap)?;
    }
    Ok(file)
}

/// The version of the file; a new file gets ours. Tables that it does not have yet are made, empty.
fn agree_on_version(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let mut meta = transaction.open_table(META)?;
    let found = meta.get(VERSION_KEY)?.map(|value| value.value());
    let version = match found {
        Some(SCHEMA_VERSION) => SCHEMA_VERSION,
        Some(other) => return Ok(other),
        None => {
            meta.insert(VERSION_KEY, SCHEMA_VERSION)?;
            SCHEMA_VERSION
        }
    };
    drop(meta);
    for table in Table::ALL {
        transaction.open_table(definition(table))?;
    }
    transaction.commit()?;
    Ok(version)
}

/// Each step of a transaction has an error type of its own; all of them convert into the one taken here.
pub(crate) fn translate(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path: path.into() },
        redb::Error::UpgradeRequired(found) => {
            StoreError::Version { path: path.into(), found: found.into(), supported: SCHEMA_VERSION }
        }
        // This is how redb reports a file that does not begin like one of its own.
        redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            StoreError::corrupt(path, source.to_string())
        }
        redb::Error::Io(source) => StoreError::io(path, source),
        redb::Error::PreviousIo => StoreError::io(path, io::Error::other("an earlier write failed")),
        other => StoreError::corrupt(path, other.to_string()),
    }
}
