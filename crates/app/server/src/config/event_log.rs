//! The section `event_log`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The log of events in the data folder, which applications read at `/v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventLog {
    /// Seconds for which events are kept, at least 86400: a reader that was away for so long goes on where it was.
    pub kept: u64,
    /// Events that are kept at most; the oldest go first.
    pub max_events: u64,
    /// Bytes of events that are kept at most, at least 1048576. The file is larger, by half or so.
    pub max_bytes: u64,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { kept: 172_800, max_events: 10_000_000, max_bytes: 4_294_967_296 }
    }
}
