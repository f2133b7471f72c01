//! Media channels of a controller: what it asks over HTTP, and what the media engine tells of them.

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_channels::{CONTENT_TYPE, Output as Wanted, RequestId};

use crate::{HttpId, Output, Shard};

impl Shard {
    pub(crate) fn channel_asked(&mut self, now: Time, id: HttpId, method: &str, path: &str, body: &Bytes) {
        self.channels.request(now, RequestId(id.0), method, path, body);
    }

    /// Carries out the next thing that they want done; false if there is none.
    pub(crate) fn step_channels(&mut self, now: Time) -> bool {
        let Some(wanted) = self.channels.poll_output() else { return false };
        match wanted {
            Wanted::Media(op) => self.out.push_back(Output::Media(op)),
            Wanted::Answer(RequestId(id), answer) => self.out.push_back(Output::Http {
                id: HttpId(id),
                status: answer.status,
                content_type: CONTENT_TYPE,
                allow: answer.allow,
                body: answer.body,
            }),
            // In the order of each channel, and again when nobody takes it, as what is told of dialogs.
            Wanted::Tell { call, control, path, body } => {
                self.dialogs.tell_of_channel(now, call, format!("{control}/{path}"), body);
            }
        }
        true
    }
}
