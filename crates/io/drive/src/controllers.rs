//! Tells controllers by HTTP what becomes of their legs, on a thread of its own: one request each, many at a time over
//! connections that stay open. What is told when, in which order and how often, the shard's machine decides.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_shard::{Note, NoteId};
use hyper::Method;
use hyper::header::HeaderValue;
use reqwest::{Client, ClientBuilder, Url, redirect};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::lines::{Ask, Lines, NoAnswer};
use crate::nodes::bearer;
use crate::opensips::innermost;
use crate::pii::Pii;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests at once; others wait for their turn.
pub const MAX_CONTROLLER_REQUESTS: usize = 256;

/// Longest answer that is read to its end, in bytes. A connection with a longer one is not used again.
const MAX_ANSWER: usize = 64 * 1024;

/// Connections kept open to one controller over TLS although they carry nothing. In the clear as many are kept as were needed at once.
const IDLE_CONNECTIONS: usize = 64;

/// How long connections are kept open although they carry nothing: less than usual servers keep them, so that no request meets
/// one that is being closed.
const IDLE_FOR: Duration = Duration::from_secs(4);

/// Takes what came of a note, in any thread: the status, if there was an answer.
pub(crate) type NoteSink = Arc<dyn Fn(NoteId, Option<u16>) + Send + Sync>;

/// The connections and the thread that serves them.
pub(crate) struct Controllers {
    lines: Arc<Lines>,
    /// What is shown to them.
    bearer: Option<HeaderValue>,
    sink: NoteSink,
    places: Arc<Semaphore>,
    runtime: Option<Runtime>,
}

impl Controllers {
    pub(crate) fn start(secret: Option<&str>, sink: NoteSink) -> io::Result<Self> {
        // A host without certificates of authorities tells controllers over http: all the same, and believes none over https:.
        let client = settings().build().or_else(|error| {
            tracing::warn!(error = %innermost(&error), "controllers can be told over http: only");
            settings().tls_certs_only([]).build()
        });
        let client = client.map_err(|error| io::Error::other(innermost(&error)))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("controllers")
            .enable_all()
            .build()?;
        let places = Arc::new(Semaphore::new(MAX_CONTROLLER_REQUESTS));
        let lines = Lines::start(runtime.handle(), client, IDLE_FOR);
        Ok(Self { lines, bearer: secret.map(bearer).transpose()?, sink, places, runtime: Some(runtime) })
    }

    /// Makes the request. What comes of it goes to the sink.
    pub(crate) fn tell(&self, note: Note) {
        let Some(runtime) = &self.runtime else { return };
        let bearer = self.bearer.clone();
        let (sink, places, lines) = (Arc::clone(&self.sink), Arc::clone(&self.places), Arc::clone(&self.lines));
        runtime.spawn(async move {
            let _place = places.acquire().await;
            let id = note.id;
            let status = exchange(&lines, bearer, note).await;
            sink(id, status);
        });
    }
}

fn settings() -> ClientBuilder {
    Client::builder()
        .http1_only()
        .no_proxy()
        // Whoever pushes a directory names the controller; nobody else does.
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_FOR)
}

impl Drop for Controllers {
    fn drop(&mut self) {
        // Nobody waits for answers any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn exchange(lines: &Lines, bearer: Option<HeaderValue>, note: Note) -> Option<u16> {
    let Note { method, url, body, .. } = note;
    let method = if method == "DELETE" { Method::DELETE } else { Method::PUT };
    let asked = Ask { method, url: url.clone(), bearer, body };
    let why = match lines.ask(asked, MAX_ANSWER, PATIENCE).await {
        // Nothing in it counts but its status.
        Ok((status, _)) | Err(NoAnswer::Unread(status, _)) => {
            if !(200..300).contains(&status) {
                tracing::warn!(controller = %Pii(host(&url)), status, "a controller does not take an event");
            }
            return Some(status);
        }
        Err(NoAnswer::Lost(error)) => error,
        Err(NoAnswer::Late) => "no answer in time".to_owned(),
    };
    tracing::warn!(controller = %Pii(host(&url)), why, "a controller cannot be told of an event");
    None
}

/// Whom a URL leads to.
fn host(url: &str) -> String {
    url.parse().ok().and_then(|url: Url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
