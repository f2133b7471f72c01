//! Whatever a party hears one after the other, it is sent one RTP stream.

use crate::stage::{ALICE, BOB, CALL, Stage, is_sent, parse, phone, phone_with, rtp};
use hookswitch_call::{LegId, Party, Source};
use hookswitch_media::{DropReason, Forward, MediaRecord};
use hookswitch_rtp::{Header, TelephoneEvent};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const CAROL: &str = "203.0.113.3:7000";
/// Where Bob seems to be when his NAT forgets him.
const BOB_AGAIN: &str = "203.0.113.2:61000";

/// What Alice receives when somebody sends this packet to the port that the callee was told.
fn relayed(stage: &mut Stage, from: &str, mut packet: Vec<u8>) -> Option<Header> {
    let forward = stage.send(CALLEE, from, &mut packet);
    is_sent(&forward).then(|| parse(&packet).header())
}

/// The same, for a packet that must arrive.
fn passed(stage: &mut Stage, from: &str, packet: Vec<u8>) -> Header {
    relayed(stage, from, packet).expect("it passes")
}

/// Alice listens to the switch for a while; what she received last.
fn hears(stage: &mut Stage, source: Source, ms: u64) -> Header {
    stage.hear(CALLER, source);
    let sent = stage.run(ms);
    parse(&sent.last().expect("a tone").bytes).header()
}

/// A packet with all its numbers.
fn packet(number: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = rtp(number, sequence, ssrc);
    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
    packet
}

/// One packet of a pressed key that has been down for so long.
fn key(sequence: u16, timestamp: u32, ssrc: u32, duration: u16, marker: bool) -> Vec<u8> {
    let event = TelephoneEvent { event: 5, end: false, volume: 10, duration };
    let header = Header { marker, payload_type: 101, sequence, timestamp, ssrc };
    let mut bytes = vec![0; 16];
    header.write_packet(&event.to_bytes(), &mut bytes).expect("room");
    bytes
}

/// Asserts that a packet follows on another, which was sent so many milliseconds before.
fn assert_follows(next: Header, last: Header, ms: u32) {
    assert_eq!(next.ssrc, last.ssrc, "the same source");
    assert_eq!(next.sequence, last.sequence.wrapping_add(1), "the next number");
    assert_eq!(next.timestamp.wrapping_sub(last.timestamp), 8 * ms, "by the time that has passed");
}

#[test]
fn the_callee_goes_on_where_the_ringing_tone_ended() {
    let mut stage = Stage::talking();
    let last = hears(&mut stage, Source::Ringback, 500);
    // The last frame was 20 ms ago.
    stage.hear(CALLER, Source::Peer).wait(60);
    let first = passed(&mut stage, BOB, packet(0, 6601, 77, 0xb0b));
    assert_follows(first, last, 80);
    assert!(first.marker, "a talkspurt begins");
    stage.wait(20);
    let second = passed(&mut stage, BOB, packet(0, 6602, 77 + 160, 0xb0b));
    assert_follows(second, first, 20);
    assert!(!second.marker);
    // The source's own gaps and steps stay, whatever the clock says.
    let later = passed(&mut stage, BOB, packet(0, 6612, 77 + 1_760, 0xb0b));
    assert_eq!(later.sequence.wrapping_sub(second.sequence), 10);
    assert_eq!(later.timestamp.wrapping_sub(second.timestamp), 1_600);
}

#[test]
fn a_packet_right_behind_a_tone_does_not_claim_the_time_of_its_last_frame() {
    let mut stage = Stage::talking();
    stage.hear(CALLER, Source::Reference);
    let sent = stage.run(21);
    let last = parse(&sent[1].bytes).header();
    stage.hear(CALLER, Source::Peer).wait(1);
    assert_follows(passed(&mut stage, BOB, rtp(0, 1, 1)), last, 20);
}

#[test]
fn only_the_stream_that_had_a_tone_in_it_is_changed() {
    let mut stage = Stage::talking();
    hears(&mut stage, Source::Ringback, 100);
    stage.hear(CALLER, Source::Peer);
    passed(&mut stage, BOB, rtp(0, 1, 1));
    let sent = rtp(0, 900, 0xa11ce);
    let mut buffer = sent.clone();
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut buffer)));
    assert_eq!(buffer, sent, "Bob has heard Alice and nobody else");
}

#[test]
fn payload_and_everything_else_in_the_packet_stay() {
    let mut stage = Stage::talking();
    hears(&mut stage, Source::Ringback, 100);
    stage.hear(CALLER, Source::Peer);
    let sent = rtp(0, 1, 1);
    let mut buffer = sent.clone();
    assert!(is_sent(&stage.send(CALLEE, BOB, &mut buffer)));
    assert_eq!(buffer[12..], sent[12..]);
    assert_eq!((buffer[0], buffer[1] & 0x7f), (sent[0], sent[1]));
}

#[test]
fn a_tone_and_whoever_comes_back_after_it_go_on() {
    let mut stage = Stage::talking();
    for n in 0..10 {
        let sent = rtp(0, 65_530u16.wrapping_add(n), 0xb0b);
        let got = passed(&mut stage, BOB, sent.clone());
        assert_eq!(got, parse(&sent).header(), "untouched so far, over the wrap too");
        stage.wait(20);
    }
    let before = parse(&rtp(0, 3, 0xb0b)).header();
    let last = hears(&mut stage, Source::Ringback, 1_000);
    assert_eq!(last.ssrc, 0xb0b);
    assert_eq!(last.sequence, before.sequence + 50);
    // 10 x 20 ms after the wrapped number's timestamp; the frames began 20 ms after the last packet.
    assert_eq!(last.timestamp, before.timestamp + 50 * 160);
    // Bob has not stopped speaking meanwhile, and his clock has gone on.
    stage.hear(CALLER, Source::Peer);
    let mut back = packet(0, 53, before.timestamp + 51 * 160 + 5, 0xb0b);
    back[1] = 0;
    let back = passed(&mut stage, BOB, back);
    assert_eq!(back.sequence, last.sequence + 1);
    assert_eq!(back.timestamp, before.timestamp + 51 * 160 + 5, "by his own clock: it has proven good");
    assert!(back.marker);
}

#[test]
fn somebody_whose_clock_stood_still_is_moved_by_ours() {
    let mut stage = Stage::talking();
    passed(&mut stage, BOB, packet(0, 10, 1_600, 1));
    let last = hears(&mut stage, Source::Ringback, 5_000);
    stage.hear(CALLER, Source::Peer);
    assert_follows(passed(&mut stage, BOB, packet(0, 11, 1_760, 1)), last, 20);
}

#[test]
fn sequence_numbers_wrap_at_the_splice() {
    let mut stage = Stage::talking();
    passed(&mut stage, BOB, rtp(0, u16::MAX, 1));
    stage.wait(20);
    // The tone gets 0 to 4.
    let last = hears(&mut stage, Source::Ringback, 100);
    assert_eq!(last.sequence, 4);
    stage.hear(CALLER, Source::Peer);
    let first = passed(&mut stage, BOB, packet(0, u16::MAX, 9, 2));
    assert_follows(first, last, 20);
    let second = passed(&mut stage, BOB, packet(0, 0, 169, 2));
    assert_follows(second, first, 20);
    assert_eq!(relayed(&mut stage, BOB, packet(0, u16::MAX - 1, 0, 2)), None, "from before the splice");
    assert_eq!(passed(&mut stage, BOB, packet(0, u16::MAX, 9, 2)).sequence, first.sequence, "the network doubled it");
}

#[test]
fn timestamps_wrap_at_the_splice() {
    let mut stage = Stage::talking();
    passed(&mut stage, BOB, packet(0, 1, u32::MAX - 100, 1));
    stage.wait(20);
    let last = hears(&mut stage, Source::Ringback, 20);
    assert_eq!(last.timestamp, 59);
}

#[test]
fn late_packets_find_their_place_unless_they_are_from_before_the_splice() {
    let mut stage = Stage::talking();
    let last = hears(&mut stage, Source::Ringback, 100);
    stage.hear(CALLER, Source::Peer);
    let first = passed(&mut stage, BOB, rtp(0, 100, 1));
    let ahead = passed(&mut stage, BOB, rtp(0, 103, 1));
    let late = passed(&mut stage, BOB, rtp(0, 101, 1));
    assert_eq!(ahead.sequence.wrapping_sub(first.sequence), 3);
    assert_eq!(late.sequence.wrapping_sub(first.sequence), 1);
    assert_eq!(late.timestamp.wrapping_sub(first.timestamp), 160);
    for old in [99, 98, 50] {
        assert_eq!(relayed(&mut stage, BOB, rtp(0, old, 1)), None, "{old} would look like the tone's");
    }
    assert_eq!(stage.dropped(CALLEE, DropReason::Late), 3);
    assert_eq!(first.sequence, last.sequence.wrapping_add(1));
    // Hundreds of packets later the splice plays no role.
    for n in 104..400 {
        passed(&mut stage, BOB, rtp(0, n, 1));
    }
    assert!(relayed(&mut stage, BOB, rtp(0, 310, 1)).is_some());
}

#[test]
fn many_thousands_of_packets_after_a_splice_all_still_pass() {
    let mut stage = Stage::talking();
    let last = hears(&mut stage, Source::Ringback, 100);
    stage.hear(CALLER, Source::Peer);
    for n in 0..200_000u32 {
        let got = passed(&mut stage, BOB, packet(0, n as u16, n * 160, 1));
        assert_eq!(got.sequence, last.sequence.wrapping_add(1).wrapping_add(n as u16));
    }
}

#[test]
fn the_branch_that_answers_goes_on_where_another_ones_early_media_ended() {
    // The second phone of the same make uses the same SSRC.
    for carols_ssrc in [2, 1] {
        let mut stage = Stage::new();
        stage.open(Some(&phone(ALICE, "0 8 101")));
        for leg in [LegId(1), LegId(2)] {
            stage.make_offer(CALLEE, leg).expect("an offer");
        }
        stage.accept(CALLEE, LegId(1), &phone(BOB, "0 101")).expect("the 183");
        stage.make_answer(CALLER).expect("an answer");
        stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
        passed(&mut stage, BOB, rtp(0, 40, 1));
        stage.wait(20);
        let early = passed(&mut stage, BOB, rtp(0, 41, 1));
        stage.accept(CALLEE, LegId(2), &phone(CAROL, "0 101")).expect("the 200");
        stage.wait(100);
        let first = passed(&mut stage, CAROL, packet(0, 7, 1_000_000, carols_ssrc));
        assert_follows(first, early, 100);
        assert!(first.marker);
        assert_eq!(relayed(&mut stage, BOB, rtp(0, 42, 1)), None, "nobody hears Bob any more");
        stage.wait(20);
        assert_follows(passed(&mut stage, CAROL, packet(0, 8, 1_000_160, carols_ssrc)), first, 20);
    }
}

#[test]
fn a_phone_that_comes_back_from_elsewhere_with_a_new_ssrc_goes_on() {
    let mut stage = Stage::talking();
    let before = passed(&mut stage, BOB, rtp(0, 500, 1));
    stage.wait(2_000);
    for n in 0..4 {
        assert_eq!(relayed(&mut stage, BOB_AGAIN, packet(0, 9_000 + n, 5, 2)), None, "not believed yet");
    }
    let after = passed(&mut stage, BOB_AGAIN, packet(0, 9_004, 5, 2));
    assert_follows(after, before, 2_000);
    assert!(after.marker);
}

#[test]
fn a_phone_that_comes_back_by_another_port_with_its_own_numbers_passes_untouched() {
    let mut stage = Stage::talking();
    passed(&mut stage, BOB, rtp(0, 500, 1));
    stage.wait(2_000);
    for n in 600..604 {
        assert_eq!(relayed(&mut stage, BOB_AGAIN, rtp(0, n, 1)), None, "not believed yet");
    }
    for n in 604..700 {
        stage.wait(20);
        let sent = rtp(0, n, 1);
        assert_eq!(passed(&mut stage, BOB_AGAIN, sent.clone()), parse(&sent).header());
    }
}

#[test]
fn a_phone_that_changes_its_ssrc_goes_on_and_stragglers_do_not_bring_the_old_one_back() {
    let mut stage = Stage::talking();
    passed(&mut stage, BOB, rtp(0, 10, 1));
    let before = passed(&mut stage, BOB, rtp(0, 12, 1));
    stage.wait(20);
    let after = passed(&mut stage, BOB, packet(0, 900, 44, 2));
    assert_follows(after, before, 20);
    assert_eq!(relayed(&mut stage, BOB, rtp(0, 11, 1)), None);
    assert_eq!(relayed(&mut stage, BOB, rtp(0, 12, 1)), None);
    assert_follows(passed(&mut stage, BOB, packet(0, 901, 204, 2)), after, 20);
}

#[test]
fn hold_is_no_splice() {
    let mut stage = Stage::talking();
    passed(&mut stage, BOB, rtp(0, 1, 1));
    stage.reoffer(CALLER, &phone_with(ALICE, "0 8 101", "a=inactive\r\n")).expect("an answer");
    assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 2, 1)), Forward::Drop(DropReason::Held));
    stage.reoffer(CALLER, &phone(ALICE, "0 8 101")).expect("an answer");
    let sent = rtp(0, 700, 1);
    assert_eq!(passed(&mut stage, BOB, sent.clone()), parse(&sent).header());
}

#[test]
fn an_untouched_source_may_do_as_it_likes() {
    let mut stage = Stage::talking();
    for sequence in [5, 60_000, 10, 9, 40_000, 40_000] {
        let sent = rtp(0, sequence, 1);
        assert_eq!(passed(&mut stage, BOB, sent.clone()), parse(&sent).header());
    }
    // What follows on is what it sent last, not what was highest.
    stage.wait(20);
    let last = parse(&rtp(0, 40_000, 1)).header();
    stage.hear(CALLER, Source::Ringback);
    let tone = stage.run(10);
    assert_follows(parse(&tone[0].bytes).header(), last, 20);
}

#[test]
fn a_source_that_counts_anew_is_spliced_once_a_second_packet_confirms_it() {
    let mut stage = Stage::talking();
    hears(&mut stage, Source::Ringback, 100);
    stage.hear(CALLER, Source::Peer);
    let before = passed(&mut stage, BOB, rtp(0, 10_000, 1));
    stage.wait(20);
    assert_eq!(relayed(&mut stage, BOB, rtp(0, 30_000, 1)), None, "a stray, for all we know");
    assert_follows(passed(&mut stage, BOB, rtp(0, 10_001, 1)), before, 20);
    let before = passed(&mut stage, BOB, rtp(0, 10_002, 1));
    stage.wait(40);
    assert_eq!(relayed(&mut stage, BOB, packet(0, 1, 7, 1)), None);
    let after = passed(&mut stage, BOB, packet(0, 2, 167, 1));
    assert_follows(after, before, 40);
    assert!(after.marker);
}

#[test]
fn echo_goes_on_after_a_tone_and_a_party_after_the_echo() {
    let mut stage = Stage::talking();
    stage.hear(CALLEE, Source::Silence);
    let tone = hears(&mut stage, Source::Reference, 100);
    stage.hear(CALLER, Source::Echo);
    let mut own = rtp(0, 4_000, 0xa11ce);
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut own)));
    let echo = parse(&own).header();
    assert_follows(echo, tone, 20);
    assert_ne!(echo.ssrc, 0xa11ce, "she would take her own for a loop");
    stage.hear(CALLER, Source::Peer).wait(200);
    assert_follows(passed(&mut stage, BOB, rtp(0, 1, 1)), echo, 200);
}

#[test]
fn an_echo_that_comes_first_takes_another_source_but_keeps_its_numbers() {
    let mut stage = Stage::talking();
    stage.hear(CALLEE, Source::Silence).hear(CALLER, Source::Echo);
    for sequence in [10, 9, 8, 11] {
        let mut own = rtp(0, sequence, 0xa11ce);
        assert!(is_sent(&stage.send(CALLER, ALICE, &mut own)));
        assert_eq!(parse(&own).sequence(), sequence, "nothing was there that 9 and 8 could collide with");
        assert_ne!(parse(&own).ssrc(), 0xa11ce);
    }
}

#[test]
fn the_packets_of_one_event_keep_one_timestamp() {
    let mut stage = Stage::talking();
    let last = hears(&mut stage, Source::Ringback, 100);
    stage.hear(CALLER, Source::Peer);
    let audio = passed(&mut stage, BOB, packet(0, 100, 50_000, 1));
    let mut events = Vec::new();
    for n in 1..=6u16 {
        stage.wait(20);
        events.push(passed(&mut stage, BOB, key(100 + n, 50_160, 1, 160 * n.min(4), n == 1)));
    }
    assert!(events.iter().all(|event| event.timestamp == audio.timestamp.wrapping_add(160)));
    assert_eq!(events.iter().map(|event| event.marker).collect::<Vec<_>>(), [true, false, false, false, false, false]);
    assert_eq!(events[5].sequence, last.sequence.wrapping_add(7));
}

#[test]
fn an_event_across_the_splice_began_before_it() {
    let mut stage = Stage::talking();
    let last = hears(&mut stage, Source::Ringback, 1_000);
    stage.hear(CALLER, Source::Peer);
    // Bob has pressed the key 400 ms ago, and goes on for 40 ms.
    let events = [key(5, 9_000, 1, 3_200, false), key(6, 9_000, 1, 3_360, false), key(7, 9_000, 1, 3_520, false)];
    let first = passed(&mut stage, BOB, events[0].clone());
    assert_eq!(first.timestamp, last.timestamp.wrapping_add(160).wrapping_sub(3_200));
    assert!(!first.marker, "it would say that the event begins");
    for (n, event) in (1..).zip(&events[1..]) {
        stage.wait(20);
        let next = passed(&mut stage, BOB, event.clone());
        assert_eq!((next.sequence, next.timestamp), (first.sequence.wrapping_add(n), first.timestamp));
    }
    stage.wait(20);
    let audio = passed(&mut stage, BOB, packet(0, 8, 9_000 + 3_680, 1));
    assert_eq!(audio.timestamp, last.timestamp.wrapping_add(4 * 160), "80 ms after the tone's last frame");
}

#[test]
fn events_under_an_ssrc_of_their_own_take_turns_with_the_audio() {
    let mut stage = Stage::talking();
    let mut got = Vec::new();
    for n in 0..30u16 {
        let at = u32::from(n) * 160;
        got.push(passed(&mut stage, BOB, packet(0, 100 + n, 1_000 + at, 1)));
        if (10..20).contains(&n) {
            let duration = 160 * (n - 9);
            got.push(passed(&mut stage, BOB, key(7_000 + n, 555, 2, duration, n == 10)));
        }
        stage.wait(20);
    }
    for two in got.windows(2) {
        assert_eq!(two[1].sequence, two[0].sequence + 1);
        assert_eq!(two[1].ssrc, 1);
    }
    let (events, audio): (Vec<Header>, Vec<Header>) = got.iter().partition(|header| header.payload_type == 101);
    assert!(events.iter().all(|event| event.timestamp == events[0].timestamp), "one event");
    assert!(audio.windows(2).all(|two| two[1].timestamp - two[0].timestamp == 160), "one clock");
}

#[test]
fn the_record_holds_where_a_stream_stands() {
    let mut stage = Stage::talking();
    hears(&mut stage, Source::Ringback, 100);
    stage.hear(CALLER, Source::Peer);
    passed(&mut stage, BOB, rtp(0, 3, 1));
    passed(&mut stage, BOB, rtp(0, 4, 2));
    let record = stage.engine.record(CALL).expect("the call");
    let text = serde_json::to_string(&record).expect("writable");
    let back: MediaRecord = serde_json::from_str(&text).expect("readable");
    assert_eq!(back, record);
    passed(&mut stage, BOB, rtp(0, 5, 2));
    let later = stage.engine.record(CALL).expect("the call");
    assert_ne!(later.caller.outgoing, record.caller.outgoing);
    assert_eq!(later.callee.outgoing, record.callee.outgoing);
}
