//! The directory, the registrations and the health of the switch over HTTP.

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_dialect::mediaswitch::{self, Health, Registration, Registrations, Request};
use hookswitch_sip::registrar::Registrar;
use hookswitch_sip::subscription::Subscription;
use serde::Serialize;

use crate::{HttpId, Output, Shard};

impl Shard {
    pub(crate) fn http(&mut self, now: Time, id: HttpId, method: &str, path: &str, body: &Bytes) {
        let asks = |page| path.trim_end_matches('/') == page && matches!(method, "GET" | "HEAD");
        if asks("/trunks") {
            return self.trunks_page(now, id);
        }
        if asks("/subscriptions") {
            return self.subscriptions_page(now, id);
        }
        let response = if asks("/health") {
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

    fn trunks_page(&mut self, now: Time, id: HttpId) {
        let (status, body) = match serde_json::to_string(&self.trunk_status(now)) {
            Ok(body) => (200, body),
            // Numbers and text always can be written.
            Err(error) => (500, error.to_string()),
        };
        self.out.push_back(Output::Http { id, status, content_type: "application/json", allow: None, body });
    }

    fn subscriptions_page(&mut self, now: Time, id: HttpId) {
        let all: Vec<Watch<'_>> = self.b2bua.subscriptions().map(|it| Watch::of(now, it)).collect();
        let (status, body) = match serde_json::to_string(&all) {
            Ok(body) => (200, body),
            // Numbers and text always can be written.
            Err(error) => (500, error.to_string()),
        };
        self.out.push_back(Output::Http { id, status, content_type: "application/json", allow: None, body });
    }

    fn health(&self) -> Health {
        Health {
            calls: self.board.live(),
            registrations: self.b2bua.registrar().count().bindings,
            draining: self.board.draining(),
        }
    }
}

/// A subscription, as it is listed.
#[derive(Serialize)]
struct Watch<'a> {
    event: &'a str,
    user: &'a str,
    watcher: &'a str,
    contact: &'a str,
    seconds_left: u64,
}

impl<'a> Watch<'a> {
    fn of(now: Time, it: &'a Subscription) -> Self {
        Self {
            event: &it.topic.package,
            user: &it.topic.resource,
            watcher: &it.watcher,
            contact: it.dialog.remote_target(),
            seconds_left: it.until.saturating_sub(now).as_secs(),
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
