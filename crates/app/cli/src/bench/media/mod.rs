//! `hookswitch bench media`: what a media thread costs, over real sockets.
//!
//! ```text
//!   this thread: both phones of every call          media thread, measured by itself
//!   ───────────────────────────────────────         ───────────────────────────────────
//!   a packet is due every 20 ms and party ──RTP──▶  relay, or decode, resample, encode
//!   received: which, and how long ago      ◀─RTP──  to the other party
//! ```
//!
//! There is no signalling: calls are opened as the switchboard would open them. The media thread is bound to the last
//! processor that this process may use, this one to the first.

mod calls;
mod traffic;

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use hookswitch_drive::{MediaIo, MediaPlane};
use hookswitch_net::{PortRange, allowed_cpus, pin_current_thread, raise_descriptor_limit};
use serde::Serialize;

use super::histogram::Histogram;
use calls::Table;
use traffic::Traffic;

/// Most calls at a time: each has four ports here and two sockets of ours.
const MAX_CALLS: u16 = 4_000;

/// Time before and after what is measured, in which packets are already, or still, on their way.
const LEAD: Duration = Duration::from_millis(500);

const EXIT_CODES: &str = "\
Exit codes:
  0  no packet was lost
  1  some packets were lost
  2  the command line cannot be understood
  3  sockets failed";

/// What a media thread costs.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct MediaArgs {
    /// Calls at a time, each of two parties that both talk
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_CALLS)))]
    calls: u16,
    /// Measure each kind for so long, in seconds
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// What to measure, one after the other [default: all]
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<KindOfMedia>,
    /// How packets come in and go out: by io_uring where that is to be had, or by epoll
    #[arg(long, value_enum, default_value = "auto")]
    io: Io,
    /// Ports for RTP and RTCP, a call takes four
    #[arg(long, value_name = "FIRST-LAST", default_value = "20000-39999")]
    ports: PortRange,
    /// Print one line of JSON for each kind
    #[arg(long)]
    json: bool,
}

/// What is done to the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindOfMedia {
    /// PCMU to PCMU, as it comes
    Relay,
    /// PCMU to PCMA and back
    Pcma,
    /// PCMU to G.722 and back
    G722,
    /// PCMU to Opus and back
    Opus,
}

impl KindOfMedia {
    /// The labels of both parties' codecs.
    fn codecs(self) -> [&'static str; 2] {
        match self {
            Self::Relay => ["PCMU", "PCMU"],
            Self::Pcma => ["PCMU", "PCMA"],
            Self::G722 => ["PCMU", "G722"],
            Self::Opus => ["PCMU", "opus"],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Io {
    Auto,
    Epoll,
}

/// What one kind has cost.
#[derive(Debug, Serialize)]
struct Figures {
    kind: String,
    calls: u16,
    sent: u64,
    lost: u64,
    /// From sending to receiving, in milliseconds.
    latency_p50_ms: f64,
    latency_p99_ms: f64,
    latency_max_ms: f64,
    /// How late this program sent at most, in milliseconds: what it added to the latency itself is not in it.
    sent_late_ms: f64,
    /// Of one processor, the media thread alone.
    core_percent: f64,
    core_percent_per_call: f64,
    user_percent_per_call: f64,
    us_per_packet: f64,
}

/// Measures, and says what is to be printed and whether nothing was lost.
///
/// # Errors
/// Sockets, threads or ports are not to be had, or a call could not be set up.
pub(super) fn run(args: &MediaArgs) -> anyhow::Result<(String, bool)> {
    let all = KindOfMedia::value_variants();
    let kinds = if args.kinds.is_empty() { all } else { &args.kinds };
    let wanted = usize::from(args.calls) * 2;
    ensure!(
        args.ports.pairs() >= wanted,
        "{} calls need {} ports, and {} has fewer",
        args.calls,
        2 * wanted,
        args.ports
    );
    raise_descriptor_limit()?;
    if let [first, _, ..] = allowed_cpus()[..] {
        pin_current_thread(first)?;
    }
    let figures = kinds.iter().map(|kind| measure(args, *kind)).collect::<anyhow::Result<Vec<_>>>()?;
    let is_clean = figures.iter().all(|figures| figures.lost == 0);
    let text = if args.json {
        let lines = figures.iter().map(|figures| serde_json::to_string(figures).map(|line| line + "\n"));
        lines.collect::<Result<String, _>>()?
    } else {
        table(&figures)
    };
    Ok((text, is_clean))
}

fn measure(args: &MediaArgs, kind: KindOfMedia) -> anyhow::Result<Figures> {
    let io = match args.io {
        Io::Auto => MediaIo::Auto,
        Io::Epoll => MediaIo::Epoll,
    };
    let table = Table::set_up(kind.codecs(), args.calls, args.ports, io)?;
    let mut traffic = Traffic::new(&table)?;
    traffic.run(LEAD, None)?;
    let before = cpu(&table.plane);
    let mut latency = Histogram::new();
    let (sent, received) = traffic.run(Duration::from_secs(args.seconds), Some(&mut latency))?;
    let after = cpu(&table.plane);
    let straggling = traffic.drain(LEAD, &mut latency)?;
    let late = traffic.late();
    table.plane.stop();

    let seconds = args.seconds as f64;
    let (user, system) = ((after.0 - before.0).as_secs_f64(), (after.1 - before.1).as_secs_f64());
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    let calls = f64::from(args.calls);
    Ok(Figures {
        kind: kind.codecs().join("-"),
        calls: args.calls,
        sent,
        lost: sent.saturating_sub(received + straggling),
        latency_p50_ms: ms(latency.quantile(0.5)),
        latency_p99_ms: ms(latency.quantile(0.99)),
        latency_max_ms: ms(latency.longest()),
        sent_late_ms: ms(late),
        core_percent: (user + system) / seconds * 100.0,
        core_percent_per_call: (user + system) / seconds * 100.0 / calls,
        user_percent_per_call: user / seconds * 100.0 / calls,
        us_per_packet: (user + system) * 1e6 / sent.max(1) as f64,
    })
}

/// Processor time of all media threads, in user and in system mode.
fn cpu(plane: &MediaPlane) -> (Duration, Duration) {
    let totals = plane.totals();
    (totals.iter().map(|one| one.user).sum(), totals.iter().map(|one| one.system).sum())
}

fn table(figures: &[Figures]) -> String {
    let mut text = String::from(
        "                         packets            latency, ms            media thread, % of a core   CPU, µs\n\
         codecs       calls      sent    lost    p50     p99     max    all    a call  of it user   a packet\n",
    );
    for one in figures {
        // Writing into memory cannot fail.
        let _ = writeln!(
            text,
            "{:<12} {:>5} {:>9} {:>7} {:>6.2} {:>7.2} {:>7.2} {:>6.1} {:>9.4} {:>11.4} {:>10.2}",
            one.kind,
            one.calls,
            one.sent,
            one.lost,
            one.latency_p50_ms,
            one.latency_p99_ms,
            one.latency_max_ms,
            one.core_percent,
            one.core_percent_per_call,
            one.user_percent_per_call,
            one.us_per_packet
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_relayed_and_what_is_transcoded_arrives() {
        let args = MediaArgs {
            calls: 3,
            seconds: 1,
            kinds: vec![KindOfMedia::Relay, KindOfMedia::Opus],
            io: Io::Epoll,
            ports: "21000-21999".parse().unwrap(),
            json: true,
        };
        let (text, _) = run(&args).unwrap();
        for line in text.lines() {
            let figures: serde_json::Value = serde_json::from_str(line).unwrap();
            let (sent, lost) = (figures["sent"].as_u64().unwrap(), figures["lost"].as_u64().unwrap());
            // How many, and how many in time, is a question of who else has the processor.
            assert!(sent > 0 && lost < sent, "{line}");
        }
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn a_range_that_is_too_small_is_refused() {
        let ports = "21000-21009".parse().unwrap();
        let args = MediaArgs { calls: 3, seconds: 1, kinds: Vec::new(), io: Io::Auto, ports, json: false };
        assert!(run(&args).unwrap_err().to_string().contains("3 calls need 12 ports"));
    }
}
