//! Where the configuration file is looked for.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError};

/// A configuration and where it came from.
#[derive(Debug)]
pub struct Found {
    /// The configuration.
    pub config: Config,
    /// Its file; `None` when there is none and the defaults serve.
    pub file: Option<PathBuf>,
}

/// Reads `explicit`, or the first of `$HOME/.hookswitch.yml`, `config/hookswitch.yml`,
/// `/etc/hookswitch.yml` and `/etc/hookswitch/hookswitch.yml` that exists.
///
/// # Errors
/// The file cannot be read, or its text is not a configuration.
pub fn find(explicit: Option<&Path>) -> Result<Found, ConfigError> {
    let file = match explicit {
        Some(file) => Some(file.to_owned()),
        None => candidates().into_iter().find(|file| file.exists()),
    };
    let Some(file) = file else {
        return Ok(Found { config: Config::default(), file: None });
    };
    let text = std::fs::read_to_string(&file).map_err(|error| ConfigError::Unreadable(file.clone(), error))?;
    let config = Config::parse(&file.display().to_string(), &text)?;
    Ok(Found { config, file: Some(file) })
}

fn candidates() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".hookswitch.yml"));
    let rest = ["config/hookswitch.yml", "/etc/hookswitch.yml", "/etc/hookswitch/hookswitch.yml"];
    home.into_iter().chain(rest.map(PathBuf::from)).collect()
}

/// `/var/lib/hookswitch` for root, else the user's state directory.
pub(super) fn default_data_dir() -> PathBuf {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if is_root {
        return PathBuf::from("/var/lib/hookswitch");
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    state.or_else(home).unwrap_or_else(std::env::temp_dir).join("hookswitch")
}
