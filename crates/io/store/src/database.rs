//! A file of redb: opened so that only its owner reads it, opened anew after a failure, and never a panic.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Builder, Database};

use crate::StoreError;

/// Finds out whether a file is one of ours, and gives a new one its tables. An error is the format of a file that we do
/// not read.
type Agree = Box<dyn Fn(&Database) -> Result<Result<(), u64>, redb::Error> + Send + Sync>;

/// The file, for one who writes and others who read meanwhile.
pub(crate) struct DatabaseFile {
    path: PathBuf,
    cache: usize,
    agree: Agree,
    supported: u64,
    database: RwLock<Opened>,
}

enum Opened {
    Open(Database),
    /// After a failure: redb refuses to go on with a file after an error of the system, so the next use opens it anew.
    Failed,
    Closed,
}

impl DatabaseFile {
    /// Opens the file or makes it, with so many bytes of memory for its pages. `supported` is the format that `agree` takes.
    pub(crate) fn open(path: PathBuf, cache: usize, supported: u64, agree: Agree) -> Result<Self, StoreError> {
        let file = Self { path, cache, agree, supported, database: RwLock::new(Opened::Failed) };
        file.attempt(|_| Ok(()))?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file, for whoever opens it next. Every attempt fails from then on.
    pub(crate) fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Opened::Closed;
    }

    /// Does something with the open database. After an error it is closed until the next attempt.
    pub(crate) fn attempt<T>(&self, job: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if let Opened::Open(database) = &*opened {
            let result = guarded(&self.path, || job(database));
            drop(opened);
            return self.checked(result);
        }
        drop(opened);
        let mut opened = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*opened, Opened::Failed) {
            *opened = Opened::Open(self.open_database()?);
        }
        let Opened::Open(database) = &*opened else {
            return Err(StoreError::io(&self.path, io::Error::other("it is closed")));
        };
        let result = guarded(&self.path, || job(database));
        drop(opened);
        self.checked(result)
    }

    fn checked<T>(&self, result: Result<Result<T, redb::Error>, StoreError>) -> Result<T, StoreError> {
        let result = result.and_then(|result| result.map_err(|error| self.translate(error)));
        if result.is_err() {
            let mut opened = self.database.write().unwrap_or_else(PoisonError::into_inner);
            if matches!(*opened, Opened::Open(_)) {
                *opened = Opened::Failed;
            }
        }
        result
    }

    fn open_database(&self) -> Result<Database, StoreError> {
        let file = open_file(&self.path)?;
        let opened = guarded(&self.path, || {
            let database = Builder::new().set_cache_size(self.cache).create_file(file)?;
            let agreed = (self.agree)(&database)?;
            Ok((database, agreed))
        })?;
        match opened {
            Ok((database, Ok(()))) => Ok(database),
            Ok((_, Err(found))) => {
                Err(StoreError::Version { path: self.path.clone(), found, supported: self.supported })
            }
            Err(error) => Err(self.translate(error)),
        }
    }

    /// Each step of a transaction has an error type of its own; all of them convert into the one taken here.
    fn translate(&self, error: redb::Error) -> StoreError {
        let path = &*self.path;
        match error {
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path: path.into() },
            redb::Error::UpgradeRequired(found) => {
                StoreError::Version { path: path.into(), found: found.into(), supported: self.supported }
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
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|error| StoreError::io(folder, error))
}

/// redb detects a damaged file in most places, but in some it breaks an assertion. That must cost the start, with a
/// message that names the file, and nothing else.
fn guarded<T>(path: &Path, job: impl FnOnce() -> T) -> Result<T, StoreError> {
    panic::catch_unwind(AssertUnwindSafe(job)).map_err(|_| StoreError::corrupt(path, "its structure is not sound"))
}

/// Opens or makes a file, readable by its owner only from the first moment on.
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
