//! What the configuration means: the machines' own settings, checked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use hookswitch_b2bua::{B2bua, B2buaConfig, Reliable};
use hookswitch_call::directory::{Directory, Forwarding, Layer, Secret, UserLimits};
use hookswitch_call::{Address, By, Codecs, Forwards, Limits};
use hookswitch_codec::Codec;
use hookswitch_drive::{MediaConfig, OpenSipsFrontConfig, SipListen, StoreConfig, SwitchConfig, WebListen};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_net::PortRange;
use hookswitch_shard::ShardConfig;
use hookswitch_sip::auth::GateConfig;
use hookswitch_sip::registrar::{MAX_PATHS, RegistrarConfig};
use hookswitch_sip::{AnswerPort, EndpointConfig, Listen, Network, Transport};
use hookswitch_sip_msg::Uri;
use hookswitch_sip_msg::digest::Algorithm;

mod call_api;
mod call_records;
mod channels;
mod control;
mod dns;
mod event_log;
mod events;
mod flows;
pub mod guard;
mod hold_music;
mod mediaswitch;
mod messages;
mod network;
mod nodes;
mod opensips;
mod recordings;
mod secrets;
mod services;
mod sip_tls;
mod toll;
mod trunks;
mod user_lookup;
mod web_sounds;
mod webhooks;

use crate::config::{
    Config, ConfigError, Domain, ForceRport, Forward, MediaAddress, MediaIo, Redirects, Refresher, ReliableEarlyMedia,
    Role, SipTransport, Transfers,
};
pub use event_log::journal_config;
pub use network::stun_server;
pub use nodes::secret as nodes_secret;
pub use opensips::front_config;
pub use webhooks::webhooks_config;

/// How many members of one conference can be configured: it is mixed 50 times a second by one thread.
const ROOM_MEMBERS: std::ops::RangeInclusive<usize> = 2..=1_000;

/// Most calls of a media thread. Those of the whole switch are `calls.max`, which may grow while it runs.
const MEDIA_CALLS: usize = 1_000_000;

/// What the switch is called in User-Agent and Server.
const PRODUCT: &str = concat!("Hookswitch/", env!("CARGO_PKG_VERSION"));

/// The settings of the whole switch.
///
/// # Errors
/// A value that is well formed and cannot be used: its key and why.
pub fn switch_config(config: &Config) -> Result<SwitchConfig, ConfigError> {
    let config = &nodes::only(config)?;
    let has = |role| config.roles.has(role);
    let mut switch = SwitchConfig::new(sip_listen(config), media(config)?, shard_config(config)?);
    switch.tls = sip_tls::certificates(config)?;
    switch.stun = network::stun(config)?;
    switch.nftables = guard::nftables(config)?;
    switch.users = user_lookup::service(config)?;
    switch.flows = flows::flow_services(config)?;
    switch.application = match &config.opensips {
        // Somebody else's calls are controlled then, and ours are not.
        Some(_) => None,
        None if !has(Role::Control) => None,
        None => Some(call_api::listener(config)?),
    };
    if has(Role::Sip) {
        switch.http = Some(nodes::guarded(config, "http.listen", &config.http.listen)?);
    }
    switch.media.here = has(Role::Media);
    switch.secret = nodes::secret(config)?;
    switch.nodes = nodes::client(config)?;
    switch.channels = channels::listener(config)?;
    switch.control = control::listener(config)?;
    switch.shard.rest = control::desk(config)?;
    switch.store = Some(StoreConfig { kind: "redb".into(), folder: config.data_dir() });
    switch.call_records = call_records::call_records(config)?;
    switch.dns = dns::servers(config)?;
    switch.log_pii = config.log.pii;
    Ok(switch)
}

/// All that a start would refuse of a configuration, but what certificates and sockets say. Gives the settings of the switch and
/// of what asks an OpenSIPS.
///
/// # Errors
/// As [`switch_config`].
pub fn check(config: &Config) -> Result<(SwitchConfig, Option<OpenSipsFrontConfig>), ConfigError> {
    let switch = switch_config(config)?;
    journal_config(config)?;
    webhooks_config(config)?;
    Ok((switch, front_config(config)?))
}

/// The SIP side alone, without sockets: to be asked where calls would go.
///
/// # Errors
/// As [`switch_config`].
pub fn b2bua(config: &Config) -> Result<B2bua, ConfigError> {
    let shard = shard_config(config)?;
    // Nothing is sent, so nobody can guess anything.
    Ok(B2bua::new(shard.b2bua, shard.directory, [0; 32]))
}

fn web_listen(key: &str, text: &str) -> Result<WebListen, ConfigError> {
    text.parse().map_err(|error| ConfigError::value(key, error))
}

fn media(config: &Config) -> Result<MediaConfig, ConfigError> {
    let policy = match config.media.address {
        MediaAddress::Fixed(address) => AddressPolicy::Fixed(address),
        MediaAddress::Auto => AddressPolicy::Auto { fallback: default_address() },
    };
    let mut engine = EngineConfig::new(policy);
    engine.codecs = codecs("media.codecs", &config.media.codecs)?;
    engine.max_calls = MEDIA_CALLS;
    engine.inband_keys = config.media.inband_keys;
    if !ROOM_MEMBERS.contains(&config.media.room_members) {
        let (least, most) = (ROOM_MEMBERS.start(), ROOM_MEMBERS.end());
        let why = format!("{} is not from {least} to {most}", config.media.room_members);
        return Err(ConfigError::value("media.room_members", why));
    }
    engine.room_members = config.media.room_members;
    engine.quiet_after = Duration::from_secs(config.media.quiet_after);
    engine.idle_after = Duration::from_secs(config.media.idle_time);
    engine.idle_held_after = Duration::from_secs(config.media.idle_hold_time);
    engine.rtp_timeout = Duration::from_secs(config.calls.probe_time);
    engine.hold_music = hold_music::read(&config.media.hold_music)?;
    let mut media = MediaConfig::new(engine);
    media.ports = PortRange { first: config.media.ports.first, last: config.media.ports.last };
    media.threads = config.media.threads;
    media.files.sounds.clone_from(&config.media.sounds);
    media.files.web = web_sounds::web_sounds(config)?;
    media.files.recordings.clone_from(&config.recordings.folder);
    media.io = match config.media.io {
        MediaIo::Auto => hookswitch_drive::MediaIo::Auto,
        MediaIo::Epoll => hookswitch_drive::MediaIo::Epoll,
        MediaIo::IoUring => hookswitch_drive::MediaIo::Ring,
    };
    Ok(media)
}

/// The address of the interface that leads out, for parties of which nothing else is known.
fn default_address() -> IpAddr {
    let interfaces = hookswitch_net::interfaces().unwrap_or_default();
    let leads_out = interfaces.iter().find(|interface| interface.default);
    leads_out.map_or(IpAddr::from([127, 0, 0, 1]), |interface| interface.address)
}

fn shard_config(config: &Config) -> Result<ShardConfig, ConfigError> {
    Ok(ShardConfig {
        b2bua: B2buaConfig {
            reliable: match config.sip.reliable_early_media {
                ReliableEarlyMedia::Off => Reliable::Off,
                ReliableEarlyMedia::Offered => Reliable::Offered,
                ReliableEarlyMedia::Required => Reliable::Required,
            },
            endpoint: endpoint(config)?,
            trusted: trusted(config),
            gate: GateConfig {
                algorithms: algorithms(config)?,
                nonce_lifetime: Duration::from_secs(config.sip.nonce_lifetime),
                // SIPp signs the address it sends to, and proxies rewrite Request-URIs. A nonce is
                // good for each count once, so another URI gains a listener nothing.
                check_uri: false,
                ..GateConfig::default()
            },
            registrar: registrar(config)?,
            events: events::events(config)?,
            max_calls_per_user: config.calls.max_per_user,
            routes: dns::routes(config)?,
            trunks: trunks::trunks(config)?,
            toll: toll::toll(config)?,
            codecs: domain_codecs(config)?,
            resolver: dns::resolver(config)?,
            services: services::services(config)?,
            elsewhere: !config.roles.has(Role::Sip),
        },
        limits: Limits {
            calls: config.calls.max,
            ring_time: Duration::from_secs(config.calls.ring_time),
            anchor: config.media.anchor,
            probe_time: Duration::from_secs(config.calls.probe_time),
            max_duration: Duration::from_secs(config.calls.max_duration),
            follow_redirects: config.calls.redirects == Redirects::Follow,
            transfers: match config.calls.transfers {
                Transfers::Bridge => By::Bridge,
                Transfers::Refer => By::Refer,
            },
            auto_answer: config.calls.click_to_dial_auto_answer,
            ..Limits::default()
        },
        directory: directory(config)?,
        call_api: call_api::dialect(config),
        record: recordings::rule(config)?,
        dialogs: mediaswitch::dialogs(config)?,
        channels: channels::limits(config),
        flows: flows::flow_terms(config)?,
        nodes: nodes::beyond(config)?,
        ..ShardConfig::default()
    })
}

/// Shortest time between two refreshes of a session, in seconds (RFC 4028 section 4).
const LEAST_MIN_SE: u64 = 90;

fn session_times(config: &Config) -> Result<(), ConfigError> {
    let (expires, least) = (config.sip.session_expires, config.sip.min_se);
    if !(LEAST_MIN_SE..=u64::from(u32::MAX)).contains(&least) {
        return Err(ConfigError::value("sip.min_se", format!("must be at least {LEAST_MIN_SE} s")));
    }
    if expires != 0 && !(least..=u64::from(u32::MAX)).contains(&expires) {
        return Err(ConfigError::value("sip.session_expires", format!("must be 0, or at least sip.min_se, {least} s")));
    }
    Ok(())
}

fn endpoint(config: &Config) -> Result<EndpointConfig, ConfigError> {
    let listen = sip_listen(config);
    if listen.is_empty() && config.roles.has(Role::Sip) {
        return Err(ConfigError::value("sip.listen", "at least one socket is needed"));
    }
    session_times(config)?;
    let listen = listen.into_iter().map(|socket| {
        let advertise = advertised(config, socket.address)?;
        Ok(Listen { transport: socket.transport, address: socket.address, advertise })
    });
    Ok(EndpointConfig {
        product: PRODUCT.into(),
        listen: listen.collect::<Result<_, ConfigError>>()?,
        addresses: network::addresses(config)?,
        max_rate_per_source: config.sip.max_rate_per_source,
        max_pending_per_source: config.sip.max_pending_per_source,
        session_expires: Duration::from_secs(config.sip.session_expires),
        min_se: Duration::from_secs(config.sip.min_se),
        refresher: match config.sip.refresher {
            Refresher::Either => hookswitch_sip::Refresher::Either,
            Refresher::Ours => hookswitch_sip::Refresher::Ours,
            Refresher::Theirs => hookswitch_sip::Refresher::Theirs,
        },
        answer_port: match config.sip.force_rport {
            ForceRport::Asked => AnswerPort::Asked,
            ForceRport::Nat => AnswerPort::BehindNat,
            ForceRport::Always => AnswerPort::Always,
        },
        // A call holds two dialogs, and those of ended calls linger for half a minute.
        max_dialogs: config.calls.max.saturating_mul(16).max(10_000),
        trusted: trusted(config),
        stream_above: config.sip.tcp_above,
        guard: guard::guard(config)?,
        ..EndpointConfig::default()
    })
}

fn sip_listen(config: &Config) -> Vec<SipListen> {
    let transport = |transport| match transport {
        SipTransport::Udp => Transport::Udp,
        SipTransport::Tcp => Transport::Tcp,
        SipTransport::Tls => Transport::Tls,
        SipTransport::Ws => Transport::Ws,
        SipTransport::Wss => Transport::Wss,
    };
    let sockets = config.sip.listen.iter();
    sockets.map(|socket| SipListen { transport: transport(socket.transport), address: socket.address }).collect()
}

fn advertised(config: &Config, socket: SocketAddr) -> Result<Option<(compact_str::CompactString, u16)>, ConfigError> {
    let Some(text) = &config.sip.advertise else { return Ok(None) };
    let bad = || ConfigError::value("sip.advertise", format!("`{text}` is neither HOST nor HOST:PORT"));
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
        _ => (text.as_str(), socket.port()),
    };
    if hookswitch_sip_msg::Host::parse(host).is_none() {
        return Err(bad());
    }
    Ok(Some((host.into(), port)))
}

fn trusted(config: &Config) -> Vec<Network> {
    let networks = config.sip.trusted.iter();
    networks.map(|net| Network { addr: net.addr(), prefix: net.prefix_len() }).collect()
}

fn algorithms(config: &Config) -> Result<Vec<Algorithm>, ConfigError> {
    if config.sip.algorithms.is_empty() {
        return Err(ConfigError::value("sip.algorithms", "at least one algorithm is needed"));
    }
    let unknown = |name: &String| ConfigError::value("sip.algorithms", format!("`{name}` is not a digest algorithm"));
    config.sip.algorithms.iter().map(|name| Algorithm::parse(name).ok_or_else(|| unknown(name))).collect()
}

fn registrar(config: &Config) -> Result<RegistrarConfig, ConfigError> {
    let sip = &config.sip;
    if !(sip.min_expires <= sip.default_expires && sip.default_expires <= sip.max_expires) {
        let why = "must not be less than sip.min_expires or more than sip.max_expires";
        return Err(ConfigError::value("sip.default_expires", why));
    }
    if sip.stale_after == 0 {
        return Err(ConfigError::value("sip.stale_after", "must be at least 1"));
    }
    Ok(RegistrarConfig {
        default_expires: Duration::from_secs(sip.default_expires),
        min_expires: Duration::from_secs(sip.min_expires),
        max_expires: Duration::from_secs(sip.max_expires),
        max_bindings_per_aor: sip.max_bindings,
        options_ping: Duration::from_secs(sip.options_ping),
        stale_after: sip.stale_after,
        stale_time: Duration::from_secs(sip.stale_time),
        unreachable_after: sip.unreachable_after,
        flow_timer: Duration::from_secs(sip.flow_timer),
        service_route: service_route(&sip.service_route)?,
        path_must_be_understood: sip.strict_path,
        ..RegistrarConfig::default()
    })
}

fn service_route(uris: &[String]) -> Result<Vec<Arc<str>>, ConfigError> {
    if uris.len() > MAX_PATHS {
        return Err(ConfigError::value("sip.service_route", format!("at most {MAX_PATHS} URIs")));
    }
    let routes = uris.iter().map(|text| match Uri::parse(text) {
        Ok(uri) if uri.is_sip() && uri.param("lr").is_some() && !text.contains(['<', '>', ',']) => {
            Ok(format!("<{text}>").into())
        }
        Ok(_) | Err(_) => {
            Err(ConfigError::value("sip.service_route", format!("`{text}` is not a URI such as sip:HOST;lr")))
        }
    });
    routes.collect()
}

fn directory(config: &Config) -> Result<Directory, ConfigError> {
    let mut directory = Directory::new();
    for (name, domain) in &config.domains {
        let key = format!("domains.{name}");
        let bad = |error| ConfigError::value(&key, error);
        directory.configure(name, layer(&key, domain)?).map_err(bad)?;
        for alias in &domain.aliases {
            directory.alias(alias, name).map_err(bad)?;
        }
    }
    if let Some(default) = &config.default_domain {
        directory.set_default(default).map_err(|error| ConfigError::value("default_domain", error))?;
    }
    user_lookup::look_up(config, &mut directory)?;
    Ok(directory)
}

fn layer(key: &str, domain: &Domain) -> Result<Layer, ConfigError> {
    let users = domain.users.iter().map(|(user, entry)| (user.into(), Secret::new(&entry.secret)));
    let named =
        domain.users.iter().filter_map(|(user, entry)| Some((user.into(), forwarding(entry.forward.as_ref()?))));
    let forwards = named.filter(|(_, forwarding)| !forwarding.is_empty());
    let limited = domain.users.iter().filter_map(|(user, entry)| Some((user, entry.limits.as_ref()?)));
    let limits = limited.map(|(user, limits)| {
        let classes = toll::classes(&format!("{key}.users.{user}.limits.classes"), &limits.classes)?;
        Ok((user.into(), UserLimits { contacts: limits.contacts, calls: limits.calls, classes }))
    });
    let limits = limits.collect::<Result<_, ConfigError>>()?;
    // Whether they are recorded is a rule: a domain of the file has a say in it too.
    Ok(Layer { users: users.collect(), forwards: forwards.collect(), limits, ..Layer::default() })
}

fn forwarding(forward: &Forward) -> Forwarding {
    let address = |text: &Option<String>| text.as_deref().map(Address::from);
    Forwarding {
        always: address(&forward.always),
        otherwise: Forwards {
            busy: address(&forward.busy),
            no_answer: address(&forward.no_answer),
            no_answer_after: forward.no_answer_after.map(Duration::from_secs),
            unreachable: address(&forward.unreachable),
        },
    }
}

fn domain_codecs(config: &Config) -> Result<AHashMap<compact_str::CompactString, Codecs>, ConfigError> {
    let own = config.domains.iter().filter(|(_, domain)| !domain.codecs.is_empty());
    own.map(|(name, domain)| {
        let known = codecs(&format!("domains.{name}.codecs"), &domain.codecs)?;
        let names = known.iter().map(|codec| codec.label.into());
        Ok((name.to_ascii_lowercase().into(), Codecs(names.collect())))
    })
    .collect()
}

/// Codecs by name.
fn codecs(key: &str, names: &[String]) -> Result<Vec<&'static Codec>, ConfigError> {
    let known = || hookswitch_codec::CODECS.iter().map(|codec| codec.label).collect::<Vec<_>>().join(", ");
    let found: Vec<&'static Codec> = names
        .iter()
        .map(|name| {
            let codec = hookswitch_codec::by_label(name);
            codec.ok_or_else(|| ConfigError::value(key, format!("`{name}` is not a codec; known are {}", known())))
        })
        .collect::<Result<_, _>>()?;
    if !found.iter().any(|codec| codec.is_audio()) {
        return Err(ConfigError::value(key, "at least one audio codec is needed"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        let config = Config::parse("t", text).unwrap();
        shard_config(&config).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_a_start_would_refuse_is_refused_before_it() {
        let check = |text: &str| check(&Config::parse("t", text).unwrap()).map(drop).map_err(|error| error.to_string());
        let webhook = |url: &str| format!("webhooks: [ {{ name: crm, url: \"{url}\" }} ]");
        assert_eq!(check(&webhook("https://crm.example.com/calls")), Ok(()));
        for (text, expected) in [
            (webhook("http://10.0.0.1/calls").as_str(), "webhooks[0].url: leads to 10.0.0.1"),
            (
                "call_webhooks: { keys: { crm: [ whsec_x ] } }\n",
                "call_webhooks.keys: `crm`: is neither env:NAME nor file:PATH",
            ),
            ("event_log: { kept: 1 }\n", "event_log.kept: must be at least 86400"),
            ("media: { room_members: 1 }\n", "media.room_members: "),
        ] {
            let why = check(text).unwrap_err();
            assert!(why.starts_with(expected), "{why}");
        }
    }

    #[test]
    fn a_conference_has_as_many_members_as_are_configured() {
        let members = |text: &str| media(&Config::parse("t", text).unwrap()).map(|media| media.engine.room_members);
        assert_eq!(members("{}").unwrap(), 100);
        assert_eq!(members("media: { room_members: 1000 }").unwrap(), 1_000);
        for number in [1, 1_001] {
            let error = members(&format!("media: {{ room_members: {number} }}")).unwrap_err().to_string();
            assert!(error.contains(&format!("media.room_members: {number} is not from 2 to 1000")), "{error}");
        }
    }

    #[test]
    fn who_refreshes_and_what_goes_reliably_is_configured() {
        let set = |text: &str| shard_config(&Config::parse("t", text).unwrap()).unwrap().b2bua;
        for (word, expected) in [
            ("off", Reliable::Off),
            ("false", Reliable::Off),
            ("offered", Reliable::Offered),
            ("true", Reliable::Offered),
            ("required", Reliable::Required),
        ] {
            assert_eq!(set(&format!("sip: {{ reliable_early_media: {word} }}")).reliable, expected, "{word}");
        }
        assert!(Config::parse("t", "sip: { reliable_early_media: perhaps }").is_err());
        for (word, expected) in [
            ("either", hookswitch_sip::Refresher::Either),
            ("ours", hookswitch_sip::Refresher::Ours),
            ("theirs", hookswitch_sip::Refresher::Theirs),
        ] {
            assert_eq!(set(&format!("sip: {{ refresher: {word} }}")).endpoint.refresher, expected, "{word}");
        }
        let unset = set("{}");
        assert_eq!((unset.reliable, unset.endpoint.refresher), (Reliable::Off, hookswitch_sip::Refresher::Either));
    }

    #[test]
    fn values_that_cannot_be_used_name_their_key() {
        assert!(why("sip: { listen: [] }").starts_with("sip.listen: "));
        assert!(why("sip: { algorithms: [ROT13] }").contains("`ROT13` is not a digest algorithm"));
        assert!(why("sip: { default_expires: 10 }").starts_with("sip.default_expires: "));
        assert!(why("sip: { advertise: \"a b\" }").starts_with("sip.advertise: "));
        assert!(why("sip: { service_route: [\"sip:pbx.test\"] }").starts_with("sip.service_route: `sip:pbx.test`"));
        assert!(why("sip: { service_route: [\"tel:1;lr\"] }").starts_with("sip.service_route: "));
        assert!(why("sip: { min_se: 30 }").starts_with("sip.min_se: "));
        assert!(why("sip: { session_expires: 89 }").starts_with("sip.session_expires: "));
        assert!(why("routes: [ { match: \"*\", to: \"sip:h\" } ]").starts_with("routes[0]: "));
        assert!(why("domains: { \"a b\": {} }").starts_with("domains.a b: "));
        let forward = |forward: &str| {
            why(&format!("domains: {{ a: {{ users: {{ b: {{ secret: s, forward: {forward} }} }} }} }}"))
        };
        let expected = "domains.a: forward.busy of \"b\" is not an address such as sip:NAME@HOST or tel:NUMBER";
        assert_eq!(forward("{ busy: \"1002\" }"), expected);
        assert!(forward("{ no_answer_after: 5 }").contains("no_answer does not say to whom"));
        assert!(why("domains: { a: { codecs: [speex] } }").contains("`speex` is not a codec"));
        assert!(why("domains: { a: { codecs: [telephone-event] } }").contains("at least one audio codec"));
    }

    #[test]
    fn users_of_the_file_are_forwarded() {
        let text = "domains: { a.test: { users: { b: { secret: s, forward: { busy: \"sip:c@a.test\" } }, d: { secret: s } } } }";
        let shard = shard_config(&Config::parse("t", text).unwrap()).unwrap();
        let found = shard.directory.forwards("a.test", "b").unwrap();
        assert_eq!(found.otherwise.busy, Some(Address::from("sip:c@a.test")));
        assert_eq!(shard.directory.forwards("a.test", "d"), None);
    }

    #[test]
    fn an_advertised_port_replaces_the_sockets() {
        let config = Config::parse("t", "sip: { advertise: \"pbx.example.test:5090\" }").unwrap();
        let shard = shard_config(&config).unwrap();
        let listen = &shard.b2bua.endpoint.listen;
        assert!(listen.iter().all(|l| l.advertise == Some(("pbx.example.test".into(), 5090))));
    }
}
