//! The native REST of the switch, at `/v1`: requests and answers as they are, without sockets.
//!
//! ```text
//!   Request ──▶ Desk ── a Route of ROUTES ── its scope, query and body ── what it does ──▶ Response
//!                 │                                        │
//!                 └─ Idempotency-Key: the same answer again └─ Command ──▶ 202 …, its end is an event
//! ```
//!
//! [`ROUTES`] is the one table: what is answered, who may ask, what the OpenAPI document says ([`openapi`]). One
//! resource, one file.

mod call_records;
mod calls;
mod carriers;
mod conference;
mod desk;
mod directory;
mod etag;
mod events;
mod health;
mod holds;
mod kept;
mod keypad;
mod keys;
mod known;
mod nodes;
mod openapi;
mod page;
mod play;
mod problem;
mod record;
mod recordings;
mod registrations;
mod reload;
mod route;
mod shape;
mod switch;
mod time;
mod totals;
mod transfers;
mod trunks;
mod webhook_of_call;
mod webhooks;

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::Value;

use crate::access::Grant;

pub use carriers::{Carried, GO_ON, carried};
pub use desk::{Admitted, CommandEnd, Config, Desk, DeskOutput, RequestId, admit};
pub use kept::{KeptRecording, RECORDINGS_FOUND};
pub use keys::{KEEP_KEYS, KeyName, MAX_KEY, StoredKey};
pub use known::{ENDED_KEPT, RECORDINGS_KEPT};
pub use openapi::openapi;
pub use problem::{CODES, Code, CodeRow, PROBLEM_TYPE, Problem};
pub use recordings::measured;
pub use reload::reload_answer;
pub use route::{
    AUDIO, Answer, EVENT_STREAM, MAX_BODY, MAX_SMALL_BODY, Method, ROUTES, Route, Routes, body_limit, is_of_listener,
};
pub use shape::{Field, Kind, Values};
pub use switch::{Binding, CallView, Health, LegView, Node, NodeLoad, OPENSIPS, SWITCH, Switch, Trunk};
pub use totals::{CommandTotals, Totals};
pub use webhook_of_call::webhook_wanted;

/// `Content-Type` of everything but problems.
pub const JSON: &str = "application/json";
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
    /// The webhook that the listener has taken on because the request names it ([`webhook_wanted`]), or why it has not.
    pub webhook: Option<Result<CompactString, Problem>>,
    /// Who carries it out.
    pub work: Work,
}

/// Who carries out a request. One desk keeps the idempotency keys of all of them, so that a key means one request whoever
/// carries it out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Work {
    /// The desk that it is handed to.
    #[default]
    Here,
    /// Another one: only its key is looked at. 100 says that it is new and may be carried out, which [`Work::Done`] has to
    /// follow; until then nobody else may use the key.
    Elsewhere,
    /// Another one, which has answered so: what succeeded is remembered under the key.
    Done(Box<Response>),
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
    /// A file that is sent in place of the body, or removed or measured before the answer is sent; and then the answer may be
    /// another one.
    pub file: Option<Box<FileWanted>>,
}

/// The file of a recording, and what is to be done to it. Nothing here touches a disk: whoever sends the answer does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileWanted {
    /// Where it lies, as whoever has written it has told, or below its folder of recordings.
    pub file: CompactString,
    /// How big it was made, in bytes; none where only the node knows, because the recording was interrupted.
    pub size: Option<u64>,
    /// The base URL of the media node that has written it; none where that was this process.
    pub node: Option<CompactString>,
    /// What is to be done to it.
    pub act: FileAct,
}

/// What is to be done to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileAct {
    /// It is the body, or the part of it is that the request asks for (RFC 9110 section 14).
    Send,
    /// It is removed. One that is not there is well.
    Remove,
    /// How big and how long it is goes into the body, as [`measured`] writes it, if whoever has the file says so.
    Measure,
}

impl Response {
    /// A document.
    #[must_use]
    pub fn json(status: u16, document: &Value) -> Self {
        // Its Display would go through a formatter, piece by piece.
        let body = serde_json::to_string(document).expect("names are texts, and a text takes whatever is written");
        Self { status, content_type: JSON, headers: Vec::new(), body, file: None }
    }

    /// Nothing to read.
    pub(super) const fn empty(status: u16) -> Self {
        Self { status, content_type: JSON, headers: Vec::new(), body: String::new(), file: None }
    }

    /// The same with one more header field.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
