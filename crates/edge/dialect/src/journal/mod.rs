//! What happens in the switch as one sequence of events, which every dialect that tells events shares.
//!
//! ```text
//!   Entry (what happens) ──▶ Journal ──▶ Logged (number, JSON) ──▶ the log, and everybody who reads it
//! ```

mod asyncapi;
mod audio;
mod call_record;
mod cause;
mod change;
mod elsewhere;
mod entry;
mod kind;
mod left;
mod machine;
mod query;
pub mod record;
mod setup;
mod stored;

use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_call::{CallId, Time};
use serde::{Deserialize, Serialize};

pub use asyncapi::{asyncapi, event_schema};
pub use cause::{End, Failing, Why};
pub use entry::{CommandName, ContactNews, Entry, FlowWord, PortsWord, TrunkWord};
pub use kind::{KINDS, Kind, KindRow};
pub use left::{Chapter, LeftCall, MAX_STORY};
pub use machine::{Batch, ENDED_KEPT, Journal, MAX_DOMAINS, OpenCall, call_name};
pub use query::{BadQuery, DEFAULT_LIMIT, EventQuery, MAX_LIMIT, MAX_VALUES, event_id, is_type_of_events};
pub(crate) use query::{is_type_of_calls, types_of_calls};

/// Names one event; grows by one from event to event and is never used again, not after a restart either.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct EventId(pub u64);

/// One event, as everybody sends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// Its name.
    pub id: EventId,
    /// When it happened.
    pub at: Time,
    /// Its type, such as `call.answered`.
    pub kind: CompactString,
    /// The call it is about.
    pub call: Option<CallId>,
    /// Its number among the events of that call.
    pub seq: Option<u32>,
    /// The domains it concerns, in lower case.
    pub domains: Vec<CompactString>,
    /// The webhook of its call, by name, if that has one of its own. It stands in no document.
    pub webhook: Option<CompactString>,
    /// The event as JSON.
    pub text: Arc<str>,
}

/// Which events somebody wants. Empty lists want all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of these calls.
    pub calls: Vec<CallId>,
    /// Of these types; `call.*` stands for all that begin so.
    pub kinds: Vec<CompactString>,
    /// That concern one of these domains, in lower case.
    pub domains: Vec<CompactString>,
    /// Of calls that have this webhook of their own.
    pub webhook: Option<CompactString>,
}

impl Filter {
    /// Whether this event is one of them.
    #[must_use]
    pub fn wants(&self, event: &Logged) -> bool {
        let kind = |wanted: &CompactString| match wanted.strip_suffix('*') {
            Some(beginning) => event.kind.starts_with(beginning),
            None => *wanted == event.kind,
        };
        (self.calls.is_empty() || event.call.is_some_and(|call| self.calls.contains(&call)))
            && (self.kinds.is_empty() || self.kinds.iter().any(kind))
            && (self.domains.is_empty() || event.domains.iter().any(|domain| self.domains.contains(domain)))
            && (self.webhook.is_none() || self.webhook == event.webhook)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_wants_what_fits_each_of_its_lists() {
        let event = Logged {
            id: EventId(1),
            at: Time::ZERO,
            kind: "call.answered".into(),
            call: Some(CallId(7)),
            seq: Some(3),
            domains: vec!["a.test".into(), "b.test".into()],
            webhook: Some("call.1".into()),
            text: "{}".into(),
        };
        let filter = |calls: &[u64], kinds: &[&str], domains: &[&str]| Filter {
            calls: calls.iter().map(|id| CallId(*id)).collect(),
            kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
            domains: domains.iter().map(|domain| (*domain).into()).collect(),
            webhook: None,
        };
        let webhook = |name: &str| Filter { webhook: Some(name.into()), ..Filter::default() };
        assert!(Filter::default().wants(&event));
        assert!(webhook("call.1").wants(&event));
        assert!(filter(&[6, 7], &["call.*"], &["b.test"]).wants(&event));
        assert!(filter(&[], &["trunk.*", "call.answered"], &[]).wants(&event));
        for other in
            [filter(&[6], &[], &[]), filter(&[], &["call.an"], &[]), filter(&[], &[], &["c.test"]), webhook("call.2")]
        {
            assert!(!other.wants(&event), "{other:?}");
        }
        let nobody = Logged { call: None, domains: Vec::new(), webhook: None, ..event };
        assert!(!webhook("call.1").wants(&nobody));
        assert!(!filter(&[7], &[], &[]).wants(&nobody) && !filter(&[], &[], &["a.test"]).wants(&nobody));
    }
}
