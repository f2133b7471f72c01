//! Media: the same pair once more, for whoever relays the audio.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{CallId, Codecs, LegId, Party, Sdp};
use crate::cause::Cause;

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
    /// Nothing has come from a party that said it sends, for as long as the engine was told to
    /// wait. Said again while it lasts.
    Silent {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
    },
}
