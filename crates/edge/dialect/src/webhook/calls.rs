//! The calls whose own webhook an endpoint is: it is needed as long as something may still be told of one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{CallId, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Change;
use crate::journal::{Kind, Logged};

/// How long after the end of a call its record is waited for, which is the last event of a call: recordings have to be
/// closed before. It is not told after a restart.
const RECORD_PATIENCE: Duration = Duration::from_secs(600);

/// Longest URL, in bytes.
pub const MAX_CALL_URL: usize = 2_048;

/// Most types of events that are named for one call.
pub const MAX_CALL_EVENTS: usize = 100;

/// Longest name of a key, in bytes.
pub const MAX_CALL_KEY: usize = 64;

/// The webhook of a call, as whoever makes or leads the call names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallWebhook {
    /// Where the events of the call are posted: `http` or `https`, without user, password and `#`.
    #[schemars(length(min = 1, max = 2_048))]
    pub url: String,
    /// Only events of these types; `call.*` stands for all that begin so. If not said, all of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub events: Option<Vec<String>>,
    /// Which of the keys of the configuration (`call_webhooks.keys`) signs, by name. If not said, its `secrets` do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub key: Option<String>,
}

impl CallWebhook {
    /// All events of a call, to this URL.
    #[must_use]
    pub const fn to(url: String) -> Self {
        Self { url, events: None, key: None }
    }

    /// The types of events that are wanted, each once and in an order of their own; none stands for all.
    #[must_use]
    pub fn kinds(&self) -> Vec<CompactString> {
        let kinds: BTreeSet<&String> = self.events.iter().flatten().collect();
        kinds.into_iter().map(CompactString::from).collect()
    }

    /// What it is called: calls whose webhooks differ in nothing have one.
    #[must_use]
    pub fn name(&self) -> CompactString {
        let kinds = self.kinds();
        if kinds.is_empty() && self.key.is_none() {
            return call_webhook(&self.url);
        }
        // In none of them is there a line feed.
        let key = self.key.as_deref().unwrap_or_default();
        call_webhook(&format!("{}\n{key}\n{}", self.url, kinds.join("\n")))
    }
}

fn call_webhook(what: &str) -> CompactString {
    let hash = Sha256::digest(what.as_bytes());
    let number = hash[..8].iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    // No name of the configuration has a dot in it.
    format_compact!("call.{number:016x}")
}

/// The calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Those that go on.
    on: BTreeSet<CallId>,
    /// Those that are over and whose record was not told yet, and since when.
    over: BTreeMap<CallId, Time>,
}

impl Calls {
    /// An event of such a call; what is to be remembered of it.
    pub(super) fn told(&mut self, now: Time, event: &Logged) -> Option<Change> {
        let call = event.call?;
        let is = |kind: Kind| event.kind == kind.name();
        if is(Kind::Ended) {
            self.over.retain(|_, since| *since + RECORD_PATIENCE > now);
            self.over.insert(call, now);
            return self.on.remove(&call).then_some(Change::Call(call, false));
        }
        if is(Kind::Record) {
            self.over.remove(&call);
            return None;
        }
        // The first event of a call, or of its webhook. Others tell nothing new, and may come after the end.
        let begins = event.seq == Some(0) || is(Kind::Webhook);
        (begins && self.on.insert(call)).then_some(Change::Call(call, true))
    }

    pub(super) fn restore(&mut self, call: CallId) {
        self.on.insert(call);
    }

    /// Nothing is known of them any more.
    pub(super) fn forget(&mut self) -> impl Iterator<Item = Change> + use<> {
        std::mem::take(&mut self.on).into_iter().map(|call| Change::Call(call, false))
    }

    pub(super) fn are_over(&self, now: Time) -> bool {
        self.on.is_empty() && self.over.values().all(|since| *since + RECORD_PATIENCE <= now)
    }

    pub(super) fn going_on(&self) -> usize {
        self.on.len()
    }
}
