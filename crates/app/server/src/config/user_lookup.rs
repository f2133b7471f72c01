//! The section `user_lookup`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Users who are asked for by HTTP when they are needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserLookup {
    /// The URL of a user, `http` or `https`, with `{user}` and `{domain}` in path or query. 200 with the document of the
    /// user, or 404.
    pub url: String,
    /// Whose users: names of domains, `*.example.test` for all below that, `*` for all. Empty: those that are known.
    pub domains: Vec<String>,
    /// Name for Basic authentication. Without one the secret is a Bearer token.
    pub user: Option<String>,
    /// Password or token. Never shown again.
    pub secret: Option<String>,
    /// A file with it instead, on one line.
    pub secret_file: Option<PathBuf>,
    /// The environment variable that holds it instead.
    pub secret_env: Option<String>,
    /// A file of authorities (PEM) that are believed for `https` beside those of the system.
    pub ca: Option<PathBuf>,
    /// How long an answer is waited for, in seconds; 1 to 20.
    pub timeout: u64,
    /// How long a user who was found is not asked for again, in seconds; less where the answer says `max-age`.
    pub cache: u64,
    /// The same of one who does not exist, and the age at which a password that turns out wrong is asked for anew.
    pub negative_cache: u64,
    /// How much longer a user who was found is known while there are no answers, in seconds.
    pub stale: u64,
    /// Most users who are remembered; with more, the one whose time is over first is forgotten.
    pub max_users: usize,
    /// Most requests that wait; more are answered 503.
    pub max_waiting: usize,
    /// Most users who are asked for in a second; more are answered 503.
    pub max_rate: u32,
    /// The same because of one address that is not trusted; ten times as many may come at once.
    pub max_rate_per_source: u32,
}

impl Default for UserLookup {
    fn default() -> Self {
        Self {
            url: String::new(),
            domains: Vec::new(),
            user: None,
            secret: None,
            secret_file: None,
            secret_env: None,
            ca: None,
            timeout: 5,
            cache: 300,
            negative_cache: 30,
            stale: 86_400,
            max_users: 100_000,
            max_waiting: 1_000,
            max_rate: 200,
            max_rate_per_source: 10,
        }
    }
}
