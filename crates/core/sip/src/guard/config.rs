//! What a guard is told at the start.

use compact_str::CompactString;

use crate::Time;
use crate::config::Network;

/// Default for [`GuardConfig::max_sources`].
pub const MAX_SOURCES: usize = 65_536;

/// Default for [`GuardConfig::max_bans`].
pub const MAX_BANS: usize = 65_536;

/// What programs call themselves that look for switches to break into. None of them is a telephone.
pub const SCANNERS: [&str; 10] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sundayddr",
    "sipcli",
    "pplsip",
    "sip-scan",
    "sipscan",
    "sivus",
    "siparmyknife",
];

/// How a [`Guard`](super::Guard) behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardConfig {
    /// Whether anybody is watched at all. Default false, which is right for a phone.
    pub enabled: bool,
    /// Score at which a source is banned. Default 100.
    pub threshold: u32,
    /// After so long a score counts half; at least 1 s. Default 300 s.
    pub half_life: Time,
    /// Length of the first ban of a source; each further one is twice as long. Default 600 s.
    pub ban_time: Time,
    /// Length of the longest ban. That one has been banned is remembered for as long after the end of the ban. Default
    /// one day.
    pub max_ban_time: Time,
    /// What each offence counts.
    pub weights: Weights,
    /// Parts of the User-Agent of scanners, in any case. Default [`SCANNERS`].
    pub scanners: Vec<CompactString>,
    /// Networks that are never banned, beside the trusted ones of the endpoint.
    pub allow: Vec<Network>,
    /// Networks of which nothing is heard, but for addresses in `allow`.
    pub drop: Vec<Network>,
    /// Most sources whose score is remembered, 16 bytes each. Default [`MAX_SOURCES`].
    pub max_sources: usize,
    /// Most bans, ended ones that are remembered included. With more, the one that ends first is lifted. Default
    /// [`MAX_BANS`].
    pub max_bans: usize,
    /// How long a flow is spared at least after a registration or a call over it. At least as long as registrations
    /// live. Default 7,200 s.
    pub spared_for: Time,
}

impl Default for GuardConfig {
    fn default() -> GuardConfig {
        GuardConfig {
            enabled: false,
            threshold: 100,
            half_life: Time::from_secs(300),
            ban_time: Time::from_secs(600),
            max_ban_time: Time::from_secs(86_400),
            weights: Weights::default(),
            scanners: SCANNERS.map(CompactString::const_new).to_vec(),
            allow: Vec::new(),
            drop: Vec::new(),
            max_sources: MAX_SOURCES,
            max_bans: MAX_BANS,
            spared_for: Time::from_secs(7_200),
        }
    }
}

/// What each offence adds to the score; 0 counts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// [`Offence::WrongPassword`](super::Offence::WrongPassword). Default 10.
    pub wrong_password: u32,
    /// [`Offence::UnknownUser`](super::Offence::UnknownUser). Default 5.
    pub unknown_user: u32,
    /// [`Offence::Probe`](super::Offence::Probe). Default 1.
    pub probe: u32,
    /// [`Offence::Malformed`](super::Offence::Malformed). Default 2.
    pub malformed: u32,
    /// [`Offence::Scanner`](super::Offence::Scanner). Default 50.
    pub scanner: u32,
    /// [`Offence::Flood`](super::Offence::Flood). Default 2.
    pub flood: u32,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights { wrong_password: 10, unknown_user: 5, probe: 1, malformed: 2, scanner: 50, flood: 2 }
    }
}
