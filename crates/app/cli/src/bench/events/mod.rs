//! `hookswitch bench events`: the log of events with many readers, and how soon it is there again after a restart.
//!
//! ```text
//!   pushing thread ── Entry, at its time ──▶ journal thread ──▶ control listener ──▶ readers on WebSockets
//!                                               │ commits                              how long after it was pushed
//!                                               ▼                                      each event has come, in order
//!                                           events.redb ──▶ opened anew: after a stop, and after a crash
//! ```
//!
//! The switch is a whole one without calls, in this process; so are the readers, and both share the processors. What the
//! threads of the measurement take is told apart from what the switch takes.

mod kept;
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
use hookswitch_net::thread_cpu_time;
use hookswitch_sip::Transport;

use self::kept::Kept;
use self::readers::{Aim, Away, Readers, Seen};
use super::histogram::Histogram;
use super::process::Watch;

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

With --away all readers lose their connections when half of it has come, and come back later after the last event that
each has seen: what was pushed meanwhile waits for them on the disk. `back` is how long after it had come back a reader had
seen an event that was pushed since; what had waited is in none of the other times.

The times run from when an event was pushed: `kept` until it was on the disk and could be seen, `arrived` until it was in
the socket of a reader, as the system notes it, `read` until the one thread that plays all readers had it. The processor
time of the switch is that of the process without the threads of the measurement.

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
    /// All readers are away for so long, in seconds
    #[arg(long, value_name = "S")]
    away: Option<u64>,
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
    if let Some(away) = args.away {
        ensure!(
            away > 0 && away.saturating_mul(2) < args.duration,
            "--away must be above 0 and below half of --duration"
        );
    }
    Ok(())
}

impl EventsArgs {
    /// Events that are pushed.
    fn pushed(&self) -> u64 {
        let delivered = self.rate.saturating_mul(self.duration);
        let pushed = if self.apart { delivered } else { delivered / u64::from(self.readers) };
        pushed / EVENTS_OF_A_CALL * EVENTS_OF_A_CALL
    }

    /// Events that all readers together are to get.
    fn wanted(&self) -> u64 {
        if self.apart { self.pushed() } else { self.pushed() * u64::from(self.readers) }
    }

    fn away(&self) -> Option<Away> {
        self.away.map(|time| Away { after: self.wanted() / 2, time: Duration::from_secs(time) })
    }
}

/// Does it all, and returns what to print and whether everything went well.
pub(in crate::bench) fn run(args: &EventsArgs) -> anyhow::Result<(String, bool)> {
    let folder = Folder::new(args.folder.clone())?;
    let journal = JournalThread::start(&JournalConfig::new(Some(folder.path.clone())))?;
    let switch = Switch::start(switch_config(args, journal.handle())?)?;
    let address = *switch.addresses().control.first().context("the control listener is not there")?;
    let clock = Clock::start();
    let moments = Arc::new(Moments::new(clock, args.pushed()));
    let aim = Aim { address, readers: args.readers, apart: args.apart, away: args.away() };
    let readers = Readers::connect(aim, &moments)?;
    let kept = Kept::follow(&journal.handle(), clock, args.pushed())?;
    let watch = Watch::new(&[std::process::id()])?;
    let (process, thread) = (watch.cpu(), thread_cpu_time());
    let took = push(args, &journal.handle(), &moments);
    let pushing = thread_cpu_time();
    let wanted = args.wanted();
    let seen = readers.finish(wanted, PATIENCE)?;
    let all = watch.cpu().since(process).total();
    let (kept, looking) = kept.finish()?;
    let measuring = (pushing.0 + pushing.1).saturating_sub(thread.0 + thread.1) + seen.cpu + looking;
    let stopped = switch.stop();
    let are_back = args.away.is_none() || seen.back.0 == u64::from(args.readers);
    let is_whole = seen.events == wanted && seen.disordered == 0 && are_back;
    let cost = (all.saturating_sub(measuring), seen.cpu);
    let pages = journal.handle().pages_read();
    let mut text = said(args, &Course { seen, kept, took, wanted, cost, pages });
    let mut is_clean = stopped && is_whole;
    if args.restart > 0 {
        let (lines, is_whole) = restart::measure(journal, &folder.path, args.restart)?;
        text.push_str(&lines);
        is_clean &= is_whole;
    }
    Ok((text, is_clean))
}

/// How it went.
struct Course {
    seen: Seen,
    kept: Histogram,
    took: Duration,
    wanted: u64,
    /// Processor time of the switch, and of the readers.
    cost: (Duration, Duration),
    /// Pages of old events that were read from the disk.
    pages: u64,
}

fn said(args: &EventsArgs, Course { seen, kept, took, wanted, cost, pages }: &Course) -> String {
    let Seen { events, disordered, arrived, read, waited, back, .. } = seen;
    let mut text = String::new();
    let pushed = args.pushed() as f64 / took.as_secs_f64();
    let delivered = *wanted as f64 / took.as_secs_f64();
    // Writing to a string does not fail.
    let _ = writeln!(text, "readers       {}{}", args.readers, if args.apart { ", a domain each" } else { "" });
    let _ = writeln!(text, "pushed        {} events, {pushed:.0}/s", args.pushed());
    let _ = writeln!(text, "delivered     {events} of {wanted}, {delivered:.0}/s, {disordered} out of order");
    if let Some(away) = args.away {
        let (came, after) = (back.0, args.away().map_or(0, |away| away.after));
        let _ = writeln!(
            text,
            "away          after {after}, for {away} s; {waited} had waited, {pages} pages read from the disk"
        );
        let _ = writeln!(text, "came back     {came} of {}", args.readers);
    }
    let back = args.away.map(|_| ("back", &back.1));
    for (name, latency) in [("kept", kept), ("arrived", arrived), ("read", read)].into_iter().chain(back) {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
        let [half, most] = [0.5, 0.99].map(|part| milliseconds(latency.quantile(part)));
        let longest = milliseconds(latency.longest());
        let _ = writeln!(text, "{name:<14}p50 {half:.2} ms, p99 {most:.2} ms, longest {longest:.2} ms");
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (*events).max(1) as f64;
    let (switch, readers) = (each(cost.0), each(cost.1));
    let _ = writeln!(text, "CPU           {switch:.1} us of the switch for each delivery, {readers:.1} of its reader");
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
    clock: Clock,
    start: Duration,
    /// Microseconds since the start, by the number of the event.
    at: Vec<std::sync::atomic::AtomicU64>,
}

impl Moments {
    fn new(clock: Clock, events: u64) -> Self {
        Self { clock, start: clock.now(), at: (0..events).map(|_| 0.into()).collect() }
    }

    /// The time since the start.
    fn now(&self) -> Duration {
        self.clock.now().saturating_sub(self.start)
    }

    /// When that was since the start, which the system noted by the calendar.
    fn of_calendar(&self, noted: Duration) -> Duration {
        self.now().saturating_sub(self.clock.since(noted))
    }

    fn note(&self, event: u64) {
        self.at[event as usize].store(self.now().as_micros() as u64, std::sync::atomic::Ordering::Relaxed);
    }

    /// When an event was pushed; none if there is no such event.
    fn of(&self, call: u64, seq: u64) -> Option<Duration> {
        let at = self.at.get(usize::try_from(call.checked_mul(EVENTS_OF_A_CALL)? + seq).ok()?)?;
        Some(Duration::from_micros(at.load(std::sync::atomic::Ordering::Relaxed)))
    }
}

/// The domain of a reader.
fn domain(reader: u64) -> String {
    format!("{reader}.bench.test")
}

/// Pushes everything at its time. Returns how long that took.
fn push(args: &EventsArgs, journal: &JournalHandle, moments: &Moments) -> Duration {
    let (count, clock) = (args.pushed(), moments.clock);
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
