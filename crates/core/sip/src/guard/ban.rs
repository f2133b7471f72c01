//! Bans: who, until when and why; and the news of them.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::source::Source;
use crate::Time;

/// Something that only happens by mistake, or on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offence {
    /// Credentials with a wrong password, or of a user that does not exist. A first request without any, and one whose
    /// nonce alone was not good any more, is none.
    WrongPassword,
    /// A call or a registration in the name of a user, or for a domain, that does not exist.
    UnknownUser,
    /// OPTIONS for a user that does not exist.
    Probe,
    /// A message that is no SIP.
    Malformed,
    /// A request of a program that looks for switches to break into: [`GuardConfig::scanners`](super::GuardConfig::scanners).
    Scanner,
    /// A second in which more came than
    /// [`EndpointConfig::max_rate_per_source`](crate::EndpointConfig::max_rate_per_source).
    Flood,
}

impl Offence {
    /// Every offence.
    pub const ALL: [Offence; 6] = [
        Offence::WrongPassword,
        Offence::UnknownUser,
        Offence::Probe,
        Offence::Malformed,
        Offence::Scanner,
        Offence::Flood,
    ];

    /// As it is called in logs, metrics and over HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Offence::WrongPassword => "wrong_password",
            Offence::UnknownUser => "unknown_user",
            Offence::Probe => "probe",
            Offence::Malformed => "malformed",
            Offence::Scanner => "scanner",
            Offence::Flood => "flood",
        }
    }
}

/// Why somebody is banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BanWhy {
    /// For what it has done; this was the last of it.
    Offence(Offence),
    /// Somebody has said so, for this reason.
    Order(CompactString),
}

/// One ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Who.
    pub source: Source,
    /// Since when.
    pub since: Time,
    /// Until when.
    pub until: Time,
    /// The how many-th time, from 1.
    pub count: u8,
    /// Why.
    pub why: BanWhy,
    /// Messages and connections dropped because of it; not stored.
    #[serde(skip)]
    pub dropped: u64,
}

impl Ban {
    /// Whether it is in force.
    pub fn stands(&self, now: Time) -> bool {
        now < self.until
    }
}

/// Why a ban has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiftedWhy {
    /// Its time was over. It is remembered, so that another one is longer.
    Over,
    /// Somebody has said so.
    Order,
    /// Its source is allowed now: [`Guard::set_lists`](super::Guard::set_lists).
    Allowed,
    /// There were too many: [`GuardConfig::max_bans`](super::GuardConfig::max_bans).
    Crowded,
}

/// What a guard has done, for logs, stores and whoever else keeps somebody out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardNews {
    /// Somebody is banned; the same one anew replaces what was known before.
    Banned {
        /// Who, until when and why.
        ban: Ban,
        /// Whether there are phones behind the same source that are spared.
        spares: bool,
    },
    /// Somebody has become known behind a source that is banned, and is heard from now on: who keeps the whole source
    /// out elsewhere must not do so any more.
    Spared {
        /// Which.
        source: Source,
    },
    /// A ban has ended.
    Lifted {
        /// Whose.
        source: Source,
        /// Why.
        why: LiftedWhy,
    },
    /// An ended ban is not remembered any more.
    Forgotten {
        /// Whose.
        source: Source,
    },
    /// More comes from there than an address may send, and what is beyond that is thrown away unread.
    Flooded {
        /// Who.
        source: Source,
    },
}

/// Why somebody cannot be banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BanError {
    /// It is in [`GuardConfig::allow`](super::GuardConfig::allow) or trusted.
    #[error("this address is on the list of those that are never banned")]
    Allowed,
    /// [`GuardConfig::max_bans`](super::GuardConfig::max_bans), and all by order.
    #[error("there are too many bans")]
    Full,
    /// The guard is switched off.
    #[error("the guard is switched off")]
    Off,
}

/// What a guard has counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardTotals {
    /// Messages and connections of banned sources, dropped unread.
    pub dropped: u64,
    /// The same of networks in [`GuardConfig::drop`](super::GuardConfig::drop).
    pub dropped_by_list: u64,
    /// Offences, in the order of [`Offence::ALL`].
    pub offences: [u64; 6],
    /// Bans for what somebody has done.
    pub bans: u64,
    /// Bans that have ended because there were too many.
    pub crowded: u64,
    /// Offences that could not be counted against anybody: the table was full of worse ones, or too many were banned in
    /// this second.
    pub uncounted: u64,
}
