//! The meter hears what was played.

use hookswitch_codec::{MAX_ANALYSED_SAMPLES, SILENCE_DBFS, Tone, ToneGenerator, frequency_level, level, measure};

fn tone(hz: f32, amplitude: f32, rate: u32, samples: usize) -> Vec<i16> {
    let mut out = vec![0; samples];
    ToneGenerator::new(Tone::steady(hz, amplitude), rate).fill(&mut out);
    out
}

#[test]
fn frequencies_across_the_band() {
    for samples in [320, 1600, 8000] {
        for hz in (300..3400).step_by(97) {
            let hz = hz as f32;
            let heard = measure(&tone(hz, 0.5, 8000, samples), 8000);
            let off = heard.dominant_hz.map(|heard| (heard - hz).abs());
            assert!(off.is_some_and(|off| off < 3.0), "{hz} Hz, {samples} samples: {heard:?}");
            assert!((heard.dominant_dbfs + 6.02).abs() < 0.3, "{hz} Hz, {samples} samples: {heard:?}");
            assert!(heard.purity > 0.97, "{hz} Hz, {samples} samples: {heard:?}");
        }
    }
}

#[test]
fn levels() {
    for (amplitude, dbfs) in [(1.0, 0.0), (0.5, -6.02), (0.1, -20.0), (0.01, -40.0)] {
        let samples = tone(1000.0, amplitude, 8000, 8000);
        assert!((level(&samples) - dbfs).abs() < 0.1);
        assert!((measure(&samples, 8000).level_dbm0() - dbfs - 3.17).abs() < 0.1);
    }
    assert!((level(&[i16::MIN; 100]) - 3.01).abs() < 0.01, "a square wave is 3 dB above a sine");
}

#[test]
fn silence_and_too_little() {
    for samples in [&[0i16; 160][..], &[]] {
        let heard = measure(samples, 8000);
        assert_eq!((heard.level_dbfs, heard.dominant_hz), (SILENCE_DBFS, None));
        assert!(heard.is_silent());
    }
    assert!(measure(&[8; 160], 8000).is_silent(), "A-law's silence is no sound");
    assert!(measure(&[1000], 8000).level_dbfs > -40.0);
    assert_eq!(measure(&[1000; 160], 0).dominant_hz, None);
    assert_eq!(measure(&[1000; 160], 300).dominant_hz, None, "the band is above this rate's half");
    assert_eq!(frequency_level(&[], 8000, 1000.0), SILENCE_DBFS);
    assert_eq!(frequency_level(&[1], 0, 1000.0), SILENCE_DBFS);
}

#[test]
fn the_stronger_of_two_wins_and_both_are_heard() {
    let weak = tone(600.0, 0.1, 8000, 4000);
    let strong = tone(2100.0, 0.4, 8000, 4000);
    let both: Vec<i16> = weak.iter().zip(&strong).map(|(a, b)| a + b).collect();
    let heard = measure(&both, 8000);
    assert!(heard.dominant_hz.is_some_and(|hz| (hz - 2100.0).abs() < 1.0), "{heard:?}");
    assert!((frequency_level(&both, 8000, 600.0) + 20.0).abs() < 0.2);
    assert!(frequency_level(&both, 8000, 1500.0) < -60.0);
}

#[test]
fn noise_is_no_tone() {
    let mut state = 1u32;
    let noise: Vec<i16> = (0..8000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 4
        })
        .collect();
    assert!(measure(&noise, 8000).purity < 0.2);
}

#[test]
fn other_rates_and_long_blocks() {
    for rate in [16_000, 48_000] {
        let heard = measure(&tone(1234.0, 0.5, rate, MAX_ANALYSED_SAMPLES * 10), rate);
        assert!(heard.dominant_hz.is_some_and(|hz| (hz - 1234.0).abs() < 1.0), "{rate}: {heard:?}");
    }
}
