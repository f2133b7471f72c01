//! From samples to the two bands and back: by the mirror filter, at 16 kHz; and at 8 kHz by the mirror filter and a change
//! of the rate in one.
//!
//! ```text
//!   16 kHz ─▶ mirror filter ─▶ bands ─▶ mirror filter ─▶ 16 kHz
//!    8 kHz ─▶ one filter for each band ─▶ bands ─▶ one filter for each band ─▶ 8 kHz
//! ```
//!
//! Both bands have 8,000 samples a second, and so has telephony. What a resampler to 16 kHz and the mirror filter do
//! one after the other, every other sample of which nobody looks at, is one row of taps from the samples to a band: the
//! two of them, multiplied out. The way through is as long, and passes and stops the same.

use super::bands::BLOCK;
use crate::resampler::{DOWN_2, UP_2};

/// The mirror filter, its even taps; the odd ones are the same in reverse (G.722 table 11).
const MIRROR: [i16; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Samples of 16 kHz before a pair that the mirror filter looks at.
const LOOK_BACK: usize = 2 * MIRROR.len() - 2;

/// The taps for a row of pairs, oldest first: `sum` for both branches added, `difference` for the
/// second less the first.
const SUM: [i16; 24] = interleave(1, 1);
const DIFFERENCE: [i16; 24] = interleave(-1, 1);
/// The taps for one branch alone.
const FIRST: [i16; 24] = interleave(1, 0);
const SECOND: [i16; 24] = interleave(0, 1);

const fn interleave(first: i16, second: i16) -> [i16; 24] {
    let mut taps = [0; 24];
    let mut i = 0;
    while i < 12 {
        taps[2 * i] = first * MIRROR[i];
        taps[2 * i + 1] = second * MIRROR[11 - i];
        i += 1;
    }
    taps
}

#[inline(always)]
fn filter<const N: usize>(samples: &[i16; N], taps: &[i16; N]) -> i32 {
    samples.iter().zip(taps).map(|(sample, tap)| i32::from(*sample) * i32::from(*tap)).sum()
}

/// To sixteen bits.
#[inline(always)]
fn saturate(value: i32) -> i16 {
    value.max(i16::MIN.into()).min(i16::MAX.into()) as i16
}

/// Samples of 16 kHz on one side of the mirror filter, as far as it looks back.
#[derive(Debug, Clone)]
pub(super) struct Wide([i16; LOOK_BACK]);

impl Wide {
    pub fn new() -> Self {
        Self([0; LOOK_BACK])
    }

    /// Splits pairs of samples, at most [`BLOCK`], into the lower band and the higher one.
    #[inline(always)]
    pub fn split(&mut self, samples: &[i16], bands: &mut [[i16; 2]]) {
        let mut stretch = [0; LOOK_BACK + 2 * BLOCK];
        stretch[..LOOK_BACK].copy_from_slice(&self.0);
        stretch[LOOK_BACK..LOOK_BACK + samples.len()].copy_from_slice(samples);
        for (window, both) in stretch.array_windows().step_by(2).zip(bands) {
            // At most 0.8 of sixteen bits.
            *both = [filter(window, &SUM), filter(window, &DIFFERENCE)].map(|sum| (sum >> 14) as i16);
        }
        self.0.copy_from_slice(&stretch[samples.len()..samples.len() + LOOK_BACK]);
    }

    /// Makes a pair of samples of each two.
    #[inline(always)]
    pub fn join(&mut self, bands: &[[i16; 2]], samples: &mut [i16]) {
        let mut stretch = [0; LOOK_BACK + 2 * BLOCK];
        stretch[..LOOK_BACK].copy_from_slice(&self.0);
        for (pair, [low, high]) in stretch[LOOK_BACK..].as_chunks_mut().0.iter_mut().zip(bands) {
            // Each of the two has fifteen bits; what is beyond sixteen has always been cut off here.
            *pair = [low.wrapping_add(*high), low.wrapping_sub(*high)];
        }
        for (window, pair) in stretch.array_windows().step_by(2).zip(samples.as_chunks_mut().0) {
            *pair = [filter(window, &SECOND), filter(window, &FIRST)].map(|sum| saturate(sum >> 11));
        }
        self.0.copy_from_slice(&stretch[2 * bands.len()..2 * bands.len() + LOOK_BACK]);
    }
}

/// Taps of a filter from 8 kHz to a band: 35, and zeros in front to make them multiples of eight.
const SPLIT_TAPS: usize = 40;

/// Parts that they are kept in.
const SPLIT_BITS: u32 = 15;

const TO_LOW: [i16; SPLIT_TAPS] = split_taps(&SUM);
const TO_HIGH: [i16; SPLIT_TAPS] = split_taps(&DIFFERENCE);

/// Taps of the filter from both bands to 8 kHz: 36 of each, in turns.
const JOIN_TAPS: usize = 72;

/// Parts that they are kept in.
const JOIN_BITS: u32 = 14;

const FROM_BOTH: [i16; JOIN_TAPS] = join_taps();

/// The taps of doubling the rate, and those of a branch of the mirror filter, multiplied out. Pair `i` has its samples at
/// `2i` and `2i + 1` of 16 kHz, which are made of the samples up to `i` of 8 kHz.
const fn split_taps(mirror: &[i16; 24]) -> [i16; SPLIT_TAPS] {
    let per_phase = UP_2.len() / 2;
    let mut sums = [0i64; SPLIT_TAPS];
    let (mut tap, mut k) = (0, 0);
    while tap < mirror.len() {
        while k < per_phase {
            let newest = (mirror.len() / 2 - 1 - tap / 2) + (per_phase - 1 - k);
            sums[SPLIT_TAPS - 1 - newest] += mirror[tap] as i64 * UP_2[tap % 2 * per_phase + k] as i64;
            k += 1;
        }
        (tap, k) = (tap + 1, 0);
    }
    // Both are kept in parts of 2^14.
    scaled(sums, 28 - SPLIT_BITS, 1 << 15)
}

/// The taps of both bands through a branch of the mirror filter each, and those of halving the rate, multiplied out.
const fn join_taps() -> [i16; JOIN_TAPS] {
    let mut sums = [0i64; JOIN_TAPS];
    let (mut tap, mut q) = (0, 0);
    while tap < DOWN_2.len() {
        // The newest sample is the first of its pair; before it come the second and the first of the pair before.
        let age = DOWN_2.len() - 1 - tap;
        let is_first = age.is_multiple_of(2);
        while q < MIRROR.len() {
            let newest = age.div_ceil(2) + (MIRROR.len() - 1 - q);
            let at = JOIN_TAPS - 2 * (newest + 1);
            let branch = if is_first { MIRROR[MIRROR.len() - 1 - q] } else { MIRROR[q] };
            let weight = DOWN_2[tap] as i64 * branch as i64;
            sums[at] += weight;
            sums[at + 1] += if is_first { -weight } else { weight };
            q += 1;
        }
        (tap, q) = (tap + 1, 0);
    }
    // Kept in parts of 2^14 and of 2^11.
    scaled(sums, 25 - JOIN_BITS, 1 << 14)
}

/// Rounded to sixteen bits, so few parts that sums of the largest samples stay within 32 bits.
const fn scaled<const N: usize>(sums: [i64; N], bits: u32, largest: i64) -> [i16; N] {
    let mut taps = [0; N];
    let (mut i, mut all) = (0, 0);
    while i < N {
        let tap = (sums[i] + (1 << (bits - 1))) >> bits;
        assert!(tap == tap as i16 as i64, "a tap is too large");
        taps[i] = tap as i16;
        all += if tap < 0 { -tap } else { tap };
        i += 1;
    }
    assert!(all * largest < i32::MAX as i64, "the sum is too large");
    taps
}

/// Samples of 8 kHz, as far as the way to the bands looks back.
#[derive(Debug, Clone)]
pub(super) struct Split([i16; SPLIT_TAPS - 1]);

impl Split {
    pub fn new() -> Self {
        Self([0; SPLIT_TAPS - 1])
    }

    /// Splits samples, at most [`BLOCK`], into the lower band and the higher one.
    #[inline(always)]
    pub fn split(&mut self, samples: &[i16], bands: &mut [[i16; 2]]) {
        const PAST: usize = SPLIT_TAPS - 1;
        let mut stretch = [0; PAST + BLOCK];
        stretch[..PAST].copy_from_slice(&self.0);
        stretch[PAST..PAST + samples.len()].copy_from_slice(samples);
        for (window, both) in stretch.array_windows().zip(bands) {
            let sums = [filter(window, &TO_LOW), filter(window, &TO_HIGH)];
            *both = sums.map(|sum| saturate((sum + (1 << (SPLIT_BITS - 1))) >> SPLIT_BITS));
        }
        self.0.copy_from_slice(&stretch[samples.len()..samples.len() + PAST]);
    }
}

/// Samples of both bands, as far as the way to 8 kHz looks back.
#[derive(Debug, Clone)]
pub(super) struct Join([[i16; 2]; JOIN_TAPS / 2 - 1]);

impl Join {
    pub fn new() -> Self {
        Self([[0; 2]; JOIN_TAPS / 2 - 1])
    }

    /// Makes a sample of each two, at most [`BLOCK`].
    #[inline(always)]
    pub fn join(&mut self, bands: &[[i16; 2]], samples: &mut [i16]) {
        const PAST: usize = JOIN_TAPS / 2 - 1;
        let mut stretch = [[0; 2]; PAST + BLOCK];
        stretch[..PAST].copy_from_slice(&self.0);
        stretch[PAST..PAST + bands.len()].copy_from_slice(bands);
        for (window, sample) in stretch.as_flattened().array_windows().step_by(2).zip(samples) {
            *sample = saturate((filter(window, &FROM_BOTH) + (1 << (JOIN_BITS - 1))) >> JOIN_BITS);
        }
        self.0.copy_from_slice(&stretch[bands.len()..bands.len() + PAST]);
    }
}
