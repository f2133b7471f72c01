//! The section `guard`: who is not listened to.

use std::time::Duration;

use hookswitch_drive::{NftablesConfig, is_nftables_name};
use hookswitch_sip::Network;
use hookswitch_sip::guard::{GuardConfig, Weights};
use ipnet::IpNet;

use crate::config::{Config, ConfigError};

/// The guard's settings.
pub fn guard(config: &Config) -> Result<GuardConfig, ConfigError> {
    let guard = &config.guard;
    for (key, value) in [
        ("guard.threshold", u64::from(guard.threshold)),
        ("guard.half_life", guard.half_life),
        ("guard.ban_time", guard.ban_time),
    ] {
        if value == 0 {
            return Err(ConfigError::value(key, "must be at least 1"));
        }
    }
    if guard.max_ban_time < guard.ban_time || guard.max_ban_time > MAX_BAN_TIME {
        let why = format!("must be at least guard.ban_time, and at most {MAX_BAN_TIME}");
        return Err(ConfigError::value("guard.max_ban_time", why));
    }
    let weights = &guard.weights;
    Ok(GuardConfig {
        enabled: guard.enabled,
        threshold: guard.threshold,
        half_life: Duration::from_secs(guard.half_life),
        ban_time: Duration::from_secs(guard.ban_time),
        max_ban_time: Duration::from_secs(guard.max_ban_time),
        weights: Weights {
            wrong_password: weights.wrong_password,
            unknown_user: weights.unknown_user,
            probe: weights.probe,
            malformed: weights.malformed,
            scanner: weights.scanner,
            flood: weights.flood,
        },
        scanners: guard.scanners.iter().map(|name| name.as_str().into()).collect(),
        allow: networks(&guard.allow),
        drop: networks(&guard.drop),
        // A phone that registers is spared for longer than its registration lives.
        spared_for: GuardConfig::default().spared_for.max(Duration::from_secs(config.sip.max_expires)),
        ..GuardConfig::default()
    })
}

/// The sets of the packet filter that are fed with bans.
pub fn nftables(config: &Config) -> Result<Option<NftablesConfig>, ConfigError> {
    let Some(sets) = &config.guard.nftables else { return Ok(None) };
    for (key, name) in [("table", &sets.table), ("set4", &sets.set4), ("set6", &sets.set6)] {
        if !is_nftables_name(name) {
            let why = format!("`{name}` is not a name: letters, digits, `_` and `-`, at most 31");
            return Err(ConfigError::value(format!("guard.nftables.{key}"), why));
        }
    }
    let known = NftablesConfig::new(&sets.table, &sets.set4, &sets.set6);
    Ok(Some(NftablesConfig { create: sets.create, ..known }))
}

/// Longest `guard.max_ban_time`, in seconds: a year.
const MAX_BAN_TIME: u64 = 365 * 86_400;

/// Networks as the guard knows them.
pub fn networks(networks: &[IpNet]) -> Vec<Network> {
    networks.iter().map(|net| Network { addr: net.addr(), prefix: net.prefix_len() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<GuardConfig, String> {
        guard(&Config::parse("t", text).expect("well formed")).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_word_scanners_are_banned_and_this_host_is_not() {
        let guard = read("{}").unwrap();
        assert!(guard.enabled && guard.drop.is_empty());
        assert!(guard.allow.iter().any(|net| net.contains([127, 0, 0, 2].into())));
        assert_eq!((guard.weights, guard.scanners), (Weights::default(), GuardConfig::default().scanners));
    }

    #[test]
    fn every_key_arrives() {
        let text = "guard: { allow: [ 10.0.0.0/8 ], drop: [ \"2001:db8::/32\" ], threshold: 7, half_life: 8, \
                    ban_time: 9, max_ban_time: 10, weights: { probe: 3 }, scanners: [ zap ] }\n\
                    sip: { max_expires: 90000 }";
        let guard = read(text).unwrap();
        assert_eq!((guard.allow.len(), guard.drop[0].prefix, guard.threshold), (1, 32, 7));
        assert_eq!([guard.half_life, guard.ban_time, guard.max_ban_time], [8, 9, 10].map(Duration::from_secs));
        assert_eq!((guard.weights.probe, guard.weights.scanner, &*guard.scanners[0]), (3, 50, "zap"));
        assert_eq!(guard.spared_for, Duration::from_secs(90_000));
    }

    #[test]
    fn the_packet_filter_is_fed_only_if_wanted() {
        let sets =
            |text: &str| nftables(&Config::parse("t", text).expect("well formed")).map_err(|error| error.to_string());
        assert_eq!(sets("{}"), Ok(None));
        let known = sets("guard: { nftables: {} }").unwrap().unwrap();
        assert_eq!(
            (&*known.table, &*known.set4, &*known.set6, known.create),
            ("hookswitch", "banned4", "banned6", false)
        );
        let own = sets("guard: { nftables: { table: t, set4: a, set6: b, create: true } }").unwrap().unwrap();
        assert_eq!((&*own.table, &*own.set4, &*own.set6, own.create), ("t", "a", "b", true));
        let why = sets("guard: { nftables: { set6: \"b; flush ruleset\" } }").unwrap_err();
        assert!(why.starts_with("guard.nftables.set6"), "{why}");
    }

    #[test]
    fn what_cannot_be_used_names_its_key() {
        for (text, key) in [
            ("guard: { threshold: 0 }", "guard.threshold"),
            ("guard: { half_life: 0 }", "guard.half_life"),
            ("guard: { ban_time: 0 }", "guard.ban_time"),
            ("guard: { ban_time: 100, max_ban_time: 99 }", "guard.max_ban_time"),
            ("guard: { max_ban_time: 99999999999 }", "guard.max_ban_time"),
        ] {
            assert!(read(text).unwrap_err().starts_with(key), "{text}");
        }
    }
}
