//! Phones that keep the flow they have registered on (RFC 5626), several of them for one phone:
//!
//! ```text
//!   +sip.instance="A"; reg-id=1 ── flow 1 ──┐
//!   +sip.instance="A"; reg-id=2 ── flow 2 ──┼── one phone: a call goes over one of them, and when that has failed
//!                                           │   over the next
//!   +sip.instance="B"; reg-id=1 ── flow 3 ──┘   another phone, which is called as well
//! ```

use std::sync::Arc;

use super::{Binding, Registrar, RemovedWhy, StaleWhy};
use crate::Time;

/// A phone that keeps its flows, of whatever number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// The address of record it has registered for.
    pub aor: Arc<str>,
    /// `+sip.instance`.
    pub instance: Arc<str>,
}

impl Binding {
    /// The phone, if it is one that keeps its flow.
    pub fn instance_with_flows(&self) -> Option<Instance> {
        let instance = self.instance.as_ref().filter(|_| self.keeps_flow())?;
        Some(Instance { aor: Arc::clone(&self.aor), instance: Arc::clone(instance) })
    }
}

impl Registrar {
    /// The flows of a phone over which it may be reached now, that which was refreshed last first.
    pub fn flows(&self, now: Time, phone: &Instance) -> impl Iterator<Item = &Binding> {
        self.bindings(now, &phone.aor).filter(|binding| {
            let same = binding.instance.as_deref() == Some(&*phone.instance) && binding.keeps_flow();
            same && !binding.is_stale()
        })
    }

    /// A request over the flow of this binding has failed. One whose flow is lost is gone, and one whose phone stays
    /// silent is stale; those that have promised nothing are left to their pings.
    pub fn flow_failed(&mut self, now: Time, key: u64, why: StaleWhy) {
        let Some(slot) = self.slot_of(key).filter(|slot| self.table.get(*slot).keeps_flow()) else { return };
        match why {
            StaleWhy::FlowLost => self.remove(slot, RemovedWhy::Unreachable),
            StaleWhy::Silent => self.make_stale(now, slot, why),
        }
    }
}
