//! Plays many cases on all processors: what `cargo xtask simulate` runs.
//!
//! Every kind of violation is shown once, with its ladder, shrunk to the smallest case that still has it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hookswitch_lab::simulate::{Case, Finding, kind_of};

const USAGE: &str = "\
usage: cargo xtask simulate [--cases N] [--seed S] [--threads T] [--show K]

  --cases N     play so many cases (default 10000)
  --seed S      the first one's seed; the others' follow (default 1)
  --threads T   on so many processors (default all)
  --show K      shrink and draw the first of so many kinds of violations (default 3)
";

/// Cases that a thread takes at once.
const BATCH: u64 = 64;

struct Plan {
    cases: u64,
    seed: u64,
    threads: usize,
    show: usize,
}

/// What came of all cases.
#[derive(Default)]
struct Outcome {
    kinds: BTreeMap<String, Kind>,
    /// How often each event was told.
    told: BTreeMap<String, u64>,
}

/// Violations of one kind.
struct Kind {
    count: u64,
    first: u64,
    what: String,
}

fn plan() -> Option<Plan> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut plan = Plan { cases: 10_000, seed: 1, threads, show: 3 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let number: u64 = arguments.next()?.parse().ok()?;
        match name.as_str() {
            "--cases" => plan.cases = number,
            "--seed" => plan.seed = number,
            "--threads" => plan.threads = usize::try_from(number).ok()?.max(1),
            "--show" => plan.show = usize::try_from(number).ok()?,
            _ => return None,
        }
    }
    Some(plan)
}

fn play(plan: &Plan) -> Outcome {
    let outcome = Mutex::new(Outcome::default());
    let next = AtomicU64::new(plan.seed);
    let end = plan.seed.saturating_add(plan.cases);
    std::thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= end {
                        return;
                    }
                    let played: Vec<_> =
                        (first..end.min(first + BATCH)).map(|seed| (seed, Case::of(seed).play())).collect();
                    let mut outcome = outcome.lock().expect("nobody panics with it in hand");
                    for (seed, played) in played {
                        outcome.take(seed, played);
                    }
                }
            });
        }
    });
    outcome.into_inner().expect("nobody panics with it in hand")
}

impl Outcome {
    fn take(&mut self, seed: u64, played: Result<Vec<String>, Finding>) {
        match played {
            Ok(told) => told.into_iter().for_each(|name| *self.told.entry(name).or_default() += 1),
            Err(Finding { what, .. }) => {
                let new = Kind { count: 0, first: seed, what: what.clone() };
                let kind = self.kinds.entry(kind_of(&what)).or_insert(new);
                kind.count += 1;
                if seed < kind.first {
                    (kind.first, kind.what) = (seed, what);
                }
            }
        }
    }
}

fn main() -> ExitCode {
    let Some(plan) = plan() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let began = Instant::now();
    let Outcome { kinds, told } = play(&plan);
    let took = began.elapsed().as_secs_f64();
    let found: u64 = kinds.values().map(|kind| kind.count).sum();
    for kind in kinds.values().take(plan.show) {
        let case = Case::of(kind.first);
        let Err(finding) = case.play() else { continue };
        let smallest = case.shrink(&finding);
        if let Err(finding) = smallest.play_with_ladder() {
            println!("{}\n{}\n{}\n", finding.ladder, smallest.to_rust(), finding.what);
        }
    }
    let told: Vec<String> = told.iter().map(|(name, count)| format!("{name} {count}")).collect();
    println!("told: {}", told.join(", "));
    for kind in kinds.values() {
        let line = kind.what.lines().next().unwrap_or_default();
        println!("{} times, first with seed {}: {:.200}", kind.count, kind.first, line);
    }
    let (cases, threads, first) = (plan.cases, plan.threads, plan.seed);
    let rate = cases as f64 / took / threads as f64;
    println!(
        "{cases} cases, seeds {first}..{}, {found} violations, {took:.1} s on {threads} threads, {rate:.0}/s each",
        first.saturating_add(cases)
    );
    ExitCode::from(u8::from(found > 0))
}
