//! Where events arrive: datagrams over UDP or a UNIX socket, or streams that OpenSIPS opens. Over the network only
//! OpenSIPS's host is heard; a UNIX socket is for those who may write to its file.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use hookswitch_net::{
    AcceptOutcome, BATCH, CloseReason, Connections, ConnectionsConfig, Listener, NetError, RecvBatch, TcpEvent,
    UdpOptions, UdpSocket, UnixSocket,
};
use hookswitch_opensips::Input;
use mio::event::Event;
use mio::{Interest, Registry, Token};

use super::address::{authority, host_and_port};
use super::datagrams::SHARED_MODE;
use super::host::Peers;
use crate::pii::Pii;

/// Streams at once: OpenSIPS opens one, and one more for each of its processes at worst.
pub const MAX_EVENT_STREAMS: usize = 64;

/// Longest event over a UNIX socket, in bytes.
const MAX_UNIX_EVENT: usize = 128 * 1024;

/// Pause before a failed socket is read, or a listener accepts, again.
const AGAIN: Duration = Duration::from_millis(100);

/// A stream that has carried events may be silent for ever: when nobody calls, nothing happens. A peer that has
/// vanished is found out by the system's probes.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

enum Socket {
    Udp { socket: UdpSocket, batch: RecvBatch },
    Unix { socket: UnixSocket, room: Box<[u8]> },
    Tcp { listener: Listener, streams: Box<Connections> },
}

/// What is bound for events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BoundEvents {
    /// Datagrams.
    Udp(SocketAddr),
    /// Datagrams over a UNIX socket.
    Unix(PathBuf),
    /// Streams.
    Tcp(SocketAddr),
}

impl fmt::Display for BoundEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(at) => write!(f, "udp:{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(at) => write!(f, "tcp:{at}"),
        }
    }
}

/// The socket that events arrive at.
pub(super) struct EventSocket {
    registry: Registry,
    token: Token,
    socket: Socket,
    peers: Peers,
    is_readable: bool,
    again_at: Option<Duration>,
    /// Datagrams and connections of strangers.
    foreign: u64,
}

impl EventSocket {
    pub(super) fn udp(registry: Registry, token: Token, at: SocketAddr, peers: Peers) -> Result<Self, NetError> {
        let mut socket = UdpSocket::bind(at, UdpOptions::default())?;
        watch(&registry, &mut socket, token).map_err(|source| NetError::Bind {
            transport: "udp",
            address: at,
            source,
        })?;
        Ok(Self::new(registry, token, Socket::Udp { socket, batch: RecvBatch::new() }, peers))
    }

    pub(super) fn unix(registry: Registry, token: Token, at: &Path, peers: Peers) -> Result<Self, NetError> {
        let mut socket = UnixSocket::bind(at, SHARED_MODE)?;
        watch(&registry, &mut socket, token).map_err(|source| NetError::Path { path: at.to_owned(), source })?;
        let room = vec![0; MAX_UNIX_EVENT].into_boxed_slice();
        Ok(Self::new(registry, token, Socket::Unix { socket, room }, peers))
    }

    /// Tokens from `token` on belong to this one.
    pub(super) fn tcp(registry: Registry, token: Token, at: SocketAddr, peers: Peers) -> Result<Self, NetError> {
        let mut listener = Listener::bind(at)?;
        watch(&registry, &mut listener, token).map_err(|source| NetError::Bind {
            transport: "tcp",
            address: at,
            source,
        })?;
        let config = ConnectionsConfig {
            max: MAX_EVENT_STREAMS,
            max_per_source: MAX_EVENT_STREAMS,
            idle_timeout: FOR_EVER,
            ..ConnectionsConfig::default()
        };
        let streams = Box::new(Connections::new(config, token.0 + 1));
        Ok(Self::new(registry, token, Socket::Tcp { listener, streams }, peers))
    }

    fn new(registry: Registry, token: Token, socket: Socket, peers: Peers) -> Self {
        Self { registry, token, socket, peers, is_readable: false, again_at: None, foreign: 0 }
    }

    /// What is bound, with the port that the system chose.
    pub(super) fn bound(&self) -> BoundEvents {
        match &self.socket {
            Socket::Udp { socket, .. } => BoundEvents::Udp(socket.local()),
            Socket::Unix { socket, .. } => BoundEvents::Unix(socket.path().to_owned()),
            Socket::Tcp { listener, .. } => BoundEvents::Tcp(listener.local()),
        }
    }

    /// Hears this host instead of the one before.
    pub(super) fn hear(&mut self, peers: Peers) {
        self.peers = peers;
    }

    /// Datagrams and connections of strangers so far.
    pub(super) const fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Takes one readiness event.
    pub(super) fn ready(&mut self, now: Duration, event: &Event) {
        if event.token() == self.token {
            self.is_readable = true;
        } else if let Socket::Tcp { streams, .. } = &mut self.socket {
            streams.ready(&self.registry, now, event);
        }
    }

    /// Whether something has arrived that the last [`EventSocket::receive`] has left.
    pub(super) fn has_more(&self) -> bool {
        let streams = match &self.socket {
            Socket::Tcp { streams, .. } => streams.has_more(),
            Socket::Udp { .. } | Socket::Unix { .. } => false,
        };
        self.is_readable || streams
    }

    /// When [`EventSocket::handle_timeout`] wants to be called next.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let streams = match &self.socket {
            Socket::Tcp { streams, .. } => streams.poll_timeout(),
            Socket::Udp { .. } | Socket::Unix { .. } => None,
        };
        self.again_at.into_iter().chain(streams).min()
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            self.is_readable = true;
        }
        if let Socket::Tcp { streams, .. } = &mut self.socket {
            streams.handle_timeout(&self.registry, now);
        }
    }

    /// Reads one batch.
    pub(super) fn receive(&mut self, now: Duration, into: &mut VecDeque<Input>) {
        let is_readable = std::mem::take(&mut self.is_readable);
        let done = match &mut self.socket {
            Socket::Udp { socket, batch } if is_readable => {
                let received = socket.receive(batch);
                for datagram in batch.datagrams() {
                    if self.peers.include(datagram.from.ip()) {
                        into.push_back(Input::Event(Bytes::copy_from_slice(datagram.bytes)));
                    } else {
                        count_stranger(&mut self.foreign, datagram.from);
                    }
                }
                // Nothing is sent from here; what the error queue may hold is of no interest.
                received.map(|received| received == BATCH)
            }
            Socket::Unix { socket, room } if is_readable => receive_unix(socket, room, into),
            Socket::Udp { .. } | Socket::Unix { .. } => Ok(false),
            Socket::Tcp { listener, streams } => {
                let accepted = is_readable.then(|| streams.accept(&self.registry, now, listener));
                self.news(now, into);
                match accepted {
                    Some(AcceptOutcome::More) => Ok(true),
                    Some(AcceptOutcome::Drained) | None => Ok(false),
                    Some(AcceptOutcome::Exhausted) => Err(io::ErrorKind::QuotaExceeded.into()),
                }
            }
        };
        match done {
            Ok(has_more) => self.is_readable = has_more,
            Err(error) => {
                tracing::warn!(%error, "cannot read events for a moment");
                self.again_at = Some(now + AGAIN);
            }
        }
    }

    /// Passes on what the streams have brought.
    fn news(&mut self, now: Duration, into: &mut VecDeque<Input>) {
        let Socket::Tcp { streams, .. } = &mut self.socket else { return };
        streams.resume(&self.registry, now);
        while let Some(event) = streams.poll_event() {
            match event {
                TcpEvent::Opened { id, remote, .. } => {
                    if self.peers.include(remote.ip()) {
                        tracing::debug!(connection = id, "OpenSIPS has opened a stream of events");
                    } else {
                        count_stranger(&mut self.foreign, remote);
                        // Nothing was read yet, so nothing of it gets any further.
                        streams.close(&self.registry, now, id);
                    }
                }
                TcpEvent::Data { id, bytes, .. } => into.push_back(Input::EventBytes { connection: id, bytes }),
                TcpEvent::Closed { id, remote, reason, .. } => {
                    if self.peers.include(remote.ip()) {
                        into.push_back(Input::EventClosed { connection: id });
                    }
                    if !matches!(reason, CloseReason::Local) {
                        tracing::debug!(connection = id, ?reason, "a stream of events was closed");
                    }
                }
                // We open none, and these are no WebSockets and no TLS.
                TcpEvent::Unreachable { .. } | TcpEvent::Message { .. } | TcpEvent::TurnedAway { .. } => {}
            }
        }
    }
}

/// Reads up to a batch of datagrams. True when there may be more.
fn receive_unix(socket: &UnixSocket, room: &mut [u8], into: &mut VecDeque<Input>) -> io::Result<bool> {
    for _ in 0..BATCH {
        let Some(len) = socket.receive(room)? else { return Ok(false) };
        into.push_back(Input::Event(Bytes::copy_from_slice(&room[..len])));
    }
    Ok(true)
}

fn watch(registry: &Registry, source: &mut impl mio::event::Source, token: Token) -> io::Result<()> {
    registry.register(source, token, Interest::READABLE)
}

/// Strangers are counted, and logged each time there are twice as many: whoever floods us must not fill the log.
fn count_stranger(foreign: &mut u64, from: SocketAddr) {
    *foreign += 1;
    if foreign.is_power_of_two() {
        tracing::warn!(from = %Pii(from.ip()), count = *foreign, "events from a host that is not OpenSIPS's are ignored");
    }
}

/// What OpenSIPS is told to send its events to: what is bound, seen from `towards`, unless `advertise` says otherwise
/// (`HOST`, `HOST:PORT`, or all of it, such as `udp:HOST:PORT`). `None` if that is of another kind than what is bound.
pub(super) fn advertised(bound: &BoundEvents, towards: IpAddr, advertise: Option<&str>) -> Option<CompactString> {
    let (scheme, at) = match bound {
        BoundEvents::Unix(path) => {
            let path = match advertise {
                Some(other) => other.strip_prefix("unix:").unwrap_or(other).to_owned(),
                None => path.to_str()?.to_owned(),
            };
            return path.starts_with('/').then(|| format_compact!("unix:{path}"));
        }
        BoundEvents::Udp(at) => ("udp", *at),
        BoundEvents::Tcp(at) => ("tcp", *at),
    };
    let ip = if at.ip().is_unspecified() { towards } else { at.ip() };
    let Some(advertise) = advertise else {
        return Some(format_compact!("{scheme}:{}", authority(&ip.to_string(), at.port())));
    };
    let place = match advertise.split_once(':') {
        Some(("udp" | "tcp" | "unix", _)) => advertise.strip_prefix(scheme)?.strip_prefix(':')?,
        _ => advertise,
    };
    // A stream's address may end with the name of a method, which OpenSIPS reads by itself.
    let (place, method) = place.split_once('/').map_or((place, None), |(place, method)| (place, Some(method)));
    let (host, port) = match host_and_port(place) {
        Some((host, port)) => (host, if port == 0 { at.port() } else { port }),
        None if place.is_empty() || place.contains([':', '@', ' ']) => return None,
        None => (place, at.port()),
    };
    let method = method.map(|method| format_compact!("/{method}")).unwrap_or_default();
    Some(format_compact!("{scheme}:{}{method}", authority(host, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bound: &BoundEvents, advertise: Option<&str>) -> Option<CompactString> {
        advertised(bound, "192.0.2.7".parse().unwrap(), advertise)
    }

    #[test]
    fn opensips_is_told_what_is_bound_or_what_is_advertised() {
        let udp = |at: &str| BoundEvents::Udp(at.parse().unwrap());
        let tcp = BoundEvents::Tcp("[::1]:5071".parse().unwrap());
        let unix = BoundEvents::Unix("/run/events".into());
        for (bound, advertise, expected) in [
            (&udp("127.0.0.1:4000"), None, Some("udp:127.0.0.1:4000")),
            (&udp("0.0.0.0:4000"), None, Some("udp:192.0.2.7:4000")),
            (&udp("0.0.0.0:4000"), Some("198.51.100.1"), Some("udp:198.51.100.1:4000")),
            (&udp("0.0.0.0:4000"), Some("198.51.100.1:5000"), Some("udp:198.51.100.1:5000")),
            (&udp("0.0.0.0:4000"), Some("udp:events.example.test:0"), Some("udp:events.example.test:4000")),
            (&udp("127.0.0.1:4000"), Some("tcp:127.0.0.1:4000"), None),
            (&udp("127.0.0.1:4000"), Some("a b"), None),
            (&tcp, None, Some("tcp:[::1]:5071")),
            (&tcp, Some("tcp:127.0.0.1:5071/calls"), Some("tcp:127.0.0.1:5071/calls")),
            (&unix, None, Some("unix:/run/events")),
            (&unix, Some("unix:/outside/events"), Some("unix:/outside/events")),
            (&unix, Some("udp:127.0.0.1:1"), None),
        ] {
            assert_eq!(told(bound, advertise).as_deref(), expected, "{bound:?} {advertise:?}");
        }
    }
}
