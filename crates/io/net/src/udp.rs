//! One UDP socket, read and written in batches.
//!
//! A socket bound to every address of the host learns with each datagram which address it was sent
//! to, and can send from a chosen one: a phone that talks to one of our addresses gets its answers
//! from that same address. Errors that the network reports later (ICMP) are read from the socket's
//! error queue, so they are attributed to the destination they belong to and not to whoever is
//! served when they arrive.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use bytes::Bytes;
use mio::{Interest, Registry, Token, event};
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::NetError;
use crate::sys::{self, Outgoing, Received};

/// Datagrams that one system call receives or sends at most.
pub const BATCH: usize = sys::BATCH;

/// Longest datagram received, in bytes: what UDP can carry.
pub const MAX_DATAGRAM: usize = 65_535;

/// Bytes that may wait in a [`SendQueue`] while the socket takes no more.
pub const MAX_SEND_QUEUE: usize = 4 * 1024 * 1024;

/// Errors taken from the error queue in one go, so that a flood of ICMP cannot hold up the rest.
const MAX_ERRORS: usize = 64;

/// How a UDP socket is set up.
#[derive(Clone, Copy, Debug)]
pub struct UdpOptions {
    /// Bytes the system should buffer for us. Default 8 MiB: a burst while the loop is busy waits
    /// instead of being lost. The system may grant less.
    pub receive_buffer: usize,
    /// Bytes the system should buffer on the way out. Default 4 MiB.
    pub send_buffer: usize,
    /// Whether the system notes when each datagram arrived ([`Datagram::arrived`]). Default false.
    pub stamps: bool,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self { receive_buffer: 8 * 1024 * 1024, send_buffer: 4 * 1024 * 1024, stamps: false }
    }
}

/// A bound UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    socket: mio::net::UdpSocket,
    local: SocketAddr,
}

/// A datagram could not be delivered.
#[derive(Debug)]
pub struct SocketError {
    /// Where it was sent.
    pub to: SocketAddr,
    /// Why it did not arrive.
    pub error: io::Error,
}

impl UdpSocket {
    /// Binds a socket. IPv6 sockets take no IPv4 traffic; the two families never share one.
    ///
    /// # Errors
    /// [`NetError::AddressInUse`], or whatever else the system says.
    pub fn bind(address: SocketAddr, options: UdpOptions) -> Result<Self, NetError> {
        Self::open(address, options).map_err(|source| NetError::bind("udp", address, source))
    }

    fn open(address: SocketAddr, options: UdpOptions) -> io::Result<Self> {
        let socket =
            Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        let (level, info, errors) = match address {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO, libc::IP_RECVERR),
            SocketAddr::V6(_) => {
                socket.set_only_v6(true)?;
                let info = libc::IPV6_RECVPKTINFO;
                (libc::IPPROTO_IPV6, info, libc::IPV6_RECVERR)
            }
        };
        if address.ip().is_unspecified() {
            sys::set_option(socket.as_fd(), level, info, 1)?;
        }
        sys::set_option(socket.as_fd(), level, errors, 1)?;
        if options.stamps {
            sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        }
        enlarge(&socket, options)?;
        socket.bind(&address.into())?;
        let socket = mio::net::UdpSocket::from_std(socket.into());
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// What it is bound to, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Talks to `remote` only from now on: datagrams of others are not received any more.
    ///
    /// # Errors
    /// The system's: there is no way there.
    pub fn connect(&mut self, remote: SocketAddr) -> io::Result<()> {
        self.socket.connect(remote)?;
        self.local = self.socket.local_addr()?;
        Ok(())
    }

    /// Sends one datagram to where the socket is connected.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] while the system takes no more; else the system's about this datagram. An error
    /// about an earlier one is left in the error queue.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut is_repeated = false;
        loop {
            match self.socket.send(bytes) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The network's answer to an earlier datagram is reported once; this one was not sent yet.
                Err(error) if is_about_a_peer(&error) && !is_repeated => is_repeated = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives what is there, up to [`BATCH`] datagrams, without waiting. Fewer mean that nothing is left: a readiness
    /// event announces what comes next. A full batch means: call again.
    ///
    /// # Errors
    /// The system's, except errors about datagrams sent earlier: those stay in the error queue, and a readiness event
    /// with an error announces them.
    pub fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        loop {
            let room = &mut batch.room;
            match sys::receive_batch(self.socket.as_fd(), room, MAX_DATAGRAM, &mut batch.received) {
                Ok(()) => break,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        batch.received.clear();
                        break;
                    }
                    // An ICMP error of an earlier send is reported once here; the details are in
                    // the error queue and the datagrams still wait.
                    _ if is_about_a_peer(&error) => {}
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        batch.local = self.local;
        Ok(batch.received.len())
    }

    /// Takes what the network has reported about datagrams sent earlier, up to a bound. True when there may be more.
    pub fn take_errors(&self, mut failed: impl FnMut(SocketError)) -> bool {
        for _ in 0..MAX_ERRORS {
            let Some((to, number)) = sys::next_error(self.socket.as_fd()) else { return false };
            let error = io::Error::from_raw_os_error(number);
            // "Too large for the path" mends itself: the kernel fragments from now on.
            if is_about_a_peer(&error) {
                failed(SocketError { to, error });
            }
        }
        true
    }
}

/// Errors that say that a peer or its network is not there.
fn is_about_a_peer(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENOPROTOOPT
                | libc::EACCES
        )
    )
}

/// Asks for large buffers: past the system's limit if we are allowed to, else up to it.
fn enlarge(socket: &Socket, options: UdpOptions) -> io::Result<()> {
    let wanted = |size: usize| i32::try_from(size).unwrap_or(i32::MAX);
    for (force, size) in [(libc::SO_RCVBUFFORCE, options.receive_buffer), (libc::SO_SNDBUFFORCE, options.send_buffer)] {
        let forced = sys::set_option(socket.as_fd(), libc::SOL_SOCKET, force, wanted(size));
        if forced.is_err() && force == libc::SO_RCVBUFFORCE {
            socket.set_recv_buffer_size(size)?;
        } else if forced.is_err() {
            socket.set_send_buffer_size(size)?;
        }
    }
    Ok(())
}

impl event::Source for UdpSocket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.socket.deregister(registry)
    }
}

/// Room for one batch of received datagrams: 2 MiB of address space, of which only what was ever
/// filled is memory. One per thread serves all its sockets.
pub struct RecvBatch {
    room: Box<[u8]>,
    received: Vec<Received>,
    local: SocketAddr,
}

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// The address of this host that it was sent to. Its port is the socket's.
    pub local: SocketAddr,
    /// When the system took it in: time since the UNIX epoch by the calendar's clock, which may be set. Only with
    /// [`UdpOptions::stamps`].
    pub arrived: Option<Duration>,
    /// Its content.
    pub bytes: &'a [u8],
    /// It was longer than [`MAX_DATAGRAM`] and has lost its end.
    pub truncated: bool,
}

impl RecvBatch {
    /// Makes the room.
    #[must_use]
    pub fn new() -> Self {
        Self {
            room: vec![0; BATCH * MAX_DATAGRAM].into_boxed_slice(),
            received: Vec::with_capacity(BATCH),
            local: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        }
    }

    /// The datagrams of the last [`UdpSocket::receive`].
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let pieces = self.room.chunks_exact(MAX_DATAGRAM);
        self.received.iter().zip(pieces).map(|(received, piece)| {
            let mut local = self.local;
            if let (true, Some(ip)) = (local.ip().is_unspecified(), received.to) {
                local.set_ip(ip);
            }
            Datagram {
                from: received.from,
                local,
                arrived: received.arrived,
                bytes: piece.get(..received.len).unwrap_or(piece),
                truncated: received.truncated,
            }
        })
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// How far [`SendQueue::flush`] got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendOutcome {
    /// Nothing is left.
    Sent,
    /// The system takes no more now; flush again when the socket is writable.
    Blocked,
}

/// Datagrams on their way into one socket.
#[derive(Debug, Default)]
pub struct SendQueue {
    queue: VecDeque<Queued>,
    bytes: usize,
}

#[derive(Debug)]
struct Queued {
    to: SocketAddr,
    source: Option<IpAddr>,
    bytes: Bytes,
}

impl SendQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Datagrams that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Adds a datagram to be sent from `local` (which address of ours, if the socket is bound to
    /// all of them) to `to`. Returns false, and drops it, when [`MAX_SEND_QUEUE`] bytes wait
    /// already: datagrams may be lost, and a full queue means that the network loses them anyway.
    #[must_use]
    pub fn push(&mut self, local: SocketAddr, to: SocketAddr, bytes: Bytes) -> bool {
        if self.bytes + bytes.len() > MAX_SEND_QUEUE {
            return false;
        }
        self.bytes += bytes.len();
        let source = (!local.ip().is_unspecified()).then_some(local.ip());
        self.queue.push_back(Queued { to, source, bytes });
        true
    }

    /// Sends what waits, in as few system calls as possible. `failed` hears of each datagram that
    /// cannot be sent, and of earlier ones that the network has reported meanwhile.
    pub fn flush(&mut self, socket: &UdpSocket, mut failed: impl FnMut(SocketError)) -> SendOutcome {
        let mut retried = false;
        while !self.queue.is_empty() {
            match self.send_some(socket) {
                Ok(sent) => {
                    self.forget(sent);
                    retried = false;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return SendOutcome::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The first error may belong to an earlier datagram; the second one is ours.
                Err(_) if !retried => {
                    socket.take_errors(&mut failed);
                    retried = true;
                }
                Err(error) => {
                    if let Some(first) = self.queue.front() {
                        let to = first.to;
                        failed(SocketError { to, error });
                    }
                    self.forget(1);
                    retried = false;
                }
            }
        }
        SendOutcome::Sent
    }

    fn send_some(&self, socket: &UdpSocket) -> io::Result<usize> {
        let wildcard = socket.local.ip().is_unspecified();
        let nothing = Outgoing { to: socket.local, source: None, bytes: &[] };
        let mut batch = [nothing; BATCH];
        let mut count = 0;
        for (slot, queued) in batch.iter_mut().zip(&self.queue) {
            *slot = Outgoing { to: queued.to, source: queued.source.filter(|_| wildcard), bytes: &queued.bytes };
            count += 1;
        }
        sys::send_batch(socket.socket.as_fd(), &batch[..count])
    }

    fn forget(&mut self, count: usize) {
        for queued in self.queue.drain(..count.min(self.queue.len())) {
            self.bytes -= queued.bytes.len();
        }
    }
}
