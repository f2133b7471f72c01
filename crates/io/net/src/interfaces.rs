//! The addresses of this host, as plain data.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::sys;

/// One address of this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Name of the interface, such as `eth0`.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Length of the network prefix in bits.
    pub prefix: u8,
    /// The interface is up.
    pub up: bool,
    /// The interface is the loopback.
    pub loopback: bool,
    /// Packets to the rest of the world leave from this address.
    pub default: bool,
}

/// A documentation address (RFC 5737): it is reached over the default route or not at all.
const FAR_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The same for IPv6 (RFC 3849).
const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// The discard port; nothing is ever sent there.
const FAR_PORT: u16 = 9;

/// Lists the addresses of this host.
///
/// # Errors
/// The system does not tell.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let default_v4 = source_towards(FAR_V4.into());
    let default_v6 = source_towards(FAR_V6.into());
    let list = sys::interface_addresses()?;
    Ok(list
        .into_iter()
        .map(|(name, address, prefix, flags)| Interface {
            name,
            address,
            prefix,
            up: flags & libc::IFF_UP as u32 != 0,
            loopback: flags & libc::IFF_LOOPBACK as u32 != 0,
            default: Some(address) == default_v4 || Some(address) == default_v6,
        })
        .collect())
}

/// The address of this host that a packet to `far` would leave from. Connecting a datagram socket asks the routing table
/// and sends nothing.
///
/// # Errors
/// There is no way there.
pub fn local_address_towards(far: IpAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match far {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect((far, FAR_PORT))?;
    Ok(socket.local_addr()?.ip())
}

/// The address that packets to the rest of the world leave from.
fn source_towards(far: IpAddr) -> Option<IpAddr> {
    local_address_towards(far).ok().filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_listed_and_is_not_the_default() {
        let list = interfaces().unwrap();
        let loopback = list.iter().find(|interface| interface.address == IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert!(loopback.loopback && loopback.up && !loopback.default);
        assert_eq!(loopback.prefix, 8);
    }

    #[test]
    fn packets_to_the_loopback_leave_from_there() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(local_address_towards(loopback).unwrap(), loopback);
    }

    #[test]
    fn at_most_one_default_per_family() {
        let list = interfaces().unwrap();
        for v4 in [true, false] {
            let defaults = list.iter().filter(|interface| interface.default && interface.address.is_ipv4() == v4);
            assert!(defaults.count() <= 1);
        }
    }
}
