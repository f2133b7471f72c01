//! Parties that use different codecs hear each other.

use crate::stage::{
    self, ALICE, BOB, CALL, CAROL, NEW_LEG, NEW_SEAT, Stage, at, config, ip, is_sent, parse, phone, phone_with,
    with_g722,
};
use hookswitch_call::{Party, Source};
use hookswitch_codec::{
    CODECS, Codec, Encoder, Resampler, Tone, ToneGenerator, by_label, by_static_payload_type, frequency_level, level,
};
use hookswitch_media::{DropReason, EngineConfig, Forward};
use hookswitch_rtp::{Header, TelephoneEvent};
use hookswitch_sdp::{Format, SessionDescription};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const TONE_HZ: f32 = 1_004.0;
const TONE_DBFS: f32 = -12.0;

/// Every codec that audio can be turned into.
fn coded() -> Vec<&'static Codec> {
    CODECS.iter().filter(|codec| codec.has_coder()).collect()
}

fn with_all_codecs() -> EngineConfig {
    let mut config = config();
    config.codecs = CODECS.iter().collect();
    config
}

/// A phone that has one codec, under a number, and events under the next.
fn phone_of(address: &str, codec: &Codec, number: u8) -> String {
    let Codec { name, clock_rate, channels, .. } = codec;
    let channels = if *channels == 1 { String::new() } else { format!("/{channels}") };
    let event = number + 1;
    phone(address, "0").replace(" 0\r\n", &format!(" {number} {event}\r\n")).replace(
        "a=rtpmap:0 PCMU/8000\r\n",
        &format!(
            "a=rtpmap:{number} {name}/{clock_rate}{channels}\r\na=rtpmap:{event} telephone-event/{clock_rate}\r\n"
        ),
    )
}

/// The number that a description of ours gives a codec.
fn number_in(told: &str, codec: &Codec) -> u8 {
    let told = SessionDescription::parse(told).expect("a description");
    let (_, audio) = told.first_audio().expect("an audio stream");
    let is_it = |format: &Format<'_>| format.is_encoding(codec.name, codec.clock_rate, codec.channels);
    audio.codecs().find(is_it).expect("it is offered").payload_type
}

fn opus() -> &'static Codec {
    by_label("opus").expect("Opus")
}

/// Alice has Opus, under 110, and Bob has G.711.
fn opus_to_pcmu(more: &str) -> Stage {
    let mut stage = Stage::with(with_all_codecs(), 8);
    stage.connect(&(phone_of(ALICE, opus(), 110) + more), &phone(BOB, "0 101"));
    stage
}

/// Somebody who speaks in one codec, a steady tone.
struct Mouth {
    codec: &'static Codec,
    number: u8,
    tone: ToneGenerator,
    encoder: Encoder,
    ms: u32,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

impl Mouth {
    fn new(codec: &'static Codec, number: u8, ms: u32) -> Self {
        let tone = Tone::steady(TONE_HZ, 10f32.powf(TONE_DBFS / 20.0));
        Self {
            codec,
            number,
            tone: ToneGenerator::new(tone, codec.sample_rate),
            encoder: codec.encoder().expect("audio"),
            ms,
            sequence: 60_000,
            timestamp: u32::MAX - 40_000,
            ssrc: 0xa11ce,
        }
    }

    fn of(number: u8, ms: u32) -> Self {
        Self::new(by_static_payload_type(number).expect("a codec"), number, ms)
    }

    fn packet(&mut self) -> Vec<u8> {
        let mut samples = vec![0; self.codec.samples_in(self.ms)];
        self.tone.fill(&mut samples);
        let mut bytes = [0; stage::ROOM];
        let header = Header {
            marker: false,
            payload_type: self.number,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        header.write(&mut bytes).expect("room");
        let len = self.encoder.encode(&samples, &mut bytes[12..]);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.codec.ticks_in(self.ms));
        bytes[..12 + len].to_vec()
    }
}

/// Lets somebody speak for a while; the packets that the other party gets.
fn speak(stage: &mut Stage, party: Party, mouth: &mut Mouth, count: u32) -> Vec<Vec<u8>> {
    let (from, to) = if party == CALLER { (ALICE, BOB) } else { (BOB, ALICE) };
    let mut heard = Vec::new();
    for _ in 0..count {
        stage.wait(u64::from(mouth.ms));
        for (at_whom, packet) in stage.pass(party, from, &mouth.packet()) {
            assert_eq!(at_whom, at(to));
            heard.push(packet);
        }
    }
    heard
}

/// The samples in packets of a codec, at 8 kHz.
fn samples_in(codec: &Codec, number: u8, packets: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = codec.decoder().expect("audio");
    let mut resampler = Resampler::new(codec.sample_rate, 8_000).expect("a rate");
    let (mut block, mut samples) = (vec![0; 48_000], Vec::new());
    for packet in packets {
        let packet = parse(packet);
        assert_eq!(packet.payload_type(), number);
        let count = decoder.decode(packet.payload(), &mut block);
        resampler.process(&block[..count], &mut samples);
    }
    samples
}

fn assert_tone(samples: &[i16], what: &str) {
    assert!(samples.len() >= 6_000, "{what}: {} samples", samples.len());
    // Codecs take a moment.
    let settled = &samples[1_600..5_600];
    let (tone, all) = (frequency_level(settled, 8_000, TONE_HZ), level(settled));
    assert!((tone - TONE_DBFS).abs() < 1.5 && (all - tone).abs() < 1.0, "{what}: the tone has {tone} dB of {all} dB");
}

/// Headers of packets that follow on one another: one source, the next number, the next timestamp.
fn assert_one_stream(packets: &[Vec<u8>], ticks: u32) {
    for pair in packets.windows(2) {
        let (one, next) = (parse(&pair[0]).header(), parse(&pair[1]).header());
        assert_eq!(next.ssrc, one.ssrc);
        assert_eq!(next.sequence, one.sequence.wrapping_add(1));
        assert_eq!(next.timestamp.wrapping_sub(one.timestamp), ticks);
    }
}

/// Alice has this codec and Bob that one.
fn between(alice: u8, bob: u8) -> Stage {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, &format!("{alice} 101")), &phone(BOB, &format!("{bob} 101")));
    stage
}

#[test]
fn a_tone_comes_through_between_any_two_codecs_both_ways() {
    for alice in coded() {
        for bob in coded() {
            let mut stage = Stage::with(with_all_codecs(), 8);
            let (a, b) = (alice.static_payload_type.unwrap_or(110), bob.static_payload_type.unwrap_or(120));
            stage.connect(&phone_of(ALICE, alice, a), &phone_of(BOB, bob, b));
            // Phones send under the numbers of our descriptions, which are theirs where they were first.
            let (to_a, to_b) = (number_in(&stage.told[&CALLER], alice), number_in(&stage.told[&CALLEE], bob));
            let what = format!("{} to {}", alice.label, bob.label);
            let heard = speak(&mut stage, CALLER, &mut Mouth::new(alice, to_a, 20), 50);
            assert_eq!(heard.len(), 50, "{what}");
            assert_one_stream(&heard, bob.ticks_in(20));
            assert_tone(&samples_in(bob, b, &heard), &what);
            let heard = speak(&mut stage, CALLEE, &mut Mouth::new(bob, to_b, 20), 50);
            assert_eq!(heard.len(), 50, "back: {what}");
            assert_one_stream(&heard, alice.ticks_in(20));
            assert_tone(&samples_in(alice, a, &heard), &format!("back: {what}"));
        }
    }
}

#[test]
fn what_is_lost_stays_a_gap_and_what_is_new_is_marked() {
    let mut stage = between(0, 9);
    let mut mouth = Mouth::of(0, 20);
    for round in 0..3 {
        let before = speak(&mut stage, CALLER, &mut mouth, 5);
        let lost: u16 = 3;
        (0..lost).for_each(|_| drop(mouth.packet()));
        let mut packet = mouth.packet();
        packet[1] |= 0x80;
        let after = stage.pass(CALLER, ALICE, &packet);
        let (one, next) = (parse(before.last().expect("five")).header(), parse(&after[0].1).header());
        assert_eq!(next.sequence.wrapping_sub(one.sequence), lost + 1, "round {round}");
        assert_eq!(next.timestamp.wrapping_sub(one.timestamp), 160 * u32::from(lost + 1));
        assert!(next.marker && !one.marker);
    }
}

#[test]
fn a_late_packet_is_dropped_where_a_codec_builds_on_what_came_before_and_passes_where_none_does() {
    for (alice, bob, passes) in [(0, 9, false), (9, 0, false), (0, 8, true), (8, 0, true)] {
        let mut stage = between(alice, bob);
        let mut mouth = Mouth::of(alice, 20);
        speak(&mut stage, CALLER, &mut mouth, 3);
        let (first, second) = (mouth.packet(), mouth.packet());
        assert_eq!(stage.pass(CALLER, ALICE, &second).len(), 1);
        assert_eq!(stage.pass(CALLER, ALICE, &first).len(), usize::from(passes), "late, {alice} to {bob}");
        assert_eq!(stage.pass(CALLER, ALICE, &first).len(), usize::from(passes), "again, {alice} to {bob}");
        assert_eq!(stage.dropped(CALLER, DropReason::Late), u64::from(!passes), "what comes again is not late");
        // Far from everything, once: nobody knows what it is.
        let mut stray = mouth.packet();
        stray[2] ^= 0x80;
        assert!(stage.pass(CALLER, ALICE, &stray).is_empty());
    }
}

#[test]
fn packets_are_as_long_as_the_receiver_asks() {
    for (alice, bob) in [(0, 9), (9, 0), (0, 8)] {
        for (sent_ms, wanted_ms) in [(10, 20), (30, 20), (40, 20), (60, 20), (20, 10), (20, 30), (20, 40), (30, 40)] {
            let mut stage = Stage::with(with_g722(), 8);
            let wish = format!("a=ptime:{wanted_ms}\r\n");
            stage.connect(&phone(ALICE, &format!("{alice} 101")), &phone_with(BOB, &format!("{bob} 101"), &wish));
            let heard = speak(&mut stage, CALLER, &mut Mouth::of(alice, sent_ms), 1_200 / sent_ms);
            let what = format!("{alice} in {sent_ms} ms to {bob} in {wanted_ms} ms");
            assert_eq!(heard.len() as u32, 1_200 / wanted_ms, "{what}");
            assert!(heard.iter().all(|packet| packet.len() as u32 == 12 + 8 * wanted_ms), "{what}");
            assert_one_stream(&heard, 8 * wanted_ms);
            let codec = by_static_payload_type(bob).expect("a codec");
            assert_tone(&samples_in(codec, bob, &heard), &what);
        }
    }
}

#[test]
fn packets_of_any_length_pass_to_who_asks_for_none() {
    let mut stage = between(0, 9);
    for ms in [10, 20, 30, 40, 60, 100] {
        let mut mouth = Mouth::of(0, ms);
        mouth.ssrc = ms;
        let heard = speak(&mut stage, CALLER, &mut mouth, 2);
        assert_eq!(heard.iter().map(Vec::len).collect::<Vec<_>>(), [12 + 8 * ms as usize; 2]);
    }
}

#[test]
fn a_gap_in_audio_that_is_cut_anew_is_as_long_as_what_was_lost() {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, "0 101"), &phone_with(BOB, "9 101", "a=ptime:20\r\n"));
    let mut mouth = Mouth::of(0, 30);
    let before = speak(&mut stage, CALLER, &mut mouth, 4);
    (0..2).for_each(|_| drop(mouth.packet()));
    let after = speak(&mut stage, CALLER, &mut mouth, 4);
    let (one, next) = (parse(&before[5]).header(), parse(&after[0]).header());
    assert_eq!((before.len(), after.len()), (6, 6));
    // Sixty milliseconds are lost.
    assert_eq!(next.sequence.wrapping_sub(one.sequence), 4);
    assert_eq!(next.timestamp.wrapping_sub(one.timestamp), 4 * 160);
    // Silence suppressed is no loss: the clock goes on, the numbers do not.
    mouth.timestamp = mouth.timestamp.wrapping_add(8_000);
    let later = speak(&mut stage, CALLER, &mut mouth, 2);
    let (one, next) = (parse(&after[5]).header(), parse(&later[0]).header());
    assert_eq!(next.sequence.wrapping_sub(one.sequence), 1);
    assert_eq!(next.timestamp.wrapping_sub(one.timestamp), 8_000 + 160);
}

#[test]
fn keys_pass_under_the_numbers_of_each_and_in_the_one_stream() {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "9 97"));
    let mut mouth = Mouth::of(0, 20);
    let before = speak(&mut stage, CALLER, &mut mouth, 3);
    let key = |mouth: &mut Mouth, duration: u16, marker: bool| {
        let event = TelephoneEvent { event: 5, end: false, volume: 10, duration };
        let header = Header {
            marker,
            payload_type: 101,
            sequence: mouth.sequence,
            timestamp: mouth.timestamp,
            ssrc: mouth.ssrc,
        };
        mouth.sequence = mouth.sequence.wrapping_add(1);
        let mut bytes = vec![0; 16];
        header.write_packet(&event.to_bytes(), &mut bytes).expect("room");
        bytes
    };
    let mut last = parse(&before[2]).header();
    let began = last.timestamp.wrapping_add(160);
    for n in 1..=5u16 {
        let sent = stage.pass(CALLER, ALICE, &key(&mut mouth, 160 * n, n == 1));
        let packet = parse(&sent[0].1);
        let event = TelephoneEvent::parse(packet.payload()).expect("an event");
        assert_eq!((packet.payload_type(), packet.marker(), event.duration), (97, n == 1, 160 * n));
        assert_eq!((packet.ssrc(), packet.timestamp()), (last.ssrc, began));
        assert_eq!(packet.sequence(), last.sequence.wrapping_add(1));
        last = packet.header();
    }
    mouth.timestamp = mouth.timestamp.wrapping_add(5 * 160);
    let after = speak(&mut stage, CALLER, &mut mouth, 1);
    let next = parse(&after[0]).header();
    assert_eq!((next.sequence, next.timestamp), (last.sequence.wrapping_add(1), began.wrapping_add(5 * 160)));
}

#[test]
fn a_change_of_codec_in_mid_call_begins_and_ends_it_and_the_stream_goes_on() {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, "0 9 101"), &phone(BOB, "0 101"));
    let mut mouth = Mouth::of(0, 20);
    let mut to_alice = speak(&mut stage, CALLEE, &mut mouth, 5);
    assert_eq!(stage.engine.next_tick(), None, "nothing to do but to relay");
    let copy = parse(&to_alice[0]).payload().to_vec();
    assert_eq!(copy.len(), 160);

    // Alice wants G.722 now; what Bob sends becomes that.
    assert_eq!(stage::formats_in(&stage.reoffer(CALLER, &phone(ALICE, "9 101")).expect("an answer")), "9 101");
    to_alice.extend(speak(&mut stage, CALLEE, &mut mouth, 50));
    assert_tone(&samples_in(by_static_payload_type(9).expect("a codec"), 9, &to_alice[5..]), "to Alice");
    let heard = speak(&mut stage, CALLER, &mut Mouth::of(9, 20), 50);
    assert_tone(&samples_in(by_static_payload_type(0).expect("a codec"), 0, &heard), "to Bob");
    assert!(stage.engine.next_tick().is_some(), "reports are made here");

    // And PCMU again.
    stage.reoffer(CALLER, &phone(ALICE, "0 101")).expect("an answer");
    let packet = mouth.packet();
    let sent = stage.wait(20).pass(CALLEE, BOB, &packet);
    assert_eq!(parse(&sent[0].1).payload(), parse(&packet).payload(), "as it came");
    to_alice.push(sent[0].1.clone());
    assert_one_stream(&to_alice, 160);
    assert_eq!(stage.engine.next_tick(), None);
}

#[test]
fn a_change_of_codec_to_another_clock_or_packet_length_is_one_stream_as_well() {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, "0 9 101"), &phone(BOB, "0 101"));
    let mut mouth = Mouth::of(0, 20);
    let mut to_alice = speak(&mut stage, CALLEE, &mut mouth, 5);
    stage.reoffer(CALLER, &phone_with(ALICE, "9 101", "a=ptime:40\r\n")).expect("an answer");
    let cut = speak(&mut stage, CALLEE, &mut mouth, 6);
    assert_eq!(cut.len(), 3);
    stage.reoffer(CALLER, &phone(ALICE, "0 101")).expect("an answer");
    let after = speak(&mut stage, CALLEE, &mut mouth, 2);
    to_alice.extend(cut);
    to_alice.extend(after);
    for pair in to_alice.windows(2) {
        let (one, next) = (parse(&pair[0]).header(), parse(&pair[1]).header());
        assert_eq!((next.ssrc, next.sequence), (one.ssrc, one.sequence.wrapping_add(1)));
        let passed = next.timestamp.wrapping_sub(one.timestamp);
        assert!((160..=640).contains(&passed), "{passed}");
    }
}

#[test]
fn who_takes_a_place_with_another_codec_is_heard() {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "0 101"));
    speak(&mut stage, CALLER, &mut Mouth::of(0, 20), 5);
    stage.open_spare(CALLEE);
    let offer = stage.make_offer(NEW_SEAT, NEW_LEG).expect("an offer");
    assert_eq!(stage::formats_in(&offer), "0 8 9 101", "what Alice uses comes first");
    stage.accept(NEW_SEAT, NEW_LEG, &phone(CAROL, "9 101")).expect("usable");
    assert_eq!(stage.engine.next_tick(), None, "she does not talk yet");
    stage.swap(CALLEE);
    let mut heard = Vec::new();
    let mut mouth = Mouth::of(9, 20);
    for _ in 0..50 {
        heard.extend(stage.wait(20).pass(CALLEE, CAROL, &mouth.packet()).into_iter().map(|(_, packet)| packet));
    }
    assert_tone(&samples_in(by_static_payload_type(0).expect("a codec"), 0, &heard), "Carol to Alice");
    // Bob comes back, and nothing is left of it.
    stage.swap(CALLEE);
    assert_eq!(stage.engine.next_tick(), None);
    stage.close_spare();
    let packet = Mouth::of(0, 20).packet();
    let sent = stage.pass(CALLER, ALICE, &packet);
    assert_eq!((sent[0].0, parse(&sent[0].1).payload()), (at(BOB), parse(&packet).payload()));
}

#[test]
fn hold_and_tones_are_as_ever() {
    let mut stage = between(0, 9);
    speak(&mut stage, CALLER, &mut Mouth::of(0, 20), 5);
    stage.reoffer(CALLEE, &phone_with(BOB, "9 101", "a=sendonly\r\n")).expect("an answer");
    assert!(stage.pass(CALLER, ALICE, &Mouth::of(0, 20).packet()).is_empty());
    stage.hear(CALLEE, Source::Ringback);
    stage.reoffer(CALLEE, &phone(BOB, "9 101")).expect("an answer");
    let sent = stage.run(1_000);
    let tone: Vec<_> = sent.iter().filter(|sent| sent.to == at(BOB)).map(|sent| sent.bytes.clone()).collect();
    assert!(tone.iter().all(|packet| parse(packet).payload_type() == 9) && tone.len() >= 49);
    stage.hear(CALLEE, Source::Peer);
    let heard = speak(&mut stage, CALLER, &mut Mouth::of(0, 20), 50);
    let (last, next) = (parse(tone.last().expect("a tone")).header(), parse(&heard[0]).header());
    assert_eq!((next.ssrc, next.sequence), (last.ssrc, last.sequence.wrapping_add(1)));
    assert_tone(&samples_in(by_static_payload_type(9).expect("a codec"), 9, &heard), "after the tone");
}

#[test]
fn an_echo_stays_what_was_sent() {
    let mut stage = between(0, 9);
    stage.hear(CALLER, Source::Silence).hear(CALLEE, Source::Echo);
    let packet = Mouth::of(9, 20).packet();
    let sent = stage.pass(CALLEE, BOB, &packet);
    assert_eq!((sent[0].0, parse(&sent[0].1).payload()), (at(BOB), parse(&packet).payload()));
}

#[test]
fn parties_of_different_families_have_different_codecs() {
    let mut stage = Stage::with(with_g722(), 8);
    let alice = "[2001:db8:1::a]:4000";
    let offer = Some((CALLER, hookswitch_call::Sdp::from(phone(alice, "0 101").as_str())));
    let near = Some(ip(stage::SWITCH_V6));
    stage.perform(hookswitch_call::MediaOp::Open { call: CALL, offer, codecs: None, near, room: None });
    stage.make_offer(CALLEE, stage::CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, stage::CALLEE_LEG, &phone(BOB, "9 101")).expect("usable");
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
    let socket = stage.ports.taken.iter().find(|pair| pair.rtp.0 >= 16).expect("an IPv6 pair").rtp;
    let mut mouth = Mouth::of(0, 20);
    let mut heard = Vec::new();
    for _ in 0..50 {
        let packet = mouth.packet();
        let mut buffer = [0; stage::ROOM];
        buffer[..packet.len()].copy_from_slice(&packet);
        let now = stage.wait(20).now;
        let forward = stage.engine.handle_packet(now, socket, at(alice), &mut buffer, packet.len());
        let Forward::Send { to, len, .. } = forward else { panic!("{forward:?}") };
        assert_eq!(to, at(BOB));
        heard.push(buffer[..len].to_vec());
    }
    assert_tone(&samples_in(by_static_payload_type(9).expect("a codec"), 9, &heard), "from IPv6 to IPv4");
}

#[test]
fn a_late_offer_and_an_early_answer_may_differ_too() {
    let mut stage = Stage::with(with_g722(), 8);
    stage.open(None);
    let on = stage.make_offer(CALLEE, stage::CALLEE_LEG).expect("an offer");
    assert_eq!(stage::formats_in(&on), "0 8 9 101");
    stage.accept(CALLEE, stage::CALLEE_LEG, &phone(BOB, "9 101")).expect("usable");
    let ours = stage.make_offer(CALLER, stage::CALLER_LEG).expect("an offer in the 200");
    assert_eq!(stage::formats_in(&ours), "9 0 8 101");
    stage.accept(CALLER, stage::CALLER_LEG, &phone(ALICE, "8 101")).expect("the answer in the ACK");
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
    let heard = speak(&mut stage, CALLER, &mut Mouth::of(8, 20), 50);
    assert_tone(&samples_in(by_static_payload_type(9).expect("a codec"), 9, &heard), "to Bob");
}

#[test]
fn each_branch_of_a_fork_may_have_a_codec_of_its_own() {
    let mut stage = Stage::with(with_g722(), 8);
    stage.open(Some(&phone(ALICE, "0 101")));
    stage.make_offer(CALLEE, stage::CALLEE_LEG).expect("an offer");
    stage.make_offer(CALLEE, NEW_LEG).expect("an offer");
    // The first rings with a tone of its own, in PCMU; the second answers in G.722.
    stage.accept(CALLEE, stage::CALLEE_LEG, &phone(BOB, "0 101")).expect("usable");
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Peer);
    let early = speak(&mut stage, CALLEE, &mut Mouth::of(0, 20), 5);
    stage.accept(CALLEE, NEW_LEG, &phone(CAROL, "9 101")).expect("usable");
    stage.hear(CALLEE, Source::Peer);
    let mut mouth = Mouth::of(9, 20);
    mouth.ssrc = 0xca401;
    let mut heard = early;
    for _ in 0..50 {
        heard.extend(stage.wait(20).pass(CALLEE, CAROL, &mouth.packet()).into_iter().map(|(_, packet)| packet));
    }
    let (one, next) = (parse(&heard[4]).header(), parse(&heard[5]).header());
    assert_eq!((next.ssrc, next.sequence), (one.ssrc, one.sequence.wrapping_add(1)));
    assert_tone(&samples_in(by_static_payload_type(0).expect("a codec"), 0, &heard[5..]), "the second branch");
}

#[test]
fn what_is_forged_or_cut_short_harms_nobody() {
    let mut stage = between(0, 9);
    let mut mouth = Mouth::of(0, 20);
    speak(&mut stage, CALLER, &mut mouth, 2);
    for length in [0, 1, 11, 12, 13, 1_400] {
        let mut packet = mouth.packet();
        packet.resize(length, 0xd5);
        for (_, sent) in stage.pass(CALLER, ALICE, &packet) {
            assert!(parse(&sent).payload().len() == length - 12, "{length}");
        }
    }
    assert!(!is_sent(&stage.send(CALLER, "203.0.113.66:666", &mut mouth.packet())), "a stranger");
    assert_eq!(speak(&mut stage, CALLER, &mut mouth, 5).len(), 5);
}

#[test]
fn keys_run_by_the_clock_of_each() {
    let mut stage = opus_to_pcmu("");
    let event_of = |header: Header, duration: u16| {
        let event = TelephoneEvent { event: 5, end: false, volume: 10, duration };
        let mut bytes = vec![0; 16];
        header.write_packet(&event.to_bytes(), &mut bytes).expect("room");
        bytes
    };
    let mut mouth = Mouth::new(opus(), 110, 20);
    let before = speak(&mut stage, CALLER, &mut mouth, 3);
    let Mouth { sequence, timestamp, ssrc, .. } = mouth;
    let header = Header { marker: true, payload_type: 111, sequence, timestamp, ssrc };
    let sent = stage.pass(CALLER, ALICE, &event_of(header, 960));
    let (last, packet) = (parse(&before[2]).header(), parse(&sent[0].1));
    assert_eq!((packet.payload_type(), packet.timestamp()), (101, last.timestamp.wrapping_add(160)));
    assert_eq!(packet.sequence(), last.sequence.wrapping_add(1));
    assert_eq!(TelephoneEvent::parse(packet.payload()).expect("an event").duration, 160);
    // The other way round, and longer than it can be said there.
    let mut begun = None;
    for (sequence, duration, segment, expected) in
        [(1, 160, 0, 960), (2, 10_880, 0, 65_280), (3, 20_000, 65_280, 54_720)]
    {
        let header = Header { marker: sequence == 1, payload_type: 101, sequence, timestamp: 800, ssrc: 0xb0b };
        let sent = stage.pass(CALLEE, BOB, &event_of(header, duration));
        let packet = parse(&sent[0].1);
        assert_eq!((packet.payload_type(), packet.marker()), (111, sequence == 1));
        let begun = *begun.get_or_insert(packet.timestamp());
        assert_eq!(packet.timestamp().wrapping_sub(begun), segment);
        assert_eq!(TelephoneEvent::parse(packet.payload()).expect("an event").duration, expected);
    }
}

#[test]
fn a_short_loss_of_opus_is_filled_here_and_a_long_one_is_not() {
    for (lost, missing) in [(1, 0), (3, 0), (4, 4), (20, 20)] {
        let mut stage = opus_to_pcmu("");
        let mut mouth = Mouth::new(opus(), 110, 20);
        let mut heard = speak(&mut stage, CALLER, &mut mouth, 20);
        (0..lost).for_each(|_| drop(mouth.packet()));
        heard.extend(speak(&mut stage, CALLER, &mut mouth, 30));
        assert_eq!(heard.len(), 50 + lost - missing, "{lost} lost");
        let (one, next) = (parse(&heard[19]).header(), parse(&heard[20]).header());
        assert_eq!(usize::from(next.sequence.wrapping_sub(one.sequence)), missing + 1);
        assert_eq!(next.timestamp.wrapping_sub(one.timestamp), 160 * (missing as u32 + 1));
        if missing == 0 {
            assert_one_stream(&heard, 160);
            let samples = samples_in(by_label("PCMU").expect("a codec"), 0, &heard);
            let filled = &samples[20 * 160..(20 + lost) * 160];
            // It fades, the longer the more.
            assert!(level(filled) > TONE_DBFS - 10.0, "{lost} lost: {} dB", level(filled));
        }
    }
}

#[test]
fn what_opus_leaves_out_as_silence_is_no_loss() {
    let mut stage = opus_to_pcmu("a=fmtp:110 usedtx=1\r\n");
    let silence = |sequence: u16| {
        let mut bytes = vec![0xff; 172];
        let timestamp = 160 * u32::from(sequence);
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 0xb0b }.write(&mut bytes).expect("room");
        bytes
    };
    let sent: Vec<_> =
        (0..200).filter_map(|n| Some((n, stage.wait(20).pass(CALLEE, BOB, &silence(n)).pop()?.1))).collect();
    assert!(sent.len() < 100, "{} of 200", sent.len());
    for pair in sent.windows(2) {
        let (one, next) = (parse(&pair[0].1).header(), parse(&pair[1].1).header());
        assert_eq!(next.sequence, one.sequence.wrapping_add(1), "nothing is missing");
        assert_eq!(next.timestamp.wrapping_sub(one.timestamp), 960 * u32::from(pair[1].0 - pair[0].0));
        assert_eq!(next.marker, pair[1].0 > pair[0].0 + 1);
    }
}

#[test]
fn what_is_only_passed_on_is_offered_where_the_other_party_has_it() {
    for (offer, offered_on) in [("18 101", "18 101"), ("18 0 101", "0 18 8 101"), ("0 101", "0 8 101")] {
        let mut stage = Stage::with(config(), 8);
        let names = ["PCMU", "PCMA", "G729", "telephone-event"].map(Into::into);
        let codecs = Some(hookswitch_call::Codecs(names.into()));
        let sdp = Some((CALLER, hookswitch_call::Sdp::from(phone(ALICE, offer).as_str())));
        stage.perform(hookswitch_call::MediaOp::Open { call: CALL, offer: sdp, codecs, near: None, room: None });
        let on = stage.make_offer(CALLEE, stage::CALLEE_LEG).expect("an offer");
        assert_eq!(stage::formats_in(&on), offered_on, "the caller has {offer}");
        if offer != "0 101" {
            stage.accept(CALLEE, stage::CALLEE_LEG, &phone(BOB, "18 101")).expect("usable");
            let back = stage.make_answer(CALLER).expect("an answer");
            assert_eq!(stage::formats_in(&back), "18 101");
            // And nobody can be brought into that call who has it not.
            stage.open_spare(CALLEE);
            assert_eq!(stage::formats_in(&stage.make_offer(NEW_SEAT, NEW_LEG).expect("an offer")), "18 101");
            assert_eq!(stage.accept(NEW_SEAT, NEW_LEG, &phone(CAROL, "0 101")).expect_err("G.729 only").code, 488);
            assert_eq!(stage.reoffer(NEW_SEAT, &phone(CAROL, "0 101")).expect_err("G.729 only").code, 488);
        }
    }
}
