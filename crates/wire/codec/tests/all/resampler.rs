//! What passes a change of the sample rate, and what does not.

use hookswitch_codec::{FILE_RATES, RATES, RateError, Resampler};

/// Peak of the sines below.
const PEAK: f64 = 20_000.0;

fn sine(hertz: f64, rate: u32, seconds: f64) -> Vec<i16> {
    let count = (f64::from(rate) * seconds) as usize;
    (0..count).map(|i| (PEAK * (std::f64::consts::TAU * hertz * i as f64 / f64::from(rate)).sin()) as i16).collect()
}

/// How strong one frequency is, in dB of [`PEAK`], beyond the first samples.
fn strength(samples: &[i16], hertz: f64, rate: u32) -> f64 {
    let samples = &samples[rate as usize / 10..];
    let mut sums = (0.0, 0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * hertz * i as f64 / f64::from(rate);
        // A Hann window: what is beside the frequency leaks little into it.
        let window = 1.0 - (std::f64::consts::TAU * i as f64 / samples.len() as f64).cos();
        sums.0 += window * f64::from(*sample) * angle.cos();
        sums.1 += window * f64::from(*sample) * angle.sin();
        sums.2 += window;
    }
    20.0 * (2.0 * sums.0.hypot(sums.1) / sums.2 / PEAK).max(1e-9).log10()
}

fn convert(input: &[i16], from: u32, to: u32) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to).expect("known rates");
    let mut out = Vec::new();
    // In packets of uneven size, which must not be heard.
    for packet in input.chunks(from as usize / 50 + 7) {
        resampler.process(packet, &mut out);
    }
    out
}

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    RATES.into_iter().flat_map(|from| RATES.into_iter().map(move |to| (from, to)))
}

#[test]
fn as_many_samples_as_the_rates_say() {
    for (from, to) in pairs() {
        let out = convert(&vec![0; from as usize], from, to);
        assert_eq!(out.len(), to as usize, "{from} to {to}");
        // Of whole packets of 20 ms too.
        let (mut resampler, mut out) = (Resampler::new(from, to).expect("known rates"), Vec::new());
        for packet in 1..=5 {
            resampler.process(&vec![0; from as usize / 50], &mut out);
            assert_eq!(out.len(), packet * to as usize / 50, "{from} to {to}");
        }
    }
}

#[test]
fn speech_passes_at_its_level() {
    for (from, to) in pairs() {
        let lower = f64::from(from.min(to));
        for part in [0.01, 0.05, 0.125, 0.25, 0.35, 0.425] {
            let hertz = part * lower;
            let level = strength(&convert(&sine(hertz, from, 1.0), from, to), hertz, to);
            assert!(level.abs() < 0.3, "{hertz} Hz from {from} to {to}: {level} dB");
        }
    }
}

#[test]
fn what_would_fold_back_is_60_db_weaker() {
    for (from, to) in pairs().filter(|(from, to)| from > to) {
        for part in [0.5875, 0.65, 0.75, 0.9, 0.99] {
            let hertz = part * f64::from(to);
            if hertz >= f64::from(from) / 2.0 {
                continue;
            }
            let folded = (hertz - f64::from(to)).abs();
            let level = strength(&convert(&sine(hertz, from, 1.0), from, to), folded, to);
            assert!(level < -60.0, "{hertz} Hz from {from} to {to} is heard at {folded} Hz with {level} dB");
        }
    }
}

#[test]
fn images_are_60_db_weaker() {
    for (from, to) in pairs().filter(|(from, to)| from < to) {
        for part in [0.05, 0.125, 0.25, 0.35, 0.4] {
            let hertz = part * f64::from(from);
            let out = convert(&sine(hertz, from, 1.0), from, to);
            for multiple in 1..=to / from {
                let around = f64::from(multiple * from);
                for image in [around - hertz, around + hertz] {
                    if image < f64::from(to) / 2.0 {
                        let level = strength(&out, image, to);
                        assert!(level < -60.0, "{hertz} Hz from {from} to {to}: image at {image} Hz with {level} dB");
                    }
                }
            }
        }
    }
}

#[test]
fn a_sudden_sound_comes_out_after_twelve_samples_of_the_lower_rate() {
    for (from, to) in pairs().filter(|(from, to)| from != to) {
        let mut input = vec![0; from as usize / 10];
        let struck = from as usize / 20;
        input[struck] = 32_000;
        let out = convert(&input, from, to);
        let loudest = (0..out.len()).max_by_key(|i| out[*i].unsigned_abs()).expect("samples");
        let delay = loudest as f64 / f64::from(to) - struck as f64 / f64::from(from);
        let twelve = 12.0 / f64::from(from.min(to));
        let step = 1.0 / f64::from(from.min(to));
        assert!((delay - twelve).abs() <= step, "{from} to {to}: {delay} s instead of {twelve} s");
    }
}

#[test]
fn the_loudest_edge_is_cut_and_does_not_turn_over() {
    let input: Vec<i16> = (0..1600).map(|i| if (i / 20) % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let out = convert(&input, 8_000, 48_000);
    for (i, sample) in out.iter().enumerate().skip(240) {
        let phase = (i - 72) % 240;
        if (24..96).contains(&phase) {
            assert!(*sample > 20_000, "{i}: {sample}");
        }
    }
}

#[test]
fn other_rates_are_refused() {
    for (from, to) in [(44_100, 8_000), (8_000, 11_025), (0, 8_000), (8_000, 0), (0, 0), (32_000, 16_000)] {
        let error = Resampler::new(from, to).expect_err("an unknown rate");
        assert_eq!(error, RateError { from, to });
        assert!(error.to_string().contains(&from.to_string()), "{error}");
    }
}

const OF_FILES: [u32; 8] = [4_000, 6_000, 11_025, 12_000, 22_050, 32_000, 44_100, 96_000];

fn convert_file(input: &[i16], from: u32, to: u32) -> Vec<i16> {
    let mut resampler = Resampler::for_file(from, to).unwrap_or_else(|error| panic!("{error}"));
    let mut out = Vec::new();
    for piece in input.chunks(from as usize / 50 + 7) {
        resampler.process(piece, &mut out);
    }
    out
}

#[test]
fn files_of_other_rates_are_heard_at_their_level_and_nothing_folds_back() {
    for from in OF_FILES {
        for to in RATES {
            let lower = f64::from(from.min(to));
            let out = convert_file(&sine(0.25 * lower, from, 1.0), from, to);
            assert!(out.len().abs_diff(to as usize) <= 1, "{from} to {to}: {} samples", out.len());
            let level = strength(&out, 0.25 * lower, to);
            assert!(level.abs() < 0.3, "{from} to {to}: {level} dB");
            for part in [0.5875, 0.75, 0.9] {
                let hertz = part * f64::from(to);
                if hertz < f64::from(from) / 2.0 {
                    let folded = (hertz - f64::from(to)).abs();
                    let level = strength(&convert_file(&sine(hertz, from, 1.0), from, to), folded, to);
                    assert!(level < -60.0, "{hertz} Hz from {from} to {to} is heard at {folded} Hz with {level} dB");
                }
            }
        }
    }
}

#[test]
fn a_file_of_a_known_rate_is_converted_as_a_stream_is() {
    for (from, to) in pairs() {
        let samples = sine(700.0, from, 0.2);
        assert_eq!(convert_file(&samples, from, to), convert(&samples, from, to));
    }
}

#[test]
fn files_with_too_little_in_common_with_us_are_refused() {
    for (from, to) in [(44_101, 8_000), (*FILE_RATES.start() - 1, 8_000), (*FILE_RATES.end() + 1, 48_000), (0, 8_000)] {
        assert_eq!(Resampler::for_file(from, to).expect_err("refused"), RateError { from, to });
    }
    assert_eq!(Resampler::for_file(44_100, 44_100).expect_err("refused"), RateError { from: 44_100, to: 44_100 });
    for rate in [*FILE_RATES.start(), *FILE_RATES.end()] {
        Resampler::for_file(rate, 8_000).expect("within");
    }
}
