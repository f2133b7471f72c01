//! INVITE inside a dialog, both ways (RFC 3261 14): one outcome for each, and the session as it was behind all but 2xx.

use crate::support;

use crate::support::lone::{Lone, request};
use crate::support::{OFFER, ms, secs};
use hookswitch_sip::{Body, DialogId, Ender, Event, FailCause, Response, SipError, Transport};
use hookswitch_sip_msg::HeaderName;

const BOB: &str = "Contact: <sip:bob@10.0.0.2:5060>\n";

fn described(headers: &str) -> String {
    format!("{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}", OFFER.len())
}

fn established() -> (Lone, DialogId, String) {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.pass(secs(33));
    lone.forget();
    (lone, id, tag)
}

fn reinvite(lone: &mut Lone, id: DialogId, body: Option<Body>) {
    lone.endpoint.reinvite(lone.now, id, body, Vec::new()).expect("nothing is under way");
    lone.drain();
}

fn cancel(lone: &mut Lone, id: DialogId) {
    lone.endpoint.cancel(lone.now, id, None);
    lone.drain();
}

#[test]
fn a_reinvite_without_offer_has_its_answer_in_the_ack() {
    let (mut lone, id, _) = established();
    reinvite(&mut lone, id, None);
    assert!(lone.last("INVITE").message.body_bytes().is_empty());
    lone.answer("INVITE", 200, "", &described(BOB));
    assert!(matches!(&lone.events[..], [Event::Reanswered { response, .. }] if !response.body_bytes().is_empty()));
    assert_eq!(lone.endpoint.reinvite(lone.now, id, None, Vec::new()), Err(SipError::Pending), "the ACK is due");
    lone.endpoint.ack(lone.now, id, Some(Body::sdp(OFFER)));
    lone.drain();
    assert!(lone.last("ACK").text.ends_with(OFFER));
    reinvite(&mut lone, id, None);
}

#[test]
fn their_reinvite_without_offer_gets_ours_and_its_ack_brings_the_answer() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, ""));
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    assert!(lone.last("200").text.ends_with(OFFER));
    // Ours stands open until then.
    assert_eq!(lone.endpoint.reinvite(lone.now, id, None, Vec::new()), Err(SipError::Pending));
    lone.hear(&request("ACK", "z9hG4bK-ack", 2, "alice", &tag, &described("")));
    assert!(
        matches!(lone.events.last(), Some(Event::Acked { request, .. }) if request.body_bytes() == OFFER.as_bytes())
    );
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
}

#[test]
fn a_dialog_that_is_in_a_conference_says_so_in_both_directions_and_only_as_long() {
    let (mut lone, id, tag) = established();
    let contact = |lone: &Lone, word: &str| lone.last(word).header(HeaderName::Contact).to_owned();
    let change = |lone: &mut Lone| {
        reinvite(lone, id, Some(Body::sdp(OFFER)));
        let contact = contact(lone, "INVITE");
        lone.answer("INVITE", 200, "", &described(BOB));
        lone.endpoint.ack(lone.now, id, None);
        lone.drain();
        contact
    };
    let plain = change(&mut lone);
    assert!(plain.ends_with('>'), "{plain}");
    for _ in 0..2 {
        lone.endpoint.set_focus(id, true);
    }
    assert_eq!(change(&mut lone), format!("{plain};isfocus"));
    // Also where the answer has a Contact of its own.
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    let answer = Response::new(200).with_body(Body::sdp(OFFER));
    lone.endpoint.respond(lone.now, id, Response { contact_user: Some("room".into()), ..answer });
    lone.drain();
    let answered = contact(&lone, "200");
    assert!(answered.starts_with("<sip:room@") && answered.ends_with(">;isfocus"), "{answered}");
    lone.hear(&request("ACK", "z9hG4bK-ack2", 2, "alice", &tag, ""));
    lone.endpoint.set_focus(id, false);
    let plain = change(&mut lone);
    assert!(plain.starts_with("<sip:room@") && plain.ends_with('>'), "{plain}");
}

#[test]
fn our_reinvite_that_is_taken_back_leaves_the_session_as_it_was() {
    let (mut lone, id, _) = established();
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    cancel(&mut lone, id);
    assert_eq!(lone.words(), ["INVITE"], "no CANCEL before a provisional response (RFC 3261 9.1)");
    lone.answer("INVITE", 100, "", "");
    assert_eq!(lone.words(), ["INVITE", "CANCEL"]);
    lone.answer("CANCEL", 200, "", "");
    lone.answer("INVITE", 487, "", "");
    assert!(matches!(lone.events[..], [Event::ReinviteFailed { status: 487, cause: FailCause::Cancelled, .. }]));
    assert!(lone.endpoint.dialog(id).is_some());
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    cancel(&mut lone, id);
    lone.answer("INVITE", 100, "", "");
    assert_eq!(lone.times("CANCEL").len(), 2);
}

#[test]
fn a_2xx_that_crosses_the_cancel_of_our_reinvite_counts() {
    let (mut lone, id, _) = established();
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.answer("INVITE", 180, "", "");
    cancel(&mut lone, id);
    lone.answer("INVITE", 200, "", &described(BOB));
    lone.answer("CANCEL", 481, "", "");
    assert!(matches!(lone.events[..], [Event::Reanswered { .. }]), "{:?}", lone.events);
    lone.endpoint.ack(lone.now, id, None);
    lone.drain();
    assert_eq!(lone.words(), ["INVITE", "CANCEL", "ACK"]);
    assert!(lone.endpoint.dialog(id).is_some());
}

#[test]
fn a_reinvite_that_waits_behind_a_collision_can_be_taken_back() {
    let (mut lone, id, _) = established();
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.answer("INVITE", 491, "", "");
    cancel(&mut lone, id);
    assert!(matches!(lone.events[..], [Event::ReinviteFailed { status: 487, cause: FailCause::Cancelled, .. }]));
    lone.pass(secs(5));
    assert_eq!(lone.words(), ["INVITE", "ACK"]);
    reinvite(&mut lone, id, None);
}

#[test]
fn a_cancelled_reinvite_without_any_end_leaves_the_call_standing() {
    let (mut lone, id, _) = established();
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.answer("INVITE", 180, "", "");
    cancel(&mut lone, id);
    lone.answer("CANCEL", 200, "", "");
    lone.pass(secs(33));
    assert!(matches!(lone.events[..], [Event::ReinviteFailed { status: 487, cause: FailCause::Cancelled, .. }]));
    assert!(lone.endpoint.dialog(id).is_some());
}

/// RFC 5407 3.2.2, seen from the side whose re-INVITE meets a BYE.
#[test]
fn a_bye_that_meets_our_reinvite_ends_both_once() {
    let (mut lone, id, tag) = established();
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.hear(&request("BYE", "z9hG4bK-b", 2, "alice", &tag, ""));
    assert!(matches!(
        lone.events[..],
        [Event::ReinviteFailed { cause: FailCause::Cancelled, .. }, Event::Ended { by: Ender::Peer, .. }]
    ));
    lone.answer("INVITE", 481, "", "");
    assert_eq!(lone.words(), ["INVITE", "200", "ACK"]);
    assert_eq!(lone.events.len(), 2);
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_2xx_to_our_reinvite_behind_their_bye_is_acknowledged_without_another_bye() {
    let (mut lone, id, tag) = established();
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.hear(&request("BYE", "z9hG4bK-b", 2, "alice", &tag, ""));
    lone.answer("INVITE", 200, "", &described(BOB));
    lone.answer("INVITE", 200, "", &described(BOB));
    assert_eq!(lone.words(), ["INVITE", "200", "ACK", "ACK"]);
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn our_bye_behind_our_reinvite_ends_both_once() {
    for answer in [200, 487] {
        let (mut lone, id, _) = established();
        reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
        lone.endpoint.bye(lone.now, id, Vec::new());
        lone.drain();
        let invite = lone.last("INVITE").message.clone();
        lone.hear(&support::lone::response(&invite, answer, "", &described(BOB)));
        if answer == 200 {
            lone.endpoint.ack(lone.now, id, None);
            lone.drain();
        }
        lone.answer("BYE", 200, "", "");
        let outcomes =
            lone.events.iter().filter(|event| matches!(event, Event::Reanswered { .. } | Event::ReinviteFailed { .. }));
        assert_eq!(outcomes.count(), 1, "{:?}", lone.events);
        assert!(matches!(lone.events.last(), Some(Event::Ended { by: Ender::Local, .. })));
        lone.settle();
        lone.assert_nothing_left();
    }
}

#[test]
fn a_reinvite_that_waits_when_the_call_ends_has_its_outcome() {
    let (mut lone, id, tag) = established();
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.answer("INVITE", 491, "", "");
    lone.hear(&request("BYE", "z9hG4bK-b", 2, "alice", &tag, ""));
    assert!(matches!(lone.events[..], [Event::ReinviteFailed { status: 487, .. }, Event::Ended { .. }]));
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn their_reinvite_that_nobody_answers_in_time_is_told_to_be_over() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    lone.pass(secs(301));
    assert!(!lone.times("480").is_empty());
    assert!(matches!(lone.events[1..], [Event::ReinviteCancelled { request: None, .. }]), "{:?}", lone.events);
    assert!(lone.endpoint.dialog(id).is_some());
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    assert!(lone.times("200").is_empty());
}

#[test]
fn ours_goes_on_when_theirs_has_been_answered_meanwhile() {
    let (mut lone, id, tag) = established();
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.answer("INVITE", 491, "", "");
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    assert!(matches!(lone.events[..], [Event::Reinvite { .. }]), "while ours waits, theirs is welcome");
    lone.pass(ms(2_001));
    assert_eq!(lone.times("INVITE").len(), 1, "but not at the same time");
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    lone.hear(&request("ACK", "z9hG4bK-ack", 2, "alice", &tag, ""));
    lone.pass(ms(2_001));
    assert!(lone.times("INVITE").len() >= 2);
    assert_eq!(lone.last("INVITE").header(HeaderName::CSeq), "2 INVITE");
    lone.answer("INVITE", 200, "", &described(BOB));
    assert!(matches!(lone.events.last(), Some(Event::Reanswered { .. })));
}

/// What it met is over when it comes once more, and whoever sent it takes it for refused all the same (RFC 3261 17.2.1).
#[test]
fn theirs_that_was_refused_stays_refused_when_it_is_repeated() {
    let (mut lone, id, tag) = established();
    let theirs = request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described(""));
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.hear(&theirs);
    lone.answer("INVITE", 491, "", "");
    lone.hear(&theirs);
    assert_eq!(lone.words(), ["INVITE", "491", "ACK", "491"]);
    lone.hear(&request("ACK", "z9hG4bK-re", 2, "alice", &tag, ""));
    lone.hear(&theirs);
    assert_eq!(lone.words().len(), 4, "it has been acknowledged: {:?}", lone.words());
    assert!(lone.events.is_empty(), "{:?}", lone.events);
    lone.hear(&request("INVITE", "z9hG4bK-re2", 3, "alice", &tag, &described("")));
    assert!(matches!(lone.events[..], [Event::Reinvite { .. }]), "another one is welcome");
}

#[test]
fn theirs_that_came_behind_another_stays_refused_when_it_is_repeated() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    let second = request("INVITE", "z9hG4bK-re2", 3, "alice", &tag, &described(""));
    lone.hear(&second);
    lone.endpoint.respond(lone.now, id, Response::new(488));
    lone.drain();
    lone.hear(&second);
    assert_eq!(lone.words(), ["500", "488", "500"]);
    assert_eq!(lone.sent[0].text, lone.sent[2].text, "the same answer");
    assert!(matches!(lone.events[..], [Event::Reinvite { .. }]), "{:?}", lone.events);
}

#[test]
fn ours_waits_for_the_ack_to_our_2xx() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.pass(secs(3));
    assert!(lone.times("INVITE").is_empty() && lone.times("200").len() > 1, "{:?}", lone.words());
    let again = lone.endpoint.reinvite(lone.now, id, None, Vec::new());
    assert_eq!(again, Err(SipError::Pending), "one at a time");
    lone.hear(&request("ACK", "z9hG4bK-ack", 2, "alice", &tag, ""));
    assert_eq!(lone.words().last(), Some(&"INVITE".to_owned()));
    lone.answer("INVITE", 200, "", &described(BOB));
    assert!(matches!(lone.events.last(), Some(Event::Reanswered { .. })));
}

#[test]
fn ours_that_waits_for_an_ack_goes_behind_theirs_that_comes_instead() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.hear(&request("INVITE", "z9hG4bK-re2", 3, "alice", &tag, &described("")));
    assert!(lone.times("INVITE").is_empty(), "theirs is under way");
    lone.endpoint.respond(lone.now, id, Response::new(491));
    lone.drain();
    assert_eq!(lone.times("INVITE").len(), 1);
}

#[test]
fn ours_that_waits_for_an_ack_that_never_comes_has_its_outcome() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    reinvite(&mut lone, id, Some(Body::sdp(OFFER)));
    lone.events.clear();
    lone.pass(secs(33));
    assert!(lone.times("INVITE").is_empty());
    assert!(matches!(
        lone.events[..],
        [Event::ReinviteFailed { status: 487, .. }, Event::Ended { by: Ender::AckTimeout, .. }]
    ));
    lone.settle();
    lone.assert_nothing_left();
}
