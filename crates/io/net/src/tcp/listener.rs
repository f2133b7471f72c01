//! A listening TCP socket.

use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token, event};
use socket2::{Domain, Protocol, Socket, Type};

use super::StreamKind;
use crate::error::NetError;

/// Connections that the system may hold for us until they are accepted.
const BACKLOG: i32 = 4_096;

/// Accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    kind: StreamKind,
}

/// How far [`Connections::accept`](super::Connections::accept) got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcceptOutcome {
    /// Nobody waits; the next readiness event will come.
    Drained,
    /// The budget was used up: call again.
    More,
    /// No descriptor or memory is left. Those who wait stay in the queue: call again in a while.
    Exhausted,
}

impl AcceptOutcome {
    pub(super) fn of(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Self::Drained;
        }
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::Exhausted,
            // Whoever it was has gone again (accept(2) passes on the errors of the connection).
            _ => Self::More,
        }
    }
}

impl Listener {
    /// Listens. IPv6 listeners take no IPv4 connections; the two families never share one.
    ///
    /// # Errors
    /// [`NetError::AddressInUse`], or whatever else the system says.
    pub fn bind(address: SocketAddr) -> Result<Self, NetError> {
        Self::bind_as(StreamKind::Plain, address)
    }

    /// Listens for connections that carry this.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind_as(kind: StreamKind, address: SocketAddr) -> Result<Self, NetError> {
        Self::open(kind, address).map_err(|source| NetError::bind(kind.name(), address, source))
    }

    fn open(kind: StreamKind, address: SocketAddr) -> io::Result<Self> {
        let socket_type = Type::STREAM.nonblocking().cloexec();
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, socket_type, Some(Protocol::TCP))?;
        // A restart must not wait for the connections of the last run to be forgotten. On Linux two
        // listeners still exclude each other.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into());
        let local = socket.local_addr()?;
        Ok(Self { socket, local, kind })
    }

    /// What it is bound to, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) const fn kind(&self) -> StreamKind {
        self.kind
    }

    pub(super) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept()
    }
}

impl event::Source for Listener {
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
