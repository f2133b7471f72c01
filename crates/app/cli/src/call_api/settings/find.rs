//! Where a tool's configuration file is looked for.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that are searched after the user's own file, in this order.
const FOLDERS: [&str; 3] = ["config", "/etc", "/etc/call-api"];

/// No file, in the words of the original.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The file cannot be looked at.
    #[error("stat {path}: {why}", path = .0.display(), why = system_words(.1))]
    Stat(PathBuf, io::Error),
    /// It is a folder.
    #[error("'{path}' is a directory, not a normal file", path = .0.display())]
    Directory(PathBuf),
    /// It cannot be read.
    #[error("open {path}: {why}", path = .0.display(), why = system_words(.1))]
    Open(PathBuf, io::Error),
    /// There is none where it was looked for; the user's own folder is not listed.
    #[error("No config file found in any of {}", .0.join(","))]
    Nowhere(Vec<String>),
}

/// An error of the system as Go writes it: without its number, and with a small letter.
#[must_use]
pub fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The file that was named.
///
/// # Errors
/// It is not there, or is no file.
pub fn named(path: &Path) -> Result<PathBuf, FindError> {
    let about = path.metadata().map_err(|error| FindError::Stat(path.to_owned(), error))?;
    if about.is_dir() { Err(FindError::Directory(path.to_owned())) } else { Ok(path.to_owned()) }
}

/// The first file there is: for each name in turn `$HOME/.NAME.yml`, `config/NAME.yml`, `/etc/NAME.yml` and
/// `/etc/call-api/NAME.yml`. `here` is the folder that relative places start from.
///
/// # Errors
/// There is none.
pub fn search(names: &[&str], home: Option<&OsStr>, here: &Path) -> Result<PathBuf, FindError> {
    let mut tested = Vec::new();
    for name in names {
        if let Some(home) = home.filter(|home| !home.is_empty())
            && let Ok(found) = named(&Path::new(home).join(format!(".{name}.yml")))
        {
            return Ok(found);
        }
        for folder in FOLDERS {
            let candidate = format!("{folder}/{name}.yml");
            if let Ok(found) = named(&here.join(&candidate)) {
                return Ok(found);
            }
            tested.push(candidate);
        }
    }
    Err(FindError::Nowhere(tested))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_comes_first_then_config() {
        let folder = tempfile::tempdir().unwrap();
        let (home, here) = (folder.path().join("home"), folder.path().join("here"));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::create_dir_all(here.join("config")).unwrap();
        let look = || search(&["call-api"], Some(home.as_os_str()), &here);
        // The places below /etc are the machine's own; nobody has files of these names there in a test.
        std::fs::create_dir(home.join(".call-api.yml")).unwrap();
        std::fs::write(here.join("config/call-api.yml"), "").unwrap();
        assert_eq!(look().unwrap(), here.join("config/call-api.yml"), "a folder is no file");
        std::fs::remove_dir(home.join(".call-api.yml")).unwrap();
        std::fs::write(home.join(".call-api.yml"), "").unwrap();
        assert_eq!(look().unwrap(), home.join(".call-api.yml"));
        assert_eq!(search(&["call-api"], None, &here).unwrap(), here.join("config/call-api.yml"));
    }

    #[test]
    fn a_tools_own_name_wins_over_the_shared_one_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("config")).unwrap();
        std::fs::write(folder.path().join(".call-api.yml"), "").unwrap();
        let look = || search(&["call-api-client", "call-api"], Some(folder.path().as_os_str()), folder.path()).unwrap();
        assert_eq!(look(), folder.path().join(".call-api.yml"));
        std::fs::write(folder.path().join("config/call-api-client.yml"), "").unwrap();
        assert_eq!(look(), folder.path().join("config/call-api-client.yml"));
    }

    #[test]
    fn every_complaint_is_in_the_words_of_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let words = |found: Result<PathBuf, FindError>| found.unwrap_err().to_string();
        assert_eq!(
            words(search(&["no-such-tool"], None, folder.path())),
            "No config file found in any of config/no-such-tool.yml,/etc/no-such-tool.yml,/etc/call-api/no-such-tool.yml"
        );
        assert_eq!(words(named(Path::new("/nope.yml"))), "stat /nope.yml: no such file or directory");
        let name = folder.path().display();
        assert_eq!(words(named(folder.path())), format!("'{name}' is a directory, not a normal file"));
        let refused = FindError::Open("/x.yml".into(), io::Error::from_raw_os_error(13));
        assert_eq!(refused.to_string(), "open /x.yml: permission denied");
    }
}
