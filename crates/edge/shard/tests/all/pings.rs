//! OPTIONS to registered phones: which way they go, and what the answers mean.

use crate::support::raw::{Raw, answer, tcp, trusting_config, udp};
use crate::support::sec;
use hookswitch_shard::BindingEvent::{self, Registered, Revived, Stale};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::registrar::StaleWhy::{FlowLost, Silent};
use hookswitch_sip::{Flow, Input};
use hookswitch_sip_msg::HeaderName;

const PATH: &str = "Path: <sip:10.0.0.9;lr;ob>\r\n";

/// Bob, registered, in a switch that pings every 30 s.
fn registered(flow: Flow, more: &str) -> Raw {
    let mut config = trusting_config();
    config.b2bua.registrar.options_ping = sec(30);
    let mut raw = Raw::new(config);
    let lines = format!("Contact: <sip:bob@192.168.0.7:5062>\r\n{more}");
    assert_eq!(raw.register(flow, "sip:bob@x.test", &Credentials::new("bob", "bob-pw"), &lines), 200);
    raw
}

/// Lets every ping be answered with a status for a while; what has happened to the binding.
fn answered(raw: &mut Raw, flow: Flow, status: &str) -> Vec<BindingEvent> {
    for _ in 0..4 {
        raw.sent.clear();
        for _ in 0..31 {
            raw.pass(sec(1));
            if raw.words().iter().any(|word| word == "OPTIONS") {
                break;
            }
        }
        let ping = raw.last("OPTIONS").1.clone();
        raw.hear(flow, &answer(&ping, status, "b", ""));
    }
    std::mem::take(&mut raw.bindings)
}

#[test]
fn a_ping_goes_through_the_flow_to_the_contact_and_along_the_path() {
    let flow = udp("10.0.0.9:5060");
    let mut raw = registered(flow, PATH);
    raw.pass(sec(30));
    let (to, ping) = raw.last("OPTIONS").clone();
    assert_eq!(to, flow);
    assert_eq!(ping.request_uri(), Some("sip:bob@192.168.0.7:5062"));
    assert_eq!(ping.header_str(HeaderName::Route), Some("<sip:10.0.0.9;lr;ob>"));
    assert!(ping.header_str(HeaderName::From).is_some_and(|from| from.starts_with("<sip:x.test>")));
}

#[test]
fn any_answer_of_the_phone_is_a_sign_of_life() {
    let flow = udp("10.0.0.3:5060");
    for status in ["200 OK", "404 Not Found", "405 Method Not Allowed", "480 Temporarily Unavailable"] {
        assert_eq!(answered(&mut registered(flow, ""), flow, status), [Registered], "{status}");
    }
}

#[test]
fn a_proxy_on_the_path_does_not_speak_for_the_phone() {
    let flow = udp("10.0.0.9:5060");
    for (status, why) in [("480 Gone", Silent), ("408 Timeout", Silent), ("430 Flow Failed", FlowLost)] {
        let mut raw = registered(flow, PATH);
        assert_eq!(answered(&mut raw, flow, status), [Registered, Stale(why)], "{status}");
        assert_eq!(answered(&mut raw, flow, "200 OK"), [Revived]);
    }
}

#[test]
fn nobody_there_says_the_network() {
    let flow = udp("10.0.0.3:5060");
    let mut raw = registered(flow, "");
    raw.pass(sec(30));
    raw.input(Input::Unreachable { flow });
    raw.pass(sec(1));
    assert_eq!(raw.bindings, [Registered, Stale(FlowLost)]);
}

#[test]
fn a_keep_alive_on_its_connection_revives_a_phone() {
    let flow = tcp("10.0.0.3:40000", 1);
    let mut raw = registered(flow, "");
    raw.pass(sec(180));
    assert_eq!(raw.bindings, [Registered, Stale(Silent)]);
    raw.hear(flow, "\r\n");
    assert_eq!(raw.bindings.last(), Some(&Revived));
}

#[test]
fn a_proxy_that_has_closed_its_connection_is_called_back() {
    let flow = tcp("10.0.0.9:41000", 7);
    for (path, expected) in [
        ("Path: <sip:10.0.0.9;transport=tcp;lr>\r\n", Some("10.0.0.9:5060")),
        // Nobody looks up a name for that, and nothing follows from it.
        ("Path: <sip:edge.test;transport=tcp;lr>\r\n", None),
    ] {
        let mut raw = registered(flow, path);
        raw.input(Input::Closed { flow });
        raw.sent.clear();
        raw.pass(sec(30));
        let pings: Vec<_> = raw.sent.iter().map(|(to, _)| to.remote.to_string()).collect();
        assert_eq!(pings, expected.into_iter().collect::<Vec<_>>(), "{path}");
        assert_eq!(raw.bindings, [Registered]);
    }
}
