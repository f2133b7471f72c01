//! Watch over bindings: OPTIONS to every phone in turn, and what follows from its silence.
//!
//! ```text
//!            unanswered pings, or the flow is lost
//!   FRESH ────────────────────────────────────────▶ STALE ──── more unanswered pings ──▶ removed: unreachable
//!     ▲                                               │
//!     └───── any answer, a REGISTER, a keep-alive ────┘
//! ```
//!
//! A stale binding is called only when its user has no other. Pings go out evenly: each binding starts at its own point of
//! the interval, and no more than twice the average leave in any [`TICK`], so that ten thousand phones that register within a
//! second, or come out of a store, are not pinged within a second.

use std::net::SocketAddr;
use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_sip_msg::Uri;
use smallvec::SmallVec;

use super::table::Slot;
use super::{Binding, Change, Registrar, RegistrarConfig, RemovedWhy};
use crate::Time;
use crate::transport::Flow;

/// The piece of time over which pings are counted out.
pub const TICK: Time = Time::from_millis(20);
/// Most bindings on one connection for which a keep-alive on it speaks. A connection with more is that of a proxy, whose
/// keep-alives say nothing about the phones behind it.
pub const MAX_SPOKEN_FOR: usize = 4;

/// What is known of a binding from watching it. Not stored: after a restart every binding is fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// When the phone was last heard.
    pub heard_at: Time,
    /// Since when the binding is stale. `None` while it is fresh.
    pub stale_since: Option<Time>,
    /// Pings in a row without an answer.
    pub unanswered: u16,
}

/// Why a binding is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleWhy {
    /// Pings stay without an answer.
    Silent,
    /// Its connection is closed, or the network says that nobody is there.
    FlowLost,
}

/// A ping to send: OPTIONS through the flow of a binding. Its end is told by [`Registrar::pinged`], exactly once.
#[derive(Clone, Debug)]
pub struct Ping {
    /// The key of the binding.
    pub key: u64,
    /// The address of record.
    pub aor: Arc<str>,
    /// Request-URI.
    pub contact: Arc<str>,
    /// The Route set.
    pub path: SmallVec<[CompactString; 2]>,
    /// Where to send; without one wherever the Path leads, or without that the contact.
    pub flow: Option<Flow>,
    /// The contact leads nowhere: its phone is reached over a flow that it keeps, or not at all.
    pub keeps_flow: bool,
    /// When it was due to be sent; to be given back.
    pub sent_at: Time,
}

/// What came of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pong {
    /// The phone has answered, whatever.
    Answered,
    /// Nobody has answered in time.
    Silence,
    /// The flow is no more: the network refuses, or the proxy that held it says so (430, RFC 5626 section 5.3.1).
    FlowLost,
    /// It was not sent, for reasons of our own.
    NotSent,
}

/// The clock of the pings.
#[derive(Debug, Default)]
pub(super) struct Pace {
    tick_at: Time,
    left: usize,
    /// Pings without an end.
    pub(super) under_way: usize,
}

impl Pace {
    fn may_send_at(&self, due: Time, config: &RegistrarConfig) -> Option<Time> {
        if self.under_way >= config.max_pings {
            return None;
        }
        Some(if self.left == 0 { due.max(self.tick_at.saturating_add(TICK)) } else { due })
    }

    /// Takes one place in the present tick, if there is one.
    fn take(&mut self, now: Time, bindings: usize, config: &RegistrarConfig) -> bool {
        if now >= self.tick_at.saturating_add(TICK) {
            let average = bindings as u128 * TICK.as_nanos() / config.options_ping.as_nanos().max(1);
            (self.tick_at, self.left) = (now, usize::try_from(2 * average).unwrap_or(usize::MAX).max(1));
        }
        if self.left == 0 || self.under_way >= config.max_pings {
            return false;
        }
        self.left -= 1;
        self.under_way += 1;
        true
    }
}

impl Registrar {
    /// The next ping that is due.
    pub fn poll_ping(&mut self, now: Time) -> Option<Ping> {
        let (at, slot) = self.table.next_ping().filter(|(at, _)| *at <= now)?;
        if !self.pace.take(now, self.table.bindings(), &self.config) {
            return None;
        }
        debug_assert!(at <= now);
        self.table.schedule_ping(slot, None);
        let binding = self.table.get(slot);
        Some(Ping {
            key: key(slot, binding),
            aor: Arc::clone(&binding.aor),
            contact: Arc::clone(&binding.contact),
            path: binding.path.iter().map(|hop| CompactString::from(hop.as_ref())).collect(),
            flow: binding.flow,
            keeps_flow: binding.keeps_flow(),
            sent_at: now,
        })
    }

    /// When the next ping may be sent.
    pub(super) fn next_ping(&self) -> Option<Time> {
        let (due, _) = self.table.next_ping()?;
        self.pace.may_send_at(due, &self.config)
    }

    /// Takes the end of a ping that was sent at `sent_at`.
    pub fn pinged(&mut self, now: Time, key: u64, sent_at: Time, pong: Pong) {
        self.pace.under_way = self.pace.under_way.saturating_sub(1);
        let Some(slot) = self.slot_of(key) else { return };
        let next = sent_at.saturating_add(self.config.options_ping);
        if !self.table.has_ping(slot) && !self.config.options_ping.is_zero() {
            self.table.schedule_ping(slot, Some(next.max(now)));
        }
        // A phone that was heard meanwhile is there, by whichever way.
        let heard_since = self.table.get(slot).life.heard_at > sent_at;
        match pong {
            Pong::Answered => self.heard(now, slot),
            Pong::Silence if !heard_since => self.unanswered(now, slot, StaleWhy::Silent),
            Pong::FlowLost if !heard_since => self.unanswered(now, slot, StaleWhy::FlowLost),
            Pong::Silence | Pong::FlowLost | Pong::NotSent => {}
        }
    }

    /// How many pings have no end yet. At most [`RegistrarConfig::max_pings`].
    pub fn pings_under_way(&self) -> usize {
        self.pace.under_way
    }

    /// Something has come over a connection: who has registered over it is there. Datagrams do not count, because
    /// anybody can send them from any address, and neither does a proxy's connection or one with a Path.
    pub fn flow_heard(&mut self, now: Time, flow: Flow) {
        let Some(connection) = flow.conn else { return };
        let slots: SmallVec<[Slot; MAX_SPOKEN_FOR]> =
            self.table.on_connection(connection).take(MAX_SPOKEN_FOR + 1).collect();
        if slots.len() <= MAX_SPOKEN_FOR {
            for slot in slots {
                if self.table.get(slot).path.is_empty() {
                    self.heard(now, slot);
                }
            }
        }
    }

    /// The binding's connection is closed. Nobody can open another one to a phone behind a NAT, nor to one that promised
    /// to keep its flow (RFC 5626 section 4.2.1), which will register anew; only where the contact is the very address
    /// that it came from is there hope. A proxy may close its connections as it likes: it is found by the Path.
    pub(super) fn flow_closed(&mut self, now: Time, slot: Slot) {
        let binding = self.table.get(slot);
        if !binding.path.is_empty() {
            return;
        }
        if binding.keeps_flow() {
            self.remove(slot, RemovedWhy::Unreachable);
        } else if !names(&binding.contact, binding.source) {
            self.make_stale(now, slot, StaleWhy::FlowLost);
        }
    }

    /// When a new binding is first pinged: anywhere in its first interval.
    pub(super) fn first_ping(&self, slot: Slot, from: Time) -> Option<Time> {
        // Multiples of the golden ratio fill the interval evenly, in whichever order slots come and go.
        const GOLDEN: u32 = 0x9E37_79B9;
        let interval = self.config.options_ping;
        (!interval.is_zero()).then(|| {
            let part = f64::from((slot as u32).wrapping_add(1).wrapping_mul(GOLDEN)) / f64::from(u32::MAX);
            from.saturating_add(interval.mul_f64(part))
        })
    }

    fn heard(&mut self, now: Time, slot: Slot) {
        let life = self.table.life_mut(slot);
        life.heard_at = now;
        life.unanswered = 0;
        if life.stale_since.take().is_some() {
            self.revived(slot);
        }
    }

    pub(super) fn revived(&mut self, slot: Slot) {
        let Binding { aor, id, contact, .. } = self.table.get(slot);
        let change = Change::Revived { aor: Arc::clone(aor), id: *id, contact: Arc::clone(contact) };
        self.tell(change);
    }

    fn unanswered(&mut self, now: Time, slot: Slot, why: StaleWhy) {
        if why == StaleWhy::FlowLost && self.table.get(slot).keeps_flow() {
            return self.remove(slot, RemovedWhy::Unreachable);
        }
        let config = &self.config;
        let (limit, stale_after, stale_time) = (config.unreachable_after, config.stale_after, config.stale_time);
        let life = self.table.life_mut(slot);
        life.unanswered = life.unanswered.saturating_add(1);
        let count = life.unanswered;
        let silent_for = now.saturating_sub(life.heard_at);
        if limit > 0 && count >= limit {
            return self.remove(slot, RemovedWhy::Unreachable);
        }
        if why == StaleWhy::FlowLost || count >= stale_after || silent_for >= stale_time {
            self.make_stale(now, slot, why);
        }
    }

    pub(super) fn make_stale(&mut self, now: Time, slot: Slot, why: StaleWhy) {
        let life = self.table.life_mut(slot);
        if life.stale_since.is_some() {
            return;
        }
        life.stale_since = Some(now);
        let Binding { aor, id, contact, .. } = self.table.get(slot);
        let change = Change::Stale { aor: Arc::clone(aor), id: *id, contact: Arc::clone(contact), why };
        self.tell(change);
    }
}

/// The key of the binding in a slot.
pub(super) fn key(slot: Slot, binding: &Binding) -> u64 {
    (slot as u64) << 32 | u64::from(binding.id.0 as u32)
}

/// Whether a contact is at the host where its REGISTER came from.
fn names(contact: &str, source: SocketAddr) -> bool {
    Uri::parse(contact).ok().and_then(|uri| uri.host.ip()) == Some(source.ip())
}
