//! Subscriptions to events (RFC 6665), from the notifier's side: who is told, until when, and when the next word is due.
//!
//! ```text
//!                  ┌────────── changed, refreshed, restored ──────────┐
//!                  ▼                                                  │
//!   open ──► Untold ── gap over ──► due ── begin ──► Telling ── 2xx ──┴──► Told
//!              ▲                                        │
//!              └──── changed meanwhile ─────────────────┤
//!                                                       └─ 481, silence… ──► gone
//!   until, end ──► Untold, the last word ── begin ──► gone
//! ```
//!
//! [`Subscriptions`] writes no message and knows no package: its user reads SUBSCRIBE, asks [`Subscriptions::poll`]
//! whose word is due, writes the NOTIFY inside the dialog of the subscription and tells what came of it. One NOTIFY at
//! a time is under way in each, and not sooner than the package's gap after the last; what has changed meanwhile is
//! told by the next, which tells the newest only.
//!
//! Nothing is ever pending: whoever may not watch is refused.

mod config;
mod record;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use compact_str::CompactString;

pub use self::config::{MAX_EVENT_ID, RETRY_AFTER, SubscriptionConfig, WAKE_BATCH, WAKE_GAP};
pub use self::record::{Change, End, Key, Notice, Outcome, Refused, SEQ_BLOCK, Subscription, Topic};
use crate::Time;
use crate::dialog::Dialog;

/// One subscription, and how far its subscriber has been told.
struct Entry {
    it: Subscription,
    /// A NOTIFY is under way.
    telling: bool,
    /// Something is to be told.
    untold: bool,
    /// No NOTIFY before this.
    quiet_until: Time,
    /// What is told next is the last word, and why.
    end: Option<End>,
    /// What the store knows of our numbers.
    reserved: u32,
    /// What is in the list of deadlines.
    timer: Option<Time>,
}

/// All subscriptions of one node.
pub struct Subscriptions {
    config: SubscriptionConfig,
    entries: BTreeMap<Key, Entry>,
    /// By our tag, which nobody else can choose.
    tags: BTreeMap<CompactString, Key>,
    topics: BTreeMap<Topic, BTreeSet<Key>>,
    per_user: BTreeMap<CompactString, usize>,
    timers: BTreeSet<(Time, Key)>,
    due: VecDeque<Key>,
    /// Restored ones whose subscribers have heard nothing since the restart.
    asleep: VecDeque<Key>,
    wake_at: Time,
    changes: VecDeque<Change>,
    next: u64,
}

impl Subscriptions {
    /// None yet.
    #[must_use]
    pub fn new(config: SubscriptionConfig) -> Subscriptions {
        Subscriptions {
            config,
            entries: BTreeMap::new(),
            tags: BTreeMap::new(),
            topics: BTreeMap::new(),
            per_user: BTreeMap::new(),
            timers: BTreeSet::new(),
            due: VecDeque::new(),
            asleep: VecDeque::new(),
            wake_at: Time::ZERO,
            changes: VecDeque::new(),
            next: 1,
        }
    }

    /// For how long a subscription is granted: `asked` as the subscriber wrote it, in seconds. Zero asks for one NOTIFY
    /// only, or for the end.
    ///
    /// # Errors
    ///
    /// [`Refused::TooBrief`].
    pub fn grant(&self, asked: Option<u32>) -> Result<Time, Refused> {
        let asked = asked.map_or(self.config.default_expires, |seconds| Time::from_secs(seconds.into()));
        // RFC 6665 section 4.2.1.1: less than an hour only may be called too brief.
        let least = self.config.min_expires.min(Time::from_secs(3_600));
        if !asked.is_zero() && asked < least {
            return Err(Refused::TooBrief(least));
        }
        Ok(asked.min(self.config.max_expires))
    }

    /// Whether there is room for one more subscription of a user.
    ///
    /// # Errors
    ///
    /// [`Refused::Full`], [`Refused::TooMany`].
    pub fn room(&self, watcher: &str) -> Result<(), Refused> {
        if self.entries.len() >= self.config.max_subscriptions {
            return Err(Refused::Full);
        }
        match self.per_user.get(watcher) {
            Some(many) if *many >= self.config.max_per_user => Err(Refused::TooMany),
            _ => Ok(()),
        }
    }

    /// Takes a new subscription, for which there must be [room](Subscriptions::room); its first word is due at once. One
    /// that is [granted](Subscriptions::grant) no time is told once and gone.
    pub fn open(&mut self, now: Time, mut it: Subscription, granted: Time) -> Key {
        let key = Key(self.next);
        self.next += 1;
        it.key = key;
        it.until = now + granted;
        let end = granted.is_zero().then_some(End::Timeout);
        self.insert(it, end);
        self.save(key);
        self.settle(now, key);
        key
    }

    /// The subscription of a dialog, if it is to this package with this `id` of the Event header.
    #[must_use]
    pub fn find(&self, call_id: &str, local_tag: &str, remote_tag: &str, event: (&str, Option<&str>)) -> Option<Key> {
        let key = *self.tags.get(local_tag)?;
        let entry = self.entries.get(&key).filter(|entry| entry.end.is_none())?;
        let (it, dialog) = (&entry.it, &entry.it.dialog);
        let same = dialog.call_id() == call_id
            && dialog.remote_tag() == remote_tag
            && it.topic.package.eq_ignore_ascii_case(event.0)
            && it.id.as_deref() == event.1;
        same.then_some(key)
    }

    /// One subscription.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Subscription> {
        self.entries.get(&key).map(|entry| &entry.it)
    }

    /// Its dialog, to send in and to hear from.
    pub fn dialog_mut(&mut self, key: Key) -> Option<&mut Dialog> {
        self.entries.get_mut(&key).map(|entry| &mut entry.it.dialog)
    }

    /// Gives a subscription more time, or ends it when it is granted none. Either is told.
    pub fn refresh(&mut self, now: Time, key: Key, granted: Time) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.it.until = now + granted;
        entry.untold = true;
        // Whoever asks is told at once (RFC 6665 section 4.2.1.2).
        entry.quiet_until = now;
        if granted.is_zero() {
            entry.end = Some(End::Timeout);
        }
        self.save(key);
        self.settle(now, key);
    }

    /// Something about a topic has changed: its subscribers are to be told.
    pub fn changed(&mut self, now: Time, topic: &Topic) {
        let keys: Vec<Key> = self.topics.get(topic).into_iter().flatten().copied().collect();
        for key in keys {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.untold = true;
                self.settle(now, key);
            }
        }
    }

    /// Whether anybody wants to know about a topic.
    #[must_use]
    pub fn is_watched(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// The subscriptions to a topic, the oldest first.
    pub fn watchers(&self, topic: &Topic) -> impl Iterator<Item = Key> {
        self.topics.get(topic).into_iter().flatten().copied()
    }

    /// Whether something is due.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Ends all subscriptions to a topic, and says so.
    pub fn end_topic(&mut self, now: Time, topic: &Topic, why: End) {
        let keys: Vec<Key> = self.topics.get(topic).into_iter().flatten().copied().collect();
        for key in keys {
            self.end(now, key, why);
        }
    }

    /// Ends a subscription, and says so.
    pub fn end(&mut self, now: Time, key: Key, why: End) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.end.get_or_insert(why);
            entry.quiet_until = now;
            self.settle(now, key);
        }
    }

    /// The next subscription whose subscriber is to be told now. [`Subscriptions::begin`] follows.
    pub fn poll(&mut self) -> Option<Key> {
        let key = self.due.pop_front();
        if key.is_none() {
            self.due = VecDeque::new();
        }
        key
    }

    /// The NOTIFY of a subscription is about to be written: what its headers say. The subscriber is taken to be told
    /// what is so now. Nothing is due when it is `None`.
    pub fn begin(&mut self, now: Time, key: Key, gap: Time) -> Option<Notice> {
        let entry = self.entries.get_mut(&key)?;
        if entry.telling || !(entry.untold || entry.end.is_some()) {
            return None;
        }
        entry.telling = true;
        entry.untold = false;
        entry.quiet_until = now + gap;
        Some(Notice::of(now, &entry.it, entry.end))
    }

    /// The NOTIFY has been sent, or could not be. After the last word the subscription is gone, and its outcome does not
    /// matter any more.
    pub fn sent(&mut self, now: Time, key: Key, outcome: Result<(), Outcome>) {
        if let Err(outcome) = outcome {
            return self.answered(now, key, outcome);
        }
        let Some(entry) = self.entries.get(&key) else { return };
        if entry.end.is_some() {
            self.remove(key);
        } else if entry.it.dialog.local_seq() >= entry.reserved {
            self.save(key);
        }
    }

    /// The outcome of the NOTIFY that was under way. A subscriber that knows of no subscription, or is not there, has
    /// none any more (RFC 6665 section 4.2.2).
    pub fn answered(&mut self, now: Time, key: Key, outcome: Outcome) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.telling = false;
        if outcome.ends_it() {
            return self.remove(key);
        }
        if outcome == Outcome::NotSent {
            entry.untold = true;
            entry.quiet_until = now + RETRY_AFTER;
        }
        self.settle(now, key);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((at, key)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key));
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.timer = None;
                if entry.it.until <= now {
                    entry.end.get_or_insert(End::Timeout);
                }
                self.settle(now, key);
            }
        }
        if !self.asleep.is_empty() && self.wake_at <= now {
            self.wake_at = now + WAKE_GAP;
            for key in self.asleep.drain(..WAKE_BATCH.min(self.asleep.len())).collect::<Vec<_>>() {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.untold = true;
                    self.settle(now, key);
                }
            }
        }
    }

    /// When [`Subscriptions::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let wake = (!self.asleep.is_empty()).then_some(self.wake_at);
        [self.timers.first().map(|(at, _)| *at), wake].into_iter().flatten().min()
    }

    /// The oldest change for the store that nobody has seen.
    pub fn poll_change(&mut self) -> Option<Change> {
        let change = self.changes.pop_front();
        if change.is_none() {
            self.changes = VecDeque::new();
        }
        change
    }

    /// Takes back a stored subscription. Its subscriber is told how things stand, some at a time, so that a start is no
    /// storm; numbers go on behind those that may have been used. False when there is no room, or it is here already.
    pub fn restore(&mut self, mut it: Subscription) -> bool {
        let known = self.entries.contains_key(&it.key) || self.tags.contains_key(it.dialog.local_tag());
        if known || self.room(&it.watcher).is_err() {
            return false;
        }
        it.dialog.skip_to(it.reserved);
        it.dialog.disconnect();
        self.next = self.next.max(it.key.0.saturating_add(1));
        let (key, reserved) = (it.key, it.reserved);
        self.insert(it, None);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.untold = false;
            entry.reserved = reserved;
            entry.timer = Some(entry.it.until);
            self.timers.insert((entry.it.until, key));
        }
        self.asleep.push_back(key);
        true
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.entries.values().map(|entry| &entry.it)
    }

    fn insert(&mut self, it: Subscription, end: Option<End>) {
        let key = it.key;
        self.tags.insert(it.dialog.local_tag().into(), key);
        self.topics.entry(it.topic.clone()).or_default().insert(key);
        *self.per_user.entry(it.watcher.clone()).or_default() += 1;
        let quiet_until = Time::ZERO;
        let entry = Entry { it, telling: false, untold: true, quiet_until, end, reserved: 0, timer: None };
        self.entries.insert(key, entry);
    }

    /// What follows for one: it is due, or has a time to wait for.
    fn settle(&mut self, now: Time, key: Key) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let wants = entry.untold || entry.end.is_some();
        let next = if entry.telling {
            // Its transaction ends it, one way or the other.
            None
        } else if wants && entry.quiet_until <= now {
            self.due.push_back(key);
            Some(entry.it.until).filter(|_| entry.end.is_none())
        } else if entry.end.is_some() {
            Some(entry.quiet_until)
        } else if wants {
            Some(entry.quiet_until.min(entry.it.until))
        } else {
            Some(entry.it.until)
        };
        if let Some(old) = std::mem::replace(&mut entry.timer, next) {
            self.timers.remove(&(old, key));
        }
        if let Some(at) = next {
            self.timers.insert((at, key));
        }
    }

    /// Has the store know a subscription, with some numbers to spare. What is told once only is not worth it.
    fn save(&mut self, key: Key) {
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.end.is_none()) else { return };
        entry.reserved = entry.it.dialog.local_seq() + SEQ_BLOCK;
        entry.it.reserved = entry.reserved;
        self.changes.push_back(Change::Put(Box::new(entry.it.clone())));
    }

    fn remove(&mut self, key: Key) {
        let Some(Entry { it, timer, reserved, .. }) = self.entries.remove(&key) else { return };
        self.tags.remove(it.dialog.local_tag());
        if let Some(keys) = self.topics.get_mut(&it.topic) {
            keys.remove(&key);
            if keys.is_empty() {
                self.topics.remove(&it.topic);
            }
        }
        if let Some(many) = self.per_user.get_mut(&it.watcher) {
            *many -= 1;
            if *many == 0 {
                self.per_user.remove(&it.watcher);
            }
        }
        if let Some(at) = timer {
            self.timers.remove(&(at, key));
        }
        self.changes.push_back(Change::Removed { key, stored: reserved > 0 });
    }
}
