//! Why something ended, and which end of a call: what all events write alike.

use compact_str::CompactString;
use hookswitch_call::{Cause, Failure, Fault, Kind, Party, Stage};
use schemars::JsonSchema;
use serde::Serialize;

/// One end of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The party that calls.
    Caller,
    /// The party that is called.
    Callee,
}

impl From<Party> for End {
    fn from(party: Party) -> Self {
        match party {
            Party::Caller => Self::Caller,
            Party::Callee => Self::Callee,
        }
    }
}

/// Why something ended or failed.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cause")]
pub struct Why {
    /// What kind of ending it was, whatever the numbers say: `hangup`, `cancelled`, `answered_elsewhere`, `busy`,
    /// `declined`, `no_answer`, `unreachable`, `not_found`, `bad_address`, `not_acceptable`, `forbidden`, `overloaded`,
    /// `not_acknowledged`, `too_many_hops`, `expired`, `idle`, `pending`, `unsupported`, `other`.
    #[schemars(with = "String")]
    kind: Kind,
    /// Whose doing it was: `nobody`, `controller`, `peer` (a party), `upstream` (a server beyond us), `server` (ours).
    #[schemars(with = "String")]
    fault: Fault,
    /// The status as SIP numbers them (RFC 3261 section 21); 200 for an ordinary end.
    code: u16,
    /// The phrase that belongs to it, or the party's own words.
    #[schemars(with = "String")]
    text: CompactString,
    /// The cause as ITU-T Q.850 numbers them, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    q850: Option<u8>,
}

impl From<&Cause> for Why {
    fn from(cause: &Cause) -> Self {
        let Cause { kind, fault, code, text, q850 } = cause;
        Self { kind: *kind, fault: *fault, code: *code, text: text.clone(), q850: *q850 }
    }
}

/// Where and why a command failed.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Failing {
    /// The step that failed: `request`, `caller`, `callee`, `transfer`, `hold`, `unhold`, `end`, `audio`, `backend`.
    #[schemars(with = "String")]
    stage: Stage,
    /// Why.
    cause: Why,
    /// The party that refused, where the step concerns both.
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<End>,
    /// The parties that are on hold now, where the step was to change that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held: Vec<End>,
}

impl From<&Failure> for Failing {
    fn from(failure: &Failure) -> Self {
        Self {
            stage: failure.stage,
            cause: Why::from(&failure.cause),
            party: failure.party.map(End::from),
            held: failure.held.iter().copied().map(End::from).collect(),
        }
    }
}
