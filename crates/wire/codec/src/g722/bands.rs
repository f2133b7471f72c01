//! What both bands are coded by: differences from a prediction, which is worked out for both at once.
//!
//! ```text
//!   sample ─▶ − ─▶ quantiser ─▶ code ─▶ difference ─┬─▶ + ─▶ what the other end hears
//!             ▲                  └─▶ scale          │   ▲
//!             └─────────── prediction ◀─ two poles, six zeros
//! ```
//!
//! The predictor has the lower band in the first lane and the higher one in the second, and each band's zeros in
//! lanes of their own. A decoder knows all differences of a block before it predicts anything.

use super::lanes::{Lanes, Sums};

/// Bytes that are decoded at once.
pub(super) const BLOCK: usize = 40;

/// Decision levels of the lower band's quantiser, for a scale of 1 (G.722 table 14).
const LEVELS: [u16; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// The lower band's differences by its four upper bits (G.722 table 18).
const DIFFERENCE_4: [i16; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];

/// The lower band's differences by all six bits (G.722 table 20).
const DIFFERENCE_6: [i16; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// The higher band's differences by its two bits (G.722 table 19).
const DIFFERENCE_2: [i16; 4] = [-7408, -1616, 7408, 1616];

/// How the lower band's scale changes with its four upper bits, in its logarithm (G.722 table 15).
const SCALING_LOW: [i16; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// How the higher band's scale changes with its two bits, in its logarithm (G.722 table 16).
const SCALING_HIGH: [i16; 4] = [798, -214, 798, -214];

/// 2048 times the 32nd roots of 2 (G.722 table 17).
const ROOTS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// Upper limits of the scales' logarithms.
const MAX_LOG_LOW: i32 = 18_432;
const MAX_LOG_HIGH: i32 = 22_528;

/// Scale by the upper bits of its logarithm; G.722 works it out with shifts, here it is looked up.
static SCALE_LOW: [i16; (MAX_LOG_LOW as usize >> 6) + 1] = scales(8);
static SCALE_HIGH: [i16; (MAX_LOG_HIGH as usize >> 6) + 1] = scales(10);

/// Which step of the lower band's quantiser a magnitude falls into, once it is divided by the scale.
static STEP: [u8; LEVELS[28] as usize + 1] = steps();

/// By what a number is multiplied in place of dividing it by a scale of the lower band.
static RECIPROCAL: [u64; SCALE_LOW.len()] = reciprocals();

/// Reciprocals are kept in parts of this, rounded up. What is divided is below 2^27 and the scale below 2^15, so that
/// what the rounding adds to a quotient never reaches the next whole number.
const RECIPROCAL_BITS: u32 = 42;

const fn scales<const N: usize>(full: i32) -> [i16; N] {
    let mut table = [0; N];
    let mut at = 0;
    while at < N {
        let shift = full - (at as i32 >> 5);
        let root = ROOTS[at & 31];
        table[at] = ((if shift < 0 { root << -shift } else { root >> shift }) << 2) as i16;
        at += 1;
    }
    table
}

const fn steps<const N: usize>() -> [u8; N] {
    let mut table = [0; N];
    let (mut at, mut step) = (0, 0);
    while at < N {
        while step < LEVELS.len() && LEVELS[step] as usize <= at {
            step += 1;
        }
        table[at] = step as u8;
        at += 1;
    }
    table
}

const fn reciprocals<const N: usize>() -> [u64; N] {
    let scales: [i16; N] = scales(8);
    let mut table = [0; N];
    let mut at = 0;
    while at < N {
        table[at] = (1u64 << RECIPROCAL_BITS).div_ceil(scales[at] as u64);
        at += 1;
    }
    table
}

/// Kept between two limits. Unlike `clamp` it never becomes a jump, which would be predicted wrongly half the time.
#[inline(always)]
fn within(value: i32, least: i32, most: i32) -> i32 {
    value.max(least).min(most)
}

/// A number times `1 - 2^-7`, rounded down.
#[inline(always)]
const fn leak(number: i32) -> i32 {
    number + (-number >> 7)
}

/// Both bands: what they predict by, and the scales of their differences.
#[derive(Debug, Clone)]
pub(super) struct Bands {
    predictor: Predictor,
    low: Scale,
    high: Scale,
}

/// The scale of a band's differences.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Its logarithm.
    log: i32,
    scale: i32,
    /// Of the lower band: in place of dividing by it.
    reciprocal: u64,
}

impl Scale {
    /// Adapts it to the last code (G.722 blocks LOGSCL, SCALEL).
    #[inline(always)]
    fn follow_low(&mut self, upper: usize) {
        self.log = within(leak(self.log) + i32::from(SCALING_LOW[upper]), 0, MAX_LOG_LOW);
        // The tables have an entry for each logarithm up to the limit.
        let at = (self.log >> 6) as usize;
        (self.scale, self.reciprocal) = (i32::from(SCALE_LOW[at]), RECIPROCAL[at]);
    }

    /// The same for the higher band (LOGSCH, SCALEH).
    #[inline(always)]
    fn follow_high(&mut self, code: usize) {
        self.log = within(leak(self.log) + i32::from(SCALING_HIGH[code]), 0, MAX_LOG_HIGH);
        self.scale = i32::from(SCALE_HIGH[(self.log >> 6) as usize]);
    }

    #[inline(always)]
    fn times(&self, difference: i16) -> i16 {
        // The scale is at most 2^14.
        ((self.scale * i32::from(difference)) >> 15) as i16
    }
}

impl Bands {
    pub fn new() -> Self {
        let low = Scale { log: 0, scale: SCALE_LOW[0].into(), reciprocal: RECIPROCAL[0] };
        let high = Scale { log: 0, scale: SCALE_HIGH[0].into(), reciprocal: 0 };
        Self { predictor: Predictor::new(), low, high }
    }

    /// Makes a byte of each two samples, a lower one and a higher one.
    #[inline(always)]
    pub fn encode(&mut self, samples: &[[i16; 2]], bytes: &mut [u8]) {
        let Self { mut predictor, mut low, mut high } = *self;
        for (both, byte) in samples.iter().zip(bytes) {
            let [lower, higher] = Lanes::pair(*both).sub_within(predictor.prediction).first_two();
            let lower = usize::from(quantise_low(lower, low.reciprocal));
            let higher = usize::from(quantise_high(higher.into(), high.scale));
            *byte = (higher << 6 | lower) as u8;
            let upper = lower >> 2 & 0xf;
            let differences = [low.times(DIFFERENCE_4[upper]), high.times(DIFFERENCE_2[higher & 3])];
            low.follow_low(upper);
            high.follow_high(higher & 3);
            predictor.predict(Lanes::pair(differences));
        }
        *self = Self { predictor, low, high };
    }

    /// Makes two samples of each byte, a lower one and a higher one, between -16384 and 16383. At most [`BLOCK`] at
    /// once.
    #[inline(always)]
    pub fn decode(&mut self, bytes: &[u8], samples: &mut [[i16; 2]]) {
        let Self { mut predictor, mut low, mut high } = *self;
        // What goes into the predictor, and what is heard: of the lower band that is finer.
        let mut differences = [[0; 2]; BLOCK];
        for ((byte, both), heard) in bytes.iter().zip(&mut differences).zip(samples.iter_mut()) {
            let (upper, higher) = (usize::from(byte >> 2 & 0xf), usize::from(byte >> 6));
            *both = [low.times(DIFFERENCE_4[upper]), high.times(DIFFERENCE_2[higher])];
            *heard = [low.times(DIFFERENCE_6[usize::from(byte & 0x3f)]), both[1]];
            low.follow_low(upper);
            high.follow_high(higher);
        }
        let (least, most) = (Lanes::all(-16_384), Lanes::all(16_383));
        for (both, heard) in differences.iter().zip(samples).take(bytes.len()) {
            *heard = predictor.prediction.add_within(Lanes::pair(*heard)).within(least, most).first_two();
            predictor.predict(Lanes::pair(*both));
        }
        *self = Self { predictor, low, high };
    }
}

/// G.722 block QUANTL: six bits, for a scale with this reciprocal.
#[inline(always)]
fn quantise_low(difference: i16, reciprocal: u64) -> u8 {
    let difference = i32::from(difference);
    let magnitude = difference ^ (difference >> 31);
    // The step is the number of levels, times the scale over 4096, that do not exceed the magnitude.
    let limit = (u64::from((magnitude as u32) << 12 | 0xfff) * reciprocal) >> RECIPROCAL_BITS;
    let step = STEP[(limit as usize).min(STEP.len() - 1)];
    let negative = if step < 2 { 63 } else { 33 };
    (if difference < 0 { negative } else { 61 }) - step
}

/// G.722 block QUANTH: two bits.
#[inline(always)]
fn quantise_high(difference: i32, scale: i32) -> u8 {
    let magnitude = difference ^ (difference >> 31);
    let small = magnitude < (564 * scale) >> 12;
    (u8::from(difference >= 0) << 1) | u8::from(small)
}

/// What both bands predict their next samples by: two poles and six zeros each.
#[derive(Debug, Clone, Copy)]
struct Predictor {
    prediction: Lanes,
    /// The part of it that the zeros make.
    of_zeros: Lanes,
    /// Twice the last reconstructed samples.
    last: Lanes,
    /// The last two sums of difference and zeros' part.
    sums: [Lanes; 2],
    poles: [Lanes; 2],
    low: Zeros,
    high: Zeros,
}

impl Predictor {
    fn new() -> Self {
        let none = Lanes::all(0);
        let zeros = Zeros { weights: none, differences: none };
        Self {
            prediction: none,
            of_zeros: none,
            last: none,
            sums: [none; 2],
            poles: [none; 2],
            low: zeros,
            high: zeros,
        }
    }

    /// Takes decoded differences in and predicts the next samples (G.722 block 4).
    #[inline(always)]
    fn predict(&mut self, differences: Lanes) {
        let sample = self.prediction.add_within(differences);
        self.adapt_poles(self.of_zeros.add_within(differences));
        let twice = sample.add_within(sample);
        let [first, second] = self.poles;
        let of_poles = first.alternating(second).products(twice.alternating(self.last)).narrow();
        self.last = twice;
        let low = self.low.take(differences.first());
        self.of_zeros = low.totals(self.high.take(differences.second()));
        self.prediction = of_poles.add_within(self.of_zeros);
    }

    /// G.722 blocks UPPOL2 and UPPOL1: the poles with a sum taken in.
    #[inline(always)]
    fn adapt_poles(&mut self, sum: Lanes) {
        // All ones where the signs differ.
        let [last, before] = self.sums.map(|other| sum.xor(other).signs());
        self.sums = [sum, self.sums[0]];
        let [first, second] = self.poles;
        let double = first.add_within(first);
        let four_times = double.add_within(double);
        // Turned round where the signs are the same, and kept within sixteen bits.
        let same = last.xor(Lanes::all(-1));
        let coupled = four_times.xor(same).sub_within(same).shift_right::<7>();
        let second = second.leak::<7>().add(Lanes::all(128).turned(before)).add(coupled);
        let second = second.within(Lanes::all(-12_288), Lanes::all(12_288));
        let first = first.leak::<8>().add(Lanes::all(192).turned(last));
        let limit = Lanes::all(15_360).sub(second);
        self.poles = [first.within(Lanes::all(0).sub(limit), limit), second];
    }
}

/// Six zeros of one band; lanes beyond weigh nothing.
#[derive(Debug, Clone, Copy)]
struct Zeros {
    weights: Lanes,
    /// Twice the last differences, the newest first.
    differences: Lanes,
}

impl Zeros {
    /// G.722 blocks UPZERO and FILTEZ: the zeros with a difference taken in, which all lanes have, and what they make of
    /// the differences then.
    #[inline(always)]
    fn take(&mut self, difference: Lanes) -> Sums {
        let six = Lanes::of([-1, -1, -1, -1, -1, -1, 0, 0]);
        let turn = self.differences.xor(difference).signs();
        let drift = difference.where_not_zero(Lanes::all(128)).turned(turn);
        // A 256th leaks away, rounded up; at the limits that is as much as comes in, so nothing overflows.
        self.weights = self.weights.leak::<8>().add(drift).and(six);
        // Differences are below 2^14.
        self.differences = self.differences.push(difference.add(difference));
        self.weights.products(self.differences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reciprocal_divides_as_a_division_does() {
        for (scale, reciprocal) in SCALE_LOW.iter().zip(RECIPROCAL) {
            for magnitude in 0..=32_767u64 {
                let divided = magnitude << 12 | 0xfff;
                assert_eq!((divided * reciprocal) >> RECIPROCAL_BITS, divided / *scale as u64, "{divided} / {scale}");
            }
        }
    }
}
