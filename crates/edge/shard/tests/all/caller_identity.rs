//! Who is told who calls, through the whole switch: trusted peers say and learn more than others.

use crate::support::raw::{Raw, request_with, trusting_config, udp};

use hookswitch_b2bua::route::Route;
use hookswitch_sip_msg::{HeaderName, Message};

const ASSERTED: &str = "P-Asserted-Identity: \"Boss\" <sip:boss@x.test>\r\n";

/// The INVITE that reaches the called party when a trusted peer calls with these header lines.
fn reaches(to: &str, lines: &str) -> Message {
    let mut config = trusting_config();
    config.b2bua.routes = vec![
        Route::new("sip:out-*", "sip:192.0.2.9:5060").unwrap(),
        Route::new("sip:trunk-*", "sip:192.0.2.9:5060").unwrap().trusted(true),
    ];
    let mut raw = Raw::new(config);
    let lines = format!("From: \"J\u{f6}rg\" <sip:joe@x.test>;tag=a\r\n{lines}");
    raw.hear(udp("10.0.0.2:5060"), &request_with("INVITE", &format!("sip:{to}@x.test"), 1, "", &lines, "a"));
    raw.last("INVITE").1.clone()
}

fn value(message: &Message, name: HeaderName) -> Option<&str> {
    message.header_str(name)
}

#[test]
fn an_asserted_identity_is_for_trusted_parties_only() {
    let told = reaches("trunk-1", ASSERTED);
    assert_eq!(value(&told, HeaderName::PAssertedIdentity), Some("\"J\u{f6}rg\" <sip:boss@x.test>"));
    assert!(value(&told, HeaderName::From).unwrap().starts_with("\"J\u{f6}rg\" <sip:joe@x.test>;tag="));
    let told = reaches("out-1", ASSERTED);
    assert_eq!(value(&told, HeaderName::PAssertedIdentity), None);
    assert_eq!(value(&told, HeaderName::RemotePartyId), None);
    assert!(value(&told, HeaderName::From).unwrap().starts_with("\"J\u{f6}rg\" <sip:joe@x.test>;tag="));
}

#[test]
fn a_caller_who_wishes_to_stay_unknown_is_anonymous_wherever_its_name_stood() {
    let lines = format!("{ASSERTED}Privacy: id\r\n");
    for to in ["out-1", "trunk-1"] {
        let told = reaches(to, &lines);
        let from = value(&told, HeaderName::From).unwrap();
        assert!(from.starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="), "{to} {from}");
        assert_eq!(value(&told, HeaderName::Privacy), Some("id"));
        let contact = value(&told, HeaderName::Contact).unwrap();
        assert!(!contact.contains("joe"), "{contact}");
        assert_eq!(value(&told, HeaderName::PAssertedIdentity).is_some(), to == "trunk-1");
    }
}

#[test]
fn diversions_alerting_and_on_whose_behalf_go_through() {
    let lines = "Diversion: <sip:second@x.test>;reason=no-answer\r\nDiversion: <sip:first@x.test>;reason=user-busy\r\n\
                 Alert-Info: <http://h/ring.wav>\r\nCall-Info: <sip:h>;answer-after=0\r\nReferred-By: <sip:carol@x.test>\r\n";
    let told = reaches("out-1", lines);
    let diversions: Vec<&[u8]> = told.values(HeaderName::Diversion).collect();
    assert_eq!(
        diversions,
        [&b"<sip:second@x.test>;reason=no-answer;counter=1"[..], b"<sip:first@x.test>;reason=user-busy;counter=1",]
    );
    assert_eq!(value(&told, HeaderName::AlertInfo), Some("<http://h/ring.wav>"));
    assert_eq!(value(&told, HeaderName::AnswerMode), Some("Auto"));
    assert_eq!(value(&told, HeaderName::ReferredBy), Some("<sip:carol@x.test>"));
}
