//! Requests too large for a datagram go by TCP, and by UDP after all where nobody takes them there (RFC 3261 18.1.1).

use crate::support::lone::{Lone, call};
use crate::support::{HERE, addr, config, secs};
use hookswitch_sip::{Body, ConnId, EndpointConfig, Event, FailCause, Flow, Input, Invite, Transport};
use hookswitch_sip_msg::HeaderName;

fn lone() -> Lone {
    Lone::with(Transport::Udp, EndpointConfig { stream_above: 1_300, ..config(addr(HERE)) })
}

fn large(lone: &Lone) -> Invite {
    Invite { body: Some(Body::sdp("x".repeat(1_300))), may_connect: true, ..call(lone.flow) }
}

fn start(lone: &mut Lone, invite: Invite) {
    lone.endpoint.invite(lone.now, invite).expect("room for a call");
    lone.drain();
}

fn tcp(lone: &Lone) -> Flow {
    Flow::tcp(lone.flow.local, lone.flow.remote)
}

#[test]
fn a_large_invite_goes_by_tcp_and_says_so() {
    let mut lone = lone();
    let invite = large(&lone);
    start(&mut lone, invite);
    assert_eq!(lone.last("INVITE").flow, tcp(&lone));
    assert!(lone.last("INVITE").header(HeaderName::Via).starts_with("SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK"));
    // A stream repeats by itself.
    lone.pass(secs(10));
    assert_eq!(lone.words(), ["INVITE"]);
    let flow = Flow { conn: Some(ConnId(5)), ..tcp(&lone) };
    lone.input(Input::Opened { flow });
    lone.flow = flow;
    lone.answer("INVITE", 180, "bob", "Contact: <sip:bob@10.0.0.2:5060>\n");
    assert!(matches!(lone.events.last(), Some(Event::Progress { .. })), "{:?}", lone.events);
}

#[test]
fn one_that_fits_or_must_not_connect_goes_by_udp() {
    for change in [(|invite| Invite { body: None, ..invite }) as fn(Invite) -> Invite, |invite| Invite {
        may_connect: false,
        ..invite
    }] {
        let mut lone = lone();
        let invite = change(large(&lone));
        start(&mut lone, invite);
        assert_eq!(lone.last("INVITE").flow, lone.flow);
    }
    let mut off = Lone::with(Transport::Udp, config(addr(HERE)));
    let invite = large(&off);
    start(&mut off, invite);
    assert_eq!(off.last("INVITE").flow, off.flow, "switched off");
}

#[test]
fn where_nobody_takes_tcp_it_goes_by_udp_after_all_and_is_repeated() {
    let mut lone = lone();
    let invite = large(&lone);
    start(&mut lone, invite);
    let branch = lone.last("INVITE").header(HeaderName::Via).split(';').nth(1).map(str::to_owned);
    let flow = tcp(&lone);
    lone.input(Input::Unreachable { flow });
    let again = lone.last("INVITE");
    assert_eq!(again.flow, lone.flow);
    assert!(again.header(HeaderName::Via).starts_with("SIP/2.0/UDP 10.0.0.1:5060;branch="), "{}", again.text);
    assert_eq!(again.header(HeaderName::Via).split(';').nth(1).map(str::to_owned), branch);
    lone.pass(secs(2));
    assert!(lone.words().len() >= 4, "{:?}", lone.words());
    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2:5060>\n");
    assert!(matches!(lone.events.last(), Some(Event::Answered { .. })), "{:?}", lone.events);
    lone.input(Input::Unreachable { flow });
    assert!(!lone.events.iter().any(|event| matches!(event, Event::Failed { .. })));
}

#[test]
fn a_second_failure_is_the_end() {
    let mut lone = lone();
    let invite = large(&lone);
    start(&mut lone, invite);
    for flow in [tcp(&lone), lone.flow] {
        lone.input(Input::Unreachable { flow });
    }
    let failed = |event: &Event| matches!(event, Event::Failed { cause: FailCause::Unreachable, .. });
    assert_eq!(lone.events.iter().filter(|event| failed(event)).count(), 1, "{:?}", lone.events);
    lone.settle();
    lone.assert_nothing_left();
}
