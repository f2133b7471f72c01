//! `hookswitch bench media`: what a media thread costs, over real sockets.
//!
//! ```text
//!   this thread: all phones                        media thread, measured by itself
//!   ───────────────────────────────────────         ───────────────────────────────────
//!   a packet is due every 20 ms and phone  ──RTP──▶  relay, transcode, mix, record
//!   received: which, and how long ago      ◀─RTP──  to other phones, or what is played
//! ```
//!
//! There is no signalling: calls are opened as the switchboard would open them. The media thread is bound to the last
//! processor that this process may use, this one to the first; those that read and write files run where there is room.

mod calls;
mod churn;
mod figures;
mod folder;
mod kinds;
mod traffic;

use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use hookswitch_drive::{Lateness, MediaIo, MediaPlane};
use hookswitch_net::{PortRange, allowed_cpus, pin_current_thread, raise_descriptor_limit, thread_cpu_time};

use super::histogram::Histogram;
use super::process::Watch;
use calls::Table;
use churn::Churn;
use figures::{Figures, table};
use kinds::{Company, KindOfMedia};
use traffic::Traffic;

/// Most calls at a time: each has four ports here and two sockets of ours.
const MAX_CALLS: u16 = 4_000;

/// Time before what is measured, in which packets are already on their way.
const LEAD: Duration = Duration::from_millis(500);

/// How long the last packets of pairs may take: a thread that stood still just then is late, and has lost nothing.
const PATIENCE: Duration = Duration::from_secs(5);

const EXIT_CODES: &str = "\
Exit codes:
  0  no packet was lost
  1  some packets were lost, or parts of recordings
  2  the command line cannot be understood
  3  sockets or files failed";

/// What a media thread costs.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct MediaArgs {
    /// Calls of two phones at a time, all of which talk; of rooms and sounds twice as many calls of one phone
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_CALLS)))]
    calls: u16,
    /// Members of a large room
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    crowd: u16,
    /// Measure each kind for so long, in seconds
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// What to measure, one after the other [default: all]
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<KindOfMedia>,
    /// Beside those, so many calls a second come, are played to and recorded, and go within 2 s
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=2_000))]
    churn: u16,
    /// How packets come in and go out: by io_uring where that is to be had, or by epoll
    #[arg(long, value_enum, default_value = "auto")]
    io: Io,
    /// Ports for RTP and RTCP, a call takes four; below those that the system gives to the phones
    #[arg(long, value_name = "FIRST-LAST", default_value = "10000-31999")]
    ports: PortRange,
    /// Print one line of JSON for each kind
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Io {
    Auto,
    Epoll,
}

/// Measures, and says what is to be printed and whether nothing was lost.
///
/// # Errors
/// Sockets, threads or ports are not to be had, or a call could not be set up.
pub(super) fn run(args: &MediaArgs) -> anyhow::Result<(String, bool)> {
    let all = KindOfMedia::value_variants();
    let kinds = if args.kinds.is_empty() { all } else { &args.kinds };
    let wanted = usize::from(args.calls) * 2 + usize::from(args.churn) * churn::LONGEST.as_secs() as usize;
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
    let is_clean = figures.iter().all(|figures| figures.lost == 0 && figures.recording_lost_ms == 0);
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
    let company = kind.company(args.crowd);
    let table = Table::set_up(company, args.calls, args.ports, io)?;
    let mut traffic = Traffic::new(&table)?;
    let mut churn = (args.churn > 0).then(|| Churn::new(&table, args.churn)).transpose()?;
    let mut others = |now| churn.iter_mut().for_each(|churn| churn.turn(now));
    traffic.run(LEAD, None, &mut others)?;
    let time = Duration::from_secs(args.seconds);
    let before = Spent::now(&table.plane)?;
    let mut latency = Histogram::new();
    let passed = traffic.run(time, Some(&mut latency), &mut others)?;
    let spent = Spent::now(&table.plane)?.since(&before);
    let (time_left, most) = match company {
        Company::Pairs { .. } => (PATIENCE, passed.sent.saturating_sub(passed.received)),
        Company::Rooms(_) | Company::Listeners => (LEAD, u64::MAX),
    };
    let received = passed.received + traffic.drain(time_left, most, &mut latency)?;
    let churned = churn.map(Churn::finish).transpose()?.unwrap_or(0);
    let recording_lost = table.finish_recordings()?;
    let (late, missing) = (traffic.late(), traffic.missing(time));
    let channels = table.phones.len();
    table.plane.stop();

    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    let percent = |time: Duration| time.as_secs_f64() / args.seconds as f64 * 100.0;
    let each = |time: Duration| percent(time) / channels as f64;
    let heard = |part: f64| (latency.longest() > Duration::ZERO).then(|| ms(latency.quantile(part)));
    let ticked = |time: Duration| (spent.lateness.ticks() > 0).then(|| ms(time));
    let all = spent.user + spent.system;
    Ok(Figures {
        kind: kind.name(args.crowd),
        channels,
        sent: passed.sent,
        received,
        lost: match company {
            Company::Pairs { .. } => passed.sent.saturating_sub(received),
            Company::Rooms(_) | Company::Listeners => missing + spent.lost,
        },
        latency_p50_ms: heard(0.5),
        latency_p99_ms: heard(0.99),
        latency_max_ms: heard(1.0),
        sent_late_ms: ms(late),
        tick_late_p99_ms: ticked(spent.lateness.kept_by(0.99)),
        tick_late_max_ms: ticked(spent.lateness.longest()),
        core_percent: percent(all),
        percent_per_channel: each(all),
        user_percent_per_channel: each(spent.user),
        system_percent_per_channel: each(spent.system),
        files_percent_per_channel: each(spent.others),
        us_per_packet: all.as_secs_f64() * 1e6 / passed.sent.max(received).max(1) as f64,
        recording_lost_ms: recording_lost.as_millis() as u64,
        churned,
    })
}

/// What has been used and counted up to a moment.
struct Spent {
    /// By the media thread.
    user: Duration,
    system: Duration,
    /// By all threads but that one and this one.
    others: Duration,
    /// Packets that the media thread has not had.
    lost: u64,
    lateness: Lateness,
}

impl Spent {
    fn now(plane: &MediaPlane) -> anyhow::Result<Self> {
        let process = Watch::new(&[std::process::id()])?.cpu().total();
        let (own_user, own_system) = thread_cpu_time();
        let totals = plane.totals();
        let (user, system) = (totals.iter().map(|one| one.user).sum(), totals.iter().map(|one| one.system).sum());
        Ok(Self {
            user,
            system,
            others: process.saturating_sub(user + system + own_user + own_system),
            lost: totals.iter().map(|one| one.counted.counters.lost_packets).sum(),
            lateness: totals.iter().fold(Lateness::default(), |all, one| all.with(&one.lateness)),
        })
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            others: self.others.saturating_sub(earlier.others),
            lost: self.lost.saturating_sub(earlier.lost),
            lateness: self.lateness.since(&earlier.lateness),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(kinds: &[KindOfMedia], ports: &str) -> MediaArgs {
        let (ports, kinds) = (ports.parse().unwrap(), kinds.to_vec());
        MediaArgs { calls: 3, crowd: 4, seconds: 1, kinds, churn: 0, io: Io::Epoll, ports, json: true }
    }

    /// How many packets, and how many in time, is a question of who else has the processor.
    fn figures(args: &MediaArgs) -> Vec<serde_json::Value> {
        let (text, _) = run(args).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn what_is_relayed_transcoded_and_recorded_arrives() {
        let kinds = [KindOfMedia::Relay, KindOfMedia::Opus, KindOfMedia::Record];
        let all = figures(&args(&kinds, "21000-21999"));
        for one in &all {
            let (sent, lost) = (one["sent"].as_u64().unwrap(), one["lost"].as_u64().unwrap());
            assert!(sent > 0 && lost < sent && one["channels"] == 6, "{one}");
            assert!(one["latency_p50_ms"].as_f64().unwrap() > 0.0, "{one}");
        }
        let names: Vec<_> = all.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(names, ["PCMU-PCMU", "PCMU-opus", "record"]);
    }

    #[test]
    fn rooms_are_heard_and_sounds_are_played_by_ticks() {
        let all = figures(&args(&[KindOfMedia::Mix, KindOfMedia::Crowd, KindOfMedia::Play], "22000-22999"));
        let names: Vec<_> = all.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(names, ["room of 3", "room of 4", "play"]);
        for one in &all {
            assert!(one["received"].as_u64() > Some(0) && one["tick_late_max_ms"].is_number(), "{one}");
        }
        assert_eq!(all[2]["sent"], 0, "who is played to says nothing");
        assert!(all[2]["latency_p50_ms"].is_null());
    }

    #[test]
    fn calls_that_come_and_go_beside_a_room_leave_nothing() {
        let args = MediaArgs { churn: 40, ..args(&[KindOfMedia::Mix], "23000-23999") };
        let all = figures(&args);
        let [one] = all.as_slice() else { panic!("one kind") };
        assert!(one["churned"].as_u64() >= Some(40) && one["received"].as_u64() > Some(0), "{one}");
    }

    #[test]
    fn a_range_that_is_too_small_is_refused() {
        let args = args(&[], "21000-21009");
        assert!(run(&args).unwrap_err().to_string().contains("3 calls need 12 ports"));
    }
}
