//! How much one user may have of something.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::toll::TollLimits;
use super::{Directory, MAX_NAME};

/// Most classes of cost that a user has limits of its own for.
pub const MAX_CLASSES: usize = 32;

/// Limits of one user, in place of those that hold for everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserLimits {
    /// Most contacts that may be registered at a time; 0 lets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<u32>,
    /// Most calls at a time, made and taken together; 0 lets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    /// For calls of a class of cost, by its name; at most [`MAX_CLASSES`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<CompactString, TollLimits>,
}

/// Of whoever has no limits of its own.
static NONE: UserLimits = UserLimits { contacts: None, calls: None, classes: BTreeMap::new() };

impl UserLimits {
    /// Whether nothing is limited that is not for everybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.classes.len() <= MAX_CLASSES && self.classes.keys().all(|name| (1..=MAX_NAME).contains(&name.len()))
    }
}

impl Directory {
    /// The limits of a user; `domain` as [`Directory::resolve`] returns it. A pushed user hides what the
    /// configuration file says of one with that name.
    #[must_use]
    pub fn limits(&self, domain: &str, user: &str) -> &UserLimits {
        let own = match self.layer_with(domain, user) {
            Some(layer) => layer.limits.get(user),
            None => self.found(domain, user).map(|found| &found.limits),
        };
        own.unwrap_or(&NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DirectoryError, Layer, Secret, UnnamedControl};
    use super::*;

    fn layer(users: &[&str]) -> Layer {
        Layer { users: users.iter().map(|user| ((*user).into(), Secret::new("pw"))).collect(), ..Layer::default() }
    }

    #[test]
    fn limits_are_those_of_the_layer_that_the_user_is_in() {
        let limited = |calls| {
            let limits = UserLimits { calls: Some(calls), ..UserLimits::default() };
            Layer { limits: [("1000".into(), limits)].into(), ..layer(&["1000", "1001"]) }
        };
        let mut dir = Directory::new();
        dir.configure("a.test", limited(1)).unwrap();
        assert_eq!(dir.limits("a.test", "1000").calls, Some(1));
        assert!(dir.limits("a.test", "1001").is_empty() && dir.limits("b.test", "1000").is_empty());
        dir.put("a.test", limited(2)).unwrap();
        assert_eq!(dir.limits("a.test", "1000").calls, Some(2));
        dir.patch("a.test", layer(&["1000"]), UnnamedControl::Stays).unwrap();
        assert!(dir.limits("a.test", "1000").is_empty(), "replaced, all of it");
        dir.remove_user("a.test", "1000").unwrap();
        assert_eq!(dir.limits("a.test", "1000").calls, Some(1), "that of the file shows again");
        let nobody = Layer { limits: limited(1).limits, ..layer(&[]) };
        assert_eq!(dir.put("a.test", nobody), Err(DirectoryError::BadName("1000".into())));
    }

    #[test]
    fn a_user_has_limits_for_so_many_classes() {
        let with = |count: usize| {
            let classes = (0..count).map(|n| (compact_str::format_compact!("c{n}"), TollLimits::default())).collect();
            Layer { limits: [("1000".into(), UserLimits { classes, ..NONE.clone() })].into(), ..layer(&["1000"]) }
        };
        let mut dir = Directory::new();
        dir.put("a.test", with(MAX_CLASSES)).unwrap();
        assert_eq!(dir.put("a.test", with(MAX_CLASSES + 1)), Err(DirectoryError::BadClasses("1000".into())));
    }
}
