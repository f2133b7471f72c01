//! Building messages, straight into the bytes that will be sent.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::message::Message;
use crate::method::Method;
use crate::name::HeaderName;
use crate::status::reason_phrase;

/// Room for an ordinary message, in bytes: most are built with one allocation.
const ROOM: usize = 1_536;

/// Builds one message. Headers go out in the order of the calls; Content-Length is computed.
///
/// A value can never break out of its line: a CR or LF that does not fold the line is written as a space.
///
/// ```
/// use hookswitch_sip_msg::{HeaderName, Method, Writer};
///
/// let mut request = Writer::request(&Method::Options, "sip:bob@example.test");
/// request.header(HeaderName::CallId, "a84b4c76e66710");
/// request.header_fmt(HeaderName::CSeq, format_args!("{} OPTIONS", 1));
/// let bytes = request.finish();
/// assert!(bytes.ends_with(b"Content-Length: 0\r\n\r\n"));
/// ```
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: Buffer<'b>,
    /// Set by [`Writer::body`]: nothing may follow.
    complete: bool,
}

#[derive(Debug)]
enum Buffer<'b> {
    Own(BytesMut),
    Shared(&'b mut BytesMut),
}

impl Buffer<'_> {
    fn get(&mut self) -> &mut BytesMut {
        match self {
            Buffer::Own(buffer) => buffer,
            Buffer::Shared(buffer) => buffer,
        }
    }
}

impl Writer<'static> {
    /// Starts a request in a buffer of its own.
    pub fn request(method: &Method, uri: impl AsRef<[u8]>) -> Writer<'static> {
        Writer::new(Buffer::Own(BytesMut::with_capacity(ROOM))).request_line(method, uri.as_ref())
    }

    /// Starts a response in a buffer of its own; an empty reason means the usual phrase.
    pub fn response(status: u16, reason: &str) -> Writer<'static> {
        Writer::new(Buffer::Own(BytesMut::with_capacity(ROOM))).status_line(status, reason)
    }
}

impl<'b> Writer<'b> {
    /// Starts a request in a buffer that serves many messages: each takes what it needs, and the buffer allocates only
    /// when it is used up. Whatever unfinished text it holds is dropped.
    pub fn request_in(buffer: &'b mut BytesMut, method: &Method, uri: impl AsRef<[u8]>) -> Writer<'b> {
        Writer::new(Buffer::Shared(buffer)).request_line(method, uri.as_ref())
    }

    /// Starts a response in a buffer that serves many messages; see [`Writer::request_in`].
    pub fn response_in(buffer: &'b mut BytesMut, status: u16, reason: &str) -> Writer<'b> {
        Writer::new(Buffer::Shared(buffer)).status_line(status, reason)
    }

    fn new(mut buffer: Buffer<'b>) -> Writer<'b> {
        let bytes = buffer.get();
        bytes.clear();
        bytes.reserve(ROOM);
        Writer { buffer, complete: false }
    }

    fn request_line(mut self, method: &Method, uri: &[u8]) -> Writer<'b> {
        self.put(method.as_str().as_bytes());
        self.put(b" ");
        self.put_value(uri);
        self.put(b" SIP/2.0\r\n");
        self
    }

    fn status_line(mut self, status: u16, reason: &str) -> Writer<'b> {
        let reason = if reason.is_empty() { reason_phrase(status) } else { reason };
        self.put(b"SIP/2.0 ");
        self.put_number(usize::from(status));
        self.put(b" ");
        self.put_value(reason.as_bytes());
        self.put(b"\r\n");
        self
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.buffer.get().put_slice(bytes);
    }

    fn put_number(&mut self, number: usize) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut left = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
    }

    /// Writes a value so that it stays in its line.
    pub(crate) fn put_value(&mut self, value: &[u8]) {
        let mut rest = value;
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            self.put(&rest[..at]);
            let fold = match &rest[at..] {
                [b'\r', b'\n', b' ' | b'\t', ..] => 3,
                _ => 1,
            };
            self.put(if fold == 3 { &rest[at..at + 3] } else { b" " });
            rest = &rest[at + fold..];
        }
        self.put(rest);
    }

    pub(crate) fn put_fmt(&mut self, value: fmt::Arguments<'_>) {
        // The only errors are those of Display implementations, and ours have none.
        let _ = fmt::Write::write_fmt(&mut ValueSink(self), value);
    }

    /// Starts a line. Headers behind the body are a mistake of the caller, not of the network.
    pub(crate) fn name(&mut self, name: &[u8]) {
        assert!(!self.complete, "headers come before the body");
        self.put_value(name);
        self.put(b": ");
    }

    /// Adds a header line. [`HeaderName::Other`] has no text of its own; use [`Writer::header_named`].
    pub fn header(&mut self, name: HeaderName, value: impl AsRef<[u8]>) -> &mut Writer<'b> {
        self.header_named(name.as_str(), value)
    }

    /// Adds a header line of any name.
    pub fn header_named(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Writer<'b> {
        self.name(name.as_ref());
        self.put_value(value.as_ref());
        self.put(b"\r\n");
        self
    }

    /// Adds a header line whose value is formatted in place: `header_fmt(HeaderName::CSeq, format_args!("{n} BYE"))`.
    pub fn header_fmt(&mut self, name: HeaderName, value: fmt::Arguments<'_>) -> &mut Writer<'b> {
        self.name(name.as_str().as_bytes());
        self.put_fmt(value);
        self.put(b"\r\n");
        self
    }

    /// Adds a line as it is, without its line end.
    pub fn raw_line(&mut self, line: impl AsRef<[u8]>) -> &mut Writer<'b> {
        assert!(!self.complete, "headers come before the body");
        self.put_value(line.as_ref());
        self.put(b"\r\n");
        self
    }

    /// Copies all lines of that header as they were written, name and folding included.
    pub fn copy(&mut self, from: &Message, name: HeaderName) -> &mut Writer<'b> {
        for (_, line) in from.lines().filter(|(n, _)| *n == name) {
            self.raw_line(line);
        }
        self
    }

    /// Copies all lines whose header passes the test, in their order. Content-Length never passes: it is computed.
    pub fn copy_where(&mut self, from: &Message, mut wanted: impl FnMut(HeaderName) -> bool) -> &mut Writer<'b> {
        for (name, line) in from.lines() {
            if name != HeaderName::ContentLength && wanted(name) {
                self.raw_line(line);
            }
        }
        self
    }

    /// Adds Content-Type (unless empty, for when it has been copied), Content-Length, the empty line and the body.
    /// Only [`Writer::finish`] may follow.
    pub fn body(&mut self, content_type: &str, body: &[u8]) -> &mut Writer<'b> {
        if !content_type.is_empty() {
            self.header(HeaderName::ContentType, content_type);
        }
        self.name(HeaderName::ContentLength.as_str().as_bytes());
        self.put_number(body.len());
        self.put(b"\r\n\r\n");
        self.put(body);
        self.complete = true;
        self
    }

    /// Bytes written so far.
    pub fn written(&mut self) -> usize {
        self.buffer.get().len()
    }

    /// The message; without a body it ends with `Content-Length: 0`.
    pub fn finish(mut self) -> Bytes {
        if !self.complete {
            self.body("", &[]);
        }
        self.buffer.get().split().freeze()
    }
}

/// Keeps formatted text within its line.
struct ValueSink<'w, 'b>(&'w mut Writer<'b>);

impl fmt::Write for ValueSink<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put_value(text.as_bytes());
        Ok(())
    }
}
