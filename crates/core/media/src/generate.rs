//! What is made here: tones, music on hold, and the reports to whoever is heard here and nowhere else, or is sent something
//! of ours.

use std::net::SocketAddr;
use std::time::Duration;

use hookswitch_call::{Seat, Source, Time};
use hookswitch_codec::Codec;
use hookswitch_rtp::{CompoundWriter, HEADER_LEN, Header, ReportBlock, ntp_time};
use slab::Slab;

use crate::channel::Channel;
use crate::config::{FRAME, SocketIx};
use crate::engine::{Dice, Engine};
use crate::negotiate::Content;
use crate::outgoing::Path;
use crate::relay::report_destination;
use crate::report::LastReport;
use crate::saying::Saying;
use crate::tone::{MAX_FRAME, PLACES_PER_FRAME, ToneKind, Tones, frame_of};

/// Mean time between two sender reports of ours; each is between half and one and a half of it
/// (RFC 3550 section 6.2).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Most frames made up for when a tick comes late; what is older stays silent.
pub const MAX_CATCH_UP: u32 = 5;

/// SR with one block, SDES with a name of sixteen characters, BYE.
const REPORT_ROOM: usize = 96;

/// A source of our own. Its numbers are those of the tone; which ones the party sees is decided by
/// [`Outgoing`](crate::Outgoing), as with every other source.
#[derive(Debug)]
pub(crate) struct Generator {
    pub call: u32,
    pub seat: Seat,
    /// Which tone; `None` is an echo, what a player sends or a room, or nothing but reports.
    tone: Option<ToneKind>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Place within the tone.
    at: u64,
    /// What its codec remembers of it.
    voice: Option<Saying>,
    marker: bool,
    /// Whether anything of ours was sent that is to be reported on.
    pub has_sent: bool,
    /// When the party has told of what it sends.
    pub last_report: LastReport,
    next_report: Time,
}

/// The numbers that RFC 3550 wants to be random.
pub(crate) struct Random {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub delay: Duration,
}

impl Generator {
    /// `None` when nothing has to be made for that.
    pub fn new(now: Time, call: u32, seat: Seat, source: Source, random: &Random) -> Option<Self> {
        let tone = match source {
            Source::Silence | Source::Peer => return None,
            Source::Echo | Source::Sounds | Source::Room => None,
            Source::Ringback => Some(ToneKind::Ringback),
            Source::Reference => Some(ToneKind::Reference),
            Source::Hold => Some(ToneKind::Hold),
        };
        Some(Self {
            call,
            seat,
            tone,
            ssrc: random.ssrc,
            // The upper bit clear, as A.1 of RFC 3550 advises against an early wrap.
            sequence: random.sequence & 0x7fff,
            timestamp: random.timestamp,
            at: 0,
            voice: None,
            marker: true,
            has_sent: false,
            last_report: LastReport::default(),
            next_report: now + random.delay / 2,
        })
    }

    /// For a party that hears silence, and is told what comes from it.
    fn reporter(now: Time, call: u32, seat: Seat, random: &mut Dice) -> Self {
        Self {
            call,
            seat,
            tone: None,
            ssrc: 0,
            sequence: 0,
            timestamp: 0,
            at: 0,
            voice: None,
            marker: true,
            has_sent: false,
            last_report: LastReport::default(),
            next_report: now + random.report_delay() / 2,
        }
    }

    /// Finds the place where somebody comes in whose first frame is due then.
    pub fn come_in(&mut self, first_beat: Time, tones: &Tones) {
        self.at = self.tone.map_or(0, |kind| tones.place(first_beat, kind));
    }

    pub fn is_tone(&self) -> bool {
        self.tone.is_some()
    }

    pub fn next_report(&self) -> Time {
        self.next_report
    }

    /// Makes the next frame of a tone. `None` when it cannot be sent; time passes all the same.
    fn frame<'b>(
        &mut self,
        now: Time,
        channel: &mut Channel,
        tones: &Tones,
        buffer: &'b mut [u8; HEADER_LEN + MAX_FRAME],
    ) -> Option<(SocketIx, SocketAddr, &'b [u8])> {
        let session = channel.session.as_ref()?;
        let tone = tones.find(session.codec, self.tone?)?;
        let (bytes, ticks) = frame_of(session.codec);
        let target = channel
            .latch
            .destination()
            .filter(|_| session.direction.receives())
            .and_then(|to| Some((channel.sockets.rtp_towards(to)?, to)));
        let header = Header {
            marker: self.marker,
            payload_type: session.send.audio,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let packet = buffer.get_mut(..HEADER_LEN + bytes)?;
        let payload = header.write(packet).ok()?;
        let Some((socket, to)) = target else {
            self.pass(session.codec, 1, tones);
            return None;
        };
        let length = tone.fill(self.at, session.codec, &mut self.voice, payload)?;
        let packet = packet.get_mut(..HEADER_LEN + length)?;
        self.at = tone.go_on(self.at, PLACES_PER_FRAME);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.marker = false;
        if !channel.carry(now, session.codec, Content::Audio, Path::Made, packet) {
            return None;
        }
        self.has_sent = true;
        Some((socket, to, packet))
    }

    /// Lets so many frames pass without sending them.
    fn pass(&mut self, codec: &Codec, frames: u32, tones: &Tones) {
        let (_, ticks) = frame_of(codec);
        self.timestamp = self.timestamp.wrapping_add(ticks.wrapping_mul(frames));
        if let Some(tone) = self.tone.and_then(|kind| tones.find(codec, kind)) {
            self.at = tone.go_on(self.at, PLACES_PER_FRAME * u64::from(frames));
        }
        self.marker = true;
    }
}

/// What a new reporter is put among: all that report, and when the first of them does.
pub(crate) type Reporting<'a> = (&'a mut Slab<Generator>, &'a mut Dice, &'a mut Option<Time>);

/// Something has come from a party that nobody hears, or is played to it: if it hears silence, it is reported to from now
/// on, until it hears something else.
#[inline]
pub(crate) fn begin_to_report(now: Time, (call, seat): (u32, Seat), channel: &mut Channel, among: Reporting<'_>) {
    if channel.generator.is_some() || channel.hears != Source::Silence {
        return;
    }
    let (generators, random, next) = among;
    let reporter = Generator::reporter(now, call, seat, random);
    let due = reporter.next_report;
    *next = Some(next.map_or(due, |next| next.min(due)));
    // One per channel at most, so it fits as calls do.
    channel.generator = Some(generators.insert(reporter) as u32);
}

/// What a party is told of what came from it. `last` is when it has told of that itself, if its packets end here; of what
/// is transcoded that is known anyhow.
fn block(now: Time, channel: &mut Channel, last: Option<LastReport>) -> Option<ReportBlock> {
    let last = channel.transcoder.as_ref().map(|transcoder| transcoder.last_report).or(last)?;
    Some(last.quoted_in(now, channel.quality.block()?))
}

/// A sender report about what a party is sent, with our name, and a farewell if that was all; a receiver report if nothing
/// was. It has what came of the party's packets if they end here.
fn report<'b>(
    now: Time,
    channel: &mut Channel,
    (last, bye): (Option<LastReport>, bool),
    buffer: &'b mut [u8; REPORT_ROOM],
) -> Option<&'b [u8]> {
    let codec = channel.session.as_ref()?.codec;
    let block = block(now, channel, last);
    let stream = &channel.outgoing;
    let ssrc = stream.ssrc();
    let mut writer = CompoundWriter::new(buffer);
    if stream.is_ours() {
        writer.sender_report(ssrc, stream.sender_info(now, codec, &channel.counters), block.as_slice()).ok()?;
    } else {
        writer.receiver_report(ssrc, block.as_slice()).ok()?;
    }
    writer.cname(ssrc, &hexadecimal(stream.name())).ok()?;
    if bye {
        writer.bye(ssrc, b"").ok()?;
    }
    let length = writer.len();
    buffer.get(..length)
}

/// Sends a party a report. `last` is when it has reported itself, if its packets end here.
pub(crate) fn tell(
    now: Time,
    channel: &mut Channel,
    last: Option<LastReport>,
    send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8]),
) {
    let mut buffer = [0; REPORT_ROOM];
    if let Some((socket, to)) = report_destination(channel)
        && let Some(bytes) = report(now, channel, (last, false), &mut buffer)
    {
        send(socket, to, bytes);
        channel.counters.sent_reports += 1;
        channel.quality.report_sent(now, (ntp_time(now) >> 16) as u32);
    }
}

/// Ends a stream that is ours. One that a party feeds is ended by that party.
pub(crate) fn farewell(now: Time, channel: &mut Channel, send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8])) {
    let mut buffer = [0; REPORT_ROOM];
    if channel.outgoing.is_ours()
        && let Some((socket, to)) = report_destination(channel)
        && let Some(bytes) = report(now, channel, (None, true), &mut buffer)
    {
        send(socket, to, bytes);
        channel.counters.sent_reports += 1;
    }
}

fn hexadecimal(name: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (place, index) in text.iter_mut().zip((0..16u32).rev()) {
        let digit = (name >> (4 * index)) as u8 & 0xf;
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    }
    text
}

impl Engine {
    /// When [`tick`](Self::tick) wants to be called. `None` as long as nothing is generated: calls
    /// that are only relayed cost no tick.
    #[must_use]
    pub fn next_tick(&self) -> Option<Time> {
        let frame = (self.beats > 0).then_some(self.next_frame);
        let reports = [self.next_report, self.coded.deadline()];
        let others = [frame, self.keys_down.deadline(), self.recordings.deadline()];
        others.into_iter().chain(reports).flatten().min()
    }

    /// Sends what is due of tones, keys and reports.
    pub fn tick(&mut self, now: Time, send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8])) {
        if self.beats > 0 {
            self.play(now, send);
        }
        if self.keys_down.deadline().is_some_and(|due| now >= due) {
            self.lift_keys(now);
        }
        if self.next_report.is_some_and(|due| now >= due) {
            self.report(now, send);
        }
        if self.coded.deadline().is_some_and(|due| now >= due) {
            self.report_on_coded(now, send);
        }
        self.write_recordings(now);
    }

    fn play(&mut self, now: Time, send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8])) {
        let Some(late) = now.checked_sub(self.next_frame) else {
            return;
        };
        // Frames due, this moment's included. A stall of hours still fits.
        let due = u32::try_from(late.as_millis() / FRAME.as_millis() + 1).unwrap_or(u32::MAX);
        let sent = due.min(MAX_CATCH_UP);
        self.next_frame = self.next_frame.saturating_add(FRAME.saturating_mul(due));
        let mut buffer = [0; HEADER_LEN + MAX_FRAME];
        self.press_keys(now, (due - sent, sent), &mut buffer, send);
        self.play_soups(now, (due - sent, sent), &mut buffer, send);
        for (_, generator) in &mut self.generators {
            let call = self.calls.get_mut(generator.call as usize);
            let Some(channel) = call.and_then(|call| call.seat_mut(generator.seat)) else {
                continue;
            };
            let Some(session) = channel.session.filter(|_| generator.is_tone()) else {
                continue;
            };
            if channel.keyer.is_some() || channel.is_played_to() {
                generator.pass(session.codec, due, &self.tones);
                continue;
            }
            if due > sent {
                generator.pass(session.codec, due - sent, &self.tones);
            }
            for _ in 0..sent {
                if let Some((socket, to, packet)) = generator.frame(now, channel, &self.tones, &mut buffer) {
                    send(socket, to, packet);
                }
            }
        }
        self.mix(now, (due, sent), send);
    }

    fn report(&mut self, now: Time, send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8])) {
        let mut next: Option<Time> = None;
        for (_, generator) in &mut self.generators {
            if now >= generator.next_report {
                generator.next_report = now + self.random.report_delay();
                let call = self.calls.get_mut(generator.call as usize);
                let ends_here = call.as_ref().is_some_and(|call| call.ends_here(generator.seat));
                if let Some(channel) = call.and_then(|call| call.seat_mut(generator.seat))
                    && (generator.has_sent || (ends_here && channel.quality.has_news()))
                {
                    tell(now, channel, ends_here.then_some(generator.last_report), send);
                }
            }
            let due = generator.next_report;
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        self.next_report = next;
    }
}
