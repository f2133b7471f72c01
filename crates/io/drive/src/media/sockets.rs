//! The RTP sockets of one media thread, by the small numbers that its engine knows them by.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use hookswitch_dialect::journal::PortsWord;
use hookswitch_media::{PortPair, Ports, SocketIx};
use hookswitch_net::{PortPool, UdpRing};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use slab::Slab;

use super::direct::Directs;
use super::moves::Neighbour;
use super::scarcity::Scarcity;
use super::{Order, PortsSink};

/// Token of the socket with number 0; smaller ones belong to the thread.
const FIRST: usize = 1;

/// How a thread learns that something has arrived, and gets it.
pub(super) enum Watch {
    /// From epoll, with a system call for each packet.
    Epoll(Registry),
    /// From io_uring, which brings the packets along.
    Ring(Box<UdpRing>),
}

pub(super) struct Sockets {
    pub(super) open: Slab<UdpSocket>,
    pool: PortPool,
    scarcity: Scarcity,
    told: PortsSink,
    pub(super) watch: Watch,
    pub(super) directs: Directs,
    /// The thread that this is.
    pub(super) here: Neighbour,
    /// Ports of other threads, whose calls have come here.
    pub(super) strangers: HashMap<u16, Neighbour>,
}

impl Sockets {
    pub(super) fn new(pool: PortPool, watch: Watch, directs: Directs, (here, told): (Neighbour, PortsSink)) -> Self {
        let (scarcity, strangers) = (Scarcity::default(), HashMap::new());
        Self { open: Slab::new(), pool, scarcity, told, watch, directs, here, strangers }
    }

    /// The number of the socket that an event is about.
    pub(super) fn of(token: Token) -> Option<SocketIx> {
        u32::try_from(token.0.checked_sub(FIRST)?).ok().map(SocketIx)
    }

    #[inline]
    pub(super) fn get(&self, socket: SocketIx) -> Option<&UdpSocket> {
        self.open.get(socket.0 as usize)
    }

    /// Ports of our own pool in use, wherever their calls are, and in all.
    pub(super) fn usage(&self) -> (usize, usize) {
        (self.pool.size() - self.pool.free(), self.pool.size())
    }

    /// How often no port was to be had.
    pub(super) const fn refused(&self) -> u64 {
        self.scarcity.refused()
    }

    pub(super) fn watch(&mut self, socket: UdpSocket) -> io::Result<SocketIx> {
        let entry = self.open.vacant_entry();
        let number = u32::try_from(entry.key()).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        match &mut self.watch {
            Watch::Epoll(registry) => {
                let token = Token(FIRST + entry.key());
                registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
            }
            Watch::Ring(ring) => ring.watch(number, &socket)?,
        }
        entry.insert(socket);
        Ok(SocketIx(number))
    }

    /// Opens sockets for parties that have talked for a while, and closes those that are of no use any more.
    #[inline]
    pub(super) fn settle_directs(&mut self) {
        if self.directs.has_work()
            && let Watch::Ring(ring) = &mut self.watch
        {
            self.directs.settle(&self.open, ring);
        }
    }

    pub(super) fn close(&mut self, number: SocketIx) {
        drop(self.let_go(number));
    }

    /// Stops listening at a socket, which stays open.
    pub(super) fn let_go(&mut self, number: SocketIx) -> Option<UdpSocket> {
        let socket = self.open.try_remove(number.0 as usize)?;
        match &mut self.watch {
            // Closing takes it out of the poll as well, unless a child process has inherited it.
            Watch::Epoll(registry) => drop(registry.deregister(&mut SourceFd(&socket.as_raw_fd()))),
            Watch::Ring(ring) => {
                self.directs.close(number, ring);
                ring.forget(number.0);
            }
        }
        Some(socket)
    }

    /// A port, whose sockets are closed, is free again.
    pub(super) fn give_port_back(&mut self, port: u16) {
        match self.strangers.remove(&port) {
            Some(home) => home.orders.push_always(Order::PortBack(port)),
            None => {
                self.pool.give_back(port);
                let told = self.scarcity.freed(self.pool.free(), self.pool.size());
                self.tell(told);
            }
        }
    }
}

impl Sockets {
    fn tell(&self, told: Option<PortsWord>) {
        let (thread, pairs) = (self.here.number, self.pool.size());
        if let Some(word) = told {
            (self.told)(thread, pairs, word);
        }
        match told {
            Some(PortsWord::Exhausted) => {
                tracing::warn!(
                    thread,
                    pairs,
                    "no media port is free: calls are refused with 503; media.ports has more"
                );
            }
            Some(PortsWord::Free(refused)) => tracing::info!(thread, pairs, refused, "media ports are free again"),
            None => {}
        }
    }
}

impl Ports for Sockets {
    fn take(&mut self, v6: bool) -> Option<PortPair> {
        let Some(pair) = self.pool.take(v6) else {
            let told = self.scarcity.none();
            self.tell(told);
            return None;
        };
        let port = pair.port;
        let rtp = self.watch(pair.rtp);
        let rtcp = self.watch(pair.rtcp);
        match (rtp, rtcp) {
            (Ok(rtp), Ok(rtcp)) => {
                self.directs.expect(rtp);
                Some(PortPair { rtp, rtcp, port })
            }
            (rtp, rtcp) => {
                for result in [rtp, rtcp] {
                    match result {
                        Ok(socket) => self.close(socket),
                        Err(error) => tracing::warn!(port, %error, "cannot watch an RTP port"),
                    }
                }
                self.give_port_back(port);
                None
            }
        }
    }

    fn give_back(&mut self, pair: PortPair) {
        self.close(pair.rtp);
        self.close(pair.rtcp);
        self.give_port_back(pair.port);
    }

    fn send(&mut self, socket: SocketIx, to: SocketAddr, packet: &[u8]) {
        if let Some(socket) = self.get(socket) {
            let _ = socket.send_to(packet, to);
        }
    }
}
