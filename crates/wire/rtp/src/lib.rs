//! RTP and RTCP packets (RFC 3550) and telephone events (RFC 4733), without allocation.
//!
//! [`Packet`] reads a datagram in place; [`PacketMut`] rewrites the fields a relay must rewrite;
//! [`Header`] writes a new packet. [`Compound`] reads RTCP and [`CompoundWriter`] writes it.
//! [`SequenceTracker`] is the bookkeeping of RFC 3550 appendix A for one source, and
//! [`EventReceiver`] turns telephone-event packets, repeated or lost, into digits.

// Without `alloc` there is nothing to allocate with.
#![no_std]
#![forbid(unsafe_code)]

mod demux;
mod event;
mod event_receiver;
mod packet;
mod rtcp;
mod rtcp_writer;
mod sequence;

pub use demux::{DatagramKind, classify, is_rtcp};
pub use event::{EventPacket, EventSender, MAX_EVENT_DURATION, TelephoneEvent};
pub use event_receiver::{EVENT_TIMEOUT, EventReceiver, EventReport, EventReports};
pub use packet::{BufferTooSmall, Extension, HEADER_LEN, Header, Packet, PacketMut, RtpError, VERSION};
pub use rtcp::{
    Chunk, Chunks, Compound, Goodbye, Items, MAX_REPORT_BLOCKS, ReceiverReport, ReportBlock, ReportBlocks, RtcpError,
    RtcpPacket, SdesItem, SenderReport, SourceDescription,
};
pub use rtcp_writer::{CompoundWriter, MAX_CNAME_LEN, RtcpWriteError, SenderInfo, ntp_time};
pub use sequence::{Arrival, MAX_DROPOUT, MAX_MISORDER, SequenceTracker, is_newer, sequence_delta};
