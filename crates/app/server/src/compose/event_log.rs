//! The log of events.

use std::time::Duration;

use hookswitch_drive::JournalConfig;

use crate::config::{Config, ConfigError};

/// A reader may be away for a day at least.
const LEAST_KEPT: u64 = 24 * 3_600;

/// A thousand events or so; with less not even a short interruption of a reader would be bridged.
const LEAST_EVENTS: u64 = 1_000;

const LEAST_BYTES: u64 = 1 << 20;

/// The settings of the log of events.
///
/// # Errors
/// A value that is well formed and cannot be used: its key and why.
pub fn journal_config(config: &Config) -> Result<JournalConfig, ConfigError> {
    let section = &config.event_log;
    for (key, value, least) in [
        ("event_log.kept", section.kept, LEAST_KEPT),
        ("event_log.max_events", section.max_events, LEAST_EVENTS),
        ("event_log.max_bytes", section.max_bytes, LEAST_BYTES),
    ] {
        if value < least {
            return Err(ConfigError::value(key, format!("must be at least {least}")));
        }
    }
    let (max_events, max_bytes) = (section.max_events, section.max_bytes);
    Ok(JournalConfig {
        folder: Some(config.data_dir()),
        kept: Duration::from_secs(section.kept),
        max_events,
        max_bytes,
        goes_on: config.opensips.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_less_than_a_day_or_next_to_nothing_is_refused() {
        let of = |text: &str| journal_config(&Config::parse("t", text).unwrap()).map_err(|error| error.to_string());
        let config = of("data_dir: /nowhere\n").unwrap();
        assert_eq!(config, JournalConfig::new(Some("/nowhere".into())));
        assert_eq!(of("event_log: { kept: 86400 }\n").unwrap().kept, Duration::from_secs(86_400));
        for (text, expected) in [
            ("kept: 86399", "event_log.kept: must be at least 86400"),
            ("max_events: 999", "event_log.max_events: must be at least 1000"),
            ("max_bytes: 1000000", "event_log.max_bytes: must be at least 1048576"),
        ] {
            assert_eq!(of(&format!("event_log: {{ {text} }}\n")).unwrap_err(), expected);
        }
    }
}
