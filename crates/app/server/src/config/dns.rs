//! The section `dns`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Look-ups of names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Name servers, each `ADDRESS` or `ADDRESS:PORT`, at most 8; IPv6 addresses with a port in brackets. Empty: those
    /// of `/etc/resolv.conf`.
    pub servers: Vec<String>,
    /// How long a name server may take to answer, in seconds.
    pub timeout: u64,
    /// How often it is asked before it is given up.
    pub attempts: usize,
    /// How long a call waits for all look-ups of its address together, in seconds.
    pub max_wait: u64,
    /// Whether IPv6 addresses of a host come before its IPv4 addresses, where there are SIP sockets for both.
    pub ipv6_first: bool,
    /// Most answers that are kept.
    pub max_entries: usize,
    /// Most look-ups at once; calls that need more are answered 503.
    pub max_lookups: usize,
    /// Shortest time an answer is kept, whatever it says, in seconds; at least 1.
    pub min_ttl: u64,
    /// Longest time an answer is kept, in seconds.
    pub max_ttl: u64,
    /// Longest time it is kept that there is no such name, in seconds.
    pub max_negative_ttl: u64,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: 2,
            attempts: 2,
            max_wait: 8,
            ipv6_first: true,
            max_entries: 10_000,
            max_lookups: 1_000,
            min_ttl: 5,
            max_ttl: 3_600,
            max_negative_ttl: 300,
        }
    }
}
