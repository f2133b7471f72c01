//! Where `sips:` and TLS lead (RFC 3263 4.1, RFC 5630), and whom a certificate has to name.

use crate::resolve_zone::{ALL, World, Zone, config};
use hookswitch_sip::resolve::{Reach, Resolution, ResolverConfig};

const SECURE: Reach = Reach { tls4: true, tls6: true, ..ALL };

fn world(zone: Zone) -> World {
    World::new(ResolverConfig { reach: SECURE, ..config() }, zone)
}

#[test]
fn numbers_go_by_tls_at_its_port() {
    let mut world = world(Zone::default());
    for (uri, expected) in [
        ("sips:a@192.0.2.1", "tls:192.0.2.1:5061"),
        ("sips:a@192.0.2.1:5071", "tls:192.0.2.1:5071"),
        ("sips:a@192.0.2.1;transport=tcp", "tls:192.0.2.1:5061"),
        ("sip:a@192.0.2.1;transport=tls", "tls:192.0.2.1:5061"),
        ("sip:a@192.0.2.1;transport=TLS", "tls:192.0.2.1:5061"),
        ("sips:a@localhost", "tls:127.0.0.1:5061"),
        ("sips:a@192.0.2.1;transport=udp", "unknown transport"),
        ("sip:a@192.0.2.1;transport=ws", "no socket for this transport or address family"),
        ("sips:a@192.0.2.1;transport=ws", "no socket for this transport or address family"),
        ("sip:a@df7jal23ls0d.invalid;transport=ws", "no socket for this transport or address family"),
    ] {
        assert_eq!(world.leads_to(uri), expected, "{uri}");
    }
}

fn example() -> Zone {
    Zone::default()
        .naptr("example.com", &["10 10 s SIPS+D2T _sips._tcp.example.com", "20 10 s SIP+D2U _sip._udp.example.com"])
        .srv("_sips._tcp.example.com", &["1 1 5061 secure.example.com"])
        .srv("_sip._udp.example.com", &["1 1 5060 open.example.com"])
        .a("secure.example.com", &["192.0.2.1"])
        .a("open.example.com", &["192.0.2.2"])
}

#[test]
fn a_domain_may_prefer_tls_for_sip_and_has_nothing_else_for_sips() {
    let mut world = world(example());
    assert_eq!(world.leads_to("sip:a@example.com"), "tls:192.0.2.1:5061 udp:192.0.2.2:5060");
    assert_eq!(world.leads_to("sips:a@example.com"), "tls:192.0.2.1:5061");
}

#[test]
fn without_naptr_sips_asks_for_the_secure_service_alone() {
    let zone = Zone::default()
        .srv("_sips._tcp.x.test", &["1 1 5071 h.x.test"])
        .srv("_sip._udp.x.test", &["1 1 5060 h.x.test"])
        .a("h.x.test", &["192.0.2.3"]);
    let mut world = world(zone);
    assert_eq!(world.leads_to("sips:a@x.test"), "tls:192.0.2.3:5071");
    assert!(!world.asked.iter().any(|asked| asked.starts_with("_sip._")), "{:?}", world.asked);
    assert_eq!(world.leads_to("sip:a@x.test;transport=tls"), "tls:192.0.2.3:5071");
}

#[test]
fn without_any_service_it_is_the_host_at_the_port_of_tls() {
    let mut world = world(Zone::default().a("h.test", &["192.0.2.4"]));
    assert_eq!(world.leads_to("sips:a@h.test"), "tls:192.0.2.4:5061");
    assert_eq!(world.leads_to("sips:a@h.test:5090"), "tls:192.0.2.4:5090");
}

#[test]
fn the_certificate_has_to_name_the_host_of_the_uri() {
    let mut world = world(example());
    for (uri, name) in [("sips:a@Example.com", "example.com"), ("sips:a@192.0.2.9", "192.0.2.9")] {
        world.leads_to(uri);
        let Ok(Resolution::Ready(hops)) = world.ask(uri) else { panic!("it is known by now") };
        let peer = hops[0].peer.expect("TLS has a peer");
        assert_eq!(world.resolver.peer_name(peer), Some(name));
    }
    let Ok(Resolution::Ready(hops)) = world.ask("sip:a@192.0.2.9;transport=tcp") else { panic!("a number") };
    assert_eq!(hops[0].peer, None);
}
