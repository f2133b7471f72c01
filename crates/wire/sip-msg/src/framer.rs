//! Cutting a byte stream into messages (RFC 3261 18.3, RFC 5626 4.4.1).

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use crate::limits::{MAX_HEADER_LINE, MAX_MESSAGE, MAX_START_LINE, MAX_STREAM_BUFFER};
use crate::name::HeaderName;
use crate::scan::{decimal, is_token, trim};

/// What a stream brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, for [`Message::parse`](crate::Message::parse).
    Message(Bytes),
    /// Line ends between messages.
    KeepAlive(KeepAlive),
}

/// Keep-alives of RFC 5626 4.4.1. A client sends two line ends, a server answers with one.
///
/// A lone line end cannot be told from the first half of a ping until more arrives, so a ping is reported as a pong
/// followed by a ping. Whoever sent no ping ignores pongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Two line ends in a row: answer with one.
    Ping,
    /// One line end.
    Pong,
}

/// A stream that cannot be read any further. The connection must be closed, because nobody knows where the next message
/// would start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct FramingError {
    /// What is wrong.
    pub problem: FramingProblem,
    /// Start line and headers, where they had been read: enough to send a refusal before closing.
    pub head: Option<Bytes>,
}

/// Why a stream cannot be cut into messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingProblem {
    /// The bytes are no SIP: another protocol, TLS to a plain port, or noise.
    #[error("stream does not start with a SIP message")]
    NotSip,
    /// The first line is longer than [`MAX_START_LINE`].
    #[error("first line is longer than {MAX_START_LINE} bytes")]
    StartLineTooLong,
    /// No Content-Length: the end of the message cannot be known (RFC 3261 18.3).
    #[error("Content-Length is missing")]
    NoContentLength,
    /// A Content-Length that is no number, or two that differ.
    #[error("Content-Length is malformed or contradicts another")]
    BadContentLength,
    /// Headers and body together are longer than [`MAX_MESSAGE`].
    #[error("message is longer than {MAX_MESSAGE} bytes")]
    TooLarge,
    /// The owner pushed on without taking frames out, beyond [`MAX_STREAM_BUFFER`].
    #[error("more than {MAX_STREAM_BUFFER} bytes wait to be read")]
    Overflow,
}

impl FramingProblem {
    /// The status for a refusal before closing.
    pub fn status(self) -> u16 {
        match self {
            FramingProblem::TooLarge | FramingProblem::Overflow => 513,
            FramingProblem::StartLineTooLong => 414,
            FramingProblem::NotSip | FramingProblem::NoContentLength | FramingProblem::BadContentLength => 400,
        }
    }
}

/// ```text
///            first byte of a line end                 byte of a message
///  Between ───────────────────────────▶ KeepAlive     ──────────────────▶ Head
///     ▲                                                                    │ empty line
///     │                                                                    ▼
///     └──────────────── Content-Length bytes have arrived ◀────────────── Body
///  any ── problem ──▶ Broken (for good)
/// ```
#[derive(Debug)]
enum State {
    /// Awaits the first byte of a message; true after an odd number of line ends.
    Between { half_ping: bool },
    /// Awaits the empty line; everything before this offset has been searched.
    Head { searched: usize },
    /// Awaits the rest of a message of this length.
    Body { length: usize },
    /// Awaits being closed.
    Broken(FramingError),
}

/// Cuts a stream into frames, whatever the pieces it arrives in.
///
/// Push what was read, then call [`next`](StreamFramer::next) until it has nothing more.
#[derive(Debug)]
pub struct StreamFramer {
    buffer: BytesMut,
    state: State,
}

impl Default for StreamFramer {
    fn default() -> StreamFramer {
        StreamFramer::new()
    }
}

impl StreamFramer {
    /// An empty stream.
    pub fn new() -> StreamFramer {
        StreamFramer { buffer: BytesMut::new(), state: State::Between { half_ping: false } }
    }

    /// Takes what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Broken(_)) {
            return;
        }
        if self.buffer.len() + bytes.len() > MAX_STREAM_BUFFER {
            self.state = State::Broken(FramingError { problem: FramingProblem::Overflow, head: None });
            self.buffer = BytesMut::new();
            return;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait for more: a stream that ends with some has been cut off.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// The stream cannot be read any further. The same error comes back on every call.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends is not over here: more may be pushed")]
    pub fn next(&mut self) -> Result<Option<Frame>, FramingError> {
        match self.step() {
            Ok(frame) => Ok(frame),
            Err(error) => {
                self.buffer = BytesMut::new();
                self.state = State::Broken(error.clone());
                Err(error)
            }
        }
    }

    fn step(&mut self) -> Result<Option<Frame>, FramingError> {
        loop {
            match &self.state {
                State::Broken(error) => return Err(error.clone()),
                State::Between { half_ping } => {
                    let half_ping = *half_ping;
                    match self.buffer.first() {
                        None => return Ok(None),
                        Some(b'\r' | b'\n') => return self.keep_alive(half_ping),
                        Some(byte) if is_token(*byte) => self.state = State::Head { searched: 0 },
                        Some(_) => return Err(refuse(FramingProblem::NotSip, None)),
                    }
                }
                State::Head { searched } => {
                    let searched = *searched;
                    if !self.head(searched)? {
                        return Ok(None);
                    }
                }
                State::Body { length } if self.buffer.len() < *length => return Ok(None),
                State::Body { length } => {
                    let message = self.buffer.split_to(*length).freeze();
                    self.state = State::Between { half_ping: false };
                    return Ok(Some(Frame::Message(message)));
                }
            }
        }
    }

    /// The buffer starts with CR or LF.
    fn keep_alive(&mut self, half_ping: bool) -> Result<Option<Frame>, FramingError> {
        let length = match &self.buffer[..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            [b'\r'] => return Ok(None),
            _ => return Err(refuse(FramingProblem::NotSip, None)),
        };
        self.buffer.advance(length);
        self.state = State::Between { half_ping: !half_ping };
        Ok(Some(Frame::KeepAlive(if half_ping { KeepAlive::Ping } else { KeepAlive::Pong })))
    }

    /// Looks for the end of the headers; true when it has been found.
    fn head(&mut self, searched: usize) -> Result<bool, FramingError> {
        let Some(head) = head_end(&self.buffer, searched)? else {
            if self.buffer.len() > MAX_MESSAGE {
                return Err(refuse(FramingProblem::TooLarge, None));
            }
            // A line end and the CR of an empty line may be the last two bytes: look at them again.
            self.state = State::Head { searched: self.buffer.len().saturating_sub(2) };
            return Ok(false);
        };
        if head > MAX_MESSAGE {
            return Err(refuse(FramingProblem::TooLarge, None));
        }
        let length = match content_length(&self.buffer[..head]) {
            Ok(Some(body)) => body.saturating_add(head),
            Ok(None) => {
                return Err(refuse(FramingProblem::NoContentLength, Some(self.take(head))));
            }
            Err(problem) => return Err(refuse(problem, Some(self.take(head)))),
        };
        if length > MAX_MESSAGE {
            return Err(refuse(FramingProblem::TooLarge, Some(self.take(head))));
        }
        self.state = State::Body { length };
        Ok(true)
    }

    fn take(&mut self, head: usize) -> Bytes {
        self.buffer.split_to(head).freeze()
    }
}

fn refuse(problem: FramingProblem, head: Option<Bytes>) -> FramingError {
    FramingError { problem, head }
}

/// Offset behind the empty line that ends the headers. Only what stands at `from` and behind it is searched; the first
/// line is checked once it is complete.
fn head_end(bytes: &[u8], from: usize) -> Result<Option<usize>, FramingError> {
    let mut at = from;
    while let Some(length) = memchr(b'\n', &bytes[at..]) {
        let newline = at + length;
        let is_first = memchr(b'\n', &bytes[..newline]).is_none();
        if is_first {
            check_start_line(&bytes[..newline])?;
        }
        match &bytes[newline + 1..] {
            [b'\n', ..] => return Ok(Some(newline + 2)),
            [b'\r', b'\n', ..] => return Ok(Some(newline + 3)),
            _ => at = newline + 1,
        }
    }
    if memchr(b'\n', bytes).is_none() && bytes.len() > MAX_START_LINE {
        return Err(refuse(FramingProblem::StartLineTooLong, None));
    }
    Ok(None)
}

/// The first line must name SIP at one of its ends.
fn check_start_line(line: &[u8]) -> Result<(), FramingError> {
    if line.len() > MAX_START_LINE {
        return Err(refuse(FramingProblem::StartLineTooLong, None));
    }
    let line = trim(line);
    let version_at = memchr::memrchr(b' ', line).map_or(0, |space| space + 1);
    let is_sip = |text: &[u8]| text.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/"));
    if is_sip(line) || is_sip(&line[version_at..]) { Ok(()) } else { Err(refuse(FramingProblem::NotSip, None)) }
}

/// The one Content-Length among the headers. Folded values are too rare to be worth following: the number stands on the
/// first line or on none.
fn content_length(head: &[u8]) -> Result<Option<usize>, FramingProblem> {
    let mut found = None;
    for line in head.split(|b| *b == b'\n').skip(1) {
        let Some(b'c' | b'C' | b'l' | b'L') = line.first() else {
            continue;
        };
        let Some(colon) = memchr(b':', line.get(..MAX_HEADER_LINE.min(line.len())).unwrap_or_default()) else {
            continue;
        };
        if HeaderName::from_bytes(trim(&line[..colon])) != HeaderName::ContentLength {
            continue;
        }
        let length = decimal(trim(&line[colon + 1..]))
            .and_then(|n| usize::try_from(n).ok())
            .ok_or(FramingProblem::BadContentLength)?;
        if found.is_some_and(|first| first != length) {
            return Err(FramingProblem::BadContentLength);
        }
        found = Some(length);
    }
    Ok(found)
}
