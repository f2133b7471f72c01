//! The section `call_records`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Call detail records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallRecords {
    /// The folder that they go to, which must be there: a file for each day (UTC), which only its owner can read.
    /// Default: none, and no records are written.
    pub folder: Option<PathBuf>,
    /// How they are written: `jsonl`, a JSON document a line, or `csv`, comma-separated values with less in them.
    pub format: RecordFormat,
    /// A file that is so large is followed by another one of the same day, in megabytes, from 1 to 1000000.
    pub max_size: u64,
}

impl Default for CallRecords {
    fn default() -> Self {
        Self { folder: None, format: RecordFormat::default(), max_size: 100 }
    }
}

/// How call detail records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordFormat {
    /// A JSON document a line.
    #[default]
    Jsonl,
    /// Comma-separated values.
    Csv,
}
