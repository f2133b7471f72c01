//! What the backend remembers of one leg.

use bytes::Bytes;
use hookswitch_call::{CallId, Cause, LegId, Report, Sdp};
use hookswitch_sip::DialogId;
use hookswitch_sip_msg::{HeaderName, Message};
use serde::Serialize;

use crate::B2bua;

/// One leg: a dialog, and what it is to its call.
#[derive(Clone, Debug, Serialize)]
pub struct LegRecord {
    /// Its call.
    pub call: CallId,
    /// Its name within the call.
    pub leg: LegId,
    /// The party called us.
    pub incoming: bool,
    /// A 2xx was sent or received.
    pub answered: bool,
    /// The 2xx of the party still waits for our ACK.
    pub ack_due: bool,
    /// The party's re-INVITE waits for our answer.
    pub reinvited: bool,
    /// The display name the party showed, as written: copied to the other side byte for byte.
    pub display: Option<Vec<u8>>,
}

impl LegRecord {
    pub(crate) fn new(call: CallId, leg: LegId, incoming: bool) -> Self {
        Self { call, leg, incoming, answered: false, ack_due: false, reinvited: false, display: None }
    }
}

impl B2bua {
    pub(crate) fn remember(&mut self, dialog: DialogId, record: LegRecord) {
        self.dialogs.insert((record.call, record.leg), dialog);
        self.legs.insert(dialog, record);
    }

    /// Forgets a leg and tells the core that it is over.
    pub(crate) fn over(&mut self, dialog: DialogId, cause: Cause) {
        if let Some(record) = self.legs.remove(&dialog) {
            self.dialogs.remove(&(record.call, record.leg));
            self.report(Report::Ended { call: record.call, leg: record.leg, cause });
        }
    }

    pub(crate) fn name_of(&self, dialog: DialogId) -> Option<(CallId, LegId)> {
        self.legs.get(&dialog).map(|record| (record.call, record.leg))
    }
}

/// The session description of a message, if its body is one.
pub(crate) fn sdp_of(message: &Message) -> Option<Sdp> {
    let body: Bytes = message.body();
    if body.is_empty() {
        return None;
    }
    let content_type = message.content_type()?;
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/sdp") {
        return None;
    }
    // RFC 8866 section 4.5 makes UTF-8 the default and old phones write Latin-1 in `s=`: what is
    // not UTF-8 is replaced rather than costing the call.
    Some(Sdp::from(String::from_utf8_lossy(&body).as_ref()))
}

/// The display name of a From header, as written.
pub(crate) fn display_of(message: &Message) -> Option<Vec<u8>> {
    let from = message.address(HeaderName::From).ok()?;
    from.display.filter(|name| !name.is_empty() && name.len() <= MAX_DISPLAY).map(<[u8]>::to_vec)
}

/// Longest display name that is carried to the other side, in bytes.
const MAX_DISPLAY: usize = 256;
