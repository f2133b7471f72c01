//! The server's side of a WebSocket that carries SIP (RFC 7118), over bytes that somebody else reads and writes.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tungstenite::error::CapacityError;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response};
use tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message, Utf8Bytes};

/// Longest head of the request that asks for a WebSocket, in bytes.
pub const MAX_UPGRADE: usize = 8 * 1024;

/// Longest message in bytes, as long as any that SIP has over UDP.
pub const MAX_WEBSOCKET_MESSAGE: usize = 65_535;

/// The sub-protocol of SIP (RFC 7118 4.1).
const SUBPROTOCOL: &str = "sip";

/// What each open WebSocket keeps for reading, in bytes; it grows with what comes.
const READ_BUFFER: usize = 1024;

pub(super) enum WebSocket {
    /// Awaits the request that asks for it.
    Asked { head: Vec<u8> },
    /// Awaits messages.
    Open(Box<WebSocketContext>),
}

/// Why a WebSocket is over. What had to be said of it to the other side has been written.
#[derive(Debug)]
pub(super) enum WebEnd {
    /// The other side wanted it.
    Closed,
    /// The other side does not keep to the rules, or is not wanted.
    Refused(String),
}

/// What has been read, and what is to be written.
struct Pipe<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(into)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WebSocket {
    pub(super) fn new() -> Self {
        Self::Asked { head: Vec::new() }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Takes what has arrived; `origins` are those that may ask, all if there are none.
    pub(super) fn receive(
        &mut self,
        plain: &[u8],
        origins: &[String],
        messages: &mut Vec<Bytes>,
        output: &mut Vec<u8>,
    ) -> Result<(), WebEnd> {
        let mut pipe = Pipe { input: plain, output };
        if let Self::Asked { head } = self {
            let before = head.len();
            head.extend_from_slice(&plain[..plain.len().min(MAX_UPGRADE + 1 - before)]);
            let Some((length, request)) = parse(head, pipe.output)? else { return Ok(()) };
            answer(&request, origins, pipe.output)?;
            // What follows the request in the same read is the first of the frames.
            pipe.input = &plain[length.saturating_sub(before)..];
            *self = Self::Open(Box::new(WebSocketContext::new(Role::Server, Some(limits()))));
        }
        if let Self::Open(context) = self { read(context, &mut pipe, messages) } else { Ok(()) }
    }

    /// Sends one message in a frame of its own: as text where it is some, as a browser likes it best.
    pub(super) fn send(&mut self, bytes: Bytes, output: &mut Vec<u8>) {
        let Self::Open(context) = self else { return };
        let message = match Utf8Bytes::try_from(bytes.clone()) {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(bytes),
        };
        let mut pipe = Pipe { input: &[], output };
        // It fails only when the WebSocket is closed already.
        if let Err(error) = context.write(&mut pipe, message).and_then(|()| context.flush(&mut pipe)) {
            tracing::debug!(%error, "a WebSocket takes no message");
        }
    }

    /// Says goodbye.
    pub(super) fn close(&mut self, output: &mut Vec<u8>) {
        if let Self::Open(context) = self {
            close(context, &mut Pipe { input: &[], output }, CloseCode::Normal);
        }
    }
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_WEBSOCKET_MESSAGE))
        .max_frame_size(Some(MAX_WEBSOCKET_MESSAGE))
}

/// Reads the request, when it is there as a whole.
fn parse(head: &[u8], output: &mut Vec<u8>) -> Result<Option<(usize, Request)>, WebEnd> {
    match Request::try_parse(head) {
        Ok(Some(parsed)) if parsed.0 <= MAX_UPGRADE => Ok(Some(parsed)),
        Ok(None) if head.len() <= MAX_UPGRADE => Ok(None),
        Ok(_) => Err(refuse(output, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too long")),
        Err(error) => Err(refuse(output, StatusCode::BAD_REQUEST, &format!("no request for a WebSocket: {error}"))),
    }
}

/// Agrees, or says why not (RFC 6455 4.2.2).
fn answer(request: &Request, origins: &[String], output: &mut Vec<u8>) -> Result<(), WebEnd> {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    // Only browsers name one, and only they can be kept from lying: whoever names none is no page of a stranger.
    if let Some(origin) = origin
        && !origins.is_empty()
        && !origins.iter().any(|known| known.eq_ignore_ascii_case(&origin))
    {
        return Err(refuse(output, StatusCode::FORBIDDEN, "this origin is not allowed"));
    }
    let response = create_response(request);
    let Ok(mut response) = response else {
        return Err(refuse(output, StatusCode::UPGRADE_REQUIRED, "only WebSockets are served here"));
    };
    if !asks_for_sip(headers) {
        return Err(refuse(output, StatusCode::BAD_REQUEST, "the sub-protocol sip is needed"));
    }
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    tungstenite::handshake::server::write_response(output, &response)
        .map_err(|error| WebEnd::Refused(error.to_string()))
}

fn asks_for_sip(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case(SUBPROTOCOL))
}

fn refuse(output: &mut Vec<u8>, status: StatusCode, why: &str) -> WebEnd {
    let upgrade = match status {
        StatusCode::UPGRADE_REQUIRED => "Upgrade: websocket\r\nConnection: Upgrade, close\r\n",
        _ => "Connection: close\r\n",
    };
    let text = format!(
        "HTTP/1.1 {status}\r\n{upgrade}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{why}\n",
        why.len() + 1
    );
    output.extend_from_slice(text.as_bytes());
    WebEnd::Refused(why.to_owned())
}

fn read(context: &mut WebSocketContext, pipe: &mut Pipe<'_>, messages: &mut Vec<Bytes>) -> Result<(), WebEnd> {
    loop {
        match context.read(pipe) {
            Ok(Message::Text(text)) => messages.push(text.into()),
            Ok(Message::Binary(bytes)) => messages.push(bytes),
            // Pings are answered, and so is the wish to close.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {}
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Err(WebEnd::Closed),
            Err(error) => {
                let code = match &error {
                    Error::Capacity(CapacityError::MessageTooLong { .. }) => CloseCode::Size,
                    Error::Utf8(_) => CloseCode::Invalid,
                    _ => CloseCode::Protocol,
                };
                close(context, pipe, code);
                return Err(WebEnd::Refused(error.to_string()));
            }
        }
    }
    match context.flush(pipe) {
        Err(Error::ConnectionClosed | Error::AlreadyClosed) => Err(WebEnd::Closed),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn close(context: &mut WebSocketContext, pipe: &mut Pipe<'_>, code: CloseCode) {
    let frame = CloseFrame { code, reason: Utf8Bytes::default() };
    // It fails only when both sides have said goodbye already.
    if let Err(error) = context.close(pipe, Some(frame)).and_then(|()| context.flush(pipe)) {
        tracing::debug!(%error, "a WebSocket was closed twice");
    }
}
