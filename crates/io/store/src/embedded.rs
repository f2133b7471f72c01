//! The embedded store: one redb file behind a write-ahead file, readable only by their owner, because they hold secrets.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::ahead::{Ahead, Base, first_number};
use crate::bytes::{Bytes, put_bytes, put_option};
use crate::database::{DatabaseFile, make_folder};
use crate::{Store, StoreError, Table, Write};

/// The file within the data folder.
pub const FILE_NAME: &str = "hookswitch.redb";

/// The write-ahead file beside it.
pub const AHEAD_NAME: &str = "hookswitch.ahead";

/// What [`META`] says under [`VERSION_KEY`] in files that this program reads and writes.
pub const SCHEMA_VERSION: u64 = 1;

/// Memory for pages of the file. Everything is held in memory by those who use it, so a small cache does.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Facts about the file itself.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const VERSION_KEY: &str = "version";
/// The number of the last record of the write-ahead file that this file has.
const AHEAD_KEY: &str = "ahead";

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

struct EmbeddedStore {
    ahead: Ahead<Tables>,
    file: Arc<DatabaseFile>,
}

pub(crate) fn open(folder: &Path) -> Result<Box<dyn Store>, StoreError> {
    make_folder(folder)?;
    let path = folder.join(FILE_NAME);
    let file = Arc::new(DatabaseFile::open(path, CACHE_BYTES, SCHEMA_VERSION, Box::new(agree_on_version))?);
    let ahead = Ahead::open(&folder.join(AHEAD_NAME), Tables(Arc::clone(&file)), "store-file")?;
    Ok(Box::new(EmbeddedStore { ahead, file }))
}

impl Store for EmbeddedStore {
    fn load(&mut self, table: Table, entry: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.ahead.settle()?;
        self.file.attempt(|database| {
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
        self.ahead.append(Arc::new(writes.to_vec()))
    }
}

/// The tables of the file.
struct Tables(Arc<DatabaseFile>);

impl Base for Tables {
    type Record = Vec<Write>;

    fn encode(writes: &Vec<Write>, into: &mut Vec<u8>) {
        for Write { table, key, value } in writes {
            put_bytes(into, table.name().as_bytes());
            put_bytes(into, key);
            put_option(into, value.as_deref());
        }
    }

    fn decode(bytes: &[u8]) -> Option<Vec<Write>> {
        let (mut bytes, mut writes) = (Bytes(bytes), Vec::new());
        while !bytes.0.is_empty() {
            let name = bytes.bytes()?;
            let table = Table::ALL.into_iter().find(|table| table.name().as_bytes() == name)?;
            let (key, value) = (bytes.bytes()?.into(), bytes.option()?.map(Into::into));
            writes.push(Write { table, key, value });
        }
        Some(writes)
    }

    fn applied(&mut self) -> Result<u64, StoreError> {
        self.0.attempt(|database| {
            let meta = database.begin_read()?.open_table(META)?;
            Ok(meta.get(AHEAD_KEY)?.map_or(0, |value| value.value()))
        })
    }

    fn apply(&mut self, records: &[Arc<Vec<Write>>], last: u64) -> Result<(), StoreError> {
        self.0.attempt(|database| {
            let transaction = database.begin_write()?;
            for table in Table::ALL {
                let mut entries = transaction.open_table(definition(table))?;
                for write in records.iter().flat_map(|writes| &**writes).filter(|write| write.table == table) {
                    match &write.value {
                        Some(value) => drop(entries.insert(&*write.key, &**value)?),
                        None => drop(entries.remove(&*write.key)?),
                    }
                }
            }
            transaction.open_table(META)?.insert(AHEAD_KEY, last)?;
            Ok(transaction.commit()?)
        })
    }
}

/// Whether the file has our version; a new file gets it. Tables that it does not have yet are made, empty.
fn agree_on_version(database: &Database) -> Result<Result<(), u64>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut meta = transaction.open_table(META)?;
    let found = meta.get(VERSION_KEY)?.map(|value| value.value());
    match found {
        Some(SCHEMA_VERSION) => {}
        Some(other) => return Ok(Err(other)),
        None => drop(meta.insert(VERSION_KEY, SCHEMA_VERSION)?),
    }
    if meta.get(AHEAD_KEY)?.is_none() {
        meta.insert(AHEAD_KEY, first_number())?;
    }
    drop(meta);
    for table in Table::ALL {
        transaction.open_table(definition(table))?;
    }
    transaction.commit()?;
    Ok(Ok(()))
}
