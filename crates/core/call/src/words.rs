//! The words of the waist: what a controller asks, what a carrier does, and what either is told.
//!
//! Plain data and nothing else: no SIP, no JSON, no SDP grammar, no clock. [`Command`], [`Event`],
//! [`Op`] and [`Report`] are deliberately exhaustive: a new variant makes the compiler list every
//! dialect and every backend that has to decide what it means there.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::cause::Cause;

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

// ---------------------------------------------------------------------------------------------
// Carriers act: ops down, reports up.

/// What a backend is asked to do. A backend answers with [`Report`]s, never with an error: an op
/// that cannot be done ends its leg.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// The incoming leg `handle` is now leg `leg` of `call`.
    Adopt {
        /// From [`Report::Incoming`].
        handle: Handle,
        /// Its call.
        call: CallId,
        /// Its leg.
        leg: LegId,
    },
    /// The incoming leg `handle` is refused before it became a call.
    Refuse {
        /// From [`Report::Incoming`].
        handle: Handle,
        /// What the party is told.
        cause: Cause,
    },
    /// Find out where an address is to be called; answered by [`Report::Located`].
    Locate {
        /// For this call.
        call: CallId,
        /// The address.
        to: Address,
        /// Who wants to reach it.
        from: Address,
        /// A controller named the address, so it need not be one of ours.
        anywhere: bool,
    },
    /// Call a party.
    Dial {
        /// The call.
        call: CallId,
        /// The new leg.
        leg: LegId,
        /// Everything else.
        dial: Box<Dial>,
    },
    /// Tell an incoming leg of progress.
    Ring {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Status 101-199.
        status: u16,
        /// Early media, if there is some.
        sdp: Option<Sdp>,
    },
    /// Answer an incoming leg.
    Answer {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Our answer, or our offer if the party sent none.
        sdp: Sdp,
    },
    /// Acknowledge the answer of a leg that we called.
    Confirm {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// The answer to the party's offer, where ours was empty.
        sdp: Option<Sdp>,
    },
    /// Accept a changed session on an answered leg.
    Reanswer {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// The answer, or our offer if the party sent none; `Err` refuses the change and leaves
        /// the session as it was.
        sdp: Result<Sdp, Cause>,
    },
    /// End a leg in whatever state it is: refuse it, cancel it or hang it up.
    Hangup {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// What the party is told.
        cause: Cause,
    },
}

/// How a party is called.
#[derive(Clone, PartialEq, Debug)]
pub struct Dial {
    /// Where to.
    pub target: Target,
    /// Who is shown as calling.
    pub from: Address,
    /// Who was dialled.
    pub to: Address,
    /// Our offer; without one the party is asked to make it.
    pub offer: Option<Sdp>,
    /// The name to give the leg on the wire, if somebody chose one.
    pub wire_id: Option<CompactString>,
    /// Hops that may still follow (Max-Forwards).
    pub hops: u8,
}

/// One place where a party may be reached.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The contact.
    pub address: Address,
    /// The backend's own key for how to get there (a registered flow); meaningless elsewhere.
    pub via: Option<u64>,
    /// Our address as that party sees it; media offers name it.
    pub near: Option<IpAddr>,
}

/// The answer to [`Op::Locate`].
#[derive(Clone, PartialEq, Debug)]
pub enum Found {
    /// One or more places, called in parallel. Never empty.
    Targets(Vec<Target>),
    /// A service of the switch itself.
    Service(Service),
    /// Nowhere, and why.
    Nowhere(Cause),
}

/// Services built into the switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Sends back what it hears.
    Echo,
    /// Plays a steady reference tone.
    Tone,
}

/// What a backend tells. Late reports (about a leg or a call that is gone) are ignored.
#[derive(Clone, PartialEq, Debug)]
pub enum Report {
    /// A party calls in.
    Incoming(Box<Incoming>),
    /// Where an address is.
    Located {
        /// For this call.
        call: CallId,
        /// The address's whereabouts.
        found: Found,
        /// The codecs that its domain wants, if it has wishes of its own.
        codecs: Option<Codecs>,
    },
    /// The request of [`Op::Dial`] is on the wire.
    Dialed {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Its name on the wire.
        wire_id: CompactString,
    },
    /// A called party reports progress.
    Progress {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// 101-199.
        status: u16,
        /// The phrase.
        text: CompactString,
        /// Early media.
        sdp: Option<Sdp>,
    },
    /// A called party has answered; wants [`Op::Confirm`].
    Answered {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Its answer, or its offer where ours was empty.
        sdp: Option<Sdp>,
    },
    /// The party of an incoming leg has acknowledged our answer.
    Confirmed {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Its answer, where the offer was ours.
        sdp: Option<Sdp>,
    },
    /// A party wants to change its session; wants [`Op::Reanswer`].
    Reoffered {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// The new offer; none asks us to make one.
        sdp: Option<Sdp>,
    },
    /// A leg is over: refused, failed, cancelled or hung up. Comes once per leg, whoever ended it.
    Ended {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Why.
        cause: Cause,
    },
}

/// A party that calls in.
#[derive(Clone, PartialEq, Debug)]
pub struct Incoming {
    /// The backend's name for the leg until it is adopted.
    pub handle: Handle,
    /// The leg's name on the wire.
    pub wire_id: CompactString,
    /// Who calls.
    pub from: Address,
    /// Who is called.
    pub to: Address,
    /// The party's offer; none means that it wants ours (late offer).
    pub offer: Option<Sdp>,
    /// Hops that may still follow (Max-Forwards).
    pub hops: u8,
    /// Our address as that party sees it.
    pub near: Option<IpAddr>,
}

// ---------------------------------------------------------------------------------------------
// Media: the same pair once more, for whoever relays the audio.

/// What the media engine is asked to do for a call. Each call has at most one channel per
/// [`Party`]; ops of one call are carried out in order.
#[derive(Clone, PartialEq, Debug)]
pub enum MediaOp {
    /// First op of a call that is anchored here. No report.
    Open {
        /// The call.
        call: CallId,
        /// The offer of a party that has already made one.
        offer: Option<(Party, Sdp)>,
        /// The codecs to offer and accept, best first; none means the engine's own list.
        codecs: Option<Codecs>,
        /// Our address as that party sees it.
        near: Option<IpAddr>,
    },
    /// Make our offer to a party, with the codecs that the other party can use if they are known.
    /// Answered by [`MediaReport::Local`] or [`MediaReport::Refused`].
    MakeOffer {
        /// The call.
        call: CallId,
        /// To which end.
        party: Party,
        /// For which leg of that end: given back in the report. Forked legs share the channel.
        leg: LegId,
        /// Our address as that party sees it; none keeps the channel's.
        near: Option<IpAddr>,
    },
    /// Answer the offer last received from a party, agreeing with what the other party has already
    /// agreed to. Answered by [`MediaReport::Local`] or [`MediaReport::Refused`].
    MakeAnswer {
        /// The call.
        call: CallId,
        /// To which end.
        party: Party,
        /// For which leg: given back in the report.
        leg: LegId,
    },
    /// A party has made a new offer (re-INVITE); [`MediaOp::MakeAnswer`] follows. No report.
    Offered {
        /// The call.
        call: CallId,
        /// From which end.
        party: Party,
        /// Its offer.
        sdp: Sdp,
    },
    /// A party has answered our offer. Reports only [`MediaReport::Refused`] if it cannot be used.
    Accept {
        /// The call.
        call: CallId,
        /// From which end.
        party: Party,
        /// From which leg of that end.
        leg: LegId,
        /// The answer.
        sdp: Sdp,
    },
    /// What a party hears from now on. No report.
    Hear {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
        /// What.
        source: Source,
    },
    /// The call is over: free its channels and ports. No report; nothing follows.
    Close {
        /// The call.
        call: CallId,
    },
}

/// What a party hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nothing is sent.
    Silence,
    /// The other party.
    Peer,
    /// Itself.
    Echo,
    /// The ringing tone.
    Ringback,
    /// A reference tone: 1004 Hz at -16 dBm0.
    Reference,
}

/// What the media engine tells. Late reports are ignored.
#[derive(Clone, PartialEq, Debug)]
pub enum MediaReport {
    /// Our offer or answer is ready.
    Local {
        /// The call.
        call: CallId,
        /// For which end.
        party: Party,
        /// For which leg, as asked.
        leg: LegId,
        /// The description to send.
        sdp: Sdp,
    },
    /// No session is possible: no common codec, a description that cannot be used, no free port.
    Refused {
        /// The call.
        call: CallId,
        /// For which end.
        party: Party,
        /// For which leg, as asked.
        leg: LegId,
        /// Why, as the party is told.
        cause: Cause,
    },
}
