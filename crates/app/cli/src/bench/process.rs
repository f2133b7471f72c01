//! What the measured processes cost, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use serde::Serialize;

/// Clock ticks per second in `/proc/PID/stat`; the same on every Linux that can be met today.
const TICKS: u64 = 100;

/// Bytes per page in `/proc/PID/statm` on the machines we run on.
const PAGE: u64 = 4096;

/// Processor time of all watched processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl Cpu {
    pub(super) fn since(self, earlier: Cpu) -> Cpu {
        Cpu { user: self.user.saturating_sub(earlier.user), system: self.system.saturating_sub(earlier.system) }
    }

    pub(super) fn total(self) -> Duration {
        self.user + self.system
    }
}

/// Memory and descriptors of all watched processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Holdings {
    /// Resident memory, pages shared by several processes counted in each.
    pub(super) rss_kb: u64,
    /// Resident memory, shared pages divided among those who share them.
    pub(super) pss_kb: u64,
    /// Open descriptors.
    pub(super) descriptors: u64,
}

/// Processes to be measured.
#[derive(Debug)]
pub(super) struct Watch {
    pids: Vec<u32>,
}

impl Watch {
    /// Watches these processes and all that they have started so far.
    pub(super) fn new(pids: &[u32]) -> anyhow::Result<Watch> {
        for pid in pids {
            anyhow::ensure!(stat(*pid).is_some(), "there is no process {pid}");
        }
        Ok(Watch { pids: with_descendants(pids) })
    }

    pub(super) fn pids(&self) -> &[u32] {
        &self.pids
    }

    pub(super) fn cpu(&self) -> Cpu {
        let mut sum = Cpu::default();
        for stat in self.pids.iter().filter_map(|pid| stat(*pid)) {
            sum.user += stat.user;
            sum.system += stat.system;
        }
        sum
    }

    fn rss_kb(&self) -> u64 {
        let pages = |pid: &u32| {
            let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
            statm.split(' ').nth(1)?.parse::<u64>().ok()
        };
        self.pids.iter().filter_map(pages).sum::<u64>() * PAGE / 1024
    }

    pub(super) fn pss_kb(&self) -> u64 {
        let pss = |pid: &u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        self.pids.iter().filter_map(pss).sum()
    }

    pub(super) fn holdings(&self) -> Holdings {
        let descriptors = |pid: &u32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |dir| dir.count() as u64);
        Holdings { rss_kb: self.rss_kb(), pss_kb: self.pss_kb(), descriptors: self.pids.iter().map(descriptors).sum() }
    }
}

struct Stat {
    parent: u32,
    user: Duration,
    system: Duration,
}

fn stat(pid: u32) -> Option<Stat> {
    read_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold anything, so fields are counted from behind it (proc_pid_stat(5)).
fn read_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| {
        let ticks: u64 = fields.get(index)?.parse().ok()?;
        Some(Duration::from_millis(ticks * 1000 / TICKS))
    };
    Some(Stat { parent: fields.get(1)?.parse().ok()?, user: ticks(11)?, system: ticks(12)? })
}

fn with_descendants(pids: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut all = Vec::new();
    let mut open = pids.to_vec();
    while let Some(pid) = open.pop() {
        if !all.contains(&pid) {
            all.push(pid);
            open.extend(children.remove(&pid).unwrap_or_default());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_behind_any_name() {
        let text = "42 (a) b (c) S 7 1 1 0 -1 4194560 1 2 3 4 150 25 5 6 20 0 8 0 1 2 3";
        let stat = read_stat(text).unwrap();
        assert_eq!((stat.parent, stat.user, stat.system), (7, Duration::from_millis(1500), Duration::from_millis(250)));
        assert!(read_stat("42 (a").is_none());
    }

    #[test]
    fn this_process_can_be_watched() {
        let watch = Watch::new(&[std::process::id()]).unwrap();
        let holdings = watch.holdings();
        assert!(holdings.rss_kb > 100 && holdings.pss_kb > 100 && holdings.descriptors >= 3, "{holdings:?}");
        assert!(Watch::new(&[u32::MAX]).is_err());
    }
}
