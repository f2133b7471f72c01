//! G.722 from and to samples of 8 kHz, beside what a resampler and the coder of 16 kHz make of the same.

use std::f64::consts::TAU;

use hookswitch_codec::Resampler;
use hookswitch_codec::g722::{Decoder, Encoder};

const NARROW: u32 = 8_000;
const WIDE: u32 = 16_000;

/// Peak of the tones below.
const PEAK: f64 = 8_000.0;

/// What telephony lets through, in Hz.
const TELEPHONY: [f64; 11] =
    [310.0, 620.0, 1_010.0, 1_430.0, 1_990.0, 2_410.0, 2_690.0, 2_910.0, 3_110.0, 3_290.0, 3_390.0];

fn tone(hertz: f64, rate: u32) -> Vec<i16> {
    (0..rate).map(|i| (PEAK * (TAU * hertz * f64::from(i) / f64::from(rate)).sin()) as i16).collect()
}

/// Voiced, with pauses and edges: seven harmonics that come and go, and a little noise.
fn speech(rate: u32) -> Vec<i16> {
    let mut row = 1u32;
    let sample = |i| {
        let time = f64::from(i) / f64::from(rate);
        let harmonics: f64 = (1..=7).map(|n| (TAU * 437.0 * f64::from(n) * time).sin() / f64::from(n)).sum();
        row = row.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(row >> 24) - 128.0;
        let loud = if (time * 4.0) as u32 % 3 == 2 { 0.0 } else { (TAU * 3.0 * time).sin().abs() };
        (loud * (harmonics * 4_000.0 + noise)) as i16
    };
    (0..2 * rate).map(sample).collect()
}

fn encoded(mut encoder: Encoder, samples: &[i16], each: usize) -> Vec<u8> {
    let mut bytes = vec![0; samples.len() / each];
    for (samples, bytes) in samples.chunks(160 * each).zip(bytes.chunks_mut(160)) {
        assert_eq!(encoder.encode(samples, bytes), bytes.len());
    }
    bytes
}

fn decoded(mut decoder: Decoder, bytes: &[u8], each: usize) -> Vec<i16> {
    let mut samples = vec![0; bytes.len() * each];
    for (bytes, samples) in bytes.chunks(160).zip(samples.chunks_mut(160 * each)) {
        assert_eq!(decoder.decode(bytes, samples), samples.len());
    }
    samples
}

fn converted(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    let mut out = Vec::new();
    Resampler::new(from, to).expect("known rates").process(samples, &mut out);
    out
}

/// The long way: to the other rate, and then through the coder of 16 kHz.
fn encoded_wide(samples: &[i16]) -> Vec<u8> {
    encoded(Encoder::default(), &converted(samples, NARROW, WIDE), 2)
}

fn decoded_wide(bytes: &[u8]) -> Vec<i16> {
    converted(&decoded(Decoder::default(), bytes, 2), WIDE, NARROW)
}

/// How strong one frequency is, in dB of [`PEAK`], beyond the first tenth of a second.
fn strength(samples: &[i16], hertz: f64, rate: u32) -> f64 {
    let samples = &samples[rate as usize / 10..];
    let (mut cosine, mut sine, mut weights) = (0.0, 0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        let angle = TAU * hertz * i as f64 / f64::from(rate);
        let window = 1.0 - (TAU * i as f64 / samples.len() as f64).cos();
        cosine += window * f64::from(*sample) * angle.cos();
        sine += window * f64::from(*sample) * angle.sin();
        weights += window;
    }
    20.0 * (2.0 * cosine.hypot(sine) / weights / PEAK).max(1e-9).log10()
}

/// The error of one against the other, in dB of the other.
fn error(one: &[i16], other: &[i16]) -> f64 {
    let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let wrong = power(&mut one.iter().zip(other).map(|(one, other)| f64::from(*one) - f64::from(*other)));
    10.0 * (wrong / power(&mut other.iter().map(|sample| f64::from(*sample)))).log10()
}

#[test]
fn what_is_encoded_from_8_khz_is_heard_at_its_level_and_without_an_image() {
    for hertz in TELEPHONY {
        let heard = decoded(Decoder::default(), &encoded(Encoder::narrow(), &tone(hertz, NARROW), 1), 2);
        let level = strength(&heard, hertz, WIDE);
        assert!(level.abs() < 0.5, "{hertz} Hz: {level} dB");
        let image = strength(&heard, f64::from(NARROW) - hertz, WIDE);
        assert!(image < -40.0, "{hertz} Hz is heard at {} Hz as well: {image} dB", f64::from(NARROW) - hertz);
    }
}

#[test]
fn what_is_decoded_to_8_khz_is_heard_at_its_level_and_nothing_folds_back() {
    for hertz in TELEPHONY {
        let bytes = |hertz| encoded(Encoder::default(), &tone(hertz, WIDE), 2);
        let level = strength(&decoded(Decoder::narrow(), &bytes(hertz), 1), hertz, NARROW);
        assert!(level.abs() < 0.5, "{hertz} Hz: {level} dB");
        let above = f64::from(NARROW) - hertz;
        let folded = strength(&decoded(Decoder::narrow(), &bytes(above), 1), hertz, NARROW);
        assert!(folded < -40.0, "{above} Hz is heard at {hertz} Hz: {folded} dB");
    }
}

/// Sample by sample, so the delay is the same too.
#[test]
fn the_short_way_down_is_the_long_one_but_for_rounding() {
    let bytes = encoded(Encoder::default(), &speech(WIDE), 2);
    let (short, long) = (decoded(Decoder::narrow(), &bytes, 1), decoded_wide(&bytes));
    let apart = short.iter().zip(&long).map(|(short, long)| short.abs_diff(*long)).max();
    assert!(apart <= Some(3), "{apart:?}");
}

/// Rounding makes other bytes here and there, and they sound as good.
#[test]
fn the_short_way_up_is_as_true_and_as_long_as_the_long_one() {
    let samples = speech(NARROW);
    let heard = [encoded(Encoder::narrow(), &samples, 1), encoded_wide(&samples)];
    let heard = heard.map(|bytes| decoded(Decoder::default(), &bytes, 2));
    let original = converted(&samples, NARROW, WIDE);
    // The mirror filters take 22 samples of 16 kHz.
    let [short, long] = heard.map(|samples| error(&samples[22..], &original));
    assert!(short < -30.0 && short < long + 1.0, "{short} dB beside {long} dB");
}

#[test]
fn the_size_of_packets_makes_no_difference() {
    let samples = speech(NARROW);
    let bytes = encoded(Encoder::narrow(), &samples, 1);
    let heard = decoded(Decoder::narrow(), &bytes, 1);
    for packet in [1, 7, 40, 41, 1_000] {
        let (mut encoder, mut decoder) = (Encoder::narrow(), Decoder::narrow());
        let (mut again, mut heard_again) = (vec![0; bytes.len()], vec![0; heard.len()]);
        for (samples, bytes) in samples.chunks(packet).zip(again.chunks_mut(packet)) {
            assert_eq!(encoder.encode(samples, bytes), bytes.len());
        }
        for (bytes, samples) in bytes.chunks(packet).zip(heard_again.chunks_mut(packet)) {
            assert_eq!(decoder.decode(bytes, samples), samples.len());
        }
        assert!(again == bytes && heard_again == heard, "{packet} bytes in a packet");
    }
}

#[test]
fn short_slices_are_used_as_far_as_they_go() {
    let (mut encoder, mut decoder) = (Encoder::narrow(), Decoder::narrow());
    assert_eq!(encoder.encode(&[], &mut [0; 4]), 0);
    assert_eq!(encoder.encode(&[1; 9], &mut [0; 4]), 4);
    assert_eq!(encoder.encode(&[1; 3], &mut [0; 4]), 3);
    assert_eq!(decoder.decode(&[], &mut [0; 4]), 0);
    assert_eq!(decoder.decode(&[0; 9], &mut [0; 5]), 5);
    assert_eq!(decoder.decode(&[0; 2], &mut [0; 50]), 2);
}

/// Tests are compiled with overflow checks.
#[test]
fn the_loudest_samples_do_not_overflow() {
    for half in 1..=9 {
        let loud: Vec<i16> = (0..8_000).map(|i| if i / half % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        decoded(Decoder::narrow(), &encoded(Encoder::narrow(), &loud, 1), 1);
    }
    for byte in 0..=255 {
        decoded(Decoder::narrow(), &[[byte; 160], [!byte; 160]].concat().repeat(20), 1);
    }
}
