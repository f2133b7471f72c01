//! What the section `network` means.

use std::net::IpAddr;
use std::time::Duration;

use hookswitch_drive::StunConfig;
use hookswitch_sip::{Addresses, Network, View};

use crate::config::{Config, ConfigError};

/// What is written of our addresses; those of the interfaces come from the system.
pub(super) fn addresses(config: &Config) -> Result<Addresses, ConfigError> {
    let network = &config.network;
    let fours = network.public.iter().filter(|address| address.is_ipv4()).count();
    if fours > 1 || network.public.len() - fours > 1 {
        return Err(ConfigError::value("network.public", "at most one address of IPv4 and one of IPv6"));
    }
    if let Some(none) = network.public.iter().find(|address| address.is_unspecified()) {
        return Err(ConfigError::value("network.public", format!("nobody can be reached at {none}")));
    }
    let mut views = Vec::new();
    for (n, view) in network.views.iter().enumerate() {
        let key = format!("network.views[{n}]");
        if view.peers.is_empty() {
            return Err(ConfigError::value(format!("{key}.peers"), "at least one network is needed"));
        }
        for peers in &view.peers {
            if !same_family(peers.addr(), view.address) {
                let why = format!("{} is told to peers in {peers}, who have no way to it", view.address);
                return Err(ConfigError::value(format!("{key}.address"), why));
            }
            let peers = Network { addr: peers.addr(), prefix: peers.prefix_len() };
            views.push(View { peers, address: view.address });
        }
    }
    Ok(Addresses { interfaces: Vec::new(), views, public: network.public.clone() })
}

/// The port of STUN servers (RFC 8489 section 18.6).
const STUN_PORT: u16 = 3478;

/// Who is asked for our public addresses.
pub(super) fn stun(config: &Config) -> Result<StunConfig, ConfigError> {
    let network = &config.network;
    if !(network.stun.is_empty() || network.public.is_empty()) {
        return Err(ConfigError::value("network.stun", "network.public says already what would be asked for"));
    }
    if !(5..=86_400).contains(&network.stun_every) {
        return Err(ConfigError::value("network.stun_every", "must be 5 to 86400"));
    }
    let server = |text: &String| stun_server(text).map_err(|why| ConfigError::value("network.stun", why));
    let servers = network.stun.iter().map(server).collect::<Result<_, _>>()?;
    Ok(StunConfig { servers, every: Duration::from_secs(network.stun_every) })
}

/// A server as it is written, with its port.
///
/// # Errors
/// What is wrong with it.
pub fn stun_server(text: &str) -> Result<String, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        _ => (text, Some(STUN_PORT)),
    };
    let host = hookswitch_sip_msg::Host::parse(host).map(|_| host);
    match (host, port) {
        (Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => Err(format!("`{text}` is neither HOST nor HOST:PORT")),
    }
}

fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Addresses, String> {
        addresses(&Config::parse("t", text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn public_addresses_and_views_are_what_was_written() {
        let read = read(
            "network: { public: [ 203.0.113.5, \"2001:db8::5\" ], views: [ { peers: [ 10.8.0.0/16, 10.9.0.0/16 ], address: 10.8.0.1 } ] }",
        )
        .unwrap();
        assert_eq!(read.public, ["203.0.113.5", "2001:db8::5"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        let view = |peers: &str| View {
            peers: Network { addr: peers.parse().unwrap(), prefix: 16 },
            address: "10.8.0.1".parse().unwrap(),
        };
        assert_eq!(read.views, [view("10.8.0.0"), view("10.9.0.0")]);
    }

    #[test]
    fn stun_servers_have_a_port_and_are_asked_for_what_is_not_written() {
        let read = |text: &str| stun(&Config::parse("t", text).unwrap()).map_err(|error| error.to_string());
        let asked = read("network: { stun: [ stun.example.test, \"192.0.2.1:19302\", \"[2001:db8::1]\" ] }").unwrap();
        assert_eq!(asked.servers, ["stun.example.test:3478", "192.0.2.1:19302", "[2001:db8::1]:3478"]);
        assert_eq!(asked.every, Duration::from_secs(60));
        for (text, expected) in [
            ("network: { stun: [ h ], public: [ 203.0.113.5 ] }", "network.stun: network.public says already"),
            ("network: { stun: [ \"a b\" ] }", "network.stun: `a b` is neither"),
            ("network: { stun: [ \"h:port\" ] }", "network.stun: `h:port` is neither"),
            ("network: { stun_every: 1 }", "network.stun_every: must be 5"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_that_lead_nowhere_are_refused_by_their_key() {
        for (text, expected) in [
            ("network: { public: [ 203.0.113.5, 203.0.113.6 ] }", "network.public: at most one address of IPv4"),
            ("network: { public: [ 0.0.0.0 ] }", "network.public: nobody can be reached at 0.0.0.0"),
            ("network: { views: [ { peers: [], address: 10.8.0.1 } ] }", "network.views[0].peers: at least one"),
            (
                "network: { views: [ { peers: [ \"fd00::/8\" ], address: 10.8.0.1 } ] }",
                "network.views[0].address: 10.8.0.1 is told to peers in fd00::/8",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
