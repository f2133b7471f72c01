//! Answers: what every response copies from its request (RFC 3261 8.2.6).

use std::net::SocketAddr;

use bytes::BytesMut;

use crate::addr::NameAddr;
use crate::message::Message;
use crate::name::HeaderName;
use crate::via::Via;
use crate::writer::Writer;

/// A response to be started.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Status code.
    pub status: u16,
    /// Reason phrase; empty means the usual one.
    pub reason: &'a str,
    /// Tag for a To that has none; every response but 100 needs one.
    pub to_tag: Option<&'a str>,
    /// Where the request came from: goes into the topmost Via as `received`, and as `rport` where asked for
    /// (RFC 3261 18.2.1, RFC 3581 4). Without it the Via is copied as it is.
    pub source: Option<SocketAddr>,
}

impl Answer<'_> {
    /// Starts the response: status line, Via, From, To, Call-ID and CSeq of the request, and its Timestamp for a 100.
    ///
    /// A request that failed [`Message::validate`] is answered with those of the headers that it has. `None` when it is
    /// no request, is an ACK, or has no Via at all, so that there is nobody to answer.
    pub fn write(&self, request: &Message) -> Option<Writer<'static>> {
        is_answerable(request)
            .then(|| self.copy_to(request, Writer::response(self.status, self.reason)))
    }

    /// Like [`Answer::write`], in a buffer that serves many messages.
    pub fn write_in<'b>(&self, buffer: &'b mut BytesMut, request: &Message) -> Option<Writer<'b>> {
        is_answerable(request).then(|| {
            self.copy_to(
                request,
                Writer::response_in(buffer, self.status, self.reason),
            )
        })
    }

    fn copy_to<'b>(&self, request: &Message, mut out: Writer<'b>) -> Writer<'b> {
        self.copy_vias(request, &mut out);
        out.copy(request, HeaderName::From);
        self.copy_to_header(request, &mut out);
        out.copy(request, HeaderName::CallId);
        out.copy(request, HeaderName::CSeq);
        if self.status == 100 {
            out.copy(request, HeaderName::Timestamp);
        }
        out
    }

    fn copy_vias(&self, request: &Message, out: &mut Writer<'_>) {
        let Some((source, top)) = self.source.zip(request.values(HeaderName::Via).next()) else {
            out.copy(request, HeaderName::Via);
            return;
        };
        // The rest of the first line follows the topmost value; members are kept apart by a comma either way.
        let first = request.header(HeaderName::Via).unwrap_or_default();
        let rest = first
            .windows(top.len())
            .position(|w| w == top)
            .map_or(&[][..], |at| &first[at + top.len()..]);
        match Via::parse(top) {
            Ok(via) => write_top_via(out, top, &via, source, rest),
            Err(_) => {
                out.header(HeaderName::Via, first);
            }
        }
        for (_, line) in request
            .lines()
            .filter(|(name, _)| *name == HeaderName::Via)
            .skip(1)
        {
            out.raw_line(line);
        }
    }

    fn copy_to_header(&self, request: &Message, out: &mut Writer<'_>) {
        let Some(value) = request.header(HeaderName::To) else {
            return;
        };
        let tagged = NameAddr::parse(value).is_ok_and(|to| to.tag().is_some());
        match self.to_tag {
            Some(tag) if !tagged => {
                // Bytes that may not be UTF-8, so no formatting.
                let mut text = Vec::with_capacity(value.len() + 5 + tag.len());
                text.extend_from_slice(value);
                text.extend_from_slice(b";tag=");
                text.extend_from_slice(tag.as_bytes());
                out.header(HeaderName::To, text);
            }
            _ => {
                out.copy(request, HeaderName::To);
            }
        }
    }
}

fn is_answerable(request: &Message) -> bool {
    request
        .method()
        .is_some_and(|method| *method != crate::Method::Ack)
        && request.header(HeaderName::Via).is_some()
}

/// Writes the topmost Via with `received` and `rport` filled in, other parameters in their order.
fn write_top_via(out: &mut Writer<'_>, top: &[u8], via: &Via<'_>, source: SocketAddr, rest: &[u8]) {
    let asks_port = via.rport().is_some();
    let shows_address = via.host.ip().is_some_and(|ip| ip == source.ip());
    let params_at = top.len() - via.params.as_bytes().len();
    let mut text = Vec::with_capacity(top.len() + 64 + rest.len());
    text.extend_from_slice(&top[..params_at]);
    for param in via.params.iter() {
        let ours = [&b"received"[..], b"rport"]
            .iter()
            .any(|name| param.name.eq_ignore_ascii_case(name));
        if !ours {
            text.push(b';');
            text.extend_from_slice(param.name);
            if let Some(value) = param.value {
                text.push(b'=');
                text.extend_from_slice(value);
            }
        }
    }
    if asks_port || !shows_address {
        text.extend_from_slice(format!(";received={}", source.ip()).as_bytes());
    }
    if asks_port {
        text.extend_from_slice(format!(";rport={}", source.port()).as_bytes());
    }
    text.extend_from_slice(rest);
    out.header(HeaderName::Via, text);
}

/// Starts a response to a request; see [`Answer::write`].
pub fn response_to(
    request: &Message,
    status: u16,
    reason: &str,
    to_tag: Option<&str>,
) -> Option<Writer<'static>> {
    Answer {
        status,
        reason,
        to_tag,
        source: None,
    }
    .write(request)
}
