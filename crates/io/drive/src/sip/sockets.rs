//! The SIP sockets of one shard: bytes and news go in as inputs of the endpoint, what it sends goes out in batches.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_net::{
    AcceptOutcome, BATCH, Connections, ConnectionsConfig, Listener, NetError, RecvBatch, SendOutcome, SendQueue,
    SocketError, StreamKind, StreamSetup, TcpEvent, Towards, UdpOptions, UdpSocket,
};
use hookswitch_sip::{ConnId, Flow, Input, NoWay, PeerId, Transport};
use mio::event::Event;
use mio::{Interest, Registry, Token};

use super::strangers::Strangers;
use crate::pii::Pii;

/// Pause before connections are accepted again when descriptors have run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Most sockets to listen on.
pub const MAX_SIP_SOCKETS: usize = 64;

/// Where to listen for SIP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SipListen {
    /// How messages travel.
    pub transport: Transport,
    /// The address; all addresses of a family if it is unspecified, any port if the port is 0.
    pub address: SocketAddr,
}

impl std::fmt::Display for SipListen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", kind_name(self.transport), self.address)
    }
}

/// The name in the configuration.
fn kind_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => kind_of(transport).name(),
    }
}

struct Udp {
    socket: UdpSocket,
    queue: SendQueue,
    readable: bool,
    /// The error queue is not empty.
    failing: bool,
    blocked: bool,
    lost: u64,
}

struct Listening {
    listener: Listener,
    ready: bool,
    again_at: Option<Duration>,
}

pub(crate) struct SipSockets {
    registry: Registry,
    first_token: usize,
    udp: Vec<Udp>,
    listening: Vec<Listening>,
    tcp: Connections,
    batch: RecvBatch,
    strangers: Strangers,
    /// What is bound, in the order in which it was asked for.
    bound: Vec<SipListen>,
}

impl SipSockets {
    /// Opens everything. Tokens from `first_token` on belong to these sockets.
    pub(crate) fn bind(
        registry: Registry,
        first_token: usize,
        listen: &[SipListen],
        udp_options: UdpOptions,
        connections: ConnectionsConfig,
    ) -> Result<Self, NetError> {
        let tcp = Connections::new(connections, first_token + MAX_SIP_SOCKETS);
        let mut sockets = Self {
            registry,
            first_token,
            udp: Vec::new(),
            listening: Vec::new(),
            tcp,
            batch: RecvBatch::new(),
            strangers: Strangers::default(),
            bound: Vec::new(),
        };
        for at in listen.iter().take(MAX_SIP_SOCKETS) {
            let address = match at.transport {
                Transport::Udp => {
                    let socket = UdpSocket::bind(at.address, udp_options)?;
                    let (address, queue) = (socket.local(), SendQueue::new());
                    sockets.udp.push(Udp { socket, queue, readable: false, failing: false, blocked: false, lost: 0 });
                    address
                }
                Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                    let listener = Listener::bind_as(kind_of(at.transport), at.address)?;
                    let address = listener.local();
                    sockets.listening.push(Listening { listener, ready: false, again_at: None });
                    address
                }
            };
            sockets.bound.push(SipListen { transport: at.transport, address });
        }
        Ok(sockets)
    }

    /// Sets certificates and what else TLS and WebSockets need, for connections from now on.
    pub(crate) fn set_up(&mut self, setup: StreamSetup) {
        self.tcp.set_up(setup);
    }

    /// Begins to watch the sockets.
    pub(crate) fn watch(&mut self) -> io::Result<()> {
        let mut token = self.first_token;
        let mut next = || {
            token += 1;
            Token(token - 1)
        };
        for udp in &mut self.udp {
            self.registry.register(&mut udp.socket, next(), Interest::READABLE | Interest::WRITABLE)?;
        }
        for listening in &mut self.listening {
            self.registry.register(&mut listening.listener, next(), Interest::READABLE)?;
        }
        Ok(())
    }

    /// What is bound, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> Vec<SipListen> {
        self.bound.clone()
    }

    /// TCP connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.tcp.len()
    }

    /// Takes one readiness event.
    pub(crate) fn ready(&mut self, now: Duration, event: &Event) {
        let index = event.token().0.wrapping_sub(self.first_token);
        if let Some(udp) = self.udp.get_mut(index) {
            // An error may end a batch early, so after one there may be datagrams that no event announces.
            udp.readable |= event.is_readable() || event.is_error();
            udp.failing |= event.is_error();
            udp.blocked &= !event.is_writable();
        } else if let Some(at) = self.listening.get_mut(index.wrapping_sub(self.udp.len())) {
            at.ready = true;
        } else {
            self.tcp.ready(&self.registry, now, event);
        }
    }

    /// Whether something has arrived that the last [`SipSockets::receive`] has left.
    pub(crate) fn has_more(&self) -> bool {
        self.udp.iter().any(|udp| udp.readable) || self.listening.iter().any(|at| at.ready) || self.tcp.has_more()
    }

    /// Reads one batch from each socket, so that none can keep the others waiting. What comes from an address that is
    /// not admitted is neither copied nor accepted.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        into: &mut VecDeque<Input>,
        mut admits: impl FnMut(SocketAddr) -> bool,
    ) {
        for udp in self.udp.iter_mut().filter(|udp| udp.readable) {
            let local = udp.socket.local();
            if udp.failing {
                udp.failing = udp.socket.take_errors(|failed| into.push_back(unreachable(local, &failed)));
            }
            match udp.socket.receive(&mut self.batch) {
                Ok(received) => udp.readable = received == BATCH || udp.failing,
                Err(error) => {
                    tracing::error!(%local, %error, "cannot read from a SIP socket");
                    udp.readable = false;
                    continue;
                }
            }
            // Port 0 cannot be answered: nobody sends from there but forgers.
            for datagram in self.batch.datagrams().filter(|datagram| datagram.from.port() != 0) {
                if !admits(datagram.from) {
                    continue;
                }
                let flow = Flow::udp(datagram.local, datagram.from);
                into.push_back(Input::Datagram { flow, bytes: Bytes::copy_from_slice(datagram.bytes) });
            }
        }
        for at in self.listening.iter_mut().filter(|at| at.ready) {
            match self.tcp.accept_some(&self.registry, now, &at.listener, &mut admits) {
                AcceptOutcome::More => {}
                AcceptOutcome::Drained => at.ready = false,
                AcceptOutcome::Exhausted => {
                    tracing::warn!(local = %at.listener.local(), "no descriptors left for new connections");
                    at.ready = false;
                    at.again_at = Some(now + ACCEPT_AGAIN);
                }
            }
        }
        self.tcp.resume(&self.registry, now);
        self.news(now, into);
    }

    fn news(&mut self, now: Duration, into: &mut VecDeque<Input>) {
        while let Some(event) = self.tcp.poll_event() {
            let input = match event {
                TcpEvent::Opened { id, local, remote, kind, peer, names } => {
                    let flow = stream(Some(id), (local, remote), (kind, peer));
                    into.push_back(Input::Opened { flow });
                    if names.is_empty() {
                        continue;
                    }
                    let certificate = names.join(", ");
                    tracing::info!(remote = %Pii(remote), kind = kind.name(), %certificate, "a certificate is believed");
                    Input::Proved { flow, names: names.into_iter().map(CompactString::from).collect() }
                }
                TcpEvent::TurnedAway { remote, kind, why, words } => {
                    self.strangers.turned_away(now, remote, kind, why, &words);
                    continue;
                }
                TcpEvent::Data { id, local, remote, kind, peer, bytes } => {
                    Input::Stream { flow: stream(Some(id), (local, remote), (kind, peer)), bytes }
                }
                TcpEvent::Message { id, local, remote, kind, peer, bytes } => {
                    Input::Message { flow: stream(Some(id), (local, remote), (kind, peer)), bytes }
                }
                TcpEvent::Closed { id, local, remote, kind, peer, reason } => {
                    tracing::debug!(connection = id, kind = kind.name(), ?reason, "a SIP connection was closed");
                    Input::Closed { flow: stream(Some(id), (local, remote), (kind, peer)) }
                }
                TcpEvent::Unreachable { id, local, remote, kind, peer, distrust, error } => {
                    tracing::debug!(kind = kind.name(), ?error, ?distrust, "a SIP connection could not be opened");
                    let why = distrust.map_or_else(|| no_way(error), |_| NoWay::Unproved);
                    Input::Failed { flow: stream(id, (local, remote), (kind, peer)), why }
                }
            };
            into.push_back(input);
        }
    }

    /// Queues bytes on the socket that a flow belongs to. `name` is what [`Flow::peer`] stands for.
    pub(crate) fn send(&mut self, now: Duration, flow: Flow, name: Option<&str>, bytes: Bytes) {
        match flow.transport {
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let id = flow.conn.map(|conn| conn.0);
                let Flow { local, remote, .. } = flow;
                let (kind, peer) = (kind_of(flow.transport), flow.peer.map(|peer| peer.0));
                self.tcp.send(&self.registry, now, id, Towards { kind, local, remote, peer, name }, bytes);
            }
            Transport::Udp => {
                let Some(udp) = best(&mut self.udp, flow) else {
                    tracing::warn!("no SIP socket of the family of a destination; a message was not sent");
                    return;
                };
                if !udp.queue.push(flow.local, flow.remote, bytes) {
                    udp.lost += 1;
                    if udp.lost.is_power_of_two() {
                        tracing::warn!(lost = udp.lost, "the send queue of a SIP socket is full");
                    }
                }
            }
        }
    }

    /// Closes a connection when what was sent before has been written.
    pub(crate) fn close(&mut self, now: Duration, flow: Flow) {
        if let Some(conn) = flow.conn {
            self.tcp.close(&self.registry, now, conn.0);
        }
    }

    /// Sends what is queued. News of what could not be sent goes into `into`.
    pub(crate) fn flush(&mut self, now: Duration, into: &mut VecDeque<Input>) {
        for udp in &mut self.udp {
            if udp.blocked || udp.queue.is_empty() {
                continue;
            }
            let local = udp.socket.local();
            let outcome = udp.queue.flush(&udp.socket, |failed| into.push_back(unreachable(local, &failed)));
            udp.blocked = outcome == SendOutcome::Blocked;
        }
        self.tcp.flush(&self.registry, now);
        self.news(now, into);
    }

    /// When [`SipSockets::handle_timeout`] wants to be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let again = self.listening.iter().filter_map(|at| at.again_at);
        again.chain(self.tcp.poll_timeout()).min()
    }

    /// Lets time pass.
    pub(crate) fn handle_timeout(&mut self, now: Duration, into: &mut VecDeque<Input>) {
        for at in &mut self.listening {
            if at.again_at.is_some_and(|again_at| again_at <= now) {
                at.again_at = None;
                at.ready = true;
            }
        }
        self.tcp.handle_timeout(&self.registry, now);
        self.news(now, into);
    }
}

fn unreachable(local: SocketAddr, failed: &SocketError) -> Input {
    Input::Failed { flow: Flow::udp(local, failed.to), why: no_way(failed.error.kind()) }
}

/// What an error of the system says of the other side.
fn no_way(error: io::ErrorKind) -> NoWay {
    match error {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => NoWay::Refused,
        io::ErrorKind::TimedOut => NoWay::Silent,
        // TLS, or whoever is there, is not what the URI says.
        io::ErrorKind::InvalidData => NoWay::Unproved,
        _ => NoWay::NoRoute,
    }
}

type Manner = (StreamKind, Option<u32>);

fn stream(id: Option<u64>, (local, remote): (SocketAddr, SocketAddr), (kind, peer): Manner) -> Flow {
    let transport = match kind {
        StreamKind::Plain => Transport::Tcp,
        StreamKind::Tls => Transport::Tls,
        StreamKind::Ws => Transport::Ws,
        StreamKind::Wss => Transport::Wss,
    };
    Flow { transport, local, remote, conn: id.map(ConnId), peer: peer.map(PeerId) }
}

/// What a stream of that transport carries. Datagrams are no stream; whoever asks has looked.
fn kind_of(transport: Transport) -> StreamKind {
    match transport {
        Transport::Udp | Transport::Tcp => StreamKind::Plain,
        Transport::Tls => StreamKind::Tls,
        Transport::Ws => StreamKind::Ws,
        Transport::Wss => StreamKind::Wss,
    }
}

/// The socket that a flow belongs to: the one bound to its address, else one bound to all of them, else any of the
/// family; the same port counts more than none.
fn best(sockets: &mut [Udp], flow: Flow) -> Option<&mut Udp> {
    let score = |socket: &UdpSocket| {
        let local = socket.local();
        let same_port = local.port() == flow.local.port();
        match (local.ip() == flow.local.ip(), local.ip().is_unspecified()) {
            (true, _) => 4 + u8::from(same_port),
            (false, true) => 2 + u8::from(same_port),
            (false, false) => u8::from(same_port),
        }
    };
    let family = sockets.iter_mut().filter(|udp| udp.socket.local().is_ipv4() == flow.remote.is_ipv4());
    family.max_by_key(|udp| score(&udp.socket))
}
