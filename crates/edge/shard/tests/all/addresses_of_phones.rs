//! Calls and texts to one phone of a user, by its own address (GRUU, RFC 5627).

use crate::support::raw::{Raw, answer, request, trusting_config, udp};
use crate::support::*;

use hookswitch_sip::auth::Credentials;
use hookswitch_sip_msg::{HeaderName, NameAddr};

/// Registers a phone of bob and returns its public and its temporary address.
fn register(raw: &mut Raw, number: u32) -> (String, String) {
    let lines = format!(
        "Supported: gruu\r\nRequire: gruu\r\nContact: <sip:bob@10.0.0.{number}>;+sip.instance=\"<urn:uuid:{number}>\"\r\n"
    );
    let flow = udp(&format!("10.0.0.{number}:5060"));
    assert_eq!(raw.register(flow, "sip:bob@x.test", &Credentials::new("bob", "bob-pw"), &lines), 200);
    let answered = raw.last("200").1.clone();
    // The next phone's REGISTER looks the same, and would be taken for a repeat on another way.
    raw.pass(sec(33));
    let own = format!("sip:bob@10.0.0.{number}");
    let contact = answered.values(HeaderName::Contact).map(|value| NameAddr::parse(value).unwrap());
    let contact = contact.into_iter().find(|contact| contact.raw_uri == own.as_bytes()).unwrap();
    ["pub-gruu", "temp-gruu"]
        .map(|name| {
            let value = contact.params.find(name).flatten().unwrap();
            String::from_utf8_lossy(value).trim_matches('"').to_owned()
        })
        .into()
}

#[test]
fn one_phone_of_several_is_called_and_sent_texts() {
    let mut raw = Raw::new(trusting_config());
    let (public, temporary) = register(&mut raw, 3);
    register(&mut raw, 4);
    let alice = udp("10.0.0.2:5060");
    for (n, gruu) in (1..).zip([&public, &temporary]) {
        let before = raw.sent.len();
        raw.hear(alice, &request("INVITE", gruu, n, "", "a").replace("one", &format!("call{n}")));
        let (to, invite) = raw.last("INVITE").clone();
        assert_eq!((to.remote, invite.request_uri()), (at("10.0.0.3:5060"), Some("sip:bob@10.0.0.3")), "{gruu}");
        assert_eq!(raw.words()[before..].iter().filter(|word| *word == "INVITE").count(), 1);
        raw.hear(to, &answer(&invite, "486 Busy Here", "b", ""));
        let text = request("MESSAGE", gruu, n + 10, "", "hi").replace("application/sdp", "text/plain");
        raw.hear(alice, &text.replace("one", &format!("text{n}")));
        assert_eq!(raw.last("MESSAGE").0.remote, at("10.0.0.3:5060"));
    }
}

#[test]
fn an_address_of_no_phone_is_not_found_and_one_of_an_absent_phone_unavailable() {
    let mut raw = Raw::new(trusting_config());
    let (public, temporary) = register(&mut raw, 3);
    let alice = udp("10.0.0.2:5060");
    raw.pass(sec(3_700));
    for (n, uri, status) in [
        (1, public.as_str(), "480"),
        (2, temporary.as_str(), "404"),
        (3, "sip:nobody@x.test;gr=urn:uuid:3", "404"),
        (4, "sip:tgruu.nonsense@x.test;gr", "404"),
    ] {
        raw.hear(alice, &request("INVITE", uri, n, "", "a").replace("one", &format!("call{n}")));
        assert_eq!(raw.words().last().map(String::as_str), Some(status), "{uri}");
    }
}
