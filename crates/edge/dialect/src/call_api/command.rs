//! The table of commands. Nothing else decides what a method is.

use super::event_name::EventName;
use super::mode::Mode;
use super::params::{Param, Params};
use super::task::Begun;
use super::{
    call_attended_transfer, call_blind_transfer, call_cancel, call_end, call_hold, call_start, call_unhold, echo,
    subscribe, test, unsubscribe,
};

/// One command: its file makes the row, [`COMMANDS`] lists it.
#[derive(Clone, Copy, Debug)]
pub struct CommandRow {
    /// The method, case-sensitive.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// In which sessions it exists.
    pub modes: Modes,
    /// The parameters it must be given, in the order in which they are checked. All commands also
    /// take `cmd_id`, the client's own name for the command, unless it stands here and names
    /// another command, and `idempotency_key`.
    pub params: &'static [Param],
    /// The parameters it may be given besides.
    pub optional: &'static [Param],
    /// Whether strict sessions may give it more parameters than these.
    pub open: bool,
    /// What it may say between `Started` and `Ended`, other than `Error`.
    pub events: &'static [EventName],
    /// Whether it ends something that is running, so that it must work at the limit of commands.
    pub frees: bool,
    /// Makes the command of its parameters, which fit the row; the text is its `cmd_id`.
    pub(crate) begin: fn(Params, &str) -> Begun,
}

impl CommandRow {
    /// All parameters of its own.
    pub fn known_params(&self) -> impl Iterator<Item = &'static Param> {
        self.params.iter().chain(self.optional)
    }

    /// Whether its parameter `cmd_id` names another command instead of itself.
    pub(crate) fn names_another(&self) -> bool {
        self.params.iter().any(|param| param.name == "cmd_id")
    }
}

/// In which sessions a command exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Modes {
    /// In all.
    Both,
    /// Only where the original daemon is imitated.
    Original,
    /// Only in strict ones.
    Strict,
}

impl Modes {
    /// Whether a session of this mode has the command.
    #[must_use]
    pub const fn has(self, mode: Mode) -> bool {
        match self {
            Self::Both => true,
            Self::Original => matches!(mode, Mode::Original),
            Self::Strict => matches!(mode, Mode::Strict),
        }
    }
}

/// Every command.
pub const COMMANDS: &[CommandRow] = &[
    call_start::ROW,
    call_end::ROW,
    call_hold::ROW,
    call_unhold::ROW,
    call_blind_transfer::ROW,
    call_attended_transfer::ROW,
    echo::ROW,
    test::ROW,
    call_cancel::ROW,
    subscribe::ROW,
    unsubscribe::ROW,
];

/// The command of this name in a session of this mode.
pub(crate) fn find(mode: Mode, method: &str) -> Option<&'static CommandRow> {
    COMMANDS.iter().find(|row| row.name == method && row.modes.has(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_case_matters() {
        for (index, one) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[index + 1..].iter().all(|other| other.name != one.name));
        }
        assert!(find(Mode::Original, "Echo").is_some());
        assert!(find(Mode::Original, "echo").is_none());
        assert!(find(Mode::Strict, "Test").is_none());
        assert!(find(Mode::Original, "CallCancel").is_none());
    }
}
