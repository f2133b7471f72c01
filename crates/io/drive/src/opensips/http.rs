//! Requests to `mi_http`: each is one POST, and many are in flight, because one that starts a call is answered only when
//! the call is.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use compact_str::{CompactString, format_compact};
use hookswitch_opensips::{Input, MiError, RequestId};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, StatusCode, redirect};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::address::HttpAddress;
use super::{Message, StartError};
use crate::inbox::Inbox;

/// Requests in flight; beyond, they fail.
pub(super) const MAX_IN_FLIGHT: usize = 20_000;

/// Longest reply, in bytes.
pub(super) const MAX_REPLY: usize = 4 * 1024 * 1024;

/// Connections kept open although they carry nothing.
const IDLE_CONNECTIONS: usize = 64;

/// For how long: less than OpenSIPS's httpd keeps them, so that no request meets a connection that is being closed.
const IDLE_FOR: Duration = Duration::from_secs(5);

/// How long a connection may take to open.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// The client, its connections and the thread that serves them.
pub(super) struct HttpRequests {
    client: Client,
    address: HttpAddress,
    in_flight: Arc<Semaphore>,
    inbox: Arc<Inbox<Message>>,
    runtime: Option<Runtime>,
}

impl HttpRequests {
    /// A client for this address. Replies go to the queue of the loop. `ca` is a file with further authorities to trust,
    /// as PEM.
    pub(super) fn new(
        address: &HttpAddress,
        ca: Option<&Path>,
        inbox: &Arc<Inbox<Message>>,
    ) -> Result<Self, StartError> {
        let mut builder = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_PATIENCE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_FOR);
        if let Some(ca) = ca {
            builder = builder.tls_certs_merge(authorities(ca)?);
        }
        let client = builder.build().map_err(|error| StartError::Http(innermost(&error)))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("mi-http")
            .enable_all()
            .build()
            .map_err(StartError::System)?;
        let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        Ok(Self { client, address: address.clone(), in_flight, inbox: Arc::clone(inbox), runtime: Some(runtime) })
    }

    /// Sends one request. What becomes of it comes as a [`Message::OpenSips`].
    pub(super) fn send(&self, request: RequestId, bytes: Bytes, patience: Duration) {
        let Ok(place) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            let error = MiError::Other(CompactString::const_new("too many requests in flight"));
            self.inbox.push_always(Message::OpenSips(Input::MiFailed { request, error }));
            return;
        };
        // Without this type `mi_http` says that the request is empty, to its log and to nobody else.
        let mut post = self
            .client
            .post(self.address.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(patience)
            .body(bytes);
        if let Some((user, password)) = &self.address.user {
            post = post.basic_auth(user, Some(password));
        }
        let inbox = Arc::clone(&self.inbox);
        let Some(runtime) = &self.runtime else { return };
        runtime.spawn(async move {
            let input = match exchange(post).await {
                Ok(body) => Input::Reply(body),
                Err(error) => Input::MiFailed { request, error },
            };
            drop(place);
            inbox.push_always(Message::OpenSips(input));
        });
    }
}

impl Drop for HttpRequests {
    fn drop(&mut self) {
        // Requests that start calls wait for minutes; whoever stops does not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn exchange(post: reqwest::RequestBuilder) -> Result<Bytes, MiError> {
    let mut response = post.send().await.map_err(|error| classified(&error))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(MiError::Unauthorized),
        status => return Err(MiError::Status(status.as_u16())),
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| classified(&error))? {
        if body.len() + piece.len() > MAX_REPLY {
            return Err(MiError::Other(CompactString::const_new("a reply is longer than 4 MiB")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, StartError> {
    let bad = |why: String| StartError::Authorities { file: file.to_owned(), why };
    let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| bad(innermost(&error)))?;
    if found.is_empty() { Err(bad("no certificate in it".to_owned())) } else { Ok(found) }
}

/// What an error of the client means to the machine.
fn classified(error: &reqwest::Error) -> MiError {
    if error.is_timeout() {
        return MiError::Timeout;
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        cause = inner(error);
        let Some(error) = error.downcast_ref::<io::Error>() else { continue };
        match error.kind() {
            io::ErrorKind::ConnectionRefused => return MiError::Refused,
            io::ErrorKind::TimedOut => return MiError::Timeout,
            // This is how the TLS library wraps its errors.
            io::ErrorKind::InvalidData if error.get_ref().is_some() => {
                return MiError::Tls(format_compact!("{error}"));
            }
            _ => {}
        }
    }
    MiError::Other(innermost(error).into())
}

/// The outer errors say that something failed, the innermost one says what.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(next) = inner(innermost) {
        innermost = next;
    }
    innermost.to_string()
}

/// What an error holds: one of the system's that wraps another names that one's source as its own and so leaves it out.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(wrapper) => wrapper.get_ref().map(|wrapped| wrapped as _),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::super::MiAddress;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A client of a server that sends this head and so many bytes, or nothing at all, to everybody.
    fn client(says: Option<(&'static str, usize)>) -> (mio::Poll, Arc<Inbox<Message>>, HttpRequests) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let text = format!("http://{}/mi", listener.local_addr().unwrap());
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                if let Some((head, len)) = says {
                    let _ = stream.write_all(head.as_bytes());
                    let _ = stream.write_all(&vec![b' '; len]);
                }
                open.push(stream);
            }
        });
        let poll = mio::Poll::new().unwrap();
        let inbox = Arc::new(Inbox::new(poll.registry(), mio::Token(0), 100).unwrap());
        let MiAddress::Http(address) = text.parse().unwrap() else { panic!("{text}") };
        let requests = HttpRequests::new(&address, None, &inbox).unwrap();
        (poll, inbox, requests)
    }

    /// The next thing that the loop would be told.
    fn next(poll: &mut mio::Poll, inbox: &Inbox<Message>) -> Input {
        let (mut events, mut taken) = (mio::Events::with_capacity(4), VecDeque::new());
        for _ in 0..100 {
            inbox.take(&mut taken);
            if let Some(Message::OpenSips(input)) = taken.pop_front() {
                return input;
            }
            poll.poll(&mut events, Some(PATIENCE)).unwrap();
        }
        panic!("nothing came")
    }

    fn failed(request: u64, why: &'static str) -> Input {
        Input::MiFailed { request: RequestId(request), error: MiError::Other(CompactString::const_new(why)) }
    }

    #[test]
    fn a_reply_has_a_limit() {
        let (mut poll, inbox, requests) = client(Some(("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", MAX_REPLY + 1)));
        requests.send(RequestId(7), Bytes::from_static(b"{}"), PATIENCE);
        assert_eq!(next(&mut poll, &inbox), failed(7, "a reply is longer than 4 MiB"));
    }

    #[test]
    fn requests_in_flight_have_a_limit_and_each_its_own_patience() {
        let (mut poll, inbox, mut requests) = client(None);
        requests.in_flight = Arc::new(Semaphore::new(1));
        requests.send(RequestId(1), Bytes::from_static(b"{}"), Duration::from_millis(200));
        requests.send(RequestId(2), Bytes::from_static(b"{}"), PATIENCE);
        assert_eq!(next(&mut poll, &inbox), failed(2, "too many requests in flight"));
        let late = Input::MiFailed { request: RequestId(1), error: MiError::Timeout };
        assert_eq!(next(&mut poll, &inbox), late);
    }
}
