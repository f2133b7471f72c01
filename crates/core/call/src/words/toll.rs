//! Who pays for a call, as far as the backend wants to know that.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Address, LegId};

/// On whose word somebody is called: whose limits the call counts against.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Orderer {
    /// The party of this leg, which calls or transfers. None if a controller has asked for the call.
    pub leg: Option<LegId>,
    /// Who was to be called before and has named somebody else, oldest first.
    pub forwarders: Vec<Address>,
}

/// What a call costs whom: the backend's own note, which the core carries from [`Found::Targets`](super::Found::Targets) to
/// [`Op::Dial`](super::Op::Dial).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Toll {
    /// The class of cost, by name.
    pub class: CompactString,
    /// The number, as classes know it.
    pub number: CompactString,
    /// Against whose limits it counts.
    pub accounts: Vec<CompactString>,
}
