//! A sample of the simulation: `cargo xtask simulate` plays as many cases as one wants.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use hookswitch_lab::simulate::Case;
use hookswitch_lab::{SEED_VARIABLE, seeds};

/// Cases of the sample.
const SAMPLE: u64 = 300;

/// What a sample that deserves its name has seen of each feature: the names of events, and those of commands' progress.
const SEEN: &str = "Answered Bridged Connecting Dialing Diverted Ended Held HeldBy HoldAccepted HoldAsked Incoming LegEnded \
    Progress Replaced TransferFailed TransferProgress TransferStarted Transferred Transferring";

/// The same, as applications are told.
const NOTIFIED: &str = "CallHoldSuccessful CallUnholdSuccessful CalleeAnswered CallerAnswered TransferSuccessful Error";

/// Which seeds failed, and what was told by the others.
static PLAYED: LazyLock<(Vec<u64>, BTreeSet<String>)> = LazyLock::new(|| {
    let (mut findings, mut told) = (Vec::new(), BTreeSet::new());
    for seed in seeds(0..SAMPLE) {
        match Case::of(seed).play() {
            Ok(names) => told.extend(names),
            Err(_) => findings.push(seed),
        }
    }
    (findings, told)
});

#[test]
fn whatever_happens_everything_ends_and_what_is_told_is_true() {
    let (findings, _) = &*PLAYED;
    let Some(first) = findings.first() else { return };
    let case = Case::of(*first);
    let finding = case.play_with_ladder().expect_err("the same seed plays the same game");
    let smallest = case.shrink(&finding);
    let finding = smallest.play_with_ladder().expect_err("what was shrunk still fails");
    let (count, Case { seed, .. }) = (findings.len(), case);
    eprintln!("{}\n{}", finding.ladder, smallest.to_rust());
    panic!("{count} cases failed ({findings:?}); first {seed} ({SEED_VARIABLE}={seed}): {}", finding.what);
}

#[test]
fn nothing_that_calls_can_do_is_missing_from_the_sample() {
    if seeds(0..SAMPLE) != (0..SAMPLE) {
        // Somebody wants to see one case.
        return;
    }
    let (_, told) = &*PLAYED;
    let notified = NOTIFIED.split_whitespace().map(|name| format!("notified {name}"));
    let missing: Vec<String> =
        SEEN.split_whitespace().map(str::to_owned).chain(notified).filter(|name| !told.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
