//! Any bytes: no panic, and every slice is within the datagram.

use core::time::Duration;

use hookswitch_rtp::{
    Compound, EventReceiver, Packet, PacketMut, RtcpPacket, SequenceTracker, TelephoneEvent, classify,
};
use proptest::prelude::*;

fn read_rtcp(compound: Compound<'_>) {
    for packet in compound.packets() {
        match packet {
            RtcpPacket::SenderReport(report) => assert!(report.blocks.iter().count() <= 31),
            RtcpPacket::ReceiverReport(report) => assert!(report.blocks.iter().count() <= 31),
            RtcpPacket::SourceDescription(description) => {
                let _ = description.chunks().flat_map(|chunk| chunk.items()).count();
            }
            RtcpPacket::Goodbye(bye) => assert!(bye.ssrcs().count() <= 31),
            RtcpPacket::Other { .. } => {}
        }
    }
}

/// Plausible RTCP: right versions and lengths, anything inside.
fn rtcp() -> impl Strategy<Value = Vec<u8>> {
    let packet = (0u8..32, 198u8..208, proptest::collection::vec(any::<u8>(), 0..12)).prop_map(
        |(count, packet_type, mut body)| {
            body.resize(body.len().next_multiple_of(4), 0);
            let words = (body.len() / 4) as u8;
            [vec![0x80 | count, packet_type, 0, words], body].concat()
        },
    );
    proptest::collection::vec(packet, 0..5).prop_map(|packets| packets.concat())
}

proptest! {
    #[test]
    fn rtp(bytes in proptest::collection::vec(any::<u8>(), 0..120), version in 0u8..2) {
        let mut bytes = bytes;
        if let (Some(first), 1) = (bytes.first_mut(), version) {
            *first = (*first & 0x3f) | 0x80;
        }
        let _ = classify(&bytes);
        let Ok(packet) = Packet::parse(&bytes) else {
            return Ok(());
        };
        prop_assert!(packet.header_len() + packet.payload().len() <= bytes.len());
        prop_assert!(packet.csrcs().count() <= 15);
        let _ = (packet.extension(), TelephoneEvent::parse(packet.payload()));
        let header = packet.header();
        let mut copy = bytes.clone();
        let mut rewritten = PacketMut::parse(&mut copy).expect("parsed before");
        rewritten.set_sequence(header.sequence);
        rewritten.set_payload_type(header.payload_type);
        prop_assert_eq!(copy, bytes);
    }

    #[test]
    fn rtcp_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(compound) = Compound::parse_reduced(&bytes) {
            read_rtcp(compound);
        }
    }

    #[test]
    fn rtcp_packets(bytes in rtcp()) {
        if let Ok(compound) = Compound::parse_reduced(&bytes) {
            read_rtcp(compound);
        }
    }

    #[test]
    fn sequence_numbers(packets in proptest::collection::vec((any::<u16>(), any::<u32>(), any::<u32>()), 0..200)) {
        let mut tracker = SequenceTracker::new(8000);
        for (sequence, timestamp, micros) in packets {
            tracker.packet(Duration::from_micros(u64::from(micros)), sequence, timestamp);
            prop_assert!(tracker.received() <= tracker.expected());
            let _ = tracker.report(1);
        }
    }

    #[test]
    fn events(packets in proptest::collection::vec((any::<bool>(), 0u32..5, any::<[u8; 4]>()), 0..100)) {
        let mut receiver = EventReceiver::new();
        let (mut down, mut now) = (false, Duration::ZERO);
        for (marker, timestamp, payload) in packets {
            now += Duration::from_millis(20);
            let payload = TelephoneEvent::parse(&payload).expect("four bytes");
            for report in receiver.packet(now, marker, timestamp * 60_000, payload) {
                // Down and up take turns.
                let goes_down = matches!(report, hookswitch_rtp::EventReport::Started { .. });
                prop_assert_eq!(goes_down, !down);
                down = goes_down;
            }
        }
    }
}
