//! Timers G, H, I and L, the 100 after 200 ms, and the minute of ringing: how answers to an INVITE are repeated.

use crate::support;

use crate::support::lone::{Lone, invite, request};
use crate::support::{ms, secs};
use hookswitch_sip::{Ender, Event, FailCause, Response, Transport};

const REPEATS: [u128; 11] = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];

fn called(transport: Transport) -> (Lone, hookswitch_sip::DialogId) {
    let mut lone = Lone::new(transport);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    (lone, id)
}

fn respond(lone: &mut Lone, id: hookswitch_sip::DialogId, status: u16) {
    lone.endpoint.respond(lone.now, id, Response::new(status));
    lone.drain();
}

#[test]
fn a_100_goes_out_after_200_ms_without_an_answer() {
    let (mut lone, _) = called(Transport::Udp);
    lone.pass(ms(199));
    assert!(lone.sent.is_empty());
    lone.pass(ms(1));
    assert_eq!(lone.times("100"), [200]);
    assert_eq!(lone.last("100").to_tag(), "", "100 makes no dialog");
}

#[test]
fn no_100_goes_out_when_the_answer_is_quick() {
    let (mut lone, id) = called(Transport::Udp);
    lone.pass(ms(150));
    respond(&mut lone, id, 180);
    lone.pass(secs(10));
    assert_eq!(lone.words(), ["180"]);
}

#[test]
fn a_repeated_invite_gets_the_last_provisional_again() {
    let (mut lone, id) = called(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    assert!(lone.sent.is_empty(), "there is nothing to repeat yet");
    respond(&mut lone, id, 180);
    respond(&mut lone, id, 183);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    assert_eq!(lone.words(), ["180", "183", "183"]);
    assert_eq!(lone.events.len(), 1, "the call is told once");
}

#[test]
fn ringing_is_repeated_every_minute() {
    let (mut lone, id) = called(Transport::Udp);
    respond(&mut lone, id, 180);
    lone.pass(secs(200));
    assert_eq!(lone.times("180"), [0, 60_000, 120_000, 180_000]);
}

#[test]
fn timer_g_repeats_a_refusal_up_to_t2_and_timer_h_gives_up_after_32_s() {
    let (mut lone, id) = called(Transport::Udp);
    respond(&mut lone, id, 486);
    lone.settle();
    assert_eq!(lone.times("486"), REPEATS);
    assert_eq!(lone.now - support::START, secs(32));
    lone.assert_nothing_left();
}

#[test]
fn a_refusal_over_a_stream_is_not_repeated_but_waits_for_its_ack() {
    let (mut lone, id) = called(Transport::Tcp);
    respond(&mut lone, id, 486);
    lone.pass(secs(31));
    assert_eq!(lone.times("486"), [0]);
    assert_eq!(lone.endpoint.counts().transactions, 1);
    let tag = lone.last("486").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-in", 1, "alice", &tag, ""));
    lone.assert_nothing_left();
}

#[test]
fn timer_i_absorbs_repeated_acks_for_t4() {
    let (mut lone, id) = called(Transport::Udp);
    respond(&mut lone, id, 486);
    let tag = lone.last("486").to_tag();
    let ack = request("ACK", "z9hG4bK-in", 1, "alice", &tag, "");
    lone.pass(ms(600));
    lone.hear(&ack);
    lone.pass(ms(4_900));
    lone.hear(&ack);
    assert_eq!(lone.endpoint.dropped().stray_acks, 0);
    lone.pass(ms(100));
    assert_eq!(lone.times("486"), [0, 500], "the ACK ends the repeats");
    lone.assert_nothing_left();
}

#[test]
fn a_2xx_is_repeated_up_to_t2_for_32_s_and_then_the_call_is_ended() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut lone, id) = called(transport);
        respond(&mut lone, id, 200);
        lone.pass(secs(33));
        assert_eq!(lone.times("200"), REPEATS, "over {transport}");
        assert_eq!(lone.times("BYE")[0], 32_000);
        assert!(
            matches!(lone.events[1..], [Event::Ended { dialog, by: Ender::AckTimeout, request: None }] if dialog == id)
        );
        lone.answer("BYE", 200, "", "");
        lone.settle();
        assert_eq!(lone.events.len(), 2, "told once");
        lone.assert_nothing_left();
    }
}

#[test]
fn timer_l_absorbs_repeated_invites_for_32_s_after_a_2xx() {
    let mut lone = Lone::new(Transport::Udp);
    lone.call_in();
    lone.pass(secs(31));
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    assert_eq!(lone.words(), ["200"], "neither answered again nor taken for a new call");
    lone.pass(secs(1));
    assert_eq!(lone.endpoint.counts().transactions, 0);
}

#[test]
fn the_ack_ends_the_repeats_of_a_2xx() {
    let (mut lone, id) = called(Transport::Udp);
    respond(&mut lone, id, 200);
    lone.pass(ms(2_000));
    let tag = lone.last("200").to_tag();
    let ack = request("ACK", "z9hG4bK-ack", 1, "alice", &tag, "");
    lone.hear(&ack);
    lone.hear(&ack);
    lone.pass(secs(60));
    assert_eq!(lone.times("200"), [0, 500, 1_500]);
    let acked = lone.events.iter().filter(|event| matches!(event, Event::Acked { .. })).count();
    assert_eq!(acked, 1, "a repeated ACK is not told again");
}

#[test]
fn an_ack_with_the_branch_of_its_invite_is_understood_too() {
    let (mut lone, id) = called(Transport::Udp);
    respond(&mut lone, id, 200);
    let tag = lone.last("200").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-in", 1, "alice", &tag, ""));
    assert!(matches!(lone.events[1..], [Event::Acked { .. }]));
}

#[test]
fn a_call_that_nobody_answers_is_refused_at_the_limit() {
    let (mut lone, id) = called(Transport::Udp);
    respond(&mut lone, id, 180);
    lone.pass(secs(301));
    assert_eq!(lone.times("480")[0], 300_000);
    assert!(matches!(lone.events[1..], [Event::Failed { status: 408, cause: FailCause::Timeout, .. }]));
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_100_may_be_sent_at_once() {
    let at = support::addr(support::HERE);
    let config = hookswitch_sip::EndpointConfig { trying_after: secs(0), ..support::config(at) };
    let mut lone = Lone::with(Transport::Udp, config);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    assert_eq!(lone.times("100"), [0]);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    assert_eq!(lone.words(), ["100", "100"]);
}
