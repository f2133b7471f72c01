//! Names of phone models: thousands of phones say the same, and share one copy.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Most names that are shared. More models than there are have a copy for each phone.
pub(super) const MAX_AGENTS: usize = 1_024;

/// The names in use.
#[derive(Debug, Default)]
pub(super) struct Agents(BTreeSet<Arc<str>>);

impl Agents {
    /// The common copy of a text.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        if self.0.len() >= MAX_AGENTS {
            self.0.retain(|known| Arc::strong_count(known) > 1);
        }
        let new: Arc<str> = text.into();
        if self.0.len() < MAX_AGENTS {
            self.0.insert(Arc::clone(&new));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one() {
        let mut agents = Agents::default();
        let first = agents.share("Phone 1.0");
        assert!(Arc::ptr_eq(&first, &agents.share("Phone 1.0")));
        assert!(!Arc::ptr_eq(&first, &agents.share("Phone 2.0")));
    }

    #[test]
    fn there_is_a_limit_and_what_nobody_uses_makes_room() {
        let mut agents = Agents::default();
        let held: Vec<_> = (0..MAX_AGENTS).map(|number| agents.share(&number.to_string())).collect();
        let beyond = agents.share("beyond");
        assert!(!Arc::ptr_eq(&beyond, &agents.share("beyond")), "no room for it");
        assert_eq!(agents.0.len(), MAX_AGENTS);
        drop(held);
        let first = agents.share("first");
        assert!(Arc::ptr_eq(&first, &agents.share("first")));
        assert_eq!(agents.0.len(), 1);
    }
}
