//! Whole calls over TLS and WebSocket: `sips:` leads to phones on secure flows alone, browsers are reached by their own.

use crate::support::raw::{Raw, answer, request, trusting_config, udp};
use crate::support::*;

use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{ConnId, Flow, Input, Listen, Transport};
use hookswitch_sip_msg::HeaderName;

fn bob() -> Credentials {
    Credentials::new("bob", "bob-pw")
}

fn over(transport: Transport, remote: &str, connection: u64) -> Flow {
    Flow::connection(transport, at(SWITCH), at(remote), ConnId(connection))
}

fn raw() -> Raw {
    let mut config = trusting_config();
    let more = [Transport::Tls, Transport::Ws, Transport::Wss];
    let listen = more.map(|transport| Listen { transport, address: at(SWITCH), advertise: None });
    config.b2bua.endpoint.listen.extend(listen);
    Raw::new(config)
}

#[test]
fn sips_leads_to_secure_flows_and_to_nothing_else() {
    let mut raw = raw();
    let (open, caller) = (udp("10.0.0.3:5060"), over(Transport::Tls, "10.0.0.2:41000", 1));
    raw.input(Input::Opened { flow: caller });
    assert_eq!(raw.register(open, "sip:bob@x.test", &bob(), "Contact: <sip:bob@10.0.0.3>\r\n"), 200);
    raw.hear(caller, &request("INVITE", "sips:bob@x.test", 1, "", "a"));
    assert_eq!(raw.last("480").0, caller, "his only phone would be called in the open");
    assert!(!raw.words().contains(&"INVITE".to_owned()));
    let browser = over(Transport::Wss, "10.0.0.4:42000", 2);
    raw.input(Input::Opened { flow: browser });
    assert_eq!(raw.register(browser, "sips:bob@x.test", &bob(), "Contact: <sip:b@x1.invalid;transport=ws>\r\n"), 200);
    raw.hear(caller, &request("INVITE", "sips:bob@x.test", 2, "", "a").replace("one", "two"));
    let called: Vec<Flow> = raw.sent.iter().filter(|(_, m)| m.method().is_some()).map(|(flow, _)| *flow).collect();
    assert_eq!(called, [browser]);
    let (_, invite) = raw.last("INVITE").clone();
    assert_eq!(invite.request_uri(), Some("sip:b@x1.invalid;transport=ws"));
    assert!(invite.header_str(HeaderName::Via).unwrap().starts_with("SIP/2.0/WSS 10.0.0.1:5060;"));
    raw.hear(browser, &answer(&invite, "200 OK", "b", "b"));
    let (to, ok) = raw.last("200").clone();
    assert_eq!(to, caller);
    assert_eq!(ok.header_str(HeaderName::Contact), Some("<sips:bob@10.0.0.1:5060>"), "he called by sips");
    // The same user by `sip:` has both phones ring.
    raw.hear(udp("10.0.0.2:5060"), &request("INVITE", "sip:bob@x.test", 3, "", "a").replace("one", "three"));
    let both: Vec<Flow> =
        raw.sent.iter().rev().filter(|(_, m)| m.method().is_some()).take(2).map(|(f, _)| *f).collect();
    assert!(both.contains(&open) && both.contains(&browser), "{both:?}");
}

#[test]
fn a_browser_that_has_gone_cannot_be_called() {
    for transport in [Transport::Ws, Transport::Wss] {
        let mut raw = raw();
        let browser = over(transport, "10.0.0.4:42000", 2);
        raw.input(Input::Opened { flow: browser });
        assert_eq!(
            raw.register(browser, "sip:bob@x.test", &bob(), "Contact: <sip:b@x1.invalid;transport=ws>\r\n"),
            200
        );
        raw.input(Input::Closed { flow: browser });
        raw.hear(udp("10.0.0.2:5060"), &request("INVITE", "sip:bob@x.test", 1, "", "a"));
        assert_eq!(raw.last("480").0, udp("10.0.0.2:5060"));
        assert!(!raw.words().contains(&"INVITE".to_owned()));
    }
}

#[test]
fn sips_elsewhere_is_dialled_over_tls_under_the_name_it_has_to_prove() {
    let mut config = trusting_config();
    config.b2bua.endpoint.listen.push(Listen { transport: Transport::Tls, address: at(SWITCH), advertise: None });
    let route = hookswitch_b2bua::route::Route::new("sips:*@far.test", "sips:192.0.2.7").unwrap();
    config.b2bua.routes.push(route);
    let mut raw = Raw::new(config);
    let caller = over(Transport::Tls, "10.0.0.2:41000", 1);
    raw.input(Input::Opened { flow: caller });
    raw.hear(caller, &request("INVITE", "sips:carol@far.test", 1, "", "a"));
    let (to, invite) = raw.last("INVITE").clone();
    assert_eq!((to.transport, to.remote, to.conn), (Transport::Tls, at("192.0.2.7:5061"), None));
    assert_eq!(raw.shard.peer_name(to.peer.unwrap()), Some("192.0.2.7"));
    assert!(invite.request_uri().unwrap().starts_with("sips:"));
    assert!(invite.header_str(HeaderName::Contact).unwrap().starts_with("<sips:"));
}
