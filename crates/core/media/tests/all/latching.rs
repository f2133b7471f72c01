//! Whose packets are believed, and where media goes.

use std::time::Duration;

use crate::stage::{self, ALICE, BOB, Stage, at, is_sent, phone, rtp, sent_to};
use hookswitch_call::{Party, Source};
use hookswitch_media::latch::{CANDIDATES, FIRST_WORD, LATCH_PACKETS, RELATCH_AFTER};
use hookswitch_media::{DropReason, Forward};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
/// Where Alice's packets come from when she is behind NAT.
const NATTED: &str = "192.0.2.200:31000";
/// An address that is reached as it stands.
const INTERNET: &str = "9.9.9.9:4000";
const STRANGER: &str = "203.0.113.66:666";

/// Where media for the caller goes now.
fn towards_caller(stage: &mut Stage) -> std::net::SocketAddr {
    sent_to(stage.send(CALLEE, BOB, &mut rtp(0, 1, 0xb0b)))
}

#[test]
fn media_goes_to_the_advertised_address_until_something_arrives() {
    let mut stage = Stage::talking();
    assert_eq!(towards_caller(&mut stage), at(ALICE));
}

#[test]
fn a_packet_from_the_advertised_address_is_believed_at_once() {
    let mut stage = Stage::talking();
    let forward = stage.send(CALLER, ALICE, &mut rtp(0, 1, 1));
    assert_eq!(forward, Forward::Send { socket: stage.socket_of(CALLEE), to: at(BOB), len: 172 });
}

#[test]
fn one_stray_packet_changes_nothing() {
    let mut stage = Stage::talking();
    assert_eq!(stage.send(CALLER, STRANGER, &mut rtp(0, 1, 9)), Forward::Drop(DropReason::Source));
    assert_eq!(towards_caller(&mut stage), at(ALICE));
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))));
    assert_eq!(towards_caller(&mut stage), at(ALICE));
    assert_eq!(stage.dropped(CALLER, DropReason::Source), 1);
}

/// A call whose caller has an address of the Internet.
fn from_the_internet() -> Stage {
    let mut stage = Stage::new();
    stage.connect(&phone(INTERNET, "0"), &phone(BOB, "0"));
    stage
}

#[test]
fn somebody_still_sending_to_a_port_from_another_call_does_not_get_in_before_the_party_speaks() {
    let mut stage = from_the_internet();
    let fates = stage.stream(CALLER, STRANGER, 9, 0, 40);
    assert!(fates.iter().all(|fate| *fate == Forward::Drop(DropReason::Source)));
    assert!(is_sent(&stage.send(CALLER, INTERNET, &mut rtp(0, 1, 1))));
    let fates = stage.stream(CALLER, STRANGER, 9, 40, 100);
    assert!(fates.iter().all(|fate| *fate == Forward::Drop(DropReason::Source)));
    assert_eq!(towards_caller(&mut stage), at(INTERNET));
}

#[test]
fn another_host_is_learned_after_the_first_word_of_the_one_that_was_advertised() {
    let mut stage = from_the_internet();
    let packets = u16::try_from(FIRST_WORD.as_millis() / 20).expect("a second or so") + u16::from(LATCH_PACKETS);
    let fates = stage.stream(CALLER, NATTED, 1, 0, packets);
    let silent = fates.iter().take_while(|fate| !is_sent(fate)).count();
    assert!(silent * 20 >= FIRST_WORD.as_millis() as usize - 20, "{silent} packets");
    assert_eq!(towards_caller(&mut stage), at(NATTED));
}

#[test]
fn another_port_of_the_advertised_host_does_not_have_to_wait() {
    let mut stage = from_the_internet();
    let fates = stage.stream(CALLER, "9.9.9.9:31000", 1, 0, 5);
    assert!(is_sent(&fates[4]));
}

#[test]
fn a_phone_whose_address_is_a_private_one_does_not_have_to_wait() {
    for private in ["10.1.2.3:4000", "192.168.1.2:4000", "100.100.0.1:4000", "169.254.7.7:4000", "127.0.0.1:4000"] {
        let mut stage = Stage::new();
        stage.connect(&phone(private, "0"), &phone(BOB, "0"));
        let fates = stage.stream(CALLER, NATTED, 1, 0, 5);
        assert!(is_sent(&fates[4]), "{private}");
    }
}

#[test]
fn a_phone_behind_nat_is_believed_after_five_packets_in_a_row() {
    let mut stage = Stage::talking();
    let fates = stage.stream(CALLER, NATTED, 1, u16::MAX - 2, u16::from(LATCH_PACKETS));
    let sent: Vec<_> = fates.iter().map(is_sent).collect();
    assert_eq!(sent, [false, false, false, false, true], "the sequence number wraps on the way");
    assert_eq!(towards_caller(&mut stage), at(NATTED));
}

#[test]
fn packets_that_are_no_row_prove_nothing() {
    // Gaps, changing sources, the wrong payload type, and a row that takes too long.
    let mut stage = Stage::talking();
    for n in 0..50 {
        stage.wait(20);
        assert!(!is_sent(&stage.send(CALLER, NATTED, &mut rtp(0, 2 * n, 1))), "a gap");
    }
    for n in 0..50u16 {
        stage.wait(20);
        assert!(!is_sent(&stage.send(CALLER, NATTED, &mut rtp(0, n, u32::from(n)))), "another SSRC");
    }
    for n in 0..50 {
        stage.wait(20);
        let forward = stage.send(CALLER, NATTED, &mut rtp(3, n, 1));
        assert_eq!(forward, Forward::Drop(DropReason::PayloadType));
    }
    for n in 0..50 {
        stage.wait(300);
        assert!(!is_sent(&stage.send(CALLER, NATTED, &mut rtp(0, n, 1))), "too slow");
    }
    assert_eq!(towards_caller(&mut stage), at(ALICE));
}

#[test]
fn a_doubled_packet_does_not_spoil_a_row_and_does_not_count() {
    let mut stage = Stage::talking();
    for n in 0..4 {
        for _ in 0..3 {
            assert!(!is_sent(&stage.send(CALLER, NATTED, &mut rtp(0, n, 1))));
        }
    }
    assert!(is_sent(&stage.send(CALLER, NATTED, &mut rtp(0, 4, 1))));
}

#[test]
fn strangers_in_between_do_not_keep_a_phone_from_being_learned() {
    let mut stage = Stage::talking();
    for n in 0..u16::from(LATCH_PACKETS) {
        for k in 1..CANDIDATES as u16 {
            let stranger = format!("203.0.113.66:{}", 1000 + 10 * n + k);
            assert!(!is_sent(&stage.send(CALLER, &stranger, &mut rtp(0, 77, 9))));
        }
        stage.send(CALLER, NATTED, &mut rtp(0, n, 1));
        stage.wait(20);
    }
    assert_eq!(towards_caller(&mut stage), at(NATTED));
}

#[test]
fn a_flood_cannot_steal_a_live_stream() {
    for from in [ALICE, NATTED] {
        let mut stage = Stage::talking();
        stage.stream(CALLER, from, 1, 0, 5);
        for n in 5..500 {
            stage.wait(20);
            for k in 0..10 {
                let forward = stage.send(CALLER, STRANGER, &mut rtp(0, 10 * n + k, 9));
                assert_eq!(forward, Forward::Drop(DropReason::Source));
            }
            assert!(is_sent(&stage.send(CALLER, from, &mut rtp(0, n, 1))));
            assert_eq!(towards_caller(&mut stage), at(from));
        }
    }
}

#[test]
fn a_source_that_moved_is_learned_once_the_old_one_is_silent() {
    let mut stage = Stage::talking();
    stage.stream(CALLER, NATTED, 1, 0, 10);
    let moved = "192.0.2.200:31999";
    let silent_until = stage.now + RELATCH_AFTER;
    let mut sequence = 10;
    while stage.now + Duration::from_millis(20) < silent_until {
        let fates = stage.stream(CALLER, moved, 1, sequence, 1);
        assert_eq!(fates, [Forward::Drop(DropReason::Source)]);
        sequence += 1;
    }
    let fates = stage.stream(CALLER, moved, 1, sequence, 6);
    assert_eq!(fates.iter().filter(|fate| is_sent(fate)).count(), 2, "the fifth and what follows");
    assert_eq!(towards_caller(&mut stage), at(moved));
    // The old one has lost its right.
    assert_eq!(stage.send(CALLER, NATTED, &mut rtp(0, 11, 1)), Forward::Drop(DropReason::Source));
}

#[test]
fn the_advertised_address_takes_its_stream_back_from_a_stranger_who_was_quicker() {
    let mut stage = Stage::talking();
    stage.stream(CALLER, STRANGER, 9, 0, 5);
    assert_eq!(towards_caller(&mut stage), at(STRANGER), "nobody can know better yet");
    for n in 0..5 {
        stage.stream(CALLER, STRANGER, 9, 5 + n, 1);
        stage.send(CALLER, ALICE, &mut rtp(0, n, 1));
    }
    assert_eq!(towards_caller(&mut stage), at(ALICE));
    assert_eq!(stage.stream(CALLER, STRANGER, 9, 10, 1), [Forward::Drop(DropReason::Source)]);
}

#[test]
fn a_new_address_in_a_new_offer_is_learned_anew_and_the_same_one_is_kept() {
    let mut stage = Stage::talking();
    stage.stream(CALLER, NATTED, 1, 0, 5);
    stage.reoffer(CALLER, &phone(ALICE, "0 8 101")).expect("an answer");
    assert_eq!(towards_caller(&mut stage), at(NATTED), "a refresh costs no packet");
    stage.reoffer(CALLER, &phone("198.51.100.1:7000", "0 8 101")).expect("an answer");
    assert_eq!(towards_caller(&mut stage), at("198.51.100.1:7000"));
    assert_eq!(stage.stream(CALLER, NATTED, 1, 5, 1), [Forward::Drop(DropReason::Source)]);
}

#[test]
fn hold_at_no_address_does_not_forget_where_the_phone_is() {
    let mut stage = Stage::talking();
    stage.stream(CALLER, NATTED, 1, 0, 5);
    let held = phone(ALICE, "0 8 101").replace("c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0");
    stage.reoffer(CALLER, &held).expect("an answer");
    let forward = stage.send(CALLEE, BOB, &mut rtp(0, 1, 2));
    assert_eq!(forward, Forward::Drop(DropReason::Held));
    stage.reoffer(CALLER, &phone(ALICE, "0 8 101")).expect("an answer");
    assert_eq!(towards_caller(&mut stage), at(NATTED));
}

#[test]
fn a_party_that_said_it_is_silent_cannot_be_impersonated() {
    let mut stage = Stage::talking();
    stage.stream(CALLER, NATTED, 1, 0, 5);
    stage.reoffer(CALLER, &stage::phone_with(ALICE, "0 8 101", "a=recvonly\r\n")).expect("an answer");
    stage.wait(60_000);
    let fates = stage.stream(CALLER, STRANGER, 9, 0, 20);
    assert!(fates.iter().all(|fate| *fate == Forward::Drop(DropReason::Held)));
    assert_eq!(towards_caller(&mut stage), at(NATTED));
}

#[test]
fn a_host_name_instead_of_an_address_is_learned_from_packets() {
    let mut stage = Stage::new();
    let named = phone(ALICE, "0").replace("c=IN IP4 198.51.100.1", "c=IN IP4 phone.example.test");
    stage.connect(&named, &phone(BOB, "0"));
    let forward = stage.send(CALLEE, BOB, &mut rtp(0, 1, 2));
    assert_eq!(forward, Forward::Drop(DropReason::NoDestination));
    stage.stream(CALLER, ALICE, 1, 0, 5);
    assert_eq!(towards_caller(&mut stage), at(ALICE));
}

#[test]
fn a_source_may_change_its_ssrc_once_it_is_believed() {
    // Gateways do so when they switch from an announcement to the called party.
    let mut stage = Stage::talking();
    stage.stream(CALLER, NATTED, 1, 0, 5);
    let fates = stage.stream(CALLER, NATTED, 2, 40_000, 3);
    assert!(fates.iter().all(is_sent));
}

#[test]
fn garbage_goes_nowhere_and_is_counted() {
    let mut stage = Stage::talking();
    let mut short = [0x80, 0, 1];
    let mut stun = [0u8; 20];
    let mut version = rtp(0, 1, 1);
    version[0] = 0x40;
    let mut extension = rtp(0, 1, 1);
    extension.truncate(12);
    extension[0] = 0x90;
    let mut padding = rtp(0, 1, 1);
    padding[0] |= 0x20;
    *padding.last_mut().expect("bytes") = 0;
    let garbage: [&mut [u8]; 6] = [&mut [], &mut short, &mut stun, &mut version, &mut extension, &mut padding];
    for packet in garbage {
        assert_eq!(stage.send(CALLER, ALICE, packet), Forward::Drop(DropReason::Malformed));
    }
    assert_eq!(stage.dropped(CALLER, DropReason::Malformed), 6);
    let unknown = hookswitch_media::SocketIx(4_000_000_000);
    let forward = stage.engine.handle_packet(stage.now, unknown, at(ALICE), &mut rtp(0, 1, 1), 172);
    assert_eq!(forward, Forward::Drop(DropReason::UnknownSocket));
}

#[test]
fn nothing_passes_before_an_agreement() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    stage.make_offer(CALLEE, stage::CALLEE_LEG).expect("an offer");
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
    let forward = stage.send(CALLEE, BOB, &mut rtp(0, 1, 1));
    assert_eq!(forward, Forward::Drop(DropReason::NotNegotiated));
}
