//! Telling apart what arrives on one port (RFC 5761 section 4, RFC 7983).

/// What a datagram on a media port is, judged by its first two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatagramKind {
    /// Media.
    Rtp,
    /// Reports about media.
    Rtcp,
    /// Connectivity check.
    Stun,
    /// Key exchange.
    Dtls,
    /// Nothing we know; empty datagrams, which some phones send to keep a NAT open, among them.
    Unknown,
}

/// Sorts a datagram by its first two bytes. Whether it is well-formed is for the parser to say.
#[must_use]
pub fn classify(datagram: &[u8]) -> DatagramKind {
    match datagram {
        [128..=191, 192..=223, ..] => DatagramKind::Rtcp,
        [128..=191, _, ..] => DatagramKind::Rtp,
        [0..=3, ..] => DatagramKind::Stun,
        [20..=63, ..] => DatagramKind::Dtls,
        _ => DatagramKind::Unknown,
    }
}

/// Whether a datagram on a port shared by both is RTCP: version 2 and a packet type from 192 to 223,
/// which as RTP would be payload types 64 to 95 with the marker set, and those are kept free.
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    classify(datagram) == DatagramKind::Rtcp
}
