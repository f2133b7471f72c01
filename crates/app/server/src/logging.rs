//! Log lines on standard error.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, Log, LogFormat};

/// How the filter of a running program is replaced.
type SetFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;

static SET: OnceLock<SetFilter> = OnceLock::new();

/// Which lines are written.
///
/// # Errors
/// The level is not a filter.
pub fn filter(log: &Log) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&log.level).map_err(|error| ConfigError::value("log.level", error))
}

/// Writes those lines from now on.
pub fn set(filter: EnvFilter) {
    if let Some(set) = SET.get() {
        set(filter);
    }
}

/// Starts logging for the whole process, once.
///
/// # Errors
/// The level is not a filter.
pub fn start(log: &Log) -> Result<(), ConfigError> {
    let filter = filter(log)?;
    hookswitch_drive::show_pii(log.pii);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Only a second start in one process could fail, and the first one serves it as well; so does its handle.
    match log.format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            let _ = lines.try_init().map(|()| SET.set(Box::new(move |filter| drop(handle.reload(filter)))));
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            let _ = lines.try_init().map(|()| SET.set(Box::new(move |filter| drop(handle.reload(filter)))));
        }
    }
    Ok(())
}
