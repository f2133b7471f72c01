//! The table, and what every row has to do.

use hookswitch_codec::{
    CODECS, Codec, Encoder, Framing, Kind, MAX_FRAME_SAMPLES, RATES, by_label, by_name, by_static_payload_type,
    comfort_noise, measure, parameter, pcma, pcmu, telephone_event, telephone_event_at,
};
use hookswitch_codec::{Tone, ToneGenerator};

fn row(label: &str) -> &'static Codec {
    by_label(label).unwrap_or_else(|| panic!("no row {label}"))
}

#[test]
fn rows_are_found() {
    assert_eq!(by_name("pcmu", 8000, 1), Some(pcmu()));
    assert_eq!(by_name("PCMA", 8000, 1), Some(pcma()));
    assert_eq!(by_name("Telephone-Event", 8000, 1), Some(telephone_event()));
    assert_eq!(by_name("PCMU", 16_000, 1), None);
    assert_eq!(by_name("PCMU", 8000, 2), None);
    assert_eq!(by_static_payload_type(0), Some(pcmu()));
    assert_eq!(by_static_payload_type(8), Some(pcma()));
    assert_eq!(by_static_payload_type(9), by_name("g722", 8000, 1));
    assert_eq!(by_static_payload_type(18), Some(row("G729")));
    assert!(by_name("G722", 8000, 1).is_some());
    assert!(by_name("opus", 48_000, 2).is_some());
    assert_eq!(by_name("opus", 48_000, 1), None, "every description writes two channels");
    assert_eq!(by_static_payload_type(3), None);
    assert_eq!(telephone_event().fmtp, Some("0-16"));
    assert!(!telephone_event().is_audio() && telephone_event().is_event());
    assert_eq!(by_name("cn", 8000, 1), Some(comfort_noise()));
    assert_eq!(by_static_payload_type(13), Some(comfort_noise()));
    assert!(!comfort_noise().is_audio() && !comfort_noise().is_event() && !comfort_noise().has_coder());
}

#[test]
fn configuration_names_rows_by_name_or_by_name_and_clock() {
    for codec in CODECS {
        assert_eq!(by_label(codec.label), Some(codec), "{}", codec.label);
        assert_eq!(by_label(&codec.label.to_ascii_lowercase()), Some(codec));
        assert!(codec.label.starts_with(codec.name));
    }
    assert_eq!(by_label("L16"), Some(row("L16/8000")), "the lowest clock");
    assert_eq!(by_label("L16/16000").map(|codec| codec.clock_rate), Some(16_000));
    assert_eq!(by_label("opus/48000"), Some(row("opus")));
    assert_eq!((by_label("2833"), by_label("722")), (Some(telephone_event()), Some(row("G722"))));
    for unknown in ["", "opus/8000", "L16/", "L16/8k", "GSM", "/8000"] {
        assert_eq!(by_label(unknown), None, "{unknown}");
    }
}

#[test]
fn events_run_on_the_clock_of_the_audio_beside_them() {
    for codec in CODECS.iter().filter(|codec| codec.is_audio()) {
        let event = telephone_event_at(codec.clock_rate).unwrap_or_else(|| panic!("{}", codec.label));
        assert_eq!((event.name, event.clock_rate), ("telephone-event", codec.clock_rate));
        assert_eq!(event.fmtp, Some("0-16"));
    }
    assert_eq!(telephone_event_at(8_000), Some(telephone_event()));
    assert_eq!(telephone_event_at(44_100), None);
}

#[test]
fn rows_are_unlike_each_other() {
    for (index, row) in CODECS.iter().enumerate() {
        assert_eq!(by_name(row.name, row.clock_rate, row.channels), Some(row));
        assert!(!CODECS[..index].contains(row), "{} twice", row.label);
        assert!(CODECS[..index].iter().all(|other| other.label != row.label), "{} twice", row.label);
        if let Some(payload_type) = row.static_payload_type {
            assert_eq!(by_static_payload_type(payload_type), Some(row));
        }
    }
}

#[test]
fn what_nobody_here_can_read_has_a_row_all_the_same() {
    for label in ["iLBC", "G729", "AMR", "AMR-WB"] {
        let codec = row(label);
        assert!(codec.is_audio() && !codec.has_coder(), "{label}");
        assert!(codec.encoder().is_none() && codec.decoder().is_none());
        assert_eq!(codec.ticks_of(&[0; 20]), None);
    }
    for label in ["PCMU", "PCMA", "G722", "L16/8000", "L16/16000"] {
        assert!(row(label).has_coder(), "{label}");
    }
    assert_eq!(row("opus").has_coder(), cfg!(feature = "opus"));
    assert!(!telephone_event().has_coder());
}

#[test]
fn a_tone_passes_through_every_codec_of_constant_rate() {
    for codec in CODECS.iter().filter(|codec| is_even(codec)) {
        let (mut encoder, mut decoder) = (codec.encoder().expect("a coder"), codec.decoder().expect("a coder"));
        let mut samples = vec![0i16; codec.samples_in(400)];
        ToneGenerator::new(Tone::steady(1000.0, 0.5), codec.sample_rate).fill(&mut samples);
        let mut bytes = vec![0u8; 2 * samples.len()];
        let length = encoder.encode(&samples, &mut bytes);
        assert_eq!(length, codec.bytes_in(400), "{}", codec.label);
        assert_eq!(codec.ticks_of(&bytes[..length]), Some(codec.ticks_in(400)), "{}", codec.label);
        let mut heard = vec![0i16; samples.len()];
        assert_eq!(decoder.decode(&bytes[..length], &mut heard), samples.len(), "{}", codec.label);
        // Whatever adapts has done so after a tenth of a second.
        let measured = measure(&heard[codec.samples_in(100)..], codec.sample_rate);
        assert!((measured.level_dbfs + 6.02).abs() < 0.1, "{} {measured:?}", codec.label);
        assert!(measured.purity > 0.99, "{} {measured:?}", codec.label);
    }
}

fn is_even(codec: &Codec) -> bool {
    matches!(codec.kind, Kind::Audio { framing: Framing::Even, .. })
}

#[test]
fn a_byte_of_silence_is_silent_in_every_audio_codec() {
    for codec in CODECS {
        let (Kind::Audio { silence: Some(silence), .. }, Some(mut decoder)) = (codec.kind, codec.decoder()) else {
            assert!(!is_even(codec), "{}", codec.label);
            continue;
        };
        let mut heard = vec![0i16; codec.samples_in(20)];
        assert_eq!(decoder.decode(&vec![silence; codec.bytes_in(20)], &mut heard), heard.len(), "{}", codec.label);
        assert!(heard.iter().all(|sample| sample.abs() <= 16), "{} {heard:?}", codec.label);
    }
}

#[test]
fn linear_samples_come_with_their_upper_byte_first() {
    for label in ["L16/8000", "L16/16000"] {
        let (mut encoder, mut decoder) = (row(label).encoder().expect("coder"), row(label).decoder().expect("coder"));
        let mut bytes = [0; 7];
        assert_eq!(encoder.encode(&[1, -2, 0x1234, 5], &mut bytes), 6, "as many as there is room for");
        assert_eq!(bytes, [0, 1, 0xff, 0xfe, 0x12, 0x34, 0]);
        let mut samples = [0; 4];
        assert_eq!(decoder.decode(&bytes, &mut samples), 3, "half a sample is none");
        assert_eq!(samples, [1, -2, 0x1234, 0]);
        assert_eq!(decoder.conceal(&mut samples), 0);
        assert_eq!(decoder.recover(&bytes, &mut samples), 0);
        encoder.expect_loss(20);
    }
}

#[test]
fn a_codec_codes_at_the_rate_of_the_audio_if_it_can() {
    for rate in RATES {
        assert_eq!(pcmu().coding_rate(rate), 8_000);
        assert_eq!(row("G722").coding_rate(rate), if rate == 8_000 { 8_000 } else { 16_000 });
        assert_eq!(row("L16/16000").coding_rate(rate), 16_000);
        let opus = row("opus");
        assert_eq!(opus.coding_rate(rate), if opus.has_coder() { rate } else { 48_000 });
        for codec in CODECS.iter().filter(|codec| codec.has_coder()) {
            let at = codec.coding_rate(rate);
            assert!(codec.encoder_at(at, None).is_some() && codec.decoder_at(at).is_some(), "{}", codec.label);
            let can = at == rate;
            assert_eq!(codec.encoder_at(rate, None).is_some(), can, "{} at {rate}", codec.label);
            assert_eq!(codec.decoder_at(rate).is_some(), can, "{} at {rate}", codec.label);
        }
    }
    assert_eq!(row("opus").coding_rate(44_100), 48_000);
    assert!(row("opus").encoder_at(44_100, None).is_none());
}

#[test]
fn streams_may_go_from_thread_to_thread() {
    fn is_send<T: Send>() {}
    is_send::<Encoder>();
    is_send::<hookswitch_codec::Decoder>();
}

#[test]
fn parameters_that_change_what_a_packet_is_have_to_be_the_same_on_both_sides() {
    for label in ["AMR", "AMR-WB"] {
        let amr = row(label);
        let same = |a, b| amr.is_same_format(a, b) && amr.is_same_format(b, a);
        assert!(same(None, None));
        assert!(same(Some("octet-align=0"), None), "0 is what holds without it");
        assert!(same(Some("octet-align=1;mode-set=0,2"), Some("max-red=0; Octet-Align = 1")));
        assert!(!same(Some("octet-align=1"), None));
        assert!(!same(Some("octet-align=1;crc=1"), Some("octet-align=1")));
        assert!(!same(Some("octet-align=1;robust-sorting=1"), Some("octet-align=1")));
    }
    // The answer may have another of these, and holds for both sides (RFC 3952 section 5).
    assert!(row("iLBC").is_same_format(Some("mode=20"), Some("mode=30")));
    assert!(row("G729").is_same_format(Some("annexb=no"), None));
    assert!(row("opus").is_same_format(Some("useinbandfec=1"), Some("stereo=1")));
}

#[test]
fn a_parameter_is_found_among_others() {
    let fmtp = Some("minptime=10; useinbandfec=1 ;usedtx;maxaveragebitrate = 20000");
    assert_eq!(parameter(fmtp, "minptime"), Some("10"));
    assert_eq!(parameter(fmtp, "UseInbandFEC"), Some("1"));
    assert_eq!(parameter(fmtp, "usedtx"), Some(""));
    assert_eq!(parameter(fmtp, "maxaveragebitrate"), Some("20000"));
    assert_eq!(parameter(fmtp, "stereo"), None);
    assert_eq!(parameter(None, "stereo"), None);
}

#[test]
fn an_opus_packet_says_how_long_it_lasts() {
    let ticks = |payload: &[u8]| row("opus").ticks_of(payload);
    // Speech of 10, 20, 40 and 60 ms; a mixture of 10 and 20; music of 2.5, 5, 10 and 20.
    for (config, expected) in
        [(0u8, 480), (1, 960), (2, 1920), (3, 2880), (12, 480), (15, 960), (16, 120), (17, 240), (30, 480), (31, 960)]
    {
        assert_eq!(ticks(&[config << 3]), Some(expected), "{config}");
        assert_eq!(ticks(&[config << 3 | 1]), Some(2 * expected), "{config}, two frames");
    }
    assert_eq!(ticks(&[9 << 3 | 2]), Some(1920), "two of unlike length");
    assert_eq!(ticks(&[9 << 3 | 3, 6]), Some(5760), "as many as the second byte says");
    assert_eq!(ticks(&[9 << 3 | 3, 7]), None, "longer than 120 ms");
    assert_eq!(ticks(&[9 << 3 | 3, 0]), None);
    assert_eq!(ticks(&[9 << 3 | 3]), None);
    assert_eq!(ticks(&[]), None);
}

#[test]
fn times_in_samples_and_ticks() {
    assert_eq!(pcmu().samples_in(20), 160);
    assert_eq!(pcmu().ticks_in(20), 160);
    let g722 = by_name("G722", 8000, 1).expect("a row");
    assert_eq!((g722.samples_in(20), g722.ticks_in(20), g722.bytes_in(20)), (320, 160, 160));
    let opus = row("opus");
    assert_eq!((opus.samples_in(20), opus.ticks_in(20), opus.bytes_in(20)), (960, 960, 240));
    let wide = row("L16/16000");
    assert_eq!((wide.samples_in(20), wide.ticks_in(20), wide.bytes_in(20)), (320, 320, 640));
    assert_eq!(telephone_event().bytes_in(20), 0);
    assert_eq!(pcmu().ticks_in(u32::MAX), u32::MAX);
    assert_eq!(pcmu().ticks_of(&[0; 160]), Some(160));
    assert!(CODECS.iter().all(|codec| codec.samples_in(120) <= MAX_FRAME_SAMPLES));
}
