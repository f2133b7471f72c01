//! When the watched processes are looked at during a run.

use std::time::Duration;

use super::process::{Cpu, Holdings, Watch};
use super::summary::{Server, Steady, rounded};

/// Memory is looked at this often.
const INTERVAL: Duration = Duration::from_secs(1);

/// A steady time that is shorter says nothing.
const MIN_STEADY: Duration = Duration::from_secs(2);

/// The steady time begins so long after the last call was answered.
const CALM: Duration = Duration::from_secs(1);

/// Calls after which memory is taken as the measure for the rest.
const WARM: u64 = 1000;

/// One look at the processor time, with what had been done by then.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    cpu: Cpu,
    packets: u64,
}

/// Looks at the processes, or at none.
#[derive(Debug)]
pub(super) struct Measure {
    watch: Option<Watch>,
    before: Holdings,
    after_1000: Option<Holdings>,
    cpu: (Cpu, Cpu),
    span: (Duration, Duration),
    next: Duration,
    /// Memory (PSS) at its peak, in kB.
    peak: u64,
    /// Most calls open at a look, and memory then.
    fullest: (usize, u64),
    calm_from: Option<Duration>,
    steady: (Option<Look>, Option<Look>),
    steady_calls: usize,
}

impl Measure {
    pub(super) fn new(pids: &[u32]) -> anyhow::Result<Measure> {
        let watch = if pids.is_empty() { None } else { Some(Watch::new(pids)?) };
        Ok(Measure {
            watch,
            before: Holdings::default(),
            after_1000: None,
            cpu: Default::default(),
            span: Default::default(),
            next: Duration::ZERO,
            peak: 0,
            fullest: (0, 0),
            calm_from: None,
            steady: (None, None),
            steady_calls: 0,
        })
    }

    pub(super) fn start(&mut self, now: Duration) {
        if let Some(watch) = &self.watch {
            self.before = watch.holdings();
            self.cpu.0 = watch.cpu();
            self.span.0 = now;
            self.next = now + INTERVAL;
        }
    }

    pub(super) fn turn(&mut self, now: Duration, completed: u64, open: usize) {
        let Some(watch) = &self.watch else {
            return;
        };
        if completed >= WARM && self.after_1000.is_none() {
            self.after_1000 = Some(watch.holdings());
        }
        if now >= self.next {
            self.next = now + INTERVAL;
            let pss = watch.pss_kb();
            self.peak = self.peak.max(pss);
            if open >= self.fullest.0 {
                self.fullest = (open, pss);
            }
        }
    }

    /// `calm` while all calls stand and none has ended. Looks are taken at the edges of that time.
    pub(super) fn steady(&mut self, now: Duration, calm: bool, (calls, packets): (usize, u64)) {
        let Some(watch) = &self.watch else {
            return;
        };
        if !calm {
            return;
        }
        let from = *self.calm_from.get_or_insert(now + CALM);
        if now < from {
            return;
        }
        self.steady_calls = calls;
        let due = self.steady.1.is_none_or(|last| now >= last.at + INTERVAL / 4);
        if due {
            let look = Look { at: now, cpu: watch.cpu(), packets };
            self.steady.0.get_or_insert(look);
            self.steady.1 = Some(look);
        }
    }

    pub(super) fn stop(&mut self, now: Duration) {
        if let Some(watch) = &self.watch {
            self.cpu.1 = watch.cpu();
            self.span.1 = now;
        }
    }

    pub(super) fn server(&self, completed: u64) -> Option<Server> {
        let watch = self.watch.as_ref()?;
        let used = self.cpu.1.since(self.cpu.0);
        let per_call = |time: Duration| rounded(time.as_secs_f64() * 1e6 / completed.max(1) as f64);
        let seconds = self.span.1.saturating_sub(self.span.0).as_secs_f64();
        let (open, pss) = self.fullest;
        let growth = pss.saturating_sub(self.before.pss_kb) as f64;
        Some(Server {
            pids: watch.pids().to_vec(),
            cpu_us_per_call: per_call(used.total()),
            cpu_user_us_per_call: per_call(used.user),
            cpu_system_us_per_call: per_call(used.system),
            core_percent: rounded(used.total().as_secs_f64() / seconds * 100.0),
            steady: self.steady_figures(),
            before: self.before,
            after_1000: self.after_1000.filter(|_| completed > WARM),
            after: watch.holdings(),
            peak_pss_kb: self.peak,
            kb_per_open_call: rounded(growth / open.max(1) as f64),
        })
    }

    fn steady_figures(&self) -> Option<Steady> {
        let (first, last) = (self.steady.0?, self.steady.1?);
        let time = last.at.saturating_sub(first.at);
        if time < MIN_STEADY || self.steady_calls == 0 {
            return None;
        }
        let (seconds, used) = (time.as_secs_f64(), last.cpu.since(first.cpu));
        let percent = |used: Duration| used.as_secs_f64() / seconds * 100.0 / self.steady_calls as f64;
        let packets = (last.packets - first.packets).max(1) as f64;
        Some(Steady {
            seconds: rounded(seconds),
            calls: self.steady_calls,
            core_percent_per_call: (percent(used.total()) * 1e5).round() / 1e5,
            user_percent_per_call: (percent(used.user) * 1e5).round() / 1e5,
            cpu_us_per_packet: rounded(used.total().as_secs_f64() * 1e6 / packets),
        })
    }
}
