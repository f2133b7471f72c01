//! `call-api-client`: one request to a Call API daemon.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use hookswitch_cli::call_api::{args, client};

// As the switch itself: glibc's allocator gives memory back late and in pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::read::<args::ClientArgs>(std::env::args_os().skip(1)) {
        Ok(args) => client::run(&args),
        Err(over) => over,
    }
}
