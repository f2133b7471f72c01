//! Whether OpenSIPS answers, and whether its events reach us.

use compact_str::CompactString;
use hookswitch_call::Time;
use serde::{Deserialize, Serialize};

/// The state of the two ways between us and OpenSIPS.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Health {
    /// Requests and their replies.
    pub mi: Link,
    /// Events: whether our subscriptions stand.
    pub events: Link,
    /// The version, as OpenSIPS writes it.
    pub version: Option<CompactString>,
}

/// The state of one way.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Link {
    /// Not yet tried.
    #[default]
    Unknown,
    /// It works.
    Up,
    /// It does not.
    Down {
        /// Since when.
        since: Time,
        /// What was seen last.
        why: CompactString,
    },
}

impl Link {
    /// Whether it is known not to work.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}
