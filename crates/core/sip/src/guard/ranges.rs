//! Lists of networks, of any length, asked by binary search.

use std::net::IpAddr;

use crate::config::Network;

/// Networks as ranges of addresses, sorted and without overlap.
#[derive(Default)]
pub(super) struct Ranges {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Ranges {
    pub(super) fn new(networks: &[Network]) -> Ranges {
        let of = |v4: bool| {
            let mut all: Vec<(u128, u128)> =
                networks.iter().filter(|network| network.addr.is_ipv4() == v4).map(range).collect();
            all.sort_unstable();
            let mut merged: Vec<(u128, u128)> = Vec::with_capacity(all.len());
            for (first, last) in all {
                match merged.last_mut() {
                    Some((_, end)) if first <= *end => *end = last.max(*end),
                    Some(_) | None => merged.push((first, last)),
                }
            }
            merged
        };
        Ranges { v4: of(true), v6: of(false) }
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (ranges, address) = match address.to_canonical() {
            IpAddr::V4(address) => (&self.v4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (&self.v6, address.to_bits()),
        };
        let behind = ranges.partition_point(|(first, _)| *first <= address);
        behind.checked_sub(1).is_some_and(|at| ranges[at].1 >= address)
    }
}

fn range(network: &Network) -> (u128, u128) {
    let (bits, address) = match network.addr {
        IpAddr::V4(address) => (32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    };
    let host = bits - u32::from(network.prefix).min(bits);
    // All ones below the network's bits; a shift by 128 is none.
    let ones = 1_u128.checked_shl(host).map_or(u128::MAX, |end| end - 1);
    (address & !ones, address | ones)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_any_of_the_networks() {
        let net = |addr: &str, prefix| Network { addr: addr.parse().expect("an address"), prefix };
        let ranges = Ranges::new(&[
            net("10.1.0.0", 16),
            net("192.0.2.7", 32),
            net("10.0.0.0", 8),
            net("2001:db8::", 32),
            net("203.0.113.129", 25),
        ]);
        let has = |addr: &str| ranges.contains(addr.parse().expect("an address"));
        for inside in
            ["10.0.0.0", "10.255.255.255", "192.0.2.7", "::ffff:10.1.2.3", "2001:db8:ffff::1", "203.0.113.128"]
        {
            assert!(has(inside), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "2001:db9::", "203.0.113.127"] {
            assert!(!has(outside), "{outside}");
        }
        assert!(!Ranges::new(&[]).contains("10.0.0.1".parse().expect("an address")));
        let all = Ranges::new(&[net("0.0.0.0", 0), net("::", 0)]);
        assert!(all.contains("8.8.8.8".parse().expect("an address")) && all.contains("fe80::1".parse().expect("one")));
    }
}
