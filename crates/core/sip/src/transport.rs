//! What goes in and out of the machine: datagrams, streams, and the flows they travel on.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip_msg::{Scheme, Uri};
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams: may be lost, doubled and reordered, so transactions repeat themselves.
    Udp,
    /// Streams: messages are cut by Content-Length (RFC 3261 18.3).
    Tcp,
    /// Streams within TLS (RFC 3261 26.2.1).
    Tls,
    /// WebSocket: each message in a frame of its own (RFC 7118). Only whoever connects to us is reached by it.
    Ws,
    /// WebSocket within TLS.
    Wss,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    /// True when the transport repeats lost data by itself, so that transactions need not.
    pub fn reliable(self) -> bool {
        match self {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => true,
        }
    }

    /// True when nobody on the way can read or change what travels: good enough for `sips:` (RFC 5630 3.1.3).
    pub fn secure(self) -> bool {
        match self {
            Transport::Udp | Transport::Tcp | Transport::Ws => false,
            Transport::Tls | Transport::Wss => true,
        }
    }

    /// True when messages come in frames of their own, over connections that only the other side opens (RFC 7118 5).
    pub fn framed(self) -> bool {
        match self {
            Transport::Udp | Transport::Tcp | Transport::Tls => false,
            Transport::Ws | Transport::Wss => true,
        }
    }

    /// The name in a Via header.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The value of a `sip:` URI's `transport` parameter. `tls` is deprecated by RFC 3261 26.2.2 and what everybody
    /// writes; WebSocket has one value for both of its kinds (RFC 7118 5.2.4).
    pub fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws | Transport::Wss => "ws",
        }
    }

    /// Reads a Via transport or a URI's `transport` parameter, in any case.
    pub fn from_name(name: &str) -> Option<Transport> {
        Transport::ALL.into_iter().find(|transport| name.eq_ignore_ascii_case(transport.name()))
    }

    /// How a URI wants to be reached, if it says so: by its `transport`, and `sips:` by TLS and nothing less
    /// (RFC 3261 26.2.2).
    ///
    /// # Errors
    /// The transport is unknown, or `sips:` names one that TLS does not go with.
    pub fn of_uri(uri: &Uri<'_>) -> Result<Option<Transport>, UnknownTransport> {
        let named = match uri.param("transport") {
            Some(name) => Some(Transport::from_name(name).ok_or(UnknownTransport)?),
            None => None,
        };
        match (uri.scheme, named) {
            (Scheme::Sips, None | Some(Transport::Tcp | Transport::Tls)) => Ok(Some(Transport::Tls)),
            (Scheme::Sips, Some(Transport::Ws | Transport::Wss)) => Ok(Some(Transport::Wss)),
            (Scheme::Sips, Some(Transport::Udp)) => Err(UnknownTransport),
            (Scheme::Sip | Scheme::Tel | Scheme::Other, named) => Ok(named),
        }
    }

    /// Where a URI or a Via without a port leads (RFC 3261 19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A URI asks for a transport that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown transport")]
pub struct UnknownTransport;

/// The name that whoever is at the other end of a TLS connection of ours has to prove (RFC 5922): the host of the URI
/// that led there. [`Resolver::peer_name`](crate::resolve::Resolver::peer_name) knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PeerId(pub u32);

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
    /// Whom we mean to reach, where that has to be proved: by TLS connections that we open. It is not stored: names
    /// are forgotten with the process.
    #[serde(skip)]
    pub peer: Option<PeerId>,
}

impl Flow {
    /// A datagram flow.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local, remote, conn: None, peer: None }
    }

    /// A stream to `remote`, over whichever connection there is or will be.
    pub fn tcp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Tcp, ..Flow::udp(local, remote) }
    }

    /// A connection.
    pub fn connection(transport: Transport, local: SocketAddr, remote: SocketAddr, conn: ConnId) -> Flow {
        Flow { transport, conn: Some(conn), ..Flow::udp(local, remote) }
    }
}

/// Most domains that the other end of a connection is known by.
pub const MAX_PROVED: usize = 16;

/// Longest name of such a domain, in bytes (RFC 1035 2.3.4).
pub const MAX_PROVED_NAME: usize = 253;

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
    /// The other end of a connection has shown a certificate that is believed, for these domains (RFC 5922 7.1). Said once,
    /// right after [`Input::Opened`].
    Proved {
        /// The connection.
        flow: Flow,
        /// The domains, in lower case. More than [`MAX_PROVED`], and longer ones than [`MAX_PROVED_NAME`], do not count.
        names: Box<[CompactString]>,
    },
    /// A connection brought bytes, cut wherever the network liked.
    Stream {
        /// The connection.
        flow: Flow,
        /// What was read.
        bytes: Bytes,
    },
    /// A connection brought one whole message, as those of WebSocket do (RFC 7118 5).
    Message {
        /// The connection.
        flow: Flow,
        /// One message, or a keep-alive.
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
    /// The same, and what the system says of it ([`Endpoint::no_way`](crate::Endpoint::no_way)).
    Failed {
        /// Where nobody is.
        flow: Flow,
        /// Why.
        why: NoWay,
    },
}

/// Why nothing can be sent somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoWay {
    /// Nobody listens there, or something on the way says no.
    Refused,
    /// A connection was begun and nothing came back in time.
    Silent,
    /// Whoever is there has not proved to be whom the URI names, or speaks no TLS.
    Unproved,
    /// The network has no way there.
    NoRoute,
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
