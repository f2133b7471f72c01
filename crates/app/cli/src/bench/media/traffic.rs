//! The packets of all phones, each at its time.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hookswitch_codec::{Codec, Tone, ToneGenerator};
use hookswitch_rtp::{Header, Packet};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::calls::{Phone, Table};
use crate::bench::histogram::Histogram;

const FRAME_MS: u32 = 20;

/// Frames of the tone that is said again and again: a second.
const FRAMES: usize = 50;

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
    sequence: u16,
    timestamp: u32,
}

/// What the phones of a table say and hear.
pub(super) struct Traffic<'a> {
    phones: &'a [Phone],
    talkers: Vec<Talker>,
    /// The frames of the caller's codec and of the callee's.
    frames: [Vec<Vec<u8>>; 2],
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
        let [caller, callee] = phones.first_chunk().context("there is no call")?;
        let talker = |_| Talker { sent: [None; REMEMBERED], sequence: FIRST_SEQUENCE, timestamp: 0 };
        Ok(Self {
            phones,
            talkers: phones.iter().map(talker).collect(),
            frames: [frames(caller.codec), frames(callee.codec)],
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

    /// Sends and receives for so long, and says how many packets of both. Those that are received late enough to belong
    /// to the run before are not told apart: there is one before each that counts.
    pub(super) fn run(&mut self, time: Duration, mut latency: Option<&mut Histogram>) -> anyhow::Result<(u64, u64)> {
        let apart = Duration::from_millis(FRAME_MS.into()) / self.phones.len() as u32;
        let (begin, mut sent, mut received) = (Instant::now(), 0, 0);
        // What was due while somebody else had the processor is not made up for in one burst.
        (self.due, self.late) = (begin, Duration::ZERO);
        for talker in &mut self.talkers {
            talker.sent = [None; REMEMBERED];
        }
        while begin.elapsed() < time {
            let now = Instant::now();
            while self.due <= now {
                self.late = self.late.max(now - self.due);
                sent += u64::from(self.send()?);
                self.due += apart;
            }
            let wait = self.due.saturating_duration_since(Instant::now());
            received += self.receive(wait, latency.as_deref_mut())?;
        }
        Ok((sent, received))
    }

    /// Receives what is still on its way.
    pub(super) fn drain(&mut self, time: Duration, latency: &mut Histogram) -> anyhow::Result<u64> {
        let (begin, mut received) = (Instant::now(), 0);
        while let Some(rest) = time.checked_sub(begin.elapsed()).filter(|rest| !rest.is_zero()) {
            received += self.receive(rest, Some(latency))?;
        }
        Ok(received)
    }

    /// The next phone's next packet. Whether it has left.
    fn send(&mut self) -> anyhow::Result<bool> {
        let index = self.next;
        self.next = (index + 1) % self.phones.len();
        let (Some(phone), Some(talker)) = (self.phones.get(index), self.talkers.get_mut(index)) else {
            return Ok(false);
        };
        let Talker { sequence, timestamp, .. } = *talker;
        talker.sequence = sequence.wrapping_add(1);
        talker.timestamp = timestamp.wrapping_add(phone.codec.ticks_in(FRAME_MS));
        let payload = &self.frames[index % 2][usize::from(sequence) % FRAMES];
        let header =
            Header { marker: false, payload_type: phone.payload_type, sequence, timestamp, ssrc: index as u32 + 1 };
        let mut packet = [0; MAX_PACKET];
        let len = header.write_packet(payload, &mut packet)?;
        talker.sent[usize::from(sequence) % REMEMBERED] = Some(Instant::now());
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
                let Ok(packet) = Packet::parse(&buffer[..len]) else { continue };
                // The other phone of the call has sent it.
                let sender = self.talkers.get_mut(index ^ 1);
                let sent = sender.and_then(|sender| sender.sent[usize::from(packet.sequence()) % REMEMBERED].take());
                if let Some(sent) = sent {
                    received += 1;
                    if let Some(latency) = latency.as_deref_mut() {
                        latency.add(sent.elapsed());
                    }
                }
            }
        }
        Ok(received)
    }
}

/// A second of a tone, packet by packet.
fn frames(codec: &Codec) -> Vec<Vec<u8>> {
    let mut tone = ToneGenerator::new(Tone::steady(1_000.0, 0.25), codec.sample_rate);
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
