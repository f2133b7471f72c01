//! The registrar: which phones can be reached under which address of record (RFC 3261 section 10.3).
//!
//! ```text
//!              REGISTER                      refresh: same instance and reg-id,
//!             with Contact                   or an equivalent contact URI
//!   (none) ────────────────▶ BOUND ◀──────┐
//!      ▲                       │ └────────┘
//!      │  expires=0, `*`,      │
//!      └───────────────────────┘
//!         expiry, unreachable
//! ```
//!
//! A connection that closes takes the flow from its bindings but not the bindings themselves, unless their phone has
//! promised to keep it (`outbound.rs`); `watch.rs` says what becomes of those whose phone is silent. Every change of a binding
//! is queued as a [`Change`] for a store and for whoever watches registrations; drain the queue after every call.

mod agents;
mod aor;
mod binding;
mod date;
mod gruu;
mod outbound;
mod outcome;
mod queue;
mod request;
mod table;
mod totals;
mod watch;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use hookswitch_sip_msg::Message;
use smallvec::SmallVec;

use self::agents::Agents;
pub use self::aor::aor_of;
use self::binding::share;
pub use self::binding::{Binding, BindingId};
pub use self::gruu::{Gruu, GruuKey};
pub use self::outbound::Instance;
use self::outcome::Told;
pub use self::outcome::{Refusal, RegisterOutcome, Registered};
use self::request::{Ask, Wanted, What};
use self::table::{Slot, Table};
pub use self::totals::RegistrarTotals;
pub use self::watch::{Life, MAX_SPOKEN_FOR, Ping, Pong, StaleWhy, TICK};
use self::watch::{Pace, key};
use crate::Time;
use crate::keyed::Keyed;
use crate::transport::{Flow, Transport};

/// Most contacts in one REGISTER.
pub const MAX_CONTACTS_PER_REQUEST: usize = 16;
/// Longest contact URI that is stored, in bytes.
pub const MAX_CONTACT_BYTES: usize = 512;
/// Longest `+sip.instance` that is stored, in bytes.
pub const MAX_INSTANCE_BYTES: usize = 256;
/// Longest Call-ID of a REGISTER, in bytes.
pub const MAX_CALL_ID_BYTES: usize = 256;
/// Most Path values that are stored with a binding.
pub const MAX_PATHS: usize = 8;
/// Most bytes of Path values that are stored with a binding.
pub const MAX_PATH_BYTES: usize = 1_024;
/// What is kept of a User-Agent header, in bytes.
pub const MAX_USER_AGENT_BYTES: usize = 128;
/// Bindings that [`Registrar::handle_timeout`] removes in one call, so that a mass expiry does not stall the calls.
pub const EXPIRIES_PER_TIMEOUT: usize = 1_000;
/// Retry-After of the 503 that a full registrar sends.
pub const RETRY_WHEN_FULL: Time = Time::from_secs(60);

/// Times and limits of a registrar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    /// Lifetime of a binding whose phone asks for none. Default 3,600 s.
    pub default_expires: Time,
    /// Shortest lifetime granted; less is answered with 423. Default 60 s.
    pub min_expires: Time,
    /// Longest lifetime granted; more is cut down to it. Default 7,200 s.
    pub max_expires: Time,
    /// Most bindings of one address of record. Default 10.
    pub max_bindings_per_aor: usize,
    /// Most bindings altogether; about 0.9 kB each. Default 1,000,000.
    pub max_bindings: usize,
    /// How often each binding is pinged. Zero, the default, switches pings off.
    pub options_ping: Time,
    /// Most pings under way at a time; more wait. Default 20,000.
    pub max_pings: usize,
    /// Unanswered pings in a row that make a binding stale. Default 2.
    pub stale_after: u16,
    /// A single unanswered ping makes a binding stale whose phone was not heard for so long. Default 300 s.
    pub stale_time: Time,
    /// Unanswered pings in a row after which a binding is removed; 0 removes none. Default 7.
    pub unreachable_after: u16,
    /// How often a phone that keeps its flow is asked to give a sign of life over it (Flow-Timer, RFC 5626 section
    /// 10). Zero, the default, leaves that to the phone.
    pub flow_timer: Time,
    /// Makes and knows temporary addresses of phones (RFC 5627), which are good as long as it stays. It must be secret.
    /// The default is not.
    pub gruu_key: GruuKey,
    /// What phones are told to send their requests along (RFC 3608), as Route values. None by default.
    pub service_route: Vec<Arc<str>>,
    /// A phone that does not say that it understands Path (RFC 3327) is refused with 420 where a proxy has added one.
    /// Off by default: it need not understand it to be reached.
    pub path_must_be_understood: bool,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self {
            default_expires: Time::from_secs(3_600),
            min_expires: Time::from_secs(60),
            max_expires: Time::from_secs(7_200),
            max_bindings_per_aor: 10,
            max_bindings: 1_000_000,
            options_ping: Time::ZERO,
            max_pings: 20_000,
            stale_after: 2,
            stale_time: Time::from_secs(300),
            unreachable_after: 7,
            flow_timer: Time::ZERO,
            gruu_key: GruuKey::default(),
            service_route: Vec::new(),
            path_must_be_understood: false,
        }
    }
}

/// A change of a binding, in the order of happening.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all changes are refreshes; a box would be one more allocation each"
)]
pub enum Change {
    /// The binding is new ([`Binding::is_new`]) or was refreshed; it replaces what was known of the same address of
    /// record and id.
    Put(Binding),
    /// The phone is silent or its flow is lost: the binding is called only if its user has no other.
    Stale {
        /// Its address of record.
        aor: Arc<str>,
        /// Its number.
        id: BindingId,
        /// Its contact URI, as last written.
        contact: Arc<str>,
        /// What has happened.
        why: StaleWhy,
    },
    /// The phone of a stale binding was heard again.
    Revived {
        /// Its address of record.
        aor: Arc<str>,
        /// Its number.
        id: BindingId,
        /// Its contact URI, as last written.
        contact: Arc<str>,
    },
    /// The binding is gone.
    Removed {
        /// Its address of record.
        aor: Arc<str>,
        /// Its number.
        id: BindingId,
        /// Its contact URI, as last written.
        contact: Arc<str>,
        /// Why it is gone.
        why: RemovedWhy,
    },
}

/// Why a binding is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedWhy {
    /// The phone took it back, with `expires=0` or `Contact: *`.
    Unregistered,
    /// Another binding of the same phone took its place.
    Replaced,
    /// Nobody refreshed it in time.
    Expired,
    /// Its phone has left too many pings without an answer, or the flow that it promised to keep is gone.
    Unreachable,
    /// The switch removed it: [`Registrar::remove_aor`].
    Revoked,
}

/// How much a registrar holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrarCounts {
    /// Bindings.
    pub bindings: usize,
    /// Addresses of record with at least one binding.
    pub users: usize,
    /// Armed expiry timers; as many as bindings.
    pub timers: usize,
}

/// Bindings of users to the places where their phones are.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    gruu_key: Keyed,
    table: Table,
    agents: Agents,
    changes: VecDeque<Change>,
    totals: RegistrarTotals,
    pace: Pace,
    next_id: u64,
}

impl Registrar {
    /// A registrar without bindings.
    pub fn new(config: RegistrarConfig) -> Self {
        Self {
            gruu_key: Keyed::new(&config.gruu_key.0),
            config,
            table: Table::new(),
            agents: Agents::default(),
            changes: VecDeque::new(),
            totals: RegistrarTotals::default(),
            pace: Pace::default(),
            next_id: 0,
        }
    }

    /// Handles a REGISTER whose sender may register for `aor` (as [`aor_of`] writes it), and says how to answer it.
    ///
    /// All of its contacts take effect or none does. A binding remembers `flow` as the way to the phone.
    pub fn register(&mut self, now: Time, aor: &str, request: &Message, flow: Flow) -> RegisterOutcome {
        self.register_within(now, aor, request, flow, self.config.max_bindings_per_aor)
    }

    /// The same for a user with a limit of its own in place of [`RegistrarConfig::max_bindings_per_aor`].
    pub fn register_within(
        &mut self,
        now: Time,
        aor: &str,
        request: &Message,
        flow: Flow,
        most: usize,
    ) -> RegisterOutcome {
        self.expire_aor(now, aor);
        let done = request::read(request, &self.config).and_then(|mut ask| {
            ask.most = most;
            let registered = self.perform(now, aor, &ask, flow)?;
            let Ask { path, outbound, gruu, .. } = ask;
            let told = Told {
                path,
                outbound: outbound.then_some(self.config.flow_timer),
                gruu: gruu.then_some(&self.gruu_key),
                service_route: &self.config.service_route,
            };
            Ok(RegisterOutcome::accepted(now, registered, &told, self.bindings(now, aor)))
        });
        match done {
            Ok(outcome) => outcome,
            Err(refusal) => RegisterOutcome::refused(refusal),
        }
    }

    /// Ways to reach a user, the preferred first: by falling q, then the most recently refreshed first.
    pub fn bindings(&self, now: Time, aor: &str) -> impl ExactSizeIterator<Item = &Binding> {
        self.sorted(now, self.table.slots(aor))
    }

    /// A key by which [`Registrar::by_key`] finds this binding again while this registrar lives, whatever the user is
    /// called by then.
    pub fn key_of(&self, binding: &Binding) -> Option<u64> {
        let slot = self.table.slots(&binding.aor).iter().find(|slot| self.table.get(**slot).id == binding.id)?;
        Some(key(*slot, binding))
    }

    /// The binding with this key, if it is still there.
    pub fn by_key(&self, now: Time, key: u64) -> Option<&Binding> {
        let slot = self.slot_of(key)?;
        Some(self.table.get(slot)).filter(|binding| !binding.is_expired(now))
    }

    fn slot_of(&self, key: u64) -> Option<Slot> {
        let slot = (key >> 32) as Slot;
        self.table.find(slot).filter(|binding| binding.id.0 as u32 == key as u32).map(|_| slot)
    }

    /// The bindings that a call goes to, in the order of [`Registrar::bindings`]: the fresh ones, or all of a user that
    /// has none.
    pub fn reachable(&self, now: Time, aor: &str) -> impl Iterator<Item = &Binding> {
        let any_fresh = self.bindings(now, aor).any(|binding| !binding.is_stale());
        self.bindings(now, aor).filter(move |binding| !any_fresh || !binding.is_stale())
    }

    /// Whether the user can be reached.
    pub fn is_registered(&self, now: Time, aor: &str) -> bool {
        self.table.slots(aor).iter().any(|slot| !self.table.get(*slot).is_expired(now))
    }

    /// Domains with registered users, in no order.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.table.domains()
    }

    /// How many users of a domain are registered.
    pub fn users_in(&self, domain: &str) -> usize {
        self.table.users_in(domain)
    }

    /// Registered users of a domain in no order, each with the bindings in the order of [`Registrar::bindings`].
    pub fn users_of(
        &self,
        now: Time,
        domain: &str,
    ) -> impl Iterator<Item = (&str, impl ExactSizeIterator<Item = &Binding>)> {
        self.table
            .users_of(domain)
            .map(move |(user, slots)| (user, self.sorted(now, slots)))
            .filter(|(_, b)| b.len() > 0)
    }

    /// How much there is.
    pub fn count(&self) -> RegistrarCounts {
        RegistrarCounts { bindings: self.table.bindings(), users: self.table.users(), timers: self.table.timers() }
    }

    /// What has happened to bindings since the start.
    pub fn totals(&self) -> RegistrarTotals {
        self.totals
    }

    /// Takes the flow from all bindings that were registered over this connection, because it is closed. They stay, to
    /// be tried at their contact URI, and are stale unless that is where they came from or a proxy leads there; but those
    /// that were to be reached over that flow alone are gone. Does nothing for datagrams.
    pub fn remove_flow(&mut self, now: Time, flow: Flow) {
        let Some(connection) = flow.conn else { return };
        let slots: Vec<Slot> = self.table.on_connection(connection).collect();
        for slot in slots {
            self.table.forget_flow(slot);
            self.flow_closed(now, slot);
        }
    }

    /// Removes all bindings of a user, for instance because the user was deleted. Says how many there were.
    pub fn remove_aor(&mut self, aor: &str) -> usize {
        let slots: SmallVec<[Slot; 8]> = SmallVec::from_slice(self.table.slots(aor));
        for slot in &slots {
            self.remove(*slot, RemovedWhy::Revoked);
        }
        slots.len()
    }

    /// Puts back a binding from a store, for instance after a restart. Its flow survives only over UDP; one that was to
    /// be reached over another flow alone is stale. One that is over by now is removed, with a [`Change`], at the next time-out.
    ///
    /// `false` when there is no room ([`RegistrarConfig::max_bindings`], [`RegistrarConfig::max_bindings_per_aor`]).
    pub fn restore(&mut self, binding: Binding) -> bool {
        self.restore_within(binding, self.config.max_bindings_per_aor)
    }

    /// The same for a user with a limit of its own.
    pub fn restore_within(&mut self, mut binding: Binding, most: usize) -> bool {
        binding.flow = binding.flow.filter(|flow| flow.transport == Transport::Udp);
        // A phone that keeps its flow sees the end of ours, and registers anew.
        let lost = binding.keeps_flow() && binding.flow.is_none() && binding.path.is_empty();
        let stale_since = lost.then_some(binding.refreshed_at);
        binding.user_agent = binding.user_agent.map(|text| self.agents.share(&text));
        binding.life = Life { heard_at: binding.refreshed_at, stale_since, ..Life::default() };
        self.next_id = self.next_id.max(binding.id.0.saturating_add(1));
        let slots = self.table.slots(&binding.aor);
        if let Some(slot) = slots.iter().copied().find(|slot| self.table.get(*slot).id == binding.id) {
            binding.life = self.table.get(slot).life;
            self.table.replace(slot, binding);
            return true;
        }
        let room = slots.len() < most && self.table.bindings() < self.config.max_bindings;
        if room {
            let from = binding.refreshed_at;
            let slot = self.table.insert(binding);
            self.table.schedule_ping(slot, self.first_ping(slot, from));
        }
        room
    }

    /// Removes bindings that are over, at most [`EXPIRIES_PER_TIMEOUT`] of them; [`Registrar::poll_timeout`] says
    /// whether more are due.
    pub fn handle_timeout(&mut self, now: Time) {
        for _ in 0..EXPIRIES_PER_TIMEOUT {
            match self.table.next_expiry() {
                Some((at, slot)) if at <= now => self.remove(slot, RemovedWhy::Expired),
                _ => return,
            }
        }
    }

    /// When the next binding ends or the next ping is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.table.next_expiry().map(|(at, _)| at), self.next_ping()].into_iter().flatten().min()
    }

    /// The oldest change nobody has seen.
    pub fn poll_change(&mut self) -> Option<Change> {
        let change = self.changes.pop_front();
        if self.changes.is_empty() && self.changes.capacity() > EXPIRIES_PER_TIMEOUT {
            self.changes = VecDeque::new();
        }
        change
    }

    /// Bindings that are over do not count and are not listed, even when their timer has not been served yet.
    fn expire_aor(&mut self, now: Time, aor: &str) {
        let over: SmallVec<[Slot; 4]> =
            self.table.slots(aor).iter().copied().filter(|slot| self.table.get(*slot).is_expired(now)).collect();
        for slot in over {
            self.remove(slot, RemovedWhy::Expired);
        }
    }

    fn perform(&mut self, now: Time, aor: &str, ask: &Ask<'_>, flow: Flow) -> Result<Registered, Refusal> {
        let mut registered = Registered { added: 0, refreshed: 0, removed: 0, total: 0 };
        match &ask.what {
            What::Fetch => {}
            What::RemoveAll => {
                let slots: SmallVec<[Slot; 8]> = SmallVec::from_slice(self.table.slots(aor));
                for slot in &slots {
                    self.check_order(*slot, ask)?;
                }
                for slot in &slots {
                    self.remove(*slot, RemovedWhy::Unregistered);
                }
                registered.removed = slots.len();
            }
            What::Bind(wanted) => self.bind(now, aor, ask, wanted, flow, &mut registered)?,
        }
        registered.total = self.table.slots(aor).len();
        Ok(registered)
    }

    /// Checks everything first and changes something only when nothing is wrong.
    fn bind(
        &mut self,
        now: Time,
        aor: &str,
        ask: &Ask<'_>,
        wanted: &[Wanted<'_>],
        flow: Flow,
        registered: &mut Registered,
    ) -> Result<(), Refusal> {
        let mut claimed: SmallVec<[Slot; 4]> = SmallVec::new();
        let mut targets: SmallVec<[Option<Slot>; 4]> = SmallVec::with_capacity(wanted.len());
        let mut leaving: SmallVec<[(Slot, RemovedWhy); 4]> = SmallVec::new();
        for contact in wanted {
            let known = self.find(aor, contact, &claimed);
            for slot in &known {
                self.check_order(*slot, ask)?;
            }
            claimed.extend_from_slice(&known);
            if contact.lifetime.is_zero() {
                leaving.extend(known.iter().map(|slot| (*slot, RemovedWhy::Unregistered)));
                targets.push(None);
                continue;
            }
            let (target, others) = known.split_first().map_or((None, &[][..]), |(first, rest)| (Some(*first), rest));
            leaving.extend(others.iter().map(|slot| (*slot, RemovedWhy::Replaced)));
            targets.push(target);
            match target {
                Some(_) => registered.refreshed += 1,
                None => registered.added += 1,
            }
        }
        registered.removed = leaving.len();
        self.check_room(aor, registered, ask.most)?;
        for (slot, why) in leaving {
            self.remove(slot, why);
        }
        for (slot, contact) in targets.iter().zip(wanted).filter(|(_, contact)| !contact.lifetime.is_zero()) {
            self.store(now, aor, ask, contact, flow, *slot);
        }
        Ok(())
    }

    fn check_room(&self, aor: &str, planned: &Registered, most: usize) -> Result<(), Refusal> {
        if planned.added <= planned.removed {
            return Ok(());
        }
        let more = planned.added - planned.removed;
        if self.table.slots(aor).len() + more > most {
            return Err(Refusal::TooManyBindings);
        }
        if self.table.bindings() + more > self.config.max_bindings {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// The bindings a Contact means, that with the same text first. There can be several because equivalence of URIs is
    /// not transitive: `sip:a@h` equals both `sip:a@h;x=1` and `sip:a@h;x=2`, which differ.
    fn find(&self, aor: &str, wanted: &Wanted<'_>, claimed: &[Slot]) -> SmallVec<[Slot; 2]> {
        let mut found: SmallVec<[Slot; 2]> = SmallVec::new();
        for slot in self.table.slots(aor).iter().filter(|slot| !claimed.contains(slot)) {
            let known = self.table.get(*slot);
            if wanted.means(known.instance.as_deref(), known.reg_id, &known.contact) {
                found.push(*slot);
            }
        }
        if let Some(same) = found.iter().position(|slot| *self.table.get(*slot).contact == *wanted.uri.as_str()) {
            found.swap(0, same);
        }
        found
    }

    /// RFC 3261 section 10.3, steps 6 and 7: a request that was overtaken by a newer one of its kind must not undo it.
    fn check_order(&self, slot: Slot, ask: &Ask<'_>) -> Result<(), Refusal> {
        let known = self.table.get(slot);
        if *known.call_id == *ask.call_id && ask.cseq <= known.cseq {
            return Err(Refusal::OutOfOrder);
        }
        Ok(())
    }

    fn store(&mut self, now: Time, aor: &str, ask: &Ask<'_>, wanted: &Wanted<'_>, flow: Flow, slot: Option<Slot>) {
        let known = slot.map(|slot| self.table.get(slot));
        let sibling = self.table.slots(aor).first().map(|slot| &self.table.get(*slot).aor);
        let id = known.map_or(BindingId(self.next_id), |known| known.id);
        let path = ask.path.iter().enumerate();
        let was_stale = known.is_some_and(Binding::is_stale);
        let binding = Binding {
            id,
            aor: share(aor, sibling),
            contact: share(wanted.uri.as_str(), known.map(|known| &known.contact)),
            instance: wanted.instance.map(|text| share(text, known.and_then(|known| known.instance.as_ref()))),
            reg_id: wanted.reg_id,
            outbound: ask.outbound && wanted.reg_id.is_some(),
            q: wanted.q,
            expires_at: now.saturating_add(wanted.lifetime),
            registered_at: known.map_or(now, |known| known.registered_at),
            refreshed_at: now,
            series_began: self.series_began(now, aor, ask, wanted),
            call_id: share(ask.call_id, known.map(|known| &known.call_id)),
            cseq: ask.cseq,
            path: path.map(|(at, hop)| share(hop, known.and_then(|known| known.path.get(at)))).collect(),
            flow: Some(flow),
            source: flow.remote,
            user_agent: ask.user_agent.as_deref().map(|text| self.agents.share(text)),
            life: Life { heard_at: now, ..Life::default() },
        };
        self.tell(Change::Put(binding.clone()));
        match slot {
            Some(slot) => {
                // No ping is moved by that: they keep their steady pace.
                self.table.replace(slot, binding);
                if was_stale {
                    self.revived(slot);
                }
            }
            None => {
                self.next_id += 1;
                let slot = self.table.insert(binding);
                self.table.schedule_ping(slot, self.first_ping(slot, now));
            }
        }
    }

    /// When the registration of a phone began that this contact goes on with: it has the same Call-ID.
    fn series_began(&self, now: Time, aor: &str, ask: &Ask<'_>, wanted: &Wanted<'_>) -> Time {
        let mut known = self.table.slots(aor).iter().map(|slot| self.table.get(*slot));
        let same = |known: &&Binding| known.instance.as_deref() == wanted.instance && *known.call_id == *ask.call_id;
        known.find(same).map_or(now, |known| known.series_began)
    }

    fn tell(&mut self, change: Change) {
        self.totals.count(&change);
        self.changes.push_back(change);
    }

    fn remove(&mut self, slot: Slot, why: RemovedWhy) {
        let Binding { aor, id, contact, .. } = self.table.remove(slot);
        self.tell(Change::Removed { aor, id, contact, why });
    }

    fn sorted(&self, now: Time, slots: &[Slot]) -> impl ExactSizeIterator<Item = &Binding> + use<'_> {
        let alive = slots.iter().map(|slot| self.table.get(*slot)).filter(|binding| !binding.is_expired(now));
        let mut bindings: SmallVec<[&Binding; 4]> = alive.collect();
        bindings.sort_by_key(|binding| (Reverse(binding.q), Reverse(binding.refreshed_at), Reverse(binding.id)));
        bindings.into_iter()
    }
}
