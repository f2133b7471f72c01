//! Which phones a user has registered (package `reg`, RFC 3680).
//!
//! A refresh is no news; whoever wants to know the time left subscribes again.

use compact_str::{CompactString, format_compact};
use hookswitch_call::Time;
use hookswitch_sip::Body;
use hookswitch_sip::registrar::{Change, RemovedWhy};

use super::lamps::{MAX_LISTED, uri_of};
use super::xml::Xml;
use super::{Package, topic};
use crate::B2bua;

/// A contact that is gone, until a subscriber has been told.
pub(super) struct Gone {
    id: u64,
    uri: CompactString,
    event: &'static str,
}

impl B2bua {
    /// Sees what has happened to a binding, for those who watch its user.
    pub fn binding_changed(&mut self, now: Time, change: &Change) {
        let aor = match change {
            Change::Put(binding) if !binding.is_new() => return,
            Change::Put(binding) => &binding.aor,
            Change::Removed { aor, .. } => aor,
            // As far as the registrar is concerned it stays registered.
            Change::Stale { .. } | Change::Revived { .. } => return,
        };
        let reg = topic(Package::Reg, aor);
        if let Change::Removed { id, contact, why, .. } = change {
            for key in self.packages.subscriptions.watchers(&reg).collect::<Vec<_>>() {
                let gone = self.packages.gone.entry(key).or_default();
                if gone.len() < MAX_LISTED {
                    gone.push(Gone { id: id.0, uri: contact.as_ref().into(), event: event_of(*why) });
                }
            }
        }
        self.packages.subscriptions.changed(now, &reg);
        self.packages.subscriptions.changed(now, &topic(Package::Presence, aor));
    }

    /// The bindings of a user as a document, always all of them, and those that are gone since the last.
    pub(super) fn reg_info(&self, now: Time, aor: &str, version: u32, gone: &[Gone]) -> Body {
        let mut xml = Xml::new();
        xml.open("reginfo")
            .attribute("xmlns", "urn:ietf:params:xml:ns:reginfo")
            .attribute("version", &format_compact!("{version}"))
            .attribute("state", "full");
        let mut bindings = self.registrar.bindings(now, aor).take(MAX_LISTED).peekable();
        let state = match (bindings.peek(), gone) {
            (Some(_), _) => "active",
            (None, []) => "init",
            (None, _) => "terminated",
        };
        xml.open("registration").attribute("aor", &uri_of(aor)).attribute("id", "r").attribute("state", state);
        for binding in bindings {
            let event = if binding.is_new() { "registered" } else { "refreshed" };
            xml.open("contact")
                .attribute("id", &format_compact!("{:x}", binding.id.0))
                .attribute("state", "active")
                .attribute("event", event)
                .attribute("duration-registered", &seconds(now.saturating_sub(binding.registered_at)))
                .attribute("expires", &format_compact!("{}", binding.seconds_left(now)))
                .attribute("q", &format_compact!("{}.{:03}", binding.q / 1_000, binding.q % 1_000))
                .attribute("callid", &binding.call_id)
                .attribute("cseq", &format_compact!("{}", binding.cseq));
            xml.leaf("uri", &binding.contact).close();
        }
        for Gone { id, uri, event } in gone {
            xml.open("contact")
                .attribute("id", &format_compact!("{id:x}"))
                .attribute("state", "terminated")
                .attribute("event", event);
            xml.leaf("uri", uri).close();
        }
        Body { content_type: Package::Reg.content_type().into(), bytes: xml.finish().into() }
    }
}

fn seconds(time: Time) -> CompactString {
    format_compact!("{}", time.as_secs())
}

/// What the package calls it (RFC 3680 section 4.6.1).
fn event_of(why: RemovedWhy) -> &'static str {
    match why {
        RemovedWhy::Unregistered => "unregistered",
        RemovedWhy::Replaced | RemovedWhy::Unreachable => "deactivated",
        RemovedWhy::Revoked => "rejected",
        RemovedWhy::Expired => "expired",
    }
}
