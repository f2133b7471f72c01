//! Subscriptions.

use std::time::Duration;

use hookswitch_sip::subscription::SubscriptionConfig;

use crate::config::{Config, ConfigError};

pub(super) fn events(config: &Config) -> Result<SubscriptionConfig, ConfigError> {
    let events = &config.events;
    if events.min_expires > events.max_expires {
        return Err(ConfigError::value("events.min_expires", "must not be more than events.max_expires"));
    }
    Ok(SubscriptionConfig {
        max_subscriptions: events.max,
        max_per_user: events.max_per_user,
        min_expires: Duration::from_secs(events.min_expires),
        default_expires: Duration::from_secs(events.max_expires),
        max_expires: Duration::from_secs(events.max_expires),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_arrives_and_contradictions_are_refused() {
        let set = |text: &str| events(&Config::parse("t", text).unwrap());
        let config = set("events: { max: 7, max_per_user: 3, min_expires: 30, max_expires: 90 }").unwrap();
        assert_eq!((config.max_subscriptions, config.max_per_user), (7, 3));
        assert_eq!((config.min_expires, config.max_expires), (Duration::from_secs(30), Duration::from_secs(90)));
        assert_eq!(config.default_expires, config.max_expires);
        assert!(set("events: { min_expires: 100, max_expires: 99 }").is_err());
        assert_eq!(set("").unwrap(), SubscriptionConfig::default(), "the defaults of both agree");
    }
}
