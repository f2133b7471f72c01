//! Who exists: domains, their users and their secrets, held in memory.
//!
//! Two layers: what the configuration file says, which is read at the start and on request, and what a friendly
//! host has pushed, which is stored and survives one. A pushed user hides a configured one of the
//! same name. Below them, where it is switched on, users who are asked for elsewhere when they are
//! needed, and remembered for a while (`lookup.rs`); whoever reads here never waits for an answer.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

mod asking;
mod entries;
mod forwarding;
mod limits;
mod lookup;
mod recorded;
mod reload;
mod toll;

pub use asking::Standing;
pub use entries::Origin;
pub use forwarding::{Forwarding, MAX_NO_ANSWER};
pub use limits::{MAX_CLASSES, UserLimits};
pub use lookup::{
    Busy, FoundUser, LookupConfig, LookupNews, LookupTotals, MAX_DOUBTS, MAX_NOBODIES, Question, QuestionId,
    RETRY_AFTER, UserAnswer,
};
pub use toll::{BadHours, Hours, TollLimits};

use lookup::{Lookups, names_user};

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
    /// Whether calls are recorded, of those users who say so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub record: BTreeMap<CompactString, bool>,
}

#[derive(Clone, Debug, Default)]
struct Domain {
    configured: Option<Layer>,
    pushed: Option<Layer>,
    /// Another one after each change of what is pushed.
    revision: u64,
}

/// What becomes of the controller of a domain when a layer that names none is merged into it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnnamedControl {
    /// It stays: nothing was said of it.
    Stays,
    /// It goes: it was said that there is none.
    Goes,
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
    revisions: u64,
    lookups: Option<Box<Lookups>>,
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
        let revision = self.next_revision();
        let entry = self.domains.entry(name).or_default();
        (entry.pushed, entry.revision) = (Some(layer), revision);
        Ok(())
    }

    /// Merges into the pushed layer of a domain that exists: users are added or replaced, with whom
    /// to call instead of them, their limits and whether they are recorded. The controller is replaced if one is named;
    /// `unnamed` says what becomes of it otherwise.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], or a limit; nothing has changed then.
    pub fn patch(&mut self, domain: &str, layer: Layer, unnamed: UnnamedControl) -> Result<(), DirectoryError> {
        check_layer(&layer)?;
        let name = self.existing(domain)?;
        let revision = self.next_revision();
        let entry = self.domains.entry(name.clone()).or_default();
        let mut merged = entry.pushed.clone().unwrap_or_default();
        merged.forwards.retain(|user, _| !layer.users.contains_key(user));
        merged.forwards.extend(layer.forwards);
        merged.limits.retain(|user, _| !layer.users.contains_key(user));
        merged.limits.extend(layer.limits);
        merged.record.retain(|user, _| !layer.users.contains_key(user));
        merged.record.extend(layer.record);
        merged.users.extend(layer.users);
        if merged.users.len() > MAX_USERS {
            return Err(DirectoryError::TooManyUsers);
        }
        merged.control = match unnamed {
            UnnamedControl::Stays => layer.control.or(merged.control),
            UnnamedControl::Goes => layer.control,
        };
        (entry.pushed, entry.revision) = (Some(merged.clone()), revision);
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
        let revision = self.next_revision();
        let Some(entry) = self.domains.get_mut(&name) else {
            return Err(DirectoryError::NoSuchDomain(name));
        };
        entry.revision = revision;
        if entry.pushed.take().is_none() {
            return Err(DirectoryError::Configured(name));
        }
        if entry.configured.is_none() {
            self.domains.remove(&name);
        }
        self.changes.push_back(DirectoryChange::Removed(name));
        Ok(())
    }

    /// Removes a pushed user, and forgets one that was looked up. A user that is not there is not an error.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], or [`DirectoryError::Configured`] for a user of the
    /// configuration file.
    pub fn remove_user(&mut self, domain: &str, user: &str) -> Result<(), DirectoryError> {
        let forgotten = self.forget_found(domain, user);
        let name = match self.existing(domain) {
            Err(_) if forgotten => return Ok(()),
            name => name?,
        };
        let revision = self.next_revision();
        let Some(entry) = self.domains.get_mut(&name) else {
            return Err(DirectoryError::NoSuchDomain(name));
        };
        if let Some(pushed) = entry.pushed.as_mut()
            && pushed.users.remove(user).is_some()
        {
            pushed.forwards.remove(user);
            pushed.limits.remove(user);
            entry.revision = revision;
            pushed.record.remove(user);
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
        let layers = self.layers(domain);
        layers
            .into_iter()
            .flatten()
            .find_map(|layer| layer.users.get(user))
            .or_else(|| Some(&self.found(domain, user)?.secret))
    }

    /// Whom to call instead of a user, if anybody; `domain` as [`Directory::resolve`] returns it. A
    /// pushed user hides what the configuration file says of one with that name.
    #[must_use]
    pub fn forwards(&self, domain: &str, user: &str) -> Option<&Forwarding> {
        match self.layer_with(domain, user) {
            Some(layer) => layer.forwards.get(user),
            None => self.found(domain, user).map(|found| &found.forward).filter(|forward| !forward.is_empty()),
        }
    }

    /// The pushed and the configured layer of a domain.
    fn layers(&self, domain: &str) -> [Option<&Layer>; 2] {
        self.domains.get(domain).map_or([None; 2], |entry| [entry.pushed.as_ref(), entry.configured.as_ref()])
    }

    /// The layer that a user is in.
    fn layer_with(&self, domain: &str, user: &str) -> Option<&Layer> {
        self.layers(domain).into_iter().flatten().find(|layer| layer.users.contains_key(user))
    }

    /// Whether a user exists; `domain` as [`Directory::resolve`] returns it.
    #[must_use]
    pub fn has_user(&self, domain: &str, user: &str) -> bool {
        self.secret(domain, user).is_some()
    }

    /// Where the controller of a domain is: the pushed one before the configured one.
    #[must_use]
    pub fn control(&self, domain: &str) -> Option<&str> {
        self.layers(domain).into_iter().flatten().find_map(|layer| layer.control.as_deref())
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
        self.lookups.as_ref()?.domain(host)
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

    fn next_revision(&mut self) -> u64 {
        self.revisions += 1;
        self.revisions
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
        if !names_user(user) {
            return Err(DirectoryError::BadName(user.chars().take(64).collect()));
        }
        if secret.reveal().len() > MAX_SECRET {
            return Err(DirectoryError::SecretTooLong);
        }
    }
    let mut others = layer.limits.keys().chain(layer.record.keys());
    if let Some(user) = others.find(|user| !layer.users.contains_key(*user)) {
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
mod tests;
