//! `hookswitch bench call-api`: what a Call API daemon adds between its applications and OpenSIPS.
//!
//! ```text
//!   applications ── WebSocket ─▶ daemon ── MI ─▶ simulated OpenSIPS
//!        ▲                         │ ▲                │
//!        └──────── WebSocket ──────┘ └────── EVI ─────┘      one thread and the kernel's stamps at both ends
//! ```

mod course;
mod floor;
mod opensips;
mod report;
mod round;
mod socket;

use std::net::SocketAddr;

use clap::Args;

pub(super) use socket::Socket;

use super::process::{Cpu, Watch};
use report::Report;
use round::Round;

const ABOUT: &str = "\
The daemon has to send its requests to --mi over UDP and take its events over UDP; it is waited for. Each round keeps
--commands calls ringing, starts --probes calls beside them that go all the way, then does --echoes echoes as fast as
possible, and at last lets the ringing ones be answered all at once. There is a round on one connection and one on
--connections of them.

Exit codes:
  0  every command said what it should, once and in order
  1  some did not
  2  the command line cannot be understood
  3  there is no daemon, or it does not find its OpenSIPS here";

/// What `hookswitch bench call-api` can be told.
#[derive(Debug, Clone, Args)]
#[command(after_help = ABOUT)]
pub(super) struct CallApiArgs {
    /// The daemon's WebSocket
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5059")]
    server: SocketAddr,
    /// Its path
    #[arg(long, value_name = "PATH", default_value = "/call-api")]
    path: String,
    /// Where the simulated OpenSIPS takes the daemon's requests, over UDP
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    mi: SocketAddr,
    /// Commands that run while others are measured
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    commands: usize,
    /// Commands that are measured
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    probes: usize,
    /// Commands measured per second
    #[arg(long, value_name = "N", default_value_t = 200.0)]
    rate: f64,
    /// Echoes
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    echoes: usize,
    /// Connections of the second round; 1 leaves that round out
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    connections: usize,
    /// Measure this process and those that it has started; may be given several times
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Measures; the text to print, and whether all was well.
pub(super) fn run(args: &CallApiArgs) -> anyhow::Result<(String, bool)> {
    let watch = (!args.pid.is_empty()).then(|| Watch::new(&args.pid)).transpose()?;
    let used = |watch: &Watch| watch.cpu();
    let before = watch.as_ref().map(used);
    let clock = hookswitch_drive::Clock::start();
    let begun = clock.now();
    let mut round = Round::open(args)?;
    let mut rounds = vec![round.run(args, 1)?];
    if args.connections > 1 {
        rounds.push(round.run(args, args.connections)?);
    }
    let seconds = (clock.now() - begun).as_secs_f64();
    let core = |(after, before): (Cpu, Cpu)| (after.since(before).total().as_secs_f64() / seconds * 1e3).round() / 10.0;
    let report = Report {
        wake_up: floor::measure(args.rate)?,
        rounds,
        core_percent: watch.as_ref().map(used).zip(before).map(core),
        pss_kb: watch.as_ref().map(Watch::pss_kb),
    };
    let text = if args.json { format!("{}\n", serde_json::json!(report)) } else { report.text() };
    Ok((text, report.is_clean()))
}

/// What makes no sense, said before anything is opened.
pub(super) fn check(args: &CallApiArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.rate > 0.0, "--rate must be above 0");
    anyhow::ensure!(args.connections > 0, "--connections must be above 0");
    Ok(())
}
