//! What the backend remembers of one leg.

use bytes::Bytes;
use hookswitch_call::{CallId, Cause, LegId, Report, Sdp};
use hookswitch_sip::guard::Source;
use hookswitch_sip::{Body, DialogId, TxnId};
use hookswitch_sip_msg::{HeaderName, Message};
use serde::{Deserialize, Serialize};

use crate::B2bua;
use crate::origin::{Origin, continued};
use crate::refer::{Referred, Refers};
use crate::referral::Referral;
use crate::reoffer::{Proposal, Reoffer};

/// One leg: a dialog, and what it is to its call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegRecord {
    /// Its call.
    pub call: CallId,
    /// Its name within the call.
    pub leg: LegId,
    /// The party called us.
    pub incoming: bool,
    /// The party has made no offer, so that the first description that it gets is one; or we have made it none.
    pub late_offer: bool,
    /// Such an offer is answered before the call is, in a PRACK (RFC 3262).
    pub answers_early: bool,
    /// The early dialog whose offer waits for our answer in a PRACK.
    pub prack_due: Option<u8>,
    /// A 2xx was sent or received.
    pub answered: bool,
    /// The 2xx of the party still waits for our ACK.
    pub ack_due: bool,
    /// The party wants to change its session and waits for our answer.
    pub proposal: Option<Proposal>,
    /// We want to change it and wait for the party's answer.
    pub reoffer: Option<Reoffer>,
    /// The numbers of the description that the party was told last.
    pub origin: Option<Origin>,
    /// The early dialog of our INVITE that announced a session last.
    pub early: Option<u8>,
    /// The early dialog whose session has been changed before the answer, which describes none any more.
    pub changed: Option<u8>,
    /// The transfer that the party has asked for.
    pub referral: Option<Box<Referral>>,
    /// The party has asked for one before, so that the next has to be told from it.
    pub has_referred: bool,
    /// The transfer that the party was asked for.
    pub referred: Option<Referred>,
    /// The REFERs that it was sent.
    pub refers: Option<Refers>,
    /// What the party has sent to the other one and waits to be answered, by the core's receipt. At most
    /// [`MAX_PARCELS`](crate::MAX_PARCELS).
    pub parcels: Vec<(u64, TxnId)>,
    /// The trunk it goes through, by its place in the configuration.
    pub trunk: Option<u8>,
    /// The user of ours at its other end, where that is known for sure.
    pub user: Option<Box<str>>,
    /// The address at its other end.
    pub source: Option<Source>,
    /// The core wants it ended; an answer that comes all the same is acknowledged and hung up.
    pub ending: bool,
}

impl LegRecord {
    pub(crate) fn new(call: CallId, leg: LegId, incoming: bool) -> Self {
        Self {
            call,
            leg,
            incoming,
            late_offer: false,
            answers_early: false,
            prack_due: None,
            answered: false,
            ack_due: false,
            proposal: None,
            reoffer: None,
            origin: None,
            early: None,
            changed: None,
            referral: None,
            has_referred: false,
            referred: None,
            refers: None,
            parcels: Vec::new(),
            trunk: None,
            user: None,
            source: None,
            ending: false,
        }
    }
}

impl B2bua {
    pub(crate) fn remember(&mut self, dialog: DialogId, record: LegRecord) {
        if let Some(user) = &record.user {
            self.users.add(user, dialog);
        }
        self.dialogs.insert((record.call, record.leg), dialog);
        self.legs.insert(dialog, record);
    }

    /// Forgets a leg and tells the core that it is over.
    pub(crate) fn over(&mut self, dialog: DialogId, cause: Cause) {
        if let Some(record) = self.legs.remove(&dialog) {
            self.dialogs.remove(&(record.call, record.leg));
            self.leaves(&record, dialog);
            self.names.spares.remove(&(record.call, record.leg));
            self.trunks.release(record.trunk);
            self.trunks.forget((record.call, record.leg));
            self.flows.forget((record.call, record.leg));
            self.report(Report::Ended { call: record.call, leg: record.leg, cause });
        }
    }

    /// A leg is not where it was any more.
    pub(crate) fn leaves(&mut self, record: &LegRecord, dialog: DialogId) {
        if let Some(user) = &record.user {
            self.users.remove(user, dialog);
        }
    }

    /// The leg has another name from now on, also in what is told of it already.
    pub(crate) fn rename(&mut self, from: (CallId, LegId), to: (CallId, LegId)) {
        let Some(dialog) = self.dialogs.remove(&from) else { return };
        self.flows.rename(from, to);
        self.tolls.counts.rename(from, to);
        self.dialogs.insert(to, dialog);
        if let Some(record) = self.legs.get_mut(&dialog) {
            (record.call, record.leg) = to;
        }
        for report in &mut self.reports {
            if let Some((call, leg)) = subject(report)
                && (*call, *leg) == from
            {
                (*call, *leg) = to;
            }
        }
    }

    /// What the party of a dialog is told of its session.
    pub(crate) fn description(&mut self, dialog: DialogId, sdp: Sdp) -> Body {
        let sdp = match self.legs.get_mut(&dialog) {
            Some(record) => continued(&mut record.origin, sdp),
            None => sdp,
        };
        Body::sdp(Bytes::copy_from_slice(sdp.0.as_bytes()))
    }

    pub(crate) fn dialog(&self, call: CallId, leg: LegId) -> Option<DialogId> {
        self.dialogs.get(&(call, leg)).copied()
    }

    pub(crate) fn record_mut(&mut self, call: CallId, leg: LegId) -> Option<&mut LegRecord> {
        let dialog = self.dialog(call, leg)?;
        self.legs.get_mut(&dialog)
    }

    pub(crate) fn name_of(&self, dialog: DialogId) -> Option<(CallId, LegId)> {
        self.legs.get(&dialog).map(|record| (record.call, record.leg))
    }
}

/// The leg that a report is about.
fn subject(report: &mut Report) -> Option<(&mut CallId, &mut LegId)> {
    match report {
        Report::Incoming(_) | Report::Located { .. } => None,
        Report::Dialed { call, leg, .. }
        | Report::Progress { call, leg, .. }
        | Report::Answered { call, leg, .. }
        | Report::Confirmed { call, leg, .. }
        | Report::Reoffered { call, leg, .. }
        | Report::Withdrawn { call, leg }
        | Report::Reaccepted { call, leg, .. }
        | Report::ReferAsked { call, leg, .. }
        | Report::ReferAnswered { call, leg, .. }
        | Report::ReferProgress { call, leg, .. }
        | Report::Brought { call, leg, .. }
        | Report::Delivered { call, leg, .. }
        | Report::Digit { call, leg, .. }
        | Report::Redirected { call, leg, .. }
        | Report::Ended { call, leg, .. } => Some((call, leg)),
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
    // not UTF-8 is replaced rather than costing the call. Looking for such a thing takes ten times as long as seeing that
    // there is none.
    Some(match std::str::from_utf8(&body) {
        Ok(text) => Sdp::from(text),
        Err(_) => Sdp::from(String::from_utf8_lossy(&body).as_ref()),
    })
}

/// The display name of a From header, as written but on one line; `None` where it could not stand between quotes.
pub(crate) fn display_of(message: &Message) -> Option<Vec<u8>> {
    let from = message.address(HeaderName::From).ok()?;
    let name = from.display.filter(|name| !name.is_empty() && name.len() <= MAX_DISPLAY)?;
    let mut escaped = false;
    for byte in name {
        escaped = match byte {
            // Words without quotes may hold either.
            b'"' if !escaped => return None,
            b'\\' => !escaped,
            _ => false,
        };
    }
    let on_one_line = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
    (!escaped).then(|| name.iter().map(on_one_line).collect())
}

/// Longest display name that is carried to the other side, in bytes.
const MAX_DISPLAY: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn display(from: &str) -> Option<String> {
        let text = format!("INVITE sip:b@h SIP/2.0\r\nFrom: {from}\r\n\r\n");
        let message = Message::parse(text.into()).expect("a request");
        display_of(&message).map(|name| String::from_utf8(name).expect("ASCII"))
    }

    #[test]
    fn a_display_name_goes_through_unless_it_would_break_its_quotes() {
        for (from, expected) in [
            ("\"Alice \\\"A\\\" B\" <sip:a@h>", Some("Alice \\\"A\\\" B")),
            ("Alice B <sip:a@h>", Some("Alice B")),
            ("\"Alice\r\n B\" <sip:a@h>", Some("Alice   B")),
            ("a\\ <sip:a@h>", None),
            ("<sip:a@h>", None),
            ("sip:a@h", None),
        ] {
            assert_eq!(display(from).as_deref(), expected, "{from}");
        }
        assert_eq!(display(&format!("\"{}\" <sip:a@h>", "x".repeat(MAX_DISPLAY + 1))), None);
    }
}
