//! What becomes known of how a party is received, and how it receives.

use std::time::Duration;

use crate::stage::{self, ALICE, BOB, CALL, Stage, is_sent, phone_with, rtp};
use hookswitch_call::diagnosis::{Finding, MUTE_AFTER, findings};
use hookswitch_call::{AudioNews, AudioQuality, AudioSound, MediaOp, MediaReport, Part, Party, Role, Room, Source};
use hookswitch_codec::{Codec, by_static_payload_type, pcma, pcmu};
use hookswitch_media::{DropReason, POOR, Rated};
use hookswitch_rtp::{CompoundWriter, Header, ReportBlock, SenderInfo, ntp_time};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const SSRC: u32 = 7;

/// Packets of 20 ms of the caller's: by number, and how many milliseconds late.
fn speak(stage: &mut Stage, packets: impl IntoIterator<Item = (u16, u64)>) {
    let begun = stage.now;
    let mut packets: Vec<(Duration, u16)> =
        packets.into_iter().map(|(n, late)| (begun + Duration::from_millis(20 * u64::from(n) + late), n)).collect();
    packets.sort();
    for (at, n) in packets {
        stage.now = at;
        stage.send(CALLER, ALICE, &mut rtp(0, 100 + n, SSRC));
    }
}

fn quality(stage: &Stage) -> AudioQuality {
    stage.engine.audio(stage.now, CALL).expect("the call").caller.quality
}

#[test]
fn a_perfect_stream_has_nothing_but_an_opinion() {
    let mut stage = Stage::talking();
    assert_eq!(quality(&stage), AudioQuality::default(), "before anything has come");
    speak(&mut stage, (0..500).map(|n| (n, 0)));
    let expected = AudioQuality { opinion: Some(441), ..AudioQuality::default() };
    assert_eq!(AudioQuality { sound: None, ..quality(&stage) }, expected);
}

#[test]
fn what_is_missing_comes_late_or_twice_is_counted() {
    let mut stage = Stage::talking();
    let mut packets: Vec<(u16, u64)> = (0..200).map(|n| (n, 0)).collect();
    packets.retain(|(n, _)| ![50, 51, 52, 90].contains(n));
    packets[20].1 = 30; // behind the next one
    packets.push((150, 5)); // again
    speak(&mut stage, packets);
    let quality = quality(&stage);
    assert_eq!((quality.lost, quality.reordered, quality.duplicated), (4, 1, 1));
    let counters = stage.engine.stats(CALL).expect("the call").caller;
    assert_eq!((counters.lost_packets, counters.reordered_packets, counters.duplicated_packets), (4, 1, 1));
    assert_eq!(stage.engine.totals().counters.lost_packets, 4);
}

#[test]
fn opinion_falls_with_losses_and_more_with_losses_in_a_row() {
    let opinion = |is_lost: fn(u16) -> bool| {
        let mut stage = Stage::talking();
        speak(&mut stage, (0..1_000).filter(|n| !is_lost(*n)).map(|n| (n, 0)));
        quality(&stage).opinion.expect("heard")
    };
    let (none, few) = (opinion(|_| false), opinion(|n| n % 50 == 7));
    let (tenth, in_a_row) = (opinion(|n| n % 10 == 7), opinion(|n| (10..20).contains(&(n % 100))));
    let half = opinion(|n| n % 2 == 1);
    assert!(none > few && few > tenth && tenth > in_a_row && in_a_row > half, "{none} {few} {tenth} {in_a_row} {half}");
    assert!(half < 200, "{half}: half of all packets is bad, and not 4.5");
}

#[test]
fn jitter_is_that_of_rfc_3550() {
    let mut stage = Stage::talking();
    speak(&mut stage, (0..500).map(|n| (n, u64::from(n % 2) * 10)));
    let jitter = quality(&stage).jitter;
    assert!((9..=10).contains(&jitter.as_millis()), "every packet 10 ms off the one before: {jitter:?}");
    let mut even = Stage::talking();
    speak(&mut even, (0..500).map(|n| (n, 7)));
    assert_eq!(quality(&even).jitter, Duration::ZERO, "late, but evenly");
}

#[test]
fn another_source_and_a_restart_are_no_losses() {
    let mut stage = Stage::talking();
    for (ssrc, first) in [(1u32, 100u16), (2, 40_000), (2, 10), (3, 65_500)] {
        for n in 0..100u16 {
            stage.wait(20);
            stage.send(CALLER, ALICE, &mut rtp(0, first.wrapping_add(n), ssrc));
        }
    }
    let quality = quality(&stage);
    assert_eq!((quality.lost, quality.reordered, quality.duplicated), (0, 0, 0));
}

#[test]
fn what_was_sent_while_on_hold_is_not_missing_afterwards() {
    let mut stage = Stage::talking();
    let speak = |stage: &mut Stage, first: u16| {
        for n in 0..50 {
            stage.wait(20);
            stage.send(CALLER, ALICE, &mut rtp(0, first + n, SSRC));
        }
    };
    speak(&mut stage, 100);
    stage.hold(CALLER, true);
    speak(&mut stage, 150);
    stage.hold(CALLER, false);
    speak(&mut stage, 200);
    assert_eq!(quality(&stage).lost, 0);
}

fn compound(write: impl FnOnce(&mut CompoundWriter<'_>)) -> Vec<u8> {
    let mut buffer = [0; 200];
    let mut writer = CompoundWriter::new(&mut buffer);
    write(&mut writer);
    let length = writer.len();
    buffer[..length].to_vec()
}

#[test]
fn the_way_to_a_party_and_back_is_what_its_reports_say_whoever_made_the_one_they_refer_to() {
    let mut stage = Stage::talking();
    speak(&mut stage, (0..10).map(|n| (n, 0)));
    let ntp = ntp_time(Duration::from_secs(1_234_567));
    let info = SenderInfo { ntp, rtp_timestamp: 0, packet_count: 10, octet_count: 1_600 };
    let mut report = compound(|writer| {
        writer.sender_report(SSRC, info, &[]).expect("room");
    });
    assert!(is_sent(&stage.send_report(CALLER, "198.51.100.1:4001", &mut report)));
    // Two seconds in the callee's hands, and 80 ms on the way there and back.
    stage.wait(2_080);
    let block = ReportBlock {
        ssrc: SSRC,
        fraction_lost: 10,
        cumulative_lost: 3,
        extended_highest: 109,
        jitter: 40,
        last_sr: (ntp >> 16) as u32,
        delay_since_last_sr: 2 * 65_536,
    };
    let mut answer = compound(|writer| {
        writer.receiver_report(9, &[block]).expect("room");
    });
    assert!(is_sent(&stage.send_report(CALLEE, "203.0.113.2:5001", &mut answer)));
    let callee = stage.engine.audio(stage.now, CALL).expect("the call").callee.quality;
    assert_eq!(callee.round_trip, Some(Duration::from_millis(80)));
    assert_eq!((callee.told_lost, callee.told_jitter), (Some(3), Some(Duration::from_millis(5))));
    assert_eq!(quality(&stage).round_trip, None, "nobody has said anything of the caller's way");

    // A block about something else, and one that refers to nothing we know, change nothing.
    for block in [
        ReportBlock { ssrc: 1, cumulative_lost: 50, ..block },
        ReportBlock { last_sr: 5, ..block },
        ReportBlock { delay_since_last_sr: u32::MAX, ..block },
    ] {
        let mut answer = compound(|writer| {
            writer.receiver_report(9, &[block]).expect("room");
        });
        stage.send_report(CALLEE, "203.0.113.2:5001", &mut answer);
    }
    let callee = stage.engine.audio(stage.now, CALL).expect("the call").callee.quality;
    assert_eq!((callee.round_trip, callee.told_lost), (Some(Duration::from_millis(80)), Some(3)));
}

#[test]
fn the_way_is_known_of_a_party_that_hears_a_tone_as_well() {
    let mut stage = Stage::new();
    stage.open(Some(&phone_with(ALICE, "0", "a=rtcp:4001\r\n")));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Reference);
    let sent = stage.run(10_000);
    let report = sent.iter().rev().find(|packet| hookswitch_rtp::is_rtcp(&packet.bytes)).expect("a report");
    let media = sent.iter().find(|packet| !hookswitch_rtp::is_rtcp(&packet.bytes)).expect("a tone");
    stage.now = report.at + Duration::from_millis(1_030);
    let block = ReportBlock {
        ssrc: stage::parse(&media.bytes).ssrc(),
        last_sr: (ntp_time(report.at) >> 16) as u32,
        delay_since_last_sr: 65_536,
        ..ReportBlock::default()
    };
    let mut answer = compound(|writer| {
        writer.receiver_report(9, &[block]).expect("room");
    });
    stage.send(CALLER, ALICE, &mut rtp(0, 1, SSRC));
    stage.send_report(CALLER, "198.51.100.1:4001", &mut answer);
    assert_eq!(quality(&stage).round_trip, Some(Duration::from_millis(30)));
}

#[test]
fn the_last_word_of_a_call_has_it_and_the_engine_counts_who_was_bad_to_hear() {
    let mut stage = Stage::talking();
    speak(&mut stage, (0..400).filter(|n| n % 3 != 1).map(|n| (n, 0)));
    let header = Header { marker: false, payload_type: 0, sequence: 1, timestamp: 160, ssrc: 5 };
    let mut packet = vec![0; 172];
    header.write_packet(&[0xff; 160], &mut packet).expect("room");
    stage.send(CALLEE, BOB, &mut packet);
    assert_eq!(stage.engine.totals().rated, Rated::default(), "as long as it goes on");
    stage.close();
    let news = stage.take_news();
    let Some(MediaReport::Audio { news: AudioNews::Closed, audio: Some(audio), .. }) = news.last() else {
        panic!("{news:?}");
    };
    assert_eq!(audio.caller.quality.lost, 133);
    assert!(audio.caller.quality.opinion < Some(POOR) && audio.callee.quality.opinion > Some(POOR), "{audio:?}");
    assert_eq!(stage.engine.totals().rated, Rated { parties: 2, poor: 1, mute: 1, clipped: 0 });
    assert_eq!(stage.engine.totals().counters.lost_packets, 133);
}

/// 20 ms of these samples at 8 kHz in a codec without memory.
fn spoken(codec: &Codec, n: u16, samples: &[i16]) -> Vec<u8> {
    let number = codec.static_payload_type.expect("a fixed number");
    let header = Header { marker: false, payload_type: number, sequence: n, timestamp: u32::from(n) * 160, ssrc: SSRC };
    let mut payload = vec![0; 2 * samples.len()];
    let count = codec.encoder().expect("audio").encode(samples, &mut payload);
    let mut packet = vec![0; 12 + count];
    header.write_packet(&payload[..count], &mut packet).expect("room");
    packet
}

/// A sine of 400 Hz, cut off at full scale.
fn sine(amplitude: f32) -> Vec<i16> {
    (0..160u16).map(|n| (amplitude * (f32::from(n) * 0.05 * std::f32::consts::TAU).sin()) as i16).collect()
}

/// Alice says these packets, 20 ms each.
fn say(stage: &mut Stage, codec: &Codec, numbers: std::ops::Range<u16>, samples: &[i16]) {
    for n in numbers {
        stage.wait(20);
        stage.send(CALLER, ALICE, &mut spoken(codec, n, samples));
    }
}

fn sound(stage: &Stage) -> AudioSound {
    quality(stage).sound.expect("it was listened to")
}

#[test]
fn how_loud_a_party_is_is_known_where_it_is_only_passed_on_in_g711() {
    for codec in [pcmu(), pcma()] {
        for (amplitude, level) in [(32_000.0, -3), (3_277.0, -23), (328.0, -43)] {
            let mut stage = Stage::new();
            let formats = codec.static_payload_type.expect("a number").to_string();
            stage.connect(&phone_with(ALICE, &formats, ""), &phone_with(BOB, &formats, ""));
            say(&mut stage, codec, 0..200, &sine(amplitude));
            let sound = sound(&stage);
            assert_eq!((sound.level, sound.silent_since), (Some(level), None), "{} {amplitude}", codec.name);
            assert_eq!(sound.looked_at, 7, "one of 33");
        }
    }
}

#[test]
fn pauses_do_not_make_a_party_softer() {
    let mut stage = Stage::talking();
    say(&mut stage, pcmu(), 0..330, &sine(3_277.0));
    say(&mut stage, pcmu(), 330..990, &[0; 160]);
    assert_eq!((sound(&stage).level, sound(&stage).looked_at), (Some(-23), 30));
}

#[test]
fn a_party_that_is_too_loud_for_its_codec_is_told_from_one_that_is_only_loud() {
    for (amplitude, clipped) in [(31_000.0, 0), (90_000.0, 10)] {
        let mut stage = Stage::talking();
        say(&mut stage, pcmu(), 0..330, &sine(amplitude));
        assert_eq!(sound(&stage).clipped, clipped);
        stage.close();
        assert_eq!(stage.engine.totals().rated.clipped, u64::from(clipped > 0));
    }
}

#[test]
fn a_party_that_sends_nothing_but_silence_is_told_unless_it_was_heard_before() {
    for heard_before in [false, true] {
        let mut stage = Stage::new();
        stage.connect(&phone_with(ALICE, "8", ""), &phone_with(BOB, "8", ""));
        say(&mut stage, pcma(), 0..100, &sine(if heard_before { 3_277.0 } else { 0.0 }));
        let silence = stage.now;
        for n in 100..100 + MUTE_AFTER.as_millis() as u16 / 20 + 100 {
            say(&mut stage, pcma(), n..n + 1, &[0; 160]);
            stage.send(CALLEE, BOB, &mut spoken(pcma(), n, &sine(3_277.0)));
            if n % 50 == 0 {
                stage.engine.report_quiet(stage.now);
            }
        }
        let audio = stage.engine.audio(stage.now, CALL).expect("the call");
        let [Finding::Mute { since, heard_before: told }] = findings(&audio, CALLER)[..] else {
            panic!("{:?}", findings(&audio, CALLER))
        };
        assert_eq!(told, heard_before);
        assert!(since < silence + Duration::from_secs(1), "{since:?}");
        assert_eq!(findings(&audio, CALLEE), []);
        stage.reports();
        let quiet = |report: &MediaReport| matches!(report, MediaReport::Audio { news: AudioNews::Quiet(CALLER), .. });
        let news = stage.take_news();
        assert_eq!(news.iter().filter(|report| quiet(report)).count(), usize::from(!heard_before), "{news:?}");
        // And back.
        say(&mut stage, pcma(), 5_000..5_050, &sine(3_277.0));
        stage.engine.report_quiet(stage.now);
        stage.reports();
        let back = |report: &MediaReport| matches!(report, MediaReport::Audio { news: AudioNews::Back(CALLER), .. });
        assert_eq!(stage.take_news().iter().any(back), !heard_before);
    }
}

#[test]
fn what_was_on_hold_was_not_silent() {
    let mut stage = Stage::talking();
    say(&mut stage, pcmu(), 0..100, &[0; 160]);
    assert!(sound(&stage).silent_since.is_some());
    stage.hold(CALLER, true);
    say(&mut stage, pcmu(), 100..200, &[0; 160]);
    stage.hold(CALLER, false);
    assert_eq!(sound(&stage).silent_since, None);
}

/// 20 ms of a sine of 400 Hz in G.722, packet by packet.
fn wideband(count: u16) -> Vec<Vec<u8>> {
    let codec = by_static_payload_type(9).expect("G.722");
    let mut encoder = codec.encoder().expect("audio");
    let turn = |n: u32| (n as f32 / 40.0 * std::f32::consts::TAU).sin();
    let packet = |n: u16| {
        let from = u32::from(n) * 320;
        let samples: Vec<i16> = (from..from + 320).map(|n| (3_277.0 * turn(n)) as i16).collect();
        let header = Header { marker: false, payload_type: 9, sequence: n, timestamp: from / 2, ssrc: SSRC };
        let mut payload = [0; 160];
        encoder.encode(&samples, &mut payload);
        let mut packet = vec![0; 172];
        header.write_packet(&payload, &mut packet).expect("room");
        packet
    };
    (0..count).map(packet).collect()
}

#[test]
fn what_nobody_decodes_is_not_listened_to_and_what_is_transcoded_is() {
    for (callee, known) in [("9", false), ("0", true)] {
        let mut stage = Stage::with(stage::with_g722(), 8);
        stage.connect(&phone_with(ALICE, "9", ""), &phone_with(BOB, callee, ""));
        for packet in wideband(200) {
            stage.wait(20);
            stage.pass(CALLER, ALICE, &packet);
        }
        let level = quality(&stage).sound.map(|sound| sound.level);
        assert_eq!(level, known.then_some(Some(-23)), "{callee}");
    }
}

#[test]
fn what_comes_too_late_for_a_room_is_known_at_once_and_was_not_heard() {
    let room = || Room("r".into());
    let speak = |is_in_room: bool| {
        let mut stage = Stage::talking();
        if is_in_room {
            stage.perform(MediaOp::Join { call: CALL, party: CALLER, room: room(), part: Part::default() });
            stage.hear(CALLER, Source::Room);
        }
        // Two come 300 ms late, and one comes twice.
        let due = |n: u16| if [150, 290].contains(&n) { n + 15 } else { n };
        for slot in 0..400 {
            stage.run(20);
            for n in (0..400).filter(|n| due(*n) == slot) {
                stage.pass(CALLER, ALICE, &rtp(0, n, SSRC));
            }
            if slot == 200 {
                stage.pass(CALLER, ALICE, &rtp(0, 200, SSRC));
            }
        }
        stage.run(20);
        stage
    };
    let relayed = quality(&speak(false));
    assert_eq!((relayed.lost, relayed.reordered, relayed.duplicated, relayed.late), (0, 2, 1, 0));
    let mut stage = speak(true);
    let mixed = quality(&stage);
    assert_eq!((mixed.lost, mixed.reordered, mixed.duplicated, mixed.late), (0, 2, 1, 2), "while it is in the room");
    assert_eq!(mixed.jitter, relayed.jitter);
    assert!(mixed.opinion < relayed.opinion, "{:?} in a room, {:?} passed on", mixed.opinion, relayed.opinion);
    stage.perform(MediaOp::Leave { call: CALL, party: CALLER, room: room() });
    assert_eq!(quality(&stage).late, 2, "and not once more when it leaves");
    assert_eq!(stage.dropped(CALLER, DropReason::Late), 2);
}

#[test]
fn in_a_room_a_party_is_listened_to_and_what_is_made_up_for_it_counted() {
    let mut stage = Stage::with(stage::with_g722(), 8);
    stage.connect(&phone_with(ALICE, "9", ""), &phone_with(BOB, "0", ""));
    let part = Part { role: Role::Talk, muted: false, deaf: false };
    stage.perform(MediaOp::Join { call: CALL, party: CALLER, room: Room("r".into()), part });
    stage.hear(CALLER, Source::Room);
    let lost = [50usize, 90, 91];
    for (n, packet) in wideband(200).iter().enumerate() {
        stage.run(20);
        if !lost.contains(&n) {
            stage.pass(CALLER, ALICE, packet);
        }
    }
    let quality = quality(&stage);
    assert_eq!((quality.lost, quality.concealed), (3, 3));
    assert_eq!(quality.sound.map(|sound| sound.level), Some(Some(-23)));
    assert_eq!(stage.engine.stats(CALL).expect("the call").caller.concealed_frames, 3);
}
