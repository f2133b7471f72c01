//! Requests outside of a call: REGISTER, OPTIONS, and the rest.

use hookswitch_call::Time;
use hookswitch_sip::auth::{Identity, Secret, Verdict, Which};
use hookswitch_sip::{DialogId, Flow, Header, Response, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use crate::B2bua;
use crate::inbound::with_headers;
use crate::locate::aor;

impl B2bua {
    pub(crate) fn requested(&mut self, now: Time, txn: TxnId, dialog: Option<DialogId>, request: &Message, flow: Flow) {
        let response = match request.method() {
            Some(Method::Register) if dialog.is_none() => self.register(now, request, flow),
            Some(Method::Options) => self.abilities(),
            // The endpoint lets through only what is in Allow; a REGISTER inside a dialog is none.
            _ => Response::new(405),
        };
        self.endpoint.reply(now, txn, response);
    }

    /// Every REGISTER is authenticated, from trusted networks too: a binding decides where other
    /// people's calls go.
    fn register(&mut self, now: Time, request: &Message, flow: Flow) -> Response {
        let to = request.to().ok().and_then(|to| to.uri().ok());
        let Some(to) = to.filter(|uri| uri.is_sip()) else { return Response::new(400) };
        let host = to.host.to_string();
        let Some(domain) = self.directory.resolve(&host) else { return Response::new(404) };
        let directory = &self.directory;
        let secret = |user: &str, realm: &str| Some(Secret::Password(directory.secret(realm, user)?.reveal()));
        let user = to.user_unescaped().unwrap_or_default();
        match self.gate.check(now, request, domain, Which::Www, secret) {
            Verdict::Accepted(identity) if identity.user == user && self.is_from(request, &identity) => {}
            // Registering for, or in the name of, somebody else (RFC 3261 section 10.3, step 4).
            Verdict::Accepted(_) => return Response::new(403),
            Verdict::Challenge { status, headers, .. } => return with_headers(status, headers),
            Verdict::Rejected { status, reason, .. } => {
                let mut response = Response::new(status);
                response.reason = Some(reason.into());
                return response;
            }
        }
        let aor = aor(&user, domain);
        let outcome = self.registrar.register(now, &aor, request, flow);
        let mut response = with_headers(outcome.status, outcome.headers);
        response.reason = Some(outcome.reason.into());
        response
    }

    /// Whether From names the authenticated user, under whichever name of its domain.
    pub(crate) fn is_from(&self, request: &Message, identity: &Identity) -> bool {
        let Some(from) = request.from().ok().and_then(|from| from.uri().ok()) else { return false };
        let claimed = from.user_unescaped().unwrap_or_default();
        identity.user == claimed && self.directory.resolve(&from.host.to_string()) == Some(&identity.realm)
    }

    fn abilities(&self) -> Response {
        let join = |words: Vec<&str>| words.join(", ");
        let endpoint = &self.config.endpoint;
        let allow = join(endpoint.allow.iter().map(Method::as_str).collect());
        let accept = join(endpoint.accept.iter().map(|kind| kind.as_str()).collect());
        Response::new(200)
            .with_header(Header::new(HeaderName::Allow, allow))
            .with_header(Header::new(HeaderName::Accept, accept))
    }
}
