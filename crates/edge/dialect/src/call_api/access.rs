//! Who a session is and what it may do: decided by whoever opens it, for good.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::mode::Mode;
use super::subscribe;
use crate::access::{Pattern, is_listed};

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

#[cfg(test)]
mod tests {
    use super::*;

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
