//! Facts that outlive the process, as keys and values: which bytes they are is the caller's business.
//!
//! A [`Store`] is one of the rows of [`STORES`]; all of them pass the same contract tests. Nobody
//! calls a store on a busy thread: a [`Writer`] owns it, gathers whatever is queued into one durable
//! commit, and says when it is safe. Beside them stands the [`EventLog`], which only ever grows at one end. Both write what
//! has come to the end of a write-ahead file first, which is quick, and to their database later (`ahead`).
#![forbid(unsafe_code)]

mod ahead;
mod bytes;
mod database;
mod embedded;
mod error;
mod log;
mod memory;
mod writer;

use std::path::Path;
use std::time::Duration;

pub use embedded::{AHEAD_NAME, FILE_NAME, SCHEMA_VERSION};
pub use error::StoreError;
pub use log::{EventLog, LOG_AHEAD_NAME, LOG_FILE_NAME, LogBatch, LogEntry, LogExtent, LogKeeps, LogNote, Trimmed};
pub use writer::{Committed, LAZY, MAX_PENDING, MAX_PENDING_BYTES, QueueFull, Ticket, Writer};

/// Shortest time from the beginning of one commit to that of the next. A synchronised write costs the processor much the same
/// however little it writes: without this a busy switch makes thousands of them a second, of a few records each.
pub const PACE: Duration = Duration::from_millis(2);

/// What entries are about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Table {
    /// Domain name to the users pushed for it.
    Directory,
    /// Address of record and contact to a registered binding.
    Bindings,
    /// Number of a subscription to the subscription.
    Subscriptions,
    /// Address of record to the numbers of waiting messages.
    Mailboxes,
    /// Address or network to a ban.
    Bans,
    /// Name of an idempotency key to what was answered under it.
    Keys,
    /// Webhook and event to what waits for its next attempt or is dead; how far each has come.
    Webhooks,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 7] =
        [Self::Directory, Self::Bindings, Self::Subscriptions, Self::Mailboxes, Self::Bans, Self::Keys, Self::Webhooks];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Bindings => "bindings",
            Self::Subscriptions => "subscriptions",
            Self::Mailboxes => "mailboxes",
            Self::Bans => "bans",
            Self::Keys => "keys",
            Self::Webhooks => "webhooks",
        }
    }
}

/// One change of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// In which table.
    pub table: Table,
    /// Which entry.
    pub key: Box<[u8]>,
    /// What it is from now on; `None` removes it.
    pub value: Option<Box<[u8]>>,
}

impl Write {
    /// An entry that is new or changed.
    #[must_use]
    pub fn put(table: Table, key: &[u8], value: Vec<u8>) -> Self {
        Self { table, key: key.into(), value: Some(value.into()) }
    }

    /// An entry that is gone. That it was not there is no error.
    #[must_use]
    pub fn remove(table: Table, key: &[u8]) -> Self {
        Self { table, key: key.into(), value: None }
    }
}

/// Remembers entries.
pub trait Store: Send {
    /// Calls `entry` with the key and the value of everything in `table`, in the order of the keys.
    ///
    /// # Errors
    /// The medium fails or does not hold what it should.
    fn load(&mut self, table: Table, entry: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;

    /// Does all of `writes`, in order, or none of them. On return they survive the loss of the
    /// process and of the power, as far as the store is durable at all.
    ///
    /// # Errors
    /// The medium fails. A later commit of the same may work, and may find it done already.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError>;
}

/// One kind of store.
pub struct StoreRow {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Whether it remembers across restarts.
    pub durable: bool,
    /// Opens it in a folder, which is made if need be.
    pub open: fn(folder: &Path) -> Result<Box<dyn Store>, StoreError>,
}

/// Every kind of store there is; the first is the default.
pub static STORES: &[StoreRow] = &[
    StoreRow {
        name: "redb",
        help: "a file in the data folder, synchronised before a change is acknowledged",
        durable: true,
        open: embedded::open,
    },
    StoreRow { name: "memory", help: "nothing outlives the process", durable: false, open: memory::open },
];
