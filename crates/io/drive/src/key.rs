//! A secret that outlives the process, in a file that only its user can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rand::Rng as _;

/// The secret of this name in a folder; a new one where there is none, or none that can be used.
pub(crate) fn lasting(folder: &Path, name: &str) -> [u8; 32] {
    let file = folder.join(name);
    if let Some(known) = fs::read(&file).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        return known;
    }
    let fresh: [u8; 32] = rand::rng().random();
    if let Err(error) = write(&file, &fresh) {
        tracing::warn!(file = %file.display(), %error, "a secret cannot be kept and is another one after a restart");
    }
    fresh
}

fn write(file: &Path, secret: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("new");
    // What a start that did not come to its end has left may be readable for others.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    out.write_all(secret)?;
    out.sync_all()?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_stays_the_same_and_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = lasting(folder.path(), "a.key");
        assert_eq!(lasting(folder.path(), "a.key"), first);
        assert_ne!(lasting(folder.path(), "b.key"), first);
        let mode = fs::metadata(folder.path().join("a.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Half of one is none.
        fs::write(folder.path().join("a.key"), &first[..16]).unwrap();
        let second = lasting(folder.path(), "a.key");
        assert_ne!(second, first);
        assert_eq!(lasting(folder.path(), "a.key"), second);
    }

    #[test]
    fn where_it_cannot_be_kept_there_is_one_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("is-not-there");
        assert_ne!(lasting(&nowhere, "a.key"), lasting(&nowhere, "a.key"));
    }
}
