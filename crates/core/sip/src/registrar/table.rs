//! Where bindings live: one slab, and the indexes into it.

use std::collections::{BTreeSet, HashMap};

use ahash::RandomState;
use compact_str::CompactString;
use slab::Slab;
use smallvec::SmallVec;

use super::aor::split;
use super::binding::Binding;
use super::queue::Queue;
use super::watch::Life;
use crate::Time;
use crate::transport::{ConnId, Flow};

/// Place of a binding in the slab; valid until that binding is removed.
pub(super) type Slot = usize;

/// The bindings of one address of record, in no order. Nearly every user has one or two.
type Slots = SmallVec<[Slot; 2]>;

type Map<K, V> = HashMap<K, V, RandomState>;

/// All bindings, found by address of record, by expiry and by connection.
#[derive(Debug)]
pub(super) struct Table {
    bindings: Slab<Binding>,
    /// By domain, then by user.
    domains: Map<CompactString, Map<CompactString, Slots>>,
    users: usize,
    timers: Queue,
    /// By the time of their next ping; empty without pings.
    pings: Queue,
    /// By number of the connection; a proxy may bring thousands of phones over one.
    connections: BTreeSet<(ConnId, Slot)>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            bindings: Slab::new(),
            domains: HashMap::with_hasher(hasher()),
            users: 0,
            timers: Queue::default(),
            pings: Queue::default(),
            connections: BTreeSet::new(),
        }
    }

    pub(super) fn bindings(&self) -> usize {
        self.bindings.len()
    }

    pub(super) fn users(&self) -> usize {
        self.users
    }

    /// Names of domains with at least one binding.
    pub(super) fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.keys().map(CompactString::as_str)
    }

    /// How many users of a domain have bindings.
    pub(super) fn users_in(&self, domain: &str) -> usize {
        self.domains.get(domain).map_or(0, Map::len)
    }

    /// Users of a domain with their bindings.
    pub(super) fn users_of(&self, domain: &str) -> impl Iterator<Item = (&str, &[Slot])> {
        let users = self.domains.get(domain).into_iter().flatten();
        users.map(|(user, slots)| (user.as_str(), slots.as_slice()))
    }

    /// Bindings of one address of record.
    pub(super) fn slots(&self, aor: &str) -> &[Slot] {
        let (user, domain) = split(aor);
        self.domains.get(domain).and_then(|users| users.get(user)).map_or(&[], |slots| slots.as_slice())
    }

    /// The binding in a slot.
    pub(super) fn get(&self, slot: Slot) -> &Binding {
        // Slots come from the indexes only, which `remove` keeps free of dead ones.
        &self.bindings[slot]
    }

    /// The binding in a slot that may be empty.
    pub(super) fn find(&self, slot: Slot) -> Option<&Binding> {
        self.bindings.get(slot)
    }

    /// Armed timers.
    pub(super) fn timers(&self) -> usize {
        self.timers.len()
    }

    /// The earliest expiry and its slot.
    pub(super) fn next_expiry(&self) -> Option<(Time, Slot)> {
        self.timers.first()
    }

    /// The earliest ping and its slot.
    pub(super) fn next_ping(&self) -> Option<(Time, Slot)> {
        self.pings.first()
    }

    /// Sets when a binding is pinged next.
    pub(super) fn schedule_ping(&mut self, slot: Slot, at: Option<Time>) {
        self.pings.set(slot, at);
    }

    /// Whether it is known when a binding is pinged next; not while a ping is under way.
    pub(super) fn has_ping(&self, slot: Slot) -> bool {
        self.pings.has(slot)
    }

    /// What watching a binding has shown.
    pub(super) fn life_mut(&mut self, slot: Slot) -> &mut Life {
        &mut self.bindings[slot].life
    }

    /// Bindings whose last REGISTER came over this connection.
    pub(super) fn on_connection(&self, connection: ConnId) -> impl Iterator<Item = Slot> {
        self.connections.range((connection, Slot::MIN)..=(connection, Slot::MAX)).map(|(_, slot)| *slot)
    }

    pub(super) fn insert(&mut self, binding: Binding) -> Slot {
        let slot = self.bindings.vacant_key();
        let (user, domain) = split(&binding.aor);
        if !self.domains.contains_key(domain) {
            self.domains.insert(domain.into(), HashMap::with_hasher(hasher()));
        }
        if let Some(users) = self.domains.get_mut(domain) {
            match users.get_mut(user) {
                Some(slots) => slots.push(slot),
                None => {
                    users.insert(user.into(), SmallVec::from_slice(&[slot]));
                    self.users += 1;
                }
            }
        }
        self.watch(slot, binding.expires_at, binding.flow);
        self.bindings.insert(binding);
        slot
    }

    /// Puts a newer state of the same binding into its slot.
    pub(super) fn replace(&mut self, slot: Slot, binding: Binding) {
        self.unwatch(slot);
        self.watch(slot, binding.expires_at, binding.flow);
        self.bindings[slot] = binding;
    }

    /// Takes the flow from a binding.
    pub(super) fn forget_flow(&mut self, slot: Slot) {
        if let Some(connection) = self.bindings[slot].flow.take().and_then(|flow| flow.conn) {
            self.connections.remove(&(connection, slot));
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Binding {
        self.pings.set(slot, None);
        self.timers.set(slot, None);
        self.unwatch(slot);
        let binding = self.bindings.remove(slot);
        if self.bindings.is_empty() {
            self.bindings.shrink_to_fit();
        }
        let (user, domain) = split(&binding.aor);
        if let Some(users) = self.domains.get_mut(domain) {
            if let Some(slots) = users.get_mut(user) {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    users.remove(user);
                    self.users -= 1;
                }
            }
            if users.is_empty() {
                self.domains.remove(domain);
            } else if users.capacity() > 4 * users.len().max(16) {
                users.shrink_to(2 * users.len());
            }
        }
        binding
    }

    fn watch(&mut self, slot: Slot, expires_at: Time, flow: Option<Flow>) {
        self.timers.set(slot, Some(expires_at));
        if let Some(connection) = flow.and_then(|flow| flow.conn) {
            self.connections.insert((connection, slot));
        }
    }

    fn unwatch(&mut self, slot: Slot) {
        let binding = &self.bindings[slot];
        if let Some(connection) = binding.flow.and_then(|flow| flow.conn) {
            self.connections.remove(&(connection, slot));
        }
    }
}

/// Fixed keys: the names in these maps are users who have authenticated, so no stranger can choose colliding ones, and equal input gives equal runs.
fn hasher() -> RandomState {
    RandomState::with_seeds(0x6869_6768, 0x6c6f_7700, 0x7265_6769, 0x7374_6172)
}
