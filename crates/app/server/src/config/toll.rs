//! The section `toll`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NumberRule;

/// Limits of calls that leave the switch, by what they cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TollSection {
    /// Numbers that anybody may call at any time, as they are dialled. No limit of a class holds for them.
    pub emergency: Vec<String>,
    /// What becomes of a dialled number before it is compared with those of classes: the first rule that matches. It is
    /// sent on as it was dialled.
    pub called: Vec<NumberRule>,
    /// How far the clock by which `hours` are meant is ahead of UTC: `+01:00`. It knows no summer time.
    pub utc_offset: String,
    /// Classes of cost by name, at most 100.
    pub classes: BTreeMap<String, TollClass>,
}

impl Default for TollSection {
    fn default() -> Self {
        Self { emergency: Vec::new(), called: Vec::new(), utc_offset: "+00:00".to_owned(), classes: BTreeMap::new() }
    }
}

/// Numbers that cost the same, and how much of it everybody may have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TollClass {
    /// How its numbers begin; the longest beginning of all classes wins. `""` is for every number of no other class.
    pub numbers: Vec<String>,
    /// For each user; `limits.classes` of a user goes before.
    pub users: TollLimits,
    /// For each trunk whose calls leave the switch again.
    pub trunks: TollLimits,
    /// For each address (each network of 64 bits with IPv6) that users or trusted networks call from.
    pub sources: TollLimits,
}

/// Limits for calls of one class; what is not said is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TollLimits {
    /// Whether no such call is made at all.
    pub blocked: Option<bool>,
    /// Hours in which calls may begin: `08:00-18:00`; they may go over midnight.
    pub hours: Option<String>,
    /// Most calls at a time.
    pub calls: Option<u32>,
    /// Most calls at a time to one number.
    pub calls_to_number: Option<u32>,
    /// Most calls that are begun in a minute, counted from the first of them.
    pub per_minute: Option<u32>,
    /// The same in an hour.
    pub per_hour: Option<u32>,
    /// The same in a day.
    pub per_day: Option<u32>,
    /// Minutes of talk in a day after which no other call begins; calls that there are go on.
    pub minutes_per_day: Option<u32>,
}
