//! When a recording begins and ends by itself: by how loud the party is.
//!
//! ```text
//!   ┌───────────┐ louder than start_above ┌─────────┐ louder than finish_below before, not any more, ┌──────┐
//!   │ listening │ ──────────────────────▶ │ running │ ─────────────────────────────────────────────▶ │ over │
//!   └───────────┘                         └─────────┘        and as long as min; or as long as max   └──────┘
//! ```

use std::collections::VecDeque;

use hookswitch_call::{RecordEnd, RecordPlan};

use crate::config::FRAME_MS;

/// Most frames that a loudness is the mean of: ten seconds.
pub const MAX_AVERAGE: u16 = 500;

/// Longest recording, where the plan sets no limit: what a WAV file can say of stereo at 16 kHz, in whole hours.
pub const MAX_RECORDING_S: u64 = 18 * 3_600;

/// How fast a constant offset is forgotten.
const DC_POLE: f32 = 0.995;

/// Decides frame by frame.
#[derive(Debug)]
pub(crate) struct Gate {
    start_above: Option<u16>,
    finish_below: Option<u16>,
    /// In samples.
    min: u64,
    max: u64,
    /// What is nothing, and for how many samples that ends it.
    silence: Option<(f32, u64)>,
    meter: Option<Meter>,
    open: bool,
    /// The greatest loudness since it opened.
    peak: f32,
    /// Samples since it opened.
    passed: u64,
    /// Of those, the ones up to the last that was something.
    spoken: u64,
}

/// What becomes of a frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It is left out.
    Wait,
    /// So many samples of it are recorded.
    Take(usize),
    /// So many samples of it are recorded, and that is all.
    Last(usize, RecordEnd),
}

impl Gate {
    pub fn new(plan: &RecordPlan, rate: u32) -> Self {
        let samples = |ms: u128| (ms as u64).saturating_mul(u64::from(rate)) / 1_000;
        let limit = MAX_RECORDING_S * u64::from(rate);
        let max = if plan.max.is_zero() { limit } else { samples(plan.max.as_millis()).min(limit) };
        let hears = plan.start_above.is_some() || plan.finish_below.is_some() || plan.silence.is_some();
        let silence = plan.silence.map(|silence| (f32::from(silence.below), samples(silence.time.as_millis())));
        Self {
            start_above: plan.start_above,
            finish_below: plan.finish_below,
            min: samples(plan.min.as_millis()),
            max,
            silence,
            meter: hears.then(|| Meter::new(plan.average, rate)),
            open: plan.start_above.is_none(),
            peak: 0.0,
            passed: 0,
            spoken: 0,
        }
    }

    /// Samples up to the last that was something: all of them where nobody has said what is nothing.
    pub fn spoken(&self) -> u64 {
        if self.silence.is_some() { self.spoken } else { self.passed }
    }

    /// Whether frames have to be shown one by one.
    pub fn hears(&self) -> bool {
        self.meter.is_some()
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Judges the next frame of what comes from the party, or as much as there is where loudness means nothing.
    pub fn judge(&mut self, frame: &[i16]) -> Verdict {
        let loudness = self.meter.as_mut().map_or(0.0, |meter| meter.hear(frame));
        if !self.open {
            self.open = self.start_above.is_none_or(|level| loudness > f32::from(level));
            if !self.open {
                return Verdict::Wait;
            }
        }
        let left = usize::try_from(self.max - self.passed).unwrap_or(usize::MAX);
        if left <= frame.len() {
            self.passed = self.max;
            return Verdict::Last(left, RecordEnd::Timeout);
        }
        self.passed += frame.len() as u64;
        let last = self.meter.as_ref().map_or(0.0, Meter::last);
        if self.silence.is_none_or(|(below, _)| last > below) {
            self.spoken = self.passed;
        }
        if self.silence.is_some_and(|(_, time)| self.passed - self.spoken >= time) {
            return Verdict::Last(frame.len(), RecordEnd::BelowPower);
        }
        self.peak = self.peak.max(loudness);
        let fell = self.finish_below.map(f32::from).is_some_and(|level| self.peak > level && loudness < level);
        if fell && self.passed >= self.min {
            return Verdict::Last(frame.len(), RecordEnd::BelowPower);
        }
        Verdict::Take(frame.len())
    }
}

/// The loudness of the last frames.
#[derive(Debug)]
pub(crate) struct Meter {
    most: usize,
    /// Samples of a frame.
    frame: usize,
    /// The last sample, and what was made of it.
    last: (f32, f32),
    frames: VecDeque<f32>,
}

impl Meter {
    pub fn new(average: u16, rate: u32) -> Self {
        let most = usize::from(average.clamp(1, MAX_AVERAGE));
        Self { most, frame: (rate * FRAME_MS / 1_000) as usize, last: (0.0, 0.0), frames: VecDeque::new() }
    }

    /// The mean with this frame. What has not been heard yet counts as silence, so that one click is no voice.
    pub fn hear(&mut self, frame: &[i16]) -> f32 {
        let mut sum = 0.0;
        for sample in frame {
            let sample = f32::from(*sample);
            let level = sample - self.last.0 + DC_POLE * self.last.1;
            self.last = (sample, level);
            sum += level * level;
        }
        if self.frames.len() == self.most {
            self.frames.pop_front();
        }
        // The end of a recording may be less than a frame; it counts as much as there is.
        self.frames.push_back((sum / self.frame.max(1) as f32).sqrt());
        self.frames.iter().sum::<f32>() / self.most as f32
    }

    /// How loud the last frame was by itself.
    fn last(&self) -> f32 {
        self.frames.back().copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookswitch_call::Silence;

    use super::*;

    const RATE: u32 = 8_000;

    fn plan() -> RecordPlan {
        RecordPlan::both_sides("a.wav".into())
    }

    /// 20 ms of a square wave at this level, on an offset.
    fn frame(level: i16, offset: i16) -> Vec<i16> {
        (0..160).map(|n| if n % 16 < 8 { offset + level } else { offset - level }).collect()
    }

    /// How many samples are recorded of so many frames each, and how it ends.
    fn record(gate: &mut Gate, frames: &[(usize, i16)]) -> (usize, Option<RecordEnd>) {
        let mut taken = 0;
        for (count, level) in frames {
            for _ in 0..*count {
                match gate.judge(&frame(*level, 0)) {
                    Verdict::Wait => {}
                    Verdict::Take(samples) => taken += samples,
                    Verdict::Last(samples, end) => return (taken + samples, Some(end)),
                }
            }
        }
        (taken, None)
    }

    #[test]
    fn without_levels_everything_is_recorded() {
        let mut gate = Gate::new(&plan(), RATE);
        assert_eq!(record(&mut gate, &[(50, 0), (50, 9_000)]), (16_000, None));
    }

    #[test]
    fn it_begins_with_the_frame_that_is_loud_enough() {
        let mut gate = Gate::new(&RecordPlan { start_above: Some(500), ..plan() }, RATE);
        assert_eq!(record(&mut gate, &[(20, 400), (5, 600), (5, 0)]), (1_600, None));
    }

    #[test]
    fn a_constant_offset_is_not_loud() {
        let mut gate = Gate::new(&RecordPlan { start_above: Some(500), ..plan() }, RATE);
        // The step itself is, for the time that it takes to be forgotten.
        for _ in 0..20 {
            gate.judge(&frame(100, 0));
        }
        let mut quiet = frame(100, 0);
        for (n, sample) in quiet.iter_mut().enumerate() {
            *sample += n as i16;
        }
        assert_eq!(gate.judge(&quiet), Verdict::Wait);
    }

    #[test]
    fn loudness_is_the_mean_of_the_last_frames() {
        let with = |average| Gate::new(&RecordPlan { start_above: Some(500), average, ..plan() }, RATE);
        let click = [(10, 0), (2, 2_000), (20, 0)];
        assert!(record(&mut with(1), &click).0 > 0);
        assert_eq!(record(&mut with(10), &click), (0, None));
        assert_eq!(record(&mut with(10), &[(10, 0), (10, 2_000)]).0, 7 * 160 + 160);
    }

    #[test]
    fn it_ends_when_the_party_was_loud_and_is_not_any_more() {
        let low = RecordPlan { finish_below: Some(500), ..plan() };
        assert_eq!(record(&mut Gate::new(&low, RATE), &[(100, 0)]), (16_000, None), "nobody has spoken yet");
        let (samples, end) = record(&mut Gate::new(&low, RATE), &[(10, 0), (10, 900), (10, 0)]);
        assert_eq!((samples, end), (21 * 160, Some(RecordEnd::BelowPower)));
    }

    #[test]
    fn silence_does_not_end_it_before_its_shortest_time() {
        let low = RecordPlan { finish_below: Some(500), min: Duration::from_millis(600), ..plan() };
        let (samples, end) = record(&mut Gate::new(&low, RATE), &[(10, 900), (50, 0)]);
        assert_eq!((samples, end), (4_800, Some(RecordEnd::BelowPower)));
    }

    #[test]
    fn silence_ends_it_from_the_beginning_on_and_what_was_said_before_is_known() {
        let time = Duration::from_millis(400);
        let quiet = RecordPlan { silence: Some(Silence { below: 100, time }), ..plan() };
        let mut gate = Gate::new(&quiet, RATE);
        assert_eq!(record(&mut gate, &[(100, 50)]), (3_200, Some(RecordEnd::BelowPower)), "nobody has spoken");
        assert_eq!(gate.spoken(), 0);
        let mut gate = Gate::new(&quiet, RATE);
        let words = [(5, 0), (10, 900), (19, 0), (10, 900), (100, 0)];
        // The level of the last frame before silence begins is forgotten within the first of it.
        let (samples, end) = record(&mut gate, &words);
        assert_eq!(end, Some(RecordEnd::BelowPower));
        assert_eq!(samples as u64, gate.spoken() + 3_200);
        assert!((44 * 160..=46 * 160).contains(&gate.spoken()), "{}", gate.spoken());
    }

    #[test]
    fn its_longest_time_counts_from_when_it_began() {
        let short = RecordPlan { start_above: Some(500), max: Duration::from_millis(510), ..plan() };
        let (samples, end) = record(&mut Gate::new(&short, RATE), &[(100, 0), (100, 900)]);
        assert_eq!((samples, end), (4_080, Some(RecordEnd::Timeout)));
    }

    #[test]
    fn no_recording_is_longer_than_its_header_can_say() {
        let mut gate = Gate::new(&RecordPlan { max: Duration::from_secs(1_000_000), ..plan() }, 16_000);
        gate.passed = MAX_RECORDING_S * 16_000 - 1;
        assert_eq!(gate.judge(&[0; 320]), Verdict::Last(1, RecordEnd::Timeout));
        // Two channels of two bytes, and the header.
        assert!(MAX_RECORDING_S * 16_000 * 4 + 44 <= u64::from(u32::MAX));
    }
}
