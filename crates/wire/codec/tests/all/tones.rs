//! Tones from text to samples.

use hookswitch_codec::{
    MAX_COMPONENTS, MAX_FREQUENCY_HZ, MAX_SEGMENT_MS, MAX_SEGMENTS, MAX_TONE_TEXT, NAMED_TONES, Tone, ToneError,
    ToneGenerator, frequency_level, level, measure,
};

fn parse(text: &str) -> Tone {
    Tone::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn play(text: &str, samples: usize) -> Vec<i16> {
    let mut out = vec![0; samples];
    ToneGenerator::new(parse(text), 8000).fill(&mut out);
    out
}

fn durations(text: &str) -> Vec<u32> {
    parse(text).segments().iter().map(|segment| segment.duration_ms).collect()
}

#[test]
fn british_ringing() {
    let tone = parse("400+450*0.5/0/400+450*0.5/0:400/200/400/2000");
    assert_eq!(tone.segments().len(), 4);
    assert_eq!(tone.period_ms(), 3000);
    let first = &tone.segments()[0];
    assert_eq!(first.components.iter().map(|c| c.from_hz).collect::<Vec<_>>(), [400.0, 450.0]);
    assert_eq!((first.from_amplitude, first.to_amplitude, first.duration_ms), (0.5, 0.5, 400));
    assert!(tone.segments()[1].components.is_empty());

    let samples = play("400+450*0.5/0/400+450*0.5/0:400/200/400/2000", 24_000);
    let burst = &samples[0..3200];
    assert!((frequency_level(&burst[..1600], 8000, 400.0) + 6.0).abs() < 0.2);
    assert!((frequency_level(&burst[..1600], 8000, 450.0) + 6.0).abs() < 0.2);
    assert!(samples[3200..4800].iter().all(|sample| *sample == 0), "200 ms of silence");
    assert!(level(&samples[4800..8000]) > -6.0);
    assert!(samples[8000..].iter().all(|sample| *sample == 0), "two seconds of silence");
}

#[test]
fn the_shorter_list_begins_again() {
    assert_eq!(durations("950/1400/1800/0:333"), [333; 4]);
    assert_eq!(durations("440/0:400/350/225/525"), [400, 350, 225, 525]);
    assert_eq!(durations("697+1209*0.5/0/697+1336*0.5/0:400/100"), [400, 100, 400, 100]);
    let congestion = parse("440/0:400/350/225/525");
    let silent: Vec<_> = congestion.segments().iter().map(|s| s.components.is_empty()).collect();
    assert_eq!(silent, [false, true, false, true]);
}

#[test]
fn the_cadence_repeats() {
    let samples = play("1000/0:10/10", 800);
    for (index, block) in samples.chunks(80).enumerate() {
        assert_eq!(block.iter().all(|sample| *sample == 0), index % 2 == 1, "block {index}");
    }
}

#[test]
fn any_blocks_make_the_same_sound() {
    for text in ["350+440*0.5:1000", "400~1000*0.1~0.9/0/300:37/5/11", "1:1"] {
        let whole = play(text, 4000);
        let mut generator = ToneGenerator::new(parse(text), 8000);
        let mut pieces = Vec::new();
        for length in (1..).take_while(|n| n * (n + 1) / 2 <= 4000) {
            let mut block = vec![0; length];
            generator.fill(&mut block);
            pieces.extend(block);
        }
        assert_eq!(pieces, whole[..pieces.len()], "{text}");
        generator.restart();
        let mut again = vec![0; 100];
        generator.fill(&mut again);
        assert_eq!(again, whole[..100], "{text}");
    }
}

#[test]
fn a_steady_tone_has_no_seam_where_it_repeats() {
    // 333.3 Hz does not fit into 10 ms; a phase that began anew would jump.
    let samples = play("333.3:10", 8000);
    let largest = samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
    assert!(largest < Some(8700), "{largest:?}");
    let measured = measure(&samples, 8000);
    assert!(measured.dominant_hz.is_some_and(|hz| (hz - 333.3).abs() < 0.5), "{measured:?}");
    assert!(measured.purity > 0.999);
}

#[test]
fn glides_of_frequency_and_amplitude() {
    let samples = play("400~800*1~0:1000", 8000);
    let at = |start: usize| measure(&samples[start..start + 400], 8000);
    let (early, late) = (at(0), at(7000));
    assert!(early.dominant_hz.is_some_and(|hz| (hz - 410.0).abs() < 10.0), "{early:?}");
    assert!(late.dominant_hz.is_some_and(|hz| (hz - 760.0).abs() < 10.0), "{late:?}");
    assert!(early.level_dbfs > -0.5 && late.level_dbfs < -18.0, "{early:?} {late:?}");
}

#[test]
fn too_loud_is_clipped_and_not_wrapped() {
    let samples = play("400+401+402:1000", 800);
    let largest = samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
    assert!(largest < Some(32_767), "{largest:?}");
    assert!(samples.contains(&i16::MAX));
}

#[test]
fn errors_quote_the_part_at_fault() {
    let fault = |text: &str| Tone::parse(text).expect_err(text);
    assert_eq!(fault(""), ToneError::Colon);
    assert_eq!(fault("440"), ToneError::Colon);
    assert_eq!(fault("440:1:2"), ToneError::Colon);
    assert_eq!(fault(":100"), ToneError::Frequency(String::new()));
    assert_eq!(fault("44O:100"), ToneError::Frequency("44O".into()));
    assert_eq!(fault("440/-1:100"), ToneError::Frequency("-1".into()));
    assert_eq!(fault("440/NaN:100"), ToneError::Frequency("NaN".into()));
    assert_eq!(fault("440~inf:100"), ToneError::Frequency("440~inf".into()));
    assert_eq!(fault("440++450:100"), ToneError::Frequency(String::new()));
    assert_eq!(fault("440*2:100"), ToneError::Amplitude("2".into()));
    assert_eq!(fault("440*0.5~x:100").to_string(), "\"440*0.5~x\": modulation (x) is not supported");
    assert_eq!(fault("400x25:100"), ToneError::Modulation("400x25".into()));
    assert_eq!(fault("440:0"), ToneError::Cadence("0".into()));
    assert_eq!(fault("440:1.5"), ToneError::Cadence("1.5".into()));
    assert_eq!(fault("440:100/"), ToneError::Cadence(String::new()));
}

#[test]
fn limits() {
    assert_eq!(Tone::parse(&"1".repeat(MAX_TONE_TEXT + 1)), Err(ToneError::TooLong));
    let at_most = format!("{MAX_FREQUENCY_HZ}:{MAX_SEGMENT_MS}");
    assert_eq!(parse(&at_most).period_ms(), MAX_SEGMENT_MS);
    let beyond = (MAX_SEGMENT_MS + 1).to_string();
    assert_eq!(Tone::parse(&format!("1:{beyond}")), Err(ToneError::Cadence(beyond)));
    let beyond = (MAX_FREQUENCY_HZ + 1.0).to_string();
    assert_eq!(Tone::parse(&format!("{beyond}:1")), Err(ToneError::Frequency(beyond)));
    let list = |count: usize, with: &str| vec!["1"; count].join(with);
    assert_eq!(parse(&format!("{}:1", list(MAX_SEGMENTS, "/"))).segments().len(), MAX_SEGMENTS);
    let many = format!("{}:1", list(MAX_SEGMENTS + 1, "/"));
    assert_eq!(Tone::parse(&many), Err(ToneError::TooManySegments));
    let chord = list(MAX_COMPONENTS + 1, "+");
    assert_eq!(Tone::parse(&format!("{chord}:1")), Err(ToneError::TooManyComponents(chord)));
}

#[test]
fn named_tones_are_tones() {
    for row in NAMED_TONES {
        let tone = Tone::named(row.name).unwrap_or_else(|| panic!("{} is no tone", row.name));
        let mut samples = vec![0; 8000];
        ToneGenerator::new(tone, 8000).fill(&mut samples);
        let peak = samples.iter().map(|s| s.unsigned_abs()).max();
        assert!(peak > Some(3000) && peak < Some(32_767), "{} peaks at {peak:?}", row.name);
    }
    assert_eq!(Tone::named("uk-ringback").map(|tone| tone.period_ms()), Some(3000));
    assert_eq!(Tone::named("eu-ringback").map(|tone| tone.period_ms()), Some(5000));
    assert_eq!(Tone::named("us-ringback").map(|tone| tone.period_ms()), Some(6000));
    assert_eq!(Tone::named("nowhere"), None);
}

#[test]
fn keys_have_two_frequencies() {
    for (key, low, high) in [('1', 697.0, 1209.0), ('5', 770.0, 1336.0), ('#', 941.0, 1477.0), ('d', 941.0, 1633.0)] {
        let tone = Tone::dtmf(key, 100, 100).expect("a key");
        assert_eq!(tone.period_ms(), 200);
        let mut samples = vec![0; 1600];
        ToneGenerator::new(tone, 8000).fill(&mut samples);
        for hz in [low, high] {
            let level = frequency_level(&samples[..800], 8000, hz);
            assert!((level + 12.04).abs() < 0.3, "{key}: {hz} Hz at {level} dBFS");
        }
        assert!(samples[800..].iter().all(|sample| *sample == 0));
    }
    assert_eq!(Tone::dtmf('E', 100, 100), None);
    assert_eq!(Tone::dtmf('\u{130}', 100, 0), None);
}

#[test]
fn odd_sample_rates_and_frequencies_come_to_an_end() {
    let mut samples = vec![0; 1000];
    for rate in [0, 1, 7, 44_100, 48_000, u32::MAX] {
        ToneGenerator::new(parse("24000/0:1/1"), rate).fill(&mut samples);
    }
    assert_eq!(ToneGenerator::new(parse("1:1"), 0).sample_rate(), 8000);
    assert_eq!(Tone::steady(f32::MAX, 9.0), Tone::steady(MAX_FREQUENCY_HZ, 1.0));
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_refused_or_played(text in "[0-9.+*~/:x-]{0,40}") {
            if let Ok(tone) = Tone::parse(&text) {
                ToneGenerator::new(tone, 8000).fill(&mut [0; 500]);
            }
        }

        #[test]
        fn of_any_letters_is_refused_or_played(text: String) {
            let _ = Tone::parse(&text);
        }
    }
}
