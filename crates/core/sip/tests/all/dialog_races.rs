//! Messages that cross inside a dialog, and what a dialog refuses.

use crate::support;

use crate::support::lone::{Lone, invite, request};
use crate::support::{OFFER, ms, secs};
use hookswitch_sip::{Body, DialogId, Ender, Event, FailCause, RequestOut, Response, SipError, Transport};
use hookswitch_sip_msg::{HeaderName, Method};

fn established() -> (Lone, DialogId, String) {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.pass(secs(33));
    lone.forget();
    (lone, id, tag)
}

fn bye(lone: &mut Lone, id: DialogId) {
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
}

fn ended(lone: &Lone) -> Vec<Ender> {
    lone.events
        .iter()
        .filter_map(|event| match event {
            Event::Ended { by, .. } => Some(*by),
            _ => None,
        })
        .collect()
}

#[test]
fn a_received_bye_is_answered_and_told() {
    let (mut lone, id, tag) = established();
    let bye = request("BYE", "z9hG4bK-bye", 2, "alice", &tag, "Reason: Q.850;cause=16\n");
    lone.hear(&bye);
    assert_eq!(lone.words(), ["200"]);
    assert!(matches!(&lone.events[..], [Event::Ended { by: Ender::Peer, request: Some(request), .. }]
        if request.header(HeaderName::Reason) == Some(b"Q.850;cause=16")));
    assert!(lone.endpoint.dialog(id).is_none());
    lone.hear(&bye);
    assert_eq!(lone.words(), ["200", "200"], "a repeat gets the same answer");
    lone.hear(&request("BYE", "z9hG4bK-bye2", 3, "alice", &tag, ""));
    assert_eq!(lone.last("481").header(HeaderName::CSeq), "3 BYE");
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn byes_that_cross_end_the_call_once() {
    let (mut lone, id, tag) = established();
    bye(&mut lone, id);
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    assert_eq!(lone.words(), ["BYE", "200"]);
    assert_eq!(ended(&lone), [Ender::Peer]);
    lone.answer("BYE", 481, "", "");
    lone.settle();
    assert_eq!(ended(&lone).len(), 1);
    lone.assert_nothing_left();
}

#[test]
fn our_bye_ends_the_call_when_it_is_answered_refused_or_lost() {
    for status in [Some(200), Some(481), Some(500), None] {
        let (mut lone, id, _) = established();
        bye(&mut lone, id);
        bye(&mut lone, id);
        assert!(ended(&lone).is_empty(), "not before the outcome is known");
        match status {
            Some(status) => lone.answer("BYE", status, "", ""),
            None => lone.pass(secs(32)),
        }
        assert_eq!(ended(&lone), [Ender::Local]);
        lone.settle();
        lone.assert_nothing_left();
    }
}

#[test]
fn requests_behind_our_bye_are_answered_481() {
    let (mut lone, id, tag) = established();
    bye(&mut lone, id);
    lone.hear(&request("INFO", "z9hG4bK-i", 2, "alice", &tag, ""));
    lone.hear(&request("INVITE", "z9hG4bK-j", 3, "alice", &tag, ""));
    assert_eq!(lone.words(), ["BYE", "481", "481"]);
}

#[test]
fn the_called_side_holds_its_bye_until_the_ack() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&support::lone::invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    bye(&mut lone, id);
    lone.pass(ms(700));
    assert_eq!(lone.words(), ["200", "200"]);
    let tag = lone.last("200").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    assert_eq!(lone.times("BYE"), [700]);
    lone.answer("BYE", 200, "", "");
    assert_eq!(ended(&lone), [Ender::Local]);
}

#[test]
fn a_bye_that_waits_for_a_lost_ack_goes_out_after_32_s() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&support::lone::invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    bye(&mut lone, id);
    lone.settle();
    assert_eq!(lone.times("BYE")[0], 32_000);
    assert_eq!(ended(&lone), [Ender::Local]);
    lone.assert_nothing_left();
}

#[test]
fn a_reinvite_that_meets_a_bye_held_back_for_the_ack_lets_it_go() {
    let mut lone = Lone::new(Transport::Udp);
    let body = "Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n";
    lone.hear(&support::lone::invite("z9hG4bK-in", 1, "alice", body));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    bye(&mut lone, id);
    let tag = lone.last("200").to_tag();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, ""));
    assert_eq!(lone.words(), ["200", "481", "BYE"]);
    lone.answer("BYE", 200, "", "");
    assert_eq!(ended(&lone), [Ender::Local]);
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn the_calling_side_acknowledges_before_its_bye() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2>\n");
    bye(&mut lone, id);
    assert_eq!(lone.words(), ["INVITE", "ACK", "BYE"]);
}

#[test]
fn a_bye_before_the_ack_arrives_ends_the_call() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&support::lone::invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    let tag = lone.last("200").to_tag();
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    assert_eq!(ended(&lone), [Ender::Peer]);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    assert_eq!(lone.endpoint.dropped().stray_acks, 0, "it is waited for still");
    lone.settle();
    assert_eq!(lone.times("200").len(), 2, "INVITE and BYE; nothing is repeated");
    lone.assert_nothing_left();
}

#[test]
fn an_invite_that_meets_ours_is_answered_491() {
    let (mut lone, id, tag) = established();
    lone.endpoint.reinvite(lone.now, id, None, Vec::new()).unwrap();
    lone.drain();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, ""));
    assert_eq!(lone.words(), ["INVITE", "491"]);
    assert!(lone.events.is_empty());
    assert_eq!(lone.endpoint.reinvite(lone.now, id, None, Vec::new()), Err(SipError::Pending));
}

#[test]
fn our_invite_that_met_theirs_is_sent_again_after_a_while() {
    // The called side waits up to 2 s, the calling side, which made the Call-ID, 2.1 s to 4 s.
    let (mut lone, id, _) = established();
    let began = (lone.now - support::START).as_millis();
    lone.endpoint.reinvite(lone.now, id, None, Vec::new()).unwrap();
    lone.drain();
    lone.answer("INVITE", 491, "", "");
    lone.pass(secs(3));
    let times = lone.times("INVITE");
    assert!(times.len() >= 2 && (0..=2_000).contains(&(times[1] - began)), "{times:?}");
    assert_eq!(lone.last("INVITE").header(HeaderName::CSeq), "2 INVITE");
    lone.answer("INVITE", 200, "", "Contact: <sip:alice@10.0.0.2>\n");
    assert!(matches!(lone.events[..], [Event::Reanswered { .. }]));

    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_out();
    lone.forget();
    lone.endpoint.reinvite(lone.now, id, None, Vec::new()).unwrap();
    lone.drain();
    lone.answer("INVITE", 491, "", "");
    lone.pass(secs(5));
    let again = lone.times("INVITE")[1];
    assert!((2_100..=4_000).contains(&again), "{again}");
}

#[test]
fn an_invite_that_keeps_meeting_others_fails_in_the_end() {
    let (mut lone, id, _) = established();
    lone.endpoint.reinvite(lone.now, id, None, Vec::new()).unwrap();
    lone.drain();
    for _ in 0..4 {
        lone.answer("INVITE", 491, "", "");
        lone.pass(ms(2_001));
    }
    assert!(matches!(lone.events[..], [Event::ReinviteFailed { status: 491, .. }]), "{:?}", lone.events);
    assert!(lone.endpoint.dialog(id).is_some());
    assert!(lone.endpoint.reinvite(lone.now, id, None, Vec::new()).is_ok());
}

#[test]
fn a_second_invite_before_the_answer_to_the_first_is_answered_500() {
    let (mut lone, _, tag) = established();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, ""));
    lone.hear(&request("INVITE", "z9hG4bK-re2", 3, "alice", &tag, ""));
    let wait: u32 = lone.last("500").header(HeaderName::RetryAfter).parse().unwrap();
    assert!(wait <= 10);
    assert_eq!(lone.events.len(), 1);
}

#[test]
fn a_reinvite_behind_a_lost_ack_is_taken_for_that_ack_unless_the_answer_is_due() {
    for (offer, expected) in [(true, "reinvite"), (false, "491")] {
        let mut lone = Lone::new(Transport::Udp);
        let body = if offer { "Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n" } else { "" };
        lone.hear(&support::lone::invite("z9hG4bK-in", 1, "alice", body));
        let id = lone.invited();
        lone.endpoint.respond(lone.now, id, Response::new(200));
        lone.drain();
        let tag = lone.last("200").to_tag();
        lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, ""));
        match expected {
            "491" => assert_eq!(lone.words(), ["200", "491"]),
            _ => {
                assert!(matches!(lone.events[1..], [Event::Reinvite { .. }]), "{:?}", lone.words());
                lone.pass(secs(5));
                assert_eq!(lone.times("200"), [0]);
            }
        }
    }
}

#[test]
fn requests_out_of_order_are_answered_500() {
    let (mut lone, _, tag) = established();
    lone.hear(&request("INFO", "z9hG4bK-i", 9, "alice", &tag, ""));
    lone.hear(&request("INFO", "z9hG4bK-j", 8, "alice", &tag, ""));
    assert_eq!(lone.words(), ["500"]);
    assert_eq!(lone.events.len(), 1);
}

#[test]
fn requests_for_no_dialog_are_answered_481() {
    let (mut lone, _, tag) = established();
    lone.hear(&request("INVITE", "z9hG4bK-a", 2, "alice", "nosuch", ""));
    lone.hear(&request("BYE", "z9hG4bK-b", 2, "mallory", &tag, ""));
    lone.hear(&request("INFO", "z9hG4bK-c", 2, "alice", "", ""));
    lone.hear(&request("UPDATE", "z9hG4bK-d", 2, "alice", "nosuch", ""));
    lone.hear(&request("FROBNICATE", "z9hG4bK-e", 2, "alice", "nosuch", ""));
    assert_eq!(lone.words(), ["481"; 5], "whether or not the method is allowed");
    assert!(lone.events.is_empty());
}

#[test]
fn a_reinvite_answered_481_or_not_at_all_ends_the_call() {
    for status in [Some(481), Some(408), None] {
        let (mut lone, id, _) = established();
        lone.endpoint.reinvite(lone.now, id, None, Vec::new()).unwrap();
        lone.drain();
        match status {
            Some(status) => lone.answer("INVITE", status, "", ""),
            None => lone.pass(secs(32)),
        }
        let by = if status == Some(481) { Ender::Gone } else { Ender::Unreachable };
        assert!(matches!(lone.events[..], [Event::ReinviteFailed { .. }, Event::Ended { by: told, .. }] if told == by));
        assert_eq!(lone.times("BYE").len(), 1);
        lone.settle();
        lone.assert_nothing_left();
    }
}

#[test]
fn a_refused_reinvite_leaves_the_call_as_it_was() {
    let (mut lone, id, _) = established();
    lone.endpoint.reinvite(lone.now, id, None, Vec::new()).unwrap();
    lone.drain();
    lone.answer("INVITE", 488, "", "");
    assert!(matches!(lone.events[..], [Event::ReinviteFailed { status: 488, cause: FailCause::Response, .. }]));
    assert!(lone.endpoint.dialog(id).is_some());
    assert_eq!(lone.words(), ["INVITE", "ACK"]);
}

#[test]
fn a_request_inside_the_dialog_that_is_answered_481_ends_it() {
    let (mut lone, id, _) = established();
    lone.endpoint.request(lone.now, RequestOut::inside(id, Method::Info)).unwrap();
    lone.drain();
    lone.answer("INFO", 481, "", "");
    assert!(matches!(lone.events[..], [Event::Response { status: 481, .. }, Event::Ended { by: Ender::Gone, .. }]));
}

#[test]
fn a_request_inside_the_dialog_is_told_and_answered() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("INFO", "z9hG4bK-i", 2, "alice", &tag, ""));
    let Some(Event::Request { txn, dialog, .. }) = lone.events.last() else {
        panic!("{:?}", lone.events);
    };
    assert_eq!(*dialog, Some(id));
    lone.endpoint.reply(lone.now, *txn, Response::new(200));
    lone.drain();
    assert_eq!(lone.last("200").to_tag(), tag);
}

#[test]
fn an_ack_is_known_by_the_number_of_its_invite_whatever_came_between() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&support::lone::invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(180));
    lone.drain();
    let tag = lone.last("180").to_tag();
    lone.hear(&request("INFO", "z9hG4bK-i", 2, "alice", &tag, ""));
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    assert!(matches!(lone.events.last(), Some(Event::Acked { .. })), "{:?}", lone.events);
}

/// Whoever has not got our 2xx yet knows of no dialog.
#[test]
fn a_request_that_overtakes_our_2xx_and_is_answered_481_does_not_end_the_call() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.endpoint.request(lone.now, RequestOut::inside(id, Method::Info)).unwrap();
    lone.drain();
    let tag = lone.last("200").to_tag();
    lone.answer("INFO", 481, "", "");
    assert_eq!(ended(&lone), []);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    assert!(lone.endpoint.dialog(id).is_some());
    lone.endpoint.request(lone.now, RequestOut::inside(id, Method::Info)).unwrap();
    lone.drain();
    lone.answer("INFO", 481, "", "");
    assert_eq!(ended(&lone), [Ender::Gone], "now it must know");
}
