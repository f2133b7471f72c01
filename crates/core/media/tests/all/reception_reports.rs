//! Reports on what ends here: whoever sends to a room, an echo, a menu or nobody is told by us what came of it.

use std::time::Duration;

use crate::stage::{ALICE, CALL, Sent, Stage, at, phone, rtp};
use hookswitch_call::{Audience, MediaOp, Part, Party, PlayId, Room, Sound, SoundKind, Soup, Source};
use hookswitch_media::{DropReason, Forward};
use hookswitch_rtp::{Compound, CompoundWriter, ReportBlock, RtcpPacket, SenderInfo, is_rtcp, ntp_time};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const ALICE_RTCP: &str = "198.51.100.1:4001";
const SSRC: u32 = 7;

/// A caller that is connected to the switch itself; in a room, if it is to hear one.
fn service(source: Source) -> Stage {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 101")));
    stage.make_answer(CALLER).expect("an answer");
    if source == Source::Room {
        let (room, part) = (Room::from("conference-a@example.com"), Part::default());
        stage.perform(MediaOp::Join { call: CALL, party: CALLER, room, part });
    }
    stage.hear(CALLER, source);
    stage
}

/// Alice sends so many packets, 20 ms apart, and every fifth is lost; the reports that she is sent meanwhile.
fn alice_speaks(stage: &mut Stage, first: u16, count: u16) -> Vec<Sent> {
    let mut sent = Vec::new();
    for n in first..first + count {
        sent.extend(stage.run(20));
        if n % 5 != 4 {
            stage.pass(CALLER, ALICE, &rtp(0, n, SSRC));
        }
    }
    reports(sent)
}

fn reports(sent: Vec<Sent>) -> Vec<Sent> {
    let reports: Vec<Sent> = sent.into_iter().filter(|packet| is_rtcp(&packet.bytes)).collect();
    assert!(reports.iter().all(|packet| packet.to == at(ALICE_RTCP)));
    reports
}

/// How many packets a report says that were sent, if it is a sender's, and what it says of what was received.
fn parsed(report: &Sent) -> (Option<u32>, Option<ReportBlock>) {
    let compound = Compound::parse(&report.bytes).expect("a compound packet");
    let parts: Vec<_> = compound.packets().collect();
    match parts[..] {
        [RtcpPacket::SenderReport(report), RtcpPacket::SourceDescription(_)] => {
            (Some(report.packet_count), report.blocks.iter().next())
        }
        [RtcpPacket::ReceiverReport(report), RtcpPacket::SourceDescription(_)] => (None, report.blocks.iter().next()),
        _ => panic!("a report and SDES, not {parts:?}"),
    }
}

#[test]
fn who_speaks_to_a_room_an_echo_a_menu_or_nobody_is_told_what_is_lost() {
    let cases = [(Source::Room, true), (Source::Echo, true), (Source::Sounds, false), (Source::Silence, false)];
    for (source, is_sent_something) in cases {
        let mut stage = service(source);
        let reports = alice_speaks(&mut stage, 1_000, 500);
        assert!((1..=4).contains(&reports.len()), "{source:?}: about every five seconds, not {}", reports.len());
        for report in &reports {
            let (sent, block) = parsed(report);
            assert_eq!(sent.is_some(), is_sent_something, "{source:?}");
            let block = block.expect("a block");
            assert_eq!((block.ssrc, block.last_sr, block.delay_since_last_sr), (SSRC, 0, 0), "{source:?}");
            assert!((45..=58).contains(&block.fraction_lost), "{source:?}: {} of 256", block.fraction_lost);
            assert!((1_000..1_500).contains(&block.extended_highest), "{source:?}: {}", block.extended_highest);
        }
        stage.close();
        assert_eq!(stage.engine.next_tick(), None);
    }
}

#[test]
fn what_a_party_has_reported_of_itself_is_quoted_back_to_it() {
    for source in [Source::Room, Source::Echo, Source::Silence] {
        let mut stage = service(source);
        alice_speaks(&mut stage, 1_000, 10);
        let mut bytes = [0; 200];
        let mut writer = CompoundWriter::new(&mut bytes);
        let ntp = ntp_time(Duration::from_secs(99));
        let info = SenderInfo { ntp, rtp_timestamp: 5_000, packet_count: 10, octet_count: 1_600 };
        writer.sender_report(SSRC, info, &[]).expect("room").cname(SSRC, b"alice").expect("room");
        let length = writer.len();
        let forward = stage.send_report(CALLER, ALICE_RTCP, &mut bytes[..length]);
        assert_eq!(forward, Forward::Drop(DropReason::Consumed), "{source:?}");
        let came = stage.now;
        let reports = alice_speaks(&mut stage, 1_010, 500);
        let first = reports.first().expect("a report");
        let block = parsed(first).1.expect("a block");
        assert_eq!(u64::from(block.last_sr), (ntp >> 16) & 0xffff_ffff, "{source:?}");
        let delay = Duration::from_micros(u64::from(block.delay_since_last_sr) * 1_000_000 / 65_536);
        assert!((first.at - came).abs_diff(delay) < Duration::from_millis(1), "{source:?}: {delay:?}");
    }
}

#[test]
fn a_call_flow_reports_what_it_plays_and_what_it_receives() {
    for speaks in [false, true] {
        let mut stage = service(Source::Silence);
        let soup = Soup { sounds: vec![Sound::of(SoundKind::Tone, "1300:60000")], ..Soup::default() };
        let (play, to) = (PlayId(1), Audience::Party);
        stage.perform(MediaOp::Play { call: CALL, party: CALLER, play, soup: soup.into(), to });
        let reports = if speaks { alice_speaks(&mut stage, 1_000, 500) } else { reports(stage.run(10_000)) };
        let (sent, block) = parsed(reports.last().expect("a report"));
        assert!(sent.is_some_and(|packets| packets >= 60), "a sender report: {sent:?}");
        assert_eq!(block.map(|block| block.ssrc), speaks.then_some(SSRC));
        stage.close();
        assert_eq!(stage.ports.farewells.len(), 1, "and a farewell");
        assert_eq!(stage.engine.next_tick(), None);
    }
}

#[test]
fn nobody_is_told_of_what_has_not_come() {
    let mut stage = service(Source::Silence);
    assert!(stage.run(60_000).is_empty(), "not of anything");
    alice_speaks(&mut stage, 1_000, 100);
    let after = reports(stage.run(60_000));
    assert!(after.len() <= 1, "{} reports on what came before", after.len());
    // An echo was sent something, and goes on to say how much.
    let mut stage = service(Source::Echo);
    alice_speaks(&mut stage, 1_000, 100);
    let after = reports(stage.run(60_000));
    assert!(after.len() >= 7 && after[1..].iter().all(|report| parsed(report).1.is_none()), "{}", after.len());
}

#[test]
fn who_hears_music_and_is_heard_is_told_by_the_one_that_hears() {
    for (callee_hears, by_us) in [(Source::Peer, false), (Source::Silence, true)] {
        let mut stage = Stage::talking();
        stage.hear(CALLER, Source::Hold).hear(CALLEE, callee_hears);
        let reports = alice_speaks(&mut stage, 1_000, 500);
        let (sent, block) = parsed(reports.last().expect("a report"));
        assert!(sent.is_some());
        assert_eq!(block.is_some(), by_us, "{callee_hears:?}");
    }
}

#[test]
fn what_is_heard_again_is_reported_on_by_the_other_party_alone() {
    let mut stage = Stage::talking();
    stage.hear(CALLER, Source::Silence).hear(CALLEE, Source::Silence);
    assert!(!alice_speaks(&mut stage, 1_000, 500).is_empty());
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
    assert!(alice_speaks(&mut stage, 1_500, 1_000).is_empty());
    assert_eq!(stage.engine.next_tick(), None);
}
