//! Reports between two parties, where the packets they speak of do not pass as they are.
//!
//! Towards a party whose stream is [ours](crate::outgoing), the other party goes by the stream's
//! SSRC, and its sender reports are those of the stream; about such a stream, blocks are turned back
//! into the terms of whoever feeds it. We are a translator then, and RFC 3550 section 7.2 asks for
//! both. What cannot be told in those terms is left out: a sender report of somebody who does not
//! feed the stream becomes a receiver report, a block about a tone goes nowhere, a source that leaves
//! does not end a stream that others may go on with, and of formats that we do not know nobody can
//! say what in them would have to be changed.

use std::time::Duration;

use hookswitch_call::Time;
use hookswitch_rtp::{
    Compound, CompoundWriter, MAX_REPORT_BLOCKS, ReportBlock, ReportBlocks, RtcpPacket, RtcpWriteError, SenderInfo,
};

use crate::outgoing::Outgoing;
use crate::stats::Counters;

/// Longest translated report, in bytes; what would lie beyond is cut off. Phones send a hundred.
const MAX_REPORT: usize = 1_500;

/// The stream that the receiver of a report is sent, and that which its sender is sent.
pub(crate) struct Streams<'a> {
    pub onward: &'a mut Outgoing,
    pub onward_counters: &'a Counters,
    pub back: &'a Outgoing,
}

impl Streams<'_> {
    /// Whether reports pass as they are.
    pub fn are_untouched(&self) -> bool {
        !self.onward.is_ours() && !self.back.is_ours()
    }

    /// Turns a checked report into what its receiver can make sense of, and returns its length: 0
    /// when nothing is left.
    pub fn translate(&mut self, packet: &mut [u8]) -> usize {
        let mut buffer = [0; MAX_REPORT];
        let mut writer = CompoundWriter::new(&mut buffer);
        if let Ok(compound) = Compound::parse_reduced(packet) {
            for part in compound.packets() {
                if self.write(&mut writer, part).is_err() {
                    break;
                }
            }
        }
        let length = writer.len();
        match (packet.get_mut(..length), buffer.get(..length)) {
            (Some(packet), Some(written)) => packet.copy_from_slice(written),
            // Nothing of it gets longer, and reports about nothing are no loss.
            _ => return 0,
        }
        length
    }

    fn write(&mut self, writer: &mut CompoundWriter<'_>, part: RtcpPacket<'_>) -> Result<(), RtcpWriteError> {
        match part {
            RtcpPacket::SenderReport(report) => {
                let info = SenderInfo {
                    ntp: report.ntp,
                    rtp_timestamp: report.rtp_timestamp,
                    packet_count: report.packet_count,
                    octet_count: report.octet_count,
                };
                let info = if self.onward.is_ours() {
                    self.onward.translate_sender(report.ssrc, info, self.onward_counters)
                } else {
                    Some(info)
                };
                let (blocks, count) = self.blocks(report.blocks);
                let blocks = blocks.get(..count).unwrap_or_default();
                let ssrc = self.ssrc_of(report.ssrc);
                match info {
                    Some(info) => writer.sender_report(ssrc, info, blocks)?,
                    None => writer.receiver_report(ssrc, blocks)?,
                };
            }
            RtcpPacket::ReceiverReport(report) => {
                let (blocks, count) = self.blocks(report.blocks);
                let blocks = blocks.get(..count).unwrap_or_default();
                writer.receiver_report(self.ssrc_of(report.ssrc), blocks)?;
            }
            RtcpPacket::SourceDescription(description) => {
                // The reporter's own stands first.
                if let Some(chunk) = description.chunks().next()
                    && let Some(name) = chunk.cname()
                {
                    writer.cname(self.ssrc_of(chunk.ssrc), name)?;
                }
            }
            RtcpPacket::Goodbye(goodbye) => {
                if let Some(ssrc) = goodbye.ssrcs().next().filter(|_| !self.onward.is_ours()) {
                    writer.bye(ssrc, goodbye.reason)?;
                }
            }
            RtcpPacket::Other { .. } => {}
        }
        Ok(())
    }

    /// The name by which the receiver knows the sender of a report.
    fn ssrc_of(&self, ssrc: u32) -> u32 {
        if self.onward.is_ours() { self.onward.ssrc() } else { ssrc }
    }

    fn blocks(&self, blocks: ReportBlocks<'_>) -> ([ReportBlock; MAX_REPORT_BLOCKS], usize) {
        let mut kept = [ReportBlock::default(); MAX_REPORT_BLOCKS];
        let mut count = 0;
        let translated = blocks
            .iter()
            .filter_map(|block| if self.back.is_ours() { self.back.translate_block(&block) } else { Some(block) });
        for (place, block) in kept.iter_mut().zip(translated) {
            *place = block;
            count += 1;
        }
        (kept, count)
    }
}

/// The last sender report of a party whose packets end here: whose it was, its compact NTP time, and when it came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LastReport(Option<(u32, u32, Time)>);

impl LastReport {
    /// Remembers a report of the party.
    pub fn note(&mut self, now: Time, compound: &Compound<'_>) {
        for part in compound.packets() {
            if let RtcpPacket::SenderReport(report) = part {
                self.0 = Some((report.ssrc, report.compact_ntp(), now));
            }
        }
    }

    /// What the party is told of what came from it, with what refers to that report (RFC 3550 section 6.4.1).
    pub fn quoted_in(&self, now: Time, block: ReportBlock) -> ReportBlock {
        let own = self.0.filter(|(ssrc, _, _)| *ssrc == block.ssrc);
        let (last_sr, since) = own.map_or((0, Duration::ZERO), |(_, last, at)| (last, now.saturating_sub(at)));
        // In parts of 65536 of a second; of a report of a day ago nobody wants to know.
        let delay = u32::try_from(since.as_micros() * 65_536 / 1_000_000).unwrap_or(u32::MAX);
        ReportBlock { last_sr, delay_since_last_sr: delay, ..block }
    }
}

/// The compact NTP time of the sender report in a datagram, if it has one.
pub(crate) fn sender_report_in(compound: &Compound<'_>) -> Option<u32> {
    compound.packets().find_map(|packet| match packet {
        RtcpPacket::SenderReport(report) => Some(report.compact_ntp()),
        RtcpPacket::ReceiverReport(_)
        | RtcpPacket::SourceDescription(_)
        | RtcpPacket::Goodbye(_)
        | RtcpPacket::Other { .. } => None,
    })
}

/// The blocks of all reports in a datagram.
pub(crate) fn blocks_in<'a>(compound: &Compound<'a>) -> impl Iterator<Item = ReportBlock> + use<'a> {
    compound.packets().flat_map(|packet| {
        let blocks = match packet {
            RtcpPacket::SenderReport(report) => Some(report.blocks),
            RtcpPacket::ReceiverReport(report) => Some(report.blocks),
            RtcpPacket::SourceDescription(_) | RtcpPacket::Goodbye(_) | RtcpPacket::Other { .. } => None,
        };
        blocks.into_iter().flat_map(|blocks| blocks.iter())
    })
}
