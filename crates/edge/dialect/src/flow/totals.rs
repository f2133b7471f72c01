//! What has been counted of flows.

use std::collections::BTreeMap;
use std::time::Duration;

use compact_str::CompactString;

/// What has been counted of one flow since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowTotals {
    /// Calls that came to it.
    pub calls: u64,
    /// Questions that had a good answer.
    pub answered: u64,
    /// Questions that had none, those included that were too many to be asked.
    pub failed: u64,
    /// From each question to its answer, good or not, in all.
    pub waited: Duration,
    /// How often its fallback URL was asked.
    pub other_url: u64,
    /// How often the verbs of the configuration were carried out because of a question that had failed.
    pub fell_back: u64,
    /// Verbs that could not be carried out.
    pub verbs_failed: u64,
}

/// Of all flows that are configured: there are no others.
#[derive(Debug, Default)]
pub(super) struct Totals(BTreeMap<CompactString, FlowTotals>);

impl Totals {
    pub(super) fn new<'n>(flows: impl Iterator<Item = &'n CompactString>) -> Self {
        Self(flows.map(|name| (name.clone(), FlowTotals::default())).collect())
    }

    pub(super) fn count(&mut self, flow: &str, change: impl FnOnce(&mut FlowTotals)) {
        if let Some(totals) = self.0.get_mut(flow) {
            change(totals);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&CompactString, &FlowTotals)> {
        self.0.iter()
    }
}
