//! Carriers act: ops go down to a backend, reports come up from it.

use std::net::IpAddr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Address, CallId, Codecs, Handle, LegId, Sdp};
use crate::cause::Cause;

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
    /// Find out whether the party of an answered leg is still there. If it is not, the leg ends.
    Probe {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
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
