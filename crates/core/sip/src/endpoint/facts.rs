//! What a request says about itself, read once and passed along.

use hookswitch_sip_msg::{CSeq, HeaderName, Message, Method, NameAddr, Uri, Via, list_members};

/// The parts of a request that decide about it.
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
    /// [`Message::validate`] is known to find nothing wrong. Where that takes a closer look it is false, and only
    /// [`Message::validate`] can tell.
    pub(super) plain: bool,
}

impl<'m> Facts<'m> {
    /// `via` is the topmost one. `None` for a request that [`Message::validate`] would refuse, though not for each of
    /// those.
    pub(super) fn read(request: &'m Message, via: Via<'m>) -> Option<Facts<'m>> {
        let (mut call_id, mut from, mut to, mut cseq, mut contact) = (None, None, None, None, None);
        let (mut hops, mut expires, mut content_type, mut date) = (None, None, None, None);
        let (mut has_record_route, mut has_require, mut has_encoding) = (false, false, false);
        let (mut vias, mut plain) = (0, true);
        for (name, _, value) in request.all_headers() {
            let once = match name {
                HeaderName::Via => {
                    plain &= vias_are_plain(value, (vias == 0).then_some(via));
                    vias += 1;
                    continue;
                }
                HeaderName::Contact => {
                    let (first, good) = contacts(value);
                    contact = contact.or(first);
                    plain &= good;
                    continue;
                }
                HeaderName::From => &mut from,
                HeaderName::To => &mut to,
                HeaderName::CallId => &mut call_id,
                HeaderName::CSeq => &mut cseq,
                HeaderName::MaxForwards => &mut hops,
                HeaderName::Expires => &mut expires,
                HeaderName::ContentType => &mut content_type,
                HeaderName::Date => &mut date,
                HeaderName::RecordRoute => {
                    has_record_route = true;
                    continue;
                }
                HeaderName::Require => {
                    has_require = true;
                    continue;
                }
                HeaderName::ContentEncoding => {
                    has_encoding = true;
                    continue;
                }
                _ => continue,
            };
            plain &= once.replace(value).is_none();
        }
        let (method, uri) = (request.method()?, Uri::parse_bytes(request.request_uri_bytes()?).ok()?);
        let (from, to, cseq) = (from?, to?, CSeq::parse(cseq?).ok()?);
        let call_id = std::str::from_utf8(call_id?).ok()?;
        let (caller, callee) = (NameAddr::parse(from).ok()?, NameAddr::parse(to).ok()?);
        plain &= uri.headers.is_none()
            && cseq.method == *method
            && hops.is_none_or(is_hop_count)
            && !call_id.is_empty()
            && call_id.bytes().all(|byte| byte.is_ascii_graphic())
            && is_plain_address(&caller)
            && is_plain_address(&callee);
        Some(Facts {
            method,
            uri,
            via,
            call_id,
            from_tag: caller.tag().unwrap_or_default(),
            to_tag: callee.tag(),
            from,
            to,
            cseq: cseq.number,
            contact,
            has_record_route,
            has_require,
            has_encoding,
            plain,
        })
    }
}

/// Every hop of one Via header can be read; `top` has been already.
fn vias_are_plain(value: &[u8], top: Option<Via<'_>>) -> bool {
    let mut known = top;
    list_members(value).all(|member| {
        let via = known.take().or_else(|| Via::parse(member).ok());
        via.is_some_and(|via| via.params.is_well_formed())
    })
}

/// URI of the first member of a Contact header, and whether all of them can be called.
fn contacts(value: &[u8]) -> (Option<&str>, bool) {
    let (mut first, mut good) = (None, true);
    for member in list_members(value).filter(|member| *member != b"*") {
        let contact = NameAddr::parse(member).ok();
        good &= contact.as_ref().is_some_and(|contact| contact.uri().is_ok());
        first = first.or_else(|| contact?.uri_str());
    }
    (first, good)
}

/// A From or To whose parameters all follow the grammar, its tag without quotes.
fn is_plain_address(address: &NameAddr<'_>) -> bool {
    let tag = address.params.find("tag");
    let good_tag = tag.is_none_or(|tag| tag.is_some_and(|tag| !tag.is_empty() && tag[0] != b'"'));
    good_tag && address.params.is_well_formed() && address.uri().is_ok()
}

/// A Max-Forwards value from 0 to 255.
fn is_hop_count(value: &[u8]) -> bool {
    let short = (1..=3).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    short && value.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= 255
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "INVITE sip:bob@example.test;x=y SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-1;rport, \
         SIP/2.0/TCP [2001:db8::1]\r\nVia: SIP/2.0/UDP third\r\nMax-Forwards: 70\r\n\
         From: \"A, B\" <sip:a@x>;tag=1\r\nTo: sip:b@y;tag=2\r\nCall-ID: c@d\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:a@10.0.0.2>, \"Q\" <sip:c@d>;q=0.2\r\nRecord-Route: <sip:r;lr>\r\nExpires: 60\r\n\
         Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

    fn parse(text: &[u8]) -> Option<Message> {
        Message::parse(text.to_vec().into()).ok()
    }

    #[test]
    fn all_parts_are_read() {
        let request = parse(PLAIN.as_bytes()).unwrap();
        assert!(request.validate().is_ok());
        let facts = Facts::read(&request, request.via().unwrap()).unwrap();
        assert_eq!(*facts.method, Method::Invite);
        assert_eq!(facts.uri.user, Some("bob"));
        assert_eq!(facts.via.branch(), Some("z9hG4bK-1"));
        assert_eq!((facts.call_id, facts.cseq), ("c@d", 1));
        assert_eq!((facts.from_tag, facts.to_tag), ("1", Some("2")));
        assert_eq!((facts.from, facts.to), (&b"\"A, B\" <sip:a@x>;tag=1"[..], &b"sip:b@y;tag=2"[..]));
        assert_eq!(facts.contact, Some("sip:a@10.0.0.2"));
        assert!(facts.has_record_route && !facts.has_require && !facts.has_encoding);
        assert!(facts.plain);
    }

    #[test]
    fn what_is_plain_is_valid_however_it_came_about() {
        let mut seed = 11_u64;
        let mut random = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 20) as usize % below
        };
        let pieces: [&[u8]; 16] = [
            b"\"",
            b";",
            b",",
            b"<",
            b">",
            b"@",
            b"?",
            b"*",
            b"=",
            b";tag=",
            b";tag=\"x\"",
            b" ",
            b"\xc3\xa4",
            b"999",
            b"\r\n ",
            b"\r\nContact: *\r\nTo: <sip:x>\r\nDate: a\r\nExpires: 1",
        ];
        let (mut plain, mut refused) = (0, 0);
        for _ in 0..60_000 {
            let mut text = PLAIN.as_bytes().to_vec();
            for _ in 0..=random(3) {
                let (at, piece) = (random(text.len()), pieces[random(pieces.len())]);
                let until = (at + random(3)).min(text.len());
                text.splice(at..until, piece.iter().copied());
            }
            let Some(request) = parse(&text) else { continue };
            let Ok(via) = request.via() else { continue };
            let is_plain = Facts::read(&request, via).is_some_and(|facts| facts.plain);
            assert!(!is_plain || request.validate().is_ok(), "{}", String::from_utf8_lossy(&text));
            plain += usize::from(is_plain);
            refused += usize::from(request.validate().is_err());
        }
        assert!(plain > 1_000 && refused > 1_000, "{plain} {refused}: both kinds are there");
    }
}
