//! The measurement of events, with few readers.

use std::process::ExitCode;

use clap::Parser;
use hookswitch_cli::bench::{self, BenchArgs};

#[derive(Parser)]
struct Shell {
    #[command(flatten)]
    bench: BenchArgs,
}

fn bench(line: &str) -> ExitCode {
    let words = std::iter::once("bench").chain(line.split_whitespace());
    bench::run(&Shell::parse_from(words).bench)
}

#[test]
fn everybody_gets_everything_and_the_log_is_whole_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        format!("events --readers 20 --rate 2000 --duration 1 --restart 2000 --folder {}", folder.path().display());
    assert_eq!(bench(&line), ExitCode::SUCCESS);
}

#[test]
fn each_gets_what_is_of_its_domain() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "events --apart --readers 20 --rate 2000 --duration 1 --restart 0 --folder {}",
        folder.path().display()
    );
    assert_eq!(bench(&line), ExitCode::SUCCESS);
}

#[test]
fn nothing_to_push_is_an_error() {
    assert_eq!(bench("events --rate 1 --duration 1"), ExitCode::from(2));
}
