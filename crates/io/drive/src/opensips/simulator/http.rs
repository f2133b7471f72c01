//! As much of `mi_http` as its clients can see.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::Message;
use crate::inbox::Inbox;

/// Longest request, in bytes.
pub const MAX_SIMULATED_REQUEST: usize = 1024 * 1024;

/// How long the end of the server may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// The path that is answered.
const PATH: &str = "/mi";

pub(super) struct HttpServer {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

/// What every request needs.
#[derive(Clone)]
struct Desk {
    inbox: Arc<Inbox<Message>>,
    user: Option<(String, String)>,
}

impl HttpServer {
    pub(super) fn start(
        at: SocketAddr,
        user: Option<(String, String)>,
        inbox: &Arc<Inbox<Message>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let desk = Desk { inbox: Arc::clone(inbox), user };
        let router = Router::new()
            .route(PATH, post(move |headers: HeaderMap, body: Bytes| answer(desk.clone(), headers, body)))
            .layer(DefaultBodyLimit::max(MAX_SIMULATED_REQUEST));
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the simulated mi_http has ended");
            }
        });
        Ok(Self { address, runtime: Some(runtime) })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // So that the port is free again afterwards, whatever still waits for an answer.
            runtime.shutdown_timeout(GOODBYE);
        }
    }
}

async fn answer(desk: Desk, headers: HeaderMap, body: Bytes) -> Response {
    if desk.user.is_some_and(|user| !is_let_in(&headers, &user)) {
        let ask = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"opensips\""))];
        return (StatusCode::UNAUTHORIZED, ask).into_response();
    }
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_json {
        // OpenSIPS logs "empty request" and leaves its client waiting.
        std::future::pending::<()>().await;
    }
    let (reply, answered) = oneshot::channel();
    let queued = desk.inbox.push(Message::Http { bytes: body, reply });
    match (queued, answered.await) {
        (Ok(()), Ok(bytes)) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn is_let_in(headers: &HeaderMap, (user, password): &(String, String)) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    given.and_then(|given| given.strip_prefix("Basic ")) == Some(STANDARD.encode(format!("{user}:{password}")).as_str())
}
