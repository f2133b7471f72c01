//! An INVITE without SDP: the offer travels in the 2xx, and the answer in the ACK.

use crate::support::lone::{Lone, invite, request};
use crate::support::{OFFER, secs};
use hookswitch_sip::{Body, Event, Response, Transport};
use hookswitch_sip_msg::HeaderName;

#[test]
fn the_answer_in_an_ack_reaches_the_user() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    assert!(lone.last("200").text.ends_with(OFFER));
    let tag = lone.last("200").to_tag();
    let body = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}", OFFER.len());
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, &body));
    assert!(matches!(&lone.events[1..], [Event::Acked { request, .. }] if request.body_bytes() == OFFER.as_bytes()));
}

#[test]
fn our_answer_in_an_ack_is_repeated_with_it() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    assert!(lone.last("INVITE").header(HeaderName::ContentType).is_empty());
    let body = format!(
        "Contact: <sip:bob@10.0.0.2>\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}",
        OFFER.len()
    );
    lone.answer("INVITE", 200, "bob", &body);
    lone.pass(secs(1));
    lone.hear_repeat(200, "bob");
    assert_eq!(lone.words(), ["INVITE"], "there is no ACK before the user has the answer");
    lone.endpoint.ack(lone.now, id, Some(Body::sdp(OFFER)));
    lone.drain();
    lone.hear_repeat(200, "bob");
    assert_eq!(lone.words(), ["INVITE", "ACK", "ACK"]);
    assert!(lone.last("ACK").text.ends_with(OFFER));
    assert_eq!(lone.sent[1].text, lone.sent[2].text);
}
