//! Sessions that follow the log of events: `Subscribe` with `after` or a filter. Whoever has the log tells them of it; what the hub keeps is
//! which command that is.

use compact_str::CompactString;

use super::command::CommandRow;
use super::hub::{Hub, Queued, SessionId, Tag};
use super::mode::Mode;
use super::notice::Notice;
use super::subscribe;
use crate::journal::{EventId, Filter};

/// What becomes of a session's reading of the log. There is one of it at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogOrder {
    /// Each event that the filter wants is told by [`logged`](super::logged), after all texts before.
    Follow {
        /// For [`Hub::log_lost`].
        tag: Tag,
        /// The `cmd_id` of the `Subscribe`.
        cmd_id: CompactString,
        /// Those after this event; none those from now on.
        after: Option<EventId>,
        /// Which of them.
        filter: Filter,
    },
    /// None is told any more, before the texts that come next.
    Leave,
}

/// The log cannot be followed from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLost {
    /// The oldest event there is; none if there is no log.
    pub oldest: Option<EventId>,
}

impl Hub {
    /// What a [`LogOrder::Follow`] asks for is not there: its command ends. Of one that has ended nothing is done.
    pub fn log_lost(&mut self, tag: Tag, lost: LogLost) {
        let session = self.log_followers.iter().find(|(_, follower)| **follower == tag).map(|(session, _)| *session);
        if let Some(session) = session {
            self.log_followers.remove(&session);
            self.end_with(tag, Some(subscribe::lost(lost)));
        }
    }

    /// Begins a `Subscribe` to the log; the session may have one.
    pub(super) fn follow_log(
        &mut self,
        session: SessionId,
        mode: Mode,
        cmd_id: &CompactString,
        row: &'static CommandRow,
        (after, filter): (Option<EventId>, Filter),
    ) -> Result<(), Notice> {
        if self.log_followers.contains_key(&session) {
            return Err(subscribe::follows_already());
        }
        let tag = self.run(Some(session), mode, cmd_id.clone(), row, None);
        self.followers.remove(&tag);
        self.log_followers.insert(session, tag);
        let order = LogOrder::Follow { tag, cmd_id: cmd_id.clone(), after, filter };
        self.queue.push_back(Queued::Log(session, order));
        Ok(())
    }

    /// Ends it, if this is the one; what is told of the log ends first.
    pub(super) fn leave_log(&mut self, session: SessionId, tag: Tag) -> bool {
        let is_it = self.log_followers.get(&session) == Some(&tag);
        if is_it {
            self.log_followers.remove(&session);
            self.queue.push_back(Queued::Log(session, LogOrder::Leave));
            self.end_with(tag, None);
        }
        is_it
    }
}
