//! `call-api`: the Call API daemon.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use hookswitch_cli::call_api::{args, daemon};

// As the switch itself: glibc's allocator gives memory back late and in pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::read::<args::ApiArgs>(std::env::args_os().skip(1)) {
        Ok(args) => daemon::run(&args),
        Err(over) => over,
    }
}
