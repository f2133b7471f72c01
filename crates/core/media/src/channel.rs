//! One party's end of a call, and the call that holds both.

use std::net::{IpAddr, SocketAddr};

use hookswitch_call::{CallId, LegId, Party, Sdp, Source, Time};
use hookswitch_codec::Codec;
use smallvec::SmallVec;

use crate::config::{PortPair, SocketIx};
use crate::latch::{Latch, RtcpLatch};
use crate::negotiate::{Formats, Negotiated};
use crate::outgoing::Outgoing;
use crate::stats::Counters;

/// Most legs of one end whose description versions are remembered: as many as may be forked, and one
/// that was there before. The oldest is forgotten first.
pub(crate) const MAX_LEGS: usize = hookswitch_call::MAX_BRANCHES + 1;

/// The sockets of a channel: at most one pair per family. There are two only if one end is reached
/// at branches of both.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sockets {
    v4: Option<PortPair>,
    v6: Option<PortPair>,
}

impl Sockets {
    pub fn get(&self, v6: bool) -> Option<PortPair> {
        if v6 { self.v6 } else { self.v4 }
    }

    pub fn set(&mut self, v6: bool, pair: PortPair) {
        *(if v6 { &mut self.v6 } else { &mut self.v4 }) = Some(pair);
    }

    pub fn iter(&self) -> impl Iterator<Item = PortPair> {
        [self.v4, self.v6].into_iter().flatten()
    }

    #[inline]
    pub fn rtp_towards(&self, to: SocketAddr) -> Option<SocketIx> {
        self.get(to.is_ipv6()).map(|pair| pair.rtp)
    }

    pub fn rtcp_towards(&self, to: SocketAddr) -> Option<SocketIx> {
        self.get(to.is_ipv6()).map(|pair| pair.rtcp)
    }
}

/// The description last made for one leg.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LegVersion {
    pub leg: LegId,
    pub version: u64,
    pub fingerprint: u64,
}

/// One party's end. What the packet path needs stands first.
#[derive(Debug)]
pub(crate) struct Channel {
    pub session: Option<Negotiated>,
    pub hears: Source,
    /// Its entry among the generators, while the party hears something that is made here.
    pub generator: Option<u32>,
    pub sockets: Sockets,
    pub latch: Latch,
    /// What the party is sent.
    pub outgoing: Outgoing,
    pub counters: Counters,
    pub rtcp: RtcpLatch,
    /// When a session was last agreed.
    pub agreed_at: Time,

    /// Our address as the party sees it.
    pub near: Option<IpAddr>,
    /// The party's description that is in force.
    pub remote: Option<Sdp>,
    /// The offer last received from the party, as long as no answer to one of ours has come since.
    pub offer: Option<Sdp>,
    /// Our last offer to the party.
    pub offered: Option<Formats>,
    /// The same in all our descriptions for the party.
    pub session_id: u64,
    pub versions: SmallVec<[LegVersion; 1]>,
}

impl Channel {
    pub fn new(session_id: u64, outgoing: Outgoing) -> Self {
        Self {
            session: None,
            hears: Source::Silence,
            generator: None,
            sockets: Sockets::default(),
            latch: Latch::default(),
            outgoing,
            counters: Counters::default(),
            rtcp: RtcpLatch::default(),
            agreed_at: Time::ZERO,
            near: None,
            remote: None,
            offer: None,
            offered: None,
            session_id,
            versions: SmallVec::new(),
        }
    }

    /// The party's description, in force or only offered.
    pub fn description(&self) -> Option<&Sdp> {
        self.remote.as_ref().or(self.offer.as_ref())
    }

    /// Puts a session in force.
    pub fn agree(&mut self, now: Time, session: Negotiated, remote: Sdp) {
        let before = self.latch.source().map(|source| source.ip());
        // Hold at 0.0.0.0 says nothing about where the party is.
        if session.rtp.is_some() || session.direction.receives() {
            self.latch.advertise(now, session.rtp);
        }
        let was_muxed = self.session.is_some_and(|session| session.rtcp_mux);
        if self.latch.source().map(|source| source.ip()) != before || session.rtcp_mux != was_muxed {
            self.rtcp.reset();
        }
        self.session = Some(session);
        self.remote = Some(remote);
        self.agreed_at = now;
    }

    /// The version of a description for a leg: one more than the last if it says something else
    /// (RFC 3264 section 8).
    pub fn version(&mut self, leg: LegId, fingerprint: u64) -> u64 {
        if let Some(known) = self.versions.iter_mut().find(|known| known.leg == leg) {
            if known.fingerprint != fingerprint {
                known.fingerprint = fingerprint;
                known.version += 1;
            }
            return known.version;
        }
        if self.versions.len() == MAX_LEGS {
            self.versions.remove(0);
        }
        let version = 1;
        self.versions.push(LegVersion { leg, version, fingerprint });
        version
    }
}

/// Both ends of a call.
#[derive(Debug)]
pub(crate) struct Call {
    pub id: CallId,
    /// What may be agreed, best first.
    pub codecs: SmallVec<[&'static Codec; 4]>,
    ends: [Channel; 2],
}

impl Call {
    pub fn new(id: CallId, codecs: SmallVec<[&'static Codec; 4]>, ends: [Channel; 2]) -> Self {
        Self { id, codecs, ends }
    }

    #[inline]
    pub fn end(&self, party: Party) -> &Channel {
        let [caller, callee] = &self.ends;
        match party {
            Party::Caller => caller,
            Party::Callee => callee,
        }
    }

    #[inline]
    pub fn end_mut(&mut self, party: Party) -> &mut Channel {
        self.both_mut(party).0
    }

    /// A party's end, and the other.
    #[inline]
    pub fn both_mut(&mut self, party: Party) -> (&mut Channel, &mut Channel) {
        let [caller, callee] = &mut self.ends;
        match party {
            Party::Caller => (caller, callee),
            Party::Callee => (callee, caller),
        }
    }

    pub fn port_pairs(&self) -> impl Iterator<Item = PortPair> + '_ {
        self.ends.iter().flat_map(|end| end.sockets.iter())
    }
}

/// What a socket is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketUse {
    pub call: u32,
    pub party: Party,
    pub rtcp: bool,
}
