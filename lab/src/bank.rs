//! The switch's media ports: in memory, and counted.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hookswitch_media::{PortPair, Ports, SocketIx};

/// The first port.
const FIRST_PORT: u16 = 10_000;

/// One family's sockets are numbered from here on.
const FIRST_OF_V6: u32 = 60_000;

/// The port pairs of one family.
#[derive(Debug)]
struct Pool {
    address: IpAddr,
    first: u32,
    /// By pair: whether somebody has it.
    taken: Vec<bool>,
    /// Where the next search begins, so that a port rests before it is used again.
    next: usize,
}

impl Pool {
    fn take(&mut self) -> Option<PortPair> {
        let count = self.taken.len();
        let free = (0..count).map(|step| (self.next + step) % count).find(|pair| !self.taken[*pair])?;
        self.taken[free] = true;
        self.next = free + 1;
        let rtp = self.first + free as u32 * 2;
        Some(PortPair { rtp: SocketIx(rtp), rtcp: SocketIx(rtp + 1), port: FIRST_PORT + free as u16 * 2 })
    }
}

/// The media sockets of the switch.
#[derive(Debug)]
pub(crate) struct Bank {
    pools: [Pool; 2],
    in_use: usize,
    /// Farewells that leave before their socket is given back.
    pub(crate) farewells: Vec<(SocketIx, SocketAddr, Bytes)>,
}

impl Bank {
    pub(crate) fn new(addresses: [IpAddr; 2], pairs: usize) -> Self {
        let pool = |address, first| Pool { address, first, taken: vec![false; pairs], next: 0 };
        let [v4, v6] = addresses;
        Self { pools: [pool(v4, 0), pool(v6, FIRST_OF_V6)], in_use: 0, farewells: Vec::new() }
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    /// The pool of a socket, and which of its pairs it belongs to.
    fn place_of(&self, socket: SocketIx) -> (usize, usize) {
        let pool = usize::from(socket.0 >= FIRST_OF_V6);
        (pool, (socket.0 - self.pools[pool].first) as usize / 2)
    }

    /// The address of a socket.
    pub(crate) fn address(&self, socket: SocketIx) -> SocketAddr {
        let (pool, _) = self.place_of(socket);
        let pool = &self.pools[pool];
        SocketAddr::new(pool.address, FIRST_PORT + (socket.0 - pool.first) as u16)
    }

    /// The socket at an address, if somebody has it.
    pub(crate) fn socket(&self, address: SocketAddr) -> Option<SocketIx> {
        let number = address.port().checked_sub(FIRST_PORT)?;
        let pool = self.pools.iter().find(|pool| pool.address == address.ip())?;
        let taken = pool.taken.get(usize::from(number) / 2).copied().unwrap_or(false);
        taken.then_some(SocketIx(pool.first + u32::from(number)))
    }
}

impl Ports for Bank {
    fn take(&mut self, v6: bool) -> Option<PortPair> {
        let pair = self.pools[usize::from(v6)].take()?;
        self.in_use += 1;
        Some(pair)
    }

    fn give_back(&mut self, pair: PortPair) {
        let (pool, index) = self.place_of(pair.rtp);
        let taken = &mut self.pools[pool].taken[index];
        assert!(*taken, "port {} was given back twice", pair.port);
        *taken = false;
        self.in_use -= 1;
    }

    fn send(&mut self, socket: SocketIx, to: SocketAddr, packet: &[u8]) {
        self.farewells.push((socket, to, Bytes::copy_from_slice(packet)));
    }
}
