//! One sound that is being read: WAV, or samples of a known kind without a header.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::SoundKind;
use hookswitch_codec::wav::{Encoding, WavError, WavFormat, WavHeader};
use hookswitch_codec::{Resampler, g722};
use hookswitch_media::{CHUNK_MS, FileError};

use super::sounds::why;
use super::web::Kept;

/// Longest header of a WAV, in bytes: whatever stands before its samples, pictures and titles included.
const MAX_WAV_HEADER: usize = 1 << 20;

/// How much of a file is looked at first.
const FIRST_LOOK: usize = 4_096;

/// How far what comes out of a resampler is behind what goes in, in samples of the lower rate.
const RESAMPLER_DELAY: u32 = 12;

/// How samples stand in a file.
enum Coding {
    Samples(WavFormat),
    G722(g722::Decoder),
}

impl Coding {
    fn rate(&self) -> u32 {
        match self {
            Self::Samples(format) => format.sample_rate,
            Self::G722(_) => g722::SAMPLE_RATE,
        }
    }

    /// Bytes of the shortest part that stands for itself, and the samples in it.
    fn unit(&self) -> (usize, u32) {
        match self {
            Self::Samples(format) => (format.frame_len().max(1), 1),
            Self::G722(_) => (1, 2),
        }
    }

    fn decode(&mut self, bytes: &[u8], out: &mut [i16]) -> usize {
        match self {
            Self::Samples(format) => format.decode_mono(bytes, out),
            Self::G722(decoder) => decoder.decode(bytes, out),
        }
    }
}

/// A sound that is being read.
pub(super) struct Reader {
    file: File,
    coding: Coding,
    /// Bytes that may still come; as many as can be where nobody knows.
    left: u64,
    resampler: Resampler,
    /// Samples that come out before the first that went in.
    early: usize,
    /// Zeros that make the last ones come out.
    flush: usize,
}

impl Reader {
    /// Begins to read a file at a place, for somebody who wants samples at this rate.
    pub(super) fn new(file: File, what: (SoundKind, &str), rate: u32, from: Duration) -> Result<Self, FileError> {
        Self::of_part(Kept { file, begin: 0, len: u64::MAX }, what, rate, from)
    }

    /// The same of a sound that is a part of a file.
    pub(super) fn of_part(
        Kept { mut file, begin: origin, len }: Kept,
        (kind, name): (SoundKind, &str),
        rate: u32,
        from: Duration,
    ) -> Result<Self, FileError> {
        let head = head_of(&mut file, origin)?;
        let (coding, data_offset, data_len) = if head.starts_with(b"RIFF") {
            let header = WavHeader::parse(&head).map_err(format_error)?;
            (Coding::Samples(header.format), header.data_offset as u64, header.data_len)
        } else {
            (coding_of(kind, name).ok_or_else(|| format_error(WavError::NotWav))?, 0, None)
        };
        let own = coding.rate();
        let resampler = Resampler::for_file(own, rate).map_err(|error| FileError::Format(error.to_string().into()))?;
        let lower = own.min(rate).max(1);
        let delay = if own == rate { 0 } else { RESAMPLER_DELAY };
        let (bytes, samples) = coding.unit();
        let units = from.as_millis().saturating_mul(u128::from(own)) / 1_000 / u128::from(samples);
        let skipped = u64::try_from(units).unwrap_or(u64::MAX).saturating_mul(bytes as u64);
        let begin = data_offset.saturating_add(skipped).saturating_add(origin);
        let said = data_len.map_or(u64::MAX, u64::from).min(len.saturating_sub(data_offset));
        // What is beyond the end of every file is beyond that of this one.
        file.seek(SeekFrom::Start(begin.min(i64::MAX as u64))).map_err(|error| why(&error))?;
        Ok(Self {
            file,
            coding,
            left: said.saturating_sub(skipped),
            resampler,
            early: (delay * rate / lower) as usize,
            flush: (delay * own / lower) as usize,
        })
    }

    /// The next second of samples, and whether that was the end.
    pub(super) fn read(&mut self) -> Result<(Arc<[i16]>, bool), FileError> {
        let (unit, samples) = self.coding.unit();
        let units = (self.coding.rate() * CHUNK_MS / 1_000 / samples) as usize;
        let mut bytes = vec![0; units * unit];
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let count = fill(&mut self.file, &mut bytes[..most])?;
        self.left -= count as u64;
        let last = count < bytes.len() || self.left == 0;
        let mut own = vec![0; units * samples as usize];
        let made = self.coding.decode(&bytes[..count], &mut own);
        own.truncate(made);
        if last {
            own.resize(made + self.flush, 0);
        }
        let mut out = Vec::new();
        self.resampler.process(&own, &mut out);
        let early = self.early.min(out.len());
        self.early -= early;
        Ok((out[early..].into(), last))
    }
}

/// As much of the beginning as a header may take.
fn head_of(file: &mut File, origin: u64) -> Result<Vec<u8>, FileError> {
    file.seek(SeekFrom::Start(origin)).map_err(|error| why(&error))?;
    let mut head = vec![0; FIRST_LOOK];
    let count = fill(file, &mut head)?;
    head.truncate(count);
    let cut_off = count == FIRST_LOOK && WavHeader::parse(&head) == Err(WavError::Truncated);
    if cut_off {
        head.resize(MAX_WAV_HEADER, 0);
        let more = fill(file, &mut head[FIRST_LOOK..])?;
        head.truncate(FIRST_LOOK + more);
    }
    Ok(head)
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize, FileError> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(why(&error)),
        }
    }
    Ok(count)
}

/// What a file without a header holds: its kind says so, or its name.
fn coding_of(kind: SoundKind, name: &str) -> Option<Coding> {
    let g711 = |encoding| Coding::Samples(WavFormat { encoding, channels: 1, sample_rate: 8_000 });
    match kind {
        SoundKind::Pcmu => Some(g711(Encoding::Ulaw)),
        SoundKind::Pcma => Some(g711(Encoding::Alaw)),
        SoundKind::G722 => Some(Coding::G722(g722::Decoder::default())),
        SoundKind::L168k => Some(Coding::Samples(WavFormat::mono_pcm(8_000))),
        SoundKind::L1616k => Some(Coding::Samples(WavFormat::mono_pcm(16_000))),
        SoundKind::Wav => match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "ulaw" | "ul" | "pcmu" => Some(g711(Encoding::Ulaw)),
            "alaw" | "al" | "pcma" => Some(g711(Encoding::Alaw)),
            "g722" => Some(Coding::G722(g722::Decoder::default())),
            "sln" => Some(Coding::Samples(WavFormat::mono_pcm(8_000))),
            "sln16" => Some(Coding::Samples(WavFormat::mono_pcm(16_000))),
            "sln48" => Some(Coding::Samples(WavFormat::mono_pcm(48_000))),
            _ => None,
        },
        // Neither is read from a file without a header: iLBC is not decoded here, and a tone is no file.
        SoundKind::Ilbc | SoundKind::Tone => None,
    }
}

fn format_error(error: WavError) -> FileError {
    FileError::Format(error.to_string().into())
}
