//! The table, and what every row has to do.

use hookswitch_codec::{
    CODECS, Kind, MAX_FRAME_SAMPLES, by_name, by_static_payload_type, measure, pcma, pcmu, telephone_event,
};
use hookswitch_codec::{Tone, ToneGenerator};

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
    assert!(by_name("G722", 8000, 1).is_some());
    assert_eq!(by_static_payload_type(18), None);
    assert_eq!(telephone_event().fmtp, Some("0-16"));
    assert!(!telephone_event().is_audio());
}

#[test]
fn rows_are_unlike_each_other() {
    for (index, row) in CODECS.iter().enumerate() {
        assert_eq!(by_name(row.name, row.clock_rate, row.channels), Some(row));
        assert!(!CODECS[..index].contains(row), "{} twice", row.name);
        if let Some(payload_type) = row.static_payload_type {
            assert_eq!(by_static_payload_type(payload_type), Some(row));
        }
    }
}

#[test]
fn a_tone_passes_through_every_audio_codec() {
    for codec in CODECS {
        let (Some(mut encoder), Some(mut decoder)) = (codec.encoder(), codec.decoder()) else {
            assert!(!codec.is_audio());
            continue;
        };
        let mut samples = vec![0i16; codec.samples_in(400)];
        ToneGenerator::new(Tone::steady(1000.0, 0.5), codec.sample_rate).fill(&mut samples);
        let mut bytes = vec![0u8; 2 * samples.len()];
        let length = encoder.encode(&samples, &mut bytes);
        assert_eq!(length, codec.bytes_in(400), "{}", codec.name);
        let mut heard = vec![0i16; samples.len()];
        assert_eq!(decoder.decode(&bytes[..length], &mut heard), samples.len(), "{}", codec.name);
        // Whatever adapts has done so after a tenth of a second.
        let measured = measure(&heard[codec.samples_in(100)..], codec.sample_rate);
        assert!((measured.level_dbfs + 6.02).abs() < 0.1, "{} {measured:?}", codec.name);
        assert!(measured.purity > 0.99, "{} {measured:?}", codec.name);
    }
}

#[test]
fn a_byte_of_silence_is_silent_in_every_audio_codec() {
    for codec in CODECS {
        let (Kind::Audio { silence, .. }, Some(mut decoder)) = (codec.kind, codec.decoder()) else {
            continue;
        };
        let mut heard = vec![0i16; codec.samples_in(20)];
        assert_eq!(decoder.decode(&vec![silence; codec.bytes_in(20)], &mut heard), heard.len(), "{}", codec.name);
        assert!(heard.iter().all(|sample| sample.abs() <= 16), "{} {heard:?}", codec.name);
    }
}

#[test]
fn times_in_samples_and_ticks() {
    assert_eq!(pcmu().samples_in(20), 160);
    assert_eq!(pcmu().ticks_in(20), 160);
    let g722 = by_name("G722", 8000, 1).expect("a row");
    assert_eq!((g722.samples_in(20), g722.ticks_in(20), g722.bytes_in(20)), (320, 160, 160));
    assert_eq!(telephone_event().bytes_in(20), 0);
    assert_eq!(pcmu().ticks_in(u32::MAX), u32::MAX);
    assert!(CODECS.iter().all(|codec| codec.samples_in(120) <= MAX_FRAME_SAMPLES));
}
