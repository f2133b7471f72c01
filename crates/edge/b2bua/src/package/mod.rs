//! Event packages (RFC 6665): what phones are told that want to know how others are, outside of calls.
//!
//! [`Subscriptions`] knows who is to be told and when; here stands what. Each package is a row of [`Package`] and a
//! file that writes its document. A document is always the whole state, so that a NOTIFY which replaces two that were
//! due loses nothing.

mod lamps;
mod subscribe;
mod xml;

use std::collections::BTreeMap;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_sip::subscription::{Change, End, Key, Outcome, Subscription, SubscriptionConfig, Subscriptions, Topic};
use hookswitch_sip::{Body, FailCause, Header, RequestId};
use hookswitch_sip_msg::{HeaderName, Method};

use crate::B2bua;
use lamps::Lamps;
pub use lamps::MAX_LISTED;

/// A kind of event that can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    /// Busy lamps (RFC 4235).
    Dialog,
}

impl Package {
    const ALL: [Self; 1] = [Self::Dialog];

    /// The package of an Event header.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|package| package.name().eq_ignore_ascii_case(name))
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Dialog => "dialog",
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Dialog => "application/dialog-info+xml",
        }
    }

    /// The least time between two NOTIFYs, as the package's own RFC has it.
    const fn gap(self) -> Duration {
        match self {
            Self::Dialog => Duration::from_secs(1),
        }
    }

    /// Whether a user may know this of another.
    fn shown_to(self, resource: &str, watcher: &str) -> bool {
        let domain = |aor: &str| aor.rsplit_once('@').map(|(_, domain)| domain.to_owned());
        match self {
            Self::Dialog => domain(resource) == domain(watcher),
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

/// Everything about event packages.
pub(crate) struct Packages {
    pub(crate) subscriptions: Subscriptions,
    pub(crate) lamps: Lamps,
    /// NOTIFYs that wait for an answer.
    asked: AHashMap<RequestId, Key>,
    /// The dialogs that subscribers of `dialog` know of as alive.
    told: BTreeMap<Key, Vec<CompactString>>,
}

impl Packages {
    pub fn new(config: SubscriptionConfig) -> Self {
        Self {
            subscriptions: Subscriptions::new(config),
            lamps: Lamps::default(),
            asked: AHashMap::new(),
            told: BTreeMap::new(),
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
        }
        change
    }

    /// Ends what users of a domain watch, and what is watched of them, if they are not there any more.
    pub fn end_watches(&mut self, now: Time, domain: &str) {
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

    /// Sends the NOTIFYs that are due. Whether there was one.
    pub(crate) fn tell_watchers(&mut self, now: Time) -> bool {
        for aor in std::mem::take(&mut self.packages.lamps.changed) {
            let topic = Topic { package: Package::Dialog.name().into(), resource: aor };
            self.packages.subscriptions.changed(now, &topic);
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
        let body = self.document(package, &topic.resource, version, key);
        let headers = [
            Header::new(HeaderName::Event, notice.event.as_bytes().to_vec()),
            Header::new(HeaderName::SubscriptionState, notice.state.as_bytes().to_vec()),
        ];
        let Some(dialog) = self.packages.subscriptions.dialog_mut(key) else { return };
        let sent = self.endpoint.request_in(now, dialog, Method::Notify, &headers, Some(&body));
        let sent = sent.map(|id| self.packages.asked.insert(id, key)).map(drop).map_err(|_| Outcome::NotSent);
        self.packages.subscriptions.sent(now, key, sent);
    }

    fn document(&mut self, package: Package, resource: &str, version: u32, key: Key) -> Body {
        match package {
            Package::Dialog => {
                let mut told = self.packages.told.remove(&key).unwrap_or_default();
                let body = self.dialog_info(resource, version, &mut told);
                if !told.is_empty() {
                    self.packages.told.insert(key, told);
                }
                body
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
