//! A phone on real sockets: the loop that feeds [`Phone`] and sends what it says.
//!
//! ```text
//!   UDP or TCP ──▶ handle_sip ─┐
//!   UDP (RTP)  ──▶ handle_rtp ─┼─▶ Phone ─▶ poll_output ─▶ sockets, events, seen messages
//!   clock      ──▶ handle_timeout
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket as StdUdpSocket};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hookswitch_drive::Clock;
use hookswitch_net::{
    AcceptOutcome, Connections, ConnectionsConfig, Listener, RecvBatch, SendOutcome, SendQueue, TcpEvent, Towards,
    UdpOptions, UdpSocket,
};
use hookswitch_phone::{Event, Input, Output, Phone, PhoneConfig};
use hookswitch_sip::{ConnId, Flow, Transport};
use mio::{Events, Interest, Poll, Token};

const RTP: Token = Token(0);
const SIP: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// Messages kept for [`Line::poll_seen`]; the oldest go first when nobody takes them.
pub const MAX_SEEN: usize = 10_000;

/// A SIP message that came or went.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When, since the UNIX epoch.
    pub at: Duration,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it was sent to.
    pub to: SocketAddr,
    /// The message, or a piece of the stream that carries it.
    pub bytes: Bytes,
}

enum Sip {
    Udp { socket: UdpSocket, queue: SendQueue },
    Tcp { listener: Listener, connections: Box<Connections> },
}

/// One phone and its sockets, driven by calling [`Line::turn`] again and again.
pub struct Line {
    phone: Phone,
    clock: Clock,
    poll: Poll,
    ready: Events,
    sip: Sip,
    rtp: UdpSocket,
    rtp_queue: SendQueue,
    batch: RecvBatch,
    told: VecDeque<Event>,
    seen: VecDeque<Seen>,
}

impl Line {
    /// Binds the sockets and puts the phone behind them. `listen` is the address for SIP; port 0 takes any. `setup`
    /// may change everything but the addresses.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub fn open(
        transport: Transport,
        listen: SocketAddr,
        server: SocketAddr,
        setup: impl FnOnce(PhoneConfig) -> PhoneConfig,
    ) -> anyhow::Result<Line> {
        let poll = Poll::new().context("cannot watch sockets")?;
        let registry = poll.registry();
        let mut rtp = UdpSocket::bind((listen.ip(), 0).into(), UdpOptions::default())?;
        registry.register(&mut rtp, RTP, Interest::READABLE | Interest::WRITABLE)?;
        let (sip, local) = match transport {
            Transport::Udp => {
                let mut socket = UdpSocket::bind(listen, UdpOptions::default())?;
                registry.register(&mut socket, SIP, Interest::READABLE | Interest::WRITABLE)?;
                let local = socket.local();
                (Sip::Udp { socket, queue: SendQueue::new() }, local)
            }
            Transport::Tcp => {
                let mut listener = Listener::bind(listen)?;
                registry.register(&mut listener, SIP, Interest::READABLE)?;
                let local = listener.local();
                let connections = Box::new(Connections::new(ConnectionsConfig::default(), FIRST_CONNECTION));
                (Sip::Tcp { listener, connections }, local)
            }
            Transport::Tls | Transport::Ws | Transport::Wss => {
                anyhow::bail!("this phone speaks UDP and TCP, not {transport}")
            }
        };
        let config =
            PhoneConfig { transport, ..setup(PhoneConfig::new("phone", "localhost", local, server, rtp.local())) };
        Ok(Line {
            phone: Phone::new(config, rand::random()),
            clock: Clock::start(),
            poll,
            ready: Events::with_capacity(64),
            sip,
            rtp,
            rtp_queue: SendQueue::new(),
            batch: RecvBatch::new(),
            told: VecDeque::new(),
            seen: VecDeque::new(),
        })
    }

    /// The time, as the phone is told it.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Asks the phone for something, and sends what comes of it.
    pub fn ask<T>(&mut self, order: impl FnOnce(&mut Phone, Duration) -> T) -> T {
        let now = self.clock.now();
        let outcome = order(&mut self.phone, now);
        self.drain(now);
        self.flush(now);
        outcome
    }

    /// The phone, to be looked at.
    #[must_use]
    pub fn phone(&self) -> &Phone {
        &self.phone
    }

    /// What the phone has told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.told.pop_front()
    }

    /// SIP that came or went, in its order.
    pub fn poll_seen(&mut self) -> Option<Seen> {
        self.seen.pop_front()
    }

    /// Waits until something happens, at most `patience`, and handles it.
    ///
    /// # Errors
    /// The system cannot wait or receive.
    pub fn turn(&mut self, patience: Duration) -> io::Result<()> {
        let now = self.clock.now();
        let wait = self.deadline().map_or(patience, |at| at.saturating_sub(now).min(patience));
        match self.poll.poll(&mut self.ready, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = self.clock.now();
        self.receive_rtp(now)?;
        self.receive_sip(now)?;
        if self.phone.poll_timeout().is_some_and(|at| at <= now) {
            self.phone.handle_timeout(now);
        }
        self.drain(now);
        self.flush(now);
        Ok(())
    }

    fn deadline(&self) -> Option<Duration> {
        let connections = match &self.sip {
            Sip::Udp { .. } => None,
            Sip::Tcp { connections, .. } => connections.poll_timeout(),
        };
        [self.phone.poll_timeout(), connections].into_iter().flatten().min()
    }

    fn receive_rtp(&mut self, now: Duration) -> io::Result<()> {
        while self.rtp.receive(&mut self.batch)? > 0 {
            for datagram in self.batch.datagrams() {
                self.phone.handle_rtp(now, datagram.from, datagram.bytes);
            }
        }
        // Nobody listening for media yet is no news.
        self.rtp.take_errors(|_| {});
        Ok(())
    }

    fn receive_sip(&mut self, now: Duration) -> io::Result<()> {
        match &mut self.sip {
            Sip::Udp { socket, .. } => {
                while socket.receive(&mut self.batch)? > 0 {
                    for datagram in self.batch.datagrams() {
                        let flow = Flow::udp(datagram.local, datagram.from);
                        let bytes = Bytes::copy_from_slice(datagram.bytes);
                        see(&mut self.seen, now, (datagram.from, datagram.local), &bytes);
                        self.phone.handle_sip(now, Input::Datagram { flow, bytes });
                    }
                }
                let (local, phone) = (socket.local(), &mut self.phone);
                socket.take_errors(|failed| {
                    phone.handle_sip(now, Input::Unreachable { flow: Flow::udp(local, failed.to) });
                });
            }
            Sip::Tcp { listener, connections } => {
                let registry = self.poll.registry();
                while connections.accept(registry, now, listener) == AcceptOutcome::More {}
                for event in &self.ready {
                    connections.ready(registry, now, event);
                }
                while connections.has_more() {
                    connections.resume(registry, now);
                }
                connections.handle_timeout(registry, now);
                while let Some(event) = connections.poll_event() {
                    let Some(input) = stream_input(event) else { continue };
                    if let Input::Stream { flow, bytes } = &input {
                        see(&mut self.seen, now, (flow.remote, flow.local), bytes);
                    }
                    self.phone.handle_sip(now, input);
                }
            }
        }
        Ok(())
    }

    fn drain(&mut self, now: Duration) {
        while let Some(output) = self.phone.poll_output() {
            match output {
                Output::Sip { flow, bytes } => {
                    see(&mut self.seen, now, (flow.local, flow.remote), &bytes);
                    match &mut self.sip {
                        // A queue that is full loses datagrams as networks do.
                        Sip::Udp { queue, .. } => drop(queue.push(flow.local, flow.remote, bytes)),
                        Sip::Tcp { connections, .. } => {
                            let id = flow.conn.map(|conn| conn.0);
                            let to = Towards::plain(flow.local, flow.remote);
                            connections.send(self.poll.registry(), now, id, to, bytes);
                        }
                    }
                }
                Output::Close { flow } => {
                    if let (Sip::Tcp { connections, .. }, Some(conn)) = (&mut self.sip, flow.conn) {
                        connections.close(self.poll.registry(), now, conn.0);
                    }
                }
                Output::Rtp { to, bytes, .. } => drop(self.rtp_queue.push(self.rtp.local(), to, bytes)),
                Output::Event(event) => self.told.push_back(event),
            }
        }
    }

    fn flush(&mut self, now: Duration) {
        let _: SendOutcome = self.rtp_queue.flush(&self.rtp, |_| {});
        match &mut self.sip {
            Sip::Udp { socket, queue } => {
                let (local, mut lost) = (socket.local(), Vec::new());
                let _: SendOutcome = queue.flush(socket, |failed| lost.push(failed.to));
                for to in lost {
                    self.phone.handle_sip(now, Input::Unreachable { flow: Flow::udp(local, to) });
                }
            }
            Sip::Tcp { connections, .. } => connections.flush(self.poll.registry(), now),
        }
    }
}

fn see(seen: &mut VecDeque<Seen>, at: Duration, (from, to): (SocketAddr, SocketAddr), bytes: &Bytes) {
    if seen.len() == MAX_SEEN {
        seen.pop_front();
    }
    seen.push_back(Seen { at, from, to, bytes: bytes.clone() });
}

fn stream_input(event: TcpEvent) -> Option<Input> {
    let flow = |id: Option<u64>, local, remote| Flow { conn: id.map(ConnId), ..Flow::tcp(local, remote) };
    Some(match event {
        TcpEvent::Opened { id, local, remote, .. } => Input::Opened { flow: flow(Some(id), local, remote) },
        TcpEvent::Data { id, local, remote, bytes, .. } => Input::Stream { flow: flow(Some(id), local, remote), bytes },
        TcpEvent::Message { id, local, remote, bytes, .. } => {
            Input::Message { flow: flow(Some(id), local, remote), bytes }
        }
        TcpEvent::Closed { id, local, remote, .. } => Input::Closed { flow: flow(Some(id), local, remote) },
        TcpEvent::Unreachable { id, local, remote, .. } => Input::Unreachable { flow: flow(id, local, remote) },
        // Nobody is asked for a certificate here.
        TcpEvent::TurnedAway { .. } => return None,
    })
}

/// The first address of `host`, IPv4 before IPv6: that is where most SIP servers listen.
///
/// # Errors
/// The name is unknown.
pub fn resolve(host: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<_> =
        (host, port).to_socket_addrs().with_context(|| format!("cannot find the host {host}"))?.collect();
    let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
    best.copied().with_context(|| format!("the host {host} has no address"))
}

/// The address of ours that packets to `server` leave from. It asks the routing table and sends nothing.
///
/// # Errors
/// There is no route.
pub fn address_towards(server: SocketAddr) -> anyhow::Result<IpAddr> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let ask = || {
        let socket = StdUdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        Ok(socket.local_addr()?.ip())
    };
    let found: io::Result<IpAddr> = ask();
    found.with_context(|| format!("there is no way to {server}"))
}
