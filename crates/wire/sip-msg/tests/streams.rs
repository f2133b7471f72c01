//! Streams: messages out of any pieces, keep-alives, and streams that cannot be read.

use bytes::Bytes;
use hookswitch_sip_msg::{Frame, FramingError, FramingProblem, KeepAlive, Message, StreamFramer, response_to};

const OPTIONS: &str = "OPTIONS sip:b@example.test SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nContent-Length: 0\r\n\r\n";
const INFO: &str = "INFO sip:b SIP/2.0\nVia: SIP/2.0/TCP a\nl : 4 \n\nbody";
const OK: &str = "SIP/2.0 200 OK\r\nX: Content-Length: 9\r\n Content-Length: 9\r\nCONTENT-LENGTH:\t2\r\n\r\nok";

fn message(text: &'static str) -> Frame {
    Frame::Message(Bytes::from_static(text.as_bytes()))
}

fn frames(framer: &mut StreamFramer) -> Vec<Frame> {
    std::iter::from_fn(|| framer.next().expect("the stream is fine")).collect()
}

fn refused(bytes: &[u8]) -> FramingError {
    let mut framer = StreamFramer::new();
    framer.push(bytes);
    loop {
        match framer.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("more was expected of {}", bytes.escape_ascii()),
            Err(error) => return error,
        }
    }
}

#[test]
fn messages_come_out_whole_whatever_the_pieces() {
    let stream = [OPTIONS, INFO, "\r\n\r\n", OK, "\r\n", OPTIONS].concat();
    let expected = [
        message(OPTIONS),
        message(INFO),
        Frame::KeepAlive(KeepAlive::Pong),
        Frame::KeepAlive(KeepAlive::Ping),
        message(OK),
        Frame::KeepAlive(KeepAlive::Pong),
        message(OPTIONS),
    ];
    for length in [1, 2, 3, 7, 50, stream.len()] {
        let mut framer = StreamFramer::new();
        let mut found = Vec::new();
        for piece in stream.as_bytes().chunks(length) {
            framer.push(piece);
            found.extend(frames(&mut framer));
        }
        assert_eq!(found, expected, "pieces of {length} bytes");
        assert_eq!(framer.pending(), 0);
    }
}

#[test]
fn what_is_unfinished_waits() {
    let mut framer = StreamFramer::default();
    assert_eq!(framer.next(), Ok(None));
    framer.push(&INFO.as_bytes()[..INFO.len() - 1]);
    assert_eq!(framer.next(), Ok(None));
    assert_eq!(framer.pending(), INFO.len() - 1, "a stream that ends here has been cut off");
    framer.push(b"y");
    assert_eq!(framer.next(), Ok(Some(message(INFO))));
    framer.push(b"\r");
    assert_eq!(framer.next(), Ok(None));
    framer.push(b"\n");
    assert_eq!(framer.next(), Ok(Some(Frame::KeepAlive(KeepAlive::Pong))));
}

#[test]
fn other_protocols_are_recognised_by_their_first_bytes() {
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\n",
        b"\r\nHELO example.test\r\n",
        b"{\"jsonrpc\":",
        b"\rINVITE",
        b" INVITE sip:b SIP/2.0\r\n",
    ] {
        let error = refused(garbage);
        assert_eq!((error.problem, error.head.is_none()), (FramingProblem::NotSip, true), "{}", garbage.escape_ascii());
    }
}

#[test]
fn the_end_of_a_message_must_be_certain() {
    let with = |line: &str| format!("INFO sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nCSeq: 1 INFO\r\n{line}\r\nbody");
    assert_eq!(refused(with("").as_bytes()).problem, FramingProblem::NoContentLength);
    for line in ["l: -1\r\n", "l:\r\n", "l: x\r\n", "l: 1\r\nContent-Length: 2\r\n", "l: 99999999999999999999\r\n"] {
        assert_eq!(refused(with(line).as_bytes()).problem, FramingProblem::BadContentLength, "{line}");
    }
    assert_eq!(refused(with("l: 99999999\r\n").as_bytes()).problem, FramingProblem::TooLarge);
}

#[test]
fn a_refusal_can_be_sent_before_closing() {
    let error = refused(b"INFO sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nCSeq: 1 INFO\r\n\r\nbody");
    let request = Message::parse(error.head.clone().expect("the headers had been read")).unwrap();
    let answer = response_to(&request, error.problem.status(), "", None).unwrap().finish();
    assert!(answer.starts_with(b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\n"));
    assert_eq!(error.to_string(), "Content-Length is missing");
}

#[test]
fn a_broken_stream_stays_broken_and_holds_nothing() {
    let mut framer = StreamFramer::new();
    framer.push(b"\x16\x03\x01");
    let first = framer.next().unwrap_err();
    framer.push(OPTIONS.as_bytes());
    assert_eq!(framer.next(), Err(first));
    assert_eq!(framer.pending(), 0);
}
