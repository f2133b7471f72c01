//! Tones, rendered once per codec, so that playing one is copying bytes.

use hookswitch_call::Time;
use hookswitch_codec::{CODECS, Codec, Kind, Tone, ToneGenerator};

use crate::config::FRAME_MS;
use crate::hold_music::HoldMusic;

/// Longest tone that is rendered, in milliseconds; of a longer one this much is repeated.
pub const MAX_LOOP_MS: u32 = 10_000;

/// The reference tone: frequency in Hz.
pub const REFERENCE_HZ: f32 = 1004.0;

/// The reference tone: amplitude, 1 being full scale. -16 dBm0, which is -19.17 dB below it.
const REFERENCE_AMPLITUDE: f32 = 0.110_03;

/// Most bytes of one frame.
pub(crate) const MAX_FRAME: usize = 960;

/// A tone as the bytes of one codec, to be played round and round.
#[derive(Debug, Clone)]
pub(crate) struct ToneLoop {
    bytes: Vec<u8>,
}

impl ToneLoop {
    pub fn render(tone: &Tone, codec: &Codec) -> Self {
        // At least one frame, so that a tone of 5 ms does not make the loop shorter than a packet.
        let length_ms = tone.period_ms().clamp(FRAME_MS, MAX_LOOP_MS);
        let mut samples = vec![0; codec.samples_in(length_ms)];
        ToneGenerator::new(tone.clone(), codec.sample_rate).fill(&mut samples);
        Self::encode(&samples, codec)
    }

    /// Samples at the codec's own rate.
    pub fn encode(samples: &[i16], codec: &Codec) -> Self {
        let Kind::Audio { encode, .. } = codec.kind else {
            return Self { bytes: Vec::new() };
        };
        let mut bytes = vec![0; samples.len()];
        let length = encode(samples, &mut bytes);
        bytes.truncate(length);
        Self { bytes }
    }

    /// Fills a frame from a position on, and returns the position behind it.
    pub fn fill(&self, at: usize, mut frame: &mut [u8]) -> usize {
        let mut at = at;
        while !frame.is_empty() {
            let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) else {
                if self.bytes.is_empty() {
                    return 0;
                }
                at = 0;
                continue;
            };
            let count = rest.len().min(frame.len());
            let (now, later) = frame.split_at_mut(count);
            now.copy_from_slice(&rest[..count]);
            frame = later;
            at += count;
        }
        at
    }

    /// The position so many bytes from the beginning.
    pub fn wrap(&self, bytes: u128) -> usize {
        // Less than the length, which is a usize.
        bytes.checked_rem(self.bytes.len() as u128).unwrap_or(0) as usize
    }

    /// The position so many bytes further on.
    pub fn skip(&self, at: usize, bytes: usize) -> usize {
        (at + bytes).checked_rem(self.bytes.len()).unwrap_or(0)
    }
}

/// Which tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToneKind {
    Ringback,
    Reference,
    Hold,
}

/// Every tone in every codec there is: a domain may want some that the engine's own list lacks.
#[derive(Debug, Clone)]
pub(crate) struct Tones {
    rows: Vec<(&'static Codec, ToneLoop, ToneLoop)>,
    music: HoldMusic,
}

impl Tones {
    pub fn render(ringback: &Tone, music: HoldMusic) -> Self {
        let reference = Tone::steady(REFERENCE_HZ, REFERENCE_AMPLITUDE);
        let audio = CODECS.iter().filter(|codec| codec.is_audio());
        let row =
            |codec: &'static Codec| (codec, ToneLoop::render(ringback, codec), ToneLoop::render(&reference, codec));
        Self { rows: audio.map(row).collect(), music }
    }

    pub fn find(&self, codec: &Codec, kind: ToneKind) -> Option<&ToneLoop> {
        let row = || self.rows.iter().find(|(row, _, _)| *row == codec);
        match kind {
            ToneKind::Ringback => row().map(|(_, ringback, _)| ringback),
            ToneKind::Reference => row().map(|(_, _, reference)| reference),
            ToneKind::Hold => self.music.find(codec),
        }
    }

    /// Where somebody who begins to listen now comes in: tones begin for everybody.
    pub fn position(&self, now: Time, kind: ToneKind) -> usize {
        match kind {
            ToneKind::Ringback | ToneKind::Reference => 0,
            ToneKind::Hold => self.music.position(now),
        }
    }
}

/// Bytes of one frame of a codec, and how far its clock moves in that time.
pub(crate) fn frame_of(codec: &Codec) -> (usize, u32) {
    let bytes = codec.samples_in(FRAME_MS).min(MAX_FRAME);
    (bytes, codec.ticks_in(FRAME_MS))
}
