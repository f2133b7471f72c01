//! One party's end of a call, and the call that holds both and, at times, a third.

use std::net::{IpAddr, SocketAddr};

use hookswitch_call::{CallId, LegId, Party, Sdp, Seat, Source, Time};
use hookswitch_codec::Codec;
use hookswitch_sdp::Direction;
use smallvec::SmallVec;

use crate::config::{PortPair, SocketIx};
use crate::inspect::Odd;
use crate::keys::Ear;
use crate::latch::{Latch, RtcpLatch};
use crate::negotiate::{Content, Formats, Negotiated};
use crate::outgoing::{Outgoing, Path};
use crate::quality::Quality;
use crate::recorder::Way;
use crate::recordings::Tape;
use crate::stats::Counters;
use crate::transcode::Transcoder;

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

    /// The same sockets by the numbers of another thread, in the order of [`Sockets::iter`].
    pub fn renumber(&mut self, pairs: &mut impl Iterator<Item = PortPair>) {
        for place in [&mut self.v4, &mut self.v6] {
            if place.is_some() {
                *place = pairs.next();
            }
        }
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
    /// We have put the party on hold: what comes from it goes nowhere.
    pub held: bool,
    /// Its entry among the keyers, while the party is sent keys: it hears nothing else meanwhile.
    pub keyer: Option<u32>,
    /// Its entry among the generators, while the party hears something that is made here.
    pub generator: Option<u32>,
    /// Its entry among the players, while sounds are played to it: it hears nothing else meanwhile.
    pub player: Option<u32>,
    /// Its entry among the members, while the party is in a room.
    pub member: Option<u32>,
    pub sockets: Sockets,
    pub latch: Latch,
    /// What the party is sent.
    pub outgoing: Outgoing,
    pub counters: Counters,
    /// How its packets come.
    pub quality: Quality,
    pub rtcp: RtcpLatch,
    /// When a session was last agreed, or the party was last taken off hold.
    pub agreed_at: Time,
    /// What came and was not to be believed or not agreed.
    pub odd: Odd,
    /// How often its present silence was told.
    pub told_quiet: u8,
    /// Listens for keys that the other end takes no events for; there only in that case.
    pub keys: Option<Box<Ear>>,
    /// Leads to the codec of the other end; there only where that is another one.
    pub transcoder: Option<Box<Transcoder>>,
    /// Records what is said; belongs to the place at the table, and not to whoever has it.
    pub tape: Option<Box<Tape>>,

    /// Our address as the party sees it.
    pub near: Option<IpAddr>,
    /// The party's description that is in force.
    pub remote: Option<Sdp>,
    /// The offer last received from the party, as long as no answer to one of ours has come since.
    pub offer: Option<Sdp>,
    /// Our last offer to the party.
    pub offered: Option<Formats>,
    /// The leg that the session in force was agreed with.
    pub agreed_leg: Option<LegId>,
    /// The same in all our descriptions for the party.
    pub session_id: u64,
    pub versions: SmallVec<[LegVersion; 1]>,
}

impl Channel {
    pub fn new(session_id: u64, outgoing: Outgoing) -> Self {
        Self {
            session: None,
            hears: Source::Silence,
            held: false,
            keyer: None,
            generator: None,
            player: None,
            member: None,
            sockets: Sockets::default(),
            latch: Latch::default(),
            outgoing,
            counters: Counters::default(),
            quality: Quality::default(),
            rtcp: RtcpLatch::default(),
            agreed_at: Time::ZERO,
            odd: Odd::default(),
            told_quiet: 0,
            keys: None,
            transcoder: None,
            tape: None,
            near: None,
            remote: None,
            offer: None,
            offered: None,
            agreed_leg: None,
            session_id,
            versions: SmallVec::new(),
        }
    }

    /// The party's description, in force or only offered.
    pub fn description(&self) -> Option<&Sdp> {
        self.remote.as_ref().or(self.offer.as_ref())
    }

    /// Makes a packet the next that the party is sent, counts it and shows it to whoever records the party. `false`
    /// when it must not be sent. Whatever goes to a party goes this way.
    #[inline]
    pub fn carry(&mut self, now: Time, codec: &'static Codec, content: Content, path: Path, packet: &mut [u8]) -> bool {
        if !self.outgoing.carry(now, codec, content, path, packet) {
            return false;
        }
        self.counters.sent_packets += 1;
        self.counters.sent_octets += packet.len() as u64;
        self.tape(now, Way::Out, content, codec, packet);
        true
    }

    /// Whether it is the other party that this one hears now.
    #[inline]
    pub fn listens_to_peer(&self) -> bool {
        self.hears == Source::Peer && self.keyer.is_none() && self.player.is_none()
    }

    /// Whether it is sounds that it hears now; music on hold comes before them, and they stand still meanwhile.
    pub fn is_played_to(&self) -> bool {
        self.player.is_some() && self.hears != Source::Hold
    }

    /// What was agreed with which leg about who sends.
    pub fn direction(&self) -> Option<(LegId, Direction)> {
        Some((self.agreed_leg?, self.session?.direction))
    }

    /// What our next offer says: on hold we send at most, and not even that to a party which does
    /// not listen (RFC 3264 section 8.4).
    pub fn offered_direction(&self) -> Direction {
        let listens = self.session.is_none_or(|session| session.direction.receives());
        if self.held { Direction::new(listens, false) } else { Direction::SendRecv }
    }

    /// Puts on hold, or takes off. Whoever comes off is given time to speak again.
    pub fn hold(&mut self, now: Time, on: bool) {
        if self.held && !on {
            self.latch.refresh(now);
            self.agreed_at = now;
        }
        self.held = on;
    }

    /// Puts a session with one leg in force.
    pub fn agree(&mut self, now: Time, leg: LegId, session: Negotiated, remote: Sdp) {
        let before = self.latch.source().map(|source| source.ip());
        // Hold at 0.0.0.0 says nothing about where the party is.
        if session.rtp.is_some() || session.direction.receives() {
            self.latch.advertise(now, session.rtp);
        }
        let was_muxed = self.session.is_some_and(|session| session.rtcp_mux);
        if self.latch.source().map(|source| source.ip()) != before || session.rtcp_mux != was_muxed {
            self.rtcp.reset();
        }
        // Whoever only says the same once more, as a refresh does, has agreed to nothing new.
        if self.remote.as_ref() != Some(&remote) || self.agreed_leg != Some(leg) {
            self.agreed_at = now;
        }
        self.session = Some(session);
        self.agreed_leg = Some(leg);
        self.remote = Some(remote);
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

/// A channel beside the table, for somebody who is to take a place at it, or who has lost it.
#[derive(Debug)]
pub(crate) struct Spare {
    /// Whose place.
    pub place: Party,
    pub channel: Channel,
}

/// Both ends of a call, and whoever else has a channel in it.
#[derive(Debug)]
pub(crate) struct Call {
    pub id: CallId,
    /// What may be agreed, best first.
    pub codecs: SmallVec<[&'static Codec; 4]>,
    ends: [Channel; 2],
    /// Hardly any call has one, so it weighs nothing in the others.
    pub spare: Option<Box<Spare>>,
    /// What those who have left the call had sent and had been sent.
    pub left: Option<Box<Counters>>,
    /// How many spare seats were opened.
    pub spares: u32,
}

impl Call {
    pub fn new(id: CallId, codecs: SmallVec<[&'static Codec; 4]>, ends: [Channel; 2]) -> Self {
        Self { id, codecs, ends, spare: None, left: None, spares: 0 }
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

    /// A channel. `None` if it is the spare one and there is none.
    pub fn seat(&self, seat: Seat) -> Option<&Channel> {
        match seat {
            Seat::Of(party) => Some(self.end(party)),
            Seat::Spare => self.spare.as_ref().map(|spare| &spare.channel),
        }
    }

    #[inline]
    pub fn seat_mut(&mut self, seat: Seat) -> Option<&mut Channel> {
        self.pair_mut(seat).map(|(own, _)| own)
    }

    /// The end that somebody in this seat talks with, or would talk with at the table.
    pub fn opposite(&self, seat: Seat) -> Option<Party> {
        match seat {
            Seat::Of(party) => Some(party.other()),
            Seat::Spare => self.spare.as_ref().map(|spare| spare.place.other()),
        }
    }

    /// A channel, and that of the opposite end.
    pub fn pair(&self, seat: Seat) -> Option<(&Channel, &Channel)> {
        Some((self.seat(seat)?, self.end(self.opposite(seat)?)))
    }

    /// The same, to be changed.
    #[inline]
    pub fn pair_mut(&mut self, seat: Seat) -> Option<(&mut Channel, &mut Channel)> {
        match seat {
            Seat::Of(party) => Some(self.both_mut(party)),
            Seat::Spare => {
                let [caller, callee] = &mut self.ends;
                let spare = self.spare.as_mut()?;
                let other = match spare.place {
                    Party::Caller => callee,
                    Party::Callee => caller,
                };
                Some((&mut spare.channel, other))
            }
        }
    }

    /// Whether what comes from a seat goes no further, or not as it came: nobody but us can report what came of it.
    pub fn ends_here(&self, seat: Seat) -> bool {
        let Some((own, other)) = self.pair(seat) else { return false };
        let listens = other.session.is_some_and(|session| session.direction.receives());
        own.transcoder.is_some() || seat == Seat::Spare || other.hears != Source::Peer || !listens
    }

    /// Whoever is in the spare seat and the end whose place it is change places; which end that is.
    pub fn swap(&mut self) -> Option<Party> {
        let [caller, callee] = &mut self.ends;
        let spare = self.spare.as_mut()?;
        let end = match spare.place {
            Party::Caller => caller,
            Party::Callee => callee,
        };
        std::mem::swap(end, &mut spare.channel);
        // A key that is down now is nobody's: it was pressed for another.
        (end.keys, spare.channel.keys) = (None, None);
        // Who comes is in the room in the stead of whoever goes.
        std::mem::swap(&mut end.member, &mut spare.channel.member);
        std::mem::swap(&mut end.tape, &mut spare.channel.tape);
        Some(spare.place)
    }

    /// Everybody who is there.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.ends.iter().chain(self.spare.as_ref().map(|spare| &spare.channel))
    }

    /// The same, to be changed.
    pub fn channels_mut(&mut self) -> impl Iterator<Item = &mut Channel> {
        self.ends.iter_mut().chain(self.spare.as_mut().map(|spare| &mut spare.channel))
    }
}

/// What a socket is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketUse {
    pub call: u32,
    pub seat: Seat,
    pub rtcp: bool,
}
