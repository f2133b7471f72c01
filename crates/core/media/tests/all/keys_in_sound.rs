//! Keys of a phone that has no telephone events: heard in its sound.

use std::time::Duration;

use crate::stage::{
    self, ALICE, BOB, CALLEE_LEG, CAROL, NEW_LEG, NEW_SEAT, Stage, config, formats_in, is_sent, parse, phone,
};
use hookswitch_call::{MediaReport, Party, Source};
use hookswitch_codec::{Codec, Tone, ToneGenerator, by_label, by_static_payload_type, pcmu};
use hookswitch_media::{DropReason, EngineConfig};
use hookswitch_rtp::{EventReceiver, EventReport, Header, TelephoneEvent, is_rtcp};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

/// Alice has no telephone events, Bob does.
fn talking() -> Stage {
    let mut stage = Stage::new();
    stage.connect(&phone(ALICE, "0"), &phone(BOB, "0 101"));
    stage
}

/// The sound of keys with pauses between them, in packets of 20 ms of a codec, and half a second of silence behind.
fn pressed(codec: &'static Codec, keys: &str, on: u32, off: u32) -> Vec<Vec<u8>> {
    let mut samples = Vec::new();
    for key in keys.chars() {
        let mut sound = vec![0; codec.samples_in(on + off)];
        ToneGenerator::new(Tone::dtmf(key, on, off).expect("a key"), codec.sample_rate).fill(&mut sound);
        samples.extend(sound);
    }
    samples.resize(samples.len() + codec.samples_in(500), 0);
    let mut encoder = codec.encoder().expect("audio");
    let packet = |(n, samples): (usize, &[i16])| {
        let mut payload = vec![0; codec.bytes_in(20).max(2)];
        let count = encoder.encode(samples, &mut payload);
        let header = Header {
            marker: false,
            payload_type: codec.static_payload_type.unwrap_or(107),
            sequence: n as u16,
            timestamp: codec.ticks_in(20) * n as u32,
            ssrc: 1,
        };
        let mut packet = vec![0; 12 + count];
        header.write_packet(&payload[..count], &mut packet).expect("room");
        packet
    };
    samples.chunks_exact(codec.samples_in(20)).enumerate().map(packet).collect()
}

/// What Bob is sent.
#[derive(Default)]
struct Heard {
    /// Keys, and how many units of the RTP clock they lasted.
    keys: Vec<(char, u32)>,
    /// Payloads of audio, in the order of their coming.
    audio: Vec<Vec<u8>>,
    receiver: EventReceiver,
}

impl Heard {
    fn take(&mut self, at: Duration, bytes: &[u8]) {
        let packet = parse(bytes);
        if packet.payload_type() != 101 {
            self.audio.push(packet.payload().to_vec());
            return;
        }
        let event = TelephoneEvent::parse(packet.payload()).expect("an event");
        for report in self.receiver.packet(at, packet.marker(), packet.timestamp(), event) {
            if let EventReport::Ended { event, duration } = report {
                self.keys.push((TelephoneEvent::digit_of(event).expect("a key"), duration));
            }
        }
    }
}

/// Alice sends packets every 20 ms, those left out that are lost.
fn send(stage: &mut Stage, packets: &[Vec<u8>], is_lost: fn(usize) -> bool) -> Heard {
    let mut heard = Heard::default();
    for (n, packet) in packets.iter().enumerate() {
        for sent in stage.run(20).iter().filter(|sent| !is_rtcp(&sent.bytes)) {
            heard.take(sent.at, &sent.bytes);
        }
        if !is_lost(n) {
            for (_, bytes) in stage.pass(CALLER, ALICE, packet) {
                heard.take(stage.now, &bytes);
            }
        }
    }
    stage.reports();
    heard
}

fn told(stage: &mut Stage) -> Vec<(char, u128)> {
    let digits = stage.take_news().into_iter().filter_map(|report| match report {
        MediaReport::Digit { party: CALLER, digit, passed: false, .. } => Some((digit.key, digit.time.as_millis())),
        _ => None,
    });
    digits.collect()
}

#[test]
fn the_other_end_is_sent_an_event_and_little_of_the_sound() {
    for key in "0123456789*#ABCD".chars() {
        let mut stage = talking();
        let packets = pressed(pcmu(), &key.to_string(), 100, 100);
        let heard = send(&mut stage, &packets, |_| false);
        let [(told, duration)] = heard.keys[..] else { panic!("{key}: {:?}", heard.keys) };
        assert_eq!(told, key);
        assert!((8 * 60..=8 * 160).contains(&duration), "{key}: {duration} of 800");
        let sounds = heard.audio.iter().filter(|payload| payload.iter().any(|byte| byte & 0x7f < 0x50)).count();
        assert!(sounds <= 2, "{key}: {sounds} packets before it was recognised");
        assert!(heard.audio.len() >= packets.len() - 12, "the rest is heard: {}", heard.audio.len());
        let [MediaReport::Digit { digit, passed: true, .. }] = stage.take_news()[..] else { panic!("told as well") };
        assert_eq!(digit.key, key);
    }
}

#[test]
fn many_keys_are_as_many_events_in_every_codec_that_is_decoded_here() {
    for (codec, format) in [(pcmu(), "0"), (by_static_payload_type(9).expect("G.722"), "9")] {
        let mut stage = Stage::with(stage::with_g722(), 8);
        stage.connect(&phone(ALICE, format), &phone(BOB, &format!("{format} 101")));
        let heard = send(&mut stage, &pressed(codec, "11#7", 60, 120), |_| false);
        let keys: String = heard.keys.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, "11#7", "{}", codec.name);
    }
}

#[test]
fn a_key_that_is_held_for_long_is_an_event_as_long() {
    let mut stage = talking();
    let heard = send(&mut stage, &pressed(pcmu(), "5", 3_000, 0), |_| false);
    let [('5', duration)] = heard.keys[..] else { panic!("{:?}", heard.keys) };
    assert!((8 * 2_900..=8 * 3_100).contains(&duration), "{duration}");
    assert!(stage.run(500).iter().all(|sent| is_rtcp(&sent.bytes)), "and nothing goes on");
}

#[test]
fn who_talks_with_nobody_is_told_of() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Sounds);
    send(&mut stage, &pressed(pcmu(), "42#", 100, 100), |_| false);
    let keys = told(&mut stage);
    assert_eq!(keys.iter().map(|(key, _)| *key).collect::<String>(), "42#");
    assert!(keys.iter().all(|(_, ms)| (74..=126).contains(ms)), "100 ms, to a block of 13 at either end: {keys:?}");
    // Its own echo has keys enough.
    stage.hear(CALLER, Source::Echo);
    send(&mut stage, &pressed(pcmu(), "7", 100, 100), |_| false);
    assert_eq!(told(&mut stage), []);
}

#[test]
fn a_key_while_the_other_end_is_on_hold_is_told_and_goes_no_further() {
    let mut stage = talking();
    stage.hear(CALLEE, Source::Silence);
    let heard = send(&mut stage, &pressed(pcmu(), "7", 100, 100), |_| false);
    assert_eq!((heard.keys.len(), heard.audio.len()), (0, 0));
    let [('7', ms)] = told(&mut stage)[..] else { panic!("one key") };
    assert!((74..=126).contains(&ms), "{ms}");
}

#[test]
fn a_lost_packet_makes_no_second_key() {
    let mut stage = talking();
    let heard = send(&mut stage, &pressed(pcmu(), "8", 200, 100), |n| n == 5);
    assert_eq!(heard.keys.len(), 1, "{:?}", heard.keys);
}

#[test]
fn a_key_ends_when_nothing_comes_any_more() {
    let mut stage = talking();
    let packets = pressed(pcmu(), "9", 100, 100);
    let mut heard = send(&mut stage, &packets[..5], |_| false);
    for sent in stage.run(2_000) {
        heard.take(sent.at, &sent.bytes);
    }
    let [('9', duration)] = heard.keys[..] else { panic!("{:?}", heard.keys) };
    assert!(duration <= 8 * 400, "{duration}");
    assert_eq!(stage.engine.next_tick(), None);
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    stage.make_answer(CALLER).expect("an answer");
    send(&mut stage, &packets[..5], |_| false);
    assert_eq!(told(&mut stage), []);
    stage.run(1_000);
    stage.reports();
    let [('9', ms)] = told(&mut stage)[..] else { panic!("one key") };
    assert!(ms <= 100, "{ms}");
    // What came is reported on, and that is all.
    stage.close();
    assert_eq!(stage.engine.next_tick(), None);
}

#[test]
fn a_key_that_is_down_ends_with_whoever_holds_it() {
    let mut stage = talking();
    let mut heard = send(&mut stage, &pressed(pcmu(), "6", 5_000, 0)[..10], |_| false);
    stage.open_spare(CALLER);
    stage.make_offer(NEW_SEAT, NEW_LEG).expect("an offer");
    stage.accept(NEW_SEAT, NEW_LEG, &phone(CAROL, "0 101")).expect("usable");
    stage.swap(CALLER);
    for sent in stage.run(1_000) {
        heard.take(sent.at, &sent.bytes);
    }
    let [('6', duration)] = heard.keys[..] else { panic!("{:?}", heard.keys) };
    assert!(duration <= 8 * 300, "{duration}");
}

#[test]
fn where_neither_has_events_or_the_party_has_them_nobody_listens() {
    for (alice, bob) in [("0", "0"), ("0 101", "0 101")] {
        let mut stage = Stage::new();
        stage.connect(&phone(ALICE, alice), &phone(BOB, bob));
        let packets = pressed(pcmu(), "123", 100, 100);
        let heard = send(&mut stage, &packets, |_| false);
        assert_eq!((heard.keys.len(), heard.audio.len()), (0, packets.len()), "{alice}, {bob}");
        assert_eq!(told(&mut stage), []);
    }
}

fn off() -> EngineConfig {
    EngineConfig { inband_keys: false, ..config() }
}

#[test]
fn events_are_agreed_with_a_party_though_the_other_one_has_none() {
    for (config, offered) in [(config(), "0 8 101"), (off(), "0 8")] {
        let listens = config.inband_keys;
        let mut stage = Stage::with(config, 8);
        stage.open(Some(&phone(ALICE, "0")));
        assert_eq!(formats_in(&stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer")), offered);
        stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, if listens { "0 101" } else { "0" })).expect("usable");
        assert_eq!(formats_in(&stage.make_answer(CALLER).expect("an answer")), "0", "she has none");
        let answer = stage.reoffer(CALLEE, &phone(BOB, "0 101")).expect("an answer");
        assert_eq!(formats_in(&answer), if listens { "0 101" } else { "0" });
    }
    // What cannot be decoded has no keys in it.
    let mut config = config();
    config.codecs.extend(by_label("G729"));
    let mut stage = Stage::with(config, 8);
    stage.open(Some(&phone(ALICE, "18")));
    assert_eq!(formats_in(&stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer")), "18");
}

#[test]
fn it_can_be_switched_off() {
    let mut stage = Stage::with(off(), 8);
    stage.open(Some(&phone(ALICE, "0")));
    stage.make_answer(CALLER).expect("an answer");
    send(&mut stage, &pressed(pcmu(), "1", 100, 100), |_| false);
    assert_eq!(told(&mut stage), []);
}

#[test]
fn strangers_and_those_on_hold_press_nothing() {
    let mut stage = talking();
    stage.hold(CALLER, true);
    let heard = send(&mut stage, &pressed(pcmu(), "1", 100, 100), |_| false);
    assert_eq!((heard.keys.len(), heard.audio.len()), (0, 0));
    stage.hold(CALLER, false);
    let heard = send(&mut stage, &pressed(pcmu(), "2", 100, 100), |_| false);
    assert_eq!(heard.keys.len(), 1);
    for mut packet in pressed(pcmu(), "3", 100, 100) {
        stage.wait(20);
        assert!(!is_sent(&stage.send(CALLER, "203.0.113.66:666", &mut packet)));
    }
    assert!(stage.dropped(CALLER, DropReason::Source) > 0);
    stage.reports();
    assert_eq!(stage.take_news().len(), 1, "the one of hers");
}
