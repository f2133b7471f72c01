//! One TCP connection: its phase, its write queue, its clock.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::layers::{LayerEnd, Layers, Piece};
use super::{CloseReason, ConnectionsConfig, Distrust, READ_BUDGET, StreamKind, TcpEvent};

/// Pieces written by one system call.
const PIECES: usize = 16;

/// How long what is queued may still take after [`Connections::close`](super::Connections::close).
const LINGER: Duration = Duration::from_secs(5);

/// How long after its last word a peer that says nothing more may still be waiting for an answer. One that ends its side
/// before it has read the answer is rare in SIP and common among scripts; one that has gone altogether is found out by
/// the first byte that is sent to it.
pub(super) const HALF_OPEN: Duration = Duration::from_secs(5);

/// A connection that carries nothing is probed after this time …
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// … and given up after a few more probes at this distance: a dead peer is found in two minutes.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Awaits the peer's acceptance.
    Connecting { since: Duration },
    /// Awaits anything.
    Open,
    /// Awaits that the queue empties.
    Closing { since: Duration },
}

/// How far one step got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// The system has to say when to go on.
    Waiting,
    /// The step is complete (reading: the budget is used up).
    Done,
    /// The connection will be over when the peer has heard the last word.
    Parting,
    /// The connection is over.
    Over(CloseReason),
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) stream: TcpStream,
    pub(super) remote: SocketAddr,
    pub(super) accepted: bool,
    pub(super) phase: Phase,
    /// The system took no more bytes; wait for a writable event.
    pub(super) blocked: bool,
    pub(super) awaits_flush: bool,
    /// The peer has said that it says nothing more.
    pub(super) peer_ended: bool,
    /// The entry in the heap of deadlines that counts.
    pub(super) armed: Option<Duration>,
    pub(super) kind: StreamKind,
    /// Whom the peer has proved to be, as whoever opened it calls it.
    pub(super) peer: Option<u32>,
    /// It has been told that it is open.
    pub(super) told: bool,
    /// Its layers are over, for this reason: what is left to say has been said, and what still comes is thrown away until
    /// the peer has heard it. Whoever closes at once with something unread takes back what it has said last.
    pub(super) parting: Option<CloseReason>,
    layers: Option<Box<Layers>>,
    local: SocketAddr,
    queue: VecDeque<Bytes>,
    queued: usize,
    heard_any: bool,
    last_heard: Duration,
    last_written: Duration,
}

impl Connection {
    pub(super) fn accepted(stream: TcpStream, local: SocketAddr, remote: SocketAddr, now: Duration) -> Self {
        tune(&SockRef::from(&stream));
        Self::new(stream, local, remote, now, Phase::Open)
    }

    /// Puts layers upon it.
    pub(super) fn wrap(&mut self, kind: StreamKind, peer: Option<u32>, layers: Option<Box<Layers>>) {
        self.kind = kind;
        self.peer = peer;
        self.layers = layers;
    }

    /// Starts to open a connection; the outcome comes as a readiness event.
    pub(super) fn connect(local: SocketAddr, remote: SocketAddr, now: Duration) -> io::Result<Self> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let domain = Domain::for_address(remote);
        let socket = Socket::new(domain, kind, Some(Protocol::TCP))?;
        tune(&SockRef::from(&socket));
        if !local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4() {
            socket.bind(&SocketAddr::new(local.ip(), 0).into())?;
        }
        match socket.connect(&remote.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let stream = TcpStream::from_std(socket.into());
        let phase = Phase::Connecting { since: now };
        Ok(Self::new(stream, local, remote, now, phase))
    }

    fn new(stream: TcpStream, local: SocketAddr, remote: SocketAddr, now: Duration, phase: Phase) -> Self {
        Self {
            id: 0,
            stream,
            remote,
            accepted: phase == Phase::Open,
            phase,
            blocked: false,
            awaits_flush: false,
            peer_ended: false,
            armed: None,
            kind: StreamKind::Plain,
            peer: None,
            told: false,
            parting: None,
            layers: None,
            local,
            queue: VecDeque::new(),
            queued: 0,
            heard_any: false,
            last_heard: now,
            last_written: now,
        }
    }

    pub(super) const fn ends(&self) -> (u64, SocketAddr, SocketAddr) {
        (self.id, self.local, self.remote)
    }

    /// What it is found by when any connection there will do.
    pub(super) const fn key(&self) -> (StreamKind, SocketAddr, Option<u32>) {
        (self.kind, self.remote, self.peer)
    }

    /// Whether TLS is still shaking hands, which costs time.
    pub(super) fn awaits_tls(&self) -> bool {
        self.layers.as_ref().is_some_and(|layers| layers.awaits_tls())
    }

    /// Tells that it is open, once it is and every layer has shaken hands; what has waited for that is sent.
    pub(super) fn open_if_ready(&mut self, now: Duration, events: &mut VecDeque<TcpEvent>) {
        let is_ready = self.layers.as_ref().is_none_or(|layers| layers.is_ready());
        if self.told || self.phase != Phase::Open || !is_ready {
            return;
        }
        self.told = true;
        let &mut Self { id, local, remote, kind, peer, .. } = self;
        let names = self.layers.as_ref().map(|layers| layers.names()).unwrap_or_default();
        events.push_back(TcpEvent::Opened { id, local, remote, kind, peer, names });
        self.with_layers(now, Layers::release);
    }

    /// Starts to shake hands, where that is ours to do.
    pub(super) fn begin(&mut self, now: Duration) {
        self.with_layers(now, Layers::begin);
    }

    /// Says goodbye in every layer.
    pub(super) fn say_goodbye(&mut self, now: Duration) {
        if self.told {
            self.with_layers(now, Layers::close);
        }
    }

    /// Says the last word, and no more.
    fn part(&mut self, now: Duration, reason: CloseReason) -> Progress {
        self.parting = Some(reason);
        self.phase = Phase::Closing { since: now };
        Progress::Parting
    }

    /// Ends our side, once everything has been written.
    pub(super) fn end_ours(&self) {
        // It fails only when the connection is gone already, which reading will tell.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    fn with_layers(&mut self, now: Duration, act: impl FnOnce(&mut Layers, &mut Vec<u8>)) {
        if let Some(layers) = &mut self.layers {
            let mut raw = Vec::new();
            act(layers, &mut raw);
            self.enqueue(now, raw.into());
        }
    }

    fn enqueue(&mut self, now: Duration, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        if self.queue.is_empty() {
            self.last_written = now;
        }
        self.queued += bytes.len();
        self.queue.push_back(bytes);
    }

    pub(super) fn queue_is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues bytes; false when that would be more than `limit`.
    pub(super) fn push(&mut self, now: Duration, bytes: Bytes, limit: usize) -> bool {
        if self.queued + bytes.len() > limit {
            return false;
        }
        match &mut self.layers {
            None => self.enqueue(now, bytes),
            Some(layers) if !self.told => return layers.hold(bytes, limit),
            Some(_) => self.with_layers(now, |layers, raw| layers.send(bytes, raw)),
        }
        true
    }

    /// Looks whether the peer has accepted.
    pub(super) fn finish_connecting(&mut self, now: Duration) -> Progress {
        if let Ok(Some(error)) | Err(error) = self.stream.take_error() {
            return Progress::Over(CloseReason::Failed(error.kind()));
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.phase = Phase::Open;
                self.local = self.stream.local_addr().unwrap_or(self.local);
                self.last_heard = now;
                self.last_written = now;
                Progress::Done
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Progress::Waiting,
            Err(error) => Progress::Over(CloseReason::Failed(error.kind())),
        }
    }

    /// Reads until nothing is left or the budget is used up.
    pub(super) fn read(&mut self, now: Duration, scratch: &mut [u8], events: &mut VecDeque<TcpEvent>) -> Progress {
        let mut budget = READ_BUDGET;
        while budget > 0 {
            let room = scratch.len().min(budget);
            match self.stream.read(&mut scratch[..room]) {
                Ok(0) => return self.end_of_stream(now, self.layers.is_some() && !self.peer_ended),
                Ok(len) => {
                    // Shaking hands is no word: who only does that is as silent as who only connects.
                    self.heard_any |= self.layers.is_none();
                    self.last_heard = now;
                    budget -= len;
                    if matches!(self.phase, Phase::Closing { .. }) {
                        continue;
                    }
                    match self.take_in(now, &scratch[..len], events) {
                        Ok(()) => {}
                        Err(LayerEnd::Peer) => return self.end_of_stream(now, false),
                        Err(LayerEnd::Goodbye) => return self.part(now, CloseReason::Peer),
                        Err(LayerEnd::Broken(words)) => {
                            self.complain(&words);
                            return self.part(now, CloseReason::Broken);
                        }
                        Err(LayerEnd::Distrusted(why, words)) => {
                            self.distrust(why, words, events);
                            return self.part(now, CloseReason::Distrusted(why));
                        }
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Progress::Waiting,
                    io::ErrorKind::Interrupted => {}
                    kind => return Progress::Over(CloseReason::Failed(kind)),
                },
            }
        }
        Progress::Done
    }

    /// Tells what has arrived, once it is through the layers.
    fn take_in(&mut self, now: Duration, bytes: &[u8], events: &mut VecDeque<TcpEvent>) -> Result<(), LayerEnd> {
        let &mut Self { id, local, remote, kind, peer, .. } = self;
        let Some(layers) = &mut self.layers else {
            let bytes = Bytes::copy_from_slice(bytes);
            events.push_back(TcpEvent::Data { id, local, remote, kind, peer, bytes });
            return Ok(());
        };
        let (mut pieces, mut raw) = (Vec::new(), Vec::new());
        let result = layers.receive(bytes, &mut pieces, &mut raw);
        self.enqueue(now, raw.into());
        self.open_if_ready(now, events);
        self.heard_any |= !pieces.is_empty();
        events.extend(pieces.into_iter().map(|piece| match piece {
            Piece::Bytes(bytes) => TcpEvent::Data { id, local, remote, kind, peer, bytes },
            Piece::Message(bytes) => TcpEvent::Message { id, local, remote, kind, peer, bytes },
        }));
        result
    }

    /// Strangers fail at TLS all day; that we cannot reach somebody we want to reach is worth a line.
    fn complain(&self, why: &str) {
        let (remote, kind) = (self.remote, self.kind.name());
        if self.accepted {
            tracing::debug!(%remote, kind, why, "a connection was given up");
        } else {
            tracing::warn!(%remote, kind, why, "a connection could not be secured");
        }
    }

    /// A certificate is not believed. Whom we want to reach is worth a line; who comes may be anybody, and whoever drives
    /// this decides how much is said of him.
    fn distrust(&self, why: Distrust, words: String, events: &mut VecDeque<TcpEvent>) {
        let (remote, kind) = (self.remote, self.kind);
        if self.accepted {
            events.push_back(TcpEvent::TurnedAway { remote, kind, why, words });
        } else {
            tracing::warn!(%remote, kind = kind.name(), %words, "a connection could not be secured: {why}");
        }
    }

    /// The peer says nothing more. If it has said something a moment ago, it may wait for the answer; not so whom we have
    /// connected to, nor who is cut off: within TLS or a WebSocket the end is said.
    fn end_of_stream(&mut self, now: Duration, cut_off: bool) -> Progress {
        // A reset that comes after the end shows here alone.
        if let Ok(Some(error)) | Err(error) = self.stream.take_error() {
            return Progress::Over(CloseReason::Failed(error.kind()));
        }
        let may_wait = self.phase == Phase::Open && self.heard_any && now < self.last_heard + HALF_OPEN;
        let may_wait = may_wait && self.accepted && !cut_off;
        self.peer_ended = true;
        if may_wait { Progress::Waiting } else { Progress::Over(CloseReason::Peer) }
    }

    /// Writes until the queue is empty or the system takes no more.
    pub(super) fn write(&mut self, now: Duration) -> Progress {
        if matches!(self.phase, Phase::Connecting { .. }) || self.blocked {
            return Progress::Waiting;
        }
        while !self.queue.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let mut count = 0;
            for (slot, bytes) in pieces.iter_mut().zip(&self.queue) {
                *slot = IoSlice::new(bytes);
                count += 1;
            }
            match self.stream.write_vectored(&pieces[..count]) {
                Ok(written) => {
                    self.last_written = now;
                    self.forget(written);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.blocked = true;
                        return Progress::Waiting;
                    }
                    io::ErrorKind::Interrupted => {}
                    kind => return Progress::Over(CloseReason::Failed(kind)),
                },
            }
        }
        self.last_written = now;
        Progress::Done
    }

    fn forget(&mut self, mut written: usize) {
        self.queued -= written;
        while written > 0 {
            let Some(first) = self.queue.front_mut() else {
                return;
            };
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.queue.pop_front();
        }
    }

    /// When this connection has used up its time if nothing happens, and what that would mean.
    pub(super) fn deadline(&self, config: &ConnectionsConfig) -> (Duration, CloseReason) {
        let shaking = self.layers.as_ref().filter(|_| !self.told).map(|layers| layers.since);
        match self.phase {
            Phase::Open if let Some(since) = shaking => {
                (since + config.handshake_timeout, CloseReason::Failed(io::ErrorKind::TimedOut))
            }
            Phase::Connecting { since } => {
                (since + config.connect_timeout, CloseReason::Failed(io::ErrorKind::TimedOut))
            }
            Phase::Closing { since } => (since + LINGER, CloseReason::SlowPeer),
            Phase::Open if self.peer_ended => (self.last_heard + HALF_OPEN, CloseReason::Peer),
            Phase::Open if !self.queue.is_empty() => (self.last_written + config.stall_timeout, CloseReason::SlowPeer),
            Phase::Open if self.accepted && !self.heard_any => {
                (self.last_heard + config.silent_timeout, CloseReason::Silent)
            }
            Phase::Open => (self.last_heard.max(self.last_written) + config.idle_timeout, CloseReason::Idle),
        }
    }
}

/// What was sent and not acknowledged for this long ends the connection, even if nothing waits on our side.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Small messages go out at once, and a peer that has vanished is noticed.
fn tune(socket: &SockRef<'_>) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY).with_retries(4);
    for result in [
        socket.set_tcp_nodelay(true),
        socket.set_tcp_keepalive(&keepalive),
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED)),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "a TCP option is not available");
        }
    }
}
