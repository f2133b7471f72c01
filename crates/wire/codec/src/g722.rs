//! G.722 at 64 kbit/s: 7 kHz of audio, sampled at 16 kHz, one byte for every two samples.
//!
//! A pair of quadrature mirror filters splits the signal into two bands of 4 kHz, each is coded by
//! adaptive differences (SB-ADPCM, ITU-T G.722): six bits for the lower, two for the higher one. RTP
//! says 8000 Hz for historical reasons (RFC 3551 section 4.5.2).
//!
//! ```text
//! samples ─▶ mirror filter ─┬ low ─▶ difference ─▶ 6 bits ─┬─▶ byte
//!                           │           ▲ predictor ◀─ 4 of them
//!                           └ high ─▶ difference ─▶ 2 bits ┘   (each band predicts by what it decodes)
//! ```
//!
//! The state is that of the Recommendation, bit for bit: what the encoder makes and what the decoder
//! makes of it is compared with another implementation in the tests.
//!
//! Samples of 8 kHz are coded and decoded as well, one for each byte: both bands as ever, and on the other side of the
//! mirror filter only what telephony has. That sounds like a [`Resampler`](crate::Resampler) before or behind, takes as
//! long to pass, and costs less than half.

mod bands;
mod filters;
mod lanes;

use bands::{BLOCK, Bands};
use filters::{Join, Split, Wide};

/// A byte that is heard as silence: both differences as small as can be. An encoder makes others of silence
/// as well.
pub const SILENCE: u8 = 0xfa;

/// Samples per second.
pub const SAMPLE_RATE: u32 = 16_000;

/// Samples per second of the audio of telephony, which is coded without a change of the rate.
pub const NARROW_RATE: u32 = 8_000;

/// Makes bytes of samples.
#[derive(Debug, Clone)]
pub struct Encoder(Box<Encoding>);

#[derive(Debug, Clone)]
struct Encoding {
    bands: Bands,
    filter: Splitting,
}

#[derive(Debug, Clone)]
enum Splitting {
    Wide(Wide),
    Narrow(Split),
}

/// Makes samples of bytes.
#[derive(Debug, Clone)]
pub struct Decoder(Box<Decoding>);

#[derive(Debug, Clone)]
struct Decoding {
    bands: Bands,
    filter: Joining,
}

#[derive(Debug, Clone)]
enum Joining {
    Wide(Wide),
    Narrow(Join),
}

impl Default for Encoder {
    /// For samples of 16 kHz.
    fn default() -> Self {
        Self(Box::new(Encoding { bands: Bands::new(), filter: Splitting::Wide(Wide::new()) }))
    }
}

impl Default for Decoder {
    /// For samples of 16 kHz.
    fn default() -> Self {
        Self(Box::new(Decoding { bands: Bands::new(), filter: Joining::Wide(Wide::new()) }))
    }
}

impl Encoder {
    /// For samples of 8 kHz.
    #[must_use]
    pub fn narrow() -> Self {
        Self(Box::new(Encoding { bands: Bands::new(), filter: Splitting::Narrow(Split::new()) }))
    }

    /// Encodes as many samples as both slices have room for, and returns how many bytes that made: one for each sample
    /// of 8 kHz, and one for each two of 16 kHz. An odd sample at the end is left out.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let Encoding { bands, filter } = &mut *self.0;
        let mut both = [[0; 2]; BLOCK];
        let each = if matches!(filter, Splitting::Wide(_)) { 2 } else { 1 };
        let made = (samples.len() / each).min(out.len());
        for (samples, bytes) in samples[..each * made].chunks(each * BLOCK).zip(out[..made].chunks_mut(BLOCK)) {
            let both = &mut both[..bytes.len()];
            match filter {
                Splitting::Wide(filter) => filter.split(samples, both),
                Splitting::Narrow(filter) => filter.split(samples, both),
            }
            bands.encode(both, bytes);
        }
        made
    }
}

impl Decoder {
    /// For samples of 8 kHz.
    #[must_use]
    pub fn narrow() -> Self {
        Self(Box::new(Decoding { bands: Bands::new(), filter: Joining::Narrow(Join::new()) }))
    }

    /// Decodes as many bytes as both slices have room for, and returns how many samples that made: one of 8 kHz for each
    /// byte, or two of 16 kHz.
    pub fn decode(&mut self, bytes: &[u8], out: &mut [i16]) -> usize {
        let Decoding { bands, filter } = &mut *self.0;
        let mut both = [[0; 2]; BLOCK];
        let each = if matches!(filter, Joining::Wide(_)) { 2 } else { 1 };
        let taken = bytes.len().min(out.len() / each);
        for (bytes, samples) in bytes[..taken].chunks(BLOCK).zip(out[..each * taken].chunks_mut(each * BLOCK)) {
            let both = &mut both[..bytes.len()];
            bands.decode(bytes, both);
            match filter {
                Joining::Wide(filter) => filter.join(both, samples),
                Joining::Narrow(filter) => filter.join(both, samples),
            }
        }
        each * taken
    }
}
