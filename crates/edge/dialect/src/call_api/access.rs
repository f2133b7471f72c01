//! Who a session is and what it may do: decided by whoever opens it, for good.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::mode::Mode;
use super::subscribe;

/// On which terms a session is opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admission {
    /// Its manner.
    pub mode: Mode,
    /// The token it came with and what that allows; none means that it may do everything.
    pub access: Option<Arc<Access>>,
}

impl Admission {
    /// A session without a token, which may do everything.
    #[must_use]
    pub const fn open(mode: Mode) -> Self {
        Self { mode, access: None }
    }
}

/// What the bearer of a token may do.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// The name of the token, for logs; never its secret. All sessions of one name share their
    /// limits and their idempotency keys.
    pub name: CompactString,
    /// The methods it may use; none means all.
    pub commands: Option<Vec<CompactString>>,
    /// Whom it may have called as caller; an empty list means anybody.
    pub callers: Vec<Pattern>,
    /// Whom it may have called as callee or transfer to; an empty list means anybody.
    pub callees: Vec<Pattern>,
    /// Most commands that run at once in all its sessions together; none means no such limit.
    pub max_in_flight: Option<usize>,
    /// Most requests in a second of all its sessions together, twice as many in a burst; none
    /// means no such limit.
    pub rate: Option<u32>,
}

impl Access {
    /// Whether this method may be used. `Subscribe` tells of every call of the switch, so a token
    /// that may not call everybody may use it only if its list names it.
    #[must_use]
    pub fn may_use(&self, method: &str) -> bool {
        match &self.commands {
            Some(commands) => commands.iter().any(|command| command == method),
            None => method != subscribe::ROW.name || (self.callers.is_empty() && self.callees.is_empty()),
        }
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

fn is_listed(patterns: &[Pattern], uri: &str) -> bool {
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
    fn an_access_without_lists_allows_everything() {
        let access = Access::default();
        assert!(access.may_use("CallStart") && access.may_call_from("sip:a@b") && access.may_call_to("tel:1"));
        let narrow = Access {
            commands: Some(vec!["Echo".into()]),
            callers: vec!["sip:a@*".into()],
            callees: vec!["tel:*".into()],
            ..Access::default()
        };
        assert!(narrow.may_use("Echo") && narrow.may_call_from("sip:a@b") && narrow.may_call_to("tel:1"));
        let unlisted = Access { commands: None, ..narrow.clone() };
        assert!(unlisted.may_use("CallStart") && !unlisted.may_use("Subscribe"));
        assert!(access.may_use("Subscribe"));
        assert!(!narrow.may_use("CallStart") && !narrow.may_call_from("tel:1") && !narrow.may_call_to("sip:a@b"));
    }
}
