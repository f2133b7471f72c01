//! What a party is sent is one RTP stream, whoever it comes from.
//!
//! ```text
//!   ┌────────┐ first packet, relayed  ┌───────────┐ another source  ┌──────┐
//!   │ unused │ ─────────────────────▶ │ untouched │ ──────────────▶ │ ours │ ◀─┐ another source:
//!   └────────┘                        └───────────┘                 └──────┘ ──┘ a splice
//!       └────────── first packet, made here or returned ───────────────▲
//! ```
//!
//! A phone that has heard a ringing tone takes what follows it under other numbers for packets that
//! come hopelessly late, and plays none of them. So once a second source feeds a stream, be it a
//! tone, an echo, another branch or the same phone begun anew, its packets are given the source
//! identifier of the first, sequence numbers that follow on, and timestamps that follow on by the
//! time that has passed: a splice. From then on every packet is moved by the same distance, which
//! keeps gaps, reordering and the timestamps of events as the source had them.
//!
//! As long as there was only one source and it was a party, nothing is changed; all that is done is
//! to remember where it stands.

use hookswitch_call::Time;
use hookswitch_codec::Codec;
use hookswitch_rtp::{
    HEADER_LEN, MAX_DROPOUT, MAX_MISORDER, Packet, ReportBlock, SenderInfo, TelephoneEvent, ntp_time,
};
use serde::{Deserialize, Serialize};

use crate::config::FRAME_MS;
use crate::negotiate::Content;
use crate::stats::Counters;

/// A source that comes back is trusted to have kept its clock running if it is off by no more than
/// this many seconds.
const CLOCK_SLACK_S: u32 = 1;

/// A stream's first sequence number is given one wrap in advance, so that what is a little older is
/// not below zero.
const FIRST_WRAP: u32 = 1 << 16;

/// The way that a packet has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Path {
    /// It was made here.
    Made,
    /// From the party itself, which hears its echo; with the number of the lock that let it in.
    Returned(u32),
    /// From the other party; with the number of the lock that let it in.
    Relayed(u32),
    /// From the other party, and numbered here; with the number of whoever does that.
    Recoded(u32),
}

/// A source, as far as we can tell it from others. Phones with a fixed SSRC are about, hence the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    ssrc: u32,
    path: Path,
}

/// A source, and how far its numbers are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Feed {
    origin: Origin,
    /// Added to sequence numbers. The upper half counts the stream's wraps less the source's.
    sequence: u32,
    /// Added to timestamps.
    timestamp: u32,
}

impl Feed {
    /// A packet's sequence number and timestamp in the stream.
    fn moved(&self, arrival: &Arrival) -> (u16, u32) {
        let sequence = arrival.sequence.wrapping_add(self.sequence as u16);
        (sequence, arrival.timestamp.wrapping_add(self.timestamp))
    }

    /// The source's own number for one of the stream.
    fn own(&self, sequence: u32) -> u16 {
        sequence.wrapping_sub(self.sequence) as u16
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Standing {
    /// Nothing has been sent.
    Unused,
    /// One party's packets, as they came.
    Untouched,
    /// The stream has, or once had, something of our own in it.
    Ours,
}

/// The stream that one party is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    standing: Standing,
    feed: Feed,
    /// The newest sequence number sent, wraps above bit 15.
    newest: u32,
    /// Where the RTP clock stood when the newest audio packet was sent, and when that was.
    timestamp: u32,
    sent_at: Time,
    /// The SSRC that the party sees. Before the first packet: the one to use if that is made here.
    ssrc: u32,
    /// The first sequence number of the last splice, wraps above bit 15.
    floor: u32,
    /// The number of the source's that would confirm that it has begun anew.
    restart_at: Option<u16>,
    /// Who fed the stream before, and its own newest sequence number then.
    previous: Option<(Feed, u16)>,
    /// The stream's canonical name, where we have to give one.
    name: u64,
    /// Packets lost since the beginning, as the party last reported, and at the last splice.
    lost: i32,
    lost_before: i32,
    /// The compact NTP time of the present source's last sender report.
    last_sr: u32,
}

/// A packet that may be spliced in.
struct Arrival {
    now: Time,
    codec: &'static Codec,
    content: Content,
    origin: Origin,
    sequence: u16,
    timestamp: u32,
}

impl Outgoing {
    /// A stream of which nothing has been sent. If its first packet is made here, it gets this SSRC;
    /// the name is for reports.
    pub(crate) fn new(ssrc: u32, name: u64) -> Self {
        Self {
            standing: Standing::Unused,
            feed: Feed { origin: Origin { ssrc, path: Path::Made }, sequence: 0, timestamp: 0 },
            newest: 0,
            timestamp: 0,
            sent_at: Time::ZERO,
            ssrc,
            floor: 0,
            restart_at: None,
            previous: None,
            name,
            lost: 0,
            lost_before: 0,
            last_sr: 0,
        }
    }

    /// Whether packets are given our numbers.
    pub(crate) fn is_ours(&self) -> bool {
        self.standing == Standing::Ours
    }

    /// From now on we speak for the stream, even if nothing in it was changed so far: what passes is no longer what
    /// the source has sent.
    pub(crate) fn claim(&mut self) {
        if self.standing == Standing::Untouched {
            self.standing = Standing::Ours;
        }
    }

    /// The SSRC that the party sees.
    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(crate) fn name(&self) -> u64 {
        self.name
    }

    /// Makes a valid packet the stream's next, or puts it where it belongs among the newest. `false`
    /// when it must not be sent: it is from before the splice, or a stray.
    #[inline]
    pub(crate) fn carry(
        &mut self,
        now: Time,
        codec: &'static Codec,
        content: Content,
        path: Path,
        packet: &mut [u8],
    ) -> bool {
        let Some(&[_, _, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]) = packet.first_chunk::<HEADER_LEN>() else {
            return false;
        };
        let (sequence, timestamp) = (u16::from_be_bytes([s0, s1]), u32::from_be_bytes([t0, t1, t2, t3]));
        let origin = Origin { ssrc: u32::from_be_bytes([i0, i1, i2, i3]), path };
        if self.standing != Standing::Unused && self.feed.origin == origin {
            let placed = sequence.wrapping_add(self.feed.sequence as u16);
            let moved = timestamp.wrapping_add(self.feed.timestamp);
            let ahead = placed.wrapping_sub(self.newest as u16);
            let is_ours = self.standing == Standing::Ours;
            // Almost always: the next one, or one a little further on.
            if !is_ours || ahead.wrapping_sub(1) < MAX_DROPOUT - 1 {
                self.note(now, content, placed, moved);
                if is_ours {
                    write(packet, placed, moved, self.ssrc);
                }
                return true;
            }
        }
        self.fit_in(&Arrival { now, codec, content, origin, sequence, timestamp }, packet)
    }

    /// Remembers where the stream stands, unless the packet is a late one.
    #[inline]
    fn note(&mut self, now: Time, content: Content, sequence: u16, timestamp: u32) {
        let behind = (self.newest as u16).wrapping_sub(sequence);
        if behind > MAX_MISORDER {
            self.newest = self.newest.wrapping_add(u32::from(behind.wrapping_neg()));
            // An event's timestamp stands still at its beginning.
            if content != Content::Event {
                self.timestamp = timestamp;
                self.sent_at = now;
            }
        }
    }

    /// What is not simply the next packet of the same source.
    #[inline(never)]
    fn fit_in(&mut self, arrival: &Arrival, packet: &mut [u8]) -> bool {
        let mut spliced = false;
        if self.standing == Standing::Unused {
            self.begin(arrival, packet);
        } else if self.feed.origin == arrival.origin {
            match self.place(arrival) {
                Place::Within => {}
                Place::Outside => return false,
                Place::Anew => spliced = self.splice(arrival, packet),
            }
        } else if self.is_continued_by(arrival, packet) {
            self.feed.origin = arrival.origin;
            let (sequence, timestamp) = self.feed.moved(arrival);
            self.note(arrival.now, arrival.content, sequence, timestamp);
        } else {
            spliced = self.splice(arrival, packet);
            if !spliced {
                return false;
            }
        }
        if self.standing == Standing::Ours {
            let (sequence, timestamp) = self.feed.moved(arrival);
            write(packet, sequence, timestamp, self.ssrc);
            // The marker of an event says that the event begins; it is not for us to set.
            if spliced
                && arrival.content == Content::Audio
                && let Some(byte) = packet.get_mut(1)
            {
                *byte |= 0x80;
            }
        }
        true
    }

    fn begin(&mut self, arrival: &Arrival, packet: &[u8]) {
        let relayed = matches!(arrival.origin.path, Path::Relayed(_));
        self.standing = if relayed { Standing::Untouched } else { Standing::Ours };
        if relayed {
            self.ssrc = arrival.origin.ssrc;
        }
        self.feed = Feed { origin: arrival.origin, sequence: FIRST_WRAP, timestamp: 0 };
        self.newest = FIRST_WRAP + u32::from(arrival.sequence);
        // There is nothing before it that an older packet could be mistaken for.
        self.floor = self.newest - u32::from(MAX_MISORDER);
        self.timestamp = arrival.timestamp.wrapping_add(arrival.lasted(packet));
        self.sent_at = arrival.now;
    }

    /// Whether this is the same source by another way: a phone whose NAT has changed its port.
    fn is_continued_by(&self, arrival: &Arrival, packet: &[u8]) -> bool {
        let before = self.feed.origin;
        let same_way = matches!(
            (before.path, arrival.origin.path),
            (Path::Relayed(_), Path::Relayed(_)) | (Path::Returned(_), Path::Returned(_))
        );
        let ahead = arrival.sequence.wrapping_sub(self.feed.own(self.newest));
        let reading = arrival.reading(&self.feed, packet);
        same_way
            && before.ssrc == arrival.origin.ssrc
            && (1..MAX_DROPOUT).contains(&ahead)
            && is_near(reading, self.due(arrival), arrival.codec)
    }

    /// Finds the place of a packet that is not ahead of all others, or too far.
    fn place(&mut self, arrival: &Arrival) -> Place {
        let (sequence, _) = self.feed.moved(arrival);
        let behind = (self.newest as u16).wrapping_sub(sequence);
        if behind <= MAX_MISORDER {
            let is_old = self.newest.wrapping_sub(self.floor) < u32::from(behind);
            return if is_old { Place::Outside } else { Place::Within };
        }
        // As RFC 3550 A.1: a leap has to be confirmed by the packet after it.
        if self.restart_at == Some(arrival.sequence) {
            return Place::Anew;
        }
        self.restart_at = Some(arrival.sequence.wrapping_add(1));
        Place::Outside
    }

    /// Lets another source feed the stream from this packet on. `false` when the packet is one of a
    /// source that has been replaced, and only late.
    #[cold]
    fn splice(&mut self, arrival: &Arrival, packet: &[u8]) -> bool {
        let changes = self.feed.origin != arrival.origin;
        let known = self.previous.filter(|(feed, _)| changes && feed.origin == arrival.origin);
        if let Some((_, newest)) = known
            && newest.wrapping_sub(arrival.sequence) <= MAX_MISORDER
        {
            return false;
        }
        let due = self.due(arrival);
        let unmoved = arrival.timestamp.wrapping_add(arrival.lasted(packet));
        // Two sources that take turns, such as keys pressed under an SSRC of their own, keep their
        // clocks; otherwise the packets of one event would not have one timestamp.
        let kept = known.map(|(feed, _)| feed.timestamp).filter(|offset| {
            let reading = unmoved.wrapping_add(*offset);
            let advances = arrival.content == Content::Event || is_ahead(reading, self.timestamp);
            advances && is_near(reading, due, arrival.codec)
        });
        let timestamp = kept.unwrap_or_else(|| due.wrapping_sub(unmoved));
        if changes {
            self.previous = Some((self.feed, self.feed.own(self.newest)));
        }
        self.newest = self.newest.wrapping_add(1);
        self.floor = self.newest;
        let sequence = self.newest.wrapping_sub(u32::from(arrival.sequence));
        self.feed = Feed { origin: arrival.origin, sequence, timestamp };
        if arrival.content != Content::Event {
            self.timestamp = arrival.timestamp.wrapping_add(timestamp);
            self.sent_at = arrival.now;
        }
        self.standing = Standing::Ours;
        self.restart_at = None;
        self.lost_before = self.lost;
        self.last_sr = 0;
        true
    }

    /// The timestamp of a packet that follows on now: one frame after the newest at least, so that
    /// it does not claim time that is taken.
    fn due(&self, arrival: &Arrival) -> u32 {
        let elapsed = self.ticks_since(arrival.now, arrival.codec);
        self.timestamp.wrapping_add(elapsed.max(arrival.codec.ticks_in(FRAME_MS)))
    }

    fn ticks_since(&self, now: Time, codec: &Codec) -> u32 {
        let elapsed = now.saturating_sub(self.sent_at).as_micros();
        // Wraps as the clock itself does.
        (elapsed.saturating_mul(u128::from(codec.clock_rate)) / 1_000_000) as u32
    }
}

/// Where a packet of the present source stands that is not the next.
enum Place {
    /// Among the newest.
    Within,
    /// Before the splice, or far from everything.
    Outside,
    /// Behind everything: the source counts anew.
    Anew,
}

impl Arrival {
    /// How long the event in a packet has lasted, in units of its clock; no time if there is none. Our
    /// own state their first frame in advance, as audio does.
    fn lasted(&self, packet: &[u8]) -> u32 {
        if self.content != Content::Event {
            return 0;
        }
        let event = Packet::parse(packet).ok().and_then(|packet| TelephoneEvent::parse(packet.payload()));
        let ahead = if self.origin.path == Path::Made { self.codec.ticks_in(FRAME_MS) } else { 0 };
        event.map_or(0, |event| u32::from(event.duration).saturating_sub(ahead))
    }

    /// Where the stream's clock would stand if the packet was moved as that source's are.
    fn reading(&self, feed: &Feed, packet: &[u8]) -> u32 {
        self.timestamp.wrapping_add(feed.timestamp).wrapping_add(self.lasted(packet))
    }
}

/// Gives a packet its place.
#[inline]
fn write(packet: &mut [u8], sequence: u16, timestamp: u32, ssrc: u32) {
    if let Some(head) = packet.first_chunk_mut::<HEADER_LEN>() {
        head[2..4].copy_from_slice(&sequence.to_be_bytes());
        head[4..8].copy_from_slice(&timestamp.to_be_bytes());
        head[8..12].copy_from_slice(&ssrc.to_be_bytes());
    }
}

fn is_ahead(timestamp: u32, than: u32) -> bool {
    timestamp.wrapping_sub(than).cast_signed() > 0
}

fn is_near(timestamp: u32, other: u32, codec: &Codec) -> bool {
    timestamp.wrapping_sub(other).cast_signed().unsigned_abs() <= codec.clock_rate.saturating_mul(CLOCK_SLACK_S)
}

/// What reports have to say of the stream.
impl Outgoing {
    /// Our own sender report. The counts are those of the party: it is sent one stream only. Octets
    /// of header extensions and padding, which hardly anybody sends, are counted as payload.
    pub(crate) fn sender_info(&self, now: Time, codec: &Codec, counters: &Counters) -> SenderInfo {
        let (packet_count, octet_count) = counts(counters);
        let rtp_timestamp = self.timestamp.wrapping_add(self.ticks_since(now, codec));
        SenderInfo { ntp: ntp_time(now), rtp_timestamp, packet_count, octet_count }
    }

    /// The other party's sender report as one about this stream; `None` if that is not what it is
    /// about. The NTP time stays the sender's: reports about the stream quote it back.
    pub(crate) fn translate_sender(&mut self, ssrc: u32, info: SenderInfo, counters: &Counters) -> Option<SenderInfo> {
        if !self.is_fed_by(ssrc) {
            return None;
        }
        self.last_sr = (info.ntp >> 16) as u32;
        let (packet_count, octet_count) = counts(counters);
        let rtp_timestamp = info.rtp_timestamp.wrapping_add(self.feed.timestamp);
        Some(SenderInfo { ntp: info.ntp, rtp_timestamp, packet_count, octet_count })
    }

    fn is_fed_by(&self, ssrc: u32) -> bool {
        matches!(self.feed.origin.path, Path::Relayed(_)) && self.feed.origin.ssrc == ssrc
    }

    /// Remembers what the party says that it has lost; `false` if it is not this stream that it speaks of.
    pub(crate) fn note_loss(&mut self, block: &ReportBlock) -> bool {
        let is_ours = self.standing != Standing::Unused && block.ssrc == self.ssrc;
        if is_ours {
            self.lost = block.cumulative_lost;
        }
        is_ours
    }

    /// The party's block about this stream as one about the present source, whose packets are only
    /// those after the splice (RFC 3550 section 7.2: the inverse of what is done to packets).
    /// `None` when that source is no party, or the block is from before the splice.
    pub(crate) fn translate_block(&self, block: &ReportBlock) -> Option<ReportBlock> {
        let source = self.feed.origin;
        if block.ssrc != self.ssrc || !matches!(source.path, Path::Relayed(_)) {
            return None;
        }
        // The party may have begun to count wraps later than we did, so its own count says nothing.
        let behind = (self.newest as u16).wrapping_sub(block.extended_highest as u16).cast_signed();
        let highest = self.newest.wrapping_sub(i32::from(behind).cast_unsigned());
        if highest.wrapping_sub(self.floor).cast_signed() < 0 {
            return None;
        }
        let is_quoted = block.last_sr == self.last_sr;
        Some(ReportBlock {
            ssrc: source.ssrc,
            extended_highest: highest.wrapping_sub(self.feed.sequence),
            cumulative_lost: block.cumulative_lost.saturating_sub(self.lost_before),
            last_sr: if is_quoted { block.last_sr } else { 0 },
            delay_since_last_sr: if is_quoted { block.delay_since_last_sr } else { 0 },
            ..*block
        })
    }
}

/// Packets and payload octets that a party was sent, modulo 2^32 as reports have it.
fn counts(counters: &Counters) -> (u32, u32) {
    let headers = counters.sent_packets * HEADER_LEN as u64;
    (counters.sent_packets as u32, counters.sent_octets.saturating_sub(headers) as u32)
}
