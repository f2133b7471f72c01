//! The section `media.web_sounds`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sounds that are fetched from web servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebSounds {
    /// URLs below which sounds are, `http` or `https`. Others are not asked for, and redirects are not followed. Default:
    /// none, and sounds are files only.
    pub from: Vec<String>,
    /// A file of authorities (PEM) that are believed for `https` beside those of the system.
    pub ca: Option<PathBuf>,
    /// Most megabytes of sounds that are kept, in the folder `sounds` of `data_dir`; 1 to 1,000,000. Those that nobody has
    /// wanted for the longest time make room.
    pub keep: u64,
    /// Longest sound that is fetched, in megabytes.
    pub largest: u64,
}

impl Default for WebSounds {
    fn default() -> Self {
        Self { from: Vec::new(), ca: None, keep: 1_000, largest: 50 }
    }
}
