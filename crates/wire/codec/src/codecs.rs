//! The rows of the table of formats, and what can be asked of them.

use crate::coder::{Decoder, Encoder};
use crate::table::{ALIASES, CODECS, EVENTS, NOISE, PCMA, PCMU};

/// Longest frame that is encoded at once, in samples: 120 ms at 48 kHz.
pub const MAX_FRAME_SAMPLES: usize = 5760;

/// A format that a session description can name.
#[derive(Debug, Clone, Copy)]
pub struct Codec {
    /// Encoding name as registered; compare without regard to case.
    pub name: &'static str,
    /// What configuration calls it: the name, and the clock where there are several of that name.
    pub label: &'static str,
    /// The payload type that needs no `a=rtpmap`, if there is one.
    pub static_payload_type: Option<u8>,
    /// RTP clock in Hz. Not always the sample rate: G.722 says 8000 and samples at 16000.
    pub clock_rate: u32,
    /// Samples per second and channel, in Hz. For events, that of the audio beside them.
    pub sample_rate: u32,
    /// Audio channels as a description writes them. Our coders take and give one.
    pub channels: u8,
    /// Format parameters to offer.
    pub fmtp: Option<&'static str>,
    /// Format parameters that have to be the same on both sides of a relay; one that is not there is 0.
    pub compare: &'static [&'static str],
    /// What packets of this format hold.
    pub kind: Kind,
}

/// What packets hold.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Audio.
    Audio {
        /// What makes and reads it. None where packets are only passed on from one party to another.
        coder: Option<Coder>,
        /// Bytes per second; where the rate varies, the most a packet of ours may have.
        byte_rate: u32,
        /// The byte that stands for silence, if one does.
        silence: Option<u8>,
        /// How long a packet lasts.
        framing: Framing,
    },
    /// Named events (RFC 4733).
    Event,
    /// What a background sounds like while nobody speaks (RFC 3389).
    Noise,
}

/// What makes streams of a format.
#[derive(Debug, Clone, Copy)]
pub struct Coder {
    pub(crate) encoder: fn(u32, Option<&str>) -> Option<Encoder>,
    pub(crate) decoder: fn(u32) -> Option<Decoder>,
    /// Rates it works at besides the row's own, in Hz.
    pub(crate) other_rates: &'static [u32],
}

/// How long a packet lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As long as it has bytes.
    Even,
    /// Its first byte or two say so (RFC 6716 section 3.1).
    Opus,
    /// That is not looked into.
    Unread,
}

/// The row of an encoding, whatever the case of its name.
#[must_use]
pub fn by_name(name: &str, clock_rate: u32, channels: u8) -> Option<&'static Codec> {
    CODECS.iter().find(|codec| {
        codec.clock_rate == clock_rate && codec.channels == channels && codec.name.eq_ignore_ascii_case(name)
    })
}

/// The row that configuration means: a name, or a name and a clock, as in `PCMU`, `opus` and
/// `L16/16000`, whatever their case. `2833`, `722` and `729` are what other switches call telephone-event,
/// G722 and G729. Of several clocks the lowest is meant.
#[must_use]
pub fn by_label(label: &str) -> Option<&'static Codec> {
    let label = ALIASES.iter().find(|(alias, _)| *alias == label).map_or(label, |(_, label)| label);
    let (name, clock) = match label.split_once('/') {
        Some((name, clock)) => (name, Some(clock.parse().ok()?)),
        None => (label, None),
    };
    CODECS
        .iter()
        .find(|codec| codec.name.eq_ignore_ascii_case(name) && clock.is_none_or(|clock: u32| codec.clock_rate == clock))
}

/// The row of a static payload type.
#[must_use]
pub fn by_static_payload_type(payload_type: u8) -> Option<&'static Codec> {
    CODECS.iter().find(|codec| codec.static_payload_type == Some(payload_type))
}

/// The row of µ-law.
#[must_use]
pub fn pcmu() -> &'static Codec {
    &CODECS[PCMU]
}

/// The row of A-law.
#[must_use]
pub fn pcma() -> &'static Codec {
    &CODECS[PCMA]
}

/// The row of telephone-event at 8 kHz.
#[must_use]
pub fn telephone_event() -> &'static Codec {
    &CODECS[EVENTS]
}

/// The row of telephone-event beside audio of this RTP clock, in Hz (RFC 4733 section 2.1).
#[must_use]
pub fn telephone_event_at(clock_rate: u32) -> Option<&'static Codec> {
    CODECS.iter().find(|codec| codec.is_event() && codec.clock_rate == clock_rate)
}

/// The row of comfort noise, which goes with audio whose RTP clock is 8 kHz.
#[must_use]
pub fn comfort_noise() -> &'static Codec {
    &CODECS[NOISE]
}

/// What is written for one of a format's parameters; they are separated by semicolons.
#[must_use]
pub fn parameter<'a>(fmtp: Option<&'a str>, name: &str) -> Option<&'a str> {
    fmtp?.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

impl Codec {
    /// Whether packets hold audio.
    #[must_use]
    pub fn is_audio(&self) -> bool {
        matches!(self.kind, Kind::Audio { .. })
    }

    /// Whether packets hold named events.
    #[must_use]
    pub fn is_event(&self) -> bool {
        matches!(self.kind, Kind::Event)
    }

    /// Whether every packet can be understood by itself, and at little cost.
    #[must_use]
    pub fn is_memoryless(&self) -> bool {
        matches!(self.name, "PCMU" | "PCMA" | "L16")
    }

    /// Whether we make and read it. Other audio is passed on from one party to another.
    #[must_use]
    pub fn has_coder(&self) -> bool {
        self.coder().is_some()
    }

    fn coder(&self) -> Option<Coder> {
        match self.kind {
            Kind::Audio { coder, .. } => coder,
            Kind::Event | Kind::Noise => None,
        }
    }

    /// The rate at which to encode and decode for audio of this one, in Hz: some formats code at several,
    /// and more than there is to be heard is time wasted. Otherwise the [`sample_rate`](Self::sample_rate).
    #[must_use]
    pub fn coding_rate(&self, audio_rate: u32) -> u32 {
        let other = self.coder().is_some_and(|coder| coder.other_rates.contains(&audio_rate));
        if other { audio_rate } else { self.sample_rate }
    }

    /// An encoder for a new stream; none where we make no such packets.
    #[must_use]
    pub fn encoder(&self) -> Option<Encoder> {
        self.encoder_at(self.sample_rate, None)
    }

    /// An encoder for a new stream of samples at a rate in Hz, which does as the receiver's format
    /// parameters want it. None where we make no such packets, or not of this rate.
    #[must_use]
    pub fn encoder_at(&self, rate: u32, theirs: Option<&str>) -> Option<Encoder> {
        let coder = self.coder().filter(|_| self.coding_rate(rate) == rate)?;
        (coder.encoder)(rate, theirs)
    }

    /// A decoder for a new stream; none where we read no such packets.
    #[must_use]
    pub fn decoder(&self) -> Option<Decoder> {
        self.decoder_at(self.sample_rate)
    }

    /// A decoder for a new stream that makes samples at a rate in Hz. None where we read no such packets,
    /// or not at this rate.
    #[must_use]
    pub fn decoder_at(&self, rate: u32) -> Option<Decoder> {
        let coder = self.coder().filter(|_| self.coding_rate(rate) == rate)?;
        (coder.decoder)(rate)
    }

    /// Whether what is made after one description's parameters can be read after the other's.
    #[must_use]
    pub fn is_same_format(&self, a: Option<&str>, b: Option<&str>) -> bool {
        let value = |fmtp, name| parameter(fmtp, name).unwrap_or("0");
        self.compare.iter().all(|name| value(a, name) == value(b, name))
    }

    /// Bytes in so many milliseconds, or the most that there may be where the rate varies; 0 where packets
    /// hold no audio.
    #[must_use]
    pub fn bytes_in(&self, milliseconds: u32) -> usize {
        match self.kind {
            Kind::Audio { byte_rate, .. } => ms_to(byte_rate, milliseconds),
            Kind::Event | Kind::Noise => 0,
        }
    }

    /// Samples per channel in so many milliseconds, at the [`sample_rate`](Self::sample_rate).
    #[must_use]
    pub fn samples_in(&self, milliseconds: u32) -> usize {
        ms_to(self.sample_rate, milliseconds)
    }

    /// Units of the RTP clock in so many milliseconds.
    #[must_use]
    pub fn ticks_in(&self, milliseconds: u32) -> u32 {
        // As large as the product of two 32-bit numbers divided by 1000; beyond u32 only for days.
        u32::try_from(ms_to(self.clock_rate, milliseconds)).unwrap_or(u32::MAX)
    }

    /// How long a packet with this payload lasts, in units of the RTP clock. None where that is not
    /// looked into, and for what is no packet of this format.
    #[must_use]
    pub fn ticks_of(&self, payload: &[u8]) -> Option<u32> {
        match self.kind {
            Kind::Audio { framing: Framing::Even, byte_rate, .. } => {
                let ticks = payload.len() as u64 * u64::from(self.clock_rate) / u64::from(byte_rate.max(1));
                u32::try_from(ticks).ok()
            }
            Kind::Audio { framing: Framing::Opus, .. } => opus_ticks(payload),
            Kind::Audio { framing: Framing::Unread, .. } | Kind::Event | Kind::Noise => None,
        }
    }
}

/// Units of 48 kHz that an Opus packet lasts (RFC 6716 section 3.1).
fn opus_ticks(payload: &[u8]) -> Option<u32> {
    let first = *payload.first()?;
    let config = usize::from(first >> 3);
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][config % 4],
        12..16 => [480, 960][config % 2],
        _ => [120, 240, 480, 960][config % 4],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*payload.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|ticks| (1..=MAX_FRAME_SAMPLES as u32).contains(ticks))
}

impl PartialEq for Codec {
    /// A row is identified by name, clock and channels.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.clock_rate == other.clock_rate && self.channels == other.channels
    }
}

impl Eq for Codec {}

fn ms_to(rate: u32, milliseconds: u32) -> usize {
    (u64::from(rate) * u64::from(milliseconds) / 1000) as usize
}
