//! What must hold for any bytes whatsoever: the properties behind the property tests and the fuzz targets.

mod collapsed;

use bytes::Bytes;
use collapsed::collapsed;
use hookswitch_sip_msg::{
    Answer, AuthParams, ErrorKind, Frame, FramingProblem, HeaderName, KeepAlive, Message, Method, NameAddr,
    StreamFramer, Uri, Writer, digest,
};

/// Reads bytes as a message and checks everything that follows from the outcome.
pub fn message(bytes: &[u8]) {
    match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(message) => {
            accessors(&message);
            reading_again_changes_nothing(&message);
            writing_keeps_everything(&message);
            answers_are_readable(&message);
            if message.validate().is_ok() {
                valid_messages_have_their_headers(&message);
            }
        }
        Err(error) => {
            assert!((400..700).contains(&error.status()));
            assert!(error.offset() <= bytes.len());
            assert!(!error.reason().contains(['\r', '\n']));
            if let Some(message) = error.salvage() {
                accessors(message);
                answers_are_readable(message);
            }
        }
    }
}

/// Touches every accessor; none may panic, and what is borrowed must come from the message.
fn accessors(message: &Message) {
    let whole = message.as_bytes().as_ptr_range();
    for (name, written, value) in message.all_headers() {
        assert!(whole.contains(&written.as_ptr()) && value.as_ptr() <= whole.end);
        for member in message.values(name) {
            let _ = NameAddr::parse(member).map(|address| {
                let _ = (address.tag(), address.q(), address.expires(), address.instance(), address.reg_id());
                let _ = (address.display_text(), address.params.iter().count(), address.params.is_well_formed());
                if let Ok(uri) = address.uri() {
                    uris_are_themselves(&uri);
                }
            });
        }
        if let Ok(params) = AuthParams::parse(value) {
            let _ = params.iter().count();
            let _ = digest::Challenge::read(&params).map(|challenge| challenge.qop_auth);
            let _ = digest::Credentials::read(&params).map(|credentials| credentials.verify("", "INVITE", b""));
        }
        let _ = (message.seconds(name), message.count(name), message.address(name).is_ok());
    }
    for via in message.vias().flatten() {
        let _ = (via.branch(), via.rport(), via.received(), via.maddr(), via.port_or_default());
        assert!(!via.has_unique_branch() || via.branch().is_some());
    }
    let _ = (message.from().is_ok(), message.to().is_ok(), message.call_id().is_ok(), message.cseq().is_ok());
    let _ = (message.max_forwards().is_ok(), message.expires(), message.content_length(), message.content_type());
    let _ = (message.refer_to().map(|to| to.map(|to| (to.replaced().is_ok(), to.target().len()))), message.refer_sub());
    let _ = (message.replaces().is_ok(), message.event(), message.subscription_state(), message.status_fragment());
    let _ = (message.contacts().count(), message.contact_is_star(), message.reason(), message.start_line());
    assert_eq!(message.body(), message.body_bytes());
    assert_ne!(message.is_request(), message.is_response());
    if let Some(uri) = message.request_uri().and_then(|uri| Uri::parse(uri).ok()) {
        uris_are_themselves(&uri);
    }
    let _ = message.validate();
}

fn uris_are_themselves(uri: &Uri<'_>) {
    assert!(uri.equivalent(uri), "{uri}");
    let written = uri.to_string();
    let again = Uri::parse(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    assert!(again.equivalent(uri), "{written}");
    assert_eq!(again.to_string(), written);
    let _ = (uri.aor(), uri.user_unescaped(), uri.params.iter().count(), uri.param("transport"));
}

fn reading_again_changes_nothing(message: &Message) {
    let again = Message::parse(message.as_bytes().clone()).expect("what was read once can be read again");
    assert_eq!(again.as_bytes(), message.as_bytes());
    assert!(again.all_headers().eq(message.all_headers()));
    assert_eq!(again.body_bytes(), message.body_bytes());
}

fn writing_keeps_everything(message: &Message) {
    let mut out = match (message.method(), message.request_uri_bytes(), message.status()) {
        (Some(method), Some(uri), _) => Writer::request(method, uri),
        (_, _, Some(status)) => Writer::response(status, &String::from_utf8_lossy(message.reason())),
        _ => unreachable!("a message is a request or a response"),
    };
    out.copy_where(message, |_| true).body("", message.body_bytes());
    let again = match Message::parse(out.finish()) {
        Ok(again) => again,
        // The Content-Length we add may be the byte or the line too many.
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::TooManyHeaders), "{error}");
            return;
        }
    };
    let headers = |message: &Message| -> Vec<_> {
        let known = message.all_headers().filter(|(name, ..)| *name != HeaderName::ContentLength);
        known.map(|(name, written, value)| (name, written.to_vec(), collapsed(value))).collect()
    };
    assert_eq!(headers(&again), headers(message));
    assert_eq!(again.body_bytes(), message.body_bytes());
    assert_eq!((again.method(), again.status()), (message.method(), message.status()));
    assert_eq!(again.request_uri_bytes(), message.request_uri_bytes());
}

fn answers_are_readable(request: &Message) {
    let source = "[2001:db8::7]:5070".parse().expect("this is an address");
    for source in [None, Some(source)] {
        let answer = Answer { status: 400, reason: "", to_tag: Some("x"), source };
        let Some(out) = answer.write(request) else {
            let is_ack = request.method() == Some(&Method::Ack);
            assert!(request.is_response() || is_ack || request.header(HeaderName::Via).is_none());
            continue;
        };
        let response = match Message::parse(out.finish()) {
            Ok(response) => response,
            Err(error) => {
                let grown =
                    matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::TooManyHeaders | ErrorKind::HeaderTooLong);
                assert!(grown, "{error}");
                continue;
            }
        };
        assert_eq!(response.status(), Some(400));
        for name in [HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
            let (theirs, ours) = (request.headers(name).map(collapsed), response.headers(name).map(collapsed));
            assert!(ours.eq(theirs), "{name}");
        }
        assert_eq!(response.count(HeaderName::Via), request.count(HeaderName::Via));
        if request.validate().is_ok() {
            assert!(response.to().is_ok_and(|to| to.tag().is_some()), "every answer has a tag");
            assert_eq!(response.via().map(|via| via.branch()), request.via().map(|via| via.branch()));
            let received = source.map(|source| source.ip());
            let host = request.via().ok().and_then(|via| via.host.ip());
            if received.is_some() && host != received {
                assert_eq!(response.via().ok().and_then(|via| via.received()), received);
            }
        }
    }
}

fn valid_messages_have_their_headers(message: &Message) {
    assert!(message.via().is_ok() && message.call_id().is_ok());
    assert!(message.from().is_ok_and(|from| from.uri().is_ok()));
    assert!(message.to().is_ok_and(|to| to.uri().is_ok()));
    let cseq = message.cseq().expect("validated");
    assert!(message.method().is_none_or(|method| *method == cseq.method));
    assert!(message.contacts().all(|contact| contact.is_ok_and(|contact| contact.uri().is_ok())));
    assert!(message.max_forwards().is_ok());
}

/// What a stream brings: its frames, and the problem that ended it.
type Frames = (Vec<Frame>, Option<FramingProblem>, usize);

/// Cuts a stream into frames in pieces of these lengths, over and over; the rest comes in one piece.
fn frames(stream: &[u8], pieces: impl IntoIterator<Item = usize>) -> Frames {
    let mut framer = StreamFramer::new();
    let mut found = Vec::new();
    let mut rest = stream;
    let mut pieces = pieces.into_iter();
    while !rest.is_empty() {
        let length = pieces.next().map_or(rest.len(), |length| length.clamp(1, rest.len()));
        let (piece, tail) = rest.split_at(length);
        rest = tail;
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(framer.next().map_err(|again| again.problem), Err(error.problem), "broken for good");
                    return (found, Some(error.problem), 0);
                }
            }
        }
    }
    (found, None, framer.pending())
}

/// A stream brings the same frames however it arrives, and every frame that reads is one whole message.
pub fn stream(stream: &[u8], pieces: &[usize]) {
    let stream = &stream[..stream.len().min(hookswitch_sip_msg::MAX_STREAM_BUFFER)];
    let whole = frames(stream, []);
    assert_eq!(frames(stream, pieces.iter().copied()), whole);
    if stream.len() < 4_096 {
        assert_eq!(frames(stream, std::iter::repeat(1)), whole);
    }
    let mut line_ends = 0;
    for frame in &whole.0 {
        match frame {
            Frame::Message(bytes) => {
                line_ends = 0;
                if let Ok(message) = Message::parse(bytes.clone()) {
                    assert_eq!(message.as_bytes(), bytes, "framer and parser agree on the end");
                    assert!(message.content_length().is_some());
                }
            }
            Frame::KeepAlive(kind) => {
                line_ends += 1;
                assert_eq!(*kind, if line_ends % 2 == 0 { KeepAlive::Ping } else { KeepAlive::Pong });
            }
        }
    }
}
