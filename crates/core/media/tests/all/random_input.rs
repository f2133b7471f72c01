//! Whatever comes, nothing panics, no port is lost, and equal runs are equal.

use std::sync::Arc;
use std::time::Duration;

use crate::stage::{self, ALICE, BOB, Stage, at, config, phone, phone_with, rtp};
use hookswitch_call::{
    AfterPlay, Audience, BargeIn, CallId, Digit, LegId, MediaOp, Part, Party, PlayControl, PlayId, Plays, RecordOrder,
    RecordPlan, RecordingId, Role, Room, Sdp, Seat, Silence, Sound, SoundKind, Soup, Source, Tracks,
};
use hookswitch_media::latch::{Latch, LatchConfig};
use hookswitch_media::{DropReason, FileError, FileOrder, FileReport, Forward, SocketIx, Written};
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
        Just(Source::Hold),
        Just(Source::Sounds),
        Just(Source::Room)
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
    prop_oneof![2 => session_operation(), 1 => sound_operation()]
}

fn session_operation() -> impl Strategy<Value = MediaOp> {
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

fn soup() -> impl Strategy<Value = Soup> {
    let sound = prop_oneof![
        Just(Sound::of(SoundKind::Tone, "440*0.5:100")),
        Just(Sound { plays: Plays::Forever, ..Sound::of(SoundKind::Tone, "440*0.5:100") }),
        Just(Sound::of(SoundKind::Tone, "no tone")),
        Just(Sound::of(SoundKind::Wav, "a.wav")),
        Just(Sound { stop: Some(Duration::from_millis(50)), ..Sound::of(SoundKind::Pcmu, "a.pcmu") }),
    ];
    let plays = prop_oneof![Just(Plays::ONCE), Just(Plays::Forever)];
    (proptest::collection::vec(sound, 0..3), plays, any::<bool>()).prop_map(|(sounds, plays, interrupt)| Soup {
        sounds,
        plays,
        interrupt,
    })
}

fn control() -> impl Strategy<Value = PlayControl> {
    prop_oneof![
        Just(PlayControl::Pause),
        Just(PlayControl::Resume),
        (0u64..200).prop_map(|ms| PlayControl::Seek(Duration::from_millis(ms))),
        any::<i8>().prop_map(PlayControl::Gain),
        Just(PlayControl::Stop)
    ]
}

fn part() -> impl Strategy<Value = Part> {
    let role =
        prop_oneof![Just(Role::Talk), Just(Role::Listen), (0u64..3).prop_map(|call| Role::Whisper(CallId(call)))];
    (role, any::<bool>(), any::<bool>()).prop_map(|(role, muted, deaf)| Part { role, muted, deaf })
}

fn record_order() -> impl Strategy<Value = RecordOrder> {
    let tracks = prop_oneof![Just(Tracks::Stereo), Just(Tracks::Mixed), Just(Tracks::Incoming), Just(Tracks::Outgoing)];
    let plan = (tracks, proptest::option::of(0u32..3), any::<bool>()).prop_map(|(tracks, after, listens)| {
        let second = Duration::from_secs(1);
        let barge_in = listens.then_some(BargeIn { above: 100, average: 2 });
        RecordPlan {
            tracks,
            start_above: listens.then_some(500),
            silence: listens.then_some(Silence { below: 100, time: second }),
            max: 3 * second,
            after: after.map(|play| AfterPlay { play: PlayId(play), keep: second, barge_in }),
            ..RecordPlan::both_sides("a.wav".into())
        }
    });
    prop_oneof![
        3 => plan.prop_map(|plan| RecordOrder::Begin(Box::new(plan))),
        1 => Just(RecordOrder::Pause),
        1 => Just(RecordOrder::Resume),
        1 => Just(RecordOrder::Finish),
    ]
}

/// Of rooms, sounds and recordings.
fn sound_operation() -> impl Strategy<Value = MediaOp> {
    let call = (0u64..3).prop_map(CallId);
    (call, party(), soup(), control(), part(), record_order(), 0..3u8, 0..8u8).prop_map(
        |(call, party, soup, control, part, order, name, which)| {
            let (play, recording) = (PlayId(name.into()), RecordingId(name.into()));
            let room = Room::from(if name == 0 { "a@example.com" } else { "b@example.com" });
            let to = if name == 0 { Audience::Room } else { Audience::Party };
            match which {
                0 | 1 => MediaOp::Join { call, party, room, part },
                2 => MediaOp::Leave { call, party, room },
                3 | 4 => MediaOp::Play { call, party, play, soup: Arc::new(soup), to },
                5 => MediaOp::ControlPlay { call, party, play, control },
                6 => MediaOp::Record { call, party, recording, order },
                _ => MediaOp::Inspect { call },
            }
        },
    )
}

/// A disk that can do nothing for every fourth file.
fn serve(stage: &mut Stage) {
    while let Some(order) = stage.engine.poll_file() {
        let is_full = order.file().serial.is_multiple_of(4);
        let report = match order {
            order if is_full => order.refused(FileError::Busy),
            FileOrder::OpenSound { file, rate, .. } => {
                let samples = vec![1_000_i16; rate as usize / 10].into();
                Some(FileReport::Sound { file, samples, last: file.serial % 4 == 1 })
            }
            FileOrder::ReadSound { file } => {
                Some(FileReport::Sound { file, samples: vec![1_000_i16; 10].into(), last: true })
            }
            FileOrder::CreateRecording { file, .. } => Some(FileReport::RecordingOpen { file }),
            FileOrder::FinishRecording { file, length, .. } => {
                Some(FileReport::RecordingOver { file, written: Written { length, ..Written::default() } })
            }
            FileOrder::CloseSound { .. } | FileOrder::AppendRecording { .. } => None,
        };
        if let Some(report) = report {
            stage.engine.file_done(stage.now, report);
        }
    }
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
            serve(&mut stage);
            let totals = stage.engine.totals();
            prop_assert_eq!(stage.ports.taken.len(), totals.port_pairs);
            prop_assert_eq!(stage.ports.free() + stage.ports.taken.len(), all);
            // Keys may be on their way, or down, and rooms, sounds and recordings may have their time.
            prop_assert!(totals.generators > 0 || stage.engine.next_tick() < Some(stage.now + Duration::from_secs(60)));
        }
        for call in 0..3 {
            stage.engine.perform(stage.now, MediaOp::Close { call: CallId(call) }, &mut stage.ports);
        }
        stage.run(1_000);
        serve(&mut stage);
        prop_assert_eq!((stage.engine.rooms(), stage.engine.recordings()), ((0, 0), 0));
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
