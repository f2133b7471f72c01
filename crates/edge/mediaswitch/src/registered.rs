//! Controllers hear of registrations: `PUT <control>/reg/<domain>/<user>` for one that is made or refreshed, `DELETE` for
//! one that is gone.

use std::net::SocketAddr;

use compact_str::{CompactString, format_compact};
use hookswitch_call::Time;
use serde_json::json;

use crate::Dialogs;
use crate::inbound::base;
use crate::outbox::{Lane, Letter};
use crate::record::escaped;

/// Where a user's phone is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// Where its packets come from.
    pub remote: SocketAddr,
    /// What it calls itself.
    pub agent: Option<CompactString>,
}

impl Dialogs {
    /// A user has registered or refreshed, or (`None`) is not registered any more.
    pub fn registration(&mut self, now: Time, control: &str, (user, domain): (&str, &str), at: Option<Registration>) {
        // These would lead to another path.
        if [user, domain].iter().any(|name| matches!(*name, "." | "..")) {
            return;
        }
        let url = format!("{}/reg/{}/{}", base(control), escaped(domain), escaped(user));
        let aor = format_compact!("{user}@{domain}");
        let (method, body) = match at {
            None => ("DELETE", String::new()),
            Some(Registration { remote, agent }) => {
                let host = remote.ip().to_canonical().to_string();
                let mut body = json!({ "host": host, "port": remote.port(), "user": aor });
                if let Some(agent) = agent {
                    body["agent"] = json!(agent);
                }
                ("PUT", body.to_string())
            }
        };
        self.outbox.push(now, &Lane::User(aor), Letter { method, url, body, once: false });
        self.send();
    }
}
