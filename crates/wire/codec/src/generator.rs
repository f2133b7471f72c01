//! Playing a tone.

use std::sync::Arc;

use crate::sine::sine;
use crate::tone::{MAX_COMPONENTS, Segment, Tone};

/// A whole turn of the phase.
const TURN: f64 = 4_294_967_296.0;

/// Plays a tone for ever, block by block, at one sample rate. The phase runs on from block to block,
/// so that blocks of any length make the same sound. Many generators share one [`Tone`].
#[derive(Debug, Clone)]
pub struct ToneGenerator {
    tone: Arc<Tone>,
    sample_rate: u32,
    segment: usize,
    /// Samples played of the present segment.
    position: u32,
    /// Phase of each component; 2^32 is a whole turn.
    phases: [u32; MAX_COMPONENTS],
}

impl ToneGenerator {
    /// A generator at the beginning of its tone. The rate is in Hz; 0 is taken for 8000.
    #[must_use]
    pub fn new(tone: impl Into<Arc<Tone>>, sample_rate: u32) -> Self {
        let sample_rate = if sample_rate == 0 { 8000 } else { sample_rate };
        Self { tone: tone.into(), sample_rate, segment: 0, position: 0, phases: [0; MAX_COMPONENTS] }
    }

    /// Fills a block with the next samples.
    pub fn fill(&mut self, mut out: &mut [i16]) {
        while !out.is_empty() {
            let tone = Arc::clone(&self.tone);
            let Some(segment) = tone.segments().get(self.segment) else {
                return out.fill(0);
            };
            let length = self.samples_of(segment);
            let left = (length - self.position.min(length)) as usize;
            let (now, later) = out.split_at_mut(left.min(out.len()));
            self.play(segment, length, now);
            out = later;
            if self.position >= length {
                self.position = 0;
                self.segment = (self.segment + 1) % tone.segments().len();
            }
        }
    }

    fn samples_of(&self, segment: &Segment) -> u32 {
        let samples = u64::from(segment.duration_ms) * u64::from(self.sample_rate) / 1000;
        // Never 0, or fill() would not come to an end.
        u32::try_from(samples).unwrap_or(u32::MAX).max(1)
    }

    fn play(&mut self, segment: &Segment, length: u32, out: &mut [i16]) {
        let start = self.position;
        // No more samples than the segment has left, which is a u32.
        self.position += out.len() as u32;
        if segment.components.is_empty() {
            self.phases = [0; MAX_COMPONENTS];
            return out.fill(0);
        }
        let glides =
            segment.components.iter().any(|c| c.from_hz != c.to_hz) || segment.from_amplitude != segment.to_amplitude;
        if glides {
            self.play_gliding(segment, start, length, out);
        } else {
            self.play_steady(segment, out);
        }
    }

    fn play_steady(&mut self, segment: &Segment, out: &mut [i16]) {
        let scale = segment.from_amplitude * f32::from(i16::MAX);
        let mut steps = [0; MAX_COMPONENTS];
        for (step, component) in steps.iter_mut().zip(&segment.components) {
            *step = phase_step(component.from_hz, self.sample_rate);
        }
        let count = segment.components.len();
        for sample in out {
            let mut sum = 0.0;
            for (phase, step) in self.phases.iter_mut().zip(&steps).take(count) {
                sum += sine(*phase);
                *phase = phase.wrapping_add(*step);
            }
            // A float cast saturates.
            *sample = (sum * scale).round_ties_even() as i16;
        }
    }

    fn play_gliding(&mut self, segment: &Segment, start: u32, length: u32, out: &mut [i16]) {
        for (index, sample) in (start..).zip(out) {
            let at = index as f32 / length as f32;
            let mix = |from: f32, to: f32| from + (to - from) * at;
            let mut sum = 0.0;
            for (phase, component) in self.phases.iter_mut().zip(&segment.components) {
                sum += sine(*phase);
                let hz = mix(component.from_hz, component.to_hz);
                *phase = phase.wrapping_add(phase_step(hz, self.sample_rate));
            }
            let scale = mix(segment.from_amplitude, segment.to_amplitude) * f32::from(i16::MAX);
            *sample = (sum * scale).round_ties_even() as i16;
        }
    }

    /// Samples per second.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Back to the beginning of the tone.
    pub fn restart(&mut self) {
        (self.segment, self.position) = (0, 0);
        self.phases = [0; MAX_COMPONENTS];
    }
}

/// How far the phase moves per sample. Frequencies above the sample rate fold, as they do in nature.
fn phase_step(hz: f32, sample_rate: u32) -> u32 {
    (f64::from(hz) / f64::from(sample_rate) * TURN) as u64 as u32
}
