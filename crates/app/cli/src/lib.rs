//! Commands beside the server: a phone for scripts, the ladder it draws, a load generator, and tones as files.
//!
//! Each command is a [`clap::Args`] structure and a function that runs it and says with which code the process should
//! end, so that one binary can mount them all.

#![deny(unsafe_code)]

pub mod bench;
pub mod call_api;
pub mod line;
pub mod memory;
pub mod phone;
pub mod simulate;
mod sound;
pub mod tone;

/// SIP messages as a ladder of arrows.
pub use hookswitch_phone::ladder;
