//! `call-cmd`: one command of the Call API, without a daemon.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use hookswitch_cli::call_api::{args, command};

// As the switch itself: glibc's allocator gives memory back late and in pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::read::<args::CmdArgs>(std::env::args_os().skip(1)) {
        Ok(args) => command::run(&args),
        Err(over) => over,
    }
}
