//! The section `recordings`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Recordings of calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recordings {
    /// The folder that they go to, which must be there. In it a folder is made for each day (UTC), and in that a WAV
    /// file for each call: the caller on the left, what the caller hears on the right. Default: none, and nothing is
    /// recorded.
    pub folder: Option<PathBuf>,
    /// Which calls are recorded from their answer to their end: `none`, `all`, or `listed`, those that one of `users`
    /// makes or is called in.
    pub calls: RecordedCalls,
    /// Who is recorded with `calls: listed`: `USER@DOMAIN`, or a domain for all its users.
    pub users: Vec<String>,
}

/// Which calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordedCalls {
    /// None.
    #[default]
    None,
    /// All whose audio runs through the switch.
    All,
    /// Of those, the ones of `users`.
    Listed,
}
