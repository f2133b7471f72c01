//! A challenged request is sent again with credentials, once.

use crate::support::OFFER;
use crate::support::lone::{Lone, call};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{Event, RequestOut, Transport};
use hookswitch_sip_msg::{HeaderName, Method};

const WWW: &str = "WWW-Authenticate: Digest realm=\"here\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\n";
const STALE: &str = "WWW-Authenticate: Digest realm=\"here\", nonce=\"n2\", algorithm=MD5, qop=\"auth\", stale=true\n";
const PROXY: &str = "Proxy-Authenticate: Digest realm=\"edge\", nonce=\"n3\", algorithm=MD5, qop=\"auth\"\n";

fn calling() -> Lone {
    let mut lone = Lone::new(Transport::Udp);
    let mut order = call(lone.flow);
    order.credentials = Some(Credentials::new("alice", "secret"));
    order.body = Some(hookswitch_sip::Body::sdp(OFFER));
    lone.endpoint.invite(lone.now, order).unwrap();
    lone.drain();
    lone
}

#[test]
fn a_challenged_invite_is_acknowledged_and_sent_again() {
    let mut lone = calling();
    lone.answer("INVITE", 401, "x", WWW);
    assert_eq!(lone.words(), ["INVITE", "ACK", "INVITE"]);
    assert!(lone.events.is_empty(), "nobody needs to know");
    let (first, second) = (&lone.sent[0], &lone.sent[2]);
    assert_eq!(first.header(HeaderName::CallId), second.header(HeaderName::CallId));
    assert_eq!(first.header(HeaderName::From), second.header(HeaderName::From));
    assert_eq!(second.header(HeaderName::To), "<sip:bob@10.0.0.2>");
    assert_eq!(second.header(HeaderName::CSeq), "2 INVITE");
    assert_ne!(first.header(HeaderName::Via), second.header(HeaderName::Via));
    assert!(second.header(HeaderName::Authorization).contains("nonce=\"n1\""));
    assert!(second.text.ends_with(OFFER));

    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2>\n");
    let Some(Event::Answered { dialog, .. }) = lone.events.last() else { panic!("{:?}", lone.events) };
    lone.endpoint.ack(lone.now, *dialog, None);
    lone.drain();
    let ack = lone.last("ACK");
    assert_eq!(ack.header(HeaderName::CSeq), "2 ACK");
    assert!(ack.header(HeaderName::Authorization).contains("nonce=\"n1\""), "RFC 3261 22.1");
}

#[test]
fn a_second_refusal_of_the_same_password_is_final() {
    let mut lone = calling();
    lone.answer("INVITE", 401, "x", WWW);
    lone.answer("INVITE", 401, "y", WWW);
    assert!(matches!(lone.events[..], [Event::Failed { status: 401, response: Some(_), .. }]));
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_stale_nonce_deserves_another_try() {
    let mut lone = calling();
    lone.answer("INVITE", 401, "x", WWW);
    lone.answer("INVITE", 401, "y", STALE);
    let third = lone.last("INVITE");
    assert_eq!(third.header(HeaderName::CSeq), "3 INVITE");
    let answers: Vec<_> = third.message.headers(HeaderName::Authorization).collect();
    assert_eq!(answers.len(), 1, "the old answer is replaced");
    assert!(String::from_utf8_lossy(answers[0]).contains("nonce=\"n2\""));
    for _ in 0..10 {
        lone.answer("INVITE", 401, "z", STALE);
    }
    assert!(lone.times("INVITE").len() <= 5, "but not for ever");
    assert!(matches!(lone.events[..], [Event::Failed { status: 401, .. }]));
}

#[test]
fn a_proxy_and_the_target_may_both_ask() {
    let mut lone = calling();
    lone.answer("INVITE", 407, "x", PROXY);
    lone.answer("INVITE", 401, "y", WWW);
    let third = lone.last("INVITE");
    assert!(third.header(HeaderName::ProxyAuthorization).contains("realm=\"edge\""));
    assert!(third.header(HeaderName::Authorization).contains("realm=\"here\""));
}

#[test]
fn other_requests_are_answered_for_too_and_bye_with_those_of_the_call() {
    let mut lone = calling();
    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2>\n");
    let Some(Event::Answered { dialog, .. }) = lone.events.last() else { panic!() };
    let dialog = *dialog;
    lone.endpoint.ack(lone.now, dialog, None);
    lone.endpoint.bye(lone.now, dialog, Vec::new());
    lone.drain();
    lone.answer("BYE", 407, "", PROXY);
    let again = lone.last("BYE");
    assert_eq!(again.header(HeaderName::CSeq), "3 BYE");
    assert!(again.header(HeaderName::ProxyAuthorization).contains("realm=\"edge\""));
    lone.answer("BYE", 200, "", "");
    assert!(matches!(lone.events.last(), Some(Event::Ended { .. })));

    let mut order = RequestOut::new(Method::Register, "sip:x", "<sip:a@x>", "<sip:a@x>", lone.flow);
    order.credentials = Some(Credentials::new("alice", "secret"));
    let id = lone.endpoint.request(lone.now, order).unwrap();
    lone.drain();
    lone.answer("REGISTER", 401, "r", WWW);
    lone.answer("REGISTER", 200, "r", "");
    assert!(matches!(lone.events.last(), Some(Event::Response { id: told, status: 200, .. }) if *told == id));
}

#[test]
fn without_credentials_a_challenge_is_the_outcome() {
    let mut lone = Lone::new(Transport::Udp);
    lone.invite();
    lone.answer("INVITE", 401, "x", WWW);
    assert!(matches!(lone.events[..], [Event::Failed { status: 401, .. }]));
}

#[test]
fn several_realms_in_one_challenge_are_each_answered() {
    let mut lone = calling();
    let other = PROXY.replace("edge", "core").replace("n3", "n4");
    lone.answer("INVITE", 407, "x", &format!("{PROXY}{other}{}", PROXY.replace("n3", "n5")));
    let second = lone.last("INVITE");
    let answers: Vec<_> = second.message.headers(HeaderName::ProxyAuthorization).collect();
    let text: Vec<_> = answers.iter().map(|answer| String::from_utf8_lossy(answer).into_owned()).collect();
    assert_eq!(answers.len(), 2, "one for each");
    assert!(text[0].contains("realm=\"edge\"") && text[0].contains("nonce=\"n3\""), "the first of a realm counts");
    assert!(text[1].contains("realm=\"core\"") && text[1].contains("nonce=\"n4\""));
    // One of them is not content: what is new is answered, and in the end nothing is.
    let third = PROXY.replace("edge", "deep");
    lone.answer("INVITE", 407, "y", &format!("{PROXY}{third}"));
    assert_eq!(lone.last("INVITE").message.headers(HeaderName::ProxyAuthorization).count(), 3);
    lone.answer("INVITE", 407, "z", &third);
    assert!(matches!(lone.events[..], [Event::Failed { status: 407, .. }]));
}
