//! The way to a phone: its connection, its Path, its Contact; and what we call ourselves on the way.

use crate::support::raw::{Raw, answer, request, tcp, trusting_config, udp};
use crate::support::*;

use hookswitch_b2bua::route::Route;
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{Flow, Input, Interface, Listen, Transport};
use hookswitch_sip_msg::{HeaderName, Method};

fn bob() -> Credentials {
    Credentials::new("bob", "bob-pw")
}

fn call_bob(raw: &mut Raw) {
    raw.hear(udp("10.0.0.2:5060"), &request("INVITE", "sip:bob@x.test", 1, "", "a"));
}

#[test]
fn a_phone_that_registered_over_tcp_is_called_through_its_connection() {
    let mut raw = Raw::new(trusting_config());
    let flow = tcp("10.0.0.3:40123", 7);
    raw.input(Input::Opened { flow });
    // Its Contact names neither the transport nor a port that listens: a phone behind a NAT.
    assert_eq!(raw.register(flow, "sip:bob@x.test", &bob(), "Contact: <sip:bob@192.168.1.7:5060>\r\n"), 200);
    call_bob(&mut raw);
    let (to, invite) = raw.last("INVITE").clone();
    assert_eq!(to, flow);
    assert_eq!(invite.request_uri(), Some("sip:bob@192.168.1.7:5060"));
    assert!(invite.header_str(HeaderName::Via).unwrap().starts_with("SIP/2.0/TCP 10.0.0.1:5060;"));
    assert_eq!(invite.header_str(HeaderName::Contact), Some("<sip:alice@10.0.0.1:5060;transport=tcp>"));
    raw.hear(flow, &answer(&invite, "200 OK", "b", "b"));
    assert_eq!(raw.last("ACK").0, flow, "whatever the Contact of the answer says");
    let tag = raw.last("200").1.to().unwrap().tag().unwrap().to_owned();
    raw.hear(udp("10.0.0.2:5060"), &request("ACK", "sip:bob@x.test", 1, &tag, ""));
    raw.hear(udp("10.0.0.2:5060"), &request("BYE", "sip:bob@x.test", 2, &tag, ""));
    assert_eq!(raw.last("BYE").0, flow);
}

#[test]
fn when_its_connection_is_gone_the_contact_is_tried() {
    let mut raw = Raw::new(trusting_config());
    let flow = tcp("10.0.0.3:40123", 7);
    raw.input(Input::Opened { flow });
    raw.register(flow, "sip:bob@x.test", &bob(), "Contact: <sip:bob@10.0.0.3:5070;transport=tcp>\r\n");
    raw.input(Input::Closed { flow });
    call_bob(&mut raw);
    assert_eq!(raw.last("INVITE").0, Flow::tcp(at(SWITCH), at("10.0.0.3:5070")));
    raw.input(Input::Unreachable { flow: Flow::tcp(at(SWITCH), at("10.0.0.3:5070")) });
    assert_eq!(raw.last("480").0.remote, at("10.0.0.2:5060"), "and when nobody is there, that is told at once");
    raw.pass(sec(40));
    assert_eq!(raw.shard.counts().legs, 0);
}

#[test]
fn a_contact_that_leads_elsewhere_is_no_way_to_a_phone_whose_connection_is_gone() {
    let elsewhere = [
        "Contact: <sip:+881600@10.0.0.9>\r\n",
        "Contact: <sip:+881600@carrier.test>\r\n",
        "Contact: <sip:+881600@10.0.0.3;maddr=10.0.0.9>\r\n",
        "Supported: path\r\nPath: <sip:10.0.0.9;lr>\r\nContact: <sip:+881600@10.0.0.3>\r\n",
    ];
    for lines in elsewhere {
        let mut raw = Raw::new(trusting_config());
        let flow = tcp("10.0.0.3:40123", 7);
        raw.input(Input::Opened { flow });
        assert_eq!(raw.register(flow, "sip:bob@x.test", &bob(), lines), 200, "{lines}");
        raw.input(Input::Closed { flow });
        call_bob(&mut raw);
        assert!(raw.sent.iter().all(|(_, message)| message.method() != Some(&Method::Invite)), "{lines}");
        assert_eq!(raw.last("480").0.remote, at("10.0.0.2:5060"), "{lines}");
    }
}

#[test]
fn a_phone_behind_a_proxy_is_called_along_its_path() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut raw = Raw::new(trusting_config());
        let flow = match transport {
            Transport::Udp => udp("10.0.0.8:5060"),
            _ => tcp("10.0.0.8:41000", 7),
        };
        if transport == Transport::Tcp {
            raw.input(Input::Opened { flow });
        }
        let lines = "Supported: path\r\nPath: <sip:10.0.0.8;transport=tcp;lr>, <sip:inner.test;lr;x=1>\r\n\
                     Contact: <sip:bob@192.168.1.7>\r\n";
        assert_eq!(raw.register(flow, "sip:bob@x.test", &bob(), lines), 200);
        let registered = raw.last("200").1.clone();
        assert_eq!(registered.count(HeaderName::Path), 2, "and told so");
        let path = [&b"<sip:10.0.0.8;transport=tcp;lr>"[..], b"<sip:inner.test;lr;x=1>"];
        call_bob(&mut raw);
        let (to, invite) = raw.last("INVITE").clone();
        assert_eq!(to, flow);
        assert_eq!(invite.request_uri(), Some("sip:bob@192.168.1.7"));
        assert_eq!(invite.values(HeaderName::Route).collect::<Vec<_>>(), path);
        raw.hear(flow, &answer(&invite, "486 Busy Here", "b", ""));
        if transport == Transport::Udp {
            continue;
        }
        // Without its connection the first proxy of the Path is called back; the Contact is out of reach.
        raw.input(Input::Closed { flow });
        raw.hear(udp("10.0.0.2:5060"), &request("INVITE", "sip:bob@x.test", 2, "", "a").replace("one", "two"));
        let (to, invite) = raw.last("INVITE").clone();
        assert_eq!(to, Flow::tcp(at(SWITCH), at("10.0.0.8:5060")));
        assert_eq!(invite.values(HeaderName::Route).collect::<Vec<_>>(), path);
    }
}

#[test]
fn behind_an_advertised_address_nothing_else_is_shown() {
    let mut config = trusting_config();
    for listen in &mut config.b2bua.endpoint.listen {
        listen.advertise = Some(("sip.example.test".into(), 5099));
    }
    let mut raw = Raw::new(config);
    let (alice, bob) = (udp("10.0.0.2:5060"), udp("10.0.0.3:5060"));
    raw.hear(alice, &request("INVITE", "sip:bench-1@x.test", 1, "", "a"));
    let invite = raw.last("INVITE").1.clone();
    assert!(invite.header_str(HeaderName::Via).unwrap().starts_with("SIP/2.0/UDP sip.example.test:5099;"));
    assert_eq!(invite.header_str(HeaderName::Contact), Some("<sip:alice@sip.example.test:5099>"));
    raw.hear(bob, &answer(&invite, "200 OK", "b", "b"));
    let answered = raw.last("200").1.clone();
    assert_eq!(answered.header_str(HeaderName::Contact), Some("<sip:bench-1@sip.example.test:5099>"));
    for (_, message) in &raw.sent {
        assert!(!String::from_utf8_lossy(message.as_bytes()).contains("10.0.0.1"), "{message:?}");
    }
}

#[test]
fn of_several_sockets_the_one_on_the_way_is_used() {
    let mut config = trusting_config();
    let interface = |addr: &str, default| Interface { addr: addr.parse().unwrap(), prefix: 24, default };
    config.b2bua.endpoint.addresses.interfaces =
        vec![interface("127.0.0.1", false), interface("10.0.0.1", true), interface("192.168.5.1", false)];
    config.b2bua.endpoint.listen = ["127.0.0.1:5060", "192.168.5.1:5062", "10.0.0.1:5060"]
        .map(|address| Listen { transport: Transport::Udp, address: at(address), advertise: None })
        .into();
    for (remote, local) in [
        ("10.0.0.3:5060", "10.0.0.1:5060"),
        ("192.168.5.9:5060", "192.168.5.1:5062"),
        ("127.0.0.1:5080", "127.0.0.1:5060"),
        ("203.0.113.9:5060", "10.0.0.1:5060"),
    ] {
        config.b2bua.routes = vec![Route::new("sip:*", &format!("sip:{remote}")).unwrap()];
        let mut raw = Raw::new(config.clone());
        raw.hear(udp("10.0.0.2:5060"), &request("INVITE", "sip:any@x.test", 1, "", "a"));
        let (to, invite) = raw.last("INVITE");
        assert_eq!(*to, Flow::udp(at(local), at(remote)));
        assert!(invite.header_str(HeaderName::Contact).unwrap().contains(local), "{remote}");
    }
}

#[test]
fn what_asks_for_tls_is_not_sent_without() {
    let mut config = trusting_config();
    config.b2bua.routes =
        vec![Route::new("sip:secure@*", "sips:10.0.0.3").unwrap(), Route::new("tel:+49*", "sip:10.0.0.3").unwrap()];
    let mut raw = Raw::new(config);
    let alice = udp("10.0.0.2:5060");
    raw.hear(alice, &request("INVITE", "sip:secure@x.test", 1, "", "a"));
    raw.hear(alice, &request("INVITE", "sips:bob@x.test", 2, "", "a"));
    assert_eq!(raw.words(), ["480", "416"]);
    // A number may have a route, and has no other way.
    raw.hear(alice, &request("INVITE", "tel:+4930123456", 3, "", "a"));
    assert_eq!(raw.last("INVITE").1.request_uri(), Some("sip:+4930123456@10.0.0.3"));
    raw.hear(alice, &request("INVITE", "tel:+3310", 4, "", "a"));
    assert_eq!(raw.last("404").0.remote, alice.remote);
}

#[test]
fn a_route_back_to_ourselves_is_a_loop_in_the_second_round() {
    let mut config = trusting_config();
    config.b2bua.routes = vec![Route::new("sip:*", &format!("sip:{SWITCH}")).unwrap()];
    let mut raw = Raw::new(config);
    raw.hear(udp("10.0.0.2:5060"), &request("INVITE", "sip:round@x.test", 1, "", "a"));
    // Carry what the switch says to itself.
    let mut next = 0;
    while next < raw.sent.len() {
        let (flow, message) = raw.sent[next].clone();
        next += 1;
        if flow.remote == at(SWITCH) {
            let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
            raw.hear(udp(SWITCH), &text);
        }
        assert!(next < 10_000, "it goes round for ever");
    }
    let rounds = raw.words().iter().filter(|word| *word == "INVITE").count();
    assert_eq!(rounds, 2);
    let (to, refused) = raw.last("482");
    assert_eq!((to.remote, refused.call_id().unwrap()), (at("10.0.0.2:5060"), "one"));
    raw.pass(sec(40));
    assert_eq!(raw.shard.counts(), hookswitch_shard::Counts::default());
}
