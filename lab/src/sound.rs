//! Sources and sinks of audio that belong to no phone: strangers, hand-made user agents, probes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_codec::{Measurement, SILENCE_DBFS, Tone, ToneGenerator, frequency_level, g711, measure};
use hookswitch_rtp::{Header, Packet};

/// Time between two packets.
const FRAME: Duration = Duration::from_millis(20);

const FRAME_SAMPLES: usize = 160;

/// Samples that are looked at to tell what is heard.
const WINDOW: usize = 2_000;

/// As a time.
const BLOCK: Duration = Duration::from_millis(250);

/// Level of all tones, in dB below full scale.
pub const LEVEL_DBFS: f32 = -12.0;

/// Sends a tone in PCMU from one address to another until it is told to stop.
#[derive(Debug)]
pub(crate) struct Mouth {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) next: Option<Time>,
    tone: ToneGenerator,
    header: Header,
}

impl Mouth {
    pub(crate) fn new(now: Time, from: SocketAddr, to: SocketAddr, hz: f32, random: u64) -> Self {
        let tone = Tone::steady(hz, 10f32.powf(LEVEL_DBFS / 20.0));
        let header = Header {
            marker: true,
            payload_type: 0,
            sequence: (random >> 40) as u16,
            timestamp: (random >> 8) as u32,
            ssrc: random as u32,
        };
        Self { from, to, next: Some(now), tone: ToneGenerator::new(tone, 8_000), header }
    }

    /// The packet that is due.
    pub(crate) fn packet(&mut self, now: Time) -> Option<Bytes> {
        let due = self.next.filter(|due| *due <= now)?;
        self.next = Some(due + FRAME);
        let mut samples = [0; FRAME_SAMPLES];
        self.tone.fill(&mut samples);
        let mut packet = self.header.to_bytes().to_vec();
        packet.extend(samples.iter().map(|sample| g711::ulaw_from_linear(*sample)));
        self.header.marker = false;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME_SAMPLES as u32);
        Some(packet.into())
    }
}

/// Hears PCMU and PCMA at one address.
#[derive(Debug, Default)]
pub struct Ear {
    packets: Vec<Heard>,
}

#[derive(Debug)]
struct Heard {
    at: Time,
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    samples: Vec<i16>,
}

impl Ear {
    pub(crate) fn hear(&mut self, at: Time, from: SocketAddr, bytes: &[u8]) {
        let Ok(packet) = Packet::parse(bytes) else { return };
        let decode = match packet.payload_type() {
            0 => g711::linear_from_ulaw,
            8 => g711::linear_from_alaw,
            _ => return,
        };
        let samples = packet.payload().iter().map(|byte| decode(*byte)).collect();
        let (ssrc, sequence, timestamp) = (packet.ssrc(), packet.sequence(), packet.timestamp());
        self.packets.push(Heard { at, from, ssrc, sequence, timestamp, samples });
    }

    /// The sources (SSRC) that packets between two moments named, each once, in the order of their coming.
    #[must_use]
    pub fn streams(&self, from: Time, until: Time) -> Vec<u32> {
        let mut streams = Vec::new();
        for heard in self.packets.iter().filter(|heard| (from..=until).contains(&heard.at)) {
            if !streams.contains(&heard.ssrc) {
                streams.push(heard.ssrc);
            }
        }
        streams
    }

    /// Whether numbers and times of the packets between two moments only ever grow.
    #[must_use]
    pub fn is_in_order(&self, from: Time, until: Time) -> bool {
        let within: Vec<&Heard> = self.packets.iter().filter(|heard| (from..=until).contains(&heard.at)).collect();
        within.windows(2).all(|pair| {
            let sequence = pair[1].sequence.wrapping_sub(pair[0].sequence) as i16;
            let timestamp = pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32;
            sequence > 0 && timestamp >= 0
        })
    }

    /// How many packets arrived since then.
    #[must_use]
    pub fn packets_since(&self, since: Time) -> usize {
        self.packets.iter().filter(|heard| heard.at >= since).count()
    }

    /// Where the packets came from, each source once.
    #[must_use]
    pub fn sources(&self) -> Vec<SocketAddr> {
        let mut sources: Vec<SocketAddr> = self.packets.iter().map(|heard| heard.from).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// The last quarter of a second of what arrived between two moments, each packet in its place
    /// and silence where one is missing.
    fn samples(&self, from: Time, until: Time) -> Vec<i16> {
        let begin = self.packets.partition_point(|heard| heard.at < from);
        let end = self.packets.partition_point(|heard| heard.at <= until);
        let within = self.packets.get(begin..end).unwrap_or_default();
        let Some(last) = within.last() else { return Vec::new() };
        let same_source = || within.iter().filter(|heard| heard.ssrc == last.ssrc);
        // Late packets come behind newer ones.
        let ahead = |heard: &Heard| heard.timestamp.wrapping_sub(last.timestamp) as i32;
        let newest = same_source().map(ahead).max().unwrap_or(0);
        let mut samples = vec![0; WINDOW];
        for heard in same_source() {
            let start = WINDOW as i32 - heard.samples.len() as i32 - newest + ahead(heard);
            let start = usize::try_from(start).unwrap_or(WINDOW);
            if let Some(place) = samples.get_mut(start..start + heard.samples.len()) {
                place.copy_from_slice(&heard.samples);
            }
        }
        samples
    }

    /// Level of one frequency between two moments, in dBFS; packets that are missing make it quieter.
    #[must_use]
    pub fn level(&self, hz: f32, from: Time, until: Time) -> f32 {
        match self.samples(from, until) {
            samples if samples.is_empty() => SILENCE_DBFS,
            samples => frequency_level(&samples, 8_000, hz),
        }
    }

    /// What was heard last between two moments; `None` if that was nothing.
    #[must_use]
    pub fn measure(&self, from: Time, until: Time) -> Option<Measurement> {
        Some(self.samples(from, until)).filter(|samples| !samples.is_empty()).map(|samples| measure(&samples, 8_000))
    }
}

impl Ear {
    /// What was heard between two moments, a quarter of a second at a time.
    #[must_use]
    pub fn blocks(&self, from: Time, until: Time) -> Vec<Measurement> {
        self.moments(from, until).filter_map(|at| self.measure(at, at + BLOCK)).collect()
    }

    /// The loudest moment of one frequency, in dBFS.
    #[must_use]
    pub fn loudest(&self, hz: f32, from: Time, until: Time) -> f32 {
        self.moments(from, until).map(|at| self.level(hz, at, at + BLOCK)).fold(SILENCE_DBFS, f32::max)
    }

    /// The beginnings of all whole blocks between two moments in which something arrived.
    fn moments(&self, from: Time, until: Time) -> impl Iterator<Item = Time> {
        let first = self.packets.iter().map(|heard| heard.at).find(|at| *at >= from).unwrap_or(until);
        let count = until.saturating_sub(first).as_millis() / BLOCK.as_millis();
        (0..count as u32).map(move |n| first + BLOCK * n)
    }
}
