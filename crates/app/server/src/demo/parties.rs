//! The two phones, each on a thread of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hookswitch_cli::line::Line;
use hookswitch_phone::{AnswerPolicy, Event, Heard, Sound};
use hookswitch_sip::Transport;
use hookswitch_sip::auth::Credentials;

/// The quietest that counts as heard, in dBFS: the phones send at -12.
const AUDIBLE_DBFS: f32 = -30.0;
/// So many blocks of 200 ms in a row must sound right.
const BLOCKS: usize = 5;
/// How long a phone waits for something to happen before it looks whether it should stop.
const TURN: Duration = Duration::from_millis(50);

/// Who a phone is and what it must hear.
pub struct PartySpec {
    pub user: &'static str,
    pub password: String,
    pub server: SocketAddr,
    /// What it sends.
    pub hz: f32,
    /// What it must hear.
    pub hears: f32,
}

/// A phone that is registered and answers everything.
pub struct Party {
    name: &'static str,
    hears: f32,
    address: SocketAddr,
    events: Mutex<Receiver<Event>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Party {
    /// Opens its sockets on the loopback and registers.
    pub fn start(spec: PartySpec) -> anyhow::Result<Self> {
        let any_port = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
        let mut line = Line::open(Transport::Udp, any_port, spec.server, |mut config| {
            config.user = spec.user.into();
            config.domain = super::DOMAIN.into();
            config.credentials = Some(Credentials::new(spec.user, spec.password.as_str()));
            config.sound = Sound::tone(spec.hz);
            // Long enough to be seen ringing.
            config.answer = AnswerPolicy::Answer { after: Duration::from_millis(300) };
            config
        })?;
        let address = line.phone().config().local;
        line.ask(|phone, now| phone.register(now));
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, events) = channel();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name(spec.user.to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) && line.turn(TURN).is_ok() {
                while line.poll_seen().is_some() {}
                while let Some(event) = line.poll_event() {
                    // Nobody listens any more once the call has been shown.
                    let _ = tell.send(event);
                }
            }
        })?;
        let events = Mutex::new(events);
        Ok(Self { name: spec.user, hears: spec.hears, address, events, stop, thread: Some(thread) })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where its SIP socket is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it is registered.
    pub fn wait_registered(&self, patience: Duration) -> anyhow::Result<()> {
        let name = self.name;
        self.wait(Instant::now() + patience, |event| match event {
            Event::Registered { .. } => Some(Ok(())),
            Event::RegisterFailed { status, reason } => {
                Some(Err(anyhow::anyhow!("{name} could not register: {status} {reason}")))
            }
            _ => None,
        })
        .with_context(|| format!("{name} does not get registered"))?
    }

    /// Waits until it has heard the other's tone for a second; the last block of it.
    pub fn wait_heard(&self, until: Instant) -> anyhow::Result<Heard> {
        let mut in_a_row = 0;
        let hears = self.hears;
        self.wait(until, |event| {
            let Event::Heard(heard) = event else { return None };
            in_a_row = if heard.is_tone(hears, AUDIBLE_DBFS) { in_a_row + 1 } else { 0 };
            (in_a_row >= BLOCKS).then_some(heard)
        })
        .with_context(|| format!("{} does not hear {hears} Hz", self.name))
    }

    /// Waits until its call has ended.
    pub fn wait_hung_up(&self, patience: Duration) -> anyhow::Result<()> {
        let ended = |event| matches!(event, Event::Ended { .. }).then_some(());
        let done = self.wait(Instant::now() + patience, ended);
        done.with_context(|| format!("{} is not hung up", self.name))
    }

    fn wait<T>(&self, until: Instant, mut wanted: impl FnMut(Event) -> Option<T>) -> anyhow::Result<T> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    if let Some(found) = wanted(event) {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("not in time"),
                Err(RecvTimeoutError::Disconnected) => bail!("the phone has stopped"),
            }
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            eprintln!("hookswitch: the phone of {} has panicked", self.name);
        }
    }
}
