//! From the codec of one party to that of the other, packet by packet.
//!
//! ```text
//!                    one clock, packets as long as the receiver wants them
//!             ┌────────────────────────────────────────────────────────────────────┐
//!   packet ─▶ decode ─▶ resample ─▶ encode ─▶ the number and timestamp of its source ─▶ Outgoing
//!                └─▶ cut anew ─▶ resample ─▶ encode ─▶ numbers and timestamps of ours ─┘
//! ```
//!
//! Each packet is worked on at once when it comes; nothing waits for a tick, and nothing is put in order. What is
//! lost stays a gap in the numbers, so that the receiver conceals it as it would have from the source itself; but a
//! codec that conceals by itself, or sends twice, fills short gaps here. What comes late is passed on late only where no
//! memory is spoilt by it.
//!
//! Reports end here: those of one party speak of packets that the other has not sent. Each is told what we
//! received of it and what we sent it ([`Engine::report_on_coded`]).

use std::net::SocketAddr;
use std::time::Duration;

use hookswitch_call::{Party, Time};
use hookswitch_codec::{Codec, Decoder, Framing, Kind, MAX_FRAME_SAMPLES};
use hookswitch_rtp::{Arrival, HEADER_LEN, Header, MAX_DROPOUT, Packet, ReportBlock};
use hookswitch_sdp::SessionDescription;

use crate::channel::{Call, Channel};
use crate::config::{FRAME_MS, SocketIx};
use crate::engine::{Dice, Engine};
use crate::event_clock::EventClock;
use crate::generate::tell;
use crate::negotiate::{Content, Negotiated, find_format, select_audio};
use crate::outgoing::Path;
use crate::relay::{Destination, Sending, send_on};
use crate::report::LastReport;
use crate::saying::Saying;
use crate::stats::DropReason;

/// Least and most audio in a packet that is cut anew, in milliseconds, whatever the receiver asks for.
const CUT_MS: core::ops::RangeInclusive<u32> = 10..=60;

/// Longest loss that is filled by what the codec makes up, in milliseconds: beyond, nothing of it is like what was said.
const MAX_FILL_MS: u32 = 60;

/// Least time between two looks at who is to be told something.
const REPORT_GRAIN: Duration = Duration::from_millis(500);

/// What leads from one session to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    from: &'static Codec,
    to: &'static Codec,
    /// Samples per second between the two.
    rate: u32,
    /// Milliseconds in a packet, where the receiver asks for so many.
    ptime: Option<u32>,
}

impl Way {
    /// None where packets pass as they are.
    fn between(from: &Negotiated, to: &Negotiated) -> Option<Self> {
        let ptime = to.ptime.map(u32::from).filter(|ptime| CUT_MS.contains(ptime));
        // Opus has no packets of 30 ms.
        let is_opus = matches!(to.codec.kind, Kind::Audio { framing: Framing::Opus, .. });
        let ptime = ptime.filter(|ptime| !is_opus || *ptime == 10 || ptime % 20 == 0);
        // More than the receiver can hear is not decoded.
        let rate = from.codec.coding_rate(to.codec.sample_rate);
        (from.codec != to.codec).then_some(Self { from: from.codec, to: to.codec, rate, ptime })
    }

    /// Samples in so many milliseconds.
    fn samples_in(&self, ms: u32) -> usize {
        (u64::from(self.rate) * u64::from(ms) / 1_000) as usize
    }

    /// How far a codec's clock moves in so many samples.
    fn ticks(&self, codec: &Codec, samples: usize) -> u32 {
        let ticks = samples as u64 * u64::from(codec.clock_rate);
        ticks.checked_div(u64::from(self.rate)).unwrap_or(0) as u32
    }

    /// Frames in so many samples, begun ones included.
    fn frames_in(&self, samples: usize) -> u64 {
        samples.div_ceil(self.samples_in(FRAME_MS).max(1)) as u64
    }

    fn has_one_clock(&self) -> bool {
        self.from.clock_rate == self.to.clock_rate
    }
}

/// What one party says, on its way to the other.
#[derive(Debug)]
pub(crate) struct Transcoder {
    way: Way,
    /// None where no way leads from one to the other: no such thing is agreed, but two parties can be brought together
    /// that have agreed with somebody else.
    coding: Option<Coding>,
    /// When the party has told of what it sends.
    pub last_report: LastReport,
    /// When the party is told next.
    pub next_report: Time,
}

#[derive(Debug)]
struct Coding {
    decoder: Decoder,
    saying: Saying,
    /// How what is made is numbered; as its source is, where this is none.
    cut: Option<Cut>,
    /// Names the source of what is numbered here.
    serial: u32,
}

/// Audio that is cut into other packets, and numbered here.
#[derive(Debug)]
struct Cut {
    /// Samples that did not fill a packet, at the rate they came with.
    rest: Vec<i16>,
    /// Samples of a packet.
    frame: usize,
    clock: Clocks,
    /// The number and timestamp of the next packet.
    sequence: u16,
    timestamp: u32,
    /// Where the source's clock stands at the end of what has come.
    expected: u32,
    marker: bool,
    /// The event that came last.
    event: EventClock,
}

/// From the clock of one codec to that of the other.
#[derive(Debug)]
struct Clocks {
    from: (u32, u32),
    to: (u32, u32),
}

impl Clocks {
    fn new(way: &Way, at: u32) -> Self {
        Self { from: (way.from.clock_rate, at), to: (way.to.clock_rate, at) }
    }

    /// A timestamp by the receiver's clock. Both wrap, so what is counted from moves along by whole seconds.
    fn convert(&mut self, timestamp: u32) -> u32 {
        let ((from_rate, from), (to_rate, to)) = (self.from, self.to);
        let since = i64::from(timestamp.wrapping_sub(from).cast_signed());
        let seconds = since / i64::from(from_rate.max(1));
        let moved = |at: u32, rate: u32| at.wrapping_add((seconds * i64::from(rate)) as u32);
        (self.from.1, self.to.1) = (moved(from, from_rate), moved(to, to_rate));
        to.wrapping_add((since * i64::from(to_rate)).div_euclid(i64::from(from_rate.max(1))) as u32)
    }
}

/// Where samples are put between two codecs; and packets that are ready while there is one more to send.
#[derive(Debug)]
pub(crate) struct Workplace {
    samples: Box<[i16; MAX_FRAME_SAMPLES]>,
    /// What of it was made up for what the last packet had missed, and what was in the packet itself.
    made_up: usize,
    decoded: usize,
    ready: Vec<Sending>,
    /// Their bytes, one after the other.
    bytes: Vec<u8>,
}

impl Workplace {
    pub fn new() -> Self {
        Self { samples: Box::new([0; MAX_FRAME_SAMPLES]), made_up: 0, decoded: 0, ready: Vec::new(), bytes: Vec::new() }
    }

    /// The sound of the packet that was transcoded last; nothing where that was none.
    pub fn sound(&self) -> &[i16] {
        self.samples.get(self.made_up..self.made_up + self.decoded).unwrap_or_default()
    }

    fn put(&mut self, sending: Sending, packet: &[u8]) {
        self.bytes.extend_from_slice(packet);
        self.ready.push(sending);
    }
}

impl Transcoder {
    /// The receiver's format parameters say what it makes use of.
    fn new(way: Way, parameters: Option<&str>, serial: u32, next_report: Time) -> Self {
        let coders = way.from.decoder_at(way.rate).zip(Saying::with(way.to, way.rate, parameters));
        let coding = coders.map(|(decoder, saying)| Coding { decoder, saying, cut: None, serial });
        Self { way, coding, last_report: LastReport::default(), next_report }
    }

    /// In how many frames something was made up before the packet that was transcoded last.
    pub fn concealed(&self, place: &Workplace) -> u64 {
        self.way.frames_in(place.made_up)
    }

    /// What the receiver says of what it has lost.
    pub fn note_loss(&mut self, block: &ReportBlock) {
        if let Some(coding) = &mut self.coding {
            coding.saying.expect_loss((u32::from(block.fraction_lost) * 100 / 256) as u8);
        }
    }

    /// Puts a packet of the party's into the terms of the receiver, in the same buffer, and says where it goes. Others
    /// may have become ready before it.
    pub fn pass(
        &mut self,
        now: Time,
        receiver: &mut Channel,
        (content, path, arrival): (Content, Path, Arrival),
        (buffer, len): (&mut [u8], usize),
        place: &mut Workplace,
    ) -> Destination {
        let way = self.way;
        (place.decoded, place.made_up) = (0, 0);
        let coding = self.coding.as_mut().ok_or(DropReason::PayloadType)?;
        let packet = Packet::parse(buffer.get(..len).unwrap_or_default()).map_err(|_| DropReason::Malformed)?;
        let missing = match arrival {
            Arrival::First => 0,
            Arrival::InOrder { missing } => missing,
            Arrival::Late | Arrival::Duplicate if coding.passes_late(content) => 0,
            Arrival::Duplicate => return Err(DropReason::Consumed),
            Arrival::Late | Arrival::Stray => return Err(DropReason::Late),
        };
        let (header, header_len) = (packet.header(), packet.header_len());
        if content == Content::Noise && receiver.session.is_none_or(|session| session.send.noise.is_none()) {
            return Err(DropReason::Consumed);
        }
        if content != Content::Audio {
            let end = header_len + packet.payload().len();
            let what = (&way, content, path);
            return coding.pass_as_it_is(now, receiver, what, (header, missing), (buffer, header_len, end));
        }
        let filled = coding.fill(&way, &header, missing, packet.payload(), &mut place.samples[..]);
        let made_up = filled.map_or(0, |(count, _)| count);
        let count = coding.decoder.decode(packet.payload(), &mut place.samples[made_up..]);
        if count == 0 {
            return Err(DropReason::Malformed);
        }
        (place.decoded, place.made_up) = (count, made_up);
        let (count, header, missing) = match filled {
            Some((made_up, timestamp)) => (made_up + count, Header { timestamp, ..header }, 0),
            None => (count, header, missing),
        };
        let is_long_enough = way.ptime.is_none_or(|ptime| way.samples_in(ptime) == count);
        if coding.cut.is_none() && way.has_one_clock() && is_long_enough {
            let len = coding.make(&place.samples[..count], header, buffer)?;
            return send_on(now, receiver, content, path, buffer, len);
        }
        coding.cut(now, receiver, &way, (header, missing, arrival == Arrival::First), (buffer, count), place)
    }
}

impl Coding {
    /// Whether a packet that comes late, or again, does no harm.
    fn passes_late(&self, content: Content) -> bool {
        let forgets = matches!(self.decoder, Decoder::PerSample(_) | Decoder::L16) && self.saying.is_without_memory();
        self.cut.is_none() && (forgets || content != Content::Audio)
    }

    /// Makes up what was lost before this packet, where the codec has a way of its own for that and the loss is short:
    /// how many samples that made, and the timestamp of the first.
    fn fill(&mut self, way: &Way, header: &Header, missing: u16, next: &[u8], out: &mut [i16]) -> Option<(usize, u32)> {
        let from = self.cut.as_ref().filter(|_| missing > 0)?.expected;
        let lost = u64::from(header.timestamp.wrapping_sub(from)) * u64::from(way.rate);
        let lost = (lost / u64::from(way.from.clock_rate.max(1))) as usize;
        let each = lost / usize::from(missing);
        if lost > way.samples_in(MAX_FILL_MS) || each * usize::from(missing) != lost {
            return None;
        }
        let (before, last) = out.get_mut(..lost)?.split_at_mut_checked(lost - each)?;
        let made_up = before.chunks_exact_mut(each.max(1)).all(|packet| self.decoder.conceal(packet) == each);
        (made_up && each > 0 && self.decoder.recover(next, last) == each).then_some((lost, from))
    }

    /// Writes a packet, and returns its length.
    fn make(&mut self, samples: &[i16], header: Header, buffer: &mut [u8]) -> Result<usize, DropReason> {
        let payload = header.write(buffer).map_err(|_| DropReason::Malformed)?;
        let len = self.saying.say(samples, payload);
        if len == 0 { Err(DropReason::Consumed) } else { Ok(HEADER_LEN + len) }
    }

    /// An event, or comfort noise, means the same beside every codec.
    fn pass_as_it_is(
        &mut self,
        now: Time,
        receiver: &mut Channel,
        (way, content, path): (&Way, Content, Path),
        (header, missing): (Header, u16),
        (buffer, start, end): (&mut [u8], usize, usize),
    ) -> Destination {
        let payload = buffer.get_mut(start..end).unwrap_or_default();
        let len = HEADER_LEN + payload.len();
        let (header, path) = if way.has_one_clock() && self.cut.is_none() {
            (header, path)
        } else {
            let serial = self.serial;
            let cut = self.cut.get_or_insert_with(|| Cut::new(way, &header));
            let sequence = cut.next_other(missing);
            let timestamp = if content == Content::Event {
                let clocks = (way.from.clock_rate, way.to.clock_rate);
                cut.event.convert(&header, payload, clocks, |timestamp| cut.clock.convert(timestamp))
            } else {
                cut.clock.convert(header.timestamp)
            };
            (Header { sequence, timestamp, ..header }, Path::Recoded(serial))
        };
        buffer.copy_within(start..end, HEADER_LEN);
        header.write(buffer).map_err(|_| DropReason::Malformed)?;
        send_on(now, receiver, content, path, buffer, len)
    }

    /// Makes as many packets as there is audio for. The last one is what becomes of the packet that has come.
    fn cut(
        &mut self,
        now: Time,
        receiver: &mut Channel,
        way: &Way,
        (header, missing, begins): (Header, u16, bool),
        (buffer, count): (&mut [u8], usize),
        place: &mut Workplace,
    ) -> Destination {
        let mut cut = self.cut.take().unwrap_or_else(|| Cut::new(way, &header));
        cut.take_in(way, &header, (missing, begins), place.samples.get(..count).unwrap_or_default());
        let mut last: Option<(Sending, usize)> = None;
        let mut result = Err(DropReason::Consumed);
        let whole = cut.rest.len() / cut.frame.max(1) * cut.frame;
        for samples in cut.rest[..whole].chunks_exact(cut.frame.max(1)) {
            if let Some((sending, len)) = last.take() {
                place.put(sending, buffer.get(..len).unwrap_or_default());
            }
            let (sequence, timestamp) = (cut.sequence, cut.timestamp);
            cut.timestamp = timestamp.wrapping_add(way.ticks(way.to, cut.frame));
            let header = Header { marker: cut.marker, sequence, timestamp, ..header };
            let made = self.make(samples, header, buffer);
            // Where nothing is sent there is silence, and what follows it is marked.
            cut.marker = made.is_err();
            cut.sequence = sequence.wrapping_add(u16::from(made.is_ok()));
            result =
                made.and_then(|len| send_on(now, receiver, Content::Audio, Path::Recoded(self.serial), buffer, len));
            last = result.ok().map(|sending| (sending, sending.len));
        }
        cut.rest.drain(..whole);
        self.cut = Some(cut);
        // One packet that cannot be sent does not take back those before it.
        last.map_or(result, |(sending, _)| Ok(sending))
    }
}

impl Cut {
    fn new(way: &Way, first: &Header) -> Self {
        let ms = way.ptime.unwrap_or(FRAME_MS);
        Self {
            rest: Vec::new(),
            frame: way.samples_in(ms),
            clock: Clocks::new(way, first.timestamp),
            sequence: first.sequence,
            timestamp: first.timestamp,
            expected: first.timestamp,
            marker: false,
            event: EventClock::default(),
        }
    }

    /// Takes the samples of the next packet in. Where they do not follow on what came before, what was left of that is
    /// given up: it fills no packet.
    fn take_in(&mut self, way: &Way, header: &Header, (missing, begins): (u16, bool), samples: &[i16]) {
        let timestamp = self.clock.convert(header.timestamp);
        if begins || header.timestamp != self.expected {
            let frame = way.ticks(way.to, self.frame).max(1);
            // What was lost is as long as the clock says, unless that says nonsense.
            if missing > 0 && !begins {
                let frames = timestamp.wrapping_sub(self.timestamp).saturating_add(frame / 2) / frame;
                let frames = u16::try_from(frames).ok().filter(|frames| *frames < MAX_DROPOUT);
                self.sequence = self.sequence.wrapping_add(frames.unwrap_or(missing).max(1));
            }
            self.rest.clear();
            self.timestamp = timestamp;
        }
        self.marker |= header.marker;
        self.expected = header.timestamp.wrapping_add(way.ticks(way.from, samples.len()));
        self.rest.extend_from_slice(samples);
    }

    /// The number of what is no audio.
    fn next_other(&mut self, missing: u16) -> u16 {
        let sequence = self.sequence.wrapping_add(missing);
        self.sequence = sequence.wrapping_add(1);
        sequence
    }
}

impl Call {
    /// Makes what leads from one party to the other where they use different codecs, and forgets it where they do not.
    /// Whether that is so now.
    fn fit_codecs(&mut self, now: Time, serial: &mut u32, random: &mut Dice) -> bool {
        if let Some(spare) = &mut self.spare {
            spare.channel.transcoder = None;
        }
        for party in [Party::Caller, Party::Callee] {
            let (end, other) = self.both_mut(party);
            let way = end.session.zip(other.session).and_then(|(from, to)| Way::between(&from, &to));
            let Some(way) = way else {
                end.transcoder = None;
                continue;
            };
            if end.transcoder.as_ref().is_none_or(|transcoder| transcoder.way != way) {
                *serial = serial.wrapping_add(1);
                let next_report = now + random.report_delay() / 2;
                let remote = other.remote.as_ref().and_then(|sdp| SessionDescription::parse(sdp.0.as_bytes()).ok());
                let parameters = remote.as_ref().and_then(|sdp| parameters_of(sdp, way.to));
                end.transcoder = Some(Box::new(Transcoder::new(way, parameters, *serial, next_report)));
            }
        }
        self.is_coded()
    }

    fn is_coded(&self) -> bool {
        [Party::Caller, Party::Callee].iter().any(|party| self.end(*party).transcoder.is_some())
    }
}

/// Calls in which audio is transcoded: they are reported on from here.
#[derive(Debug, Default)]
pub(crate) struct Coded {
    calls: Vec<u32>,
    next_report: Option<Time>,
    serial: u32,
}

impl Coded {
    pub fn deadline(&self) -> Option<Time> {
        self.next_report
    }

    pub fn forget(&mut self, index: u32) {
        self.calls.retain(|call| *call != index);
        if self.calls.is_empty() {
            self.next_report = None;
        }
    }
}

impl Engine {
    /// To be called whenever somebody has agreed to something, or has changed its place.
    pub(crate) fn fit_codecs(&mut self, now: Time, index: u32) {
        let Some(call) = self.calls.get_mut(index as usize) else { return };
        let (was, is) = (call.is_coded(), call.fit_codecs(now, &mut self.coded.serial, &mut self.random));
        match (was, is) {
            (false, true) => {
                self.coded.calls.push(index);
                self.coded.next_report.get_or_insert(now);
            }
            (true, false) => self.coded.forget(index),
            _ => {}
        }
    }

    /// Sends what became ready before the packet that [`handle_packet`](Self::handle_packet) has returned last: the
    /// audio of one that came was cut into several. To be called after each packet, and before that one is sent.
    pub fn send_ready(&mut self, send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8])) {
        if self.workplace.ready.is_empty() {
            return;
        }
        let mut bytes = self.workplace.bytes.as_slice();
        for sending in self.workplace.ready.drain(..) {
            let (packet, rest) = bytes.split_at(sending.len.min(bytes.len()));
            send(sending.socket, sending.to, packet);
            bytes = rest;
        }
        self.workplace.bytes.clear();
    }

    /// Tells the parties of transcoded calls what is due.
    pub(crate) fn report_on_coded(&mut self, now: Time, send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8])) {
        let mut next: Option<Time> = None;
        for index in &self.coded.calls {
            let Some(call) = self.calls.get_mut(*index as usize) else { continue };
            for party in [Party::Caller, Party::Callee] {
                let end = call.end_mut(party);
                // What is made here is reported on with it.
                let reports = end.generator.is_none();
                let Some(transcoder) = &mut end.transcoder else { continue };
                if now >= transcoder.next_report {
                    transcoder.next_report = now + self.random.report_delay();
                    next = earlier(next, transcoder.next_report);
                    if reports {
                        tell(now, end, None, send);
                    }
                } else {
                    next = earlier(next, transcoder.next_report);
                }
            }
        }
        // Many calls are looked at together, and none waits for that as long as anybody would notice.
        self.coded.next_report = next.map(|next| next.max(now + REPORT_GRAIN));
    }
}

/// The format parameters that a party has given a codec.
pub(crate) fn parameters_of<'a>(sdp: &'a SessionDescription, codec: &Codec) -> Option<&'a str> {
    let (_, media) = select_audio(sdp).ok()?;
    find_format(media, codec)?.fmtp
}

fn earlier(next: Option<Time>, other: Time) -> Option<Time> {
    Some(next.map_or(other, |next| next.min(other)))
}
