//! Is OpenSIPS there, does it still know us, and do the calls exist that we know of?

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::Time;

use crate::command::failure::{backend, down};
use crate::command::{News, failure};
use crate::evi::Topic;
use crate::mi::Asker;
use crate::mi::reply::Answer;
use crate::mi::request::Ask;
use crate::names::Version;
use crate::port::Output;
use crate::{AUDIT_AFTER, Health, Link, MiKind, OpenSips, Timer};

/// How often an OpenSIPS that does not answer is asked whether it is back.
pub(crate) const PROBE_WHEN_DOWN: Duration = Duration::from_secs(2);

/// How long a stop waits for OpenSIPS, unsubscriptions and leftovers included.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Most calls that are looked up at a time.
const MAX_AUDITS: usize = 200;

/// How we ask whether OpenSIPS is there.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// By which name the version is asked for.
    namespaced: bool,
    pub(crate) version: Option<Version>,
    is_under_way: bool,
    is_checking: bool,
}

impl OpenSips {
    /// Asks for the version and subscribes.
    pub fn start(&mut self, now: Time) {
        self.subscribe(now);
        self.probe(now);
        self.timers.insert((now + self.config.health_every, Timer::Health));
        self.timers.insert((now + self.config.subscription_refresh, Timer::Refresh));
    }

    /// Ends every command and the subscriptions; see [`OpenSips::stopped`]. Calls that are up stay up.
    pub fn stop(&mut self, now: Time) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.abandon_all(now, &backend("the switch is shutting down"));
        self.timers.insert((now + STOP_WITHIN, Timer::Stop));
        self.timers.retain(|(_, timer)| !matches!(timer, Timer::Health | Timer::Refresh));
        for request in self.requests.of(|asker| !matches!(asker, Asker::Command(..))) {
            self.close_request(request);
        }
        if !self.health.mi.is_down() {
            for topic in self.subscriptions.topics() {
                let ask = Ask::Subscribe { topic, expire: 0, socket: self.config.event_socket.clone() };
                self.send(now, Asker::Unsubscription(topic), &ask);
            }
        }
    }

    /// Whether nothing is left to be said after [`OpenSips::stop`].
    #[must_use]
    pub fn stopped(&self) -> bool {
        let is_done = self.requests.len() == 0 && self.running.is_empty();
        self.stopping && (is_done || self.health.mi.is_down() || self.has_waited)
    }

    /// The regular look.
    pub(crate) fn watch(&mut self, now: Time) {
        if !self.is_occupied() {
            self.probe(now);
            if self.health.mi == Link::Up {
                self.check(now);
                self.audit(now);
                self.look_up(now);
            }
        }
        let pause = if self.health.mi.is_down() { PROBE_WHEN_DOWN } else { self.config.health_every };
        self.timers.insert((now + pause, Timer::Health));
    }

    /// Subscriptions are repeated, and those that were refused are tried again.
    pub(crate) fn refresh(&mut self, now: Time) {
        if !self.health.mi.is_down() {
            self.subscribe(now);
        }
        self.timers.insert((now + self.config.subscription_refresh, Timer::Refresh));
    }

    fn subscribe(&mut self, now: Time) {
        for topic in self.subscriptions.topics() {
            self.subscribe_to(now, topic);
        }
    }

    fn subscribe_to(&mut self, now: Time, topic: Topic) {
        if !self.requests.of(|asker| asker == Asker::Subscription(topic)).is_empty() {
            return;
        }
        self.subscriptions.asked(topic);
        let expire = self.config.subscription_expiry.as_secs();
        let ask = Ask::Subscribe { topic, expire, socket: self.config.event_socket.clone() };
        self.send(now, Asker::Subscription(topic), &ask);
    }

    pub(crate) fn subscribed(&mut self, now: Time, topic: Topic, answer: &Answer) {
        match answer {
            Answer::Result(_) => self.subscriptions.accepted(topic),
            Answer::Error { code, text } => self.subscriptions.refused(topic, *code, text),
            Answer::Lost if self.health.mi == Link::Up => {
                self.subscriptions.lost(topic);
                self.subscribe_to(now, topic);
            }
            // OpenSIPS is lost, and this is asked again when it is back.
            Answer::Lost => return,
        }
        self.events_changed(now);
        self.begin_waiting(now);
    }

    fn events_changed(&mut self, now: Time) {
        let events = match (self.subscriptions.any_refusal(), self.subscriptions.are_settled()) {
            (Some(why), _) => match &self.health.events {
                Link::Down { since, .. } => Link::Down { since: *since, why: why.clone() },
                Link::Unknown | Link::Up => Link::Down { since: now, why: why.clone() },
            },
            (None, true) => Link::Up,
            (None, false) => return,
        };
        self.set_health(Health { events, ..self.health.clone() });
    }

    fn set_health(&mut self, health: Health) {
        if health != self.health {
            self.health = health;
            self.outputs.push_back(Output::Health(self.health.clone()));
        }
    }

    /// Whether OpenSIPS may be unable to answer anything for as long as a caller's phone rings: `mi_http` has one
    /// process, and it waits with the INVITE for its final answer. Silence means nothing then.
    pub(crate) fn is_occupied(&self) -> bool {
        self.config.mi == MiKind::Http && self.requests.is_calling()
    }

    fn probe(&mut self, now: Time) {
        if !self.stopping && !std::mem::replace(&mut self.probe.is_under_way, true) {
            self.send(now, Asker::Probe, &Ask::Version { namespaced: self.probe.namespaced });
        }
    }

    /// Something went unanswered: is OpenSIPS there?
    pub(crate) fn suspect(&mut self, now: Time) {
        if self.health.mi == Link::Up && !self.is_occupied() {
            self.probe(now);
        }
    }

    pub(crate) fn probed(&mut self, now: Time, answer: &Answer) {
        self.probe.is_under_way = false;
        match answer {
            Answer::Lost if self.is_occupied() => return,
            Answer::Lost => return self.down(now, CompactString::const_new("no answer")),
            Answer::Result(result) => {
                let version = Version::read(result);
                if version != self.probe.version {
                    self.knows_dialogs = false;
                    self.probe.version = version;
                }
            }
            Answer::Error { .. } if !self.probe.namespaced && self.probe.version.is_none() => {
                self.probe.namespaced = true;
                return self.probe(now);
            }
            // Neither name: it answers, and that is all that is known of it.
            Answer::Error { .. } => {}
        }
        self.up(now);
    }

    fn up(&mut self, now: Time) {
        let was_down = self.health.mi.is_down();
        let version = self.probe.version.as_ref().map(|version| version.text.clone());
        if was_down {
            self.counts.subscriptions_remade += self.subscriptions.topics().len() as u64;
            self.subscribe(now);
        }
        self.set_health(Health { mi: Link::Up, version, ..self.health.clone() });
        if was_down {
            for ticket in self.leftovers() {
                self.hear(now, ticket, News::Begin);
            }
        }
        self.begin_waiting(now);
    }

    /// OpenSIPS is lost: whoever waits for it is told at once.
    pub(crate) fn down(&mut self, now: Time, why: CompactString) {
        self.probe.is_under_way = false;
        self.probe.is_checking = false;
        for request in self.requests.of(|asker| !matches!(asker, Asker::Command(..))) {
            self.close_request(request);
        }
        if self.health.mi.is_down() {
            return;
        }
        self.counts.losses += 1;
        self.subscriptions.forget();
        let lost = |why| Link::Down { since: now, why };
        let events = lost(CompactString::const_new(failure::NOT_ANSWERING));
        self.set_health(Health { mi: lost(why), events, ..self.health.clone() });
        self.timers.retain(|(_, timer)| *timer != Timer::Health);
        self.timers.insert((now + PROBE_WHEN_DOWN, Timer::Health));
        self.abandon_all(now, &down());
        for ticket in self.leftovers() {
            if let Some(running) = self.running.get_mut(&ticket) {
                for (_, request) in std::mem::take(&mut running.requests) {
                    self.close_request(request);
                }
            }
            self.hear(now, ticket, News::Park);
        }
    }

    fn abandon_all(&mut self, now: Time, failure: &hookswitch_call::Failure) {
        let asked_for = self.running.iter().filter(|(_, running)| running.is_asked_for);
        let tickets: Vec<_> = asked_for.map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            self.hear(now, ticket, News::Abandon(failure));
        }
    }

    fn leftovers(&self) -> Vec<hookswitch_call::Ticket> {
        self.running.iter().filter(|(_, running)| !running.is_asked_for).map(|(ticket, _)| *ticket).collect()
    }

    /// Asks who is subscribed: an OpenSIPS that has restarted has forgotten us, and says nothing about it.
    pub(crate) fn check(&mut self, now: Time) {
        let is_sensible = self.health.mi == Link::Up && self.subscriptions.stands(Topic::Transfer) && !self.stopping;
        if is_sensible && !std::mem::replace(&mut self.probe.is_checking, true) {
            self.send(now, Asker::Check, &Ask::Subscribers { topic: Topic::Transfer });
        }
    }

    pub(crate) fn checked(&mut self, now: Time, answer: &Answer) {
        self.probe.is_checking = false;
        let Answer::Result(list) = answer else { return };
        if !self.subscriptions.listed(list, &self.config.event_socket) {
            return;
        }
        self.counts.subscriptions_remade += self.subscriptions.topics().len() as u64;
        self.subscribe(now);
        let tickets: Vec<_> = self.running.keys().copied().collect();
        for ticket in tickets {
            self.hear(now, ticket, News::Restarted);
        }
    }

    /// Looks up calls of which nothing has been heard for long: their end may have been told and lost.
    fn audit(&mut self, now: Time) {
        let rounds = (AUDIT_AFTER.as_secs() / self.config.health_every.as_secs().max(1)).max(1);
        let share = self.book.len() / usize::try_from(rounds).unwrap_or(1) + 1;
        for _ in 0..share.min(MAX_AUDITS) {
            let Some(id) = self.book.next_audit(now) else { return };
            let Some(call) = self.book.get(id) else { return };
            let callid = (call.users == 0).then(|| call.wire.clone());
            self.book.audit_at(id, now + AUDIT_AFTER);
            if let Some(callid) = callid {
                self.send(now, Asker::Audit(id), &Ask::Dialog { callid });
            }
        }
    }
}
