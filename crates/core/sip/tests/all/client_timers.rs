//! Timers E, F and K: how long and how often other requests are sent.

use crate::support;

use crate::support::lone::Lone;
use crate::support::{ms, secs};
use hookswitch_sip::{Event, FailCause, RequestOut, Transport};
use hookswitch_sip_msg::Method;

fn options(lone: &mut Lone) {
    let order =
        RequestOut::new(Method::Options, "sip:bob@10.0.0.2", "<sip:a@10.0.0.1>", "<sip:bob@10.0.0.2>", lone.flow);
    lone.endpoint.request(lone.now, order).unwrap();
    lone.drain();
}

#[test]
fn timer_e_doubles_up_to_t2_and_timer_f_ends_it_after_32_s() {
    let mut lone = Lone::new(Transport::Udp);
    options(&mut lone);
    lone.settle();
    assert_eq!(lone.times("OPTIONS"), [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(lone.now - support::START, secs(32));
    assert!(matches!(
        lone.events[..],
        [Event::Response { status: 408, cause: FailCause::Timeout, response: None, .. }]
    ));
    lone.assert_nothing_left();
}

#[test]
fn after_a_provisional_response_timer_e_is_t2_and_timer_f_still_runs() {
    let mut lone = Lone::new(Transport::Udp);
    options(&mut lone);
    lone.pass(ms(700));
    lone.answer("OPTIONS", 182, "x", "");
    lone.settle();
    assert_eq!(lone.times("OPTIONS"), [0, 500, 4_700, 8_700, 12_700, 16_700, 20_700, 24_700, 28_700]);
    assert_eq!(lone.now - support::START, secs(32));
    assert!(matches!(lone.events[..], [Event::Response { status: 408, .. }]));
    lone.assert_nothing_left();
}

#[test]
fn timer_k_absorbs_repeated_answers_for_t4() {
    let mut lone = Lone::new(Transport::Udp);
    options(&mut lone);
    lone.answer("OPTIONS", 200, "x", "");
    lone.pass(ms(4_900));
    lone.answer("OPTIONS", 200, "x", "");
    assert_eq!(lone.events.len(), 1);
    assert_eq!(lone.endpoint.dropped().stray_responses, 0);
    lone.pass(ms(100));
    lone.assert_nothing_left();
}

#[test]
fn a_reliable_transport_has_neither_timer_e_nor_timer_k() {
    let mut lone = Lone::new(Transport::Tcp);
    options(&mut lone);
    lone.pass(secs(31));
    assert_eq!(lone.times("OPTIONS"), [0]);
    lone.answer("OPTIONS", 200, "x", "");
    assert!(matches!(lone.events[..], [Event::Response { status: 200, .. }]));
    lone.assert_nothing_left();
}
