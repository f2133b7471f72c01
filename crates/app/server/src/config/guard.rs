//! The section `guard`.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is not listened to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Whether addresses are banned for what comes from them, and the lists below are kept to.
    pub enabled: bool,
    /// Networks that are never banned, `ADDRESS/BITS`, beside those of `sip.trusted` and of trunks. Read again upon
    /// SIGHUP.
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
    /// Networks of which nothing is heard, registered phones included, but for those in `allow`. Read again upon SIGHUP.
    #[schemars(with = "Vec<String>")]
    pub drop: Vec<IpNet>,
    /// Score at which an address is banned.
    pub threshold: u32,
    /// After so long a score counts half, in seconds.
    pub half_life: u64,
    /// Length of the first ban of an address, in seconds; each further one is twice as long.
    pub ban_time: u64,
    /// Length of the longest ban, in seconds. A ban that has ended is remembered for as long.
    pub max_ban_time: u64,
    /// What an offence adds to the score of its address; 0 ignores it.
    pub weights: GuardWeights,
    /// Parts of the User-Agent of programs that look for switches to break into, in any case. Their requests are not
    /// answered.
    pub scanners: Vec<String>,
    /// Sets of the packet filter (nftables) that bans are put into. Default: none.
    pub nftables: Option<Nftables>,
}

/// Sets of the packet filter that are fed with bans. The switch needs CAP_NET_ADMIN and the program `nft` for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nftables {
    /// The table, of the family `inet`.
    pub table: String,
    /// Its set of IPv4 addresses: `type ipv4_addr; flags timeout;`.
    pub set4: String,
    /// Its set of IPv6 networks: `type ipv6_addr; flags interval, timeout;`.
    pub set6: String,
    /// Whether the switch makes the table, the sets, and rules that drop at the ports of `sip.listen`.
    pub create: bool,
}

impl Default for Nftables {
    fn default() -> Self {
        let [table, set4, set6] = ["hookswitch", "banned4", "banned6"].map(str::to_owned);
        Self { table, set4, set6, create: false }
    }
}

impl Default for Guard {
    fn default() -> Self {
        let known = hookswitch_sip::guard::GuardConfig::default();
        let loopback = |text: &str| text.parse().ok();
        Self {
            enabled: true,
            allow: ["127.0.0.0/8", "::1/128"].into_iter().filter_map(loopback).collect(),
            drop: Vec::new(),
            threshold: known.threshold,
            half_life: known.half_life.as_secs(),
            ban_time: known.ban_time.as_secs(),
            max_ban_time: known.max_ban_time.as_secs(),
            weights: GuardWeights::default(),
            scanners: known.scanners.iter().map(ToString::to_string).collect(),
            nftables: None,
        }
    }
}

/// What offences count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardWeights {
    /// A wrong password, or the password of a user that does not exist. A first request without one is no offence, nor
    /// one that is late.
    pub wrong_password: u32,
    /// A call or registration in the name of a user or a domain that does not exist.
    pub unknown_user: u32,
    /// OPTIONS for a user that does not exist.
    pub probe: u32,
    /// A message that is no SIP.
    pub malformed: u32,
    /// A request of a program in `scanners`.
    pub scanner: u32,
    /// A second in which more came than `sip.max_rate_per_source`.
    pub flood: u32,
}

impl Default for GuardWeights {
    fn default() -> Self {
        let known = hookswitch_sip::guard::Weights::default();
        Self {
            wrong_password: known.wrong_password,
            unknown_user: known.unknown_user,
            probe: known.probe,
            malformed: known.malformed,
            scanner: known.scanner,
            flood: known.flood,
        }
    }
}
