//! `CallEnd`: ends a call in whatever state it is, or cancels a `CallStart` that is running.

use compact_str::CompactString;
use hookswitch_call::{CallRef, Cause, Command, Failure, Fault, Refused, Ticket};

use super::command::{CommandRow, Modes};
use super::mode::Mode;
use super::notice::{Notice, Reason, Stage};
use super::params::{Kind, Param, Params};
use super::task::{After, Answer, Begun, Calls, Task};

pub(super) const ROW: CommandRow = CommandRow {
    name: "CallEnd",
    about: "ends a call, or cancels a CallStart that is running",
    modes: Modes::Both,
    params: &[Param {
        name: "callid",
        kind: Kind::CallId,
        about: "the call: the Call-ID of either leg, or the cmd_id of a running CallStart",
    }],
    optional: &[],
    open: false,
    events: &[],
    frees: true,
    begin,
};

fn begin(params: Params, _cmd_id: &str) -> Begun {
    Begun::Ask(Box::new(CallEnd::new(Target::Named(params.get("callid")))))
}

/// The end of a call, on its way.
#[derive(Debug)]
pub(super) struct CallEnd {
    target: Target,
}

/// Which call.
#[derive(Debug)]
pub(super) enum Target {
    /// By a client's name for it.
    Named(CompactString),
    /// By the `cmd_id` of the `CallStart` that makes it.
    StartedBy(CompactString),
    /// By our own name for the command that makes it.
    Ticket(Ticket),
}

impl CallEnd {
    pub(super) const fn new(target: Target) -> Self {
        Self { target }
    }
}

impl Task for CallEnd {
    fn ask(&mut self, calls: &dyn Calls) -> Result<Command, Notice> {
        let call = match &self.target {
            Target::Named(callid) => calls.find(callid),
            Target::Ticket(ticket) => CallRef::Ticket(*ticket),
            Target::StartedBy(cmd_id) => calls
                .started_by(cmd_id)
                .map(CallRef::Ticket)
                .ok_or_else(|| not_found("no CallStart with this cmd_id is in the making"))?,
        };
        Ok(Command::End { call, cause: Cause::hangup() })
    }

    fn refused(&mut self, why: &Refused) -> Answer {
        Answer::Fail(match why {
            Refused::NoSuchCall | Refused::Ending => not_found(&why.to_string()),
            Refused::WireIdInUse(_)
            | Refused::TooManyCalls(_)
            | Refused::Draining
            | Refused::AddressTooLong
            | Refused::Pending(_)
            | Refused::NotAnswered
            | Refused::Impossible(_)
            | Refused::Unsupported(_)
            | Refused::CarrierDown(_)
            | Refused::TooManyCommands(_) => Notice::refused(why, Stage::End, NOT_FOUND),
        })
    }

    fn settle(&mut self, _mode: Mode, result: &Result<(), Failure>, say: &mut Vec<Notice>) -> After {
        if let Err(failure) = result {
            say.push(Notice::failed(failure));
        }
        After::Over
    }
}

const NOT_FOUND: &str = "404 Requested Dialog not found";

fn not_found(why: &str) -> Notice {
    let reason = Reason::new(Stage::End, 404, Fault::Controller, why);
    Notice::error(NOT_FOUND, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_api::notice::Data;

    #[test]
    fn a_call_that_is_gone_is_not_found() {
        let mut end = CallEnd::new(Target::Ticket(Ticket(1)));
        for why in [Refused::NoSuchCall, Refused::Ending] {
            let Answer::Fail(notice) = end.refused(&why) else { panic!("asking again does not help") };
            assert_eq!(notice.data, Some(Data::Text("404 Requested Dialog not found".into())));
        }
    }
}
