//! A scripted SIP phone, sans-IO, and the ladder that shows what it says.
//!
//! A [`Phone`] is one user agent: it registers, places one call or takes one, plays a sound into it and says what it
//! hears. What it does with a call is told beforehand ([`PhoneConfig`]), so a test, a demonstration or a command line
//! needs no further decisions. It owns no socket and reads no clock: give it what arrives, and after each touch take
//! what is to be sent and told with [`Phone::poll_output`] until it is empty.
//!
//! ```text
//!   handle_sip ──▶ ┌──────────── Phone ────────────┐ ──▶ Output::Sip, Output::Close
//!   handle_rtp ──▶ │ Endpoint   Registration  Call │ ──▶ Output::Rtp
//!   handle_timeout │   Session   Talker   Listener │ ──▶ Output::Event
//!                  └───────────────────────────────┘
//! ```
//!
//! [`Ladder`] draws SIP messages as arrows between columns, one line per message, as they happen.

#![forbid(unsafe_code)]

mod call;
mod config;
mod event;
pub mod ladder;
mod listener;
mod phone;
mod register;
mod session;
mod talker;

pub use config::{AnswerPolicy, PhoneConfig, Sound};
pub use event::{EndCause, Event, Output, PhoneError};
pub use hookswitch_sip::{Input, Time};
pub use ladder::Ladder;
pub use listener::{BLOCK, Heard, MAX_RECORDING, MediaStats};
pub use phone::Phone;
pub use session::Hold;
