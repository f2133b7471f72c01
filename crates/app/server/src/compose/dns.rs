//! What the section `dns` and the routes mean.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hookswitch_b2bua::route::{Destination, Route};
use hookswitch_drive::{DnsConfig, MAX_NAME_SERVERS};
use hookswitch_sip::resolve::{MAX_LOOKUPS, ResolverConfig};

use crate::config::{Config, ConfigError};

/// The port of name servers (RFC 1035 section 4.2).
const PORT: u16 = 53;

/// Whom to ask.
pub(super) fn servers(config: &Config) -> Result<DnsConfig, ConfigError> {
    let dns = &config.dns;
    if dns.servers.len() > MAX_NAME_SERVERS {
        return Err(ConfigError::value("dns.servers", format!("at most {MAX_NAME_SERVERS} name servers are asked")));
    }
    let server = |text: &String| -> Result<SocketAddr, ConfigError> {
        let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT)));
        address.map_err(|_| ConfigError::value("dns.servers", format!("`{text}` is neither ADDRESS nor ADDRESS:PORT")))
    };
    if !(1..=60).contains(&dns.timeout) {
        return Err(ConfigError::value("dns.timeout", "must be 1 to 60"));
    }
    if !(1..=10).contains(&dns.attempts) {
        return Err(ConfigError::value("dns.attempts", "must be 1 to 10"));
    }
    Ok(DnsConfig {
        servers: dns.servers.iter().map(server).collect::<Result<_, _>>()?,
        timeout: Duration::from_secs(dns.timeout),
        attempts: dns.attempts,
        ..DnsConfig::default()
    })
}

/// How look-ups are used.
pub(super) fn resolver(config: &Config) -> Result<ResolverConfig, ConfigError> {
    let dns = &config.dns;
    if dns.min_ttl == 0 || dns.min_ttl > dns.max_ttl.min(dns.max_negative_ttl) {
        let why = "must be at least 1 and no more than dns.max_ttl and dns.max_negative_ttl";
        return Err(ConfigError::value("dns.min_ttl", why));
    }
    if !(1..=MAX_LOOKUPS).contains(&dns.max_lookups) {
        return Err(ConfigError::value("dns.max_lookups", format!("must be 1 to {MAX_LOOKUPS}")));
    }
    Ok(ResolverConfig {
        ipv6_first: dns.ipv6_first,
        lookup_time: servers(config)?.lookup_time(),
        query_time: Duration::from_secs(dns.max_wait),
        max_entries: dns.max_entries,
        max_lookups: dns.max_lookups,
        min_ttl: Duration::from_secs(dns.min_ttl),
        max_ttl: Duration::from_secs(dns.max_ttl),
        max_negative_ttl: Duration::from_secs(dns.max_negative_ttl),
        ..ResolverConfig::default()
    })
}

/// The routes, in their order.
pub(super) fn routes(config: &Config) -> Result<Vec<Route>, ConfigError> {
    let routes = config.routes.iter().enumerate().map(|(n, route)| {
        let bad = |why: String| ConfigError::value(format!("routes[{n}]"), why);
        let to = match (route.to.is_empty(), route.destinations.is_empty()) {
            (false, true) => vec![Destination::new(&route.to)],
            (true, false) => route.destinations.iter().map(destination).collect(),
            (true, true) | (false, false) => return Err(bad("needs either `to` or `destinations`".to_owned())),
        };
        let read = Route::to_all(&route.pattern, to).map_err(|error| bad(error.to_string()))?;
        if let Some(name) = read.trunks().find(|name| !config.trunks.contains_key(*name)) {
            return Err(bad(format!("there is no trunk `{name}`")));
        }
        Ok(read.trusted(route.trusted))
    });
    routes.collect()
}

fn destination(written: &crate::config::Destination) -> Destination {
    Destination {
        group: written.group,
        after: Duration::from_secs(written.after),
        ring_time: written.ring_time.map(Duration::from_secs),
        weight: written.weight,
        ..Destination::new(&written.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        let config = Config::parse("t", text).unwrap();
        let result = servers(&config).and_then(|_| resolver(&config)).and_then(|_| routes(&config));
        result.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn name_servers_are_read_with_and_without_a_port() {
        let text = "dns: { servers: [ 192.0.2.1, \"192.0.2.2:5353\", \"2001:db8::1\", \"[2001:db8::2]:5353\" ] }";
        let read = servers(&Config::parse("t", text).unwrap()).unwrap();
        let expected = ["192.0.2.1:53", "192.0.2.2:5353", "[2001:db8::1]:53", "[2001:db8::2]:5353"];
        assert_eq!(read.servers, expected.map(|text| text.parse().unwrap()));
        assert_eq!(servers(&Config::default()).unwrap(), DnsConfig::default());
    }

    #[test]
    fn values_of_dns_that_cannot_be_used_name_their_key() {
        assert!(why("dns: { servers: [ ns.example.test ] }").starts_with("dns.servers: "));
        assert!(why(&format!("dns: {{ servers: [ {} ] }}", "192.0.2.1, ".repeat(9))).starts_with("dns.servers: "));
        assert!(why("dns: { timeout: 0 }").starts_with("dns.timeout: "));
        assert!(why("dns: { attempts: 11 }").starts_with("dns.attempts: "));
        assert!(why("dns: { min_ttl: 0 }").starts_with("dns.min_ttl: "));
        assert!(why("dns: { min_ttl: 400 }").starts_with("dns.min_ttl: "));
        assert!(why("dns: { max_lookups: 1001 }").starts_with("dns.max_lookups: "));
    }

    #[test]
    fn a_look_up_has_as_long_as_its_servers_may_take() {
        let read = resolver(&Config::parse("t", "dns: { timeout: 3, attempts: 4 }").unwrap()).unwrap();
        assert_eq!(read.lookup_time, Duration::from_millis(12_500));
    }

    #[test]
    fn a_route_has_one_destination_or_several() {
        let text = "routes:\n  - { match: \"sip:1*\", to: \"sip:h\" }\n  - match: \"sip:2*\"\n    trusted: true\n    \
                    destinations:\n      - { to: \"sip:a@h\", weight: 3 }\n      - { to: \"sip:b@h\", weight: 1 }\n      \
                    - { to: \"sip:c@h\", group: 1, after: 5, ring_time: 20 }\n";
        let read = routes(&Config::parse("t", text).unwrap()).unwrap();
        let weighted = |to, weight| Destination { weight: Some(weight), ..Destination::new(to) };
        let last = Destination {
            group: 1,
            after: Duration::from_secs(5),
            ring_time: Some(Duration::from_secs(20)),
            ..Destination::new("sip:c@h")
        };
        let several = vec![weighted("sip:a@h", 3), weighted("sip:b@h", 1), last];
        assert_eq!(read[0], Route::new("sip:1*", "sip:h").unwrap());
        assert_eq!(read[1], Route::to_all("sip:2*", several).unwrap().trusted(true));
    }

    #[test]
    fn a_route_leads_to_trunks_that_there_are() {
        let text = "trunks: { a: { hosts: [ { uri: \"sip:h\" } ] } }\n";
        let route = |to: &str| format!("{text}routes: [ {{ match: \"sip:*\", to: \"{to}\" }} ]");
        assert!(routes(&Config::parse("t", &route("trunk:a")).unwrap()).is_ok());
        assert_eq!(why(&route("trunk:a,b")), "routes[0]: there is no trunk `b`");
    }

    #[test]
    fn a_route_without_destination_or_with_both_kinds_is_refused() {
        assert!(why("routes: [ { match: \"sip:*\" } ]").starts_with("routes[0]: needs either"));
        let both = "routes: [ { match: \"sip:*\", to: \"sip:h\", destinations: [ { to: \"sip:i\" } ] } ]";
        assert!(why(both).starts_with("routes[0]: needs either"));
        assert!(
            why("routes: [ { match: \"sip:*\", destinations: [ { to: \"tel:1\" } ] } ]").starts_with("routes[0]: ")
        );
    }
}
