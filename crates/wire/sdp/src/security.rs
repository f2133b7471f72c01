//! Attributes for keys and paths: a=crypto (RFC 4568) and a=candidate (RFC 8839).

use core::net::IpAddr;

use crate::Address;

/// `a=crypto:<tag> <suite> <key parameters> [<session parameters>]` (RFC 4568 section 9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// Names this line in the answer.
    pub tag: u32,
    /// The crypto suite, such as `AES_CM_128_HMAC_SHA1_80`.
    pub suite: &'a str,
    /// `inline:` and the key, base64, perhaps with lifetime and MKI. Secret: not for logs.
    pub key: &'a str,
    /// Session parameters, empty when there are none.
    pub session: &'a str,
}

impl<'a> Crypto<'a> {
    /// Parses the attribute's value.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let mut parts = value.trim_ascii().splitn(4, ' ').map(str::trim_ascii);
        let tag = parts.next()?.parse().ok()?;
        let suite = parts.next().filter(|s| !s.is_empty())?;
        let key = parts.next().filter(|s| !s.is_empty())?;
        Some(Self { tag, suite, key, session: parts.next().unwrap_or_default() })
    }
}

/// How a candidate's address was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of the host itself.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the peer.
    PeerReflexive,
    /// Lent by a TURN server.
    Relayed,
}

/// `a=candidate:<foundation> <component> <transport> <priority> <address> <port> typ <kind> …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Groups candidates of the same origin.
    pub foundation: &'a str,
    /// 1 for RTP, 2 for RTCP.
    pub component: u16,
    /// `UDP` or `TCP`, in either case.
    pub transport: &'a str,
    /// Higher is better.
    pub priority: u32,
    /// A literal address, or an mDNS name.
    pub address: Address<'a>,
    /// Port at that address.
    pub port: u16,
    /// How the address was found.
    pub kind: CandidateKind,
    /// `raddr` and `rport`: what the address was mapped from, for diagnosis only.
    pub related: Option<(IpAddr, u16)>,
}

impl<'a> Candidate<'a> {
    /// Parses the attribute's value; extensions at its end are passed over.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let foundation = words.next()?;
        let component = words.next()?.parse().ok()?;
        let transport = words.next()?;
        let priority = words.next()?.parse().ok()?;
        let address = Address::parse(words.next()?);
        let port = words.next()?.parse().ok()?;
        if words.next()? != "typ" {
            return None;
        }
        let kind = match words.next()? {
            "host" => CandidateKind::Host,
            "srflx" => CandidateKind::ServerReflexive,
            "prflx" => CandidateKind::PeerReflexive,
            "relay" => CandidateKind::Relayed,
            _ => return None,
        };
        let related = related(words);
        Some(Self { foundation, component, transport, priority, address, port, kind, related })
    }
}

fn related<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<(IpAddr, u16)> {
    let (mut ip, mut port) = (None, None);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match name {
            "raddr" => ip = value.parse().ok(),
            "rport" => port = value.parse().ok(),
            _ => {}
        }
    }
    Some((ip?, port?))
}
