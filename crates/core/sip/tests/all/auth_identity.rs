//! Users speak for themselves only.

use hookswitch_sip::auth::{Identity, identity_allows};
use hookswitch_sip_msg::Message;

fn request(method: &str, from: &str, to: &str) -> Message {
    let text = format!(
        "{method} sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: {from};tag=1\r\nTo: {to}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(text.into_bytes().into()).expect("a well-formed request")
}

fn alice() -> Identity {
    Identity { user: "alice".into(), realm: "example.test".into() }
}

const OWN: &str = "<sip:alice@example.test>";

#[test]
fn a_call_must_come_from_the_user() {
    assert!(identity_allows(&alice(), &request("INVITE", OWN, "<sip:bob@example.test>")));
    for from in [
        "<sip:bob@example.test>",
        "<sip:alice@other.test>",
        "<sip:example.test>",
        "<tel:+3212345>",
        "<sip:ALICE@example.test>",
    ] {
        assert!(!identity_allows(&alice(), &request("INVITE", from, OWN)), "{from}");
    }
}

#[test]
fn a_registration_must_be_for_the_user_too() {
    assert!(identity_allows(&alice(), &request("REGISTER", OWN, OWN)));
    assert!(!identity_allows(&alice(), &request("REGISTER", OWN, "<sip:bob@example.test>")));
    assert!(!identity_allows(&alice(), &request("REGISTER", "<sip:bob@example.test>", OWN)));
}

#[test]
fn the_way_of_writing_does_not_matter() {
    for from in [
        "\"Alice\" <sip:alice@EXAMPLE.test:5060;transport=tcp>",
        "<sip:%61lice@example.test>",
        "<sips:alice@example.test>",
        "sip:alice@example.test",
    ] {
        assert!(identity_allows(&alice(), &request("INVITE", from, "<sip:bob@example.test>")), "{from}");
    }
}
