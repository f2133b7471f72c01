//! Whatever comes, nothing panics, no port is lost, and equal runs are equal.

use std::time::Duration;

use crate::stage::{self, ALICE, BOB, Stage, at, config, phone, phone_with, rtp};
use hookswitch_call::{CallId, Digit, LegId, MediaOp, Party, Sdp, Seat, Source};
use hookswitch_media::latch::{Latch, LatchConfig};
use hookswitch_media::{DropReason, Forward, SocketIx};
use proptest::prelude::*;

fn party() -> impl Strategy<Value = Party> {
    prop_oneof![Just(Party::Caller), Just(Party::Callee)]
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::Silence),
        Just(Source::Peer),
        Just(Source::Echo),
        Just(Source::Ringback),
        Just(Source::Reference),
        Just(Source::Hold)
    ]
}

fn description() -> impl Strategy<Value = Sdp> {
    let good = prop_oneof![
        Just(phone(ALICE, "0 8 101")),
        Just(phone(BOB, "8 96")),
        Just(phone("[2001:db8::5]:4000", "0")),
        Just(phone_with(ALICE, "0 8", "a=sendonly\r\nm=video 9 RTP/AVP 99\r\n")),
        Just(phone(ALICE, "18")),
        Just(phone(ALICE, "0").replace("198.51.100.1", "0.0.0.0")),
        Just(phone(ALICE, "0").replace("audio 4000", "audio 0")),
        "[ -~\r\n]{0,80}".prop_map(|tail| phone(ALICE, "0") + &tail),
        any::<String>(),
    ];
    good.prop_map(|text| Sdp::from(text.as_str()))
}

fn operation() -> impl Strategy<Value = MediaOp> {
    let call = (0u64..3).prop_map(CallId);
    let leg = (0u16..4).prop_map(LegId);
    let near = prop_oneof![Just(None), Just(Some(stage::ip("10.0.0.1"))), Just(Some(stage::ip("2001:db8::1")))];
    (call, leg, party(), near, description(), source(), 0..16u8).prop_map(
        |(call, leg, party, near, sdp, source, which)| match which {
            0 => MediaOp::Open { call, offer: Some((party, sdp)), codecs: None, near, room: None },
            1 => MediaOp::Open { call, offer: None, codecs: None, near, room: None },
            2 => MediaOp::MakeOffer { call, seat: party.into(), leg, near },
            3 => MediaOp::MakeAnswer { call, seat: party.into(), leg },
            4 => MediaOp::Offered { call, seat: party.into(), sdp },
            5 => MediaOp::Accept { call, seat: party.into(), leg, sdp },
            6 | 7 => MediaOp::Hear { call, seat: party.into(), source },
            8 => MediaOp::Hold { call, party, on: leg.0 % 2 == 0 },
            9 => MediaOp::OpenSpare { call, party, near: None },
            10 => MediaOp::MakeOffer { call, seat: Seat::Spare, leg, near },
            11 => MediaOp::Accept { call, seat: Seat::Spare, leg, sdp },
            12 => MediaOp::Swap { call },
            13 => MediaOp::CloseSpare { call },
            14 => {
                let digit = Digit { key: if leg.0 == 0 { '#' } else { 'ä' }, time: Duration::from_secs(leg.0.into()) };
                MediaOp::Digit { call, party, digit }
            }
            _ => MediaOp::Close { call },
        },
    )
}

#[derive(Debug, Clone)]
enum Step {
    Do(MediaOp),
    Packet { socket: u32, from: usize, bytes: Vec<u8> },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let stream = (0u8..130, any::<u16>(), 0u32..3).prop_map(|(number, sequence, ssrc)| rtp(number, sequence, ssrc));
    let bytes = prop_oneof![stream, proptest::collection::vec(any::<u8>(), 0..200)];
    prop_oneof![
        3 => operation().prop_map(Step::Do),
        5 => (0u32..40, 0usize..4, bytes).prop_map(|(socket, from, bytes)| Step::Packet { socket, from, bytes }),
        1 => (0u64..3_000).prop_map(Step::Wait),
    ]
}

const SOURCES: [&str; 4] = [ALICE, BOB, "192.0.2.66:6", "[2001:db8::5]:4000"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ports_are_conserved_over_any_order_of_operations(steps in proptest::collection::vec(step(), 0..120)) {
        let mut stage = Stage::with(config(), 3);
        let all = stage.ports.free();
        for step in steps {
            match step {
                Step::Do(op) => {
                    stage.engine.perform(stage.now, op, &mut stage.ports);
                    while stage.engine.poll_report().is_some() {}
                }
                Step::Packet { socket, from, mut bytes } => {
                    let length = bytes.len();
                    let forward = stage.engine.handle_packet(stage.now, SocketIx(socket), at(SOURCES[from]), &mut bytes, length);
                    prop_assert_eq!(bytes.len(), length);
                    if let Forward::Send { socket, to, len } = forward {
                        prop_assert_eq!(len, length);
                        let ours = stage.ports.taken.iter().any(|pair| pair.rtp == socket || pair.rtcp == socket);
                        prop_assert!(ours, "sent from a socket that is in use");
                        // IPv6 sockets have the upper numbers here.
                        prop_assert_eq!(to.is_ipv6(), socket.0 >= 6);
                    }
                }
                Step::Wait(ms) => { stage.run(ms); }
            }
            let totals = stage.engine.totals();
            prop_assert_eq!(stage.ports.taken.len(), totals.port_pairs);
            prop_assert_eq!(stage.ports.free() + stage.ports.taken.len(), all);
            // Keys may be on their way, or down.
            prop_assert!(totals.generators > 0 || stage.engine.next_tick() < Some(stage.now + Duration::from_secs(60)));
        }
        for call in 0..3 {
            stage.engine.perform(stage.now, MediaOp::Close { call: CallId(call) }, &mut stage.ports);
        }
        stage.run(1_000);
        let totals = stage.engine.totals();
        prop_assert_eq!((totals.calls, totals.port_pairs, totals.generators), (0, 0, 0));
        prop_assert_eq!(stage.ports.free(), all);
        prop_assert_eq!(stage.engine.next_tick(), None);
    }

    #[test]
    fn random_packets_to_a_live_call_never_panic_nor_pass_from_strangers(
        packets in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..100)
    ) {
        let mut stage = Stage::talking();
        stage.send(Party::Caller, ALICE, &mut rtp(0, 1, 1));
        for (rtcp, mut bytes) in packets {
            let forward = if rtcp {
                stage.send_report(Party::Caller, "192.0.2.66:6", &mut bytes)
            } else {
                stage.send(Party::Caller, "192.0.2.66:6", &mut bytes)
            };
            prop_assert!(matches!(forward, Forward::Drop(
                DropReason::Malformed | DropReason::PayloadType | DropReason::Source)));
        }
    }

    /// Whatever strangers send, in whatever rhythm, a source that keeps speaking keeps its stream.
    #[test]
    fn a_live_source_is_never_replaced_by_a_stranger(
        natted in any::<bool>(),
        packets in proptest::collection::vec((0u16..6, 0u32..3, 0u16..40, 0u64..1_999), 0..300)
    ) {
        let config = LatchConfig::default();
        let (advertised, source) = (at(ALICE), at(if natted { BOB } else { ALICE }));
        let mut latch = Latch::default();
        let mut now = std::time::Duration::from_secs(1);
        latch.advertise(now, Some(advertised));
        for n in 0..5 {
            latch.admit(now, &config, source, 1, n);
        }
        prop_assert_eq!(latch.source(), Some(source));
        for (n, (port, ssrc, sequence, pause)) in packets.into_iter().enumerate() {
            let stranger = std::net::SocketAddr::new(stage::ip("192.0.2.66"), 1_000 + port);
            prop_assert!(!latch.admit(now, &config, stranger, ssrc, sequence));
            now += std::time::Duration::from_millis(pause);
            prop_assert!(!latch.admit(now, &config, stranger, ssrc, sequence.wrapping_add(1)));
            prop_assert!(latch.admit(now, &config, source, 1, n as u16));
            prop_assert_eq!(latch.destination(), Some(source));
        }
    }

    #[test]
    fn every_description_of_ours_can_be_read(sdp in description(), answer in description()) {
        let mut stage = Stage::new();
        stage.open(Some(&sdp.0));
        if let Ok(offer) = stage.make_offer(Party::Callee, LegId(1)) {
            let parsed = hookswitch_sdp::SessionDescription::parse(&offer).expect("readable");
            prop_assert_eq!(parsed.media_count(), 1);
            let _ = stage.accept(Party::Callee, LegId(1), &answer.0);
        }
        if let Ok(ours) = stage.make_answer(Party::Caller) {
            let theirs = hookswitch_sdp::SessionDescription::parse(sdp.0.as_bytes()).expect("we answered it");
            let parsed = hookswitch_sdp::SessionDescription::parse(&ours).expect("readable");
            prop_assert_eq!(parsed.media_count(), theirs.media_count(), "one m-line for each");
        }
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = || {
        let mut stage = Stage::talking();
        stage.hear(Party::Caller, Source::Ringback);
        let sent: Vec<_> = stage.run(1_000).into_iter().map(|sent| sent.bytes).collect();
        (stage.told[&Party::Caller].clone(), sent)
    };
    assert_eq!(run(), run());
}
