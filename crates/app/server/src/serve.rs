//! `hookswitch serve`: start, wait for a signal, drain, stop.

#[cfg(test)]
mod opensips_rest;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use hookswitch_drive::{
    JournalThread, OpenSipsFront, Phase, ReloadRequests, Reloaded, Switch, WebhookHandle, Webhooks, reload_requests,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::{Config, Role};
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
    let mut running = Running::start(found.config.clone())?;
    hookswitch_cli::memory::tidy();
    running.announce();
    let call_api = &found.config.call_api;
    let is_open = call_api.allowed_origins.is_empty() && call_api.tokens.is_empty();
    if is_open && found.config.roles.has(Role::Control) {
        tracing::warn!(
            "any web page that reaches the Call API may use it: call_api.allowed_origins and call_api.tokens are empty"
        );
    }
    let code = loop {
        // Reading the configuration again ends and starts threads, which is not for the runtime to wait for.
        match runtime.block_on(watch(&mut running, &mut signals)) {
            Watched::Reload(reply) => {
                let done = running.reload_and_tell(args);
                // Whoever asked may have given up meanwhile.
                let _ = reply.map(|reply| reply.send(done));
            }
            Watched::Drain => break runtime.block_on(drain(&running, &mut signals)),
            Watched::Failed => break ExitCode::FAILURE,
        }
    };
    let clean = running.stop();
    tracing::info!("stopped");
    Ok(if clean { code } else { ExitCode::FAILURE })
}

/// What runs: our own switch, and the front of an OpenSIPS if there is one.
pub(crate) struct Running {
    pub(crate) switch: Switch,
    pub(crate) front: Option<OpenSipsFront>,
    /// Before the log that it reads.
    pub(crate) webhooks: Option<Webhooks>,
    pub(crate) webhook_handle: WebhookHandle,
    /// After those who tell it something: what they say last is kept as well.
    pub(crate) journal: JournalThread,
    /// What is in force.
    pub(crate) config: Config,
    requests: ReloadRequests,
}

impl Running {
    fn start(config: Config) -> anyhow::Result<Self> {
        let mut settings = compose::switch_config(&config)?;
        let folder = config.data_dir();
        let start = || format!("the switch does not start (data in {})", folder.display());
        let mut journal = JournalThread::start(&compose::journal_config(&config)?).with_context(start)?;
        settings.journal = Some(journal.handle());
        let webhook_handle = WebhookHandle::default();
        let start_webhooks = |config| Webhooks::start_behind(webhook_handle.clone(), config, &journal.handle());
        let webhooks = compose::webhooks_config(&config)?.map(start_webhooks).transpose()?;
        settings.webhooks = webhook_handle.clone();
        let (reload, requests) = reload_requests();
        if let Some(control) = &mut settings.control {
            control.webhooks = webhook_handle.clone();
            control.reload = Some(reload);
        }
        let mut front = compose::front_config(&config)?;
        if let Some(front) = &mut front {
            front.journal = Some(journal.handle());
            front.left = journal.take_left();
        }
        let front = front.map(OpenSipsFront::start).transpose();
        let front = front.context("the front of OpenSIPS does not start")?;
        if let (Some(front), Some(http)) = (&front, &mut settings.http) {
            http.also.push(front.status());
        }
        if let (Some(front), Some(control)) = (&front, &mut settings.control) {
            control.beyond = Some(front.desk());
        }
        let switch = Switch::start(settings).with_context(start)?;
        if let Some(front) = &front {
            front.keep_records(switch.call_records());
        }
        Ok(Self { switch, front, webhooks, webhook_handle, journal, config, requests })
    }

    fn announce(&self) {
        let addresses = self.switch.addresses();
        for socket in &addresses.sip {
            tracing::info!(transport = %socket.transport, address = %socket.address, "listening for SIP");
        }
        let front = self.front.as_ref().map(OpenSipsFront::addresses);
        for address in addresses.call_api.iter().chain(front.iter().flat_map(|front| &front.call_api)) {
            tracing::info!(%address, "listening for JSON-RPC over WebSocket");
        }
        if let Some(front) = front {
            tracing::info!(socket = %front.event_socket, "listening for events of OpenSIPS");
        }
        for address in &addresses.http {
            tracing::info!(%address, "listening for HTTP: directory, registrations, health and metrics");
        }
        for address in &addresses.channels {
            tracing::info!(%address, "listening for HTTP: media channels");
        }
        for address in &addresses.control {
            tracing::info!(%address, "listening for the native REST: /v1, its page is /v1/docs");
        }
    }

    /// How far the one is that is least far; a failure of either counts at once.
    fn phase(&self) -> Phase {
        let switch = self.switch.phase();
        match self.front.as_ref().map(OpenSipsFront::phase) {
            Some(front) if front == Phase::Failed || switch == Phase::Failed => Phase::Failed,
            Some(front) => switch.min(front),
            None => switch,
        }
    }

    fn drain(&self) {
        self.switch.drain();
        self.front.iter().for_each(OpenSipsFront::drain);
    }

    /// Reads certificates and keys again, and opens the audit log anew.
    pub(crate) fn refresh(&self) {
        self.switch.reload();
        self.front.iter().for_each(OpenSipsFront::reload);
    }

    /// Reads the configuration again, and says in the log what came of it.
    fn reload_and_tell(&mut self, args: &ServeArgs) -> Reloaded {
        let done = self.reload(args);
        match &done {
            Ok(report) => {
                let (applied, needs_restart) = (report.applied.join(", "), report.needs_restart.join(", "));
                tracing::info!(%applied, "the configuration was read again, certificates and keys too, and the audit log is opened anew");
                if !needs_restart.is_empty() {
                    tracing::warn!("needs a restart: {needs_restart}");
                }
            }
            Err(error) => {
                self.refresh();
                tracing::error!("the configuration stays as it was: {error:#}");
            }
        }
        done.map_err(|error| format!("{error:#}"))
    }

    /// Whether all went well until then.
    fn stop(self) -> bool {
        let front = self.front.is_none_or(OpenSipsFront::stop);
        let switch = self.switch.stop();
        // What is not posted by then is at the next start.
        drop(self.webhooks);
        self.journal.stop();
        switch && front
    }
}

/// A signal.
enum Signalled {
    End,
    Reload,
}

/// What is to be done.
enum Watched {
    /// Read the configuration again, and tell whoever asks over HTTP.
    Reload(Option<oneshot::Sender<Reloaded>>),
    Drain,
    Failed,
}

async fn watch(running: &mut Running, signals: &mut Signals) -> Watched {
    loop {
        tokio::select! {
            signal = signals.any() => return match signal {
                Signalled::End => Watched::Drain,
                Signalled::Reload => Watched::Reload(None),
            },
            reply = running.requests.next() => return Watched::Reload(Some(reply)),
            () = tokio::time::sleep(LOOK_EVERY) => {
                if running.phase() >= Phase::Stopped {
                    return Watched::Failed;
                }
            }
        }
    }
}

async fn drain(running: &Running, signals: &mut Signals) -> ExitCode {
    tracing::info!("draining: no new calls; a second signal stops at once");
    running.drain();
    let give_up = tokio::time::sleep(Duration::from_secs(running.config.calls.drain_time));
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
                if running.phase() >= Phase::Drained {
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

/// The signals that people send to programs.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until the program is to end.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn any(&mut self) -> Signalled {
        tokio::select! {
            _ = self.terminate.recv() => Signalled::End,
            _ = self.interrupt.recv() => Signalled::End,
            _ = self.hangup.recv() => Signalled::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};

    use futures_util::{SinkExt as _, StreamExt as _};
    use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};
    use tokio_tungstenite::connect_async;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn with_a_section_opensips_the_call_api_drives_that_beside_our_own_switch() {
        let udp = Some((Ipv4Addr::LOCALHOST, 0).into());
        let simulator = Simulator::start(SimulatorConfig { udp, ..SimulatorConfig::default() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "sip: {{ listen: [ \"udp:127.0.0.1:0\" ] }}\nmedia: {{ ports: 26000-26100, threads: 1 }}\n\
             call_api: {{ listen: \"127.0.0.1:0\" }}\nhttp: {{ listen: \"127.0.0.1:0\" }}\n\
             control: {{ listen: \"127.0.0.1:0\" }}\nopensips: {{ mi: \"udp:{}\" }}\ndata_dir: {}\n",
            simulator.addresses().udp.unwrap(),
            folder.path().display()
        );
        let running = Running::start(Config::parse("t", &text).unwrap()).unwrap();
        assert!(running.switch.addresses().call_api.is_empty());
        let http = running.switch.addresses().http[0];
        let health = (0..500).map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            get(http, "/health")
        });
        let health = health.into_iter().find(|page| page.starts_with("HTTP/1.1 200")).expect("never up");
        assert!(health.contains("\"opensips\":{") && health.contains("\"sip\":{"), "{health}");
        let call_api = running.front.as_ref().unwrap().addresses().call_api[0];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let (mut socket, _) = connect_async(format!("ws://{call_api}/call-api")).await.unwrap();
            let end = r#"{"jsonrpc":"2.0","id":"1","method":"CallEnd","params":{"callid":"nobody"}}"#;
            socket.send(Message::text(end)).await.unwrap();
            socket.next().await.unwrap().unwrap();
            tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap().into_text().unwrap()
        });
        // That is what OpenSIPS says.
        assert!(answer.contains("404 Requested Dialog not found"), "{answer}");
        running.refresh();
        running.drain();
        let start = std::time::Instant::now();
        while running.phase() < Phase::Drained && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(running.phase(), Phase::Drained);
        assert!(running.stop());
    }
}
