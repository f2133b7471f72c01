//! What a run found out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::super::process::{Holdings, Watch};
use super::super::summary::{Spread, millis, rounded, spread};
use super::course::{Course, PIECE, Pings};

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) registrations: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refreshes: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stay: Option<Stay>,
    pub(super) generator: Generator,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<Memory>,
}

/// The registrations of a run, or its refreshes.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) started: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) failed_by_reason: BTreeMap<String, u64>,
    pub(super) challenges: u64,
    pub(super) sent_away: u64,
    /// Done per second, from the first REGISTER to the last answer.
    pub(super) rate: f64,
    pub(super) seconds: f64,
    pub(super) took: Spread,
    pub(super) repeats_sent: u64,
    pub(super) repeats_seen: u64,
    pub(super) strays: u64,
    pub(super) busy: u64,
    pub(super) late_ms: f64,
    /// Processor time of the server for each that was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu: Option<PartCpu>,
}

#[derive(Debug, Serialize)]
pub(super) struct PartCpu {
    pub(super) us: f64,
    pub(super) user_us: f64,
    pub(super) system_us: f64,
    /// Part of one core, in per cent.
    pub(super) core_percent: f64,
}

/// What the registered phones were asked while they stayed.
#[derive(Debug, Serialize)]
pub(super) struct Stay {
    pub(super) pings: u64,
    /// On average in a tenth of a second, and at most.
    pub(super) pings_per_piece: f64,
    pub(super) pings_most: u64,
    pub(super) calls: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Generator {
    pub(super) cpu_us_per_registration: f64,
    /// Datagrams that our own socket did not take.
    pub(super) dropped: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) before: Holdings,
    pub(super) after: Holdings,
    /// Growth of memory (PSS) for each phone.
    pub(super) bytes_per_phone: f64,
}

impl Part {
    pub(super) fn of(course: &Course, measured: bool) -> Part {
        let seconds = course.span.1.saturating_sub(course.span.0).as_secs_f64();
        let used = course.cpu.1.since(course.cpu.0);
        let each = |time: Duration| rounded(time.as_secs_f64() * 1e6 / course.done.max(1) as f64);
        Part {
            started: course.started,
            done: course.done,
            failed: course.failures(),
            failed_by_reason: course.failed.clone(),
            challenges: course.challenges,
            sent_away: course.sent_away,
            rate: rounded(course.done as f64 / seconds),
            seconds: rounded(seconds),
            took: Spread::of(&course.took),
            repeats_sent: course.repeats,
            repeats_seen: course.repeats_seen,
            strays: course.strays,
            busy: course.busy,
            late_ms: millis(course.late),
            cpu: measured.then(|| PartCpu {
                us: each(used.total()),
                user_us: each(used.user),
                system_us: each(used.system),
                core_percent: rounded(used.total().as_secs_f64() / seconds * 100.0),
            }),
        }
    }

    fn is_clean(&self) -> bool {
        self.failed == 0 && self.done == self.started
    }

    fn write(&self, out: &mut String, what: &str) {
        let Part { started, done, failed, rate, seconds, challenges, sent_away, .. } = self;
        let _ = writeln!(
            out,
            "{what:<10} {started} begun, {done} done at {rate:.0}/s in {seconds:.1} s, {failed} failed; \
             {challenges} challenged, {sent_away} sent away"
        );
        for (reason, count) in &self.failed_by_reason {
            let _ = writeln!(out, "failed     {count} × {reason}");
        }
        let Part { repeats_sent, repeats_seen, strays, busy, late_ms, .. } = self;
        let _ = writeln!(out, "  took     {}", spread(&self.took));
        let _ = writeln!(
            out,
            "  repeats  {repeats_sent} sent, {repeats_seen} seen; {strays} strays; {busy} turns passed over, \
             at most {late_ms:.1} ms behind"
        );
        if let Some(PartCpu { us, user_us, system_us, core_percent }) = &self.cpu {
            let _ = writeln!(
                out,
                "  server   {us:.1} µs CPU each ({user_us:.1} user, {system_us:.1} system), {core_percent:.1} % of a core"
            );
        }
    }
}

impl Stay {
    pub(super) fn of(pings: &Pings, calls: u64) -> Stay {
        Stay { pings: pings.answered, pings_per_piece: rounded(pings.average()), pings_most: pings.most, calls }
    }
}

impl Memory {
    pub(super) fn of(watch: &Watch, before: Holdings, phones: u32) -> Memory {
        let after = watch.holdings();
        let growth = after.pss_kb.saturating_sub(before.pss_kb) as f64 * 1024.0;
        Memory { before, after, bytes_per_phone: rounded(growth / f64::from(phones)) }
    }
}

impl Summary {
    /// Whether every registration and every refresh has succeeded.
    pub(super) fn is_clean(&self) -> bool {
        self.registrations.is_clean() && self.refreshes.as_ref().is_none_or(Part::is_clean)
    }

    /// The figures as people read them.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.registrations.write(&mut out, "registered");
        if let Some(part) = &self.refreshes {
            part.write(&mut out, "refreshed");
        }
        if let Some(Stay { pings, pings_per_piece, pings_most, calls }) = &self.stay {
            let _ = writeln!(
                out,
                "stayed     {pings} pings answered, {pings_per_piece:.1} in {PIECE:?} and {pings_most} at most; {calls} calls"
            );
        }
        let Generator { cpu_us_per_registration, dropped } = &self.generator;
        let _ = writeln!(out, "generator  {cpu_us_per_registration:.1} µs CPU each; {dropped} not sent");
        if let Some(Memory { before, after, bytes_per_phone }) = &self.memory {
            let _ = writeln!(
                out,
                "memory     PSS {} kB before, {} kB after: {bytes_per_phone:.0} bytes for each phone",
                before.pss_kb, after.pss_kb
            );
        }
        out
    }
}
