//! Calls that move from one media thread to another, with their sockets and whatever is written for them.
//!
//! ```text
//!   MediaPlane ── Expect ──────────────▶ the new thread: keeps the call's orders until it is there
//!        └────── HandOver ─▶ the old one ── TakeOver ──▶ the new one
//!
//!   files:    the new thread's engine ── FileFor ──▶ the old one ──▶ its file thread
//!             the new one ◀── FileOf ── the old one ◀── FileReport
//!   ports:    the new thread, when the call is over ── PortBack ──▶ the old one
//! ```
//!
//! A file stays with the file thread that has it open, and a port with the pool that it is from; so a call that moves
//! once more leaves a chain behind it, which ends with the call.

use std::collections::HashMap;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use hookswitch_call::CallId;
use hookswitch_media::{FileId, FileOrder, FileReport, Moved, PortPair};

use super::sockets::Sockets;
use super::worker::Worker;
use super::{Order, call_of};
use crate::inbox::Inbox;

/// A media thread, as the others know it.
#[derive(Clone)]
pub(super) struct Neighbour {
    pub(super) number: usize,
    pub(super) orders: Arc<Inbox<Order>>,
}

/// A call on its way.
pub(super) struct Move {
    pub(super) call: Box<Moved>,
    pub(super) from: Neighbour,
    /// Its sockets, in the order of [`Moved::pairs`].
    pub(super) sockets: Vec<Carried>,
}

/// Two sockets on their way.
pub(super) struct Carried {
    pub(super) port: u16,
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    /// Whose pool the port goes back to.
    pub(super) home: Neighbour,
}

/// What a thread knows of calls that came to it, or went.
#[derive(Default)]
pub(super) struct Moves {
    /// Orders for calls that are on their way here.
    expected: HashMap<CallId, Vec<Order>>,
    /// Files of ours that are written for a call elsewhere.
    away: HashMap<FileId, Neighbour>,
    /// Files that are written by another thread, by their names there, and by ours.
    theirs: HashMap<(usize, FileId), FileId>,
    ours: HashMap<FileId, (Neighbour, FileId)>,
}

impl Moves {
    /// A call is on its way here.
    pub(super) fn expect(&mut self, call: CallId) {
        self.expected.insert(call, Vec::new());
    }

    /// Keeps an order for a call that is on its way; gives back any other.
    #[inline]
    pub(super) fn keep(&mut self, order: Order) -> Option<Order> {
        if self.expected.is_empty() {
            return Some(order);
        }
        let call = match &order {
            Order::Op(op) => call_of(op),
            Order::Stats(call, _) | Order::HandOver(call, _) => *call,
            _ => return Some(order),
        };
        match self.expected.get_mut(&call) {
            Some(waiting) => {
                waiting.push(order);
                None
            }
            None => Some(order),
        }
    }

    /// It has come, or will not; what was ordered meanwhile.
    fn arrived(&mut self, call: CallId) -> Vec<Order> {
        self.expected.remove(&call).unwrap_or_default()
    }
}

impl Worker {
    /// Gives a call to another thread. One that is not here is told of all the same: what is ordered there is refused then.
    pub(super) fn hand_over(&mut self, now: std::time::Duration, call: CallId, to: &Neighbour) {
        let moved = self.engine.hand_over(now, call).map(|moved| {
            let files: Vec<_> = moved.files().collect();
            self.moves.away.extend(files.into_iter().map(|file| (file, to.clone())));
            let pairs: Vec<_> = moved.pairs().collect();
            let sockets = pairs.into_iter().filter_map(|pair| self.sockets.release(pair)).collect();
            Move { call: moved, from: self.here.clone(), sockets }
        });
        to.orders.push_always(Order::TakeOver(call, moved.map(Box::new)));
    }

    /// Takes a call that another thread has given, and carries out what was ordered for it meanwhile.
    pub(super) fn take_over(&mut self, now: std::time::Duration, call: CallId, moved: Option<Box<Move>>) {
        if let Some(moved) = moved {
            let Move { call: moved, from, sockets } = *moved;
            let before: Vec<_> = moved.files().collect();
            match self.sockets.adopt(sockets) {
                Ok(pairs) => {
                    let files = self.engine.take_over(now, *moved, &pairs);
                    for (before, file) in before.into_iter().zip(files) {
                        self.moves.theirs.insert((from.number, before), file);
                        self.moves.ours.insert(file, (from.clone(), before));
                    }
                }
                // Its next order is refused, and so it ends.
                Err(error) => tracing::warn!(%call, %error, "a call is lost on its way to another media thread"),
            }
        }
        for order in self.moves.arrived(call).into_iter().rev() {
            self.taken.push_front(order);
        }
    }

    /// Passes an order for a file on to whoever has it open.
    pub(super) fn order_file(&mut self, now: std::time::Duration, mut order: FileOrder) {
        if let Some((home, name)) = self.moves.ours.get(&order.file()) {
            order.rename(*name);
            home.orders.push_always(Order::FileFor(order));
            return;
        }
        let ordered = match &self.files {
            Some(files) => files.order(order),
            None => order.refused(hookswitch_media::FileError::Busy).map_or(Ok(()), Err),
        };
        if let Err(refused) = ordered {
            self.file_done(now, refused);
        }
    }

    /// Passes on what was done with a file to whoever has ordered it.
    pub(super) fn file_done(&mut self, now: std::time::Duration, report: FileReport) {
        let file = report.file();
        let Some(elsewhere) = self.moves.away.get(&file) else {
            self.engine.file_done(now, report);
            return;
        };
        let is_last = report.is_last();
        elsewhere.orders.push_always(Order::FileOf(self.here.number, report));
        if is_last {
            self.moves.away.remove(&file);
        }
    }

    /// The same of a file that another thread writes for a call that came from there.
    pub(super) fn file_of(&mut self, now: std::time::Duration, from: usize, mut report: FileReport) {
        let theirs = (from, report.file());
        let Some(ours) = self.moves.theirs.get(&theirs).copied() else { return };
        if report.is_last() {
            self.moves.theirs.remove(&theirs);
            self.moves.ours.remove(&ours);
        }
        report.rename(ours);
        self.file_done(now, report);
    }
}

impl Sockets {
    /// Lets go of two sockets, which stay open.
    pub(super) fn release(&mut self, pair: PortPair) -> Option<Carried> {
        let [rtp, rtcp] = [pair.rtp, pair.rtcp].map(|number| self.let_go(number));
        let home = self.strangers.remove(&pair.port).unwrap_or_else(|| self.here.clone());
        Some(Carried { port: pair.port, rtp: rtp?, rtcp: rtcp?, home })
    }

    /// Takes sockets in that another thread has let go of. On an error all of them are closed.
    pub(super) fn adopt(&mut self, sockets: Vec<Carried>) -> io::Result<Vec<PortPair>> {
        let mut pairs = Vec::with_capacity(sockets.len());
        let mut failed = Ok(());
        for Carried { port, rtp, rtcp, home } in sockets {
            if home.number != self.here.number {
                self.strangers.insert(port, home);
            }
            let numbers = self.watch(rtp).and_then(|rtp| Ok((rtp, self.watch(rtcp)?)));
            match numbers {
                Ok((rtp, rtcp)) => {
                    self.directs.expect(rtp);
                    pairs.push(PortPair { rtp, rtcp, port });
                }
                Err(error) => {
                    failed = Err(error);
                    self.give_port_back(port);
                }
            }
        }
        match failed {
            Ok(()) => Ok(pairs),
            Err(error) => {
                pairs.into_iter().for_each(|pair| hookswitch_media::Ports::give_back(self, pair));
                Err(error)
            }
        }
    }
}
