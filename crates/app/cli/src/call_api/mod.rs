//! The three tools of the Call API: the daemon `call-api`, `call-cmd`, which needs none, and its client
//! `call-api-client`. The binaries only call [`daemon`], [`command`] and [`client`].
//!
//! Names, flags, files and log lines are those of the original tools; what is different is listed in `docs/tools.md`.

pub mod args;
pub mod client;
pub mod command;
mod course;
pub mod daemon;
pub mod follow;
pub mod front;
mod go_flags;
mod log;
pub mod pages;
mod redact;
pub mod settings;
mod socket;
mod span;
mod startup;
mod version;

pub use log::{Level, Log};
