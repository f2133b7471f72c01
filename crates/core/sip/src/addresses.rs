//! Which address of ours somebody else sees: that of Via, Contact and session descriptions.
//!
//! A host may have several: one in the office, one in a VPN, and one that a NAT has given it on the Internet. What is right
//! for one peer leads nowhere for another.

use std::net::IpAddr;

use crate::config::{Interface, Network};
use crate::transport::Flow;

/// What peers in a network are told, whatever our interfaces are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Where the peers are.
    pub peers: Network,
    /// Our address as they reach it; of the same family.
    pub address: IpAddr,
}

/// All addresses of a host, and who sees which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Networks this machine has an address in.
    pub interfaces: Vec<Interface>,
    /// Exceptions for peers in certain networks; the narrowest counts.
    pub views: Vec<View>,
    /// What hosts on the Internet see, where our own address is none of the Internet; at most one of each family.
    pub public: Vec<IpAddr>,
}

impl Addresses {
    /// The address that the other end of a flow reaches us at: that of a view; the public one, if it is out on the
    /// Internet and we are not; the one that the socket is bound to; that of the interface towards it. `None` where there is no
    /// such interface.
    pub fn seen_by(&self, flow: &Flow) -> Option<IpAddr> {
        let remote = flow.remote.ip();
        let bound = Some(flow.local.ip()).filter(|ip| !ip.is_unspecified());
        self.view(remote).or_else(|| {
            let own = bound.or_else(|| self.towards(remote));
            self.public_for(own, remote).or(own)
        })
    }

    /// The address of the interface towards a peer: in the narrowest network that both are in, else the default one of
    /// the same family, else any of it.
    pub fn towards(&self, peer: IpAddr) -> Option<IpAddr> {
        let family = || self.interfaces.iter().filter(|interface| interface.addr.is_ipv4() == peer.is_ipv4());
        let shared = family().filter(|interface| interface.network().contains(peer));
        let found = shared.max_by_key(|interface| interface.prefix);
        found
            .or_else(|| family().find(|interface| interface.default))
            .or_else(|| family().next())
            .map(|found| found.addr)
    }

    /// Whether this is an address of ours, as anybody sees us.
    pub fn is_ours(&self, ip: IpAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.addr == ip)
            || self.views.iter().any(|view| view.address == ip)
            || self.public.contains(&ip)
    }

    /// What peers in this one's network are told, if there is a view for it.
    pub(crate) fn view(&self, peer: IpAddr) -> Option<IpAddr> {
        let views = self.views.iter().filter(|view| view.peers.contains(peer));
        views.max_by_key(|view| view.peers.prefix).map(|view| view.address)
    }

    fn public_for(&self, own: Option<IpAddr>, peer: IpAddr) -> Option<IpAddr> {
        let needed = is_public(peer) && !own.is_some_and(is_public);
        self.public.iter().copied().find(|public| needed && public.is_ipv4() == peer.is_ipv4())
    }
}

/// Whether an address is one of the Internet, not of some network behind a NAT (RFC 1918, 6598, 4193) or of this host.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared)
        }
        IpAddr::V6(ip) => {
            let local = ip.segments()[0] & 0xfe00 == 0xfc00 || ip.segments()[0] & 0xffc0 == 0xfe80;
            !(ip.is_loopback() || ip.is_unspecified() || local)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office() -> Addresses {
        let interface = |addr: &str, prefix, default| Interface { addr: addr.parse().unwrap(), prefix, default };
        let view = |peers: &str, prefix, address: &str| View {
            peers: Network { addr: peers.parse().unwrap(), prefix },
            address: address.parse().unwrap(),
        };
        Addresses {
            interfaces: vec![
                interface("127.0.0.1", 8, false),
                interface("192.168.4.9", 24, true),
                interface("10.8.0.2", 16, false),
                interface("fd00:4::9", 64, true),
            ],
            views: vec![
                view("100.64.0.0", 10, "100.64.7.7"),
                view("198.51.100.0", 24, "203.0.113.99"),
                view("198.51.100.64", 26, "192.168.4.9"),
            ],
            public: vec!["203.0.113.5".parse().unwrap()],
        }
    }

    fn seen(addresses: &Addresses, local: &str, remote: &str) -> String {
        let flow = Flow::udp(local.parse().unwrap(), remote.parse().unwrap());
        addresses.seen_by(&flow).map(|ip| ip.to_string()).unwrap_or_default()
    }

    #[test]
    fn everybody_sees_the_address_that_leads_back_from_there() {
        let office = office();
        for (remote, expected, why) in [
            ("192.168.4.77:5060", "192.168.4.9", "the office"),
            ("10.8.44.1:5060", "10.8.0.2", "the VPN"),
            ("172.16.0.1:5060", "192.168.4.9", "another private network, behind the default router"),
            ("127.0.0.1:5060", "127.0.0.1", "this host"),
            ("8.8.4.4:5060", "203.0.113.5", "the Internet"),
            ("100.100.1.1:5060", "100.64.7.7", "an overlay whose address is on no interface"),
            ("198.51.100.1:5060", "203.0.113.99", "a view comes before the public address"),
            ("198.51.100.70:5060", "192.168.4.9", "the narrower view counts"),
        ] {
            assert_eq!(seen(&office, "0.0.0.0:5060", remote), expected, "{why}");
        }
        assert_eq!(seen(&office, "[::]:5060", "[2001:db8::1]:5060"), "fd00:4::9", "no public address of that family");
    }

    #[test]
    fn a_bound_socket_is_seen_by_its_address_unless_a_nat_stands_before_it() {
        let office = office();
        assert_eq!(seen(&office, "10.8.0.2:5060", "192.168.4.77:5060"), "10.8.0.2");
        assert_eq!(seen(&office, "10.8.0.2:5060", "8.8.4.4:5060"), "203.0.113.5");
        assert_eq!(seen(&office, "203.0.113.80:5060", "8.8.4.4:5060"), "203.0.113.80", "no NAT before this one");
        assert_eq!(seen(&office, "10.8.0.2:5060", "100.64.0.1:5060"), "100.64.7.7");
    }

    #[test]
    fn every_address_that_somebody_sees_is_ours() {
        let office = office();
        for ip in ["192.168.4.9", "100.64.7.7", "203.0.113.5", "203.0.113.99"] {
            assert!(office.is_ours(ip.parse().unwrap()), "{ip}");
        }
        assert!(!office.is_ours("198.51.100.1".parse().unwrap()));
    }
}
