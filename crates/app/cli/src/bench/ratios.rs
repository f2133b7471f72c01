//! `hookswitch bench ratios`: two servers' figures side by side.
//!
//! Absolute figures say little about another machine; ratios of figures taken in turns on the same one do. Each file
//! holds what `bench calls --json` or `bench registrations --json` printed, one run per line, and each figure is the median of its file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

/// Figures of two servers, and their ratios.
#[derive(Debug, Clone, Args)]
pub(super) struct RatiosArgs {
    /// Output of `bench calls --json` or `bench registrations --json` for the one server, one run per line
    #[arg(value_name = "FILE")]
    pub(super) ours: PathBuf,
    /// The same for the other
    #[arg(value_name = "FILE")]
    pub(super) theirs: PathBuf,
}

/// What is compared: title, and where it stands in a summary.
const FIGURES: &[(&str, &str)] = &[
    ("calls completed", "/calls/completed"),
    ("calls failed", "/calls/failed"),
    ("calls started per second", "/calls/rate"),
    ("phones registered per second", "/registrations/rate"),
    ("  failed", "/registrations/failed"),
    ("  REGISTER to 200 p50, ms", "/registrations/took/p50_ms"),
    ("  REGISTER to 200 p99, ms", "/registrations/took/p99_ms"),
    ("  CPU each, µs", "/registrations/cpu/us"),
    ("  of it in user space, µs", "/registrations/cpu/user_us"),
    ("refreshes per second", "/refreshes/rate"),
    ("  failed", "/refreshes/failed"),
    ("  repeats sent", "/refreshes/repeats_sent"),
    ("  REGISTER to 200 p50, ms", "/refreshes/took/p50_ms"),
    ("  REGISTER to 200 p99, ms", "/refreshes/took/p99_ms"),
    ("  CPU each, µs", "/refreshes/cpu/us"),
    ("  of it in user space, µs", "/refreshes/cpu/user_us"),
    ("  % of a core", "/refreshes/cpu/core_percent"),
    ("memory per phone, bytes", "/memory/bytes_per_phone"),
    ("repeats sent", "/repeats/sent"),
    ("repeats seen", "/repeats/seen"),
    ("set-up p50, ms", "/setup/p50_ms"),
    ("set-up p99, ms", "/setup/p99_ms"),
    ("CPU per call, µs", "/server/cpu_us_per_call"),
    ("  of it in user space, µs", "/server/cpu_user_us_per_call"),
    ("CPU of the generator per call, µs", "/generator/cpu_us_per_call"),
    ("calls started late at most, ms", "/generator/late_ms"),
    ("audio packets lost", "/rtp/lost"),
    ("one-way latency p50, ms", "/rtp/latency/p50_ms"),
    ("one-way latency p99, ms", "/rtp/latency/p99_ms"),
    ("audio sent late at most, ms", "/rtp/late_ms"),
    ("steady: % of a core per call", "/server/steady/core_percent_per_call"),
    ("  of it in user space", "/server/steady/user_percent_per_call"),
    ("steady: CPU per packet, µs", "/server/steady/cpu_us_per_packet"),
    ("memory per open call, kB", "/server/kb_per_open_call"),
    ("memory behind the run (PSS), kB", "/server/after/pss_kb"),
    ("descriptors behind the run", "/server/after/descriptors"),
];

pub(super) fn run(args: &RatiosArgs) -> anyhow::Result<String> {
    Ok(table((&name(&args.ours), &read(&args.ours)?), (&name(&args.theirs), &read(&args.theirs)?)))
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let runs: Result<Vec<Value>, _> =
        text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect();
    let runs = runs.with_context(|| format!("{} is no output of bench --json", path.display()))?;
    anyhow::ensure!(!runs.is_empty(), "{} holds no run", path.display());
    Ok(runs)
}

/// A Markdown table.
fn table(ours: (&str, &[Value]), theirs: (&str, &[Value])) -> String {
    let mut out =
        format!("| median of {} and {} runs | {} | {} | ratio |\n", ours.1.len(), theirs.1.len(), ours.0, theirs.0);
    out.push_str("|---|---|---|---|\n");
    for (title, pointer) in FIGURES {
        let (a, b) = (median(ours.1, pointer), median(theirs.1, pointer));
        if a.is_none() && b.is_none() {
            continue;
        }
        let ratio = a.zip(b).filter(|(_, b)| *b != 0.0).map(|(a, b)| format!("{:.2}", a / b));
        let show = |value: Option<f64>| value.map_or("-".into(), figure);
        out.push_str(&format!("| {title} | {} | {} | {} |\n", show(a), show(b), ratio.as_deref().unwrap_or("-")));
    }
    out
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || magnitude >= 100.0 {
        format!("{value:.0}")
    } else if magnitude >= 10.0 {
        format!("{value:.1}")
    } else if magnitude >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// The middle one of the runs that have this figure, or the mean of the two in the middle.
fn median(runs: &[Value], pointer: &str) -> Option<f64> {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run.pointer(pointer)?.as_f64()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => values.get(middle).copied(),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn medians_and_ratios_of_what_is_there() {
        let run = |cpu: f64| json!({ "server": { "cpu_us_per_call": cpu }, "repeats": { "sent": 0 } });
        let ours = [run(200.0), run(1000.0), run(210.0)];
        let theirs = [run(400.0), run(440.0)];
        let table = table(("a", &ours), ("b", &theirs));
        assert_eq!(
            table,
            "| median of 3 and 2 runs | a | b | ratio |\n|---|---|---|---|\n\
             | repeats sent | 0 | 0 | - |\n| CPU per call, µs | 210 | 420 | 0.50 |\n"
        );
    }

    #[test]
    fn files_that_are_something_else_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        fs::write(&path, "not json\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("x.json"));
        fs::write(&path, "\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("holds no run"));
    }
}
