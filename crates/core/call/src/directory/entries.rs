//! What stands in the directory, entry by entry, for whoever looks after it.

use std::collections::BTreeSet;
use std::ops::Bound;

use compact_str::CompactString;

use super::{Directory, Layer};

/// Where an entry comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A friendly host has pushed it.
    Pushed,
    /// The configuration file.
    Configured,
    /// It was asked for elsewhere, and is remembered for a while.
    Found,
}

impl Directory {
    /// The domains behind `after`, in the order of their names; at most so many.
    #[must_use]
    pub fn domains_after(&self, after: Option<&str>, most: usize) -> Vec<&str> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let domains = self.domains.range::<str, _>((begin, Bound::Unbounded));
        domains.take(most).map(|(name, _)| name.as_str()).collect()
    }

    /// A number that is another one after each change of what is pushed for a domain. None if there is no such domain.
    #[must_use]
    pub fn revision(&self, domain: &str) -> Option<u64> {
        self.domains.get(domain).map(|entry| entry.revision)
    }

    /// Whether something is pushed for a domain, and whether it stands in the configuration file.
    #[must_use]
    pub fn origins(&self, domain: &str) -> (bool, bool) {
        let [pushed, configured] = self.layers(domain);
        (pushed.is_some(), configured.is_some())
    }

    /// The names of a domain's users behind `after`, in order; at most so many. Those that were looked up are not among
    /// them.
    #[must_use]
    pub fn users_after(&self, domain: &str, after: Option<&str>, most: usize) -> Vec<&str> {
        let of = |layer: &'_ Layer| -> Vec<CompactString> {
            let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
            let users = layer.users.range::<str, _>((begin, Bound::Unbounded));
            users.take(most).map(|(name, _)| name.clone()).collect()
        };
        let names: BTreeSet<CompactString> = self.layers(domain).into_iter().flatten().flat_map(of).collect();
        let known = |name: &CompactString| {
            let layer = self.layer_with(domain, name)?;
            layer.users.get_key_value(name).map(|(name, _)| name.as_str())
        };
        names.iter().take(most).filter_map(known).collect()
    }

    /// How many users a domain has; those that were looked up are not counted.
    #[must_use]
    pub fn user_count(&self, domain: &str) -> usize {
        let [pushed, configured] = self.layers(domain);
        let hidden = |name: &CompactString| pushed.is_some_and(|layer| layer.users.contains_key(name));
        let shown = configured.map_or(0, |layer| layer.users.keys().filter(|name| !hidden(name)).count());
        pushed.map_or(0, |layer| layer.users.len()) + shown
    }

    /// Where a user comes from; none if there is no such user.
    #[must_use]
    pub fn origin(&self, domain: &str, user: &str) -> Option<Origin> {
        let [pushed, configured] = self.layers(domain).map(|layer| layer.is_some_and(|it| it.users.contains_key(user)));
        match (pushed, configured) {
            (true, _) => Some(Origin::Pushed),
            (false, true) => Some(Origin::Configured),
            (false, false) => self.found(domain, user).map(|_| Origin::Found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Secret, UnnamedControl};
    use super::*;

    fn layer(users: &[&str]) -> Layer {
        Layer { users: users.iter().map(|user| ((*user).into(), Secret::new("pw"))).collect(), ..Layer::default() }
    }

    #[test]
    fn users_of_both_layers_are_listed_once_and_in_order() {
        let mut directory = Directory::new();
        directory.configure("a.test", layer(&["a", "c", "e"])).unwrap();
        directory.put("a.test", layer(&["b", "c", "d"])).unwrap();
        assert_eq!(directory.users_after("a.test", None, 3), ["a", "b", "c"]);
        assert_eq!(directory.users_after("a.test", Some("c"), 3), ["d", "e"]);
        assert_eq!(directory.users_after("b.test", None, 3), Vec::<&str>::new());
        assert_eq!((directory.user_count("a.test"), directory.origins("a.test")), (5, (true, true)));
        let origins = ["a", "c", "x"].map(|user| directory.origin("a.test", user));
        assert_eq!(origins, [Some(Origin::Configured), Some(Origin::Pushed), None]);
        directory.put("b.test", Layer::default()).unwrap();
        assert_eq!(directory.domains_after(Some("a.test"), 5), ["b.test"]);
    }

    #[test]
    fn each_change_gives_a_domain_another_revision() {
        let mut directory = Directory::new();
        let mut seen = BTreeSet::new();
        directory.put("a.test", layer(&["a"])).unwrap();
        seen.insert(directory.revision("a.test"));
        directory.patch("a.test", layer(&["b"]), UnnamedControl::Stays).unwrap();
        seen.insert(directory.revision("a.test"));
        directory.remove_user("a.test", "a").unwrap();
        seen.insert(directory.revision("a.test"));
        directory.remove("a.test").unwrap();
        assert_eq!(directory.revision("a.test"), None);
        directory.put("a.test", layer(&["b"])).unwrap();
        seen.insert(directory.revision("a.test"));
        assert_eq!(seen.len(), 4);
    }
}
