//! The section `network`.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The addresses of this host as others see them, in SIP and in session descriptions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Addresses that a NAT before this host has on the Internet, at most one of IPv4 and one of IPv6. Peers with an address of
    /// the Internet are told them; where this host has such an address itself, that one is right.
    #[schemars(with = "Vec<String>")]
    pub public: Vec<IpAddr>,
    /// STUN servers that are asked for `public` instead, `HOST` or `HOST:PORT`, in this order until one answers. The port that a NAT
    /// gives is not looked at: have it forward the ports of `sip.listen` and `media.ports` as they are.
    pub stun: Vec<String>,
    /// How often they are asked, in seconds, 5 to 86400. Default 60.
    pub stun_every: u64,
    /// Exceptions for peers in certain networks; the narrowest counts.
    pub views: Vec<View>,
}

impl Default for Network {
    fn default() -> Self {
        Self { public: Vec::new(), stun: Vec::new(), stun_every: 60, views: Vec::new() }
    }
}

/// What peers in certain networks are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Their networks, `ADDRESS/BITS`.
    #[schemars(with = "Vec<String>")]
    pub peers: Vec<IpNet>,
    /// Our address as they reach it.
    #[schemars(with = "String")]
    pub address: IpAddr,
}
