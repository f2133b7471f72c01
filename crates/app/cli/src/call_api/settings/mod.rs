//! The configuration of the three tools: one YAML file of the original's shape, then the environment, checked.
//!
//! What was written ([`written`]) and what it means ([`Settings`]) are kept apart; flags come last and are the tools'.

mod describe;
mod environment;
mod find;
mod meaning;
mod mi_address;
mod read;
pub mod written;

use std::ffi::OsStr;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::Environment;
pub use find::{FindError, system_words};
use hookswitch_dialect::call_api::{Access, Mode, OnDisconnect};

use super::log::Level;

/// Host on which the daemon listens and to which the client connects unless told otherwise.
pub const DEFAULT_HOST: &str = "localhost";

/// Port of the WebSocket unless told otherwise.
pub const DEFAULT_PORT: u16 = 5059;

/// Path of the WebSocket unless told otherwise.
pub const DEFAULT_PATH: &str = "/call-api";

/// Where OpenSIPS takes MI requests unless told otherwise.
pub const DEFAULT_MI: &str = "127.0.0.1:8080";

/// Everything that a tool needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The WebSocket.
    pub web: Web,
    /// Where OpenSIPS takes requests: `udp:HOST:PORT`, `unix:/PATH` or a URL. May hold a password.
    pub mi: String,
    /// How long an answer of OpenSIPS may take.
    pub mi_timeout: Duration,
    /// How often OpenSIPS is asked whether it is there.
    pub health_every: Duration,
    /// Where OpenSIPS answers over a UNIX socket.
    pub mi_reply: Option<PathBuf>,
    /// Certificates to trust with `https` beside those of the system.
    pub mi_ca: Option<PathBuf>,
    /// Where events are received; by default UDP on the address from which OpenSIPS is reached.
    pub events: Option<String>,
    /// What OpenSIPS is told about that.
    pub advertise: Option<String>,
    /// For how long events are subscribed to, and how often that is repeated.
    pub subscription: (Duration, Duration),
    /// What OpenSIPS is told about calls.
    pub calls: Calls,
    /// How long SIGTERM waits.
    pub drain: Duration,
    /// Where the status pages are.
    pub http: Option<String>,
    /// What only the client needs.
    pub client: Client,
    /// Log lines.
    pub log: LogSettings,
}

/// The WebSocket: where the daemon listens and the client connects.
#[derive(Clone, Debug)]
pub struct Web {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path.
    pub path: String,
    /// Certificate and key: wss.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Who may use it; empty: whoever reaches it.
    pub tokens: Vec<Token>,
    /// Web pages that may connect.
    pub origins: Vec<String>,
    /// How strictly JSON-RPC is meant.
    pub mode: Mode,
    /// What a client's leaving means.
    pub on_disconnect: OnDisconnect,
    /// Whether errors carry the member `reason`.
    pub reason: bool,
    /// What clients may not exceed.
    pub limits: Limits,
}

/// What clients of the WebSocket may not exceed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Sessions at once.
    pub sessions: usize,
    /// Connections from one address; `None`: the listener's own rule.
    pub per_address: Option<NonZeroUsize>,
    /// Commands that run at once in one session.
    pub in_flight: usize,
    /// Requests of one session in a second.
    pub rate: Option<u32>,
    /// Bytes of a message.
    pub message: usize,
}

/// A bearer token and what it allows.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub secret: String,
    /// What it allows.
    pub access: Access,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("access", &self.access).finish_non_exhaustive()
    }
}

/// How OpenSIPS makes and changes calls.
#[derive(Clone, Debug)]
pub struct Calls {
    /// Where first INVITEs are sent.
    pub next_hop: Option<String>,
    /// Their From.
    pub from: Option<String>,
    /// Their Contact.
    pub contact: Option<String>,
    /// Whether the events of all dialogs are asked for.
    pub dialog_events: bool,
    /// Domains whose callers must have registered.
    pub registered_domains: Vec<String>,
    /// Most commands that run at once.
    pub max_commands: usize,
    /// How long after a message nobody sleeps.
    pub stay_awake: Duration,
    /// How long a party may ring.
    pub ring: Duration,
    /// How long a phone may take to begin a transfer.
    pub refer: Duration,
    /// How long a party may take to be on hold, or off.
    pub hold: Duration,
}

/// What only the client needs.
#[derive(Clone, Debug)]
pub struct Client {
    /// Bearer token.
    pub token: Option<String>,
    /// Certificates to trust beside those of the system.
    pub ca: Option<PathBuf>,
    /// How long a command may take; zero: any time.
    pub timeout: Duration,
}

/// Log lines.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A file instead of standard error.
    pub file: Option<PathBuf>,
    /// The least that is written.
    pub level: Level,
    /// Whether addresses and numbers of people are written.
    pub pii: bool,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no file where one was named.
    #[error(transparent)]
    Find(#[from] FindError),
    /// What is written in the file is no configuration.
    #[error("{0}")]
    Text(String),
    /// A value is well formed and still cannot be used.
    #[error("{key}: {why}")]
    Value {
        /// Its key, or the variable of the environment.
        key: &'static str,
        /// Why.
        why: String,
    },
}

impl SettingsError {
    pub(super) fn value(key: &'static str, why: impl ToString) -> Self {
        Self::Value { key, why: why.to_string() }
    }
}

/// What was read, and from where.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub settings: Settings,
    /// The file; `None` if there is none and the defaults serve.
    pub file: Option<PathBuf>,
    /// What to tell about it.
    pub warnings: Vec<String>,
}

/// Where a tool looks.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Names of its files, without `.yml`, the best first.
    pub names: &'a [&'a str],
    /// The file that was named.
    pub explicit: Option<&'a Path>,
    /// The user's folder.
    pub home: Option<&'a OsStr>,
    /// The folder where relative places start.
    pub here: &'a Path,
}

/// Reads the configuration of a tool: the file that was named or the first one found, then the environment. No file at
/// all means the defaults and a warning.
///
/// # Errors
/// A named file is not there, a file makes no sense, or a value cannot be used.
pub fn load(places: Places<'_>, environment: &Environment) -> Result<Loaded, SettingsError> {
    let mut warnings = Vec::new();
    let file = match places.explicit {
        Some(path) => Some(find::named(path)?),
        None => match find::search(places.names, places.home, places.here) {
            Ok(path) => Some(path),
            Err(error) => {
                warnings.push(format!("{error}: the defaults serve"));
                None
            }
        },
    };
    let mut written = written::Written::default();
    if let Some(path) = &file {
        let text = std::fs::read_to_string(path).map_err(|error| FindError::Open(path.clone(), error))?;
        let read = read::read(path, &text).map_err(SettingsError::Text)?;
        warnings.extend(read.warnings);
        written = read.written;
    }
    environment.overlay(&mut written)?;
    Ok(Loaded { settings: meaning::settings(written)?, file, warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(files: &[(&str, &str)], explicit: Option<&str>) -> Result<Loaded, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let explicit = explicit.map(|name| folder.path().join(name));
        let places = Places { names: &["test-tool"], explicit: explicit.as_deref(), home: None, here: folder.path() };
        load(places, &Environment::of([]))
    }

    #[test]
    fn no_file_is_the_defaults_with_a_warning() {
        let loaded = in_folder(&[], None).unwrap();
        assert_eq!(
            loaded.warnings,
            ["No config file found in any of config/test-tool.yml,/etc/test-tool.yml,/etc/call-api/test-tool.yml: \
              the defaults serve"]
        );
        let settings = loaded.settings;
        assert_eq!((settings.web.host.as_str(), settings.web.port), ("localhost", 5059));
        assert_eq!((settings.web.path.as_str(), settings.mi.as_str()), ("/call-api", "udp:127.0.0.1:8080"));
        assert_eq!((settings.log.level, settings.log.pii), (Level::Info, false));
    }

    #[test]
    fn a_named_file_that_is_not_there_is_an_error() {
        let error = in_folder(&[], Some("nope.yml")).unwrap_err().to_string();
        assert!(error.starts_with("stat ") && error.ends_with("/nope.yml: no such file or directory"), "{error}");
    }

    #[test]
    fn an_empty_file_is_the_defaults_without_a_warning() {
        let loaded = in_folder(&[("config/test-tool.yml", "")], None).unwrap();
        assert!(loaded.warnings.is_empty() && loaded.file.is_some());
    }
}
