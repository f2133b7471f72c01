//! Writing RTCP into a buffer.

use core::time::Duration;

use thiserror::Error;

use crate::{MAX_REPORT_BLOCKS, ReportBlock, SdesItem, VERSION};

/// Longest canonical name, in bytes: its length has eight bits.
pub const MAX_CNAME_LEN: usize = 255;

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// A packet that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RtcpWriteError {
    /// The buffer is full.
    #[error("buffer too small: {need} bytes needed")]
    BufferTooSmall {
        /// Bytes it would have to have.
        need: usize,
    },
    /// More than [`MAX_REPORT_BLOCKS`] blocks or sources in one packet.
    #[error("more than {MAX_REPORT_BLOCKS} entries")]
    TooMany,
    /// A name or reason longer than [`MAX_CNAME_LEN`] bytes.
    #[error("text longer than {MAX_CNAME_LEN} bytes")]
    TextTooLong,
}

/// The time since the UNIX epoch in NTP format: seconds since 1900 and their 2^-32 fractions.
#[must_use]
pub fn ntp_time(now: Duration) -> u64 {
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    (now.as_secs().wrapping_add(NTP_EPOCH) << 32) | fraction
}

/// What a sender says about its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Now, from [`ntp_time`].
    pub ntp: u64,
    /// Now, on the RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packet_count: u32,
    /// Payload bytes sent so far.
    pub octet_count: u32,
}

/// Puts RTCP packets one behind the other. A compound packet begins with a report and has a
/// [`cname`](Self::cname) (RFC 3550 section 6.1).
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> CompoundWriter<'a> {
    /// Writes to the beginning of a buffer.
    #[must_use]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// Adds an SR.
    ///
    /// # Errors
    /// When the buffer is too small or there are too many blocks; nothing is written then.
    pub fn sender_report(
        &mut self,
        ssrc: u32,
        info: SenderInfo,
        blocks: &[ReportBlock],
    ) -> Result<&mut Self, RtcpWriteError> {
        let body = self.begin(200, blocks.len(), 24 + 24 * blocks.len())?;
        let (head, rest) = body.split_at_mut(24);
        head[0..4].copy_from_slice(&ssrc.to_be_bytes());
        head[4..12].copy_from_slice(&info.ntp.to_be_bytes());
        head[12..16].copy_from_slice(&info.rtp_timestamp.to_be_bytes());
        head[16..20].copy_from_slice(&info.packet_count.to_be_bytes());
        head[20..24].copy_from_slice(&info.octet_count.to_be_bytes());
        put_blocks(rest, blocks);
        Ok(self)
    }

    /// Adds an RR.
    ///
    /// # Errors
    /// As [`sender_report`](Self::sender_report).
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) -> Result<&mut Self, RtcpWriteError> {
        let body = self.begin(201, blocks.len(), 4 + 24 * blocks.len())?;
        let (head, rest) = body.split_at_mut(4);
        head.copy_from_slice(&ssrc.to_be_bytes());
        put_blocks(rest, blocks);
        Ok(self)
    }

    /// Adds an SDES with the canonical name of one source.
    ///
    /// # Errors
    /// When the buffer is too small or the name too long; nothing is written then.
    pub fn cname(&mut self, ssrc: u32, cname: &[u8]) -> Result<&mut Self, RtcpWriteError> {
        let length = u8::try_from(cname.len()).map_err(|_| RtcpWriteError::TextTooLong)?;
        // At least one zero byte ends the list of items.
        let body = self.begin(202, 1, (4 + 2 + cname.len() + 1).next_multiple_of(4))?;
        let (head, rest) = body.split_at_mut(6);
        head[0..4].copy_from_slice(&ssrc.to_be_bytes());
        head[4..6].copy_from_slice(&[SdesItem::CNAME, length]);
        put_padded(rest, cname);
        Ok(self)
    }

    /// Adds a BYE for one source, with a reason unless that is empty.
    ///
    /// # Errors
    /// When the buffer is too small or the reason too long; nothing is written then.
    pub fn bye(&mut self, ssrc: u32, reason: &[u8]) -> Result<&mut Self, RtcpWriteError> {
        let length = u8::try_from(reason.len()).map_err(|_| RtcpWriteError::TextTooLong)?;
        let text = if reason.is_empty() { 0 } else { (1 + reason.len()).next_multiple_of(4) };
        let body = self.begin(203, 1, 4 + text)?;
        let (head, rest) = body.split_at_mut(4);
        head.copy_from_slice(&ssrc.to_be_bytes());
        if let Some((first, rest)) = rest.split_first_mut() {
            *first = length;
            put_padded(rest, reason);
        }
        Ok(self)
    }

    /// How many bytes have been written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes a packet's first four bytes and returns room for the rest, `body_len` bytes, a multiple
    /// of four.
    fn begin(&mut self, packet_type: u8, count: usize, body_len: usize) -> Result<&mut [u8], RtcpWriteError> {
        if count > MAX_REPORT_BLOCKS {
            return Err(RtcpWriteError::TooMany);
        }
        let need = self.length + 4 + body_len;
        let room = self.buffer.get_mut(self.length..need);
        let room = room.ok_or(RtcpWriteError::BufferTooSmall { need })?;
        self.length = need;
        let (head, body) = room.split_at_mut(4);
        // 31 blocks or 255 bytes of text are far below 65536 words.
        let words = ((body_len / 4) as u16).to_be_bytes();
        head.copy_from_slice(&[(VERSION << 6) | count as u8, packet_type, words[0], words[1]]);
        Ok(body)
    }
}

fn put_blocks(room: &mut [u8], blocks: &[ReportBlock]) {
    for (out, block) in room.as_chunks_mut::<24>().0.iter_mut().zip(blocks) {
        *out = block.to_bytes();
    }
}

/// Text at the front and zeros behind it.
fn put_padded(room: &mut [u8], text: &[u8]) {
    room.fill(0);
    for (out, byte) in room.iter_mut().zip(text) {
        *out = *byte;
    }
}
