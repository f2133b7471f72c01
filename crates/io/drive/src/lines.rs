//! HTTP/1.1 to hosts that are asked over and over again: nodes and controllers. In the clear, over connections that stay open.
//!
//! ```text
//!   ask ─▶ an idle line? ── yes: the one that was used last ─▶ request, answer ─▶ idle
//!               │                          │ closed before the request went out
//!               └─ no: connect ◀───────────┘
//! ```
//!
//! Most requests of a switch over several processes are of this kind, a few for each command, so what a general client does
//! for each of them is felt: it parses the URL several times, passes layers for redirects and proxies, and while a request waits
//! for a line it opens another one, to close it when there are more than it keeps. TLS, names and passwords in URLs and
//! whatever is unusual in them are left to such a client.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::http::{Uri, header, uri};
use bytes::{Bytes, BytesMut};
use compact_str::CompactString;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::service::Service as _;
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use reqwest::Client;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::opensips::innermost;

/// What a URL may hold beside letters and digits to be sent as it stands. Anything else a general client escapes first.
const USUAL: &[u8] = b"-._~:/?[]!$&'()*+,;=%";

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: String,
    /// What is shown in `Authorization`.
    pub(crate) bearer: Option<HeaderValue>,
    /// A JSON document, or nothing.
    pub(crate) body: String,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoAnswer {
    /// Nobody can be reached there, the connection was lost, or what came is no HTTP.
    Lost(String),
    /// It is not there in time.
    Late,
    /// There is one with this status, but its body broke off, is too long, or is not there in time.
    Unread(u16, String),
}

/// The connections to all hosts.
pub(crate) struct Lines {
    connector: TowerToHyperService<HttpConnector>,
    /// For everything else.
    general: Client,
    /// Those that carry nothing, by host and port; the last one was used last. There are never more than requests were under
    /// way at once.
    idle: Mutex<HashMap<CompactString, VecDeque<Line>>>,
    /// How long they are kept.
    idle_for: Duration,
}

/// A connection that carries nothing.
struct Line {
    sender: SendRequest<String>,
    since: Instant,
}

impl Lines {
    /// Lines are closed when they have carried nothing for so long. `general` asks where the URL is not of the simple kind.
    pub(crate) fn start(runtime: &Handle, general: Client, idle_for: Duration) -> Arc<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let connector = TowerToHyperService::new(connector);
        let lines = Arc::new(Self { connector, general, idle: Mutex::default(), idle_for });
        runtime.spawn(sweep(Arc::downgrade(&lines)));
        lines
    }

    /// Asks. The answer has at most so many bytes and is there after `patience`, all of it.
    pub(crate) async fn ask(&self, ask: Ask, most: usize, patience: Duration) -> Result<(u16, Bytes), NoAnswer> {
        let end = Instant::now() + patience;
        match simple(&ask.url) {
            Some(uri) => {
                let host = CompactString::from(uri.authority().map_or("", uri::Authority::as_str));
                let asked = self.ask_plainly(&uri, &host, ask);
                let (sender, response) = timeout_at(end, asked).await.map_err(|_| NoAnswer::Late)??;
                let status = response.status().as_u16();
                let body = in_time(end, status, whole(response.into_body(), most)).await?;
                self.give_back(host, sender);
                Ok((status, body))
            }
            None => {
                let response = timeout_at(end, self.ask_generally(ask)).await.map_err(|_| NoAnswer::Late)??;
                let status = response.status().as_u16();
                Ok((status, in_time(end, status, whole_of_general(response, most)).await?))
            }
        }
    }

    /// The answer, and the line that it comes on.
    async fn ask_plainly(
        &self,
        uri: &Uri,
        host: &str,
        ask: Ask,
    ) -> Result<(SendRequest<String>, Response<Incoming>), NoAnswer> {
        let mut request = request(uri, host, ask)?;
        loop {
            let (mut sender, fresh) = match self.take(host) {
                Some(sender) => (sender, false),
                None => (self.connect(uri).await?, true),
            };
            if sender.ready().await.is_err() && !fresh {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                Err(mut error) => match error.take_message() {
                    // Nothing of it has gone out.
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(lost(error.error())),
                },
            }
        }
    }

    async fn connect(&self, uri: &Uri) -> Result<SendRequest<String>, NoAnswer> {
        let stream: TokioIo<TcpStream> = self.connector.call(uri.clone()).await.map_err(|error| lost(&error))?;
        let (sender, connection) = handshake(stream).await.map_err(|error| lost(&error))?;
        // Whoever waits for an answer hears of its errors.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    fn take(&self, host: &str) -> Option<SendRequest<String>> {
        let now = Instant::now();
        let mut idle = self.idle();
        let lines = idle.get_mut(host)?;
        while let Some(line) = lines.pop_back() {
            if self.is_good(&line, now) {
                return Some(line.sender);
            }
        }
        None
    }

    fn give_back(&self, host: CompactString, sender: SendRequest<String>) {
        if !sender.is_closed() {
            let line = Line { sender, since: Instant::now() };
            self.idle().entry(host).or_default().push_back(line);
        }
    }

    fn is_good(&self, line: &Line, now: Instant) -> bool {
        now < line.since + self.idle_for && !line.sender.is_closed()
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<CompactString, VecDeque<Line>>> {
        // A push or a pop cannot panic half-way.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_generally(&self, ask: Ask) -> Result<reqwest::Response, NoAnswer> {
        let Ask { method, url, bearer, body } = ask;
        let mut asked = self.general.request(method, url);
        if let Some(bearer) = bearer {
            asked = asked.header(header::AUTHORIZATION, bearer);
        }
        if !body.is_empty() {
            asked = asked.header(header::CONTENT_TYPE, JSON).body(body);
        }
        asked.send().await.map_err(|error| lost(&error))
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Closes what nobody has used for long, and forgets hosts, for as long as there are lines.
async fn sweep(lines: Weak<Lines>) {
    while let Some(idle_for) = lines.upgrade().map(|lines| lines.idle_for) {
        tokio::time::sleep(idle_for).await;
        let Some(lines) = lines.upgrade() else { return };
        let now = Instant::now();
        lines.idle().retain(|_, of_host| {
            of_host.retain(|line| lines.is_good(line, now));
            !of_host.is_empty()
        });
    }
}

/// The URL, if it can be sent as it stands to a host in the clear.
fn simple(url: &str) -> Option<Uri> {
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || USUAL.contains(byte);
    if !url.starts_with("http://") || !url.as_bytes().iter().all(usual) || url.contains("/.") {
        return None;
    }
    let uri: Uri = url.parse().ok()?;
    uri.host().is_some_and(|host| !host.is_empty()).then_some(uri)
}

fn request(uri: &Uri, host: &str, ask: Ask) -> Result<Request<String>, NoAnswer> {
    let Ask { method, bearer, body, .. } = ask;
    let path = uri.path_and_query().map_or("/", uri::PathAndQuery::as_str);
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
    request = request.header(header::ACCEPT, const { HeaderValue::from_static("*/*") });
    if let Some(bearer) = bearer {
        request = request.header(header::AUTHORIZATION, bearer);
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, JSON);
    }
    request.body(body).map_err(|error| lost(&error))
}

/// A body, if it is there until then.
async fn in_time(
    end: Instant,
    status: u16,
    body: impl Future<Output = Result<Bytes, String>>,
) -> Result<Bytes, NoAnswer> {
    let body = timeout_at(end, body).await.unwrap_or_else(|_| Err("the rest is not there in time".to_owned()));
    body.map_err(|why| NoAnswer::Unread(status, why))
}

async fn whole_of_general(mut response: reqwest::Response, most: usize) -> Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| innermost(&error))? {
        add(&mut whole, &piece, most)?;
    }
    Ok(whole.freeze())
}

/// All of the body, or why not.
async fn whole(mut body: Incoming, most: usize) -> Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while !body.is_end_stream() {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(frame) = frame.transpose().map_err(|error| innermost(&error))? else { break };
        if let Ok(piece) = frame.into_data() {
            add(&mut whole, &piece, most)?;
        }
    }
    Ok(whole.freeze())
}

fn add(whole: &mut BytesMut, piece: &[u8], most: usize) -> Result<(), String> {
    if whole.len() + piece.len() > most {
        return Err(format!("an answer of more than {most} bytes"));
    }
    whole.extend_from_slice(piece);
    Ok(())
}

fn lost(error: &(dyn std::error::Error + 'static)) -> NoAnswer {
    NoAnswer::Lost(innermost(error))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Long enough on a busy machine.
    const SOON: Duration = Duration::from_secs(10);

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

    fn lines(idle_for: Duration) -> Arc<Lines> {
        Lines::start(&Handle::current(), Client::builder().no_proxy().build().unwrap(), idle_for)
    }

    fn put(listener: &TcpListener, body: &str) -> Ask {
        let url = format!("http://{}/dialog/ring?x=1", listener.local_addr().unwrap());
        let bearer = Some(HeaderValue::from_static("Bearer abc"));
        Ask { method: Method::PUT, url, bearer, body: body.to_owned() }
    }

    async fn listen() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    /// Reads a request whose body, if any, ends with `}`.
    async fn read(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let mut room = [0; 4096];
        while !(text.ends_with("\r\n\r\n") && !text.contains("content-length") || text.ends_with('}')) {
            let len = stream.read(&mut room).await.unwrap();
            assert!(len > 0, "{text}");
            text.push_str(std::str::from_utf8(&room[..len]).unwrap());
        }
        text
    }

    async fn serve(stream: &mut TcpStream, answer: &str) -> String {
        let asked = read(stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        asked
    }

    #[tokio::test]
    async fn one_line_carries_one_request_after_the_other() {
        let (listener, lines) = (listen().await, lines(Duration::from_secs(60)));
        let ask = |ask| {
            let lines = Arc::clone(&lines);
            tokio::spawn(async move { lines.ask(ask, 1_000, SOON).await })
        };
        let first = ask(put(&listener, "{}"));
        let (mut stream, _) = listener.accept().await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let expected = format!(
            "PUT /dialog/ring?x=1 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: */*\r\nauthorization: Bearer abc\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        assert_eq!(serve(&mut stream, OK).await, expected);
        assert_eq!(first.await.unwrap(), Ok((200, Bytes::from_static(b"{}"))));
        // In pieces of unknown number, and without any.
        let chunks = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        for (answer, status, body) in [(chunks, 404, "abcde"), ("HTTP/1.1 204 No Content\r\n\r\n", 204, "")] {
            let next = ask(Ask { method: Method::DELETE, bearer: None, ..put(&listener, "") });
            let asked = serve(&mut stream, answer).await;
            assert_eq!(
                asked,
                format!("DELETE /dialog/ring?x=1 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: */*\r\n\r\n")
            );
            assert_eq!(next.await.unwrap(), Ok((status, Bytes::from(body))));
        }
        // Two at once need two, and both stay.
        let both = [ask(put(&listener, "{}")), ask(put(&listener, "{}"))];
        let (mut other, _) = listener.accept().await.unwrap();
        for stream in [&mut stream, &mut other] {
            serve(stream, OK).await;
        }
        for one in both {
            assert!(one.await.unwrap().is_ok());
        }
        assert_eq!(lines.idle().values().map(VecDeque::len).sum::<usize>(), 2);
    }

    #[tokio::test]
    async fn a_line_that_the_host_has_closed_is_replaced() {
        let (listener, lines) = (listen().await, lines(Duration::from_secs(60)));
        for _ in 0..2 {
            let (answer, mut stream) = tokio::join!(lines.ask(put(&listener, "{}"), 1_000, SOON), async {
                let (mut stream, _) = listener.accept().await.unwrap();
                serve(&mut stream, OK).await;
                stream
            });
            assert!(answer.is_ok());
            stream.shutdown().await.unwrap();
            // Until our side has seen it and closes as well.
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_line_that_carries_nothing_for_long_is_closed() {
        let (listener, lines) = (listen().await, lines(Duration::from_millis(200)));
        let (answer, mut stream) = tokio::join!(lines.ask(put(&listener, "{}"), 1_000, SOON), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            serve(&mut stream, OK).await;
            stream
        });
        assert!(answer.is_ok());
        // Nobody asks any more.
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(lines.idle().is_empty());
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_or_breaks_off_has_a_status_and_what_is_no_answer_none() {
        let (listener, lines) = (listen().await, lines(Duration::from_secs(60)));
        let long = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890";
        let short = "HTTP/1.1 500 Oh\r\nContent-Length: 11\r\n\r\n0123";
        for (answer, status) in [(long, Some(200)), (short, Some(500)), ("SSH-2.0 hello\r\n\r\n", None), ("", None)] {
            let (got, ()) = tokio::join!(lines.ask(put(&listener, "{}"), 10, SOON), async {
                let (mut stream, _) = listener.accept().await.unwrap();
                serve(&mut stream, answer).await;
                stream.shutdown().await.unwrap();
            });
            let unread = match got.unwrap_err() {
                NoAnswer::Unread(status, _) => Some(status),
                NoAnswer::Lost(_) | NoAnswer::Late => None,
            };
            assert_eq!(unread, status, "{answer}");
        }
        let nowhere = put(&listener, "{}");
        drop(listener);
        assert!(matches!(lines.ask(nowhere, 10, SOON).await, Err(NoAnswer::Lost(_))));
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_patience_for_the_head_or_the_rest() {
        let (listener, lines) = (listen().await, lines(Duration::from_secs(60)));
        let begun = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123";
        let rest = NoAnswer::Unread(200, "the rest is not there in time".to_owned());
        for (answer, expected) in [("", NoAnswer::Late), (begun, rest)] {
            let asked = lines.ask(put(&listener, "{}"), 1_000, Duration::from_millis(300));
            let (got, _stream) = tokio::join!(asked, async {
                let (mut stream, _) = listener.accept().await.unwrap();
                serve(&mut stream, answer).await;
                stream
            });
            assert_eq!(got, Err(expected));
        }
        assert!(lines.idle().is_empty());
    }

    #[test]
    fn only_urls_that_can_be_sent_as_they_stand_go_the_short_way() {
        for url in ["http://127.0.0.1:9000/dialog/a%20b?c=d", "http://[::1]:9000", "http://node-1.test/"] {
            assert!(simple(url).is_some(), "{url}");
        }
        for url in [
            "https://node.test/",
            "http://me:secret@node.test/",
            "http://node.test/a b",
            "http://node.test/\u{e4}",
            "http://node.test/a/../b",
            "http://node.test/#there",
            "http://",
            "http:///path",
        ] {
            assert!(simple(url).is_none(), "{url}");
        }
    }

    #[tokio::test]
    async fn any_other_url_is_asked_as_well() {
        let (listener, lines) = (listen().await, lines(Duration::from_secs(60)));
        let ask = put(&listener, "{}");
        let unusual = Ask { url: ask.url.replace("/dialog/ring?x=1", "/a b"), ..ask };
        let (answer, asked) = tokio::join!(lines.ask(unusual, 10, SOON), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            serve(&mut stream, OK).await
        });
        assert_eq!(answer, Ok((200, Bytes::from_static(b"{}"))));
        assert!(
            asked.starts_with("PUT /a%20b HTTP/1.1\r\n") && asked.contains("authorization: Bearer abc\r\n"),
            "{asked}"
        );
    }
}
