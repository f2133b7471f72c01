//! The table of formats.

use crate::coder::{Decoder, Encoder};
use crate::{g711, g722};

/// Longest frame that is encoded at once, in samples: 120 ms at 48 kHz.
pub const MAX_FRAME_SAMPLES: usize = 5760;

/// A format that a session description can name.
#[derive(Debug, Clone, Copy)]
pub struct Codec {
    /// Encoding name as registered; compare without regard to case.
    pub name: &'static str,
    /// The payload type that needs no `a=rtpmap`, if there is one.
    pub static_payload_type: Option<u8>,
    /// RTP clock in Hz. Not always the sample rate: G.722 says 8000 and samples at 16000.
    pub clock_rate: u32,
    /// Samples per second and channel, in Hz. For events, that of the audio beside them.
    pub sample_rate: u32,
    /// Audio channels.
    pub channels: u8,
    /// Format parameters to offer.
    pub fmtp: Option<&'static str>,
    /// What packets of this format hold.
    pub kind: Kind,
}

/// What packets hold.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Audio.
    Audio {
        /// Makes an encoder for a new stream.
        encoder: fn() -> Encoder,
        /// Makes a decoder for a new stream.
        decoder: fn() -> Decoder,
        /// Bytes per second.
        byte_rate: u32,
        /// The byte that stands for silence.
        silence: u8,
    },
    /// Named events (RFC 4733).
    Event,
}

/// All formats, the most widely understood first.
pub const CODECS: &[Codec] = &[
    Codec {
        name: "PCMU",
        static_payload_type: Some(0),
        clock_rate: 8000,
        sample_rate: 8000,
        channels: 1,
        fmtp: None,
        kind: Kind::Audio {
            encoder: Encoder::ulaw,
            decoder: Decoder::ulaw,
            byte_rate: 8000,
            silence: g711::ULAW_SILENCE,
        },
    },
    Codec {
        name: "PCMA",
        static_payload_type: Some(8),
        clock_rate: 8000,
        sample_rate: 8000,
        channels: 1,
        fmtp: None,
        kind: Kind::Audio {
            encoder: Encoder::alaw,
            decoder: Decoder::alaw,
            byte_rate: 8000,
            silence: g711::ALAW_SILENCE,
        },
    },
    Codec {
        name: "G722",
        static_payload_type: Some(9),
        clock_rate: 8000,
        sample_rate: g722::SAMPLE_RATE,
        channels: 1,
        fmtp: None,
        kind: Kind::Audio { encoder: Encoder::g722, decoder: Decoder::g722, byte_rate: 8000, silence: g722::SILENCE },
    },
    Codec {
        name: "telephone-event",
        static_payload_type: None,
        clock_rate: 8000,
        sample_rate: 8000,
        channels: 1,
        fmtp: Some("0-16"),
        kind: Kind::Event,
    },
];

/// The row of an encoding, whatever the case of its name.
#[must_use]
pub fn by_name(name: &str, clock_rate: u32, channels: u8) -> Option<&'static Codec> {
    CODECS.iter().find(|codec| {
        codec.clock_rate == clock_rate && codec.channels == channels && codec.name.eq_ignore_ascii_case(name)
    })
}

/// The row of a static payload type.
#[must_use]
pub fn by_static_payload_type(payload_type: u8) -> Option<&'static Codec> {
    CODECS.iter().find(|codec| codec.static_payload_type == Some(payload_type))
}

/// The row of µ-law.
#[must_use]
pub fn pcmu() -> &'static Codec {
    &CODECS[0]
}

/// The row of A-law.
#[must_use]
pub fn pcma() -> &'static Codec {
    &CODECS[1]
}

/// The row of telephone-event at 8 kHz.
#[must_use]
pub fn telephone_event() -> &'static Codec {
    &CODECS[3]
}

impl Codec {
    /// Whether packets hold audio.
    #[must_use]
    pub fn is_audio(&self) -> bool {
        matches!(self.kind, Kind::Audio { .. })
    }

    /// An encoder for a new stream; none where packets hold no audio.
    #[must_use]
    pub fn encoder(&self) -> Option<Encoder> {
        match self.kind {
            Kind::Audio { encoder, .. } => Some(encoder()),
            Kind::Event => None,
        }
    }

    /// A decoder for a new stream; none where packets hold no audio.
    #[must_use]
    pub fn decoder(&self) -> Option<Decoder> {
        match self.kind {
            Kind::Audio { decoder, .. } => Some(decoder()),
            Kind::Event => None,
        }
    }

    /// Bytes in so many milliseconds; 0 where packets hold no audio.
    #[must_use]
    pub fn bytes_in(&self, milliseconds: u32) -> usize {
        match self.kind {
            Kind::Audio { byte_rate, .. } => ms_to(byte_rate, milliseconds),
            Kind::Event => 0,
        }
    }

    /// Samples per channel in so many milliseconds.
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
