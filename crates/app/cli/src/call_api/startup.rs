//! What the three tools do before anything else: version, configuration, log.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::args::Tool;
use super::log::{Level, Log};
use super::settings::{self, Environment, Places, Settings, system_words};
use super::version::version;

/// A tool that knows what it was told.
pub struct Started {
    /// Its settings.
    pub settings: Settings,
    /// Its log.
    pub log: Arc<Log>,
}

/// Reads the configuration of a tool and opens its log.
///
/// # Errors
/// The program is over, with this status: everything is said.
pub fn start<T: Tool>(args: &T) -> Result<Started, ExitCode> {
    let first = Log::stderr(Level::Info, false);
    let common = args.common();
    if common.version {
        first.info(&format!("{}: {}", T::NAME, version()));
        return Err(ExitCode::SUCCESS);
    }
    let fail = |message: &str| {
        first.fatal(message);
        ExitCode::FAILURE
    };
    let home = std::env::var_os("HOME");
    let places =
        Places { names: T::FILES, explicit: common.config.as_deref(), home: home.as_deref(), here: Path::new("") };
    let loaded = settings::load(places, &Environment::of_process()).map_err(|error| fail(&error.to_string()))?;
    let settings = loaded.settings;
    if common.check_config {
        loaded.warnings.iter().for_each(|warning| first.warn(warning));
        let source = match &loaded.file {
            Some(file) => file.display().to_string(),
            None => "no configuration file: these are the defaults".to_owned(),
        };
        // Whoever reads no more has seen enough.
        let _ = write!(std::io::stdout(), "# {source}\n{settings}");
        return Err(T::check(&settings).map_or_else(|error| fail(&error.to_string()), |()| ExitCode::SUCCESS));
    }
    let (level, pii) = (settings.log.level, settings.log.pii);
    let log = match &settings.log.file {
        Some(file) => Log::file(file, level, pii)
            .map_err(|error| fail(&format!("open {}: {}", file.display(), system_words(&error))))?,
        None => Log::stderr(level, pii),
    };
    let log = Arc::new(log);
    log.take_tracing(T::PARTS);
    loaded.warnings.iter().for_each(|warning| log.warn(warning));
    Ok(Started { settings, log })
}

/// The runtime of a tool that follows one command, and a message for each SIGINT or SIGTERM from now on.
///
/// # Errors
/// The system gives neither threads nor descriptors.
pub fn runtime() -> std::io::Result<(Runtime, mpsc::Receiver<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (interrupted, interrupts) = mpsc::channel(4);
    let entered = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, interrupted) = (signal(kind)?, interrupted.clone());
        runtime.spawn(async move { while signals.recv().await.is_some() && interrupted.send(()).await.is_ok() {} });
    }
    drop(entered);
    Ok((runtime, interrupts))
}
