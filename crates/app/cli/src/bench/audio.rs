//! The audio of the load: PCMU packets whose payload says who sent them, when, and what it must look like.
//!
//! ```text
//!   payload: magic 4 │ leg 1 │ 0 3 │ slot 4 │ generation 4 │ sent at (ns) 8 │ sequence 4 │ pattern 132
//! ```
//!
//! All calls of one end share one socket. A packet is credited to the stream that sent it; whether it came to the right
//! call is seen from the port of the server that it came from.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use ahash::RandomState;
use bytes::{BufMut, Bytes, BytesMut};
use hookswitch_rtp::{Header, Packet};

use super::histogram::Histogram;
use super::work::{CallRef, Leg};

/// Time between the packets of a stream.
const FRAME: Duration = Duration::from_millis(20);

/// If packets are due for longer than this, the generator itself was stopped. For its phones no time passes then:
/// everybody's packets of that time in one burst are no load that phones make.
const MAX_BEHIND: Duration = Duration::from_millis(10);

/// Bytes of payload per packet: 20 ms of PCMU.
const PAYLOAD: usize = 160;

/// 2^32 divided by the golden ratio.
const GOLDEN: u32 = 0x9e37_79b9;

const MAGIC: [u8; 4] = *b"HSLB";
const PATTERN_AT: usize = 28;
const PATTERN: usize = PAYLOAD - PATTERN_AT;

/// Size of the pieces of memory that packets are cut from.
const BUFFER: usize = 64 * 1024;

/// What was counted about audio.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    /// Another payload than was sent.
    pub(super) damaged: u64,
    /// At another call than that of the sender.
    pub(super) misrouted: u64,
    /// No RTP, or of a call that is over.
    pub(super) strays: u64,
    pub(super) latency: Histogram,
    /// How late a packet was sent at worst: more than a few milliseconds say that the generator is the bottleneck.
    pub(super) late: Duration,
    /// For how long no time passed for the phones, because the generator was stopped.
    pub(super) stopped: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    live: bool,
    /// Sends; a stream that was hushed still receives.
    sends: bool,
    generation: u32,
    number: Option<u64>,
    remote: SocketAddr,
    sequence: u32,
    received: u64,
}

/// All streams of both ends.
pub(super) struct Audio {
    streams: [Vec<Option<Stream>>; 2],
    /// Who is to send when, by the phones' time. All streams have the same interval, so the order keeps itself.
    due: VecDeque<(Duration, Leg, CallRef)>,
    /// When within a frame the latest stream speaks, in parts of 2^32.
    phase: u32,
    /// The slots of both ends of a call, by the call's number.
    pairs: HashMap<u64, [Option<u32>; 2], RandomState>,
    pattern: [u8; 256 + PATTERN],
    buffer: BytesMut,
    pub(super) heard: Heard,
}

impl Audio {
    pub(super) fn new() -> Audio {
        let mut pattern = [0; 256 + PATTERN];
        let mut state = 0x2545_f491u32;
        for byte in &mut pattern {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        Audio {
            streams: [Vec::new(), Vec::new()],
            due: VecDeque::new(),
            phase: 0,
            pairs: HashMap::default(),
            pattern,
            buffer: BytesMut::with_capacity(BUFFER),
            heard: Heard {
                sent: 0,
                received: 0,
                lost: 0,
                damaged: 0,
                misrouted: 0,
                strays: 0,
                latency: Histogram::new(),
                late: Duration::ZERO,
                stopped: Duration::ZERO,
            },
        }
    }

    pub(super) fn start(
        &mut self,
        now: Duration,
        leg: Leg,
        call: CallRef,
        number: Option<u64>,
        remote: Option<SocketAddr>,
    ) {
        let Some(remote) = remote else {
            return;
        };
        let slots = &mut self.streams[leg.index()];
        let index = call.slot as usize;
        if slots.len() <= index {
            slots.resize(index + 1, None);
        }
        let generation = call.generation;
        slots[index] = Some(Stream { live: true, sends: true, generation, number, remote, sequence: 0, received: 0 });
        if let Some(number) = number {
            self.pairs.entry(number).or_default()[leg.index()] = Some(call.slot);
        }
        // Calls that start at an even pace would all speak at the same few moments of a frame. Phones know nothing of
        // each other, so steps of the golden ratio spread them evenly however many there are.
        self.phase = self.phase.wrapping_add(GOLDEN);
        let first = self.phones_time(now) + FRAME.mul_f64(f64::from(self.phase) / f64::from(u32::MAX));
        let place = self.due.partition_point(|(at, ..)| *at <= first);
        self.due.insert(place, (first, leg, call));
    }

    /// Stops both ends of a caller's call; what is under way still arrives.
    pub(super) fn hush(&mut self, call: CallRef) {
        let Some(stream) = self.stream(Leg::Caller, call) else {
            return;
        };
        stream.sends = false;
        let number = stream.number;
        let pair = number.and_then(|number| self.pairs.get(&number)).copied().unwrap_or_default();
        let other = pair[Leg::Callee.index()].and_then(|slot| self.streams[1].get_mut(slot as usize)?.as_mut());
        if let Some(other) = other.filter(|other| other.number == number) {
            other.sends = false;
        }
    }

    /// Closes the books on one end.
    pub(super) fn over(&mut self, leg: Leg, call: CallRef) {
        let Some(stream) = self.stream(leg, call) else {
            return;
        };
        (stream.live, stream.sends) = (false, false);
        let (number, missing) = (stream.number, u64::from(stream.sequence).saturating_sub(stream.received));
        self.heard.lost += missing;
        if let Some(number) = number
            && let Some(pair) = self.pairs.get_mut(&number)
        {
            pair[leg.index()] = None;
            if *pair == [None, None] {
                self.pairs.remove(&number);
            }
        }
    }

    fn stream(&mut self, leg: Leg, call: CallRef) -> Option<&mut Stream> {
        let stream = self.streams[leg.index()].get_mut(call.slot as usize)?.as_mut()?;
        (stream.live && stream.generation == call.generation).then_some(stream)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.due.front().map(|(at, ..)| *at + self.heard.stopped)
    }

    fn phones_time(&self, now: Duration) -> Duration {
        now.saturating_sub(self.heard.stopped)
    }

    /// Lets no time have passed for the phones while we were stopped.
    fn catch_up(&mut self, now: Duration) {
        let Some((first, ..)) = self.due.front() else { return };
        let late = self.phones_time(now).saturating_sub(*first);
        self.heard.late = self.heard.late.max(late);
        if late > MAX_BEHIND {
            self.heard.stopped += late;
        }
    }

    /// The next packet that is due: from which end, and where to.
    pub(super) fn next(&mut self, now: Duration) -> Option<(Leg, SocketAddr, Bytes)> {
        self.catch_up(now);
        let time = self.phones_time(now);
        loop {
            let (at, leg, call) = self.due.pop_front_if(|(at, ..)| *at <= time)?;
            let Some(stream) = self.stream(leg, call).filter(|stream| stream.sends) else {
                continue;
            };
            let (sequence, remote) = (stream.sequence, stream.remote);
            stream.sequence += 1;
            self.heard.sent += 1;
            self.due.push_back((at + FRAME, leg, call));
            return Some((leg, remote, self.packet(now, leg, call, sequence)));
        }
    }

    fn packet(&mut self, now: Duration, leg: Leg, call: CallRef, sequence: u32) -> Bytes {
        let header = Header {
            marker: sequence == 0,
            payload_type: 0,
            sequence: sequence as u16,
            timestamp: sequence.wrapping_mul(PAYLOAD as u32),
            ssrc: call.slot << 1 | leg.index() as u32,
        };
        if self.buffer.capacity() < 2 * PAYLOAD {
            self.buffer = BytesMut::with_capacity(BUFFER);
        }
        let out = &mut self.buffer;
        out.put_slice(&header.to_bytes());
        out.put_slice(&MAGIC);
        out.put_u32(leg.index() as u32);
        out.put_u32(call.slot);
        out.put_u32(call.generation);
        // Runs of centuries are not measured.
        out.put_u64(now.as_nanos() as u64);
        out.put_u32(sequence);
        let from = pattern_start(call, sequence);
        out.put_slice(&self.pattern[from..from + PATTERN]);
        out.split().freeze()
    }

    /// A packet that arrived at the socket of `at`.
    pub(super) fn receive(&mut self, now: Duration, at: Leg, from: SocketAddr, bytes: &[u8]) {
        let Some((leg, call, sent_at, sequence, pattern)) = read(bytes) else {
            self.heard.strays += 1;
            return;
        };
        let start = pattern_start(call, sequence);
        let intact = *pattern == self.pattern[start..start + PATTERN];
        let right_way = leg == at.other();
        let Some(stream) = self.stream(leg, call).filter(|stream| right_way && sequence < stream.sequence) else {
            self.heard.strays += 1;
            return;
        };
        stream.received += 1;
        let number = stream.number;
        self.heard.received += 1;
        self.heard.latency.add(now.saturating_sub(sent_at));
        self.heard.damaged += u64::from(!intact);
        let here = number.and_then(|number| self.pairs.get(&number)?[at.index()]);
        let expected = here.and_then(|slot| *self.streams[at.index()].get(slot as usize)?);
        self.heard.misrouted += u64::from(expected.is_some_and(|stream| stream.remote != from));
    }
}

fn pattern_start(call: CallRef, sequence: u32) -> usize {
    (sequence.wrapping_mul(31).wrapping_add(call.slot.wrapping_mul(17)) & 0xff) as usize
}

type Told<'a> = (Leg, CallRef, Duration, u32, &'a [u8]);

fn read(bytes: &[u8]) -> Option<Told<'_>> {
    let payload = Packet::parse(bytes).ok()?.payload();
    if payload.len() != PAYLOAD || payload.get(..4)? != MAGIC {
        return None;
    }
    let word = |at: usize| Some(u32::from_be_bytes(*payload.get(at..)?.first_chunk()?));
    let leg = match word(4)? {
        0 => Leg::Caller,
        1 => Leg::Callee,
        _ => return None,
    };
    let call = CallRef { slot: word(8)?, generation: word(12)? };
    let sent_at = Duration::from_nanos(u64::from(word(16)?) << 32 | u64::from(word(20)?));
    Some((leg, call, sent_at, word(24)?, payload.get(PATTERN_AT..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallRef = CallRef { slot: 4, generation: 9 };
    const OTHER: CallRef = CallRef { slot: 2, generation: 1 };

    fn port(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn talking() -> Audio {
        let mut audio = Audio::new();
        audio.start(Duration::ZERO, Leg::Caller, CALL, Some(7), Some(port(1000)));
        audio.start(Duration::ZERO, Leg::Callee, OTHER, Some(7), Some(port(2000)));
        audio
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn packets_flow_both_ways_and_are_timed() {
        let mut audio = talking();
        for millis in 0..=100 {
            while let Some((leg, to, bytes)) = audio.next(at(millis)) {
                assert_eq!(bytes.len(), 172);
                let (from, expected) = match leg {
                    Leg::Caller => (port(2000), port(1000)),
                    Leg::Callee => (port(1000), port(2000)),
                };
                assert_eq!(to, expected);
                audio.receive(at(millis) + Duration::from_micros(300), leg.other(), from, &bytes);
            }
        }
        let heard = &audio.heard;
        assert_eq!((heard.sent, heard.received, heard.damaged, heard.misrouted, heard.strays), (10, 10, 0, 0, 0));
        assert_eq!(heard.latency.quantile(0.5), Duration::from_micros(300));
    }

    #[test]
    fn a_generator_that_was_stopped_makes_no_burst() {
        let mut audio = talking();
        let mut sent = Vec::new();
        // Half a second in which nobody looks.
        for millis in (0..100).chain(600..700) {
            while audio.next(at(millis)).is_some() {
                sent.push(millis);
            }
        }
        assert_eq!(sent.len(), 2 * 10, "{sent:?}");
        assert!(sent.windows(3).all(|three| three[2] - three[0] >= 20 || three[2] < 21), "{sent:?}");
        assert!(audio.heard.late > at(480) && audio.heard.stopped == audio.heard.late);
        assert!(audio.deadline().is_some_and(|due| due > at(699)));
    }

    #[test]
    fn loss_damage_and_wrong_doors_are_seen() {
        let mut audio = talking();
        let mut packets = Vec::new();
        for millis in 0..=60 {
            packets.extend(std::iter::from_fn(|| audio.next(at(millis))));
        }
        let mine: Vec<_> = packets.iter().filter(|(leg, ..)| *leg == Leg::Caller).collect();
        let mut damaged = mine[0].2.to_vec();
        damaged[100] ^= 1;
        audio.receive(at(61), Leg::Callee, port(2000), &damaged);
        audio.receive(at(61), Leg::Callee, port(2002), &mine[1].2);
        audio.receive(at(61), Leg::Caller, port(1000), &mine[2].2);
        audio.receive(at(61), Leg::Callee, port(2000), b"noise");
        audio.over(Leg::Caller, CALL);
        audio.receive(at(61), Leg::Callee, port(2000), &mine[2].2);
        let heard = &audio.heard;
        assert_eq!((heard.damaged, heard.misrouted, heard.strays, heard.lost), (1, 1, 3, 1));
    }

    #[test]
    fn hush_stops_both_ends_before_the_books_are_closed() {
        let mut audio = talking();
        audio.hush(CALL);
        assert!((0..=100).all(|millis| audio.next(at(millis)).is_none()));
        assert_eq!(audio.deadline(), None);
        audio.over(Leg::Caller, CALL);
        audio.over(Leg::Callee, OTHER);
        assert!(audio.pairs.is_empty());
        assert_eq!(audio.heard.lost, 0);
    }
}
