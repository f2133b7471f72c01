//! The loop of one media thread.
//!
//! Per packet: one system call to receive, the engine, one to send; no allocation, no lock. The clock is read once per
//! turn, which serves all packets that have arrived meanwhile.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_media::{Engine, EngineConfig, Forward, SocketIx};
use hookswitch_net::{PortPool, thread_cpu_time};
use mio::{Events, Poll};

use super::sockets::Sockets;
use super::{MediaTotals, Order, ReportSink, WAKER};
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
    engine: Engine,
    sockets: Sockets,
    clock: Clock,
    orders: Arc<Inbox<Order>>,
    report: ReportSink,
    /// Orders taken and not yet carried out.
    taken: VecDeque<Order>,
    /// Sockets whose budget ended before their packets did.
    unfinished: Vec<SocketIx>,
}

impl Worker {
    pub(super) fn new(
        poll: Poll,
        pool: PortPool,
        config: EngineConfig,
        seed: u64,
        clock: Clock,
        orders: Arc<Inbox<Order>>,
        report: ReportSink,
    ) -> io::Result<Self> {
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            poll,
            engine: Engine::new(config, seed),
            sockets: Sockets::new(pool, registry),
            clock,
            orders,
            report,
            taken: VecDeque::new(),
            unfinished: Vec::new(),
        })
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut buffer = [0_u8; MAX_PACKET];
        loop {
            let wait = self.wait();
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a media thread cannot wait for packets and ends");
                return;
            }
            let now = self.clock.now();
            for socket in std::mem::take(&mut self.unfinished) {
                self.relay(now, socket, &mut buffer);
            }
            for event in &events {
                if event.token() == WAKER {
                    self.orders.take(&mut self.taken);
                } else if let Some(socket) = Sockets::of(event.token()) {
                    self.relay(now, socket, &mut buffer);
                }
            }
            // Events of this turn are done with, so sockets may be closed and their numbers used again.
            if !self.carry_out_orders(now) {
                return;
            }
            if self.engine.next_tick().is_some_and(|at| at <= now) {
                let sockets = &self.sockets;
                self.engine.tick(now, &mut |socket, to, packet| {
                    if let Some(socket) = sockets.get(socket) {
                        let _ = socket.send_to(packet, to);
                    }
                });
            }
            self.tell();
        }
    }

    /// How long there is nothing to do unless something comes.
    fn wait(&self) -> Option<Duration> {
        if !self.taken.is_empty() || !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        self.engine.next_tick().map(|at| at.saturating_sub(self.clock.now()))
    }

    /// Passes on what has arrived at one socket.
    #[inline]
    fn relay(&mut self, now: Duration, number: SocketIx, buffer: &mut [u8; MAX_PACKET]) {
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
        MediaTotals { counted: self.engine.totals(), ports_taken, ports, user, system }
    }
}
