//! `call-api`: the daemon.

use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use hookswitch_dialect::call_api::Mode;
use hookswitch_drive::{OpenSipsFront, Phase};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::ApiArgs;
use super::front;
use super::log::Log;
use super::settings::{Settings, Web};
use super::startup::{self, Started};
use crate::memory;

/// How often it is looked whether the front has drained, or ended by itself.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs the daemon until a signal ends it.
#[must_use]
pub fn run(args: &ApiArgs) -> ExitCode {
    let Started { settings, log } = match startup::start(args) {
        Ok(started) => started,
        Err(over) => return over,
    };
    match serve(&settings, &log) {
        Ok(code) => code,
        Err(error) => {
            log.fatal(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: &Settings, log: &Log) -> anyhow::Result<ExitCode> {
    // Before the sockets: a signal that comes while they open must not be lost.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let front = OpenSipsFront::start(front::serving(settings)?)?;
    memory::tidy();
    warn_about_exposure(&settings.web, log);
    announce(settings, &front, log);
    let code = runtime.block_on(watch(&front, &mut signals, settings.drain, log));
    let clean = front.stop();
    log.info("stopped");
    Ok(if clean { code } else { ExitCode::FAILURE })
}

fn warn_about_exposure(web: &Web, log: &Log) {
    if web.mode == Mode::Original && web.origins.is_empty() && web.tokens.is_empty() {
        let whom = if web.is_local() { "any web page opened on this host" } else { "whoever reaches it" };
        log.warn(&format!("{whom} may start and end calls: set ws_server.allowed_origins or ws_server.auth"));
    }
}

fn announce(settings: &Settings, front: &OpenSipsFront, log: &Log) {
    let addresses = front.addresses();
    log.info(&format!("MI requests go to {}, events come to {}", settings.shown_mi(), addresses.event_socket));
    for address in &addresses.http {
        log.info(&format!("status pages: http://{address}/health and http://{address}/metrics"));
    }
    let web = &settings.web;
    // The port that was chosen, where 0 let the system choose.
    let port = addresses.call_api.first().map_or(web.port, std::net::SocketAddr::port);
    let secure = if web.tls.is_some() { " (TLS)" } else { "" };
    let (host, path) = (web.bracketed_host(), &web.path);
    log.info(&format!("Listening for JSON-RPC over WebSocket on {host}:{port}{path}{secure} ..."));
}

async fn watch(front: &OpenSipsFront, signals: &mut Signals, patience: Duration, log: &Log) -> ExitCode {
    let ended = signals.until_told_to_end(front, log, until(|| front.phase() >= Phase::Stopped)).await;
    if !ended {
        log.error("the front of OpenSIPS has ended by itself");
        return ExitCode::FAILURE;
    }
    log.info("draining: no new commands; a second signal stops at once");
    front.drain();
    let drained = until(|| front.phase() >= Phase::Drained);
    tokio::select! {
        told = signals.until_told_to_end(front, log, drained) => {
            if told {
                log.warn("stopped by a second signal");
            }
        }
        () = tokio::time::sleep(patience) => log.warn("commands are left after timeouts.drain"),
    }
    ExitCode::SUCCESS
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The signals that the daemon knows.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hang_up: signal(SignalKind::hangup())? })
    }

    /// Waits for a signal that ends programs (`true`), or for something else (`false`). SIGHUP reopens the log and
    /// reads the certificate anew, which the listener does by itself too when it sees that the files have changed.
    async fn until_told_to_end(
        &mut self,
        front: &OpenSipsFront,
        log: &Log,
        otherwise: impl Future<Output = ()>,
    ) -> bool {
        tokio::pin!(otherwise);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return true,
                _ = self.interrupt.recv() => return true,
                () = &mut otherwise => return false,
                _ = self.hang_up.recv() => {
                    front.reload();
                    match log.reopen() {
                        Ok(()) => log.info("SIGHUP: log file reopened, certificate read anew"),
                        Err(error) => log.error(&format!("SIGHUP: the log file cannot be opened: {error}")),
                    }
                }
            }
        }
    }
}
