//! Events of what changes in a call that goes on: hold, transfer, somebody else in a party's place.

use hookswitch_call::Diverting;
use schemars::JsonSchema;
use serde::Serialize;

use super::cause::{End, Why};
use super::setup::CompactText;

/// On hold, or off.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Holding {
    /// True on hold, false off it again.
    pub hold: bool,
}

/// A party on hold, or off.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PartyHolding {
    /// Which end.
    pub party: End,
    /// True on hold, false off it again.
    pub hold: bool,
}

/// The call goes to somebody else than was dialled.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Diverted {
    /// The URI of whom was to be called.
    pub from: CompactText,
    /// The URI of whom is called instead.
    pub to: CompactText,
    /// Why.
    pub why: DivertedWhy,
}

/// Why a call goes to somebody else.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DivertedWhy {
    /// All calls do.
    Always,
    /// The party is busy.
    Busy,
    /// It did not answer in time.
    NoAnswer,
    /// It cannot be reached.
    Unreachable,
}

impl From<Diverting> for DivertedWhy {
    fn from(why: Diverting) -> Self {
        match why {
            Diverting::Always => Self::Always,
            Diverting::Busy => Self::Busy,
            Diverting::NoAnswer => Self::NoAnswer,
            Diverting::Unreachable => Self::Unreachable,
        }
    }
}

/// Somebody else is in a party's place.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Replaced {
    /// The leg that is there now.
    pub leg: u16,
    /// Which end.
    pub party: End,
    /// The URI of who it is.
    pub by: CompactText,
}

/// A party is asked to call somebody else.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Transferring {
    /// The end that stays.
    pub party: End,
    /// The URI of whom it is to call, where one was commanded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<CompactText>,
}

/// The transferred party calls.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransferStarted {
    /// The Call-ID of the new leg on the wire.
    pub call_id: CompactText,
    /// Where the request went: the contact, after look-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<CompactText>,
}

/// How far the new call of a transferred party has come.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransferProgress {
    /// The status, 100 to 699.
    pub status: u16,
    /// Its phrase.
    pub text: CompactText,
}

/// A transfer has failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransferFailed {
    /// Why.
    pub cause: Why,
}
