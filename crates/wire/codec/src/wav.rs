//! WAV headers: RIFF chunks around PCM, A-law or µ-law. Bytes only; files are opened elsewhere.

use thiserror::Error;

use crate::g711;

/// Longest header that [`WavFormat::write_header`] makes, in bytes.
pub const MAX_HEADER_LEN: usize = 58;

/// Most chunks before the samples.
pub const MAX_CHUNKS: usize = 64;

const TAG_PCM: u16 = 1;
const TAG_ALAW: u16 = 6;
const TAG_ULAW: u16 = 7;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// Data that is no WAV, or none that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WavError {
    /// It does not begin with `RIFF` and `WAVE`.
    #[error("not a RIFF/WAVE file")]
    NotWav,
    /// It ends before the samples begin.
    #[error("ends before the samples begin")]
    Truncated,
    /// More than [`MAX_CHUNKS`] chunks.
    #[error("more than {MAX_CHUNKS} chunks before the samples")]
    TooManyChunks,
    /// The samples come before their format, or the format is shorter than 16 bytes.
    #[error("no usable format chunk before the samples")]
    NoFormat,
    /// An encoding that is neither PCM of 8 or 16 bits, A-law nor µ-law.
    #[error("encoding {tag:#06x} with {bits} bits is not supported")]
    Encoding {
        /// The format tag.
        tag: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// Neither one nor two channels.
    #[error("{0} channels instead of 1 or 2")]
    Channels(u16),
    /// A sample rate of 0.
    #[error("sample rate of 0")]
    SampleRate,
    /// The buffer for a header is too small.
    #[error("buffer too small for a header of {need} bytes")]
    BufferTooSmall {
        /// Bytes it would have to have.
        need: usize,
    },
}

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 8 bits, without sign: 128 is silence.
    Pcm8,
    /// 16 bits, little-endian, with sign.
    Pcm16,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Ulaw,
}

impl Encoding {
    /// Bytes per sample and channel.
    #[must_use]
    pub fn sample_len(self) -> usize {
        match self {
            Self::Pcm16 => 2,
            Self::Pcm8 | Self::Alaw | Self::Ulaw => 1,
        }
    }

    fn tag(self) -> u16 {
        match self {
            Self::Pcm8 | Self::Pcm16 => TAG_PCM,
            Self::Alaw => TAG_ALAW,
            Self::Ulaw => TAG_ULAW,
        }
    }
}

/// What the samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WavFormat {
    /// How they are stored.
    pub encoding: Encoding,
    /// 1, or 2 with left and right in turn.
    pub channels: u16,
    /// Samples per second and channel, in Hz.
    pub sample_rate: u32,
}

/// A header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WavHeader {
    /// What the samples are.
    pub format: WavFormat,
    /// Where the samples begin, in bytes from the beginning.
    pub data_offset: usize,
    /// How long the header says they are, in bytes. `None` when it was never finished, as after a
    /// crash or in a stream: then they go on to the end.
    pub data_len: Option<u32>,
}

impl WavHeader {
    /// Reads a header from the beginning of a file; as many bytes as it has chunks before the samples
    /// are needed, and the samples themselves are not.
    ///
    /// # Errors
    /// When it is no WAV, is cut off, or has an encoding that is not supported.
    pub fn parse(bytes: &[u8]) -> Result<Self, WavError> {
        let Some((b"RIFF", rest)) = bytes.split_first_chunk() else {
            return Err(WavError::NotWav);
        };
        let Some((b"WAVE", _)) = rest.get(4..).unwrap_or_default().split_first_chunk() else {
            return Err(WavError::NotWav);
        };
        let mut offset = 12;
        let mut format = None;
        for _ in 0..MAX_CHUNKS {
            let head = bytes.get(offset..).and_then(<[u8]>::first_chunk::<8>);
            let [a, b, c, d, length @ ..] = *head.ok_or(WavError::Truncated)?;
            let length = u32::from_le_bytes(length);
            offset += 8;
            match &[a, b, c, d] {
                b"fmt " => format = Some(read_format(bytes.get(offset..).unwrap_or_default(), length)?),
                b"data" => {
                    let format = format.ok_or(WavError::NoFormat)?;
                    let data_len = Some(length).filter(|length| !matches!(*length, 0 | u32::MAX));
                    return Ok(Self { format, data_offset: offset, data_len });
                }
                _ => {}
            }
            // Chunks begin at even offsets.
            offset = offset.saturating_add(length as usize).saturating_add((length & 1) as usize);
        }
        Err(WavError::TooManyChunks)
    }

    /// The samples of a file whose header this is, as far as they are there.
    #[must_use]
    pub fn data<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        let data = file.get(self.data_offset..).unwrap_or_default();
        let length = self.data_len.map_or(data.len(), |length| length as usize);
        data.get(..length).unwrap_or(data)
    }

    /// How long the samples play, in milliseconds, for so many bytes of them.
    #[must_use]
    pub fn duration_ms(&self, data_len: usize) -> u64 {
        let bytes_per_second = self.format.frame_len() as u64 * u64::from(self.format.sample_rate);
        (data_len as u64).saturating_mul(1000).checked_div(bytes_per_second).unwrap_or(0)
    }
}

fn read_format(chunk: &[u8], length: u32) -> Result<WavFormat, WavError> {
    if length < 16 {
        return Err(WavError::NoFormat);
    }
    let half = |at: usize| {
        let bytes = chunk.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| u16::from_le_bytes(*bytes)).ok_or(WavError::Truncated)
    };
    let (mut tag, channels, bits) = (half(0)?, half(2)?, half(14)?);
    let sample_rate = u32::from(half(4)?) | (u32::from(half(6)?) << 16);
    if tag == TAG_EXTENSIBLE && length >= 26 {
        // The first two bytes of the sub-format's identifier are the real tag.
        tag = half(24)?;
    }
    let encoding = match (tag, bits) {
        (TAG_PCM, 8) => Encoding::Pcm8,
        (TAG_PCM, 16) => Encoding::Pcm16,
        (TAG_ALAW, 8) => Encoding::Alaw,
        (TAG_ULAW, 8) => Encoding::Ulaw,
        _ => return Err(WavError::Encoding { tag, bits }),
    };
    if !(1..=2).contains(&channels) {
        return Err(WavError::Channels(channels));
    }
    if sample_rate == 0 {
        return Err(WavError::SampleRate);
    }
    Ok(WavFormat { encoding, channels, sample_rate })
}

impl WavFormat {
    /// 16-bit PCM, one channel.
    #[must_use]
    pub fn mono_pcm(sample_rate: u32) -> Self {
        Self { encoding: Encoding::Pcm16, channels: 1, sample_rate }
    }

    /// Bytes of one sample of every channel.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.encoding.sample_len() * usize::from(self.channels)
    }

    /// Bytes of the header that [`write_header`](Self::write_header) makes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        match self.encoding {
            Encoding::Pcm8 | Encoding::Pcm16 => 44,
            Encoding::Alaw | Encoding::Ulaw => MAX_HEADER_LEN,
        }
    }

    /// Writes the header for so many bytes of samples, and returns its length. Anything but PCM has the
    /// longer format chunk and a `fact` chunk, which strict readers ask for. With
    /// `data_len` 0 it is the header of a recording that goes on; writing it again at the end makes it
    /// complete, and until then readers take what is there.
    ///
    /// # Errors
    /// When the buffer is shorter than [`header_len`](Self::header_len).
    pub fn write_header(&self, data_len: u32, buffer: &mut [u8]) -> Result<usize, WavError> {
        let need = self.header_len();
        let out = buffer.get_mut(..need).ok_or(WavError::BufferTooSmall { need })?;
        let frame_len = self.frame_len() as u16;
        let bits = 8 * self.encoding.sample_len() as u16;
        let mut writer = Writer { out, at: 0 };
        writer.put(b"RIFF");
        writer.put(&data_len.saturating_add(need as u32 - 8).to_le_bytes());
        writer.put(b"WAVEfmt ");
        writer.put(&(if need == 44 { 16u32 } else { 18 }).to_le_bytes());
        writer.put(&self.encoding.tag().to_le_bytes());
        writer.put(&self.channels.to_le_bytes());
        writer.put(&self.sample_rate.to_le_bytes());
        writer.put(&self.sample_rate.saturating_mul(u32::from(frame_len)).to_le_bytes());
        writer.put(&frame_len.to_le_bytes());
        writer.put(&bits.to_le_bytes());
        if need != 44 {
            writer.put(&[0, 0]);
            writer.put(b"fact");
            writer.put(&4u32.to_le_bytes());
            writer.put(&(data_len / u32::from(frame_len.max(1))).to_le_bytes());
        }
        writer.put(b"data");
        writer.put(&data_len.to_le_bytes());
        Ok(need)
    }

    /// Decodes stored samples to 16 bits, two channels mixed into one, as many as both slices have room
    /// for. Returns how many samples that made.
    pub fn decode_mono(&self, data: &[u8], out: &mut [i16]) -> usize {
        let frames = data.chunks_exact(self.frame_len().max(1));
        let mut count = 0;
        for (frame, place) in frames.zip(out) {
            let (left, right) = frame.split_at(self.encoding.sample_len());
            let left = self.decode_one(left);
            *place = if right.is_empty() {
                left
            } else {
                // The mean of two i16 is one.
                ((i32::from(left) + i32::from(self.decode_one(right))) / 2) as i16
            };
            count += 1;
        }
        count
    }

    fn decode_one(&self, bytes: &[u8]) -> i16 {
        match (self.encoding, bytes) {
            (Encoding::Pcm16, [low, high]) => i16::from_le_bytes([*low, *high]),
            (Encoding::Pcm8, [byte]) => (i16::from(*byte) - 128) << 8,
            (Encoding::Alaw, [byte]) => g711::linear_from_alaw(*byte),
            (Encoding::Ulaw, [byte]) => g711::linear_from_ulaw(*byte),
            _ => 0,
        }
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.out[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }
}

/// 16-bit samples as PCM bytes, as many as both slices have room for. Returns how many bytes that made.
pub fn encode_pcm(samples: &[i16], out: &mut [u8]) -> usize {
    let mut count = 0;
    for (sample, place) in samples.iter().zip(out.as_chunks_mut::<2>().0) {
        *place = sample.to_le_bytes();
        count += 2;
    }
    count
}
