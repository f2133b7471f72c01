//! The configuration file is read again: what it says of domains and users is replaced, what was pushed and who was looked
//! up stays.

use std::collections::BTreeSet;

use super::{Directory, DirectoryError, MAX_DOMAINS};

impl Directory {
    /// Takes domains, users, aliases and the default domain from a directory that was made of the configuration alone.
    ///
    /// # Errors
    /// [`DirectoryError::TooManyDomains`] together with those that were pushed; nothing has changed then.
    pub fn reconfigure(&mut self, mut fresh: Self) -> Result<(), DirectoryError> {
        let pushed = self.domains.iter().filter(|(_, domain)| domain.pushed.is_some());
        let others = pushed.filter(|(name, _)| !fresh.domains.contains_key(*name)).count();
        if fresh.domains.len() + others > MAX_DOMAINS {
            return Err(DirectoryError::TooManyDomains);
        }
        let names: BTreeSet<_> = self.domains.keys().chain(fresh.domains.keys()).cloned().collect();
        for name in names {
            let configured = fresh.domains.remove(&name).and_then(|domain| domain.configured);
            let has_domain = self.domains.get(&name);
            if has_domain.map(|domain| &domain.configured) == Some(&configured) {
                continue;
            }
            if configured.is_none() && has_domain.is_none_or(|domain| domain.pushed.is_none()) {
                self.domains.remove(&name);
                continue;
            }
            let revision = self.next_revision();
            let domain = self.domains.entry(name).or_default();
            (domain.configured, domain.revision) = (configured, revision);
        }
        // The first domain that was pushed remains the default where the configuration names none.
        self.default = fresh.default.or_else(|| self.default.take().filter(|name| self.domains.contains_key(name)));
        self.aliases = fresh.aliases;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, Secret};
    use super::*;

    fn layer(users: &[&str]) -> Layer {
        Layer { users: users.iter().map(|user| ((*user).into(), Secret::new("s"))).collect(), ..Layer::default() }
    }

    fn users(directory: &Directory, domain: &str) -> Vec<String> {
        directory.users(domain).unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_file_s_users_are_replaced_and_pushed_ones_stay() {
        let mut directory = Directory::new();
        directory.configure("a.test", layer(&["alice", "old"])).unwrap();
        directory.configure("gone.test", layer(&["x"])).unwrap();
        directory.alias("alias.test", "gone.test").unwrap();
        directory.put("a.test", layer(&["pushed"])).unwrap();
        directory.put("kept.test", layer(&["y"])).unwrap();
        while directory.poll_change().is_some() {}
        let mut fresh = Directory::new();
        fresh.configure("b.test", layer(&["bob"])).unwrap();
        fresh.configure("a.test", layer(&["alice", "new"])).unwrap();
        fresh.alias("other.test", "a.test").unwrap();
        directory.reconfigure(fresh).unwrap();
        assert_eq!(users(&directory, "a.test"), ["alice", "new", "pushed"]);
        assert_eq!(users(&directory, "b.test"), ["bob"]);
        assert_eq!(users(&directory, "kept.test"), ["y"]);
        assert_eq!((directory.users("gone.test"), directory.resolve("alias.test")), (None, None));
        assert_eq!((directory.resolve("other.test"), directory.resolve("127.0.0.1")), (Some("a.test"), Some("b.test")));
        assert_eq!(directory.poll_change(), None, "nothing of it is for the store");
    }

    #[test]
    fn only_a_domain_that_has_changed_gets_another_revision() {
        let mut directory = Directory::new();
        directory.configure("a.test", layer(&["a"])).unwrap();
        directory.configure("b.test", layer(&["b"])).unwrap();
        let before = (directory.revision("a.test"), directory.revision("b.test"));
        let mut fresh = Directory::new();
        fresh.configure("a.test", layer(&["a"])).unwrap();
        fresh.configure("b.test", layer(&["b", "c"])).unwrap();
        directory.reconfigure(fresh).unwrap();
        assert_eq!(directory.revision("a.test"), before.0);
        assert_ne!(directory.revision("b.test"), before.1);
    }

    #[test]
    fn a_domain_that_leaves_the_file_goes_unless_something_was_pushed_for_it() {
        let mut directory = Directory::new();
        directory.configure("a.test", layer(&["a"])).unwrap();
        directory.put("a.test", layer(&["p"])).unwrap();
        directory.reconfigure(Directory::new()).unwrap();
        assert_eq!(users(&directory, "a.test"), ["p"]);
        directory.remove("a.test").unwrap();
        assert_eq!(directory.users("a.test"), None);
    }

    #[test]
    fn more_domains_than_the_limit_change_nothing() {
        let mut directory = Directory::new();
        directory.configure("a.test", layer(&["a"])).unwrap();
        directory.put("pushed.test", layer(&["p"])).unwrap();
        let mut fresh = Directory::new();
        for n in 0..MAX_DOMAINS {
            fresh.configure(&format!("d{n}.test"), Layer::default()).unwrap();
        }
        assert_eq!(directory.reconfigure(fresh), Err(DirectoryError::TooManyDomains));
        assert_eq!((users(&directory, "a.test").len(), directory.users("d0.test")), (1, None));
    }
}
