//! The one record of a call: what the core, the backend and the SIP dialogs know of it.

use std::borrow::Cow;

use hookswitch_b2bua::{B2bua, LegRecord};
use hookswitch_call::machine::Call;
use hookswitch_sip::Dialog;
use serde::{Deserialize, Serialize};

/// Everything known about one call: borrowed from the shard that runs it, owned where it was read from a store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallRecord<'a> {
    /// The call's machine.
    pub call: Cow<'a, Call>,
    /// Its legs at the backend, each with its dialog as far as it has one.
    pub legs: Vec<(Cow<'a, LegRecord>, Option<Cow<'a, Dialog>>)>,
}

impl<'a> CallRecord<'a> {
    pub(crate) fn of(call: &'a Call, b2bua: &'a B2bua) -> Option<Self> {
        let known = call.legs.iter().filter_map(|leg| b2bua.leg(call.id, leg.id));
        let legs = known.map(|(leg, dialog)| (Cow::Borrowed(leg), dialog.map(Cow::Borrowed))).collect();
        Some(Self { call: Cow::Borrowed(call), legs })
    }
}
