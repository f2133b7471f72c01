//! What stands between a TCP connection and the messages it carries: TLS, a WebSocket, or both.
//!
//! ```text
//!   TCP bytes ──► Tls ──► WebSocket ──► Piece::Message
//!                  └──────────────────► Piece::Bytes
//! ```
//!
//! A connection with layers is open when every layer has shaken hands. What is to be sent before waits.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::{ClientConfig, ServerConfig};

use super::distrust::{Distrust, words};
use super::tls::Tls;
use super::websocket::{WebEnd, WebSocket};

/// What a TCP connection carries, and in what.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum StreamKind {
    /// Bytes as they are.
    #[default]
    Plain,
    /// Bytes within TLS.
    Tls,
    /// Messages of a WebSocket.
    Ws,
    /// Messages of a WebSocket within TLS.
    Wss,
}

impl StreamKind {
    /// The name in messages for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    pub(super) const fn has_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    pub(super) const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// What layers need to know. May be replaced at any time: connections there are keep what they began with.
#[derive(Clone, Debug, Default)]
pub struct StreamSetup {
    /// Our certificates, for who connects to us. Without it nobody can by TLS.
    pub server: Option<Arc<ServerConfig>>,
    /// What others have to prove, and our certificate towards them. Without it nobody is connected to by TLS.
    pub client: Option<Arc<ClientConfig>>,
    /// Pages whose browsers may open a WebSocket, as their Origin says; empty lets all.
    pub origins: Arc<[String]>,
}

/// What has come out of the layers.
pub(super) enum Piece {
    Bytes(Bytes),
    Message(Bytes),
}

/// Why the layers can go on no more.
pub(super) enum LayerEnd {
    /// The peer says nothing more; it may still listen.
    Peer,
    /// Both sides have said goodbye.
    Goodbye,
    /// The peer does not keep to the rules, or is not wanted; the words are for the log.
    Broken(String),
    /// One side does not believe the certificate of the other; the words are for the log.
    Distrusted(Distrust, String),
}

pub(super) struct Layers {
    tls: Option<Tls>,
    web: Option<WebSocket>,
    origins: Arc<[String]>,
    /// When shaking hands began.
    pub(super) since: Duration,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
}

impl Layers {
    /// The layers of a connection that somebody has opened to us. `None` for plain ones.
    pub(super) fn accepted(
        kind: StreamKind,
        setup: &StreamSetup,
        now: Duration,
    ) -> Result<Option<Box<Self>>, rustls::Error> {
        if kind == StreamKind::Plain {
            return Ok(None);
        }
        let missing = || rustls::Error::General("there is no certificate".to_owned());
        let tls = match kind.has_tls() {
            true => Some(Tls::server(setup.server.clone().ok_or_else(missing)?)?),
            false => None,
        };
        let web = kind.is_websocket().then(WebSocket::new);
        Ok(Some(Box::new(Self::new(tls, web, setup, now))))
    }

    /// The layers of a connection that we open to somebody of that name.
    pub(super) fn opened(
        setup: &StreamSetup,
        name: Option<&str>,
        remote: SocketAddr,
        now: Duration,
    ) -> Result<Box<Self>, rustls::Error> {
        let missing = || rustls::Error::General("TLS towards others is not set up".to_owned());
        let tls = Tls::client(setup.client.clone().ok_or_else(missing)?, name, remote)?;
        Ok(Box::new(Self::new(Some(tls), None, setup, now)))
    }

    fn new(tls: Option<Tls>, web: Option<WebSocket>, setup: &StreamSetup, since: Duration) -> Self {
        let origins = Arc::clone(&setup.origins);
        Self { tls, web, origins, since, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    /// Whether every layer has shaken hands.
    pub(super) fn is_ready(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking()) && self.web.as_ref().is_none_or(WebSocket::is_open)
    }

    /// Whether the costly part of shaking hands is still to come.
    pub(super) fn awaits_tls(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::is_handshaking)
    }

    /// The domains that the other side has proved to be.
    pub(super) fn names(&self) -> Vec<String> {
        self.tls.as_ref().map(Tls::names).unwrap_or_default()
    }

    /// The first word, when it is ours.
    pub(super) fn begin(&mut self, raw: &mut Vec<u8>) {
        if let Some(tls) = &mut self.tls {
            tls.take_output(raw);
        }
    }

    /// Takes what has arrived; `raw` is what is to be written because of it, also after an error.
    pub(super) fn receive(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>, raw: &mut Vec<u8>) -> Result<(), LayerEnd> {
        let Some(tls) = &mut self.tls else { return self.receive_plain(bytes, pieces, raw) };
        let mut plain = Vec::new();
        let result = tls.receive(bytes, &mut plain);
        tls.take_output(raw);
        let ended = result.map_err(|error| match Distrust::of(&error) {
            Some(why) => LayerEnd::Distrusted(why, words(&error)),
            None => LayerEnd::Broken(words(&error)),
        })?;
        if !plain.is_empty() {
            if self.web.is_some() {
                self.receive_plain(&plain, pieces, raw)?;
            } else {
                pieces.push(Piece::Bytes(plain.into()));
            }
        }
        if ended { Err(LayerEnd::Peer) } else { Ok(()) }
    }

    fn receive_plain(&mut self, plain: &[u8], pieces: &mut Vec<Piece>, raw: &mut Vec<u8>) -> Result<(), LayerEnd> {
        let Some(web) = &mut self.web else { return Ok(()) };
        let (mut messages, mut output) = (Vec::new(), Vec::new());
        let result = web.receive(plain, &self.origins, &mut messages, &mut output);
        pieces.extend(messages.into_iter().map(Piece::Message));
        encrypt(self.tls.as_mut(), output, raw);
        result.map_err(|end| match end {
            WebEnd::Closed => LayerEnd::Goodbye,
            WebEnd::Refused(why) => LayerEnd::Broken(why),
        })
    }

    /// Keeps bytes until the layers are ready. False when that would be more than `limit`.
    pub(super) fn hold(&mut self, bytes: Bytes, limit: usize) -> bool {
        self.waiting_bytes += bytes.len();
        self.waiting.push_back(bytes);
        self.waiting_bytes <= limit
    }

    /// What was held, once the layers are ready.
    pub(super) fn release(&mut self, raw: &mut Vec<u8>) {
        self.waiting_bytes = 0;
        for bytes in std::mem::take(&mut self.waiting) {
            self.send(bytes, raw);
        }
    }

    /// Sends one message.
    pub(super) fn send(&mut self, bytes: Bytes, raw: &mut Vec<u8>) {
        match (&mut self.web, &mut self.tls) {
            (Some(web), tls) => {
                let mut output = Vec::new();
                web.send(bytes, &mut output);
                encrypt(tls.as_mut(), output, raw);
            }
            (None, Some(tls)) => tls.send(&bytes, raw),
            (None, None) => raw.extend_from_slice(&bytes),
        }
    }

    /// Says goodbye in every layer.
    pub(super) fn close(&mut self, raw: &mut Vec<u8>) {
        if let Some(web) = &mut self.web {
            let mut output = Vec::new();
            web.close(&mut output);
            encrypt(self.tls.as_mut(), output, raw);
        }
        if let Some(tls) = &mut self.tls {
            tls.close(raw);
        }
    }
}

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys must not reach a log.
        f.debug_struct("Layers").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

fn encrypt(tls: Option<&mut Tls>, mut plain: Vec<u8>, raw: &mut Vec<u8>) {
    match tls {
        Some(tls) => tls.send(&plain, raw),
        None => raw.append(&mut plain),
    }
}
