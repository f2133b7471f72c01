//! The pool of RTP ports: an even port for RTP and the odd one above it for RTCP (RFC 3550 §11).
//!
//! Ports are handed out in a random order fixed at start, and one that is given back goes to the
//! end of the queue: it rests as long as possible, so late packets of the old call find nobody.
//! Taking is one pop; sockets are bound only then, and a port that another program holds is put
//! back and the next one tried.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Ports tried at most by one [`PortPool::take`], so that a range taken by other programs costs a
/// bounded time.
const MAX_TRIES: usize = 256;

/// A range of ports, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortRange {
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl Default for PortRange {
    /// 10000-20000.
    fn default() -> Self {
        Self { first: 10_000, last: 20_000 }
    }
}

impl PortRange {
    /// Pairs (an even port and the odd one above it) within the range.
    #[must_use]
    pub fn pairs(self) -> usize {
        self.even_ports().count()
    }

    fn even_ports(self) -> impl Iterator<Item = u16> {
        (self.first..=self.last).filter(move |port| port % 2 == 0 && *port > 0 && *port < self.last)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A text is not a range of ports.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a range of ports such as 10000-20000 with room for one even/odd pair: {0:?}")]
pub struct BadPortRange(String);

impl FromStr for PortRange {
    type Err = BadPortRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (first, last) = text.split_once('-')?;
            let range = Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? };
            (range.pairs() > 0).then_some(range)
        };
        parse().ok_or_else(|| BadPortRange(text.to_owned()))
    }
}

/// Two bound, non-blocking sockets on neighbouring ports. Dropping it closes them; the port goes
/// back with [`PortPool::give_back`].
#[derive(Debug)]
pub struct PortPair {
    /// The even port.
    pub port: u16,
    /// Bound to `port`.
    pub rtp: UdpSocket,
    /// Bound to `port` + 1.
    pub rtcp: UdpSocket,
}

/// Ports that are free, as far as we know.
#[derive(Debug)]
pub struct PortPool {
    free: VecDeque<u16>,
    size: usize,
}

impl PortPool {
    /// A pool of all pairs in `range`, in an order that depends on `seed`.
    #[must_use]
    pub fn new(range: PortRange, seed: u64) -> Self {
        let mut free: Vec<u16> = range.even_ports().collect();
        shuffle(&mut free, seed);
        Self::of(free)
    }

    /// The same pairs dealt out to `count` pools that share none.
    #[must_use]
    pub fn split(range: PortRange, count: usize, seed: u64) -> Vec<Self> {
        let mut hands = vec![Vec::new(); count.max(1)];
        let mut all: Vec<u16> = range.even_ports().collect();
        shuffle(&mut all, seed);
        for (index, port) in all.into_iter().enumerate() {
            let hand = index % hands.len();
            hands[hand].push(port);
        }
        hands.into_iter().map(Self::of).collect()
    }

    fn of(free: Vec<u16>) -> Self {
        Self { size: free.len(), free: free.into() }
    }

    /// Pairs that are not taken.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Pairs in all.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Binds the next free pair on all addresses of one family. `None` when every pair is taken, by
    /// us or (as far as tried) by other programs.
    pub fn take(&mut self, v6: bool) -> Option<PortPair> {
        for _ in 0..self.free.len().min(MAX_TRIES) {
            let port = self.free.pop_front()?;
            match bind_pair(port, v6) {
                Ok((rtp, rtcp)) => return Some(PortPair { port, rtp, rtcp }),
                Err(error) => {
                    self.free.push_back(port);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        // No descriptors, no memory, no such family: the next port fares no better.
                        tracing::warn!(port, %error, "cannot open an RTP port");
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Gives a port back; its sockets must be closed.
    pub fn give_back(&mut self, port: u16) {
        debug_assert!(!self.free.contains(&port), "port {port} was given back twice");
        self.free.push_back(port);
    }
}

fn bind_pair(port: u16, v6: bool) -> io::Result<(UdpSocket, UdpSocket)> {
    Ok((bind(port, v6)?, bind(port + 1, v6)?))
}

fn bind(port: u16, v6: bool) -> io::Result<UdpSocket> {
    let (domain, address): (_, SocketAddr) = if v6 {
        (Domain::IPV6, (Ipv6Addr::UNSPECIFIED, port).into())
    } else {
        (Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into())
    };
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(domain, kind, Some(Protocol::UDP))?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A second socket on the port of `socket` for one peer alone. What the peer sends to it comes to the new socket from
/// now on, what anybody else sends still to the old one; what is sent by the new one needs no look-up of a route.
///
/// # Errors
/// The system's: no descriptors, no route to the peer.
pub fn connect_beside(socket: &UdpSocket, peer: SocketAddr) -> io::Result<UdpSocket> {
    let first = SockRef::from(socket);
    let local = first.local_addr()?;
    let kind = Type::DGRAM.nonblocking().cloexec();
    let second = Socket::new(Domain::for_address(peer), kind, Some(Protocol::UDP))?;
    if peer.is_ipv6() {
        second.set_only_v6(true)?;
    }
    second.set_reuse_address(true)?;
    // For this moment only: a port that stays open to others is one that a second program takes by mistake.
    first.set_reuse_address(true)?;
    let bound = second.bind(&local);
    first.set_reuse_address(false)?;
    bound?;
    second.set_reuse_address(false)?;
    second.connect(&peer.into())?;
    Ok(second.into())
}

/// Fisher and Yates with a small generator (splitmix64): the order has to differ from run to run,
/// not to be unpredictable.
fn shuffle(ports: &mut [u16], seed: u64) {
    let mut state = seed;
    for last in (1..ports.len()).rev() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let other = (mixed % (last as u64 + 1)) as usize;
        ports.swap(last, other);
    }
}
