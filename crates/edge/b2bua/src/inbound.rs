//! A party calls in: who may call, and what the core is told.

use hookswitch_call::{Address, Cause, Fault, Handle, Incoming, Kind, MAX_ADDRESS, Report, Time};
use hookswitch_sip::auth::{Secret, Verdict, Which};
use hookswitch_sip::guard::Source;
use hookswitch_sip::{DialogId, Flow, Header, Response, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Uri};

use crate::identity;
use crate::leg::{LegRecord, sdp_of};
use crate::reason;
use crate::{B2bua, Reliable};

impl B2bua {
    /// An INVITE whose sender is admitted.
    pub(crate) fn invited(&mut self, now: Time, dialog: DialogId, request: &Message, flow: Flow) {
        let from = request.from().ok().and_then(|from| from.uri_str());
        let (Some(from), Some(to), Ok(wire_id)) = (from, request.request_uri(), request.call_id()) else {
            self.endpoint.respond(now, dialog, Response::new(400));
            return;
        };
        if request.max_forwards().ok().flatten() == Some(0) {
            // Whoever calls on is bound like a proxy (RFC 7332 section 5).
            self.endpoint.respond(now, dialog, Response::new(483));
            return;
        }
        let reliable = self.endpoint.supports(dialog, "100rel");
        if self.config.reliable == Reliable::Required && !reliable {
            let wanted = Header::new(HeaderName::Require, "100rel");
            self.endpoint.respond(now, dialog, Response::new(421).with_header(wanted));
            return;
        }
        let trunk = self.trunk_of(flow, request);
        let trusted = self.is_trusted(flow) || trunk.is_some_and(|trunk| self.trunks.believes(trunk));
        let user = if trusted || trunk.is_some() { None } else { self.caller(request) };
        if let Some(refusal) = user.as_ref().and_then(|user| self.refusal_of_more(user, request)) {
            return self.endpoint.respond(now, dialog, refusal);
        }
        let (from, to) = match trunk.map(|trunk| self.trunks.admit(trunk, request, from, to)) {
            None => (Address::from(from), Address::from(to)),
            Some(Ok(addresses)) => addresses,
            Some(Err(refusal)) => return self.endpoint.respond(now, dialog, *refusal),
        };
        let replaces = match self.replaced_by(request, trusted) {
            Ok(replaces) => replaces,
            Err(status) => return self.endpoint.respond(now, dialog, Response::new(status)),
        };
        let (mut identity, diversions, alerting, referred_by) = identity::read(request, trusted);
        if let Some(trunk) = trunk {
            self.trunks.identify(trunk, trusted, &mut identity);
        }
        let handle = Handle(self.next_handle);
        self.next_handle += 1;
        self.offered.insert(handle, dialog);
        let offer = sdp_of(request);
        let incoming = Incoming {
            answers_early: offer.is_none() && self.config.reliable != Reliable::Off && reliable,
            hops: request.max_forwards().ok().flatten().unwrap_or(70).saturating_sub(1),
            near: self.near(flow),
            replaces,
            identity,
            diversions,
            alerting,
            referred_by,
            ..Incoming::new(handle, wire_id.into(), from, to, offer)
        };
        // Until the core adopts it, the leg belongs to no call.
        let mut record = LegRecord::new(hookswitch_call::CallId(0), hookswitch_call::LegId(0), true);
        record.late_offer = incoming.offer.is_none();
        record.answers_early = incoming.answers_early;
        (record.trunk, record.source) = (trunk, Some(Source::of(flow.remote.ip())));
        self.count_for(user, dialog, &mut record);
        if let Some(trunk) = trunk {
            self.trunk_calls(now, trunk, dialog, flow);
        }
        self.legs.insert(dialog, record);
        self.report(Report::Incoming(Box::new(incoming)));
    }

    /// What an INVITE or a text is refused with. A trusted network or a trunk may call as anybody; everybody else must
    /// prove to be the user in From, and that user must be one of ours.
    pub(crate) fn refusal_of(&mut self, now: Time, request: &Message, flow: Flow) -> Option<Response> {
        if self.is_trusted(flow) || self.trunk_at(flow).is_some() {
            return None;
        }
        self.is_no_trunk(now, flow);
        let forbidden = || Some(Response::new(403));
        let from = request.from().ok().and_then(|from| from.uri().ok());
        let Some(from) = from.filter(|uri| uri.is_sip()) else { return forbidden() };
        let host = from.host.to_string();
        let Some(domain) = self.directory.resolve(&host) else {
            self.is_stranger(now, flow.remote);
            return forbidden();
        };
        let directory = &self.directory;
        let secret = |user: &str, realm: &str| Some(Secret::Password(directory.secret(realm, user)?.reveal()));
        let verdict = self.gate.check(now, request, domain, Which::Www, secret);
        let exists = directory.has_user(domain, &from.user_unescaped().unwrap_or_default());
        self.judge(now, flow.remote, &verdict, exists);
        match verdict {
            Verdict::Accepted(identity) if self.is_from(request, &identity) => None,
            verdict => Some(not_admitted(verdict)),
        }
    }

    pub(crate) fn cancelled(&mut self, dialog: DialogId, request: &Message) {
        if self.forget_invite(dialog) {
            return;
        }
        let cause = reason::refine(Cause::new(Kind::Cancelled, Fault::Nobody), Some(request));
        self.over(dialog, cause);
    }

    /// A PRACK with a description: the answer to our offer, or another offer (RFC 3262 section 5).
    pub(crate) fn pracked(&mut self, now: Time, dialog: DialogId, txn: TxnId, request: &Message) {
        let Some(record) = self.legs.get_mut(&dialog).filter(|record| record.late_offer && record.answers_early) else {
            return self.updated(now, dialog, (txn, 0), request);
        };
        let Some(sdp) = sdp_of(request) else {
            let refusal = Response::new(415).with_header(self.accept());
            return self.endpoint.reply(now, txn, refusal);
        };
        record.late_offer = false;
        record.changed = Some(0);
        let (call, leg) = (record.call, record.leg);
        self.endpoint.reply(now, txn, Response::new(200));
        self.report(Report::Confirmed { call, leg, sdp: Some(sdp) });
    }

    pub(crate) fn acked(&mut self, dialog: DialogId, request: &Message) {
        if let Some((call, leg)) = self.name_of(dialog) {
            self.report(Report::Confirmed { call, leg, sdp: sdp_of(request) });
        }
    }
}

/// The address in a header, if it is one URI.
pub(crate) fn address_of(request: &Message, name: HeaderName) -> Option<Address> {
    let address = request.address(name).ok()?.uri_str()?;
    let fits = address.len() <= MAX_ADDRESS && Uri::parse(address).is_ok();
    fits.then(|| Address::from(address))
}

/// The answer to a request whose sender did not prove to be whom it must be.
pub(crate) fn not_admitted(verdict: Verdict) -> Response {
    match verdict {
        // Somebody else's name (RFC 3261 section 10.3, step 4).
        Verdict::Accepted(_) => Response::new(403),
        Verdict::Challenge { status, headers, .. } => with_headers(status, headers),
        Verdict::Rejected { status, reason, .. } => {
            let mut response = Response::new(status);
            response.reason = Some(reason.into());
            response
        }
    }
}

/// A response with the headers that the gate or the registrar wants in it.
pub(crate) fn with_headers(status: u16, headers: Vec<(HeaderName, String)>) -> Response {
    let mut response = Response::new(status);
    response.headers = headers.into_iter().map(|(name, value)| Header::new(name, value)).collect();
    response
}
