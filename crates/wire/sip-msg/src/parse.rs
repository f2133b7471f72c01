//! The one pass over a message: start line, header spans, body.
//!
//! Most defects do not end the pass. The first one is remembered and the rest is indexed nevertheless, so that a refusal
//! has a Via, a From and a Call-ID to go to.

use bytes::{Buf, Bytes};
use memchr::{memchr, memchr2};
use smallvec::SmallVec;

use crate::error::{ErrorKind, HeaderError, HeaderProblem, ParseError, UriError};
use crate::limits::{MAX_HEADER_LINE, MAX_HEADERS, MAX_MESSAGE, MAX_START_LINE, MAX_URI};
use crate::message::{Hdr, Headers, Message, Span, Start};
use crate::method::Method;
use crate::name::HeaderName;
use crate::scan::{decimal, is_token, is_ws, trim};

/// A defect and its offset.
type Fault = (ErrorKind, usize);

impl Message {
    /// Reads one whole message, such as a datagram (RFC 3261 18.3).
    ///
    /// Line ends in front are dropped, bytes beyond Content-Length too, and without Content-Length the rest is the body.
    /// Lines end with CRLF. A message whose first line ends with a bare LF may go on like that; a mixture, and a lone CR,
    /// are refused, because the next element could see other lines than we do.
    ///
    /// # Errors
    ///
    /// The first defect found, with its status and offset, and with the message as far as it could be read
    /// ([`ParseError::salvage`]).
    pub fn parse(mut bytes: Bytes) -> Result<Message, ParseError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(ParseError::new(ErrorKind::TooLarge, MAX_MESSAGE));
        }
        let leading = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if leading > 0 {
            bytes.advance(leading);
        }
        if bytes.is_empty() {
            return Err(ParseError::new(ErrorKind::Empty, 0));
        }
        let mut pass = Pass { bytes: &bytes, fault: None, bare: None };
        let (start, headers_at) = pass.start_line().map_err(|(kind, at)| ParseError::new(kind, at + leading))?;
        let (headers, head_end, body_at) = pass.header_lines(headers_at);
        let mut fault = pass.fault;
        let mut message = Message::from_parts(bytes, start, headers, head_end, body_at);
        if let Err(found) = cut_body(&mut message) {
            fault.get_or_insert(found);
        }
        match fault {
            None => Ok(message),
            Some((kind, at)) => Err(ParseError::new(kind, at + leading).with_salvage(message)),
        }
    }
}

/// Offsets fit in 16 bits because [`MAX_MESSAGE`] was checked first.
#[inline]
fn offset(at: usize) -> u16 {
    debug_assert!(at <= MAX_MESSAGE);
    at as u16
}

fn span(from: usize, to: usize) -> Span {
    Span { from: offset(from), to: offset(to) }
}

/// The pass over one message.
struct Pass<'a> {
    bytes: &'a [u8],
    /// The first defect.
    fault: Option<Fault>,
    /// True when lines end with a bare LF; not known before the first line end.
    bare: Option<bool>,
}

impl Pass<'_> {
    fn note(&mut self, kind: ErrorKind, at: usize) {
        self.fault.get_or_insert((kind, at));
    }

    /// End of the line that starts at `at`, without its line end, and the start of the next line. The last line of a
    /// message that just stops ends with the message.
    #[inline]
    fn line(&mut self, at: usize) -> (usize, usize) {
        let mut from = at;
        while let Some(length) = memchr2(b'\r', b'\n', &self.bytes[from..]) {
            let end = from + length;
            let bare = self.bytes[end] == b'\n';
            if bare || self.bytes.get(end + 1) == Some(&b'\n') {
                if *self.bare.get_or_insert(bare) != bare {
                    self.note(ErrorKind::LineEnd, end);
                }
                return (end, if bare { end + 1 } else { end + 2 });
            }
            self.note(ErrorKind::LineEnd, end);
            from = end + 1;
        }
        (self.bytes.len(), self.bytes.len())
    }

    /// Reads the first line. An error means that there is nothing to salvage.
    fn start_line(&mut self) -> Result<(Start, usize), Fault> {
        let (end, next) = self.line(0);
        if end > MAX_START_LINE {
            self.note(ErrorKind::StartLineTooLong, MAX_START_LINE);
        }
        let text = &self.bytes[..end];
        let start = if text.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/")) {
            self.status_line(text)?
        } else {
            self.request_line(text)?
        };
        Ok((start, next))
    }

    fn status_line(&mut self, text: &[u8]) -> Result<Start, Fault> {
        let space = memchr(b' ', text).ok_or((ErrorKind::StartLine, 0))?;
        if !text[..space].eq_ignore_ascii_case(b"SIP/2.0") {
            self.note(ErrorKind::Version, 0);
        }
        let code_at = space + 1;
        let rest = &text[code_at..];
        let code_end = code_at + memchr(b' ', rest).unwrap_or(rest.len());
        let status = match decimal(&text[code_at..code_end]) {
            Some(code @ 100..=699) if code_end - code_at == 3 => code as u16,
            _ => {
                self.note(ErrorKind::StatusCode, code_at);
                0
            }
        };
        // The space before an empty reason phrase is mandatory in the grammar and missing in the field.
        let reason_at = (code_end + 1).min(text.len());
        Ok(Start::Response { status, reason: span(reason_at, text.len()) })
    }

    fn request_line(&mut self, text: &[u8]) -> Result<Start, Fault> {
        let method_end = memchr(b' ', text).ok_or((ErrorKind::StartLine, 0))?;
        let version_at = memchr::memrchr(b' ', text).ok_or((ErrorKind::StartLine, 0))? + 1;
        let version = &text[version_at..];
        if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            if version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/")) {
                self.note(ErrorKind::Version, version_at);
            } else if trim(version).is_empty() && memchr::memmem::find(text, b" SIP/").is_some() {
                // White space after the version: readable, and refused all the same.
                self.note(ErrorKind::StartLine, version_at);
            } else {
                return Err((ErrorKind::StartLine, version_at));
            }
        }
        let method = Method::from_bytes(&text[..method_end]).unwrap_or_else(|| {
            self.note(ErrorKind::Method, 0);
            Method::Other(Default::default())
        });
        let uri_at = method_end + 1;
        let uri_end = version_at - 1;
        if uri_end <= uri_at {
            // One space only: no Request-URI at all.
            self.note(ErrorKind::StartLine, uri_at.min(text.len()));
            return Ok(Start::Request { method, uri: span(method_end, method_end) });
        }
        if uri_end - uri_at > MAX_URI {
            self.note(ErrorKind::RequestUri(UriError::TooLong), uri_at);
        } else if text[uri_at..uri_end].iter().any(|b| is_ws(*b)) {
            self.note(ErrorKind::StartLine, uri_at);
        }
        Ok(Start::Request { method, uri: span(uri_at, uri_end) })
    }

    /// Indexes header lines from `at`. Returns them, the offset where they end, and the offset of the body.
    fn header_lines(&mut self, mut at: usize) -> (Headers, usize, usize) {
        let mut headers: Headers = SmallVec::new();
        let length = self.bytes.len();
        loop {
            if at >= length {
                self.note(ErrorKind::NoEndOfHeaders, length);
                return (headers, length, length);
            }
            let (mut end, mut next) = self.line(at);
            if end == at {
                return (headers, at, next);
            }
            // A line that starts with white space continues the one before (RFC 3261 7.3.1).
            while let Some(b' ' | b'\t') = self.bytes.get(next) {
                (end, next) = self.line(next);
            }
            if end - at > MAX_HEADER_LINE {
                self.note(ErrorKind::HeaderTooLong, at);
            } else if headers.len() == MAX_HEADERS {
                self.note(ErrorKind::TooManyHeaders, at);
                return (headers, at, length);
            } else if let Some(header) = header_line(self.bytes, at, end) {
                headers.push(header);
            } else {
                self.note(ErrorKind::HeaderLine, at);
            }
            at = next;
        }
    }
}

/// `name: value` between two offsets, with optional white space before the colon and around the value.
#[inline]
fn header_line(bytes: &[u8], at: usize, end: usize) -> Option<Hdr> {
    let text = &bytes[at..end];
    let name_length = text.iter().position(|b| !is_token(*b))?;
    let mut colon = name_length;
    while matches!(text.get(colon), Some(b' ' | b'\t')) {
        colon += 1;
    }
    if name_length == 0 || text.get(colon) != Some(&b':') {
        return None;
    }
    let mut from = colon + 1;
    let mut to = text.len();
    while from < to && is_ws(text[from]) {
        from += 1;
    }
    while to > from && is_ws(text[to - 1]) {
        to -= 1;
    }
    Some(Hdr {
        name: HeaderName::from_bytes(&text[..name_length]),
        at: offset(at),
        name_end: offset(at + name_length),
        value: span(at + from, at + to),
        end: offset(end),
    })
}

/// Cuts the body to Content-Length.
fn cut_body(message: &mut Message) -> Result<(), Fault> {
    let Some(promised) = content_length(message)? else {
        return Ok(());
    };
    if promised > message.body_length() {
        return Err((ErrorKind::BodyTooShort, message.as_bytes().len()));
    }
    message.truncate_body(promised);
    Ok(())
}

/// The one Content-Length of a message. Repeating the same number is harmless, contradicting it is not.
fn content_length(message: &Message) -> Result<Option<usize>, Fault> {
    let mut promised = None;
    for header in message.index().iter().filter(|h| h.name == HeaderName::ContentLength) {
        let at = usize::from(header.value.from);
        let refuse = |problem| (HeaderError::new(HeaderName::ContentLength, problem).into(), at);
        let length =
            decimal(message.slice(header.value)).ok_or_else(|| refuse(HeaderProblem::Malformed("not a number")))?;
        if promised.is_some_and(|first| first != length) {
            return Err(refuse(HeaderProblem::Repeated));
        }
        promised = Some(length);
    }
    // A number beyond usize is beyond every body as well.
    Ok(promised.map(|length| usize::try_from(length).unwrap_or(usize::MAX)))
}
