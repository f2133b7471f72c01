//! Events of a call from its beginning to its answer, and its end.

use std::time::Duration;

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::Serialize;

use super::cause::{End, Why};

/// Who calls whom.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Parties {
    /// The URI of the party that calls.
    pub caller: CompactText,
    /// The URI of the party that is called.
    pub callee: CompactText,
}

/// A text that is mostly short.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct CompactText(#[schemars(with = "String")] pub CompactString);

impl<T: std::fmt::Display> From<&T> for CompactText {
    fn from(text: &T) -> Self {
        Self(compact_str::format_compact!("{text}"))
    }
}

/// A call that a server beyond us carries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Noticed {
    /// Its Call-ID there.
    pub call_id: CompactText,
}

/// With whom the caller is connected.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Connecting {
    /// The URI as dialled or commanded.
    pub to: CompactText,
}

/// A party is being called.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Dialing {
    /// The new leg, within the call.
    pub leg: u16,
    /// Which end of the call it would be.
    pub party: End,
    /// The Call-ID of the leg on the wire.
    pub call_id: CompactText,
    /// Where the request went: the contact, after look-up.
    pub to: CompactText,
}

/// A called party reports progress.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Progress {
    /// The leg.
    pub leg: u16,
    /// Which end of the call it would be.
    pub party: End,
    /// The status, 100 to 199: 180 rings, 183 may be heard.
    pub status: u16,
    /// Its phrase.
    pub text: CompactText,
}

/// A leg and its end of the call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Leg {
    /// The leg.
    pub leg: u16,
    /// Which end of the call it is.
    pub party: End,
}

/// Nothing more is to be said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Nothing {}

/// A leg is over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LegEnded {
    /// The leg.
    pub leg: u16,
    /// Which end of the call it was.
    pub party: End,
    /// Why it ended.
    pub cause: Why,
}

/// The call is over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ended {
    /// The first cause, which ended all the rest.
    pub cause: Why,
    /// How long both parties were joined, in seconds. Null where nobody knows: the switch was restarted in the middle of
    /// the call.
    pub talked_seconds: Option<f64>,
}

/// A duration in seconds, to the millisecond.
pub(super) fn seconds(time: Duration) -> f64 {
    // Times of calls are far below the 2^53 milliseconds that are exact.
    time.as_millis() as f64 / 1_000.0
}
