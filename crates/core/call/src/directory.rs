//! Who exists: domains, their users and their secrets, held in memory.
//!
//! Two layers: what the configuration file says, which only a restart changes, and what a friendly
//! host has pushed, which is stored and survives one. A pushed user hides a configured one of the
//! same name. Nothing here ever asks a database: that is the point of a pushed directory.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

mod forwarding;
mod limits;
mod toll;

pub use forwarding::{Forwarding, MAX_NO_ANSWER};
pub use limits::{MAX_CLASSES, UserLimits};
pub use toll::{BadHours, Hours, TollLimits};

/// Most domains in the directory.
pub const MAX_DOMAINS: usize = 10_000;
/// Most users in one layer of one domain.
pub const MAX_USERS: usize = 100_000;
/// Longest domain or user name, in bytes.
pub const MAX_NAME: usize = 255;
/// Longest secret, in bytes.
pub const MAX_SECRET: usize = 255;

/// A password. It has no `Display`, and its `Debug` does not tell it; [`Secret::reveal`] is what
/// to look for in a review.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(CompactString);

impl Secret {
    /// Wraps a password.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The password itself, for digest arithmetic.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a directory will not take, or does not have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No such domain.
    #[error("no such domain: {0}")]
    NoSuchDomain(CompactString),
    /// The entry stands in the configuration file; only editing that removes it.
    #[error("{0} is defined in the configuration file and cannot be removed here")]
    Configured(CompactString),
    /// A name is empty, too long, or has characters that no host or user name has.
    #[error("not a valid name: {0:?}")]
    BadName(CompactString),
    /// A secret is longer than [`MAX_SECRET`] bytes.
    #[error("a secret is longer than {MAX_SECRET} bytes")]
    SecretTooLong,
    /// Whom to call instead of a user cannot be used.
    #[error("forward.{member} of {user:?} {why}")]
    BadForward {
        /// The user.
        user: CompactString,
        /// Which member.
        member: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A user has limits for more than [`MAX_CLASSES`] classes, or for one without a name.
    #[error("limits.classes of {0:?} has too many classes, or one whose name is too long")]
    BadClasses(CompactString),
    /// [`MAX_DOMAINS`] is reached.
    #[error("the limit of {MAX_DOMAINS} domains is reached")]
    TooManyDomains,
    /// [`MAX_USERS`] is reached.
    #[error("the limit of {MAX_USERS} users in a domain is reached")]
    TooManyUsers,
}

/// The users of one domain in one layer, and where its controller is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Layer {
    /// Base URL of the domain's control server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<CompactString>,
    /// User name to secret.
    #[serde(default)]
    pub users: BTreeMap<CompactString, Secret>,
    /// Whom to call instead, of those users who name somebody.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forwards: BTreeMap<CompactString, Forwarding>,
    /// Limits of those users who have their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<CompactString, UserLimits>,
}

#[derive(Clone, Debug, Default)]
struct Domain {
    configured: Option<Layer>,
    pushed: Option<Layer>,
}

/// A change of the pushed layer, for whoever stores it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DirectoryChange {
    /// The pushed layer of this domain is now this.
    Put(CompactString, Layer),
    /// This domain has no pushed layer any more.
    Removed(CompactString),
}

/// What [`Directory::describe`] says of one domain. No secrets.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Description {
    /// User names, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<CompactString>,
    /// Labels of the domains directly below this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<CompactString>,
    /// Where its controller is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<CompactString>,
}

/// All domains.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    domains: BTreeMap<CompactString, Domain>,
    aliases: BTreeMap<CompactString, CompactString>,
    default: Option<CompactString>,
    changes: VecDeque<DirectoryChange>,
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a domain of the configuration file. The first one becomes the default domain: the one
    /// meant by an address that names this host only by `localhost` or by a number.
    ///
    /// # Errors
    /// A name or a number beyond the limits.
    pub fn configure(&mut self, domain: &str, layer: Layer) -> Result<(), DirectoryError> {
        check_layer(&layer)?;
        let name = self.enter(domain)?;
        self.default.get_or_insert_with(|| name.clone());
        self.domains.entry(name).or_default().configured = Some(layer);
        Ok(())
    }

    /// Names the domain meant by `localhost` and by numeric hosts.
    ///
    /// # Errors
    /// The name is not a valid one.
    pub fn set_default(&mut self, domain: &str) -> Result<(), DirectoryError> {
        self.default = Some(canonical(domain)?);
        Ok(())
    }

    /// Makes `alias` another name of `domain`.
    ///
    /// # Errors
    /// One of the names is not a valid one.
    pub fn alias(&mut self, alias: &str, domain: &str) -> Result<(), DirectoryError> {
        self.aliases.insert(canonical(alias)?, canonical(domain)?);
        Ok(())
    }

    /// Replaces the pushed layer of a domain.
    ///
    /// # Errors
    /// A name or a number beyond the limits; nothing has changed then.
    pub fn put(&mut self, domain: &str, layer: Layer) -> Result<(), DirectoryError> {
        check_layer(&layer)?;
        let name = self.enter(domain)?;
        self.default.get_or_insert_with(|| name.clone());
        self.changes.push_back(DirectoryChange::Put(name.clone(), layer.clone()));
        self.domains.entry(name).or_default().pushed = Some(layer);
        Ok(())
    }

    /// Merges into the pushed layer of a domain that exists: users are added or replaced, with whom
    /// to call instead of them and their limits, and the controller is replaced if one is given.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], or a limit; nothing has changed then.
    pub fn patch(&mut self, domain: &str, layer: Layer) -> Result<(), DirectoryError> {
        check_layer(&layer)?;
        let name = self.existing(domain)?;
        let entry = self.domains.entry(name.clone()).or_default();
        let mut merged = entry.pushed.clone().unwrap_or_default();
        merged.forwards.retain(|user, _| !layer.users.contains_key(user));
        merged.forwards.extend(layer.forwards);
        merged.limits.retain(|user, _| !layer.users.contains_key(user));
        merged.limits.extend(layer.limits);
        merged.users.extend(layer.users);
        if merged.users.len() > MAX_USERS {
            return Err(DirectoryError::TooManyUsers);
        }
        if layer.control.is_some() {
            merged.control = layer.control;
        }
        entry.pushed = Some(merged.clone());
        self.changes.push_back(DirectoryChange::Put(name, merged));
        Ok(())
    }

    /// Removes what was pushed for a domain.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`]; [`DirectoryError::Configured`] if nothing was pushed and
    /// the domain stands in the configuration file.
    pub fn remove(&mut self, domain: &str) -> Result<(), DirectoryError> {
        let name = self.existing(domain)?;
        let Some(entry) = self.domains.get_mut(&name) else {
            return Err(DirectoryError::NoSuchDomain(name));
        };
        if entry.pushed.take().is_none() {
            return Err(DirectoryError::Configured(name));
        }
        if entry.configured.is_none() {
            self.domains.remove(&name);
        }
        self.changes.push_back(DirectoryChange::Removed(name));
        Ok(())
    }

    /// Removes a pushed user. A user that is not there is not an error.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], or [`DirectoryError::Configured`] for a user of the
    /// configuration file.
    pub fn remove_user(&mut self, domain: &str, user: &str) -> Result<(), DirectoryError> {
        let name = self.existing(domain)?;
        let Some(entry) = self.domains.get_mut(&name) else {
            return Err(DirectoryError::NoSuchDomain(name));
        };
        if let Some(pushed) = entry.pushed.as_mut()
            && pushed.users.remove(user).is_some()
        {
            pushed.forwards.remove(user);
            pushed.limits.remove(user);
            let change = DirectoryChange::Put(name, pushed.clone());
            self.changes.push_back(change);
            return Ok(());
        }
        match &entry.configured {
            Some(layer) if layer.users.contains_key(user) => Err(DirectoryError::Configured(user.into())),
            _ => Ok(()),
        }
    }

    /// The secret of a user; `domain` as [`Directory::resolve`] returns it.
    #[must_use]
    pub fn secret(&self, domain: &str, user: &str) -> Option<&Secret> {
        let entry = self.domains.get(domain)?;
        [&entry.pushed, &entry.configured].into_iter().flatten().find_map(|layer| layer.users.get(user))
    }

    /// Whom to call instead of a user, if anybody; `domain` as [`Directory::resolve`] returns it. A
    /// pushed user hides what the configuration file says of one with that name.
    #[must_use]
    pub fn forwards(&self, domain: &str, user: &str) -> Option<&Forwarding> {
        let entry = self.domains.get(domain)?;
        let mut layers = [&entry.pushed, &entry.configured].into_iter().flatten();
        layers.find(|layer| layer.users.contains_key(user))?.forwards.get(user)
    }

    /// Whether a user exists; `domain` as [`Directory::resolve`] returns it.
    #[must_use]
    pub fn has_user(&self, domain: &str, user: &str) -> bool {
        self.secret(domain, user).is_some()
    }

    /// Where the controller of a domain is: the pushed one before the configured one.
    #[must_use]
    pub fn control(&self, domain: &str) -> Option<&str> {
        let entry = self.domains.get(domain)?;
        [&entry.pushed, &entry.configured].into_iter().flatten().find_map(|layer| layer.control.as_deref())
    }

    /// The domain that a host name of an address means: itself, what it is an alias of, or the
    /// default domain for `localhost` and for numeric hosts. A `:port` behind it is ignored.
    #[must_use]
    pub fn resolve(&self, host: &str) -> Option<&str> {
        let host = without_port(host);
        let lower;
        let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            lower = host.to_ascii_lowercase();
            lower.as_str()
        } else {
            host
        };
        if let Some((name, _)) = self.domains.get_key_value(host) {
            return Some(name);
        }
        if let Some(target) = self.aliases.get(host) {
            return self.domains.get_key_value(target).map(|(n, _)| n.as_str());
        }
        if is_numeric_or_local(host) {
            let (name, _) = self.domains.get_key_value(self.default.as_ref()?)?;
            return Some(name);
        }
        None
    }

    /// What there is under a name in the tree of domains: the users if it is a domain, and the
    /// labels directly below it. The empty name is the root. `None` if there is nothing at all.
    #[must_use]
    pub fn describe(&self, name: &str) -> Option<Description> {
        let name = name.to_ascii_lowercase();
        let mut found = Description::default();
        let mut known = name.is_empty();
        if let Some(entry) = self.domains.get(name.as_str()) {
            known = true;
            found.users = user_names(entry);
            found.control = self.control(&name).map(Into::into);
        }
        for other in self.domains.keys() {
            if let Some(label) = label_below(other, &name) {
                known = true;
                found.domains.push(label.into());
            }
        }
        found.domains.sort();
        found.domains.dedup();
        known.then_some(found)
    }

    /// The names of a domain's users, sorted; `None` if there is no such domain.
    #[must_use]
    pub fn users(&self, domain: &str) -> Option<Vec<CompactString>> {
        self.domains.get(domain).map(user_names)
    }

    /// Loads a stored pushed layer at start; tells nobody.
    ///
    /// # Errors
    /// A name or a number beyond the limits.
    pub fn restore(&mut self, domain: &str, layer: Layer) -> Result<(), DirectoryError> {
        check_layer(&layer)?;
        let name = self.enter(domain)?;
        self.default.get_or_insert_with(|| name.clone());
        self.domains.entry(name).or_default().pushed = Some(layer);
        Ok(())
    }

    /// The next change to store.
    pub fn poll_change(&mut self) -> Option<DirectoryChange> {
        self.changes.pop_front()
    }

    fn enter(&self, domain: &str) -> Result<CompactString, DirectoryError> {
        let name = canonical(domain)?;
        if self.domains.len() >= MAX_DOMAINS && !self.domains.contains_key(&name) {
            return Err(DirectoryError::TooManyDomains);
        }
        Ok(name)
    }

    fn existing(&self, domain: &str) -> Result<CompactString, DirectoryError> {
        let name = canonical(domain)?;
        if self.domains.contains_key(&name) { Ok(name) } else { Err(DirectoryError::NoSuchDomain(name)) }
    }
}

fn user_names(entry: &Domain) -> Vec<CompactString> {
    let mut users: Vec<_> = [&entry.configured, &entry.pushed]
        .into_iter()
        .flatten()
        .flat_map(|layer| layer.users.keys().cloned())
        .collect();
    users.sort();
    users.dedup();
    users
}

fn label_below<'a>(domain: &'a str, parent: &str) -> Option<&'a str> {
    let rest = if parent.is_empty() { domain } else { domain.strip_suffix(parent)?.strip_suffix('.')? };
    rest.rsplit('.').next()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_numeric_or_local(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::Ipv4Addr>().is_ok()
        || host.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok()
}

fn canonical(name: &str) -> Result<CompactString, DirectoryError> {
    let valid = !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    if valid {
        Ok(CompactString::from_str_to_lowercase(name))
    } else {
        Err(DirectoryError::BadName(name.chars().take(64).collect()))
    }
}

fn check_layer(layer: &Layer) -> Result<(), DirectoryError> {
    if layer.users.len() > MAX_USERS {
        return Err(DirectoryError::TooManyUsers);
    }
    for (user, secret) in &layer.users {
        let valid =
            !user.is_empty() && user.len() <= MAX_NAME && user.bytes().all(|b| b > b' ' && b != 0x7f && b != b'@');
        if !valid {
            return Err(DirectoryError::BadName(user.chars().take(64).collect()));
        }
        if secret.reveal().len() > MAX_SECRET {
            return Err(DirectoryError::SecretTooLong);
        }
    }
    if let Some(user) = layer.limits.keys().find(|user| !layer.users.contains_key(*user)) {
        return Err(DirectoryError::BadName(user.chars().take(64).collect()));
    }
    if let Some((user, _)) = layer.limits.iter().find(|(_, limits)| !limits.is_sound()) {
        return Err(DirectoryError::BadClasses(user.clone()));
    }
    for (user, forwarding) in &layer.forwards {
        if !layer.users.contains_key(user) {
            return Err(DirectoryError::BadName(user.chars().take(64).collect()));
        }
        if let Some((member, why)) = forwarding.problem() {
            return Err(DirectoryError::BadForward { user: user.clone(), member, why });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Address, Forwards};

    fn layer(users: &[&str]) -> Layer {
        Layer {
            control: Some("http://127.0.0.1:9001".into()),
            users: users.iter().map(|u| (CompactString::from(*u), Secret::new("pw"))).collect(),
            forwards: BTreeMap::new(),
            limits: BTreeMap::new(),
        }
    }

    #[test]
    fn put_replaces_and_patch_merges() {
        let mut dir = Directory::new();
        dir.put("Example.Test", layer(&["1000", "1001"])).unwrap();
        dir.put("example.test", layer(&["1002"])).unwrap();
        assert_eq!(dir.users("example.test").unwrap(), ["1002"]);
        dir.patch("example.test", layer(&["1003"])).unwrap();
        assert_eq!(dir.users("example.test").unwrap(), ["1002", "1003"]);
        assert_eq!(dir.patch("other.test", layer(&[])), Err(DirectoryError::NoSuchDomain("other.test".into())));
    }

    #[test]
    fn the_tree_lists_users_labels_and_never_secrets() {
        let mut dir = Directory::new();
        dir.put("bling.babble.test", layer(&["1003"])).unwrap();
        dir.put("babble.test", layer(&[])).unwrap();
        let root = dir.describe("").unwrap();
        assert_eq!(root.domains, ["test"]);
        assert_eq!(dir.describe("test").unwrap().domains, ["babble"]);
        let babble = dir.describe("babble.test").unwrap();
        assert_eq!(babble.domains, ["bling"]);
        assert_eq!(dir.describe("bling.babble.test").unwrap().users, ["1003"]);
        assert_eq!(dir.describe("ling.babble.test"), None);
        assert!(!format!("{dir:?}").contains("\"pw\""));
    }

    #[test]
    fn configured_entries_stay_and_pushed_ones_hide_them() {
        let mut dir = Directory::new();
        dir.configure("a.test", layer(&["alice"])).unwrap();
        assert_eq!(dir.remove("a.test"), Err(DirectoryError::Configured("a.test".into())));
        let mut pushed = layer(&[]);
        pushed.users.insert("alice".into(), Secret::new("new"));
        dir.put("a.test", pushed).unwrap();
        assert_eq!(dir.secret("a.test", "alice").unwrap().reveal(), "new");
        dir.remove("a.test").unwrap();
        assert_eq!(dir.secret("a.test", "alice").unwrap().reveal(), "pw");
    }

    #[test]
    fn numbers_and_localhost_mean_the_default_domain() {
        let mut dir = Directory::new();
        dir.configure("a.test", layer(&[])).unwrap();
        dir.alias("pbx.local", "a.test").unwrap();
        for host in ["A.test", "localhost", "127.0.0.1:5060", "[::1]", "PBX.local"] {
            assert_eq!(dir.resolve(host), Some("a.test"), "{host}");
        }
        assert_eq!(dir.resolve("b.test"), None);
    }

    #[test]
    fn names_and_numbers_have_limits() {
        let mut dir = Directory::new();
        assert!(dir.put("a b", layer(&[])).is_err());
        assert!(dir.put("", layer(&[])).is_err());
        assert!(dir.put("a.test", layer(&["bad\r\nname"])).is_err());
        let many = Layer {
            control: None,
            users: (0..=MAX_USERS).map(|n| (compact_str::format_compact!("{n}"), Secret::new(""))).collect(),
            ..Layer::default()
        };
        assert_eq!(dir.put("a.test", many), Err(DirectoryError::TooManyUsers));
        assert_eq!(dir.poll_change(), None);
        for n in 0..MAX_DOMAINS {
            dir.put(&format!("d{n}.test"), Layer::default()).unwrap();
        }
        assert_eq!(dir.put("one.more", Layer::default()), Err(DirectoryError::TooManyDomains));
    }

    #[test]
    fn changes_are_told_and_restore_is_silent() {
        let mut dir = Directory::new();
        dir.restore("a.test", layer(&["1"])).unwrap();
        assert_eq!(dir.poll_change(), None);
        dir.remove_user("a.test", "1").unwrap();
        let Some(DirectoryChange::Put(domain, left)) = dir.poll_change() else { panic!("no change told") };
        assert_eq!((domain.as_str(), left.users.len()), ("a.test", 0));
        dir.remove("a.test").unwrap();
        assert_eq!(dir.poll_change(), Some(DirectoryChange::Removed("a.test".into())));
    }

    fn busy_to(address: &str) -> Forwarding {
        let otherwise = Forwards { busy: Some(Address::from(address)), ..Forwards::default() };
        Forwarding { otherwise, ..Forwarding::default() }
    }

    #[test]
    fn forwards_come_and_go_with_their_user() {
        let mut dir = Directory::new();
        let mut configured = layer(&["alice", "bob"]);
        configured.forwards.insert("alice".into(), busy_to("sip:1@a.test"));
        dir.configure("a.test", configured).unwrap();
        assert_eq!(dir.forwards("a.test", "alice"), Some(&busy_to("sip:1@a.test")));
        assert_eq!(dir.forwards("a.test", "bob"), None);
        let mut pushed = layer(&["bob"]);
        pushed.forwards.insert("bob".into(), busy_to("tel:+4930"));
        dir.put("a.test", pushed).unwrap();
        assert_eq!(dir.forwards("a.test", "bob"), Some(&busy_to("tel:+4930")));
        assert_eq!(dir.forwards("a.test", "alice"), Some(&busy_to("sip:1@a.test")));
        // Whoever is pushed without forwards has none, whatever was pushed or configured before.
        dir.patch("a.test", layer(&["alice", "bob"])).unwrap();
        assert_eq!((dir.forwards("a.test", "alice"), dir.forwards("a.test", "bob")), (None, None));
        dir.remove_user("a.test", "alice").unwrap();
        assert!(dir.forwards("a.test", "alice").is_some());
    }

    #[test]
    fn forwards_are_stored_and_old_layers_without_them_can_be_read() {
        let mut with = layer(&["bob"]);
        with.forwards.insert("bob".into(), busy_to("sip:1@a.test"));
        let stored = serde_json::to_string(&with).unwrap();
        assert_eq!(serde_json::from_str::<Layer>(&stored).unwrap(), with);
        let old: Layer = serde_json::from_str(r#"{"users":{"bob":"pw"}}"#).unwrap();
        assert!(old.forwards.is_empty());
    }

    #[test]
    fn a_forward_that_cannot_be_used_or_belongs_to_nobody_changes_nothing() {
        let mut dir = Directory::new();
        for (user, expected) in [
            ("bob", DirectoryError::BadForward { user: "bob".into(), member: "busy", why: "" }),
            ("carol", DirectoryError::BadName("carol".into())),
        ] {
            let mut with = layer(&["bob"]);
            with.forwards.insert(user.into(), busy_to(if user == "bob" { "1002" } else { "sip:a@c" }));
            let error = dir.put("a.test", with).unwrap_err();
            assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&expected), "{error}");
        }
        assert_eq!(dir.poll_change(), None);
    }
}
