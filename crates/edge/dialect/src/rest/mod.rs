//! The native REST of the switch, at `/v1`: requests and answers as they are, without sockets.

use std::sync::Arc;

use compact_str::CompactString;

use crate::access::Grant;

/// One request, of which the body has been read and the sender is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: CompactString,
    /// The path without query, percent-encoded as received.
    pub path: String,
    /// The query without `?`, percent-encoded as received.
    pub query: Option<String>,
    /// The header fields that matter here, where they were sent.
    pub headers: Headers,
    /// The whole body.
    pub body: Vec<u8>,
    /// Who asks, and what it may.
    pub grant: Arc<Grant>,
}

/// The header fields of a request that matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Headers {
    /// `Content-Type`.
    pub content_type: Option<CompactString>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<CompactString>,
    /// `If-Match` (RFC 9110 section 13.1.1).
    pub if_match: Option<CompactString>,
    /// `If-None-Match` (RFC 9110 section 13.1.2).
    pub if_none_match: Option<CompactString>,
}

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// `Content-Type`; of no meaning where there is no body.
    pub content_type: &'static str,
    /// Other header fields: names in lower case, values in ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}
