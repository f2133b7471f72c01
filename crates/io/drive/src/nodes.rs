//! Asks nodes by HTTP what the switchboard wants done there, on a thread of its own: one request each, many at a time over
//! connections that stay open. What is asked when and in which order, the shard's machine decides.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_nodes::{Answer, AskId, Request};
use hyper::Method;
use hyper::header::HeaderValue;
use reqwest::{Client, redirect};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::lines::{Ask, Lines, NoAnswer};
use crate::opensips::innermost;

/// Requests to nodes at once; others wait for their turn.
pub const MAX_NODE_REQUESTS: usize = 256;

/// Longest answer of a node, in bytes; a longer one counts as none.
pub const MAX_NODE_ANSWER: usize = 16 * 1024 * 1024;

/// Connections kept open to one node over TLS although they carry nothing. In the clear as many are kept as were needed at once.
const IDLE_CONNECTIONS: usize = 64;

/// How long connections are kept open although they carry nothing: less than our own listeners keep them, so that no request meets
/// one that is being closed.
const IDLE_FOR: Duration = Duration::from_secs(20);

/// How nodes are asked.
#[derive(Clone)]
pub struct NodesConfig {
    /// How long an answer is waited for, from when a request is begun. Default 2 s.
    pub patience: Duration,
    /// What is shown in `Authorization: Bearer`. Default nothing.
    pub secret: Option<String>,
}

impl Default for NodesConfig {
    fn default() -> Self {
        Self { patience: Duration::from_secs(2), secret: None }
    }
}

impl fmt::Debug for NodesConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.secret.as_ref().map(|_| "…");
        f.debug_struct("NodesConfig").field("patience", &self.patience).field("secret", &secret).finish()
    }
}

/// The header that shows a secret, never logged.
pub(crate) fn bearer(secret: &str) -> io::Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {secret}")).map_err(io::Error::other)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Takes what came of a request, in any thread.
pub(crate) type AnswerOfNode = Arc<dyn Fn(Answer) + Send + Sync>;

/// The connections and the thread that serves them.
pub(crate) struct NodeClient {
    lines: Arc<Lines>,
    patience: Duration,
    bearer: Option<HeaderValue>,
    sink: AnswerOfNode,
    places: Arc<Semaphore>,
    runtime: Option<Runtime>,
}

impl NodeClient {
    pub(crate) fn start(config: &NodesConfig, sink: AnswerOfNode) -> io::Result<Self> {
        let client = Client::builder()
            .http1_only()
            .no_proxy()
            // Whoever writes the configuration names the nodes; nobody else does.
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_FOR);
        let client = client.build().map_err(|error| io::Error::other(innermost(&error)))?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("nodes").enable_all().build()?;
        Ok(Self {
            lines: Lines::start(runtime.handle(), client, IDLE_FOR),
            patience: config.patience,
            bearer: config.secret.as_deref().map(bearer).transpose()?,
            sink,
            places: Arc::new(Semaphore::new(MAX_NODE_REQUESTS)),
            runtime: Some(runtime),
        })
    }

    /// Makes the request. What comes of it goes to the sink.
    pub(crate) fn ask(&self, request: Request) {
        let Some(runtime) = &self.runtime else { return };
        let (sink, places, lines) = (Arc::clone(&self.sink), Arc::clone(&self.places), Arc::clone(&self.lines));
        let (patience, bearer) = (self.patience, self.bearer.clone());
        runtime.spawn(async move {
            let _place = places.acquire().await;
            let id = request.id;
            let result = exchange(&lines, bearer, request, patience).await;
            sink(Answer { id, result });
        });
    }
}

impl Drop for NodeClient {
    fn drop(&mut self) {
        // Nobody waits for answers any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn exchange(
    lines: &Lines,
    bearer: Option<HeaderValue>,
    request: Request,
    patience: Duration,
) -> Option<(u16, Bytes)> {
    let Request { id: AskId(_), method, url, body } = request;
    let method = match method {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "DELETE" => Method::DELETE,
        _ => Method::PUT,
    };
    match lines.ask(Ask { method, url: url.clone(), bearer, body }, MAX_NODE_ANSWER, patience).await {
        Ok(answer) => Some(answer),
        Err(NoAnswer::Late) => {
            tracing::debug!(url, "a node does not answer in time");
            None
        }
        Err(NoAnswer::Lost(error)) => {
            tracing::debug!(url, error, "a node cannot be asked");
            None
        }
        Err(NoAnswer::Unread(_, why)) => {
            tracing::warn!(url, why, "the answer of a node cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    fn request(url: String) -> Request {
        Request { id: AskId(7), method: "PUT", url, body: "{}".to_owned() }
    }

    #[test]
    fn a_node_is_asked_with_the_secret_and_silence_and_refusals_are_no_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answers, answered) = mpsc::channel();
        let config = NodesConfig { patience: Duration::from_millis(300), secret: Some("0123456789abcdef".into()) };
        assert!(!format!("{config:?}").contains("0123456789"));
        let client = NodeClient::start(&config, Arc::new(move |answer| answers.send(answer).unwrap())).unwrap();
        client.ask(request(format!("http://{address}/dialog/ring")));
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = vec![0; 4096];
        let length = stream.read(&mut read).unwrap();
        let text = String::from_utf8_lossy(&read[..length]).to_ascii_lowercase();
        assert!(text.starts_with("put /dialog/ring http/1.1\r\n"), "{text}");
        assert!(text.contains("authorization: bearer 0123456789abcdef\r\n"), "{text}");
        stream.write_all(b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        let answer = answered.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!((answer.id, answer.result), (AskId(7), Some((409, Bytes::from_static(b"{}")))));
        // It accepts, and says nothing.
        client.ask(request(format!("http://{address}/dialog/ring")));
        assert_eq!(answered.recv_timeout(Duration::from_secs(5)).unwrap().result, None);
        drop((stream, listener));
        client.ask(request(format!("http://{address}/dialog/ring")));
        assert_eq!(answered.recv_timeout(Duration::from_secs(5)).unwrap().result, None);
    }
}
