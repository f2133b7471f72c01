//! From one sample rate to another: 8, 16, 24 and 48 kHz among each other, and the rates of files to those.
//!
//! One low-pass of windowed sines for each ratio, worked out at compile time, or for files when it is needed, and
//! kept as a bank of phases, so that nothing is multiplied with the zeros between samples (polyphase
//! interpolation and decimation).
//! What lies below 0.425 of the lower rate passes (3.4 of 8 kHz); what lies above 0.5875 of it (4.7 of
//! 8 kHz) is at least 60 dB weaker, so that what is in between folds onto what lies above 3.3 kHz only.
//! The way through takes twelve samples of the lower rate: 1.5 ms at 8 kHz, 0.75 ms at 16 kHz.

use std::sync::Arc;

use thiserror::Error;

/// Rates that can be converted, in Hz.
pub const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

/// Lowest and highest rate of a file, in Hz.
pub const FILE_RATES: core::ops::RangeInclusive<u32> = 4_000..=192_000;

/// Most taps of a bank that is worked out when it is needed. From 44,100 Hz and what is made of it by halves it
/// takes 11,000; rates with nothing in common with ours would take a thousand times that.
const MAX_TAPS: usize = 32_768;

/// Taps for each sample of the lower rate.
const TAPS: usize = 24;

/// Middle of the low-pass's edge, as a part of the lower rate.
const EDGE: f64 = 0.506_25;

/// Shape of the Kaiser window, for 64 dB.
const BETA: f64 = 6.1;

/// Taps are kept in parts of this.
const ONE: i32 = 1 << 14;

pub(crate) static UP_2: [i16; 2 * TAPS] = bank(2, 2);
static UP_3: [i16; 3 * TAPS] = bank(3, 3);
static UP_6: [i16; 6 * TAPS] = bank(6, 6);
static UP_2_DOWN_3: [i16; 3 * TAPS] = bank(2, 3);
pub(crate) static DOWN_2: [i16; 2 * TAPS] = bank(1, 2);
static DOWN_3: [i16; 3 * TAPS] = bank(1, 3);
static DOWN_6: [i16; 6 * TAPS] = bank(1, 6);

/// Two rates between which nothing is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no conversion from {from} to {to} samples per second: 8000, 16000, 24000 and 48000 are known")]
pub struct RateError {
    /// The rate of what comes in, in Hz.
    pub from: u32,
    /// The rate of what is to go out, in Hz.
    pub to: u32,
}

/// A stream of samples on its way to another rate.
#[derive(Debug, Clone)]
pub struct Resampler {
    /// So many samples are made of `down`.
    up: usize,
    down: usize,
    bank: Bank,
    taps: usize,
    /// What the next sample still looks back at, and what has not been used up.
    samples: Vec<i16>,
    /// Where the next sample is, in parts of `up` of a sample that came in, counted from the first one
    /// whose whole past is known.
    at: usize,
}

/// For each phase as many taps, for the oldest sample first. Empty where the rates are the same.
#[derive(Debug, Clone)]
enum Bank {
    Known(&'static [i16]),
    Made(Arc<[i16]>),
}

impl Bank {
    #[inline]
    fn taps(&self) -> &[i16] {
        match self {
            Self::Known(taps) => taps,
            Self::Made(taps) => taps,
        }
    }
}

impl Resampler {
    /// A stream that begins with silence.
    ///
    /// # Errors
    /// If one of the rates is not among [`RATES`].
    pub fn new(from: u32, to: u32) -> Result<Self, RateError> {
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return Err(RateError { from, to });
        }
        let common = common(from, to);
        let (up, down, bank): (usize, usize, &'static [i16]) = match (to / common, from / common) {
            (1, 1) => (1, 1, &[]),
            (2, 1) => (2, 1, &UP_2),
            (3, 1) => (3, 1, &UP_3),
            (6, 1) => (6, 1, &UP_6),
            (3, 2) => (3, 2, &UP_3),
            (2, 3) => (2, 3, &UP_2_DOWN_3),
            (1, 2) => (1, 2, &DOWN_2),
            (1, 3) => (1, 3, &DOWN_3),
            (1, 6) => (1, 6, &DOWN_6),
            _ => return Err(RateError { from, to }),
        };
        Ok(Self::with(up, down, Bank::Known(bank)))
    }

    /// The same for a file, which may have any of [`FILE_RATES`] that has enough in common with the other rate: 11,025,
    /// 22,050, 32,000 and 44,100 Hz, for instance. Takes milliseconds for those.
    ///
    /// # Errors
    /// If the rate that is to go out is not among [`RATES`], or the other is none of those.
    pub fn for_file(from: u32, to: u32) -> Result<Self, RateError> {
        if let Ok(resampler) = Self::new(from, to) {
            return Ok(resampler);
        }
        if !FILE_RATES.contains(&from) || !RATES.contains(&to) {
            return Err(RateError { from, to });
        }
        let common = common(from, to);
        let (up, down) = ((to / common) as usize, (from / common) as usize);
        let highest = up.max(down);
        let per_phase = (TAPS * highest).div_ceil(up);
        if per_phase * up > MAX_TAPS {
            return Err(RateError { from, to });
        }
        let mut bank = vec![0; per_phase * up];
        for phase in 0..up {
            let taps = || (0..per_phase).map(|k| low_pass(phase + up * k, per_phase * up, highest));
            let sum: f64 = taps().sum();
            let place = bank[phase * per_phase..(phase + 1) * per_phase].iter_mut().rev();
            for (place, tap) in place.zip(taps()) {
                // Each phase lets a level through as it is.
                *place = (tap / sum * f64::from(ONE)).round() as i16;
            }
        }
        Ok(Self::with(up, down, Bank::Made(bank.into())))
    }

    fn with(up: usize, down: usize, bank: Bank) -> Self {
        let taps = bank.taps().len() / up;
        Self { up, down, bank, taps, samples: vec![0; taps.saturating_sub(1)], at: 0 }
    }

    /// Converts samples and appends what they make. Over time that is as many as the rates say; of one
    /// call it may be one sample more or less.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        let bank = self.bank.taps();
        if bank.is_empty() {
            out.extend_from_slice(input);
            return;
        }
        self.samples.extend_from_slice(input);
        let whole = self.samples.len() + 1 - self.taps;
        // Where the next sample is, without a division for each.
        let (mut first, mut phase) = (self.at / self.up, self.at % self.up);
        let (forward, turn) = (self.down / self.up, self.down % self.up);
        while first < whole {
            let past = &self.samples[first..first + self.taps];
            out.push(weigh(past, &bank[phase * self.taps..(phase + 1) * self.taps]));
            (first, phase) = (first + forward, phase + turn);
            if phase >= self.up {
                (first, phase) = (first + 1, phase - self.up);
            }
        }
        self.at = first * self.up + phase;
        let used = (self.at / self.up).min(whole);
        self.samples.drain(..used);
        self.at -= used * self.up;
    }
}

#[inline]
fn weigh(samples: &[i16], taps: &[i16]) -> i16 {
    // In eights, which is what a processor multiplies at once.
    let ((samples, last), (taps, last_taps)) = (samples.as_chunks::<8>(), taps.as_chunks::<8>());
    let product = |(sample, tap): (&i16, &i16)| i32::from(*sample) * i32::from(*tap);
    let eight = |(samples, taps): (&[i16; 8], &[i16; 8])| samples.iter().zip(taps).map(product).sum::<i32>();
    let whole: i32 = samples.iter().zip(taps).map(eight).sum();
    let sum = whole + last.iter().zip(last_taps).map(product).sum::<i32>();
    // Rounded, and kept within sixteen bits: a loud edge overshoots.
    ((sum + ONE / 2) / ONE).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

const fn common(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common(b, a % b) }
}

/// The taps of all phases of `up`, for a low-pass at `highest` times the lower rate.
const fn bank<const N: usize>(up: usize, highest: usize) -> [i16; N] {
    let mut bank = [0; N];
    let per_phase = N / up;
    let mut phase = 0;
    while phase < up {
        let mut sum = 0.0;
        let mut k = 0;
        while k < per_phase {
            sum += low_pass(phase + up * k, N, highest);
            k += 1;
        }
        let mut k = 0;
        while k < per_phase {
            // Each phase lets a level through as it is, so that none is heard as a tone.
            let tap = low_pass(phase + up * k, N, highest) / sum * ONE as f64;
            bank[phase * per_phase + per_phase - 1 - k] = (tap + if tap < 0.0 { -0.5 } else { 0.5 }) as i16;
            k += 1;
        }
        phase += 1;
    }
    bank
}

/// A tap of the low-pass of `count` taps at `highest` times the lower rate.
const fn low_pass(tap: usize, count: usize, highest: usize) -> f64 {
    // The middle is between two taps, or on one: where it is makes no difference to its edge.
    let middle = count as f64 / 2.0;
    let x = tap as f64 - middle;
    let angle = 2.0 * core::f64::consts::PI * EDGE / highest as f64 * x;
    let sinc = if x == 0.0 { 1.0 } else { sine(angle) / angle };
    let place = x / middle;
    sinc * bessel(BETA * root(1.0 - place * place)) / bessel(BETA)
}

/// The sine, by its series: at compile time there is no other.
const fn sine(angle: f64) -> f64 {
    let turn = 2.0 * core::f64::consts::PI;
    let x = angle - turn * (angle / turn) as i64 as f64;
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while n < 40.0 {
        term *= -x * x / ((n + 1.0) * (n + 2.0));
        sum += term;
        n += 2.0;
    }
    sum
}

/// The modified Bessel function of order zero, by its series.
const fn bessel(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    while n < 40.0 {
        term *= (x / 2.0 / n) * (x / 2.0 / n);
        sum += term;
        n += 1.0;
    }
    sum
}

/// The square root, after Newton.
const fn root(x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let (mut guess, mut n) = (1.0, 0);
    while n < 40 {
        guess = (guess + x / guess) / 2.0;
        n += 1;
    }
    guess
}
