//! Reading RTCP (RFC 3550 section 6), with the validity checks of appendix A.2.

use thiserror::Error;

/// Most report blocks in one packet; the count has five bits.
pub const MAX_REPORT_BLOCKS: usize = 31;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

const BLOCK_LEN: usize = 24;

/// A datagram that is no RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RtcpError {
    /// A packet's length does not fit the datagram, or its content not its length.
    #[error("truncated at byte {at}")]
    Truncated {
        /// Where the packet began.
        at: usize,
    },
    /// Another version than 2.
    #[error("version {0} instead of 2")]
    Version(u8),
    /// A compound packet that does not begin with a report.
    #[error("begins with packet type {0} instead of a report")]
    NotAReport(u8),
    /// Padding before the last packet, or a padding count that does not fit.
    #[error("bad padding")]
    Padding,
}

/// A datagram of RTCP packets, checked as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Reads a compound packet, which has to begin with a sender or receiver report.
    ///
    /// # Errors
    /// When a check of appendix A.2 fails, or a packet is shorter than its content.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let parsed = Self::parse_reduced(bytes)?;
        match bytes.get(1) {
            Some(&(SENDER_REPORT | RECEIVER_REPORT)) => Ok(parsed),
            other => Err(RtcpError::NotAReport(other.copied().unwrap_or_default())),
        }
    }

    /// Reads a datagram that may begin with any packet (reduced-size RTCP, RFC 5506; and phones that
    /// send a lone BYE).
    ///
    /// # Errors
    /// As [`parse`](Self::parse), the first packet's type aside.
    pub fn parse_reduced(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = bytes;
        loop {
            let at = bytes.len() - rest.len();
            let (raw, behind) = Raw::split(rest, at)?;
            RtcpPacket::read(raw).ok_or(RtcpError::Truncated { at })?;
            if raw.padded && !behind.is_empty() {
                return Err(RtcpError::Padding);
            }
            if behind.is_empty() {
                return Ok(Self { bytes });
            }
            rest = behind;
        }
    }

    /// The packets, in order.
    pub fn packets(&self) -> impl Iterator<Item = RtcpPacket<'a>> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (raw, behind) = Raw::split(rest, 0).ok()?;
            rest = behind;
            RtcpPacket::read(raw)
        })
    }
}

/// One packet, cut out, its padding taken off.
#[derive(Clone, Copy)]
struct Raw<'a> {
    count: u8,
    packet_type: u8,
    padded: bool,
    body: &'a [u8],
}

impl<'a> Raw<'a> {
    fn split(bytes: &'a [u8], at: usize) -> Result<(Self, &'a [u8]), RtcpError> {
        let truncated = RtcpError::Truncated { at };
        let &[first, packet_type, high, low] = bytes.first_chunk().ok_or(truncated)?;
        if first >> 6 != crate::VERSION {
            return Err(RtcpError::Version(first >> 6));
        }
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let (packet, rest) = bytes.split_at_checked(length).ok_or(truncated)?;
        let mut body = packet.get(4..).unwrap_or_default();
        let padded = first & 0x20 != 0;
        if padded {
            let padding = usize::from(body.last().copied().unwrap_or_default());
            let kept = body.len().checked_sub(padding).filter(|_| padding > 0);
            body = kept.and_then(|kept| body.get(..kept)).ok_or(RtcpError::Padding)?;
        }
        Ok((Self { count: first & 0x1f, packet_type, padded, body }, rest))
    }
}

/// One RTCP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// SR: from a source that sends.
    SenderReport(SenderReport<'a>),
    /// RR: from a source that only receives.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES: who the sources are.
    SourceDescription(SourceDescription<'a>),
    /// BYE: sources that leave.
    Goodbye(Goodbye<'a>),
    /// Any other: APP, feedback, extended reports.
    Other {
        /// Packet type, 192 to 223.
        packet_type: u8,
        /// The five bits that are a count or a format.
        count: u8,
        /// What follows the first four bytes.
        body: &'a [u8],
    },
}

impl<'a> RtcpPacket<'a> {
    fn read(raw: Raw<'a>) -> Option<Self> {
        let Raw { count, packet_type, body, .. } = raw;
        match packet_type {
            SENDER_REPORT => Some(Self::SenderReport(SenderReport {
                ssrc: word(body, 0)?,
                ntp: (u64::from(word(body, 4)?) << 32) | u64::from(word(body, 8)?),
                rtp_timestamp: word(body, 12)?,
                packet_count: word(body, 16)?,
                octet_count: word(body, 20)?,
                blocks: ReportBlocks::cut(body.get(24..)?, count)?,
            })),
            RECEIVER_REPORT => Some(Self::ReceiverReport(ReceiverReport {
                ssrc: word(body, 0)?,
                blocks: ReportBlocks::cut(body.get(4..)?, count)?,
            })),
            SOURCE_DESCRIPTION => {
                Chunks { count, rest: body }.is_whole().then_some(())?;
                Some(Self::SourceDescription(SourceDescription { count, body }))
            }
            GOODBYE => {
                let (ssrcs, rest) = body.split_at_checked(4 * usize::from(count))?;
                let reason = match rest.split_first() {
                    Some((length, text)) => text.get(..usize::from(*length))?,
                    None => &[],
                };
                Some(Self::Goodbye(Goodbye { ssrcs, reason }))
            }
            _ => Some(Self::Other { packet_type, count, body }),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// What a sender says about its stream (section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// The reporter.
    pub ssrc: u32,
    /// Wall-clock time of the report, NTP format: seconds since 1900 in the upper half.
    pub ntp: u64,
    /// The same time on the RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packet_count: u32,
    /// Payload bytes sent so far.
    pub octet_count: u32,
    /// What the reporter receives.
    pub blocks: ReportBlocks<'a>,
}

impl SenderReport<'_> {
    /// The middle of the NTP time, which a [`ReportBlock`] quotes as `last_sr`.
    #[must_use]
    pub fn compact_ntp(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

/// What a receiver says (section 6.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// The reporter.
    pub ssrc: u32,
    /// What the reporter receives.
    pub blocks: ReportBlocks<'a>,
}

/// Report blocks, at most [`MAX_REPORT_BLOCKS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlocks<'a> {
    bytes: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    fn cut(bytes: &'a [u8], count: u8) -> Option<Self> {
        // What follows the blocks is a profile's extension.
        Some(Self { bytes: bytes.get(..BLOCK_LEN * usize::from(count))? })
    }

    /// The blocks, in order.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.bytes.as_chunks::<BLOCK_LEN>().0.iter().map(ReportBlock::from_bytes)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / BLOCK_LEN
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// How one source is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Loss since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Loss since the beginning, in packets; 24 bits with sign.
    pub cumulative_lost: i32,
    /// Newest sequence number, with wraps above bit 15.
    pub extended_highest: u32,
    /// Interarrival jitter in units of the RTP clock.
    pub jitter: u32,
    /// [`SenderReport::compact_ntp`] of the last sender report, 0 if none.
    pub last_sr: u32,
    /// Time since that report in units of 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn from_bytes(bytes: &[u8; BLOCK_LEN]) -> Self {
        let at = |i: usize| u32::from_be_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let lost = i32::from_be_bytes([bytes[5], bytes[6], bytes[7], 0]) >> 8;
        Self {
            ssrc: at(0),
            fraction_lost: bytes[4],
            cumulative_lost: lost,
            extended_highest: at(8),
            jitter: at(12),
            last_sr: at(16),
            delay_since_last_sr: at(20),
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; BLOCK_LEN] {
        let mut out = [0; BLOCK_LEN];
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
        out[0..4].copy_from_slice(&self.ssrc.to_be_bytes());
        out[4..8].copy_from_slice(&[self.fraction_lost, lost[1], lost[2], lost[3]]);
        out[8..12].copy_from_slice(&self.extended_highest.to_be_bytes());
        out[12..16].copy_from_slice(&self.jitter.to_be_bytes());
        out[16..20].copy_from_slice(&self.last_sr.to_be_bytes());
        out[20..24].copy_from_slice(&self.delay_since_last_sr.to_be_bytes());
        out
    }

    /// The round trip to the reporter, in units of 1/65536 s, when its report arrived at the compact
    /// NTP time `arrival`. `None` if it had heard no sender report, or its numbers make no sense.
    #[must_use]
    pub fn round_trip(&self, arrival: u32) -> Option<u32> {
        if self.last_sr == 0 {
            return None;
        }
        let trip = arrival.wrapping_sub(self.last_sr).wrapping_sub(self.delay_since_last_sr);
        // Clocks that step back give a huge number; nothing takes half a day.
        (trip <= i32::MAX as u32).then_some(trip)
    }
}

/// Chunks of items, one per source (section 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceDescription<'a> {
    count: u8,
    body: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    /// The chunks, in order.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks { count: self.count, rest: self.body }
    }
}

/// Iterator over the chunks of a source description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks<'a> {
    count: u8,
    rest: &'a [u8],
}

impl Chunks<'_> {
    fn is_whole(self) -> bool {
        self.count() == usize::from(self.count)
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        self.count.checked_sub(1)?;
        let ssrc = word(self.rest, 0)?;
        let items = self.rest.get(4..)?;
        let mut at = 0;
        while *items.get(at)? != 0 {
            at += 2 + usize::from(*items.get(at + 1)?);
        }
        // One to four zero bytes end the list at a word boundary.
        let end = at + 4 - at % 4;
        let (list, rest) = (items.get(..at)?, items.get(end..)?);
        self.count -= 1;
        self.rest = rest;
        Some(Chunk { ssrc, items: list })
    }
}

/// What is told about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The source.
    pub ssrc: u32,
    items: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// The items, in order.
    #[must_use]
    pub fn items(&self) -> Items<'a> {
        Items { rest: self.items }
    }

    /// The canonical name, which binds a participant's sources together.
    #[must_use]
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items().find(|item| item.kind == SdesItem::CNAME).map(|item| item.text)
    }
}

/// Iterator over the items of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = SdesItem<'a>;

    fn next(&mut self) -> Option<SdesItem<'a>> {
        let (&[kind, length], rest) = self.rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(SdesItem { kind, text })
    }
}

/// One item of a source description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// 1 CNAME, 2 NAME, 3 EMAIL, 4 PHONE, 5 LOC, 6 TOOL, 7 NOTE, 8 PRIV.
    pub kind: u8,
    /// UTF-8, or should be.
    pub text: &'a [u8],
}

impl SdesItem<'_> {
    /// The kind of the canonical name.
    pub const CNAME: u8 = 1;
}

/// Sources that leave (section 6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye<'a> {
    ssrcs: &'a [u8],
    /// Why, if they say; UTF-8, or should be.
    pub reason: &'a [u8],
}

impl<'a> Goodbye<'a> {
    /// The sources.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ssrcs.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }
}
