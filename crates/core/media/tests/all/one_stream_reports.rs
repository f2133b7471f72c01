//! Reports about a stream that had more than one source: each side reads of what it knows.

use std::time::Duration;

use crate::stage::{self, ALICE, BOB, Stage, is_sent, parse, rtp};
use hookswitch_call::{Party, Source};
use hookswitch_media::{DropReason, Forward};
use hookswitch_rtp::{
    Compound, CompoundWriter, ReceiverReport, ReportBlock, RtcpPacket, SenderInfo, SenderReport, ntp_time,
};
use proptest::prelude::*;

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const ALICE_RTCP: &str = "198.51.100.1:4001";
const BOB_RTCP: &str = "203.0.113.2:5001";
const ALICES_SSRC: u32 = 0xa11ce;
const BOBS_SSRC: u32 = 0xb0b;
/// The numbers of Bob's first packet.
const BOBS_FIRST: u16 = 6_600;

/// Alice has heard a second of ringing, and then ten packets of Bob's.
struct Spliced {
    stage: Stage,
    /// The SSRC that she sees, and the sequence number of the tone's last packet.
    ssrc: u32,
    tone: u16,
    /// What is added to Bob's timestamps.
    moved: u32,
}

fn spliced() -> Spliced {
    let mut stage = Stage::talking();
    stage.hear(CALLER, Source::Ringback);
    let sent = stage.run(1_000);
    let last = parse(&sent.iter().rfind(|sent| sent.bytes.len() == 172).expect("a tone").bytes).header();
    stage.hear(CALLER, Source::Peer);
    let mut moved = 0;
    for n in 0..10 {
        let mut packet = rtp(0, BOBS_FIRST + n, BOBS_SSRC);
        let before = parse(&packet).timestamp();
        assert!(is_sent(&stage.send(CALLEE, BOB, &mut packet)));
        moved = parse(&packet).timestamp().wrapping_sub(before);
        stage.wait(20);
    }
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut rtp(0, 1, ALICES_SSRC))));
    Spliced { stage, ssrc: last.ssrc, tone: last.sequence, moved }
}

fn compound(write: impl FnOnce(&mut CompoundWriter<'_>)) -> Vec<u8> {
    let mut buffer = [0; 400];
    let mut writer = CompoundWriter::new(&mut buffer);
    write(&mut writer);
    let length = writer.len();
    buffer[..length].to_vec()
}

fn bobs_info() -> SenderInfo {
    SenderInfo { ntp: ntp_time(Duration::from_secs(99)), rtp_timestamp: 5_000, packet_count: 77, octet_count: 7_700 }
}

fn bobs_report() -> Vec<u8> {
    let heard = ReportBlock { ssrc: ALICES_SSRC, extended_highest: 1, ..ReportBlock::default() };
    compound(|writer| {
        writer.sender_report(BOBS_SSRC, bobs_info(), &[heard]).expect("room");
        writer.cname(BOBS_SSRC, b"bob@phone").expect("room");
    })
}

/// What somebody's report has become on its way.
fn passed(stage: &mut Stage, party: Party, mut packet: Vec<u8>) -> Vec<u8> {
    let from = if party == CALLER { ALICE_RTCP } else { BOB_RTCP };
    match stage.send_report(party, from, &mut packet) {
        Forward::Send { len, .. } => packet[..len].to_vec(),
        Forward::Drop(reason) => panic!("dropped: {reason:?}"),
    }
}

fn parts(bytes: &[u8]) -> Vec<RtcpPacket<'_>> {
    Compound::parse_reduced(bytes).expect("RTCP").packets().collect()
}

fn sender_report(bytes: &[u8]) -> SenderReport<'_> {
    let Some(&RtcpPacket::SenderReport(report)) = parts(bytes).first() else { panic!("an SR comes first") };
    report
}

fn receiver_report(bytes: &[u8]) -> ReceiverReport<'_> {
    let Some(&RtcpPacket::ReceiverReport(report)) = parts(bytes).first() else { panic!("an RR comes first") };
    report
}

/// A report of Alice's with one block.
fn alices_report(block: ReportBlock) -> Vec<u8> {
    compound(|writer| {
        writer.receiver_report(ALICES_SSRC, &[block]).expect("room").cname(ALICES_SSRC, b"alice").expect("room");
    })
}

/// The only block that Bob receives of it.
fn block_for_bob(stage: &mut Stage, block: ReportBlock) -> Option<ReportBlock> {
    let got = passed(stage, CALLER, alices_report(block));
    let report = receiver_report(&got);
    assert_eq!(report.ssrc, ALICES_SSRC, "her stream passes untouched, and so does her name");
    assert!(report.blocks.len() <= 1);
    report.blocks.iter().next()
}

#[test]
fn a_sender_report_becomes_one_about_the_stream() {
    let Spliced { mut stage, ssrc, moved, .. } = spliced();
    let got = passed(&mut stage, CALLEE, bobs_report());
    let report = sender_report(&got);
    assert_eq!(report.ssrc, ssrc);
    assert_eq!(report.ntp, bobs_info().ntp, "his clock: her reports quote it back to him");
    assert_eq!(report.rtp_timestamp, bobs_info().rtp_timestamp.wrapping_add(moved), "moved as his packets are");
    assert_eq!((report.packet_count, report.octet_count), (60, 60 * 160), "the tone's fifty and his ten");
    let heard: Vec<_> = report.blocks.iter().map(|block| block.ssrc).collect();
    assert_eq!(heard, [ALICES_SSRC], "about her own packets, which pass untouched");
    let [_, RtcpPacket::SourceDescription(description)] = parts(&got)[..] else { panic!("SR and SDES") };
    let chunk = description.chunks().next().expect("a chunk");
    assert_eq!((chunk.ssrc, chunk.cname()), (ssrc, Some(&b"bob@phone"[..])));
}

#[test]
fn a_report_of_who_does_not_feed_the_stream_says_only_what_he_receives() {
    let Spliced { mut stage, ssrc, .. } = spliced();
    stage.hear(CALLER, Source::Ringback);
    stage.run(100);
    let got = passed(&mut stage, CALLEE, bobs_report());
    let report = receiver_report(&got);
    assert_eq!((report.ssrc, report.blocks.len()), (ssrc, 1));
    // A phone that has changed its SSRC, and whose packets are still to come.
    stage.hear(CALLER, Source::Peer);
    stage.send(CALLEE, BOB, &mut rtp(0, 9_000, BOBS_SSRC));
    let other = compound(|writer| {
        writer.sender_report(BOBS_SSRC + 1, bobs_info(), &[]).expect("room");
    });
    let got = passed(&mut stage, CALLEE, other);
    assert_eq!(receiver_report(&got).ssrc, ssrc);
}

#[test]
fn blocks_come_back_in_the_terms_of_the_source() {
    let Spliced { mut stage, ssrc, tone, .. } = spliced();
    let block = ReportBlock {
        ssrc,
        fraction_lost: 3,
        cumulative_lost: 2,
        // Whatever she has counted as wraps: what counts is the number.
        extended_highest: u32::from(tone.wrapping_add(8)) | 0x0007_0000,
        jitter: 44,
        ..ReportBlock::default()
    };
    let got = block_for_bob(&mut stage, block).expect("a block");
    assert_eq!(got, ReportBlock { ssrc: BOBS_SSRC, extended_highest: u32::from(BOBS_FIRST + 7), ..block });
}

#[test]
fn blocks_from_before_the_splice_go_nowhere() {
    let Spliced { mut stage, ssrc, tone, .. } = spliced();
    let block = ReportBlock { ssrc, extended_highest: u32::from(tone), ..ReportBlock::default() };
    assert_eq!(block_for_bob(&mut stage, block), None, "he never sent that");
    let unknown = ReportBlock { ssrc: ssrc ^ 1, extended_highest: u32::from(tone + 1), ..ReportBlock::default() };
    assert_eq!(block_for_bob(&mut stage, unknown), None);
    stage.hear(CALLER, Source::Reference);
    stage.run(100);
    let block = ReportBlock { ssrc, extended_highest: u32::from(tone.wrapping_add(12)), ..ReportBlock::default() };
    assert_eq!(block_for_bob(&mut stage, block), None, "about the tone");
}

#[test]
fn what_was_lost_before_the_splice_is_not_held_against_the_source() {
    let mut stage = Stage::talking();
    stage.hear(CALLER, Source::Ringback);
    let sent = stage.run(500);
    let last = parse(&sent.iter().rfind(|sent| sent.bytes.len() == 172).expect("a tone").bytes).header();
    let lost = |cumulative_lost, ahead: u16| ReportBlock {
        ssrc: last.ssrc,
        cumulative_lost,
        extended_highest: u32::from(last.sequence.wrapping_add(ahead)),
        ..ReportBlock::default()
    };
    passed(&mut stage, CALLER, alices_report(lost(20, 0)));
    stage.hear(CALLER, Source::Peer);
    stage.send(CALLEE, BOB, &mut rtp(0, 1, BOBS_SSRC));
    assert_eq!(block_for_bob(&mut stage, lost(20, 1)).expect("a block").cumulative_lost, 0);
    assert_eq!(block_for_bob(&mut stage, lost(23, 1)).expect("a block").cumulative_lost, 3);
}

#[test]
fn only_a_sender_report_of_the_source_is_quoted_back_to_it() {
    let Spliced { mut stage, ssrc, tone, .. } = spliced();
    let quoting = |last_sr| ReportBlock {
        ssrc,
        extended_highest: u32::from(tone.wrapping_add(1)),
        last_sr,
        delay_since_last_sr: 65_536,
        ..ReportBlock::default()
    };
    // One of ours, sent with the tone.
    let ours = block_for_bob(&mut stage, quoting(4_711)).expect("a block");
    assert_eq!((ours.last_sr, ours.delay_since_last_sr), (0, 0), "it would give him a wild round trip");
    let got = passed(&mut stage, CALLEE, bobs_report());
    let compact = sender_report(&got).compact_ntp();
    let his = block_for_bob(&mut stage, quoting(compact)).expect("a block");
    assert_eq!((his.last_sr, his.delay_since_last_sr), (compact, 65_536));
}

#[test]
fn who_leaves_does_not_end_a_stream_that_others_may_go_on_with() {
    let Spliced { mut stage, ssrc, .. } = spliced();
    let bye = compound(|writer| {
        writer.receiver_report(BOBS_SSRC, &[]).expect("room").bye(BOBS_SSRC, b"").expect("room");
    });
    let got = passed(&mut stage, CALLEE, bye);
    assert!(matches!(parts(&got)[..], [RtcpPacket::ReceiverReport(_)]));
    let mut lone = compound(|writer| {
        writer.bye(BOBS_SSRC, b"").expect("room");
    });
    assert_eq!(stage.send_report(CALLEE, BOB_RTCP, &mut lone), Forward::Drop(DropReason::Consumed));
    // Hers passes: Bob has heard nobody else.
    let bye = compound(|writer| {
        writer.receiver_report(ALICES_SSRC, &[]).expect("room").bye(ALICES_SSRC, b"enough").expect("room");
    });
    let got = passed(&mut stage, CALLER, bye);
    let [_, RtcpPacket::Goodbye(bye)] = parts(&got)[..] else { panic!("RR and BYE") };
    assert_eq!((bye.ssrcs().collect::<Vec<_>>(), bye.reason), (vec![ALICES_SSRC], &b"enough"[..]));
    // When the call ends, we say it ourselves, and only to her.
    stage.close();
    let [(_, to, bytes)] = stage.ports.farewells.as_slice() else { panic!("one farewell") };
    assert_eq!(*to, stage::at(ALICE_RTCP));
    let Some(RtcpPacket::Goodbye(bye)) = parts(bytes).last().copied() else { panic!("BYE comes last") };
    assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [ssrc]);
}

#[test]
fn formats_that_nobody_here_knows_are_left_out() {
    let Spliced { mut stage, .. } = spliced();
    // An extended report, 207, behind a sender report.
    let mut packet = bobs_report();
    packet.extend_from_slice(&[0x80, 207, 0, 1]);
    packet.extend_from_slice(&BOBS_SSRC.to_be_bytes());
    let got = passed(&mut stage, CALLEE, packet);
    assert!(matches!(parts(&got)[..], [RtcpPacket::SenderReport(_), RtcpPacket::SourceDescription(_)]));
}

#[test]
fn our_own_reports_during_a_tone_are_about_the_whole_stream() {
    let Spliced { mut stage, ssrc, .. } = spliced();
    stage.hear(CALLER, Source::Ringback);
    let sent = stage.run(10_000);
    let report = sent.iter().find(|sent| hookswitch_rtp::is_rtcp(&sent.bytes)).expect("a report");
    let before = sent.iter().filter(|sent| sent.bytes.len() == 172 && sent.at <= report.at).count() as u32;
    let last = sent.iter().rfind(|sent| sent.bytes.len() == 172 && sent.at <= report.at).expect("a tone");
    let since = (report.at - last.at).as_micros() as u32 * 8 / 1_000;
    let info = sender_report(&report.bytes);
    assert_eq!((info.ssrc, info.packet_count, info.octet_count), (ssrc, before + 60, (before + 60) * 160));
    assert_eq!(info.rtp_timestamp, parse(&last.bytes).timestamp().wrapping_add(since));
}

#[test]
fn a_report_of_the_largest_kind_passes() {
    let Spliced { mut stage, ssrc, tone, .. } = spliced();
    let block = ReportBlock { ssrc, extended_highest: u32::from(tone.wrapping_add(1)), ..ReportBlock::default() };
    let mut buffer = [0; 1_000];
    let mut writer = CompoundWriter::new(&mut buffer);
    writer.receiver_report(ALICES_SSRC, &[block; 31]).expect("room");
    let length = writer.len();
    let got = passed(&mut stage, CALLER, buffer[..length].to_vec());
    assert_eq!(receiver_report(&got).blocks.len(), 31);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is sent as a report, what is passed on is one, and no longer.
    #[test]
    fn translated_reports_are_reports(
        packets in proptest::collection::vec((any::<bool>(), 192u8..=223, any::<u8>(), proptest::collection::vec(any::<u8>(), 0..120)), 1..20)
    ) {
        let Spliced { mut stage, .. } = spliced();
        stage.hear(CALLEE, Source::Reference);
        stage.run(40);
        stage.hear(CALLEE, Source::Peer);
        for (of_caller, packet_type, count, body) in packets {
            let words = (body.len() / 4) as u16;
            let mut packet = vec![0x80 | (count & 0x3f), packet_type, (words >> 8) as u8, words as u8];
            packet.extend_from_slice(&body[..usize::from(words) * 4]);
            let (party, from) = if of_caller { (CALLER, ALICE_RTCP) } else { (CALLEE, BOB_RTCP) };
            let length = packet.len();
            if let Forward::Send { len, .. } = stage.send_report(party, from, &mut packet) {
                prop_assert!(len > 0 && len <= length);
                prop_assert!(Compound::parse_reduced(&packet[..len]).is_ok());
            }
        }
    }
}
