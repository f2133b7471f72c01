//! Domains and their users.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TollLimits;

/// One domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Domain {
    /// Users by name.
    pub users: BTreeMap<String, User>,
    /// Other names of the domain.
    pub aliases: Vec<String>,
    /// Codecs for this domain instead of `media.codecs`, best first, written as there.
    #[serde(deserialize_with = "super::codec_list::read")]
    pub codecs: Vec<String>,
    /// Whether calls of its users are recorded: `always` or `never`, whatever `recordings.calls` says but for `all`.
    /// Default: what that says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
}

/// Whether calls are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Those that are made, and those that the user is called in.
    Always,
    /// None but those that the other party has recorded.
    Never,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The password for digest authentication. Never shown again.
    pub secret: String,
    /// Whom to call instead of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    /// Limits of this user, in place of those for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<UserLimits>,
    /// Whether calls of this user are recorded, as for the domain, and before what that says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
}

/// Limits of one user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserLimits {
    /// Most contacts that may be registered at a time. Default `sip.max_bindings`.
    pub contacts: Option<u32>,
    /// Most calls at a time, made and taken together. Default `calls.max_per_user`.
    pub calls: Option<u32>,
    /// For classes of `toll.classes`, by name, in place of what they say for `users`.
    pub classes: BTreeMap<String, TollLimits>,
}

/// Whom to call instead of a user. Each is an address such as `sip:NAME@HOST` or `tel:NUMBER`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// Always, without trying the user.
    pub always: Option<String>,
    /// When the user is busy or declines.
    pub busy: Option<String>,
    /// When the user does not answer.
    pub no_answer: Option<String>,
    /// How long the user's phones ring before that, in seconds, at most 3600. Default
    /// `calls.ring_time`.
    pub no_answer_after: Option<u64>,
    /// When none of the user's phones can be reached.
    pub unreachable: Option<String>,
}
