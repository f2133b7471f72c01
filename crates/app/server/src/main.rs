//! `hookswitch`: the switch, its demonstration, and the tools around it.

#![forbid(unsafe_code)]

mod bans;
mod compose;
mod config;
mod demo;
mod doctor;
mod flow;
mod limits;
mod logging;
mod probe;
mod reload;
mod route;
mod serve;
mod top;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

// glibc's allocator gives memory back to the system late and in pieces; a switch runs for months.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A programmable voice switch: SIP server, media relay and call control in one program.
#[derive(Parser)]
#[command(name = "hookswitch", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run the switch (this is also what happens without a command)
    ///
    /// SIGTERM or SIGINT drains it: no new calls, those there are go on until they end or
    /// `calls.drain_time` is over. A second one stops it at once.
    Serve(ServeArgs),
    /// Show a call between two phones, started over the WebSocket, and prove its audio
    Demo(demo::DemoArgs),
    /// A scriptable SIP phone that verifies what it hears
    Phone(hookswitch_cli::phone::PhoneArgs),
    /// Load for any SIP server
    Bench(hookswitch_cli::bench::BenchArgs),
    /// Write a tone to a WAV file
    Tone(hookswitch_cli::tone::ToneArgs),
    /// Play an OpenSIPS with phones, for tests
    #[command(hide = true)]
    SimulateOpensips(hookswitch_cli::simulate::SimulateArgs),
    /// Check the configuration and print it with all defaults
    CheckConfig(CheckArgs),
    /// Check this host: ports, addresses, NAT, names, certificates, clock, limits; and say what to do
    ///
    /// Exits with 0 when all is well, with 1 after a warning, with 2 after an error.
    Doctor(doctor::DoctorArgs),
    /// Say where a call would go, and why
    Route(route::RouteArgs),
    /// Check a document of a call flow, or print their schema
    Flow(flow::FlowArgs),
    /// Show whom the running switch has banned; ban somebody, or lift a ban
    Bans(bans::BansArgs),
    /// Show who has called how much of what costs money, and let somebody call again
    Limits(limits::LimitsArgs),
    /// Show the calls, registrations and load of the running switch in the terminal; `?` tells the keys
    Top(top::TopArgs),
    /// Print the reference page of the configuration
    #[command(hide = true)]
    ConfigReference,
    /// Write man pages and completions of all programs
    #[command(hide = true)]
    GeneratePages {
        /// Folder to write to
        dir: PathBuf,
    },
}

/// Where the configuration and the data are.
#[derive(Args, Clone, Debug, Default)]
struct ServeArgs {
    /// Configuration file; else the first of $HOME/.hookswitch.yml, config/hookswitch.yml,
    /// /etc/hookswitch.yml and /etc/hookswitch/hookswitch.yml, else the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where pushed domains and registrations are kept, instead of the key `data_dir`
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What this process does, instead of the key `roles`: any of sip, media and control, with commas between them
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Option<Vec<config::Role>>,
}

/// What is checked.
#[derive(Args, Clone, Debug)]
struct CheckArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Also ask the OpenSIPS of the section `opensips` whether it has all that is needed, and say what is missing
    #[arg(long)]
    probe: bool,
}

impl ServeArgs {
    fn find(&self) -> Result<config::Found, config::ConfigError> {
        let mut found = config::find(self.config.as_deref())?;
        if let Some(dir) = &self.data_dir {
            found.config.data_dir = Some(dir.clone());
        }
        if let Some(roles) = &self.roles {
            found.config.roles = config::Roles(roles.clone());
        }
        Ok(found)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => serve::run(&cli.serve),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Phone(args)) => return hookswitch_cli::phone::run(&args),
        Some(Command::Bench(args)) => return hookswitch_cli::bench::run(&args),
        Some(Command::Tone(args)) => hookswitch_cli::tone::run(&args),
        Some(Command::SimulateOpensips(args)) => return hookswitch_cli::simulate::run(&args),
        Some(Command::CheckConfig(args)) => check_config(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Route(args)) => route::run(&args),
        Some(Command::Flow(args)) => flow::run(&args),
        Some(Command::Bans(args)) => bans::run(&args),
        Some(Command::Limits(args)) => limits::run(&args),
        Some(Command::Top(args)) => top::run(&args),
        Some(Command::ConfigReference) => {
            print!("{}", config::reference());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::GeneratePages { dir }) => {
            let pages = hookswitch_cli::call_api::pages::generate(<Cli as clap::CommandFactory>::command(), &dir);
            pages.map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("hookswitch: {error:#}");
        ExitCode::FAILURE
    })
}

fn check_config(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let found = args.serve.find()?;
    let (switch, front) = compose::check(&found.config)?;
    switch.tls.check().context("sip.tls")?;
    match &found.file {
        Some(file) => println!("# {}", file.display()),
        None => println!("# no configuration file: these are the defaults"),
    }
    print!("{}", found.config.effective()?);
    if !args.probe {
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(front), Some(opensips)) = (front, &found.config.opensips) else {
        anyhow::bail!("--probe: the configuration has no section `opensips`");
    };
    println!("# OpenSIPS:");
    let findings = probe::probe(front, &opensips.mi)?;
    for finding in &findings {
        println!("# {finding}");
    }
    let is_sound = !findings.iter().any(|finding| matches!(finding, probe::Finding::Missing(_)));
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
