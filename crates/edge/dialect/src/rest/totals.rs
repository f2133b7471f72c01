//! What has become of the commands of the native REST, counted.
//!
//! ```text
//!   a command ─┬─▶ refused
//!              └─▶ runs ─┬─▶ done
//!                        └─▶ failed
//! ```

use std::collections::BTreeMap;

use hookswitch_call::{CallId, Command};

use super::desk::{CommandId, Desk, Turn};
use super::problem::Problem;

/// What has become of all commands of one kind since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommandTotals {
    /// They were carried out.
    pub done: u64,
    /// They were taken, and have failed.
    pub failed: u64,
    /// They were not taken: the call does not allow it, its carrier cannot do it, a limit is reached.
    pub refused: u64,
}

/// The same of each kind, by the word that `command.ended` has for it.
pub type Totals = BTreeMap<&'static str, CommandTotals>;

impl Desk {
    /// What has become of commands since the start, by their kinds. A request that becomes no command, because it is malformed or
    /// its sender may not, is not counted.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// A command has ended.
    pub(super) fn count_end(&mut self, kind: &'static str, is_done: bool) {
        let totals = self.totals.entry(kind).or_default();
        *(if is_done { &mut totals.done } else { &mut totals.failed }) += 1;
    }
}

impl Turn<'_> {
    /// Submits a command, and counts one that is refused.
    pub(super) fn begin(
        &mut self,
        kind: &'static str,
        call: Option<CallId>,
        command: Command,
    ) -> Result<(CommandId, Option<CallId>), Problem> {
        let begun = self.try_begin(kind, call, command);
        if begun.is_err() {
            self.desk.totals.entry(kind).or_default().refused += 1;
        }
        begun
    }
}
