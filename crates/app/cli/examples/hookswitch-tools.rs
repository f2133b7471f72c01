//! The commands of this crate without the server, for trying them out.

use std::process::ExitCode;

use clap::Parser;
use hookswitch_cli::bench::{self, BenchArgs};
use hookswitch_cli::phone::{self, PhoneArgs};

/// Phone and load generator.
#[derive(Debug, Parser)]
enum Tools {
    /// A SIP phone for scripts
    Phone(PhoneArgs),
    /// Load for SIP servers, and what it costs them
    Bench(BenchArgs),
}

fn main() -> ExitCode {
    match Tools::parse() {
        Tools::Phone(args) => phone::run(&args),
        Tools::Bench(args) => bench::run(&args),
    }
}
