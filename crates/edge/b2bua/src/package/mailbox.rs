//! How many messages wait for a user (package `message-summary`, RFC 3842). Who keeps the messages says so over HTTP.

use std::collections::{BTreeMap, VecDeque};

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_sip::Body;
use serde::{Deserialize, Serialize};

use super::lamps::uri_of;
use super::{Package, topic};
use crate::B2bua;

/// The voice messages of a user. Those that are not said are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mailbox {
    /// Not heard yet, urgent ones included.
    pub new: u32,
    /// Heard, urgent ones included.
    pub old: u32,
    /// Urgent and not heard yet.
    pub urgent_new: u32,
    /// Urgent and heard.
    pub urgent_old: u32,
}

impl Mailbox {
    /// The document (RFC 3842 section 5.2).
    fn document(self, aor: &str) -> Body {
        let Self { new, old, urgent_new, urgent_old } = self;
        let waiting = if new > 0 { "yes" } else { "no" };
        let account = uri_of(aor);
        let text = format!(
            "Messages-Waiting: {waiting}\r\nMessage-Account: {account}\r\n\
             Voice-Message: {new}/{old} ({urgent_new}/{urgent_old})\r\n"
        );
        Body { content_type: Package::MessageSummary.content_type().into(), bytes: text.into() }
    }
}

/// A change for the store: a user's mailbox is this, or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxChange {
    /// Whose, an address of record.
    pub aor: CompactString,
    /// What it holds from now on.
    pub mailbox: Option<Mailbox>,
}

/// All mailboxes, of users that exist.
#[derive(Default)]
pub(crate) struct Mailboxes {
    boxes: BTreeMap<CompactString, Mailbox>,
    changes: VecDeque<MailboxChange>,
}

impl B2bua {
    /// What waits for a user; `None` when nobody has ever said.
    pub fn mailbox(&self, aor: &str) -> Option<Mailbox> {
        self.packages.mailboxes.boxes.get(aor).copied()
    }

    /// Sets what waits for a user, or forgets it, and tells the user's phones. False when it was so already.
    pub fn set_mailbox(&mut self, now: Time, aor: &str, mailbox: Option<Mailbox>) -> bool {
        let Mailboxes { boxes, changes } = &mut self.packages.mailboxes;
        let before = match mailbox {
            Some(mailbox) => boxes.insert(aor.into(), mailbox),
            None => boxes.remove(aor),
        };
        if before == mailbox {
            return false;
        }
        changes.push_back(MailboxChange { aor: aor.into(), mailbox });
        self.packages.subscriptions.changed(now, &topic(Package::MessageSummary, aor));
        true
    }

    /// One more new message waits for a user, if there is such a user, and its phones are told.
    pub fn message_left(&mut self, now: Time, aor: &str) {
        let Some(aor) = self.user_at(&uri_of(aor)) else { return };
        let before = self.mailbox(&aor).unwrap_or_default();
        let after = Mailbox { new: before.new.saturating_add(1), ..before };
        self.set_mailbox(now, &aor, Some(after));
    }

    /// A mailbox that was stored.
    pub fn restore_mailbox(&mut self, aor: CompactString, mailbox: Mailbox) {
        self.packages.mailboxes.boxes.insert(aor, mailbox);
    }

    /// The oldest change of a mailbox, for the store.
    pub fn poll_mailbox_change(&mut self) -> Option<MailboxChange> {
        self.packages.mailboxes.changes.pop_front()
    }

    /// Forgets the mailboxes of users of a domain that are not there any more.
    pub(super) fn drop_mailboxes(&mut self, now: Time, domain: &str) {
        let of_domain = |aor: &&CompactString| aor.rsplit_once('@').is_some_and(|(_, of)| of == domain);
        let boxes = self.packages.mailboxes.boxes.keys().filter(of_domain);
        let gone: Vec<CompactString> = boxes.filter(|aor| self.user_at(&uri_of(aor)).is_none()).cloned().collect();
        for aor in gone {
            self.set_mailbox(now, &aor, None);
        }
    }

    pub(super) fn message_summary(&self, aor: &str) -> Body {
        self.mailbox(aor).unwrap_or_default().document(aor)
    }
}
