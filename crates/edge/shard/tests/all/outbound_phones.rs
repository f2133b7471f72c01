//! Phones that keep several flows (RFC 5626): a call goes over one of them.

use crate::support::raw::{Raw, answer, request, tcp, trusting_config, udp};
use crate::support::*;

use hookswitch_shard::BindingEvent;
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::registrar::{RemovedWhy, StaleWhy};
use hookswitch_sip::{Flow, Input, Transport};
use hookswitch_sip_msg::{HeaderName, Message};

fn flow(number: u64) -> Flow {
    match number {
        1 => tcp("10.0.0.3:40001", 1),
        2 => tcp("10.0.0.3:40002", 2),
        _ => udp("10.0.0.3:5060"),
    }
}

/// Registers a flow of bob's phone.
fn keep(raw: &mut Raw, number: u64) {
    let flow = flow(number);
    if flow.transport == Transport::Tcp {
        raw.input(Input::Opened { flow });
    }
    let lines = format!(
        "Supported: path, outbound\r\nRequire: path\r\n\
         Contact: <sip:bob@192.168.1.7:{number};ob>;+sip.instance=\"<urn:uuid:1>\";reg-id={number}\r\n"
    );
    assert_eq!(raw.register(flow, "sip:bob@x.test", &Credentials::new("bob", "bob-pw"), &lines), 200);
    assert_eq!(raw.last("200").1.header_str(HeaderName::Require), Some("outbound"));
    raw.now += sec(1);
}

fn call_bob(raw: &mut Raw) {
    raw.hear(udp("10.0.0.2:5060"), &request("INVITE", "sip:bob@x.test", 1, "", "a"));
}

fn count(raw: &Raw, word: &str) -> usize {
    raw.words().iter().filter(|said| *said == word).count()
}

#[test]
fn a_phone_with_two_flows_rings_once_and_over_the_one_refreshed_last() {
    let mut raw = Raw::new(trusting_config());
    keep(&mut raw, 1);
    keep(&mut raw, 2);
    call_bob(&mut raw);
    let (to, invite) = raw.last("INVITE").clone();
    assert_eq!((to, invite.request_uri(), count(&raw, "INVITE")), (flow(2), Some("sip:bob@192.168.1.7:2;ob"), 1));
    raw.hear(flow(2), &answer(&invite, "486 Busy Here", "b", ""));
    assert_eq!((raw.last("486").0.remote, count(&raw, "INVITE")), (at("10.0.0.2:5060"), 1), "busy is busy");
    raw.pass(sec(40));
    assert_eq!(raw.shard.counts().legs, 0);
}

#[test]
fn a_flow_that_fails_is_followed_by_the_next() {
    let mut raw = Raw::new(trusting_config());
    for number in 1..=3 {
        keep(&mut raw, number);
    }
    call_bob(&mut raw);
    let (to, first) = raw.last("INVITE").clone();
    assert_eq!(to, flow(3));
    // An edge proxy would say so, and a network by ICMP.
    raw.hear(flow(3), &answer(&first, "430 Flow Failed", "b", ""));
    let (to, second) = raw.last("INVITE").clone();
    assert_eq!((to, second.request_uri()), (flow(2), Some("sip:bob@192.168.1.7:2;ob")));
    assert_eq!(second.call_id(), first.call_id(), "for the application it is the same leg");
    assert_eq!(raw.bindings.last(), Some(&BindingEvent::Removed(RemovedWhy::Unreachable)));
    raw.input(Input::Closed { flow: flow(2) });
    let (to, third) = raw.last("INVITE").clone();
    assert_eq!(to, flow(1));
    raw.hear(flow(1), &answer(&third, "200 OK", "b", "b"));
    assert_eq!((raw.last("200").0.remote, raw.last("ACK").0), (at("10.0.0.2:5060"), flow(1)));
    assert_eq!(raw.shard.counts().bindings, 1);
    let tag = raw.last("200").1.to().unwrap().tag().unwrap().to_owned();
    raw.hear(udp("10.0.0.2:5060"), &request("ACK", "sip:bob@x.test", 1, &tag, ""));
    raw.hear(udp("10.0.0.2:5060"), &request("BYE", "sip:bob@x.test", 2, &tag, ""));
    let bye = raw.last("BYE").1.clone();
    raw.hear(flow(1), &answer(&bye, "200 OK", "b", ""));
    raw.pass(sec(40));
    assert_eq!((raw.shard.counts().legs, raw.shard.counts().calls), (0, 0));
}

#[test]
fn a_silent_flow_is_stale_and_the_next_one_is_tried() {
    let mut raw = Raw::new(trusting_config());
    keep(&mut raw, 1);
    keep(&mut raw, 3);
    call_bob(&mut raw);
    assert_eq!(raw.last("INVITE").0, flow(3));
    raw.pass(sec(33));
    assert_eq!(raw.last("INVITE").0, flow(1));
    assert_eq!(raw.bindings.last(), Some(&BindingEvent::Stale(StaleWhy::Silent)));
}

#[test]
fn a_phone_that_has_rung_is_not_called_again_over_another_flow() {
    let mut raw = Raw::new(trusting_config());
    keep(&mut raw, 1);
    keep(&mut raw, 3);
    call_bob(&mut raw);
    let invite = raw.last("INVITE").1.clone();
    raw.hear(flow(3), &answer(&invite, "180 Ringing", "b", ""));
    raw.pass(sec(200));
    assert_eq!((raw.last("CANCEL").0, count(&raw, "INVITE")), (flow(3), 1));
    assert_eq!(raw.shard.counts().legs, 0);
}

#[test]
fn when_every_flow_is_gone_the_caller_is_told_at_once() {
    let mut raw = Raw::new(trusting_config());
    keep(&mut raw, 1);
    keep(&mut raw, 2);
    raw.input(Input::Closed { flow: flow(1) });
    call_bob(&mut raw);
    raw.input(Input::Closed { flow: flow(2) });
    assert_eq!(raw.last("480").0.remote, at("10.0.0.2:5060"));
    assert_eq!((count(&raw, "INVITE"), raw.shard.counts().bindings), (1, 0));
}

#[test]
fn a_text_goes_over_the_next_flow_as_well() {
    let mut raw = Raw::new(trusting_config());
    keep(&mut raw, 1);
    keep(&mut raw, 2);
    let text = request("MESSAGE", "sip:bob@x.test", 1, "", "hello").replace("application/sdp", "text/plain");
    raw.hear(udp("10.0.0.2:5060"), &text);
    let (to, message) = raw.last("MESSAGE").clone();
    assert_eq!(to, flow(2));
    raw.hear(flow(2), &answer(&message, "430 Flow Failed", "b", ""));
    let (to, message) = raw.last("MESSAGE").clone();
    assert_eq!((to, count(&raw, "MESSAGE")), (flow(1), 2));
    raw.hear(flow(1), &answer(&message, "200 OK", "b", ""));
    assert_eq!(raw.last("200").0.remote, at("10.0.0.2:5060"));
}

/// A phone behind two edge proxies, each of which holds one of its flows and knows it by a token in its Path.
#[test]
fn an_edge_proxy_that_has_lost_a_flow_says_so_and_the_next_edge_is_tried() {
    let mut raw = Raw::new(trusting_config());
    let edges = ["10.0.0.6:5060", "10.0.0.7:5060"];
    for (number, edge) in (1..).zip(edges) {
        let lines = format!(
            "Supported: path, outbound\r\nPath: <sip:token{number}@{edge};lr;ob>\r\n\
             Contact: <sip:bob@192.168.1.7;ob>;+sip.instance=\"<urn:uuid:1>\";reg-id={number}\r\n"
        );
        let answer = raw.register(udp(edge), "sip:bob@x.test", &Credentials::new("bob", "bob-pw"), &lines);
        assert_eq!((answer, raw.last("200").1.header_str(HeaderName::Require)), (200, Some("outbound")));
        // The second comes when nothing of the first is remembered: both have the same Call-ID and number.
        raw.pass(sec(40));
    }
    let route = |message: &Message| message.header_str(HeaderName::Route).unwrap_or_default().to_owned();
    call_bob(&mut raw);
    let (to, first) = raw.last("INVITE").clone();
    assert_eq!((to.remote, route(&first)), (at(edges[1]), "<sip:token2@10.0.0.7:5060;lr;ob>".to_owned()));
    raw.hear(udp(edges[1]), &answer(&first, "430 Flow Failed", "e", ""));
    let (to, second) = raw.last("INVITE").clone();
    assert_eq!((to.remote, route(&second)), (at(edges[0]), "<sip:token1@10.0.0.6:5060;lr;ob>".to_owned()));
    assert_eq!((second.call_id(), count(&raw, "INVITE")), (first.call_id(), 2), "the same leg, and no third try");
    assert_eq!(raw.bindings.last(), Some(&BindingEvent::Removed(RemovedWhy::Unreachable)));
    assert_eq!(raw.shard.counts().bindings, 1, "the flow that failed is not called again");
    assert!(!raw.words().iter().any(|word| word == "430"), "the caller is not told of it");
    raw.hear(udp(edges[0]), &answer(&second, "200 OK", "b", "b"));
    assert_eq!(raw.last("200").0.remote, at("10.0.0.2:5060"));
}
