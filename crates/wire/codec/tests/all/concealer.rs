//! What is heard where packets are lost.

use hookswitch_codec::{Concealer, Tone, ToneGenerator, level, measure};

const RATES: [u32; 3] = [8_000, 16_000, 48_000];

fn tone(text: &str, rate: u32, ms: u32) -> Vec<i16> {
    let mut samples = vec![0; (rate * ms / 1_000) as usize];
    ToneGenerator::new(Tone::parse(text).expect("a tone"), rate).fill(&mut samples);
    samples
}

/// A voice that glides, in syllables, with overtones up to 3 kHz.
fn voice(rate: u32, ms: u32) -> Vec<i16> {
    let mut phase = 0.0f64;
    let at = |n: usize| {
        let t = n as f64 / f64::from(rate);
        phase += (125.0 + 30.0 * (t * 9.0).sin()) / f64::from(rate);
        let sum: f64 = (1..=20).map(|k| (std::f64::consts::TAU * phase * f64::from(k)).sin() / f64::from(k)).sum();
        (5_000.0 * (0.2 + (t * 12.0).sin().max(0.0)) * sum) as i16
    };
    (0..(rate * ms / 1_000) as usize).map(at).collect()
}

/// Frames of 20 ms of which some never come.
fn play(samples: &[i16], rate: u32, is_lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let mut concealer = Concealer::new(rate);
    let mut out = samples.to_vec();
    for (n, frame) in out.chunks_exact_mut(rate as usize / 50).enumerate() {
        if is_lost(n) {
            frame.fill(12_345);
            concealer.lost(frame);
        } else {
            concealer.good(frame);
        }
    }
    out
}

/// One in ten, at no regular distance.
fn one_in_ten(n: usize) -> bool {
    n > 5 && (n as u32).wrapping_mul(2_654_435_761) >> 16 < 6_554
}

/// The largest bend between three neighbouring samples: a click has one that the sound has not.
fn sharpest(samples: &[i16]) -> i32 {
    let bend = |w: &[i16]| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs();
    samples.windows(3).map(bend).max().unwrap_or(0)
}

#[test]
fn a_stream_without_losses_is_left_as_it_is() {
    for rate in RATES {
        let samples = voice(rate, 1_000);
        assert_eq!(play(&samples, rate, |_| false), samples);
    }
}

#[test]
fn a_tone_survives_the_loss_of_every_tenth_packet_without_a_click() {
    for rate in RATES {
        for text in ["400*0.5:1000", "425*0.25:1000", "350+440*0.25:1000", "1004*0.25:1000"] {
            let samples = tone(text, rate, 10_000);
            let (with, without) = (play(&samples, rate, one_in_ten), &samples);
            let silent = {
                let mut silent = samples.clone();
                let frames = silent.chunks_exact_mut(rate as usize / 50).enumerate();
                frames.filter(|(n, _)| one_in_ten(*n)).for_each(|(_, frame)| frame.fill(0));
                silent
            };
            let error = |played: &[i16]| {
                let difference: Vec<i16> = played.iter().zip(without).map(|(a, b)| a.saturating_sub(*b)).collect();
                level(&difference) - level(without)
            };
            let (left, before) = (error(&with), error(&silent));
            assert!(left < before - 6.0, "{text} at {rate}: {left} dB instead of {before} dB");
            let (bend, own) = (sharpest(&with), sharpest(without));
            assert!(bend < 2 * own + 200, "{text} at {rate}: {bend} instead of {own}");
        }
    }
}

#[test]
fn a_steady_tone_is_as_pure_as_before() {
    for rate in RATES {
        let played = play(&tone("400*0.5:1000", rate, 2_000), rate, |n| n == 30);
        let measured = measure(&played[rate as usize * 59 / 100..], rate);
        assert!((measured.dominant_hz.expect("a tone") - 400.0).abs() < 2.0, "{rate}: {measured:?}");
        assert!(measured.purity > 0.95, "{rate}: {measured:?}");
        assert!((measured.level_dbfs + 6.0).abs() < 0.7, "{rate}: {measured:?}");
    }
}

#[test]
fn a_voice_survives_the_loss_of_every_tenth_packet_without_a_click() {
    for rate in RATES {
        let samples = voice(rate, 20_000);
        let played = play(&samples, rate, one_in_ten);
        let mut silent = samples.clone();
        let frames = silent.chunks_exact_mut(rate as usize / 50).enumerate();
        frames.filter(|(n, _)| one_in_ten(*n)).for_each(|(_, frame)| frame.fill(0));
        // At high rates the sound itself has hardly a bend, and a change of its slope is one that is not heard.
        let (bend, own, click) = (sharpest(&played), sharpest(&samples), sharpest(&silent));
        assert!(bend < (own + own / 2).max(click / 4), "{rate}: {bend} instead of {own}, {click} with clicks");
        let difference = level(&played) - level(&samples);
        assert!(difference.abs() < 1.0, "{rate}: {difference} dB");
    }
}

#[test]
fn the_voice_fades_within_60_ms_and_then_there_is_silence() {
    for rate in RATES {
        let played = play(&tone("200*0.5:1000", rate, 1_000), rate, |n| n >= 25);
        let ms = |from: usize, to: usize| &played[rate as usize * from / 1_000..rate as usize * to / 1_000];
        assert!((level(ms(500, 510)) + 6.0).abs() < 1.0, "{rate}: as loud as before for 10 ms");
        assert!((-18.0..-9.0).contains(&level(ms(530, 540))), "{rate}: {}", level(ms(530, 540)));
        assert!(ms(560, 1_000).iter().all(|sample| *sample == 0), "{rate}: silent after 60 ms");
    }
}

#[test]
fn what_comes_after_a_long_loss_begins_softly_and_is_then_untouched() {
    for rate in RATES {
        let samples = tone("333*0.5:1000", rate, 1_000);
        let played = play(&samples, rate, |n| (25..35).contains(&n));
        let back = rate as usize * 700 / 1_000;
        assert!(played[back].unsigned_abs() < 1_500, "{rate}: {}", played[back]);
        let after = back + rate as usize / 100;
        assert_eq!(played[after..], samples[after..], "{rate}: from 10 ms on");
    }
}

#[test]
fn a_loss_before_anything_was_heard_is_silent() {
    let mut concealer = Concealer::new(8_000);
    let mut frame = [5; 160];
    concealer.lost(&mut frame);
    assert_eq!(frame, [0; 160]);
}

#[test]
fn frames_of_any_length_make_the_same_sound_of_a_loss() {
    let samples = voice(8_000, 1_000);
    let whole = play(&samples, 8_000, |n| (20..22).contains(&n));
    let mut concealer = Concealer::new(8_000);
    let mut before = samples[..3_200].to_vec();
    before.chunks_mut(37).for_each(|frame| concealer.good(frame));
    let mut gap = vec![0; 320];
    gap.chunks_mut(41).for_each(|frame| concealer.lost(frame));
    assert_eq!(gap, whole[3_200..3_520]);
    concealer.good(&mut []);
    concealer.lost(&mut []);
}

#[test]
fn rates_and_samples_at_their_limits_are_no_trouble() {
    for rate in [0, 1, 8_000, 11_025, 44_100, 48_000, 192_000, u32::MAX] {
        let mut concealer = Concealer::new(rate);
        for value in [i16::MIN, i16::MAX, 0, -1] {
            let mut frame = vec![value; 960];
            concealer.good(&mut frame);
            concealer.lost(&mut frame);
            let mut long = vec![value; 9_600];
            concealer.good(&mut long);
            concealer.lost(&mut long);
        }
    }
}

mod any_order {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The loudest there was is not outdone by what is made up.
        #[test]
        fn of_losses_is_never_louder_than_what_was_heard(
            frames in proptest::collection::vec((any::<bool>(), 1..400usize, 0..8_000i16), 1..40)
        ) {
            let mut concealer = Concealer::new(8_000);
            let mut loudest = 0;
            for (is_lost, length, peak) in frames {
                let mut frame: Vec<i16> = (0..length).map(|n| if n % 16 < 8 { peak } else { -peak }).collect();
                if is_lost {
                    concealer.lost(&mut frame);
                    // The step to the first period may be added to it.
                    prop_assert!(frame.iter().all(|sample| i32::from(*sample).abs() <= 3 * loudest));
                } else {
                    loudest = loudest.max(i32::from(peak));
                    concealer.good(&mut frame);
                }
            }
        }
    }
}
