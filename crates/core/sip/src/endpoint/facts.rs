//! What a request says about itself, read once and passed along.

use hookswitch_sip_msg::{CSeq, HeaderName, Message, Method, NameAddr, Uri, Via, list_members};

/// The parts of a request that [`Message::validate`] has found in order.
///
/// One pass over the headers, and each is looked into at most once.
pub(super) struct Facts<'m> {
    pub(super) method: &'m Method,
    pub(super) uri: Uri<'m>,
    /// The topmost Via.
    pub(super) via: Via<'m>,
    pub(super) call_id: &'m str,
    /// Values of From and To.
    pub(super) from: &'m [u8],
    pub(super) to: &'m [u8],
    pub(super) from_tag: &'m str,
    pub(super) to_tag: Option<&'m str>,
    pub(super) cseq: u32,
    /// URI of the first Contact.
    pub(super) contact: Option<&'m str>,
    /// Headers that are rare enough to be looked for only when they are there.
    pub(super) has_record_route: bool,
    pub(super) has_require: bool,
    pub(super) has_encoding: bool,
}

impl<'m> Facts<'m> {
    /// `None` for a request that [`Message::validate`] would refuse, though not for each of those.
    pub(super) fn read(request: &'m Message) -> Option<Facts<'m>> {
        let (mut via, mut call_id, mut from, mut to, mut cseq, mut contact) = (None, None, None, None, None, None);
        let (mut has_record_route, mut has_require, mut has_encoding) = (false, false, false);
        for (name, _, value) in request.all_headers() {
            match name {
                HeaderName::Via => via = via.or(Some(value)),
                HeaderName::From => from = Some(value),
                HeaderName::To => to = Some(value),
                HeaderName::CallId => call_id = Some(value),
                HeaderName::CSeq => cseq = Some(value),
                HeaderName::Contact => contact = contact.or(Some(value)),
                HeaderName::RecordRoute => has_record_route = true,
                HeaderName::Require => has_require = true,
                HeaderName::ContentEncoding => has_encoding = true,
                _ => {}
            }
        }
        let (from, to) = (from?, to?);
        Some(Facts {
            method: request.method()?,
            uri: Uri::parse_bytes(request.request_uri_bytes()?).ok()?,
            via: Via::parse(list_members(via?).next()?).ok()?,
            call_id: std::str::from_utf8(call_id?).ok()?,
            from_tag: NameAddr::parse(from).ok()?.tag().unwrap_or_default(),
            to_tag: NameAddr::parse(to).ok()?.tag(),
            from,
            to,
            cseq: CSeq::parse(cseq?).ok()?.number,
            contact: contact.and_then(first_uri),
            has_record_route,
            has_require,
            has_encoding,
        })
    }
}

/// URI of the first member of a Contact.
fn first_uri(value: &[u8]) -> Option<&str> {
    let first = list_members(value).find(|member| *member != b"*")?;
    NameAddr::parse(first).ok()?.uri_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_read() {
        let request = Message::parse(
            "INVITE sip:bob@example.test;x=y SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-1;rport, \
             SIP/2.0/TCP [2001:db8::1]\r\nVia: SIP/2.0/UDP third\r\nFrom: \"A, B\" <sip:a@x>;tag=1\r\n\
             To: sip:b@y;tag=2\r\nCall-ID: c@d\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@10.0.0.2>, \"Q\" <sip:c@d>;q=0.2\r\nRecord-Route: <sip:r;lr>\r\n\r\n"
                .into(),
        )
        .unwrap();
        assert!(request.validate().is_ok());
        let facts = Facts::read(&request).unwrap();
        assert_eq!(*facts.method, Method::Invite);
        assert_eq!(facts.uri.user, Some("bob"));
        assert_eq!(facts.via.branch(), Some("z9hG4bK-1"));
        assert_eq!((facts.call_id, facts.cseq), ("c@d", 1));
        assert_eq!((facts.from_tag, facts.to_tag), ("1", Some("2")));
        assert_eq!((facts.from, facts.to), (&b"\"A, B\" <sip:a@x>;tag=1"[..], &b"sip:b@y;tag=2"[..]));
        assert_eq!(facts.contact, Some("sip:a@10.0.0.2"));
        assert!(facts.has_record_route && !facts.has_require && !facts.has_encoding);
    }
}
