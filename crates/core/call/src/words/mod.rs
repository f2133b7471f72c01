//! The words of the waist: what a controller asks, what a carrier does, and what either is told.
//!
//! Plain data and nothing else: no SIP, no JSON, no SDP grammar, no clock. [`Command`], [`Event`],
//! [`Op`] and [`Report`] are deliberately exhaustive: a new variant makes the compiler list every
//! dialect and every backend that has to decide what it means there.

mod carrier;
mod media;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::cause::Cause;

pub use carrier::{Dial, Found, Incoming, Op, Report, Service, Target};
pub use media::{MediaOp, MediaReport, Source};

/// A moment: time since the UNIX epoch on a clock that never goes back.
///
/// The driver anchors a monotonic clock to the epoch once at start, so values may be compared,
/// stored and sent to another process, and tests run on a clock of their own.
pub type Time = Duration;

/// Longest address accepted from a controller or a carrier, in bytes.
pub const MAX_ADDRESS: usize = 2_048;

/// Most parties one leg of a call is offered to at once (parallel forking).
pub const MAX_BRANCHES: usize = 10;

/// Names one call within this node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {self}")
    }
}

/// Names one leg within its call: one dialogue with one party, or one attempt at it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct LegId(pub u16);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The receipt for an accepted [`Command`]; its one [`Outcome`] carries it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// A backend's own name for an incoming leg that has no [`CallId`] yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Handle(pub u64);

/// Who is called or calling, as the carrier writes it (a SIP URI for our own switch). The core
/// compares and copies it and never looks inside.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Address(pub CompactString);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// A session description, opaque here: only `media` and `b2bua` know the grammar.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sdp(pub Arc<str>);

impl From<&str> for Sdp {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// Names of the codecs a domain wants, best first; opaque here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Codecs(pub Arc<[CompactString]>);

/// One of the two ends of a call: the party that calls, or the party that is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The calling end.
    Caller,
    /// The called end.
    Callee,
}

impl Party {
    /// The end at the other side of the call.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Controllers ask: commands, answered by a ticket or a refusal, and ended by one outcome.

/// What a controller may ask for.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Call the caller; when it answers, call the callee and join the two (third-party call
    /// control). The outcome comes when both have answered or one has failed.
    Start {
        /// The party that is called first.
        caller: Address,
        /// The party that the caller is connected with.
        callee: Address,
        /// The carrier's name for the caller's leg (a Call-ID), if the controller wants to choose
        /// it. Must not be in use.
        wire_id: Option<CompactString>,
    },
    /// End a call in whatever state it is. The outcome comes as soon as every leg has been told.
    End {
        /// Which call.
        call: CallRef,
        /// What the parties are told.
        cause: Cause,
    },
}

/// How a controller names a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallRef {
    /// By our own name.
    Id(CallId),
    /// By the carrier's name of any of its legs: a SIP Call-ID.
    Wire(CompactString),
    /// By the command that made it.
    Ticket(Ticket),
}

/// Why a command was not accepted. Nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// No call has this name.
    #[error("no such call")]
    NoSuchCall,
    /// The call is already being ended.
    #[error("the call is ending")]
    Ending,
    /// The name asked for a leg belongs to a live call.
    #[error("the Call-ID {0} is in use")]
    WireIdInUse(CompactString),
    /// The limit of calls ([`Limits::calls`](crate::Limits::calls)) is reached.
    #[error("the limit of {0} calls is reached")]
    TooManyCalls(usize),
    /// The switch is draining: running calls go on, new ones are refused.
    #[error("the switch is shutting down and takes no new calls")]
    Draining,
    /// An address is longer than [`MAX_ADDRESS`] bytes.
    #[error("an address is longer than {MAX_ADDRESS} bytes")]
    AddressTooLong,
}

/// How an accepted command ended. Every ticket gets exactly one.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The command.
    pub ticket: Ticket,
    /// Done, or where and why it failed.
    pub result: Result<(), Failure>,
}

/// Where and why a command failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed.
    pub stage: Stage,
    /// What happened, and whose fault it was.
    pub cause: Cause,
}

/// The step of a command in which something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The request itself.
    Request,
    /// Reaching the caller.
    Caller,
    /// Reaching the callee.
    Callee,
    /// Ending the call.
    End,
}

/// What subscribers are told about a call, in causal order; [`Told`] says which call and when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A party has called in. First event of such a call.
    Incoming {
        /// Who calls.
        from: Address,
        /// Who is called.
        to: Address,
    },
    /// The switch begins to connect the caller with this address.
    Connecting {
        /// The address as dialled or commanded.
        to: Address,
    },
    /// A party is being called: the request is on the wire.
    Dialing {
        /// The new leg.
        leg: LegId,
        /// Which end it would be.
        party: Party,
        /// The carrier's name for the leg: usable as [`CallRef::Wire`].
        wire_id: CompactString,
        /// Where it was sent: the contact, after look-up.
        to: Address,
    },
    /// A called party reports progress (ringing, early media).
    Progress {
        /// The leg.
        leg: LegId,
        /// Which end it would be.
        party: Party,
        /// The status code, 101-199.
        status: u16,
        /// The status phrase.
        text: CompactString,
    },
    /// A party has answered.
    Answered {
        /// The leg.
        leg: LegId,
        /// Which end it is.
        party: Party,
    },
    /// Both parties are joined and may speak.
    Bridged,
    /// A leg is over (it failed, lost the race, or was hung up).
    LegEnded {
        /// The leg.
        leg: LegId,
        /// Which end it was.
        party: Party,
        /// Why.
        cause: Cause,
    },
    /// The call is over; nothing follows.
    Ended {
        /// The first cause, which ended all the rest.
        cause: Cause,
        /// How long both parties were joined.
        talked: Duration,
    },
}

/// An [`Event`] with its place and time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: Time,
    /// Counts the events of this call from 0 without a gap.
    pub seq: u32,
    /// Which call.
    pub call: CallId,
    /// The command that made the call, if one did.
    pub owner: Option<Ticket>,
    /// What happened.
    pub event: Event,
}
