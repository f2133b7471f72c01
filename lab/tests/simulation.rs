//! A sample of the simulation: `cargo xtask simulate` plays as many cases as one wants.

use hookswitch_lab::simulate::Case;
use hookswitch_lab::{SEED_VARIABLE, seeds};

/// Cases of the sample.
const SAMPLE: u64 = 300;

#[test]
fn whatever_happens_everything_ends_and_what_is_told_is_true() {
    let mut findings = Vec::new();
    for seed in seeds(0..SAMPLE) {
        if Case::of(seed).play().is_err() {
            findings.push(seed);
        }
    }
    let Some(first) = findings.first() else { return };
    let case = Case::of(*first);
    let finding = case.play_with_ladder().expect_err("the same seed plays the same game");
    let smallest = case.shrink(&finding);
    let finding = smallest.play_with_ladder().expect_err("what was shrunk still fails");
    let (count, Case { seed, .. }) = (findings.len(), case);
    eprintln!("{}\n{}", finding.ladder, smallest.to_rust());
    panic!("{count} cases failed ({findings:?}); first {seed} ({SEED_VARIABLE}={seed}): {}", finding.what);
}
