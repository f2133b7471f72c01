//! What goes in and out of the machine: datagrams, streams, and the flows they travel on.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams: may be lost, doubled and reordered, so transactions repeat themselves.
    Udp,
    /// Streams: messages are cut by Content-Length (RFC 3261 18.3).
    Tcp,
}

impl Transport {
    /// True when the transport repeats lost data by itself, so that transactions need not.
    pub fn reliable(self) -> bool {
        match self {
            Transport::Udp => false,
            Transport::Tcp => true,
        }
    }

    /// The name in a Via header.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }

    /// The value of a URI's `transport` parameter.
    pub fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }

    /// Reads a Via transport or a URI's `transport` parameter, in any case.
    pub fn from_name(name: &str) -> Option<Transport> {
        [Transport::Udp, Transport::Tcp].into_iter().find(|transport| name.eq_ignore_ascii_case(transport.param()))
    }

    /// Where a URI or a Via without a port leads (RFC 3261 19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stream connection, named by the driver; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnId(pub u64);

/// A path between two addresses (RFC 5626). For UDP it is the pair of addresses; for streams it may name one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// How messages travel.
    pub transport: Transport,
    /// Our address: that of the listening socket, or of the connection's end.
    pub local: SocketAddr,
    /// The other side's address.
    pub remote: SocketAddr,
    /// The connection. `None` for datagrams, and for a stream of which any connection to `remote` will do.
    pub conn: Option<ConnId>,
}

impl Flow {
    /// A datagram flow.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local, remote, conn: None }
    }

    /// A stream to `remote`, over whichever connection there is or will be.
    pub fn tcp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Tcp, local, remote, conn: None }
    }
}

/// What the outside tells the machine.
#[derive(Debug, Clone)]
pub enum Input {
    /// A datagram arrived.
    Datagram {
        /// Between which addresses.
        flow: Flow,
        /// What it holds.
        bytes: Bytes,
    },
    /// A connection stands, accepted or opened by us; `flow.conn` names it.
    Opened {
        /// The connection.
        flow: Flow,
    },
    /// A connection brought bytes, cut wherever the network liked.
    Stream {
        /// The connection.
        flow: Flow,
        /// What was read.
        bytes: Bytes,
    },
    /// A connection is gone, whoever closed it.
    Closed {
        /// The connection.
        flow: Flow,
    },
    /// No connection could be opened to `flow.remote`, or an ICMP error came back from there.
    Unreachable {
        /// Where nobody is.
        flow: Flow,
    },
}

/// What the machine wants done.
#[expect(clippy::large_enum_variant, reason = "it is moved once, and a box would cost an allocation per event")]
#[derive(Debug, Clone)]
pub enum Output {
    /// Send these bytes. When `flow` is a stream without a connection, the driver reuses one to `flow.remote` or opens
    /// one, and says [`Input::Opened`] or [`Input::Unreachable`].
    Send {
        /// Where to.
        flow: Flow,
        /// One whole message, or a keep-alive's answer.
        bytes: Bytes,
    },
    /// Close this connection; [`Input::Closed`] need not follow.
    Close {
        /// The connection.
        flow: Flow,
    },
    /// Something happened that the user of the machine must know.
    Event(Event),
}
