//! Which file a name means: one below a folder of sounds, and nothing else.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use hookswitch_media::FileError;

/// The folders of sounds.
pub(super) struct Sounds {
    folders: Vec<PathBuf>,
}

impl Sounds {
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Opens the first file of that name. A link may lead from one place below a folder to another, and not out of it.
    pub(super) fn open(&self, name: &str) -> Result<File, FileError> {
        let name = Path::new(name);
        let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || name.as_os_str().is_empty() {
            return Err(FileError::NotAllowed);
        }
        let mut failure = FileError::NotFound;
        for folder in &self.folders {
            match open_below(folder, name) {
                Ok(file) => return Ok(file),
                Err(FileError::NotFound) => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

fn open_below(folder: &Path, name: &Path) -> Result<File, FileError> {
    // Asked each time: the folder may be mounted, or made, after we have begun.
    let folder = folder.canonicalize().map_err(|error| why(&error))?;
    let path = folder.join(name).canonicalize().map_err(|error| why(&error))?;
    if !path.starts_with(&folder) {
        return Err(FileError::NotAllowed);
    }
    // A pipe that nobody writes to would hold everybody up.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|error| why(&error))?;
    match file.metadata() {
        Ok(data) if data.is_file() => Ok(file),
        Ok(_) => Err(FileError::NotAllowed),
        Err(error) => Err(why(&error)),
    }
}

/// What an error of the system means for whoever wants to play something.
pub(super) fn why(error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::NotFound,
        _ => FileError::Unreadable(error.to_string().into()),
    }
}
