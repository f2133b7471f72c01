//! Where requests inside a dialog go: targets, route sets and next hops (RFC 3261 12.1, 12.2.1.1, 8.1.2).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip_msg::{HeaderName, Message, NameAddr, Uri};

use super::peer::Peer;
use super::session_timer::SessionTimer;
use super::{Dialog, DialogState, Role};
use crate::addresses::is_public;
use crate::config::MAX_ROUTES;
use crate::outgoing::one_line;
use crate::transport::{Flow, Transport};

/// A route set that is longer than [`MAX_ROUTES`] or cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadRoutes;

/// The Record-Route values of a message, in its order.
pub(crate) fn recorded_by(message: &Message) -> Result<Vec<CompactString>, BadRoutes> {
    let mut routes = Vec::new();
    for value in message.values(HeaderName::RecordRoute) {
        let text = std::str::from_utf8(value).map_err(|_| BadRoutes)?;
        NameAddr::parse(value).ok().filter(|route| route.uri().is_ok()).ok_or(BadRoutes)?;
        if routes.len() == MAX_ROUTES {
            return Err(BadRoutes);
        }
        // A folded line keeps its line ends inside the value; a route must not bring any into our requests.
        routes.push(text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
    }
    Ok(routes)
}

/// A header value on one line, in bytes of its own.
pub(crate) fn unfolded(value: &[u8]) -> Bytes {
    one_line(Bytes::copy_from_slice(value))
}

/// The URI of a message's first Contact, when it is one that can be called and not `known`.
fn new_contact<'m>(message: &'m Message, known: &str) -> Option<&'m str> {
    let contact = message.contacts().next()?.ok()?;
    // Most messages of a dialog repeat the target, which was looked into when it came first.
    if contact.raw_uri == known.as_bytes() {
        return None;
    }
    contact.uri().ok().map(|uri| uri.as_str())
}

/// The address that a peer gives for itself and that is known to be reached over a flow. Its ports do not matter: with a
/// connection they differ from one Contact to the next.
pub(crate) type Reached = Option<IpAddr>;

/// Host and port of a URI, when the host is an address.
fn address_of(uri: &str) -> Option<(IpAddr, u16)> {
    let uri = Uri::parse(uri).ok()?;
    Some((uri.host.ip()?, uri.port.unwrap_or(Transport::Udp.default_port())))
}

impl Dialog {
    /// Takes tag, target and route set from a response to the INVITE that starts this dialog (RFC 3261 12.1.2). A
    /// route set that cannot be read is none. `seen` is the flow the response came over.
    pub(crate) fn learn(&mut self, response: &Message, seen: Flow) {
        let mut moved = self.remote_tag.is_empty();
        if let Some(value) = response.header(HeaderName::To)
            && let Ok(to) = NameAddr::parse(value)
            && *value != *self.remote
        {
            self.remote_tag = to.tag().unwrap_or_default().into();
            self.remote = unfolded(value);
        }
        let mut called = None;
        if let Some(target) = new_contact(response, &self.remote_target) {
            called = Some(std::mem::replace(&mut self.remote_target, target.into()));
            moved = true;
        }
        let recorded = response.count(HeaderName::RecordRoute) > 0;
        if recorded || !self.routes.is_empty() {
            self.routes = if recorded { recorded_by(response).unwrap_or_default() } else { Vec::new() };
            self.routes.reverse();
            moved = true;
        }
        if moved {
            // What was called so far is reached over that flow, if it is an address at all.
            let reached = address_of(called.as_ref().unwrap_or(&self.remote_target)).map(|(ip, _)| ip);
            self.aim(seen, reached);
        }
    }

    /// Takes a new target from a target refresh request or its 2xx (RFC 3261 12.2.1.2, 12.2.2); the route set stays.
    pub(crate) fn refresh(&mut self, message: &Message, seen: Flow) {
        match new_contact(message, &self.remote_target) {
            Some(target) => {
                self.remote_target = target.into();
                self.aim(seen, None);
            }
            _ if self.pinned && self.routes.is_empty() => self.flow = self.with_peer(seen),
            _ => {}
        }
    }

    /// The dialog that a 2xx to an INVITE of ours makes, when nothing is left of that INVITE: a response repeats all
    /// that is needed.
    pub(crate) fn from_answer(response: &Message, flow: Flow) -> Option<Dialog> {
        let mut dialog = Dialog {
            role: Role::Caller,
            state: DialogState::Confirmed,
            call_id: response.call_id().ok()?.into(),
            local_tag: response.from().ok()?.tag()?.into(),
            remote_tag: CompactString::default(),
            local: unfolded(response.header(HeaderName::From)?),
            remote: Bytes::new(),
            local_seq: response.cseq().ok()?.number,
            remote_seq: None,
            remote_target: new_contact(response, "")?.into(),
            routes: Vec::new(),
            contact: CompactString::default(),
            flow,
            pinned: false,
            peer: Peer::default(),
            session: SessionTimer::default(),
            may_connect: false,
            sent: None,
        };
        dialog.learn(response, flow);
        Some(dialog)
    }

    /// The number of our next request.
    pub(crate) fn next_seq(&mut self) -> u32 {
        self.local_seq += 1;
        self.local_seq
    }

    /// Request-URI and Route values of a request inside this dialog. A first hop without `lr` is an old strict router,
    /// which wants itself in the Request-URI and the target behind all routes.
    pub(crate) fn request_line(&self) -> (&str, impl Iterator<Item = Hop<'_>>) {
        let strict = self.routes.first().map(|route| parts(route)).filter(|(_, loose)| !loose).map(|(uri, _)| uri);
        let uri = strict.unwrap_or(&self.remote_target);
        let skip = usize::from(strict.is_some());
        let last = strict.map(|_| Hop::Target(&self.remote_target));
        (uri, self.routes.iter().skip(skip).map(|route| Hop::Route(route)).chain(last))
    }

    /// Where to open a new connection when that of the flow is gone: the port it came from is not one that listens.
    pub(crate) fn call_back(&self) -> Flow {
        let address = address_of(self.first_hop()).map(|(ip, port)| SocketAddr::new(ip, port));
        let remote = address.filter(|_| !self.pinned).unwrap_or(self.flow.remote);
        Flow { remote, conn: None, ..self.flow }
    }

    /// What the other end of the dialog's connection has to prove elsewhere goes with the connection.
    fn with_peer(&self, seen: Flow) -> Flow {
        let kept = self.flow.peer.filter(|_| seen.conn.is_some() && seen.conn == self.flow.conn);
        Flow { peer: seen.peer.or(kept), ..seen }
    }

    /// URI of the first hop.
    fn first_hop(&self) -> &str {
        self.routes.first().map_or(self.remote_target.as_str(), |route| parts(route).0)
    }

    /// Chooses the flow for the next requests from the first hop's address. `seen` is the flow the other side was last
    /// heard or reached on, and `reached` an address of its own that is behind that flow.
    pub(crate) fn aim(&mut self, seen: Flow, reached: Reached) {
        let seen = self.with_peer(seen);
        let direct = next_hop(self.first_hop(), seen, reached);
        self.pinned = direct.is_none();
        self.flow = direct.unwrap_or(seen);
    }
}

/// One Route value of a request.
pub(crate) enum Hop<'a> {
    /// As recorded.
    Route(&'a str),
    /// The remote target, a bare URI.
    Target(&'a str),
}

/// URI of a route value, and whether it is a loose router.
fn parts(route: &str) -> (&str, bool) {
    let Ok(address) = NameAddr::parse(route.as_bytes()) else {
        return (route, true);
    };
    let Some(uri) = address.uri_str() else {
        return (route, true);
    };
    let loose = Uri::parse(uri).is_ok_and(|uri| uri.param("lr").is_some()) || address.params.has("lr");
    (uri, loose)
}

/// Where a URI leads, or `None` when only `seen` is known to lead there.
fn next_hop(uri: &str, seen: Flow, reached: Reached) -> Option<Flow> {
    let uri = Uri::parse(uri).ok()?;
    let ip = uri.host.ip()?;
    let transport = Transport::of_uri(&uri).ok()?.unwrap_or(seen.transport);
    if transport.framed() || (seen.transport.secure() && !transport.secure()) {
        // A WebSocket is only ever opened by the other side, and what came by TLS is not answered in the open.
        return None;
    }
    let port = uri.port.unwrap_or(transport.default_port());
    let remote = SocketAddr::new(ip, port);
    if transport == seen.transport && transport.reliable() && ip == seen.remote.ip() {
        // Whoever shares a connection with us need not be called back on another one.
        return Some(seen);
    }
    let translated = ip != seen.remote.ip() && (reached == Some(ip) || hidden(ip, seen.remote.ip()));
    if translated || ip.is_unspecified() || ip.is_ipv4() != seen.remote.is_ipv4() || port == 0 {
        return None;
    }
    let conn = seen.conn.filter(|_| transport == seen.transport && remote == seen.remote);
    let peer = seen.peer.filter(|_| transport == seen.transport && remote == seen.remote);
    Some(Flow { transport, local: seen.local, remote, conn, peer })
}

/// A private address named by somebody who is heard from a public one cannot be reached from here.
fn hidden(named: IpAddr, heard: IpAddr) -> bool {
    !is_public(named) && is_public(heard)
}
