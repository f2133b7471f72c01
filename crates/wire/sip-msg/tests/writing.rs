//! Writing: requests, copies, answers, and values that try to leave their line.

use bytes::{Bytes, BytesMut};
use hookswitch_sip_msg::{Answer, HeaderName, Message, Method, Writer, reason_phrase, response_to};

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).expect("these messages are UTF-8")
}

fn invite() -> Message {
    let text = "INVITE sip:bob@example.test SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1 , SIP/2.0/UDP 10.0.0.2\r\n\
        Via: SIP/2.0/TCP edge.example.test\r\nf: \"A\" <sip:a@example.test>;tag=1\r\nTO:\r\n <sip:bob@example.test>\r\n\
        Call-ID: c1\r\nCSeq: 7 INVITE\r\nTimestamp: 54.2\r\nX-One:  1 \r\nL: 0\r\n\r\n";
    Message::parse(text.into()).unwrap()
}

#[test]
fn a_request() {
    let mut out = Writer::request(&Method::Invite, "sip:bob@example.test");
    out.header(HeaderName::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
        .header_named("X-Account", b"42")
        .header_fmt(HeaderName::CSeq, format_args!("{} {}", 1, Method::Invite))
        .raw_line("x-raw:1")
        .body("application/sdp", b"v=0\r\n");
    assert_eq!(
        text(&out.finish()),
        "INVITE sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nX-Account: 42\r\n\
         CSeq: 1 INVITE\r\nx-raw:1\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
}

#[test]
fn responses_have_a_reason() {
    assert_eq!(text(&Writer::response(486, "").finish()), "SIP/2.0 486 Busy Here\r\nContent-Length: 0\r\n\r\n");
    assert!(Writer::response(200, "Fine").finish().starts_with(b"SIP/2.0 200 Fine\r\n"));
    assert!((100..700).all(|status| !reason_phrase(status).is_empty()));
    assert_eq!((reason_phrase(487), reason_phrase(499)), ("Request Terminated", "Bad Request"));
}

#[test]
fn a_shared_buffer_serves_many_messages() {
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    for number in 0..100 {
        let mut out = Writer::request_in(&mut buffer, &Method::Options, "sip:b");
        out.header_fmt(HeaderName::CSeq, format_args!("{number} OPTIONS"));
        messages.push(out.finish());
    }
    drop(Writer::response_in(&mut buffer, 200, "never finished"));
    for (number, bytes) in messages.into_iter().enumerate() {
        let message = Message::parse(bytes).unwrap();
        assert_eq!(message.cseq().map(|cseq| cseq.number as usize), Ok(number));
    }
    assert!(Writer::response_in(&mut buffer, 180, "").finish().starts_with(b"SIP/2.0 180 Ringing\r\n"));
}

#[test]
fn values_stay_in_their_line() {
    let mut out = Writer::request(&Method::Info, "sip:b\r\nVia: evil");
    out.header(HeaderName::Subject, "one\r\nVia: two\nthree\rfour")
        .header_fmt(HeaderName::UserAgent, format_args!("a{}b", "\r\n\r\n"))
        .raw_line("X: folded\r\n here\r\nVia: not")
        .header_named("Bad\r\nName", "x");
    let bytes = out.finish();
    assert_eq!(
        text(&bytes),
        "INFO sip:b  Via: evil SIP/2.0\r\nSubject: one  Via: two three four\r\nUser-Agent: a    b\r\n\
         X: folded\r\n here  Via: not\r\nBad  Name: x\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn copies_are_byte_exact() {
    let message = invite();
    let mut out = Writer::request(&Method::Invite, "sip:c@example.test");
    out.copy(&message, HeaderName::To).copy(&message, HeaderName::Via);
    assert_eq!(
        text(&out.finish()),
        "INVITE sip:c@example.test SIP/2.0\r\nTO:\r\n <sip:bob@example.test>\r\n\
         v: SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1 , SIP/2.0/UDP 10.0.0.2\r\n\
         Via: SIP/2.0/TCP edge.example.test\r\nContent-Length: 0\r\n\r\n"
    );
    let mut out = Writer::request(&Method::Invite, "sip:c@example.test");
    out.copy_where(&message, |name| !matches!(name, HeaderName::Via | HeaderName::To | HeaderName::From));
    assert_eq!(
        text(&out.finish()),
        "INVITE sip:c@example.test SIP/2.0\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\nTimestamp: 54.2\r\nX-One:  1 \r\n\
         Content-Length: 0\r\n\r\n"
    );
    let latin = Message::parse(b"INFO sip:b SIP/2.0\r\nFrom: \"\xfc\" <sip:a@b>\r\n\r\n"[..].into()).unwrap();
    let mut out = Writer::request(&Method::Info, "sip:c");
    out.copy(&latin, HeaderName::From);
    assert!(out.finish().windows(5).any(|w| w == b"\"\xfc\" <"));
}

#[test]
fn an_answer_takes_what_it_must_from_the_request() {
    let out = response_to(&invite(), 180, "", Some("t1")).unwrap().finish();
    assert_eq!(
        text(&out),
        "SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1 , SIP/2.0/UDP 10.0.0.2\r\n\
         Via: SIP/2.0/TCP edge.example.test\r\nf: \"A\" <sip:a@example.test>;tag=1\r\n\
         To: <sip:bob@example.test>;tag=t1\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    let trying = Message::parse(response_to(&invite(), 100, "", None).unwrap().finish()).unwrap();
    assert_eq!((trying.header(HeaderName::Timestamp), trying.to().unwrap().tag()), (Some(&b"54.2"[..]), None));
}

#[test]
fn an_answer_says_where_the_request_came_from() {
    let answer = |source: &str| {
        let source = Some(source.parse().unwrap());
        let out = Answer { status: 200, reason: "", to_tag: Some("t"), source }.write(&invite()).unwrap();
        Message::parse(out.finish()).unwrap()
    };
    let natted = answer("198.51.100.9:1024");
    assert_eq!(
        natted.header(HeaderName::Via),
        Some(&b"SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;received=198.51.100.9;rport=1024 , SIP/2.0/UDP 10.0.0.2"[..])
    );
    assert_eq!(natted.vias().count(), 3);
    // RFC 3581 4: with rport, received is there even when it says nothing new.
    let direct = answer("10.0.0.1:5070");
    assert_eq!(direct.via().unwrap().received(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(direct.via().unwrap().rport(), Some(Some(5070)));
    let lied = "INFO sip:b SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1;received=1.2.3.4;branch=z9hG4bK2\r\n\r\n";
    let lied = Message::parse(lied.into()).unwrap();
    let via = |source: &str| {
        let source = Some(source.parse().unwrap());
        let out = Answer { status: 200, reason: "", to_tag: None, source }.write(&lied).unwrap().finish();
        Message::parse(out).unwrap().header_str(HeaderName::Via).unwrap().to_owned()
    };
    assert_eq!(via("10.0.0.1:9"), "SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK2");
    assert_eq!(via("[2001:db8::1]:9"), "SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK2;received=2001:db8::1");
}

#[test]
fn some_messages_are_not_answered() {
    let parse = |text: &str| Message::parse(text.to_owned().into()).unwrap();
    let answer = |text: &str| response_to(&parse(text), 400, "", Some("t")).is_some();
    assert!(!answer("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n\r\n"));
    assert!(!answer("ACK sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n"));
    assert!(!answer("INFO sip:b SIP/2.0\r\nFrom: x\r\n\r\n"));
    assert!(answer("INFO sip:b SIP/2.0\r\nVia: nonsense\r\n\r\n"), "somebody may be able to read it");
}

#[test]
fn an_answer_keeps_the_tag_that_is_there() {
    let request = "BYE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nt: <sip:b@x>;tag=theirs\r\n\r\n";
    let out = response_to(&Message::parse(request.into()).unwrap(), 200, "", Some("ours")).unwrap().finish();
    assert!(text(&out).contains("\r\nt: <sip:b@x>;tag=theirs\r\n") && !text(&out).contains("ours"));
}

#[test]
#[should_panic(expected = "headers come before the body")]
fn nothing_follows_the_body() {
    let mut out = Writer::response(200, "");
    out.body("text/plain", b"x").header(HeaderName::Via, "late");
}
