//! The client's end of a WebSocket, over TCP or TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::{ClientRequestBuilder, IntoClientRequest as _};
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::follow::Line;
use super::settings::system_words;

/// Longest message that is read from a server, in bytes.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// How long the server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where to connect and with what.
#[derive(Debug)]
pub struct Target {
    /// `ws://HOST:PORT/PATH` or `wss://…`.
    pub url: String,
    /// Bearer token.
    pub token: Option<String>,
    /// The subprotocol to ask for.
    pub subprotocol: Option<&'static str>,
}

/// A byte stream, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An open WebSocket.
pub struct Socket(WebSocketStream<Box<dyn Stream>>);

impl Socket {
    /// Connects. `ca` is a file of certificates to trust beside those of the system.
    ///
    /// # Errors
    /// Why not, in the words of the original where it had some.
    pub async fn dial(target: &Target, ca: Option<&Path>) -> Result<Self, String> {
        let uri: Uri = target.url.parse().map_err(|error| format!("{}: {error}", target.url))?;
        let host = uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        let is_secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(format!("{}: neither ws:// nor wss://", target.url)),
        };
        let mut request = ClientRequestBuilder::new(uri.clone());
        if let Some(token) = &target.token {
            request = request.with_header("Authorization", format!("Bearer {token}"));
        }
        if let Some(subprotocol) = target.subprotocol {
            request = request.with_sub_protocol(subprotocol);
        }
        let request = request.into_client_request().map_err(|error| error.to_string())?;
        let tcp = connect(&bare, uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 })).await?;
        let stream: Box<dyn Stream> = if is_secure {
            let name = ServerName::try_from(bare).map_err(|error| error.to_string())?;
            let connector = TlsConnector::from(Arc::new(tls(ca)?));
            Box::new(connector.connect(name, tcp).await.map_err(|error| format!("tls: {error}"))?)
        } else {
            Box::new(tcp)
        };
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        opened.map(|(socket, _)| Self(socket)).map_err(|error| match error {
            Error::Http(response) => format!("websocket: bad handshake ({})", response.status()),
            other => format!("websocket: {other}"),
        })
    }

    /// Says goodbye and waits a moment for the answer.
    pub async fn close(mut self) {
        let goodbye = async {
            // Whoever has left already needs no goodbye.
            if self.0.close(None).await.is_ok() {
                while self.0.next().await.is_some_and(|message| message.is_ok()) {}
            }
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

/// Where a name leads. Nobody is asked for `localhost`, which always means this host (RFC 6761 section 6.3).
async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    if host.eq_ignore_ascii_case("localhost") {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(loopback.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    let found = tokio::net::lookup_host((host, port)).await;
    let found = found.map_err(|error| format!("dial tcp: lookup {host}: {}", system_words(&error)))?;
    Ok(found.collect())
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let mut last = format!("dial tcp: lookup {host}: no such host");
    for address in addresses(host, port).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = format!("dial tcp {address}: connect: {}", system_words(&error)),
        }
    }
    Err(last)
}

fn tls(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca {
        let bad = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(file).map_err(|error| bad(&error))?.collect();
        for certificate in certificates.map_err(|error| bad(&error))? {
            roots.add(certificate).map_err(|error| bad(&error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl Line for Socket {
    async fn send(&mut self, text: String) -> Result<(), String> {
        self.0.send(Message::text(text)).await.map_err(|error| words(&error))
    }

    async fn receive(&mut self) -> Result<String, String> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Binary(bytes))) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|frame| format!(" {}: {}", u16::from(frame.code), frame.reason));
                    return Err(format!("websocket: close{}", why.unwrap_or_default()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(words(&error)),
                None => return Err("websocket: connection closed".into()),
            }
        }
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => "unexpected EOF".into(),
        Error::Io(error) => system_words(error),
        other => format!("websocket: {other}"),
    }
}
