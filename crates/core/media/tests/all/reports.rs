//! RTCP: passed between two parties, made by us where we make the media.

use std::time::Duration;

use crate::stage::{ALICE, BOB, Sent, Stage, at, parse, phone, phone_with, rtp, sent_to};
use hookswitch_call::{Party, Source};
use hookswitch_media::latch::RTCP_RELATCH_AFTER;
use hookswitch_media::{DropReason, Forward, REPORT_INTERVAL, SocketIx};
use hookswitch_rtp::{Compound, CompoundWriter, RtcpPacket, SenderInfo, SenderReport, is_rtcp, ntp_time};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const ALICE_RTCP: &str = "198.51.100.1:4001";
const BOB_RTCP: &str = "203.0.113.2:5001";

fn sender_report(ssrc: u32) -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut writer = CompoundWriter::new(&mut buffer);
    let info = SenderInfo { ntp: 1, rtp_timestamp: 2, packet_count: 3, octet_count: 4 };
    writer.sender_report(ssrc, info, &[]).expect("room").cname(ssrc, b"phone").expect("room");
    let length = writer.len();
    buffer[..length].to_vec()
}

#[test]
fn reports_pass_unchanged_both_ways() {
    let mut stage = Stage::talking();
    for (party, from, to) in [(CALLER, ALICE_RTCP, BOB_RTCP), (CALLEE, BOB_RTCP, ALICE_RTCP)] {
        let packet = sender_report(5);
        let mut buffer = packet.clone();
        let socket = SocketIx(stage.socket_of(party.other()).0 + 1);
        let forward = stage.send_report(party, from, &mut buffer);
        assert_eq!(forward, Forward::Send { socket, to: at(to), len: packet.len() });
        assert_eq!(buffer, packet);
    }
}

#[test]
fn reports_go_where_the_description_wants_them() {
    let mut stage = Stage::new();
    stage.connect(&phone(ALICE, "0"), &phone_with(BOB, "0", "a=rtcp:7777 IN IP4 203.0.113.9\r\n"));
    let forward = stage.send_report(CALLER, ALICE_RTCP, &mut sender_report(1));
    assert_eq!(sent_to(forward), at("203.0.113.9:7777"));
    let forward = stage.send_report(CALLEE, "203.0.113.9:7777", &mut sender_report(2));
    assert_eq!(sent_to(forward), at(ALICE_RTCP), "and are believed from there");
}

#[test]
fn reports_follow_the_media_through_nat() {
    let mut stage = Stage::talking();
    stage.stream(CALLER, "192.0.2.200:31000", 1, 0, 5);
    let forward = stage.send_report(CALLEE, BOB_RTCP, &mut sender_report(1));
    assert_eq!(sent_to(forward), at("192.0.2.200:31001"), "a guess, as long as nothing has come");
    let forward = stage.send_report(CALLER, ALICE_RTCP, &mut sender_report(1));
    assert_eq!(forward, Forward::Drop(DropReason::Source), "another host than the media's");
    stage.send_report(CALLER, "192.0.2.200:40123", &mut sender_report(1));
    let forward = stage.send_report(CALLEE, BOB_RTCP, &mut sender_report(1));
    assert_eq!(sent_to(forward), at("192.0.2.200:40123"));
}

#[test]
fn a_strangers_reports_are_dropped_and_a_neighbours_do_not_take_over() {
    let mut stage = Stage::talking();
    let forward = stage.send_report(CALLER, "203.0.113.66:666", &mut sender_report(1));
    assert_eq!(forward, Forward::Drop(DropReason::Source));
    stage.send_report(CALLER, ALICE_RTCP, &mut sender_report(1));
    let neighbour = "198.51.100.1:9999";
    let forward = stage.send_report(CALLER, neighbour, &mut sender_report(1));
    assert_eq!(forward, Forward::Drop(DropReason::Source));
    stage.now += RTCP_RELATCH_AFTER;
    let forward = stage.send_report(CALLER, neighbour, &mut sender_report(1));
    assert_eq!(sent_to(forward), at(BOB_RTCP), "the phone's port has changed");
}

#[test]
fn what_is_no_report_goes_nowhere() {
    let mut stage = Stage::talking();
    for mut garbage in [vec![], vec![0x80], vec![0x80, 200, 0, 40], vec![0xff; 64]] {
        let forward = stage.send_report(CALLER, ALICE_RTCP, &mut garbage);
        assert_eq!(forward, Forward::Drop(DropReason::Malformed));
    }
}

#[test]
fn reports_flow_during_hold() {
    let mut stage = Stage::talking();
    stage.reoffer(CALLER, &phone_with(ALICE, "0 8 101", "a=inactive\r\n")).expect("an answer");
    assert_eq!(sent_to(stage.send_report(CALLER, ALICE_RTCP, &mut sender_report(1))), at(BOB_RTCP));
    assert_eq!(sent_to(stage.send_report(CALLEE, BOB_RTCP, &mut sender_report(1))), at(ALICE_RTCP));
}

#[test]
fn reports_about_media_that_flows_one_way_go_back_to_its_sender() {
    let mut stage = Stage::talking();
    stage.hear(CALLEE, Source::Silence);
    assert_eq!(sent_to(stage.send_report(CALLER, ALICE_RTCP, &mut sender_report(1))), at(BOB_RTCP));
    stage.hear(CALLER, Source::Silence);
    let forward = stage.send_report(CALLER, ALICE_RTCP, &mut sender_report(1));
    assert_eq!(forward, Forward::Drop(DropReason::NoListener));
}

#[test]
fn reports_share_the_port_of_the_media_where_the_party_asked_for_it() {
    let mut stage = Stage::new();
    stage.connect(&phone_with(ALICE, "0 101", "a=rtcp-mux\r\n"), &phone(BOB, "0 101"));
    assert!(stage.told[&CALLER].contains("a=rtcp-mux\r\n"));
    assert!(!stage.told[&CALLEE].contains("mux"), "we do not ask for it");
    let mut packet = sender_report(5);
    let forward = stage.send(CALLER, ALICE, &mut packet);
    assert_eq!(sent_to(forward), at(BOB_RTCP), "Bob keeps them apart");
    assert_eq!(packet, sender_report(5));
    // One that is too short to be taken for RTP.
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut [0x80, 201, 0, 1, 0, 0, 0, 5])), at(BOB_RTCP));
    let forward = stage.send_report(CALLEE, BOB_RTCP, &mut sender_report(6));
    assert_eq!(forward, Forward::Send { socket: stage.socket_of(CALLER), to: at(ALICE), len: packet.len() });
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 5))), at(BOB), "and media is still media");
    let forward = stage.send(CALLER, "203.0.113.66:666", &mut sender_report(5));
    assert_eq!(forward, Forward::Drop(DropReason::Source));
    // Our own go there as well, NAT or not.
    stage.stream(CALLER, "192.0.2.200:31000", 1, 0, 5);
    stage.now += hookswitch_media::latch::RELATCH_AFTER;
    stage.stream(CALLER, "192.0.2.200:31000", 1, 5, 5);
    stage.hear(CALLER, Source::Ringback);
    let sent = stage.run(10_000);
    let report = sent.iter().find(|packet| is_rtcp(&packet.bytes)).expect("a report");
    assert_eq!((report.socket, report.to), (stage.socket_of(CALLER), at("192.0.2.200:31000")));
    // Asked again without it, it is over.
    let muxed = stage.send(CALLER, "192.0.2.200:31000", &mut sender_report(5));
    assert_eq!(sent_to(muxed), at(BOB_RTCP));
    let answer = stage.reoffer(CALLER, &phone(ALICE, "0 101")).expect("an answer");
    assert!(!answer.contains("mux"));
    let forward = stage.send_report(CALLEE, BOB_RTCP, &mut sender_report(6));
    assert_eq!(sent_to(forward), at("192.0.2.200:31001"));
}

#[test]
fn reports_on_the_port_of_the_media_are_none_unless_that_was_agreed() {
    let mut stage = Stage::talking();
    let forward = stage.send(CALLER, ALICE, &mut sender_report(5));
    assert_eq!(forward, Forward::Drop(DropReason::PayloadType));
}

fn service(source: Source) -> Stage {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 101")));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, source);
    stage
}

fn first_report(bytes: &[u8]) -> SenderReport<'_> {
    let compound = Compound::parse(bytes).expect("a compound packet");
    match compound.packets().next() {
        Some(RtcpPacket::SenderReport(report)) => report,
        other => panic!("a sender report comes first, not {other:?}"),
    }
}

#[test]
fn tones_come_with_reports_that_fit_them() {
    let mut stage = service(Source::Reference);
    let sent = stage.run(60_000);
    let (reports, media): (Vec<&Sent>, Vec<&Sent>) = sent.iter().partition(|packet| is_rtcp(&packet.bytes));
    assert!((8..=24).contains(&reports.len()), "{} in a minute", reports.len());
    assert!(reports.windows(2).all(|two| {
        let gap = two[1].at - two[0].at;
        gap >= REPORT_INTERVAL / 2 && gap <= REPORT_INTERVAL * 3 / 2 + Duration::from_millis(20)
    }));
    let ssrc = parse(&media[0].bytes).ssrc();
    for packet in &reports {
        assert_eq!(packet.to, at(ALICE_RTCP));
        assert_eq!(packet.socket, SocketIx(stage.socket_of(CALLER).0 + 1));
        let report = first_report(&packet.bytes);
        let before: Vec<_> = media.iter().filter(|media| media.at <= packet.at).collect();
        assert_eq!(report.ssrc, ssrc);
        assert_eq!(report.packet_count as usize, before.len());
        assert_eq!(report.octet_count as usize, before.len() * 160);
        assert_eq!(report.ntp, ntp_time(packet.at));
        let last = before.last().expect("packets");
        let since = (packet.at - last.at).as_micros() as u32 * 8 / 1_000;
        assert_eq!(report.rtp_timestamp, parse(&last.bytes).timestamp().wrapping_add(since));
        let compound = Compound::parse(&packet.bytes).expect("a compound packet");
        let named = compound.packets().any(|packet| match packet {
            RtcpPacket::SourceDescription(sdes) => {
                sdes.chunks().any(|chunk| chunk.ssrc == ssrc && chunk.cname().is_some_and(|name| name.len() == 16))
            }
            _ => false,
        });
        assert!(named, "with a canonical name");
    }
}

#[test]
fn a_stream_of_ours_says_goodbye_when_the_call_ends_but_not_before() {
    for silent_before in [false, true] {
        let mut stage = service(Source::Ringback);
        let sent = stage.run(100);
        let ssrc = parse(&sent[0].bytes).ssrc();
        if silent_before {
            stage.hear(CALLER, Source::Silence);
            assert_eq!(stage.engine.next_tick(), None);
        }
        assert!(stage.ports.farewells.is_empty(), "somebody else may go on with the stream");
        stage.close();
        let [(_, to, bytes)] = stage.ports.farewells.as_slice() else { panic!("one farewell") };
        assert_eq!(*to, at(ALICE_RTCP));
        let compound = Compound::parse(bytes).expect("a compound packet");
        let Some(RtcpPacket::Goodbye(bye)) = compound.packets().last() else { panic!("BYE comes last") };
        assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [ssrc]);
        assert_eq!(stage.engine.next_tick(), None);
    }
}

#[test]
fn what_never_sent_anything_says_nothing() {
    let mut stage = service(Source::Echo);
    assert!(stage.run(60_000).is_empty());
    stage.close();
    assert!(stage.ports.farewells.is_empty());
}

#[test]
fn echo_reports_what_it_sent_and_consumes_reports_about_it() {
    let mut stage = service(Source::Echo);
    stage.stream(CALLER, ALICE, 1, 0, 10);
    let sent = stage.run(10_000);
    let report = first_report(&sent.first().expect("a report").bytes);
    assert_eq!((report.packet_count, report.octet_count), (10, 1_600));
    let forward = stage.send_report(CALLER, ALICE_RTCP, &mut sender_report(1));
    assert_eq!(forward, Forward::Drop(DropReason::Consumed));
}

#[test]
fn a_relayed_call_gets_no_reports_of_ours() {
    let mut stage = Stage::talking();
    for sequence in 0..500 {
        stage.wait(20);
        stage.send(CALLER, ALICE, &mut rtp(0, sequence, 1));
    }
    assert!(stage.run(20_000).is_empty());
    stage.close();
    assert!(stage.ports.farewells.is_empty());
}
