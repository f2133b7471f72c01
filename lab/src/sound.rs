//! Sources and sinks of audio that belong to no phone: strangers, hand-made user agents, probes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_codec::{Measurement, Tone, ToneGenerator, g711, measure};
use hookswitch_rtp::{Header, Packet};

/// Time between two packets.
const FRAME: Duration = Duration::from_millis(20);

const FRAME_SAMPLES: usize = 160;

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

/// Hears PCMU at one address.
#[derive(Debug, Default)]
pub struct Ear {
    packets: Vec<(Time, SocketAddr, Vec<i16>)>,
}

impl Ear {
    pub(crate) fn hear(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        if let Ok(packet) = Packet::parse(bytes) {
            let samples = packet.payload().iter().map(|byte| g711::linear_from_ulaw(*byte));
            self.packets.push((now, from, samples.collect()));
        }
    }

    /// How many packets arrived since then.
    #[must_use]
    pub fn packets_since(&self, since: Time) -> usize {
        self.packets.iter().filter(|(at, ..)| *at >= since).count()
    }

    /// Where the packets came from, each source once.
    #[must_use]
    pub fn sources(&self) -> Vec<SocketAddr> {
        let mut sources: Vec<SocketAddr> = self.packets.iter().map(|(_, from, _)| *from).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// What arrived since then sounds like; `None` if it was less than 200 ms.
    #[must_use]
    pub fn measure_since(&self, since: Time) -> Option<Measurement> {
        let late = self.packets.iter().filter(|(at, ..)| *at >= since);
        let samples: Vec<i16> = late.flat_map(|(_, _, samples)| samples.iter().copied()).collect();
        (samples.len() >= FRAME_SAMPLES * 10).then(|| measure(&samples[samples.len() - FRAME_SAMPLES * 10..], 8_000))
    }
}
