//! Which keys a running switch takes when its file is read again, and which need a restart: one table for both, for the
//! reference page, and for what is said of a reload.

use serde_json::Value;

use super::{Config, ConfigError};

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// When the file is read again.
    Reload,
    /// At the next start.
    Restart,
}

use Takes::{Reload, Restart};

/// Every key stands here, or below one that does.
pub const KEYS: &[(&str, Takes)] = &[
    ("sip", Restart),
    ("network", Restart),
    ("guard.enabled", Restart),
    ("guard.allow", Reload),
    ("guard.drop", Reload),
    ("guard.threshold", Restart),
    ("guard.half_life", Restart),
    ("guard.ban_time", Restart),
    ("guard.max_ban_time", Restart),
    ("guard.weights", Restart),
    ("guard.scanners", Restart),
    ("guard.nftables", Restart),
    ("media.address", Restart),
    ("media.ports", Restart),
    ("media.codecs", Restart),
    ("media.threads", Restart),
    ("media.io", Restart),
    ("media.anchor", Reload),
    ("media.hold_music", Restart),
    ("media.idle_time", Restart),
    ("media.idle_hold_time", Restart),
    ("media.inband_keys", Restart),
    ("media.quiet_after", Restart),
    ("media.room_members", Restart),
    ("media.sounds", Restart),
    ("media.web_sounds", Restart),
    ("recordings.folder", Restart),
    ("recordings.calls", Reload),
    ("recordings.users", Reload),
    ("call_records", Restart),
    ("call_api.listen", Restart),
    ("call_api.path", Restart),
    ("call_api.compat", Restart),
    ("call_api.allowed_origins", Reload),
    ("call_api.tokens", Reload),
    ("call_api.open", Reload),
    ("call_api.tls", Restart),
    ("call_api.max_sessions", Restart),
    ("call_api.max_per_address", Restart),
    ("call_api.max_in_flight", Restart),
    ("call_api.max_message", Restart),
    ("call_api.rate", Restart),
    ("call_api.reason", Restart),
    ("call_api.on_disconnect", Restart),
    ("call_api.ping_time", Restart),
    ("call_api.handshake_time", Restart),
    ("opensips", Restart),
    ("http", Restart),
    ("channels", Restart),
    ("control.enabled", Restart),
    ("control.listen", Restart),
    ("control.grants", Reload),
    ("control.tls", Restart),
    ("control.client_ca", Restart),
    ("control.allowed_origins", Reload),
    ("control.rate", Reload),
    ("control.max_body", Restart),
    ("control.max_connections", Restart),
    ("control.max_per_address", Restart),
    ("control.idle_time", Restart),
    ("control.body_time", Restart),
    ("control.max_keys", Restart),
    ("control.audit", Restart),
    ("mediaswitch", Restart),
    ("calls.max", Reload),
    ("calls.max_per_user", Reload),
    ("calls.ring_time", Reload),
    ("calls.probe_time", Restart),
    ("calls.max_duration", Reload),
    ("calls.redirects", Reload),
    ("calls.transfers", Reload),
    ("calls.click_to_dial_auto_answer", Reload),
    ("calls.drain_time", Reload),
    ("dns", Restart),
    ("events", Restart),
    ("event_log", Restart),
    ("data_dir", Restart),
    ("domains", Reload),
    ("user_lookup", Restart),
    ("default_domain", Reload),
    ("trunks", Restart),
    ("toll", Reload),
    ("routes", Reload),
    ("services", Reload),
    ("roles", Restart),
    ("nodes", Restart),
    ("webhooks", Reload),
    ("call_webhooks", Reload),
    ("log.level", Reload),
    ("log.format", Restart),
    ("log.pii", Reload),
];

/// When a key takes effect, as the reference page writes it; none of a section with keys of both kinds.
#[must_use]
pub fn takes(key: &str) -> Option<Takes> {
    let covers = |row: &str| key.strip_prefix(row).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    KEYS.iter().find(|(row, _)| covers(row)).map(|(_, takes)| *takes)
}

/// What a running switch makes of a file that was read again.
#[derive(Debug)]
pub struct Changes {
    /// What is in force then: the new values where they can be, the running ones where not.
    pub config: Config,
    /// The keys whose values are new and can take effect.
    pub applied: Vec<String>,
    /// The keys whose values are new and cannot.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// The services that a call flow leads, which are not taken while the switch runs.
    fn flows(&self) -> Vec<(&String, &super::CallFlow)> {
        self.services.iter().filter_map(|(name, service)| Some((name, service.flow.as_ref()?))).collect()
    }

    /// Compares with what the file says now.
    ///
    /// # Errors
    /// None that a file can cause; a configuration is plain data.
    pub fn changes(&self, fresh: &Self) -> Result<Changes, ConfigError> {
        let plain = |error: serde_json::Error| ConfigError::value("reload", error);
        let running = serde_json::to_value(self).map_err(plain)?;
        let mut merged = serde_json::to_value(fresh).map_err(plain)?;
        let (mut applied, mut needs_restart) = (Vec::new(), Vec::new());
        for (key, takes) in KEYS {
            let pointer = format!("/{}", key.replace('.', "/"));
            let value = |of: &Value| of.pointer(&pointer).cloned().unwrap_or_default();
            let (before, after) = (value(&running), value(&merged));
            if before == after {
                continue;
            }
            // Who is asked for call flows is known from the start on.
            let is_flow = *key == "services" && self.flows() != fresh.flows();
            match if is_flow { Restart } else { *takes } {
                Takes::Reload => applied.push((*key).to_owned()),
                Takes::Restart => {
                    needs_restart.push((*key).to_owned());
                    if let Some(place) = merged.pointer_mut(&pointer) {
                        *place = before;
                    }
                }
            }
        }
        let config = serde_json::from_value(merged).map_err(plain)?;
        Ok(Changes { config, applied, needs_restart })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of_the_reference() -> Vec<String> {
        let page = super::super::reference();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        rows.map(|(key, _)| key.to_owned()).collect()
    }

    #[test]
    fn every_key_of_the_configuration_stands_in_the_table_once() {
        let keys = keys_of_the_reference();
        assert!(keys.len() > 200, "{}", keys.len());
        for key in &keys {
            let is_section =
                KEYS.iter().any(|(row, _)| row.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
            assert!(takes(key).is_some() || is_section, "does `{key}` take effect at a reload? Say it in KEYS");
        }
        for (index, (row, _)) in KEYS.iter().enumerate() {
            assert!(keys.iter().any(|key| key == row), "there is no key `{row}`");
            let others = KEYS[..index].iter().chain(&KEYS[index + 1..]);
            let covers =
                |other: &str| row.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            assert!(!others.into_iter().any(|(other, _)| covers(other)), "`{row}` stands there twice");
        }
    }

    #[test]
    fn what_can_change_changes_and_the_rest_stays_and_is_named() {
        let parse = |text: &str| Config::parse("t", text).unwrap();
        let running = parse("sip: { listen: [ \"udp:127.0.0.1:5060\" ] }\ncalls: { max: 5, probe_time: 9 }\n");
        let fresh = parse(
            "sip: { listen: [ \"udp:127.0.0.1:5070\" ] }\ncalls: { max: 6, probe_time: 8 }\n\
             domains: { a.test: { users: { bob: { secret: s } } } }\nuser_lookup: { url: \"http://h/\" }\n",
        );
        let changes = running.changes(&fresh).unwrap();
        assert_eq!(changes.applied, ["calls.max", "domains"]);
        assert_eq!(changes.needs_restart, ["sip", "calls.probe_time", "user_lookup"]);
        assert_eq!((changes.config.calls.max, changes.config.calls.probe_time), (6, 9));
        assert_eq!(changes.config.sip.listen, running.sip.listen);
        assert_eq!(changes.config.user_lookup, None);
        assert!(changes.config.domains.contains_key("a.test"));
        // What could not be taken is named again the next time.
        assert_eq!(changes.config.changes(&fresh).unwrap().needs_restart, changes.needs_restart);
        assert!(changes.config.changes(&fresh).unwrap().applied.is_empty());
    }

    #[test]
    fn services_with_a_call_flow_wait_for_a_restart() {
        let parse = |text: &str| Config::parse("t", text).unwrap();
        let running = parse("services: { a: { play: [ hello.wav ] } }\n");
        let plain = parse("services: { a: { play: [ other.wav ] } }\n");
        assert_eq!(running.changes(&plain).unwrap().applied, ["services"]);
        let led = parse("services: { a: { flow: { url: \"http://h.test/\" } } }\n");
        let changes = running.changes(&led).unwrap();
        assert_eq!(
            (changes.needs_restart, changes.config.services),
            (vec!["services".to_owned()], running.services.clone())
        );
    }

    #[test]
    fn the_same_file_changes_nothing_whatever_is_in_it() {
        let example = include_str!("../../../../../config/hookswitch.example.yml");
        let config = Config::parse("example", example).unwrap();
        let changes = config.changes(&config).unwrap();
        assert_eq!((changes.applied.len(), changes.needs_restart.len()), (0, 0));
        assert_eq!(changes.config, config);
    }
}
