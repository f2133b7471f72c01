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
        let Kind::Audio { encode, decode, silence } = codec.kind else {
            continue;
        };
        let mut samples = vec![0i16; codec.samples_in(200)];
        ToneGenerator::new(Tone::steady(1000.0, 0.5), codec.sample_rate).fill(&mut samples);
        let mut bytes = vec![0u8; samples.len()];
        let length = encode(&samples, &mut bytes);
        let mut heard = vec![0i16; samples.len()];
        assert_eq!(decode(&bytes[..length], &mut heard), samples.len(), "{}", codec.name);
        let measured = measure(&heard, codec.sample_rate);
        assert!((measured.level_dbfs + 6.02).abs() < 0.1, "{} {measured:?}", codec.name);
        assert!(measured.purity > 0.99, "{} {measured:?}", codec.name);
        assert_eq!(decode(&[silence], &mut heard), 1);
        assert!(heard[0].abs() <= 8, "{}", codec.name);
    }
}

#[test]
fn times_in_samples_and_ticks() {
    assert_eq!(pcmu().samples_in(20), 160);
    assert_eq!(pcmu().ticks_in(20), 160);
    assert_eq!(pcmu().ticks_in(u32::MAX), u32::MAX);
    assert!(CODECS.iter().all(|codec| codec.samples_in(120) <= MAX_FRAME_SAMPLES));
}
