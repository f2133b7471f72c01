//! Tells controllers by HTTP what becomes of their legs, on a thread of its own: one request each, many at a time over
//! connections that stay open. What is told when, in which order and how often, the shard's machine decides.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_shard::{Note, NoteId};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Url, redirect};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::nodes::bearer;
use crate::opensips::innermost;
use crate::pii::Pii;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests at once; others wait for their turn.
pub const MAX_CONTROLLER_REQUESTS: usize = 256;

/// Connections kept open to one controller although they carry nothing.
const IDLE_CONNECTIONS: usize = 64;

/// For how long: less than usual servers keep them, so that no request meets a connection that is being closed.
const IDLE_FOR: Duration = Duration::from_secs(4);

/// Takes what came of a note, in any thread: the status, if there was an answer.
pub(crate) type NoteSink = Arc<dyn Fn(NoteId, Option<u16>) + Send + Sync>;

/// The client, its connections and the thread that serves them.
pub(crate) struct Controllers {
    client: Client,
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
        Ok(Self { client, bearer: secret.map(bearer).transpose()?, sink, places, runtime: Some(runtime) })
    }

    /// Makes the request. What comes of it goes to the sink.
    pub(crate) fn tell(&self, note: Note) {
        let Some(runtime) = &self.runtime else { return };
        let bearer = self.bearer.clone();
        let (sink, places, client) = (Arc::clone(&self.sink), Arc::clone(&self.places), self.client.clone());
        runtime.spawn(async move {
            let _place = places.acquire().await;
            let id = note.id;
            let status = exchange(&client, bearer, note).await;
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
        .timeout(PATIENCE)
}

impl Drop for Controllers {
    fn drop(&mut self) {
        // Nobody waits for answers any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn exchange(client: &Client, bearer: Option<HeaderValue>, note: Note) -> Option<u16> {
    let Note { method, url, body, .. } = note;
    let method = if method == "DELETE" { Method::DELETE } else { Method::PUT };
    let parsed: Url = url.parse().inspect_err(|error| tracing::warn!(%error, "a controller's URL is none")).ok()?;
    let host = parsed.host_str().unwrap_or_default().to_owned();
    let request = client.request(method, parsed);
    let request = match bearer {
        Some(bearer) => request.header(AUTHORIZATION, bearer),
        None => request,
    };
    let request = match body.is_empty() {
        true => request,
        false => request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body),
    };
    match request.send().await {
        Ok(response) => {
            let status = response.status();
            if !status.is_success() {
                tracing::warn!(controller = %Pii(&host), status = status.as_u16(), "a controller does not take an event");
            }
            // Read to its end, or the connection cannot be used again; a long answer is not worth that.
            let short = response.content_length().is_some_and(|length| length < 65_536);
            if short && let Err(error) = response.bytes().await {
                tracing::debug!(error = %innermost(&error), "a controller's answer broke off");
            }
            Some(status.as_u16())
        }
        Err(error) => {
            let why = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(&error) };
            tracing::warn!(controller = %Pii(&host), why, "a controller cannot be told of an event");
            None
        }
    }
}
