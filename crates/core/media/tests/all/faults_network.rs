//! What networks and strangers do to packets, to every kind of call: nothing panics, nobody else notices, and whoever
//! comes back is heard.

use crate::originals::{Disk, begin, file, play, says, soup};
use crate::stage::{ALICE, BOB, CALL, ROOM, Stage, at, parse, phone, phone_with, with_g722};
use hookswitch_call::{MediaOp, Part, Party, PlayId, Plays, RecordPlan, Room, Soup, Source};
use hookswitch_codec::frequency_level;
use hookswitch_codec::g711::{linear_from_ulaw, ulaw_from_linear};
use hookswitch_media::{DropReason, Forward, SocketIx};
use hookswitch_rtp::{CompoundWriter, ReportBlock, SenderInfo, is_rtcp};
use proptest::prelude::*;

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const STRANGER: &str = "203.0.113.66:666";

/// What Alice's packets come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Relayed,
    Recoded,
    Widened,
    Echoed,
    Mixed,
    PlayedTo,
    Recorded,
}

const KINDS: [Kind; 7] =
    [Kind::Relayed, Kind::Recoded, Kind::Widened, Kind::Echoed, Kind::Mixed, Kind::PlayedTo, Kind::Recorded];

/// A call of this kind, with Alice as its caller, who talks in PCMU.
fn call(kind: Kind) -> (Stage, Disk) {
    let mut stage = Stage::with(with_g722(), 8);
    let mut disk = Disk::default().with("long", 0x21, 3_600_000);
    let alice = phone_with(ALICE, "0 101", "a=rtcp-mux\r\n");
    match kind {
        Kind::Relayed | Kind::Recorded => stage.connect(&alice, &phone(BOB, "0 101")),
        Kind::Recoded => stage.connect(&alice, &phone(BOB, "8 101")),
        Kind::Widened => stage.connect(&alice, &phone(BOB, "9 101")),
        Kind::Echoed | Kind::Mixed | Kind::PlayedTo => stage.open(Some(&alice)),
    };
    if matches!(kind, Kind::Echoed | Kind::Mixed | Kind::PlayedTo) {
        stage.make_answer(CALLER).expect("an answer");
    }
    match kind {
        Kind::Relayed | Kind::Recoded | Kind::Widened => {}
        Kind::Recorded => begin(&mut stage, CALL, CALLER, 1, RecordPlan::both_sides("a.wav".into())),
        Kind::Echoed => drop(stage.perform(MediaOp::Hear { call: CALL, seat: CALLER.into(), source: Source::Echo })),
        Kind::PlayedTo => {
            let source = Source::Sounds;
            stage.perform(MediaOp::Hear { call: CALL, seat: CALLER.into(), source });
            play(&mut stage, CALL, CALLER, PlayId(1), Soup { plays: Plays::Forever, ..soup([file("long")]) });
        }
        Kind::Mixed => {
            let (room, part) = (Room::from("a@example.com"), Part::default());
            stage.perform(MediaOp::Join { call: CALL, party: CALLER, room, part });
            stage.perform(MediaOp::Hear { call: CALL, seat: CALLER.into(), source: Source::Room });
        }
    }
    disk.run(&mut stage, 20);
    (stage, disk)
}

/// Whether Alice's audio goes somewhere by itself in such a call.
fn passes(kind: Kind) -> bool {
    !matches!(kind, Kind::Mixed | Kind::PlayedTo)
}

/// Fifty packets of Alice's in a row; as many are sent where hers pass, and nothing of them is refused.
fn assert_heard(stage: &mut Stage, disk: &mut Disk, kind: Kind, first: u16) {
    let before = stage.engine.stats(CALL).expect("the call").caller;
    let mut passed = Vec::new();
    for n in 0..50 {
        passed.extend(stage.pass(CALLER, ALICE, &says(0, first.wrapping_add(n), 7, 0x31)));
        disk.run(stage, 20);
    }
    let after = stage.engine.stats(CALL).expect("the call").caller;
    assert_eq!(after.received_packets - before.received_packets, 50, "{kind:?}");
    assert_eq!(passed.len(), if passes(kind) { 50 } else { 0 }, "{kind:?}");
    for pair in passed.windows(2) {
        let (one, next) = (parse(&pair[0].1).header(), parse(&pair[1].1).header());
        assert_eq!((next.ssrc, next.sequence), (one.ssrc, one.sequence.wrapping_add(1)), "{kind:?}");
    }
}

#[test]
fn a_storm_of_sources_is_over_when_it_is_over() {
    for kind in KINDS {
        let (mut stage, mut disk) = call(kind);
        for n in 0..5_000u32 {
            let packet = says(0, (n as u16).wrapping_mul(7_919), n.wrapping_mul(0x9e37_79b9), 0x31);
            stage.pass(CALLER, ALICE, &packet);
            if n % 10 == 0 {
                disk.run(&mut stage, 20);
            }
        }
        // The first of a new source may have to be confirmed.
        for n in 0..5 {
            stage.pass(CALLER, ALICE, &says(0, 1_000 + n, 7, 0x31));
            disk.run(&mut stage, 20);
        }
        assert_heard(&mut stage, &mut disk, kind, 1_005);
        stage.close();
        disk.run(&mut stage, 2_000);
        assert_eq!((disk.open_files(), stage.ports.free()), (0, 16), "{kind:?}");
    }
}

#[test]
fn wrong_payload_types_are_left_out_one_by_one() {
    for kind in KINDS {
        let (mut stage, mut disk) = call(kind);
        // 13 is comfort noise, whoever has agreed to it.
        let wrong: Vec<u8> = (0..128).filter(|number| ![0, 13, 101].contains(number)).collect();
        for (n, number) in wrong.iter().enumerate() {
            let packet = says(*number, n as u16, 7, 0x31);
            // What may be RTCP by its second byte is taken for that, and refused as such.
            assert!(stage.pass(CALLER, ALICE, &packet).is_empty(), "{kind:?}: {number}");
            assert!(stage.pass(CALLER, STRANGER, &packet).is_empty(), "{kind:?}: {number}");
        }
        let counters = stage.engine.stats(CALL).expect("the call").caller;
        assert_eq!((counters.received_packets, counters.dropped_total()), (0, 2 * wrong.len() as u64), "{kind:?}");
        assert_heard(&mut stage, &mut disk, kind, 2_000);
    }
}

#[test]
fn packets_cut_off_anywhere_are_heard_as_far_as_they_go_or_not_at_all() {
    for kind in KINDS {
        let (mut stage, mut disk) = call(kind);
        let whole = says(0, 100, 7, 0x31);
        for length in 0..=whole.len() {
            let mut packet = says(0, 100 + length as u16, 7, 0x31);
            packet.truncate(length);
            for (to, sent) in stage.pass(CALLER, ALICE, &packet) {
                assert!(length >= 12 && [at(ALICE), at(BOB)].contains(&to), "{kind:?}: {length}");
                assert!(parse(&sent).payload().len() <= 320, "{kind:?}: {length}");
            }
            disk.run(&mut stage, 20);
        }
        assert_heard(&mut stage, &mut disk, kind, 273);
    }
}

/// Numbers that look like chance and are the same in every run.
fn chance(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn of_thirty_lost_in_a_hundred_the_others_arrive_and_the_gaps_stay_where_they_are() {
    for kind in KINDS.into_iter().filter(|kind| passes(*kind)) {
        let (mut stage, mut disk) = call(kind);
        let mut state = 5;
        let (mut said, mut arrived) = (Vec::new(), Vec::new());
        for n in 0..1_000 {
            if chance(&mut state) % 100 >= 30 {
                said.push(n);
                let sent = stage.pass(CALLER, ALICE, &says(0, n, 7, 0x31));
                arrived.extend(sent.iter().map(|(_, packet)| parse(packet).header()));
            }
            disk.run(&mut stage, 20);
        }
        assert!((600..800).contains(&said.len()));
        assert_eq!(arrived.len(), said.len(), "{kind:?}");
        for (pair, numbers) in arrived.windows(2).zip(said.windows(2)) {
            let gap = numbers[1] - numbers[0];
            assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), gap, "{kind:?}");
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160 * u32::from(gap), "{kind:?}");
        }
    }
}

#[test]
fn half_a_second_of_jitter_loses_nothing_where_nothing_has_to_be_decoded_in_order() {
    for kind in [Kind::Relayed, Kind::Recoded, Kind::Echoed, Kind::Recorded] {
        let (mut stage, mut disk) = call(kind);
        let mut state = 6;
        // The first comes at once, so that the stream begins with it.
        let mut arrivals: Vec<(u64, u16)> =
            (0..1_000).map(|n| (20 * u64::from(n) + if n == 0 { 0 } else { chance(&mut state) % 500 }, n)).collect();
        arrivals.sort_unstable();
        let begun = stage.now;
        let mut arrived = Vec::new();
        for (ms, n) in arrivals {
            let passed = (stage.now - begun).as_millis() as u64;
            disk.run(&mut stage, (ms - passed) / 20 * 20);
            let sent = stage.pass(CALLER, ALICE, &says(0, n, 7, n as u8));
            arrived.extend(sent.iter().map(|(_, packet)| parse(packet).header()));
        }
        assert_eq!(arrived.len(), 1_000, "{kind:?}");
        arrived.sort_by_key(|header| header.sequence);
        for pair in arrived.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence + 1, "{kind:?}");
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160, "{kind:?}");
        }
    }
}

#[test]
fn a_clock_that_is_200_ppm_fast_or_slow_for_an_hour_loses_nothing() {
    for ppm in [-200i64, 200] {
        for kind in [Kind::Relayed, Kind::Recoded, Kind::Echoed] {
            let (mut stage, _) = call(kind);
            let (begun, interval) = (stage.now, (20_000_000 + 20 * ppm) as u64);
            let (mut count, mut last) = (0u32, None);
            while (stage.now - begun).as_secs() < 3_600 {
                let sent = stage.pass(CALLER, ALICE, &says(0, count as u16, 7, 0x31));
                let [(_, packet)] = &sent[..] else { panic!("{kind:?}: {} packets at {count}", sent.len()) };
                let mut header = parse(packet).header();
                // `says` begins its clock anew with every wrap of the number.
                header.timestamp = 0;
                if let Some(before) = last.replace(header) {
                    let next = hookswitch_rtp::Header { sequence: before.sequence.wrapping_add(1), ..before };
                    assert_eq!((next.sequence, next.ssrc), (header.sequence, header.ssrc), "{kind:?} at {count}");
                }
                count += 1;
                stage.now += std::time::Duration::from_nanos(interval);
            }
            assert!((179_900..180_100).contains(&count));
            assert_eq!(stage.dropped(CALLER, DropReason::Late), 0);
        }
    }
}

#[test]
fn a_pause_without_packets_stays_as_long_as_it_was_and_what_follows_is_marked_as_the_phone_has_it() {
    for kind in KINDS.into_iter().filter(|kind| passes(*kind)) {
        let (mut stage, mut disk) = call(kind);
        let mut arrived = Vec::new();
        // Four times a second of speech and three of nothing: the numbers go on, the clock leaps.
        for spurt in 0..4u16 {
            for n in 0..50 {
                let mut packet = says(0, 50 * spurt + n, 7, 0x31);
                let timestamp = (u32::from(spurt) * 200 + u32::from(n)) * 160;
                packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
                packet[1] |= if n == 0 { 0x80 } else { 0 };
                arrived
                    .extend(stage.pass(CALLER, ALICE, &packet).into_iter().map(|(_, packet)| parse(&packet).header()));
                disk.run(&mut stage, 20);
            }
            disk.run(&mut stage, 3_000);
        }
        assert_eq!(arrived.len(), 200, "{kind:?}");
        for (n, pair) in arrived.windows(2).enumerate() {
            let after_pause = (n + 1) % 50 == 0;
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{kind:?}");
            let ticks = if after_pause { 151 * 160 } else { 160 };
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), ticks, "{kind:?} at {n}");
            assert_eq!(pair[1].marker, after_pause, "{kind:?} at {n}");
        }
    }
}

/// Reports as phones send them, to be forged.
fn reports() -> Vec<u8> {
    let block = ReportBlock { ssrc: 7, fraction_lost: 3, ..ReportBlock::default() };
    let mut buffer = [0; 256];
    let mut writer = CompoundWriter::new(&mut buffer);
    let info = SenderInfo { ntp: 0x1234_5678_9abc_def0, rtp_timestamp: 160, packet_count: 9, octet_count: 1_440 };
    writer.sender_report(7, info, &[block]).expect("room");
    writer.cname(7, b"alice").expect("room");
    writer.bye(7, b"").expect("room");
    let length = writer.len();
    buffer[..length].to_vec()
}

/// A packet of a kind that may well be there, and what is done to it.
fn forged() -> impl Strategy<Value = Vec<u8>> {
    let key = {
        let mut key = says(101, 3, 7, 0);
        key.truncate(16);
        key[12..].copy_from_slice(&[4, 10, 0, 160]);
        key
    };
    let genuine = prop_oneof![Just(says(0, 1, 7, 0x31)), Just(key), Just(reports())];
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (genuine, changes, any::<prop::sample::Index>(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(
        |(mut packet, changes, end, more)| {
            for (place, byte) in changes {
                let place = place.index(packet.len());
                packet[place] = byte;
            }
            packet.extend(more);
            let length = packet.len() + 1;
            packet.truncate(end.index(length));
            packet
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn forged_packets_of_any_sort_harm_no_call_of_any_kind(
        kind in (0..KINDS.len()).prop_map(|place| KINDS[place]),
        packets in proptest::collection::vec((forged(), 0..4u8, 0..30u64), 0..60),
    ) {
        let (mut stage, mut disk) = call(kind);
        // Both have spoken, and not so long ago that a stranger could be taken for one of them.
        stage.pass(CALLER, ALICE, &says(0, 0, 7, 0x31));
        if stage.our_port.contains_key(&CALLEE) {
            let number = if kind == Kind::Recoded { 8 } else if kind == Kind::Widened { 9 } else { 0 };
            stage.pass(CALLEE, BOB, &says(number, 0, 8, 0x31));
        }
        for (packet, way, ms) in packets {
            let party = if way == 1 && passes(kind) && kind != Kind::Echoed { CALLEE } else { CALLER };
            let from = match way {
                0 => STRANGER,
                1 if party == CALLEE => BOB,
                _ => ALICE,
            };
            let socket = SocketIx(stage.socket_of(party).0 + u32::from(way == 3));
            let mut buffer = [0; ROOM];
            buffer[..packet.len()].copy_from_slice(&packet);
            let forward = stage.engine.handle_packet(stage.now, socket, at(from), &mut buffer, packet.len());
            if let Forward::Send { to, len, .. } = forward {
                prop_assert!(len <= ROOM && from != STRANGER);
                prop_assert!([ALICE, BOB].iter().any(|name| at(name).ip() == to.ip()));
            }
            stage.engine.send_ready(&mut |_, _, _| {});
            stage.run(ms);
            disk.serve(&mut stage);
            stage.reports();
        }
        stage.close();
        disk.run(&mut stage, 2_000);
        prop_assert_eq!((disk.open_files(), stage.ports.free(), stage.engine.totals().calls), (0, 16, 0));
        prop_assert_eq!(stage.engine.next_tick(), None);
    }
}

#[test]
fn a_third_lost_and_half_a_second_of_jitter_are_still_a_voice_in_a_conference() {
    const TONE_HZ: f64 = 400.0;
    for (loss, jitter) in [(30, 0), (0, 500), (10, 200)] {
        let mut stage = Stage::new();
        let names = [ALICE, BOB];
        for (place, name) in names.into_iter().enumerate() {
            let (call, room) = (hookswitch_call::CallId(place as u64 + 1), Room::from("a@example.com"));
            let offer = Some((CALLER, phone(name, "0").as_str().into()));
            for op in [
                MediaOp::Open { call, offer, codecs: None, near: None, room: Some(room.clone()) },
                MediaOp::MakeAnswer { call, seat: CALLER.into(), leg: hookswitch_call::LegId(0) },
                MediaOp::Join { call, party: CALLER, room, part: Part::default() },
                MediaOp::Hear { call, seat: CALLER.into(), source: Source::Room },
            ] {
                stage.perform(op);
            }
        }
        let tone = |n: u16| {
            let mut packet = says(0, n, 7, 0);
            for (place, byte) in packet[12..].iter_mut().enumerate() {
                let angle = std::f64::consts::TAU * TONE_HZ * (usize::from(n) * 160 + place) as f64 / 8_000.0;
                *byte = ulaw_from_linear((8_000.0 * angle.sin()) as i16);
            }
            packet
        };
        let mut state = 7;
        let numbers = (0..500).filter(|_| chance(&mut state) % 100 >= loss).collect::<Vec<u16>>();
        let late = |n: u16, state: &mut u64| (20 * u64::from(n) + chance(state) % (jitter + 1), n);
        let mut arrivals: Vec<(u64, u16)> = numbers.into_iter().map(|n| late(n, &mut state)).collect();
        arrivals.sort_unstable();
        let (mut heard, begun) = (Vec::new(), stage.now);
        let socket = stage.ports.socket(10_000);
        for (ms, n) in arrivals {
            let passed = (stage.now - begun).as_millis() as u64;
            heard.extend(stage.run(ms - passed));
            let mut packet = tone(n);
            let len = packet.len();
            stage.engine.handle_packet(stage.now, socket, at(ALICE), &mut packet, len);
            stage.reports();
        }
        let heard = heard.iter().filter(|sent| sent.to == at(BOB) && !is_rtcp(&sent.bytes));
        let samples: Vec<i16> =
            heard.flat_map(|sent| parse(&sent.bytes).payload().to_vec()).map(linear_from_ulaw).collect();
        assert!(samples.len() > 9 * 8_000, "a packet at every beat");
        let level = frequency_level(&samples[16_000..64_000], 8_000, TONE_HZ as f32);
        println!("{loss} % lost, {jitter} ms of jitter: {level} dB");
        assert!(level > -24.0, "{loss} % lost, {jitter} ms of jitter: {level} dB");
    }
}
