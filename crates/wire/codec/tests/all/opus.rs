//! Opus: what passes, what silence costs, and what is left of it when packets are lost.
#![cfg(feature = "opus")]

use hookswitch_codec::{Codec, Decoder, Encoder, Tone, ToneGenerator, by_label, frequency_level, level, measure};

const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

fn opus() -> &'static Codec {
    by_label("opus").expect("a row")
}

fn encoder(rate: u32, theirs: Option<&str>) -> Encoder {
    opus().encoder_at(rate, theirs).expect("a rate of Opus")
}

fn decoder(rate: u32) -> Decoder {
    opus().decoder_at(rate).expect("a rate of Opus")
}

fn tone(text: &str, rate: u32, ms: u32) -> Vec<i16> {
    let mut samples = vec![0; (rate * ms / 1_000) as usize];
    ToneGenerator::new(Tone::parse(text).expect("a tone"), rate).fill(&mut samples);
    samples
}

/// Something with the ups and downs of speech: a voice of 125 Hz with its overtones, in syllables.
fn voice(rate: u32, ms: u32) -> Vec<i16> {
    let at = |n: usize| {
        let t = n as f64 / f64::from(rate);
        let turn = std::f64::consts::TAU * t;
        let pitch = 125.0 + 15.0 * (turn * 1.7).sin();
        let sum: f64 = (1..=20).map(|k| (turn * pitch * f64::from(k)).sin() / f64::from(k)).sum();
        let syllable = (turn * 2.5).sin().max(0.0);
        (6_000.0 * syllable * sum) as i16
    };
    (0..(rate * ms / 1_000) as usize).map(at).collect()
}

fn packets(encoder: &mut Encoder, samples: &[i16], rate: u32) -> Vec<Vec<u8>> {
    let frame = rate as usize / 50;
    let encode = |block: &[i16]| {
        let mut out = [0; 240];
        let length = encoder.encode(block, &mut out);
        out[..length].to_vec()
    };
    samples.chunks_exact(frame).map(encode).collect()
}

fn heard(decoder: &mut Decoder, packets: &[Vec<u8>], rate: u32) -> Vec<i16> {
    let mut samples = Vec::new();
    for packet in packets {
        let mut block = vec![0; rate as usize / 50];
        assert_eq!(decoder.decode(packet, &mut block), block.len());
        samples.extend(block);
    }
    samples
}

#[test]
fn a_tone_passes_at_every_rate_whatever_the_rate_at_the_other_end() {
    for from in RATES {
        let sent = packets(&mut encoder(from, None), &tone("1000*0.5:1000", from, 1_000), from);
        assert!(sent.iter().all(|packet| opus().ticks_of(packet) == Some(960)), "20 ms by a clock of 48 kHz");
        for to in RATES {
            let heard = heard(&mut decoder(to), &sent, to);
            let measured = measure(&heard[to as usize / 5..], to);
            let hz = measured.dominant_hz.expect("a tone");
            assert!((hz - 1_000.0).abs() < 2.0, "{from} to {to}: {hz}");
            assert!((measured.level_dbfs + 6.0).abs() < 1.0, "{from} to {to}: {measured:?}");
            assert!(measured.purity > 0.95, "{from} to {to}: {measured:?}");
        }
    }
}

#[test]
fn what_is_above_the_telephone_band_is_heard_where_both_ends_can() {
    let sent = packets(&mut encoder(48_000, None), &tone("7000*0.25:1000", 48_000, 1_000), 48_000);
    let wide = heard(&mut decoder(48_000), &sent, 48_000);
    assert!(frequency_level(&wide[24_000..], 48_000, 7_000.0) > -15.0);
    let narrow = heard(&mut decoder(8_000), &sent, 8_000);
    assert!(level(&narrow[4_000..]) < -40.0, "and folds onto nothing: {}", level(&narrow[4_000..]));
}

#[test]
fn packets_of_every_length_are_made_and_read() {
    for ms in [10u32, 20, 40, 60, 80, 100, 120] {
        let (mut encoder, mut decoder) = (encoder(16_000, None), decoder(16_000));
        let samples = tone("500*0.25:1000", 16_000, ms);
        let mut out = [0; 1_200];
        let length = encoder.encode(&samples, &mut out);
        assert_eq!(opus().ticks_of(&out[..length]), Some(48 * ms), "{ms} ms");
        let mut heard = vec![0; 16 * 120];
        assert_eq!(decoder.decode(&out[..length], &mut heard), samples.len());
        let mut little = vec![0; samples.len() - 1];
        assert_eq!(decoder.decode(&out[..length], &mut little), 0, "no room");
    }
    for odd in [0, 1, 319, 321, 16_000] {
        assert_eq!(encoder(16_000, None).encode(&vec![100; odd], &mut [0; 1_200]), 0, "{odd} samples");
    }
    assert_eq!(encoder(16_000, None).encode(&[100; 320], &mut []), 0, "no room");
}

#[test]
fn no_packet_is_longer_than_the_table_says_and_speech_takes_the_rate_that_was_asked_for() {
    for (theirs, most) in [(None, 32_000.0), (Some("maxaveragebitrate=12000"), 12_000.0)] {
        let sent = packets(&mut encoder(48_000, theirs), &voice(48_000, 5_000), 48_000);
        assert!(sent.iter().all(|packet| packet.len() <= opus().bytes_in(20)));
        let bits = 8.0 * sent.iter().map(Vec::len).sum::<usize>() as f64 / 5.0;
        assert!(bits < 1.15 * most, "{theirs:?}: {bits} bits per second");
        assert!(bits > 0.3 * most, "{theirs:?}: {bits} bits per second");
    }
    // More than we would send is not sent for being allowed, and less than there can be is not asked for.
    for odd in ["maxaveragebitrate=510000", "maxaveragebitrate=0", "maxaveragebitrate=x", "maxaveragebitrate=-1"] {
        let sent = packets(&mut encoder(48_000, Some(odd)), &voice(48_000, 1_000), 48_000);
        assert!(sent.iter().all(|packet| (1..=240).contains(&packet.len())), "{odd}");
    }
}

#[test]
fn silence_is_left_out_only_for_who_knows_that() {
    let silence = vec![0; 16_000];
    let told = packets(&mut encoder(16_000, Some("usedtx=1")), &silence, 16_000);
    let sent = told.iter().filter(|packet| !packet.is_empty()).count();
    assert!((1..25).contains(&sent), "{sent} of 50 packets");
    for theirs in [None, Some("usedtx=0"), Some("useinbandfec=1")] {
        let all = packets(&mut encoder(16_000, theirs), &silence, 16_000);
        assert!(all.iter().all(|packet| !packet.is_empty()), "{theirs:?}");
    }
}

#[test]
fn a_lost_packet_is_made_up_of_what_came_before() {
    let sent = packets(&mut encoder(16_000, None), &tone("300+400*0.25:1000", 16_000, 1_000), 16_000);
    let mut decoder = decoder(16_000);
    let before = heard(&mut decoder, &sent[..25], 16_000);
    let mut gap = [0; 320];
    assert_eq!(decoder.conceal(&mut gap), 320);
    let (was, is) = (level(&before[before.len() - 1_600..]), level(&gap));
    assert!(is > was - 6.0 && is < was + 2.0, "{is} dB after {was} dB");
    let mut odd = [7; 325];
    assert_eq!(decoder.conceal(&mut odd), 320, "whole steps of 2.5 ms");
    assert_eq!(odd[320..], [7; 5]);
    assert_eq!(decoder.conceal(&mut []), 0);
    assert_eq!(decoder.conceal(&mut [0; 39]), 0);
}

/// How much of the error of lost packets is left where the packet after each is looked into.
fn error_left(loss_told: u8, theirs: &str) -> f64 {
    let samples = voice(16_000, 6_000);
    let mut encoder = encoder(16_000, Some(theirs));
    encoder.expect_loss(loss_told);
    let sent = packets(&mut encoder, &samples, 16_000);
    let whole = heard(&mut decoder(16_000), &sent, 16_000);
    let lost = |n: usize| n % 5 == 3;
    let error = |recovers: bool| {
        let mut decoder = decoder(16_000);
        let mut sum = 0.0;
        for (n, expected) in whole.chunks_exact(320).enumerate() {
            let mut block = [0; 320];
            let count = match (lost(n), sent.get(n + 1).filter(|_| recovers)) {
                (false, _) => decoder.decode(&sent[n], &mut block),
                (true, Some(next)) => decoder.recover(next, &mut block),
                (true, None) => decoder.conceal(&mut block),
            };
            assert_eq!(count, 320);
            if lost(n) {
                sum += block.iter().zip(expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
            }
        }
        sum
    };
    error(true) / error(false)
}

#[test]
fn a_lost_packet_is_found_in_the_next_one_where_the_receiver_can_and_losses_are_known() {
    let with = error_left(20, "useinbandfec=1");
    assert!(with < 0.5, "{with} of the error is left");
    let without = error_left(20, "useinbandfec=0");
    assert!(without > 0.8, "{without}: nothing was sent twice");
}

#[test]
fn what_is_no_packet_is_nothing() {
    let mut decoder = decoder(48_000);
    let mut out = [0; 5_760];
    assert_eq!(decoder.decode(&[], &mut out), 0);
    assert_eq!(decoder.decode(&[0xff, 0xff, 0xff], &mut out), 0);
    assert_eq!(decoder.recover(&[], &mut out[..960]), 960, "made up as without it");
    assert_eq!(decoder.recover(&[0xff], &mut out[..960]), 960);
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn are_decoded_or_not(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20)) {
            let mut decoder = decoder(8_000);
            let mut out = [0; 960];
            for packet in packets {
                prop_assert!(decoder.decode(&packet, &mut out) <= out.len());
                prop_assert!(decoder.recover(&packet, &mut out[..160]) <= 160);
                prop_assert_eq!(decoder.conceal(&mut out[..160]), 160);
            }
        }
    }
}
