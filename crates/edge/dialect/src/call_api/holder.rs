//! What all sessions with the same token have in common, and all sessions without one.

use std::collections::HashMap;

use compact_str::CompactString;

use super::access::Access;
use super::idempotency::Keys;
use crate::pace::Pace;

/// The bearers of one token.
#[derive(Debug)]
pub(crate) struct Holder {
    /// How many commands of theirs are running.
    pub(crate) in_flight: usize,
    /// How fast they ask.
    pub(crate) pace: Pace,
    /// What they asked for under a key.
    pub(crate) keys: Keys,
}

/// Names a [`Holder`] as long as the hub lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HolderId(usize);

/// All of them. They outlive their sessions, because their keys do; there are as many as tokens
/// have been configured.
#[derive(Debug)]
pub(crate) struct Holders {
    all: Vec<Holder>,
    /// None: those without a token.
    names: HashMap<Option<CompactString>, HolderId, ahash::RandomState>,
    state: ahash::RandomState,
}

impl Holders {
    pub(crate) fn new(state: ahash::RandomState) -> Self {
        Self { all: Vec::new(), names: HashMap::with_hasher(state.clone()), state }
    }

    /// The holder for a new session.
    pub(crate) fn of(&mut self, access: Option<&Access>) -> HolderId {
        let name = access.map(|access| access.name.clone());
        *self.names.entry(name).or_insert_with(|| {
            self.all.push(Holder { in_flight: 0, pace: Pace::default(), keys: Keys::new(self.state.clone()) });
            HolderId(self.all.len() - 1)
        })
    }

    pub(crate) fn get(&self, id: HolderId) -> &Holder {
        &self.all[id.0]
    }

    pub(crate) fn get_mut(&mut self, id: HolderId) -> &mut Holder {
        &mut self.all[id.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_api::ids::Ids;

    #[test]
    fn sessions_of_one_name_share_a_holder() {
        let mut holders = Holders::new(Ids::new([0; 32]).hash_state());
        let access = |name: &str| Access { name: name.into(), ..Access::default() };
        let open = holders.of(None);
        let desk = holders.of(Some(&access("desk")));
        assert_ne!(open, desk);
        assert_eq!(holders.of(Some(&access("desk"))), desk);
        assert_eq!(holders.of(None), open);
        assert_ne!(holders.of(Some(&access(""))), open);
    }
}
