//! The packets of all phones, each at its time.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hookswitch_codec::{Codec, Tone, ToneGenerator, g711};
use hookswitch_rtp::{Header, Packet, is_rtcp};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::calls::{Hears, Phone, Says, Table};
use crate::bench::histogram::Histogram;

const FRAME_MS: u32 = 20;

/// Frames of the tone that is said again and again: a second.
const FRAMES: usize = 50;

/// Frames of a burst; as many follow of next to nothing.
const BURST: usize = 25;

/// The tone. It has no whole number of periods in a frame, so that murmurs which are so many frames apart add up to next
/// to nothing as well.
const HERTZ: f32 = 1_010.0;

/// Peak of what is said, in parts of full scale.
const LOUD: f32 = 0.25;

/// The same of a murmur: 50 dB below full scale, which a room does not take for silence.
const SOFT: f32 = 0.0045;

/// A sample beyond this is of a burst.
const OF_A_BURST: u16 = 4_096;

/// Packets of a phone whose time is remembered; what takes longer counts as lost.
const REMEMBERED: usize = 64;

/// Events taken at once.
const EVENTS: usize = 1_024;

/// Room for a packet.
const MAX_PACKET: usize = 2_048;

/// The highest bit of a sequence number is left clear at the beginning (RFC 3550 A.1).
const FIRST_SEQUENCE: u16 = 100;

/// A phone on its way through its frames.
struct Talker {
    /// When the newest packets were sent, by the last bits of their numbers; none once they have arrived.
    sent: [Option<Instant>; REMEMBERED],
    /// When the last burst began.
    burst: Option<Instant>,
    sequence: u16,
    timestamp: u32,
    /// The number of what it has heard last.
    heard: Option<u16>,
    /// The last burst that it has heard, by when that began.
    heard_burst: Option<Instant>,
    received: u64,
    /// Numbers left out in what it has heard.
    missing: i64,
}

/// What has come of a stretch of time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// What the phones of a table say and hear.
pub(super) struct Traffic<'a> {
    phones: &'a [Phone],
    talkers: Vec<Talker>,
    /// The frames of the first phone's codec and of the second's, loud and soft.
    frames: [[Vec<Vec<u8>>; 2]; 2],
    poll: Poll,
    events: Events,
    /// When the next packet is due, and whose it is.
    due: Instant,
    next: usize,
    late: Duration,
}

impl<'a> Traffic<'a> {
    pub(super) fn new(table: &'a Table) -> anyhow::Result<Self> {
        let phones = table.phones.as_slice();
        let poll = Poll::new()?;
        for (index, phone) in phones.iter().enumerate() {
            poll.registry().register(&mut SourceFd(&phone.socket.as_raw_fd()), Token(index), Interest::READABLE)?;
        }
        let [first, second] = phones.first_chunk().context("there is no call")?;
        let said = |codec| [LOUD, SOFT].map(|peak| frames(codec, peak));
        Ok(Self {
            phones,
            talkers: (0..phones.len()).map(Talker::new).collect(),
            frames: [said(first.codec), said(second.codec)],
            poll,
            events: Events::with_capacity(EVENTS),
            due: Instant::now(),
            next: 0,
            late: Duration::ZERO,
        })
    }

    /// How late a packet was sent at most.
    pub(super) fn late(&self) -> Duration {
        self.late
    }

    /// Sends and receives for so long. Packets that are received late enough to belong to the run before are not told
    /// apart: there is one before each that counts.
    /// `others` is called again and again meanwhile.
    pub(super) fn run(
        &mut self,
        time: Duration,
        mut latency: Option<&mut Histogram>,
        others: &mut dyn FnMut(Instant),
    ) -> anyhow::Result<Passed> {
        let apart = Duration::from_millis(FRAME_MS.into()) / self.phones.len() as u32;
        let (begin, mut passed) = (Instant::now(), Passed::default());
        // What was due while somebody else had the processor is not made up for in one burst.
        (self.due, self.late) = (begin, Duration::ZERO);
        for talker in &mut self.talkers {
            (talker.sent, talker.received, talker.missing) = ([None; REMEMBERED], 0, 0);
        }
        while begin.elapsed() < time {
            let now = Instant::now();
            others(now);
            while self.due <= now {
                self.late = self.late.max(now - self.due);
                passed.sent += u64::from(self.send()?);
                self.due += apart;
            }
            let wait = self.due.saturating_duration_since(Instant::now());
            passed.received += self.receive(wait, latency.as_deref_mut())?;
        }
        Ok(passed)
    }

    /// Receives what is still on its way, and counts it: for so long, but no longer than until `most` have come.
    pub(super) fn drain(&mut self, time: Duration, most: u64, latency: &mut Histogram) -> anyhow::Result<u64> {
        let (begin, mut received) = (Instant::now(), 0);
        while let Some(rest) = time.checked_sub(begin.elapsed()).filter(|rest| !rest.is_zero() && received < most) {
            received += self.receive(rest, Some(latency))?;
        }
        Ok(received)
    }

    /// Packets that phones should have heard since the last run began and have not, by the gaps in their numbers; of a
    /// phone that has heard nothing all of them.
    pub(super) fn missing(&self, time: Duration) -> u64 {
        let all = time.as_millis() as u64 / u64::from(FRAME_MS);
        let missing = |talker: &Talker| match talker.received {
            0 => all,
            _ => u64::try_from(talker.missing).unwrap_or(0),
        };
        self.talkers.iter().map(missing).sum()
    }

    /// The next phone's next packet. Whether it has left.
    fn send(&mut self) -> anyhow::Result<bool> {
        let index = self.next;
        self.next = (index + 1) % self.phones.len();
        let (Some(phone), Some(talker)) = (self.phones.get(index), self.talkers.get_mut(index)) else {
            return Ok(false);
        };
        let Talker { sequence, timestamp, .. } = *talker;
        let frame = usize::from(sequence) % FRAMES;
        let softness = match phone.says {
            Says::Tone => 0,
            Says::Bursts => usize::from(frame >= BURST),
            Says::Murmur => 1,
            Says::Nothing => return Ok(false),
        };
        talker.sequence = sequence.wrapping_add(1);
        talker.timestamp = timestamp.wrapping_add(phone.codec.ticks_in(FRAME_MS));
        let payload = &self.frames[index % 2][softness][frame];
        let header =
            Header { marker: false, payload_type: phone.payload_type, sequence, timestamp, ssrc: index as u32 + 1 };
        let mut packet = [0; MAX_PACKET];
        let len = header.write_packet(payload, &mut packet)?;
        let now = Some(Instant::now());
        talker.sent[usize::from(sequence) % REMEMBERED] = now;
        if frame == 0 {
            talker.burst = now;
        }
        match phone.socket.send_to(&packet[..len], phone.to) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Our own buffer is full: the packet never was on its way.
                talker.sent[usize::from(sequence) % REMEMBERED] = None;
                Ok(false)
            }
            Err(error) => Err(error).context("send"),
        }
    }

    fn receive(&mut self, wait: Duration, mut latency: Option<&mut Histogram>) -> anyhow::Result<u64> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            other => other.context("wait for packets")?,
        }
        let mut received = 0;
        let mut buffer = [0; MAX_PACKET];
        for event in &self.events {
            let index = event.token().0;
            let Some(phone) = self.phones.get(index) else { continue };
            while let Ok(len) = phone.socket.recv(&mut buffer) {
                // Reports for one phone come to the port above its own, where another one may be.
                let packet = Packet::parse(&buffer[..len]).ok().filter(|_| !is_rtcp(&buffer[..len]));
                let Some(packet) = packet else { continue };
                let sent = hear(&mut self.talkers, index, phone.hears, &packet);
                received += u64::from(sent.is_some() || !matches!(phone.hears, Hears::Phone(_)));
                if let (Some(sent), Some(latency)) = (sent, latency.as_deref_mut()) {
                    latency.add(sent.elapsed());
                }
            }
        }
        Ok(received)
    }
}

impl Talker {
    fn new(index: usize) -> Self {
        Self {
            sent: [None; REMEMBERED],
            burst: None,
            // Each in another frame of the tone.
            sequence: FIRST_SEQUENCE + (index % FRAMES) as u16,
            timestamp: 0,
            heard: None,
            heard_burst: None,
            received: 0,
            missing: 0,
        }
    }

    /// Counts a packet, and the numbers left out before it. One that comes later than the next one was no gap.
    fn count(&mut self, sequence: u16) {
        let step = self.heard.map_or(1, |heard| sequence.wrapping_sub(heard).cast_signed());
        self.missing += i64::from(if step > 0 { step - 1 } else { -1 });
        if step > 0 {
            self.heard = Some(sequence);
        }
        self.received += 1;
    }
}

/// Counts what a phone has received. When that was sent, where that can be told.
fn hear(talkers: &mut [Talker], index: usize, hears: Hears, packet: &Packet<'_>) -> Option<Instant> {
    let burst = match hears {
        Hears::Room(talker) => talkers.get(talker)?.burst,
        Hears::Phone(_) | Hears::Sound => None,
    };
    let listener = talkers.get_mut(index)?;
    listener.count(packet.sequence());
    match hears {
        Hears::Phone(other) => talkers.get_mut(other)?.sent[usize::from(packet.sequence()) % REMEMBERED].take(),
        Hears::Room(_) => {
            // Its first packet counts, and not what follows on a frame that was lost in it.
            let burst = burst.filter(|_| is_of_a_burst(packet.payload()))?;
            (listener.heard_burst.replace(burst) != Some(burst)).then_some(burst)
        }
        Hears::Sound => None,
    }
}

/// Whether so much µ-law has anything loud in it.
fn is_of_a_burst(payload: &[u8]) -> bool {
    let mut samples = [0; 960];
    let count = g711::decode_ulaw(payload, &mut samples);
    samples[..count].iter().any(|sample| sample.unsigned_abs() > OF_A_BURST)
}

/// A second of the tone, packet by packet.
fn frames(codec: &Codec, peak: f32) -> Vec<Vec<u8>> {
    let mut tone = ToneGenerator::new(Tone::steady(HERTZ, peak), codec.sample_rate);
    let mut encoder = codec.encoder();
    let mut samples = vec![0; codec.samples_in(FRAME_MS)];
    let frame = |_| {
        tone.fill(&mut samples);
        let mut bytes = vec![0; codec.bytes_in(FRAME_MS)];
        let len = encoder.as_mut().map_or(0, |encoder| encoder.encode(&samples, &mut bytes));
        bytes.truncate(len);
        bytes
    };
    (0..FRAMES).map(frame).collect()
}
