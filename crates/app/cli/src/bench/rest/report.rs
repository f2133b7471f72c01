//! What a run of `hookswitch bench rest` found out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::super::histogram::Histogram;
use super::super::process::Cpu;
use super::super::summary::{Spread, rounded};
use super::course::{STEPS, Tally};

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Requests that were answered.
    requests: u64,
    /// From the first call to the last answer.
    seconds: f64,
    /// Answers a second from when the first call was over to when the last one began; of all the time where that is none.
    per_second: f64,
    /// Calls that went through all of their requests.
    completed: u64,
    failed: BTreeMap<String, u64>,
    /// Most calls open at a time.
    peak: usize,
    /// From writing a request to having its answer in the socket, all kinds together.
    all: Spread,
    /// Until this program had read it as well.
    read: Spread,
    /// By kind.
    kinds: BTreeMap<&'static str, Spread>,
    /// How long requests waited before they could be written: for a free connection, or because this program was late.
    waited: Spread,
    /// Phones that nobody has hung up.
    phones_left: usize,
    /// Messages that phones were sent again, and had to send again.
    repeats: (u64, u64),
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<Cost>,
}

/// Processor time per request, in microseconds.
#[derive(Debug, Serialize)]
struct Cost {
    all: f64,
    user: f64,
    core_percent: f64,
}

impl Report {
    pub(super) fn new(
        tally: &Tally,
        took: Duration,
        used: Option<Cpu>,
        (phones_left, repeats): (usize, (u64, u64)),
    ) -> Self {
        let seconds = took.as_secs_f64().max(f64::MIN_POSITIVE);
        let mut all = Histogram::new();
        tally.latency.iter().for_each(|one| all.join(one));
        let kinds = STEPS.iter().zip(&tally.latency).map(|(step, one)| (step.name(), Spread::of(one))).collect();
        let each = |time: Duration| rounded(time.as_secs_f64() * 1e6 / tally.answered.max(1) as f64);
        let cpu_us = used.map(|used| Cost {
            all: each(used.total()),
            user: each(used.user),
            core_percent: rounded(used.total().as_secs_f64() / seconds * 100.0),
        });
        Self {
            requests: tally.answered,
            seconds: rounded(seconds),
            per_second: rounded(tally.steady_rate().unwrap_or(tally.answered as f64 / seconds)),
            completed: tally.completed,
            failed: tally.failed.clone(),
            peak: tally.peak,
            all: Spread::of(&all),
            read: Spread::of(&tally.read),
            kinds,
            waited: Spread::of(&tally.waited),
            phones_left,
            repeats,
            cpu_us,
        }
    }

    /// Whether so many calls went as they should.
    pub(super) fn is_clean(&self, calls: u64) -> bool {
        self.completed == calls && self.failed.is_empty() && self.phones_left == 0
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let (requests, seconds, rate) = (self.requests, self.seconds, self.per_second);
        // Writing to a string does not fail.
        let _ = writeln!(text, "requests      {requests} in {seconds} s, {rate:.0}/s while calls began and ended");
        let _ = writeln!(text, "calls         {} completed, at most {} open", self.completed, self.peak);
        for (why, count) in &self.failed {
            let _ = writeln!(text, "failed        {count}: {why}");
        }
        if self.phones_left > 0 {
            let _ = writeln!(text, "phones        {} were not hung up", self.phones_left);
        }
        let (seen, sent) = self.repeats;
        let _ = writeln!(text, "repeats       {seen} to phones, {sent} by phones");
        let kinds = STEPS.iter().filter_map(|step| Some((step.name(), self.kinds.get(step.name())?)));
        for (name, Spread { p50_ms, p99_ms, max_ms }) in
            [("all", &self.all)].into_iter().chain(kinds).chain([("read", &self.read), ("waited", &self.waited)])
        {
            let _ = writeln!(text, "{name:<14}p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, longest {max_ms:.2} ms");
        }
        if let Some(Cost { all, user, core_percent }) = &self.cpu_us {
            let _ = writeln!(text, "CPU           {all} us per request ({user} user), {core_percent} % of a core");
        }
        text
    }
}
