//! The settings as a file would say them, for `-check-config`: with every default and without a secret.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use hookswitch_dialect::call_api::{Mode, OnDisconnect};

use super::{Settings, mi_address};

/// Stands where a secret is.
const SECRET: &str = "\"…\"";

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_web(f)?;
        writeln!(f, "mi:\n  url: {}\n  timeout: {}", text(&self.shown_mi()), span(self.mi_timeout))?;
        writeln!(f, "  health: {}", span(self.health_every))?;
        path(f, "reply", self.mi_reply.as_deref())?;
        path(f, "ca", self.mi_ca.as_deref())?;
        writeln!(f, "evi:\n  listen: {}", text(self.events.as_deref().unwrap_or("udp")))?;
        writeln!(f, "  expiry: {}\n  refresh: {}", span(self.subscription.0), span(self.subscription.1))?;
        optional(f, "advertise", self.advertise.as_deref())?;
        if let Some(uri) = &self.calls.next_hop {
            writeln!(f, "sip:\n  uri: {}", text(uri))?;
        }
        writeln!(f, "opensips:\n  dialog_events: {}", self.calls.dialog_events)?;
        writeln!(f, "  max_commands: {}", self.calls.max_commands)?;
        writeln!(f, "  stay_awake: {}", span(self.calls.stay_awake))?;
        optional(f, "from", self.calls.from.as_deref())?;
        optional(f, "contact", self.calls.contact.as_deref())?;
        list(f, "registered_domains", &self.calls.registered_domains)?;
        let (ring, refer, hold) = (span(self.calls.ring), span(self.calls.refer), span(self.calls.hold));
        writeln!(f, "timeouts: {{ ring: {ring}, refer: {refer}, hold: {hold}, drain: {} }}", span(self.drain))?;
        if let Some(listen) = &self.http {
            writeln!(f, "http:\n  listen: {}", text(listen))?;
        }
        writeln!(f, "client:\n  timeout: {}", span(self.client.timeout))?;
        path(f, "ca", self.client.ca.as_deref())?;
        if self.client.token.is_some() {
            writeln!(f, "  token: {SECRET}")?;
        }
        let level = format!("{:?}", self.log.level).to_ascii_lowercase();
        writeln!(f, "log:\n  level: {level}\n  pii: {}", self.log.pii)?;
        path(f, "file_path", self.log.file.as_deref())
    }
}

impl Settings {
    /// [`Settings::mi`] without its password.
    #[must_use]
    pub fn shown_mi(&self) -> String {
        mi_address::shown(&self.mi)
    }

    fn write_web(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let web = &self.web;
        let compat = match web.mode {
            Mode::Original => "original",
            Mode::Strict => "strict",
        };
        let on_disconnect = match web.on_disconnect {
            OnDisconnect::Keep => "keep",
            OnDisconnect::End => "end",
        };
        writeln!(f, "ws_server:\n  host: {}\n  port: {}\n  http_path: {}", text(&web.host), web.port, text(&web.path))?;
        writeln!(f, "  compat: {compat}\n  on_disconnect: {on_disconnect}\n  reason: {}", web.reason)?;
        let limits = &web.limits;
        writeln!(f, "  max_sessions: {}\n  max_in_flight: {}", limits.sessions, limits.in_flight)?;
        writeln!(f, "  max_message: {}", limits.message)?;
        if let Some(most) = limits.per_address {
            writeln!(f, "  max_per_address: {most}")?;
        }
        if let Some(rate) = limits.rate {
            writeln!(f, "  rate: {rate}")?;
        }
        if let Some((certificate, key)) = &web.tls {
            let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
            writeln!(f, "  tls: {{ certificate: {}, key: {} }}", text(&certificate), text(&key))?;
        }
        list(f, "allowed_origins", &web.origins)?;
        if !web.tokens.is_empty() {
            writeln!(f, "  auth:\n    tokens:")?;
        }
        for token in &web.tokens {
            writeln!(f, "      - {{ name: {}, secret: {SECRET} }}", text(&token.access.name))?;
        }
        Ok(())
    }
}

fn optional(f: &mut fmt::Formatter<'_>, key: &str, value: Option<&str>) -> fmt::Result {
    value.map_or(Ok(()), |value| writeln!(f, "  {key}: {}", text(value)))
}

fn path(f: &mut fmt::Formatter<'_>, key: &str, value: Option<&Path>) -> fmt::Result {
    optional(f, key, value.map(Path::to_string_lossy).as_deref())
}

fn list(f: &mut fmt::Formatter<'_>, key: &str, values: &[String]) -> fmt::Result {
    let values: Vec<String> = values.iter().map(|value| text(value)).collect();
    if values.is_empty() { Ok(()) } else { writeln!(f, "  {key}: [ {} ]", values.join(", ")) }
}

/// JSON's quotes are YAML's.
fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn span(span: Duration) -> String {
    format!("{}s", span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{meaning, read};

    #[test]
    fn what_is_shown_means_the_same_and_tells_no_secret() {
        let written = "ws_server:\n  host: '::1'\n  tls: { certificate: a, key: b }\n  auth: { tokens: [ { name: x, secret: s3cret } ] }\n  \
                       allowed_origins: [ a, b ]\n  rate: 3\n  max_per_address: 4\nmi: { url: 'http://joe:s3cret@h:1/mi', reply: /r, ca: d }\nsip: { uri: 'sip:h' }\n\
                       evi: { advertise: 'udp:h:1' }\nopensips: { from: 'sip:x@h', contact: 'sip:y@h', registered_domains: [ z ] }\n\
                       http: { listen: 'h:1' }\nclient: { token: s3cret, ca: c }\nlog: { file_path: f, level: trace }\n";
        for written in [written, ""] {
            let settings = meaning::settings(read::read(Path::new("x"), written).unwrap().written).unwrap();
            let shown = settings.to_string();
            assert!(!shown.contains("s3cret") && !shown.contains("joe"), "{shown}");
            let again = meaning::settings(read::read(Path::new("shown"), &shown).unwrap().written).unwrap();
            assert_eq!(again.to_string(), shown);
        }
    }
}
