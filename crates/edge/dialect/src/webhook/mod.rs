//! Webhooks: what happened, posted to a URL: at least once, and in order per call.
//!
//! ```text
//!           take            attempt                  2xx
//!  the log ──────► Ready ──────────────► UnderWay ─────────────► delivered, the next of the line is Ready
//!                    ▲                    │    │
//!                    │ time is up         │    │ not in retry_time
//!                    └──── Pausing ◄──────┘    └─────────────► dead letter, the next of the line is Ready
//! ```
//!
//! One [`Endpoint`] each: a target that is down holds up nobody else. The events of one call are a line, of which the
//! first is in one of these states and the others wait behind it; lines do not wait for each other.
//!
//! The log is the queue. An endpoint takes from it only what it has [room](Endpoint::room) for, and its cursor says how
//! far it has come: all before that is delivered, or is kept on its own, as a letter that waits for its next attempt or
//! as one that is dead. Whoever drives an endpoint stores its [`Change`]s in the order of their coming; an endpoint that
//! is [restored](Endpoint::restore) from any prefix of them delivers nothing zero times.

mod again;
mod calls;
mod endpoint;
mod letter;
mod lines;
mod pages;
mod terms;

pub use calls::{CallWebhook, MAX_CALL_EVENTS, MAX_CALL_KEY, MAX_CALL_URL};
pub use endpoint::{Answer, Attempt, Change, Endpoint, Failure, NoSuchLetter, Output, Stored, Target};
pub use letter::{Dead, Letter};
pub use pages::{Delivery, MAX_REMEMBERED, State, Summary};
pub use terms::Terms;
