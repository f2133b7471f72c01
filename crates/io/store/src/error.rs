//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

/// A store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{} is in use: is another hookswitch running with this data folder?", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a store of ours, or has been damaged.
    #[error("{} is damaged or not a store of hookswitch ({why}): move it away to start empty", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file was written by another version of the program.
    #[error("{} has format {found}, this program reads {supported}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// What we read.
        supported: u64,
    },
    /// The system failed: no space, no permission, a broken disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn corrupt(path: &Path, why: impl Into<String>) -> Self {
        Self::Corrupt { path: path.into(), why: why.into() }
    }
}
