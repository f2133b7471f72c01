//! Messages: start lines, header lines, lists, bodies, and what is refused with a salvage.

use bytes::Bytes;
use hookswitch_sip_msg::{ErrorKind, HeaderName, HeaderProblem, Message, Method, ParseError};

fn parse(text: &[u8]) -> Message {
    Message::parse(Bytes::copy_from_slice(text)).unwrap_or_else(|error| panic!("{}: {error}", text.escape_ascii()))
}

fn refuse(text: &[u8]) -> ParseError {
    Message::parse(Bytes::copy_from_slice(text)).expect_err("it should be refused")
}

const BASE: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@example.test>;tag=1\r\n\
    To: <sip:b@example.test>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n";

fn invite(more: &str) -> Message {
    parse(format!("INVITE sip:b@example.test SIP/2.0\r\n{BASE}{more}\r\n").as_bytes())
}

#[test]
fn start_lines() {
    let request = invite("");
    assert!(request.is_request() && !request.is_response());
    assert_eq!((request.method(), request.request_uri()), (Some(&Method::Invite), Some("sip:b@example.test")));
    assert_eq!((request.status(), request.reason()), (None, &b""[..]));
    assert_eq!(request.start_line(), b"INVITE sip:b@example.test SIP/2.0");
    let response = parse(b"sip/2.0 486 Busy \xfcber\r\n\r\n");
    assert!(response.is_response());
    assert_eq!((response.status(), response.reason()), (Some(486), &b"Busy \xfcber"[..]));
    assert_eq!((response.method(), response.request_uri()), (None, None));
    assert_eq!(parse(b"SIP/2.0 200\r\n\r\n").reason(), b"");
    // Names of methods have a case.
    assert_eq!(parse(b"invite sip:b SIP/2.0\r\n\r\n").method(), Some(&Method::Other("invite".into())));
}

#[test]
fn start_lines_refused() {
    for (text, kind, status) in [
        ("", ErrorKind::Empty, 400),
        ("\r\n\r\n", ErrorKind::Empty, 400),
        ("\0\0\0\0", ErrorKind::StartLine, 400),
        ("GET / HTTP/1.1\r\n\r\n", ErrorKind::StartLine, 400),
        ("INVITE\r\n\r\n", ErrorKind::StartLine, 400),
        ("INVITE SIP/2.0\r\n\r\n", ErrorKind::StartLine, 400),
        ("INVITE  SIP/2.0\r\n\r\n", ErrorKind::StartLine, 400),
        (" INVITE sip:b SIP/2.0\r\n\r\n", ErrorKind::Method, 400),
        ("INV{ITE sip:b SIP/2.0\r\n\r\n", ErrorKind::Method, 400),
        ("INVITE sip:b SIP/2.0 \r\n\r\n", ErrorKind::StartLine, 400),
        ("INVITE sip:b\tc SIP/2.0\r\n\r\n", ErrorKind::StartLine, 400),
        ("INVITE sip:b SIP/2.1\r\n\r\n", ErrorKind::Version, 505),
        ("SIP/3.0 200 OK\r\n\r\n", ErrorKind::Version, 505),
        ("SIP/2.0 99 Low\r\n\r\n", ErrorKind::StatusCode, 400),
        ("SIP/2.0 700 High\r\n\r\n", ErrorKind::StatusCode, 400),
        ("SIP/2.0 0200 OK\r\n\r\n", ErrorKind::StatusCode, 400),
        ("SIP/2.0\r\n\r\n", ErrorKind::StartLine, 400),
    ] {
        let error = refuse(text.as_bytes());
        assert_eq!((error.kind(), error.status()), (&kind, status), "{text:?}");
    }
}

#[test]
fn names_in_every_form() {
    let text = b"OPTIONS sip:b SIP/2.0\r\nv: 1\r\nVIA : 2\r\nvia\t:3\r\nV:4\r\nVia:\r\n 5\r\n\r\n";
    let message = parse(text);
    assert!(message.headers(HeaderName::Via).eq([b"1", b"2", b"3", b"4", b"5"]));
    assert_eq!(message.count(HeaderName::Via), 5);
    for name in HeaderName::ALL {
        assert_eq!(HeaderName::from_bytes(name.as_str().as_bytes()), *name);
        assert_eq!(HeaderName::from_bytes(name.as_str().to_ascii_uppercase().as_bytes()), *name);
        let compact = name.compact().map_or(*name, |form| HeaderName::from_bytes(form.as_bytes()));
        assert_eq!(compact, *name);
    }
    for name in ["", "z", "Viaa", "Vi", "X-Via", "From ", "\u{e4}"] {
        assert_eq!(HeaderName::from_bytes(name.as_bytes()), HeaderName::Other, "{name}");
    }
}

#[test]
fn unknown_headers_are_found_by_name_and_kept_as_written() {
    let message = invite("x-Account:  42 \r\nX-ACCOUNT: 43\r\nX-Other: 1\r\n");
    assert!(message.header_by_name("X-Account").eq([b"42", b"43"]));
    assert!(message.header_by_name("f").eq([b"<sip:a@example.test>;tag=1"]), "known names work too");
    let (name, written, value) = message.all_headers().nth(5).unwrap();
    assert_eq!((name, written, value), (HeaderName::Other, &b"x-Account"[..], &b"42"[..]));
    let lines: Vec<_> = message.lines().map(|(_, line)| line).collect();
    assert_eq!(lines[5], b"x-Account:  42 ");
}

#[test]
fn lists_split_where_commas_separate() {
    let message = invite(
        "Supported: a,,b , c\r\nk: d\r\nContact: \"x, y\" <sip:a,b@example.test>, sip:c@example.test\r\n\
         Subject: one, two\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\nX-List: 1, 2\r\nAllow:\r\n",
    );
    assert!(message.values(HeaderName::Supported).eq([b"a", b"b", b"c", b"d"]));
    let contacts = [&b"\"x, y\" <sip:a,b@example.test>"[..], b"sip:c@example.test"];
    assert!(message.values(HeaderName::Contact).eq(contacts));
    assert!(message.values(HeaderName::Subject).eq([b"one, two"]));
    assert_eq!(message.values(HeaderName::Date).count(), 1);
    assert_eq!(message.values(HeaderName::Allow).count(), 0);
    assert!(message.has_token(HeaderName::Supported, "C") && !message.has_token(HeaderName::Supported, "e"));
    assert_eq!(hookswitch_sip_msg::list_members(b"\"open, x").count(), 1);
    assert_eq!(hookswitch_sip_msg::list_members(b"a;b=\"1,2\",c").count(), 2);
}

#[test]
fn bodies() {
    assert_eq!(invite("").body_bytes(), b"");
    let rest = parse(format!("INVITE sip:b@example.test SIP/2.0\r\n{BASE}\r\nall of it").as_bytes());
    assert_eq!((rest.body_bytes(), rest.content_length()), (&b"all of it"[..], None));
    let cut = parse(format!("INVITE sip:b@example.test SIP/2.0\r\n{BASE}l: 3\r\n\r\nabcdef").as_bytes());
    assert_eq!((cut.body(), cut.content_length()), (Bytes::from_static(b"abc"), Some(3)));
    assert!(cut.as_bytes().ends_with(b"\r\n\r\nabc"));
    let same = invite("l: 0\r\nContent-Length: 0\r\n");
    assert_eq!(same.body_bytes(), b"");
}

#[test]
fn bodies_refused() {
    let with = |lines: &str| refuse(format!("INVITE sip:b SIP/2.0\r\n{BASE}{lines}\r\nabc").as_bytes());
    assert_eq!(*with("l: 4\r\n").kind(), ErrorKind::BodyTooShort);
    assert_eq!(*with("l: 999999999999999999\r\n").kind(), ErrorKind::BodyTooShort);
    for lines in ["l: -1\r\n", "l:\r\n", "l: 0x3\r\n", "l: 3 3\r\n", "l: 3\r\nl: 2\r\n", "l: 99999999999999999999\r\n"]
    {
        let error = with(lines);
        assert!(matches!(error.kind(), ErrorKind::Header(e) if e.header == HeaderName::ContentLength), "{lines}");
        assert_eq!(error.status(), 400);
    }
}

#[test]
fn lines_end_alike_and_leading_line_ends_are_dropped() {
    let message = parse(b"\r\n\r\nOPTIONS sip:b SIP/2.0\nVia: 1\n 2\nTo: x\n\nbody");
    assert_eq!(message.header(HeaderName::Via), Some(&b"1\n 2"[..]));
    assert_eq!(message.body_bytes(), b"body");
    assert!(message.as_bytes().starts_with(b"OPTIONS"));
    for mixed in [
        "OPTIONS sip:b SIP/2.0\r\nTo: x\nVia: hidden\r\n\r\n",
        "OPTIONS sip:b SIP/2.0\nTo: x\r\nVia: 1\n\n",
        "OPTIONS sip:b SIP/2.0\r\nTo: x\rVia: hidden\r\n\r\n",
        "OPTIONS sip:b SIP/2.0\r\nTo: x\r\r\n\r\n",
        "OPTIONS sip:b SIP/2.0\r\nTo: x\r\n\n",
    ] {
        let error = refuse(mixed.as_bytes());
        assert_eq!((error.kind(), error.status()), (&ErrorKind::LineEnd, 400), "{mixed:?}");
        assert!(error.salvage().unwrap().header(HeaderName::To).is_some());
    }
    let error = refuse(b"\r\nOPTIONS sip:b SIP/2.0\r\nbad line\r\n\r\n");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::HeaderLine, 25));
    assert_eq!(error.to_string(), "line is no header: a name and a colon are expected (at byte 25)");
    assert!(error.reason().starts_with("Bad Request - line is no header"));
}

#[test]
fn the_rest_of_a_bad_message_is_salvaged() {
    let text = format!("INVITE sip:b SIP/2.0\r\nno colon\r\n: no name\r\nb@d: 1\r\n folded\r\n{BASE}\r\n");
    let error = refuse(text.as_bytes());
    assert_eq!(*error.kind(), ErrorKind::HeaderLine);
    let message = error.into_salvage().unwrap();
    assert_eq!(message.validate(), Ok(()));
    let cut = refuse(b"INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: x");
    assert_eq!(*cut.kind(), ErrorKind::NoEndOfHeaders);
    assert!(cut.salvage().unwrap().via().is_ok());
    assert!(refuse(b"INVITE sip:b SIP/2.0\r\n Via: folded into nothing\r\n\r\n").salvage().is_some());
}

#[test]
fn validation() {
    let check = |more: &str| invite(more).validate().map_err(|error| error.kind().clone());
    assert_eq!(check(""), Ok(()));
    assert_eq!(check("Contact: <sip:a@192.0.2.1>, \"b\" <sips:c@d>;q=0.1\r\nMax-Forwards: 1\r\n"), Ok(()));
    for more in
        ["t: <sip:c@example.test>\r\n", "CSeq: 7 INVITE\r\n", "i: c1\r\n", "Max-Forwards: 1\r\nMax-Forwards: 1\r\n"]
    {
        assert!(matches!(check(more), Err(ErrorKind::Header(e)) if e.problem == HeaderProblem::Repeated), "{more}");
    }
    assert!(check("Contact: <sip:>\r\n").is_err() && check("Via: x\r\n").is_err());
    let text = format!("INVITE sip:b SIP/2.0\r\n{BASE}\r\n");
    for line in BASE.lines() {
        let without = parse(text.replace(&format!("{line}\r\n"), "").as_bytes());
        let error = without.validate().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Header(e) if e.problem == HeaderProblem::Missing), "{line}");
        assert_eq!(error.status(), 400);
    }
    let other = parse(text.replace("7 INVITE", "7 BYE").as_bytes()).validate().unwrap_err();
    assert_eq!(*other.kind(), ErrorKind::CSeqMethod);
    assert!(text[other.offset()..].starts_with("CSeq"));
    let response = parse(format!("SIP/2.0 200 OK\r\n{BASE}\r\n").as_bytes());
    assert_eq!(response.validate(), Ok(()));
}

#[test]
fn copies_share_and_stored_messages_come_back() {
    let message = invite("X: 1\r\n");
    let copy = message.clone();
    assert_eq!(copy.as_bytes().as_ptr(), message.as_bytes().as_ptr());
    assert_eq!(copy, message);
    let stored = serde_json::to_string(&message).unwrap();
    assert_eq!(serde_json::from_str::<Message>(&stored).unwrap(), message);
    let method: Method = serde_json::from_str("\"INVITE\"").unwrap();
    assert_eq!((method, serde_json::to_string(&Method::Bye).unwrap()), (Method::Invite, "\"BYE\"".to_owned()));
    assert_eq!(format!("{message:?}"), "Message { start: \"INVITE request\", headers: 6, body: 0 }");
}
