//! The packet path: one look-up by socket number, a few comparisons, and at most four fields of the
//! header rewritten. Nothing here allocates, hashes or copies, but for reports that have to be
//! translated and audio that has to be transcoded.

use std::net::SocketAddr;

use hookswitch_call::{Seat, Source, Time};
use hookswitch_rtp::{Compound, Packet, is_rtcp};
use slab::Slab;

use crate::channel::{Channel, SocketUse};
use crate::config::SocketIx;
use crate::engine::Engine;
use crate::generate::{Generator, Reporting, begin_to_report};
use crate::keys::{Presser, hears_events, take_event, takes_events, takes_keys};
use crate::keys_in_sound::keys_in;
use crate::latch::LatchConfig;
use crate::negotiate::Content;
use crate::outgoing::Path;
use crate::player::{Player, barge_in, interrupt};
use crate::recorder::Way;
use crate::report::{Streams, blocks_in, sender_report_in};
use crate::stats::DropReason;
use crate::transcode::Workplace;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// Nothing.
    Drop(DropReason),
    /// The buffer holds what is to be sent.
    Send {
        /// From this socket.
        socket: SocketIx,
        /// To this address.
        to: SocketAddr,
        /// So many bytes from the buffer's beginning.
        len: usize,
    },
}

impl Engine {
    /// Takes one packet as it was received, the first `len` bytes of a buffer, rewrites it where it has to be, and says
    /// where it goes. What is made of it may be longer than it was, and is cut off where the buffer ends: give one with
    /// room for a packet of any length. [`send_ready`](Self::send_ready) is to follow. `from` is an IPv4 address on
    /// sockets of that family, not one mapped into IPv6.
    pub fn handle_packet(
        &mut self,
        now: Time,
        socket: SocketIx,
        from: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Forward {
        let len = len.min(buffer.len());
        let used = self.sockets.get(socket.0 as usize).copied().flatten();
        let call = used.and_then(|used| Some((used, self.calls.get_mut(used.call as usize)?)));
        let Some((used, call)) = call else {
            self.closed_counters.drop(DropReason::UnknownSocket);
            return Forward::Drop(DropReason::UnknownSocket);
        };
        let (id, at_table) = (call.id, used.seat != Seat::Spare);
        // The sockets of a spare seat are forgotten with it.
        let Some((sender, other)) = call.pair_mut(used.seat) else {
            return Forward::Drop(DropReason::UnknownSocket);
        };
        let packet = buffer.get_mut(..len).unwrap_or_default();
        let result = if used.rtcp {
            relay_report(now, sender, other, at_table, from, packet, &mut self.generators)
        } else {
            let received = receive(now, &self.config.latch, sender, from, packet);
            if let (Ok(content), Seat::Of(party)) = (received, used.seat) {
                cut_in(&mut self.players, sender, content);
                if content == Content::Event && takes_keys(sender, other) {
                    let who = Presser { index: used.call, call: id, party, passed: hears_events(other) };
                    take_event(now, who, sender, packet, &mut self.keys_down, &mut self.reports);
                }
                let sounds = keys_in(now, sender, other, content, packet);
                if !sounds.is_empty() {
                    return self.take_sounds(now, used.call, party, sounds);
                }
            }
            match received {
                // As media it was refused for its payload type, or its length.
                Err(DropReason::PayloadType | DropReason::Malformed) if is_muxed_report(sender, packet) => {
                    relay_report(now, sender, other, at_table, from, packet, &mut self.generators)
                }
                Err(reason) => Err(reason),
                Ok(Content::Event) if at_table && !takes_events(other) && takes_keys(sender, other) => {
                    Err(DropReason::Consumed)
                }
                Ok(content) if at_table && sender.hears == Source::Room => {
                    return self.rooms.put(now, sender, content, packet);
                }
                Ok(content) if at_table && other.listens_to_peer() => {
                    pass_on(now, sender, other, content, (buffer, len), &mut self.workplace)
                }
                Ok(content) if sender.hears == Source::Echo && sender.player.is_none() => {
                    return_to(now, sender, content, packet, &mut self.generators)
                }
                Ok(_) => end_here(now, used, sender, (&mut self.generators, &mut self.random, &mut self.next_report)),
            }
        };
        match result {
            Ok(Sending { socket, to, len }) => Forward::Send { socket, to, len },
            Err(reason) => {
                sender.counters.drop(reason);
                if matches!(reason, DropReason::Source | DropReason::PayloadType | DropReason::Malformed) {
                    sender.note_odd(now, reason, used.rtcp, from, buffer.get(..len).unwrap_or_default());
                }
                Forward::Drop(reason)
            }
        }
    }
}

/// What a party does that is played to may end that.
#[inline]
fn cut_in(players: &mut Slab<Box<Player>>, sender: &mut Channel, content: Content) {
    if sender.player.is_none() {
        return;
    }
    match content {
        Content::Event => interrupt(players, sender),
        Content::Audio => barge_in(players, sender),
        Content::Noise => {}
    }
}

/// Where the first `len` bytes of a buffer go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    pub socket: SocketIx,
    pub to: SocketAddr,
    pub len: usize,
}

pub(crate) type Destination = Result<Sending, DropReason>;

/// Checks a packet, and says what it holds.
#[inline]
fn receive(
    now: Time,
    config: &LatchConfig,
    sender: &mut Channel,
    from: SocketAddr,
    packet: &[u8],
) -> Result<Content, DropReason> {
    let session = sender.session.as_ref().ok_or(DropReason::NotNegotiated)?;
    let rtp = Packet::parse(packet).map_err(|_| DropReason::Malformed)?;
    let content = session.content(rtp.payload_type()).ok_or(DropReason::PayloadType)?;
    // Before the latch: who has said that it is silent, or is not to be heard, gives a stranger no chance to be learned.
    if !session.direction.sends() || sender.held {
        sender.quality.pause();
        return Err(DropReason::Held);
    }
    if !sender.latch.admit(now, config, from, rtp.ssrc(), rtp.sequence()) {
        return Err(DropReason::Source);
    }
    let counters = &mut sender.counters;
    counters.received_packets += 1;
    counters.received_octets += packet.len() as u64;
    counters.last_rtp_at = Some(now);
    if counters.first_rtp_at.is_none() {
        counters.first_rtp_at = Some(now);
    }
    sender.quality.note(now, session.codec, content, &rtp, counters);
    let codec = session.codec;
    sender.tape(now, Way::In, content, codec, packet);
    Ok(content)
}

/// To the other party: as it is, or in that one's codec.
#[inline]
fn pass_on(
    now: Time,
    sender: &mut Channel,
    other: &mut Channel,
    content: Content,
    (buffer, len): (&mut [u8], usize),
    place: &mut Workplace,
) -> Destination {
    let path = Path::Relayed(sender.latch.locks());
    let Some(transcoder) = &mut sender.transcoder else {
        return send_on(now, other, content, path, buffer, len);
    };
    let arrival = sender.quality.arrival();
    let sent = transcoder.pass(now, other, (content, path, arrival), (buffer, len), place);
    sender.counters.concealed_frames += transcoder.concealed(place);
    sender.quality.impression.hear(now, place.sound());
    other.outgoing.claim();
    sent
}

/// Back to the party that it has come from.
fn return_to(
    now: Time,
    sender: &mut Channel,
    content: Content,
    packet: &mut [u8],
    generators: &mut Slab<Generator>,
) -> Destination {
    let entry = sender.generator.map(|key| key as usize);
    let echo = entry.and_then(|key| generators.get_mut(key)).ok_or(DropReason::NoListener)?;
    let (path, len) = (Path::Returned(sender.latch.locks()), packet.len());
    let sent = send_on(now, sender, content, path, packet, len);
    echo.has_sent |= sent.is_ok();
    sent
}

/// Nobody hears it: all that can be done is to tell the party what came of it.
fn end_here(now: Time, used: SocketUse, sender: &mut Channel, reporting: Reporting<'_>) -> Destination {
    begin_to_report(now, (used.call, used.seat), sender, reporting);
    Err(DropReason::NoListener)
}

/// Gives the packet in a buffer the receiver's payload type, and its place in the receiver's stream.
#[inline]
pub(crate) fn send_on(
    now: Time,
    receiver: &mut Channel,
    content: Content,
    path: Path,
    buffer: &mut [u8],
    len: usize,
) -> Destination {
    let packet = buffer.get_mut(..len).ok_or(DropReason::Malformed)?;
    let session = receiver.session.as_ref().ok_or(DropReason::NoDestination)?;
    if !session.direction.receives() {
        return Err(DropReason::Held);
    }
    let number = session.number_for(content).ok_or(match content {
        Content::Audio | Content::Event => DropReason::PayloadType,
        // Without it there is silence, which is near enough.
        Content::Noise => DropReason::Consumed,
    })?;
    let to = receiver.latch.destination().ok_or(DropReason::NoDestination)?;
    let socket = receiver.sockets.rtp_towards(to);
    let socket = socket.ok_or(DropReason::NoDestination)?;
    if let Some(byte) = packet.get_mut(1)
        && *byte & 0x7f != number
    {
        *byte = (*byte & 0x80) | number;
    }
    if !receiver.carry(now, session.codec, content, path, packet) {
        return Err(DropReason::Late);
    }
    Ok(Sending { socket, to, len })
}

/// Reports go through between two parties at the table of which at least one hears the other, hold or not
/// (RFC 3264 section 5.1): unchanged where they speak of sources and sequence numbers that went
/// through unchanged as well, else translated.
fn relay_report(
    now: Time,
    sender: &mut Channel,
    other: &mut Channel,
    at_table: bool,
    from: SocketAddr,
    packet: &mut [u8],
    generators: &mut Slab<Generator>,
) -> Destination {
    let session = sender.session.as_ref().ok_or(DropReason::NotNegotiated)?;
    let compound = Compound::parse_reduced(packet).map_err(|_| DropReason::Malformed)?;
    if !sender.rtcp.admit(now, &sender.latch, session.rtcp, from) {
        return Err(DropReason::Source);
    }
    sender.counters.received_reports += 1;
    sender.counters.last_rtcp_at = Some(now);
    for block in blocks_in(&compound) {
        if sender.outgoing.note_loss(&block) {
            sender.quality.take_block(now, &block);
            if let Some(transcoder) = &mut other.transcoder {
                transcoder.note_loss(&block);
            }
        }
    }
    if let Some(generator) = sender.generator.and_then(|key| generators.get_mut(key as usize)) {
        generator.last_report.note(now, &compound);
    }
    if let Some(transcoder) = &mut sender.transcoder {
        transcoder.last_report.note(now, &compound);
        return Err(DropReason::Consumed);
    }
    let sent_at = sender_report_in(&compound);
    if !at_table || (other.hears != Source::Peer && sender.hears != Source::Peer) {
        return Err(match sender.generator {
            Some(_) => DropReason::Consumed,
            None => DropReason::NoListener,
        });
    }
    let (socket, to) = report_destination(other).ok_or(DropReason::NoDestination)?;
    let mut streams = Streams { onward: &mut other.outgoing, onward_counters: &other.counters, back: &sender.outgoing };
    let len = if streams.are_untouched() { packet.len() } else { streams.translate(packet) };
    if len == 0 {
        return Err(DropReason::Consumed);
    }
    other.counters.sent_reports += 1;
    if let Some(compact_ntp) = sent_at {
        other.quality.report_sent(now, compact_ntp);
    }
    Ok(Sending { socket, to, len })
}

#[cold]
fn is_muxed_report(sender: &Channel, packet: &[u8]) -> bool {
    sender.session.as_ref().is_some_and(|session| session.rtcp_mux) && is_rtcp(packet)
}

/// Where reports to a party go, and from which socket.
pub(crate) fn report_destination(party: &Channel) -> Option<(SocketIx, SocketAddr)> {
    let session = party.session.as_ref()?;
    if session.rtcp_mux {
        let to = party.latch.destination()?;
        return Some((party.sockets.rtp_towards(to)?, to));
    }
    let to = party.rtcp.destination(&party.latch, session.rtcp)?;
    Some((party.sockets.rtcp_towards(to)?, to))
}
