//! What the switch itself lets a party hear.

use std::time::Duration;

use crate::stage::{self, ALICE, BOB, CALLEE_LEG, Sent, Stage, at, parse, phone, phone_with, rtp};
use hookswitch_call::{Party, Source};
use hookswitch_codec::{DBM0_AT_FULL_SCALE, measure};
use hookswitch_media::{DropReason, EngineConfig, FRAME, Forward, MAX_CATCH_UP, REFERENCE_HZ};

const CALLER: Party = Party::Caller;

/// A caller that is connected to the switch itself.
fn service(formats: &str, source: Source) -> Stage {
    let mut stage = Stage::with(stage::with_g722(), 8);
    stage.open(Some(&phone(ALICE, formats)));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, source);
    stage
}

fn media(sent: &[Sent]) -> Vec<&Sent> {
    sent.iter().filter(|packet| packet.to == at(ALICE)).collect()
}

/// In G.711.
fn samples(sent: &[&Sent]) -> Vec<i16> {
    let number = sent.first().map_or(0, |packet| parse(&packet.bytes).payload_type());
    stage::heard(number, sent).0
}

#[test]
fn the_reference_tone_is_1004_hz_at_minus_16_dbm0_in_every_codec() {
    for (formats, number) in [("0 101", 0), ("8 101", 8), ("9 101", 9)] {
        let mut stage = service(formats, Source::Reference);
        let sent = stage.run(2_000);
        let sent = media(&sent);
        assert_eq!(sent.len(), 100, "one packet per 20 ms");
        let (samples, rate) = stage::heard(number, &sent);
        assert_eq!(samples.len(), 2 * rate as usize);
        // What adapts has done so after a tenth of a second.
        let heard = measure(&samples[rate as usize / 10..], rate);
        let hz = heard.dominant_hz.expect("a tone");
        assert!((hz - REFERENCE_HZ).abs() < 1.5, "{hz} Hz");
        let level = heard.dominant_dbfs + DBM0_AT_FULL_SCALE;
        assert!((level + 16.0).abs() < 0.3, "{level} dBm0");
        assert!(heard.purity > 0.98, "{}", heard.purity);
        assert_eq!(parse(&sent[0].bytes).payload_type(), number);
    }
}

#[test]
fn generated_packets_follow_each_other() {
    let mut stage = service("0", Source::Reference);
    let sent = stage.run(1_000);
    let sent = media(&sent);
    let first = parse(&sent[0].bytes);
    assert!(first.marker(), "a talkspurt begins");
    for (n, packet) in sent.iter().enumerate() {
        let parsed = parse(&packet.bytes);
        assert_eq!(parsed.payload().len(), 160);
        assert_eq!(parsed.sequence(), first.sequence().wrapping_add(n as u16));
        assert_eq!(parsed.timestamp(), first.timestamp().wrapping_add(160 * n as u32));
        assert_eq!(parsed.ssrc(), first.ssrc());
        assert_eq!(parsed.marker(), n == 0);
        assert_eq!(packet.at, sent[0].at + FRAME * n as u32);
    }
}

#[test]
fn the_ringing_tone_sounds_a_second_and_pauses_four() {
    let mut stage = service("8 101", Source::Ringback);
    let sent = stage.run(10_000);
    let audio = samples(&media(&sent));
    assert_eq!(audio.len(), 80_000);
    for second in 0..10 {
        let heard = measure(&audio[second * 8_000..(second + 1) * 8_000], 8000);
        if second % 5 == 0 {
            let hz = heard.dominant_hz.expect("ringing");
            assert!((hz - 425.0).abs() < 3.0, "{hz} Hz in second {second}");
        } else {
            assert!(heard.is_silent(), "second {second}: {} dBFS", heard.level_dbfs);
        }
    }
}

#[test]
fn silence_and_nobody_send_nothing() {
    let mut stage = service("0", Source::Silence);
    assert_eq!(stage.engine.next_tick(), None);
    assert_eq!(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1)), Forward::Drop(DropReason::NoListener));
    stage.hear(CALLER, Source::Peer);
    assert_eq!(stage.engine.next_tick(), None);
}

#[test]
fn a_tone_begins_when_there_is_somebody_to_hear_it() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    stage.hear(CALLER, Source::Reference);
    assert!(stage.run(200).is_empty());
    stage.make_answer(CALLER).expect("an answer");
    let sent = stage.run(200);
    assert!(parse(&media(&sent)[0].bytes).marker());
}

#[test]
fn a_tone_pauses_while_its_hearer_holds() {
    let mut stage = service("0", Source::Reference);
    let before = stage.run(100);
    stage.reoffer(CALLER, &phone_with(ALICE, "0", "a=sendonly\r\n")).expect("an answer");
    assert!(media(&stage.run(1_000)).is_empty());
    stage.reoffer(CALLER, &phone(ALICE, "0")).expect("an answer");
    let after = stage.run(100);
    let (last, first) = (parse(&before.last().expect("packets").bytes), parse(&after[0].bytes));
    assert!(first.marker());
    assert_eq!(first.sequence(), last.sequence().wrapping_add(1), "nothing was lost");
    assert_eq!(first.timestamp().wrapping_sub(last.timestamp()), 8_000 + 160, "but time has passed");
}

#[test]
fn a_tone_goes_where_the_phone_really_is() {
    let mut stage = service("0", Source::Reference);
    let natted = "192.0.2.200:31000";
    stage.stream(CALLER, natted, 1, 0, 5);
    assert!(stage.run(100).iter().all(|packet| packet.to == at(natted)));
}

#[test]
fn a_late_tick_makes_up_for_a_little_and_skips_the_rest() {
    let mut stage = service("0", Source::Reference);
    let before = stage.run(100);
    let last = parse(&before.last().expect("packets").bytes).timestamp();
    stage.wait(1_000);
    let mut sent = Vec::new();
    stage.engine.tick(stage.now, &mut |_, _, bytes| sent.push(bytes.to_vec()));
    assert_eq!(sent.len(), MAX_CATCH_UP as usize);
    // 51 frames were due: 46 skipped, 5 sent.
    let timestamps: Vec<_> = sent.iter().map(|bytes| parse(bytes).timestamp().wrapping_sub(last) / 160).collect();
    assert_eq!(timestamps, [47, 48, 49, 50, 51]);
    assert!(parse(&sent[0]).marker(), "after a gap");
    let next = stage.engine.next_tick().expect("a tone");
    assert!(next > stage.now && next <= stage.now + FRAME);
}

#[test]
fn the_hearer_may_change_its_codec_during_a_tone() {
    let mut stage = service("0 8", Source::Reference);
    stage.run(100);
    stage.reoffer(CALLER, &phone(ALICE, "8")).expect("there is nobody else to agree with");
    let sent = stage.run(2_000);
    let sent = media(&sent);
    assert!(sent.iter().all(|packet| parse(&packet.bytes).payload_type() == 8));
    let hz = measure(&samples(&sent), 8000).dominant_hz.expect("a tone");
    assert!((hz - REFERENCE_HZ).abs() < 1.5);
}

#[test]
fn echo_returns_everything_but_the_source() {
    let mut stage = service("0 8 101", Source::Echo);
    let mut own = None;
    for n in 0..50 {
        stage.wait(20);
        let packet = rtp(if n % 10 == 9 { 101 } else { 0 }, n, 0xa11ce);
        let mut buffer = packet.clone();
        let forward = stage.send(CALLER, ALICE, &mut buffer);
        assert_eq!(forward, Forward::Send { socket: stage.socket_of(CALLER), to: at(ALICE), len: 172 });
        let (sent, got) = (parse(&packet), parse(&buffer));
        assert_eq!(got.payload(), sent.payload());
        assert_eq!(
            (got.sequence(), got.timestamp(), got.payload_type()),
            (sent.sequence(), sent.timestamp(), sent.payload_type())
        );
        assert_ne!(got.ssrc(), sent.ssrc(), "a phone that met its own source would see a loop");
        assert_eq!(*own.get_or_insert(got.ssrc()), got.ssrc());
    }
}

#[test]
fn echo_returns_nothing_to_a_stranger_or_a_holder() {
    let mut stage = service("0", Source::Echo);
    let forward = stage.send(CALLER, "203.0.113.66:666", &mut rtp(0, 1, 1));
    assert_eq!(forward, Forward::Drop(DropReason::Source));
    stage.reoffer(CALLER, &phone_with(ALICE, "0", "a=sendonly\r\n")).expect("an answer");
    assert_eq!(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1)), Forward::Drop(DropReason::Held));
}

#[test]
fn the_ringing_tone_can_be_configured() {
    let mut config: EngineConfig = stage::config();
    config.ringback = hookswitch_codec::Tone::named("us-ringback").expect("a named tone");
    let mut stage = Stage::with(config, 4);
    stage.open(Some(&phone(ALICE, "0")));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Ringback);
    let sent = stage.run(1_000);
    let hz = measure(&samples(&media(&sent)), 8000).dominant_hz.expect("a tone");
    assert!((hz - 440.0).abs() < 5.0 || (hz - 480.0).abs() < 5.0, "{hz} Hz");
}

#[test]
fn many_tones_share_one_beat() {
    let mut stage = service("0", Source::Reference);
    stage.make_offer(Party::Callee, CALLEE_LEG).expect("an offer");
    stage.accept(Party::Callee, CALLEE_LEG, &phone(BOB, "0")).expect("usable");
    stage.wait(7).hear(Party::Callee, Source::Ringback);
    let sent = stage.run(200);
    let beats: Vec<Duration> = sent.iter().map(|packet| packet.at).collect();
    let mut distinct = beats.clone();
    distinct.dedup();
    assert_eq!(beats.len(), 2 * distinct.len(), "both at the same moments");
}
