//! Any bytes as RTP, as RTCP, and as the numbers of a stream.
#![no_main]

use core::time::Duration;

use hookswitch_rtp::{Compound, EventReceiver, Packet, RtcpPacket, SequenceTracker, TelephoneEvent, classify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = classify(data);
    if let Ok(compound) = Compound::parse_reduced(data) {
        for packet in compound.packets() {
            match packet {
                RtcpPacket::SenderReport(report) => drop(report.blocks.iter().count()),
                RtcpPacket::ReceiverReport(report) => drop(report.blocks.iter().count()),
                RtcpPacket::SourceDescription(names) => drop(names.chunks().flat_map(|chunk| chunk.items()).count()),
                RtcpPacket::Goodbye(bye) => drop(bye.ssrcs().count()),
                RtcpPacket::Other { .. } => {}
            }
        }
    }
    let (mut tracker, mut keys) = (SequenceTracker::new(8_000), EventReceiver::new());
    for (n, piece) in data.chunks(20).enumerate() {
        let Ok(packet) = Packet::parse(piece) else { continue };
        let now = Duration::from_millis(20 * n as u64);
        let _ = (packet.csrcs().count(), packet.extension());
        let _ = tracker.packet(now, packet.sequence(), packet.timestamp());
        if let Some(event) = TelephoneEvent::parse(packet.payload()) {
            let _ = keys.packet(now, packet.marker(), packet.timestamp(), event).into_iter().count();
        }
    }
});
