//! What the users' legs are doing, for busy lamps (package `dialog`, RFC 4235).
//!
//! ```text
//!   a user calls:      Adopt ──▶ trying ── Ring ──▶ early ── Answer ──▶ confirmed ── Ended ──▶ terminated
//!   a user is called:  Dial ──▶ (nothing) ── Progress ──▶ early ── Answered ──▶ confirmed ── Ended ──▶ terminated
//! ```
//!
//! A phone that is called has no dialog before it says something, and is not busy before it rings.

use std::collections::{BTreeMap, BTreeSet};

use ahash::AHashMap;
use compact_str::{CompactString, format_compact};
use hookswitch_call::{CallId, Handle, LegId, Op, Report, Time};
use hookswitch_sip::registrar::aor_of;
use hookswitch_sip::{Body, DialogState};
use hookswitch_sip_msg::{NameAddr, Uri};

use super::xml::Xml;
use crate::B2bua;
use crate::identity;
use crate::locate::{TRUSTED_ROUTE, escape};
use crate::trunk::TrunkSet;

/// Most dialogs that one document lists, so that it fits into a datagram; the newest are left out.
pub const MAX_LISTED: usize = 50;

type Name = (CallId, LegId);

/// How far a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to be seen of it.
    Hidden,
    Trying,
    Early,
    Confirmed,
}

/// One leg of a user.
struct Lamp {
    aor: CompactString,
    /// The user has called, and was not called.
    calls: bool,
    /// The other party as the user knows it.
    remote: CompactString,
    display: Option<CompactString>,
    state: State,
}

/// The legs of all users.
#[derive(Default)]
pub(crate) struct Lamps {
    lamps: BTreeMap<Name, Lamp>,
    users: AHashMap<CompactString, BTreeSet<Name>>,
    /// Calls that the core has not decided about.
    offered: AHashMap<Handle, Lamp>,
    /// Users of whom something has changed.
    pub(super) changed: Vec<CompactString>,
}

impl Lamps {
    pub fn len(&self) -> usize {
        self.lamps.len() + self.offered.len()
    }

    /// Whether a user is in a call, or rings.
    pub fn is_busy(&self, aor: &str) -> bool {
        self.of(aor).any(|(_, lamp)| lamp.state != State::Hidden)
    }

    fn of(&self, aor: &str) -> impl Iterator<Item = (Name, &Lamp)> {
        self.users.get(aor).into_iter().flatten().filter_map(|name| Some((*name, self.lamps.get(name)?)))
    }

    fn insert(&mut self, name: Name, lamp: Lamp) {
        self.note(&lamp);
        self.users.entry(lamp.aor.clone()).or_default().insert(name);
        self.lamps.insert(name, lamp);
    }

    fn take(&mut self, name: Name) -> Option<Lamp> {
        let lamp = self.lamps.remove(&name)?;
        if let Some(names) = self.users.get_mut(&lamp.aor) {
            names.remove(&name);
            if names.is_empty() {
                self.users.remove(&lamp.aor);
            }
        }
        self.note(&lamp);
        Some(lamp)
    }

    /// What cannot be seen changes nothing.
    fn note(&mut self, lamp: &Lamp) {
        if lamp.state != State::Hidden {
            self.changed.push(lamp.aor.clone());
        }
    }

    fn show(&mut self, name: Name, state: State) {
        if let Some(lamp) = self.lamps.get_mut(&name)
            && lamp.state != state
            // A late ringing after the answer is none.
            && !(lamp.state == State::Confirmed && state == State::Early)
        {
            lamp.state = state;
            self.changed.push(lamp.aor.clone());
        }
    }
}

impl B2bua {
    /// Sees what the core wants of a leg before it is done.
    pub(crate) fn lamp_ordered(&mut self, now: Time, op: &Op) {
        if let Op::Adopt { handle, call, leg } = op {
            if let Some(lamp) = self.packages.lamps.offered.remove(handle) {
                self.packages.lamps.insert((*call, *leg), lamp);
            }
        } else if let Op::Refuse { handle, .. } = op {
            self.packages.lamps.offered.remove(handle);
        } else if let Op::Dial { call, leg, dial } = op {
            let Some(key) = dial.target.via.filter(|key| *key != TRUSTED_ROUTE) else { return };
            if TrunkSet::of(Some(key)).is_some() {
                return;
            }
            let Some(binding) = self.registrar.by_key(now, key) else { return };
            let (from, _) = identity::write(dial, false);
            let (remote, display) = party(&from);
            let aor = binding.aor.as_ref().into();
            let lamp = Lamp { aor, calls: false, remote, display, state: State::Hidden };
            self.packages.lamps.insert((*call, *leg), lamp);
        } else if let Op::Ring { call, leg, status, .. } = op {
            if *status > 100 {
                self.packages.lamps.show((*call, *leg), State::Early);
            }
        } else if let Op::Answer { call, leg, .. } = op {
            self.packages.lamps.show((*call, *leg), State::Confirmed);
        } else if let Op::Move { from, to } = op
            && let Some(lamp) = self.packages.lamps.take(*from)
        {
            self.packages.lamps.insert(*to, lamp);
        }
    }

    /// Sees what has become of a leg.
    pub(crate) fn lamp_reported(&mut self, report: &Report) {
        if let Report::Incoming(incoming) = report {
            let through_trunk = self.offered.get(&incoming.handle).and_then(|dialog| self.legs.get(dialog)?.trunk);
            let Some(aor) = self.user_at(&incoming.from.0).filter(|_| through_trunk.is_none()) else { return };
            let remote = incoming.to.0.clone();
            let lamp = Lamp { aor, calls: true, remote, display: None, state: State::Trying };
            self.packages.lamps.offered.insert(incoming.handle, lamp);
        } else if let Report::Progress { call, leg, status, .. } = report {
            if *status > 100 {
                self.packages.lamps.show((*call, *leg), State::Early);
            }
        } else if let Report::Answered { call, leg, .. } = report {
            self.packages.lamps.show((*call, *leg), State::Confirmed);
        } else if let Report::Ended { call, leg, .. } = report {
            self.packages.lamps.take((*call, *leg));
        }
    }

    /// The address of record of a user of ours whom a URI names; one who may be, where users are looked up.
    pub fn user_at(&self, address: &str) -> Option<CompactString> {
        let uri = Uri::parse(address).ok()?;
        let domain = self.our_domain(&uri)?;
        let user = uri.user_unescaped()?;
        self.directory.may_have(domain, &user).then(|| crate::aor(&user, domain))
    }

    /// The dialogs of a user as a document, always all of them, and those of `told` that are over. Afterwards `told` has
    /// those that it lists as alive.
    ///
    /// Call-ID and tags, which let whoever is told them take the call, are shown only while it rings.
    pub(super) fn dialog_info(&self, aor: &str, version: u32, told: &mut Vec<CompactString>) -> Body {
        let entity = uri_of(aor);
        let mut xml = Xml::new();
        xml.open("dialog-info")
            .attribute("xmlns", "urn:ietf:params:xml:ns:dialog-info")
            .attribute("version", &format_compact!("{version}"))
            .attribute("state", "full")
            .attribute("entity", &entity);
        let seen = self.packages.lamps.of(aor).filter(|(_, lamp)| lamp.state != State::Hidden).take(MAX_LISTED);
        let mut alive = Vec::new();
        for (name, lamp) in seen {
            let id = format_compact!("{:x}-{:x}", name.0.0, name.1.0);
            self.write_dialog(&mut xml, &id, name, lamp, &entity);
            alive.push(id);
        }
        for id in told.iter().filter(|id| !alive.contains(id)) {
            xml.open("dialog").attribute("id", id).leaf("state", "terminated").close();
        }
        *told = alive;
        Body { content_type: "application/dialog-info+xml".into(), bytes: xml.finish().into() }
    }

    fn write_dialog(&self, xml: &mut Xml, id: &str, name: Name, lamp: &Lamp, entity: &str) {
        xml.open("dialog").attribute("id", id);
        let dialog = self.dialogs.get(&name).and_then(|dialog| self.endpoint.dialog(*dialog));
        if let Some(dialog) = dialog.filter(|dialog| dialog.state() == DialogState::Early && !lamp.calls) {
            // As the user's phone has them.
            xml.attribute("call-id", dialog.call_id())
                .attribute("local-tag", dialog.remote_tag())
                .attribute("remote-tag", dialog.local_tag());
        }
        xml.attribute("direction", if lamp.calls { "initiator" } else { "recipient" });
        xml.leaf(
            "state",
            match lamp.state {
                State::Hidden | State::Trying => "trying",
                State::Early => "early",
                State::Confirmed => "confirmed",
            },
        );
        for (side, uri, display) in [("local", entity, None), ("remote", &*lamp.remote, lamp.display.as_deref())] {
            xml.open(side).open("identity");
            if let Some(display) = display {
                xml.attribute("display", display);
            }
            xml.text(uri).close();
            xml.open("target").attribute("uri", uri).close();
            xml.close();
        }
        xml.close();
    }
}

/// URI and display name of a From value.
fn party(from: &[u8]) -> (CompactString, Option<CompactString>) {
    let Ok(address) = NameAddr::parse(from) else { return Default::default() };
    let display = address.display.filter(|name| !name.is_empty()).map(|name| String::from_utf8_lossy(name));
    (address.uri_str().unwrap_or_default().into(), display.map(|name| name.replace('\\', "").into()))
}

/// The URI of an address of record.
pub(super) fn uri_of(aor: &str) -> CompactString {
    let (user, domain) = aor.rsplit_once('@').unwrap_or(("", aor));
    let plain = format_compact!("sip:{user}@{domain}");
    let same = Uri::parse(&plain).ok().and_then(|uri| aor_of(&uri)).is_some_and(|back| back == aor);
    if same { plain } else { format_compact!("sip:{}@{domain}", escape(user)) }
}
