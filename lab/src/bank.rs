//! The switch's media ports: in memory, and counted.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hookswitch_media::{PortPair, Ports, SocketIx};

/// The first port.
const FIRST_PORT: u16 = 10_000;

/// A pool of port pairs at one address.
#[derive(Debug)]
pub(crate) struct Bank {
    address: IpAddr,
    /// By pair: whether somebody has it.
    taken: Vec<bool>,
    /// Where the next search begins, so that a port rests before it is used again.
    next: usize,
    in_use: usize,
    /// Farewells that leave before their socket is given back.
    pub(crate) farewells: Vec<(SocketIx, SocketAddr, Bytes)>,
}

impl Bank {
    pub(crate) fn new(address: IpAddr, pairs: usize) -> Self {
        Self { address, taken: vec![false; pairs], next: 0, in_use: 0, farewells: Vec::new() }
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    /// The address of a socket.
    pub(crate) fn address(&self, socket: SocketIx) -> SocketAddr {
        SocketAddr::new(self.address, FIRST_PORT + socket.0 as u16)
    }

    /// The socket at an address, if there is one.
    pub(crate) fn socket(&self, address: SocketAddr) -> Option<SocketIx> {
        let number = address.port().checked_sub(FIRST_PORT).filter(|_| address.ip() == self.address)?;
        let taken = self.taken.get(usize::from(number) / 2).copied().unwrap_or(false);
        taken.then_some(SocketIx(u32::from(number)))
    }
}

impl Ports for Bank {
    fn take(&mut self, v6: bool) -> Option<PortPair> {
        if v6 {
            return None;
        }
        let count = self.taken.len();
        let free = (0..count).map(|step| (self.next + step) % count).find(|pair| !self.taken[*pair])?;
        self.taken[free] = true;
        self.in_use += 1;
        self.next = free + 1;
        let rtp = free as u32 * 2;
        Some(PortPair { rtp: SocketIx(rtp), rtcp: SocketIx(rtp + 1), port: FIRST_PORT + rtp as u16 })
    }

    fn give_back(&mut self, pair: PortPair) {
        let taken = &mut self.taken[pair.rtp.0 as usize / 2];
        assert!(*taken, "port {} was given back twice", pair.port);
        *taken = false;
        self.in_use -= 1;
    }

    fn send(&mut self, socket: SocketIx, to: SocketAddr, packet: &[u8]) {
        self.farewells.push((socket, to, Bytes::copy_from_slice(packet)));
    }
}
