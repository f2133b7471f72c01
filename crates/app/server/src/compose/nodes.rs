//! What the key `roles` and the section `nodes` mean.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use hookswitch_dialect::access::Grant;
use hookswitch_drive::{Door, HttpConfig, Token};
use hookswitch_nodes::MAX_NODES;
use hookswitch_shard::NodesConfig;

use super::{secrets, web_listen};
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
            (true, false, false) | (true, true, true) | (false, ..) => {}
        }
    }
    Ok(())
}

/// Where the legs and the audio of our calls are, if not here.
pub(super) fn beyond(config: &Config) -> Result<NodesConfig, ConfigError> {
    let (sip, media) = (bases("nodes.sip", &config.nodes.sip)?, bases("nodes.media", &config.nodes.media)?);
    if !config.roles.has(Role::Control) || sip.len() + media.len() == 0 {
        return Ok(NodesConfig::default());
    }
    Ok(NodesConfig { sip, media, control: own(config)? })
}

/// Base URLs as they are put before paths.
fn bases(key: &str, urls: &[String]) -> Result<Vec<CompactString>, ConfigError> {
    if urls.len() > MAX_NODES {
        return Err(ConfigError::value(key, format!("at most {MAX_NODES} nodes")));
    }
    let bases: Vec<CompactString> = urls.iter().map(|url| base(key, url)).collect::<Result<_, _>>()?;
    match bases.iter().enumerate().any(|(n, url)| bases[..n].contains(url)) {
        true => Err(ConfigError::value(key, "a node stands there twice")),
        false => Ok(bases),
    }
}

/// `http://HOST:PORT`, without a path.
fn base(key: &str, url: &str) -> Result<CompactString, ConfigError> {
    let bare = url.strip_suffix('/').unwrap_or(url);
    let host = bare.strip_prefix("http://").or_else(|| bare.strip_prefix("https://"));
    match host {
        Some(host)
            if !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte)) =>
        {
            Ok(bare.into())
        }
        _ => Err(ConfigError::value(key, format!("`{url}` is not a URL such as http://10.0.0.1:9000"))),
    }
}

/// Our own base URL, as nodes reach us.
fn own(config: &Config) -> Result<CompactString, ConfigError> {
    if let Some(url) = &config.nodes.control {
        return base("nodes.control", url);
    }
    let bad =
        || ConfigError::value("nodes.control", "how do nodes reach us? A URL such as http://10.0.0.4:9001 is needed");
    let address: SocketAddr = config.control.listen.parse().map_err(|_| bad())?;
    match config.control.enabled
        && config.control.tls.is_none()
        && !address.ip().is_unspecified()
        && address.port() != 0
    {
        true => Ok(format_compact!("http://{address}")),
        false => Err(bad()),
    }
}

/// Who may speak as a node of ours: whoever shows the secret, or, where there is none, comes from where the nodes are. None
/// where there are no nodes.
pub(super) fn gate(config: &Config) -> Result<Option<Door>, ConfigError> {
    let NodesConfig { sip, media, .. } = beyond(config)?;
    if sip.len() + media.len() == 0 {
        return Ok(None);
    }
    let door = door(config)?;
    if !door.is_open() {
        return Ok(Some(door));
    }
    let mut from = Vec::new();
    for url in sip.iter().chain(&media) {
        let secure = url.starts_with("https:");
        let host = url.split_once("://").map_or("", |(_, host)| host);
        let port = if secure { ":443" } else { ":80" };
        let found = host.to_socket_addrs().or_else(|_| format!("{host}{port}").to_socket_addrs());
        let found = found.map_err(|error| ConfigError::value("nodes", format!("{url}: {error}")))?;
        from.extend(found.map(|address| address.ip().to_canonical()));
    }
    Ok(Some(Door { from: Some(from), ..Door::default() }))
}

/// How nodes are asked; none where there are none.
pub(super) fn client(config: &Config) -> Result<Option<hookswitch_drive::NodesConfig>, ConfigError> {
    let any = beyond(config)? != NodesConfig::default();
    let secret = secret(config)?;
    Ok(any.then(|| hookswitch_drive::NodesConfig { secret, ..hookswitch_drive::NodesConfig::default() }))
}

/// The secret that all nodes share.
pub fn secret(config: &Config) -> Result<Option<String>, ConfigError> {
    let Some(text) = &config.nodes.token else { return Ok(None) };
    let bad = |why: String| ConfigError::value("nodes.token", why);
    match secrets::named(text).map_err(bad)? {
        Some(secret) => Ok(Some(secret)),
        // What is wrong is said without quoting it: it may be the secret itself.
        None => Err(bad("is neither env:NAME nor file:PATH; a secret does not belong in this file".to_owned())),
    }
}

/// Who may come in where nodes talk to each other.
pub(super) fn door(config: &Config) -> Result<Door, ConfigError> {
    let Some(secret) = secret(config)? else { return Ok(Door::default()) };
    let grant = Arc::new(Grant { name: "nodes".into(), ..Grant::everything() });
    let token = Token::of_secret(&secret, grant).map_err(|error| ConfigError::value("nodes.token", error))?;
    Ok(Door { tokens: vec![token], from: None })
}

/// A listener for other nodes: for those of other hosts only if they prove who they are.
pub(super) fn guarded(config: &Config, key: &str, text: &str) -> Result<HttpConfig, ConfigError> {
    let listen = web_listen(key, text)?;
    let door = door(config)?;
    if !listen.is_this_host() && door.is_open() {
        let why = format!(
            "{text} can be reached from other hosts, and nobody has to prove here who it is: configure nodes.token, or \
             listen on 127.0.0.1 and let a proxy of your own look who comes"
        );
        return Err(ConfigError::value(key, why));
    }
    Ok(HttpConfig { door, ..HttpConfig::new(listen) })
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
        let sip = |rest: &str| why(&format!("roles: [control, media]\nnodes: {{ {rest} }}"));
        for bad in ["ftp://h", "http://", "http://h/path", "10.0.0.1:9000"] {
            assert!(sip(&format!("sip: [ \"{bad}\" ]")).contains("is not a URL such as http://10.0.0.1:9000"), "{bad}");
        }
        assert!(sip("sip: [ \"http://h\" ], media: [ \"http://h:1\" ]").contains("this process is media itself"));
        assert!(sip("sip: [ \"http://h:1\", \"http://h:1/\" ]").contains("nodes.sip: a node stands there twice"));
        let many: Vec<String> = (0..=MAX_NODES).map(|n| format!("\"http://h:{}\"", n + 1)).collect();
        assert!(sip(&format!("sip: [ {} ]", many.join(", "))).contains("nodes.sip: at most 64 nodes"));
        let unreachable = "roles: [control, media]\nnodes: { sip: [ \"http://127.0.0.1:9000\" ] }\ncontrol: { listen: \"localhost:9001\" }";
        assert!(why(unreachable).contains("nodes.control: how do nodes reach us?"));
        assert!(why("roles: []").contains("roles: at least one of sip, media and control"));
        assert!(why("roles: [sip, sip]").contains("roles: a role stands there twice"));
        let error = Config::parse("t", "roles: [sips]").unwrap_err().to_string();
        assert!(error.contains("t:1:") && error.contains("control"), "{error}");
    }

    #[test]
    fn nodes_are_who_shows_the_token_or_comes_from_there() {
        let text = "roles: [control, media]\ndata_dir: /d\nnodes: { sip: [ \"http://127.0.0.1:9000/\", \"http://10.0.0.7\" ] }";
        let set = switch_config(&Config::parse("t", text).unwrap()).unwrap();
        assert_eq!(set.shard.nodes.sip, ["http://127.0.0.1:9000", "http://10.0.0.7"]);
        assert_eq!(set.shard.nodes.control, "http://127.0.0.1:9001");
        assert!(set.nodes.is_some() && set.http.is_none() && set.sip.is_empty() && set.shard.b2bua.elsewhere);
        let door = set.control.unwrap().nodes.unwrap();
        let expected: Vec<std::net::IpAddr> = vec![[127, 0, 0, 1].into(), [10, 0, 0, 7].into()];
        assert_eq!(door.from, Some(expected));
        let alone = switch_config(&Config::parse("t", "data_dir: /d").unwrap()).unwrap();
        assert!(alone.nodes.is_none() && alone.control.unwrap().nodes.is_none());
    }

    #[test]
    fn with_a_token_other_hosts_may_come_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let token = format!("nodes: {{ token: \"file:{}\" }}\n", file.display());
        let everywhere = format!("{token}roles: [media]\nchannels: {{ listen: \"0.0.0.0:9002\" }}\n");
        assert!(why(&everywhere).contains("nodes.token: "), "there is no such file");
        for (key, roles) in [("http", "sip"), ("channels", "media")] {
            let exposed = format!("roles: [{roles}]\n{key}: {{ listen: \"0.0.0.0:9000\" }}\n");
            assert!(why(&exposed).contains(&format!("{key}.listen: 0.0.0.0:9000 can be reached from other hosts")));
        }
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let set = switch_config(&Config::parse("t", &everywhere).unwrap()).unwrap();
        assert!(!set.channels.unwrap().door.is_open());
        let exposed = format!("{token}http: {{ listen: \"0.0.0.0:9000\" }}\n");
        assert!(!switch_config(&Config::parse("t", &exposed).unwrap()).unwrap().http.unwrap().door.is_open());
        assert_eq!(set.secret.as_deref(), Some("0123456789abcdef"));
        std::fs::write(&file, "short").unwrap();
        assert!(why(&everywhere).contains("nodes.token: a secret has 16 to 512 characters"));
        assert!(
            why("nodes: { token: \"0123456789abcdef\" }").contains("nodes.token: is neither env:NAME nor file:PATH")
        );
    }
}
