//! What a block of samples sounds like: level and dominant frequency.

/// Level of a sine at the digital clipping point, in dBm0: that of G.711 µ-law. A-law is 0.03 dB lower.
pub const DBM0_AT_FULL_SCALE: f32 = 3.17;

/// The level reported for silence, in dBFS.
pub const SILENCE_DBFS: f32 = -96.0;

/// The frequency is looked for in the first so many samples; the level is that of the whole block.
pub const MAX_ANALYSED_SAMPLES: usize = 2048;

/// Where the dominant frequency is looked for, in Hz: the telephone band and a little around it.
const LOWEST_HZ: f32 = 200.0;
const HIGHEST_HZ: f32 = 3600.0;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// Level of everything, in dB below a sine at full scale; [`SILENCE_DBFS`] at least.
    pub level_dbfs: f32,
    /// The strongest frequency from 200 to 3600 Hz, in Hz; `None` when silent.
    pub dominant_hz: Option<f32>,
    /// Level of that frequency alone, in dBFS.
    pub dominant_dbfs: f32,
    /// Which part of the power is at that frequency, from 0 (noise) to 1 (a pure tone).
    pub purity: f32,
}

impl Measurement {
    /// The level as telephony counts it.
    #[must_use]
    pub fn level_dbm0(&self) -> f32 {
        self.level_dbfs + DBM0_AT_FULL_SCALE
    }

    /// Whether nothing louder than comfort noise (-60 dBFS) was heard.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.level_dbfs < -60.0
    }
}

/// Level of a block in dB below a full-scale sine, whose level is 0.
#[must_use]
pub fn level(samples: &[i16]) -> f32 {
    decibel(mean_square(samples) * 2.0)
}

/// Level in dBFS of one frequency within a block; the rate is in Hz. Exact when the block is long
/// against the frequency's period; a neighbour nearer than two blocks' worth of turns leaks in.
#[must_use]
pub fn frequency_level(samples: &[i16], sample_rate: u32, hz: f32) -> f32 {
    decibel(Windowed::new(samples, sample_rate).power(hz) * 2.0)
}

/// Measures a block of samples at this rate, in Hz. Blocks of 40 ms or more tell frequencies within a
/// few Hz. It allocates and takes milliseconds: it is for verification, not for the packet path.
#[must_use]
pub fn measure(samples: &[i16], sample_rate: u32) -> Measurement {
    let level_dbfs = level(samples);
    let silent = Measurement { level_dbfs, dominant_hz: None, dominant_dbfs: SILENCE_DBFS, purity: 0.0 };
    if level_dbfs <= SILENCE_DBFS || sample_rate == 0 {
        return silent;
    }
    let block = Windowed::new(samples, sample_rate);
    let Some((hz, power)) = block.peak() else {
        return silent;
    };
    let total = mean_square(samples.get(..block.samples.len()).unwrap_or(samples));
    let purity = if total > 0.0 { (power / total).clamp(0.0, 1.0) } else { 0.0 };
    Measurement { level_dbfs, dominant_hz: Some(hz), dominant_dbfs: decibel(power * 2.0), purity }
}

/// Mean square with full scale as 1.
fn mean_square(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    (sum / samples.len() as f64 / (32768.0 * 32768.0)) as f32
}

fn decibel(power: f32) -> f32 {
    if power <= 0.0 {
        return SILENCE_DBFS;
    }
    (10.0 * power.log10()).max(SILENCE_DBFS)
}

/// A block under a Hann window, so that a strong tone does not mask the others.
struct Windowed {
    samples: Vec<f32>,
    sample_rate: f32,
    /// Sum of the window's values.
    weight: f32,
}

impl Windowed {
    fn new(samples: &[i16], sample_rate: u32) -> Self {
        let samples = samples.get(..MAX_ANALYSED_SAMPLES).unwrap_or(samples);
        let turn = core::f32::consts::TAU / samples.len().max(1) as f32;
        let window = (0..samples.len()).map(|i| 0.5 - 0.5 * ((i as f32 + 0.5) * turn).cos());
        let weight = window.clone().sum();
        let samples = samples.iter().zip(window).map(|(s, w)| f32::from(*s) / 32768.0 * w);
        Self { samples: samples.collect(), sample_rate: sample_rate as f32, weight }
    }

    /// Mean square of the component at this frequency, by Goertzel's recurrence.
    fn power(&self, hz: f32) -> f32 {
        if self.weight <= 0.0 || self.sample_rate <= 0.0 {
            return 0.0;
        }
        let coefficient = 2.0 * (core::f64::consts::TAU * f64::from(hz / self.sample_rate)).cos();
        let (mut s1, mut s2) = (0.0f64, 0.0f64);
        for sample in &self.samples {
            (s1, s2) = (f64::from(*sample) + coefficient * s1 - s2, s1);
        }
        let magnitude = (s1 * s1 + s2 * s2 - coefficient * s1 * s2).max(0.0);
        let weight = f64::from(self.weight);
        // A sine of amplitude A gives A/2 of the weight; its mean square is A²/2.
        (2.0 * magnitude / (weight * weight)) as f32
    }

    /// The strongest frequency and its power: looked for in steps of half a turn per block, then
    /// between the neighbours of the best.
    fn peak(&self) -> Option<(f32, f32)> {
        let step = (self.sample_rate / (2.0 * self.samples.len().max(1) as f32)).max(1.0);
        let highest = HIGHEST_HZ.min(self.sample_rate / 2.0);
        if highest <= LOWEST_HZ {
            return None;
        }
        let steps = ((highest - LOWEST_HZ) / step) as u32;
        let candidates = (0..=steps).map(|i| LOWEST_HZ + i as f32 * step);
        let with_power = candidates.map(|hz| (hz, self.power(hz)));
        let (coarse, _) = with_power.reduce(|a, b| if b.1 > a.1 { b } else { a })?;
        let (mut low, mut high) = (coarse - step, coarse + step);
        // Each round leaves two thirds; 16 rounds narrow the widest step to a fraction of a Hz.
        for _ in 0..16 {
            let third = (high - low) / 3.0;
            if self.power(low + third) < self.power(high - third) {
                low += third;
            } else {
                high -= third;
            }
        }
        let hz = (low + high) / 2.0;
        Some((hz, self.power(hz)))
    }
}
