//! What the key `roles` and the section `nodes` mean.

use std::sync::Arc;

use hookswitch_dialect::access::Grant;
use hookswitch_drive::{Door, Token};

use crate::config::{Config, ConfigError, Role, Roles, SipTls};

/// What is left of a configuration for a process that does not have all roles: the others are on other nodes, and one file
/// may serve for all of them.
pub(super) fn only(config: &Config) -> Result<Config, ConfigError> {
    let Roles(roles) = &config.roles;
    if roles.is_empty() {
        return Err(ConfigError::value("roles", "at least one of sip, media and control"));
    }
    if roles.iter().enumerate().any(|(n, role)| roles[..n].contains(role)) {
        return Err(ConfigError::value("roles", "a role stands there twice"));
    }
    let mut config = config.clone();
    if !config.roles.has(Role::Sip) {
        config.sip.listen.clear();
        config.sip.tls = SipTls::default();
        config.network.stun.clear();
        config.guard.nftables = None;
    } else if !config.roles.has(Role::Control) {
        config.mediaswitch.controllers = true;
    }
    if !config.roles.has(Role::Control) {
        config.control.enabled = false;
        config.opensips = None;
    }
    if !config.roles.has(Role::Media) {
        config.channels.listen.clear();
    }
    check(&config)?;
    Ok(config)
}

/// Every call has its legs and its audio in one place.
fn check(config: &Config) -> Result<(), ConfigError> {
    let nodes = &config.nodes;
    let control = config.roles.has(Role::Control);
    for (role, key, urls) in [(Role::Sip, "nodes.sip", &nodes.sip), (Role::Media, "nodes.media", &nodes.media)] {
        match (control, config.roles.has(role), urls.is_empty()) {
            (true, true, false) => {
                let why = format!("`roles` says that this process is {role} itself: leave one of the two out");
                return Err(ConfigError::value(key, why));
            }
            (true, false, true) => {
                let why = format!("`roles` says that {role} is elsewhere: a URL is needed");
                return Err(ConfigError::value(key, why));
            }
            (true, false, false) => {
                let why = format!("calls cannot have their {role} on other nodes yet");
                return Err(ConfigError::value(key, why));
            }
            (true, true, true) | (false, ..) => {}
        }
    }
    Ok(())
}

/// The secret that all nodes share.
pub(super) fn secret(config: &Config) -> Result<Option<String>, ConfigError> {
    let Some(text) = &config.nodes.token else { return Ok(None) };
    let bad = |why: String| ConfigError::value("nodes.token", why);
    let secret = match text.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).map_err(|_| bad(format!("the environment has no variable {name}, or no text in it")))?
        }
        Some(("file", path)) => std::fs::read_to_string(path).map_err(|error| bad(format!("{path}: {error}")))?,
        // What is wrong is said without quoting it: it may be the secret itself.
        _ => return Err(bad("is neither env:NAME nor file:PATH; a secret does not belong in this file".to_owned())),
    };
    Ok(Some(secret.trim().to_owned()))
}

/// Who may come in where nodes talk to each other.
pub(super) fn door(config: &Config) -> Result<Door, ConfigError> {
    let Some(secret) = secret(config)? else { return Ok(Door::default()) };
    let grant = Arc::new(Grant { name: "nodes".into(), ..Grant::everything() });
    let token = Token::of_secret(&secret, grant).map_err(|error| ConfigError::value("nodes.token", error))?;
    Ok(Door { tokens: vec![token], from: None })
}

#[cfg(test)]
mod tests {
    use super::super::switch_config;
    use super::*;

    /// One file for all three.
    const FILE: &str = "data_dir: /d\ntrunks: { c: { hosts: [ { uri: \"sip:h.test\" } ] } }\nsip: { listen: [ \"udp:127.0.0.1:5060\" ] }\n";

    fn why(text: &str) -> String {
        switch_config(&Config::parse("t", text).unwrap()).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn each_role_has_its_listeners_and_no_others() {
        let set =
            |roles: &str| switch_config(&Config::parse("t", &format!("{FILE}roles: [{roles}]")).unwrap()).unwrap();
        let shown = |roles: &str| {
            let set = set(roles);
            let listens =
                [set.http.is_some(), set.channels.is_some(), set.control.is_some(), set.application.is_some()];
            (set.sip.len(), listens, set.media.here)
        };
        assert_eq!(shown("sip, media, control"), (1, [true; 4], true));
        assert_eq!(shown("sip"), (1, [true, false, false, false], false));
        assert_eq!(shown("media"), (0, [false, true, false, false], true));
        let sip = set("sip").shard;
        assert!(sip.dialogs.controllers && sip.dialogs.only && !sip.b2bua.elsewhere);
        let media = set("media").shard;
        assert!(media.b2bua.elsewhere && !set("sip, media, control").shard.dialogs.only);
    }

    #[test]
    fn a_process_that_carries_calls_has_legs_and_audio_somewhere() {
        assert!(
            why("roles: [control, media]").contains("nodes.sip: `roles` says that sip is elsewhere: a URL is needed")
        );
        assert!(why("roles: [control, sip]").contains("nodes.media: `roles` says that media is elsewhere"));
        assert!(why("nodes: { media: [ \"http://m:9002\" ] }").contains("this process is media itself"));
        assert!(why("roles: []").contains("roles: at least one of sip, media and control"));
        assert!(why("roles: [sip, sip]").contains("roles: a role stands there twice"));
        let error = Config::parse("t", "roles: [sips]").unwrap_err().to_string();
        assert!(error.contains("t:1:") && error.contains("control"), "{error}");
    }

    #[test]
    fn with_a_token_other_hosts_may_come_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let token = format!("nodes: {{ token: \"file:{}\" }}\n", file.display());
        let everywhere = format!("{token}roles: [media]\nchannels: {{ listen: \"0.0.0.0:9002\" }}\n");
        assert!(why(&everywhere).contains("nodes.token: "), "there is no such file");
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let set = switch_config(&Config::parse("t", &everywhere).unwrap()).unwrap();
        assert!(!set.channels.unwrap().door.is_open());
        assert_eq!(set.secret.as_deref(), Some("0123456789abcdef"));
        std::fs::write(&file, "short").unwrap();
        assert!(why(&everywhere).contains("nodes.token: a secret has 16 to 512 characters"));
        assert!(
            why("nodes: { token: \"0123456789abcdef\" }").contains("nodes.token: is neither env:NAME nor file:PATH")
        );
    }
}
