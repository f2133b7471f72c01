//! The switch: one shard, one media engine, and what it wants to find again after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use hookswitch_b2bua::{B2buaConfig, Mailbox, MailboxChange};
use hookswitch_call::directory::{Directory, DirectoryChange, Forwarding, Layer, Secret};
use hookswitch_call::{Event, LegId, Limits, Party, Time, Told};
use hookswitch_dialect::rest::{KeyName, StoredKey};
use hookswitch_media::{AddressPolicy, Engine, EngineConfig};
use hookswitch_shard::{AudioReport, BindingNews, CallRecord, Change, Input, Shard, ShardConfig, Stored, Unreached};
use hookswitch_sip::guard::{Ban, Source};
use hookswitch_sip::registrar::Binding;
use hookswitch_sip::subscription::{Key, Subscription};
use hookswitch_sip::{EndpointConfig, Listen, Network, Transport};

use crate::bank::Bank;
use crate::dice::Dice;

/// Where the switch is.
pub const SWITCH: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// Where it is in the other family.
pub const SWITCH_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));

/// Its SIP port, for UDP and TCP.
pub const SIP_PORT: u16 = 5060;

/// The domain of all users.
pub const DOMAIN: &str = "x.test";

/// The users that there are; the secret of each is its name with `-pw` behind.
pub const USERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

/// Networks that may call without digest: hand-made user agents and crowds live there.
pub const TRUSTED: [(IpAddr, u8); 1] = [(IpAddr::V4(std::net::Ipv4Addr::new(10, 200, 0, 0)), 16)];

/// The SIP address of the switch.
#[must_use]
pub fn switch_sip() -> SocketAddr {
    SocketAddr::new(SWITCH, SIP_PORT)
}

/// The same in the other family.
#[must_use]
pub fn switch_sip_v6() -> SocketAddr {
    SocketAddr::new(SWITCH_V6, SIP_PORT)
}

/// How a switch is set up.
#[derive(Debug, Clone)]
pub struct SwitchConfig {
    /// The shard.
    pub shard: ShardConfig,
    /// The media engine.
    pub media: EngineConfig,
    /// Pairs of media ports.
    pub port_pairs: usize,
}

impl Default for SwitchConfig {
    fn default() -> Self {
        let mut directory = Directory::new();
        directory.configure(DOMAIN, users()).expect("a domain with a few users is within all limits");
        let both =
            |address| [Transport::Udp, Transport::Tcp].map(|transport| Listen { transport, address, advertise: None });
        let listen = [both(switch_sip()), both(switch_sip_v6())].concat();
        Self {
            shard: ShardConfig {
                b2bua: B2buaConfig {
                    endpoint: EndpointConfig { listen, ..EndpointConfig::default() },
                    trusted: TRUSTED.map(|(addr, prefix)| Network { addr, prefix }).into(),
                    ..B2buaConfig::default()
                },
                limits: Limits::default(),
                directory,
                ..ShardConfig::default()
            },
            media: EngineConfig::new(AddressPolicy::Auto { fallback: SWITCH }),
            port_pairs: 200,
        }
    }
}

impl SwitchConfig {
    /// Users have their calls forwarded.
    pub fn forward<'u>(&mut self, forwards: impl IntoIterator<Item = (&'u str, Forwarding)>) {
        let forwards = forwards.into_iter().map(|(user, to)| (user.into(), to)).collect();
        let layer = Layer { forwards, ..users() };
        self.shard.directory.configure(DOMAIN, layer).expect("a few forwards are within all limits");
    }
}

fn users() -> Layer {
    let users = USERS.map(|name| (name.into(), Secret::new(&format!("{name}-pw"))));
    Layer { users: users.into(), ..Layer::default() }
}

/// What outlives the switch.
#[derive(Debug, Default)]
pub(crate) struct Store {
    domains: BTreeMap<String, Layer>,
    bindings: BTreeMap<(String, u64), Binding>,
    subscriptions: BTreeMap<Key, Subscription>,
    mailboxes: BTreeMap<String, Mailbox>,
    bans: BTreeMap<Source, Ban>,
    keys: BTreeMap<KeyName, StoredKey>,
}

impl Store {
    pub(crate) fn keep(&mut self, change: Change) {
        match change {
            Change::Directory(DirectoryChange::Put(domain, layer)) => {
                self.domains.insert(domain.to_string(), layer);
            }
            Change::Directory(DirectoryChange::Removed(domain)) => {
                self.domains.remove(domain.as_str());
            }
            Change::BindingPut(binding) => {
                self.bindings.insert((binding.aor.to_string(), binding.id.0), *binding);
            }
            Change::BindingRemoved { aor, id } => {
                self.bindings.remove(&(aor.to_string(), id.0));
            }
            Change::Mailbox(MailboxChange { aor, mailbox: Some(mailbox) }) => {
                self.mailboxes.insert(aor.to_string(), mailbox);
            }
            Change::Mailbox(MailboxChange { aor, mailbox: None }) => {
                self.mailboxes.remove(aor.as_str());
            }
            Change::SubscriptionPut(it) => {
                self.subscriptions.insert(it.key, *it);
            }
            Change::KeyPut(key) => {
                self.keys.insert(key.name.clone(), *key);
            }
            Change::KeyRemoved(name) => {
                self.keys.remove(&name);
            }
            Change::SubscriptionRemoved(key) => {
                self.subscriptions.remove(&key);
            }
            Change::BanPut(ban) => drop(self.bans.insert(ban.source, *ban)),
            Change::BanRemoved(source) => drop(self.bans.remove(&source)),
        }
    }

    fn all(&self) -> Vec<Stored> {
        let domains = self.domains.iter().map(|(name, layer)| Stored::Domain(name.as_str().into(), layer.clone()));
        let bindings = self.bindings.values().cloned().map(Box::new).map(Stored::Binding);
        let subscriptions = self.subscriptions.values().cloned().map(Box::new).map(Stored::Subscription);
        let mailboxes = self.mailboxes.iter().map(|(aor, mailbox)| Stored::Mailbox(aor.as_str().into(), *mailbox));
        let bans = self.bans.values().cloned().map(Box::new).map(Stored::Ban);
        let keys = self.keys.values().cloned().map(Box::new).map(Stored::Key);
        domains.chain(bindings).chain(mailboxes).chain(subscriptions).chain(bans).chain(keys).collect()
    }
}

/// Two parties that were joined, by the names of their legs on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    pub(crate) call: hookswitch_call::CallId,
    /// The caller's leg and the callee's, with their names on the wire. A service has none.
    pub(crate) legs: [Option<(LegId, Option<String>)>; 2],
    pub(crate) from: Time,
    pub(crate) until: Option<Time>,
}

/// The switch and what the lab knows about its calls.
pub struct Switch {
    pub(crate) config: SwitchConfig,
    pub(crate) shard: Shard,
    pub(crate) engine: Engine,
    pub(crate) bank: Bank,
    pub(crate) store: Store,
    pub(crate) told: Vec<Told>,
    pub(crate) bindings: Vec<BindingNews>,
    pub(crate) audio: Vec<AudioReport>,
    pub(crate) unreached: Vec<Unreached>,
    /// The calls of this life whose record was written.
    pub(crate) records: BTreeSet<u64>,
    pub(crate) talks: Vec<Talk>,
    /// By call: the next event's number; `None` after the last one.
    expected: BTreeMap<u64, Option<u32>>,
    starts: u64,
}

impl Switch {
    pub(crate) fn new(config: SwitchConfig, dice: &mut Dice) -> Self {
        let (shard, engine, bank) = machines(&config, 0, dice);
        Self {
            config,
            shard,
            engine,
            bank,
            store: Store::default(),
            told: Vec::new(),
            bindings: Vec::new(),
            audio: Vec::new(),
            unreached: Vec::new(),
            records: BTreeSet::new(),
            talks: Vec::new(),
            expected: BTreeMap::new(),
            starts: 0,
        }
    }

    /// Dies without a word and comes back with nothing but what was stored.
    pub(crate) fn restart(&mut self, now: Time, dice: &mut Dice) {
        self.starts += 1;
        (self.shard, self.engine, self.bank) = machines(&self.config, self.starts, dice);
        self.expected.clear();
        self.records.clear();
        for talk in self.talks.iter_mut().filter(|talk| talk.until.is_none()) {
            talk.until = Some(now);
        }
        for stored in self.store.all() {
            self.shard.handle(now, Input::Restore(stored));
        }
    }

    /// Takes an event of a call, which must be the next one of that call.
    pub(crate) fn hear(&mut self, told: Told) {
        let call = told.call;
        let expected = self.expected.entry(call.0).or_insert(Some(0));
        assert_eq!(*expected, Some(told.seq), "{call} skips, repeats or outlives its end: {told:?}");
        *expected = Some(told.seq + 1);
        match &told.event {
            Event::Bridged => {
                let legs = self.shard.record(call).map_or([None, None], |record| joined(&record));
                self.talks.push(Talk { call, legs, from: told.at, until: None });
            }
            Event::Ended { .. } => {
                *expected = None;
                if let Some(talk) = self.talks.iter_mut().rfind(|talk| talk.call == call) {
                    talk.until.get_or_insert(told.at);
                }
            }
            Event::LegEnded { leg, .. } => {
                if let Some(talk) = self.talks.iter_mut().rfind(|talk| talk.call == call)
                    && talk.legs.iter().flatten().any(|(joined, _)| joined == leg)
                {
                    talk.until.get_or_insert(told.at);
                }
            }
            Event::Incoming { .. }
            | Event::Connecting { .. }
            | Event::Started { .. }
            | Event::Dialing { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Noticed { .. }
            | Event::HoldAccepted { .. }
            | Event::HoldAsked { .. }
            | Event::Held { .. }
            | Event::HeldBy { .. }
            | Event::Diverted { .. }
            | Event::Replaced { .. }
            | Event::InRoom { .. }
            | Event::Audio { .. }
            | Event::TransferFailed { .. }
            | Event::Transferring { .. }
            | Event::TransferStarted { .. }
            | Event::TransferProgress { .. }
            | Event::Transferred => {}
        }
        self.told.push(told);
    }

    /// Calls that were told of and have not ended.
    pub(crate) fn unfinished(&self) -> Vec<u64> {
        self.expected.iter().filter(|(_, next)| next.is_some()).map(|(call, _)| *call).collect()
    }
}

impl Switch {
    /// Calls that have ended and have no record, or that have one and no end.
    pub(crate) fn unrecorded(&self) -> Vec<u64> {
        let ended: BTreeSet<u64> =
            self.expected.iter().filter(|(_, next)| next.is_none()).map(|(call, _)| *call).collect();
        ended.symmetric_difference(&self.records).copied().collect()
    }
}

fn machines(config: &SwitchConfig, start: u64, dice: &mut Dice) -> (Shard, Engine, Bank) {
    let shard = ShardConfig { first_call: (start + 1) << 20, ..config.shard.clone() };
    (
        Shard::new(shard, dice.seed()),
        Engine::new(config.media.clone(), dice.roll()),
        Bank::new([SWITCH, SWITCH_V6], config.port_pairs),
    )
}

/// The legs that a call has joined.
pub(crate) fn joined(record: &CallRecord<'_>) -> [Option<(LegId, Option<String>)>; 2] {
    use hookswitch_call::machine::LegState;
    [Party::Caller, Party::Callee].map(|party| {
        let stands = |state| matches!(state, LegState::Up | LegState::AwaitConfirm);
        let leg = record.call.legs.iter().find(|leg| leg.party == party && !leg.spare && stands(leg.state))?;
        Some((leg.id, leg.wire_id.as_ref().map(ToString::to_string)))
    })
}
