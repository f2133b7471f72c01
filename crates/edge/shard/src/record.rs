//! The one record of a call: what the core, the backend and the SIP dialogs know of it.

use hookswitch_b2bua::{B2bua, LegRecord};
use hookswitch_call::machine::Call;
use hookswitch_sip::Dialog;
use serde::Serialize;

/// Everything known about one call.
#[derive(Serialize)]
pub struct CallRecord<'a> {
    /// The call's machine.
    pub call: &'a Call,
    /// Its legs at the backend, each with its dialog as far as it has one.
    pub legs: Vec<(&'a LegRecord, Option<&'a Dialog>)>,
}

impl<'a> CallRecord<'a> {
    pub(crate) fn of(call: &'a Call, b2bua: &'a B2bua) -> Option<Self> {
        let legs = call.legs.iter().filter_map(|leg| b2bua.leg(call.id, leg.id)).collect();
        Some(Self { call, legs })
    }
}
