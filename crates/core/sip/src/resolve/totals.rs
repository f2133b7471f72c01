//! What a resolver has counted since its start.

use core::time::Duration;

use super::record::Known;

/// Numbers that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResolverTotals {
    /// Questions that were asked.
    pub asked: u64,
    /// Questions that needed nobody: the answer was kept, or is on its way already.
    pub saved: u64,
    /// Questions that were not asked, because too many were on their way.
    pub refused: u64,
    /// Answers with records.
    pub found: u64,
    /// Answers that there are none.
    pub nothing: u64,
    /// Failures of the name servers, and answers that cannot be used.
    pub failed: u64,
    /// Answers that did not come in time. One that comes later counts as what it is as well.
    pub late: u64,
    /// From each question to its answer, all together.
    pub waited: Duration,
}

impl ResolverTotals {
    pub(super) fn answered(&mut self, known: &Known, waited: Duration) {
        self.waited += waited;
        match known {
            Known::Records(_) => self.found += 1,
            Known::Nothing => self.nothing += 1,
            Known::Failed | Known::Refused => self.failed += 1,
        }
    }
}
