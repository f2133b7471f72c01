//! What clients were told to call their calls.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;
use hookswitch_call::CallId;

/// Most names that are remembered. Beyond it the oldest call has to be named by a Call-ID that a leg
/// of it has, like every other.
const MAX_NAMES: usize = 100_000;

/// The names that clients were given for calls (`callid` of `TransferStart`). A name stays good to
/// the end of its call, even if the leg of that Call-ID lost the race for the answer.
#[derive(Debug)]
pub(crate) struct Names {
    calls: HashMap<CompactString, CallId, ahash::RandomState>,
    /// Calls are numbered as they begin: the oldest is the first.
    names: BTreeMap<CallId, CompactString>,
}

impl Names {
    pub(crate) fn new(state: ahash::RandomState) -> Self {
        Self { calls: HashMap::with_hasher(state), names: BTreeMap::new() }
    }

    pub(crate) fn give(&mut self, name: &str, call: CallId) {
        if let Entry::Vacant(place) = self.names.entry(call) {
            place.insert(name.into());
            self.calls.insert(name.into(), call);
            if self.names.len() > MAX_NAMES
                && let Some(oldest) = self.names.keys().next().copied()
            {
                self.forget(oldest);
            }
        }
    }

    pub(crate) fn call(&self, name: &str) -> Option<CallId> {
        self.calls.get(name).copied()
    }

    pub(crate) fn forget(&mut self, call: CallId) {
        if let Some(name) = self.names.remove(&call)
            && self.calls.get(&name) == Some(&call)
        {
            self.calls.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_api::ids::Ids;

    #[test]
    fn a_call_keeps_its_first_name_until_it_is_over() {
        let mut names = Names::new(Ids::new([0; 32]).hash_state());
        names.give("a", CallId(1));
        names.give("b", CallId(1));
        assert_eq!(names.call("a"), Some(CallId(1)));
        assert_eq!(names.call("b"), None);
        names.forget(CallId(1));
        assert_eq!(names.call("a"), None);
        assert!(names.calls.is_empty() && names.names.is_empty());
    }

    #[test]
    fn the_oldest_name_gives_way() {
        let mut names = Names::new(Ids::new([0; 32]).hash_state());
        for call in 0..=MAX_NAMES as u64 {
            names.give(&call.to_string(), CallId(call));
        }
        assert_eq!((names.calls.len(), names.names.len()), (MAX_NAMES, MAX_NAMES));
        assert_eq!(names.call("0"), None);
        assert_eq!(names.call("1"), Some(CallId(1)));
    }
}
