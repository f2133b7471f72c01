//! What the tests of projectrtp and of project-rtp pin down of one channel that hears itself, packet for packet.

use crate::stage::{self, ALICE, CALL, CALLEE_LEG, Stage, is_sent, parse, phone, phone_with};
use hookswitch_call::{CallId, MediaOp, MediaReport, Party, Source};
use hookswitch_media::{CallStats, DropReason, Forward, LatchConfig};
use hookswitch_rtp::Header;

const CALLER: Party = Party::Caller;
const SSRC: u32 = 25;

/// Alice, who hears herself.
fn echo() -> Stage {
    echo_for(ALICE)
}

/// The same, of somebody who says that it is elsewhere.
fn echo_for(advertised: &str) -> Stage {
    let mut stage = Stage::new();
    stage.open(Some(&phone(advertised, "0 101")));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Echo);
    stage
}

/// The packet of this number in a stream that had 100 to begin with: its payload is the number, again and again.
fn packet(n: u16, ssrc: u32, length: usize) -> Vec<u8> {
    let (sequence, timestamp) = (n.wrapping_add(100), u32::from(n) * 160);
    let header = Header { marker: false, payload_type: 0, sequence, timestamp, ssrc };
    let mut packet = vec![n as u8; length];
    packet[..12].copy_from_slice(&header.to_bytes());
    packet
}

/// What became of a packet that came now.
fn bounce(stage: &mut Stage, mut packet: Vec<u8>) -> Option<Vec<u8>> {
    is_sent(&stage.send(CALLER, ALICE, &mut packet)).then_some(packet)
}

/// Packets of these numbers, one every 20 ms; those that came back.
fn say(stage: &mut Stage, numbers: impl IntoIterator<Item = u16>) -> Vec<Vec<u8>> {
    let numbers = numbers.into_iter();
    numbers.filter_map(|n| bounce(stage.wait(20), packet(n, SSRC, 172))).collect()
}

/// The first byte of what each of them holds: its number.
fn numbers(heard: &[Vec<u8>]) -> Vec<u16> {
    heard.iter().map(|packet| u16::from(parse(packet).payload()[0])).collect()
}

/// How each of these follows on the one before: by how many sequence numbers and ticks of the clock.
fn steps(heard: &[Vec<u8>]) -> Vec<(u16, u32)> {
    let headers: Vec<Header> = heard.iter().map(|packet| parse(packet).header()).collect();
    let step = |pair: &[Header]| {
        assert_eq!(pair[0].ssrc, pair[1].ssrc, "one source");
        (pair[1].sequence.wrapping_sub(pair[0].sequence), pair[1].timestamp.wrapping_sub(pair[0].timestamp))
    };
    headers.windows(2).map(step).collect()
}

/// What the call has counted when it ends.
fn end(stage: &mut Stage) -> CallStats {
    stage.close();
    let stats = stage.engine.poll_closed().expect("the counters of the call");
    assert_eq!((stage.engine.totals().calls, stage.engine.totals().port_pairs), (0, 0), "nothing is left");
    assert_eq!(stage.ports.free(), 16, "nor of its ports");
    stats
}

#[test]
fn fifty_packets_are_fifty_echoes_and_the_end_says_so() {
    let mut stage = echo();
    let heard = say(&mut stage, 0..50);
    assert_eq!(numbers(&heard), (0..50).collect::<Vec<_>>());
    assert_eq!(steps(&heard), [(1, 160); 49]);
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.sent_packets), (50, 50));
    assert_eq!((stats.lost_packets, stats.duplicated_packets, stats.dropped_total()), (0, 0, 0));
    let news = stage.take_news();
    let [MediaReport::Audio { call: CALL, audio: Some(audio), .. }] = &news[..] else { panic!("{news:?}") };
    // G.711 without a loss; the original says 4.5 of anything.
    let opinion = audio.caller.quality.opinion.expect("it was heard");
    assert!((430..=450).contains(&opinion), "{opinion}");
}

#[test]
fn of_forty_four_packets_all_come_back_and_six_are_missing() {
    let mut stage = echo();
    let there: Vec<u16> = (0..50).filter(|n| ![3, 13, 23, 24, 30, 49].contains(n)).collect();
    let heard = say(&mut stage, there.iter().copied());
    assert_eq!(numbers(&heard), there);
    // What is lost stays a gap, so that whoever hears it knows.
    let gaps: Vec<_> = steps(&heard).into_iter().filter(|step| *step != (1, 160)).collect();
    assert_eq!(gaps, [(2, 320), (2, 320), (3, 480), (2, 320)]);
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.sent_packets), (44, 44));
    assert_eq!(stats.lost_packets, 5, "nothing came after the sixth to show that it is missing");
}

/// As they come in the original's test.
const OUT_OF_ORDER: [u16; 50] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 25, 24, 26, 27, 28, 29, 30,
    31, 37, 33, 34, 36, 35, 32, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49,
];

#[test]
fn packets_out_of_order_keep_their_numbers_and_wait_for_nobody() {
    let mut stage = echo();
    let heard = say(&mut stage, OUT_OF_ORDER);
    assert_eq!(numbers(&heard), OUT_OF_ORDER, "a relay has no reason to hold anything back");
    let mut sorted = heard;
    sorted.sort_by_key(|packet| parse(packet).sequence());
    assert_eq!(steps(&sorted), [(1, 160); 49], "put in order they are one whole stream");
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.sent_packets), (50, 50));
    assert_eq!((stats.lost_packets, stats.duplicated_packets), (0, 0));
    assert_eq!(stats.reordered_packets, 7);
}

#[test]
fn three_packets_from_far_outside_are_not_sent_and_the_stream_goes_on() {
    let mut stage = echo();
    let mut order = OUT_OF_ORDER;
    // The original has 100, 400 and 2 here: the first two lie within what we take for a gap.
    (order[31], order[40], order[49]) = (20_000, 40_000, 60_000);
    let heard = say(&mut stage, order);
    let kept: Vec<u16> = OUT_OF_ORDER.into_iter().filter(|n| ![31, 40, 49].contains(n)).collect();
    assert_eq!(numbers(&heard), kept);
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.sent_packets), (50, 47));
    assert_eq!((stats.dropped_for(DropReason::Late), stats.dropped_total()), (3, 3));
}

#[test]
fn a_leap_that_may_be_a_gap_is_passed_on_and_the_way_back_is_one_as_well_after_a_packet_that_confirms_it() {
    let mut stage = echo();
    let mut order = OUT_OF_ORDER;
    // The numbers of the original's test, where its window of 32 packets drops these three.
    (order[30], order[40], order[49]) = (100, 400, 2);
    let heard = say(&mut stage, order);
    let kept: Vec<u16> = order[..49].iter().filter(|n| **n != 41).map(|n| n & 0xff).collect();
    assert_eq!(numbers(&heard), kept, "the last one is from before the leap");
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.dropped_for(DropReason::Late)), (50, 2));
}

#[test]
fn a_link_that_stalls_and_catches_up_loses_nothing() {
    let mut stage = echo();
    let mut heard = say(&mut stage, 0..120);
    stage.wait(600);
    heard.extend((120..150).filter_map(|n| bounce(&mut stage, packet(n, SSRC, 172))));
    heard.extend(say(&mut stage, 150..300));
    assert_eq!(heard.len(), 300);
    assert_eq!(steps(&heard), [(1, 160); 299]);
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.sent_packets, stats.lost_packets), (300, 300, 0));
}

#[test]
fn numbers_that_wrap_are_still_one_stream() {
    let mut stage = echo();
    let heard = say(&mut stage, (0..50u16).map(|n| n.wrapping_sub(125)));
    assert_eq!(heard.len(), 50);
    assert!(steps(&heard).iter().all(|(numbers, _)| *numbers == 1));
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.sent_packets, stats.lost_packets), (50, 50, 0));
}

#[test]
fn who_changes_its_source_in_the_middle_is_heard_all_the_time_in_one_stream() {
    let mut stage = echo();
    let mut heard = say(&mut stage, 0..50);
    for n in 50..100 {
        heard.extend(bounce(stage.wait(20), packet(n, 77, 172)));
    }
    assert_eq!(numbers(&heard), (0..100).collect::<Vec<_>>());
    assert_eq!(steps(&heard), [(1, 160); 99]);
    assert_eq!(end(&mut stage).caller.received_packets, 100);
}

#[test]
fn a_long_packet_among_others_passes_as_they_do() {
    let mut stage = echo();
    for n in 0..50 {
        let length = if n == 40 { 1_200 } else { 172 };
        let heard = bounce(stage.wait(20), packet(n, SSRC, length)).expect("it comes back");
        assert_eq!(heard.len(), length);
    }
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.sent_packets), (50, 50));
}

#[test]
fn who_says_a_wrong_address_is_heard_after_the_five_packets_that_prove_it() {
    let mut stage = echo_for("192.168.0.99:12345");
    let heard = say(&mut stage, 0..50);
    let proof = u64::from(LatchConfig::default().packets) - 1;
    assert_eq!(heard.len() as u64, 50 - proof, "the original believes the first packet of anybody");
    let stats = end(&mut stage).caller;
    assert_eq!((stats.sent_packets, stats.dropped_for(DropReason::Source)), (50 - proof, proof));
}

#[test]
fn a_foreign_packet_neither_moves_a_stream_nor_stops_it() {
    let mut stage = echo();
    for n in 0..50 {
        assert!(bounce(stage.wait(20), packet(n, SSRC, 172)).is_some());
        for length in [1, 12, 172] {
            let mut foreign = packet(n, 9, 172);
            foreign.truncate(length);
            let forward = stage.send(CALLER, "203.0.113.66:666", &mut foreign);
            assert!(matches!(forward, Forward::Drop(_)), "{forward:?}");
        }
    }
    let stats = end(&mut stage).caller;
    assert_eq!((stats.received_packets, stats.sent_packets), (50, 50));
    assert_eq!(stats.dropped_for(DropReason::Source), 100);
    assert_eq!(stats.dropped_for(DropReason::Malformed), 50);
}

#[test]
fn a_channel_that_nothing_came_to_has_counted_nothing_and_a_second_end_is_none() {
    let mut stage = echo();
    stage.run(1_000);
    let stats = end(&mut stage);
    assert_eq!((stats.caller, stats.callee), Default::default());
    stage.take_news();
    stage.close();
    assert_eq!(stage.engine.poll_closed(), None);
    assert_eq!(stage.take_news(), [], "an end is told once");
}

#[test]
fn whatever_is_closed_is_gone_to_the_last_port() {
    let mut stage = Stage::new();
    for round in 0..100 {
        let ids: Vec<CallId> = (0..8).map(|n| CallId(100 * round + n + 1)).collect();
        for call in &ids {
            let offer = Some((CALLER, phone(ALICE, "0").as_str().into()));
            stage.perform(MediaOp::Open { call: *call, offer, codecs: None, near: None, room: None });
            stage.perform(MediaOp::MakeAnswer { call: *call, seat: CALLER.into(), leg: CALLEE_LEG });
            stage.perform(MediaOp::Hear { call: *call, seat: CALLER.into(), source: Source::Echo });
        }
        assert_eq!((stage.engine.totals().calls, stage.engine.totals().port_pairs), (8, 8));
        for call in ids {
            stage.perform(MediaOp::Close { call });
        }
        assert_eq!((stage.engine.totals().calls, stage.engine.totals().port_pairs), (0, 0));
        assert_eq!((stage.engine.totals().generators, stage.ports.free()), (0, 16));
    }
    assert_eq!(stage.engine.next_tick(), None);
}

#[test]
fn who_does_not_want_to_hear_is_sent_nothing_and_who_is_not_to_send_is_not_heard() {
    for (direction, received, sent) in
        [("sendrecv", 50, 50), ("sendonly", 50, 0), ("recvonly", 0, 0), ("inactive", 0, 0)]
    {
        let mut stage = Stage::new();
        stage.open(Some(&phone_with(ALICE, "0 101", &format!("a={direction}\r\n"))));
        stage.make_answer(CALLER).expect("an answer");
        stage.hear(CALLER, Source::Echo);
        assert_eq!(say(&mut stage, 0..50).len(), sent, "{direction}");
        let stats = end(&mut stage).caller;
        assert_eq!((stats.received_packets, stats.sent_packets), (received, sent as u64), "{direction}");
        assert_eq!(stats.dropped_for(DropReason::Held), 50 - sent as u64, "{direction}");
    }
}

#[test]
fn an_echo_is_switched_on_and_off_at_any_time() {
    let mut stage = echo();
    assert_eq!(say(&mut stage, 0..10).len(), 10);
    stage.hear(CALLER, Source::Silence);
    assert_eq!(say(&mut stage, 10..20).len(), 0);
    stage.hear(CALLER, Source::Echo);
    let heard = say(&mut stage, 20..30);
    assert_eq!(numbers(&heard), (20..30).collect::<Vec<_>>());
    assert_eq!(end(&mut stage).caller.sent_packets, 20);
}

#[test]
fn another_address_in_mid_call_is_learned_and_keeps_the_events_and_the_stream() {
    let mut stage = echo();
    let before = say(&mut stage, 0..10);
    let moved = "198.51.100.77:7777";
    let told = stage.reoffer(CALLER, &phone(moved, "0 96")).expect("an answer");
    assert_eq!(stage::formats_in(&told), "0 96", "the events have the number of the new offer");
    let mut after = packet(10, SSRC, 172);
    let forward = stage.wait(20).send(CALLER, moved, &mut after);
    assert_eq!(stage::sent_to(forward), stage::at(moved));
    assert_eq!(parse(&after).ssrc(), parse(&before[9]).ssrc());
    assert_eq!(parse(&after).sequence(), parse(&before[9]).sequence().wrapping_add(1));
    // Whoever is still at the old address is a stranger now.
    assert!(matches!(stage.send(CALLER, ALICE, &mut packet(11, SSRC, 172)), Forward::Drop(DropReason::Source)));
}
