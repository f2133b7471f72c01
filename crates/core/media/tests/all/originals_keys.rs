//! What the tests of projectrtp pin down of keys, packet for packet, with what it has captured of real phones.

use std::time::Duration;

use crate::originals::{Disk, file, play, plays_ended, says, soup};
use crate::stage::{self, ALICE, BOB, CALL, Sent, Stage, at, parse, phone};
use hookswitch_call::{CallId, Digit, LegId, MediaOp, MediaReport, Part, Party, PlayEnd, PlayId, Room, Soup, Source};
use hookswitch_media::Forward;
use hookswitch_rtp::{EventReceiver, EventReport, Header, TelephoneEvent, is_rtcp};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

/// A key that is down for so long is 11 packets and its end three times, as the original sends each.
const LIKE_THE_ORIGINAL_MS: u64 = 240;
const PACKETS: usize = 14;

/// Alice, to whom only we speak.
fn service(source: Source) -> Stage {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 101")));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, source);
    stage
}

fn event(n: u16, timestamp: u32, marker: bool, payload: [u8; 4]) -> Vec<u8> {
    let header = Header { marker, payload_type: 101, sequence: n, timestamp, ssrc: 25 };
    let mut packet = vec![0; 16];
    header.write_packet(&payload, &mut packet).expect("room");
    packet
}

/// What a phone sent, and when: the lines are explained in the files.
fn captured(text: &str) -> Vec<(u64, Vec<u8>)> {
    let mut packets = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| words[place].parse::<u32>().expect("a number");
        let (ms, sequence, timestamp) = (u64::from(number(1)), number(2) as u16, number(3));
        if words[0] == "event" {
            let payload = u32::from_str_radix(words[5], 16).expect("four bytes").to_be_bytes();
            packets.push((ms, event(sequence, timestamp, number(4) == 1, payload)));
            continue;
        }
        for n in 0..number(4) {
            let mut packet = says(0, sequence.wrapping_add(n as u16), 25, 0x31);
            packet[4..8].copy_from_slice(&timestamp.wrapping_add(160 * n).to_be_bytes());
            packets.push((ms + 20 * u64::from(n), packet));
        }
    }
    packets.sort_by_key(|(ms, _)| *ms);
    packets
}

/// Plays what was captured from its beginning; what became of each packet.
fn replay(stage: &mut Stage, party: Party, packets: &[(u64, Vec<u8>)]) -> Vec<(Forward, Vec<u8>)> {
    let from = if party == CALLER { ALICE } else { BOB };
    let begun = stage.now;
    let mut all = Vec::new();
    for (ms, packet) in packets {
        let passed = (stage.now - begun).as_millis() as u64;
        stage.run(ms - passed);
        let mut packet = packet.clone();
        let forward = stage.send(party, from, &mut packet);
        stage.reports();
        all.push((forward, packet));
    }
    stage.run(5_000);
    stage.reports();
    all
}

/// The keys that were told of the caller, in their order.
fn told(stage: &mut Stage) -> String {
    let news = stage.take_news().into_iter();
    let keys = news.filter_map(|report| match report {
        MediaReport::Digit { party: CALLER, digit, .. } => Some(digit.key),
        _ => None,
    });
    keys.collect()
}

/// The keys in what was sent, and for how many ticks each was down.
fn keys_in<'s>(sent: impl IntoIterator<Item = &'s Sent>) -> Vec<(char, u32)> {
    let mut receiver = EventReceiver::new();
    let mut keys = Vec::new();
    for packet in sent {
        let rtp = parse(&packet.bytes);
        let event = TelephoneEvent::parse(rtp.payload()).expect("an event");
        for report in receiver.packet(packet.at, rtp.marker(), rtp.timestamp(), event) {
            if let EventReport::Ended { event, duration } = report {
                keys.push((TelephoneEvent::digit_of(event).expect("a key"), duration));
            }
        }
    }
    keys
}

/// Packets of events among what was sent.
fn events(sent: &[Sent]) -> Vec<&Sent> {
    sent.iter().filter(|packet| !is_rtcp(&packet.bytes) && packet.bytes.len() == 16).collect()
}

fn press(stage: &mut Stage, call: CallId, party: Party, keys: &str) {
    for key in keys.chars() {
        let digit = Digit { key, time: Duration::from_millis(LIKE_THE_ORIGINAL_MS) };
        stage.perform(MediaOp::Digit { call, party, digit });
    }
}

#[test]
fn a_key_in_three_packets_among_audio_is_told_once() {
    let mut stage = service(Source::Sounds);
    let audio = |range: std::ops::Range<u16>| range.map(|n| (20 * u64::from(n), says(0, n, 25, 0x31)));
    let key = [[4, 10, 0, 160], [4, 10, 0, 160], [4, 0x8a, 0, 160]];
    let key = (23..26).zip(key).map(|(n, payload)| (20 * u64::from(n), event(n, 22 * 160, n == 23, payload)));
    let packets: Vec<_> = audio(0..23).chain(key).chain(audio(26..40)).collect();
    replay(&mut stage, CALLER, &packets);
    assert_eq!(told(&mut stage), "4");
}

#[test]
fn two_keys_of_which_one_has_lost_its_end_are_told_in_their_order() {
    let mut stage = service(Source::Sounds);
    let packets = [
        (0, says(0, 12, 25, 0x31)),
        (20, event(13, 12 * 160, true, [4, 10, 0, 160])),
        (40, says(0, 14, 25, 0x31)),
        (70, event(16, 12 * 160, false, [4, 10, 0, 160])),
        (580, event(31, 29 * 160, true, [5, 10, 0, 160])),
        (600, says(0, 32, 25, 0x31)),
        (630, event(34, 29 * 160, false, [5, 10, 0, 160])),
        (680, event(37, 29 * 160, false, [5, 0x8a, 0, 160])),
    ];
    replay(&mut stage, CALLER, &packets);
    assert_eq!(told(&mut stage), "45");
}

#[test]
fn a_key_without_any_end_is_told_when_nothing_more_comes_of_it() {
    let mut stage = service(Source::Sounds);
    let audio = (0..13).chain(14..31).filter(|n| *n != 16).map(|n| (20 * u64::from(n), says(0, n, 25, 0x31)));
    let key = [(13, [4, 10, 0, 160]), (16, [4, 10, 1, 64])];
    let key = key.map(|(n, payload)| (20 * u64::from(n), event(n, 13 * 160, n == 13, payload)));
    let mut packets: Vec<_> = audio.chain(key).collect();
    packets.sort_by_key(|(ms, _)| *ms);
    replay(&mut stage, CALLER, &packets);
    assert_eq!(told(&mut stage), "4");
}

#[test]
fn two_keys_to_a_party_are_twenty_eight_packets() {
    let mut stage = service(Source::Echo);
    press(&mut stage, CALL, CALLER, "#1");
    let sent = stage.run(2_000);
    assert_eq!(events(&sent).len(), 2 * PACKETS);
    assert_eq!(keys_in(events(&sent)), [('#', 1_920), ('1', 1_920)]);
}

#[test]
fn three_keys_to_one_of_two_are_forty_two_packets_to_that_one_under_its_number() {
    for (formats, number) in [("0 101", 101), ("0 44", 44)] {
        let mut stage = Stage::new();
        stage.connect(&phone(ALICE, formats), &phone(BOB, "0 101"));
        press(&mut stage, CALL, CALLER, "*9D");
        let sent = stage.run(3_000);
        assert!(sent.iter().all(|packet| packet.to == at(ALICE)), "Bob is sent none");
        assert_eq!(sent.len(), 3 * PACKETS);
        assert!(sent.iter().all(|packet| parse(&packet.bytes).payload_type() == number));
        let of = |place: usize| TelephoneEvent::parse(parse(&sent[place].bytes).payload()).expect("an event");
        assert_eq!((of(0).event, of(0).duration, of(0).end), (10, 160, false));
        for end in [PACKETS - 3, PACKETS - 2, PACKETS - 1] {
            assert_eq!((of(end).event, of(end).duration, of(end).end), (10, 12 * 160, true));
        }
        assert_eq!(keys_in(&sent), [('*', 1_920), ('9', 1_920), ('D', 1_920)]);
    }
}

#[test]
fn five_keys_to_one_of_three_are_seventy_packets_to_that_one() {
    let mut stage = Stage::new();
    let names = ["198.51.100.1:4000", "198.51.100.2:4000", "198.51.100.3:4000"];
    for (place, name) in names.into_iter().enumerate() {
        let (call, room) = (CallId(place as u64 + 1), Room::from("three@example.com"));
        let offer = Some((CALLER, phone(name, "0 101").as_str().into()));
        for op in [
            MediaOp::Open { call, offer, codecs: None, near: None, room: Some(room.clone()) },
            MediaOp::MakeAnswer { call, seat: CALLER.into(), leg: LegId(0) },
            MediaOp::Join { call, party: CALLER, room, part: Part::default() },
            MediaOp::Hear { call, seat: CALLER.into(), source: Source::Room },
        ] {
            stage.perform(op);
        }
    }
    press(&mut stage, CallId(1), CALLER, "*9ABD");
    let sent = stage.run(4_000);
    let events = events(&sent);
    assert!(events.iter().all(|packet| packet.to == at(names[0])), "the others are sent none");
    assert_eq!(events.len(), 5 * PACKETS);
    assert_eq!(keys_in(events).iter().map(|(key, _)| *key).collect::<String>(), "*9ABD");
    let others = sent.iter().filter(|packet| packet.to != at(names[0]) && !is_rtcp(&packet.bytes)).count();
    assert_eq!(others, 2 * 200, "they hear the room meanwhile");
}

#[test]
fn keys_pass_between_two_laws_packet_for_packet_and_are_told_of_whoever_pressed_them() {
    for numbers in ["0 101", "0 96"] {
        let mut stage = Stage::new();
        stage.connect(&phone(ALICE, numbers), &phone(BOB, "8 101"));
        let number: u8 = numbers[2..].parse().expect("a number");
        let mut packets = Vec::new();
        for (key, first) in [(4, 13), (5, 40)] {
            for n in 0..PACKETS as u16 {
                let (end, duration) = (n >= 11, 160 * (n + 1).min(12));
                let payload = TelephoneEvent { event: key, end, volume: 10, duration }.to_bytes();
                let mut packet = event(first + n, u32::from(first) * 160, n == 0, payload);
                packet[1] = (packet[1] & 0x80) | number;
                packets.push((20 * u64::from(first + n), packet));
            }
        }
        let passed = replay(&mut stage, CALLER, &packets);
        assert_eq!(passed.len(), 2 * PACKETS);
        for (forward, packet) in &passed {
            assert_eq!(stage::sent_to(*forward), at(BOB));
            assert_eq!(parse(packet).payload_type(), 101);
        }
        assert_eq!(told(&mut stage), "45");
    }
}

#[test]
fn a_captured_key_among_audio_is_told_once() {
    let mut stage = service(Source::Sounds);
    let bodies =
        [(949, 0x00a0), (951, 0x0140), (953, 0x01e0), (955, 0x0280), (957, 0x0320), (959, 0x03c0), (961, 0x0460)];
    let ends = [963, 964, 966].map(|n| (n, 0x0460));
    let mut packets: Vec<(u64, Vec<u8>)> = Vec::new();
    for (n, duration, end) in bodies.map(|(n, d)| (n, d, 0)).into_iter().chain(ends.map(|(n, d)| (n, d, 0x80))) {
        let [high, low] = u16::to_be_bytes(duration);
        let mut packet = event(n, 148_640, n == 949, [3, 0x0a | end, high, low]);
        // What is behind the four bytes is none of the event.
        packet.extend([0x4c, 0xd1]);
        packets.push((20 * u64::from(n - 948), packet));
    }
    let taken: Vec<u64> = packets.iter().map(|(ms, _)| *ms).collect();
    let audio = (0..23u16).map(|n| (20 * u64::from(n), says(0, 948 + n, 25, 0x31)));
    packets.extend(audio.filter(|(ms, _)| !taken.contains(ms)));
    packets.sort_by_key(|(ms, _)| *ms);
    assert_eq!(packets.len(), 23);
    replay(&mut stage, CALLER, &packets);
    assert_eq!(told(&mut stage), "3");
}

#[test]
fn a_captured_key_ends_a_prompt_and_is_told() {
    for (text, keys) in
        [(include_str!("../captured/one_key.txt"), "2"), (include_str!("../captured/three_keys.txt"), "111")]
    {
        let mut stage = service(Source::Sounds);
        let mut disk = Disk::default().with("prompt", 0x21, 60_000);
        let prompt = Soup { interrupt: true, ..soup([file("prompt")]) };
        play(&mut stage, CALL, CALLER, PlayId(1), prompt);
        let packets = captured(text);
        let first = packets.iter().find(|(_, packet)| packet.len() == 16).expect("a key").0;
        let begun = stage.now;
        let mut told_at = None;
        for (ms, packet) in &packets {
            while ((stage.now - begun).as_millis() as u64) + 20 <= *ms {
                disk.run(&mut stage, 20);
            }
            stage.send(CALLER, ALICE, &mut packet.clone());
            let over = plays_ended(&mut stage);
            if let [(1, PlayEnd::TelephoneEvent, _)] = over[..] {
                told_at = told_at.or(Some(*ms));
            }
        }
        stage.run(5_000);
        stage.reports();
        let told_at = told_at.expect("it was interrupted");
        assert!((first..=first + 20).contains(&told_at), "a beat after its first packet, not {told_at} ms");
        assert_eq!(told(&mut stage), keys);
    }
}

#[test]
fn a_captured_walk_through_a_menu_is_eleven_keys_in_their_order() {
    let mut stage = service(Source::Sounds);
    replay(&mut stage, CALLER, &captured(include_str!("../captured/eleven_keys.txt")));
    assert_eq!(told(&mut stage), "91993311112");
}

#[test]
fn captured_keys_between_voices_pass_to_the_other_party_all_of_them() {
    let mut stage = Stage::talking();
    let packets = captured(include_str!("../captured/keys_between_voices.txt"));
    let begun = stage.now;
    let passed = replay(&mut stage, CALLEE, &packets);
    assert!(passed.iter().all(|(forward, _)| stage::sent_to(*forward) == at(ALICE)));
    let sent = packets.iter().zip(&passed).filter(|((_, packet), _)| packet.len() == 16);
    let sent: Vec<Sent> = sent
        .map(|((ms, _), (_, bytes))| Sent {
            at: begun + Duration::from_millis(*ms),
            socket: stage.socket_of(CALLER),
            to: at(ALICE),
            bytes: bytes.clone(),
        })
        .collect();
    assert_eq!(sent.len(), 35);
    assert_eq!(keys_in(&sent).iter().map(|(key, _)| *key).collect::<String>(), "22222");
}
