//! Every torture message of RFC 5118 (IPv6).
//!
//! The three bodies of the RFC do not have the length their Content-Length names when lines end with CRLF. The fixtures
//! carry the true length; the messages as printed are tested below.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use bytes::Bytes;
use hookswitch_sip_msg::{ErrorKind, Host, Message, Uri, UriError};

/// Section, message, status of the refusal if any.
const CASES: &[(&str, &str, Option<u16>)] = &[
    ("4.1", "ipv6-good", None),
    ("4.2", "ipv6-bad", Some(400)),
    ("4.3", "port-ambiguous", None),
    ("4.4", "port-unambiguous", None),
    ("4.5", "via-received-param-with-delim", None),
    ("4.5", "via-received-param-no-delim", None),
    ("4.6", "ipv6-in-sdp", None),
    ("4.7", "mult-ip-in-header", None),
    ("4.8", "mult-ip-in-sdp", None),
    ("4.9", "ipv4-mapped-ipv6", None),
    // The RFC lets an implementation overlook the extra colon, and ours does.
    ("4.10", "ipv6-bug-abnf-3-colons", None),
    ("4.10", "ipv6-correct-abnf-2-colons", None),
];

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc5118").join(name).with_extension("sip");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(name: &str) -> Message {
    Message::parse(read(name).into()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn target(message: &Message) -> (Host<'_>, Option<u16>) {
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    (uri.host, uri.port)
}

#[test]
fn every_message_gets_its_verdict() {
    for (section, name, refusal) in CASES {
        let outcome = parse(name).validate();
        assert_eq!(outcome.as_ref().err().map(|error| error.status()), *refusal, "{section} {name}: {outcome:?}");
    }
}

#[test]
fn references_without_brackets_have_no_host() {
    let error = parse("ipv6-bad").validate().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::RequestUri(UriError::Host));
}

#[test]
fn ports_stand_behind_the_bracket() {
    assert_eq!(target(&parse("ipv6-good")), (Host::V6(v6("2001:db8::10")), None));
    assert_eq!(target(&parse("port-ambiguous")), (Host::V6(v6("2001:db8::10:5070")), None));
    assert_eq!(target(&parse("port-unambiguous")), (Host::V6(v6("2001:db8::10")), Some(5070)));
    let contact = parse("ipv6-good");
    let contact = contact.contacts().next().unwrap().unwrap();
    assert_eq!(contact.uri().unwrap().host, Host::V6(v6("2001:db8::1")));
}

#[test]
fn received_may_stand_in_brackets() {
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        let message = parse(name);
        let via = message.via().unwrap();
        assert_eq!(via.received(), Some(IpAddr::V6(v6("2001:db8::9:255"))), "{name}");
        assert_eq!(via.host, Host::V6(v6("2001:db8::9:1")));
        assert!(via.has_unique_branch());
    }
}

#[test]
fn address_families_mix() {
    let message = parse("mult-ip-in-header");
    let hops: Vec<_> = message.vias().map(|via| via.unwrap()).map(|via| (via.host.to_string(), via.port)).collect();
    assert_eq!(
        hops,
        [
            ("[2001:db8::9:1]".to_owned(), Some(6050)),
            ("192.0.2.1".to_owned(), None),
            ("[2001:db8::9:255]".to_owned(), None)
        ]
    );
    assert_eq!(message.vias().last().unwrap().unwrap().received(), Some("192.0.2.200".parse().unwrap()));
    let mapped = parse("ipv4-mapped-ipv6");
    assert_eq!(mapped.via().unwrap().host, Host::V6(v6("::ffff:192.0.2.10")));
    assert_eq!(mapped.via().unwrap().port, Some(19823));
}

#[test]
fn a_third_colon_is_overlooked() {
    let expected = Host::V6(v6("2001:db8::192.0.2.1"));
    assert_eq!(target(&parse("ipv6-correct-abnf-2-colons")).0, expected);
    assert_eq!(target(&parse("ipv6-bug-abnf-3-colons")).0, expected);
    let message = parse("ipv6-bug-abnf-3-colons");
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert!(!uri.to_string().contains(":::"), "what we write is right");
}

#[test]
fn content_lengths_as_printed() {
    let printed = |name, ours: &str, theirs: &str| {
        let text = String::from_utf8(read(name)).unwrap().replace(ours, theirs);
        Message::parse(Bytes::from(text))
    };
    let short = printed("ipv6-in-sdp", "Content-Length: 251", "Content-Length: 268").unwrap_err();
    assert_eq!((short.kind(), short.status()), (&ErrorKind::BodyTooShort, 400));
    let cut = printed("mult-ip-in-sdp", "Content-Length: 189", "Content-Length: 181").unwrap();
    assert_eq!(cut.body_bytes().len(), 181);
    let cut = printed("ipv4-mapped-ipv6", "Content-Length: 245", "Content-Length: 236").unwrap();
    assert_eq!(cut.body_bytes().len(), 236);
}
