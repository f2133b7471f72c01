//! What a party on hold hears: encoded once for all engines and all calls.

use std::sync::Arc;

use hookswitch_call::Time;
use hookswitch_codec::wav::{WavError, WavHeader};
use hookswitch_codec::{CODECS, Codec, Resampler, Tone};
use thiserror::Error;

use crate::config::FRAME;
use crate::tone::{PLACES_PER_FRAME, TONE_RATE, ToneLoop};

/// Longest piece, in seconds. It takes 8 kB per second for each codec of G.711 and 48 kB for all others.
pub const MAX_MUSIC_S: u32 = 600;

/// Shortest piece, in milliseconds: anything less is a buzz.
pub const MIN_MUSIC_MS: u32 = 100;

/// Longest file, in bytes: the longest piece at 48 kHz with two channels of 16 bits, and a megabyte of titles.
pub const MAX_MUSIC_FILE: u64 = MAX_MUSIC_S as u64 * 48_000 * 4 + (1 << 20);

/// More samples than a change of the rate looks back at.
const SEAM_SAMPLES: usize = 1_000;

/// Two soft notes every five seconds, about 17 dB below 0 dBm0: enough to know that one is not forgotten.
const NOTES: &str = "523*0~0.1/523*0.1~0.02/659*0.02~0.1/659*0.1~0/0:30/220/30/420/4300";

/// A file that cannot be played to parties on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MusicError {
    /// It is no WAV of a kind that we read.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// A sample rate that is not converted, in Hz.
    #[error("{0} samples per second cannot be played; convert it, for example with `sox FILE -r 48k -c 1 OUT.wav`")]
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
    /// A piece of music from a WAV file: PCM of 8 or 16 bits or G.711 at a rate that
    /// [`Resampler::for_file`] takes, of two channels the mean. Played round and round, and all who are on hold are at the same place of it: whoever is put
    /// on hold again and again does not hear the same beginning each time.
    ///
    /// # Errors
    /// The file is no such WAV, or too short or too long.
    pub fn from_wav(file: &[u8]) -> Result<Self, MusicError> {
        let header = WavHeader::parse(file)?;
        let format = header.format;
        let rate = format.sample_rate;
        for at in CODECS.iter().filter(|codec| codec.has_coder()).map(|codec| codec.coding_rate(TONE_RATE)) {
            Resampler::for_file(rate, at).map_err(|_| MusicError::Rate(rate))?;
        }
        let data = header.data(file);
        let count = data.len() / format.frame_len().max(1);
        if count > (MAX_MUSIC_S * rate) as usize {
            return Err(MusicError::TooLong);
        }
        if count < (MIN_MUSIC_MS * rate / 1_000) as usize {
            return Err(MusicError::TooShort);
        }
        let mut samples = vec![0; count];
        format.decode_mono(data, &mut samples);
        let rows = ToneLoop::of(|at| match Resampler::for_file(rate, at) {
            Ok(resampler) => round_and_round(resampler, &samples, count),
            Err(_) => Vec::new(),
        });
        Ok(Self { rows: rows.into(), runs_on: true })
    }

    /// A tone, which begins anew for everybody: its first note says that one is on hold.
    #[must_use]
    pub fn tone(tone: &Tone) -> Self {
        Self { rows: ToneLoop::render(tone).into(), runs_on: false }
    }

    /// Packets in which nothing is to be heard. They are sent all the same: NATs keep the way open for
    /// them, and phones that give up a call without media do not.
    #[must_use]
    pub fn silence() -> Self {
        Self::tone(&Tone::steady(0.0, 0.0))
    }

    pub(crate) fn find(&self, codec: &Codec) -> Option<&ToneLoop> {
        self.rows.iter().find(|(row, _)| *row == codec).map(|(_, audio)| audio)
    }

    /// Where somebody who begins to listen now comes in.
    pub(crate) fn place(&self, now: Time) -> u64 {
        let Some((_, audio)) = self.rows.first().filter(|_| self.runs_on) else {
            return 0;
        };
        // Whole frames, so that many listeners read the same bytes at the same beat.
        let frames = (now.as_millis() / FRAME.as_millis()) as u64;
        audio.go_on(0, frames.wrapping_mul(PLACES_PER_FRAME))
    }
}

/// A piece at another rate, such that its end fits its beginning.
fn round_and_round(mut resampler: Resampler, samples: &[i16], count: usize) -> Vec<i16> {
    let mut out = Vec::new();
    let last = count.saturating_sub(SEAM_SAMPLES);
    resampler.process(&samples[last..], &mut out);
    out.clear();
    resampler.process(samples, &mut out);
    out
}

impl Default for HoldMusic {
    /// Two soft notes every five seconds.
    fn default() -> Self {
        let notes = Tone::parse(NOTES);
        Self::tone(&notes.unwrap_or_else(|_| Tone::steady(440.0, 0.05)))
    }
}
