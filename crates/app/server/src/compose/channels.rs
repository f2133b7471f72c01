//! What the section `channels` means.

use hookswitch_drive::HttpConfig;
use hookswitch_shard::ChannelsConfig;

use super::nodes;
use crate::config::{Config, ConfigError};

/// The listener; none where it is switched off.
pub(super) fn listener(config: &Config) -> Result<Option<HttpConfig>, ConfigError> {
    let text = &config.channels.listen;
    if text.is_empty() {
        return Ok(None);
    }
    let listener = nodes::guarded(config, "channels.listen", text)?;
    Ok(Some(HttpConfig { recordings: config.recordings.folder.clone(), ..listener }))
}

/// How many there may be.
pub(super) fn limits(config: &Config) -> ChannelsConfig {
    let ports = &config.media.ports;
    let pairs = usize::from(ports.last - ports.first).div_ceil(2);
    let capacity = match config.channels.max {
        0 => pairs.min(config.calls.max),
        max => max,
    };
    ChannelsConfig { capacity, near: config.channels.address, ..ChannelsConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortRange;

    #[test]
    fn as_many_channels_as_ports_unless_told_otherwise() {
        let mut config = Config::default();
        config.media.ports = PortRange { first: 10_000, last: 10_099 };
        assert_eq!(limits(&config).capacity, 50);
        config.calls.max = 20;
        assert_eq!(limits(&config).capacity, 20);
        config.channels.max = 7;
        assert_eq!(limits(&config).capacity, 7);
        assert!(listener(&config).unwrap().is_some());
        config.channels.listen = String::new();
        assert!(listener(&config).unwrap().is_none());
        for bad in ["nowhere", "0.0.0.0:9002", "[::]:9002", "10.0.0.1:9002"] {
            config.channels.listen = bad.into();
            assert!(listener(&config).unwrap_err().to_string().contains("channels.listen"), "{bad}");
        }
        for good in ["localhost:9002", "127.0.0.9:9002", "[::1]:9002"] {
            config.channels.listen = good.into();
            assert!(listener(&config).unwrap().is_some(), "{good}");
        }
    }
}
