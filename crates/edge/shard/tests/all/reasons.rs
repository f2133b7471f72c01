//! Why a leg ended is told to the other side, in its own numbers and in those of telephone exchanges.

use crate::support::raw::{Raw, answer, answer_with, request, request_with, trusting_config, udp};
use crate::support::*;

use hookswitch_sip_msg::HeaderName;

const URI: &str = "sip:bench-1@x.test";

/// A call that rings at 10.0.0.3; the INVITE and the tag of the switch at the caller's side.
fn ringing() -> (Raw, hookswitch_sip_msg::Message, String) {
    let mut raw = Raw::new(trusting_config());
    raw.hear(udp("10.0.0.2:5060"), &request("INVITE", URI, 1, "", "a"));
    let invite = raw.last("INVITE").1.clone();
    raw.hear(udp("10.0.0.3:5060"), &answer(&invite, "180 Ringing", "b", ""));
    let tag = raw.last("180").1.to().unwrap().tag().unwrap().to_owned();
    (raw, invite, tag)
}

fn talking() -> (Raw, hookswitch_sip_msg::Message, String) {
    let (mut raw, invite, tag) = ringing();
    raw.hear(udp("10.0.0.3:5060"), &answer(&invite, "200 OK", "b", "b"));
    raw.hear(udp("10.0.0.2:5060"), &request("ACK", URI, 1, &tag, ""));
    (raw, invite, tag)
}

fn reason(raw: &Raw, word: &str) -> String {
    raw.last(word).1.header_str(HeaderName::Reason).unwrap_or_default().to_owned()
}

#[test]
fn the_reason_of_a_bye_is_passed_on() {
    for (given, expected) in [
        ("", "Q.850;cause=16;text=\"Normal call clearing\""),
        ("Reason: Q.850;cause=31;text=\"Normal, unspecified\"\r\n", "Q.850;cause=31"),
        ("Reason: SIP;cause=480, Q.850;cause=20\r\n", "Q.850;cause=20;text=\"Subscriber absent\""),
    ] {
        let (mut raw, _, tag) = talking();
        let from = format!("From: <sip:alice@x.test>;tag=a\r\n{given}");
        raw.hear(udp("10.0.0.2:5060"), &request_with("BYE", URI, 2, &tag, &from, ""));
        assert_eq!(raw.last("BYE").0.remote, at("10.0.0.3:5060"));
        assert_eq!(reason(&raw, "BYE"), expected);
    }
}

#[test]
fn the_reason_of_a_cancel_is_passed_on() {
    for (given, expected) in [
        ("", "Q.850;cause=16;text=\"Normal call clearing\""),
        ("Reason: Q.850;cause=102\r\n", "Q.850;cause=102;text=\"Recovery on timer expiry\""),
        (
            "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n",
            "SIP;cause=200;text=\"Call completed elsewhere\"",
        ),
    ] {
        let (mut raw, ..) = ringing();
        let from = format!("From: <sip:alice@x.test>;tag=a\r\n{given}");
        raw.hear(udp("10.0.0.2:5060"), &request_with("CANCEL", URI, 1, "", &from, ""));
        assert_eq!(reason(&raw, "CANCEL"), expected);
        assert_eq!(raw.last("487").0.remote, at("10.0.0.2:5060"));
    }
}

#[test]
fn the_reason_of_a_refusal_is_passed_on() {
    for (status, given, expected) in [
        ("486 Busy Here", "", "Q.850;cause=17;text=\"User busy\""),
        ("486 Busy Here", "Reason: Q.850;cause=34\r\n", "Q.850;cause=34"),
        ("603 Decline", "", "Q.850;cause=21;text=\"Call rejected\""),
        ("404 Not Found", "", "Q.850;cause=1;text=\"Unallocated number\""),
        ("500 Oops", "", ""),
        ("500 Oops", "Reason: Q.850;cause=41\r\n", "Q.850;cause=41;text=\"Temporary failure\""),
    ] {
        let (mut raw, invite, _) = ringing();
        raw.hear(udp("10.0.0.3:5060"), &answer_with(&invite, status, "b", given, ""));
        assert_eq!(reason(&raw, &status[..3]), expected, "{status} {given}");
    }
}

#[test]
fn a_redirection_is_not_followed_and_not_passed_on() {
    for status in ["300 Choose", "301 Gone There", "302 Moved", "305 Use Proxy", "380 Other"] {
        let (mut raw, invite, _) = ringing();
        let contact = "Contact: <sip:mallory@203.0.113.9>\r\n";
        raw.hear(udp("10.0.0.3:5060"), &answer_with(&invite, status, "b", contact, ""));
        let refused = &raw.last("480").1;
        assert_eq!(refused.count(HeaderName::Contact), 0);
        assert!(raw.sent.iter().all(|(flow, _)| flow.remote != at("203.0.113.9:5060")));
    }
}

#[test]
fn challenges_of_the_other_side_do_not_reach_the_caller() {
    for status in ["401 Unauthorized", "407 Proxy Authentication Required"] {
        let (mut raw, invite, _) = ringing();
        let challenge = "WWW-Authenticate: Digest realm=\"b\", nonce=\"n\"\r\n\
                         Proxy-Authenticate: Digest realm=\"b\", nonce=\"n\"\r\n";
        raw.hear(udp("10.0.0.3:5060"), &answer_with(&invite, status, "b", challenge, ""));
        let (to, refused) = raw.sent.last().unwrap();
        assert_eq!(to.remote, at("10.0.0.2:5060"));
        assert_eq!(refused.count(HeaderName::WwwAuthenticate) + refused.count(HeaderName::ProxyAuthenticate), 0);
        // Without a challenge a 401 says nothing a caller could act on (RFC 3261 section 21.4.2).
        assert_eq!(refused.status(), Some(403));
    }
}
