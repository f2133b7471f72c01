//! Addresses in descriptions: o= and c= lines.

use core::fmt;
use core::net::IpAddr;

/// The address of an o= or c= line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// A literal address. The literal decides, even where `IP4` and `IP6` were mixed up.
    Ip(IpAddr),
    /// A host name (RFC 8866 section 5.7 allows one), or an address of an unknown network type.
    Name(&'a str),
}

impl<'a> Address<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        // Only multicast addresses carry `/ttl/count`, and it is no part of the address.
        let bare = text.split('/').next().unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(ip) => Self::Ip(ip),
            Err(_) => Self::Name(bare),
        }
    }

    /// The literal address, if it is one.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Name(_) => None,
        }
    }

    /// Whether it is the address of nobody, `0.0.0.0` or `::`. As a connection address that is how
    /// RFC 2543 phones ask for hold.
    #[must_use]
    pub fn is_unspecified(self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }
}

/// A c= line: `c=<network type> <address type> <address>` (RFC 8866 section 5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection<'a> {
    /// `IN`, in practice.
    pub network_type: &'a str,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// Where media goes.
    pub address: Address<'a>,
}

impl<'a> Connection<'a> {
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        Some(Self { network_type: words.next()?, address_type: words.next()?, address: Address::parse(words.next()?) })
    }
}

/// An o= line (RFC 8866 section 5.2). Numbers stay text, since some senders exceed 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user's name at the originating host, `-` where there is none.
    pub username: &'a str,
    /// With the other fields except the version, the identity of the session.
    pub session_id: &'a str,
    /// Grows by one with every changed description (RFC 3264 section 8).
    pub session_version: &'a str,
    /// Where the session was made. Not where media goes.
    pub address: Address<'a>,
}

impl<'a> Origin<'a> {
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let username = words.next()?;
        let session_id = words.next()?;
        let session_version = words.next()?;
        let _network_type = words.next()?;
        let _address_type = words.next()?;
        let address = Address::parse(words.next()?);
        Some(Self { username, session_id, session_version, address })
    }

    /// The session version as a number, when it is one that fits.
    #[must_use]
    pub fn version_number(&self) -> Option<u64> {
        self.session_version.parse().ok()
    }
}

/// The o= line of a description that we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnOrigin<'a> {
    /// Name of the originator; spaces and control characters are replaced by `-` in writing.
    pub username: &'a str,
    /// The same for all descriptions of one session.
    pub session_id: u64,
    /// One more with every change.
    pub session_version: u64,
    /// The address of this host.
    pub address: IpAddr,
}

impl fmt::Display for OwnOrigin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.username.is_empty() {
            f.write_str("-")?;
        }
        for c in self.username.chars() {
            let visible = !c.is_whitespace() && !c.is_control();
            write!(f, "{}", if visible { c } else { '-' })?;
        }
        let (id, version) = (self.session_id, self.session_version);
        write!(f, " {id} {version} {}", InAddress(self.address))
    }
}

/// An address with its types in front: `IN IP4 192.0.2.1`.
pub(crate) struct InAddress(pub IpAddr);

impl fmt::Display for InAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "IN IP4 {ip}"),
            IpAddr::V6(ip) => write!(f, "IN IP6 {ip}"),
        }
    }
}
