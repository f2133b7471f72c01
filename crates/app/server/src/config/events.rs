//! The section `events`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Subscriptions of phones to events: busy lamps and others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Most subscriptions; more are answered 503.
    pub max: usize,
    /// Most subscriptions of one user; more are answered 403. A panel of busy lamps takes one for each.
    pub max_per_user: usize,
    /// Shortest lifetime of a subscription, in seconds; less is answered 423.
    pub min_expires: u64,
    /// Longest lifetime of a subscription, in seconds, and that of one whose phone asks for none; more is cut down.
    pub max_expires: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self { max: 50_000, max_per_user: 500, min_expires: 60, max_expires: 3_600 }
    }
}
