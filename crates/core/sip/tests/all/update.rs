//! UPDATE, in early dialogs and in established ones (RFC 3311), with its rules about offers that meet.

use crate::support;

use crate::support::lone::{Lone, call, invite, request};
use crate::support::{OFFER, ms, secs};
use hookswitch_sip::{Body, DialogId, Ender, Event, FailCause, Response, SipError, Transport, TxnId};
use hookswitch_sip_msg::{HeaderName, Method};

const BOB: &str = "Contact: <sip:bob@10.0.0.2:5060>\n";

fn described(headers: &str) -> String {
    format!("{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}", OFFER.len())
}

/// A call that came in and stands; our tag.
fn established() -> (Lone, DialogId, String) {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.pass(secs(33));
    lone.forget();
    (lone, id, tag)
}

/// A call of ours with an offer, and a provisional response to it.
fn ringing(more: &str) -> (Lone, DialogId) {
    let mut lone = Lone::new(Transport::Udp);
    let mut invite = call(lone.flow);
    invite.body = Some(Body::sdp(OFFER));
    let id = lone.endpoint.invite(lone.now, invite).expect("room for a call");
    lone.drain();
    lone.invite = Some(lone.last("INVITE").message.clone());
    lone.answer("INVITE", 183, "bob", more);
    (lone, id)
}

fn answered_early() -> (Lone, DialogId) {
    let (mut lone, id) = ringing(&described(&format!("Require: 100rel\nRSeq: 5\n{BOB}")));
    lone.answer("PRACK", 200, "", "");
    (lone, id)
}

fn update(lone: &mut Lone, id: DialogId, fork: u8) -> Result<(), SipError> {
    let done = lone.endpoint.update(lone.now, id, fork, Some(Body::sdp(OFFER)), Vec::new());
    lone.drain();
    done
}

fn reply(lone: &mut Lone, txn: TxnId, response: Response) {
    lone.endpoint.reply(lone.now, txn, response);
    lone.drain();
}

fn asked(lone: &Lone) -> (u8, TxnId) {
    match lone.events.last() {
        Some(Event::Update { fork, txn, .. }) => (*fork, *txn),
        other => panic!("no UPDATE: {other:?}"),
    }
}

/// A request of the side we called, in the early dialog with that tag.
fn from_callee(lone: &Lone, method: &str, tag: &str, cseq: u32, more: &str) -> String {
    let ours = lone.invite.as_ref().expect("a call was started");
    let (call_id, local) = (ours.call_id().unwrap(), ours.from().unwrap().tag().unwrap());
    let serial = lone.sent.len();
    format!(
        "{method} sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-{tag}{cseq}{serial}\n\
         From: <sip:bob@10.0.0.2>;tag={tag}\nTo: <sip:alice@10.0.0.1>;tag={local}\nCall-ID: {call_id}\n\
         CSeq: {cseq} {method}\nMax-Forwards: 70\n{more}"
    )
}

#[test]
fn an_update_without_body_is_answered_at_once_and_moves_the_target() {
    let (mut lone, id, tag) = established();
    let moved = "Contact: <sip:alice@10.0.0.77:5070>\nAllow: INVITE, UPDATE\n";
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, moved));
    assert_eq!(lone.words(), ["200"]);
    assert!(lone.last("200").header(HeaderName::Contact).contains("10.0.0.1"));
    assert!(lone.events.is_empty(), "{:?}", lone.events);
    assert_eq!(lone.endpoint.dialog(id).unwrap().remote_target(), "sip:alice@10.0.0.77:5070");
    assert!(lone.endpoint.allows(id, &Method::Update) && !lone.endpoint.allows(id, &Method::Refer));
}

#[test]
fn an_offer_in_an_update_is_the_users_to_answer() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, &described("")));
    assert!(matches!(lone.events[..], [Event::Update { dialog, fork: 0, .. }] if dialog == id));
    let (_, txn) = asked(&lone);
    // Whatever comes before the answer is told to come again (RFC 3311 5.2, RFC 3261 14.2).
    lone.hear(&request("UPDATE", "z9hG4bK-v", 3, "alice", &tag, &described("")));
    lone.hear(&request("UPDATE", "z9hG4bK-w", 4, "alice", &tag, ""));
    lone.hear(&request("INVITE", "z9hG4bK-x", 5, "alice", &tag, &described("")));
    assert_eq!(lone.words(), ["500", "500", "500"]);
    assert!(lone.last("500").header(HeaderName::RetryAfter).parse::<u32>().unwrap() <= 10);
    assert_eq!(update(&mut lone, id, 0), Err(SipError::Pending));
    assert_eq!(lone.endpoint.reinvite(lone.now, id, None, Vec::new()), Err(SipError::Pending));
    reply(&mut lone, txn, Response::new(200).with_body(Body::sdp(OFFER)));
    assert!(lone.last("200").text.ends_with(OFFER));
    lone.hear(&request("UPDATE", "z9hG4bK-y", 6, "alice", &tag, &described("")));
    assert_eq!(lone.events.len(), 2);
}

#[test]
fn updates_with_offers_that_meet_are_refused_491_and_ours_is_sent_again() {
    let (mut lone, id, tag) = established();
    let began = lone.now;
    update(&mut lone, id, 0).unwrap();
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, &described("")));
    lone.hear(&request("INVITE", "z9hG4bK-v", 3, "alice", &tag, &described("")));
    assert_eq!(lone.words(), ["UPDATE", "491", "491"]);
    lone.hear(&request("UPDATE", "z9hG4bK-w", 4, "alice", &tag, ""));
    assert_eq!(lone.words()[3..], ["200"], "one without offer meets nothing");
    lone.answer("UPDATE", 491, "", "");
    assert!(lone.events.is_empty());
    // We did not make the Call-ID, so it is up to 2 s.
    lone.pass(ms(2_001));
    let times = lone.times("UPDATE");
    let waited = times[1] - (began - support::START).as_millis();
    assert!(times.len() >= 2 && waited <= 2_000, "{times:?}");
    lone.answer("UPDATE", 200, "", &described(BOB));
    assert!(matches!(lone.events[..], [Event::Updated { fork: 0, .. }]), "{:?}", lone.events);
}

/// What it met is over when it comes once more, and whoever sent it takes it for refused all the same.
#[test]
fn an_update_that_was_refused_stays_refused_when_it_is_repeated() {
    let (mut lone, id, tag) = established();
    let theirs = request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, &described(""));
    update(&mut lone, id, 0).unwrap();
    lone.hear(&theirs);
    lone.answer("UPDATE", 200, "", &described(BOB));
    lone.hear(&theirs);
    assert_eq!(lone.words(), ["UPDATE", "491", "491"]);
    assert!(matches!(lone.events[..], [Event::Updated { .. }]), "{:?}", lone.events);
}

#[test]
fn an_update_that_keeps_meeting_others_fails_in_the_end() {
    let (mut lone, id, _) = established();
    update(&mut lone, id, 0).unwrap();
    for _ in 0..4 {
        lone.answer("UPDATE", 491, "", "");
        lone.pass(ms(2_001));
    }
    assert!(matches!(lone.events[..], [Event::UpdateFailed { status: 491, .. }]), "{:?}", lone.events);
    assert_eq!(update(&mut lone, id, 0), Ok(()));
}

#[test]
fn our_update_has_one_outcome_and_a_lost_dialog_ends() {
    for (status, by) in [(Some(488), None), (Some(481), Some(Ender::Gone)), (None, Some(Ender::Unreachable))] {
        let (mut lone, id, _) = established();
        update(&mut lone, id, 0).unwrap();
        match status {
            Some(status) => lone.answer("UPDATE", status, "", ""),
            None => lone.pass(secs(33)),
        }
        let cause = if status.is_some() { FailCause::Response } else { FailCause::Timeout };
        assert!(matches!(lone.events[0], Event::UpdateFailed { cause: told, .. } if told == cause));
        match (by, &lone.events[1..]) {
            (None, []) => assert!(lone.endpoint.dialog(id).is_some()),
            (Some(by), [Event::Ended { by: told, .. }]) => assert_eq!(by, *told),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_peer_that_refuses_the_method_is_not_said_to_allow_it() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, "Allow: INVITE, UPDATE\n"));
    assert!(lone.endpoint.allows(id, &Method::Update));
    update(&mut lone, id, 0).unwrap();
    lone.answer("UPDATE", 501, "", "");
    assert!(!lone.endpoint.allows(id, &Method::Update));
}

#[test]
fn a_dialog_that_ends_takes_its_update_with_it() {
    let (mut lone, id, tag) = established();
    update(&mut lone, id, 0).unwrap();
    lone.hear(&request("BYE", "z9hG4bK-b", 2, "alice", &tag, ""));
    assert!(matches!(
        lone.events[..],
        [Event::UpdateFailed { status: 487, cause: FailCause::Cancelled, .. }, Event::Ended { by: Ender::Peer, .. }]
    ));
    lone.answer("UPDATE", 200, "", &described(BOB));
    assert_eq!(lone.events.len(), 2, "its answer comes too late");
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn their_update_without_an_answer_when_the_dialog_ends_gets_487() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, &described("")));
    let (_, txn) = asked(&lone);
    lone.hear(&request("BYE", "z9hG4bK-b", 3, "alice", &tag, ""));
    reply(&mut lone, txn, Response::new(200));
    let answers: Vec<_> = lone.sent.iter().map(|sent| (sent.status(), sent.header(HeaderName::CSeq))).collect();
    assert_eq!(answers, [(200, "3 BYE"), (487, "2 UPDATE")]);
    assert!(lone.endpoint.dialog(id).is_none());
}

#[test]
fn before_the_answer_there_is_no_other_offer_in_an_early_dialog() {
    // 180 without a word about media: the offer of our INVITE stands open.
    let (mut lone, id) = ringing(BOB);
    assert_eq!(update(&mut lone, id, 0), Err(SipError::Pending));
    let theirs = from_callee(&lone, "UPDATE", "bob", 1, &described(""));
    lone.hear(&theirs);
    assert_eq!(lone.last("491").header(HeaderName::CSeq), "1 UPDATE");
    // An UPDATE that offers nothing may be sent (RFC 3311 5.1).
    lone.endpoint.update(lone.now, id, 0, None, Vec::new()).unwrap();
    lone.drain();
    assert_eq!(lone.last("UPDATE").header(HeaderName::CSeq), "2 UPDATE");
}

#[test]
fn an_early_session_can_be_changed_once_its_answer_is_acknowledged() {
    let (mut lone, id) = answered_early();
    update(&mut lone, id, 0).unwrap();
    assert_eq!(lone.last("UPDATE").to_tag(), "bob");
    lone.answer("UPDATE", 200, "", &described(BOB));
    let theirs = from_callee(&lone, "UPDATE", "bob", 1, &described(""));
    lone.hear(&theirs);
    let (fork, txn) = asked(&lone);
    assert_eq!(fork, 0);
    reply(&mut lone, txn, Response::new(200).with_body(Body::sdp(OFFER)));
    assert!(lone.last("200").text.ends_with(OFFER));
    assert_eq!(update(&mut lone, id, 3), Err(SipError::NotEstablished));
}

#[test]
fn each_early_dialog_of_a_fork_has_offers_of_its_own() {
    let (mut lone, id) = answered_early();
    let carol = described("Require: 100rel\nRSeq: 9\nContact: <sip:carol@10.0.0.3:5060>\n");
    lone.answer("INVITE", 183, "carol", &carol);
    for (tag, expected) in [("bob", 0), ("carol", 1)] {
        let theirs = from_callee(&lone, "UPDATE", tag, 1, &described(""));
        lone.hear(&theirs);
        assert_eq!(asked(&lone).0, expected);
    }
    let (_, txn) = asked(&lone);
    assert_eq!(update(&mut lone, id, 0), Err(SipError::Pending));
    assert_eq!(update(&mut lone, id, 1), Err(SipError::Pending));
    reply(&mut lone, txn, Response::new(200).with_body(Body::sdp(OFFER)));
    update(&mut lone, id, 1).unwrap();
    assert_eq!(lone.last("UPDATE").message.request_uri(), Some("sip:carol@10.0.0.3:5060"));
}

#[test]
fn an_update_in_an_early_dialog_that_loses_fails_and_in_the_one_that_wins_goes_on() {
    for winner in ["bob", "carol"] {
        let (mut lone, id) = answered_early();
        let carol = described("Require: 100rel\nRSeq: 9\nContact: <sip:carol@10.0.0.3:5060>\n");
        lone.answer("INVITE", 183, "carol", &carol);
        update(&mut lone, id, 1).unwrap();
        lone.events.clear();
        lone.hear_repeat(200, winner);
        match winner {
            "bob" => assert!(matches!(
                lone.events[..],
                [Event::UpdateFailed { fork: 1, status: 487, .. }, Event::Answered { fork: 0, .. }]
            )),
            _ => {
                assert!(matches!(lone.events[..], [Event::Answered { fork: 1, .. }]));
                lone.endpoint.ack(lone.now, id, None);
                lone.answer("UPDATE", 200, "", &described(BOB));
                assert!(matches!(lone.events[1..], [Event::Updated { fork: 0, .. }]), "{:?}", lone.events);
            }
        }
    }
}

#[test]
fn the_called_side_updates_an_early_session_only_behind_the_prack() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", &described("Supported: 100rel\n")));
    let id = lone.invited();
    // Their offer is open.
    let early = described("");
    lone.endpoint.respond(lone.now, id, Response::new(180));
    lone.drain();
    let tag = lone.last("180").to_tag();
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, &early));
    assert_eq!(lone.last("500").header(HeaderName::CSeq), "2 UPDATE");
    assert_eq!(update(&mut lone, id, 0), Err(SipError::Pending));
    lone.endpoint.respond(lone.now, id, Response::new(183).with_body(Body::sdp(OFFER)).reliably());
    lone.drain();
    assert_eq!(update(&mut lone, id, 0), Err(SipError::Pending));
    let rack = format!("RAck: {} 1 INVITE\n", lone.last("183").header(HeaderName::RSeq));
    lone.hear(&request("PRACK", "z9hG4bK-p", 3, "alice", &tag, &rack));
    update(&mut lone, id, 0).unwrap();
    // Ours is open now.
    lone.hear(&request("UPDATE", "z9hG4bK-v", 4, "alice", &tag, &early));
    assert_eq!(lone.last("491").header(HeaderName::CSeq), "4 UPDATE");
    lone.answer("UPDATE", 200, "", &described("Contact: <sip:alice@10.0.0.2>\n"));
    lone.hear(&request("UPDATE", "z9hG4bK-w", 5, "alice", &tag, &early));
    let (_, txn) = asked(&lone);
    reply(&mut lone, txn, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "1 INVITE");
}

/// Behind a 2xx that carries our offer, the ACK brings the answer; until then another offer meets it.
#[test]
fn an_update_before_the_ack_with_the_answer_is_refused_491() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    let tag = lone.last("200").to_tag();
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, &described("")));
    assert_eq!(lone.words(), ["200", "491"]);
    assert_eq!(update(&mut lone, id, 0), Err(SipError::Pending));
}

#[test]
fn a_body_that_is_no_session_is_refused_415() {
    let (mut lone, _, tag) = established();
    let body = "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, body));
    assert_eq!(lone.words(), ["415"]);
}
