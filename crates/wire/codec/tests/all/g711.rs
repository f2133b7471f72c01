//! A-law and µ-law against the tables of ITU-T G.711 and the arithmetic of G.191.

use hookswitch_codec::g711::{
    ALAW_SILENCE, ULAW_SILENCE, alaw_from_linear, decode_alaw, decode_ulaw, encode_alaw, encode_ulaw, linear_from_alaw,
    linear_from_ulaw, ulaw_from_linear,
};

/// G.711 table 2a: the first character signal of each segment and its decoder output, in 14-bit units.
const ULAW_SEGMENTS: [(u8, i16); 8] =
    [(0x80, 8031), (0x90, 3999), (0xa0, 1983), (0xb0, 975), (0xc0, 471), (0xd0, 219), (0xe0, 93), (0xf0, 30)];

/// G.711 table 1a: the highest of each segment, in 13-bit units, and its character signal with the even
/// bits inverted.
const ALAW_SEGMENTS: [(u8, i16); 8] =
    [(0xaa, 4032), (0xba, 2016), (0x8a, 1008), (0x9a, 504), (0xea, 252), (0xfa, 126), (0xca, 63), (0xda, 31)];

#[test]
fn table_2a() {
    for (code, value) in ULAW_SEGMENTS {
        assert_eq!(linear_from_ulaw(code), value * 4, "{code:#x}");
        assert_eq!(linear_from_ulaw(code & 0x7f), value * -4, "{code:#x}");
        assert_eq!(ulaw_from_linear(value * 4), code, "{value}");
    }
    assert_eq!(linear_from_ulaw(ULAW_SILENCE), 0);
    assert_eq!(linear_from_ulaw(0xfe), 8);
}

#[test]
fn table_1a() {
    for (code, value) in ALAW_SEGMENTS {
        assert_eq!(linear_from_alaw(code), value * 8, "{code:#x}");
        assert_eq!(linear_from_alaw(code & 0x7f), value * -8, "{code:#x}");
        assert_eq!(alaw_from_linear(value * 8), code, "{value}");
    }
    assert_eq!(linear_from_alaw(ALAW_SILENCE), 8);
    assert_eq!(linear_from_alaw(0x55), -8);
}

/// The 1 kHz sequences of G.711 tables 5 and 6, which are 0 dBm0 by definition.
#[test]
fn the_reference_tones_are_0_dbm0() {
    let alaw = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4];
    let ulaw = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];
    let mut samples = [0i16; 8];
    decode_ulaw(&ulaw, &mut samples);
    let level = hookswitch_codec::level(&samples) + hookswitch_codec::DBM0_AT_FULL_SCALE;
    assert!(level.abs() < 0.05, "{level}");
    let measured = hookswitch_codec::measure(&samples.repeat(100), 8000);
    assert!(measured.dominant_hz.is_some_and(|hz| (hz - 1000.0).abs() < 0.5), "{measured:?}");
    decode_alaw(&alaw, &mut samples);
    // A-law clips 0.03 dB lower than µ-law.
    let level = hookswitch_codec::level(&samples) + hookswitch_codec::DBM0_AT_FULL_SCALE - 0.03;
    assert!(level.abs() < 0.05, "{level}");
}

#[test]
fn every_sample_as_g_191_computes_it() {
    for sample in i16::MIN..=i16::MAX {
        assert_eq!(ulaw_from_linear(sample), g191_ulaw(sample), "{sample}");
        assert_eq!(alaw_from_linear(sample), g191_alaw(sample), "{sample}");
    }
}

/// By searching for the segment, as the standard's text does, instead of by leading zeros.
fn g191_ulaw(sample: i16) -> u8 {
    let magnitude = i32::from(if sample < 0 { !sample } else { sample }) >> 2;
    let biased = (magnitude + 33).min(0x1fff);
    let mut segment = 0;
    while biased >= 64 << segment {
        segment += 1;
    }
    let code = (segment << 4) | ((biased >> (segment + 1)) & 0xf);
    !(code as u8 | if sample < 0 { 0x80 } else { 0 })
}

fn g191_alaw(sample: i16) -> u8 {
    let mut magnitude = i32::from(if sample < 0 { !sample } else { sample }) >> 4;
    let mut segment = 0;
    if magnitude > 15 {
        segment = 1;
        while magnitude > 31 {
            magnitude /= 2;
            segment += 1;
        }
        magnitude -= 16;
    }
    ((segment << 4 | magnitude) as u8 | if sample < 0 { 0 } else { 0x80 }) ^ 0x55
}

#[test]
fn every_code_survives_but_negative_zero() {
    for code in 0..=255u8 {
        assert_eq!(alaw_from_linear(linear_from_alaw(code)), code);
        // µ-law has two zeros, and 16-bit samples one.
        let back = if code == 0x7f { 0xff } else { code };
        assert_eq!(ulaw_from_linear(linear_from_ulaw(code)), back);
    }
}

#[test]
fn decoding_is_monotonous_and_symmetric() {
    for code in 0x81..=0xffu8 {
        assert!(linear_from_ulaw(code) < linear_from_ulaw(code - 1));
        let (this, before) = (linear_from_alaw(code ^ 0x55), linear_from_alaw((code - 1) ^ 0x55));
        assert!(this > before);
        assert_eq!(linear_from_ulaw(code), -linear_from_ulaw(code & 0x7f));
        assert_eq!(linear_from_alaw(code), -linear_from_alaw(code & 0x7f));
    }
}

#[test]
fn slices_of_different_length() {
    let mut bytes = [0u8; 3];
    let mut samples = [7i16; 3];
    assert_eq!(encode_ulaw(&[0, 0, 0, 0], &mut bytes), 3);
    assert_eq!(bytes, [ULAW_SILENCE; 3]);
    assert_eq!(encode_alaw(&[0, 0], &mut bytes), 2);
    assert_eq!(bytes, [ALAW_SILENCE, ALAW_SILENCE, ULAW_SILENCE]);
    assert_eq!(decode_ulaw(&[0xff, 0], &mut samples), 2);
    assert_eq!(samples, [0, -32_124, 7]);
    assert_eq!(decode_alaw(&[0xd5; 9], &mut samples), 3);
    assert_eq!(samples, [8; 3]);
}
