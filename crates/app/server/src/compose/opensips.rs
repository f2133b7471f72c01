//! What the section `opensips` means.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use hookswitch_drive::OpenSipsFrontConfig;
use hookswitch_drive::opensips::MAX_AWAKE;
use hookswitch_opensips as backend;
use hookswitch_sip_msg::Uri;

use super::call_api::{self, seconds};
use crate::config::{Config, ConfigError, OpenSips};

/// The settings of the front of OpenSIPS, if there is to be one.
///
/// # Errors
/// A value that is well formed and cannot be used: its key and why.
pub fn front_config(config: &Config) -> Result<Option<OpenSipsFrontConfig>, ConfigError> {
    let Some(opensips) = &config.opensips else { return Ok(None) };
    Ok(Some(OpenSipsFrontConfig {
        mi: read("opensips.mi", &opensips.mi)?,
        mi_reply: opensips.mi_reply.clone(),
        mi_ca: opensips.mi_ca.clone(),
        events: read("opensips.events", &opensips.events)?,
        advertise: opensips.advertise.as_deref().map(Into::into),
        opensips: backend(opensips)?,
        call_api: call_api::dialect(config),
        application: Some(call_api::listener(config)?),
        http: None,
        journal: None,
        log_pii: config.log.pii,
        stay_awake: awake(opensips.stay_awake)?,
        log_requests: false,
        left: Vec::new(),
    }))
}

fn awake(milliseconds: u64) -> Result<Duration, ConfigError> {
    let awake = Duration::from_millis(milliseconds);
    if awake > MAX_AWAKE {
        let why = format!("must be at most {}", MAX_AWAKE.as_millis());
        return Err(ConfigError::value("opensips.stay_awake", why));
    }
    Ok(awake)
}

fn backend(config: &OpenSips) -> Result<backend::Config, ConfigError> {
    if config.max_commands == 0 {
        return Err(ConfigError::value("opensips.max_commands", "must be at least 1"));
    }
    if config.subscription_refresh >= config.subscription_expiry {
        let why = "must be less than opensips.subscription_expiry";
        return Err(ConfigError::value("opensips.subscription_refresh", why));
    }
    Ok(backend::Config {
        next_hop: address("opensips.next_hop", config.next_hop.as_deref())?,
        from: address("opensips.from", config.from.as_deref())?,
        contact: address("opensips.contact", config.contact.as_deref())?,
        dialog_events: config.dialog_events,
        parties: config.parties,
        registered_domains: config.registered_domains.iter().map(Into::into).collect(),
        mi_timeout: seconds("opensips.mi_timeout", config.mi_timeout)?,
        ring_timeout: seconds("opensips.ring_timeout", config.ring_timeout)?,
        refer_timeout: seconds("opensips.refer_timeout", config.refer_timeout)?,
        hold_timeout: seconds("opensips.hold_timeout", config.hold_timeout)?,
        subscription_expiry: seconds("opensips.subscription_expiry", config.subscription_expiry)?,
        subscription_refresh: seconds("opensips.subscription_refresh", config.subscription_refresh)?,
        health_every: seconds("opensips.health_time", config.health_time)?,
        max_commands: config.max_commands,
        ..backend::Config::default()
    })
}

/// A SIP URI, which becomes part of a header line.
fn address(key: &str, text: Option<&str>) -> Result<Option<compact_str::CompactString>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    if Uri::parse(text).is_err() {
        return Err(ConfigError::value(key, format!("`{text}` is not a SIP URI")));
    }
    Ok(Some(text.into()))
}

fn read<T: FromStr<Err: Display>>(key: &str, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|error| ConfigError::value(key, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(text: &str) -> Result<OpenSipsFrontConfig, String> {
        let config = Config::parse("t", &format!("opensips: {{ {text} }}")).unwrap();
        front_config(&config).map(Option::unwrap).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_front_and_of_the_backend() {
        let config = Config::parse("t", "opensips: {}").unwrap();
        let ours = front_config(&config).unwrap().unwrap();
        // The Call API tells nobody's parties, and the native REST beside it does.
        let opensips = backend::Config { parties: true, ..backend::Config::default() };
        let application = ours.application.clone();
        let theirs = OpenSipsFrontConfig { application, opensips, ..OpenSipsFrontConfig::default() };
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        assert!(front_config(&Config::default()).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_used_names_its_key() {
        assert!(front("mi: \"fifo:/x\"").unwrap_err().starts_with("opensips.mi: "));
        assert!(front("events: \"sctp:1\"").unwrap_err().starts_with("opensips.events: "));
        assert!(front("from: desk").unwrap_err().starts_with("opensips.from: `desk` is not a SIP URI"));
        assert!(front("contact: \"sip:a@b\\r\\nX: y\"").unwrap_err().starts_with("opensips.contact: "));
        assert!(front("ring_timeout: 0").unwrap_err().starts_with("opensips.ring_timeout: "));
        assert!(front("max_commands: 0").unwrap_err().starts_with("opensips.max_commands: "));
        assert!(front("stay_awake: 1001").unwrap_err().starts_with("opensips.stay_awake: must be at most 1000"));
        assert!(front("subscription_refresh: 120").unwrap_err().starts_with("opensips.subscription_refresh: "));
    }
}
