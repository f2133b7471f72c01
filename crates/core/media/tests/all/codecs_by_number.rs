//! Codecs without a number of their own: their tones, music and keys are heard as those of the others.

use crate::stage::{self, ALICE, BOB, CALLEE_LEG, Sent, Stage, at, parse};
use hookswitch_call::{Party, Source};
use hookswitch_codec::{Codec, by_label, frequency_level, measure};
use hookswitch_media::EngineConfig;

const CALLER: Party = Party::Caller;
const NUMBER: u8 = 111;

fn rows() -> impl Iterator<Item = &'static Codec> {
    ["L16/8000", "L16/16000", "opus"].into_iter().map(|label| by_label(label).expect("a row"))
}

fn config(codec: &'static Codec) -> EngineConfig {
    EngineConfig { codecs: vec![codec], ..stage::config() }
}

fn phone(address: &str, codec: &Codec, fmtp: &str) -> String {
    let address = at(address);
    let (ip, port) = (address.ip(), address.port());
    let channels = if codec.channels == 1 { String::new() } else { format!("/{}", codec.channels) };
    format!(
        "v=0\r\no=phone 1 1 IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {NUMBER}\r\n\
         a=rtpmap:{NUMBER} {}/{}{channels}\r\n{fmtp}",
        codec.name, codec.clock_rate
    )
}

/// A caller to whom something is played.
fn listener(codec: &'static Codec, config: EngineConfig, source: Source) -> Stage {
    let mut stage = Stage::with(config, 4);
    stage.open(Some(&phone(ALICE, codec, "")));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, source);
    stage
}

/// What of it the caller hears, at the codec's own rate.
fn heard(codec: &Codec, sent: &[Sent]) -> Vec<i16> {
    let mut decoder = codec.decoder().expect("a coder");
    let mut samples = Vec::new();
    let mut last = None;
    for packet in sent.iter().filter(|packet| packet.to == at(ALICE)) {
        let packet = parse(&packet.bytes);
        assert_eq!(packet.payload_type(), NUMBER);
        let header = packet.header();
        let step = last.replace(header.timestamp).map(|before| header.timestamp.wrapping_sub(before));
        assert!(step.is_none_or(|step| step == codec.ticks_in(20)), "{step:?}");
        assert_eq!(codec.ticks_of(packet.payload()), Some(codec.ticks_in(20)), "{}", codec.label);
        let mut block = vec![0; codec.samples_in(20)];
        assert_eq!(decoder.decode(packet.payload(), &mut block), block.len(), "{}", codec.label);
        samples.extend(block);
    }
    samples
}

#[test]
fn the_reference_tone_is_heard_at_its_level() {
    for codec in rows() {
        let sent = listener(codec, config(codec), Source::Reference).run(2_000);
        let heard = heard(codec, &sent);
        assert_eq!(heard.len(), codec.samples_in(2_000), "{}", codec.label);
        let measured = measure(&heard[codec.samples_in(500)..], codec.sample_rate);
        assert!((measured.dominant_hz.expect("a tone") - 1_004.0).abs() < 2.0, "{} {measured:?}", codec.label);
        assert!((measured.level_dbm0() + 16.0).abs() < 1.0, "{} {measured:?}", codec.label);
    }
}

#[test]
fn the_notes_of_hold_are_heard() {
    for codec in rows() {
        let sent = listener(codec, config(codec), Source::Hold).run(700);
        let heard = heard(codec, &sent);
        let from = codec.samples_in(60);
        let level = frequency_level(&heard[from..from + codec.samples_in(160)], codec.sample_rate, 523.0);
        assert!(level > -28.0, "{}: {level} dB", codec.label);
    }
}

#[test]
fn a_key_is_a_sound_where_no_events_are_agreed() {
    for codec in rows() {
        let mut stage = Stage::with(config(codec), 8);
        stage.connect(&phone(ALICE, codec, ""), &phone(BOB, codec, ""));
        stage.press(CALLER, '5', 200);
        let sent = stage.run(400);
        let heard = heard(codec, &sent);
        let (from, to) = (codec.samples_in(60), codec.samples_in(180));
        for hz in [770.0, 1_336.0] {
            let level = frequency_level(&heard[from..to], codec.sample_rate, hz);
            assert!((level + 12.0).abs() < 2.0, "{}: {hz} Hz at {level} dB", codec.label);
        }
    }
}

#[test]
fn a_codec_that_is_only_passed_on_passes_and_its_parameters_with_it() {
    for label in ["G729", "iLBC", "AMR", "AMR-WB"] {
        let codec = by_label(label).expect("a row");
        let fmtp = format!("a=fmtp:{NUMBER} some=1\r\n");
        let mut stage = Stage::with(config(codec), 8);
        stage.open(Some(&phone(ALICE, codec, &fmtp)));
        let offer = stage.make_offer(Party::Callee, CALLEE_LEG).expect("an offer");
        assert!(offer.contains(&fmtp), "{label}: {offer}");
        stage.accept(Party::Callee, CALLEE_LEG, &phone(BOB, codec, &fmtp)).expect("a usable answer");
        let answer = stage.make_answer(CALLER).expect("an answer");
        assert!(answer.contains(&fmtp), "{label}: {answer}");
        stage.hear(CALLER, Source::Peer).hear(Party::Callee, Source::Peer);
        let mut packet = stage::rtp(NUMBER, 1, 1);
        let before = packet.clone();
        assert!(stage::is_sent(&stage.send(CALLER, ALICE, &mut packet)), "{label}");
        assert_eq!(packet, before);
        // Nobody here could say a word in it.
        stage.hear(CALLER, Source::Hold);
        assert!(stage.run(100).is_empty(), "{label}");
    }
}
