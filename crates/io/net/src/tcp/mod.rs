//! TCP connections of one thread: accepted or opened, reused by remote address, and bounded.
//!
//! ```text
//!            accept ──────────────┐
//!                                 v            close(), queue not empty
//!  send(new remote) -> Connecting -> Open ──────────────────> Closing
//!                          │          │                          │
//!                refused, too slow    │ end, error, idle,        │ queue empty,
//!                          │          │ slow peer, close()       │ too slow
//!                          v          v                          v
//!                     Unreachable   Closed                     Closed
//! ```
//!
//! A peer that ends its side right after it has said something may still wait for the answer, so its connection stays open
//! for some seconds; what is new to that peer takes another connection.
//!
//! Whoever drives this calls a method, then takes [`Connections::poll_event`] until `None`. What is
//! sent is queued; [`Connections::flush`] writes it, several messages in one system call.

mod connection;
mod distrust;
mod event;
mod identity;
mod layers;
mod listener;
mod tls;
mod websocket;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use slab::Slab;

use connection::{Connection, Phase, Progress};
pub use distrust::Distrust;
use event::Key;
pub use event::{CloseReason, TcpEvent, Towards};
pub use identity::{MAX_NAME, MAX_NAMES};
use layers::Layers;
pub use layers::{StreamKind, StreamSetup};
pub use listener::{AcceptOutcome, Listener};
pub use websocket::{MAX_UPGRADE, MAX_WEBSOCKET_MESSAGE};

/// Connections open at once, by default.
pub const MAX_CONNECTIONS: usize = 10_000;

/// Bytes that may wait for one connection before its peer counts as too slow, by default.
pub const MAX_WRITE_QUEUE: usize = 1024 * 1024;

/// Bytes read from one connection before the others get their turn.
const READ_BUDGET: usize = 64 * 1024;

/// Connections accepted before the others get their turn.
const ACCEPT_BUDGET: usize = 64;

/// Reads of connections on which TLS is shaking hands, in one turn: each may cost the time of a signature, and calls
/// must not wait for a crowd.
pub const HANDSHAKES_A_TURN: usize = 4;

/// No deadline is looked at later than this, so that what is remembered of closed connections is
/// what was opened in one minute.
const RECHECK: Duration = Duration::from_secs(60);

/// Limits and time-outs of the connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionsConfig {
    /// Most connections. Default [`MAX_CONNECTIONS`].
    pub max: usize,
    /// Most connections accepted from one address, so that one peer cannot take all. Default half
    /// of [`MAX_CONNECTIONS`].
    pub max_per_source: usize,
    /// Bytes that may wait for one peer. Default [`MAX_WRITE_QUEUE`].
    pub max_write_queue: usize,
    /// How long opening may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long TLS and WebSocket may take to shake hands, both together. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a peer may take no byte of what waits for it. Default 30 s.
    pub stall_timeout: Duration,
    /// How long a peer that has connected may stay without a word. Default 30 s.
    pub silent_timeout: Duration,
    /// How long a connection may stay unused. Default 125 min: longer than the longest
    /// registration, which ends with its connection.
    pub idle_timeout: Duration,
}

impl Default for ConnectionsConfig {
    fn default() -> Self {
        Self {
            max: MAX_CONNECTIONS,
            max_per_source: MAX_CONNECTIONS / 2,
            max_write_queue: MAX_WRITE_QUEUE,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            silent_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(125 * 60),
        }
    }
}

/// All connections of one thread.
#[derive(Debug)]
pub struct Connections {
    config: ConnectionsConfig,
    first_token: usize,
    slots: Slab<Connection>,
    generation: u32,
    setup: StreamSetup,
    by_remote: HashMap<Key, usize>,
    accepted_from: HashMap<IpAddr, usize>,
    /// Have something to write that [`Connections::flush`] has not tried yet.
    to_flush: Vec<u64>,
    /// Had more to read than the budget.
    to_read: Vec<u64>,
    /// How many reads of this turn may still be spent on handshakes.
    handshakes: usize,
    deadlines: BinaryHeap<Reverse<(Duration, u64)>>,
    events: VecDeque<TcpEvent>,
    scratch: Box<[u8]>,
    refused: u64,
}

impl Connections {
    /// No connections yet. Their tokens are `first_token` and upwards.
    #[must_use]
    pub fn new(config: ConnectionsConfig, first_token: usize) -> Self {
        Self {
            config,
            first_token,
            slots: Slab::new(),
            generation: 0,
            setup: StreamSetup::default(),
            by_remote: HashMap::new(),
            accepted_from: HashMap::new(),
            to_flush: Vec::new(),
            to_read: Vec::new(),
            handshakes: HANDSHAKES_A_TURN,
            deadlines: BinaryHeap::new(),
            events: VecDeque::new(),
            scratch: vec![0; READ_BUDGET].into_boxed_slice(),
            refused: 0,
        }
    }

    /// Sets what TLS and WebSockets need to know, for connections from now on.
    pub fn set_up(&mut self, setup: StreamSetup) {
        self.setup = setup;
    }

    /// Connections there are, in any phase.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Connections turned away because a limit was reached, since the start.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// What has happened, oldest first.
    pub fn poll_event(&mut self) -> Option<TcpEvent> {
        self.events.pop_front()
    }

    /// Accepts who is waiting at `listener`, up to a budget.
    pub fn accept(&mut self, registry: &Registry, now: Duration, listener: &Listener) -> AcceptOutcome {
        self.accept_some(registry, now, listener, |_| true)
    }

    /// The same, but for those whose address is not admitted: they are closed at once.
    pub fn accept_some(
        &mut self,
        registry: &Registry,
        now: Duration,
        listener: &Listener,
        mut admits: impl FnMut(SocketAddr) -> bool,
    ) -> AcceptOutcome {
        for _ in 0..ACCEPT_BUDGET {
            match listener.accept() {
                Ok((_, remote)) if !admits(remote) => {}
                Ok((stream, remote)) => self.adopt(registry, now, stream, remote, listener.kind()),
                Err(error) => return AcceptOutcome::of(&error),
            }
        }
        AcceptOutcome::More
    }

    fn adopt(&mut self, registry: &Registry, now: Duration, stream: TcpStream, remote: SocketAddr, kind: StreamKind) {
        let from_there = self.accepted_from.get(&remote.ip()).copied().unwrap_or(0);
        if self.slots.len() >= self.config.max || from_there >= self.config.max_per_source {
            // Dropping the stream closes it; the peer sees that at once.
            self.refused += 1;
            return;
        }
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let layers = match Layers::accepted(kind, &self.setup, now) {
            Ok(layers) => layers,
            Err(error) => {
                tracing::error!(%error, "a connection cannot be secured");
                return;
            }
        };
        let mut connection = Connection::accepted(stream, local, remote, now);
        connection.wrap(kind, None, layers);
        if let Some(index) = self.insert(registry, now, connection).and_then(|id| self.index_of(id)) {
            *self.accepted_from.entry(remote.ip()).or_default() += 1;
            self.slots[index].open_if_ready(now, &mut self.events);
        }
    }

    /// Queues bytes for the connection `id`, or, without one, for any connection of that kind to that peer, opening one
    /// if there is none.
    pub fn send(&mut self, registry: &Registry, now: Duration, id: Option<u64>, to: Towards<'_>, bytes: Bytes) {
        let found = match id {
            Some(id) => self.index_of(id).ok_or(io::ErrorKind::NotConnected),
            None => match self.by_remote.get(&to.key()) {
                Some(index) => Ok(*index),
                None => self.open(registry, now, to),
            },
        };
        let index = match found {
            Ok(index) => index,
            Err(error) => {
                let Towards { kind, local, remote, peer, .. } = to;
                self.events.push_back(TcpEvent::Unreachable { id, local, remote, kind, peer, distrust: None, error });
                return;
            }
        };
        let limit = self.config.max_write_queue;
        let connection = &mut self.slots[index];
        if !connection.push(now, bytes, limit) {
            self.close_now(registry, index, CloseReason::SlowPeer);
        } else if !connection.awaits_flush {
            connection.awaits_flush = true;
            self.to_flush.push(connection.id);
        }
    }

    fn open(&mut self, registry: &Registry, now: Duration, to: Towards<'_>) -> Result<usize, io::ErrorKind> {
        if to.kind.is_websocket() {
            return Err(io::ErrorKind::NotConnected);
        }
        if self.slots.len() >= self.config.max {
            self.refused += 1;
            return Err(io::ErrorKind::QuotaExceeded);
        }
        let layers = match to.kind.has_tls() {
            true => Some(Layers::opened(&self.setup, to.name, to.remote, now).map_err(|error| {
                tracing::warn!(remote = %to.remote, %error, "no connection is tried");
                io::ErrorKind::InvalidInput
            })?),
            false => None,
        };
        let mut connection = Connection::connect(to.local, to.remote, now).map_err(|error| error.kind())?;
        connection.wrap(to.kind, to.peer, layers);
        let id = self.insert(registry, now, connection).ok_or(io::ErrorKind::OutOfMemory)?;
        self.index_of(id).ok_or(io::ErrorKind::NotConnected)
    }

    fn insert(&mut self, registry: &Registry, now: Duration, mut connection: Connection) -> Option<u64> {
        self.generation = self.generation.wrapping_add(1);
        let entry = self.slots.vacant_entry();
        let index = entry.key();
        let id = u64::from(self.generation) << 32 | index as u64;
        let token = Token(self.first_token + index);
        let interests = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = registry.register(&mut connection.stream, token, interests) {
            tracing::warn!(%error, "cannot watch a connection");
            return None;
        }
        connection.id = id;
        self.by_remote.insert(connection.key(), index);
        entry.insert(connection);
        self.arm(index, now);
        Some(id)
    }

    /// Closes a connection once what waits for it has been written.
    pub fn close(&mut self, registry: &Registry, now: Duration, id: u64) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        let connection = &mut self.slots[index];
        connection.say_goodbye(now);
        self.write(registry, now, index);
        let Some(index) = self.index_of(id) else {
            return;
        };
        let connection = &mut self.slots[index];
        if connection.queue_is_empty() {
            self.close_now(registry, index, CloseReason::Local);
        } else {
            connection.phase = Phase::Closing { since: now };
            self.arm(index, now);
        }
    }

    /// Handles one readiness event of a token that is ours.
    pub fn ready(&mut self, registry: &Registry, now: Duration, event: &Event) {
        let index = event.token().0.wrapping_sub(self.first_token);
        let Some(connection) = self.slots.get_mut(index) else {
            return;
        };
        if matches!(connection.phase, Phase::Connecting { .. }) {
            match connection.finish_connecting(now) {
                Progress::Waiting | Progress::Parting => return,
                Progress::Done => {
                    connection.begin(now);
                    connection.open_if_ready(now, &mut self.events);
                    self.arm(index, now);
                }
                Progress::Over(reason) => return self.close_now(registry, index, reason),
            }
        }
        if event.is_writable() {
            self.slots[index].blocked = false;
            self.write(registry, now, index);
        }
        let wants_read = event.is_readable() || event.is_read_closed() || event.is_error();
        if wants_read && self.slots.contains(index) {
            self.read(registry, now, index);
        }
    }

    /// Whether [`Connections::resume`] has work.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.to_read.is_empty()
    }

    /// Goes on reading where the budget ended a turn.
    pub fn resume(&mut self, registry: &Registry, now: Duration) {
        self.handshakes = HANDSHAKES_A_TURN;
        for id in std::mem::take(&mut self.to_read) {
            if let Some(index) = self.index_of(id) {
                self.read(registry, now, index);
            }
        }
    }

    fn read(&mut self, registry: &Registry, now: Duration, index: usize) {
        let Some(connection) = self.slots.get_mut(index) else {
            return;
        };
        if connection.awaits_tls() {
            if self.handshakes == 0 {
                self.to_read.push(connection.id);
                return;
            }
            self.handshakes -= 1;
        }
        let progress = connection.read(now, &mut self.scratch, &mut self.events);
        if !connection.queue_is_empty() && !connection.awaits_flush {
            connection.awaits_flush = true;
            self.to_flush.push(connection.id);
        }
        match progress {
            Progress::Waiting if connection.peer_ended => {
                // Good for an answer, and for nothing new.
                if self.by_remote.get(&connection.key()) == Some(&index) {
                    self.by_remote.remove(&connection.key());
                }
                self.arm(index, now);
            }
            Progress::Waiting => {}
            Progress::Done => self.to_read.push(connection.id),
            Progress::Parting => {
                self.to_read.push(connection.id);
                self.arm(index, now);
                self.write(registry, now, index);
            }
            Progress::Over(reason) => self.close_now(registry, index, reason),
        }
    }

    /// Writes what was queued since the last call.
    pub fn flush(&mut self, registry: &Registry, now: Duration) {
        let mut ids = std::mem::take(&mut self.to_flush);
        for id in ids.drain(..) {
            if let Some(index) = self.index_of(id) {
                self.slots[index].awaits_flush = false;
                self.write(registry, now, index);
            }
        }
        self.to_flush = ids;
    }

    fn write(&mut self, registry: &Registry, now: Duration, index: usize) {
        let connection = &mut self.slots[index];
        match connection.write(now) {
            Progress::Waiting | Progress::Parting => self.arm(index, now),
            Progress::Done => {
                if connection.parting.is_some() {
                    connection.end_ours();
                } else if matches!(connection.phase, Phase::Closing { .. }) {
                    self.close_now(registry, index, CloseReason::Local);
                }
            }
            Progress::Over(reason) => self.close_now(registry, index, reason),
        }
    }

    fn close_now(&mut self, registry: &Registry, index: usize, reason: CloseReason) {
        let mut connection = self.slots.remove(index);
        let reason = connection.parting.unwrap_or(reason);
        // Closing the descriptor would do, but a duplicate of it would keep the registration.
        let _ = registry.deregister(&mut connection.stream);
        if self.by_remote.get(&connection.key()) == Some(&index) {
            self.by_remote.remove(&connection.key());
        }
        if connection.accepted
            && let Some(count) = self.accepted_from.get_mut(&connection.remote.ip())
        {
            *count -= 1;
            if *count == 0 {
                self.accepted_from.remove(&connection.remote.ip());
            }
        }
        let ((id, local, remote), kind, peer) = (connection.ends(), connection.kind, connection.peer);
        if connection.accepted && !connection.told {
            return;
        }
        self.events.push_back(match connection.told {
            false => TcpEvent::Unreachable {
                id: None,
                local,
                remote,
                kind,
                peer,
                distrust: match reason {
                    CloseReason::Distrusted(why) => Some(why),
                    _ => None,
                },
                error: match reason {
                    CloseReason::Failed(error) => error,
                    CloseReason::SlowPeer => io::ErrorKind::QuotaExceeded,
                    CloseReason::Local => io::ErrorKind::ConnectionAborted,
                    CloseReason::Broken | CloseReason::Distrusted(_) => io::ErrorKind::InvalidData,
                    _ => io::ErrorKind::TimedOut,
                },
            },
            true => TcpEvent::Closed { id, local, remote, kind, peer, reason },
        });
    }

    fn index_of(&self, id: u64) -> Option<usize> {
        let index = (id & 0xFFFF_FFFF) as usize;
        let connection = self.slots.get(index)?;
        (connection.id == id).then_some(index)
    }

    /// When [`Connections::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// Closes whoever has used up its time.
    pub fn handle_timeout(&mut self, registry: &Registry, now: Duration) {
        while let Some(Reverse((at, id))) = self.deadlines.peek().copied() {
            if at > now {
                return;
            }
            self.deadlines.pop();
            let Some(index) = self.index_of(id) else {
                continue;
            };
            let connection = &mut self.slots[index];
            if connection.armed != Some(at) {
                continue;
            }
            connection.armed = None;
            let (deadline, reason) = connection.deadline(&self.config);
            if deadline <= now {
                self.close_now(registry, index, reason);
            } else {
                self.arm(index, now);
            }
        }
    }

    /// Makes sure that the deadline of a connection is looked at in time.
    fn arm(&mut self, index: usize, now: Duration) {
        let connection = &mut self.slots[index];
        let (deadline, _) = connection.deadline(&self.config);
        let at = deadline.min(now + RECHECK);
        if connection.armed.is_none_or(|armed| at < armed) {
            connection.armed = Some(at);
            self.deadlines.push(Reverse((at, connection.id)));
        }
    }
}
