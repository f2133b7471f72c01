//! The section `channels`.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Media channels for a call server of your own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Channels {
    /// `HOST:PORT` for `/channel`; empty switches it off. Whoever reaches it can send audio anywhere.
    pub listen: String,
    /// Most channels at once; more are answered 503. 0 takes as many as there are media ports for, and no more than `calls.max`.
    pub max: usize,
    /// The address that controllers are told to send audio to. Default: as `media.address`.
    pub address: Option<IpAddr>,
}

impl Default for Channels {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9002".into(), max: 0, address: None }
    }
}
