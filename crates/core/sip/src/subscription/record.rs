//! What is known of a subscription, and what is told of it.

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::dialog::Dialog;
use crate::event::FailCause;

/// How many numbers of CSeq are stored ahead of those in use, so that not every NOTIFY is a write.
pub const SEQ_BLOCK: u32 = 100;

/// Names a subscription for as long as anything remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key(pub u64);

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Topic {
    /// The event package, in lower case.
    pub package: CompactString,
    /// Whose: an address of record, as [`aor_of`](crate::registrar::aor_of) writes it.
    pub resource: CompactString,
}

/// A subscription. It can be stored and carries everything needed to send NOTIFY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its name; given by [`Subscriptions::open`](super::Subscriptions::open).
    pub key: Key,
    /// What is watched.
    pub topic: Topic,
    /// `id` of the Event header.
    pub id: Option<CompactString>,
    /// Who watches, an address of record.
    pub watcher: CompactString,
    /// Where it leads, with the numbers of our requests.
    pub dialog: Dialog,
    /// When it ends unless it is refreshed; given by [`Subscriptions::open`](super::Subscriptions::open).
    pub until: Time,
    /// Numbers of ours up to this one may have been used, whatever the dialog says.
    #[serde(default)]
    pub reserved: u32,
}

impl Subscription {
    /// A new one, to be opened.
    #[must_use]
    pub fn new(topic: Topic, id: Option<&str>, watcher: &str, dialog: Dialog) -> Subscription {
        let (id, watcher) = (id.map(CompactString::from), watcher.into());
        Subscription { key: Key(0), topic, id, watcher, dialog, until: Time::ZERO, reserved: 0 }
    }
}

/// Why a subscription ends (RFC 6665 section 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its time is over, or the subscriber wants no more.
    Timeout,
    /// What was watched is not there any more.
    NoResource,
    /// The subscriber is to come back at once.
    Deactivated,
    /// The subscriber is to come back after so many seconds.
    Probation(u32),
    /// The subscriber may not watch any more.
    Rejected,
}

/// What the headers of a NOTIFY say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Value of Event.
    pub event: CompactString,
    /// Value of Subscription-State.
    pub state: CompactString,
}

impl Notice {
    pub(super) fn of(now: Time, it: &Subscription, end: Option<End>) -> Notice {
        let package = &it.topic.package;
        let event = match &it.id {
            Some(id) => format_compact!("{package};id={id}"),
            None => package.clone(),
        };
        let state = match end {
            None => {
                let left = it.until.saturating_sub(now);
                format_compact!("active;expires={}", left.as_secs() + u64::from(left.subsec_nanos() > 0))
            }
            Some(End::Timeout) => "terminated;reason=timeout".into(),
            Some(End::NoResource) => "terminated;reason=noresource".into(),
            Some(End::Deactivated) => "terminated;reason=deactivated".into(),
            Some(End::Probation(seconds)) => format_compact!("terminated;reason=probation;retry-after={seconds}"),
            Some(End::Rejected) => "terminated;reason=rejected".into(),
        };
        Notice { event, state }
    }
}

/// What became of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It could not be sent now, for want of room.
    NotSent,
    /// An answer with this status, or our own conclusion where there was none.
    Answered(u16, FailCause),
}

impl Outcome {
    /// Nobody is there who wants to be told (RFC 6665 section 4.2.2, RFC 5057 section 5.1).
    pub(super) fn ends_it(self) -> bool {
        match self {
            Outcome::NotSent => false,
            Outcome::Answered(_, FailCause::Timeout | FailCause::Unreachable) => true,
            Outcome::Answered(status, FailCause::Response | FailCause::Cancelled) => {
                matches!(status, 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604)
            }
        }
    }
}

/// Why somebody cannot subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// For less than this: 423.
    TooBrief(Time),
    /// There are too many: 503.
    Full,
    /// The user has too many: 403.
    TooMany,
}

/// A change for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// New, refreshed, or in need of numbers.
    Put(Box<Subscription>),
    /// Gone.
    Removed {
        /// Which.
        key: Key,
        /// The store has ever heard of it.
        stored: bool,
    },
}
