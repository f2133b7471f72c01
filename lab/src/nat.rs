//! Address translators between phones and the switch.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The first port that a translator gives out.
const FIRST_PORT: u16 = 20_000;

/// A symmetric translator, the strictest kind there is: another public port for each pair of ends,
/// and through that port only the far end it was opened for.
#[derive(Debug)]
pub(crate) struct Nat {
    public: IpAddr,
    ports: BTreeMap<(SocketAddr, SocketAddr), u16>,
    next: u16,
}

impl Nat {
    pub(crate) fn new(public: IpAddr) -> Self {
        Self { public, ports: BTreeMap::new(), next: FIRST_PORT }
    }

    pub(crate) fn public(&self) -> IpAddr {
        self.public
    }

    /// The source that the far end of a packet sees.
    pub(crate) fn outwards(&mut self, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let port = *self.ports.entry((from, to)).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        SocketAddr::new(self.public, port)
    }

    /// Whom a packet to one of our ports is for, if its sender may use that port.
    pub(crate) fn inwards(&self, from: SocketAddr, port: u16) -> Option<SocketAddr> {
        let opened = self.ports.iter().find(|((_, far), known)| *far == from && **known == port);
        opened.map(|((near, _), _)| *near)
    }

    /// Forgets everything, as a router does that was switched off and on.
    pub(crate) fn forget(&mut self) {
        self.ports.clear();
    }
}
