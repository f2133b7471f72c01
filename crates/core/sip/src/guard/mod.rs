//! Who is not listened to: scores for what sources do, and bans for those who do too much of it.
//!
//! ```text
//!   offence ─▶ score of the source ──(threshold)──▶ BANNED ──(time)──▶ remembered ──(time)──▶ forgotten
//!               decays with time                      ▲                    │
//!                                                     └─(threshold: twice as long)
//! ```
//!
//! [`Guard::admits`] is asked before anything else is done with what has arrived, and costs a look-up or two. It knows
//! nothing of SIP: whoever reads messages tells it of offences ([`Guard::offend`]) and of flows that are never banned
//! ([`Guard::know`]): those of registered phones, of callers that have proved who they are, and of parties that we call
//! ourselves. A ban behind an address that phones share is one for the rest of them.
//!
//! | file | what |
//! |---|---|
//! | `source.rs` | who is one |
//! | `scores.rs` | what each has done |
//! | `known.rs` | flows that are spared |
//! | `ranges.rs` | lists of networks |
//! | `ban.rs` | bans, their reasons, and news of them |

mod ban;
mod config;
mod known;
mod ranges;
mod scores;
mod source;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;

use ahash::RandomState;
use compact_str::CompactString;
use memchr::memmem::Finder;

pub use self::ban::{Ban, BanError, BanWhy, GuardNews, GuardTotals, LiftedWhy, Offence};
pub use self::config::{GuardConfig, MAX_BANS, MAX_SOURCES, SCANNERS, Weights};
use self::known::Known;
use self::ranges::Ranges;
use self::scores::Scores;
pub use self::source::{NoSource, Source};
use crate::Time;
use crate::config::Network;

/// Most sources that are banned in one second for what they have done: whoever forges addresses must not fill the log
/// and the disk. Others begin anew with their score.
pub const MAX_BANS_PER_SECOND: u32 = 50;

/// Longest reason of a ban by order, in bytes; more is cut off.
pub const MAX_REASON: usize = 128;

/// News of floods are at least so far apart, of all sources together: they are for whoever reads the log.
pub const FLOOD_NEWS: Time = Time::from_secs(60);

/// Longest ban by order: ten years.
pub const LONGEST_ORDER: Time = Time::from_secs(10 * 365 * 86_400);

/// What is looked at of a User-Agent, in bytes.
const AGENT_BYTES: usize = 128;

/// The guard.
pub struct Guard {
    config: GuardConfig,
    hasher: RandomState,
    scores: Scores,
    known: Known,
    allow: Ranges,
    drop: Ranges,
    scanners: Vec<Finder<'static>>,
    bans: HashMap<Source, Ban, RandomState>,
    /// When a ban ends, and when an ended one is forgotten.
    due: BTreeSet<(Time, Source)>,
    news: VecDeque<GuardNews>,
    totals: GuardTotals,
    /// The second, and how many were banned in it.
    banned_in: (u64, u32),
    /// When news of a flood were told last.
    flood_told: Option<Time>,
}

impl Guard {
    /// A guard that knows nobody. `seeds` must be secret: who knows them chooses addresses that share a place.
    pub fn new(config: GuardConfig, seeds: [u64; 4]) -> Guard {
        let [a, b, c, d] = seeds;
        let hasher = RandomState::with_seeds(a, b, c, d);
        let finder = |name: &CompactString| Finder::new(name.to_ascii_lowercase().as_bytes()).into_owned();
        Guard {
            scores: Scores::new(if config.enabled { config.max_sources } else { 0 }, config.half_life),
            known: Known::new(hasher.clone(), config.spared_for),
            allow: Ranges::new(&config.allow),
            drop: Ranges::new(&config.drop),
            scanners: config.scanners.iter().filter(|name| !name.is_empty()).map(finder).collect(),
            bans: HashMap::with_hasher(hasher.clone()),
            due: BTreeSet::new(),
            news: VecDeque::new(),
            totals: GuardTotals::default(),
            banned_in: (0, 0),
            flood_told: None,
            hasher,
            config,
        }
    }

    /// Whether what comes from there is to be looked at. One look-up and no allocation, while nobody is banned less.
    pub fn admits(&mut self, now: Time, remote: SocketAddr) -> bool {
        if !self.config.enabled {
            return true;
        }
        let address = remote.ip();
        if self.drop.contains(address) && !self.allow.contains(address) {
            self.totals.dropped_by_list += 1;
            return false;
        }
        if self.bans.is_empty() {
            return true;
        }
        let Some(ban) = self.bans.get_mut(&Source::of(address)).filter(|ban| ban.stands(now)) else { return true };
        if self.known.knows(now, remote) || self.allow.contains(address) {
            return true;
        }
        ban.dropped += 1;
        self.totals.dropped += 1;
        false
    }

    /// Somebody has done what is only done by mistake, or on purpose. Known flows are never banned for it.
    pub fn offend(&mut self, now: Time, remote: SocketAddr, offence: Offence) {
        if !self.config.enabled || self.allow.contains(remote.ip()) {
            return;
        }
        self.totals.offences[offence as usize] += 1;
        let weight = self.weight(offence);
        let source = Source::of(remote.ip());
        if weight == 0 || self.known.knows(now, remote) || self.bans.get(&source).is_some_and(|ban| ban.stands(now)) {
            return;
        }
        let key = self.hasher.hash_one(source.address());
        match self.scores.add(now, key, weight as f32) {
            Some(score) if score < self.config.threshold as f32 => {}
            Some(_) => {
                // Also where it cannot be banned now: else a flood of forged addresses fills the table with scores that
                // nobody outdoes.
                self.scores.clear(key);
                if self.may_ban(now) {
                    self.ban_for(now, source, offence);
                } else {
                    self.totals.uncounted += 1;
                }
            }
            None => self.totals.uncounted += 1,
        }
    }

    /// More comes from there than an address may send: an offence, and news, of all addresses together at most once in
    /// [`FLOOD_NEWS`], also of those against whom nothing is counted.
    pub fn flooded(&mut self, now: Time, remote: SocketAddr) {
        self.offend(now, remote, Offence::Flood);
        if self.flood_told.is_none_or(|told| now >= told + FLOOD_NEWS) {
            self.flood_told = Some(now);
            self.news.push_back(GuardNews::Flooded { source: Source::of(remote.ip()) });
        }
    }

    /// This flow is that of a party that has proved who it is, or that we have called ourselves: it is spared for a
    /// while ([`GuardConfig::spared_for`]).
    pub fn know(&mut self, now: Time, remote: SocketAddr) {
        if !self.config.enabled {
            return;
        }
        if !self.bans.is_empty() {
            let source = Source::of(remote.ip());
            let is_banned = self.bans.get(&source).is_some_and(|ban| ban.stands(now));
            if is_banned && !self.known.knows_some(now, source) {
                self.news.push_back(GuardNews::Spared { source });
            }
        }
        self.known.know(now, remote);
    }

    /// The connection from there is closed: what comes from that port next is somebody else's.
    pub fn forget(&mut self, remote: SocketAddr) {
        self.known.forget(remote);
    }

    /// Whether somebody is to be ignored for what it calls itself, which is counted as an offence.
    pub fn catches(&mut self, now: Time, remote: SocketAddr, agent: &[u8]) -> bool {
        let is_caught = self.config.enabled
            && self.is_scanner(agent)
            && !self.allow.contains(remote.ip())
            && !self.known.knows(now, remote);
        if is_caught {
            self.offend(now, remote, Offence::Scanner);
        }
        is_caught
    }

    fn is_scanner(&self, agent: &[u8]) -> bool {
        let mut text = [0; AGENT_BYTES];
        let len = agent.len().min(AGENT_BYTES);
        text[..len].copy_from_slice(&agent[..len]);
        text[..len].make_ascii_lowercase();
        self.scanners.iter().any(|name| name.find(&text[..len]).is_some())
    }

    /// Bans a source by order, for at most [`LONGEST_ORDER`]; one that is banned already is so for the new reason and
    /// time.
    ///
    /// # Errors
    /// It may not be banned, or there is no room: [`BanError`].
    pub fn ban(&mut self, now: Time, source: Source, length: Time, reason: &str) -> Result<(), BanError> {
        if !self.config.enabled {
            return Err(BanError::Off);
        }
        if self.allow.contains(source.address()) {
            return Err(BanError::Allowed);
        }
        if !self.bans.contains_key(&source) && !self.make_room() {
            return Err(BanError::Full);
        }
        let end = (0..=MAX_REASON.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        let count = self.bans.get(&source).map_or(1, |ban| ban.count);
        let (until, why) = (now + length.min(LONGEST_ORDER), BanWhy::Order(reason[..end].into()));
        self.put(now, Ban { source, since: now, until, count, why, dropped: 0 });
        Ok(())
    }

    /// Ends a ban by order, and forgets what the source has done. Says whether it was banned.
    pub fn unban(&mut self, now: Time, source: Source) -> bool {
        self.scores.clear(self.hasher.hash_one(source.address()));
        let stood = self.bans.get(&source).is_some_and(|ban| ban.stands(now));
        if self.take(source).is_some() {
            self.news.push_back(GuardNews::Lifted { source, why: LiftedWhy::Order });
        }
        stood
    }

    /// The bans that stand, in no order.
    pub fn bans(&self, now: Time) -> impl Iterator<Item = &Ban> {
        self.bans.values().filter(move |ban| ban.stands(now))
    }

    /// Those bans that stand behind whose source nobody is known: whoever keeps out whole sources may do so there.
    pub fn complete_bans(&self, now: Time) -> impl Iterator<Item = &Ban> {
        self.bans(now).filter(move |ban| !self.known.knows_some(now, ban.source))
    }

    /// How many bans stand.
    pub fn standing(&self, now: Time) -> usize {
        self.bans(now).count()
    }

    /// Puts back a ban from a store, ended ones included, if there is room and it may be banned.
    pub fn restore(&mut self, ban: Ban) {
        if self.config.enabled && self.bans.len() < self.config.max_bans && !self.allow.contains(ban.source.address()) {
            self.due.insert((ban.until, ban.source));
            self.bans.insert(ban.source, ban);
        }
    }

    /// Replaces the lists of networks. Bans of those that are allowed now end.
    pub fn set_lists(&mut self, allow: &[Network], drop: &[Network]) {
        self.allow = Ranges::new(allow);
        self.drop = Ranges::new(drop);
        let freed: Vec<Source> =
            self.bans.keys().filter(|source| self.allow.contains(source.address())).copied().collect();
        for source in freed {
            self.take(source);
            self.news.push_back(GuardNews::Lifted { source, why: LiftedWhy::Allowed });
        }
    }

    /// Ends bans whose time is over.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((at, source)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.pop_first();
            let Some(ban) = self.bans.get(&source) else { continue };
            let forgotten_at = self.end_of(ban);
            if at >= forgotten_at {
                self.bans.remove(&source);
                self.news.push_back(GuardNews::Forgotten { source });
            } else {
                self.due.insert((forgotten_at, source));
                self.news.push_back(GuardNews::Lifted { source, why: LiftedWhy::Over });
            }
        }
    }

    /// When [`Guard::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// What was done, in the order of happening; to be called until `None` after every other call.
    pub fn poll_news(&mut self) -> Option<GuardNews> {
        self.news.pop_front()
    }

    /// What was counted.
    pub fn totals(&self) -> GuardTotals {
        self.totals
    }

    fn weight(&self, offence: Offence) -> u32 {
        let weights = &self.config.weights;
        match offence {
            Offence::WrongPassword => weights.wrong_password,
            Offence::UnknownUser => weights.unknown_user,
            Offence::Probe => weights.probe,
            Offence::Malformed => weights.malformed,
            Offence::Scanner => weights.scanner,
            Offence::Flood => weights.flood,
        }
    }

    /// Whether one more may be banned in this second.
    fn may_ban(&mut self, now: Time) -> bool {
        if self.banned_in.0 != now.as_secs() {
            self.banned_in = (now.as_secs(), 0);
        }
        self.banned_in.1 += 1;
        self.banned_in.1 <= MAX_BANS_PER_SECOND
    }

    fn ban_for(&mut self, now: Time, source: Source, offence: Offence) {
        let before = self.bans.get(&source).map_or(0, |ban| ban.count);
        if before == 0 && !self.make_room() {
            self.totals.uncounted += 1;
            return;
        }
        let doubled = 1_u32.checked_shl(before.into()).unwrap_or(u32::MAX);
        let length = self.config.ban_time.saturating_mul(doubled).min(self.config.max_ban_time);
        self.totals.bans += 1;
        let why = BanWhy::Offence(offence);
        self.put(
            now,
            Ban { source, since: now, until: now + length, count: before.saturating_add(1), why, dropped: 0 },
        );
    }

    fn put(&mut self, now: Time, ban: Ban) {
        let (source, until) = (ban.source, ban.until);
        self.take(source);
        self.due.insert((until, source));
        self.bans.insert(source, ban.clone());
        self.news.push_back(GuardNews::Banned { ban, spares: self.known.knows_some(now, source) });
    }

    /// Room for one more ban: the one that ends first goes, but none by order.
    fn make_room(&mut self) -> bool {
        if self.bans.len() < self.config.max_bans {
            return true;
        }
        let by_order = |source: &Source| matches!(self.bans.get(source), Some(Ban { why: BanWhy::Order(_), .. }));
        let Some(first) = self.due.iter().map(|(_, source)| *source).find(|source| !by_order(source)) else {
            return false;
        };
        self.take(first);
        self.totals.crowded += 1;
        self.news.push_back(GuardNews::Lifted { source: first, why: LiftedWhy::Crowded });
        true
    }

    fn take(&mut self, source: Source) -> Option<Ban> {
        let ban = self.bans.remove(&source)?;
        self.due.remove(&(ban.until, source));
        self.due.remove(&(self.end_of(&ban), source));
        Some(ban)
    }

    /// When an ended ban is forgotten.
    fn end_of(&self, ban: &Ban) -> Time {
        ban.until + self.config.max_ban_time
    }
}
