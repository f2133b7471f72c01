//! Users who say themselves whether their calls are recorded.

use super::Directory;

impl Directory {
    /// Whether calls of a user are recorded, where the user's own entry says so; `domain` as [`Directory::resolve`] returns
    /// it.
    #[must_use]
    pub fn record(&self, domain: &str, user: &str) -> Option<bool> {
        match self.layer_with(domain, user) {
            Some(layer) => layer.record.get(user).copied(),
            None => self.found(domain, user)?.record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DirectoryError, Layer, Secret, UnnamedControl};
    use super::*;

    fn layer(users: &[&str], record: &[(&str, bool)]) -> Layer {
        Layer {
            users: users.iter().map(|user| ((*user).into(), Secret::new("pw"))).collect(),
            record: record.iter().map(|(user, record)| ((*user).into(), *record)).collect(),
            ..Layer::default()
        }
    }

    #[test]
    fn a_pushed_user_says_whether_it_is_recorded_and_whoever_takes_its_place_says_it_anew() {
        let mut dir = Directory::new();
        dir.put("a.test", layer(&["1000", "1001", "1002"], &[("1000", true), ("1001", false)])).unwrap();
        let said = |dir: &Directory| ["1000", "1001", "1002", "1003"].map(|user| dir.record("a.test", user));
        assert_eq!(said(&dir), [Some(true), Some(false), None, None]);
        dir.patch("a.test", layer(&["1000", "1002"], &[("1002", true)]), UnnamedControl::Stays).unwrap();
        assert_eq!(said(&dir), [None, Some(false), Some(true), None]);
        dir.remove_user("a.test", "1001").unwrap();
        dir.patch("a.test", layer(&["1001"], &[]), UnnamedControl::Stays).unwrap();
        assert_eq!(said(&dir), [None, None, Some(true), None]);
        let nobody = layer(&[], &[("1000", true)]);
        assert_eq!(dir.put("a.test", nobody), Err(DirectoryError::BadName("1000".into())));
    }

    #[test]
    fn what_was_stored_before_users_said_so_can_be_read() {
        let old: Layer = serde_json::from_str(r#"{"users":{"1000":"pw"}}"#).unwrap();
        assert_eq!(old, layer(&["1000"], &[]));
        let text = serde_json::to_string(&layer(&["1000"], &[("1000", false)])).unwrap();
        assert_eq!(serde_json::from_str::<Layer>(&text).unwrap(), layer(&["1000"], &[("1000", false)]));
    }
}
