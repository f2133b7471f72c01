//! Timer J, and requests that nobody answers.

use crate::support::lone::{Lone, request};
use crate::support::{ms, secs};
use hookswitch_sip::{Event, Response, Transport, TxnId};

fn options() -> String {
    request("OPTIONS", "z9hG4bK-opt", 7, "alice", "", "")
}

fn asked(lone: &mut Lone) -> TxnId {
    lone.hear(&options());
    match lone.events.last() {
        Some(Event::Request { txn, dialog: None, .. }) => *txn,
        other => panic!("{other:?}"),
    }
}

#[test]
fn timer_j_repeats_the_answer_to_repeated_requests_for_32_s() {
    let mut lone = Lone::new(Transport::Udp);
    let txn = asked(&mut lone);
    lone.hear(&options());
    assert!(lone.sent.is_empty());
    lone.endpoint.reply(lone.now, txn, Response::new(200));
    lone.drain();
    let first = lone.last("200").text.clone();
    lone.pass(ms(31_900));
    lone.hear(&options());
    assert_eq!(lone.times("200"), [0, 31_900]);
    assert_eq!(lone.last("200").text, first, "with the same tag");
    assert_eq!(lone.events.len(), 1);
    lone.pass(ms(100));
    lone.assert_nothing_left();
}

#[test]
fn timer_j_is_zero_on_a_reliable_transport() {
    let mut lone = Lone::new(Transport::Tcp);
    let txn = asked(&mut lone);
    lone.endpoint.reply(lone.now, txn, Response::new(200));
    lone.drain();
    assert_eq!(lone.times("200"), [0]);
    lone.assert_nothing_left();
}

#[test]
fn a_request_that_is_never_answered_is_forgotten_when_its_sender_gave_up() {
    let mut lone = Lone::new(Transport::Udp);
    let txn = asked(&mut lone);
    lone.pass(secs(32));
    lone.assert_nothing_left();
    lone.endpoint.reply(lone.now, txn, Response::new(200));
    lone.drain();
    assert!(lone.sent.is_empty(), "an answer that is too late goes nowhere");
}

#[test]
fn a_provisional_answer_is_repeated_too() {
    let mut lone = Lone::new(Transport::Udp);
    let txn = asked(&mut lone);
    lone.endpoint.reply(lone.now, txn, Response::new(100));
    lone.drain();
    lone.hear(&options());
    assert_eq!(lone.words(), ["100", "100"]);
}

#[test]
fn an_answer_to_options_tells_what_we_can_do() {
    let mut lone = Lone::new(Transport::Udp);
    let txn = asked(&mut lone);
    lone.endpoint.reply(lone.now, txn, Response::new(200));
    lone.drain();
    let text = &lone.last("200").text;
    assert!(text.contains("Allow: INVITE, ACK,") && text.contains("Accept: application/sdp"), "{text}");
}
