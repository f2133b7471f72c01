//! What makes packets of samples, and samples of packets.

#[cfg(feature = "opus")]
use crate::opus;
use crate::{g711, g722};

/// Makes bytes of samples. One for each stream: some formats build on what came before.
#[derive(Debug)]
pub enum Encoder {
    /// One byte per sample, without memory.
    PerSample(fn(&[i16], &mut [u8]) -> usize),
    /// Two bytes per sample, the upper one first (RFC 3551 section 4.5.11).
    L16,
    /// G.722.
    G722(g722::Encoder),
    /// Opus.
    #[cfg(feature = "opus")]
    Opus(opus::Encoder),
}

impl Encoder {
    /// Encodes as many samples as both slices have room for, and returns how many bytes that made. Opus
    /// makes one packet of 10, 20, 40, 60, 80, 100 or 120 ms, and nothing of any other number of samples.
    /// 0 means that nothing has to be sent: there is silence, and the receiver makes its own.
    #[inline]
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        match self {
            Self::PerSample(encode) => encode(samples, out),
            Self::L16 => encode_l16(samples, out),
            Self::G722(encoder) => encoder.encode(samples, out),
            #[cfg(feature = "opus")]
            Self::Opus(encoder) => encoder.encode(samples, out),
        }
    }

    /// Says how many of a hundred packets the receiver loses: formats that can then send everything
    /// twice, at the cost of how it sounds. 0 at the beginning.
    pub fn expect_loss(&mut self, percent: u8) {
        match self {
            Self::PerSample(_) | Self::L16 | Self::G722(_) => {}
            #[cfg(feature = "opus")]
            Self::Opus(encoder) => encoder.expect_loss(percent),
        }
        #[cfg(not(feature = "opus"))]
        let _ = percent;
    }

    pub(crate) fn ulaw() -> Self {
        Self::PerSample(g711::encode_ulaw)
    }

    pub(crate) fn alaw() -> Self {
        Self::PerSample(g711::encode_alaw)
    }

    pub(crate) fn g722(rate: u32) -> Self {
        Self::G722(if rate == g722::NARROW_RATE { g722::Encoder::narrow() } else { g722::Encoder::default() })
    }
}

/// Makes samples of bytes. One for each stream, as with [`Encoder`].
#[derive(Debug)]
pub enum Decoder {
    /// One sample per byte, without memory.
    PerSample(fn(&[u8], &mut [i16]) -> usize),
    /// Two bytes per sample, the upper one first (RFC 3551 section 4.5.11).
    L16,
    /// G.722.
    G722(g722::Decoder),
    /// Opus.
    #[cfg(feature = "opus")]
    Opus(opus::Decoder),
}

impl Decoder {
    /// Decodes as many bytes as both slices have room for, and returns how many samples that made. Opus
    /// makes all of a packet, or nothing where it is broken or there is no room.
    #[inline]
    pub fn decode(&mut self, bytes: &[u8], out: &mut [i16]) -> usize {
        match self {
            Self::PerSample(decode) => decode(bytes, out),
            Self::L16 => decode_l16(bytes, out),
            Self::G722(decoder) => decoder.decode(bytes, out),
            #[cfg(feature = "opus")]
            Self::Opus(decoder) => decoder.decode(bytes, out),
        }
    }

    /// Whether it makes up for lost packets by itself: [`conceal`](Self::conceal) and [`recover`](Self::recover)
    /// make something.
    #[must_use]
    pub const fn restores(&self) -> bool {
        match self {
            Self::PerSample(_) | Self::L16 | Self::G722(_) => false,
            #[cfg(feature = "opus")]
            Self::Opus(_) => true,
        }
    }

    /// Makes up what a lost packet of so many samples may have held, and returns how many samples that
    /// made: whole steps of 2.5 ms. 0 where the format has no way of its own: a
    /// [`Concealer`](crate::Concealer) has one for all.
    pub fn conceal(&mut self, out: &mut [i16]) -> usize {
        match self {
            Self::PerSample(_) | Self::L16 | Self::G722(_) => {
                let _ = out;
                0
            }
            #[cfg(feature = "opus")]
            Self::Opus(decoder) => decoder.conceal(out),
        }
    }

    /// Makes a lost packet of so many samples out of the one that follows it, where its sender has
    /// provided for that, and otherwise as [`conceal`](Self::conceal). The one that follows has then still
    /// to be decoded itself.
    pub fn recover(&mut self, next: &[u8], out: &mut [i16]) -> usize {
        match self {
            Self::PerSample(_) | Self::L16 | Self::G722(_) => {
                let _ = (next, out);
                0
            }
            #[cfg(feature = "opus")]
            Self::Opus(decoder) => decoder.recover(next, out),
        }
    }

    pub(crate) fn ulaw() -> Self {
        Self::PerSample(g711::decode_ulaw)
    }

    pub(crate) fn alaw() -> Self {
        Self::PerSample(g711::decode_alaw)
    }

    pub(crate) fn g722(rate: u32) -> Self {
        Self::G722(if rate == g722::NARROW_RATE { g722::Decoder::narrow() } else { g722::Decoder::default() })
    }
}

fn encode_l16(samples: &[i16], out: &mut [u8]) -> usize {
    let mut count = 0;
    for (sample, place) in samples.iter().zip(out.as_chunks_mut::<2>().0) {
        *place = sample.to_be_bytes();
        count += 2;
    }
    count
}

fn decode_l16(bytes: &[u8], out: &mut [i16]) -> usize {
    let mut count = 0;
    for (pair, place) in bytes.as_chunks::<2>().0.iter().zip(out) {
        *place = i16::from_be_bytes(*pair);
        count += 1;
    }
    count
}
