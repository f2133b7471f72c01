//! Requests of ours inside dialogs, and whom their outcome concerns.

use hookswitch_call::{Report, Time};
use hookswitch_sip::{DialogId, FailCause, RequestId};
use hookswitch_sip_msg::Message;

use crate::B2bua;

/// What a request was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// To tell a party how far the transfer is that it asked for.
    Notify,
    /// To ask a party for a transfer.
    Refer,
    /// To bring the party something; the core's receipt.
    Parcel(u64),
}

impl B2bua {
    pub(crate) fn send_on(&mut self, id: RequestId, dialog: DialogId, errand: Errand) {
        self.errands.insert(id, (dialog, errand));
    }

    pub(crate) fn responded(
        &mut self,
        now: Time,
        id: RequestId,
        status: u16,
        response: Option<&Message>,
        why: FailCause,
    ) {
        if self.watcher_answered(now, id, status, why) {
            return;
        }
        if self.ping_answered(now, id, status, why) || self.trunk_answered(now, id, status, response, why) {
            return;
        }
        let Some((dialog, errand)) = self.errands.remove(&id) else {
            self.text_answered(now, id, status, response, why);
            return;
        };
        match errand {
            Errand::Notify => self.notify_answered(now, dialog, status),
            Errand::Refer => self.refer_answered(dialog, status, response, why),
            Errand::Parcel(receipt) => {
                if let Some((call, leg)) = self.name_of(dialog) {
                    self.report(Report::Delivered { call, leg, receipt, status });
                }
            }
        }
    }
}
