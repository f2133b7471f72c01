//! `hookswitch bench events`: the log of events with many readers, and how soon it is there again after a restart.
//!
//! ```text
//!   pushing thread ── Entry, at its time ──▶ journal thread ──▶ control listener ──▶ readers on WebSockets
//!                                               │ commits                              how long after it was pushed
//!                                               ▼                                      each event has come, in order
//!                                           events.redb ──▶ opened anew: after a stop, and after a crash
//! ```
//!
//! The switch is a whole one without calls, in this process; so are the readers, and both share the processors.

mod readers;
mod restart;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use hookswitch_call::{CallId, Cause, Event, LegId, Party, Told};
use hookswitch_dialect::journal::Entry;
use hookswitch_drive::{
    Clock, ControlConfig, JournalConfig, JournalHandle, JournalThread, MediaConfig, SipListen, Switch, SwitchConfig,
};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_sip::Transport;

use self::readers::{Readers, Seen};
use super::histogram::Histogram;

/// Events of one call: incoming, answered, bridged, ended.
const EVENTS_OF_A_CALL: u64 = 4;

/// Most events that are pushed in all: each has a moment of its own in memory.
const MAX_EVENTS: u64 = 100_000_000;

/// How long the readers may take after the last event.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often events that are due are pushed.
const TICK: Duration = Duration::from_millis(1);

const AFTER_HELP: &str = "\
With --apart each reader wants one domain of its own and each event is for one reader: what is delivered is what is
pushed. Without it every reader gets every event, and so many times fewer are pushed.

Exit codes:
  0  every reader got every event that it wants once and in order
  1  something was missing, twice or late for more than 30 s
  2  the command line cannot be understood
  3  sockets or the disk failed";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::bench) struct EventsArgs {
    /// Readers on WebSockets
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_200))]
    readers: u32,
    /// Events delivered per second, to all readers together
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    rate: u64,
    /// Each reader has a domain of its own
    #[arg(long)]
    apart: bool,
    /// For so long, in seconds
    #[arg(long, value_name = "S", default_value_t = 10)]
    duration: u64,
    /// Events in the log when it is opened anew; 0 leaves that out
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    restart: u64,
    /// An empty folder for the log [default: one in the folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Whether the command line can be carried out.
pub(in crate::bench) fn check(args: &EventsArgs) -> anyhow::Result<()> {
    ensure!(args.rate > 0 && args.duration > 0, "--rate and --duration must be above 0");
    ensure!(args.pushed() <= MAX_EVENTS, "more than {MAX_EVENTS} events");
    ensure!(args.pushed() > 0, "--rate is so low that nothing would be pushed");
    Ok(())
}

impl EventsArgs {
    /// Events that are pushed.
    fn pushed(&self) -> u64 {
        let delivered = self.rate.saturating_mul(self.duration);
        let pushed = if self.apart { delivered } else { delivered / u64::from(self.readers) };
        pushed / EVENTS_OF_A_CALL * EVENTS_OF_A_CALL
    }
}

/// Does it all, and returns what to print and whether everything went well.
pub(in crate::bench) fn run(args: &EventsArgs) -> anyhow::Result<(String, bool)> {
    let folder = Folder::new(args.folder.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let journal = JournalThread::start(&JournalConfig::new(Some(folder.path.clone())))?;
    let switch = Switch::start(switch_config(args, journal.handle())?)?;
    let address = *switch.addresses().control.first().context("the control listener is not there")?;
    let moments = Arc::new(Moments::new(args.pushed()));
    let readers = runtime.block_on(Readers::connect(address, args.readers, args.apart, &moments))?;
    let took = push(args, &journal.handle(), &moments);
    let wanted = if args.apart { args.pushed() } else { args.pushed() * u64::from(args.readers) };
    let seen = runtime.block_on(readers.finish(wanted, PATIENCE));
    drop(runtime);
    let stopped = switch.stop();
    let mut text = said(args, &seen, took, wanted);
    let mut is_clean = stopped && seen.events == wanted && seen.disordered == 0;
    if args.restart > 0 {
        let (lines, is_whole) = restart::measure(journal, &folder.path, args.restart)?;
        text.push_str(&lines);
        is_clean &= is_whole;
    }
    Ok((text, is_clean))
}

fn said(args: &EventsArgs, seen: &Seen, took: Duration, wanted: u64) -> String {
    let Seen { events, disordered, latency } = seen;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    let of = |part| milliseconds(Histogram::quantile(latency, part));
    let mut text = String::new();
    let pushed = args.pushed() as f64 / took.as_secs_f64();
    let delivered = wanted as f64 / took.as_secs_f64();
    // Writing to a string does not fail.
    let _ = writeln!(text, "readers       {}{}", args.readers, if args.apart { ", a domain each" } else { "" });
    let _ = writeln!(text, "pushed        {} events, {pushed:.0}/s", args.pushed());
    let _ = writeln!(text, "delivered     {events} of {wanted}, {delivered:.0}/s, {disordered} out of order");
    let _ = writeln!(
        text,
        "latency       p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        of(0.5),
        of(0.99),
        milliseconds(latency.longest())
    );
    text
}

fn switch_config(args: &EventsArgs, journal: JournalHandle) -> anyhow::Result<SwitchConfig> {
    let sip = SipListen { transport: Transport::Udp, address: (Ipv4Addr::LOCALHOST, 0).into() };
    let policy = AddressPolicy::Auto { fallback: Ipv4Addr::LOCALHOST.into() };
    let mut media = MediaConfig::new(EngineConfig::new(policy));
    media.threads = 1;
    let mut config = SwitchConfig::new(vec![sip], media, Default::default());
    let mut control = ControlConfig::new("127.0.0.1:0".parse()?);
    control.max_connections = args.readers as usize + 100;
    config.control = Some(control);
    config.journal = Some(journal);
    Ok(config)
}

/// When each event was pushed.
struct Moments {
    start: Instant,
    /// Microseconds since the start, by the number of the event.
    at: Vec<std::sync::atomic::AtomicU64>,
}

impl Moments {
    fn new(events: u64) -> Self {
        Self { start: Instant::now(), at: (0..events).map(|_| 0.into()).collect() }
    }

    fn note(&self, event: u64) {
        let now = self.start.elapsed().as_micros() as u64;
        self.at[event as usize].store(now, std::sync::atomic::Ordering::Relaxed);
    }

    /// How long ago an event was pushed; none if there is no such event.
    fn since(&self, call: u64, seq: u64) -> Option<Duration> {
        let at = self.at.get(usize::try_from(call * EVENTS_OF_A_CALL + seq).ok()?)?;
        let pushed = Duration::from_micros(at.load(std::sync::atomic::Ordering::Relaxed));
        Some(self.start.elapsed().saturating_sub(pushed))
    }
}

/// The domain of a reader.
fn domain(reader: u64) -> String {
    format!("{reader}.bench.test")
}

/// Pushes everything at its time. Returns how long that took.
fn push(args: &EventsArgs, journal: &JournalHandle, moments: &Moments) -> Duration {
    let (count, clock) = (args.pushed(), Clock::start());
    let per_second = count as f64 / args.duration as f64;
    let (start, mut next) = (Instant::now(), 0);
    while next < count {
        let due = ((start.elapsed().as_secs_f64() * per_second) as u64).min(count);
        while next < due {
            let (call, seq) = (next / EVENTS_OF_A_CALL, next % EVENTS_OF_A_CALL);
            moments.note(next);
            journal.push(entry(clock.now(), call, seq, call % u64::from(args.readers)));
            next += 1;
        }
        std::thread::sleep(TICK);
    }
    start.elapsed()
}

fn entry(at: Duration, call: u64, seq: u64, reader: u64) -> Entry {
    let (leg, party) = (LegId(1), Party::Callee);
    let event = match seq {
        0 => {
            let domain = domain(reader);
            let (from, to) = (format!("sip:alice@{domain}"), format!("sip:bob@{domain}"));
            Event::Incoming { from: from.as_str().into(), to: to.as_str().into() }
        }
        1 => Event::Answered { leg, party },
        2 => Event::Bridged,
        _ => Event::Ended { cause: Cause::hangup(), talked: Duration::from_secs(60) },
    };
    Entry::Call(Told { at, seq: seq as u32, call: CallId(call), owner: None, event }, None)
}

/// A folder for the log, which is removed at the end if nobody has named it.
struct Folder {
    path: PathBuf,
    ours: bool,
}

impl Folder {
    fn new(named: Option<PathBuf>) -> anyhow::Result<Self> {
        let ours = named.is_none();
        let path = named
            .unwrap_or_else(|| std::env::temp_dir().join(format!("hookswitch-bench-events-{}", std::process::id())));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        ensure!(std::fs::read_dir(&path)?.next().is_none(), "{} is not empty", path.display());
        Ok(Self { path, ours })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("hookswitch bench: {} stays: {error}", self.path.display());
        }
    }
}
