//! Carriers act: ops go down to a backend, reports come up from it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Address, CallId, Codecs, Handle, LegId, Notes, Orderer, Sdp, Service, Toll};
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
        /// Whose call it is.
        by: Orderer,
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
        /// Early media, if there is some: our answer, or our offer to a party which has made none
        /// and can answer it now ([`Incoming::answers_early`]).
        sdp: Option<Sdp>,
    },
    /// Answer an incoming leg.
    Answer {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Our answer, or our offer if the party sent none. The empty one is none at all.
        sdp: Sdp,
    },
    /// Acknowledge the answer of a leg that we called, or answer the offer that it made before
    /// ([`Dial::answers_early`]).
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
    /// Change the session of an answered leg (re-INVITE or UPDATE); answered by
    /// [`Report::Reaccepted`], exactly once unless the leg ends first. One at a time for each leg.
    Reoffer {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Our offer; none asks the party to make one.
        sdp: Option<Sdp>,
        /// What the party is told besides.
        notes: Notes,
    },
    /// Take back a change under way ([`Op::Reoffer`]), if that can still be: [`Report::Reaccepted`]
    /// says what came of it, `Ok` where the party was quicker.
    Withdraw {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
    },
    /// Ask the party of an answered leg to call somebody else (REFER); answered by
    /// [`Report::ReferAnswered`] and then by [`Report::ReferProgress`].
    Refer {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Whom it is to call.
        to: Address,
        /// The leg that the new call replaces: attended transfer. It may belong to another call.
        replaces: Option<(CallId, LegId)>,
        /// On whose behalf (Referred-By).
        by: Option<Address>,
    },
    /// Answer to [`Report::ReferAsked`]: whether we do as we are asked.
    AnswerRefer {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// `Err` refuses.
        result: Result<(), Cause>,
    },
    /// How far we have come with what [`Report::ReferAsked`] asked (NOTIFY).
    TellRefer {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// 100-699; from 200 it is the last word.
        status: u16,
        /// The phrase.
        text: CompactString,
    },
    /// Bring something to the party of an answered leg; answered by [`Report::Delivered`].
    Deliver {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Given back in the report.
        receipt: u64,
        /// What.
        parcel: Parcel,
    },
    /// Answer to [`Report::Brought`].
    Receipt {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// From the report.
        receipt: u64,
        /// 200-699.
        status: u16,
    },
    /// The leg has another name from now on: it has passed to another call. No report; reports that
    /// are under way come under the new name.
    Move {
        /// Its name so far.
        from: (CallId, LegId),
        /// Its name from now on; not in use.
        to: (CallId, LegId),
    },
    /// The party of a leg talks with a conference from now on, or does not any more; it is told with whatever it is
    /// told next (`isfocus`, RFC 4579).
    Focus {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Whether it does.
        on: bool,
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
    /// An offer that the party makes before it answers can be answered, by [`Op::Confirm`]. Of no
    /// meaning beside an offer of ours.
    pub answers_early: bool,
    /// The name to give the leg on the wire, if somebody chose one.
    pub wire_id: Option<CompactString>,
    /// Hops that may still follow (Max-Forwards).
    pub hops: u8,
    /// What is shown of the caller beside its address.
    pub identity: Identity,
    /// Who was to be called before, oldest first.
    pub diversions: Vec<Diversion>,
    /// How the party is alerted.
    pub alerting: Alerting,
    /// On whose behalf the party is called (Referred-By), after a transfer.
    pub referred_by: Option<Address>,
    /// Whom it will talk with, as a command has it, where it is rung up first.
    pub meets: Option<Address>,
}

/// What is shown of a caller beside its address.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Identity {
    /// The display name as the caller wrote it, in whatever encoding, without its quotes.
    pub display: Option<Arc<[u8]>>,
    /// Who the caller is on the word of somebody trusted (RFC 3325).
    pub asserted: Option<Address>,
    /// The caller wishes to stay unknown to the called party (RFC 3323).
    pub private: bool,
}

/// One time that a call was turned away from where it was going (RFC 5806, RFC 7044).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diversion {
    /// Who was to be called.
    pub from: Address,
    /// Why somebody else is.
    pub why: Diverting,
}

/// Why a call is turned away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diverting {
    /// Always.
    Always,
    /// The party is busy.
    Busy,
    /// It does not answer.
    NoAnswer,
    /// It cannot be reached.
    Unreachable,
}

/// How a party is alerted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Alerting {
    /// Which ringing tone (the value of Alert-Info).
    pub tone: Option<CompactString>,
    /// The phone shall answer by itself after so many seconds.
    pub answer_after: Option<u16>,
}

/// Something that one party sends to the other within a call: the core does not look inside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parcel {
    /// How it is sent.
    pub kind: ParcelKind,
    /// What it is (Content-Type); empty when there is no body.
    pub content_type: CompactString,
    /// The body.
    pub body: Arc<[u8]>,
}

/// How something is sent within a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParcelKind {
    /// Signalling of the application (INFO, RFC 6086).
    Info,
    /// Text for the person (MESSAGE, RFC 3428).
    Message,
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
    /// Places of the same group are called together, groups one after the other in ascending order.
    pub group: u8,
    /// How long after its group began this place is called.
    pub after: Duration,
    /// How long it may ring; none means as long as the group may.
    pub ring_time: Option<Duration>,
    /// Whom a call to this place costs something, if anybody.
    pub toll: Option<Arc<Toll>>,
}

impl Target {
    /// A place that is called at once.
    #[must_use]
    pub const fn new(address: Address, via: Option<u64>, near: Option<IpAddr>) -> Self {
        Self { address, via, near, group: 0, after: Duration::ZERO, ring_time: None, toll: None }
    }
}

/// The answer to [`Op::Locate`].
#[derive(Clone, PartialEq, Debug)]
pub enum Found {
    /// One or more places, in groups. Never empty.
    Targets(Vec<Target>),
    /// Somebody else is to be called; wants another [`Op::Locate`].
    Diverted {
        /// Who.
        to: Address,
        /// Why.
        why: Diverting,
    },
    /// A service of the switch itself.
    Service(Service),
    /// Nowhere, and why.
    Nowhere(Cause),
}

/// Whom to call when a party does not answer the call.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Forwards {
    /// When it is busy or declines.
    pub busy: Option<Address>,
    /// When it does not answer.
    pub no_answer: Option<Address>,
    /// How long it rings before that; none means [`Limits::ring_time`](crate::Limits::ring_time).
    pub no_answer_after: Option<Duration>,
    /// When none of its places can be reached.
    pub unreachable: Option<Address>,
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
        /// Whom to call when nobody there answers.
        forwards: Option<Box<Forwards>>,
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
        /// Early media: its answer to our offer. Where ours was empty its own offer, which wants
        /// [`Op::Confirm`] before the party can answer the call.
        sdp: Option<Sdp>,
    },
    /// A called party names others that are to be called in its place (3xx); [`Report::Ended`] of
    /// the leg follows.
    Redirected {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Whom, best first.
        to: Vec<Address>,
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
    /// The party of an incoming leg has acknowledged our answer, or has answered our offer in
    /// [`Op::Ring`].
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
    /// A party takes back its change ([`Report::Reoffered`]): its session is as it was, and an answer
    /// finds nobody any more.
    Withdrawn {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
    },
    /// The answer to [`Op::Reoffer`].
    Reaccepted {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// The party's answer; its offer where ours was empty, which wants [`Op::Confirm`]. `Err`
        /// means that the session is as it was.
        sdp: Result<Option<Sdp>, Cause>,
    },
    /// A party asks us to connect it, or whom it talks to, with somebody else (REFER); wants
    /// [`Op::AnswerRefer`], and if that accepts [`Op::TellRefer`].
    ReferAsked {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// With whom.
        to: ReferTo,
        /// On whose behalf, as the party says.
        by: Option<Address>,
    },
    /// Whether a party does what [`Op::Refer`] asked.
    ReferAnswered {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// `Err` says why not; nothing follows then.
        result: Result<(), Cause>,
    },
    /// How far a party has come with what [`Op::Refer`] asked (NOTIFY).
    ReferProgress {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// 100-699; from 200 it is the last word.
        status: u16,
        /// The phrase.
        text: CompactString,
    },
    /// A party sends something to the other one; wants [`Op::Receipt`].
    Brought {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// To be given back.
        receipt: u64,
        /// What.
        parcel: Parcel,
    },
    /// The answer to [`Op::Deliver`].
    Delivered {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// As given.
        receipt: u64,
        /// 200-699.
        status: u16,
    },
    /// A party has pressed a key, told by its carrier (INFO).
    Digit {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Which, and how long.
        digit: Digit,
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

/// With whom a party wants somebody to be connected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferTo {
    /// Whoever is at this address (blind transfer).
    Address(Address),
    /// Whoever is at the other end of this leg of ours (attended transfer).
    Leg(CallId, LegId),
}

/// The leg that a party who calls in wants to take over (RFC 3891).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replaces {
    /// Its call.
    pub call: CallId,
    /// The leg.
    pub leg: LegId,
    /// Only if it is not answered yet.
    pub early_only: bool,
}

/// A key of a telephone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Digit {
    /// `0`-`9`, `*`, `#`, `A`-`D`; and `F`, a flash, which is only sent, and to parties that take telephone events.
    pub key: char,
    /// How long it was pressed.
    pub time: Duration,
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
    /// Without an offer of its own it can answer ours before its call is answered: an offer in
    /// [`Op::Ring`], and its answer in [`Report::Confirmed`].
    pub answers_early: bool,
    /// Hops that may still follow (Max-Forwards).
    pub hops: u8,
    /// Our address as that party sees it.
    pub near: Option<IpAddr>,
    /// What is shown of the caller beside its address.
    pub identity: Identity,
    /// Who was to be called before, oldest first.
    pub diversions: Vec<Diversion>,
    /// How the called party is to be alerted.
    pub alerting: Alerting,
    /// On whose behalf the party calls (Referred-By).
    pub referred_by: Option<Address>,
    /// The leg that it wants to take over.
    pub replaces: Option<Replaces>,
}
