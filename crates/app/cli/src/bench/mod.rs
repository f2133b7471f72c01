//! `hookswitch bench`: load for SIP servers and Call API daemons, and what it costs them.
//!
//! `bench registrations`, `bench media`, `bench events` and `bench rest` have files of their own. `bench calls` is caller and callee at once, in one thread, small enough that the server is what is measured:
//!
//! ```text
//!   Caller ──INVITE──▶ server ──INVITE──▶ Callee        Audio ──RTP──▶ server ──RTP──▶ Audio
//!      ▲                  │ /proc/PID                      payload: who, when, which
//!      └────── Run: sockets, clock, Measure ─────▶ Summary
//! ```

mod args;
mod audio;
mod call_api;
mod callee;
mod caller;
#[cfg(test)]
mod conversation;
mod events;
mod histogram;
mod measure;
mod media;
mod port;
mod process;
mod quality;
mod ratios;
mod registrations;
mod rest;
mod run;
mod summary;
mod template;
mod transfers;
mod work;

use std::process::ExitCode;

pub use args::BenchArgs;

use args::{CallsArgs, What};
use call_api::CallApiArgs;
use events::EventsArgs;
use measure::Measure;
use media::MediaArgs;
use registrations::RegistrationsArgs;
use rest::RestArgs;
use run::Run;

/// Runs the load and prints what it found out.
#[must_use]
pub fn run(args: &BenchArgs) -> ExitCode {
    match &args.what {
        What::Calls(args) => calls(args),
        What::CallApi(args) => call_api(args),
        What::Registrations(args) => registrations(args),
        What::Media(args) => media(args),
        What::Events(args) => events(args),
        What::Rest(args) => rest(args),
        What::Quality(args) => match quality::run(args) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error, 3),
        },
        What::Ratios(args) => match ratios::run(args) {
            Ok(table) => {
                print!("{table}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error, 3),
        },
    }
}

fn calls(args: &CallsArgs) -> ExitCode {
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(error) => return fail(&error, 2),
    };
    let outcome = Measure::new(&args.pid).and_then(|measure| Run::new(args, plan)?.perform(measure));
    match outcome {
        Ok(summary) => {
            if args.json {
                println!("{}", serde_json::json!(summary));
            } else {
                print!("{}", summary.text());
            }
            ExitCode::from(u8::from(!summary.is_clean()))
        }
        Err(error) => fail(&error, 3),
    }
}

fn call_api(args: &CallApiArgs) -> ExitCode {
    if let Err(error) = call_api::check(args) {
        return fail(&error, 2);
    }
    match call_api::run(args) {
        Ok((text, is_clean)) => {
            print!("{text}");
            ExitCode::from(u8::from(!is_clean))
        }
        Err(error) => fail(&error, 3),
    }
}

fn registrations(args: &RegistrationsArgs) -> ExitCode {
    if let Err(error) = registrations::check(args) {
        return fail(&error, 2);
    }
    match registrations::run(args) {
        Ok((text, is_clean)) => {
            print!("{text}");
            ExitCode::from(u8::from(!is_clean))
        }
        Err(error) => fail(&error, 3),
    }
}

fn events(args: &EventsArgs) -> ExitCode {
    if let Err(error) = events::check(args) {
        return fail(&error, 2);
    }
    match events::run(args) {
        Ok((text, is_clean)) => {
            print!("{text}");
            ExitCode::from(u8::from(!is_clean))
        }
        Err(error) => fail(&error, 3),
    }
}

fn rest(args: &RestArgs) -> ExitCode {
    if let Err(error) = rest::check(args) {
        return fail(&error, 2);
    }
    match rest::run(args) {
        Ok((text, is_clean)) => {
            print!("{text}");
            ExitCode::from(u8::from(!is_clean))
        }
        Err(error) => fail(&error, 3),
    }
}

fn media(args: &MediaArgs) -> ExitCode {
    match media::run(args) {
        Ok((text, is_clean)) => {
            print!("{text}");
            ExitCode::from(u8::from(!is_clean))
        }
        Err(error) => fail(&error, 3),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("hookswitch bench: {error:#}");
    ExitCode::from(code)
}
