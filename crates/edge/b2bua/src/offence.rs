//! What counts against those who write to us: the offences that only somebody sees who knows the users.

use std::net::SocketAddr;

use hookswitch_call::Time;
use hookswitch_sip::auth::{RejectedWhy, Verdict};
use hookswitch_sip::guard::{Guard, GuardNews, Offence};
use hookswitch_sip::{Dropped, Network};
use hookswitch_sip_msg::{Message, Uri};

use crate::B2bua;
use crate::locate::aor;

impl B2bua {
    /// How many messages were dropped, and why.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.endpoint.dropped()
    }

    /// Who is not listened to.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        self.endpoint.guard()
    }

    /// Who is not listened to, to be changed.
    pub fn guard_mut(&mut self) -> &mut Guard {
        self.endpoint.guard_mut()
    }

    /// What the guard has done, for logs and the store.
    pub fn poll_guard_news(&mut self) -> Option<GuardNews> {
        self.endpoint.guard_mut().poll_news()
    }

    /// Replaces the lists of networks that are never banned and never heard. Those we trust stay on the first.
    pub fn set_guard_lists(&mut self, mut allow: Vec<Network>, drop: &[Network]) {
        allow.extend(&self.config.endpoint.trusted);
        self.endpoint.guard_mut().set_lists(&allow, drop);
    }

    /// Counts what the gate has found out about a request. `exists`: whether the user is one of ours in whose name it
    /// comes. The answer never tells.
    pub(crate) fn judge(&mut self, now: Time, remote: SocketAddr, verdict: &Verdict, exists: bool) {
        let offence = match verdict {
            Verdict::Accepted(_) => return self.endpoint.guard_mut().know(now, remote),
            Verdict::Challenge { wrong: true, .. } | Verdict::Rejected { why: RejectedWhy::BadCredentials, .. } => {
                Offence::WrongPassword
            }
            Verdict::Rejected { why: RejectedWhy::Malformed, .. } => Offence::Malformed,
            Verdict::Challenge { .. } if !exists => Offence::UnknownUser,
            Verdict::Challenge { .. } | Verdict::Rejected { why: RejectedWhy::UriMismatch, .. } => return,
        };
        self.endpoint.guard_mut().offend(now, remote, offence);
    }

    /// Counts a request in the name of a domain that is none of ours.
    pub(crate) fn is_stranger(&mut self, now: Time, remote: SocketAddr) {
        self.endpoint.guard_mut().offend(now, remote, Offence::UnknownUser);
    }

    /// Counts OPTIONS for somebody who does not exist. Whoever asks the switch itself, or for a user, does no harm.
    pub(crate) fn probed(&mut self, now: Time, remote: SocketAddr, request: &Message) {
        let Some(uri) = request.request_uri().and_then(|uri| Uri::parse(uri).ok()) else { return };
        let Some(user) = uri.user_unescaped().filter(|user| !user.is_empty()) else { return };
        let exists = self.our_domain(&uri).is_some_and(|domain| {
            self.directory.has_user(domain, &user) || self.registrar.is_registered(now, &aor(&user, domain))
        });
        if !exists && self.route_of(&uri).is_none() {
            self.endpoint.guard_mut().offend(now, remote, Offence::Probe);
        }
    }
}
