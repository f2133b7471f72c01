//! The words of the waist: what a controller asks, what a carrier does, and what either is told.
//!
//! Plain data and nothing else: no SIP, no JSON, no SDP grammar, no clock. [`Command`], [`Event`],
//! [`Op`] and [`Report`] are deliberately exhaustive: a new variant makes the compiler list every
//! dialect and every backend that has to decide what it means there.

mod audio;
mod carrier;
mod control;
mod flow;
mod media;
mod order;
mod plain;
mod play;
mod record;
mod room;
mod service;
mod told;
mod toll;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

pub use audio::{AudioFacts, AudioNews, AudioQuality, AudioSound, CallAudio, Strange};
pub use carrier::{
    Alerting, Dial, Digit, Diversion, Diverting, Forwards, Found, Identity, Incoming, Op, Parcel, ParcelKind, ReferTo,
    Replaces, Report, Target,
};
pub use control::{By, CallRef, Command, Failure, Notes, Outcome, Refused, Stage, Upstream};
pub use flow::{Dialled, Flow, MAX_DIALLED, MAX_GROUPS, Step, StepWanted};
pub use media::{MediaOp, MediaReport, Seat, Source};
pub use order::{AudioOrder, FIRST_ORDERED, KEY_TIME, MAX_RECORDINGS, OrderNews, RecordControl};
pub use play::{
    Audience, Form, MAX_GAIN_DB, MAX_SOUNDS, MIN_GAIN_DB, PlayControl, PlayEnd, PlayId, PlayNews, Plays, Sound,
    SoundKind, Soup,
};
pub use record::{
    AfterPlay, BargeIn, MAX_KEPT_SAMPLES, RecordEnd, RecordNews, RecordOrder, RecordPlan, Recorded, RecordingId,
    Silence, Tracks,
};
pub use room::{Part, Role, Room, RoomNews};
pub use service::{
    Attendant, BadPattern, Collect, Collected, MAX_CHOICES, MAX_KEYS, MAX_PATTERN, Menu, Message, Pattern, Service,
    Then,
};
pub use told::{Event, Told};
pub use toll::{Orderer, Toll};

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

impl CallId {
    /// Names from here on are those of calls that a server beyond us carries. The switchboard counts from the time of its
    /// start in milliseconds, shifted left by 20 bits, and so stays below 2^62 until the year 2109; media channels begin at 2^62
    /// and the dialogs of controllers at 2^63, which count up from there one by one. So no two of them ever have the same
    /// name, in the log of events neither.
    pub const FIRST_BEYOND: Self = Self(0b11 << 62);

    /// Whether a server beyond us carries the call of this name.
    #[must_use]
    pub const fn is_beyond(self) -> bool {
        self.0 >= Self::FIRST_BEYOND.0
    }
}

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
