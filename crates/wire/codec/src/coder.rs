//! What makes packets of samples, and samples of packets.

use crate::{g711, g722};

/// Makes bytes of samples. One for each stream: some formats build on what came before.
#[derive(Debug, Clone)]
pub enum Encoder {
    /// One byte per sample, without memory.
    PerSample(fn(&[i16], &mut [u8]) -> usize),
    /// G.722.
    G722(g722::Encoder),
}

impl Encoder {
    /// Encodes as many samples as both slices have room for, and returns how many bytes that made.
    #[inline]
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        match self {
            Self::PerSample(encode) => encode(samples, out),
            Self::G722(encoder) => encoder.encode(samples, out),
        }
    }

    pub(crate) fn ulaw() -> Self {
        Self::PerSample(g711::encode_ulaw)
    }

    pub(crate) fn alaw() -> Self {
        Self::PerSample(g711::encode_alaw)
    }

    pub(crate) fn g722() -> Self {
        Self::G722(g722::Encoder::default())
    }
}

/// Makes samples of bytes. One for each stream, as with [`Encoder`].
#[derive(Debug, Clone)]
pub enum Decoder {
    /// One sample per byte, without memory.
    PerSample(fn(&[u8], &mut [i16]) -> usize),
    /// G.722.
    G722(g722::Decoder),
}

impl Decoder {
    /// Decodes as many bytes as both slices have room for, and returns how many samples that made.
    #[inline]
    pub fn decode(&mut self, bytes: &[u8], out: &mut [i16]) -> usize {
        match self {
            Self::PerSample(decode) => decode(bytes, out),
            Self::G722(decoder) => decoder.decode(bytes, out),
        }
    }

    pub(crate) fn ulaw() -> Self {
        Self::PerSample(g711::decode_ulaw)
    }

    pub(crate) fn alaw() -> Self {
        Self::PerSample(g711::decode_alaw)
    }

    pub(crate) fn g722() -> Self {
        Self::G722(g722::Decoder::default())
    }
}
