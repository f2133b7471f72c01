//! Writing messages, into a buffer that serves many of them.

use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use hookswitch_sip_msg::{HeaderName, Message, Method, Via, list_members, reason_phrase};
use memchr::memmem;

use super::facts::Facts;
use crate::dialog::Dialog;
use crate::dialog::peer::Keeper;
use crate::dialog::session_timer::Terms;
use crate::ids::{self, TOKEN};
use crate::outgoing::{Body, Header};
use crate::transport::{Flow, Transport};

/// Room to have before a message is started; most need less.
const ROOM: usize = 1_536;

/// Size of the shared buffer. It lives until the last message cut from it is sent, so nothing that is kept for longer
/// than that may point into it: see [`keep`].
pub(super) const BUFFER: usize = 16 * 1024;

const COOKIE: &str = "z9hG4bK";
const CONTENT_TYPE: &str = "Content-Type";

/// What identifies one of our client transactions: its slot, and 64 random bits so that nobody can guess it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) slot: u32,
    pub(super) nonce: u64,
}

impl Branch {
    pub(super) fn read(text: &str) -> Option<Branch> {
        let text = text.as_bytes().strip_prefix(COOKIE.as_bytes())?;
        let (slot, nonce) = text.split_at_checked(TOKEN)?;
        let slot = u32::try_from(ids::read_token(slot)?).ok()?;
        Some(Branch { slot, nonce: ids::read_token(nonce)? })
    }
}

/// A copy of its own for what outlives the sending.
pub(super) fn keep(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A message being written. Everything that comes from the user of the endpoint has been cleared of line ends before
/// (see [`Header`]); everything copied from a received message is a line of it.
pub(super) struct Draft<'b> {
    out: &'b mut BytesMut,
}

impl<'b> Draft<'b> {
    fn new(out: &'b mut BytesMut) -> Draft<'b> {
        out.clear();
        out.reserve(ROOM);
        Draft { out }
    }

    pub(super) fn request(out: &'b mut BytesMut, method: &Method, uri: &str) -> Draft<'b> {
        let mut draft = Draft::new(out);
        draft.text(method.as_str());
        draft.text(" ");
        draft.text(uri);
        draft.text(" SIP/2.0\r\n");
        draft
    }

    pub(super) fn response(out: &'b mut BytesMut, status: u16, reason: Option<&str>) -> Draft<'b> {
        let mut draft = Draft::new(out);
        draft.text("SIP/2.0 ");
        draft.number(u32::from(status));
        draft.text(" ");
        match reason {
            Some(reason) => draft.text(&reason.replace(['\r', '\n', '\0'], " ")),
            None => draft.text(reason_phrase(status)),
        }
        draft.text("\r\n");
        draft
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn number(&mut self, mut number: u32) {
        let mut digits = [0; 10];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.bytes(&digits[at..]);
    }

    fn ip(&mut self, ip: IpAddr) {
        match ip {
            // Written for each request, so without the machinery of formatting.
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                self.number(u32::from(a));
                for octet in [b, c, d] {
                    self.text(".");
                    self.number(u32::from(octet));
                }
            }
            IpAddr::V6(ip) => self.text(&ip.to_string()),
        }
    }

    pub(super) fn line(&mut self, name: &str, value: &[u8]) {
        self.text(name);
        self.text(": ");
        self.bytes(value);
        self.text("\r\n");
    }

    pub(super) fn via(&mut self, flow: &Flow, sent_by: &str, branch: Branch) {
        let mut token = [0; TOKEN];
        self.text("Via: SIP/2.0/");
        self.text(flow.transport.name());
        self.text(" ");
        self.text(sent_by);
        self.text(";branch=");
        self.text(COOKIE);
        ids::write_token(u64::from(branch.slot), &mut token);
        self.bytes(&token);
        ids::write_token(branch.nonce, &mut token);
        self.bytes(&token);
        // Who has proved itself to us, and may ask us to do the same, may call us back over this connection (RFC 5923).
        let may_call_back = flow.transport == Transport::Tls && flow.peer.is_some();
        self.text(if may_call_back { ";rport;alias\r\n" } else { ";rport\r\n" });
    }

    pub(super) fn cseq(&mut self, number: u32, method: &Method) {
        self.text("CSeq: ");
        self.number(number);
        self.text(" ");
        self.text(method.as_str());
        self.text("\r\n");
    }

    pub(super) fn max_forwards(&mut self, hops: u8) {
        self.text("Max-Forwards: ");
        self.number(u32::from(hops));
        self.text("\r\n");
    }

    /// What a message says about its session (RFC 4028).
    pub(super) fn terms(&mut self, terms: &Terms) {
        self.text("Session-Expires: ");
        self.number(terms.interval);
        self.text(match terms.keeper {
            Some(Keeper::Sender) => ";refresher=uac\r\n",
            Some(Keeper::Receiver) => ";refresher=uas\r\n",
            None => "\r\n",
        });
        if terms.min_se > 0 {
            self.text("Min-SE: ");
            self.number(terms.min_se);
            self.text("\r\n");
        }
        if terms.required {
            self.text("Require: timer\r\n");
        }
    }

    pub(super) fn headers(&mut self, headers: &[Header]) {
        for header in headers {
            self.line(header.name(), header.value());
        }
    }

    pub(super) fn lines<'m>(&mut self, lines: impl Iterator<Item = &'m [u8]>) {
        for line in lines {
            self.bytes(line);
            self.text("\r\n");
        }
    }

    /// From, To and Call-ID of a request inside a dialog.
    pub(super) fn identity(&mut self, dialog: &Dialog) {
        self.line("From", &dialog.local);
        self.line("To", &dialog.remote);
        self.line("Call-ID", dialog.call_id.as_bytes());
    }

    pub(super) fn finish(mut self, body: Option<&Body>) -> Bytes {
        match body {
            Some(body) => {
                if !body.content_type.is_empty() {
                    self.line(CONTENT_TYPE, body.content_type.as_bytes());
                }
                self.end(&body.bytes);
            }
            None => self.text("Content-Length: 0\r\n\r\n"),
        }
        self.out.split().freeze()
    }

    /// Ends a message whose Content-Type has been written already.
    pub(super) fn finish_raw(mut self, body: &[u8]) -> Bytes {
        self.end(body);
        self.out.split().freeze()
    }

    fn end(&mut self, body: &[u8]) {
        self.text("Content-Length: ");
        // Bodies beyond 4 GB do not exist: a message is at most 64 KiB.
        self.number(u32::try_from(body.len()).unwrap_or(u32::MAX));
        self.text("\r\n\r\n");
        self.bytes(body);
    }
}

/// The body of a message that was written here. Its type stands right before its length, so that the rest need not be
/// read.
pub(super) fn body_of(message: &Bytes) -> Option<Body> {
    let end = memmem::find(message, b"\r\n\r\n")?;
    let bytes = message.slice(end + 4..);
    let mut lines = message[..end].rsplit(|byte| *byte == b'\n').skip(1);
    let line = if bytes.is_empty() { return None } else { lines.next()? };
    let value = line.strip_prefix(CONTENT_TYPE.as_bytes()).and_then(|rest| rest.strip_prefix(b": "));
    let content_type = String::from_utf8_lossy(value.unwrap_or_default()).trim_end().into();
    Some(Body { content_type, bytes })
}

/// What every response to a request repeats of it, written once when the request arrives (RFC 3261 8.2.6.2, 12.1.1).
///
/// ```text
///  Record-Route lines │ Via, From, Call-ID, CSeq, Timestamp lines │ To without line end
///                     ▲ routes                                    
/// ```
pub(super) struct Head {
    text: Box<[u8]>,
    routes: u32,
    branch: (u32, u32),
    /// The To had a tag already, so that none must be added.
    pub(super) tagged: bool,
}

impl Head {
    pub(super) fn new(out: &mut BytesMut, request: &Message, facts: &Facts<'_>, source: SocketAddr) -> Head {
        let mut draft = Draft::new(out);
        if facts.has_record_route {
            let routes = request.lines().filter(|(name, _)| *name == HeaderName::RecordRoute);
            draft.lines(routes.map(|(_, line)| line));
        }
        let routes = draft.out.len() as u32;
        let (mut branch, mut to) = (None, &[][..]);
        for (name, line) in request.lines() {
            match name {
                HeaderName::Via if branch.is_none() => {
                    branch = Some(draft.top_via(request, &facts.via, source));
                }
                HeaderName::Via | HeaderName::From | HeaderName::CallId | HeaderName::CSeq | HeaderName::Timestamp => {
                    draft.lines(std::iter::once(line))
                }
                HeaderName::To => to = line,
                _ => {}
            }
        }
        draft.bytes(to);
        let text = draft.out[..].into();
        Head { routes, branch: branch.unwrap_or_default(), tagged: facts.to_tag.is_some(), text }
    }

    pub(super) fn branch(&self) -> &[u8] {
        &self.text[self.branch.0 as usize..self.branch.1 as usize]
    }

    /// Gives To this tag, unless it has one.
    pub(super) fn set_tag(&mut self, tag: &str) {
        if !std::mem::replace(&mut self.tagged, true) {
            self.text = [&*self.text, b";tag=", tag.as_bytes()].concat().into();
        }
    }

    /// The lines, with a tag behind To where one is due.
    pub(super) fn write(&self, draft: &mut Draft<'_>, with_routes: bool, tag: Option<&str>) {
        draft.bytes(&self.text[if with_routes { 0 } else { self.routes as usize }..]);
        if let (Some(tag), false) = (tag, self.tagged) {
            draft.text(";tag=");
            draft.text(tag);
        }
        draft.text("\r\n");
    }
}

impl Draft<'_> {
    /// The topmost Via line with `received` and `rport` (RFC 3261 18.2.1, RFC 3581 4); returns where the branch is.
    fn top_via(&mut self, request: &Message, via: &Via<'_>, source: SocketAddr) -> (u32, u32) {
        let line = request.header(HeaderName::Via).unwrap_or_default();
        let params = via.params.as_bytes();
        // The parameters are a part of the line, so the distance of their starts is where they begin.
        let split = match params {
            [] => list_members(line).next().map_or(line.len(), <[u8]>::len),
            _ => params.as_ptr() as usize - line.as_ptr() as usize,
        };
        self.text("Via: ");
        self.bytes(line.get(..split).unwrap_or_default());
        let rest = line.get(split + params.len()..).unwrap_or_default();
        let mut branch = (0, 0);
        for param in via.params.iter() {
            if param.name.eq_ignore_ascii_case(b"received") || param.name.eq_ignore_ascii_case(b"rport") {
                continue;
            }
            self.text(";");
            self.bytes(param.name);
            if let Some(value) = param.value {
                self.text("=");
                let from = self.out.len() as u32;
                self.bytes(value);
                if param.name.eq_ignore_ascii_case(b"branch") {
                    branch = (from, self.out.len() as u32);
                }
            }
        }
        let asks_port = via.rport().is_some();
        if asks_port || via.host.ip() != Some(source.ip()) {
            self.text(";received=");
            self.ip(source.ip());
        }
        if asks_port {
            self.text(";rport=");
            self.number(u32::from(source.port()));
        }
        self.bytes(rest);
        self.text("\r\n");
        branch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: Option<&Body>) -> Bytes {
        let mut out = BytesMut::new();
        let mut draft = Draft::request(&mut out, &Method::Invite, "sip:b@h");
        draft.cseq(1, &Method::Invite);
        draft.finish(body)
    }

    #[test]
    fn a_body_is_read_back_as_it_was_written() {
        let text = Bytes::from_static(b"v=0\r\n\r\ns=-\r\n");
        for content_type in ["application/sdp", "multipart/mixed;boundary=x", ""] {
            let body = Body { content_type: content_type.into(), bytes: text.clone() };
            assert_eq!(body_of(&written(Some(&body))), Some(body), "{content_type}");
        }
        assert_eq!(body_of(&written(None)), None);
    }
}
