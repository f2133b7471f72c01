//! CANCEL: held back, sent, received, and crossed by answers.

use crate::support;

use crate::support::lone::{Lone, invite, request};
use crate::support::{ms, secs};
use hookswitch_sip::{DialogId, Event, FailCause, Response, Transport};
use hookswitch_sip_msg::HeaderName;

const RINGS: &str = "Contact: <sip:bob@10.0.0.2:5060>\n";

fn cancel(lone: &mut Lone, id: DialogId) {
    lone.endpoint.cancel(lone.now, id, Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    lone.drain();
}

fn failed(lone: &Lone) -> Vec<(u16, FailCause)> {
    lone.events
        .iter()
        .filter_map(|event| match event {
            Event::Failed { status, cause, .. } => Some((*status, *cause)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    cancel(&mut lone, id);
    lone.pass(ms(800));
    assert_eq!(lone.words(), ["INVITE", "INVITE"], "the INVITE goes on");
    lone.answer("INVITE", 100, "", "");
    assert_eq!(lone.times("CANCEL"), [800]);
    let (invite, cancel) = (lone.last("INVITE"), lone.last("CANCEL"));
    for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId] {
        assert_eq!(invite.header(name), cancel.header(name));
    }
    assert_eq!(cancel.header(HeaderName::CSeq), "1 CANCEL");
    assert!(cancel.header(HeaderName::Reason).contains("completed elsewhere"));
    lone.answer("CANCEL", 200, "bob", "");
    lone.answer("INVITE", 487, "bob", "");
    assert_eq!(failed(&lone), [(487, FailCause::Cancelled)]);
    lone.settle();
    lone.assert_nothing_left();
    assert_eq!(lone.endpoint.dropped().stray_responses, 0);
}

#[test]
fn a_cancel_of_a_ringing_call_goes_out_at_once_and_is_repeated() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.answer("INVITE", 180, "bob", RINGS);
    cancel(&mut lone, id);
    cancel(&mut lone, id);
    lone.pass(ms(1_600));
    assert_eq!(lone.times("CANCEL"), [0, 500, 1_500]);
    lone.answer("CANCEL", 200, "bob", "");
    lone.pass(secs(10));
    assert_eq!(lone.times("CANCEL").len(), 3);
}

#[test]
fn a_cancelled_call_without_any_end_is_given_up_after_32_s() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.answer("INVITE", 180, "bob", RINGS);
    cancel(&mut lone, id);
    lone.answer("CANCEL", 200, "bob", "");
    lone.settle();
    assert_eq!(lone.now - support::START, secs(32));
    assert_eq!(failed(&lone), [(487, FailCause::Cancelled)]);
    lone.assert_nothing_left();
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.answer("INVITE", 180, "bob", RINGS);
    cancel(&mut lone, id);
    lone.answer("INVITE", 200, "bob", RINGS);
    assert_eq!(lone.words(), ["INVITE", "CANCEL", "ACK", "BYE"]);
    assert_eq!(lone.last("BYE").message.request_uri(), Some("sip:bob@10.0.0.2:5060"));
    assert_eq!(lone.last("BYE").to_tag(), "bob");
    assert_eq!(failed(&lone), [(487, FailCause::Cancelled)]);
    // Its repeats are acknowledged, and a second fork's answer is ended too.
    lone.answer("INVITE", 200, "bob", RINGS);
    lone.answer("INVITE", 200, "carol", RINGS);
    assert_eq!(lone.words()[4..], ["ACK", "ACK", "BYE"]);
    assert_eq!(failed(&lone).len(), 1);
    lone.answer("BYE", 200, "carol", "");
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_2xx_before_any_provisional_ends_a_call_that_was_to_be_cancelled() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    cancel(&mut lone, id);
    lone.answer("INVITE", 200, "bob", RINGS);
    assert_eq!(lone.words(), ["INVITE", "ACK", "BYE"], "there is nothing left to cancel");
    assert_eq!(failed(&lone), [(487, FailCause::Cancelled)]);
}

#[test]
fn a_refusal_that_crosses_the_cancel_is_told_as_it_is() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.answer("INVITE", 180, "bob", RINGS);
    cancel(&mut lone, id);
    lone.answer("INVITE", 486, "bob", "");
    assert_eq!(failed(&lone), [(486, FailCause::Response)]);
}

#[test]
fn a_received_cancel_is_answered_and_ends_the_call() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(180));
    lone.drain();
    let cancel = request("CANCEL", "z9hG4bK-in", 1, "alice", "", "Reason: SIP;cause=200\n");
    lone.hear(&cancel);
    assert_eq!(lone.words(), ["180", "200", "487"]);
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "1 CANCEL");
    assert_eq!(lone.last("200").to_tag(), lone.last("180").to_tag());
    assert_eq!(lone.last("487").to_tag(), lone.last("180").to_tag());
    assert!(
        matches!(&lone.events[1..], [Event::Cancelled { request, .. }] if request.header(HeaderName::Reason).is_some())
    );
    lone.hear(&cancel);
    assert_eq!(lone.words().len(), 4, "a repeated CANCEL gets its 200 again");
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    assert_eq!(lone.words().len(), 4, "an answer that crosses it is ignored");
    let tag = lone.last("487").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-in", 1, "alice", &tag, ""));
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_cancel_that_comes_after_the_answer_changes_nothing() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    lone.hear(&request("CANCEL", "z9hG4bK-in", 1, "alice", "", ""));
    assert_eq!(lone.words(), ["200", "200"]);
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "1 CANCEL");
    assert_eq!(lone.events.len(), 1);
    assert!(lone.endpoint.dialog(id).is_some());
}

#[test]
fn a_cancel_for_nothing_is_answered_481() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&request("CANCEL", "z9hG4bK-none", 1, "alice", "", ""));
    assert_eq!(lone.words(), ["481"]);
    lone.assert_nothing_left();
}

#[test]
fn a_cancelled_reinvite_leaves_the_call_as_it_was() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.forget();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, ""));
    lone.hear(&request("CANCEL", "z9hG4bK-re", 2, "alice", &tag, ""));
    assert_eq!(lone.words(), ["200", "487"]);
    assert!(matches!(lone.events[..], [Event::Reinvite { .. }, Event::ReinviteCancelled { .. }]));
    assert!(lone.endpoint.dialog(id).is_some());
}

#[test]
fn a_bye_in_the_early_dialog_cancels_too() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(180));
    lone.drain();
    let tag = lone.last("180").to_tag();
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    assert_eq!(lone.words(), ["180", "200", "487"]);
    assert!(matches!(lone.events[1..], [Event::Cancelled { .. }]));
    lone.settle();
    lone.assert_nothing_left();
}
