//! `hookswitch demo`.

use std::process::ExitCode;

use clap::Args;

/// What to show.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Exit after the call, with status 0 only if audio was proven both ways
    #[arg(long)]
    once: bool,
}

pub fn run(_args: &DemoArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::FAILURE)
}
