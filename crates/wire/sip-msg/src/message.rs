//! A message: shared bytes and an index of spans into them.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::method::Method;
use crate::name::HeaderName;
use crate::scan::{ListMembers, list_members};

/// A range of bytes of the message; 16 bits are enough because of [`MAX_MESSAGE`](crate::MAX_MESSAGE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u16,
    pub(crate) to: u16,
}

/// One header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hdr {
    pub(crate) name: HeaderName,
    /// Start of the line, and of the name.
    pub(crate) at: u16,
    pub(crate) name_end: u16,
    /// The value without white space around it; a folded value keeps its line ends inside.
    pub(crate) value: Span,
    /// End of the line with its continuations, without the line end.
    pub(crate) end: u16,
}

/// Ordinary messages have some twenty headers; more than 32 move the index to the heap.
pub(crate) type Headers = SmallVec<[Hdr; 32]>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    Request { method: Method, uri: Span },
    Response { status: u16, reason: Span },
}

/// A SIP message, indexed but not interpreted. Cloning shares the bytes.
pub struct Message {
    bytes: Bytes,
    start: Start,
    headers: Headers,
    head_end: u16,
    body_at: u16,
    body_end: u16,
}

impl Message {
    pub(crate) fn from_parts(bytes: Bytes, start: Start, headers: Headers, head_end: usize, body_at: usize) -> Message {
        // The parser checked the length before it handed out offsets.
        let body_end = bytes.len() as u16;
        Message { bytes, start, headers, head_end: head_end as u16, body_at: body_at as u16, body_end }
    }

    pub(crate) fn index(&self) -> &[Hdr] {
        &self.headers
    }

    pub(crate) fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[usize::from(span.from)..usize::from(span.to)]
    }

    pub(crate) fn body_length(&self) -> usize {
        usize::from(self.body_end - self.body_at)
    }

    pub(crate) fn truncate_body(&mut self, length: usize) {
        if length < self.body_length() {
            let end = usize::from(self.body_at) + length;
            self.bytes.truncate(end);
            self.body_end = end as u16;
        }
    }

    /// The message as it arrived, from the first letter of the start line to the end of the body.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// True for a response.
    pub fn is_response(&self) -> bool {
        matches!(self.start, Start::Response { .. })
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The Request-URI of a request; `None` for a response and for bytes that are not UTF-8.
    pub fn request_uri(&self) -> Option<&str> {
        std::str::from_utf8(self.request_uri_bytes()?).ok()
    }

    /// The Request-URI of a request, whatever its bytes are.
    pub fn request_uri_bytes(&self) -> Option<&[u8]> {
        match &self.start {
            Start::Request { uri, .. } => Some(self.slice(*uri)),
            Start::Response { .. } => None,
        }
    }

    /// The status code of a response, 100 to 699 (0 in a message salvaged from a bad status line).
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase of a response, as written; empty for a request.
    pub fn reason(&self) -> &[u8] {
        match self.start {
            Start::Request { .. } => &[],
            Start::Response { reason, .. } => self.slice(reason),
        }
    }

    /// The start line, without its line end.
    pub fn start_line(&self) -> &[u8] {
        let end = self.headers.first().map_or(self.head_end, |first| first.at);
        crate::scan::trim(&self.bytes[..usize::from(end)])
    }

    /// Value of the first line of that header, white space around it removed; a folded value keeps its line ends.
    pub fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.headers(name).next()
    }

    /// Like [`Message::header`], for values that are UTF-8.
    pub fn header_str(&self, name: HeaderName) -> Option<&str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// Values of all lines of that header, one per line.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |h| h.name == name).map(|h| self.slice(h.value))
    }

    /// Members of that header over all its lines: comma-separated where the header is a list, one per line otherwise
    /// ([`HeaderName::is_list`]).
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.headers(name).flat_map(move |value| {
            if name.is_list() { Members::List(list_members(value)) } else { Members::One(Some(value)) }
        })
    }

    /// True when a list header such as Supported or Allow has that token, compared without case.
    pub fn has_token(&self, name: HeaderName, token: &str) -> bool {
        self.values(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// How many lines of that header there are.
    pub fn count(&self, name: HeaderName) -> usize {
        self.headers(name).count()
    }

    /// Values of all lines of the header of that long or compact name, known or not, one per line.
    pub fn header_by_name<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let known = HeaderName::from_bytes(name.as_bytes());
        self.headers
            .iter()
            .filter(move |h| {
                h.name == known && (known != HeaderName::Other || self.name_of(h).eq_ignore_ascii_case(name.as_bytes()))
            })
            .map(|h| self.slice(h.value))
    }

    /// All header lines in order: name, name as written, value.
    pub fn all_headers(&self) -> impl Iterator<Item = (HeaderName, &[u8], &[u8])> {
        self.headers.iter().map(|h| (h.name, self.name_of(h), self.slice(h.value)))
    }

    /// All header lines in order as they were written, continuations included, without the line end.
    pub fn lines(&self) -> impl Iterator<Item = (HeaderName, &[u8])> {
        self.headers.iter().map(|h| (h.name, self.slice(Span { from: h.at, to: h.end })))
    }

    fn name_of(&self, header: &Hdr) -> &[u8] {
        self.slice(Span { from: header.at, to: header.name_end })
    }

    /// The body; shares the bytes of the message.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(usize::from(self.body_at)..usize::from(self.body_end))
    }

    /// The body, borrowed.
    pub fn body_bytes(&self) -> &[u8] {
        self.slice(Span { from: self.body_at, to: self.body_end })
    }
}

enum Members<'a> {
    List(ListMembers<'a>),
    One(Option<&'a [u8]>),
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Members::List(members) => members.next(),
            Members::One(value) => value.take(),
        }
    }
}

impl Clone for Message {
    fn clone(&self) -> Message {
        Message {
            bytes: self.bytes.clone(),
            start: self.start.clone(),
            // One copy of the inline block, not one push per header.
            headers: SmallVec::from_slice(&self.headers),
            head_end: self.head_end,
            body_at: self.body_at,
            body_end: self.body_end,
        }
    }
}

impl PartialEq for Message {
    /// Messages are equal when their bytes are.
    fn eq(&self, other: &Message) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    /// The start line only: headers hold addresses and credentials, which have no place in a log by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.start {
            Start::Request { method, .. } => format!("{method} request"),
            Start::Response { status, .. } => format!("{status} response"),
        };
        f.debug_struct("Message")
            .field("start", &what)
            .field("headers", &self.headers.len())
            .field("body", &self.body_length())
            .finish()
    }
}

impl Serialize for Message {
    /// A message is stored as its bytes.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Message, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        Message::parse(bytes.into()).map_err(serde::de::Error::custom)
    }
}
