//! Where webhooks may go: not into our own network, whatever a name leads to, unless that is configured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hookswitch_sip::Network;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Decides about addresses.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// Networks that are allowed although they are not public.
    pub(super) allow_private: Vec<Network>,
}

/// A URL leads to an address where webhooks do not go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} is not a public address")]
pub(super) struct Private(pub(super) IpAddr);

impl Guard {
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || self.allow_private.iter().any(|network| network.contains(address.to_canonical()))
    }

    /// A host that is an address is not looked up, so it is looked at here.
    pub(super) fn check(&self, url: &Url) -> Result<(), Private> {
        let host = url.host_str().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match bare.parse() {
            Ok(address) if !self.allows(address) => Err(Private(address)),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Names are looked up here, and connections go to none but the addresses that are left: what is checked is what is used.
pub(super) struct Lookup(pub(super) Arc<Guard>);

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (allowed, refused): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| guard.allows(one.ip()));
            match (allowed.is_empty(), refused.first()) {
                (true, Some(one)) => Err(Private(one.ip()).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address is one of the public Internet, by the registries of special addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // This network; and what is reserved, with the broadcast address.
        || a == 0
        || a >= 240
        // Shared by carriers (RFC 6598), where clouds have services of theirs.
        || (a == 100 && (64..128).contains(&b))
        // Assignments of protocols, 6to4 relays, benchmarks.
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let last = |at: usize| Ipv4Addr::from((u32::from(segments[at]) << 16) | u32::from(segments[at + 1]));
    match segments {
        // An IPv4 address in another dress: mapped, compatible, behind a NAT64 (RFC 6052) or a 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(last(6)),
        [0x2002, ..] => is_public_v4(last(1)),
        // Teredo, and other assignments of protocols; documentation.
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => false,
        // What is handed out. All else is local, multicast or reserved.
        [0x2000..0x4000, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_our_own_network_are_not_public_in_whatever_dress() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.0.192",
            "198.18.0.1",
            "192.0.2.1",
            "240.0.0.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "100::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "9.255.255.255",
            "198.20.0.1",
            "2606:4700::1",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn what_is_configured_is_allowed_and_nothing_beside_it() {
        let guard = Guard { allow_private: vec![Network { addr: [10, 1, 0, 0].into(), prefix: 16 }] };
        let check = |url: &str| guard.check(&url.parse().unwrap());
        assert_eq!(check("http://10.1.2.3:8080/x"), Ok(()));
        assert_eq!(check("http://[::ffff:10.1.2.3]/x"), Ok(()));
        assert_eq!(check("http://10.2.0.1/x"), Err(Private([10, 2, 0, 1].into())));
        assert_eq!(check("https://[::1]/x"), Err(Private("::1".parse().unwrap())));
        // The ways in which URLs write addresses, too.
        assert_eq!(check("http://2130706433/"), Err(Private([127, 0, 0, 1].into())));
        assert_eq!(check("http://0x7f.1/"), Err(Private([127, 0, 0, 1].into())));
        assert_eq!(check("https://example.test/"), Ok(()));
    }
}
