//! Control servers of single legs.

use std::time::Duration;

use hookswitch_shard::{DialogLimits, DialogsConfig};

use crate::config::{Config, ConfigError, Role};

/// Longest time that a call may take to be answered, in seconds.
const MAX_SETUP: u64 = 3_600;

/// How the shard is with them.
pub(super) fn dialogs(config: &Config) -> Result<DialogsConfig, ConfigError> {
    let section = &config.mediaswitch;
    if !(1..=MAX_SETUP).contains(&section.setup_time) {
        return Err(ConfigError::value("mediaswitch.setup_time", format!("must be 1 to {MAX_SETUP}")));
    }
    let setup_time = Duration::from_secs(section.setup_time);
    Ok(DialogsConfig {
        controllers: section.controllers,
        only: !config.roles.has(Role::Control),
        limits: DialogLimits { max_dialogs: config.calls.max, setup_time },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_stay_in_the_switch_unless_it_says_otherwise() {
        let set = |text: &str| dialogs(&Config::parse("t", text).unwrap());
        let unset = set("{}").unwrap();
        assert_eq!((unset.controllers, unset.limits.setup_time.as_secs()), (false, 180));
        let told = set("{ mediaswitch: { controllers: true, setup_time: 20 }, calls: { max: 7 } }").unwrap();
        assert_eq!((told.controllers, told.limits.setup_time.as_secs(), told.limits.max_dialogs), (true, 20, 7));
        for wrong in [0, 3_601] {
            let error = set(&format!("mediaswitch: {{ setup_time: {wrong} }}")).unwrap_err().to_string();
            assert!(error.contains("mediaswitch.setup_time: must be 1 to 3600"), "{error}");
        }
    }
}
