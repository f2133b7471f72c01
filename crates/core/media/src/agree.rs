//! Carrying out offers and answers: descriptions of ours, with ports, and what is agreed by them.

use std::net::IpAddr;

use hookswitch_call::{CallId, LegId, Sdp, Seat, Time};
use hookswitch_sdp::{Direction, OwnOrigin, SessionDescription};

use crate::channel::{Channel, SocketUse};
use crate::config::{MAX_SOCKETS, PortPair, Ports};
use crate::describe::Draft;
use crate::engine::Engine;
use crate::negotiate::{Formats, Local, Negotiated, Peer, Refusal, accept, make_answer, make_offer};

impl Engine {
    pub(crate) fn offer(
        &mut self,
        id: CallId,
        seat: Seat,
        leg: LegId,
        near: Option<IpAddr>,
        ports: &mut dyn Ports,
    ) -> Result<Sdp, Refusal> {
        let index = self.index_of(id)?;
        let call = self.calls.get_mut(index as usize).ok_or(Refusal::NoSuchCall)?;
        let codecs = call.codecs.clone();
        let opposite = call.opposite(seat).ok_or(Refusal::NoSpareSeat)?;
        let (end, other) = call.pair_mut(seat).ok_or(Refusal::NoSpareSeat)?;
        end.near = near.or(end.near);
        let mirror = parse_option(other.description())?;
        let peer = match (&other.session, &mirror) {
            (Some(session), _) => Peer::Agreed(session),
            (None, Some(offer)) => Peer::Offer(offer),
            (None, None) => Peer::Unknown,
        };
        let mut formats = Formats::to_offer(&codecs, peer, end.session.as_ref(), self.config.inband_keys)?;
        // Who has agreed to what the other party uses is not tempted to something else. Another leg may be unable to.
        let shares = other.session.zip(end.session).is_some_and(|(other, own)| other.codec == own.codec);
        if shares && end.agreed_leg == Some(leg) {
            formats.keep_common();
        }
        let earlier = match &end.session {
            Some(session) => parse_option(end.remote.as_ref())?.map(|sdp| (sdp, session.audio_index)),
            None => None,
        };
        let direction = end.offered_direction();
        // Whoever has called in needs an answer later; better to know now that there can be one.
        let other_waits = other.offer.is_some();
        let local = Local { direction, ..self.local(index, seat, ports)? };
        if other_waits {
            self.local(index, opposite.into(), ports)?;
        }
        let earlier = earlier.as_ref().map(|(sdp, audio)| (sdp, *audio));
        let draft = make_offer(&local, &formats, mirror.as_ref(), earlier);
        let end = self.channel_at(index, seat)?;
        end.offered = Some(formats);
        Ok(finish(end, leg, local.address, &draft))
    }

    pub(crate) fn answer(
        &mut self,
        now: Time,
        id: CallId,
        seat: Seat,
        leg: LegId,
        ports: &mut dyn Ports,
    ) -> Result<Sdp, Refusal> {
        let index = self.index_of(id)?;
        let call = self.calls.get(index as usize).ok_or(Refusal::NoSuchCall)?;
        let codecs = call.codecs.clone();
        let (end, other) = call.pair(seat).ok_or(Refusal::NoSpareSeat)?;
        let text = end.offer.clone().ok_or(Refusal::NoOffer)?;
        let offer = SessionDescription::parse(text.0.as_bytes())?;
        let mirror = parse_option(other.description())?;
        let (agreed, present) = (other.session, end.session.map(|session| session.codec));
        let local = self.local(index, seat, ports)?;
        let (draft, session) = make_answer(&offer, &codecs, agreed.as_ref(), present, &local, mirror.as_ref())?;
        let end = self.channel_at(index, seat)?;
        check_family(end, &session)?;
        end.agree(now, leg, session, text);
        let sdp = finish(end, leg, local.address, &draft);
        self.listen_for_keys(index);
        self.fit_codecs(now, index);
        Ok(sdp)
    }

    pub(crate) fn accept(&mut self, now: Time, id: CallId, seat: Seat, leg: LegId, sdp: Sdp) -> Result<(), Refusal> {
        let index = self.index_of(id)?;
        let call = self.calls.get_mut(index as usize).ok_or(Refusal::NoSuchCall)?;
        let (end, other) = call.pair_mut(seat).ok_or(Refusal::NoSpareSeat)?;
        let answer = SessionDescription::parse(sdp.0.as_bytes())?;
        let offered = end.offered.as_ref().ok_or(Refusal::NoOffer)?;
        let audio_index = end.session.map_or(0, |session| session.audio_index);
        let agreed = other.session.map(|session| session.codec);
        let session = accept(offered, audio_index, &answer, agreed)?;
        check_family(end, &session)?;
        end.offer = None;
        end.agree(now, leg, session, sdp);
        self.listen_for_keys(index);
        self.fit_codecs(now, index);
        Ok(())
    }

    fn channel_at(&mut self, index: u32, seat: Seat) -> Result<&mut Channel, Refusal> {
        let call = self.calls.get_mut(index as usize).ok_or(Refusal::NoSuchCall)?;
        call.seat_mut(seat).ok_or(Refusal::NoSpareSeat)
    }

    /// Our end towards a party; takes ports if there are none yet.
    fn local(&mut self, index: u32, seat: Seat, ports: &mut dyn Ports) -> Result<Local, Refusal> {
        let policy = self.config.address;
        let end = self.channel_at(index, seat)?;
        let address = policy.address(end.near);
        let v6 = address.is_ipv6();
        let direction = if end.held { Direction::SendOnly } else { Direction::SendRecv };
        let pair = match end.sockets.get(v6) {
            Some(pair) => pair,
            None => {
                let pair = ports.take(v6).ok_or(Refusal::NoPorts)?;
                if pair.rtp.0.max(pair.rtcp.0) >= MAX_SOCKETS {
                    ports.give_back(pair);
                    return Err(Refusal::NoPorts);
                }
                end.sockets.set(v6, pair);
                self.port_pairs += 1;
                self.assign(pair, index, seat);
                pair
            }
        };
        let sounds = self.config.inband_keys;
        Ok(Local { address, port: pair.port, ptime: self.config.ptime, direction, sounds })
    }

    pub(crate) fn assign(&mut self, pair: PortPair, call: u32, seat: Seat) {
        let last = pair.rtp.0.max(pair.rtcp.0) as usize;
        if self.sockets.len() <= last {
            self.sockets.resize(last + 1, None);
        }
        debug_assert!(
            [pair.rtp, pair.rtcp].iter().all(|socket| self.sockets.get(socket.0 as usize) == Some(&None)),
            "the driver gave out a socket twice"
        );
        self.seat_sockets(pair, call, seat);
    }

    /// Packets for these sockets concern that seat from now on.
    pub(crate) fn seat_sockets(&mut self, pair: PortPair, call: u32, seat: Seat) {
        for (socket, rtcp) in [(pair.rtp, false), (pair.rtcp, true)] {
            if let Some(slot) = self.sockets.get_mut(socket.0 as usize) {
                *slot = Some(SocketUse { call, seat, rtcp });
            }
        }
    }
}

fn parse_option(sdp: Option<&Sdp>) -> Result<Option<SessionDescription>, Refusal> {
    let parsed = sdp.map(|sdp| SessionDescription::parse(sdp.0.as_bytes()));
    Ok(parsed.transpose()?)
}

/// A party that answers with an address of the other family cannot be reached from the socket that
/// its media comes to, and media from elsewhere would not pass its NAT.
fn check_family(end: &Channel, session: &Negotiated) -> Result<(), Refusal> {
    match session.rtp {
        Some(rtp) if end.sockets.rtp_towards(rtp).is_none() => Err(Refusal::WrongFamily),
        _ => Ok(()),
    }
}

fn finish(end: &mut Channel, leg: LegId, address: IpAddr, draft: &Draft) -> Sdp {
    let origin = OwnOrigin {
        username: "-",
        session_id: end.session_id,
        session_version: end.version(leg, draft.fingerprint()),
        address,
    };
    Sdp(draft.finish(&origin).into())
}
