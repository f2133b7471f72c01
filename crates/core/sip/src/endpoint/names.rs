//! Our own addresses as others must write them: the host and port of Via and Contact.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use compact_str::{CompactString, ToCompactString};

use crate::config::{EndpointConfig, Interface, Listen, common_bits};
use crate::transport::Flow;

/// One socket, with its name for each interface it can be reached by.
struct Socket {
    listen: Listen,
    /// The advertised name, or that of the one address the socket is bound to.
    fixed: Option<CompactString>,
    by_interface: Vec<(Interface, CompactString)>,
}

/// Chooses what we call ourselves, from text written once.
pub(super) struct Names {
    sockets: Vec<Socket>,
}

impl Names {
    pub(super) fn new(config: &EndpointConfig) -> Names {
        let sockets = config.listen.iter().map(|listen| Socket {
            fixed: match &listen.advertise {
                Some((host, port)) => Some(bracketed(host, *port)),
                None if listen.address.ip().is_unspecified() => None,
                None => Some(listen.address.to_compact_string()),
            },
            by_interface: config
                .interfaces
                .iter()
                .filter(|interface| interface.addr.is_ipv4() == listen.address.is_ipv4())
                .map(|interface| {
                    (*interface, SocketAddr::new(interface.addr, listen.address.port()).to_compact_string())
                })
                .collect(),
            listen: listen.clone(),
        });
        Names { sockets: sockets.collect() }
    }

    /// Host and port under which the other end of `flow` reaches us.
    pub(super) fn sent_by(&self, flow: &Flow) -> Cow<'_, str> {
        let Some(socket) = self.socket(flow) else {
            return Cow::Owned(flow.local.to_string());
        };
        if let Some(name) = &socket.fixed {
            return Cow::Borrowed(name);
        }
        let own = Some(flow.local.ip()).filter(|ip| !ip.is_unspecified());
        let found = match own {
            Some(ip) => socket.by_interface.iter().find(|(interface, _)| interface.addr == ip),
            None => nearest(&socket.by_interface, flow.remote.ip()),
        };
        match (found, own) {
            (Some((_, name)), _) => Cow::Borrowed(name),
            (None, Some(ip)) => Cow::Owned(SocketAddr::new(ip, socket.listen.address.port()).to_string()),
            (None, None) => Cow::Owned(flow.local.to_string()),
        }
    }

    /// The socket a flow belongs to: that with its address, else one that can be reached in its address family.
    fn socket(&self, flow: &Flow) -> Option<&Socket> {
        let mut best: Option<(u8, &Socket)> = None;
        for socket in &self.sockets {
            let address = socket.listen.address;
            if socket.listen.transport != flow.transport || address.is_ipv4() != flow.remote.is_ipv4() {
                continue;
            }
            let (same_port, any) = (address.port() == flow.local.port(), address.ip().is_unspecified());
            let score = match (address.ip() == flow.local.ip(), any) {
                (true, _) if same_port => 4,
                // Of two sockets for any address, the port tells which one a datagram came by.
                (false, true) if same_port => 3,
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            };
            if best.is_none_or(|(known, _)| score > known) {
                best = Some((score, socket));
            }
        }
        best.map(|(_, socket)| socket)
    }
}

/// The interface in whose network `remote` is, the narrowest first; else the default one; else any.
fn nearest(interfaces: &[(Interface, CompactString)], remote: IpAddr) -> Option<&(Interface, CompactString)> {
    let inside = |interface: &Interface| {
        common_bits(interface.addr, remote).is_some_and(|bits| bits >= u32::from(interface.prefix))
    };
    interfaces
        .iter()
        .filter(|(interface, _)| inside(interface))
        .max_by_key(|(interface, _)| interface.prefix)
        .or_else(|| interfaces.iter().find(|(interface, _)| interface.default))
        .or_else(|| interfaces.first())
}

/// Host and port with the brackets an IPv6 address needs.
fn bracketed(host: &str, port: u16) -> CompactString {
    if host.contains(':') && !host.starts_with('[') {
        compact_str::format_compact!("[{host}]:{port}")
    } else {
        compact_str::format_compact!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Transport;

    fn names(advertise: Option<(&str, u16)>) -> Names {
        let interface = |addr: &str, prefix, default| Interface { addr: addr.parse().unwrap(), prefix, default };
        Names::new(&EndpointConfig {
            listen: vec![
                Listen {
                    transport: Transport::Udp,
                    address: "0.0.0.0:5060".parse().unwrap(),
                    advertise: advertise.map(|(host, port)| (host.into(), port)),
                },
                Listen { transport: Transport::Udp, address: "[::]:5062".parse().unwrap(), advertise: None },
            ],
            interfaces: vec![
                interface("127.0.0.1", 8, false),
                interface("10.1.2.3", 24, true),
                interface("10.9.9.9", 8, false),
                interface("2001:db8::5", 64, true),
            ],
            ..EndpointConfig::default()
        })
    }

    fn to(remote: &str) -> Flow {
        let remote: SocketAddr = remote.parse().unwrap();
        let local = if remote.is_ipv4() { "0.0.0.0:5060" } else { "[::]:5062" };
        Flow::udp(local.parse().unwrap(), remote)
    }

    #[test]
    fn the_narrowest_common_network_wins_then_the_default() {
        let names = names(None);
        assert_eq!(names.sent_by(&to("10.1.2.77:5060")), "10.1.2.3:5060");
        assert_eq!(names.sent_by(&to("10.44.0.1:5060")), "10.9.9.9:5060");
        assert_eq!(names.sent_by(&to("127.0.0.9:5060")), "127.0.0.1:5060");
        assert_eq!(names.sent_by(&to("198.51.100.1:5060")), "10.1.2.3:5060");
        assert_eq!(names.sent_by(&to("[2001:db8:1::1]:5060")), "[2001:db8::5]:5062");
    }

    #[test]
    fn an_advertised_address_wins_over_interfaces() {
        let names = names(Some(("sip.example.test", 5070)));
        assert_eq!(names.sent_by(&to("10.1.2.77:5060")), "sip.example.test:5070");
    }
}
