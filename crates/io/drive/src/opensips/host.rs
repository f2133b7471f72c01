//! The host that OpenSIPS runs on: where its name leads, and whose events are believed.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use hookswitch_net::interfaces;

use super::Message;
use crate::inbox::Inbox;

/// Most addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 16;

/// Where a name leads, in the order in which the system says; never empty.
pub(super) fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.take(MAX_ADDRESSES).collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}

/// Asks for the addresses of a name again, without keeping the loop waiting.
pub(super) struct Resolver {
    host: String,
    port: u16,
    inbox: Arc<Inbox<Message>>,
    is_asking: bool,
}

impl Resolver {
    /// `None` if the host is an address, which leads where it always did.
    pub(super) fn new(host: &str, port: u16, inbox: &Arc<Inbox<Message>>) -> Option<Self> {
        let is_name = host.parse::<IpAddr>().is_err();
        is_name.then(|| Self { host: host.to_owned(), port, inbox: Arc::clone(inbox), is_asking: false })
    }

    /// Asks, unless the last question is still open. The answer comes as [`Message::Resolved`].
    pub(super) fn ask(&mut self) {
        if self.is_asking {
            return;
        }
        let (host, port, inbox) = (self.host.clone(), self.port, Arc::clone(&self.inbox));
        let asking = thread::Builder::new().name("resolve".to_owned());
        // The system's resolver waits for as long as it likes, hence a thread; it is seldom needed.
        match asking.spawn(move || inbox.push_always(Message::Resolved(resolve(&host, port)))) {
            Ok(_) => self.is_asking = true,
            Err(error) => tracing::warn!(%error, "no thread to look up OpenSIPS's name"),
        }
    }

    /// The answer has come.
    pub(super) const fn answered(&mut self) {
        self.is_asking = false;
    }
}

/// Whose events are believed: OpenSIPS's host, under any address it may have here.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    addresses: Vec<IpAddr>,
    is_here: bool,
}

impl Peers {
    /// OpenSIPS is at these addresses.
    pub(super) fn at(addresses: impl Iterator<Item = IpAddr>) -> io::Result<Self> {
        let mut addresses: Vec<IpAddr> = addresses.collect();
        let ours: Vec<IpAddr> = interfaces()?.into_iter().map(|interface| interface.address).collect();
        let is_here = addresses.iter().any(|ip| ip.is_loopback() || ours.contains(ip));
        if is_here {
            // What this host sends to itself leaves from the address that it goes to.
            addresses.extend(ours);
        }
        Ok(Self { addresses, is_here })
    }

    /// OpenSIPS is on this host.
    pub(super) fn here() -> io::Result<Self> {
        Self::at([IpAddr::from([127, 0, 0, 1])].into_iter())
    }

    pub(super) fn include(&self, ip: IpAddr) -> bool {
        (self.is_here && ip.is_loopback()) || self.addresses.contains(&ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_believed_under_every_address_of_this_host_and_a_stranger_under_none() {
        let here = Peers::here().unwrap();
        for ip in ["127.0.0.1", "127.0.0.9", "::1"] {
            assert!(here.include(ip.parse().unwrap()), "{ip}");
        }
        assert!(!here.include("192.0.2.1".parse().unwrap()));
        let there = Peers::at(["192.0.2.1".parse().unwrap()].into_iter()).unwrap();
        assert!(there.include("192.0.2.1".parse().unwrap()));
        assert!(!there.include("127.0.0.1".parse().unwrap()) && !there.include("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn names_lead_somewhere_or_nowhere() {
        assert_eq!(resolve("127.0.0.3", 8).unwrap(), ["127.0.0.3:8".parse().unwrap()]);
        assert!(resolve("localhost", 8).unwrap().iter().all(|at| at.ip().is_loopback()));
        assert!(resolve("no-such-host.invalid", 8).is_err());
    }
}
