//! The section `mediaswitch`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Control servers that drive single legs over HTTP, as those of project-mediaswitch do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mediaswitch {
    /// Whether domains that were pushed with a `control` URL hand their calls to that controller, which then decides
    /// everything, and tell it of registrations. Without, `control` is kept and listed, and the switch carries the calls
    /// itself; `/dialog` works either way.
    pub controllers: bool,
    /// How long a call that belongs to a controller may take to be answered, in seconds; 1 to 3600.
    pub setup_time: u64,
}

impl Default for Mediaswitch {
    fn default() -> Self {
        Self { controllers: false, setup_time: 180 }
    }
}
