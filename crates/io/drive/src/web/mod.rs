//! Applications on WebSockets and requests over HTTP: a small tokio runtime of its own, which only carries text to the
//! shard and back. Nothing is decided here.

mod http;
mod listener;
mod message;
mod outbox;
mod session;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

pub use http::{HttpConfig, MAX_BODY, MAX_HTTP_CONNECTIONS, MAX_REQUESTS};
pub(crate) use listener::Bound;
pub use listener::{BadWebListen, WebListen};
pub(crate) use message::{HttpAnswer, Outboxes, Sink, WebMessage};
pub use outbox::{MAX_OUTBOX, MAX_OUTBOX_BYTES};
pub use session::{ApplicationConfig, MAX_MESSAGE, MAX_SESSIONS, MAX_UNHANDLED, SUBPROTOCOL_STRICT};

/// Threads of the runtime: it passes on what others work at.
const THREADS: usize = 2;

/// What is sent at the end of the runtime may take so long.
const GOODBYE: Duration = Duration::from_millis(500);

/// The way from the web into the loop behind it.
#[derive(Clone)]
pub(crate) struct Gateway {
    sink: Arc<dyn Sink>,
    next_session: Arc<AtomicU64>,
    sessions: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    /// Bytes of request bodies that may be held at once, in KiB.
    bodies: Arc<Semaphore>,
}

/// The runtime and everything that runs in it.
pub(crate) struct Web {
    runtime: Option<Runtime>,
    sessions: Arc<Semaphore>,
    max_sessions: u32,
}

impl Web {
    /// Serves on sockets that are already bound, for the loop that reads `sink`.
    pub(crate) fn start(
        sink: Arc<dyn Sink>,
        application: Option<(ApplicationConfig, Vec<Bound>)>,
        http: Option<(HttpConfig, Vec<Bound>)>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("web")
            .enable_all()
            .build()?;
        let max_sessions = application.as_ref().map_or(0, |(config, _)| config.max_sessions);
        let max_sessions = u32::try_from(max_sessions).unwrap_or(u32::MAX);
        let gateway = Gateway {
            sink,
            next_session: Arc::new(AtomicU64::new(1)),
            sessions: Arc::new(Semaphore::new(max_sessions as usize)),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            bodies: Arc::new(Semaphore::new(http::MAX_BODIES_KIB)),
        };
        let sessions = Arc::clone(&gateway.sessions);
        let entered = runtime.enter();
        if let Some((config, sockets)) = application {
            let idle = config.idle_timeout();
            let places = config.max_sessions * 2;
            serve(&runtime, session::router(gateway.clone(), config), sockets, places, idle)?;
        }
        if let Some((config, sockets)) = http {
            serve(&runtime, http::router(gateway), sockets, MAX_HTTP_CONNECTIONS, config.idle_timeout)?;
        }
        drop(entered);
        Ok(Self { runtime: Some(runtime), sessions, max_sessions })
    }

    /// Ends everything. Sessions whose outbox the shard has dropped are told that we go.
    pub(crate) fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Every session that ends leaves its place to us, and new ones find none.
            let sessions = Arc::clone(&self.sessions);
            let all_ended = async move { sessions.acquire_many(self.max_sessions).await.map(drop) };
            let _ = runtime.block_on(async { tokio::time::timeout(GOODBYE, all_ended).await });
            runtime.shutdown_timeout(GOODBYE);
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.finish();
    }
}

fn serve(runtime: &Runtime, router: Router, sockets: Vec<Bound>, places: usize, idle: Duration) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(places));
    for socket in sockets {
        let guarded = socket.guarded(Arc::clone(&places), idle)?;
        let router = router.clone();
        runtime.spawn(async move {
            if let Err(error) = axum::serve(guarded, router).await {
                tracing::error!(%error, "a web listener has ended");
            }
        });
    }
    Ok(())
}
