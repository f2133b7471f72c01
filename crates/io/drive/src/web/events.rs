//! `GET /v1/events`: the log of events for whoever may read it, as a WebSocket, as Server-Sent Events, or page by page.
//!
//! ```text
//!   request ─▶ query: after, call, type, domain ─▶ Upgrade: websocket ────▶ one event a message, pings
//!                 │ 422                            Accept: text/event-stream ▶ one event a block, comments
//!                 ▼                                else ────────────────────▶ a page of JSON
//!              410 where `after` is not in the log any more
//! ```
//!
//! Whoever reads slowly slows down nobody: a connection pulls from the log when it has sent what it had.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::unfold;
use futures_util::{SinkExt as _, StreamExt as _};
use hookswitch_dialect::access::Grant;
use hookswitch_dialect::journal::{
    BadQuery, EventId, EventQuery, Filter, KINDS, Logged, asyncapi, event_id, event_schema,
};
use hookswitch_dialect::rest::{self, Code, EVENT_STREAM};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval_at, timeout};

use super::http::respond;
use crate::journal::{Expired, JournalHandle, Reader};

/// Readers at once by default, WebSockets and Server-Sent Events together.
pub const MAX_EVENT_READERS: usize = 1_200;

/// The subprotocol of events: for browsers, which have to name one beside their token.
pub const SUBPROTOCOL_EVENTS: &str = "events";

/// After so long without an event a comment is sent, so that whoever is in between sees that the connection lives.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// Time between two pings of a WebSocket; a reader that answers none in between is gone.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long a reader may take nothing of what is sent to it.
const STALL: Duration = Duration::from_secs(60);

/// How soon a browser comes back that has lost its connection.
const RETRY: &str = "retry: 1000\n\n";

/// The name of the header field with which a browser comes back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Longest message from a reader, in bytes: there is nothing for it to say. It is also what is read at once: the library
/// holds so much for each reader, 128 KiB if not told, and clears it whenever it looks whether something has come.
const MAX_SAID: usize = 1_024;

/// Seconds after which a reader that found no place may come again.
const READERS_AGAIN: u64 = 5;

/// Close codes: those of RFC 6455 section 7.4.1, and one of ours.
mod code {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const UNSUPPORTED: u16 = 1003;
    pub(super) const POLICY: u16 = 1008;
    /// The reader's place is not in the log any more; the reason has the oldest event there is.
    pub(super) const EXPIRED: u16 = 4410;
}

/// What all readers have in common.
#[derive(Clone)]
struct Door {
    journal: JournalHandle,
    places: Arc<Semaphore>,
}

/// Events and what describes them, for at most so many readers at once. Every request carries the [`Grant`] of who asks,
/// which may read.
pub(crate) fn router(journal: JournalHandle, max_readers: usize) -> Router {
    let door = Door { journal, places: Arc::new(Semaphore::new(max_readers.min(Semaphore::MAX_PERMITS))) };
    let other = || async { Problem::Method };
    Router::new()
        .route("/v1/events", get(events).fallback(other))
        .route("/v1/events/{id}", get(event).fallback(other))
        .route("/v1/asyncapi.json", get(|| async { document(&asyncapi().to_string()) }).fallback(other))
        .route("/v1/schemas/{type}", get(schema).fallback(other))
        .with_state(door)
}

type Handshake = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn events(
    State(door): State<Door>,
    Extension(grant): Extension<Arc<Grant>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Handshake,
) -> Response {
    let answered = answer(door, &grant, query.as_deref(), &headers, upgrade).await;
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    door: Door,
    grant: &Grant,
    query: Option<&str>,
    headers: &HeaderMap,
    upgrade: Handshake,
) -> Result<Response, Problem> {
    let mut query = EventQuery::read(query, grant)?;
    let is_socket = headers.contains_key(header::UPGRADE);
    let is_stream = !is_socket && accepts_stream(headers);
    if let (true, Some(seen)) = (is_stream, headers.get(LAST_EVENT_ID)) {
        // What has come since the address was written counts more than the address.
        query.after = Some(event_id("Last-Event-ID", &String::from_utf8_lossy(seen.as_bytes()))?);
    }
    if !is_socket && !is_stream {
        return page(&door.journal, query).await;
    }
    let upgrade = match (is_socket, upgrade) {
        (false, _) => None,
        (true, Ok(upgrade)) => {
            let upgrade = upgrade.max_message_size(MAX_SAID).max_frame_size(MAX_SAID).read_buffer_size(MAX_SAID);
            // A browser that shows its token as a subprotocol has to name one more, and be answered with it.
            Some(upgrade.protocols([SUBPROTOCOL_EVENTS]))
        }
        (true, Err(_)) => return Err(Problem::Handshake),
    };
    let place = Arc::clone(&door.places).try_acquire_owned().map_err(|_| Problem::TooManyReaders)?;
    let reader = door.journal.reader(query.after, query.filter);
    reader.check()?;
    Ok(match upgrade {
        Some(upgrade) => upgrade.on_upgrade(move |socket| serve(socket, reader, place)),
        None => stream(reader, place),
    })
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(','));
    types.any(|one| one.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(EVENT_STREAM)))
}

/// One page, and where the next one begins.
async fn page(journal: &JournalHandle, query: EventQuery) -> Result<Response, Problem> {
    let from = query.after.unwrap_or(EventId(journal.oldest().0.saturating_sub(1)));
    let mut reader = journal.reader(Some(from), query.filter);
    let events = reader.ready(query.limit).await?;
    let texts: Vec<&str> = events.iter().map(|event| &*event.text).collect();
    let (texts, next) = (texts.join(","), reader.position().0);
    Ok(document(&format!(r#"{{"events":[{texts}],"next":"{next}"}}"#)))
}

async fn event(State(door): State<Door>, Extension(grant): Extension<Arc<Grant>>, Path(id): Path<String>) -> Response {
    let found = async {
        let id = event_id("id", &id).map_err(|_| Problem::NoSuchEvent(id.clone()))?;
        let filter = Filter { domains: grant.domains.clone(), ..Filter::default() };
        if id > door.journal.newest() || id.0 == 0 {
            return Err(Problem::NoSuchEvent(id.0.to_string()));
        }
        let mut reader = door.journal.reader(Some(EventId(id.0 - 1)), filter);
        let found = reader.ready(1).await?.into_iter().next().filter(|event| event.id == id);
        found.map(|event| document(&event.text)).ok_or_else(|| Problem::NoSuchEvent(id.0.to_string()))
    };
    found.await.unwrap_or_else(IntoResponse::into_response)
}

async fn schema(Path(name): Path<String>) -> Response {
    let name = name.strip_suffix(".json").unwrap_or(&name);
    match KINDS.iter().find(|row| row.name == name) {
        Some(row) => document(&event_schema(row).to_string()),
        None => Problem::NoSuchType(name.to_owned()).into_response(),
    }
}

fn document(json: &str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json.to_owned()).into_response()
}

/// Server-Sent Events, until the connection is gone.
fn stream(reader: Reader, place: OwnedSemaphorePermit) -> Response {
    let blocks = unfold(Some((reader, place, true)), async |state| {
        let (mut reader, place, is_first) = state?;
        if is_first {
            return Some((Bytes::from_static(RETRY.as_bytes()), Some((reader, place, false))));
        }
        match timeout(COMMENT_EVERY, reader.next()).await {
            Err(_) => Some((Bytes::from_static(b":\n\n"), Some((reader, place, false)))),
            Ok(Ok(events)) => Some((blocks(&events), Some((reader, place, false)))),
            Ok(Err(expired)) => {
                let last = format!("event: expired\ndata: {{\"oldest\":\"{}\"}}\n\n", expired.oldest.0);
                Some((Bytes::from(last), None))
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM))];
    // A proxy that gathers answers before it passes them on would hold up events (X-Accel-Buffering, nginx).
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))];
    (kind, unbuffered, Body::from_stream(blocks.map(Ok::<_, Infallible>))).into_response()
}

/// Events as blocks of a stream. A document has no line ends in it.
fn blocks(events: &[Arc<Logged>]) -> Bytes {
    let mut text = String::with_capacity(events.iter().map(|event| event.text.len() + 40).sum());
    for event in events {
        text.push_str("id: ");
        text.push_str(&event.id.0.to_string());
        text.push_str("\ndata: ");
        text.push_str(&event.text);
        text.push_str("\n\n");
    }
    Bytes::from(text)
}

/// One WebSocket, from its handshake to its end.
async fn serve(socket: WebSocket, mut reader: Reader, place: OwnedSemaphorePermit) {
    let (mut sink, mut frames) = socket.split();
    let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    let mut is_heard = true;
    let (code, reason) = loop {
        tokio::select! {
            events = reader.next() => {
                let events = match events {
                    Ok(events) => events,
                    Err(Expired { oldest, .. }) => break (code::EXPIRED, format!("the oldest event is {}", oldest.0)),
                };
                let sent = timeout(STALL, async {
                    for event in events {
                        sink.feed(Frame::Text(String::from(&*event.text).into())).await?;
                    }
                    sink.flush().await
                });
                match sent.await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => break (code::POLICY, "nothing is read".to_owned()),
                }
            }
            frame = frames.next() => match frame {
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => is_heard = true,
                Some(Ok(Frame::Text(_) | Frame::Binary(_))) => {
                    break (code::UNSUPPORTED, "there is nothing to be said here".to_owned());
                }
                Some(Ok(Frame::Close(_))) => break (code::GOING_AWAY, String::new()),
                None | Some(Err(_)) => return,
            },
            _ = ping.tick() => {
                if !std::mem::take(&mut is_heard) {
                    break (code::POLICY, "pings are not answered".to_owned());
                }
                if !matches!(timeout(STALL, sink.send(Frame::Ping(Bytes::new()))).await, Ok(Ok(()))) {
                    return;
                }
            }
        }
    };
    // Whoever does not take even that has had its chance.
    let _ = timeout(Duration::from_secs(1), sink.send(Frame::Close(Some(CloseFrame { code, reason: reason.into() }))))
        .await;
    drop(place);
}

/// Why no events are sent (RFC 9457).
#[derive(Debug)]
enum Problem {
    Query(BadQuery),
    Expired(Expired),
    Handshake,
    TooManyReaders,
    NoSuchEvent(String),
    NoSuchType(String),
    Method,
}

impl From<BadQuery> for Problem {
    fn from(error: BadQuery) -> Self {
        Self::Query(error)
    }
}

impl From<Expired> for Problem {
    fn from(error: Expired) -> Self {
        Self::Expired(error)
    }
}

impl From<Problem> for rest::Problem {
    fn from(problem: Problem) -> Self {
        let query = |code, name: &str, error: &BadQuery| Self::new(code, error.to_string()).at(format!("?{name}"));
        match &problem {
            Problem::Query(error) => match error {
                BadQuery::Unknown(name) => query(Code::UnknownParameter, name, error),
                BadQuery::Invalid { name, expected, .. } => {
                    query(Code::InvalidParameter, name, error).expected(*expected)
                }
                BadQuery::Domain(_) => {
                    query(Code::DomainNotAllowed, "domain", error).expected("domains that the token reaches")
                }
            },
            Problem::Expired(error) => {
                let oldest = Some(error.oldest.0.to_string());
                Self { more: oldest, ..Self::new(Code::Gone, error.to_string()) }
            }
            Problem::Handshake => {
                Self::new(Code::MalformedRequest, "Upgrade asks for something else than a WebSocket of version 13")
            }
            Problem::TooManyReaders => {
                let full = Self::new(Code::Unavailable, "the limit of readers of events is reached");
                Self { retry_after: Some(READERS_AGAIN), ..full }
            }
            Problem::NoSuchEvent(id) => Self::new(Code::NotFound, format!("there is no event {id:?}")),
            Problem::NoSuchType(name) => Self::new(Code::NotFound, format!("there are no events of the type {name:?}")),
            Problem::Method => {
                let other = Self::new(Code::MethodNotAllowed, "the resource has other methods");
                Self { more: Some("GET, HEAD".to_owned()), ..other }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        respond(rest::Problem::from(self).into_response().into(), false)
    }
}

#[cfg(test)]
mod tests;
