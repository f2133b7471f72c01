//! `hookswitch top`: the calls, registrations and load of a running switch, in a terminal.
//!
//! ```text
//!   Source ── GET /health, /metrics, /v1/calls, /v1/registrations ──▶ Reading ─┐
//!   keys ────────────────────────────────────────────────────────────▶ View ───┼──▶ draw ──▶ terminal, or text
//! ```

mod draw;
mod figures;
mod reading;
mod source;
mod view;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::layout::Rect;
use tokio::runtime::Runtime;

use crate::ServeArgs;
use reading::Reading;
use source::{Failure, Source};
use view::{Done, Page, Sort, View};

/// Columns of the picture that `--once` prints.
const WIDTH: u16 = 160;

/// What is watched, and how it is shown.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// The switch's control listener, instead of `control.listen` of the configuration
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// File with the bearer token to show, of a grant with the scope `read`; else the variable HOOKSWITCH_TOKEN, else none
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file with authorities to trust besides those of this host, for `https:`
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print one picture as plain text, and end; figures per second are left out
    #[arg(long)]
    once: bool,
    /// Seconds between two readings
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    every: f64,
    /// Only calls and registrations of this domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// What to list at first
    #[arg(long, value_enum, default_value_t = Page::Calls)]
    show: Page,
    /// By what to sort at first
    #[arg(long, value_enum, default_value_t = Sort::Age)]
    sort: Sort,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.5..=3_600.0).contains(&number) { Ok(number) } else { Err("must be from 0.5 to 3600".to_owned()) }
}

impl std::fmt::Display for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// Shows the switch until somebody has seen enough.
pub fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    let url = match &args.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => own_url(&args.serve)?,
    };
    let source = Source::new(url, token(args)?, args.ca.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut view = View::new(args.show, args.sort, args.domain.clone());
    if args.once {
        let reading = runtime.block_on(source.read(&view))?;
        print!("{}", text(&view, source.url(), &reading));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(std::io::stdout().is_terminal(), "standard output is no terminal: `--once` prints one picture as text");
    let mut terminal = ratatui::try_init().context("the terminal cannot be set up")?;
    let watched = watch(&mut terminal, &runtime, &source, &mut view, Duration::from_secs_f64(args.every));
    ratatui::restore();
    watched.map(|()| ExitCode::SUCCESS)
}

/// The control listener of the configuration's switch.
fn own_url(serve: &ServeArgs) -> anyhow::Result<String> {
    let control = serve.find()?.config.control;
    ensure!(control.enabled, "control.enabled is false: there is no control listener to ask, name another with --url");
    let scheme = if control.tls.is_some() { "https" } else { "http" };
    // Whoever listens on every address listens on this host's own as well.
    let listen = control.listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    Ok(format!("{scheme}://{listen}"))
}

fn token(args: &TopArgs) -> anyhow::Result<Option<String>> {
    let secret = match &args.token_file {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            Some(text)
        }
        None => std::env::var("HOOKSWITCH_TOKEN").ok(),
    };
    Ok(secret.map(|secret| secret.trim().to_owned()).filter(|secret| !secret.is_empty()))
}

/// One picture as text: as many lines as there is to show.
fn text(view: &View, url: &str, reading: &Reading) -> String {
    let height = draw::height(view, reading);
    let mut buffer = Buffer::empty(Rect::new(0, 0, WIDTH, height));
    draw::draw(&mut buffer, view, url, Some(reading), None);
    draw::plain(&buffer)
}

/// Reads, draws and obeys keys in turn.
fn watch(
    terminal: &mut DefaultTerminal,
    runtime: &Runtime,
    source: &Source,
    view: &mut View,
    every: Duration,
) -> anyhow::Result<()> {
    let (mut reading, mut failure): (Option<Reading>, Option<Failure>) = (None, None);
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            if !view.paused {
                match runtime.block_on(source.read(view)) {
                    Ok(now) => {
                        reading = Some(now.after(reading.as_ref()));
                        failure = None;
                    }
                    // Nothing will come of asking again, and nothing has been seen yet.
                    Err(refused @ Failure::Refused(_)) if reading.is_none() => return Err(refused.into()),
                    Err(error) => failure = Some(error),
                }
            }
            next = Instant::now() + every;
        }
        if let Some(reading) = &reading {
            view.keep_within(reading);
        }
        terminal.draw(|frame| {
            let shown = failure.as_ref().map(ToString::to_string);
            view.rows = draw::rows(frame.area(), reading.as_ref());
            draw::draw(frame.buffer_mut(), view, source.url(), reading.as_ref(), shown.as_deref());
        })?;
        if !event::poll(next.saturating_duration_since(Instant::now()))? {
            continue;
        }
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            match view.press(key) {
                Done::Ended => return Ok(()),
                Done::Shown => {}
                // What is on the screen is not what was asked for.
                Done::Asked => next = Instant::now(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
