//! A party calls in: who may call, and what the core is told.

use hookswitch_call::{Address, Cause, Fault, Handle, Incoming, Kind, MAX_ADDRESS, Report};
use hookswitch_sip::auth::{Secret, Verdict, Which};
use hookswitch_sip::{DialogId, Flow, Header, Response};
use hookswitch_sip_msg::{HeaderName, Message, Uri};

use crate::B2bua;
use crate::identity;
use crate::leg::{LegRecord, sdp_of};
use crate::reason;

impl B2bua {
    pub(crate) fn invited(&mut self, now: hookswitch_call::Time, dialog: DialogId, request: &Message, flow: Flow) {
        if let Some(refusal) = self.refusal_of(now, request, flow) {
            // Whoever has proved nothing gets an answer and no memory.
            self.endpoint.turn_away(dialog, request, flow, &refusal);
            return;
        }
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
        let replaces = match self.replaced_by(request, self.is_trusted(flow)) {
            Ok(replaces) => replaces,
            Err(status) => return self.endpoint.respond(now, dialog, Response::new(status)),
        };
        let (identity, diversions, alerting, referred_by) = identity::read(request, self.is_trusted(flow));
        let handle = Handle(self.next_handle);
        self.next_handle += 1;
        self.offered.insert(handle, dialog);
        let incoming = Incoming {
            hops: request.max_forwards().ok().flatten().unwrap_or(70).saturating_sub(1),
            near: self.near(flow),
            replaces,
            identity,
            diversions,
            alerting,
            referred_by,
            ..Incoming::new(handle, wire_id.into(), Address::from(from), Address::from(to), sdp_of(request))
        };
        // Until the core adopts it, the leg belongs to no call.
        let mut record = LegRecord::new(hookswitch_call::CallId(0), hookswitch_call::LegId(0), true);
        record.late_offer = incoming.offer.is_none();
        self.legs.insert(dialog, record);
        self.report(Report::Incoming(Box::new(incoming)));
    }

    /// What an INVITE is refused with. A trusted network may call as anybody; everybody else must
    /// prove to be the user in From, and that user must be one of ours.
    fn refusal_of(&mut self, now: hookswitch_call::Time, request: &Message, flow: Flow) -> Option<Response> {
        if self.is_trusted(flow) {
            return None;
        }
        let forbidden = || Some(Response::new(403));
        let from = request.from().ok().and_then(|from| from.uri().ok());
        let Some(from) = from.filter(|uri| uri.is_sip()) else { return forbidden() };
        let host = from.host.to_string();
        let Some(domain) = self.directory.resolve(&host) else { return forbidden() };
        let directory = &self.directory;
        let secret = |user: &str, realm: &str| Some(Secret::Password(directory.secret(realm, user)?.reveal()));
        match self.gate.check(now, request, domain, Which::Www, secret) {
            Verdict::Accepted(identity) if self.is_from(request, &identity) => None,
            verdict => Some(not_admitted(verdict)),
        }
    }

    pub(crate) fn cancelled(&mut self, dialog: DialogId, request: &Message) {
        let cause = reason::refine(Cause::new(Kind::Cancelled, Fault::Nobody), Some(request));
        self.over(dialog, cause);
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
