//! Keys in the sound, after ITU-T Q.24.

use hookswitch_codec::{KeyListener, KeySound, Noise, NoiseGenerator, Tone, ToneGenerator};

const KEYS: &str = "1234567890*#ABCD";
const RATES: [u32; 3] = [8_000, 16_000, 48_000];
const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

fn hear(samples: &[i16], rate: u32) -> Vec<KeySound> {
    let mut listener = KeyListener::new(rate);
    let mut heard = Vec::new();
    // In packets of uneven size, which must not matter.
    for packet in samples.chunks(rate as usize / 50 + 3) {
        listener.listen(packet, &mut |sound| heard.push(sound));
    }
    heard
}

fn keys(samples: &[i16], rate: u32) -> String {
    let began = |sound: KeySound| match sound {
        KeySound::Began { key } => Some(key),
        KeySound::Ended { .. } => None,
    };
    hear(samples, rate).into_iter().filter_map(began).collect()
}

/// Two frequencies for so long, at levels in dBm0, with a pause before and after.
fn pair(hz: [f64; 2], dbm0: [f64; 2], ms: f64, rate: u32) -> Vec<i16> {
    let pause = vec![0; rate as usize / 10];
    let peak = dbm0.map(|level| 32_767.0 * 10f64.powf((level - 3.17) / 20.0));
    let at = |n: usize| {
        let turn = std::f64::consts::TAU * n as f64 / f64::from(rate);
        (peak[0] * (turn * hz[0]).sin() + peak[1] * (turn * hz[1] + 1.0).sin()) as i16
    };
    let sound: Vec<i16> = (0..(f64::from(rate) * ms / 1_000.0) as usize).map(at).collect();
    [&pause[..], &sound, &pause].concat()
}

fn all_pairs() -> impl Iterator<Item = [f64; 2]> {
    LOW.into_iter().flat_map(|low| HIGH.into_iter().map(move |high| [low, high]))
}

#[test]
fn every_key_is_heard_once_at_every_rate() {
    for rate in RATES {
        let mut samples = Vec::new();
        for key in KEYS.chars() {
            let mut sound = vec![0; rate as usize / 5];
            ToneGenerator::new(Tone::dtmf(key, 100, 100).expect("a key"), rate).fill(&mut sound);
            samples.extend(sound);
        }
        assert_eq!(keys(&samples, rate), KEYS, "at {rate}");
    }
}

#[test]
fn a_key_has_a_beginning_an_end_and_a_length() {
    let samples = pair([697.0, 1209.0], [-9.0; 2], 500.0, 8_000);
    let heard = hear(&samples, 8_000);
    let [KeySound::Began { key: '1' }, KeySound::Ended { key: '1', ms }] = heard[..] else {
        panic!("{heard:?}");
    };
    assert!((475..=510).contains(&ms), "{ms} ms");
}

#[test]
fn forty_milliseconds_are_enough_and_nineteen_too_few_whenever_they_begin() {
    for hz in all_pairs() {
        for shift in 0..102 {
            let beginning = vec![0; shift];
            let of = |ms| [&beginning[..], &pair(hz, [-12.0; 2], ms, 8_000)].concat();
            assert_eq!(keys(&of(40.0), 8_000).len(), 1, "{hz:?} after {shift} samples");
            assert_eq!(keys(&of(19.0), 8_000), "", "{hz:?} after {shift} samples");
        }
    }
}

#[test]
fn a_pause_of_forty_milliseconds_makes_two_keys_and_a_break_of_ten_makes_none() {
    for shift in 0..102 {
        let with = |pause: f64| {
            let sound = pair([852.0, 1336.0], [-9.0; 2], 60.0, 8_000);
            let sound = &sound[800..sound.len() - 800];
            let parts = [&vec![0; shift][..], sound, &vec![0; (8.0 * pause) as usize], sound, &[0; 800]];
            keys(&parts.concat(), 8_000)
        };
        assert_eq!(with(40.0), "88", "after {shift} samples");
        assert_eq!(with(10.0), "8", "after {shift} samples");
    }
}

#[test]
fn two_keys_without_a_pause_are_two() {
    let sound = |key| {
        let mut sound = vec![0; 480];
        ToneGenerator::new(Tone::dtmf(key, 100, 0).expect("a key"), 8_000).fill(&mut sound);
        sound
    };
    assert_eq!(keys(&[sound('1'), sound('5'), sound('9'), vec![0; 800]].concat(), 8_000), "159");
}

#[test]
fn levels_of_q24_are_heard_and_what_is_much_softer_is_not() {
    for hz in all_pairs() {
        for level in [0.0, -10.0, -25.0] {
            assert_eq!(
                keys(&pair(hz, [level - 3.0; 2].map(|l: f64| l.max(-25.0)), 60.0, 8_000), 8_000).len(),
                1,
                "{hz:?} at {level}"
            );
        }
        assert_eq!(keys(&pair(hz, [-40.0; 2], 60.0, 8_000), 8_000), "", "{hz:?}");
    }
}

#[test]
fn twist_of_q24_is_heard_and_more_is_no_key() {
    for hz in all_pairs() {
        for (low, high) in [(-10.0, -6.0), (-6.0, -14.0)] {
            assert_eq!(keys(&pair(hz, [low, high], 60.0, 8_000), 8_000).len(), 1, "{hz:?} at {low} and {high}");
        }
        for (low, high) in [(-16.0, -6.0), (-6.0, -19.0)] {
            assert_eq!(keys(&pair(hz, [low, high], 60.0, 8_000), 8_000), "", "{hz:?} at {low} and {high}");
        }
    }
}

#[test]
fn frequencies_may_be_off_by_one_and_a_half_percent_and_not_by_three_and_a_half() {
    for hz in all_pairs() {
        for (low, high) in [(1.015, 1.015), (0.985, 0.985), (1.015, 0.985), (0.985, 1.015)] {
            let off = [hz[0] * low, hz[1] * high];
            assert_eq!(keys(&pair(off, [-10.0; 2], 60.0, 8_000), 8_000).len(), 1, "{off:?}");
        }
        for (low, high) in [(1.035, 1.0), (0.965, 1.0), (1.0, 1.035), (1.0, 0.965)] {
            let off = [hz[0] * low, hz[1] * high];
            assert_eq!(keys(&pair(off, [-10.0; 2], 200.0, 8_000), 8_000), "", "{off:?}");
        }
    }
}

#[test]
fn keys_are_heard_through_noise() {
    for hz in all_pairs() {
        // About 15 dB below each of the two.
        let mut samples = pair(hz, [-12.0; 2], 60.0, 8_000);
        let mut noise = vec![0; samples.len()];
        NoiseGenerator::new(5).fill(&Noise::white(33), &mut noise);
        samples.iter_mut().zip(&noise).for_each(|(sample, noise)| *sample += noise);
        assert_eq!(keys(&samples, 8_000).len(), 1, "{hz:?}");
    }
}

#[test]
fn ten_minutes_of_voices_have_no_key() {
    for pitch in [90.0, 115.0, 140.0, 190.0, 233.0] {
        let mut phase = 0.0f64;
        let samples: Vec<i16> = (0..8_000 * 120)
            .map(|n| {
                let t = f64::from(n) / 8_000.0;
                phase += pitch * (1.0 + 0.2 * (t * 1.3).sin() + 0.05 * (t * 7.1).sin()) / 8_000.0;
                // Two formants that wander through the band of the keys, above the fundamental.
                let formant = |hz: f64, at: f64| 1.0 / (1.0 + ((hz - at) / 120.0).powi(2));
                let sum: f64 = (1..=24)
                    .map(|k| {
                        let hz = pitch * f64::from(k);
                        let loud = formant(hz, 750.0 + 250.0 * (t * 2.9).sin())
                            + formant(hz, 1_400.0 + 300.0 * (t * 3.7).sin())
                            + if k < 4 { 0.5 } else { 0.1 };
                        loud * (std::f64::consts::TAU * phase * f64::from(k)).sin()
                    })
                    .sum();
                (6_000.0 * sum) as i16
            })
            .collect();
        assert_eq!(keys(&samples, 8_000), "", "a voice of {pitch} Hz");
    }
}

#[test]
fn noise_call_progress_tones_and_single_frequencies_are_no_keys() {
    let mut noise = vec![0; 8_000 * 120];
    NoiseGenerator::new(11).fill(&Noise::white(15), &mut noise);
    assert_eq!(keys(&noise, 8_000), "");
    for row in hookswitch_codec::NAMED_TONES {
        let mut sound = vec![0; 8_000 * 10];
        ToneGenerator::new(Tone::named(row.name).expect("a tone"), 8_000).fill(&mut sound);
        assert_eq!(keys(&sound, 8_000), "", "{}", row.name);
    }
    for hz in LOW.into_iter().chain(HIGH) {
        assert_eq!(keys(&pair([hz, hz], [-9.0; 2], 300.0, 8_000), 8_000), "", "{hz} alone");
    }
    for group in [LOW, HIGH] {
        assert_eq!(keys(&pair([group[0], group[2]], [-9.0; 2], 300.0, 8_000), 8_000), "", "two of one group");
    }
}

#[test]
fn odd_rates_and_samples_are_no_trouble() {
    for rate in [0, 1, 44_100, u32::MAX] {
        let mut listener = KeyListener::new(rate);
        listener.listen(&[i16::MIN; 10_000], &mut |sound| panic!("{sound:?}"));
        listener.listen(&[], &mut |sound| panic!("{sound:?}"));
    }
}
