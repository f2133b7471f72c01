//! Who somebody is and what it may do: decided by whoever lets it in, for good.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What may be done at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at calls, registrations, events and whatever else there is.
    Read,
    /// Start, change and end calls.
    Control,
    /// Change what outlives calls: directory, webhooks; drain the switch.
    Admin,
}

/// What somebody may do who has proved who it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Its name, for logs; never its secret.
    pub name: CompactString,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The domains whose calls, registrations and events it may see and act on, in lower case; an empty list means all.
    pub domains: Vec<CompactString>,
    /// Whom it may have called as caller; an empty list means anybody.
    pub callers: Vec<Pattern>,
    /// Whom it may have called as callee or transfer to; an empty list means anybody.
    pub callees: Vec<Pattern>,
    /// Most requests in a second, twice as many in a burst; none means no such limit.
    pub rate: Option<u32>,
}

impl Grant {
    /// Somebody of whom nothing is known and who may do everything: where no tokens are asked for.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            name: CompactString::default(),
            scopes: vec![Scope::Read, Scope::Control, Scope::Admin],
            domains: Vec::new(),
            callers: Vec::new(),
            callees: Vec::new(),
            rate: None,
        }
    }

    /// Whether it may do this kind of thing. No scope contains another one.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether it may see this domain; `domain` in lower case.
    #[must_use]
    pub fn sees_domain(&self, domain: &str) -> bool {
        self.domains.is_empty() || self.domains.iter().any(|one| one == domain)
    }

    /// Whether this URI may be given as caller.
    #[must_use]
    pub fn may_call_from(&self, uri: &str) -> bool {
        is_listed(&self.callers, uri)
    }

    /// Whether this URI may be given as callee or as the destination of a transfer.
    #[must_use]
    pub fn may_call_to(&self, uri: &str) -> bool {
        is_listed(&self.callees, uri)
    }
}

pub(crate) fn is_listed(patterns: &[Pattern], uri: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(uri))
}

/// URIs that a token may name: compared letter by letter with the URI as the client wrote it, where
/// `*` stands for any text, also for none (`sip:*@example.test`). An URI written in another way
/// (`%61lice`, `SIP:`) is another URI here and so is not allowed, although it may lead to the same
/// phone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub CompactString);

impl Pattern {
    /// Whether this URI is one of them. Takes as long as both texts' lengths multiplied at worst.
    #[must_use]
    pub fn matches(&self, uri: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), uri.as_bytes());
        let (mut at, mut from) = (0, 0);
        // Where to go on if what follows the last star does not fit: that star takes one more.
        let mut retry: Option<(usize, usize)> = None;
        while from < text.len() {
            if pattern.get(at) == Some(&b'*') {
                retry = Some((at + 1, from));
                at += 1;
            } else if pattern.get(at) == Some(&text[from]) {
                at += 1;
                from += 1;
            } else if let Some((after_star, taken)) = retry {
                (at, from) = (after_star, taken + 1);
                retry = Some((after_star, taken + 1));
            } else {
                return false;
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, uri) in [
            ("sip:*@example.test", "sip:alice@example.test"),
            ("sip:alice@example.test", "sip:alice@example.test"),
            ("*", ""),
            ("*", "tel:110"),
            ("tel:+4930*", "tel:+4930"),
            ("sip:*a*b*@x", "sip:aab1ab@x"),
        ] {
            assert!(Pattern::from(pattern).matches(uri), "{pattern} {uri}");
        }
        for (pattern, uri) in [
            ("sip:*@example.test", "sip:alice@example.test.evil.test"),
            ("sip:*@example.test", "sip:alice@example.test:5080"),
            ("sip:*@example.test", "SIP:alice@example.test"),
            ("sip:alice@example.test", "sip:alice@example.tes"),
            ("", "sip:a@b"),
            ("tel:+4930*", "tel:+493"),
        ] {
            assert!(!Pattern::from(pattern).matches(uri), "{pattern} {uri}");
        }
    }

    #[test]
    fn a_grant_allows_what_it_lists_and_no_scope_contains_another() {
        let everything = Grant::everything();
        assert!(everything.may(Scope::Admin) && everything.sees_domain("x") && everything.may_call_from("tel:1"));
        let narrow = Grant {
            scopes: vec![Scope::Control],
            domains: vec!["example.test".into()],
            callers: vec!["sip:a@*".into()],
            callees: vec!["tel:*".into()],
            ..everything
        };
        assert!(narrow.may(Scope::Control) && !narrow.may(Scope::Read) && !narrow.may(Scope::Admin));
        assert!(narrow.sees_domain("example.test") && !narrow.sees_domain("other.test"));
        assert!(narrow.may_call_from("sip:a@b") && !narrow.may_call_from("tel:1"));
        assert!(narrow.may_call_to("tel:1") && !narrow.may_call_to("sip:a@b"));
    }
}
