//! The four transaction machines of RFC 3261 section 17, as corrected by RFC 6026.
//!
//! They hold no message and send nothing: each is told what arrived or that time has passed, and says what that means.
//! One machine has one deadline at a time, which is the next of its timers; the endpoint keeps it in its wheel.

pub(crate) mod client;
pub(crate) mod client_invite;
pub(crate) mod server;
pub(crate) mod server_invite;

pub(crate) use client::Client;
pub(crate) use client_invite::ClientInvite;
pub(crate) use server::Server;
pub(crate) use server_invite::ServerInvite;

use crate::Time;

/// What a client transaction makes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is new: tell the user.
    News,
    /// A final refusal of an INVITE: acknowledge it, then tell the user.
    Refusal,
    /// It is a repeated refusal: acknowledge it again.
    Again,
    /// It says nothing.
    Nothing,
}

/// What a server transaction makes of a repeated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeated {
    /// Send the last response again, if there is one.
    Answer,
    /// Stay silent.
    Absorb,
}

/// What the passing of time brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fired {
    /// Send the request, or the last response, again (timers A, E, G and the repeats of 1xx and 2xx).
    Repeat,
    /// No answer is there yet: send 100.
    Trying,
    /// Nobody answered (timers B and F), or no ACK came (timer H and 64·T1 of a 2xx).
    GiveUp,
    /// The last straggler has been absorbed (timers D, I, J, K, L, M).
    Over,
    /// It is not time yet.
    Nothing,
}

/// The earlier of a time that may be and one that is.
fn earlier(maybe: Option<Time>, time: Time) -> Time {
    maybe.map_or(time, |at| at.min(time))
}
