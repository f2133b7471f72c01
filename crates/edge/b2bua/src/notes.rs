//! What a controller wants a party to be told besides, as header fields.

use bytes::Bytes;
use hookswitch_call::{Cause, Fault, Kind, Notes};
use hookswitch_sip::Header;
use hookswitch_sip_msg::HeaderName;

/// Most fields that go along with one request.
pub(crate) const MAX_FIELDS: usize = 16;

/// Most bytes of all their names and values together.
pub(crate) const MAX_FIELD_BYTES: usize = 4_096;

/// Of the fields that have a meaning to SIP elements, those which say something to a person or an application. The
/// others find the way of a request, prove who sent it, or agree on what follows: they are the endpoint's.
const ALLOWED: [HeaderName; 15] = [
    HeaderName::AlertInfo,
    HeaderName::AnswerMode,
    HeaderName::CallInfo,
    HeaderName::Date,
    HeaderName::ErrorInfo,
    HeaderName::InReplyTo,
    HeaderName::Organization,
    HeaderName::PAccessNetworkInfo,
    HeaderName::PChargingVector,
    HeaderName::Priority,
    HeaderName::Reason,
    HeaderName::ReplyTo,
    HeaderName::SessionId,
    HeaderName::Subject,
    HeaderName::UserToUser,
];

/// The fields, or why they cannot be sent: all or none, so that nobody believes in a field that was left out.
pub(crate) fn fields(notes: &Notes) -> Result<Vec<Header>, Cause> {
    let bytes: usize = notes.0.iter().map(|(name, value)| name.len() + value.len()).sum();
    let fit = notes.0.len() <= MAX_FIELDS && bytes <= MAX_FIELD_BYTES;
    if !fit || notes.0.iter().any(|(name, value)| !may_be_sent(name, value)) {
        let cause = Cause::new(Kind::Other, Fault::Controller).with_text("Header Field Not Allowed");
        return Err(Cause { code: 400, ..cause });
    }
    let field = |(name, value): &(_, compact_str::CompactString)| {
        let name: &compact_str::CompactString = name;
        Header::raw(name, Bytes::copy_from_slice(value.as_bytes()))
    };
    Ok(notes.0.iter().map(field).collect())
}

pub(crate) fn may_be_sent(name: &str, value: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    let known = HeaderName::from_bytes(name.as_bytes());
    !name.is_empty()
        && name.bytes().all(is_token)
        && !value.chars().any(|char| char.is_control() && char != '\t')
        && (ALLOWED.contains(&known) || known == HeaderName::Other)
        // Parts of the protocol that are written by nobody here, and must not be written by anybody else.
        && !name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &str, value: &str) -> Option<(String, String)> {
        let headers = fields(&Notes(vec![(name.into(), value.into())])).ok()?;
        let text = |header: &Header| String::from_utf8(header.value().to_vec()).expect("it was text");
        headers.first().map(|header| (header.name().to_owned(), text(header)))
    }

    #[test]
    fn what_says_something_to_people_goes_through() {
        for (name, value) in
            [("X-Reason", "lunch"), ("Subject", "a, b; c"), ("P-Whatever", ""), ("Reason", "X;text=\"y\"")]
        {
            assert_eq!(sent(name, value), Some((name.into(), value.into())));
        }
        assert_eq!(sent("s", "x").map(|(name, _)| name).as_deref(), Some("Subject"));
    }

    #[test]
    fn what_belongs_to_the_protocol_does_not() {
        for name in [
            "Via",
            "v",
            "From",
            "f",
            "To",
            "t",
            "Call-ID",
            "i",
            "CSeq",
            "Contact",
            "m",
            "Max-Forwards",
            "Route",
            "Record-Route",
            "Content-Length",
            "l",
            "Content-Type",
            "c",
            "Content-Anything",
            "Expires",
            "Allow",
            "Supported",
            "k",
            "Require",
            "Proxy-Require",
            "Authorization",
            "Proxy-Authorization",
            "Event",
            "o",
            "Subscription-State",
            "Refer-To",
            "r",
            "Replaces",
            "Join",
            "RSeq",
            "RAck",
            "Session-Expires",
            "x",
            "Min-SE",
            "P-Asserted-Identity",
            "Remote-Party-ID",
            "Privacy",
            "Identity",
            "User-Agent",
            "Path",
        ] {
            assert_eq!(sent(name, "1"), None, "{name}");
            assert_eq!(sent(&name.to_ascii_lowercase(), "1"), None, "{name}");
        }
    }

    #[test]
    fn nothing_can_be_smuggled_in() {
        for (name, value) in [
            ("X-A", "b\r\nVia: c"),
            ("X-A", "b\nVia: c"),
            ("X-A", "\0"),
            ("X-A: b\r\nVia", "c"),
            ("X A", "b"),
            ("", "b"),
            ("X-\u{e9}", "b"),
        ] {
            assert_eq!(sent(name, value), None, "{name:?}: {value:?}");
        }
    }

    #[test]
    fn they_are_limited() {
        let some = |count: usize, bytes: usize| Notes(vec![("X-A".into(), "b".repeat(bytes).into()); count]);
        assert!(fields(&some(MAX_FIELDS, 1)).is_ok());
        assert_eq!(fields(&some(MAX_FIELDS + 1, 1)).unwrap_err().code, 400);
        assert!(fields(&some(1, MAX_FIELD_BYTES - 3)).is_ok());
        assert!(fields(&some(1, MAX_FIELD_BYTES - 2)).is_err());
    }
}
