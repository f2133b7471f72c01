//! Comfort noise.

use hookswitch_codec::{MAX_NOISE_ORDER, Noise, NoiseGenerator, SOFTEST_NOISE, frequency_level, level};

/// A square wave at full scale is 3 dB louder than the sine that `level` counts from.
const OVER_SINE: f32 = 3.01;

fn second(noise: &Noise, rate: usize) -> Vec<i16> {
    let mut out = vec![0; rate];
    NoiseGenerator::new(7).fill(noise, &mut out);
    out
}

#[test]
fn noise_has_the_level_that_was_said_whatever_its_colour() {
    for said in [20, 30, 40, 50, 60] {
        for payload in [vec![said], vec![said, 200], vec![said, 60, 180, 100, 140], vec![said, 230, 30]] {
            let noise = Noise::parse(&payload).expect("a level");
            assert_eq!(noise.level(), said);
            let heard = level(&second(&noise, 48_000)) - OVER_SINE;
            assert!((heard + f32::from(said)).abs() < 1.0, "{payload:?}: {heard} dB");
        }
    }
}

#[test]
fn the_softest_noise_is_none() {
    for rate in [8_000, 16_000] {
        assert!(second(&Noise::white(SOFTEST_NOISE), rate).iter().all(|sample| *sample == 0));
    }
    assert_eq!(Noise::white(255).level(), SOFTEST_NOISE);
}

#[test]
fn a_coefficient_colours_the_noise() {
    let at = |payload: &[u8], hz| {
        let samples = second(&Noise::parse(payload).expect("a level"), 8_000);
        let blocks: Vec<f32> = samples.chunks_exact(800).map(|block| frequency_level(block, 8_000, hz)).collect();
        blocks.iter().sum::<f32>() / blocks.len() as f32
    };
    // A reflection of -0.75 favours low sounds, one of 0.75 high ones.
    for (byte, low_is_louder) in [(32u8, true), (222, false)] {
        let (low, high) = (at(&[30, byte], 300.0), at(&[30, byte], 3_700.0));
        assert!((low > high + 10.0) == low_is_louder && (high > low + 10.0) != low_is_louder, "{low} and {high} dB");
    }
    let (low, high) = (at(&[30], 300.0), at(&[30], 3_700.0));
    assert!((low - high).abs() < 6.0, "white: {low} and {high} dB");
}

#[test]
fn the_level_of_samples_becomes_that_of_noise() {
    let samples = second(&Noise::white(45), 8_000);
    assert!((44..=46).contains(&Noise::as_loud_as(&samples).level()));
    assert_eq!(Noise::as_loud_as(&[]).level(), SOFTEST_NOISE);
    assert_eq!(Noise::as_loud_as(&[0; 160]).level(), SOFTEST_NOISE);
    assert_eq!(Noise::as_loud_as(&[i16::MAX; 160]).level(), 0);
    assert_eq!(Noise::as_loud_as(&[i16::MIN; 160]).level(), 0);
}

#[test]
fn a_payload_is_written_as_it_was_read() {
    for payload in [&[0u8][..], &[45], &[45, 127], &[127, 0, 254, 1, 126, 128], &[3; 1 + MAX_NOISE_ORDER]] {
        let mut out = [0; 20];
        let length = Noise::parse(payload).expect("a level").write(&mut out);
        assert_eq!(&out[..length], payload);
    }
    assert_eq!(Noise::parse(&[]), None);
    assert_eq!(Noise::parse(&[0xff]).map(|noise| noise.level()), Some(127), "the upper bit is no level");
    let mut out = [0; 40];
    assert_eq!(Noise::parse(&[9; 40]).expect("a level").write(&mut out), 1 + MAX_NOISE_ORDER);
    assert_eq!(Noise::parse(&[9, 255]).expect("a level").write(&mut out), 2);
    assert_eq!(out[..2], [9, 254]);
    assert_eq!(Noise::parse(&[9, 8, 7]).expect("a level").write(&mut out[..2]), 2, "as much as there is room for");
}

#[test]
fn another_level_is_reached_gradually() {
    let mut generator = NoiseGenerator::new(3);
    let mut block = vec![0; 8_000];
    generator.fill(&Noise::white(60), &mut block);
    generator.fill(&Noise::white(30), &mut block);
    let (first, last) = (level(&block[..400]), level(&block[7_600..]));
    assert!(first < -50.0 && (last - OVER_SINE + 30.0).abs() < 2.0, "{first} to {last} dB");
}

#[test]
fn seeds_make_other_noise_and_every_seed_makes_some() {
    let of = |seed| {
        let mut out = vec![0; 800];
        NoiseGenerator::new(seed).fill(&Noise::white(30), &mut out);
        out
    };
    assert_ne!(of(2), of(4));
    assert_eq!(of(5), of(5));
    for seed in [0, 1, u32::MAX, 1 << 31] {
        assert!(level(&of(seed)) > -40.0, "{seed}");
    }
}

mod any_payload {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_noise_that_stays_in_its_bounds(payload in proptest::collection::vec(any::<u8>(), 1..30)) {
            let noise = Noise::parse(&payload).expect("a level");
            // The filter of no payload runs away. One that rings at a single frequency swings by itself, so that a second of
            // it may be some 5 dB louder than what was said.
            let heard = level(&second(&noise, 16_000)) - OVER_SINE;
            prop_assert!(heard <= 12.0 - f32::from(noise.level()).min(90.0), "{heard} dB");
        }
    }
}
