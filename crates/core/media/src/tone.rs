//! Tones, rendered once per codec, so that playing one is copying bytes, or encoding samples where a codec has
//! a memory.

use std::sync::Arc;

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

/// Tones are made for listeners of up to this rate, in Hz: what can code at several has no use for more.
pub(crate) const TONE_RATE: u32 = 16_000;

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
    /// The codec builds on what came before, or its packets are no bytes per sample: each listener needs an
    /// encoder. Codecs of one rate share the samples.
    Samples(Arc<[i16]>),
}

impl ToneLoop {
    /// A tone for every codec that we make packets of.
    pub fn render(tone: &Tone) -> Vec<(&'static Codec, Self)> {
        // At least one frame, so that a tone of 5 ms does not make the loop shorter than a packet.
        let length_ms = tone.period_ms().clamp(FRAME_MS, MAX_LOOP_MS);
        Self::of(|rate| {
            let mut samples = vec![0; (u64::from(rate) * u64::from(length_ms) / 1_000) as usize];
            ToneGenerator::new(tone.clone(), rate).fill(&mut samples);
            samples
        })
    }

    /// What there is at each rate, for every codec that we make packets of.
    pub fn of(samples_at: impl Fn(u32) -> Vec<i16>) -> Vec<(&'static Codec, Self)> {
        let mut known: Vec<(u32, Arc<[i16]>)> = Vec::new();
        let mut row = |codec: &'static Codec| {
            let rate = codec.coding_rate(TONE_RATE);
            let samples = match known.iter().find(|(of, _)| *of == rate) {
                Some((_, samples)) => Arc::clone(samples),
                None => {
                    let samples: Arc<[i16]> = samples_at(rate).into();
                    known.push((rate, Arc::clone(&samples)));
                    samples
                }
            };
            let sound = match codec.encoder() {
                Some(Encoder::PerSample(encode)) => {
                    let mut bytes = vec![0; samples.len()];
                    encode(&samples, &mut bytes);
                    Rendered::Bytes(bytes)
                }
                _ => Rendered::Samples(samples),
            };
            (codec, Self { sound, rate })
        };
        CODECS.iter().filter(|codec| codec.has_coder()).map(&mut row).collect()
    }

    /// Makes a frame from a place on, and returns its bytes. None where there is nothing to play.
    pub fn fill(&self, at: u64, codec: &'static Codec, voice: &mut Option<Saying>, frame: &mut [u8]) -> Option<usize> {
        let at = (at / self.places_per_sample()) as usize;
        match &self.sound {
            Rendered::Bytes(bytes) => go_round(bytes, at, frame).map(|()| frame.len()),
            Rendered::Samples(samples) => {
                let mut block = [0; MAX_FRAME];
                let block = block.get_mut(..(self.rate * FRAME_MS / 1_000) as usize)?;
                go_round(samples, at, block)?;
                let same = voice.take().filter(|voice| voice.is_for(codec, self.rate));
                let voice = voice.insert(same.or_else(|| Saying::new(codec, self.rate))?);
                Some(voice.say(block, frame))
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
    ringback: Vec<(&'static Codec, ToneLoop)>,
    reference: Vec<(&'static Codec, ToneLoop)>,
    music: HoldMusic,
}

impl Tones {
    pub fn render(ringback: &Tone, music: HoldMusic) -> Self {
        let reference = Tone::steady(REFERENCE_HZ, REFERENCE_AMPLITUDE);
        Self { ringback: ToneLoop::render(ringback), reference: ToneLoop::render(&reference), music }
    }

    pub fn find(&self, codec: &Codec, kind: ToneKind) -> Option<&ToneLoop> {
        let rows = match kind {
            ToneKind::Ringback => &self.ringback,
            ToneKind::Reference => &self.reference,
            ToneKind::Hold => return self.music.find(codec),
        };
        rows.iter().find(|(row, _)| *row == codec).map(|(_, tone)| tone)
    }

    /// Where somebody who begins to listen now comes in: tones begin for everybody.
    pub fn place(&self, now: Time, kind: ToneKind) -> u64 {
        match kind {
            ToneKind::Ringback | ToneKind::Reference => 0,
            ToneKind::Hold => self.music.place(now),
        }
    }
}

/// Bytes of one frame of a codec, at most, and how far its clock moves in that time.
pub(crate) fn frame_of(codec: &Codec) -> (usize, u32) {
    let bytes = codec.bytes_in(FRAME_MS).min(MAX_FRAME);
    (bytes, codec.ticks_in(FRAME_MS))
}
