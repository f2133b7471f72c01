//! Our provisional responses that must be acknowledged: RFC 3262 3.

use crate::support;

use crate::support::lone::{Lone, invite, request, response};
use crate::support::{OFFER, ms, secs};
use hookswitch_sip::{
    Body, DialogId, Ender, EndpointConfig, Event, FailCause, MAX_QUEUED_PROVISIONALS, Response, Transport,
};
use hookswitch_sip_msg::HeaderName;

const SUPPORTED: &str = "Supported: 100rel\n";

fn with_offer(headers: &str) -> String {
    format!("{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}", OFFER.len())
}

/// A call that came in with those header lines.
fn called(headers: &str) -> (Lone, DialogId) {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", headers));
    let id = lone.invited();
    (lone, id)
}

fn respond(lone: &mut Lone, id: DialogId, response: Response) {
    lone.endpoint.respond(lone.now, id, response);
    lone.drain();
}

fn described(status: u16) -> Response {
    Response::new(status).with_body(Body::sdp(OFFER))
}

/// The other side acknowledges the last response with that status.
fn prack(lone: &mut Lone, status: &str, branch: &str, cseq: u32, body: bool) {
    let sent = lone.last(status);
    let (rseq, tag) = (sent.header(HeaderName::RSeq).to_owned(), sent.to_tag());
    let rack = format!("RAck: {rseq} 1 INVITE\n");
    let more = if body { with_offer(&rack) } else { rack };
    lone.hear(&request("PRACK", branch, cseq, "alice", &tag, &more));
}

#[test]
fn a_reliable_response_is_repeated_with_doubling_intervals_until_its_prack() {
    let (mut lone, id) = called(SUPPORTED);
    respond(&mut lone, id, Response::new(183).reliably());
    let sent = lone.last("183");
    assert_eq!(sent.header(HeaderName::Require), "100rel");
    let rseq: u32 = sent.header(HeaderName::RSeq).parse().unwrap();
    assert!((1..1 << 31).contains(&rseq));
    lone.pass(secs(10));
    assert_eq!(lone.times("183"), [0, 500, 1_500, 3_500, 7_500]);
    prack(&mut lone, "183", "z9hG4bK-p", 2, false);
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "2 PRACK");
    lone.pass(secs(40));
    assert_eq!(lone.times("183").len(), 5);
    assert_eq!(lone.events.len(), 1, "a PRACK without body is nobody's business: {:?}", lone.events);
    respond(&mut lone, id, Response::new(200));
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "1 INVITE");
}

#[test]
fn who_cannot_acknowledge_gets_plain_responses_and_who_insists_only_reliable_ones() {
    for (headers, asked, reliable) in [
        ("", true, false),
        (SUPPORTED, false, false),
        (SUPPORTED, true, true),
        ("Require: 100rel\n", false, true),
        ("Supported: timer\nSupported: foo, 100REL\n", true, true),
    ] {
        let (mut lone, id) = called(headers);
        respond(&mut lone, id, Response { reliable: asked, ..Response::new(180) });
        assert_eq!(!lone.last("180").header(HeaderName::RSeq).is_empty(), reliable, "{headers}");
        assert_eq!(!lone.last("180").header(HeaderName::Require).is_empty(), reliable, "{headers}");
    }
    let config = EndpointConfig { supported: Vec::new(), ..support::config(support::addr(support::HERE)) };
    let mut lone = Lone::with(Transport::Udp, config);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", SUPPORTED));
    let id = lone.invited();
    respond(&mut lone, id, Response::new(180).reliably());
    assert!(lone.last("180").header(HeaderName::RSeq).is_empty(), "nor do we when we are told not to");
    lone.hear(&invite("z9hG4bK-in2", 1, "carol", "Require: 100rel\n"));
    assert_eq!(lone.last("420").header(HeaderName::Unsupported), "100rel");

    let (mut lone, _) = called("Require: 100rel\n");
    lone.pass(secs(1));
    assert!(lone.last("100").header(HeaderName::RSeq).is_empty(), "100 is never reliable");
}

#[test]
fn a_call_whose_reliable_response_gets_no_prack_is_refused_after_64_t1() {
    let (mut lone, id) = called(SUPPORTED);
    respond(&mut lone, id, Response::new(183).reliably());
    lone.pass(ms(31_999));
    assert!(lone.times("504").is_empty());
    lone.pass(ms(1));
    assert_eq!(lone.times("504"), [32_000]);
    assert_eq!(lone.times("183").len(), 7, "at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s");
    assert!(matches!(lone.events[1..], [Event::Failed { status: 504, cause: FailCause::Timeout, .. }]));
    assert!(lone.endpoint.dialog(id).is_none());
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn the_next_reliable_response_waits_for_the_prack_of_the_one_before() {
    let (mut lone, id) = called(SUPPORTED);
    for status in [183, 180, 182] {
        respond(&mut lone, id, Response::new(status).reliably());
    }
    assert_eq!(lone.words(), ["183"]);
    prack(&mut lone, "183", "z9hG4bK-p1", 2, false);
    assert_eq!(lone.words(), ["183", "200", "180"]);
    let number = |lone: &Lone, word| lone.last(word).header(HeaderName::RSeq).parse::<u32>().unwrap();
    assert_eq!(number(&lone, "180"), number(&lone, "183") + 1);
    prack(&mut lone, "180", "z9hG4bK-p2", 3, false);
    assert_eq!(lone.words()[3..], ["200", "182"]);
    assert_eq!(number(&lone, "182"), number(&lone, "183") + 2);
}

#[test]
fn the_queue_behind_an_unacknowledged_response_has_an_end() {
    let (mut lone, id) = called(SUPPORTED);
    for status in 0..20 {
        respond(&mut lone, id, Response::new(180 + status).reliably());
    }
    for round in 0..20 {
        let last = lone.words().last().unwrap().clone();
        if last == "200" {
            break;
        }
        prack(&mut lone, &last, &format!("z9hG4bK-p{round}"), 2 + round, false);
    }
    let sent: Vec<_> = lone.words().into_iter().filter(|word| word.starts_with('1')).collect();
    assert_eq!(sent.len(), 1 + MAX_QUEUED_PROVISIONALS);
    assert_eq!(sent.last().unwrap(), "199", "the newest has replaced those that found no room");
}

#[test]
fn a_prack_that_matches_nothing_is_answered_481() {
    let (mut lone, id) = called(SUPPORTED);
    respond(&mut lone, id, Response::new(183).reliably());
    let tag = lone.last("183").to_tag();
    let rseq: u32 = lone.last("183").header(HeaderName::RSeq).parse().unwrap();
    let wrong = [
        format!("RAck: {} 1 INVITE\n", rseq + 1),
        format!("RAck: {rseq} 2 INVITE\n"),
        format!("RAck: {rseq} 1 UPDATE\n"),
        String::from("RAck: what\n"),
        String::new(),
    ];
    for (at, rack) in wrong.iter().enumerate() {
        lone.hear(&request("PRACK", &format!("z9hG4bK-w{at}"), 2, "alice", &tag, rack));
    }
    assert_eq!(lone.words()[1..], ["481"; 5]);
    prack(&mut lone, "183", "z9hG4bK-p", 3, false);
    assert_eq!(lone.words()[6..], ["200"]);
    // A repeat in the same transaction gets the same answer, a second PRACK for the same response none of that kind.
    prack(&mut lone, "183", "z9hG4bK-p", 3, false);
    prack(&mut lone, "183", "z9hG4bK-q", 4, false);
    assert_eq!(lone.words()[7..], ["200", "481"]);
}

#[test]
fn a_prack_in_no_dialog_is_answered_481() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&request("PRACK", "z9hG4bK-p", 2, "alice", "", "RAck: 1 1 INVITE\n"));
    lone.hear(&request("PRACK", "z9hG4bK-q", 2, "alice", "nosuch", "RAck: 1 1 INVITE\n"));
    assert_eq!(lone.words(), ["481", "481"]);
}

#[test]
fn a_2xx_waits_for_the_prack_of_a_description_but_not_of_a_bare_response() {
    let (mut lone, id) = called(&with_offer(SUPPORTED));
    respond(&mut lone, id, described(183).reliably());
    respond(&mut lone, id, Response::new(200));
    assert_eq!(lone.words(), ["183"]);
    prack(&mut lone, "183", "z9hG4bK-p", 2, false);
    assert_eq!(lone.words(), ["183", "200", "200"]);
    assert_eq!(lone.sent[1].header(HeaderName::CSeq), "2 PRACK");
    assert_eq!(lone.sent[2].header(HeaderName::CSeq), "1 INVITE");

    let (mut lone, id) = called(&with_offer(SUPPORTED));
    respond(&mut lone, id, Response::new(180).reliably());
    respond(&mut lone, id, described(200));
    assert_eq!(lone.words(), ["180", "200"]);
    lone.pass(ms(600));
    assert_eq!(lone.times("180"), [0], "a final answer ends the repeats");
    prack(&mut lone, "180", "z9hG4bK-p", 2, false);
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "2 PRACK", "but the PRACK is answered");
}

#[test]
fn a_2xx_waits_behind_a_description_that_is_still_queued() {
    let (mut lone, id) = called(&with_offer(SUPPORTED));
    respond(&mut lone, id, Response::new(180).reliably());
    respond(&mut lone, id, described(183).reliably());
    respond(&mut lone, id, Response::new(200));
    respond(&mut lone, id, Response::new(182).reliably());
    assert_eq!(lone.words(), ["180"]);
    prack(&mut lone, "180", "z9hG4bK-p", 2, false);
    assert_eq!(lone.words(), ["180", "200", "183"]);
    prack(&mut lone, "183", "z9hG4bK-q", 3, false);
    assert_eq!(lone.words()[3..], ["200", "200"]);
    let tag = lone.last("200").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-a", 1, "alice", &tag, ""));
    assert!(matches!(lone.events.last(), Some(Event::Acked { .. })));
}

#[test]
fn a_2xx_that_waits_for_a_prack_in_vain_becomes_a_504() {
    let (mut lone, id) = called(&with_offer(SUPPORTED));
    respond(&mut lone, id, described(183).reliably());
    respond(&mut lone, id, Response::new(200));
    lone.settle();
    assert_eq!(lone.times("504")[0], 32_000);
    assert!(lone.times("200").is_empty());
    assert!(matches!(lone.events[1..], [Event::Failed { status: 504, .. }]), "{:?}", lone.events);
    lone.assert_nothing_left();
}

#[test]
fn an_answer_that_is_taken_back_while_it_waits_for_a_prack_refuses_the_call_and_that_is_its_end() {
    let (mut lone, id) = called(&with_offer(SUPPORTED));
    respond(&mut lone, id, described(183).reliably());
    respond(&mut lone, id, Response::new(200));
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    assert_eq!(lone.words(), ["183", "480"]);
    assert!(matches!(lone.events[1..], [Event::Ended { by: Ender::Local, .. }]), "{:?}", lone.events);
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_refusal_does_not_wait() {
    let (mut lone, id) = called(&with_offer(SUPPORTED));
    respond(&mut lone, id, described(183).reliably());
    respond(&mut lone, id, Response::new(486));
    assert_eq!(lone.words(), ["183", "486"]);
    lone.settle();
    assert_eq!(lone.times("183").len(), 1);
    lone.assert_nothing_left();
}

#[test]
fn the_answer_in_a_prack_reaches_the_user_and_then_the_2xx_goes_out() {
    let (mut lone, id) = called(SUPPORTED);
    respond(&mut lone, id, described(183).reliably());
    prack(&mut lone, "183", "z9hG4bK-p", 2, true);
    let Some(Event::Prack { dialog, txn, request }) = lone.events.last().cloned() else {
        panic!("{:?}", lone.events);
    };
    assert_eq!((dialog, request.body_bytes()), (id, OFFER.as_bytes()));
    lone.pass(secs(5));
    assert_eq!(lone.times("183"), [0], "it is acknowledged, answered or not");
    respond(&mut lone, id, Response::new(200));
    assert!(lone.times("200").is_empty(), "the PRACK comes first");
    lone.endpoint.reply(lone.now, txn, Response::new(200));
    lone.drain();
    let of: Vec<_> = lone.sent.iter().rev().take(2).map(|sent| sent.header(HeaderName::CSeq)).collect();
    assert_eq!(of, ["1 INVITE", "2 PRACK"]);
}

#[test]
fn a_new_offer_in_a_prack_is_answered_in_its_200() {
    let (mut lone, id) = called(&with_offer(SUPPORTED));
    respond(&mut lone, id, described(183).reliably());
    prack(&mut lone, "183", "z9hG4bK-p", 2, true);
    let Some(Event::Prack { txn, .. }) = lone.events.last() else {
        panic!("{:?}", lone.events);
    };
    let txn = *txn;
    lone.endpoint.reply(lone.now, txn, described(200));
    lone.drain();
    assert!(lone.last("200").text.ends_with(OFFER));
}

#[test]
fn a_prack_that_crosses_the_cancel_finds_no_dialog_and_is_not_waited_for() {
    let (mut lone, id) = called(SUPPORTED);
    respond(&mut lone, id, Response::new(183).reliably());
    lone.hear(&invite("z9hG4bK-in", 1, "alice", SUPPORTED).replace("INVITE", "CANCEL"));
    prack(&mut lone, "183", "z9hG4bK-p", 2, false);
    let answers: Vec<_> = lone.sent[1..].iter().map(|sent| (sent.status(), sent.header(HeaderName::CSeq))).collect();
    assert_eq!(answers, [(200, "1 CANCEL"), (487, "1 INVITE"), (481, "2 PRACK")]);
    assert!(matches!(lone.events[1..], [Event::Cancelled { .. }]));
    lone.settle();
    assert_eq!(lone.times("183"), [0], "nothing is repeated behind the end");
    lone.assert_nothing_left();
}

#[test]
fn what_is_left_of_a_cancelled_call_is_answered_once() {
    let (mut lone, id) = called(SUPPORTED);
    respond(&mut lone, id, described(183).reliably());
    prack(&mut lone, "183", "z9hG4bK-p", 2, true);
    let Some(Event::Prack { txn, .. }) = lone.events.last() else {
        panic!("{:?}", lone.events);
    };
    let txn = *txn;
    let cancel = invite("z9hG4bK-in", 1, "alice", SUPPORTED).replace("INVITE", "CANCEL");
    lone.hear(&cancel);
    lone.endpoint.reply(lone.now, txn, Response::new(200));
    lone.drain();
    let answers: Vec<_> = lone.sent[1..].iter().map(|sent| (sent.status(), sent.header(HeaderName::CSeq))).collect();
    assert_eq!(answers, [(200, "1 CANCEL"), (487, "1 INVITE"), (487, "2 PRACK")]);
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_call_that_rings_on_behind_its_prack_is_refreshed_with_a_new_number() {
    let (mut lone, id) = called("Require: 100rel\n");
    respond(&mut lone, id, Response::new(180));
    prack(&mut lone, "180", "z9hG4bK-p", 2, false);
    let first: u32 = lone.last("180").header(HeaderName::RSeq).parse().unwrap();
    lone.pass(secs(61));
    assert_eq!(lone.times("180")[..2], [0, 60_000]);
    let second: u32 = lone.last("180").header(HeaderName::RSeq).parse().unwrap();
    assert_eq!(second, first + 1);
}

#[test]
fn a_second_invite_behind_a_reliable_answer_is_still_told_to_wait() {
    let (mut lone, id) = called(&with_offer(SUPPORTED));
    respond(&mut lone, id, described(183).reliably());
    prack(&mut lone, "183", "z9hG4bK-p", 2, false);
    let tag = lone.last("183").to_tag();
    lone.hear(&request("INVITE", "z9hG4bK-re", 3, "alice", &tag, &with_offer("")));
    assert!(!lone.last("500").header(HeaderName::RetryAfter).is_empty());
    respond(&mut lone, id, Response::new(200));
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "1 INVITE");
}

#[test]
fn a_repeated_invite_gets_the_last_response_again() {
    let (mut lone, id) = called(SUPPORTED);
    respond(&mut lone, id, Response::new(180).reliably());
    lone.hear(&invite("z9hG4bK-in", 1, "alice", SUPPORTED));
    assert_eq!(lone.words(), ["180", "180"]);
    assert_eq!(lone.sent[0].text, lone.sent[1].text);
}

#[test]
fn a_reinvite_whose_reliable_response_gets_no_prack_leaves_the_call_standing() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.pass(secs(33));
    lone.forget();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, "Require: 100rel\n"));
    respond(&mut lone, id, Response::new(183));
    lone.pass(secs(33));
    assert_eq!(lone.times("504").len(), 2, "repeated until its ACK");
    assert!(matches!(lone.events[..], [Event::Reinvite { .. }, Event::ReinviteCancelled { request: None, .. }]));
    assert!(lone.endpoint.dialog(id).is_some());
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    let bye = response(&lone.last("BYE").message, 200, "", "");
    lone.hear(&bye);
    assert!(matches!(lone.events.last(), Some(Event::Ended { by: Ender::Local, .. })));
}
