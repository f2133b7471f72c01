//! The same messages read by two other parsers. Where readings differ, the other's defect is listed by name, and a
//! defect that disappears must leave the list.

#[path = "check/collapsed.rs"]
mod collapsed;
mod corpus;

use bytes::Bytes;
use hookswitch_sip_msg::{HeaderName, Message};
use proptest::prelude::*;

use collapsed::collapsed;
use corpus::Wire;

/// What can be compared: the start line without its version, the headers, and the body.
#[derive(Debug, PartialEq)]
struct Reading {
    start: (String, String),
    headers: Vec<(String, String)>,
    body: String,
}

/// Bytes that a failing test prints readably.
fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// A value as it means.
fn meaning(value: &[u8]) -> String {
    text(&collapsed(value))
}

/// One spelling for each header.
fn canonical(name: &[u8]) -> String {
    match HeaderName::from_bytes(name) {
        HeaderName::Other => String::from_utf8_lossy(name).to_ascii_lowercase(),
        known => known.as_str().to_owned(),
    }
}

fn ours(bytes: &[u8]) -> Option<Reading> {
    let message = Message::parse(Bytes::copy_from_slice(bytes)).ok()?;
    let start = match (message.method(), message.status()) {
        (Some(method), _) => (method.to_string(), text(message.request_uri_bytes()?)),
        (None, status) => (status?.to_string(), text(message.reason())),
    };
    let headers = message.all_headers().map(|(_, name, value)| (canonical(name), meaning(value))).collect();
    Some(Reading { start, headers, body: text(&message.body()) })
}

fn sipx(bytes: &[u8]) -> Option<Reading> {
    let message = sipx_sip::parse_datagram(Bytes::copy_from_slice(bytes), &sipx_sip::Limits::datagram()).ok()?;
    let start = match &message {
        sipx_sip::Message::Request(request) => {
            (String::from_utf8_lossy(request.method.as_bytes()).into_owned(), text(&request.uri.to_bytes()))
        }
        sipx_sip::Message::Response(response) => (response.status.code().to_string(), text(&response.reason)),
    };
    let headers = message.headers().iter();
    let headers = headers.map(|header| (canonical(header.name().canonical()), meaning(&header.value()))).collect();
    Some(Reading { start, headers, body: text(message.body()) })
}

fn rsip(bytes: &[u8]) -> Option<Reading> {
    use rsip::message::HasHeaders;
    let message = rsip::SipMessage::try_from(bytes).ok()?;
    let start = match &message {
        rsip::SipMessage::Request(request) => (request.method.to_string(), text(request.uri.to_string().as_bytes())),
        rsip::SipMessage::Response(response) => {
            let line = response.status_code.to_string();
            let (code, reason) = line.split_once(' ').unwrap_or((&line, ""));
            (code.to_owned(), text(reason.as_bytes()))
        }
    };
    let line = |header: &rsip::Header| {
        let line = header.to_string();
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        (canonical(name.as_bytes()), meaning(value.as_bytes()))
    };
    Some(Reading { start, headers: message.headers().iter().map(line).collect(), body: text(message.body()) })
}

/// How another parser departs from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Departure {
    /// We accept the message.
    Refuses,
    /// We refuse the message.
    Accepts,
    /// Both accept and read something else.
    Differs,
}

use Departure::{Accepts, Differs, Refuses};

/// Parser, message, departure, and why we think that we are right.
const DEPARTURES: &[(&str, &str, Departure, &str)] = &[
    ("rsip", "clerr", Accepts, "does not look at Content-Length"),
    ("rsip", "dblreq", Differs, "does not cut the body to Content-Length"),
    ("rsip", "esc01", Refuses, "no folded Contact"),
    ("rsip", "esc02", Refuses, "known methods only"),
    ("rsip", "escruri", Refuses, "we refuse it when it is validated"),
    ("rsip", "intmeth", Refuses, "known methods only"),
    ("rsip", "ipv6-bad", Refuses, "we refuse it when it is validated"),
    ("rsip", "ipv6-bug-abnf-3-colons", Refuses, "no IPv6 references"),
    ("rsip", "ipv6-correct-abnf-2-colons", Refuses, "no IPv6 references"),
    ("rsip", "ipv6-good", Refuses, "no IPv6 references"),
    ("rsip", "ipv6-in-sdp", Refuses, "no IPv6 references"),
    ("rsip", "longreq", Refuses, "no white space before the colon of a header"),
    ("rsip", "mcl01", Accepts, "does not look at Content-Length"),
    ("rsip", "mismatch02", Refuses, "known methods only"),
    ("rsip", "mult-ip-in-sdp", Refuses, "no IPv6 references"),
    ("rsip", "ncl", Accepts, "does not look at Content-Length"),
    ("rsip", "noreason", Differs, "makes up a reason phrase"),
    ("rsip", "port-ambiguous", Refuses, "no IPv6 references"),
    ("rsip", "port-unambiguous", Refuses, "no IPv6 references"),
    ("rsip", "scalar02", Refuses, "no folded Contact"),
    ("rsip", "scalarlg", Differs, "makes up a reason phrase"),
    ("rsip", "semiuri", Refuses, "no semicolon in a user part"),
    ("rsip", "unkscm", Refuses, "known schemes only"),
    ("rsip", "unreason", Differs, "makes up a reason phrase"),
    ("rsip", "via-received-param-no-delim", Refuses, "no IPv6 references"),
    ("rsip", "via-received-param-with-delim", Refuses, "no IPv6 references"),
    ("rsip", "wsinv", Refuses, "no white space before the colon of a header"),
    ("sipx", "badvers", Accepts, "its 505 comes from another layer"),
    ("sipx", "ipv6-bad", Refuses, "we refuse it when it is validated"),
    ("sipx", "ltgtruri", Refuses, "we refuse it when it is validated"),
];

fn departure(ours: &Option<Reading>, theirs: &Option<Reading>) -> Option<Departure> {
    match (ours, theirs) {
        (Some(_), None) => Some(Refuses),
        (None, Some(_)) => Some(Accepts),
        (ours, theirs) => (ours != theirs).then_some(Differs),
    }
}

#[test]
fn known_messages_are_read_the_same_but_for_known_defects() {
    let mut found = Vec::new();
    for (name, bytes) in corpus::files() {
        let reading = ours(&bytes);
        found.extend(departure(&reading, &rsip(&bytes)).map(|departure| ("rsip", name.clone(), departure)));
        found.extend(departure(&reading, &sipx(&bytes)).map(|departure| ("sipx", name, departure)));
    }
    found.sort();
    let listed: Vec<_> =
        DEPARTURES.iter().map(|(parser, name, what, _)| (*parser, (*name).to_owned(), *what)).collect();
    assert_eq!(found, listed);
}

proptest! {
    #![proptest_config(corpus::config())]

    #[test]
    fn what_both_accept_is_read_the_same(bytes in corpus::mutated()) {
        let Wire(bytes) = bytes;
        // Neither of the others takes a bare LF for a line end.
        let bare = bytes.iter().position(|b| *b == b'\n').is_none_or(|at| at == 0 || bytes[at - 1] != b'\r');
        prop_assume!(!bare);
        if let (Some(ours), Some(theirs)) = (ours(&bytes), sipx(&bytes)) {
            prop_assert_eq!(ours, theirs);
        }
        if let (Some(ours), Some(theirs)) = (ours(&bytes), rsip(&bytes)) {
            // Its start line may run over line ends, and takes headers with it.
            prop_assume!(!theirs.start.1.contains("SIP/"));
            // It reads methods without their case.
            prop_assert_eq!(ours.start.0.to_ascii_uppercase(), theirs.start.0.to_ascii_uppercase());
            prop_assert_eq!(ours.headers, theirs.headers);
        }
    }
}
