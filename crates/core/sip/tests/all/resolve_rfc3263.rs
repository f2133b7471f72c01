//! RFC 3263 section 4: transport, port and address of the next hop.

use crate::resolve_zone::{ALL, World, Zone, config};
use hookswitch_sip::resolve::{MAX_HOPS, Reach, RecordKind, ResolverConfig};

/// The example of RFC 3263 4.1 and 4.2, with addresses for its hosts.
fn example() -> Zone {
    Zone::default()
        .naptr(
            "example.com",
            &[
                "50 50 s SIPS+D2T _sips._tcp.example.com",
                "90 50 s SIP+D2T _sip._tcp.example.com",
                "100 50 s SIP+D2U _sip._udp.example.com",
            ],
        )
        .srv("_sip._tcp.example.com", &["0 1 5060 server1.example.com", "1 2 5060 server2.example.com"])
        .a("server1.example.com", &["192.0.2.1"])
        .a("server2.example.com", &["192.0.2.2"])
        .a("example.com", &["192.0.2.9"])
}

#[test]
fn the_example_of_the_rfc_goes_by_tcp_to_its_servers_in_order() {
    let mut world = World::new(config(), example());
    assert_eq!(world.leads_to("sip:user@example.com"), "tcp:192.0.2.1:5060 tcp:192.0.2.2:5060");
    // Nobody is asked for what is not needed: sips, and the host of that name.
    assert_eq!(world.asked[..2], ["example.com Naptr", "_sip._tcp.example.com Srv"]);
    assert!(!world.asked.iter().any(|asked| asked.contains("_sips") || asked == "example.com A"), "{:?}", world.asked);
}

#[test]
fn numbers_and_this_machine_need_nobody() {
    let mut world = World::new(ResolverConfig { reach: ALL, ..config() }, Zone::default());
    for (uri, expected) in [
        ("sip:a@192.0.2.7", "udp:192.0.2.7:5060"),
        ("sip:a@192.0.2.7:5080", "udp:192.0.2.7:5080"),
        ("sip:a@192.0.2.7;transport=tcp", "tcp:192.0.2.7:5060"),
        ("sip:a@192.0.2.7;transport=UDP", "udp:192.0.2.7:5060"),
        ("sip:a@[2001:db8::1]:5070", "udp:[2001:db8::1]:5070"),
        ("sip:a@nowhere.test;maddr=192.0.2.8", "udp:192.0.2.8:5060"),
        ("sip:a@nowhere.test:5090;maddr=192.0.2.8;transport=tcp", "tcp:192.0.2.8:5090"),
        ("sip:a@LocalHost", "udp:127.0.0.1:5060"),
        ("sip:a@localhost:5071;transport=tcp", "tcp:127.0.0.1:5071"),
    ] {
        assert_eq!(world.leads_to(uri), expected, "{uri}");
    }
    assert!(world.asked.is_empty(), "{:?}", world.asked);
}

#[test]
fn what_cannot_be_reached_is_said_at_once() {
    let mut world = World::new(config(), Zone::default());
    for (uri, expected) in [
        ("sips:a@example.com", "no socket for this transport or address family"),
        ("sips:a@192.0.2.1", "no socket for this transport or address family"),
        ("tel:+4930123", "only sip: and sips: can be reached"),
        ("sip:a@example.com;transport=sctp", "unknown transport"),
        ("sip:a@example.com;transport=tls", "no socket for this transport or address family"),
        ("sip:a@[2001:db8::1]", "no socket for this transport or address family"),
    ] {
        assert_eq!(world.leads_to(uri), expected, "{uri}");
    }
    let udp_only = Reach { udp4: true, ..Reach::default() };
    let mut world = World::new(ResolverConfig { reach: udp_only, ..config() }, example());
    assert_eq!(world.leads_to("sip:a@h.test;transport=tcp"), "no socket for this transport or address family");
    assert!(world.asked.is_empty());
}

#[test]
fn a_port_asks_for_the_host_and_nothing_else() {
    let mut world = World::new(config(), example());
    assert_eq!(world.leads_to("sip:a@example.com:5090"), "udp:192.0.2.9:5090");
    assert_eq!(world.leads_to("sip:a@example.com:5090;transport=tcp"), "tcp:192.0.2.9:5090");
    assert_eq!(world.asked, ["example.com A"]);
}

#[test]
fn a_transport_asks_for_the_hosts_of_that_service() {
    let mut world = World::new(config(), example());
    assert_eq!(world.leads_to("sip:a@EXAMPLE.com.;transport=tcp"), "tcp:192.0.2.1:5060 tcp:192.0.2.2:5060");
    // There is no such service over UDP, so it is the host of that name (RFC 3263 4.2).
    assert_eq!(world.leads_to("sip:a@example.com;transport=udp"), "udp:192.0.2.9:5060");
    assert!(!world.asked.iter().any(|asked| asked.contains("Naptr")));
}

#[test]
fn maddr_may_be_a_name() {
    let mut world = World::new(config(), example());
    assert_eq!(world.leads_to("sip:a@nowhere.test:5061;maddr=server2.example.com"), "udp:192.0.2.2:5061");
}

#[test]
fn without_naptr_the_services_are_tried_udp_first() {
    let zone = Zone::default()
        .srv("_sip._udp.x.test", &["0 0 5070 u.x.test"])
        .srv("_sip._tcp.x.test", &["0 0 5080 t.x.test"])
        .a("u.x.test", &["192.0.2.1"])
        .a("t.x.test", &["192.0.2.2"]);
    let mut world = World::new(config(), zone);
    assert_eq!(world.leads_to("sip:a@x.test"), "udp:192.0.2.1:5070 tcp:192.0.2.2:5080");
}

#[test]
fn without_any_service_it_is_the_host_of_that_name() {
    let mut world = World::new(config(), Zone::default().a("x.test", &["192.0.2.3"]));
    assert_eq!(world.leads_to("sip:a@x.test"), "udp:192.0.2.3:5060");
    let tcp_only = Reach { tcp4: true, ..Reach::default() };
    let mut world =
        World::new(ResolverConfig { reach: tcp_only, ..config() }, Zone::default().a("x.test", &["192.0.2.3"]));
    assert_eq!(world.leads_to("sip:a@x.test"), "tcp:192.0.2.3:5060");
}

#[test]
fn naptr_records_of_other_services_or_kinds_do_not_count() {
    let zone = Zone::default()
        .naptr(
            "x.test",
            &[
                "1 1 u E2U+sip !^.*$!sip:x@y!",
                "2 1 s SIP+D2S _sip._sctp.x.test",
                "3 1 a SIP+D2U gone.x.test",
                "4 1 s sip+d2u service.x.test",
            ],
        )
        .srv("service.x.test", &["0 0 5061 h.x.test"])
        .a("h.x.test", &["192.0.2.4"]);
    let mut world = World::new(config(), zone);
    assert_eq!(world.leads_to("sip:a@x.test"), "udp:192.0.2.4:5061");
    assert_eq!(world.asked, ["x.test Naptr", "service.x.test Srv", "h.x.test A"]);
}

#[test]
fn preference_decides_within_one_order() {
    let zone = Zone::default()
        .naptr("x.test", &["7 20 s SIP+D2U second.test", "7 10 s SIP+D2T first.test", "6 99 s SIP+D2U zeroth.test"])
        .srv("zeroth.test", &["0 0 1 h.test"])
        .srv("first.test", &["0 0 2 h.test"])
        .srv("second.test", &["0 0 3 h.test"])
        .a("h.test", &["192.0.2.4"]);
    let mut world = World::new(config(), zone);
    assert_eq!(world.leads_to("sip:a@x.test"), "udp:192.0.2.4:1 tcp:192.0.2.4:2 udp:192.0.2.4:3");
}

#[test]
fn a_domain_that_says_it_has_no_such_service_is_not_called() {
    let zone = Zone::default()
        .srv("_sip._udp.x.test", &["0 0 0 ."])
        .a("x.test", &["192.0.2.3"])
        .srv("_sip._tcp.y.test", &["0 0 0 ."])
        .srv("_sip._udp.y.test", &["0 0 5060 h.y.test"])
        .a("h.y.test", &["192.0.2.5"]);
    let mut world = World::new(config(), zone);
    assert_eq!(world.leads_to("sip:a@x.test;transport=udp"), "no such host");
    assert_eq!(world.leads_to("sip:a@x.test"), "no such host");
    assert_eq!(world.leads_to("sip:a@y.test"), "udp:192.0.2.5:5060");
}

#[test]
fn both_families_are_tried_where_there_are_sockets_for_both() {
    let zone = || Zone::default().a("x.test", &["192.0.2.1"]).aaaa("x.test", &["2001:db8::1"]);
    let at = |reach, ipv6_first| {
        World::new(ResolverConfig { reach, ipv6_first, ..ResolverConfig::default() }, zone())
            .leads_to("sip:x.test:5060")
    };
    assert_eq!(at(ALL, true), "udp:[2001:db8::1]:5060 udp:192.0.2.1:5060");
    assert_eq!(at(ALL, false), "udp:192.0.2.1:5060 udp:[2001:db8::1]:5060");
    assert_eq!(at(Reach { udp6: false, ..ALL }, true), "udp:192.0.2.1:5060");
    assert_eq!(at(Reach { udp4: false, ..ALL }, true), "udp:[2001:db8::1]:5060");
}

#[test]
fn several_addresses_of_a_host_take_turns() {
    let zone = Zone::default().a("x.test", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let mut world = World::new(config(), zone);
    let mut firsts = std::collections::HashMap::new();
    for _ in 0..3_000 {
        let hops = world.find("sip:x.test:5060").0.unwrap();
        assert_eq!(hops.len(), 3);
        *firsts.entry(hops[0].clone()).or_insert(0) += 1;
    }
    assert!(firsts.len() == 3 && firsts.values().all(|n| (850..1_150).contains(n)), "{firsts:?}");
}

#[test]
fn weights_share_the_load_from_call_to_call() {
    let zone = Zone::default()
        .srv("_sip._udp.x.test", &["10 75 5060 a.test", "10 25 5060 b.test", "20 0 5060 c.test"])
        .a("a.test", &["192.0.2.1"])
        .a("b.test", &["192.0.2.2"])
        .a("c.test", &["192.0.2.3"]);
    let mut world = World::new(config(), zone);
    let mut first_a = 0;
    for _ in 0..4_000 {
        let hops = world.find("sip:x.test;transport=udp").0.unwrap();
        assert_eq!(hops[2], "udp:192.0.2.3:5060");
        first_a += u32::from(hops[0] == "udp:192.0.2.1:5060");
    }
    assert!((2_880..3_120).contains(&first_a), "{first_a}");
    // All of that was one look-up each.
    assert_eq!(world.asked.len(), 4);
}

#[test]
fn a_domain_with_too_many_hosts_is_cut_short() {
    let mut zone = Zone::default();
    let lines: Vec<String> = (0..30).map(|n| format!("{n} 0 5060 h{n}.test")).collect();
    zone = zone.srv("_sip._udp.x.test", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 0..30 {
        zone = zone.a(&format!("h{n}.test"), &[&format!("192.0.2.{n}"), &format!("198.51.100.{n}")]);
    }
    let mut world = World::new(config(), zone);
    assert_eq!(world.find("sip:x.test;transport=udp").0.unwrap().len(), MAX_HOPS);
    assert_eq!(world.asked.len(), 1 + MAX_HOPS);
}

#[test]
fn hosts_without_an_address_and_names_that_are_none_are_left_out() {
    let lines = ["0 0 5060 gone.test", "1 0 5060 h.test", "2 0 5060 not..one", "3 0 5060 h.test"];
    let zone = Zone::default().srv("_sip._udp.x.test", &lines).a("h.test", &["192.0.2.1"]);
    let mut world = World::new(config(), zone);
    assert_eq!(world.leads_to("sip:x.test;transport=udp"), "udp:192.0.2.1:5060");
}

#[test]
fn servers_that_do_not_know_naptr_or_srv_do_not_cost_the_call() {
    let zone = Zone::default()
        .broken("x.test", RecordKind::Naptr)
        .broken("_sip._udp.x.test", RecordKind::Srv)
        .broken("_sip._tcp.x.test", RecordKind::Srv)
        .a("x.test", &["192.0.2.1"]);
    assert_eq!(World::new(config(), zone).leads_to("sip:x.test"), "udp:192.0.2.1:5060");
}

#[test]
fn nothing_found_and_nothing_heard_are_told_apart() {
    let mut world = World::new(config(), Zone::default().broken("b.test", RecordKind::A));
    assert_eq!(world.leads_to("sip:gone.test"), "no such host");
    assert_eq!(world.leads_to("sip:b.test:5060"), "no answer from the name servers");
}
