//! Timers A, B, D and M: how long and how often an INVITE is sent, and how long its answers are absorbed.

use crate::support;

use crate::support::lone::Lone;
use crate::support::{ms, secs};
use hookswitch_sip::{Event, FailCause, Transport};

#[test]
fn timer_a_doubles_without_a_cap_and_timer_b_ends_it_after_32_s() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.settle();
    assert_eq!(lone.times("INVITE"), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!((lone.now - support::START), secs(32));
    assert!(
        matches!(lone.events[..], [Event::Failed { dialog, status: 408, cause: FailCause::Timeout, .. }] if dialog == id)
    );
    lone.assert_nothing_left();
}

#[test]
fn a_reliable_transport_repeats_no_invite_but_has_timer_b() {
    let mut lone = Lone::new(Transport::Tcp);
    lone.invite();
    lone.settle();
    assert_eq!(lone.times("INVITE"), [0]);
    assert_eq!((lone.now - support::START), secs(32));
    assert!(matches!(lone.events[..], [Event::Failed { status: 408, .. }]));
    lone.assert_nothing_left();
}

#[test]
fn a_provisional_response_stops_timers_a_and_b() {
    let mut lone = Lone::new(Transport::Udp);
    lone.invite();
    lone.pass(ms(600));
    lone.answer("INVITE", 100, "", "");
    lone.pass(secs(100));
    assert_eq!(lone.times("INVITE"), [0, 500]);
    assert!(lone.events.is_empty(), "100 is not told");
    assert_eq!(lone.endpoint.counts().dialogs, 1);
}

#[test]
fn a_call_that_rings_for_ever_is_cancelled_at_the_limit() {
    let mut lone = Lone::new(Transport::Udp);
    lone.invite();
    lone.answer("INVITE", 180, "bob", "Contact: <sip:bob@10.0.0.2>\n");
    lone.pass(secs(301));
    assert_eq!(lone.times("CANCEL")[0], 300_000);
    assert!(matches!(
        lone.events[..],
        [Event::Progress { .. }, Event::Failed { status: 408, cause: FailCause::Timeout, .. }]
    ));
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn timer_d_absorbs_repeated_refusals_for_32_s_with_an_ack_each() {
    let mut lone = Lone::new(Transport::Udp);
    lone.invite();
    lone.answer("INVITE", 486, "bob", "");
    for _ in 0..4 {
        lone.pass(secs(4));
        lone.answer("INVITE", 486, "bob", "");
    }
    assert_eq!(lone.times("ACK"), [0, 4_000, 8_000, 12_000, 16_000]);
    assert_eq!(lone.events.len(), 1, "told once");
    lone.pass(secs(15));
    assert_eq!(lone.endpoint.counts().transactions, 1);
    lone.pass(ms(1_000));
    lone.assert_nothing_left();
    lone.answer("INVITE", 486, "bob", "");
    assert_eq!(lone.times("ACK").len(), 5);
    assert_eq!(lone.endpoint.dropped().stray_responses, 1);
}

#[test]
fn timer_d_is_zero_on_a_reliable_transport() {
    let mut lone = Lone::new(Transport::Tcp);
    lone.invite();
    lone.answer("INVITE", 486, "bob", "");
    assert_eq!(lone.times("ACK"), [0]);
    lone.assert_nothing_left();
}

#[test]
fn timer_m_takes_repeated_2xx_for_32_s_with_the_same_ack_each() {
    let mut lone = Lone::new(Transport::Udp);
    lone.call_out();
    let first = lone.last("ACK").text.clone();
    lone.pass(secs(31));
    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2:5060>\n");
    assert_eq!(lone.times("ACK"), [0, 31_000]);
    assert_eq!(lone.last("ACK").text, first);
    lone.pass(secs(1));
    assert_eq!(lone.endpoint.counts().transactions, 0);
    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2:5060>\n");
    assert_eq!(lone.times("ACK").len(), 2);
}

#[test]
fn the_ack_to_a_refusal_has_the_branch_and_the_routes_of_its_invite() {
    let mut lone = Lone::new(Transport::Udp);
    let mut call = support::lone::call(lone.flow);
    call.routes = vec!["<sip:10.0.0.2;lr>".into()];
    lone.endpoint.invite(lone.now, call).unwrap();
    lone.drain();
    lone.answer("INVITE", 404, "x", "");
    let (invite, ack) = (lone.last("INVITE"), lone.last("ACK"));
    use hookswitch_sip_msg::HeaderName::{CSeq, CallId, From, Route, To, Via};
    for name in [Via, From, CallId, Route] {
        assert_eq!(invite.header(name), ack.header(name));
    }
    assert_eq!(ack.header(To), "<sip:bob@10.0.0.2>;tag=x");
    assert_eq!(ack.header(CSeq), "1 ACK");
    assert_eq!(ack.message.request_uri(), invite.message.request_uri());
}
