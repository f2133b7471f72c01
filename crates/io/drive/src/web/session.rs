//! One application on a WebSocket.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hookswitch_dialect::call_api::{Admission, Mode, Origins};
use hookswitch_shard::SessionId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::accept::{PerAddress, Places, Remote, Terms};
use super::log::Following;
use super::outbox::{Abort, Say, Waiting, outbox};
use super::tls::{Identity, TlsFiles};
use super::token::{self, Token, Unauthorized};
use super::{Gateway, WebListen, WebMessage};
use crate::pii::Pii;

/// Longest message from an application, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// What is read of a message that is too long, so that its sender can still be told so. Longer ones end the
/// connection half-read.
const MAX_READ: usize = 16 * MAX_MESSAGE;

/// What is read at once, in bytes. The library holds so much for each session, 128 KiB if not told, and clears it whenever
/// it looks whether something has come; for a longer message it grows.
const READ_BUFFER: usize = 8 * 1024;

/// Sessions at once, by default.
pub const MAX_SESSIONS: usize = 1_000;

/// Messages of one session that may wait for the shard; beyond, its connection is not read.
pub const MAX_UNHANDLED: usize = 64;

/// The subprotocol with which a client asks for the strict dialect.
pub const SUBPROTOCOL_STRICT: &str = "call-api.strict";

/// The subprotocol without a wish: the listener's own dialect. For browsers, which have to name one beside their token,
/// and be answered with it.
pub const SUBPROTOCOL: &str = "call-api";

/// Connections from one other host, by default.
pub const MAX_PER_ADDRESS: usize = 250;

/// Messages that are sent in one piece at most.
const MAX_TOGETHER: usize = 64;

/// What is still read, in bytes, of an application that talks on while it is told to go.
const MAX_LAST_WORDS: usize = 4 * 1024 * 1024;

/// Time for the last words of a connection.
const GOODBYE: Duration = Duration::from_secs(1);

/// Pings that may stay unanswered.
const MAX_MISSED: u32 = 2;

/// Close codes of RFC 6455 section 7.4.1 and the IANA registry.
mod code {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const UNSUPPORTED: u16 = 1003;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const TRY_AGAIN: u16 = 1013;
}

/// The Call API's listener.
#[derive(Clone, Debug)]
pub struct ApplicationConfig {
    /// Where to listen. Default `localhost:5059`.
    pub listen: WebListen,
    /// The path of the WebSocket; everything else is 404. Default `/call-api`.
    pub path: String,
    /// Sessions at once. Default [`MAX_SESSIONS`].
    pub max_sessions: usize,
    /// The manner of sessions that do not ask for the strict one. Default [`Mode::Original`].
    pub mode: Mode,
    /// The web pages that may connect.
    pub origins: Origins,
    /// Time between two pings. Default 30 s; two that stay unanswered end the connection.
    pub ping_every: Duration,
    /// How long a handshake may take, that of TLS and that of the WebSocket each. Default 10 s.
    pub handshake_time: Duration,
    /// Longest message, in bytes. Default [`MAX_MESSAGE`], and no more than that.
    pub max_message: usize,
    /// Certificate and key, for `wss:`. Default none: in the clear.
    pub tls: Option<TlsFiles>,
    /// Whoever connects has to show one of these, unless there are none. Default none. At most
    /// [`MAX_TOKENS`](crate::MAX_TOKENS).
    pub tokens: Vec<Token>,
    /// Connections from one address. Default [`MAX_PER_ADDRESS`] from other hosts, no such limit from this one.
    pub max_per_address: Option<NonZeroUsize>,
}

impl ApplicationConfig {
    /// Everything at its default, on this address.
    #[must_use]
    pub fn new(listen: WebListen) -> Self {
        Self {
            listen,
            path: "/call-api".to_owned(),
            max_sessions: MAX_SESSIONS,
            mode: Mode::default(),
            origins: Origins::default(),
            ping_every: Duration::from_secs(30),
            handshake_time: Duration::from_secs(10),
            max_message: MAX_MESSAGE,
            tls: None,
            tokens: Vec::new(),
            max_per_address: None,
        }
    }

    /// Whether a session of the strict dialect could be opened by anybody who reaches one of these addresses from
    /// another host.
    pub(crate) fn is_exposed(&self, addresses: impl IntoIterator<Item = IpAddr>) -> bool {
        let is_open = self.mode == Mode::Strict && self.tokens.is_empty();
        is_open && addresses.into_iter().any(|address| !address.to_canonical().is_loopback())
    }

    pub(super) fn terms(&self, tls: Option<Arc<Identity>>) -> Terms {
        let per_address =
            self.max_per_address.map_or(PerAddress::Others(MAX_PER_ADDRESS), |limit| PerAddress::All(limit.get()));
        Terms {
            // Those that shake hands and those that say goodbye have no session.
            places: Places::new(self.max_sessions.saturating_mul(2), per_address),
            idle: self.idle_timeout(),
            head: self.handshake_time,
            head_bytes: None,
            tls,
        }
    }

    /// Pings keep a live connection moving, so one that does not move for longer than they take is dead.
    fn idle_timeout(&self) -> Duration {
        self.ping_every * (MAX_MISSED + 2)
    }
}

/// Who may open a session, until the configuration is read again.
pub(super) struct Door(RwLock<Arc<(Vec<Token>, Origins)>>);

impl Door {
    pub(super) fn new(config: &ApplicationConfig) -> Self {
        Self(RwLock::new(Arc::new((config.tokens.clone(), config.origins.clone()))))
    }

    /// Other tokens and origins from now on. Sessions that are open go on.
    pub(super) fn reload(&self, config: &ApplicationConfig) {
        let fresh = Arc::new((config.tokens.clone(), config.origins.clone()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    fn now(&self) -> Arc<(Vec<Token>, Origins)> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) fn router(gateway: Gateway, config: ApplicationConfig, door: Arc<Door>) -> Router {
    let path = config.path.clone();
    let config = Arc::new(config);
    let upgrade = move |Extension(remote): Extension<Remote>, headers: HeaderMap, request: Handshake| {
        let (gateway, config, door) = (gateway.clone(), Arc::clone(&config), door.now());
        async move { answer(gateway, &config, &door, remote, &headers, request).await.unwrap_or_else(|refusal| refusal) }
    };
    Router::new().route(&path, any(upgrade))
}

type Handshake = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn answer(
    gateway: Gateway,
    config: &ApplicationConfig,
    (tokens, origins): &(Vec<Token>, Origins),
    Remote(remote): Remote,
    headers: &HeaderMap,
    request: Handshake,
) -> Result<Response, Response> {
    let upgrade = request.map_err(|_| {
        let version = [(header::SEC_WEBSOCKET_VERSION, "13")];
        (StatusCode::BAD_REQUEST, version, "Bad Request\n").into_response()
    })?;
    let upgrade = upgrade.max_message_size(MAX_READ).max_frame_size(MAX_READ).read_buffer_size(READ_BUFFER);
    // The first of ours that the client knows as well.
    let upgrade = upgrade.protocols([SUBPROTOCOL_STRICT, SUBPROTOCOL]);
    let is_strict = upgrade.selected_protocol().is_some_and(|name| name == SUBPROTOCOL_STRICT);
    let mode = if is_strict { Mode::Strict } else { config.mode };
    // A browser names the page that connects; programs of other kinds send no Origin.
    let origin = headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    if !origins.admit(mode, origin.as_deref()) {
        return Err((StatusCode::FORBIDDEN, "pages from this origin may not connect\n").into_response());
    }
    let access = token::authorize(tokens, headers).map_err(|why| {
        let so_far = gateway.unauthorized.fetch_add(1, Ordering::Relaxed) + 1;
        // Somebody who tries them all shall not fill the log as well; the metrics have the number.
        if so_far.is_power_of_two() {
            tracing::warn!(remote = %Pii(remote.ip()), ?why, so_far, "a client without a valid token");
        } else {
            tracing::debug!(remote = %Pii(remote.ip()), ?why, so_far, "a client without a valid token");
        }
        unauthorized(why)
    })?;
    let place = Arc::clone(&gateway.sessions)
        .try_acquire_owned()
        .map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "too many sessions\n").into_response())?;
    let session = Terminal {
        session: SessionId(gateway.next_session.fetch_add(1, Ordering::Relaxed)),
        gateway,
        admission: Admission { mode, access },
        ping_every: config.ping_every,
        max_message: config.max_message.min(MAX_MESSAGE),
    };
    Ok(upgrade.on_upgrade(move |socket| session.serve(socket, place)))
}

fn unauthorized(why: Unauthorized) -> Response {
    // RFC 6750 section 3.1: an error is named only if something was shown.
    let challenge = match why {
        Unauthorized::Missing => r#"Bearer realm="call-api""#,
        Unauthorized::Wrong => r#"Bearer realm="call-api", error="invalid_token""#,
    };
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], "a token is needed\n").into_response()
}

/// One session, from its handshake on.
struct Terminal {
    gateway: Gateway,
    session: SessionId,
    admission: Admission,
    ping_every: Duration,
    max_message: usize,
}

impl Terminal {
    /// One connection from its beginning to its end.
    async fn serve(self, socket: WebSocket, place: OwnedSemaphorePermit) {
        let (outbox, waiting, abort) = outbox();
        let (mut sink, mut stream) = socket.split();
        let session = self.session;
        let opened = WebMessage::Opened { session, admission: self.admission.clone(), outbox };
        if self.gateway.sink.push(opened).is_err() {
            goodbye(&mut sink, &mut stream, Some(code::TRY_AGAIN)).await;
            return;
        }
        let missed = AtomicU32::new(0);
        let code = tokio::select! {
            code = self.listen(&mut stream, &missed) => code,
            code = self.speak(waiting, abort, &mut sink, &missed) => code,
        };
        self.gateway.sink.push_always(WebMessage::Closed(session));
        goodbye(&mut sink, &mut stream, code).await;
        drop(place);
    }

    /// Takes what the application says until it stops; returns the code to close with, if it has not closed itself.
    async fn listen(&self, stream: &mut SplitStream<WebSocket>, missed: &AtomicU32) -> Option<u16> {
        let places = Arc::new(Semaphore::new(MAX_UNHANDLED));
        let is_strict = self.admission.mode == Mode::Strict;
        loop {
            let frame = match stream.next().await? {
                Ok(frame) => frame,
                Err(error) => return refusal(&error),
            };
            missed.store(0, Ordering::Relaxed);
            let text = match frame {
                Frame::Text(text) => text.as_str().to_owned(),
                Frame::Binary(_) if is_strict => return Some(code::UNSUPPORTED),
                // What is not text is no JSON either, and is answered as such.
                Frame::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                // Answered by the library; the stream ends after a close.
                Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) => continue,
            };
            if text.len() > self.max_message {
                return Some(code::TOO_BIG);
            }
            // While too many messages wait, the connection is not read, and the network slows the application down.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            if self.gateway.sink.push(WebMessage::Text { session: self.session, text, place }).is_err() {
                return Some(code::TRY_AGAIN);
            }
        }
    }
}

/// The code that tells a peer what was wrong with its frames; `None` when the connection itself has failed.
fn refusal(error: &axum::Error) -> Option<u16> {
    // The library wraps the error so that only its text is left to look at.
    let text = error.to_string();
    if text.contains("too long") {
        Some(code::TOO_BIG)
    } else if text.contains("protocol error") || text.contains("UTF-8") {
        Some(code::PROTOCOL)
    } else {
        None
    }
}

/// What a connection sends next.
enum Next {
    Said(Say),
    Events(Vec<String>),
    Ping,
}

impl Terminal {
    /// Says what the shard and the log have to say, and pings; returns the code to close with.
    async fn speak(
        &self,
        mut waiting: Waiting,
        mut abort: Abort,
        sink: &mut SplitSink<WebSocket, Frame>,
        missed: &AtomicU32,
    ) -> Option<u16> {
        let mut following = Following::default();
        let mut ping = interval(self.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stall = self.ping_every * (MAX_MISSED + 1);
        // The first tick comes at once.
        ping.tick().await;
        loop {
            let next = tokio::select! {
                code = abort.requested() => return Some(code),
                said = waiting.next() => match said {
                    Some(said) => Next::Said(said),
                    None => return Some(code::GOING_AWAY),
                },
                events = following.next(&self.gateway) => Next::Events(events),
                _ = ping.tick() => {
                    if missed.fetch_add(1, Ordering::Relaxed) >= MAX_MISSED {
                        return Some(code::POLICY);
                    }
                    Next::Ping
                }
            };
            let sending = async {
                match next {
                    Next::Said(said) => self.say_all(sink, said, &mut waiting, &mut following).await,
                    Next::Events(events) => {
                        for event in events {
                            sink.feed(Frame::Text(event.into())).await?;
                        }
                        sink.flush().await.map(|()| None)
                    }
                    Next::Ping => sink.send(Frame::Ping(axum::body::Bytes::new())).await.map(|()| None),
                }
            };
            tokio::select! {
                code = abort.requested() => return Some(code),
                result = timeout(stall, sending) => match result {
                    Ok(Ok(None)) => {}
                    Ok(Ok(Some(code))) => return Some(code),
                    Ok(Err(_)) => return None,
                    // It takes nothing, though it may go on talking.
                    Err(_) => return Some(code::POLICY),
                },
            }
        }
    }

    /// Sends what is to be said and what else waits by now in one piece; returns the code to close with, if that is what comes
    /// next.
    async fn say_all(
        &self,
        sink: &mut SplitSink<WebSocket, Frame>,
        first: Say,
        waiting: &mut Waiting,
        following: &mut Following,
    ) -> Result<Option<u16>, axum::Error> {
        let (mut first, mut close) = (Some(first), None);
        for _ in 0..MAX_TOGETHER {
            match first.take().or_else(|| waiting.next_now()) {
                Some(Say::Text(text)) => sink.feed(Frame::Text(text.into())).await?,
                Some(Say::Log(order)) => following.obey(order, &self.gateway),
                Some(Say::Close(code)) => {
                    close = Some(code);
                    break;
                }
                None => break,
            }
        }
        sink.flush().await?;
        Ok(close)
    }
}

/// The last words: our close frame, and the peer's. Reading on lets the peer see ours before the connection is gone.
async fn goodbye(sink: &mut SplitSink<WebSocket, Frame>, stream: &mut SplitStream<WebSocket>, code: Option<u16>) {
    let Some(code) = code else { return };
    let frame = Frame::Close(Some(CloseFrame { code, reason: "".into() }));
    let words = async {
        if sink.send(frame).await.is_ok() {
            let mut read = 0;
            while read < MAX_LAST_WORDS
                && let Some(Ok(frame)) = stream.next().await
            {
                read += frame.into_data().len();
            }
        }
    };
    // Whoever does not even take that has had its chance.
    let _ = timeout(GOODBYE, words).await;
}
