//! Requests outside of a call: REGISTER, OPTIONS, and the rest. Texts have a file of their own.

use hookswitch_call::Time;
use hookswitch_sip::auth::{Identity, Secret, Verdict, Which};
use hookswitch_sip::{DialogId, Flow, Header, Response, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use crate::B2bua;
use crate::inbound::{not_admitted, with_headers};
use crate::locate::aor;
use crate::perform;
use crate::registrar::drained;

impl B2bua {
    pub(crate) fn requested(&mut self, now: Time, txn: TxnId, dialog: Option<DialogId>, request: &Message, flow: Flow) {
        if let Some(dialog) = dialog {
            return self.requested_inside(now, txn, dialog, request);
        }
        let response = match request.method() {
            Some(Method::Register) => self.register(now, request, flow),
            // Ours, whomever the URI names: an INVITE in its place would be asked for digest first, and so it tells nobody
            // who has an account or is at home (RFC 3261 section 11.2).
            Some(Method::Options) => {
                self.probed(now, flow.remote, request);
                if self.draining { perform::refusal(&drained()) } else { self.abilities() }
            }
            Some(Method::Message) => match self.texted(now, txn, request, flow, false) {
                Some(refusal) => refusal,
                None => return,
            },
            // Whom a transfer concerns is seen from the call it is asked for in, and only there has the sender proved
            // to be somebody; what it would subscribe to does not exist without one either (RFC 6665 section 7.2.1).
            Some(Method::Refer) => Response::new(403),
            Some(Method::Notify) => Response::new(481),
            Some(Method::Subscribe) => match self.subscribe(now, txn, request, flow) {
                Some(refusal) => refusal,
                None => return,
            },
            Some(Method::Publish) => match self.publish(now, txn, request, flow) {
                Some(refusal) => refusal,
                None => return,
            },
            // The endpoint lets through only what is in Allow.
            _ => Response::new(405).with_header(self.allow()),
        };
        if response.status >= 300 {
            // Nothing has changed, so a repeat is refused again and nobody need remember this one.
            return self.endpoint.turn_away_request(txn, request, flow, &response);
        }
        self.endpoint.reply(now, txn, response);
    }

    /// What may be asked of the switch, and how.
    pub(crate) fn abilities(&self) -> Response {
        // The endpoint adds what it allows and supports.
        Response::new(200).with_header(self.accept())
    }

    /// Every REGISTER is authenticated, from trusted networks too: a binding decides where other
    /// people's calls go.
    fn register(&mut self, now: Time, request: &Message, flow: Flow) -> Response {
        let to = request.to().ok().and_then(|to| to.uri().ok());
        let Some(to) = to.filter(|uri| uri.is_sip()) else { return Response::new(400) };
        let host = to.host.to_string();
        let Some(domain) = self.directory.resolve(&host) else {
            self.is_stranger(now, flow.remote);
            return Response::new(404);
        };
        let directory = &self.directory;
        let secret = |user: &str, realm: &str| Some(Secret::Password(directory.secret(realm, user)?.reveal()));
        let user = to.user_unescaped().unwrap_or_default();
        let verdict = self.gate.check(now, request, domain, Which::Www, secret);
        let (exists, aor) = (directory.has_user(domain, &user), aor(&user, domain));
        let most = self.most_contacts(domain, &user);
        self.judge(now, flow.remote, &verdict, exists);
        match verdict {
            Verdict::Accepted(identity) if identity.user == user && self.is_from(request, &identity) => {}
            verdict => return not_admitted(verdict),
        }
        let outcome = self.registrar.register_within(now, &aor, request, flow, most);
        if outcome.status < 300 {
            self.calls_follow(now, &aor, flow);
        }
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

    pub(crate) fn allow(&self) -> Header {
        let methods: Vec<&str> = self.config.endpoint.allow.iter().map(Method::as_str).collect();
        Header::new(HeaderName::Allow, methods.join(", "))
    }

    pub(crate) fn accept(&self) -> Header {
        Header::new(HeaderName::Accept, self.config.endpoint.accept.join(", "))
    }
}
