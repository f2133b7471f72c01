//! Where something is to be sent, and what becomes of connections.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use super::{Distrust, StreamKind};

/// Why a connection was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The peer closed it.
    Peer,
    /// The peer reset it, or the network failed.
    Failed(io::ErrorKind),
    /// TLS or WebSocket went wrong; the log says how.
    Broken,
    /// One side does not believe the certificate of the other.
    Distrusted(Distrust),
    /// The peer did not take what waited for it.
    SlowPeer,
    /// The peer connected and said nothing.
    Silent,
    /// Nobody used it.
    Idle,
    /// We closed it.
    Local,
}

/// News of a connection. `local` and `remote` are its two ends.
#[derive(Debug)]
pub enum TcpEvent {
    /// Open in both directions.
    Opened {
        /// Its name; never used again after it is closed.
        id: u64,
        /// Our end.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
        /// What it carries.
        kind: StreamKind,
        /// Whom the peer has proved to be, as [`Towards::peer`] called it.
        peer: Option<u32>,
        /// The SIP domains that its certificate is for (RFC 5922 7.1), in lower case; none without TLS, and where it has
        /// shown no certificate. At most [`MAX_NAMES`](super::MAX_NAMES), none longer than [`MAX_NAME`](super::MAX_NAME).
        names: Vec<String>,
    },
    /// Somebody who connected is not let in, for what his certificate is or because he has none.
    TurnedAway {
        /// The peer's end.
        remote: SocketAddr,
        /// What he wanted to carry.
        kind: StreamKind,
        /// Why.
        why: Distrust,
        /// The same in the words of TLS, which may name names: escaped, and cut.
        words: String,
    },
    /// Bytes have arrived.
    Data {
        /// Its name.
        id: u64,
        /// Our end.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
        /// What it carries.
        kind: StreamKind,
        /// Whom the peer has proved to be, as [`Towards::peer`] called it.
        peer: Option<u32>,
        /// A piece of the stream.
        bytes: Bytes,
    },
    /// A WebSocket has brought a message.
    Message {
        /// Its name.
        id: u64,
        /// Our end.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
        /// What it carries.
        kind: StreamKind,
        /// Whom the peer has proved to be, as [`Towards::peer`] called it.
        peer: Option<u32>,
        /// What was in it.
        bytes: Bytes,
    },
    /// It is gone.
    Closed {
        /// Its name.
        id: u64,
        /// Our end.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
        /// What it carries.
        kind: StreamKind,
        /// Whom the peer has proved to be, as [`Towards::peer`] called it.
        peer: Option<u32>,
        /// Why.
        reason: CloseReason,
    },
    /// It could not be opened, or what was to be sent names one that is gone.
    Unreachable {
        /// The name given to [`Connections::send`](super::Connections::send).
        id: Option<u64>,
        /// Our end, as given to [`Connections::send`](super::Connections::send).
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
        /// What it would have carried.
        kind: StreamKind,
        /// Whom the peer would have had to prove to be.
        peer: Option<u32>,
        /// What is wrong with a certificate, if that is what kept us from it.
        distrust: Option<Distrust>,
        /// What the system said.
        error: io::ErrorKind,
    },
}

/// Where something is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Towards<'a> {
    /// Over what. A WebSocket is only ever opened by the other side.
    pub kind: StreamKind,
    /// From which address; its port does not matter.
    pub local: SocketAddr,
    /// To which.
    pub remote: SocketAddr,
    /// What the caller calls the name: only connections to whoever has proved the same are as good.
    pub peer: Option<u32>,
    /// The name that the other side's certificate must be for. Without one it must be for the address.
    pub name: Option<&'a str>,
}

impl Towards<'_> {
    /// Over plain TCP.
    #[must_use]
    pub const fn plain(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { kind: StreamKind::Plain, local, remote, peer: None, name: None }
    }

    pub(super) const fn key(&self) -> Key {
        (self.kind, self.remote, self.peer)
    }
}

/// What connections are found by when any will do.
pub(super) type Key = (StreamKind, SocketAddr, Option<u32>);
