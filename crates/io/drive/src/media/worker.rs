//! The loop of one media thread.
//!
//! Per packet: one system call to receive, the engine, one to send; no allocation, no lock. The clock is read once per
//! turn, which serves all packets that have arrived meanwhile.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;
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

/// A busy thread lets packets gather for this long before it looks again: waking up for each of them would cost more
/// than relaying it. A quarter of a millisecond is nothing to a conversation.
const GATHER: Duration = Duration::from_micros(250);

/// A thread is busy when this many packets came in the last [`WINDOW`]: 20,000 a second, 200 calls.
const BUSY: u32 = 400;

/// Over which packets are counted to tell whether a thread is busy.
const WINDOW: Duration = Duration::from_millis(20);

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
    load: Load,
    /// How long a party may be silent before that is reported; zero means for ever.
    patience: Duration,
    /// When silent parties are looked for next.
    look_at: Duration,
}

/// How many packets come.
#[derive(Default)]
struct Load {
    window_ends: Duration,
    packets: u32,
    is_busy: bool,
}

impl Load {
    fn tick(&mut self, now: Duration) {
        if now >= self.window_ends {
            // A window that nobody looked at for long was a quiet one.
            self.is_busy = self.packets >= BUSY && now < self.window_ends + WINDOW;
            self.packets = 0;
            self.window_ends = now + WINDOW;
        }
    }
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
        let patience = config.rtp_timeout;
        Ok(Self {
            poll,
            engine: Engine::new(config, seed),
            sockets: Sockets::new(pool, registry),
            clock,
            orders,
            report,
            taken: VecDeque::new(),
            unfinished: Vec::new(),
            load: Load::default(),
            patience,
            look_at: Duration::ZERO,
        })
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut buffer = [0_u8; MAX_PACKET];
        loop {
            let wait = self.wait();
            if self.load.is_busy && wait.is_none_or(|wait| wait > GATHER) {
                thread::sleep(GATHER);
            }
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a media thread cannot wait for packets and ends");
                return;
            }
            let now = self.clock.now();
            self.load.tick(now);
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
            self.look_for_silence(now);
            self.tell();
        }
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
    fn relay(&mut self, now: Duration, number: SocketIx, buffer: &mut [u8; MAX_PACKET]) {
        for _ in 0..READ_BUDGET {
            let Some(socket) = self.sockets.get(number) else { return };
            let (len, from) = match socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            self.load.packets += 1;
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
