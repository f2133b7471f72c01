//! Our own addresses as others must write them: the host and port of Via and Contact.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use compact_str::{CompactString, ToCompactString};

use crate::addresses::Addresses;
use crate::config::{EndpointConfig, Listen};
use crate::transport::Flow;

/// One socket, with its name for each address that somebody may see.
struct Socket {
    listen: Listen,
    /// The name for all who are in no view.
    advertised: Option<CompactString>,
    by_address: Vec<(IpAddr, CompactString)>,
}

/// Chooses what we call ourselves, from text written once.
pub(super) struct Names {
    sockets: Vec<Socket>,
    addresses: Addresses,
}

impl Names {
    pub(super) fn new(config: &EndpointConfig) -> Names {
        let sockets = config.listen.iter().map(|listen| Socket {
            advertised: listen.advertise.as_ref().map(|(host, port)| bracketed(host, *port)),
            by_address: Vec::new(),
            listen: listen.clone(),
        });
        let mut names = Names { sockets: sockets.collect(), addresses: config.addresses.clone() };
        names.write();
        names
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub(super) fn set_public(&mut self, public: &[IpAddr]) {
        self.addresses.public = public.to_vec();
        self.write();
    }

    /// Writes every name that may be needed.
    fn write(&mut self) {
        let Addresses { interfaces, views, public } = &self.addresses;
        let interfaces = interfaces.iter().map(|interface| interface.addr);
        let all = || interfaces.clone().chain(views.iter().map(|view| view.address)).chain(public.iter().copied());
        for socket in &mut self.sockets {
            let at = socket.listen.address;
            let known = all().chain([at.ip()]).filter(|ip| ip.is_ipv4() == at.is_ipv4());
            let write = |ip| (ip, SocketAddr::new(ip, at.port()).to_compact_string());
            socket.by_address = known.map(write).collect();
        }
    }

    /// Host and port under which the other end of `flow` reaches us.
    pub(super) fn sent_by(&self, flow: &Flow) -> Cow<'_, str> {
        let Some(socket) = self.socket(flow) else {
            return Cow::Owned(flow.local.to_string());
        };
        if let Some(name) = &socket.advertised
            && self.addresses.view(flow.remote.ip()).is_none()
        {
            return Cow::Borrowed(name);
        }
        // What comes by a socket for any address tells by which it came only with TCP.
        let bound = socket.listen.address.ip();
        let local = if bound.is_unspecified() { flow.local.ip() } else { bound };
        let from = Flow { local: SocketAddr::new(local, flow.local.port()), ..*flow };
        let Some(ip) = self.addresses.seen_by(&from) else {
            return Cow::Owned(flow.local.to_string());
        };
        match socket.by_address.iter().find(|(known, _)| *known == ip) {
            Some((_, name)) => Cow::Borrowed(name),
            None => Cow::Owned(SocketAddr::new(ip, socket.listen.address.port()).to_string()),
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
    use crate::addresses::View;
    use crate::config::{Interface, Network};
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
            addresses: Addresses {
                interfaces: vec![
                    interface("127.0.0.1", 8, false),
                    interface("10.1.2.3", 24, true),
                    interface("10.9.9.9", 8, false),
                    interface("2001:db8::5", 64, true),
                ],
                views: vec![View {
                    peers: Network { addr: "172.16.0.0".parse().unwrap(), prefix: 12 },
                    address: "172.20.0.1".parse().unwrap(),
                }],
                public: Vec::new(),
            },
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
        assert_eq!(names.sent_by(&to("172.31.0.1:5060")), "172.20.0.1:5060");
        assert_eq!(names.sent_by(&to("[2001:db8:1::1]:5060")), "[2001:db8::5]:5062");
    }

    #[test]
    fn an_advertised_address_wins_over_interfaces() {
        let names = names(Some(("sip.example.test", 5070)));
        assert_eq!(names.sent_by(&to("10.1.2.77:5060")), "sip.example.test:5070");
        assert_eq!(names.sent_by(&to("172.31.0.1:5060")), "172.20.0.1:5060", "but not over a view");
    }
    #[test]
    fn a_public_address_found_later_is_told_from_then_on() {
        let mut names = names(None);
        names.set_public(&["203.0.113.5".parse().unwrap()]);
        assert_eq!(names.sent_by(&to("198.51.100.1:5060")), "203.0.113.5:5060");
        assert_eq!(names.sent_by(&to("10.1.2.77:5060")), "10.1.2.3:5060");
        names.set_public(&[]);
        assert_eq!(names.sent_by(&to("198.51.100.1:5060")), "10.1.2.3:5060");
    }
}
