//! The directory, the registrations, the trunks and the health of the switch over HTTP. Bans and limits have files of their own.

use bytes::Bytes;
use compact_str::format_compact;
use hookswitch_call::Time;
use hookswitch_dialect::mediaswitch::{self, Health, Registration, Registrations, Request};
use hookswitch_sip::registrar::Registrar;
use hookswitch_sip::subscription::Subscription;
use serde::Serialize;

use crate::{HttpId, Output, Shard, dialogs};

/// Largest body for a mailbox, in bytes; more is answered 413.
pub const MAX_MAILBOX: usize = 1_024;

impl Shard {
    pub(crate) fn http(&mut self, now: Time, id: HttpId, method: &str, path: &str, body: &Bytes) {
        let asks = |page| path.trim_end_matches('/') == page && matches!(method, "GET" | "HEAD");
        if asks("/trunks") {
            return self.trunks_page(now, id);
        }
        if asks("/subscriptions") {
            return self.subscriptions_page(now, id);
        }
        if let Some(user) = path.strip_prefix("/mailbox/") {
            return self.mailbox(now, id, method, user, body);
        }
        if let Some((status, content_type, allow, body)) = self.bans_page(now, method, path, body) {
            self.store_changes(now);
            return self.out.push_back(Output::Http { id, status, content_type, allow, body });
        }
        if let Some((status, content_type, allow, body)) = self.limits_page(now, method, path) {
            return self.out.push_back(Output::Http { id, status, content_type, allow, body });
        }
        if let Some(call) = path.strip_prefix("/calls").filter(|rest| rest.is_empty() || rest.starts_with('/'))
            && matches!(method, "GET" | "HEAD")
        {
            return self.calls_page(now, id, call);
        }
        if path.trim_end_matches('/') == "/drain" {
            return self.asked_to_drain(id, method);
        }
        if let Some(action) = dialogs::action(method, path, body) {
            return self.dialog_request(now, id, method, action, body);
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

    /// `DOMAIN/USER`, escaped as in a URI.
    fn mailbox(&mut self, now: Time, id: HttpId, method: &str, user: &str, body: &Bytes) {
        let user = user.split_once('/').and_then(|(domain, user)| self.b2bua.user_at(&format!("sip:{user}@{domain}")));
        let (status, body) = match (user, method) {
            (None, _) => (404, "no such user".into()),
            (Some(user), "GET" | "HEAD") => match serde_json::to_string(&self.b2bua.mailbox(&user).unwrap_or_default())
            {
                Ok(body) => (200, body),
                // Numbers always can be written.
                Err(error) => (500, error.to_string()),
            },
            (Some(_), "PUT") if body.len() > MAX_MAILBOX => (413, "more than four numbers".into()),
            // Serde takes a list for an object whose members come in that order.
            (Some(_), "PUT") if !body.trim_ascii_start().starts_with(b"{") => (400, "expected an object".into()),
            (Some(user), "PUT") => match serde_json::from_slice(body) {
                Ok(mailbox) => {
                    self.b2bua.set_mailbox(now, &user, Some(mailbox));
                    (204, String::new())
                }
                Err(error) => (400, error.to_string()),
            },
            (Some(user), "DELETE") => {
                self.b2bua.set_mailbox(now, &user, None);
                (204, String::new())
            }
            (Some(_), _) => (405, String::new()),
        };
        // What has changed goes out before the answer, which waits until that is stored.
        self.store_changes(now);
        let allow = (status == 405).then_some("GET, HEAD, PUT, DELETE");
        self.out.push_back(Output::Http { id, status, content_type: "application/json", allow, body });
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
            calls: self.board.live() + self.dialogs.live(),
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
        let fresh = self.registrar.bindings(self.now, &aor).filter(|binding| !binding.is_stale());
        Some(Registration {
            host: newest.source.ip().to_string().into(),
            port: newest.source.port(),
            agent: newest.user_agent.as_deref().map(Into::into),
            outstanding_pings: newest.life.unanswered.into(),
            stale: newest.life.stale_since,
            registered: newest.registered_at,
            phones: fresh
                .map(|binding| {
                    let age = self.now.saturating_sub(binding.refreshed_at);
                    (format_compact!("{}", dialogs::phone(binding)), age)
                })
                .collect(),
        })
    }

    fn users(&self, domain: &str) -> Vec<compact_str::CompactString> {
        self.registrar.users_of(self.now, domain).map(|(user, _)| user.into()).collect()
    }
}
