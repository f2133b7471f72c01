//! A command that is running: what it asks of the switch and what it makes of the answers.

use std::fmt;
use std::time::Duration;

use hookswitch_call::{CallId, CallRef, Cause, Command, Failure, Refused, Ticket, Told};

use super::mode::Mode;
use super::notice::Notice;
use crate::journal::{EventId, Filter};

/// What a command does after its `Started`.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Asks the switch and waits for the outcome.
    Ask(Box<dyn Task>),
    /// Says this and ends.
    Say(Notice),
    /// Tells of every call until it is stopped.
    Follow,
    /// Tells of these events of the log after that one, or from now on, until it is stopped.
    FollowLog { after: Option<EventId>, filter: Filter },
    /// Stops the `Follow` of this `cmd_id` and ends.
    Unfollow(compact_str::CompactString),
}

/// One running command. It never says `Started` or `Ended`: the hub does, for all alike.
pub(crate) trait Task: fmt::Debug + Send {
    /// The command to submit, once the switch is ready for it; an error ends the task.
    fn ask(&mut self, calls: &dyn Calls) -> Result<Command, Notice>;

    /// The switch did not accept the command.
    fn refused(&mut self, why: &Refused) -> Answer;

    /// Something happened that belongs to the command.
    fn told(&mut self, _mode: Mode, _told: &Told, _say: &mut Vec<Notice>) {}

    /// The switch is done with the command.
    fn settle(&mut self, mode: Mode, result: &Result<(), Failure>, say: &mut Vec<Notice>) -> After;

    /// The call whose end the client wants to hear of.
    fn watches(&self) -> Option<CallId> {
        None
    }

    /// That call is over.
    fn call_ended(&mut self, _cause: &Cause, _talked: Duration, _say: &mut Vec<Notice>) {}

    /// Whether the command makes a call, which is known by the command's `cmd_id` meanwhile.
    fn makes_call(&self) -> bool {
        false
    }

    /// The name by which the client was told to call its call, and that call.
    fn call_name(&self) -> Option<(&str, CallId)> {
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

/// What is left of a command when the switch is done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// Nothing: it has ended.
    Over,
    /// It lasts as long as the call that it [watches](Task::watches).
    Watch,
}

/// How a client's names for calls are understood.
pub(crate) trait Calls {
    /// The call that a client calls by this name: a running `CallStart` of its own before any leg.
    fn find(&self, callid: &str) -> CallRef;

    /// The ticket of the client's own running command of this `cmd_id`, if that makes a call.
    fn started_by(&self, cmd_id: &str) -> Option<Ticket>;
}
