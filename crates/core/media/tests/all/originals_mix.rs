//! What the tests of projectrtp pin down of parties that hear each other, two or more, packet for packet.

use crate::originals::{self, Disk, begin, byte_of, file, play, plays_ended, says, sent_to, soup};
use crate::stage::{ALICE, BOB, CALL, CALLEE_LEG, CALLER_LEG, ROOM, Stage, at, parse, phone, phone_with, with_g722};
use hookswitch_call::{CallId, LegId, MediaOp, MediaReport, Part, Party, PlayEnd, PlayId, RecordPlan, Room, Source};
use hookswitch_codec::frequency_level;
use hookswitch_codec::g711::{alaw_from_linear, linear_from_alaw, linear_from_ulaw, ulaw_from_linear};
use hookswitch_media::{DropReason, Forward, SocketIx};
use hookswitch_rtp::is_rtcp;

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

/// Alice and Bob have these formats, and hear each other.
fn between(alice: &str, bob: &str) -> Stage {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, alice), &phone(BOB, bob));
    stage
}

/// So many packets of a byte from one party; what the other is sent.
fn talk(stage: &mut Stage, party: Party, payload_type: u8, numbers: std::ops::Range<u16>, byte: u8) -> Vec<Vec<u8>> {
    let (from, to) = if party == CALLER { (ALICE, BOB) } else { (BOB, ALICE) };
    let mut heard = Vec::new();
    for n in numbers {
        for (whom, packet) in stage.wait(20).pass(party, from, &says(payload_type, n, 5, byte)) {
            assert_eq!(whom, at(to));
            heard.push(packet);
        }
    }
    heard
}

fn bytes_of(packets: &[Vec<u8>]) -> Vec<u8> {
    packets.iter().map(|packet| byte_of(packet)).collect()
}

#[test]
fn fifty_packets_each_way_arrive_as_they_were_sent() {
    let mut stage = between("0 101", "0 101");
    for party in [CALLER, CALLEE] {
        let heard = talk(&mut stage, party, 0, 0..50, 0x31);
        assert_eq!(bytes_of(&heard), [0x31; 50]);
    }
}

#[test]
fn packets_of_a_wrong_type_are_left_out_and_those_of_the_right_one_heard() {
    let mut stage = between("8 101", "0 101");
    assert!(talk(&mut stage, CALLER, 0, 0..2, 0x31).is_empty(), "it had agreed to PCMA");
    let heard = talk(&mut stage, CALLER, 8, 2..50, 0x31);
    assert_eq!(heard.len(), 48);
    assert!(heard.iter().all(|packet| parse(packet).payload_type() == 0));
    assert_eq!(stage.dropped(CALLER, DropReason::PayloadType), 2);
    assert_eq!(talk(&mut stage, CALLEE, 0, 0..50, 0x31).len(), 50);
}

#[test]
fn whoever_is_joined_parted_and_joined_again_hears_in_each_phase_whom_it_should() {
    let mut stage = between("0 101", "0 101");
    let mut numbers = (0..250u16).step_by(50).map(|first| first..first + 50);
    let mut next = || numbers.next().expect("another phase");
    for phase in 0..4 {
        let joined = phase % 2 == 0;
        let source = if joined { Source::Peer } else { Source::Silence };
        stage.hear(CALLER, source).hear(CALLEE, source);
        let (numbers, said) = (next(), 0x40 + phase);
        let expected = vec![said; if joined { 50 } else { 0 }];
        assert_eq!(bytes_of(&talk(&mut stage, CALLER, 0, numbers.clone(), said)), expected, "phase {phase}");
        assert_eq!(bytes_of(&talk(&mut stage, CALLEE, 0, numbers, !said)), vec![!said; expected.len()]);
    }
    assert_eq!(stage.dropped(CALLER, DropReason::NoListener), 100);
}

#[test]
fn the_end_of_a_call_with_two_in_it_frees_both_and_what_still_comes_goes_nowhere() {
    let mut stage = between("0 101", "0 101");
    let socket = stage.socket_of(CALLER);
    assert_eq!(talk(&mut stage, CALLER, 0, 0..50, 0x31).len(), 50);
    stage.close();
    assert_eq!((stage.engine.totals().calls, stage.ports.free()), (0, 16));
    let mut late = says(0, 50, 5, 0x31);
    let len = late.len();
    let forward = stage.engine.handle_packet(stage.now, socket, at(ALICE), &mut late, len);
    assert_eq!(forward, Forward::Drop(DropReason::UnknownSocket));
    let closed = std::iter::from_fn(|| stage.engine.poll_closed()).count();
    assert_eq!(closed, 1, "one end, with what was counted of both");
}

#[test]
fn fifty_packets_of_one_law_are_fifty_of_the_other_sample_by_sample() {
    let mut stage = between("0 101", "8 101");
    for byte in 0..=u8::MAX {
        let n = u16::from(byte);
        let heard = talk(&mut stage, CALLER, 0, n..n + 1, byte);
        assert_eq!(bytes_of(&heard), [alaw_from_linear(linear_from_ulaw(byte))]);
        assert_eq!((parse(&heard[0]).payload_type(), heard[0].len()), (8, 172));
        let heard = talk(&mut stage, CALLEE, 8, n..n + 1, byte);
        assert_eq!(bytes_of(&heard), [ulaw_from_linear(linear_from_alaw(byte))]);
    }
}

#[test]
fn what_is_turned_into_g722_is_as_many_packets_under_its_number() {
    let mut stage = between("0 101", "9 101");
    for (party, from, to) in [(CALLER, 0, 9), (CALLEE, 9, 0)] {
        let heard = talk(&mut stage, party, from, 0..50, 0x31);
        assert_eq!(heard.len(), 50);
        assert!(heard.iter().all(|packet| parse(packet).payload_type() == to && packet.len() == 172));
    }
}

/// A call among others: where its parties are, and our sockets towards them.
struct Pair {
    alice: String,
    bob: String,
    sockets: [SocketIx; 2],
}

/// Two parties of a call of their own hear each other.
fn pair(stage: &mut Stage, n: u16, formats: [&str; 2]) -> Pair {
    let call = CallId(u64::from(n) + 1);
    let (alice, bob) = (format!("198.51.100.1:{}", 4_000 + n), format!("203.0.113.2:{}", 4_000 + n));
    let offer = Some((CALLER, phone(&alice, formats[0]).as_str().into()));
    let ops = [
        MediaOp::Open { call, offer, codecs: None, near: None, room: None },
        MediaOp::MakeOffer { call, seat: CALLEE.into(), leg: CALLEE_LEG, near: None },
        MediaOp::Accept { call, seat: CALLEE.into(), leg: CALLEE_LEG, sdp: phone(&bob, formats[1]).as_str().into() },
        MediaOp::MakeAnswer { call, seat: CALLER.into(), leg: CALLER_LEG },
        MediaOp::Hear { call, seat: CALLER.into(), source: Source::Peer },
        MediaOp::Hear { call, seat: CALLEE.into(), source: Source::Peer },
    ];
    let mut ports = [0; 2];
    for op in ops {
        for report in stage.perform(op) {
            let MediaReport::Local { seat, .. } = report else { panic!("{report:?}") };
            let party = if seat == CALLER.into() { CALLER } else { CALLEE };
            ports[usize::from(party == CALLEE)] = stage.our_port[&party];
        }
    }
    Pair { alice, bob, sockets: ports.map(|port| stage.ports.socket(port)) }
}

/// A packet of one party of such a call; what is sent, and to whom.
fn pass(stage: &mut Stage, socket: SocketIx, from: &str, packet: &[u8]) -> Option<(std::net::SocketAddr, Vec<u8>)> {
    let mut buffer = [0; ROOM];
    buffer[..packet.len()].copy_from_slice(packet);
    match stage.engine.handle_packet(stage.now, socket, at(from), &mut buffer, packet.len()) {
        Forward::Send { to, len, .. } => Some((to, buffer[..len].to_vec())),
        Forward::Drop(_) => None,
    }
}

#[test]
fn fifty_calls_side_by_side_lose_none_of_sixty_packets_and_mix_up_no_sample() {
    let mut stage = Stage::with(with_g722(), 128);
    let formats = [["0", "0"], ["0", "8"]];
    let calls: Vec<Pair> = (0..50).map(|n| pair(&mut stage, n, formats[usize::from(n) % 2])).collect();
    let mut arrived = vec![[0; 2]; calls.len()];
    for n in 0..60u16 {
        stage.wait(20);
        for (place, call) in calls.iter().enumerate() {
            let byte = (usize::from(n) + place) as u8 & 0x7f;
            let is_turned = place % 2 == 1;
            let (there, sent) = pass(&mut stage, call.sockets[0], &call.alice, &says(0, n, 7, byte)).expect("there");
            let expected = if is_turned { alaw_from_linear(linear_from_ulaw(byte)) } else { byte };
            assert_eq!((there, byte_of(&sent)), (at(&call.bob), expected));
            // Bob sends back what he hears.
            let number = if is_turned { 8 } else { 0 };
            let back = says(number, n, 8, expected);
            let (back, returned) = pass(&mut stage, call.sockets[1], &call.bob, &back).expect("and back");
            let expected = if is_turned { ulaw_from_linear(linear_from_alaw(expected)) } else { byte };
            assert_eq!((back, byte_of(&returned)), (at(&call.alice), expected));
            arrived[place][0] += 1;
            arrived[place][1] += 1;
        }
    }
    assert!(arrived.iter().all(|both| *both == [60, 60]));
    let totals = stage.engine.totals();
    assert_eq!((totals.calls, totals.counters.sent_packets, totals.counters.dropped_total()), (50, 6_000, 0));
}

/// Three in a room, in this order: two that say nothing, and one that may.
const NAMES: [&str; 3] = ["198.51.100.1:4000", "198.51.100.2:4000", "198.51.100.3:4000"];
const TALKER: usize = 2;
const TONE_HZ: f64 = 400.0;

/// So loud is the talker's tone at least where it is heard, in dB, and no louder than the other where it is not.
const HEARD: f32 = -25.0;
const UNHEARD: f32 = -60.0;

struct Three {
    stage: Stage,
    said: u16,
}

impl Three {
    /// Each comes with one more line in its description.
    fn with(more: [&str; 3]) -> Self {
        let mut three = Self { stage: Stage::new(), said: 0 };
        for (place, more) in more.into_iter().enumerate() {
            let (call, room) = (CallId(place as u64 + 1), Room::from("three@example.com"));
            let offer = Some((CALLER, phone_with(NAMES[place], "0", more).as_str().into()));
            let source = Source::Room;
            for op in [
                MediaOp::Open { call, offer, codecs: None, near: None, room: Some(room.clone()) },
                MediaOp::MakeAnswer { call, seat: CALLER.into(), leg: LegId(0) },
                MediaOp::Join { call, party: CALLER, room, part: Part::default() },
                MediaOp::Hear { call, seat: CALLER.into(), source },
            ] {
                three.stage.perform(op);
            }
        }
        three
    }

    /// A member says something else about who sends.
    fn changes(&mut self, place: usize, more: &str) {
        let (call, seat) = (CallId(place as u64 + 1), CALLER.into());
        let sdp = phone_with(NAMES[place], "0", more).as_str().into();
        self.stage.perform(MediaOp::Offered { call, seat, sdp });
        self.stage.perform(MediaOp::MakeAnswer { call, seat, leg: LegId(0) });
    }

    /// The talker speaks for so many packets; what each is sent meanwhile.
    fn talk(&mut self, packets: u16) -> [Vec<Vec<u8>>; 3] {
        let mut heard = [const { Vec::new() }; 3];
        for _ in 0..packets {
            let socket = self.stage.ports.socket(10_000 + 2 * TALKER as u16);
            let mut packet = self.tone();
            let len = packet.len();
            self.stage.engine.handle_packet(self.stage.now, socket, at(NAMES[TALKER]), &mut packet, len);
            let sent = self.stage.run(20);
            for sent in sent.into_iter().filter(|sent| !is_rtcp(&sent.bytes)) {
                let place = NAMES.iter().position(|name| at(name) == sent.to).expect("a member");
                heard[place].push(sent.bytes);
            }
            self.stage.reports();
        }
        heard
    }

    fn tone(&mut self) -> Vec<u8> {
        let mut packet = says(0, self.said, 7, 0);
        // Both numbers wrap after thirty packets.
        packet[2..4].copy_from_slice(&self.said.wrapping_sub(30).to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(self.said) * 160).wrapping_sub(4_800).to_be_bytes());
        let first = usize::from(self.said) * 160;
        for (place, byte) in packet[12..].iter_mut().enumerate() {
            let angle = std::f64::consts::TAU * TONE_HZ * (first + place) as f64 / 8_000.0;
            *byte = ulaw_from_linear((8_000.0 * angle.sin()) as i16);
        }
        self.said += 1;
        packet
    }
}

/// How loud the talker's tone is in what was sent, after the moment that the beginning takes, in dB.
fn loudness(packets: &[Vec<u8>]) -> f32 {
    let bytes = packets.iter().flat_map(|packet| parse(packet).payload().to_vec());
    let samples: Vec<i16> = bytes.map(linear_from_ulaw).collect();
    frequency_level(&samples[1_600..], 8_000, TONE_HZ as f32)
}

#[test]
fn of_three_with_one_talker_each_is_sent_sixty_packets_and_only_the_talker_does_not_hear_itself() {
    let mut three = Three::with([""; 3]);
    let heard = three.talk(60);
    assert_eq!(heard.each_ref().map(Vec::len), [60; 3]);
    let levels = heard.each_ref().map(|packets| loudness(packets));
    assert!(levels[0] > HEARD && levels[1] > HEARD, "{levels:?}");
    assert!(levels[TALKER] < UNHEARD, "{levels:?}");
}

#[test]
fn of_three_a_talker_whose_numbers_wrap_is_heard_without_a_gap() {
    let mut three = Three::with([""; 3]);
    let heard = three.talk(60);
    let samples: Vec<i16> =
        heard[0].iter().flat_map(|packet| parse(packet).payload().to_vec()).map(linear_from_ulaw).collect();
    for frame in samples[1_600..].chunks(160) {
        assert!(frequency_level(frame, 8_000, TONE_HZ as f32) > HEARD);
    }
}

#[test]
fn of_three_those_who_do_not_want_to_hear_are_sent_nothing_and_the_third_everything() {
    let mut three = Three::with(["a=sendonly\r\n", "a=sendonly\r\n", ""]);
    assert_eq!(three.talk(60).map(|packets| packets.len()), [0, 0, 60]);
    // And from the middle on.
    let mut three = Three::with([""; 3]);
    assert_eq!(three.talk(60).map(|packets| packets.len()), [60; 3]);
    three.changes(0, "a=sendonly\r\n");
    three.changes(1, "a=inactive\r\n");
    assert_eq!(three.talk(60).map(|packets| packets.len()), [0, 0, 60]);
}

#[test]
fn of_three_a_talker_that_says_it_does_not_talk_is_not_heard_and_all_are_sent_silence() {
    let mut three = Three::with(["", "", "a=recvonly\r\n"]);
    let heard = three.talk(75);
    assert_eq!(heard.each_ref().map(Vec::len), [75; 3]);
    for packets in &heard {
        let samples =
            packets.iter().flat_map(|packet| parse(packet).payload().iter().map(|byte| linear_from_ulaw(*byte)));
        assert!(samples.into_iter().all(|sample| sample == 0), "silence and nothing else");
    }
}

#[test]
fn of_three_a_talker_that_stops_to_talk_in_the_middle_is_heard_until_then() {
    let mut three = Three::with([""; 3]);
    let heard = three.talk(40);
    assert!(loudness(&heard[0]) > HEARD && loudness(&heard[1]) > HEARD);
    three.changes(TALKER, "a=recvonly\r\n");
    let heard = three.talk(60);
    assert_eq!(heard.each_ref().map(Vec::len), [60; 3]);
    assert!(heard.iter().all(|packets| loudness(packets) < UNHEARD));
}

#[test]
fn a_prompt_and_then_the_other_party_are_recorded_one_after_the_other() {
    let mut stage = between("0 101", "9 101");
    let mut disk = Disk::default().with("prompt", 0x21, 1_000);
    begin(&mut stage, CALL, CALLER, 1, RecordPlan::both_sides("talk.wav".into()));
    play(&mut stage, CALL, CALLER, PlayId(1), soup([file("prompt")]));
    let prompt = disk.run(&mut stage, 1_100);
    let prompt = sent_to(ALICE, &prompt);
    assert!(prompt.len() == 50 && prompt.iter().all(|packet| byte_of(&packet.bytes) == 0x21));
    assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Completed, 1_000)]);
    for n in 0..50 {
        let from_bob = stage.pass(CALLEE, BOB, &says(9, n, 6, 0x31));
        assert!(matches!(&from_bob[..], [(to, packet)] if *to == at(ALICE) && parse(packet).payload_type() == 0));
        let from_alice = stage.pass(CALLER, ALICE, &says(0, n, 7, 0x45));
        assert!(matches!(&from_alice[..], [(to, packet)] if *to == at(BOB) && parse(packet).payload_type() == 9));
        disk.run(&mut stage, 20);
    }
    originals::record(&mut stage, CALL, CALLER, 1, hookswitch_call::RecordOrder::Finish);
    disk.run(&mut stage, 100);
    let tape = &disk.tapes["talk.wav"];
    assert!(tape.is_finished && (tape.channels, tape.rate) == (2, 8_000), "as wide as what Alice says");
    assert!((2_100..=2_200).contains(&tape.ms()), "{} ms", tape.ms());
    let (alice, hears) = tape.sides();
    let of = |samples: &[i16], byte| samples.iter().filter(|sample| **sample == linear_from_ulaw(byte)).count();
    assert_eq!((of(&hears, 0x21), of(&alice, 0x45)), (8_000, 8_000));
}
