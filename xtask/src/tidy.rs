//! Runs every rule over the workspace and prints what they found.

use std::time::Instant;

use anyhow::Result;

use crate::rules::{self, Found};
use crate::workspace::Workspace;

/// Checks all rules. `true` when none is broken; a check that cannot run here says so and breaks nothing.
pub fn run() -> Result<bool> {
    let started = Instant::now();
    let workspace = Workspace::load()?;
    let mut violations = Vec::new();
    for (name, check) in rules::ALL {
        match check(&workspace) {
            Found::Breaches(found) => violations.extend(found),
            Found::Skipped(why) => println!("tidy: {name}: skipped: {why}"),
        }
    }
    violations.sort();
    violations.dedup();
    for violation in &violations {
        println!("{violation}");
    }
    println!(
        "tidy: {} rules, {} files, {} crates: {} in {:.1} s",
        rules::ALL.len(),
        workspace.files.len(),
        workspace.crates.len(),
        verdict(violations.len()),
        started.elapsed().as_secs_f32()
    );
    Ok(violations.is_empty())
}

fn verdict(breaches: usize) -> String {
    match breaches {
        0 => "clean".to_owned(),
        1 => "1 breach".to_owned(),
        many => format!("{many} breaches"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_counts() {
        assert_eq!(verdict(0), "clean");
        assert_eq!(verdict(1), "1 breach");
        assert_eq!(verdict(12), "12 breaches");
    }
}
