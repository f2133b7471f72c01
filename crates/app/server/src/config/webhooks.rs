//! The sections `webhooks` and `call_webhooks`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A URL that events are posted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// What it is called in logs and pages, and by what it finds again after a restart how far it had come: letters,
    /// digits, `-` and `_`.
    pub name: String,
    /// Where events are posted: `http` or `https`. 2xx within `timeout` means delivered.
    pub url: String,
    /// Where they are posted while that fails.
    pub fallback_url: Option<String>,
    /// After how many failures in a row of `url` the other one is tried.
    pub fallback_after: u32,
    /// Only events that concern one of these domains. Empty: all.
    pub domains: Vec<String>,
    /// Only events of these types; `call.*` stands for all that begin so. Empty: all. `types` is the same key by its older name.
    #[serde(alias = "types")]
    pub events: Vec<String>,
    /// Keys that each webhook is signed with, all of them: `env:NAME` for the environment variable that holds one, or
    /// `file:PATH` for the file that does. `whsec_…` signs with HMAC-SHA256, `whsk_…` with Ed25519. Two are for the time in
    /// which one is replaced by another. Empty: nothing is signed.
    pub secrets: Vec<String>,
    /// Networks, `ADDRESS/BITS`, that this one may lead to although they are not public: targets on this host or in the
    /// same building. All others that are not public are refused, whichever name leads there.
    #[schemars(with = "Vec<String>")]
    pub allow_private: Vec<IpNet>,
    /// A file of authorities (PEM) that are believed for `https` beside those of the system.
    pub ca: Option<PathBuf>,
    /// How long an answer is waited for, in seconds; 1 to 60.
    pub timeout: u64,
    /// How long after it has happened an event is tried again, in seconds. Then it is a dead letter.
    pub retry_time: u64,
    /// Longest pause between two attempts, in seconds. The first is one of a second, and each is about twice the one before.
    pub longest_pause: u64,
    /// Most requests at a time.
    pub max_parallel: usize,
    /// Most events in memory that are not delivered; the others stay in the log of events.
    pub max_waiting: usize,
    /// Most dead letters; with more the oldest is dropped.
    pub max_dead: usize,
    /// How long a dead letter is kept, in seconds.
    pub dead_time: u64,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            fallback_url: None,
            fallback_after: 3,
            domains: Vec::new(),
            events: Vec::new(),
            secrets: Vec::new(),
            allow_private: Vec::new(),
            ca: None,
            timeout: 10,
            retry_time: 86_400,
            longest_pause: 600,
            max_parallel: 64,
            max_waiting: 10_000,
            max_dead: 10_000,
            dead_time: 1_209_600,
        }
    }
}

/// The webhooks that requests and call flows name for single calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallWebhooks {
    /// How many there may be at once, at most 1,000; those that differ in their URL, events or key are two. One counts as long
    /// as a call has it that goes on, an event waits for it, or a dead letter of it is kept.
    pub max: usize,
    /// Keys that each webhook is signed with that names none of `keys`, as those of `webhooks`: `env:NAME` or `file:PATH`.
    /// Empty: nothing is signed.
    pub secrets: Vec<String>,
    /// Further ones by name, each a list as `secrets`. Whoever names a URL may name one of these (`key`), which signs instead
    /// of `secrets`: letters, digits, `-` and `_`; at most 100.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Networks, `ADDRESS/BITS`, that URLs may lead to although they are not public. All others that are not public are
    /// refused, whichever name leads there.
    #[schemars(with = "Vec<String>")]
    pub allow_private: Vec<IpNet>,
    /// A file of authorities (PEM) that are believed for `https` beside those of the system.
    pub ca: Option<PathBuf>,
    /// How long an answer is waited for, in seconds; 1 to 60.
    pub timeout: u64,
    /// How long after it has happened an event is tried again, in seconds. Then it is a dead letter.
    pub retry_time: u64,
    /// Longest pause between two attempts, in seconds.
    pub longest_pause: u64,
    /// Most requests to one URL at a time.
    pub max_parallel: usize,
    /// Most events in memory of one URL that are not delivered; the others stay in the log of events.
    pub max_waiting: usize,
    /// Most dead letters of one URL; with more the oldest is dropped.
    pub max_dead: usize,
    /// How long a dead letter is kept, in seconds.
    pub dead_time: u64,
}

impl Default for CallWebhooks {
    fn default() -> Self {
        Self {
            max: 200,
            secrets: Vec::new(),
            keys: BTreeMap::new(),
            allow_private: Vec::new(),
            ca: None,
            timeout: 10,
            retry_time: 86_400,
            longest_pause: 600,
            max_parallel: 16,
            max_waiting: 1_000,
            max_dead: 1_000,
            dead_time: 172_800,
        }
    }
}
