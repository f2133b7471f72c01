//! Whose command an event comes of, for the log of events.

use ahash::AHashMap;
use hookswitch_call::{CallId, Command, Event, Refused, Ticket, Told};
use hookswitch_dialect::call_api::Tag;
use hookswitch_dialect::journal::CommandName;

use crate::Shard;

/// The commands of the Call API that end calls, until those are over: such a command is over before its call is.
pub(crate) type Enders = AHashMap<CallId, CommandName>;

impl Shard {
    /// The call that a command of the Call API would end, and that command.
    pub(crate) fn noted_end(&self, tag: Tag, command: &Command) -> Option<(CallId, CommandName)> {
        let Command::End { call, .. } = command else { return None };
        Some((self.board.find(call).ok()?.id, self.hub.command(tag)?))
    }

    /// It does, if the switchboard has taken it.
    pub(crate) fn note_ender(&mut self, ends: Option<(CallId, CommandName)>, result: &Result<Ticket, Refused>) {
        if let (Some((call, command)), Ok(_)) = (ends, result) {
            self.enders.insert(call, command);
        }
    }

    /// The command that an event comes of: the one that ends the call, or a running one whose progress it is.
    pub(crate) fn sender_of(&mut self, told: &Told) -> Option<CommandName> {
        let ender = if matches!(told.event, Event::Ended { .. }) {
            self.enders.remove(&told.call)
        } else if matches!(told.event, Event::LegEnded { .. }) {
            self.enders.get(&told.call).cloned()
        } else {
            None
        };
        ender.or_else(|| self.rest.sender_of(told)).or_else(|| self.hub.sender_of(told))
    }
}
