//! Comfort noise (RFC 3389): agreed where it can be passed on, and silence where it cannot.

use crate::stage::{
    self, ALICE, BOB, CALL, CALLEE_LEG, Stage, at, config, formats_in, is_sent, numbers_and_names, parse, phone, rtp,
};
use hookswitch_call::diagnosis::findings;
use hookswitch_call::{MediaOp, Part, Party, Role, Room, Source};
use hookswitch_codec::{by_label, comfort_noise};
use hookswitch_media::{DropReason, EngineConfig, Forward};
use hookswitch_rtp::Header;

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

fn with_noise() -> EngineConfig {
    let mut config = config();
    config.codecs.extend([by_label("G722"), by_label("opus"), Some(comfort_noise())].into_iter().flatten());
    config
}

/// What a phone sends at the beginning of a pause: a background of -60 dBov.
fn noise(number: u8, sequence: u16) -> Vec<u8> {
    let header =
        Header { marker: false, payload_type: number, sequence, timestamp: u32::from(sequence) * 160, ssrc: 1 };
    let mut packet = vec![0; 13];
    header.write_packet(&[60], &mut packet).expect("room");
    packet
}

/// Alice calls Bob with these formats; what Bob was offered, and Alice answered.
fn call(config: EngineConfig, alice: &str, bob: &str) -> (Stage, String, String) {
    let mut stage = Stage::with(config, 8);
    stage.open(Some(&phone(ALICE, alice)));
    let offer = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, bob)).expect("a usable answer");
    let answer = stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
    (stage, offer, answer)
}

#[test]
fn where_both_take_it_it_is_agreed_and_passed_on() {
    let (mut stage, offer, answer) = call(with_noise(), "0 13 101", "0 13 101");
    assert!(numbers_and_names(&offer).contains(&"13 CN".to_owned()), "{offer}");
    assert_eq!(formats_in(&answer), "0 13 101");
    for (party, from, to) in [(CALLER, ALICE, BOB), (CALLEE, BOB, ALICE)] {
        assert!(is_sent(&stage.send(party, from, &mut rtp(0, 1, 1))));
        let sent = stage.pass(party, from, &noise(13, 2));
        assert_eq!(sent, [(at(to), noise(13, 2))], "as it came");
        assert!(stage.run(2_000).is_empty(), "and nothing fills the pause");
        assert!(is_sent(&stage.send(party, from, &mut rtp(0, 3, 1))));
    }
    let quality = stage.engine.audio(stage.now, CALL).expect("the call").caller.quality;
    assert_eq!((quality.lost, quality.reordered), (0, 0));
}

#[test]
fn each_party_has_its_own_number_for_it() {
    let alice = phone(ALICE, "0 101").replace("RTP/AVP 0 101", "RTP/AVP 0 98 101") + "a=rtpmap:98 CN/8000\r\n";
    let mut stage = Stage::with(with_noise(), 8);
    stage.connect(&alice, &phone(BOB, "0 13"));
    let [(_, bytes)] = &stage.pass(CALLER, ALICE, &noise(98, 2))[..] else { panic!("one packet") };
    assert_eq!(parse(bytes).payload_type(), 13);
    let [(_, bytes)] = &stage.pass(CALLEE, BOB, &noise(98, 2))[..] else { panic!("one packet") };
    assert_eq!(parse(bytes).payload_type(), 98, "he may use ours");
}

#[test]
fn where_one_does_not_take_it_or_nobody_has_configured_it_it_is_not_agreed() {
    for (config, alice, bob) in
        [(with_noise(), "0 13 101", "0 101"), (with_noise(), "0 101", "0 101"), (config(), "0 13 101", "0 13 101")]
    {
        let (mut stage, _, answer) = call(config, alice, bob);
        assert_eq!(formats_in(&answer), "0 101", "{alice}, {bob}");
        // It may come all the same: its number is nobody else's.
        assert!(is_sent(&stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))));
        for n in 2..10 {
            assert_eq!(stage.send(CALLER, ALICE, &mut noise(13, n)), Forward::Drop(DropReason::Consumed));
        }
        assert!(is_sent(&stage.send(CALLER, ALICE, &mut rtp(0, 10, 1))));
        let audio = stage.engine.audio(stage.now, CALL).expect("the call");
        assert_eq!((audio.caller.strange, audio.caller.quality.lost), (0, 0), "nothing is wrong with that");
        assert!(findings(&audio, CALLER).is_empty());
    }
}

#[test]
fn an_offer_of_ours_to_somebody_whose_partner_is_not_known_has_it() {
    let mut stage = Stage::with(with_noise(), 8);
    stage.open(None);
    let offer = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert!(numbers_and_names(&offer).contains(&"13 CN".to_owned()), "{offer}");
    let mut plain = Stage::new();
    plain.open(None);
    assert!(!plain.make_offer(CALLEE, CALLEE_LEG).expect("an offer").contains("CN"));
}

#[test]
fn who_calls_a_service_may_leave_out_its_pauses() {
    let mut stage = Stage::with(with_noise(), 8);
    stage.open(Some(&phone(ALICE, "0 13 101")));
    assert_eq!(formats_in(&stage.make_answer(CALLER).expect("an answer")), "0 13 101");
    stage.hear(CALLER, Source::Echo);
    assert_eq!(stage.pass(CALLER, ALICE, &noise(13, 1)).len(), 1, "an echo of it");
    let part = Part { role: Role::Talk, muted: false, deaf: false };
    stage.perform(MediaOp::Join { call: CALL, party: CALLER, room: Room("r".into()), part });
    stage.hear(CALLER, Source::Room);
    assert_eq!(stage.send(CALLER, ALICE, &mut noise(13, 2)), Forward::Drop(DropReason::Consumed));
}

#[test]
fn between_codecs_of_one_clock_it_passes_and_otherwise_it_is_not_agreed() {
    let (mut stage, _, answer) = call(with_noise(), "0 13 101", "9 13 101");
    assert_eq!(formats_in(&answer), "0 13 101");
    assert_eq!(stage.pass(CALLER, ALICE, &rtp(0, 1, 1)).len(), 1);
    let [(_, bytes)] = &stage.pass(CALLER, ALICE, &noise(13, 2))[..] else { panic!("one packet") };
    let packet = parse(bytes);
    assert_eq!((packet.payload_type(), packet.payload(), packet.sequence()), (13, &[60][..], 2));
    let (mut stage, _, answer) = call(with_noise(), "0 13", "107");
    assert_eq!(formats_in(&answer), "0");
    stage.pass(CALLER, ALICE, &rtp(0, 1, 1));
    assert!(stage.pass(CALLER, ALICE, &noise(13, 2)).is_empty());
}

#[test]
fn a_new_offer_of_a_party_takes_it_up_or_gives_it_up() {
    let (mut stage, ..) = call(with_noise(), "0 13 101", "0 13 101");
    assert_eq!(formats_in(&stage.reoffer(CALLEE, &phone(BOB, "0 101")).expect("an answer")), "0 101");
    assert_eq!(stage.send(CALLER, ALICE, &mut noise(13, 2)), Forward::Drop(DropReason::Consumed));
    let offer = stage.make_offer(CALLER, stage::CALLER_LEG).expect("an offer");
    assert_eq!(formats_in(&offer), "0 101", "she need not send what nobody takes");
    stage.reoffer(CALLEE, &phone(BOB, "0 13 101")).expect("an answer");
    assert_eq!(stage.pass(CALLER, ALICE, &noise(13, 3)).len(), 1);
}

#[test]
fn a_party_that_tells_nothing_but_its_background_is_silent_and_one_word_ends_that() {
    let (mut stage, ..) = call(with_noise(), "0 13 101", "0 13 101");
    let since = stage.now;
    for n in 0..20 {
        stage.send(CALLER, ALICE, &mut noise(13, n));
        stage.wait(200);
    }
    let sound = |stage: &Stage| {
        stage.engine.audio(stage.now, CALL).and_then(|audio| audio.caller.quality.sound).expect("it was listened to")
    };
    assert_eq!((sound(&stage).silent_since, sound(&stage).level), (Some(since), None));
    for n in 20..30 {
        stage.wait(20);
        stage.send(CALLER, ALICE, &mut rtp(0, n, 1));
    }
    assert_eq!(sound(&stage).silent_since, None, "200 ms of something");
}
