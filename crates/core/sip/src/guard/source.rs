//! Who is one: an IPv4 address, or the /64 that an IPv6 address is in, which is what one customer gets.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits of an IPv6 address that tell one customer from another (RFC 6177 2).
const CUSTOMER: u32 = 64;

/// One source of requests. Written as an IPv4 address, or as an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    /// The source that an address belongs to.
    pub fn of(address: IpAddr) -> Source {
        Source(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << CUSTOMER))),
            address @ IpAddr::V4(_) => address,
        })
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// Its length as a network in bits: 32 or 64.
    pub fn prefix(self) -> u8 {
        if self.0.is_ipv4() { 32 } else { 64 }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/{CUSTOMER}"),
        }
    }
}

/// What was to be a source is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an address nor an IPv6 network of 64 bits")]
pub struct NoSource;

impl FromStr for Source {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Source, NoSource> {
        let address = text.strip_suffix("/64").filter(|address| address.contains(':')).unwrap_or(text);
        address.parse().map(Source::of).map_err(|_| NoSource)
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> String {
        Source::of(address.parse().expect("an address")).to_string()
    }

    #[test]
    fn a_customer_is_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["192.0.2.7", "2001:db8:1:2::/64"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        assert_eq!("2001:db8:1:2::9".parse::<Source>().unwrap().to_string(), "2001:db8:1:2::/64");
        for text in ["", "192.0.2.0/24", "192.0.2.0/64", "2001:db8::/48", "example.test", "/64"] {
            assert_eq!(text.parse::<Source>(), Err(NoSource), "{text}");
        }
    }
}
