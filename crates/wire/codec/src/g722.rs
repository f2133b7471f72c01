//! G.722 at 64 kbit/s: 7 kHz of audio, sampled at 16 kHz, one byte for every two samples.
//!
//! A pair of quadrature mirror filters splits the signal into two bands of 4 kHz, each is coded by
//! adaptive differences (SB-ADPCM, ITU-T G.722): six bits for the lower, two for the higher one. RTP
//! says 8000 Hz for historical reasons (RFC 3551 section 4.5.2).
//!
//! ```text
//! samples ─▶ mirror filter ─┬ low ─▶ difference ─▶ 6 bits ─┬─▶ byte
//!                           │           ▲ predictor ◀─ 4 of them
//!                           └ high ─▶ difference ─▶ 2 bits ┘   (each band predicts by what it decodes)
//! ```
//!
//! The state is that of the Recommendation, bit for bit: what the encoder makes and what the decoder
//! makes of it is compared with another implementation in the tests.

/// A byte that is heard as silence: both differences as small as can be. An encoder makes others of silence
/// as well.
pub const SILENCE: u8 = 0xfa;

/// Samples per second.
pub const SAMPLE_RATE: u32 = 16_000;

/// The mirror filter, its even taps; the odd ones are the same in reverse (G.722 table 11).
const MIRROR: [i16; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

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

/// Kept between two limits. Unlike `clamp` it never becomes a jump, which would be predicted wrongly half the time.
#[inline(always)]
fn within(value: i32, least: i32, most: i32) -> i32 {
    value.max(least).min(most)
}

/// To sixteen bits.
#[inline(always)]
fn saturate(value: i32) -> i32 {
    within(value, i16::MIN.into(), i16::MAX.into())
}

/// What one band predicts its next sample by: two poles and six zeros, and the scale of its
/// differences. Six zeros are kept as eight, which is what a processor multiplies at once.
#[derive(Debug, Clone, Copy)]
struct Band {
    /// The prediction.
    s: i32,
    /// The part of it that the zeros make.
    sz: i32,
    /// Twice the last two reconstructed samples.
    r: [i32; 2],
    /// Last two sums of difference and zeros' part.
    p: [i32; 2],
    /// Poles.
    a: [i32; 2],
    /// Zeros.
    b: [i16; 8],
    /// Twice the last differences.
    d: [i16; 8],
    /// Logarithm of the scale.
    log: i32,
    /// The scale.
    scale: i32,
}

impl Band {
    const fn new(scale: i32) -> Self {
        Self { s: 0, sz: 0, r: [0; 2], p: [0; 2], a: [0; 2], b: [0; 8], d: [0; 8], log: 0, scale }
    }

    /// Adapts the scale (G.722 blocks LOGSCL, SCALEL and LOGSCH, SCALEH).
    #[inline(always)]
    fn rescale(&mut self, change: i16, max: i32, table: &[i16]) {
        self.log = within(leak(self.log, 7) + i32::from(change), 0, max);
        // The tables have an entry for each logarithm up to the limit.
        self.scale = i32::from(table[(self.log >> 6) as usize]);
    }

    /// Takes a decoded difference in and predicts the next sample (G.722 block 4).
    #[inline(always)]
    fn predict(&mut self, difference: i32) {
        let r = saturate(self.s + difference);
        let p = saturate(self.sz + difference);
        self.a = self.poles(p);
        self.r = [saturate(2 * r), self.r[0]];
        self.p = [p, self.p[0]];
        self.sz = self.zeros(difference);
        let poles = ((self.a[0] * self.r[0]) >> 15) + ((self.a[1] * self.r[1]) >> 15);
        self.s = saturate(saturate(poles) + self.sz);
    }

    /// G.722 blocks UPPOL2 and UPPOL1: the poles with `p` taken in.
    #[inline(always)]
    fn poles(&self, p: i32) -> [i32; 2] {
        // All ones where the signs differ, which turns a number round.
        let [last, before] = self.p.map(|other| (p ^ other) >> 31);
        let turned = |number: i32, turn: i32| (number ^ turn) - turn;
        let first = saturate(turned(-saturate(4 * self.a[0]), last));
        let second = (first >> 7) + turned(128, before) + leak(self.a[1], 7);
        let second = within(second, -12_288, 12_288);
        let limit = 15_360 - second;
        let first = within(turned(192, last) + leak(self.a[0], 8), -limit, limit);
        [first, second]
    }

    /// G.722 blocks UPZERO and FILTEZ: the zeros with the difference taken in, and what they make of the
    /// differences then.
    #[inline(always)]
    fn zeros(&mut self, difference: i32) -> i32 {
        let drift = if difference == 0 { 0 } else { 128i16 };
        let difference = difference as i16;
        for (b, d) in self.b.iter_mut().zip(self.d) {
            let turn = (d ^ difference) >> 15;
            // A 256th leaks away, rounded up; at the limits that is as much as comes in, so nothing overflows.
            *b = *b + !(*b >> 8) + i16::from(*b & 0xff == 0) + ((drift ^ turn) - turn);
        }
        let [d1, d2, d3, d4, d5, ..] = self.d;
        self.d = [difference.saturating_mul(2), d1, d2, d3, d4, d5, 0, 0];
        let mut sum = 0;
        for i in 0..6 {
            sum += (i32::from(self.b[i]) * i32::from(self.d[i])) >> 15;
        }
        saturate(sum)
    }

    #[inline(always)]
    fn take_low(&mut self, code: u8) {
        let upper = usize::from((code >> 2) & 0xf);
        let difference = (self.scale * i32::from(DIFFERENCE_4[upper])) >> 15;
        self.rescale(SCALING_LOW[upper], MAX_LOG_LOW, &SCALE_LOW);
        self.predict(difference);
    }

    #[inline(always)]
    fn take_high(&mut self, code: u8) -> i32 {
        let code = usize::from(code & 3);
        let difference = (self.scale * i32::from(DIFFERENCE_2[code])) >> 15;
        self.rescale(SCALING_HIGH[code], MAX_LOG_HIGH, &SCALE_HIGH);
        let sample = within(self.s + difference, -16_384, 16_383);
        self.predict(difference);
        sample
    }
}

/// A number times `1 - 2^-bits`, rounded down.
#[inline(always)]
const fn leak(number: i32, bits: u32) -> i32 {
    number + (-number >> bits)
}

/// Both bands, and the samples that the mirror filter has to look back at.
#[derive(Debug, Clone)]
struct State {
    low: Band,
    high: Band,
    past: [i16; LOOK_BACK],
}

impl State {
    const fn new() -> Self {
        Self { low: Band::new(32), high: Band::new(8), past: [0; LOOK_BACK] }
    }

    /// What came before, and room for what comes; [`State::keep`] is to follow.
    #[inline(always)]
    fn stretch(&self) -> [i16; LOOK_BACK + 2 * BLOCK] {
        let mut stretch = [0; LOOK_BACK + 2 * BLOCK];
        stretch[..LOOK_BACK].copy_from_slice(&self.past);
        stretch
    }

    /// Keeps the end of a stretch that so many pairs have come into.
    #[inline(always)]
    fn keep(&mut self, stretch: &[i16; LOOK_BACK + 2 * BLOCK], pairs: usize) {
        self.past.copy_from_slice(&stretch[2 * pairs..2 * pairs + LOOK_BACK]);
    }
}

/// Pairs that go through the mirror filter at once.
const BLOCK: usize = 40;

/// Samples before a pair that the mirror filter looks at.
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
fn filter(samples: &[i16; 24], taps: &[i16; 24]) -> i32 {
    samples.iter().zip(taps).map(|(sample, tap)| i32::from(*sample) * i32::from(*tap)).sum()
}

/// Makes bytes of samples.
#[derive(Debug, Clone)]
pub struct Encoder(Box<State>);

/// Makes samples of bytes.
#[derive(Debug, Clone)]
pub struct Decoder(Box<State>);

impl Default for Encoder {
    fn default() -> Self {
        Self(Box::new(State::new()))
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self(Box::new(State::new()))
    }
}

impl Encoder {
    /// Encodes as many pairs of samples as both slices have room for, and returns how many bytes that
    /// made. An odd sample at the end is left out.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let made = (samples.len() / 2).min(out.len());
        for (samples, bytes) in samples[..2 * made].chunks(2 * BLOCK).zip(out[..made].chunks_mut(BLOCK)) {
            self.encode_block(samples, bytes);
        }
        made
    }

    fn encode_block(&mut self, samples: &[i16], bytes: &mut [u8]) {
        let state = &mut *self.0;
        let mut stretch = state.stretch();
        stretch[LOOK_BACK..LOOK_BACK + samples.len()].copy_from_slice(samples);
        let (mut low, mut high) = (state.low, state.high);
        for (window, byte) in stretch.array_windows().step_by(2).zip(bytes.iter_mut()) {
            let (lower, higher) = (filter(window, &SUM) >> 14, filter(window, &DIFFERENCE) >> 14);
            let lower = quantise_low(saturate(lower - low.s), low.scale);
            let higher = quantise_high(saturate(higher - high.s), high.scale);
            low.take_low(lower);
            high.take_high(higher);
            *byte = higher << 6 | lower;
        }
        (state.low, state.high) = (low, high);
        state.keep(&stretch, bytes.len());
    }
}

/// G.722 block QUANTL: six bits.
#[inline(always)]
fn quantise_low(difference: i32, scale: i32) -> u8 {
    let magnitude = difference ^ (difference >> 31);
    // The step is the number of levels, times the scale over 4096, that do not exceed the magnitude.
    let limit = ((magnitude as u32) << 12 | 0xfff) / scale as u32;
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

impl Decoder {
    /// Decodes as many bytes as both slices have room for, and returns how many samples that made, two
    /// for each byte.
    pub fn decode(&mut self, bytes: &[u8], out: &mut [i16]) -> usize {
        let taken = bytes.len().min(out.len() / 2);
        for (bytes, samples) in bytes[..taken].chunks(BLOCK).zip(out[..2 * taken].chunks_mut(2 * BLOCK)) {
            self.decode_block(bytes, samples);
        }
        2 * taken
    }

    fn decode_block(&mut self, bytes: &[u8], samples: &mut [i16]) {
        let state = &mut *self.0;
        let mut stretch = state.stretch();
        let (mut low, mut high) = (state.low, state.high);
        let (pairs, _) = stretch[LOOK_BACK..].as_chunks_mut::<2>();
        for (byte, pair) in bytes.iter().zip(pairs) {
            let fine = i32::from(DIFFERENCE_6[usize::from(byte & 0x3f)]);
            let sample = within(low.s + ((low.scale * fine) >> 15), -16_384, 16_383);
            low.take_low(byte & 0x3f);
            let higher = high.take_high(byte >> 6);
            *pair = [sample + higher, sample - higher].map(|value| value as i16);
        }
        (state.low, state.high) = (low, high);
        let (out, _) = samples.as_chunks_mut::<2>();
        for (window, out) in stretch.array_windows().step_by(2).zip(out) {
            *out = [filter(window, &SECOND), filter(window, &FIRST)].map(|sum| saturate(sum >> 11) as i16);
        }
        state.keep(&stretch, bytes.len());
    }
}
