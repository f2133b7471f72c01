//! A party is called, and what comes back.

use bytes::Bytes;
use hookswitch_call::{CallId, Cause, Dial, Fault, Kind, LegId, Report, Time};
use hookswitch_sip::{Body, DialogId, Ender, FailCause, Invite, SipError};
use hookswitch_sip_msg::{Message, Uri};

use crate::B2bua;
use crate::leg::{LegRecord, sdp_of};
use crate::locate::Way;
use crate::reason;

impl B2bua {
    pub(crate) fn dial(&mut self, now: Time, call: CallId, leg: LegId, dial: Dial) {
        let Some(Way { flow, routes }) = self.way_to(now, &dial) else {
            let cause = Cause::new(Kind::Unreachable, Fault::Peer);
            self.report(Report::Ended { call, leg, cause });
            return;
        };
        let from = name_addr(self.caller_display(call), &dial.from.0);
        let to = name_addr(None, &dial.to.0);
        let mut invite = Invite::new(request_uri(&dial.target.address.0), from, to, flow);
        invite.call_id = dial.wire_id;
        invite.routes = routes;
        invite.max_forwards = dial.hops;
        invite.body = dial.offer.map(|sdp| Body::sdp(Bytes::copy_from_slice(sdp.0.as_bytes())));
        match self.endpoint.invite(now, invite) {
            Ok(dialog) => {
                self.remember(dialog, LegRecord::new(call, leg, false));
                let wire_id = self.endpoint.dialog(dialog).map(|d| d.call_id().into()).unwrap_or_default();
                self.report(Report::Dialed { call, leg, wire_id });
            }
            Err(error) => self.report(Report::Ended { call, leg, cause: cannot_send(&error) }),
        }
    }

    /// What the caller calls itself, for the callee's display.
    fn caller_display(&self, call: CallId) -> Option<&[u8]> {
        let (record, _) = self.leg(call, LegId(0))?;
        record.display.as_deref().filter(|_| record.incoming)
    }

    pub(crate) fn progressed(&mut self, dialog: DialogId, response: &Message) {
        if let Some((call, leg)) = self.name_of(dialog) {
            let status = response.status().unwrap_or(183);
            let text = String::from_utf8_lossy(response.reason()).as_ref().into();
            let sdp = sdp_of(response);
            self.report(Report::Progress { call, leg, status, text, sdp });
        }
    }

    pub(crate) fn answered(&mut self, now: Time, dialog: DialogId, response: &Message) {
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        record.answered = true;
        if record.ending {
            // One read of a stream can bring the answer right behind what made the core give up.
            self.endpoint.ack(now, dialog, None);
            self.endpoint.bye(now, dialog, Vec::new());
            return;
        }
        record.ack_due = true;
        let (call, leg) = (record.call, record.leg);
        self.report(Report::Answered { call, leg, sdp: sdp_of(response) });
    }

    pub(crate) fn failed(
        &mut self,
        dialog: DialogId,
        (status, phrase): (u16, &str),
        response: Option<&Message>,
        why: FailCause,
    ) {
        let cause = match why {
            FailCause::Response => reason::refine(Cause::from_status(status, phrase), response),
            FailCause::Timeout => Cause::new(Kind::NoAnswer, Fault::Peer),
            FailCause::Unreachable => Cause::new(Kind::Unreachable, Fault::Peer),
            FailCause::Cancelled => Cause::new(Kind::Cancelled, Fault::Nobody),
        };
        self.over(dialog, cause);
    }

    pub(crate) fn ended(&mut self, dialog: DialogId, by: Ender, request: Option<&Message>) {
        let cause = match by {
            Ender::Peer | Ender::Local => Cause::hangup(),
            Ender::AckTimeout => Cause::new(Kind::NotAcknowledged, Fault::Peer),
            Ender::Unreachable | Ender::Gone => Cause::new(Kind::Unreachable, Fault::Peer),
        };
        self.over(dialog, reason::refine(cause, request));
    }
}

/// Why an INVITE could not even be sent.
fn cannot_send(error: &SipError) -> Cause {
    let (kind, fault) = match error {
        SipError::Malformed => (Kind::BadAddress, Fault::Controller),
        SipError::TooLarge => (Kind::NotAcceptable, Fault::Peer),
        SipError::UnknownDialog
        | SipError::NotEstablished
        | SipError::Pending
        | SipError::TransactionLimit
        | SipError::DialogLimit
        | SipError::Unsendable => (Kind::Overloaded, Fault::Server),
    };
    Cause::new(kind, fault)
}

/// The address without headers, which a Request-URI must not have (RFC 3261 section 19.1.1).
fn request_uri(address: &str) -> &str {
    if !address.contains('?') {
        return address;
    }
    let headers = Uri::parse(address).ok().and_then(|uri| uri.headers).map_or(0, |headers| headers.len() + 1);
    &address[..address.len() - headers]
}

/// `"display" <uri>`; the display name goes through as it was written.
fn name_addr(display: Option<&[u8]>, uri: &str) -> Bytes {
    match display {
        Some(display) => [b"\"", display, b"\" <", uri.as_bytes(), b">"].concat().into(),
        None => [b"<", uri.as_bytes(), b">"].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_uri_has_no_headers() {
        for (address, expected) in [
            ("sip:bob@h;x=y?Subject=hi&Evil=1", "sip:bob@h;x=y"),
            ("sip:bob?@h", "sip:bob?@h"),
            ("sip:bob?@h?a=b", "sip:bob?@h"),
            ("sip:bob@h", "sip:bob@h"),
        ] {
            assert_eq!(request_uri(address), expected);
        }
    }
}
