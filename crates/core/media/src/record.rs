//! The state of a call as plain data, to be kept outside of the process.

use std::net::{IpAddr, SocketAddr};

use hookswitch_call::{CallId, LegId, Party, Sdp, Source};
use serde::{Deserialize, Serialize};

use crate::channel::{Call, Channel};
use crate::engine::Engine;
use crate::negotiate::PayloadTypes;
use crate::outgoing::Outgoing;
use crate::stats::Counters;

/// All that is known of a call's media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRecord {
    /// Which call.
    pub call: CallId,
    /// The codecs that may be agreed, best first.
    pub codecs: Vec<String>,
    /// The calling party's end.
    pub caller: EndRecord,
    /// The called party's end.
    pub callee: EndRecord,
    /// The spare seat, if it is open: whose place it is for, and who is there.
    pub spare: Option<(Party, EndRecord)>,
    /// How many spare seats were opened.
    pub spares: u32,
    /// What was counted of those who have left.
    pub left: Counters,
}

/// One party's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// What the party hears.
    pub hears: Source,
    /// Whether we have put it on hold.
    pub held: bool,
    /// Our ports, if it has any.
    pub ports: Vec<u16>,
    /// Our address as the party sees it.
    pub near: Option<IpAddr>,
    /// The party's description in force. What was agreed follows from it, but for our numbers.
    pub remote: Option<Sdp>,
    /// An offer of the party's.
    pub offer: Option<Sdp>,
    /// The agreed codec, and our numbers for it and for telephone-event.
    pub agreed: Option<(String, u8, Option<u8>)>,
    /// The leg that this was agreed with.
    pub agreed_leg: Option<LegId>,
    /// The source that is believed.
    pub source: Option<SocketAddr>,
    /// The stream that the party is sent: where it stands, and what its present source is moved by.
    pub outgoing: Outgoing,
    /// The session id in our descriptions.
    pub session_id: u64,
    /// For each leg, the version of our last description and its fingerprint.
    pub versions: Vec<(LegId, u64, u64)>,
    /// What was counted.
    pub counters: Counters,
}

impl EndRecord {
    fn of(end: &Channel) -> Self {
        Self {
            hears: end.hears,
            held: end.held,
            ports: end.sockets.iter().map(|pair| pair.port).collect(),
            near: end.near,
            remote: end.remote.clone(),
            offer: end.offer.clone(),
            agreed: end.session.map(|session| {
                let PayloadTypes { audio, event, noise: _ } = session.receive;
                (session.codec.label.to_owned(), audio, event)
            }),
            agreed_leg: end.agreed_leg,
            source: end.latch.source(),
            outgoing: end.outgoing.clone(),
            session_id: end.session_id,
            versions: end.versions.iter().map(|known| (known.leg, known.version, known.fingerprint)).collect(),
            counters: end.counters,
        }
    }
}

impl Engine {
    /// A call's state. `None` if it is not here.
    #[must_use]
    pub fn record(&self, call: CallId) -> Option<MediaRecord> {
        let call: &Call = self.call(call)?;
        Some(MediaRecord {
            call: call.id,
            codecs: call.codecs.iter().map(|c| c.label.to_owned()).collect(),
            caller: EndRecord::of(call.end(Party::Caller)),
            callee: EndRecord::of(call.end(Party::Callee)),
            spare: call.spare.as_ref().map(|spare| (spare.place, EndRecord::of(&spare.channel))),
            spares: call.spares,
            left: call.left.as_deref().copied().unwrap_or_default(),
        })
    }
}
