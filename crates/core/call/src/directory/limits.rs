//! How much one user may have of something.

use serde::{Deserialize, Serialize};

/// Limits of one user, in place of those that hold for everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserLimits {
    /// Most contacts that may be registered at a time; 0 lets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<u32>,
    /// Most calls at a time, made and taken together; 0 lets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
}

impl UserLimits {
    /// Whether nothing is limited that is not for everybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Directory, DirectoryError, Layer, Secret};
    use super::*;

    fn layer(users: &[&str]) -> Layer {
        Layer { users: users.iter().map(|user| ((*user).into(), Secret::new("pw"))).collect(), ..Layer::default() }
    }

    #[test]
    fn limits_are_those_of_the_layer_that_the_user_is_in() {
        let limited = |calls| {
            let limits = UserLimits { calls: Some(calls), contacts: None };
            Layer { limits: [("1000".into(), limits)].into(), ..layer(&["1000", "1001"]) }
        };
        let mut dir = Directory::new();
        dir.configure("a.test", limited(1)).unwrap();
        assert_eq!(dir.limits("a.test", "1000").calls, Some(1));
        assert!(dir.limits("a.test", "1001").is_empty() && dir.limits("b.test", "1000").is_empty());
        dir.put("a.test", limited(2)).unwrap();
        assert_eq!(dir.limits("a.test", "1000").calls, Some(2));
        dir.patch("a.test", layer(&["1000"])).unwrap();
        assert!(dir.limits("a.test", "1000").is_empty(), "replaced, all of it");
        dir.remove_user("a.test", "1000").unwrap();
        assert_eq!(dir.limits("a.test", "1000").calls, Some(1), "that of the file shows again");
        let nobody = Layer { limits: limited(1).limits, ..layer(&[]) };
        assert_eq!(dir.put("a.test", nobody), Err(DirectoryError::BadName("1000".into())));
    }
}
