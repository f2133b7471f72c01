//! Media channels under the control of somebody else's call server: project-mediaswitch's `/channel`.
//!
//! ```text
//!   controller ── POST /channel ─────────► Channels ── Open, MakeOffer ──► media
//!              ◄─ {"uuid","ip","port"} ──           ◄── Local ──────────
//!              ── PUT /channel/UUID ─────►          ── Accept ─────────►
//!              ◄─ PUT CONTROL/channel/UUID          ◄── Played, Digit … ─
//! ```
//!
//! There is no call here: a channel is one party of the media engine, whose session description is what the controller says of
//! it. [`Channels`] takes requests and the engine's reports, and says what is to be done; it knows neither sockets nor the engine.

#![forbid(unsafe_code)]

mod channel;
mod channels;
mod description;
mod http;
mod json;
mod news;
mod record;
mod soup;
mod table;
mod tables;

pub use channels::{Answer, Channels, Config, Effort, FIRST_CHANNEL, Output, RequestId};
pub use http::{CONTENT_TYPE, MAX_BODY};
pub use tables::{MAX_ORDERS, REMIND_EVERY};
