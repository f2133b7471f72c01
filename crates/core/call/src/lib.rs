//! The waist of the switch: the words in which calls are controlled and carried, the machine that
//! is one call, and the switchboard that holds them all.
//!
//! Read in this order: [`words`], [`cause`], then [`machine`] and `feature/`, [`switchboard`],
//! [`port`]. Nothing here knows SIP, JSON or RTP, and nothing here has a clock.

#![forbid(unsafe_code)]

pub mod cause;
pub mod diagnosis;
pub mod directory;
mod feature;
pub mod machine;
pub mod port;
pub mod switchboard;
pub mod words;

pub use cause::{Cause, Fault, Kind};
pub use feature::forward::{MAX_DIVERSIONS, MAX_REDIRECTS};
pub use feature::parcel::MAX_PARCELS;
pub use switchboard::Limits;
pub use words::*;
