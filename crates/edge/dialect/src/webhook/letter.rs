//! One event on its way to one endpoint.

use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_call::{CallId, Time};
use serde::{Deserialize, Serialize};

use super::Target;
use crate::journal::{EventId, Logged};

/// An event, and what has come of it so far. This is what is stored of one that waits or is dead.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// The event.
    pub id: EventId,
    /// Its type.
    pub kind: CompactString,
    /// The call it is about.
    pub call: Option<CallId>,
    /// The document, as it is posted.
    pub text: Arc<str>,
    /// Until when it is tried. Each letter is tried once in any case.
    pub until: Time,
    /// Attempts that have ended.
    pub attempts: u32,
    /// Failures of the first URL.
    pub failures: u32,
    /// Where the last attempt went.
    pub last_target: Option<Target>,
    /// Why the last attempt failed.
    pub last_failure: Option<CompactString>,
}

/// A letter that could not be delivered in time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dead {
    /// What was to be delivered.
    pub letter: Letter,
    /// Since when nobody tries any longer.
    pub since: Time,
}

impl Letter {
    pub(super) fn new(event: &Logged, until: Time) -> Self {
        Self {
            id: event.id,
            kind: event.kind.clone(),
            call: event.call,
            text: Arc::clone(&event.text),
            until,
            attempts: 0,
            failures: 0,
            last_target: None,
            last_failure: None,
        }
    }
}
