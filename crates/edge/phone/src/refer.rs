//! Transfers: asking the other side to call somebody else, and being asked (RFC 3515, RFC 3891, RFC 3892, RFC 5589).

use compact_str::{CompactString, format_compact};
use hookswitch_sip::{Body, DialogId, Header, RequestOut, Response, Time, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method, NameAddr, reason_phrase};

use crate::call::{Line, Stage};
use crate::config::ReferPolicy;
use crate::event::{EndCause, Event, PhoneError};
use crate::phone::{Asking, Phone};

/// How long the subscription that a REFER makes may last, in seconds.
const SUBSCRIPTION: u32 = 180;

/// The call that another one wants to take the place of: the value of Replaces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Replaces<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) to_tag: &'a str,
    pub(crate) from_tag: &'a str,
    pub(crate) early_only: bool,
}

impl<'a> Replaces<'a> {
    pub(crate) fn parse(value: &'a str) -> Option<Replaces<'a>> {
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|call_id| !call_id.is_empty())?;
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            match part.split_once('=') {
                Some((name, tag)) if name.eq_ignore_ascii_case("to-tag") => to_tag = Some(tag),
                Some((name, tag)) if name.eq_ignore_ascii_case("from-tag") => from_tag = Some(tag),
                None if part.eq_ignore_ascii_case("early-only") => early_only = true,
                Some(_) | None => {}
            }
        }
        Some(Replaces { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only })
    }
}

impl Phone {
    /// Asks the other side to call `uri` (blind transfer). The call stands until the other side has told that it is
    /// done; then we leave it.
    ///
    /// # Errors
    /// No call stands, or the endpoint refuses.
    pub fn refer(&mut self, now: Time, uri: &str) -> Result<(), PhoneError> {
        self.send_refer(now, format!("<{uri}>"))
    }

    /// Asks the other side of the chosen line to take our place in the call on another line: attended transfer, and
    /// semi-attended if that call of ours has not been answered yet (RFC 5589 7.4).
    ///
    /// # Errors
    /// The first call does not stand, nobody has said anything in the other one, or the endpoint refuses.
    pub fn refer_to_line(&mut self, now: Time, other: Line) -> Result<(), PhoneError> {
        let stands =
            |call: &&crate::call::Call| call.line == other && matches!(call.stage, Stage::Talking | Stage::Calling);
        let dialog = self.calls.iter().find(stands).ok_or(PhoneError::NoCall)?.dialog;
        let target = self.endpoint.dialog(dialog).ok_or(PhoneError::NoCall)?.remote_target().to_owned();
        let replaces = self.replaces(other).ok_or(PhoneError::NoCall)?;
        let target = target.split('?').next().unwrap_or_default();
        self.send_refer(now, format!("<{target}?Replaces={}>", escape(&replaces)))
    }

    /// What somebody else has to write into Replaces to take over the call on a line: from us if it tells the other
    /// side. `None` before the call has both its tags.
    #[must_use]
    pub fn replaces(&self, line: Line) -> Option<CompactString> {
        let call = self.calls.iter().find(|call| call.line == line)?;
        let dialog = self.endpoint.dialog(call.dialog).filter(|dialog| !dialog.remote_tag().is_empty())?;
        let (call_id, to, from) = (dialog.call_id(), dialog.remote_tag(), dialog.local_tag());
        Some(format_compact!("{call_id};to-tag={to};from-tag={from}"))
    }

    fn send_refer(&mut self, now: Time, to: String) -> Result<(), PhoneError> {
        let call = self.current().filter(|call| call.stage == Stage::Talking).ok_or(PhoneError::NoCall)?;
        let mut refer = RequestOut::inside(call.dialog, Method::Refer);
        refer.contact_user = Some(self.config.user.clone());
        let dialog = call.dialog;
        refer.headers.push(Header::new(HeaderName::ReferTo, to));
        refer.headers.push(Header::new(HeaderName::ReferredBy, format!("<{}>", self.config.address())));
        if !self.config.refer_sub {
            refer.headers.push(Header::new(HeaderName::ReferSub, "false"));
        }
        let id = self.endpoint.request(now, refer)?;
        self.asked.push((id, Asking::Refer(dialog)));
        self.drain(now);
        Ok(())
    }

    /// The other side asks us to call somebody.
    pub(crate) fn refer_asked(&mut self, now: Time, txn: TxnId, dialog: Option<DialogId>, request: &Message) {
        let stands = dialog.and_then(|dialog| self.call_of(dialog)).is_some_and(|call| call.stage == Stage::Talking);
        let target = request.header(HeaderName::ReferTo).and_then(|value| NameAddr::parse(value).ok());
        let target = target.and_then(|to| to.uri_str().map(CompactString::from));
        let (Some(dialog), Some(target)) = (dialog.filter(|_| stands), target) else {
            let status = if stands { 400 } else { 603 };
            self.endpoint.reply(now, txn, Response::new(status));
            return;
        };
        let line = self.spare_line();
        let refused = match (self.config.refer, line) {
            (ReferPolicy::Refuse(status), _) => Some(status),
            (ReferPolicy::Accept, None) => Some(486),
            (ReferPolicy::Accept, Some(_)) => None,
        };
        self.tell(Event::ReferAsked { to: target.clone(), accepted: refused.is_none() });
        let (None, Some(line)) = (refused, line) else {
            self.endpoint.reply(now, txn, Response::new(refused.unwrap_or(486)));
            return;
        };
        self.endpoint.reply(now, txn, Response::new(202));
        self.notify(now, dialog, 100);
        let (uri, mut headers) = split_headers(&target);
        headers.extend(request.header(HeaderName::ReferredBy).map(|by| {
            let by = bytes::Bytes::copy_from_slice(by);
            Header::new(HeaderName::ReferredBy, by)
        }));
        match self.place(now, line, uri, headers) {
            Ok(placed) => {
                self.chosen = line;
                if let Some(call) = self.call_of(placed) {
                    call.referred_in = Some(dialog);
                }
            }
            Err(_) => self.notify(now, dialog, 503),
        }
    }

    /// A call has come so far: whoever asked for it is told.
    pub(crate) fn report(&mut self, now: Time, dialog: DialogId, status: u16) {
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        let asked_in = if status < 200 { call.referred_in } else { call.referred_in.take() };
        if let Some(asked_in) = asked_in {
            self.notify(now, asked_in, status);
        }
    }

    /// Sends NOTIFY in the call in which we were asked.
    pub(crate) fn notify(&mut self, now: Time, dialog: DialogId, status: u16) {
        let state = match status {
            ..200 => format!("active;expires={SUBSCRIPTION}"),
            _ => "terminated;reason=noresource".to_owned(),
        };
        let mut notify = RequestOut::inside(dialog, Method::Notify);
        notify.contact_user = Some(self.config.user.clone());
        notify.headers.push(Header::new(HeaderName::Event, "refer"));
        notify.headers.push(Header::new(HeaderName::SubscriptionState, state));
        let content_type = CompactString::const_new("message/sipfrag;version=2.0");
        let bytes = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status)).into();
        notify.body = Some(Body { content_type, bytes });
        // The call in which we were asked may be over: then nobody wants to know.
        if let Ok(id) = self.endpoint.request(now, notify) {
            self.asked.push((id, Asking::Notice));
        }
    }

    /// The other side tells how far it has come.
    pub(crate) fn notified(&mut self, now: Time, txn: TxnId, dialog: Option<DialogId>, request: &Message) {
        self.endpoint.reply(now, txn, Response::new(200));
        let Some(status) = sipfrag_status(request.body_bytes()) else {
            return;
        };
        let state = request.header_str(HeaderName::SubscriptionState).unwrap_or_default();
        let is_last = status >= 200 || state.trim_start().to_ascii_lowercase().starts_with("terminated");
        self.tell(Event::ReferProgress { status, is_last });
        if let Some(dialog) = dialog.filter(|_| (200..300).contains(&status)) {
            self.leave(now, dialog, EndCause::HungUp);
        }
    }
}

/// The status in the first line of a fragment (RFC 3420).
fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let text = core::str::from_utf8(body).ok()?;
    text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok().filter(|status| (100..700).contains(status))
}

/// A URI and the headers that it wants in the request to it (RFC 3261 19.1.1). Only Replaces is believed.
fn split_headers(uri: &str) -> (&str, Vec<Header>) {
    let Some((uri, headers)) = uri.split_once('?') else {
        return (uri, Vec::new());
    };
    let fields = headers.split('&').filter_map(|field| field.split_once('='));
    let replaces = fields.filter(|(name, _)| name.eq_ignore_ascii_case("replaces"));
    (uri, replaces.map(|(_, value)| Header::new(HeaderName::Replaces, unescape(value))).collect())
}

/// Escapes what cannot stand in a header of a URI.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).and_then(|code| core::str::from_utf8(code).ok());
        match code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &others[2..];
            }
            None => {
                plain.push(*first);
                rest = others;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_is_read_in_any_order_and_refused_without_its_tags() {
        let read = Replaces::parse("a@b;from-tag=f;early-only;to-tag=t").unwrap();
        assert_eq!(read, Replaces { call_id: "a@b", to_tag: "t", from_tag: "f", early_only: true });
        assert_eq!(Replaces::parse("a@b;to-tag=t"), None);
        assert_eq!(Replaces::parse(";to-tag=t;from-tag=f"), None);
    }

    #[test]
    fn what_is_escaped_comes_back() {
        let value = "12@10.0.0.1;to-tag=a%b;from-tag=c";
        let escaped = escape(value);
        assert_eq!(escaped, "12%4010.0.0.1%3Bto-tag%3Da%25b%3Bfrom-tag%3Dc");
        assert_eq!(unescape(&escaped), value.as_bytes());
        assert_eq!(unescape("100%"), b"100%");
        assert_eq!(unescape("%zz%4"), b"%zz%4");
    }

    #[test]
    fn a_uri_gives_its_replaces_and_nothing_else() {
        let (uri, headers) = split_headers("sip:bob@b.test?Subject=x&Replaces=a%3Bto-tag%3Db");
        assert_eq!(uri, "sip:bob@b.test");
        assert_eq!(headers, [Header::new(HeaderName::Replaces, "a;to-tag=b")]);
    }

    #[test]
    fn fragments_without_a_status_line_say_nothing() {
        assert_eq!(sipfrag_status(b"SIP/2.0 180 Ringing\r\n"), Some(180));
        assert_eq!(sipfrag_status(b"SIP/2.0 99"), None);
        assert_eq!(sipfrag_status(b"INVITE sip:a"), None);
        assert_eq!(sipfrag_status("SIP/2.0 1é".as_bytes()), None);
    }
}
