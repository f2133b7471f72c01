//! The RTP packet (RFC 3550 section 5.1).

use thiserror::Error;

/// The only version there is.
pub const VERSION: u8 = 2;

/// Bytes of a header without CSRC list and extension.
pub const HEADER_LEN: usize = 12;

/// A datagram that is no RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RtpError {
    /// Shorter than its own header says it must be.
    #[error("truncated: {have} bytes where {need} are needed")]
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes there would have to be.
        need: usize,
    },
    /// Another version than 2.
    #[error("version {0} instead of 2")]
    Version(u8),
    /// A padding count of 0, or one larger than the payload.
    #[error("padding of {0} bytes does not fit")]
    Padding(u8),
}

/// A buffer that cannot take what was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("buffer too small: {need} bytes needed")]
pub struct BufferTooSmall {
    /// Bytes there would have to be.
    pub need: usize,
}

/// A header extension (RFC 3550 section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// `0xBEDE` for one-byte extensions (RFC 8285).
    pub profile: u16,
    /// A multiple of four bytes.
    pub data: &'a [u8],
}

/// An RTP packet in the buffer it was received in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    head: [u8; HEADER_LEN],
    /// Where the payload begins and ends.
    start: usize,
    end: usize,
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// When it is truncated, of another version, or its padding count is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let truncated = |need| RtpError::Truncated { have: bytes.len(), need };
        let head = *bytes.first_chunk::<HEADER_LEN>().ok_or_else(|| truncated(HEADER_LEN))?;
        if head[0] >> 6 != VERSION {
            return Err(RtpError::Version(head[0] >> 6));
        }
        let mut start = HEADER_LEN + 4 * usize::from(head[0] & 0x0f);
        if head[0] & 0x10 != 0 {
            let words = bytes.get(start + 2..).and_then(<[u8]>::first_chunk);
            let words = u16::from_be_bytes(*words.ok_or_else(|| truncated(start + 4))?);
            start += 4 + 4 * usize::from(words);
        }
        if bytes.len() < start {
            return Err(truncated(start));
        }
        let mut end = bytes.len();
        if head[0] & 0x20 != 0 {
            let padding = bytes.last().copied().unwrap_or_default();
            if padding == 0 || usize::from(padding) > end - start {
                return Err(RtpError::Padding(padding));
            }
            end -= usize::from(padding);
        }
        Ok(Self { bytes, head, start, end })
    }

    /// The marker bit: in audio, the first packet after silence; in telephone-event, of an event.
    #[must_use]
    pub fn marker(&self) -> bool {
        self.head[1] & 0x80 != 0
    }

    /// What the payload is, 0 to 127.
    #[must_use]
    pub fn payload_type(&self) -> u8 {
        self.head[1] & 0x7f
    }

    /// The sequence number; wraps.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.head[2], self.head[3]])
    }

    /// When the first sample was taken, in units of the RTP clock; wraps.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.head[4], self.head[5], self.head[6], self.head[7]])
    }

    /// The source.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.head[8], self.head[9], self.head[10], self.head[11]])
    }

    /// The sources that a mixer mixed, at most 15.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        let count = usize::from(self.head[0] & 0x0f);
        let list = self.bytes.get(HEADER_LEN..HEADER_LEN + 4 * count).unwrap_or_default();
        list.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// The header extension, if there is one.
    #[must_use]
    pub fn extension(&self) -> Option<Extension<'a>> {
        if self.head[0] & 0x10 == 0 {
            return None;
        }
        let at = HEADER_LEN + 4 * usize::from(self.head[0] & 0x0f);
        let profile = self.bytes.get(at..)?.first_chunk()?;
        let data = self.bytes.get(at + 4..self.start)?;
        Some(Extension { profile: u16::from_be_bytes(*profile), data })
    }

    /// The media, without padding.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Bytes of header, CSRC list and extension.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.start
    }

    /// The fixed header, to be changed and written elsewhere.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            marker: self.marker(),
            payload_type: self.payload_type(),
            sequence: self.sequence(),
            timestamp: self.timestamp(),
            ssrc: self.ssrc(),
        }
    }

    /// The whole datagram.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// The fixed header of a packet without CSRC list, extension and padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// See [`Packet::marker`].
    pub marker: bool,
    /// 0 to 127; the upper bit is ignored.
    pub payload_type: u8,
    /// See [`Packet::sequence`].
    pub sequence: u16,
    /// See [`Packet::timestamp`].
    pub timestamp: u32,
    /// See [`Packet::ssrc`].
    pub ssrc: u32,
}

impl Header {
    /// The header as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0] = VERSION << 6;
        out[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        out
    }

    /// Writes the header to the beginning of a buffer and returns what lies behind it, for the payload.
    ///
    /// # Errors
    /// When the buffer is shorter than [`HEADER_LEN`].
    pub fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b mut [u8], BufferTooSmall> {
        let (head, rest) = buffer.split_first_chunk_mut::<HEADER_LEN>().ok_or(BufferTooSmall { need: HEADER_LEN })?;
        *head = self.to_bytes();
        Ok(rest)
    }

    /// Writes a whole packet and returns its length.
    ///
    /// # Errors
    /// When the buffer is too short.
    pub fn write_packet(&self, payload: &[u8], buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let need = HEADER_LEN + payload.len();
        let too_small = BufferTooSmall { need };
        let rest = self.write(buffer).map_err(|_| too_small)?;
        rest.get_mut(..payload.len()).ok_or(too_small)?.copy_from_slice(payload);
        Ok(need)
    }
}

/// An RTP packet whose header is rewritten in the buffer it was received in.
#[derive(Debug)]
pub struct PacketMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> PacketMut<'a> {
    /// Reads a datagram, as [`Packet::parse`] does.
    ///
    /// # Errors
    /// Those of [`Packet::parse`].
    pub fn parse(bytes: &'a mut [u8]) -> Result<Self, RtpError> {
        Packet::parse(bytes)?;
        Ok(Self { bytes })
    }

    fn head(&mut self) -> &mut [u8; HEADER_LEN] {
        let head = self.bytes.first_chunk_mut::<HEADER_LEN>();
        head.expect("parse() has seen a whole header, and the slice cannot shrink")
    }

    /// Sets the marker bit.
    pub fn set_marker(&mut self, marker: bool) {
        let byte = &mut self.head()[1];
        *byte = (*byte & 0x7f) | (u8::from(marker) << 7);
    }

    /// Sets the payload type; the upper bit is ignored, and the marker stays.
    pub fn set_payload_type(&mut self, payload_type: u8) {
        let byte = &mut self.head()[1];
        *byte = (*byte & 0x80) | (payload_type & 0x7f);
    }

    /// Sets the sequence number.
    pub fn set_sequence(&mut self, sequence: u16) {
        self.head()[2..4].copy_from_slice(&sequence.to_be_bytes());
    }

    /// Sets the timestamp.
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.head()[4..8].copy_from_slice(&timestamp.to_be_bytes());
    }

    /// Sets the source.
    pub fn set_ssrc(&mut self, ssrc: u32) {
        self.head()[8..12].copy_from_slice(&ssrc.to_be_bytes());
    }

    /// The whole datagram, to be sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
    }
}
