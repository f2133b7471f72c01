//! Event packages (RFC 6665): what phones are told that want to know how others are, outside of calls.
//!
//! [`Subscriptions`] knows who is to be told and when; here stands what. Each package is a row of [`Package`] and a
//! file that writes its document. A document is always the whole state, so that a NOTIFY which replaces two that were
//! due loses nothing.

mod lamps;
mod mailbox;
mod presence;
mod reg;
mod subscribe;
mod xml;

use std::collections::BTreeMap;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_sip::publication::{PublicationConfig, Publications};
use hookswitch_sip::subscription::{Change, End, Key, Outcome, Subscription, SubscriptionConfig, Subscriptions, Topic};
use hookswitch_sip::{Body, FailCause, Header, RequestId};
use hookswitch_sip_msg::{HeaderName, Method};

use crate::B2bua;
use lamps::Lamps;
pub use lamps::MAX_LISTED;
use mailbox::Mailboxes;
pub use mailbox::{Mailbox, MailboxChange};
use reg::Gone;

/// A kind of event that can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    /// Busy lamps (RFC 4235).
    Dialog,
    /// Waiting messages (RFC 3842).
    MessageSummary,
    /// Who can be reached (RFC 3856).
    Presence,
    /// Registered phones (RFC 3680).
    Reg,
}

impl Package {
    const ALL: [Self; 4] = [Self::Dialog, Self::MessageSummary, Self::Presence, Self::Reg];

    /// The package of an Event header.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|package| package.name().eq_ignore_ascii_case(name))
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Dialog => "dialog",
            Self::MessageSummary => "message-summary",
            Self::Presence => "presence",
            Self::Reg => "reg",
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Dialog => "application/dialog-info+xml",
            Self::MessageSummary => "application/simple-message-summary",
            Self::Presence => "application/pidf+xml",
            Self::Reg => "application/reginfo+xml",
        }
    }

    /// The least time between two NOTIFYs, as the package's own RFC has it.
    const fn gap(self) -> Duration {
        match self {
            Self::Dialog | Self::MessageSummary => Duration::from_secs(1),
            Self::Presence | Self::Reg => Duration::from_secs(5),
        }
    }

    /// Whether a user may know this of another.
    fn shown_to(self, resource: &str, watcher: &str) -> bool {
        let domain = |aor: &str| aor.rsplit_once('@').map(|(_, domain)| domain.to_owned());
        match self {
            Self::Dialog | Self::Presence => domain(resource) == domain(watcher),
            Self::MessageSummary | Self::Reg => resource == watcher,
        }
    }
}

/// What can be subscribed to, in calls and outside of them.
pub(crate) fn allow_events() -> Header {
    let mut names = String::from("refer");
    for package in Package::ALL {
        names.push_str(", ");
        names.push_str(package.name());
    }
    Header::new(HeaderName::AllowEvents, names)
}

/// What is watched with a package.
fn topic(package: Package, aor: &str) -> Topic {
    Topic { package: package.name().into(), resource: aor.into() }
}

/// Everything about event packages.
pub(crate) struct Packages {
    pub(crate) subscriptions: Subscriptions,
    pub(crate) lamps: Lamps,
    /// NOTIFYs that wait for an answer.
    asked: AHashMap<RequestId, Key>,
    /// The dialogs that subscribers of `dialog` know of as alive.
    told: BTreeMap<Key, Vec<CompactString>>,
    /// The contacts that are gone, as far as subscribers of `reg` have not been told.
    gone: BTreeMap<Key, Vec<Gone>>,
    mailboxes: Mailboxes,
    publications: Publications,
}

impl Packages {
    pub fn new(config: SubscriptionConfig) -> Self {
        Self {
            subscriptions: Subscriptions::new(config),
            lamps: Lamps::default(),
            asked: AHashMap::new(),
            told: BTreeMap::new(),
            gone: BTreeMap::new(),
            mailboxes: Mailboxes::default(),
            publications: Publications::new(PublicationConfig::default()),
        }
    }
}

impl B2bua {
    /// The subscriptions, the oldest first.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.packages.subscriptions.iter()
    }

    /// A subscription that was stored. False when there is no room for it.
    pub fn restore_subscription(&mut self, subscription: Subscription) -> bool {
        self.packages.subscriptions.restore(subscription)
    }

    /// The oldest change of a subscription, for the store.
    pub fn poll_subscription_change(&mut self) -> Option<Change> {
        let change = self.packages.subscriptions.poll_change();
        if let Some(Change::Removed { key, .. }) = &change {
            self.packages.told.remove(key);
            self.packages.gone.remove(key);
        }
        change
    }

    /// Ends what users of a domain watch, and what is watched of them, if they are not there any more.
    pub fn end_watches(&mut self, now: Time, domain: &str) {
        self.drop_mailboxes(now, domain);
        self.drop_publications(domain);
        let gone = |aor: &str| {
            let ours = aor.rsplit_once('@').is_some_and(|(_, of)| of == domain);
            ours && self.user_at(&lamps::uri_of(aor)).is_none()
        };
        let ends: Vec<(Key, End)> = self
            .subscriptions()
            .filter_map(|it| match (gone(&it.topic.resource), gone(&it.watcher)) {
                (true, _) => Some((it.key, End::NoResource)),
                (false, true) => Some((it.key, End::Rejected)),
                (false, false) => None,
            })
            .collect();
        for (key, why) in ends {
            self.packages.subscriptions.end(now, key, why);
        }
    }

    /// Whether there are NOTIFYs to be sent: [`B2bua::step`] does.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.packages.subscriptions.is_due() || !self.packages.lamps.changed.is_empty()
    }

    /// Lets time pass for subscriptions and publications.
    pub(crate) fn age_packages(&mut self, now: Time) {
        self.packages.subscriptions.handle_timeout(now);
        self.end_publications(now);
    }

    /// When that is wanted next.
    pub(crate) fn packages_due(&self) -> Option<Time> {
        let Packages { subscriptions, publications, .. } = &self.packages;
        [subscriptions.poll_timeout(), publications.poll_timeout()].into_iter().flatten().min()
    }

    /// Sends the NOTIFYs that are due. Whether there was one.
    pub(crate) fn tell_watchers(&mut self, now: Time) -> bool {
        for aor in std::mem::take(&mut self.packages.lamps.changed) {
            for package in [Package::Dialog, Package::Presence] {
                self.packages.subscriptions.changed(now, &topic(package, &aor));
            }
        }
        let mut some = false;
        while let Some(key) = self.packages.subscriptions.poll() {
            some = true;
            self.tell_watcher(now, key);
        }
        some
    }

    fn tell_watcher(&mut self, now: Time, key: Key) {
        let Some(it) = self.packages.subscriptions.get(key) else { return };
        let (topic, version) = (it.topic.clone(), it.dialog.local_seq());
        // A newer version of this program may have stored what this one does not know.
        let Some(package) = Package::of(&topic.package) else {
            return self.packages.subscriptions.answered(now, key, Outcome::Answered(489, FailCause::Response));
        };
        let Some(notice) = self.packages.subscriptions.begin(now, key, package.gap()) else { return };
        let body = self.document(now, package, &topic.resource, version, key);
        let headers = [
            Header::new(HeaderName::Event, notice.event.as_bytes().to_vec()),
            Header::new(HeaderName::SubscriptionState, notice.state.as_bytes().to_vec()),
        ];
        let Some(dialog) = self.packages.subscriptions.dialog_mut(key) else { return };
        let sent = self.endpoint.request_in(now, dialog, Method::Notify, &headers, Some(&body));
        let sent = sent.map(|id| self.packages.asked.insert(id, key)).map(drop).map_err(|_| Outcome::NotSent);
        self.packages.subscriptions.sent(now, key, sent);
    }

    fn document(&mut self, now: Time, package: Package, resource: &str, version: u32, key: Key) -> Body {
        match package {
            Package::Dialog => {
                let mut told = self.packages.told.remove(&key).unwrap_or_default();
                let body = self.dialog_info(resource, version, &mut told);
                if !told.is_empty() {
                    self.packages.told.insert(key, told);
                }
                body
            }
            Package::MessageSummary => self.message_summary(resource),
            Package::Presence => self.pidf(now, resource),
            Package::Reg => {
                let gone = self.packages.gone.remove(&key).unwrap_or_default();
                self.reg_info(now, resource, version, &gone)
            }
        }
    }

    /// The end of a NOTIFY, if the request was one of these.
    pub(crate) fn watcher_answered(&mut self, now: Time, id: RequestId, status: u16, why: FailCause) -> bool {
        let Some(key) = self.packages.asked.remove(&id) else { return false };
        self.packages.subscriptions.answered(now, key, Outcome::Answered(status, why));
        true
    }
}
