//! A whole switch, its phones and applications, and the network between them, in virtual time.
//!
//! A [`Lab`] holds one shard and one media engine, which are the switch, any number of phones
//! ([`hookswitch_phone::Phone`]), hand-made user agents, sources and sinks of audio, and sessions
//! of the Call API. They are joined by a network whose [`Weather`] loses, doubles, delays and
//! reorders what it carries. There is no socket and no clock: a second passes when nothing is left
//! to do in the one before, and everything that happens by chance follows from one seed.
//!
//! ```no_run
//! use hookswitch_lab::{Lab, seconds};
//!
//! let mut lab = Lab::new();
//! let [alice, bob] = lab.registered(["alice", "bob"]);
//! lab.dial(alice, "bob");
//! lab.pass(seconds(3));
//! lab.assert_talking(alice, bob);
//! lab.hang_up(bob);
//! lab.finish();
//! ```
//!
//! [`Lab::finish`] lets every timer run out and then insists that nothing is left and that nothing
//! was missed: see its own words. When a test fails, what was said is printed as a ladder, with the
//! seed; `HOOKSWITCH_SEED` plays that seed again.

#![forbid(unsafe_code)]

mod app;
mod bank;
mod check;
mod dice;
mod journal;
mod lab;
mod mail;
mod marks;
mod nat;
pub mod opensips;
pub mod opensips_cast;
mod opensips_client;
pub mod opensips_replay;
pub mod simulate;
mod sound;
mod streams;
mod switch;
mod verbs;
mod weather;
mod wire;
mod zone;

use std::time::Duration;

pub use app::{App, Notice};
pub use dice::Dice;
pub use lab::{Agent, AgentId, AppId, Audio, Fortune, Handset, Lab, MouthId, PhoneId, START};
pub use mail::Place;
pub use sound::{Ear, LEVEL_DBFS};
pub use switch::{DOMAIN, SIP_PORT, SWITCH, SWITCH_V6, SwitchConfig, TRUSTED, USERS, switch_sip, switch_sip_v6};
pub use weather::Weather;
pub use wire::{Letter, sdp};
pub use zone::Zone;

/// The environment variable that names the one seed to play, or a range of them: `84`, `0..10000`.
pub const SEED_VARIABLE: &str = "HOOKSWITCH_SEED";

/// The seed that tests with one run play.
pub const DEFAULT_SEED: u64 = 1;

/// The seeds to play: these, or the one that the environment names.
pub fn seeds(all: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var(SEED_VARIABLE) else { return all };
    let number = |text: &str| text.parse().expect("a seed is a number, or two with two dots between");
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&text)..number(&text) + 1,
    }
}

/// So many seconds.
#[must_use]
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many milliseconds.
#[must_use]
pub const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
