//! How many contacts and calls a user may have.

use std::collections::BTreeSet;

use ahash::{AHashMap, AHashSet, RandomState};
use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Cause, Fault, Kind};
use hookswitch_sip::registrar::Binding;
use hookswitch_sip::{DialogId, Response};
use hookswitch_sip_msg::{HeaderName, Message};

use crate::B2bua;
use crate::leg::LegRecord;
use crate::locate::aor;

/// What whoever is refused is told.
const TOO_MANY: &str = "Too Many Calls";

/// Whose legs there are. One user may have thousands, so none is looked for among the others.
pub(crate) struct Users {
    /// By the hash of the address of record; [`LegRecord::user`] tells those of equal ones apart.
    legs: BTreeSet<(u64, DialogId)>,
    hasher: RandomState,
}

impl Default for Users {
    fn default() -> Self {
        // Fixed keys: whoever is counted here has authenticated, so no stranger can choose names that collide.
        let hasher = RandomState::with_seeds(0x6c69_6d69, 0x7473_206f, 0x6620_7573, 0x6572_7300);
        Self { legs: BTreeSet::new(), hasher }
    }
}

impl Users {
    /// A leg of a user is here.
    pub fn add(&mut self, user: &str, dialog: DialogId) {
        self.legs.insert((self.hasher.hash_one(user), dialog));
    }

    /// A leg of a user is over.
    pub fn remove(&mut self, user: &str, dialog: DialogId) {
        self.legs.remove(&(self.hasher.hash_one(user), dialog));
    }

    /// Whether those legs belong to that many calls; several that ring for one call are one.
    fn has_calls(&self, most: usize, user: &str, legs: &AHashMap<DialogId, LegRecord>) -> bool {
        let hash = self.hasher.hash_one(user);
        let mut seen: AHashSet<CallId> = AHashSet::new();
        let mut own = self.legs.range((hash, DialogId::FIRST)..).take_while(|(other, _)| *other == hash);
        let mut reached = most == 0;
        while !reached && let Some((_, dialog)) = own.next() {
            let record = legs.get(dialog).filter(|record| record.user.as_deref() == Some(user) && !record.ending);
            seen.extend(record.map(|record| record.call));
            reached = seen.len() >= most;
        }
        reached
    }

    /// The legs of a user.
    pub fn legs_of<'a>(
        &'a self,
        user: &'a str,
        legs: &'a AHashMap<DialogId, LegRecord>,
    ) -> impl Iterator<Item = DialogId> + 'a {
        let hash = self.hasher.hash_one(user);
        let own = self.legs.range((hash, DialogId::FIRST)..).take_while(move |(other, _)| *other == hash);
        let is_own =
            move |dialog: &DialogId| legs.get(dialog).is_some_and(|record| record.user.as_deref() == Some(user));
        own.map(|(_, dialog)| *dialog).filter(is_own)
    }

    /// How many legs of users there are.
    pub fn len(&self) -> usize {
        self.legs.len()
    }
}

impl B2bua {
    /// The user who calls, where that is known for sure: by its password.
    pub(crate) fn caller(&self, request: &Message) -> Option<CompactString> {
        let from = request.from().ok()?.uri().ok()?;
        let domain = self.directory.resolve(&from.host.to_string())?;
        Some(aor(&from.user_unescaped()?, domain))
    }

    /// A leg is one of this user.
    pub(crate) fn count_for(&mut self, user: Option<CompactString>, dialog: DialogId, record: &mut LegRecord) {
        if let Some(user) = user {
            self.users.add(&user, dialog);
            record.user = Some(user.as_str().into());
        }
    }

    /// What a user is refused with who makes a call more than allowed. One that takes over another is none more, and who
    /// calls for help is not told that it calls too much.
    pub(crate) fn refusal_of_more(&self, user: &str, request: &Message) -> Option<Response> {
        if request.request_uri().is_some_and(|to| self.tolls.is_emergency(&Address::from(to))) {
            return None;
        }
        if request.header(HeaderName::Replaces).is_some() || self.may_have_more(user) {
            return None;
        }
        let mut refusal = Response::new(403);
        refusal.reason = Some(TOO_MANY.into());
        Some(refusal)
    }

    /// Why a user cannot be called who has as many calls as allowed.
    pub(crate) fn too_busy(&self, user: &str) -> Option<Cause> {
        (!self.may_have_more(user)).then(|| Cause::new(Kind::Busy, Fault::Peer).with_text(TOO_MANY))
    }

    fn may_have_more(&self, user: &str) -> bool {
        let (name, domain) = user.rsplit_once('@').unwrap_or(("", user));
        let most = self.directory.limits(domain, name).calls.or(match self.config.max_calls_per_user {
            0 => None,
            most => Some(most),
        });
        most.is_none_or(|most| !self.users.has_calls(most as usize, user, &self.legs))
    }

    /// Most contacts of a user.
    pub(crate) fn most_contacts(&self, domain: &str, user: &str) -> usize {
        let own = self.directory.limits(domain, user).contacts;
        own.map_or(self.config.registrar.max_bindings_per_aor, |most| most as usize)
    }

    /// Puts back a stored binding: what comes from its phone is heard. `false` when there is no room for it.
    pub fn restore_binding(&mut self, binding: Binding) -> bool {
        let (user, domain) = binding.aor.rsplit_once('@').unwrap_or(("", &binding.aor));
        let most = self.most_contacts(domain, user);
        let (refreshed_at, source) = (binding.refreshed_at, binding.source);
        let restored = self.registrar.restore_within(binding, most);
        if restored {
            self.endpoint.guard_mut().know(refreshed_at, source);
        }
        restored
    }

    /// How many legs of users are counted: none when no call is left.
    #[must_use]
    pub fn user_legs(&self) -> usize {
        self.users.len()
    }
}
