//! What a run found out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::histogram::Histogram;
use super::process::Holdings;
use super::transfers::TransferReport;

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) calls: Calls,
    /// From INVITE to 200.
    pub(super) setup: Spread,
    pub(super) repeats: Repeats,
    pub(super) generator: Generator,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transfers: Option<TransferReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rtp: Option<Rtp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<Server>,
}

#[derive(Debug, Serialize)]
pub(super) struct Calls {
    pub(super) started: u64,
    pub(super) answered: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) failed_by_reason: BTreeMap<String, u64>,
    /// Calls started per second of the time in which they were started.
    pub(super) rate: f64,
    /// Most calls open at a time.
    pub(super) peak: usize,
    /// From the first call's start to the last one's end.
    pub(super) seconds: f64,
}

/// Durations in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Spread {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Spread {
    pub(super) fn of(histogram: &Histogram) -> Spread {
        Spread {
            p50_ms: millis(histogram.quantile(0.5)),
            p99_ms: millis(histogram.quantile(0.99)),
            max_ms: millis(histogram.longest()),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Repeats {
    pub(super) sent: u64,
    pub(super) seen: u64,
    pub(super) strays: u64,
}

/// Whether the generator itself kept up.
#[derive(Debug, Serialize)]
pub(super) struct Generator {
    pub(super) cpu_us_per_call: f64,
    /// How late a call was started at worst.
    pub(super) late_ms: f64,
    /// Datagrams that our own sockets did not take.
    pub(super) dropped: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Rtp {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) damaged: u64,
    pub(super) misrouted: u64,
    pub(super) strays: u64,
    pub(super) latency: Spread,
    /// How late a packet was sent at worst.
    pub(super) late_ms: f64,
    /// For how long no time passed for the phones, because the generator was stopped.
    pub(super) stopped_ms: f64,
}

/// What the watched processes cost.
#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub(super) pids: Vec<u32>,
    pub(super) cpu_us_per_call: f64,
    pub(super) cpu_user_us_per_call: f64,
    pub(super) cpu_system_us_per_call: f64,
    /// Part of one core, in per cent, over the whole run.
    pub(super) core_percent: f64,
    /// While all calls stood and nothing but audio flowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) steady: Option<Steady>,
    pub(super) before: Holdings,
    /// When the first thousand calls were over, if there were more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after_1000: Option<Holdings>,
    pub(super) after: Holdings,
    pub(super) peak_pss_kb: u64,
    /// Growth of memory (PSS) up to the time with the most open calls, per open call.
    pub(super) kb_per_open_call: f64,
}

/// Figures of the time in which all calls stood.
#[derive(Debug, Serialize)]
pub(super) struct Steady {
    pub(super) seconds: f64,
    pub(super) calls: usize,
    pub(super) core_percent_per_call: f64,
    pub(super) user_percent_per_call: f64,
    pub(super) cpu_us_per_packet: f64,
}

pub(super) fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3)
}

/// Three digits behind the point are enough for every figure here.
pub(super) fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 1e3).round() / 1e3 } else { 0.0 }
}

impl Summary {
    /// Whether every call was completed and all audio arrived as it was sent.
    pub(super) fn is_clean(&self) -> bool {
        let audio = self.rtp.as_ref().is_none_or(|rtp| rtp.lost + rtp.damaged + rtp.misrouted == 0 && rtp.received > 0);
        let transfers = self.transfers.as_ref().is_none_or(TransferReport::is_clean);
        self.calls.failed == 0 && self.calls.completed == self.calls.started && audio && transfers
    }

    /// The figures as people read them.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let Calls { started, completed, failed, rate, peak, seconds, .. } = &self.calls;
        let _ = writeln!(
            out,
            "calls      {started} started at {rate:.1}/s, {completed} completed, {failed} failed, \
             {peak} open at most, {seconds:.1} s in all"
        );
        for (reason, count) in &self.calls.failed_by_reason {
            let _ = writeln!(out, "failed     {count} × {reason}");
        }
        let _ = writeln!(out, "set-up     {}", spread(&self.setup));
        if let Some(TransferReport { asked, done, failed_by_reason, took }) = &self.transfers {
            let _ = writeln!(out, "transfers  {asked} asked, {done} done; {}", spread(took));
            for (reason, count) in failed_by_reason {
                let _ = writeln!(out, "failed     {count} × {reason}");
            }
        }
        let Repeats { sent, seen, strays } = &self.repeats;
        let _ = writeln!(out, "repeats    {sent} sent, {seen} seen; {strays} messages belonged to no call");
        let Generator { cpu_us_per_call, late_ms, dropped } = &self.generator;
        let _ = writeln!(
            out,
            "generator  {cpu_us_per_call:.0} µs CPU per call; at most {late_ms:.1} ms behind; {dropped} not sent"
        );
        if let Some(rtp) = &self.rtp {
            rtp.write(&mut out);
        }
        if let Some(server) = &self.server {
            server.write(&mut out);
        }
        out
    }
}

impl Rtp {
    fn write(&self, out: &mut String) {
        let Rtp { sent, received, lost, damaged, misrouted, strays, latency, late_ms, stopped_ms } = self;
        let _ = writeln!(
            out,
            "rtp        {sent} sent, {received} received, {lost} lost, {damaged} damaged, {misrouted} misrouted, \
             {strays} strays"
        );
        let _ = writeln!(
            out,
            "one way    {}; sent at most {late_ms:.1} ms late, stood still for {stopped_ms:.1} ms",
            spread(latency)
        );
    }
}

impl Server {
    fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "server     {:.0} µs CPU per call ({:.0} user, {:.0} system), {:.1} % of a core; {} processes",
            self.cpu_us_per_call,
            self.cpu_user_us_per_call,
            self.cpu_system_us_per_call,
            self.core_percent,
            self.pids.len()
        );
        if let Some(Steady { seconds, calls, core_percent_per_call, user_percent_per_call, cpu_us_per_packet }) =
            &self.steady
        {
            let _ = writeln!(
                out,
                "steady     {calls} calls for {seconds:.1} s: {core_percent_per_call:.4} % of a core per call \
                 ({user_percent_per_call:.4} user), {cpu_us_per_packet:.2} µs per packet"
            );
        }
        let mut held = |when: &str, held: &Holdings| {
            let Holdings { rss_kb, pss_kb, descriptors } = held;
            let _ = writeln!(out, "{when:<10} RSS {rss_kb} kB, PSS {pss_kb} kB, {descriptors} descriptors");
        };
        held("before", &self.before);
        if let Some(after) = &self.after_1000 {
            held("at 1000", after);
        }
        held("after", &self.after);
        let _ = writeln!(
            out,
            "peak       PSS {} kB; {:.1} kB per open call when most were open",
            self.peak_pss_kb, self.kb_per_open_call
        );
    }
}

pub(super) fn spread(spread: &Spread) -> String {
    let Spread { p50_ms, p99_ms, max_ms } = spread;
    format!("p50 {p50_ms:.3} ms, p99 {p99_ms:.3} ms, max {max_ms:.3} ms")
}
