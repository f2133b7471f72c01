//! What can be wrong with a message, and the status that says so to its sender.

use std::fmt;

use crate::limits::{MAX_HEADER_LINE, MAX_HEADERS, MAX_MESSAGE, MAX_METHOD, MAX_START_LINE, MAX_URI};
use crate::message::Message;
use crate::name::HeaderName;
use crate::status::reason_phrase;

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing but line ends: a keep-alive (RFC 5626 4.4.1), to be ignored rather than answered.
    #[error("nothing but line ends")]
    Empty,
    /// More than [`MAX_MESSAGE`] bytes.
    #[error("message is longer than {MAX_MESSAGE} bytes")]
    TooLarge,
    /// The first line is neither a request line nor a status line.
    #[error("first line is neither a request line nor a status line")]
    StartLine,
    /// The first line is longer than [`MAX_START_LINE`] bytes.
    #[error("first line is longer than {MAX_START_LINE} bytes")]
    StartLineTooLong,
    /// The method is no token or longer than [`MAX_METHOD`].
    #[error("method is no token of at most {MAX_METHOD} bytes")]
    Method,
    /// A SIP version other than 2.0.
    #[error("SIP version is not 2.0")]
    Version,
    /// The status code is not three digits from 100 to 699.
    #[error("status code is not between 100 and 699")]
    StatusCode,
    /// The Request-URI is not acceptable.
    #[error("Request-URI: {0}")]
    RequestUri(UriError),
    /// More than [`MAX_HEADERS`] header lines.
    #[error("more than {MAX_HEADERS} header lines")]
    TooManyHeaders,
    /// A header line of more than [`MAX_HEADER_LINE`] bytes.
    #[error("header line is longer than {MAX_HEADER_LINE} bytes")]
    HeaderTooLong,
    /// A line that is no header: no colon, or a name that is no token.
    #[error("line is no header: a name and a colon are expected")]
    HeaderLine,
    /// Lines end now with CRLF, now with LF, or a CR stands alone.
    #[error("line ends are mixed")]
    LineEnd,
    /// The empty line after the headers is missing.
    #[error("headers do not end with an empty line")]
    NoEndOfHeaders,
    /// Content-Length promises more body than has arrived.
    #[error("Content-Length is larger than the body")]
    BodyTooShort,
    /// One header is missing, repeated or malformed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// CSeq names another method than the request line.
    #[error("CSeq names another method than the request line")]
    CSeqMethod,
}

impl ErrorKind {
    /// The status code a server answers this with.
    pub fn status(&self) -> u16 {
        match self {
            ErrorKind::Version => 505,
            ErrorKind::TooLarge | ErrorKind::TooManyHeaders | ErrorKind::HeaderTooLong => 513,
            ErrorKind::StartLineTooLong | ErrorKind::RequestUri(UriError::TooLong) => 414,
            ErrorKind::Empty
            | ErrorKind::StartLine
            | ErrorKind::Method
            | ErrorKind::StatusCode
            | ErrorKind::RequestUri(_)
            | ErrorKind::HeaderLine
            | ErrorKind::LineEnd
            | ErrorKind::NoEndOfHeaders
            | ErrorKind::BodyTooShort
            | ErrorKind::Header(_)
            | ErrorKind::CSeqMethod => 400,
        }
    }
}

/// A refused message: what is wrong, where, and what could be read of it nevertheless.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{kind} (at byte {offset})")]
pub struct ParseError {
    kind: ErrorKind,
    offset: usize,
    salvage: Option<Box<Message>>,
}

impl ParseError {
    pub(crate) fn new(kind: ErrorKind, offset: usize) -> ParseError {
        ParseError { kind, offset, salvage: None }
    }

    pub(crate) fn with_salvage(mut self, message: Message) -> ParseError {
        self.salvage = Some(Box::new(message));
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Byte offset of the defect; 0 where there is no single place, as with a missing header.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The status code this error deserves. An answer goes to requests only, and never to an ACK.
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// Reason phrase for the status line: for 400 it names the defect (RFC 3261 21.4.1), else it is the usual phrase.
    pub fn reason(&self) -> String {
        match self.status() {
            400 => format!("Bad Request - {}", self.kind),
            other => reason_phrase(other).to_owned(),
        }
    }

    /// What could be read, so that [`response_to`](crate::response_to) can carry the refusal. `None` when the message
    /// had no readable request or status line, or when the error comes from [`Message::validate`], whose caller has
    /// the message already.
    pub fn salvage(&self) -> Option<&Message> {
        self.salvage.as_deref()
    }

    /// The salvaged message itself.
    pub fn into_salvage(self) -> Option<Message> {
        self.salvage.map(|message| *message)
    }
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParseError")
            .field("kind", &self.kind)
            .field("offset", &self.offset)
            .field("salvaged", &self.salvage.is_some())
            .finish()
    }
}

impl From<HeaderError> for ParseError {
    fn from(error: HeaderError) -> ParseError {
        ParseError::new(ErrorKind::Header(error), 0)
    }
}

/// What is wrong with one header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {problem}")]
pub struct HeaderError {
    /// Which header.
    pub header: HeaderName,
    /// What about it.
    pub problem: HeaderProblem,
}

impl HeaderError {
    pub(crate) fn new(header: HeaderName, problem: HeaderProblem) -> HeaderError {
        HeaderError { header, problem }
    }

    pub(crate) fn malformed(header: HeaderName, what: &'static str) -> HeaderError {
        HeaderError::new(header, HeaderProblem::Malformed(what))
    }

    /// The status code a server answers this with.
    pub fn status(&self) -> u16 {
        400
    }
}

/// Kinds of header defects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// A mandatory header is not there.
    #[error("missing")]
    Missing,
    /// A header that must be unique is there more than once.
    #[error("more than one")]
    Repeated,
    /// The value does not follow the grammar.
    #[error("{0}")]
    Malformed(&'static str),
    /// A number is outside its range.
    #[error("number out of range")]
    OutOfRange,
    /// The value must be UTF-8 and is not.
    #[error("not UTF-8")]
    NotUtf8,
    /// The URI in the value is not acceptable.
    #[error("{0}")]
    Uri(UriError),
}

/// What is wrong with a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Longer than [`MAX_URI`].
    #[error("URI is longer than {MAX_URI} bytes")]
    TooLong,
    /// Bytes that are not UTF-8.
    #[error("URI is not UTF-8")]
    NotUtf8,
    /// No `scheme:` in front.
    #[error("URI has no scheme")]
    Scheme,
    /// White space, control characters, quotes or angle brackets inside.
    #[error("URI holds a character that must be escaped")]
    Character,
    /// No or no valid host.
    #[error("URI has no valid host")]
    Host,
    /// Port is not a number from 0 to 65535.
    #[error("URI has no valid port")]
    Port,
    /// Header components behind `?` where they are not allowed, as in a Request-URI (RFC 3261 19.1.1).
    #[error("URI carries header components")]
    Headers,
    /// A `tel:` URI without a number.
    #[error("tel URI has no number")]
    Number,
}
