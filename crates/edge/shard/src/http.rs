//! The directory, the registrations and the health of the switch over HTTP.

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_dialect::mediaswitch::{self, Health, Registration, Registrations, Request};
use hookswitch_sip::registrar::Registrar;

use crate::{HttpId, Output, Shard};

impl Shard {
    pub(crate) fn http(&mut self, now: Time, id: HttpId, method: &str, path: &str, body: &Bytes) {
        let response = if path.trim_end_matches('/') == "/health" && matches!(method, "GET" | "HEAD") {
            mediaswitch::health(self.health())
        } else {
            let request = Request { method, path, query: None, body };
            let (directory, registrar) = self.b2bua.directory_and_registrar();
            mediaswitch::handle(request, directory, &Known { registrar, now })
        };
        // What the request changed goes out before its answer, which waits until that is stored.
        self.store_changes(now);
        self.out.push_back(Output::Http {
            id,
            status: response.status,
            content_type: response.content_type,
            allow: response.allow,
            body: response.body,
        });
    }

    fn health(&self) -> Health {
        Health {
            calls: self.board.live(),
            registrations: self.b2bua.registrar().count().bindings,
            draining: self.board.draining(),
        }
    }
}

/// The registrar, as the dialect wants to ask it.
struct Known<'a> {
    registrar: &'a Registrar,
    now: Time,
}

impl Registrations for Known<'_> {
    fn count(&self) -> usize {
        self.registrar.count().bindings
    }

    fn of(&self, domain: &str, user: &str) -> Option<Registration> {
        let aor = hookswitch_b2bua::aor(user, domain);
        let newest = self.registrar.bindings(self.now, &aor).max_by_key(|binding| binding.refreshed_at)?;
        Some(Registration {
            host: newest.source.ip().to_string().into(),
            port: newest.source.port(),
            agent: newest.user_agent.as_deref().map(Into::into),
            outstanding_pings: newest.life.unanswered.into(),
            stale: newest.life.stale_since,
            registered: newest.registered_at,
        })
    }
}
