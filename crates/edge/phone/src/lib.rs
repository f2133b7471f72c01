//! A scripted SIP phone, sans-IO, and the ladder that shows what it says.
//!
//! A [`Phone`] is one user agent: it registers, places calls or takes them, plays a sound into them and says what it
//! hears. What it does with a call is told beforehand ([`PhoneConfig`]), so a test, a demonstration or a command line
//! needs no further decisions; but it can be told to hold, to transfer, to press keys. It owns no socket and reads no clock: give it what arrives, and after each touch take
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
mod change;
mod coding;
mod config;
mod course;
mod event;
mod inside;
pub mod ladder;
mod listener;
mod phone;
mod refer;
mod register;
mod session;
mod talker;

pub use call::{CallView, Line, Phase};
pub use config::{AnswerPolicy, PhoneConfig, ReferPolicy, Sound};
pub use event::{EndCause, Event, Keys, Output, PhoneError};
pub use hookswitch_sip::{Input, Time};
pub use inside::KEY_TIME;
pub use ladder::Ladder;
pub use listener::{BLOCK, Heard, MAX_RECORDING, MediaStats};
pub use phone::Phone;
pub use session::Hold;
