//! How often what has happened to bindings.

use super::{Change, RemovedWhy};

/// What has happened to bindings since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrarTotals {
    /// Bindings made.
    pub registered: u64,
    /// Bindings given more time.
    pub refreshed: u64,
    /// Bindings taken back by their phone, or replaced by another one of it.
    pub unregistered: u64,
    /// Bindings that nobody refreshed in time.
    pub expired: u64,
    /// Bindings removed with their user.
    pub revoked: u64,
    /// Times that a binding became stale.
    pub stale: u64,
    /// Times that a stale binding was heard again.
    pub revived: u64,
    /// Bindings removed because their phone was silent.
    pub unreachable: u64,
}

impl RegistrarTotals {
    pub(super) fn count(&mut self, change: &Change) {
        let counter = match change {
            Change::Put(binding) if binding.is_new() => &mut self.registered,
            Change::Put(_) => &mut self.refreshed,
            Change::Stale { .. } => &mut self.stale,
            Change::Revived { .. } => &mut self.revived,
            Change::Removed { why, .. } => match why {
                RemovedWhy::Unregistered | RemovedWhy::Replaced => &mut self.unregistered,
                RemovedWhy::Expired => &mut self.expired,
                RemovedWhy::Unreachable => &mut self.unreachable,
                RemovedWhy::Revoked => &mut self.revoked,
            },
        };
        *counter += 1;
    }
}
