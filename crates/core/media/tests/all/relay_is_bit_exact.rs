//! What passes from party to party is what was sent.

use crate::stage::{self, ALICE, BOB, Stage, at, parse, phone, phone_with, rtp, sent_to};
use hookswitch_call::Party;
use hookswitch_media::{DropReason, EngineConfig, Forward};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

#[test]
fn packets_pass_unchanged_both_ways() {
    let mut stage = Stage::talking();
    for (party, from, to) in [(CALLER, ALICE, BOB), (CALLEE, BOB, ALICE)] {
        for sequence in [0, 1, 5, 3, 3, u16::MAX] {
            let packet = rtp(0, sequence, 0xdead_beef);
            let mut buffer = packet.clone();
            assert_eq!(sent_to(stage.send(party, from, &mut buffer)), at(to));
            assert_eq!(buffer, packet, "late and doubled ones too: that is for the receiver to sort out");
        }
    }
}

#[test]
fn marker_extension_csrcs_and_padding_pass() {
    let mut stage = Stage::talking();
    // V=2, padding, extension, two CSRCs; marker.
    let mut packet = vec![0xb2, 0x80];
    packet.extend_from_slice(&7u16.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
    packet.extend_from_slice(&12u32.to_be_bytes());
    packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    packet.extend_from_slice(&[0x55; 160]);
    packet.extend_from_slice(&[0, 0, 0, 4]);
    let mut buffer = packet.clone();
    let parsed = parse(&packet);
    assert!(parsed.marker() && parsed.extension().is_some() && parsed.csrcs().count() == 2);
    assert_eq!(
        stage.send(CALLER, ALICE, &mut buffer),
        Forward::Send { socket: stage.socket_of(CALLEE), to: at(BOB), len: packet.len() }
    );
    assert_eq!(buffer, packet);
}

#[test]
fn packets_of_any_length_pass() {
    let mut stage = Stage::talking();
    for length in [0, 1, 80, 240, 480, 1400] {
        let mut packet = rtp(0, 1, 1);
        packet.resize(12 + length, 0xd5);
        let copy = packet.clone();
        assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut packet)), at(BOB));
        assert_eq!(packet, copy);
    }
}

#[test]
fn digits_pass_and_differing_numbers_are_rewritten() {
    let mut stage = Stage::new();
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "0 96"));
    let event = |number: u8| {
        let mut packet = rtp(number, 9, 1);
        packet.truncate(16);
        packet[1] |= 0x80;
        packet
    };
    let mut from_alice = event(101);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut from_alice)), at(BOB));
    assert_eq!(from_alice, event(96), "the marker stays, the number becomes the callee's");
    // The callee should use the number of our offer; those that use their own are understood too.
    for number in [101, 96] {
        let mut from_bob = event(number);
        assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut from_bob)), at(ALICE));
        assert_eq!(from_bob, event(101));
    }
}

#[test]
fn audio_under_a_number_of_its_own_is_rewritten() {
    let mut stage = Stage::new();
    let odd = phone(ALICE, "0 101").replace(" 0 101", " 97 101").replace("rtpmap:0", "rtpmap:97");
    stage.open(Some(&odd));
    let on = stage.make_offer(CALLEE, stage::CALLEE_LEG).expect("an offer");
    assert_eq!(stage::formats_in(&on), "97 8 101");
    // The callee insists on the usual number.
    stage.accept(CALLEE, stage::CALLEE_LEG, &phone(BOB, "0 101")).expect("usable");
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, hookswitch_call::Source::Peer).hear(CALLEE, hookswitch_call::Source::Peer);
    let mut packet = rtp(97, 1, 1);
    stage.send(CALLER, ALICE, &mut packet);
    assert_eq!(packet, rtp(0, 1, 1));
    let mut packet = rtp(0, 1, 1);
    stage.send(CALLEE, BOB, &mut packet);
    assert_eq!(packet, rtp(97, 1, 1));
}

#[test]
fn events_that_one_party_does_not_know_are_not_agreed_with_the_other_where_sounds_mean_nothing_to_us() {
    let mut stage = Stage::with(EngineConfig { inband_keys: false, ..stage::config() }, 8);
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "0"));
    assert_eq!(stage::formats_in(&stage.told[&CALLER]), "0");
    let forward = stage.send(CALLER, ALICE, &mut rtp(101, 1, 1));
    assert_eq!(forward, Forward::Drop(DropReason::PayloadType));
}

#[test]
fn directions_are_respected() {
    // What the caller says, and whether media then passes to and from it.
    let table = [
        ("", true, true),
        ("a=sendrecv\r\n", true, true),
        ("a=sendonly\r\n", false, true),
        ("a=recvonly\r\n", true, false),
        ("a=inactive\r\n", false, false),
    ];
    for (line, to_caller, from_caller) in table {
        let mut stage = Stage::talking();
        let answer = stage.reoffer(CALLER, &phone_with(ALICE, "0 8 101", line)).expect("an answer");
        let expected = match (to_caller, from_caller) {
            (true, true) => "a=sendrecv\r\n",
            (false, true) => "a=recvonly\r\n",
            (true, false) => "a=sendonly\r\n",
            (false, false) => "a=inactive\r\n",
        };
        assert!(answer.ends_with(expected), "{line} answered by {answer}");
        let held = Forward::Drop(DropReason::Held);
        assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 1, 1)) != held, to_caller, "{line}");
        assert_eq!(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1)) != held, from_caller, "{line}");
    }
}

#[test]
fn a_callee_that_answers_with_a_direction_is_taken_at_its_word() {
    let mut stage = Stage::new();
    stage.connect(&phone(ALICE, "0"), &phone_with(BOB, "0", "a=sendonly\r\n"));
    assert_eq!(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1)), Forward::Drop(DropReason::Held));
    assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(0, 1, 1))), at(ALICE));
    let answer = &stage.told[&CALLER];
    assert!(answer.ends_with("a=sendrecv\r\n"), "one party's hold is not passed on: {answer}");
}

#[test]
fn a_session_direction_counts_for_its_stream() {
    let mut stage = Stage::talking();
    let held = phone(ALICE, "0 8 101").replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    let answer = stage.reoffer(CALLER, &held).expect("an answer");
    assert!(answer.ends_with("a=recvonly\r\n"), "{answer}");
}

#[test]
fn hold_by_an_unspecified_address_stops_media() {
    let mut stage = Stage::talking();
    let held = phone(ALICE, "0 8 101").replace("c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0");
    let answer = stage.reoffer(CALLER, &held).expect("an answer");
    assert!(answer.ends_with("a=recvonly\r\n"), "{answer}");
    assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 1, 1)), Forward::Drop(DropReason::Held));
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(BOB), "its music still comes through");
    stage.reoffer(CALLER, &phone(ALICE, "0 8 101")).expect("an answer");
    assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(0, 1, 1))), at(ALICE));
}

#[test]
fn a_call_that_is_only_relayed_wants_no_tick() {
    let mut stage = Stage::talking();
    stage.stream(CALLER, ALICE, 1, 0, 50);
    assert_eq!(stage.engine.next_tick(), None);
}
