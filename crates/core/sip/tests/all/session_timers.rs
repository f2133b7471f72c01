//! Sessions that expire unless somebody refreshes them: RFC 4028.

use crate::support;

use crate::support::lone::{Lone, call, invite, request};
use crate::support::{HERE, OFFER, addr, secs};
use hookswitch_sip::{
    Body, Dialog, DialogId, Ender, Endpoint, EndpointConfig, Event, Invite, Refresher, Response, Transport,
};
use hookswitch_sip_msg::HeaderName;

const BOB: &str = "Contact: <sip:bob@10.0.0.2:5060>\n";
const UPDATES: &str = "Contact: <sip:bob@10.0.0.2:5060>\nAllow: INVITE, ACK, BYE, UPDATE\n";

fn with_timers() -> EndpointConfig {
    EndpointConfig { session_expires: secs(1_800), ..support::config(addr(HERE)) }
}

fn described(headers: &str) -> String {
    format!("{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}", OFFER.len())
}

fn calling(config: EndpointConfig, order: impl FnOnce(&mut Invite)) -> (Lone, DialogId) {
    let mut lone = Lone::with(Transport::Udp, config);
    let mut invite = call(lone.flow);
    invite.body = Some(Body::sdp(OFFER));
    order(&mut invite);
    let id = lone.endpoint.invite(lone.now, invite).expect("room for a call");
    lone.drain();
    (lone, id)
}

/// A call of ours that was answered with those header lines.
fn answered(more: &str) -> (Lone, DialogId) {
    let (mut lone, id) = calling(with_timers(), |_| {});
    lone.answer("INVITE", 200, "bob", more);
    lone.endpoint.ack(lone.now, id, None);
    lone.drain();
    lone.forget();
    (lone, id)
}

/// A call of theirs with those header lines, which was answered; our tag.
fn called(config: EndpointConfig, more: &str) -> (Lone, DialogId, String) {
    let mut lone = Lone::with(Transport::Udp, config);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", &described(more)));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    let tag = lone.last("200").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    (lone, id, tag)
}

fn seconds(lone: &Lone, word: &str) -> Vec<u128> {
    lone.times(word).into_iter().map(|time| time / 1_000).collect()
}

fn ended(lone: &Lone) -> Option<Ender> {
    lone.events.iter().find_map(|event| match event {
        Event::Ended { by, .. } => Some(*by),
        _ => None,
    })
}

#[test]
fn an_invite_asks_for_a_timer_as_configured() {
    let cases = [
        (secs(1_800), secs(90), Refresher::Either, "1800", ""),
        (secs(1_800), secs(90), Refresher::Ours, "1800;refresher=uac", ""),
        (secs(1_800), secs(90), Refresher::Theirs, "1800;refresher=uas", ""),
        (secs(1_800), secs(300), Refresher::Either, "1800", "300"),
        // What RFC 4028 does not allow is not asked for.
        (secs(20), secs(10), Refresher::Either, "90", ""),
        (secs(0), secs(90), Refresher::Ours, "", ""),
    ];
    for (session_expires, min_se, refresher, said, least) in cases {
        let (lone, _) = calling(EndpointConfig { session_expires, min_se, refresher, ..with_timers() }, |_| {});
        let invite = lone.last("INVITE");
        assert_eq!((invite.header(HeaderName::SessionExpires), invite.header(HeaderName::MinSe)), (said, least));
        assert_eq!(invite.header(HeaderName::Supported).contains("timer"), !said.is_empty());
    }
}

#[test]
fn we_refresh_by_update_at_half_time_when_the_other_side_takes_it() {
    let (mut lone, id) = answered(&format!("{UPDATES}Session-Expires: 600;refresher=uac\n"));
    lone.pass(secs(300));
    assert_eq!(seconds(&lone, "UPDATE"), [300]);
    let update = lone.last("UPDATE");
    assert_eq!(update.header(HeaderName::SessionExpires), "600;refresher=uac");
    assert!(update.message.body_bytes().is_empty());
    lone.answer("UPDATE", 200, "", &format!("{UPDATES}Session-Expires: 600;refresher=uac\n"));
    lone.pass(secs(300));
    assert_eq!(seconds(&lone, "UPDATE"), [300, 600], "half an interval behind the answer");
    assert!(lone.events.is_empty(), "{:?}", lone.events);
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    lone.answer("BYE", 200, "", "");
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn we_refresh_by_invite_with_what_we_said_last_when_there_is_no_update() {
    let (mut lone, id) = answered(&format!("{BOB}Allow: INVITE, ACK\nSession-Expires: 600;refresher=uac\n"));
    lone.pass(secs(300));
    assert_eq!(seconds(&lone, "INVITE"), [300]);
    assert!(lone.last("INVITE").text.ends_with(OFFER));
    assert_eq!(lone.last("INVITE").header(HeaderName::ContentType), "application/sdp");
    assert_eq!(lone.last("INVITE").header(HeaderName::SessionExpires), "600;refresher=uac");
    let said = described(&format!("{BOB}Session-Expires: 600;refresher=uac\n"));
    lone.answer("INVITE", 200, "", &said);
    lone.answer("INVITE", 200, "", &said);
    assert_eq!(lone.words(), ["INVITE", "ACK", "ACK"], "the endpoint acknowledges, and every repeat");
    assert!(matches!(lone.events[..], [Event::Refreshed { dialog, .. }] if dialog == id));
    lone.pass(secs(301));
    assert_eq!(seconds(&lone, "INVITE")[..2], [300, 600]);
}

#[test]
fn a_refresh_repeats_the_answer_that_went_out_with_an_ack() {
    let (mut lone, id) = calling(with_timers(), |invite| invite.body = None);
    lone.answer("INVITE", 200, "bob", &described(&format!("{BOB}Session-Expires: 600;refresher=uac\n")));
    lone.endpoint.ack(lone.now, id, Some(Body::sdp("v=0\r\ns=answer\r\n")));
    lone.drain();
    lone.pass(secs(300));
    assert!(lone.last("INVITE").text.ends_with("s=answer\r\n"));
}

#[test]
fn a_session_that_the_other_side_does_not_refresh_expires() {
    let (mut lone, id) = answered(&format!("{UPDATES}Session-Expires: 600;refresher=uas\n"));
    lone.pass(secs(567));
    assert!(lone.words().is_empty());
    lone.pass(secs(1));
    assert_eq!(seconds(&lone, "BYE"), [568], "32 s before the end (RFC 4028 10)");
    assert_eq!(ended(&lone), Some(Ender::Expired));
    assert!(lone.endpoint.dialog(id).is_none());
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn their_refreshes_keep_a_session() {
    let (mut lone, id, tag) = called(with_timers(), "Supported: timer\nSession-Expires: 600;refresher=uac\n");
    assert_eq!(lone.last("200").header(HeaderName::SessionExpires), "600;refresher=uac");
    assert_eq!(lone.last("200").header(HeaderName::Require), "timer");
    lone.pass(secs(500));
    let again = "Supported: timer\nSession-Expires: 600;refresher=uac\n";
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, again));
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "2 UPDATE");
    assert_eq!(lone.last("200").header(HeaderName::SessionExpires), "600;refresher=uac");
    lone.pass(secs(500));
    lone.hear(&request("INVITE", "z9hG4bK-re", 3, "alice", &tag, &described(again)));
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    lone.hear(&request("ACK", "z9hG4bK-a", 3, "alice", &tag, ""));
    lone.pass(secs(500));
    assert!(ended(&lone).is_none() && lone.times("BYE").is_empty());
    // A refused one keeps nothing.
    lone.hear(&request("INVITE", "z9hG4bK-re2", 4, "alice", &tag, &described(again)));
    lone.endpoint.respond(lone.now, id, Response::new(488));
    lone.drain();
    lone.pass(secs(68));
    assert_eq!(ended(&lone), Some(Ender::Expired));
}

#[test]
fn a_caller_who_does_not_know_timers_is_refreshed_by_us() {
    let (mut lone, _, _) = called(with_timers(), "");
    assert_eq!(lone.last("200").header(HeaderName::SessionExpires), "1800;refresher=uas");
    assert_eq!(lone.last("200").header(HeaderName::Require), "");
    lone.forget();
    lone.pass(secs(900));
    assert!(lone.last("INVITE").text.ends_with(OFFER), "it has not said that it takes UPDATE");
    lone.answer("INVITE", 200, "", &described(BOB));
    assert!(matches!(lone.events[..], [Event::Refreshed { .. }]));
}

#[test]
fn a_2xx_without_session_expires_is_a_session_without_end() {
    let (mut lone, id) = answered(UPDATES);
    lone.pass(secs(80_000));
    assert!(lone.words().is_empty());
    assert!(lone.endpoint.dialog(id).is_some());
}

#[test]
fn switched_off_there_is_no_timer_and_nobody_may_require_one() {
    let off = EndpointConfig { session_expires: secs(0), ..with_timers() };
    let (mut lone, id, tag) = called(off.clone(), "Supported: timer\nSession-Expires: 90;refresher=uac\n");
    assert_eq!(lone.last("200").header(HeaderName::SessionExpires), "");
    lone.hear(&request("UPDATE", "z9hG4bK-u", 2, "alice", &tag, "Require: timer\n"));
    assert_eq!(lone.last("420").header(HeaderName::Unsupported), "timer");
    lone.pass(secs(80_000));
    assert!(lone.endpoint.dialog(id).is_some());
}

#[test]
fn an_interval_that_is_too_small_is_refused_422() {
    let config = EndpointConfig { min_se: secs(300), ..with_timers() };
    let mut lone = Lone::with(Transport::Udp, config.clone());
    let small = "Supported: timer\nSession-Expires: 299\n";
    lone.hear(&invite("z9hG4bK-in", 1, "alice", small));
    assert_eq!(lone.last("422").header(HeaderName::MinSe), "300");
    assert!(lone.events.is_empty());
    // Who cannot do better is taken as it is.
    lone.hear(&invite("z9hG4bK-in2", 1, "carol", "Session-Expires: 299\n"));
    assert_eq!(lone.events.len(), 1);

    let (mut lone, id, tag) = called(config, "Supported: timer\nSession-Expires: 400\n");
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described(small)));
    lone.hear(&request("UPDATE", "z9hG4bK-u", 3, "alice", &tag, small));
    assert_eq!(lone.words()[1..], ["422", "422"]);
    assert!(lone.endpoint.dialog(id).is_some());
}

#[test]
fn a_422_is_answered_by_asking_for_more_and_nobody_is_told() {
    let (mut lone, id) = calling(with_timers(), |_| {});
    lone.answer("INVITE", 422, "proxy", "Min-SE: 2400\n");
    let again = lone.last("INVITE");
    assert_eq!(again.header(HeaderName::CSeq), "2 INVITE");
    assert_eq!((again.header(HeaderName::SessionExpires), again.header(HeaderName::MinSe)), ("2400", "2400"));
    assert_eq!(again.message.count(HeaderName::SessionExpires), 1);
    assert!(again.text.ends_with(OFFER));
    assert_eq!(lone.words(), ["INVITE", "ACK", "INVITE"]);
    // Another on the way wants still more.
    lone.answer("INVITE", 422, "bob", "Min-SE: 3600\n");
    assert_eq!(lone.last("INVITE").header(HeaderName::MinSe), "3600");
    lone.answer("INVITE", 200, "bob", &format!("{UPDATES}Session-Expires: 3600;refresher=uac\n"));
    assert!(matches!(lone.events[..], [Event::Answered { .. }]), "{:?}", lone.events);
    lone.endpoint.ack(lone.now, id, None);
    lone.drain();
    assert_eq!(lone.last("ACK").header(HeaderName::CSeq), "3 ACK");
    lone.pass(secs(1_800));
    let update = lone.last("UPDATE");
    assert_eq!(
        (update.header(HeaderName::SessionExpires), update.header(HeaderName::MinSe)),
        ("3600;refresher=uac", "3600")
    );
}

#[test]
fn a_422_that_asks_for_nothing_new_is_a_refusal() {
    for more in ["", "Min-SE: 1800\n", "Min-SE: 90\n"] {
        let (mut lone, _) = calling(with_timers(), |_| {});
        lone.answer("INVITE", 422, "bob", more);
        assert!(matches!(lone.events[..], [Event::Failed { status: 422, .. }]), "{more}");
    }
    let (mut lone, _) = calling(with_timers(), |_| {});
    for step in 1..10 {
        lone.answer("INVITE", 422, "bob", &format!("Min-SE: {}\n", 2_000 * step));
    }
    assert!(matches!(lone.events[..], [Event::Failed { status: 422, .. }]), "it does not go on for ever");
    assert_eq!(lone.times("INVITE").len(), 5);
}

#[test]
fn a_422_to_a_refresh_or_a_change_is_answered_the_same_way() {
    let (mut lone, id) = answered(&format!("{UPDATES}Session-Expires: 600;refresher=uac\n"));
    lone.pass(secs(300));
    lone.answer("UPDATE", 422, "", "Min-SE: 900\n");
    assert_eq!(lone.last("UPDATE").header(HeaderName::SessionExpires), "900;refresher=uac");
    lone.answer("UPDATE", 200, "", &format!("{UPDATES}Session-Expires: 900;refresher=uac\n"));
    lone.endpoint.reinvite(lone.now, id, Some(Body::sdp(OFFER)), Vec::new()).unwrap();
    lone.drain();
    lone.answer("INVITE", 422, "", "Min-SE: 1000\n");
    assert_eq!(lone.last("INVITE").header(HeaderName::MinSe), "1000");
    lone.answer("INVITE", 200, "", &format!("{UPDATES}Session-Expires: 1000;refresher=uac\n"));
    assert!(matches!(lone.events[..], [Event::Reanswered { .. }]), "{:?}", lone.events);
}

#[test]
fn a_refused_refresh_is_tried_again_until_the_session_expires() {
    let (mut lone, _) = answered(&format!("{UPDATES}Session-Expires: 600;refresher=uac\n"));
    while ended(&lone).is_none() {
        let next = lone.endpoint.poll_timeout().expect("a timer runs");
        let known = lone.times("UPDATE").len();
        lone.pass(next - lone.now.min(next));
        if lone.times("UPDATE").len() > known {
            lone.answer("UPDATE", 500, "", "");
        }
    }
    assert_eq!(ended(&lone), Some(Ender::Expired));
    assert!(lone.times("UPDATE").len() > 3, "{:?}", seconds(&lone, "UPDATE"));
    assert_eq!(seconds(&lone, "BYE"), [568]);
    assert_eq!(lone.events.len(), 1);
}

#[test]
fn a_refresh_that_finds_nobody_ends_the_call() {
    for (status, by) in [(Some(481), Ender::Gone), (None, Ender::Unreachable)] {
        for allow in [UPDATES, BOB] {
            let (mut lone, _) = answered(&format!("{allow}Session-Expires: 600;refresher=uac\n"));
            lone.pass(secs(300));
            let word = if allow == BOB { "INVITE" } else { "UPDATE" };
            match status {
                Some(status) => lone.answer(word, status, "", ""),
                None => lone.pass(secs(33)),
            }
            assert_eq!(ended(&lone), Some(by), "{allow}");
            assert_eq!(lone.events.len(), 1);
            lone.settle();
            lone.assert_nothing_left();
        }
    }
}

#[test]
fn a_change_asked_for_during_a_refresh_waits_for_its_end() {
    for allow in [UPDATES, BOB] {
        for refused in [false, true] {
            let (mut lone, id) = answered(&format!("{allow}Session-Expires: 600;refresher=uac\n"));
            lone.pass(secs(300));
            let word = if allow == BOB { "INVITE" } else { "UPDATE" };
            lone.endpoint.reinvite(lone.now, id, Some(Body::sdp("v=0\r\n")), Vec::new()).unwrap();
            lone.drain();
            assert_eq!(lone.words(), [word]);
            let said = format!("{allow}Session-Expires: 600;refresher=uac\n");
            lone.answer(word, if refused { 500 } else { 200 }, "", &said);
            assert!(lone.last("INVITE").text.ends_with("v=0\r\n"), "{:?}", lone.words());
            lone.answer("INVITE", 200, "", &said);
            assert!(matches!(lone.events.last(), Some(Event::Reanswered { .. })));
        }
    }
}

#[test]
fn a_change_that_waits_for_a_refresh_has_its_outcome_when_the_call_ends() {
    let (mut lone, id) = answered(&format!("{UPDATES}Session-Expires: 600;refresher=uac\n"));
    lone.pass(secs(300));
    lone.endpoint.reinvite(lone.now, id, Some(Body::sdp("v=0\r\n")), Vec::new()).unwrap();
    lone.answer("UPDATE", 481, "", "");
    assert!(matches!(
        lone.events[..],
        [Event::ReinviteFailed { status: 487, .. }, Event::Ended { by: Ender::Gone, .. }]
    ));
}

#[test]
fn a_change_that_waits_for_a_refresh_is_taken_back_without_it() {
    let (mut lone, id) = answered(&format!("{BOB}Session-Expires: 600;refresher=uac\n"));
    lone.pass(secs(300));
    lone.answer("INVITE", 100, "", "");
    lone.endpoint.reinvite(lone.now, id, Some(Body::sdp("v=0\r\n")), Vec::new()).unwrap();
    lone.endpoint.cancel(lone.now, id, None);
    lone.drain();
    assert!(matches!(lone.events[..], [Event::ReinviteFailed { status: 487, .. }]));
    assert_eq!(lone.words(), ["INVITE"], "the refresh goes on");
    lone.answer("INVITE", 200, "", &described(&format!("{BOB}Session-Expires: 600;refresher=uac\n")));
    assert_eq!(lone.words(), ["INVITE", "ACK"]);
    assert!(matches!(lone.events[1..], [Event::Refreshed { .. }]));
}

#[test]
fn a_change_of_ours_refreshes_the_session_by_itself() {
    let (mut lone, id) = answered(&format!("{UPDATES}Session-Expires: 600;refresher=uac\n"));
    lone.pass(secs(290));
    lone.endpoint.reinvite(lone.now, id, Some(Body::sdp("v=0\r\n")), Vec::new()).unwrap();
    lone.drain();
    assert_eq!(lone.last("INVITE").header(HeaderName::SessionExpires), "600;refresher=uac");
    lone.answer("INVITE", 200, "", &format!("{UPDATES}Session-Expires: 600;refresher=uac\n"));
    lone.endpoint.ack(lone.now, id, None);
    lone.pass(secs(299));
    assert!(lone.times("UPDATE").is_empty());
    lone.pass(secs(1));
    assert_eq!(seconds(&lone, "UPDATE"), [590]);
}

#[test]
fn a_stored_dialog_is_refreshed_where_it_is_taken_up_again() {
    let (lone, id) = answered(&format!("{BOB}Session-Expires: 600;refresher=uac\n"));
    let stored = serde_json::to_string(lone.endpoint.dialog(id).unwrap()).unwrap();
    let dialog: Dialog = serde_json::from_str(&stored).unwrap();
    let mut next = Lone::with(Transport::Udp, with_timers());
    next.endpoint = Endpoint::new(with_timers(), [9; 32]);
    next.endpoint.adopt(dialog).unwrap();
    next.pass(secs(300));
    assert_eq!(seconds(&next, "INVITE"), [300]);
    assert!(next.last("INVITE").text.ends_with(OFFER));
}
