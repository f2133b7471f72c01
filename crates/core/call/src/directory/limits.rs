//! How much one user may have of something.

use serde::{Deserialize, Serialize};

/// Limits of one user, in place of those that hold for everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserLimits {
    /// Most contacts that may be registered at a time; 0 lets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<u32>,
    /// Most calls at a time, made and taken together; 0 lets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
}

impl UserLimits {
    /// Whether nothing is limited that is not for everybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
