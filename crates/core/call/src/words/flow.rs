//! A call that is led from outside: what its leader may have done next.

use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Address, CallId, Party};

/// Most groups that one step calls.
pub const MAX_GROUPS: usize = 10;

/// Most addresses that one step calls, over all groups.
pub const MAX_DIALLED: usize = 20;

/// Who leads a call, and where it was called. The core compares it and never looks inside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// The service that was called.
    pub name: CompactString,
    /// The domain that it was called in.
    pub domain: CompactString,
}

/// What a leader wants done next.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Tell the caller that it rings. The call must not be answered. The outcome comes at once.
    Ring,
    /// Answer the caller, who hears nothing then until something is played. The call must not be answered. The outcome
    /// comes when the caller is on the line.
    Answer,
    /// Call others for the party. The outcome comes when one of them has answered or nobody will; in that case the party
    /// is where it was. When whoever has answered hangs up, the party comes back, and a step is wanted again.
    Dial(Box<Dialled>),
    /// Somebody else is called instead, as if the one who was called had always forwarded there. The call must not be
    /// answered, and is led no more. The outcome comes at once.
    Divert(Address),
}

/// Whom a step calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialled {
    /// Those of a group are called together, the groups one after the other; 1 to [`MAX_GROUPS`] of them with 1 to
    /// [`MAX_DIALLED`] addresses in all. One that stands alone may be a service or name somebody to be called in its
    /// place when nobody answers; one of several may not.
    pub groups: Vec<Vec<Address>>,
    /// How long each group may ring; none leaves it to [`Limits::ring_time`](crate::Limits::ring_time).
    pub ring_time: Option<Duration>,
}

/// A call waits for a step of its leader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepWanted {
    /// Which call.
    pub call: CallId,
    /// Whose.
    pub flow: Flow,
    /// Which end is led.
    pub party: Party,
    /// It is on the line; else nothing has been answered yet.
    pub answered: bool,
}
