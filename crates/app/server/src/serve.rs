//! `hookswitch serve`: start, wait for a signal, drain, stop.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use hookswitch_drive::{Phase, Switch};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{ServeArgs, compose, logging};

/// How often it is looked whether a switch has drained.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs the switch until it is told to stop.
pub fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let found = args.find()?;
    logging::start(&found.config.log)?;
    match &found.file {
        Some(file) => tracing::info!(file = %file.display(), "configuration"),
        None => tracing::info!("no configuration file: the defaults serve"),
    }
    // Before the sockets: a signal that comes while they open must not be lost.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let switch = Switch::start(compose::switch_config(&found.config)?)
        .with_context(|| format!("the switch does not start (data in {})", found.config.data_dir().display()))?;
    announce(&switch);
    if found.config.call_api.allowed_origins.is_empty() {
        tracing::warn!("any web page that reaches the Call API may use it: call_api.allowed_origins is empty");
    }
    let patience = Duration::from_secs(found.config.calls.drain_time);
    let code = runtime.block_on(watch(&switch, &mut signals, patience));
    let clean = switch.stop();
    tracing::info!("stopped");
    Ok(if clean { code } else { ExitCode::FAILURE })
}

fn announce(switch: &Switch) {
    let addresses = switch.addresses();
    for socket in &addresses.sip {
        tracing::info!(transport = %socket.transport, address = %socket.address, "listening for SIP");
    }
    for address in &addresses.call_api {
        tracing::info!(%address, "listening for JSON-RPC over WebSocket");
    }
    for address in &addresses.http {
        tracing::info!(%address, "listening for HTTP: directory and registrations");
    }
}

async fn watch(switch: &Switch, signals: &mut Signals, patience: Duration) -> ExitCode {
    loop {
        tokio::select! {
            () = signals.next() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {
                if switch.phase() >= Phase::Stopped {
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    tracing::info!("draining: no new calls; a second signal stops at once");
    switch.drain();
    let give_up = tokio::time::sleep(patience);
    tokio::pin!(give_up);
    loop {
        tokio::select! {
            () = signals.next() => {
                tracing::warn!("stopped by a second signal");
                return ExitCode::SUCCESS;
            }
            () = &mut give_up => {
                tracing::warn!("calls are left after calls.drain_time");
                return ExitCode::SUCCESS;
            }
            () = tokio::time::sleep(LOOK_EVERY) => {
                if switch.phase() >= Phase::Drained {
                    return ExitCode::SUCCESS;
                }
            }
        }
    }
}

/// Waits until somebody ends the program, or the switch itself has.
pub async fn until_signal(switch: &Switch) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    while switch.phase() < Phase::Stopped {
        tokio::select! {
            () = signals.next() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    Ok(())
}

/// The two signals by which people stop programs.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
