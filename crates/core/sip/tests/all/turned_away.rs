//! Strangers are refused without a trace.

use crate::support::lone::{Lone, invite, request};
use hookswitch_sip::{Event, Header, Response, Transport};
use hookswitch_sip_msg::HeaderName;

fn challenge() -> Response {
    Response::new(401).with_header(Header::new(HeaderName::WwwAuthenticate, "Digest realm=\"x\""))
}

#[test]
fn a_call_that_is_turned_away_leaves_nothing_and_is_answered_anew_each_time() {
    let mut lone = Lone::new(Transport::Udp);
    for _ in 0..2 {
        lone.hear(&invite("z9hG4bK-in", 1, "mallory", ""));
        let Some(Event::Invite { dialog, request, flow }) = lone.events.pop() else { panic!("no call") };
        lone.endpoint.turn_away(dialog, &request, flow, &challenge());
        lone.drain();
        lone.assert_nothing_left();
    }
    assert_eq!(lone.words(), ["401", "401"]);
    assert_eq!(lone.sent[0].to_tag(), lone.sent[1].to_tag(), "a repeat gets the same tag");
    assert_eq!(lone.last("401").header(HeaderName::WwwAuthenticate), "Digest realm=\"x\"");
    let tag = lone.last("401").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-in", 1, "mallory", &tag, ""));
    lone.settle();
    assert_eq!(lone.words(), ["401", "401"], "nothing is repeated");
    // The same call with credentials is let in.
    lone.hear(&invite("z9hG4bK-in2", 2, "mallory", ""));
    assert!(matches!(lone.events[..], [Event::Invite { .. }]));
}

#[test]
fn only_what_has_no_answer_yet_can_be_turned_away() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let Some(Event::Invite { dialog, request, flow }) = lone.events.pop() else { panic!("no call") };
    lone.endpoint.respond(lone.now, dialog, Response::new(200));
    lone.endpoint.turn_away(dialog, &request, flow, &challenge());
    lone.drain();
    assert_eq!(lone.words(), ["200"]);
    assert!(lone.endpoint.dialog(dialog).is_some());
}

#[test]
fn other_requests_can_be_turned_away_too() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&request("REGISTER", "z9hG4bK-r", 1, "mallory", "", ""));
    let Some(Event::Request { txn, request, flow, .. }) = lone.events.pop() else { panic!("no request") };
    lone.endpoint.turn_away_request(txn, &request, flow, &challenge());
    lone.endpoint.reply(lone.now, txn, Response::new(200));
    lone.endpoint.turn_away_request(txn, &request, flow, &challenge());
    lone.drain();
    assert_eq!(lone.words(), ["401"], "once");
    lone.assert_nothing_left();
}
