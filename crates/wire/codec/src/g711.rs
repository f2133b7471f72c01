//! G.711: A-law and µ-law, by tables computed at compile time.
//!
//! Samples are 16 bits wide. µ-law uses the upper 14 bits and A-law the upper 12 (of 13, the lowest
//! makes no difference), negative ones as one's complement, as ITU-T G.191 does it.

/// µ-law for a sample of 0.
pub const ULAW_SILENCE: u8 = 0xff;

/// A-law for the smallest positive sample; A-law has no zero.
pub const ALAW_SILENCE: u8 = 0xd5;

/// Half of µ-law's smallest step plus the bias that makes all segments powers of two, in 14-bit units.
const ULAW_BIAS: i32 = 33;

/// The largest biased µ-law magnitude in 14-bit units.
const ULAW_CLIP: i32 = 0x1fff;

static ULAW_DECODE: [i16; 256] = ulaw_decode_table();
static ALAW_DECODE: [i16; 256] = alaw_decode_table();
static ULAW_ENCODE: [u8; 1 << 14] = ulaw_encode_table();
static ALAW_ENCODE: [u8; 1 << 12] = alaw_encode_table();

/// One sample to µ-law.
#[inline]
#[must_use]
pub fn ulaw_from_linear(sample: i16) -> u8 {
    // The index has 14 bits and the table 2^14 entries.
    ULAW_ENCODE[usize::from(sample as u16 >> 2)]
}

/// One µ-law byte to a sample.
#[inline]
#[must_use]
pub fn linear_from_ulaw(byte: u8) -> i16 {
    ULAW_DECODE[usize::from(byte)]
}

/// One sample to A-law.
#[inline]
#[must_use]
pub fn alaw_from_linear(sample: i16) -> u8 {
    // The index has 12 bits and the table 2^12 entries.
    ALAW_ENCODE[usize::from(sample as u16 >> 4)]
}

/// One A-law byte to a sample.
#[inline]
#[must_use]
pub fn linear_from_alaw(byte: u8) -> i16 {
    ALAW_DECODE[usize::from(byte)]
}

/// Encodes as many samples as both slices have room for, and returns how many.
pub fn encode_ulaw(samples: &[i16], out: &mut [u8]) -> usize {
    each(samples, out, ulaw_from_linear)
}

/// Decodes as many bytes as both slices have room for, and returns how many.
pub fn decode_ulaw(bytes: &[u8], out: &mut [i16]) -> usize {
    each(bytes, out, linear_from_ulaw)
}

/// Encodes as many samples as both slices have room for, and returns how many.
pub fn encode_alaw(samples: &[i16], out: &mut [u8]) -> usize {
    each(samples, out, alaw_from_linear)
}

/// Decodes as many bytes as both slices have room for, and returns how many.
pub fn decode_alaw(bytes: &[u8], out: &mut [i16]) -> usize {
    each(bytes, out, linear_from_alaw)
}

#[inline]
fn each<A: Copy, B>(input: &[A], out: &mut [B], convert: impl Fn(A) -> B) -> usize {
    for (value, place) in input.iter().zip(out.iter_mut()) {
        *place = convert(*value);
    }
    input.len().min(out.len())
}

const fn ulaw_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        // All bits are sent inverted.
        let code = !(byte as i32) & 0xff;
        let (segment, step) = ((code >> 4) & 7, code & 0xf);
        let magnitude = (((2 * step + ULAW_BIAS) << segment) - ULAW_BIAS) << 2;
        table[byte] = if code & 0x80 == 0 { magnitude } else { -magnitude } as i16;
        byte += 1;
    }
    table
}

const fn alaw_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        // Every second bit is sent inverted.
        let code = (byte ^ 0x55) as i32;
        let (segment, step) = ((code >> 4) & 7, code & 0xf);
        let magnitude = if segment == 0 { (2 * step + 1) << 3 } else { (2 * step + 33) << (segment + 2) };
        table[byte] = if code & 0x80 != 0 { magnitude } else { -magnitude } as i16;
        byte += 1;
    }
    table
}

const fn ulaw_encode_table() -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < table.len() {
        // The index is the sample's upper 14 bits; this brings its sign back.
        let sample = (index as i32) << 18 >> 18;
        let (sign, magnitude) = if sample < 0 { (0x80, !sample) } else { (0, sample) };
        let mut biased = magnitude + ULAW_BIAS;
        if biased > ULAW_CLIP {
            biased = ULAW_CLIP;
        }
        // A biased magnitude is at least 33, so its highest bit is bit 5 or above.
        let segment = 26 - biased.leading_zeros() as i32;
        let step = (biased >> (segment + 1)) & 0xf;
        table[index] = !(sign | (segment << 4) | step) as u8;
        index += 1;
    }
    table
}

const fn alaw_encode_table() -> [u8; 1 << 12] {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < table.len() {
        // The index is the sample's upper 12 bits; this brings its sign back.
        let sample = (index as i32) << 20 >> 20;
        let (sign, magnitude) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
        let code = if magnitude < 32 {
            // The two lowest segments have steps of the same size.
            magnitude
        } else {
            let segment = 28 - magnitude.leading_zeros() as i32;
            (segment << 4) | ((magnitude >> (segment - 1)) & 0xf)
        };
        table[index] = (sign | code) as u8 ^ 0x55;
        index += 1;
    }
    table
}
