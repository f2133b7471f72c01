//! Requests of ours, written and sent: inside dialogs, and the two that are made from another request (ACK and CANCEL).

use bytes::{Bytes, BytesMut};
use compact_str::CompactString;
use hookswitch_sip_msg::{HeaderName, Message, Method, NameAddr, Uri};

use super::compose::{BUFFER, Branch, Draft, keep};
use super::names::Names;
use super::tables::{Owner, TxnRef};
use super::{Endpoint, NewClient};
use crate::Time;
use crate::config::EndpointConfig;
use crate::dialog::Dialog;
use crate::dialog::route::Hop;
use crate::dialog::session_timer::Terms;
use crate::error::SipError;
use crate::event::DialogId;
use crate::outgoing::{Body, Header, MAX_FORWARDS, Rel100};
use crate::transport::{Flow, Transport};

/// True for a URI that must not travel in the open.
pub(super) fn is_sips(uri: &str) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
}

/// The URI of a Route or Record-Route value.
pub(super) fn route_uri(route: &str) -> Option<&str> {
    NameAddr::parse(route.as_bytes()).ok()?.uri_str()
}

/// What a request inside a dialog adds to the dialog.
pub(super) struct Inside<'a> {
    pub(super) method: Method,
    pub(super) cseq: u32,
    pub(super) max_forwards: u8,
    pub(super) headers: &'a [Header],
    pub(super) body: Option<&'a Body>,
    /// In which early dialog, see [`Call::dialog_at`](super::tables::Call::dialog_at).
    pub(super) fork: u8,
    /// What an INVITE says about reliable provisional responses.
    pub(super) rel100: Rel100,
    /// What it says about the session.
    pub(super) terms: Option<Terms>,
    /// Our Contact is sent although the method does not ask for it.
    pub(super) contact: bool,
    /// A whole line, or nothing.
    pub(super) authorization: &'a [u8],
}

impl<'a> Inside<'a> {
    pub(super) fn new(method: Method, cseq: u32) -> Inside<'a> {
        Inside {
            method,
            cseq,
            max_forwards: MAX_FORWARDS,
            headers: &[],
            body: None,
            fork: 0,
            rel100: Rel100::Off,
            terms: None,
            contact: false,
            authorization: &[],
        }
    }
}

/// Where messages are written: a buffer, and the lines that stay the same.
pub(super) struct Desk {
    pub(super) names: Names,
    pub(super) buffer: BytesMut,
    /// `Allow` and `Supported` lines.
    pub(super) abilities: Box<str>,
    /// The same without `100rel`.
    pub(super) plain_abilities: Box<str>,
    /// These and an `Accept` line.
    pub(super) full_abilities: Box<str>,
    /// Whether `100rel` is among them.
    pub(super) reliable: bool,
    /// `User-Agent` line.
    pub(super) user_agent: Box<str>,
    /// `Server` line.
    pub(super) server: Box<str>,
}

impl Desk {
    pub(super) fn new(config: &EndpointConfig) -> Desk {
        let line = |name: &str| match config.product.as_str() {
            "" => "".into(),
            product => format!("{name}: {}\r\n", product.replace(['\r', '\n'], " ")).into_boxed_str(),
        };
        let methods: Vec<&str> = config.allow.iter().map(Method::as_str).collect();
        let abilities = |tags: &[&str]| match tags {
            [] => format!("Allow: {}\r\n", methods.join(", ")),
            tags => format!("Allow: {}\r\nSupported: {}\r\n", methods.join(", "), tags.join(", ")),
        };
        let tags: Vec<&str> = config.supported.iter().map(|tag| tag.as_str()).collect();
        let plain: Vec<&str> = tags.iter().copied().filter(|tag| !tag.eq_ignore_ascii_case("100rel")).collect();
        let (abilities, plain_abilities) = (abilities(&tags), abilities(&plain));
        let full_abilities = format!("{abilities}Accept: {}\r\n", config.accept.join(", "));
        Desk {
            full_abilities: full_abilities.into(),
            reliable: config.supports("100rel"),
            names: Names::new(config),
            buffer: BytesMut::with_capacity(BUFFER),
            abilities: abilities.into(),
            plain_abilities: plain_abilities.into(),
            user_agent: line("User-Agent"),
            server: line("Server"),
        }
    }

    /// Writes a request inside a dialog, the INVITE that starts it included.
    pub(super) fn inside(&mut self, dialog: &Dialog, flow: &Flow, branch: Branch, what: &Inside<'_>) -> Bytes {
        let (uri, hops) = dialog.request_line();
        let mut draft = Draft::request(&mut self.buffer, &what.method, uri);
        draft.via(flow, &self.names.sent_by(flow), branch);
        draft.max_forwards(what.max_forwards);
        write_hops(&mut draft, hops);
        draft.identity(dialog);
        draft.cseq(what.cseq, &what.method);
        if what.contact || refreshes_target(&what.method) {
            draft.line("Contact", dialog.contact.as_bytes());
        }
        if what.method == Method::Invite {
            match what.rel100 {
                Rel100::Off => draft.text(&self.plain_abilities),
                Rel100::Offered => draft.text(&self.abilities),
                Rel100::Required => {
                    draft.text(&self.abilities);
                    draft.text("Require: 100rel\r\n");
                }
            }
        }
        if let Some(terms) = &what.terms {
            draft.terms(terms);
        }
        draft.text(&self.user_agent);
        if !what.authorization.is_empty() {
            draft.lines(std::iter::once(what.authorization));
        }
        draft.headers(what.headers);
        draft.finish(what.body)
    }
}

pub(super) fn write_hops<'h>(draft: &mut Draft<'_>, hops: impl Iterator<Item = Hop<'h>>) {
    for hop in hops {
        match hop {
            Hop::Route(route) => draft.line("Route", route.as_bytes()),
            Hop::Target(uri) => {
                draft.text("Route: <");
                draft.text(uri);
                draft.text(">\r\n");
            }
        }
    }
}

/// Methods whose Contact tells the other side where we are (RFC 3261 12.2, RFC 3311, RFC 6665).
pub(super) fn refreshes_target(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer)
}

impl Endpoint {
    /// Sends a request inside a dialog and returns its transaction. `None` when there is no such dialog.
    pub(super) fn send_inside(&mut self, now: Time, id: DialogId, owner: Owner, what: &Inside<'_>) -> Option<u32> {
        let flow = self.flow_of(self.tables.call(id)?.dialog_at(what.fork)?);
        let branch = self.next_branch();
        let bytes = self.desk.inside(self.tables.call(id)?.dialog_at(what.fork)?, &flow, branch, what);
        let method = what.method.clone();
        let authorization = keep(what.authorization);
        let new = NewClient { branch, method, cseq: what.cseq, owner, flow, bytes, authorization, attempts: 0 };
        Some(self.start_client(now, new))
    }

    /// Acknowledges a refusal of an INVITE hop by hop (RFC 3261 17.1.1.3), and returns that INVITE.
    pub(super) fn ack_refusal(&mut self, slot: u32, response: &Message) -> Bytes {
        let txn = &mut self.tables.clients[slot as usize];
        let request = std::mem::take(&mut txn.bytes);
        let flow = txn.flow;
        let to = response.lines().find(|(name, _)| *name == HeaderName::To).map(|(_, line)| line);
        let ack = Message::parse(request.clone())
            .ok()
            .map(|invite| write_from(&mut self.desk.buffer, &invite, &Method::Ack, to, &[]));
        // What we wrote ourselves can be read back; without that, nothing would be sent.
        if let Some(ack) = ack {
            self.tables.clients[slot as usize].bytes = keep(&ack);
            let flow = self.live(flow);
            self.send(flow, ack);
        }
        request
    }

    /// Sends the CANCEL of an INVITE, a transaction of its own under the same branch (RFC 3261 9.1).
    pub(super) fn send_cancel(&mut self, now: Time, invite: TxnRef, reason: Option<&str>) {
        let Some(txn) = self.tables.client(invite) else {
            return;
        };
        let (flow, cseq) = (txn.flow, txn.cseq);
        let Ok(request) = Message::parse(txn.bytes.clone()) else {
            return;
        };
        let reason: Vec<Header> =
            reason.into_iter().map(|text| Header::new(HeaderName::Reason, text.to_owned())).collect();
        let to = request.lines().find(|(name, _)| *name == HeaderName::To).map(|(_, line)| line);
        let bytes = write_from(&mut self.desk.buffer, &request, &Method::Cancel, to, &reason);
        let branch = self.next_branch();
        let (method, owner) = (Method::Cancel, Owner::Nobody);
        let new = NewClient { branch, method, cseq, owner, flow, bytes, authorization: Bytes::new(), attempts: 0 };
        self.start_client(now, new);
        if let Some(txn) = self.tables.client_mut(invite) {
            txn.cancel = Some(TxnRef { slot: branch.slot, nonce: branch.nonce });
        }
    }

    /// Our Contact value over a flow, `sips:` where that was asked for and the flow keeps what it promises.
    pub(super) fn contact(&self, flow: &Flow, user: &str, sips: bool) -> CompactString {
        let sent_by = self.desk.names.sent_by(flow);
        let sips = sips && flow.transport.secure();
        let mut contact = CompactString::with_capacity(user.len() + sent_by.len() + 24);
        contact.push_str(if sips { "<sips:" } else { "<sip:" });
        if !user.is_empty() {
            contact.push_str(user);
            contact.push('@');
        }
        contact.push_str(&sent_by);
        contact.push_str(match flow.transport {
            Transport::Udp => ">",
            Transport::Tcp => ";transport=tcp>",
            Transport::Tls if sips => ">",
            Transport::Tls => ";transport=tls>",
            Transport::Ws | Transport::Wss => ";transport=ws>",
        });
        contact
    }
}

/// A request that shares Request-URI, top Via, Route, From, Call-ID and CSeq number with an INVITE.
fn write_from(out: &mut BytesMut, invite: &Message, method: &Method, to: Option<&[u8]>, headers: &[Header]) -> Bytes {
    let mut draft = Draft::request(out, method, invite.request_uri().unwrap_or_default());
    let lines = |wanted: HeaderName| invite.lines().filter(move |(name, _)| *name == wanted).map(|(_, line)| line);
    draft.lines(lines(HeaderName::Via).take(1));
    draft.max_forwards(MAX_FORWARDS);
    draft.lines(lines(HeaderName::Route));
    draft.lines(lines(HeaderName::From).take(1));
    draft.lines(to.into_iter());
    draft.lines(lines(HeaderName::CallId).take(1));
    draft.cseq(invite.cseq().map_or(0, |cseq| cseq.number), method);
    draft.headers(headers);
    draft.finish(None)
}

/// Characters a user part may hold unescaped, and the escape itself (RFC 3261 25.1).
pub(super) fn user_part(text: &str) -> CompactString {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,;?/%".contains(*c)).collect()
}

/// Refuses what could not go on the wire as it stands; returns the user part of From.
pub(super) fn check_order<'f>(
    uri: &str,
    from: &'f [u8],
    to: &[u8],
    routes: &[CompactString],
    call_id: Option<&str>,
) -> Result<Option<&'f str>, SipError> {
    let call_id_fits = call_id.is_none_or(|id| !id.is_empty() && id.bytes().all(|byte| byte > b' ' && byte != 0x7f));
    let (from, to) = (bare_address(from), bare_address(to));
    let fits = Uri::parse(uri).is_ok_and(|uri| uri.headers.is_none())
        && call_id_fits
        && to.is_some()
        && routes.iter().all(|route| address(route.as_bytes()).is_some_and(|route| route.uri().is_ok()));
    match from {
        Some(from) if fits => Ok(from.user),
        _ => Err(SipError::Malformed),
    }
}

/// An address that fits into one line.
fn address(text: &[u8]) -> Option<NameAddr<'_>> {
    let one_line = !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    NameAddr::parse(text).ok().filter(|_| one_line)
}

/// The URI of an address without parameters: those behind a From or To are the endpoint's to add.
fn bare_address(text: &[u8]) -> Option<Uri<'_>> {
    address(text).filter(|address| address.params.as_bytes().is_empty())?.uri().ok()
}

/// Largest body and headers the user may add, in bytes: leaves room for what the endpoint adds itself.
const MAX_ADDED: usize = 60_000;

pub(super) fn check_size(headers: &[Header], body: Option<&Body>) -> Result<(), SipError> {
    let headers: usize = headers.iter().map(|header| header.name().len() + header.value().len() + 4).sum();
    let body = body.map_or(0, |body| body.bytes.len() + body.content_type.len());
    if headers + body > MAX_ADDED { Err(SipError::TooLarge) } else { Ok(()) }
}
