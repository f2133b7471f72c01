//! Answers: what every response copies from its request (RFC 3261 8.2.6).

use std::net::SocketAddr;

use bytes::BytesMut;

use crate::addr::NameAddr;
use crate::message::Message;
use crate::name::HeaderName;
use crate::scan::list_members;
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
        is_answerable(request).then(|| self.copy_to(request, Writer::response(self.status, self.reason)))
    }

    /// Like [`Answer::write`], in a buffer that serves many messages.
    pub fn write_in<'b>(&self, buffer: &'b mut BytesMut, request: &Message) -> Option<Writer<'b>> {
        is_answerable(request).then(|| self.copy_to(request, Writer::response_in(buffer, self.status, self.reason)))
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
        let mut source = self.source;
        for (_, name, value) in request.all_headers().filter(|(name, ..)| *name == HeaderName::Via) {
            let top = list_members(value).next();
            out.name(name);
            match source.zip(top).and_then(|(source, top)| Some((source, top, Via::parse(top).ok()?))) {
                Some((source, top, via)) => {
                    put_top_via(out, top, &via, source);
                    // What follows the topmost value on its line, comma included. The member is a part of the line.
                    let behind = top.as_ptr().addr() - value.as_ptr().addr() + top.len();
                    out.put_value(&value[behind..]);
                }
                None => out.put_value(value),
            }
            out.put(b"\r\n");
            // Only the topmost value is ours to touch.
            source = source.filter(|_| top.is_none());
        }
    }

    fn copy_to_header(&self, request: &Message, out: &mut Writer<'_>) {
        let Some(value) = request.header(HeaderName::To) else {
            return;
        };
        let tagged = NameAddr::parse(value).is_ok_and(|to| to.tag().is_some());
        match self.to_tag {
            Some(tag) if !tagged => {
                out.name(HeaderName::To.as_str().as_bytes());
                out.put_value(value);
                out.put(b";tag=");
                out.put_value(tag.as_bytes());
                out.put(b"\r\n");
            }
            _ => {
                out.copy(request, HeaderName::To);
            }
        }
    }
}

fn is_answerable(request: &Message) -> bool {
    request.method().is_some_and(|method| *method != crate::Method::Ack) && request.header(HeaderName::Via).is_some()
}

/// Writes the topmost Via with `received` and `rport` filled in, other parameters in their order.
fn put_top_via(out: &mut Writer<'_>, top: &[u8], via: &Via<'_>, source: SocketAddr) {
    let params_at = top.len() - via.params.as_bytes().len();
    out.put_value(&top[..params_at]);
    let is_ours = |name: &[u8]| [&b"received"[..], b"rport"].iter().any(|ours| name.eq_ignore_ascii_case(ours));
    for param in via.params.iter().filter(|param| !is_ours(param.name)) {
        out.put(b";");
        out.put_value(param.name);
        if let Some(value) = param.value {
            out.put(b"=");
            out.put_value(value);
        }
    }
    let asks_port = via.rport().is_some();
    if asks_port || via.host.ip() != Some(source.ip()) {
        out.put_fmt(format_args!(";received={}", source.ip()));
    }
    if asks_port {
        out.put_fmt(format_args!(";rport={}", source.port()));
    }
}

/// Starts a response to a request; see [`Answer::write`].
pub fn response_to(request: &Message, status: u16, reason: &str, to_tag: Option<&str>) -> Option<Writer<'static>> {
    Answer { status, reason, to_tag, source: None }.write(request)
}
