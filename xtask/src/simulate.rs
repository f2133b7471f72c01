//! `cargo xtask simulate`: the simulation of the lab, built for speed.

use std::process::Command;

use anyhow::{Context as _, Result};

const EXAMPLE: [&str; 8] =
    ["run", "--quiet", "--release", "--package", "hookswitch-lab", "--example", "simulate", "--"];

/// Runs it with these arguments; false when a case violated something.
///
/// # Errors
/// It cannot be built or started, or does not understand the arguments.
pub fn run(arguments: &[&str]) -> Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(EXAMPLE).args(arguments).status().context("cannot run cargo")?;
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => anyhow::bail!("the simulation did not run: {status}"),
    }
}
