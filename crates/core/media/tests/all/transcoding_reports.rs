//! Reports where audio is transcoded: each party is told what we received of it and sent it, and nothing passes.

use std::time::Duration;

use crate::stage::{ALICE, BOB, Sent, Stage, at, phone, rtp, with_g722};
use hookswitch_call::{Party, Source};
use hookswitch_media::{DropReason, Forward};
use hookswitch_rtp::{Compound, CompoundWriter, ReportBlock, RtcpPacket, SenderInfo, is_rtcp, ntp_time};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const ALICE_RTCP: &str = "198.51.100.1:4001";
const BOB_RTCP: &str = "203.0.113.2:5001";

fn stage() -> Stage {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "9 101"));
    stage
}

/// Alice sends so many packets, 20 ms apart, and every fifth is lost; what the switch sends by itself.
fn alice_speaks(stage: &mut Stage, first: u16, count: u16) -> Vec<Sent> {
    let mut sent = Vec::new();
    for n in first..first + count {
        sent.extend(stage.run(20));
        if n % 5 != 4 {
            stage.pass(CALLER, ALICE, &rtp(0, n, 7));
        }
    }
    sent
}

fn parts(bytes: &[u8]) -> Vec<RtcpPacket<'_>> {
    Compound::parse(bytes).expect("a compound packet").packets().collect()
}

#[test]
fn each_is_told_what_was_sent_to_it_and_received_of_it() {
    let mut stage = stage();
    let sent = alice_speaks(&mut stage, 1_000, 500);
    let to = |address: &str| -> Vec<&Sent> { sent.iter().filter(|sent| sent.to == at(address)).collect() };
    let (to_alice, to_bob) = (to(ALICE_RTCP), to(BOB_RTCP));
    assert!((1..=4).contains(&to_alice.len()) && (1..=4).contains(&to_bob.len()), "about every five seconds");
    assert_eq!(to_alice.len() + to_bob.len(), sent.len());

    // Bob is sent something, and has sent nothing.
    let last = to_bob.last().expect("a report");
    let [RtcpPacket::SenderReport(report), RtcpPacket::SourceDescription(_)] = parts(&last.bytes)[..] else {
        panic!("SR and SDES")
    };
    assert_eq!((report.ssrc, report.blocks.len()), (7, 0));
    let sent_so_far = ((last.at - sent[0].at).as_millis() / 20) as u32 * 4 / 5;
    assert!(report.packet_count >= sent_so_far && report.packet_count <= 400, "{}", report.packet_count);
    assert_eq!(report.octet_count, report.packet_count * 160);

    // Alice has been sent nothing, and a fifth of what she sent is lost.
    let last = to_alice.last().expect("a report");
    let [RtcpPacket::ReceiverReport(report), RtcpPacket::SourceDescription(_)] = parts(&last.bytes)[..] else {
        panic!("RR and SDES")
    };
    let block = report.blocks.iter().next().expect("a block");
    assert_eq!((block.ssrc, block.last_sr), (7, 0));
    assert!((45..=58).contains(&block.fraction_lost), "{} of 256", block.fraction_lost);
    assert!(block.jitter < 8, "{}", block.jitter);
    assert!(block.extended_highest > 1_000 && block.extended_highest < 1_500);
}

#[test]
fn reports_of_a_party_end_here_and_are_quoted_back_to_it() {
    let mut stage = stage();
    alice_speaks(&mut stage, 1_000, 10);
    let mut bytes = [0; 200];
    let mut writer = CompoundWriter::new(&mut bytes);
    let ntp = ntp_time(Duration::from_secs(99));
    let info = SenderInfo { ntp, rtp_timestamp: 5_000, packet_count: 10, octet_count: 1_600 };
    let about_bob = ReportBlock { ssrc: 0xb0b, ..ReportBlock::default() };
    writer.sender_report(7, info, &[about_bob]).expect("room").cname(7, b"alice").expect("room");
    writer.bye(7, b"").expect("room");
    let length = writer.len();
    let forward = stage.send_report(CALLER, ALICE_RTCP, &mut bytes[..length]);
    assert_eq!(forward, Forward::Drop(DropReason::Consumed));
    let came = stage.now;
    let sent = alice_speaks(&mut stage, 1_010, 500);
    let first = sent.iter().find(|sent| sent.to == at(ALICE_RTCP)).expect("a report");
    let [RtcpPacket::ReceiverReport(report), ..] = parts(&first.bytes)[..] else { panic!("an RR comes first") };
    let block = report.blocks.iter().next().expect("a block");
    assert_eq!(u64::from(block.last_sr), (ntp >> 16) & 0xffff_ffff);
    let delay = Duration::from_micros(u64::from(block.delay_since_last_sr) * 1_000_000 / 65_536);
    assert!((first.at - came).abs_diff(delay) < Duration::from_millis(1), "{delay:?}");
}

#[test]
fn what_is_made_here_is_reported_on_once() {
    let mut stage = stage();
    stage.hear(CALLEE, Source::Ringback);
    let sent = alice_speaks(&mut stage, 1_000, 1_000);
    let reports = sent.iter().filter(|sent| sent.to == at(BOB_RTCP) && is_rtcp(&sent.bytes)).count();
    assert!((2..=8).contains(&reports), "{reports} in twenty seconds");
}

#[test]
fn the_end_is_told_by_us_and_nothing_is_left_to_do() {
    let mut stage = stage();
    alice_speaks(&mut stage, 1_000, 10);
    stage.close();
    let [(_, to, bytes)] = stage.ports.farewells.as_slice() else { panic!("one farewell: Alice was sent nothing") };
    assert_eq!(*to, at(BOB_RTCP));
    assert!(matches!(parts(bytes).last(), Some(RtcpPacket::Goodbye(_))));
    assert_eq!(stage.engine.next_tick(), None);
}

#[test]
fn reports_pass_again_once_both_have_one_codec() {
    let mut stage = stage();
    alice_speaks(&mut stage, 1_000, 10);
    stage.reoffer(CALLEE, &phone(BOB, "0 101")).expect("an answer");
    alice_speaks(&mut stage, 1_010, 10);
    let mut bytes = [0; 200];
    let mut writer = CompoundWriter::new(&mut bytes);
    let info = SenderInfo { ntp: 1 << 40, rtp_timestamp: 5_000, packet_count: 10, octet_count: 1_600 };
    writer.sender_report(7, info, &[]).expect("room").cname(7, b"alice").expect("room");
    let length = writer.len();
    let forward = stage.send_report(CALLER, ALICE_RTCP, &mut bytes[..length]);
    let Forward::Send { to, len, .. } = forward else { panic!("{forward:?}") };
    assert_eq!(to, at(BOB_RTCP));
    let [RtcpPacket::SenderReport(report), ..] = parts(&bytes[..len])[..] else { panic!("an SR comes first") };
    assert_eq!((report.ssrc, report.packet_count), (7, 16), "those of the stream, the transcoded ones as well");
}
