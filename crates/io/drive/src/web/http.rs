//! Requests over HTTP: read whole, passed to the shard, answered with what it says.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use compact_str::CompactString;
use hookswitch_nodes::{MEDIA_NODE, RECORDING, REGISTRATIONS, SIP_NODE};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::accept::{PerAddress, Places, Terms};
use super::door::{self, Door};
use super::health::Takes;
use super::recordings::{Lacking, Shelf};
use super::status::{StatusHandle, Witnesses};
use super::{Asked, Gateway, HttpAnswer, WebListen, WebMessage};

/// Longest request body, in bytes.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// Requests at once; beyond, they are answered 503.
pub const MAX_REQUESTS: usize = 1_024;

/// Connections at once; beyond, they are closed.
pub const MAX_HTTP_CONNECTIONS: usize = 4_096;

/// Room for the bodies of all requests at once, in KiB; beyond, they are answered 503.
pub(super) const MAX_BODIES_KIB: usize = 256 * 1024;

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// How long the shard, or the disk, may take.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// Value of `Retry-After` with 503, in seconds.
const RETRY_AFTER: &str = "1";

/// The HTTP listener for directory, registrations and health.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where to listen. Default `127.0.0.1:9000`.
    pub listen: WebListen,
    /// How long a connection may stay unused, and how long the head of a request may take. Default 75 s.
    pub idle_timeout: Duration,
    /// Who else is shown by `/health` and `/metrics`. Default nobody.
    pub also: Vec<StatusHandle>,
    /// Who may ask. Default every program, and no web page; `/health` and `/metrics` are for everybody in any case.
    pub door: Door,
    /// The folder whose files the listener for media channels gives out, and removes, at `/recording/`. Default none: there are
    /// no such files.
    pub recordings: Option<PathBuf>,
}

impl HttpConfig {
    /// Everything at its default, on this address.
    #[must_use]
    pub fn new(listen: WebListen) -> Self {
        Self {
            listen,
            idle_timeout: Duration::from_secs(75),
            also: Vec::new(),
            door: Door::default(),
            recordings: None,
        }
    }

    pub(super) fn terms(&self) -> Terms {
        let places = Places::new(MAX_HTTP_CONNECTIONS, PerAddress::Others(MAX_HTTP_CONNECTIONS / 4));
        Terms { places, idle: self.idle_timeout, head: self.idle_timeout, head_bytes: None, tls: None }
    }
}

pub(super) fn router(gateway: Gateway, witnesses: Witnesses, door: Door) -> Router {
    status(witnesses).merge(guarded(passing_on(Router::new(), gateway, WebMessage::Http), door))
}

/// `/health`, `/health/live` and `/metrics`.
fn status(witnesses: Witnesses) -> Router {
    let health = witnesses.clone();
    let health = get(move || {
        let witnesses = health.clone();
        async move { witnesses.health().await }
    });
    let alive = witnesses.clone();
    let alive = get(move || {
        let witnesses = alive.clone();
        async move { witnesses.liveness().await }
    });
    let metrics = get(move || {
        let witnesses = witnesses.clone();
        async move { witnesses.metrics().await }
    });
    let pages = Router::new().route("/health", health.clone()).route("/health/", health);
    pages.route("/health/live", alive).route("/metrics", metrics)
}

/// Everything goes to the media channels, but health, `/metrics` and the files of recordings.
pub(super) fn channels(gateway: Gateway, witnesses: Witnesses, config: HttpConfig) -> Router {
    let files = files(Router::new(), config.recordings);
    let witnesses = Witnesses { takes: Takes::Channels, ..witnesses };
    status(witnesses).merge(guarded(passing_on(files, gateway, WebMessage::Channel), config.door))
}

/// The files of recordings.
pub(super) fn files(router: Router, folder: Option<PathBuf>) -> Router {
    let shelf = Shelf::new(folder);
    let given = any(move |Path(file): Path<String>, request: Request| {
        let shelf = shelf.clone();
        async move { recording(&shelf, &file, request.method(), request.headers()).await }
    });
    router.route(&format!("{RECORDING}{{file}}"), given)
}

/// The file of a recording, for a control process. What is wrong is said as the media channels say it.
async fn recording(shelf: &Shelf, file: &str, method: &Method, headers: &HeaderMap) -> Response {
    let done = match *method {
        Method::GET | Method::HEAD => shelf.send(file, None, method, headers).await,
        Method::DELETE => shelf.remove(file, None).await.map(|()| StatusCode::NO_CONTENT.into_response()),
        _ => return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, DELETE")]).into_response(),
    };
    let refused = |status: StatusCode, error: String| (status, Json(json!({ "error": error, "where": "file" })));
    match done {
        Ok(response) => response,
        Err(Lacking::File) => {
            refused(StatusCode::NOT_FOUND, "there is no such file below the folder of recordings".into())
                .into_response()
        }
        Err(Lacking::Part(length)) => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            (range, refused(StatusCode::RANGE_NOT_SATISFIABLE, format!("it has {length} bytes"))).into_response()
        }
        Err(Lacking::Busy) => {
            refused(StatusCode::SERVICE_UNAVAILABLE, "too many recordings are being fetched".into()).into_response()
        }
        Err(Lacking::Broken(error)) => {
            refused(StatusCode::SERVICE_UNAVAILABLE, format!("it cannot be read or removed: {error}")).into_response()
        }
    }
}

/// What nodes tell, on the control listener.
pub(super) fn nodes(gateway: &Gateway, door: Door) -> Router {
    let mut router = Router::new();
    let below = |path: &str| format!("{}/{{*rest}}", path.trim_end_matches('/'));
    for path in [below(SIP_NODE), below(MEDIA_NODE), below(REGISTRATIONS), REGISTRATIONS.to_owned()] {
        let gateway = gateway.clone();
        let told = any(move |request: Request| {
            let gateway = gateway.clone();
            async move { handle(&gateway, request, WebMessage::Node).await.unwrap_or_else(|refusal| refusal) }
        });
        router = router.route(&path, told);
    }
    guarded(router, door)
}

fn guarded(router: Router, door: Door) -> Router {
    router.layer(from_fn_with_state(Arc::new(door), door::pass))
}

/// Whatever else is asked goes to the shard, as this message.
fn passing_on(router: Router, gateway: Gateway, message: fn(Asked) -> WebMessage) -> Router {
    router.fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { handle(&gateway, request, message).await.unwrap_or_else(|refusal| refusal) }
    })
}

async fn handle(gateway: &Gateway, request: Request, message: fn(Asked) -> WebMessage) -> Result<Response, Response> {
    let _place = gateway.requests.try_acquire().map_err(|_| busy())?;
    let (head, body) = request.into_parts();
    let size = announced(&head.headers).unwrap_or(MAX_BODY);
    if size > MAX_BODY {
        return Err(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"));
    }
    let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    let _room = gateway.bodies.try_acquire_many(kib).map_err(|_| busy())?;
    let body = read(body, MAX_BODY, BODY_PATIENCE).await.map_err(|why| match why {
        Unread::TooLarge => plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"),
        Unread::Late => plain(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"),
    })?;
    let (reply, answer) = oneshot::channel();
    let is_head = head.method == Method::HEAD;
    let method = CompactString::from(head.method.as_str());
    let asked = Asked { method, path: head.uri.path().to_owned(), body, reply };
    gateway.sink.push(message(asked)).map_err(|_| busy())?;
    match timeout(ANSWER_PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(respond(answer, is_head)),
        Ok(Err(_)) => Err(plain(StatusCode::SERVICE_UNAVAILABLE, "the switch is stopping\n")),
        Err(_) => Err(plain(StatusCode::GATEWAY_TIMEOUT, "the switch did not answer in time\n")),
    }
}

/// What the request says about the length of its body: without a word about one there is none (RFC 9112 section 6.3).
pub(super) fn announced(headers: &HeaderMap) -> Option<usize> {
    match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None => (!headers.contains_key(header::TRANSFER_ENCODING)).then_some(0),
    }
}

/// Why a body was not read.
pub(super) enum Unread {
    TooLarge,
    Late,
}

pub(super) async fn read(body: Body, limit: usize, patience: Duration) -> Result<Bytes, Unread> {
    match timeout(patience, to_bytes(body, limit)).await {
        Ok(Ok(body)) => Ok(body),
        // The limit, or a connection that broke and will not see the answer.
        Ok(Err(_)) => Err(Unread::TooLarge),
        Err(_) => Err(Unread::Late),
    }
}

pub(super) fn respond(answer: HttpAnswer, is_head: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let length = answer.body.len();
    let mut response = if is_head { Response::new(Body::empty()) } else { Response::new(Body::from(answer.body)) };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // A status without content has neither (RFC 9110 section 8.6).
    if status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(name, value);
        }
    }
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], "too many requests\n").into_response()
}
