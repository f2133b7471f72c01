//! The log of events for a session of the Call API: read at the pace at which its application reads, so that nothing waits for
//! one that is slow but its place.

use std::future::pending;
use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_dialect::call_api::{LogLost, LogOrder, Tag, logged};
use hookswitch_dialect::journal::Logged;

use super::Gateway;
use super::message::WebMessage;
use crate::journal::Reader;

/// What a session follows, if it does.
#[derive(Default)]
pub(super) struct Following(Option<Follower>);

struct Follower {
    tag: Tag,
    cmd_id: CompactString,
    reader: Reader,
}

impl Following {
    /// Begins, or ends.
    pub(super) fn obey(&mut self, order: LogOrder, gateway: &Gateway) {
        let (tag, cmd_id, after, filter) = match order {
            LogOrder::Leave => return self.0 = None,
            LogOrder::Follow { tag, cmd_id, after, filter } => (tag, cmd_id, after, filter),
        };
        let Some(journal) = &gateway.journal else {
            return gateway.sink.push_always(WebMessage::LogLost { tag, lost: LogLost { oldest: None } });
        };
        self.0 = Some(Follower { tag, cmd_id, reader: journal.reader(after, filter) });
    }

    /// The next texts; waits, perhaps for ever. May be dropped and called again, and nothing is lost.
    pub(super) async fn next(&mut self, gateway: &Gateway) -> Vec<String> {
        let Some(follower) = &mut self.0 else { return pending().await };
        match follower.reader.next().await {
            Ok(events) => {
                let text = |event: &Arc<Logged>| logged(&follower.cmd_id, &event.text);
                events.iter().map(text).collect()
            }
            Err(expired) => {
                let lost = LogLost { oldest: Some(expired.oldest) };
                gateway.sink.push_always(WebMessage::LogLost { tag: follower.tag, lost });
                self.0 = None;
                Vec::new()
            }
        }
    }
}
