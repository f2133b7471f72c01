//! Every limit: what still fits, what does not, and the status it deserves.

use bytes::Bytes;
use hookswitch_sip_msg::{
    ErrorKind, Frame, FramingProblem, MAX_CSEQ, MAX_HEADER_LINE, MAX_HEADERS, MAX_MESSAGE, MAX_METHOD, MAX_START_LINE,
    MAX_STREAM_BUFFER, MAX_URI, Message, ParseError, StreamFramer, Uri, UriError,
};

const HEADERS: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@example.test>;tag=1\r\n\
    To: <sip:b@example.test>\r\nCall-ID: 1\r\n";

fn request(method: &str, uri: &str, more: &str, body: &str) -> Bytes {
    let length = body.len();
    format!("{method} {uri} SIP/2.0\r\n{HEADERS}CSeq: 1 {method}\r\n{more}Content-Length: {length}\r\n\r\n{body}")
        .into()
}

fn refusal(bytes: Bytes) -> ParseError {
    Message::parse(bytes).expect_err("it is over the limit")
}

#[test]
fn message_size() {
    let empty = request("INFO", "sip:b@example.test", "", "").len();
    let digits = MAX_MESSAGE.to_string().len() - 1;
    let body = "x".repeat(MAX_MESSAGE - empty - digits);
    let largest = request("INFO", "sip:b@example.test", "", &body);
    assert_eq!(largest.len(), MAX_MESSAGE);
    assert_eq!(Message::parse(largest).unwrap().body_bytes().len(), body.len());
    let error = refusal(request("INFO", "sip:b@example.test", "", &format!("{body}x")));
    assert_eq!((error.kind(), error.status()), (&ErrorKind::TooLarge, 513));
}

#[test]
fn header_count() {
    let others = HEADERS.lines().count() + 2;
    let more = |count: usize| "X: 1\r\n".repeat(count);
    let most = request("INFO", "sip:b@example.test", &more(MAX_HEADERS - others), "");
    assert_eq!(Message::parse(most).unwrap().all_headers().count(), MAX_HEADERS);
    let error = refusal(request("INFO", "sip:b@example.test", &more(MAX_HEADERS - others + 1), ""));
    assert_eq!((error.kind(), error.status()), (&ErrorKind::TooManyHeaders, 513));
    assert!(error.salvage().unwrap().via().is_ok());
}

#[test]
fn header_length() {
    let line = |length: usize| format!("X: {}\r\n", "x".repeat(length - 3));
    assert!(Message::parse(request("INFO", "sip:b@example.test", &line(MAX_HEADER_LINE), "")).is_ok());
    let error = refusal(request("INFO", "sip:b@example.test", &line(MAX_HEADER_LINE + 1), ""));
    assert_eq!((error.kind(), error.status()), (&ErrorKind::HeaderTooLong, 513));
    // Folding does not get around it.
    let folded = format!("X: 1\r\n{}", " 2\r\n".repeat(MAX_HEADER_LINE / 4));
    let error = refusal(request("INFO", "sip:b@example.test", &folded, ""));
    assert_eq!(*error.kind(), ErrorKind::HeaderTooLong);
    assert!(error.salvage().unwrap().cseq().is_ok(), "what comes after it is read all the same");
}

#[test]
fn uri_length() {
    let uri = |length: usize| format!("sip:{}@example.test", "u".repeat(length - 17));
    let longest = Message::parse(request("INFO", &uri(MAX_URI), "", "")).unwrap();
    assert_eq!(longest.validate(), Ok(()));
    let error = refusal(request("INFO", &uri(MAX_URI + 1), "", ""));
    assert_eq!((error.kind(), error.status()), (&ErrorKind::RequestUri(UriError::TooLong), 414));
    assert!(error.salvage().unwrap().via().is_ok());
    assert_eq!(Uri::parse(&uri(MAX_URI + 1)), Err(UriError::TooLong));
    let error = refusal(request("INFO", &uri(MAX_START_LINE), "", ""));
    assert_eq!((error.kind(), error.status()), (&ErrorKind::StartLineTooLong, 414));
}

#[test]
fn method_length() {
    let method = "M".repeat(MAX_METHOD);
    let longest = Message::parse(request(&method, "sip:b@example.test", "", "")).unwrap();
    assert_eq!(longest.validate(), Ok(()));
    let error = refusal(request(&format!("{method}M"), "sip:b@example.test", "", ""));
    assert_eq!((error.kind(), error.status()), (&ErrorKind::Method, 400));
}

#[test]
fn sequence_numbers() {
    let with = |number: u64| {
        let text = String::from_utf8(request("INFO", "sip:b@example.test", "", "").to_vec()).unwrap();
        Message::parse(text.replace("CSeq: 1 ", &format!("CSeq: {number} ")).into()).unwrap()
    };
    assert_eq!(with(u64::from(MAX_CSEQ)).validate(), Ok(()));
    assert_eq!(with(u64::from(MAX_CSEQ) + 1).validate().unwrap_err().status(), 400);
}

#[test]
fn streams() {
    let next = |bytes: &[u8]| {
        let mut framer = StreamFramer::new();
        framer.push(bytes);
        framer.next()
    };
    let head = format!("INFO sip:b@example.test SIP/2.0\r\n{HEADERS}Content-Length: ");
    let declared = |length: usize| format!("{head}{length}\r\n\r\n");
    let room = MAX_MESSAGE - declared(MAX_MESSAGE).len();
    let largest = declared(room) + &"x".repeat(room);
    assert!(matches!(next(largest.as_bytes()), Ok(Some(Frame::Message(message))) if message.len() == MAX_MESSAGE));
    // Refused as soon as it is announced, not once it has been swallowed.
    let error = next(declared(room + 1).as_bytes()).unwrap_err();
    assert_eq!((error.problem, error.problem.status()), (FramingProblem::TooLarge, 513));
    assert!(Message::parse(error.head.unwrap()).unwrap_err().salvage().is_some());

    let endless = format!("INFO sip:b@example.test SIP/2.0\r\n{}", "X: y\r\n".repeat(MAX_MESSAGE / 6));
    assert_eq!(next(endless.as_bytes()).unwrap_err().problem, FramingProblem::TooLarge);
    let line = format!("INFO sip:{}", "b".repeat(MAX_START_LINE));
    assert_eq!(next(line.as_bytes()).unwrap_err().problem, FramingProblem::StartLineTooLong);

    let mut framer = StreamFramer::new();
    framer.push(&vec![b'I'; MAX_STREAM_BUFFER]);
    framer.push(b"I");
    assert_eq!(framer.next().unwrap_err().problem, FramingProblem::Overflow);
    assert_eq!(framer.pending(), 0, "memory is given back");
}
