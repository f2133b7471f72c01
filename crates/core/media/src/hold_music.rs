//! What a party on hold hears: encoded once for all engines and all calls.

use std::sync::Arc;

use hookswitch_call::Time;
use hookswitch_codec::wav::{WavError, WavHeader};
use hookswitch_codec::{CODECS, Codec, Tone};
use thiserror::Error;

use crate::config::FRAME;
use crate::tone::ToneLoop;

/// Samples per second of music on hold, in Hz: those of the codecs, since nothing resamples yet.
pub const MUSIC_RATE: u32 = 8_000;

/// Longest piece, in seconds. It takes 8 kB per second and codec.
pub const MAX_MUSIC_S: u32 = 600;

/// Shortest piece, in milliseconds: anything less is a buzz.
pub const MIN_MUSIC_MS: u32 = 100;

/// Longest file, in bytes: the longest piece with two channels of 16 bits, and a megabyte of titles.
pub const MAX_MUSIC_FILE: u64 = MAX_MUSIC_S as u64 * MUSIC_RATE as u64 * 4 + (1 << 20);

/// Two soft notes every five seconds, about 17 dB below 0 dBm0: enough to know that one is not forgotten.
const NOTES: &str = "523*0~0.1/523*0.1~0.02/659*0.02~0.1/659*0.1~0/0:30/220/30/420/4300";

/// A file that cannot be played to parties on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MusicError {
    /// It is no WAV of a kind that we read.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// Another sample rate.
    #[error(
        "{0} samples per second: only {MUSIC_RATE} Hz can be played; convert it, for example with `sox FILE -r 8k -c 1 OUT.wav`"
    )]
    Rate(u32),
    /// Longer than [`MAX_MUSIC_S`].
    #[error("it plays longer than {MAX_MUSIC_S} seconds")]
    TooLong,
    /// Shorter than [`MIN_MUSIC_MS`].
    #[error("it plays less than {MIN_MUSIC_MS} ms")]
    TooShort,
}

/// Music on hold, or what is heard in its place, in every codec. Cheap to clone: the audio is shared.
#[derive(Debug, Clone)]
pub struct HoldMusic {
    rows: Arc<[(&'static Codec, ToneLoop)]>,
    /// It plays on while nobody listens, as a radio does; else it begins anew for everybody.
    runs_on: bool,
}

impl HoldMusic {
    /// A piece of music from a WAV file: 16-bit PCM or G.711 at [`MUSIC_RATE`], of two channels the
    /// mean. Played round and round, and all who are on hold are at the same place of it: whoever is put
    /// on hold again and again does not hear the same beginning each time.
    ///
    /// # Errors
    /// The file is no such WAV, or too short or too long.
    pub fn from_wav(file: &[u8]) -> Result<Self, MusicError> {
        let header = WavHeader::parse(file)?;
        let format = header.format;
        if format.sample_rate != MUSIC_RATE {
            return Err(MusicError::Rate(format.sample_rate));
        }
        let data = header.data(file);
        let count = data.len() / format.frame_len().max(1);
        if count > (MAX_MUSIC_S * MUSIC_RATE) as usize {
            return Err(MusicError::TooLong);
        }
        if count < (MIN_MUSIC_MS * MUSIC_RATE / 1_000) as usize {
            return Err(MusicError::TooShort);
        }
        let mut samples = vec![0; count];
        format.decode_mono(data, &mut samples);
        Ok(Self::new(true, |codec| ToneLoop::encode(&samples, codec)))
    }

    /// A tone, which begins anew for everybody: its first note says that one is on hold.
    #[must_use]
    pub fn tone(tone: &Tone) -> Self {
        Self::new(false, |codec| ToneLoop::render(tone, codec))
    }

    /// Packets in which nothing is to be heard. They are sent all the same: NATs keep the way open for
    /// them, and phones that give up a call without media do not.
    #[must_use]
    pub fn silence() -> Self {
        Self::tone(&Tone::steady(0.0, 0.0))
    }

    fn new(runs_on: bool, encode: impl Fn(&'static Codec) -> ToneLoop) -> Self {
        let audio = CODECS.iter().filter(|codec| codec.is_audio());
        Self { rows: audio.map(|codec| (codec, encode(codec))).collect(), runs_on }
    }

    pub(crate) fn find(&self, codec: &Codec) -> Option<&ToneLoop> {
        self.rows.iter().find(|(row, _)| *row == codec).map(|(_, audio)| audio)
    }

    /// Where somebody who begins to listen now comes in, in bytes of any codec: one is a sample.
    pub(crate) fn position(&self, now: Time) -> usize {
        let Some((_, audio)) = self.rows.first().filter(|_| self.runs_on) else {
            return 0;
        };
        // Whole frames, so that many listeners read the same bytes at the same beat.
        let frames = now.as_millis() / FRAME.as_millis();
        let samples = frames * u128::from(MUSIC_RATE) * FRAME.as_millis() / 1_000;
        audio.wrap(samples)
    }
}

impl Default for HoldMusic {
    /// Two soft notes every five seconds.
    fn default() -> Self {
        let notes = Tone::parse(NOTES);
        Self::tone(&notes.unwrap_or_else(|_| Tone::steady(440.0, 0.05)))
    }
}
