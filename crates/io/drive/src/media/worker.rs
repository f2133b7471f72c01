//! The loop of one media thread.
//!
//! Per packet: with io_uring no system call, with epoll one to receive and one to send; the engine; no allocation, no
//! lock. The clock is read once per turn, which serves all packets that have arrived meanwhile.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_media::{Engine, EngineConfig, Forward, SocketIx};
use hookswitch_net::{Happened, PortPool, UdpRing, thread_cpu_time};
use mio::{Events, Poll, Registry};

use super::direct::{Directs, Way};
use super::sockets::{Sockets, Watch};
use super::{MediaIo, MediaTotals, Order, ReportSink, WAKER};
use crate::clock::Clock;
use crate::inbox::Inbox;

/// Readiness events taken by one system call.
const EVENTS: usize = 1_024;

/// Packets read from one socket before the others get their turn.
const READ_BUDGET: usize = 32;

/// Orders carried out before packets get their turn.
const ORDER_BUDGET: usize = 64;

/// Longest packet relayed, in bytes: more than any Ethernet carries unfragmented. Longer ones are dropped.
const MAX_PACKET: usize = 2_048;

pub(super) struct Worker {
    poll: Poll,
    events: Events,
    buffer: Box<[u8; MAX_PACKET]>,
    engine: Engine,
    sockets: Sockets,
    clock: Clock,
    orders: Arc<Inbox<Order>>,
    report: ReportSink,
    /// Orders taken and not yet carried out.
    taken: VecDeque<Order>,
    /// Sockets whose budget ended before their packets did.
    unfinished: Vec<SocketIx>,
    /// How long a party may be silent before that is reported; zero means for ever.
    patience: Duration,
    /// When silent parties are looked for next.
    look_at: Duration,
}

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) poll: Poll,
    pub(super) registry: Registry,
    pub(super) pool: PortPool,
    pub(super) engine: EngineConfig,
    pub(super) io: MediaIo,
    pub(super) most_directs: usize,
    pub(super) seed: u64,
    pub(super) clock: Clock,
    pub(super) orders: Arc<Inbox<Order>>,
    pub(super) report: ReportSink,
}

impl Worker {
    /// To be called by the thread that runs it: a ring belongs to its thread.
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { poll, registry, pool, engine, io, most_directs, seed, clock, orders, report } = parts;
        let ring = ring(io, pool.size(), &poll);
        let directs = Directs::new(slots(pool.size()), most_directs);
        let watch = ring.map_or(Watch::Epoll(registry), |ring| Watch::Ring(Box::new(ring)));
        let patience = engine.rtp_timeout;
        Self {
            poll,
            events: Events::with_capacity(EVENTS),
            buffer: Box::new([0; MAX_PACKET]),
            engine: Engine::new(engine, seed),
            sockets: Sockets::new(pool, watch, directs),
            clock,
            orders,
            report,
            taken: VecDeque::new(),
            unfinished: Vec::new(),
            patience,
            look_at: Duration::ZERO,
        }
    }

    /// Relays until it is told to stop.
    ///
    /// # Errors
    /// The system does not let it wait for packets any more.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let wait = self.wait();
            let now = match self.sockets.watch {
                Watch::Epoll(_) => self.turn_by_epoll(wait)?,
                Watch::Ring(_) => self.turn_by_ring(wait)?,
            };
            // Events of this turn are done with, so sockets may be closed and their numbers used again.
            if !self.carry_out_orders(now) {
                return Ok(());
            }
            if self.engine.next_tick().is_some_and(|at| at <= now) {
                let sockets = &self.sockets;
                self.engine.tick(now, &mut |socket, to, packet| {
                    if let Some(socket) = sockets.get(socket) {
                        let _ = socket.send_to(packet, to);
                    }
                });
            }
            self.look_for_silence(now);
            self.tell();
        }
    }

    /// Waits for packets and relays them; returns the time at which they were looked at.
    fn turn_by_epoll(&mut self, wait: Option<Duration>) -> io::Result<Duration> {
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = self.clock.now();
        for socket in std::mem::take(&mut self.unfinished) {
            self.relay(now, socket);
        }
        // Taken out while its sockets are read.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            if event.token() == WAKER {
                self.orders.take(&mut self.taken);
            } else if let Some(socket) = Sockets::of(event.token()) {
                self.relay(now, socket);
            }
        }
        self.events = events;
        Ok(now)
    }

    /// The same, by a ring.
    fn turn_by_ring(&mut self, wait: Option<Duration>) -> io::Result<Duration> {
        let Sockets { watch: Watch::Ring(ring), directs, .. } = &mut self.sockets else { return Ok(self.clock.now()) };
        ring.wait(wait)?;
        let now = self.clock.now();
        while let Some(happened) = ring.poll_happened() {
            let arrival = match happened {
                Happened::Packet(arrival) => arrival,
                Happened::Failed(slot) => {
                    directs.give_up(slot);
                    continue;
                }
                Happened::Ready => {
                    self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
                    self.orders.take(&mut self.taken);
                    continue;
                }
            };
            let (number, from) = (directs.beside(arrival.slot), arrival.from);
            match self.engine.handle_packet(now, number, from, ring.bytes(&arrival)) {
                Forward::Send { socket, to, len } => match directs.way(socket, to) {
                    Way::Addressed => ring.send(arrival, socket.0, Some(to), len),
                    Way::Direct(slot) => ring.send(arrival, slot, None, len),
                },
                Forward::Drop(_) => ring.give_back(arrival),
            }
        }
        self.sockets.settle_directs();
        Ok(now)
    }

    /// How long there is nothing to do unless something comes.
    fn wait(&self) -> Option<Duration> {
        if !self.taken.is_empty() || !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let look_at = self.has_calls().then_some(self.look_at);
        let next = [self.engine.next_tick(), look_at].into_iter().flatten().min()?;
        Some(next.saturating_sub(self.clock.now()))
    }

    /// Whether there is anybody who could be silent.
    fn has_calls(&self) -> bool {
        !self.patience.is_zero() && self.sockets.usage().0 > 0
    }

    /// Reports parties of which nothing has been heard for too long. Looks at every call, so not often.
    fn look_for_silence(&mut self, now: Duration) {
        if now >= self.look_at && self.has_calls() {
            self.engine.report_silence(now);
            self.look_at = now + self.patience;
        }
    }

    /// Passes on what has arrived at one socket.
    #[inline]
    fn relay(&mut self, now: Duration, number: SocketIx) {
        let buffer = &mut self.buffer[..];
        for _ in 0..READ_BUDGET {
            let Some(socket) = self.sockets.get(number) else { return };
            let (len, from) = match socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            // One that fills the buffer may have lost its end.
            let Some(packet) = buffer.get_mut(..len).filter(|_| len < MAX_PACKET) else { continue };
            if let Forward::Send { socket, to, len } = self.engine.handle_packet(now, number, from, packet)
                && let (Some(socket), Some(packet)) = (self.sockets.get(socket), buffer.get(..len))
            {
                // A full buffer or an unreachable phone loses the packet, as any network would.
                let _ = socket.send_to(packet, to);
            }
        }
        self.unfinished.push(number);
    }

    /// Carries out what has been ordered, up to a budget. False when it is time to stop.
    fn carry_out_orders(&mut self, now: Duration) -> bool {
        for _ in 0..ORDER_BUDGET {
            match self.taken.pop_front() {
                Some(Order::Op(op)) => self.engine.perform(now, op, &mut self.sockets),
                Some(Order::Totals(answer)) => {
                    // Whoever asked may have given up meanwhile.
                    let _ = answer.send(self.totals());
                }
                Some(Order::Stats(call, answer)) => {
                    let _ = answer.send(self.engine.stats(call));
                }
                Some(Order::Stop) => return false,
                None => return true,
            }
        }
        true
    }

    fn tell(&mut self) {
        while let Some(report) = self.engine.poll_report() {
            (self.report)(report);
        }
        while let Some(stats) = self.engine.poll_closed() {
            let (caller, callee) = (&stats.caller, &stats.callee);
            tracing::debug!(
                call = %stats.call,
                caller_received = caller.received_packets,
                caller_sent = caller.sent_packets,
                caller_dropped = caller.dropped_total(),
                callee_received = callee.received_packets,
                callee_sent = callee.sent_packets,
                callee_dropped = callee.dropped_total(),
                "media closed"
            );
        }
    }

    fn totals(&self) -> MediaTotals {
        let (ports_taken, ports) = self.sockets.usage();
        let (user, system) = thread_cpu_time();
        let direct = self.sockets.directs.len();
        MediaTotals { counted: self.engine.totals(), ports_taken, ports, direct, user, system }
    }
}

/// Sockets of so many pairs of ports.
fn slots(pairs: usize) -> u32 {
    u32::try_from(pairs.saturating_mul(2)).unwrap_or(u32::MAX)
}

/// A ring for so many pairs of ports, where that is wanted and possible.
fn ring(io: MediaIo, pairs: usize, poll: &Poll) -> Option<UdpRing> {
    if io == MediaIo::Epoll {
        return None;
    }
    let slots = slots(pairs);
    // One more for each RTP socket, where the limit of descriptors allows it.
    let with_directs = slots.saturating_add(slots / 2);
    match UdpRing::new(with_directs).or_else(|_| UdpRing::new(slots)) {
        Ok(mut ring) => {
            ring.watch_descriptor(poll);
            Some(ring)
        }
        Err(error) => {
            if io == MediaIo::Ring {
                tracing::warn!(%error, "io_uring was asked for and is not to be had: media goes through epoll");
            }
            None
        }
    }
}
