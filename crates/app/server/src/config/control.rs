//! The section `control`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tls;

/// The native REST at `/v1` with its events, health and metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Whether it is served at all.
    pub enabled: bool,
    /// `HOST:PORT`; `localhost` listens on 127.0.0.1 and ::1. Without `grants` whoever reaches it may do everything, and
    /// so it has to be an address of this host alone.
    pub listen: String,
    /// Who may ask, and for what. Empty: everybody on this host, for everything.
    pub grants: Vec<ControlGrant>,
    /// Certificate and key, for `https:`. Default: none, in the clear.
    pub tls: Option<Tls>,
    /// PEM file: authorities that sign the certificates of clients, which are asked for one then. Needs `tls`. Changes are
    /// noticed as those of `tls`. Default: none, no client is asked.
    pub client_ca: Option<PathBuf>,
    /// Web pages of other origins that may ask, such as `https://desk.example`; `*` means all. Others are refused.
    pub allowed_origins: Vec<String>,
    /// Most requests in a second of each grant that says nothing else, or of everybody together where there are no grants;
    /// twice as many in a burst. More are answered 429. Default: no limit.
    pub rate: Option<u32>,
    /// Longest body of a request, in bytes, at most 16777216; longer ones are answered 413. Most resources take less.
    pub max_body: usize,
    /// Most connections at once; more are closed at once.
    pub max_connections: usize,
    /// Most connections from one address. Default: 1024 from other hosts, no such limit from this one.
    pub max_per_address: Option<usize>,
    /// How long a connection may stay unused, and how long the head of a request or the handshake of TLS may take, in
    /// seconds.
    pub idle_time: u64,
    /// How long the body of a request may take to arrive, in seconds; slower ones are answered 408.
    pub body_time: u64,
    /// Most `Idempotency-Key`s that are remembered, each for 24 hours, at most 10000000; with more, new ones are refused. Each
    /// takes about 0.7 kB of memory.
    pub max_keys: usize,
    /// Whether every request that changes something is noted in the file `audit.log` in the data folder, with who has sent
    /// it and what came of it. SIGHUP opens the file anew.
    pub audit: bool,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: "127.0.0.1:9001".into(),
            grants: Vec::new(),
            tls: None,
            client_ca: None,
            allowed_origins: Vec::new(),
            rate: None,
            max_body: 16_777_216,
            max_connections: 4_096,
            max_per_address: None,
            idle_time: 30,
            body_time: 30,
            max_keys: 100_000,
            audit: true,
        }
    }
}

/// Somebody who may ask. One without `tokens` and `certificates` is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlGrant {
    /// What it is called in logs.
    pub name: String,
    /// Secrets with which it asks, in the header `Authorization: Bearer SECRET`; the second is for the time in which one
    /// is replaced by another. Each is `sha256:` and the digest of the secret in hexadecimal digits (`printf %s SECRET |
    /// sha256sum`), `env:NAME` for the environment variable that holds it, or `file:PATH` for the file that does. The
    /// secret itself does not belong here. Those of variables and files have 16 to 512 letters, digits and `-._~+/=`.
    pub tokens: Vec<String>,
    /// Names in certificates of clients (see `client_ca`): DNS names, URIs, addresses of mail, or the common name where a
    /// certificate has no alternative names.
    pub certificates: Vec<String>,
    /// What it may do: `read`; `control`, which is to start, change and end calls; `admin`, which is to change what
    /// outlives calls, and to drain the switch. None contains another.
    pub scopes: Vec<ControlScope>,
    /// Domains whose calls, registrations and events it may see and act on. Empty: all.
    pub domains: Vec<String>,
    /// Addresses that it may have called as caller, as written in the request; `*` stands for anything:
    /// `sip:*@example.test`. Empty: anybody.
    pub callers: Vec<String>,
    /// Addresses that it may have called as callee or as destination of a transfer. Empty: anybody.
    pub callees: Vec<String>,
    /// Most requests in a second, twice as many in a burst. Default: as `control.rate`.
    pub rate: Option<u32>,
}

impl Default for ControlGrant {
    fn default() -> Self {
        Self {
            name: String::new(),
            tokens: Vec::new(),
            certificates: Vec::new(),
            scopes: vec![ControlScope::Read],
            domains: Vec::new(),
            callers: Vec::new(),
            callees: Vec::new(),
            rate: None,
        }
    }
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ControlScope {
    /// To look.
    Read,
    /// To start, change and end calls.
    Control,
    /// To change what outlives calls, and to drain the switch.
    Admin,
}
