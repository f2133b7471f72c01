//! Tones, rendered once per codec, so that playing one is copying bytes, or encoding samples where a codec has
//! a memory.

use hookswitch_call::Time;
use hookswitch_codec::{CODECS, Codec, Encoder, Tone, ToneGenerator};

use crate::config::FRAME_MS;
use crate::hold_music::HoldMusic;
use crate::saying::Saying;

/// Longest tone that is rendered, in milliseconds; of a longer one this much is repeated.
pub const MAX_LOOP_MS: u32 = 10_000;

/// The reference tone: frequency in Hz.
pub const REFERENCE_HZ: f32 = 1004.0;

/// The reference tone: amplitude, 1 being full scale. -16 dBm0, which is -19.17 dB below it.
const REFERENCE_AMPLITUDE: f32 = 0.110_03;

/// Most bytes, and most samples, of one frame.
pub(crate) const MAX_FRAME: usize = 960;

/// Places within a loop are counted in parts of a second that every sample rate fits into.
pub(crate) const PLACES: u64 = 48_000;

/// The same in one frame.
pub(crate) const PLACES_PER_FRAME: u64 = PLACES * FRAME_MS as u64 / 1_000;

/// A tone for one codec, to be played round and round.
#[derive(Debug, Clone)]
pub(crate) struct ToneLoop {
    sound: Rendered,
    rate: u32,
}

#[derive(Debug, Clone)]
enum Rendered {
    /// Encoded already, a byte per sample.
    Bytes(Vec<u8>),
    /// The codec builds on what came before, so each listener needs an encoder.
    Samples(Vec<i16>),
}

impl ToneLoop {
    pub fn render(tone: &Tone, codec: &Codec) -> Self {
        // At least one frame, so that a tone of 5 ms does not make the loop shorter than a packet.
        let length_ms = tone.period_ms().clamp(FRAME_MS, MAX_LOOP_MS);
        let mut samples = vec![0; codec.samples_in(length_ms)];
        ToneGenerator::new(tone.clone(), codec.sample_rate).fill(&mut samples);
        Self::of(&samples, codec)
    }

    /// Samples at the codec's own rate.
    pub fn of(samples: &[i16], codec: &Codec) -> Self {
        let sound = match codec.encoder() {
            Some(Encoder::PerSample(encode)) => {
                let mut bytes = vec![0; samples.len()];
                encode(samples, &mut bytes);
                Rendered::Bytes(bytes)
            }
            Some(Encoder::G722(_)) => Rendered::Samples(samples.to_vec()),
            None => Rendered::Samples(Vec::new()),
        };
        Self { sound, rate: codec.sample_rate }
    }

    /// Makes a frame from a place on. None where there is nothing to play.
    pub fn fill(&self, at: u64, codec: &'static Codec, voice: &mut Option<Saying>, frame: &mut [u8]) -> Option<()> {
        let at = (at / self.places_per_sample()) as usize;
        match &self.sound {
            Rendered::Bytes(bytes) => go_round(bytes, at, frame),
            Rendered::Samples(samples) => {
                let mut block = [0; MAX_FRAME];
                let block = block.get_mut(..codec.samples_in(FRAME_MS))?;
                go_round(samples, at, block)?;
                let same = voice.take().filter(|voice| voice.is_for(codec, self.rate));
                let voice = voice.insert(same.or_else(|| Saying::new(codec, self.rate))?);
                voice.say(block, frame);
                Some(())
            }
        }
    }

    /// The place so far from another one.
    pub fn go_on(&self, at: u64, places: u64) -> u64 {
        at.wrapping_add(places).checked_rem(self.length()).unwrap_or(0)
    }

    fn length(&self) -> u64 {
        let samples = match &self.sound {
            Rendered::Bytes(bytes) => bytes.len(),
            Rendered::Samples(samples) => samples.len(),
        };
        samples as u64 * self.places_per_sample()
    }

    fn places_per_sample(&self) -> u64 {
        PLACES / u64::from(self.rate.max(1))
    }
}

/// Copies from a loop, from a place on.
fn go_round<T: Copy>(sound: &[T], mut at: usize, mut out: &mut [T]) -> Option<()> {
    if sound.is_empty() {
        return None;
    }
    while !out.is_empty() {
        let Some(rest) = sound.get(at..).filter(|rest| !rest.is_empty()) else {
            at = 0;
            continue;
        };
        let count = rest.len().min(out.len());
        let (now, later) = out.split_at_mut(count);
        now.copy_from_slice(&rest[..count]);
        out = later;
        at += count;
    }
    Some(())
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
    pub fn place(&self, now: Time, kind: ToneKind) -> u64 {
        match kind {
            ToneKind::Ringback | ToneKind::Reference => 0,
            ToneKind::Hold => self.music.place(now),
        }
    }
}

/// Bytes of one frame of a codec, and how far its clock moves in that time.
pub(crate) fn frame_of(codec: &Codec) -> (usize, u32) {
    let bytes = codec.bytes_in(FRAME_MS).min(MAX_FRAME);
    (bytes, codec.ticks_in(FRAME_MS))
}
