//! What the web has for the loop behind it, whichever loop that is.

use std::collections::HashMap;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_dialect::call_api::{Admission, LogLost, LogOrder, Tag};
use hookswitch_dialect::rest;
use hookswitch_shard::SessionId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::outbox::Outbox;
use super::status::StatusReport;
use crate::inbox::Inbox;

/// Close code for a session that does not read (RFC 6455 section 7.4.1: a policy is violated).
const POLICY_VIOLATION: u16 = 1008;

/// News from the web.
pub(crate) enum WebMessage {
    /// An application has connected.
    Opened { session: SessionId, admission: Admission, outbox: Outbox },
    /// An application says something. The permit is its place in the queue.
    Text { session: SessionId, text: String, place: OwnedSemaphorePermit },
    /// An application has gone.
    Closed(SessionId),
    /// The log that an application wants to be told of is not there.
    LogLost { tag: Tag, lost: LogLost },
    /// An HTTP request that the web does not answer by itself.
    Http(Asked),
    /// A request for a media channel.
    Channel(Asked),
    /// A node tells something.
    Node(Asked),
    /// A request of the native REST, whose sender is known.
    Rest { request: Box<rest::Request>, reply: oneshot::Sender<HttpAnswer> },
    /// Somebody wants to know how the loop is.
    Status { reply: oneshot::Sender<StatusReport> },
}

/// A request over HTTP, read to its end, of whose sender nothing is known.
pub(crate) struct Asked {
    pub(crate) method: CompactString,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) reply: oneshot::Sender<HttpAnswer>,
}

/// The queue of a loop that takes news from the web.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Adds a message; the queue may be full.
    fn push(&self, message: WebMessage) -> Result<(), Full>;

    /// Adds a message whatever the limit: the end of what had its place in the queue.
    fn push_always(&self, message: WebMessage);
}

/// The queue of a loop is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full;

impl<T: From<WebMessage> + Send + 'static> Sink for Inbox<T> {
    fn push(&self, message: WebMessage) -> Result<(), Full> {
        Self::push(self, message.into()).map_err(|_| Full)
    }

    fn push_always(&self, message: WebMessage) {
        Self::push_always(self, message.into());
    }
}

/// An answer to an HTTP request.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// Other header fields: names in lower case, values in ASCII.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// A file that is sent in place of the body, or removed before.
    pub(crate) file: Option<Box<rest::FileWanted>>,
}

impl From<rest::Response> for HttpAnswer {
    fn from(response: rest::Response) -> Self {
        let rest::Response { status, content_type, headers, body, file } = response;
        Self { status, content_type, headers, body: body.into(), file }
    }
}

impl From<HttpAnswer> for rest::Response {
    fn from(answer: HttpAnswer) -> Self {
        let HttpAnswer { status, content_type, headers, body, file } = answer;
        Self { status, content_type, headers, body: String::from_utf8_lossy(&body).into_owned(), file }
    }
}

impl HttpAnswer {
    pub(crate) fn plain(status: u16, text: &'static str) -> Self {
        let body = Bytes::from_static(text.as_bytes());
        Self { status, content_type: "text/plain; charset=utf-8", headers: Vec::new(), body, file: None }
    }
}

/// The outboxes of all sessions, at the loop's end.
#[derive(Default)]
pub(crate) struct Outboxes(HashMap<SessionId, Outbox>);

impl Outboxes {
    pub(crate) fn open(&mut self, session: SessionId, outbox: Outbox) {
        self.0.insert(session, outbox);
    }

    pub(crate) fn closed(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// Says something to an application; one that does not read loses its connection.
    pub(crate) fn say(&mut self, session: SessionId, text: String) {
        if self.0.get(&session).is_some_and(|outbox| outbox.push(text).is_err()) {
            self.does_not_read(session);
        }
    }

    /// Has an application told of the log of events, or no longer.
    pub(crate) fn log(&mut self, session: SessionId, order: LogOrder) {
        if self.0.get(&session).is_some_and(|outbox| outbox.log(order).is_err()) {
            self.does_not_read(session);
        }
    }

    fn does_not_read(&mut self, session: SessionId) {
        tracing::warn!(session = session.0, "an application does not read and is disconnected");
        if let Some(outbox) = self.0.remove(&session) {
            outbox.abort(POLICY_VIOLATION);
        }
    }

    /// Closes the connection of an application after what was said before.
    pub(crate) fn dismiss(&mut self, session: SessionId, code: u16) {
        if let Some(outbox) = self.0.remove(&session) {
            outbox.close(code);
        }
    }
}
