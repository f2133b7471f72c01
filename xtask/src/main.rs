//! Chores of the workspace, run as `cargo xtask <chore>`.
//!
//! * `tidy` checks the house rules of STYLE.md and prints each breach as `path:line: rule: what to do`.
//! * `docs` writes the pages that the program generates; `docs --check` only compares them.
//! * `simulate` plays whole calls at random, as many as one wants, and shows what was violated.
#![forbid(unsafe_code)]

mod docs;
mod rules;
mod simulate;
mod tidy;
mod tokens;
mod violation;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

  tidy            check the house rules; exit 1 when one is broken
  docs            write the pages that the program generates
  docs --check    compare them instead; exit 1 when one has drifted
  simulate [--cases N] [--seed S] [--threads T] [--show K]
                  play N random cases from seed S on, in the release build; exit 1 when one violates what must hold
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["tidy"] => tidy::run(),
        ["docs"] => docs::run(docs::Mode::Write),
        ["docs", "--check"] => docs::run(docs::Mode::Check),
        ["simulate", rest @ ..] => simulate::run(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
