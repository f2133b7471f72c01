//! What a party on hold hears.

use crate::stage::{self, ALICE, CALL, Sent, Stage, at, parse, phone};
use hookswitch_call::{Party, Source};
use hookswitch_codec::wav::{Encoding, WavError, WavFormat, encode_pcm};
use hookswitch_codec::{CODECS, RATES, Tone, ToneGenerator, g711, measure};
use hookswitch_media::{HoldMusic, MAX_MUSIC_FILE, MAX_MUSIC_S, MIN_MUSIC_MS, MusicError};

const CALLER: Party = Party::Caller;

/// Samples per second of the files here, where nothing else is said.
const MUSIC_RATE: u32 = 8_000;

/// A caller that hears this music, whose phone has one codec.
fn on_hold(music: HoldMusic, format: &str) -> Stage {
    let mut config = stage::with_g722();
    config.hold_music = music;
    let mut stage = Stage::with(config, 4);
    stage.open(Some(&phone(ALICE, format)));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Hold);
    stage
}

fn audio(sent: &[Sent]) -> Vec<u8> {
    let media = sent.iter().filter(|packet| packet.to == at(ALICE));
    media.flat_map(|packet| parse(&packet.bytes).payload().to_vec()).collect()
}

fn decoded(format: &str, bytes: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; bytes.len()];
    match format {
        "0" => g711::decode_ulaw(bytes, &mut samples),
        _ => g711::decode_alaw(bytes, &mut samples),
    };
    samples
}

fn file(format: WavFormat, data: &[u8]) -> Vec<u8> {
    let mut header = vec![0; format.header_len()];
    format.write_header(data.len() as u32, &mut header).expect("room");
    header.extend_from_slice(data);
    header
}

/// A piece of so many milliseconds in which no two places are the same.
fn piece(ms: u32) -> Vec<i16> {
    let tone = Tone::parse("300~3000*0.3:60000").expect("a tone");
    let mut samples = vec![0; (ms * MUSIC_RATE / 1_000) as usize];
    ToneGenerator::new(tone, MUSIC_RATE).fill(&mut samples);
    samples
}

fn pcm(samples: &[i16]) -> Vec<u8> {
    let mut data = vec![0; samples.len() * 2];
    encode_pcm(samples, &mut data);
    file(WavFormat::mono_pcm(MUSIC_RATE), &data)
}

#[test]
fn by_default_two_soft_notes_sound_every_five_seconds_and_begin_at_once() {
    for format in ["0", "8"] {
        let mut stage = on_hold(HoldMusic::default(), format);
        let sent = stage.run(10_000);
        let heard = decoded(format, &audio(&sent));
        assert_eq!(heard.len(), 80_000, "a packet every 20 ms");
        for beginning in [0, 40_000] {
            let first = measure(&heard[beginning..beginning + 2_000], MUSIC_RATE).dominant_hz.expect("a note");
            let second = measure(&heard[beginning + 2_000..beginning + 5_600], MUSIC_RATE).dominant_hz.expect("a note");
            assert!((first - 523.0).abs() < 10.0 && (second - 659.0).abs() < 10.0, "{first} Hz, {second} Hz");
            assert!(measure(&heard[beginning + 6_000..beginning + 39_000], MUSIC_RATE).is_silent());
        }
        let peak = heard.iter().map(|sample| sample.unsigned_abs()).max().expect("samples");
        assert!(peak < 5_000, "soft: {peak}");
    }
}

#[test]
fn a_file_is_heard_in_both_codecs_round_and_round_from_where_it_is_now() {
    let samples = piece(700);
    let music = HoldMusic::from_wav(&pcm(&samples)).expect("a file");
    for format in ["0", "8"] {
        let mut stage = on_hold(music.clone(), format);
        stage.run(5_340);
        let begins = (stage.now.as_millis() / 20 * 160 % 5_600) as usize;
        let heard = audio(&stage.run(2_000));
        let mut encoded = vec![0; samples.len()];
        match format {
            "0" => g711::encode_ulaw(&samples, &mut encoded),
            _ => g711::encode_alaw(&samples, &mut encoded),
        };
        let expected: Vec<u8> = encoded.iter().copied().cycle().skip(begins).take(16_000).collect();
        assert!(heard == expected, "payload type {format}");
    }
}

#[test]
fn all_who_are_on_hold_hear_the_same_place_of_it() {
    let music = HoldMusic::from_wav(&pcm(&piece(2_000))).expect("a file");
    let mut stage = on_hold(music, "0");
    stage.make_offer(Party::Callee, stage::CALLEE_LEG).expect("an offer");
    stage.accept(Party::Callee, stage::CALLEE_LEG, &phone(stage::BOB, "0")).expect("usable");
    stage.run(777);
    stage.hear(Party::Callee, Source::Hold);
    let sent = stage.run(1_000);
    let of = |to| -> Vec<_> {
        let media = sent.iter().filter(|packet| packet.to == at(to));
        media.map(|packet| parse(&packet.bytes).payload().to_vec()).collect()
    };
    assert!(of(ALICE).len() == 50 && of(ALICE) == of(stage::BOB));
}

#[test]
fn g711_files_are_played_byte_for_byte() {
    let samples = piece(500);
    let mut ulaw = vec![0; samples.len()];
    g711::encode_ulaw(&samples, &mut ulaw);
    let mut alaw = vec![0; samples.len()];
    g711::encode_alaw(&samples, &mut alaw);
    for (encoding, data, format) in [(Encoding::Ulaw, ulaw, "0"), (Encoding::Alaw, alaw, "8")] {
        let wav = WavFormat { encoding, channels: 1, sample_rate: MUSIC_RATE };
        let music = HoldMusic::from_wav(&file(wav, &data)).expect("a file");
        let heard = audio(&on_hold(music, format).run(2_000));
        let twice: Vec<u8> = data.iter().chain(&data).copied().collect();
        let place = (0..data.len()).find(|place| twice[*place..].starts_with(&heard[..1_000]));
        assert!(place.is_some(), "{encoding:?}");
    }
}

#[test]
fn two_channels_are_mixed() {
    let samples = piece(500);
    let data: Vec<u8> =
        samples.iter().flat_map(|sample| [sample.to_le_bytes(), sample.to_le_bytes()].concat()).collect();
    let stereo = WavFormat { encoding: Encoding::Pcm16, channels: 2, sample_rate: MUSIC_RATE };
    let both = HoldMusic::from_wav(&file(stereo, &data)).expect("a file");
    let one = HoldMusic::from_wav(&pcm(&samples)).expect("a file");
    assert!(audio(&on_hold(both, "0").run(500)) == audio(&on_hold(one, "0").run(500)));
}

#[test]
fn silence_is_sent_so_that_the_way_stays_open() {
    for format in ["0", "8"] {
        let heard = audio(&on_hold(HoldMusic::silence(), format).run(1_000));
        assert_eq!(heard.len(), 8_000);
        assert!(decoded(format, &heard).iter().all(|sample| sample.unsigned_abs() <= 8));
    }
}

#[test]
fn files_that_cannot_be_played_are_refused_with_a_reason() {
    let of_rate = |rate| file(WavFormat::mono_pcm(rate), &[0; 32_000]);
    let refusal = |file: &[u8]| HoldMusic::from_wav(file).expect_err("refused");
    assert_eq!(refusal(&of_rate(44_101)), MusicError::Rate(44_101));
    assert_eq!(refusal(&of_rate(3_999)), MusicError::Rate(3_999));
    assert!(refusal(&of_rate(44_101)).to_string().contains("44101 samples per second cannot be played; convert it"));
    assert_eq!(refusal(b"ID3"), MusicError::Wav(WavError::NotWav));
    assert_eq!(refusal(&[]), MusicError::Wav(WavError::NotWav));
    assert_eq!(refusal(&pcm(&[])), MusicError::TooShort);
    assert_eq!(refusal(&pcm(&piece(MIN_MUSIC_MS - 1))), MusicError::TooShort);
    HoldMusic::from_wav(&pcm(&piece(MIN_MUSIC_MS))).expect("long enough");
    let longest = vec![0; (MAX_MUSIC_S * MUSIC_RATE) as usize];
    let wav = WavFormat { encoding: Encoding::Alaw, channels: 1, sample_rate: MUSIC_RATE };
    HoldMusic::from_wav(&file(wav, &longest)).expect("just fits");
    assert_eq!(refusal(&file(wav, &[&longest[..], &[0]].concat())), MusicError::TooLong);
    assert!((longest.len() * 4) < MAX_MUSIC_FILE as usize, "two channels of 16 bits fit as well");
}

#[test]
fn a_file_of_any_rate_is_heard_at_its_pitch_and_level_in_every_codec() {
    for rate in RATES.into_iter().chain([11_025, 32_000, 44_100]) {
        let mut samples = vec![0; rate as usize];
        ToneGenerator::new(Tone::steady(1_004.0, 0.5), rate).fill(&mut samples);
        let mut data = vec![0; samples.len() * 2];
        encode_pcm(&samples, &mut data);
        let music = HoldMusic::from_wav(&file(WavFormat::mono_pcm(rate), &data)).expect("a file");
        for codec in CODECS.iter().filter(|codec| codec.has_coder()) {
            let Some(number) = codec.static_payload_type else { continue };
            let sent = on_hold(music.clone(), &number.to_string()).run(3_000);
            let packets: Vec<&Sent> = sent.iter().filter(|packet| packet.to == at(ALICE)).collect();
            let (heard, rate_heard) = stage::heard(number, &packets);
            assert_eq!(heard.len(), 3 * rate_heard as usize, "{} at {rate}", codec.name);
            let heard = measure(&heard[rate_heard as usize / 2..], rate_heard);
            let hz = heard.dominant_hz.expect("a tone");
            assert!((hz - 1_004.0).abs() < 2.0, "{} at {rate}: {hz} Hz", codec.name);
            assert!((heard.level_dbfs + 6.0).abs() < 0.3, "{} at {rate}: {} dB", codec.name, heard.level_dbfs);
            assert!(heard.purity > 0.98, "{} at {rate}: {}, no seam is heard", codec.name, heard.purity);
        }
    }
}

#[test]
fn music_goes_on_for_as_long_as_the_hold() {
    let mut stage = on_hold(HoldMusic::default(), "0");
    assert_eq!(audio(&stage.run(60_000)).len(), 480_000);
    stage.hear(CALLER, Source::Peer);
    assert_eq!(stage.engine.next_tick(), None);
    assert_eq!(stage.engine.stats(CALL).expect("the call").caller.sent_packets, 3_000);
}
