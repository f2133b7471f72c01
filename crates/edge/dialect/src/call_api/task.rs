//! A command that is running: what it asks of the switch and what it makes of the answers.

use std::fmt;

use hookswitch_call::{CallRef, Command, Failure, Refused, Ticket, Told};

use super::mode::Mode;
use super::notice::Notice;

/// What a command does after its `Started`.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Asks the switch and waits for the outcome.
    Ask(Box<dyn Task>),
    /// Says this and ends.
    Say(Notice),
    /// Tells of every call until it is stopped.
    Follow,
    /// Stops the `Follow` of this `cmd_id` and ends.
    Unfollow(compact_str::CompactString),
}

/// One running command. It never says `Started` or `Ended`: the hub does, for all alike.
pub(crate) trait Task: fmt::Debug + Send {
    /// The command to submit, once the switch is ready for it; an error ends the task.
    fn ask(&mut self, calls: &dyn Calls) -> Result<Command, Notice>;

    /// The switch did not accept the command.
    fn refused(&mut self, why: &Refused) -> Answer;

    /// Something happened in the call that the command made.
    fn told(&mut self, _told: &Told, _say: &mut Vec<Notice>) {}

    /// The command is over.
    fn settle(&mut self, mode: Mode, result: &Result<(), Failure>, say: &mut Vec<Notice>);

    /// Whether the command makes a call, which is known by the command's `cmd_id` meanwhile.
    fn makes_call(&self) -> bool {
        false
    }

    /// The name by which the client was told to call its call.
    fn call_name(&self) -> Option<&str> {
        None
    }
}

/// What to do about a refusal.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Ask again: the task will ask for something else.
    Again,
    /// Give up.
    Fail(Notice),
}

/// How a client's names for calls are understood.
pub(crate) trait Calls {
    /// The call that a client calls by this name: a running `CallStart` of its own before any leg.
    fn find(&self, callid: &str) -> CallRef;

    /// The ticket of the client's own running command of this `cmd_id`, if that makes a call.
    fn started_by(&self, cmd_id: &str) -> Option<Ticket>;
}
