//! What clients were told to call their calls.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use compact_str::CompactString;
use hookswitch_call::CallId;

/// The names that clients were given for calls (`callid` of `TransferStart`). A name stays good to
/// the end of its call, even if the leg of that Call-ID lost the race for the answer.
#[derive(Debug)]
pub(crate) struct Names {
    calls: HashMap<CompactString, CallId, ahash::RandomState>,
    names: HashMap<CallId, CompactString, ahash::RandomState>,
}

impl Names {
    pub(crate) fn new(state: ahash::RandomState) -> Self {
        Self { calls: HashMap::with_hasher(state.clone()), names: HashMap::with_hasher(state) }
    }

    pub(crate) fn give(&mut self, name: &str, call: CallId) {
        if let Entry::Vacant(place) = self.names.entry(call) {
            place.insert(name.into());
            self.calls.insert(name.into(), call);
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
}
