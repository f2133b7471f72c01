//! What a user agent server checks before it lets a request in (RFC 3261 8.2), and refusals without a trace.
//!
//! A refusal here makes no transaction: a repeated request gets the same answer again, with the same tag, because the
//! tag follows from the request (RFC 3261 8.2.7). So a flood of bad requests costs no memory.

use hookswitch_sip_msg::{Answer, HeaderName, Message, Method, Scheme, Via};

use super::Endpoint;
use super::facts::Facts;
use super::receive::Told;
use super::uas::Fresh;
use crate::Time;
use crate::config::OVERLOAD_RETRY_AFTER;
use crate::guard::Offence;
use crate::ids::{TOKEN, write_token};
use crate::transport::{Flow, Transport};

/// A refusal that a check has come to.
struct Refusal {
    status: u16,
    header: Option<(HeaderName, String)>,
}

impl Refusal {
    fn bare(status: u16) -> Refusal {
        Refusal { status, header: None }
    }

    fn with(status: u16, name: HeaderName, value: String) -> Refusal {
        Refusal { status, header: Some((name, value)) }
    }
}

impl Endpoint {
    /// A request that belongs to no transaction yet, and is neither ACK nor CANCEL.
    pub(super) fn on_new_request(&mut self, now: Time, flow: Flow, request: &Message, via: Via<'_>, key: u64) -> Told {
        let facts = Facts::read(request, via);
        if !facts.as_ref().is_some_and(|facts| facts.plain)
            && let Err(error) = request.validate()
        {
            self.count_garbage(now, flow);
            return self.refuse(flow, request, error.status(), Some(&error.reason()), &[]);
        }
        let Some(facts) = facts else {
            return self.refuse(flow, request, 400, None, &[]);
        };
        // Whoever looks for somebody to break into does not learn that there is somebody.
        if facts.to_tag.is_none() && self.is_scan(now, flow, request) {
            return Told::Nothing;
        }
        // A dialog that is gone is worth more to know than what its requests would have met: whoever asks whether we
        // are still in a call, with whichever method, must not take a 405 for a yes (RFC 3261 12.2.2).
        let inside = facts.to_tag.filter(|_| *facts.method != Method::Register);
        let dialog = inside.and_then(|tag| self.tables.find_call(facts.call_id, tag, facts.from_tag));
        // The dialogs of subscriptions are our user's, who knows them.
        let kept = *facts.method == Method::Subscribe && self.config.allow.contains(&Method::Subscribe);
        if inside.is_some() && dialog.is_none() && !kept {
            return self.refuse(flow, request, 481, None, &[]);
        }
        if let Some(refusal) = self.check(flow, request, &facts) {
            let headers: Vec<(HeaderName, &str)> =
                refusal.header.iter().map(|(name, value)| (*name, value.as_str())).collect();
            return self.refuse(flow, request, refusal.status, None, &headers);
        }
        if let Some(dialog) = dialog {
            return self.on_dialog_request(now, Fresh { flow, request, facts, key }, dialog);
        }
        let merge_key = self.tables.hash((facts.call_id, facts.from_tag, facts.cseq, facts.method.as_str()));
        match self.check_newcomer(request, &facts, merge_key) {
            Some(status) => self.refuse(flow, request, status, None, &[]),
            None if !self.admit(flow) => self.refuse_overload(flow, request),
            None => self.on_lone_request(now, Fresh { flow, request, facts, key }, merge_key),
        }
    }

    /// Method, scheme, extensions and body (RFC 3261 8.2.1 to 8.2.3).
    fn check(&self, flow: Flow, request: &Message, facts: &Facts<'_>) -> Option<Refusal> {
        if !self.config.allow.contains(facts.method) {
            let unknown = matches!(facts.method, Method::Other(_));
            let allow = self.config.allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            return Some(Refusal::with(if unknown { 501 } else { 405 }, HeaderName::Allow, allow));
        }
        self.check_scheme(flow, facts)
            .or_else(|| if facts.has_require { self.check_require(request, facts.method) } else { None })
            .or_else(|| self.check_body(request, facts))
    }

    /// What was to be secret and has come in the open is not taken as if it were.
    fn check_scheme(&self, flow: Flow, facts: &Facts<'_>) -> Option<Refusal> {
        let known = match facts.uri.scheme {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Tel => "tel",
            Scheme::Other => "",
        };
        let accepted = self.config.schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(known));
        let exposed = facts.uri.scheme == Scheme::Sips && !flow.transport.secure();
        (!accepted || exposed).then(|| Refusal::bare(416))
    }

    fn check_require(&self, request: &Message, method: &Method) -> Option<Refusal> {
        let of_registrar: &[_] = if *method == Method::Register { &self.config.registrar_supports } else { &[] };
        let known = |tag: &&[u8]| {
            let mut known = self.config.supported.iter().chain(of_registrar);
            known.any(|known| tag.eq_ignore_ascii_case(known.as_bytes()))
        };
        let unknown: Vec<_> =
            request.values(HeaderName::Require).filter(|tag| !known(tag)).map(String::from_utf8_lossy).collect();
        (!unknown.is_empty()).then(|| Refusal::with(420, HeaderName::Unsupported, unknown.join(", ")))
    }

    fn check_body(&self, request: &Message, facts: &Facts<'_>) -> Option<Refusal> {
        if request.body_bytes().is_empty() {
            return None;
        }
        let foreign = |coding: &[u8]| !coding.eq_ignore_ascii_case(b"identity");
        if facts.has_encoding && request.values(HeaderName::ContentEncoding).any(foreign) {
            return Some(Refusal::with(415, HeaderName::AcceptEncoding, "identity".to_owned()));
        }
        // Other methods carry what their users agree on; only a session description is ours to judge.
        if !matches!(facts.method, Method::Invite | Method::Prack | Method::Update) {
            return None;
        }
        let known = request
            .content_type()
            .is_some_and(|found| self.config.accept.iter().any(|accepted| found.eq_ignore_ascii_case(accepted)));
        let optional = || {
            let disposition = request.header_str(HeaderName::ContentDisposition);
            disposition.is_some_and(|value| value.to_ascii_lowercase().contains("handling=optional"))
        };
        (!known && !optional()).then(|| Refusal::with(415, HeaderName::Accept, self.config.accept.join(", ")))
    }

    /// Checks for a request outside of any dialog.
    fn check_newcomer(&self, request: &Message, facts: &Facts<'_>, merge_key: u64) -> Option<u16> {
        match facts.method {
            Method::Bye | Method::Info | Method::Prack | Method::Update => return Some(481),
            // These end here whatever their hop count says.
            Method::Options | Method::Register => {}
            _ if self.config.refuse_exhausted && matches!(request.max_forwards(), Ok(Some(0))) => return Some(483),
            _ => {}
        }
        self.tables.merge_keys.contains_key(&merge_key).then_some(482)
    }

    /// Whether there is room for one more request from there.
    pub(super) fn admit(&self, flow: Flow) -> bool {
        if self.full() {
            return false;
        }
        let most = self.config.max_pending_per_source;
        let source = flow.remote.ip();
        most == 0
            || self.tables.pending.get(&source).is_none_or(|pending| *pending < most)
            || self.config.trusted.iter().any(|network| network.contains(source))
            || flow.conn.and_then(|conn| self.streams.get(&conn)).is_some_and(|stream| stream.trusted)
    }

    pub(super) fn refuse_overload(&mut self, flow: Flow, request: &Message) -> Told {
        self.dropped.overload += 1;
        let seconds = OVERLOAD_RETRY_AFTER.to_string();
        self.refuse(flow, request, 503, None, &[(HeaderName::RetryAfter, &seconds)])
    }

    fn is_scan(&mut self, now: Time, flow: Flow, request: &Message) -> bool {
        let Some(agent) = request.header(HeaderName::UserAgent) else { return false };
        self.guard.catches(now, flow.remote, agent)
    }

    pub(super) fn count_garbage(&mut self, now: Time, flow: Flow) {
        self.dropped.garbage += 1;
        self.guard.offend(now, flow.remote, Offence::Malformed);
    }

    pub(super) fn refuse_invalid(&mut self, now: Time, flow: Flow, request: &Message) {
        self.count_garbage(now, flow);
        if let Err(error) = request.validate() {
            self.refuse(flow, request, error.status(), Some(&error.reason()), &[]);
        }
    }

    /// Answers without a transaction.
    pub(super) fn refuse(
        &mut self,
        flow: Flow,
        request: &Message,
        status: u16,
        reason: Option<&str>,
        headers: &[(HeaderName, &str)],
    ) -> Told {
        let mut tag = [0; TOKEN];
        write_token(self.lasting_tag(request), &mut tag);
        self.refuse_as(&tag, flow, request, status, reason, headers);
        Told::Nothing
    }

    /// The same with a tag of the caller's.
    pub(super) fn refuse_as(
        &mut self,
        tag: &[u8],
        flow: Flow,
        request: &Message,
        status: u16,
        reason: Option<&str>,
        headers: &[(HeaderName, &str)],
    ) {
        let answer = Answer {
            status,
            reason: reason.unwrap_or_default(),
            to_tag: std::str::from_utf8(tag).ok(),
            source: Some(flow.remote),
        };
        let Some(mut draft) = answer.write(request) else {
            return;
        };
        for (name, value) in headers {
            draft.header(*name, value);
        }
        if let Some(server) = self.desk.server.strip_suffix("\r\n") {
            draft.raw_line(server);
        }
        let source = flow.remote.ip();
        let via = request.via().ok();
        let port = via.map(|via| (self.config.answer_port.is_that_of(source, &via), via.port_or_default()));
        let target = match (flow.transport, port) {
            (Transport::Udp, Some((false, port))) => without_rport(flow, port),
            (Transport::Udp, Some((true, _)) | None) => flow,
            (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss, _) => flow,
        };
        let bytes = draft.finish();
        self.send(target, bytes);
    }

    /// The same for every repeat of one request, and unguessable.
    fn lasting_tag(&self, request: &Message) -> u64 {
        let via = request.via().ok();
        self.tables.hash((
            request.header(HeaderName::CallId),
            request.header(HeaderName::From),
            request.header(HeaderName::CSeq),
            via.map(|via| (via.sent_by, via.branch())),
        ))
    }

    pub(super) fn count(&mut self, source: std::net::IpAddr) {
        *self.tables.pending.entry(source).or_insert(0) += 1;
    }

    pub(super) fn uncount(&mut self, source: std::net::IpAddr) {
        if let Some(pending) = self.tables.pending.get_mut(&source) {
            *pending -= 1;
            if *pending == 0 {
                self.tables.pending.remove(&source);
            }
        }
    }
}

/// Where the response to a datagram goes when its sender did not ask for its own port (RFC 3261 18.2.2).
pub(super) fn without_rport(flow: Flow, port: u16) -> Flow {
    let mut flow = flow;
    flow.remote.set_port(port);
    flow
}
