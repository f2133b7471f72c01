//! What a measurement found out.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::course::Faults;
use crate::bench::histogram::Histogram;

/// All figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// A datagram to another thread and back on this machine: one wake-up, which each message through the daemon takes
    /// as well.
    pub(super) wake_up: Spread,
    pub(super) rounds: Vec<RoundReport>,
    /// What the watched processes used, in percent of one core over all rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) core_percent: Option<f64>,
    /// Their memory (PSS) at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pss_kb: Option<u64>,
}

/// One round.
#[derive(Debug, Serialize)]
pub(super) struct RoundReport {
    pub(super) connections: usize,
    /// Commands that ran while the others were measured.
    pub(super) running: usize,
    pub(super) probes: usize,
    /// All of the round, echoes included.
    pub(super) commands: usize,
    /// Those that said `Error`.
    pub(super) failed: usize,
    pub(super) faults: Faults,
    /// Datagrams that this end could not send.
    pub(super) datagrams_lost: u64,
    /// From a command's WebSocket frame to the datagram for OpenSIPS.
    pub(super) to_mi: Spread,
    /// From an event's datagram to the WebSocket frame for the application.
    pub(super) to_application: Spread,
    /// Both together, command by command: what the daemon adds.
    pub(super) added: Spread,
    pub(super) echo: Echoes,
}

/// Durations in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Spread {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) max_us: f64,
}

impl Spread {
    pub(super) fn of(histogram: &Histogram) -> Self {
        Self {
            p50_us: micros(histogram.quantile(0.5)),
            p99_us: micros(histogram.quantile(0.99)),
            max_us: micros(histogram.longest()),
        }
    }
}

fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}

/// Echoes as fast as the daemon can.
#[derive(Debug, Serialize)]
pub(super) struct Echoes {
    pub(super) count: usize,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
}

impl Echoes {
    pub(super) fn new(count: usize, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        let per_second = if count == 0 { 0.0 } else { (count as f64 / seconds).round() };
        Self { count, seconds: (seconds * 1e3).round() / 1e3, per_second }
    }
}

impl Report {
    /// Whether every command said what it should.
    pub(super) fn is_clean(&self) -> bool {
        self.rounds.iter().all(|round| round.failed == 0 && round.faults == Faults::default())
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let Spread { p50_us, p99_us, max_us } = self.wake_up;
        let _ = writeln!(
            out,
            "this machine: a thread wakes up and answers: p50 {p50_us:.1} µs, p99 {p99_us:.1} µs, max {max_us:.1} µs"
        );
        for round in &self.rounds {
            round.write(&mut out);
        }
        if let (Some(core), Some(memory)) = (self.core_percent, self.pss_kb) {
            let _ = writeln!(out, "daemon       {core:.1} % of a core, PSS {memory} kB");
        }
        out
    }
}

impl RoundReport {
    /// Writing into a `String` cannot fail.
    fn write(&self, out: &mut String) {
        let Faults { lost, repeated, reordered, unknown } = self.faults;
        let _ = writeln!(
            out,
            "{} connections, {} commands running: {} commands, {} failed; {lost} lost, {repeated} repeated, {reordered} \
             reordered, {unknown} unknown",
            self.connections, self.running, self.commands, self.failed
        );
        for (what, Spread { p50_us, p99_us, max_us }) in
            [("to MI", &self.to_mi), ("from EVI", &self.to_application), ("added", &self.added)]
        {
            let _ = writeln!(out, "  {what:<10} p50 {p50_us:.1} µs, p99 {p99_us:.1} µs, max {max_us:.1} µs");
        }
        let Echoes { count, seconds, per_second } = self.echo;
        let _ = writeln!(out, "  echo       {count} in {seconds:.3} s: {per_second:.0} per second");
    }
}
