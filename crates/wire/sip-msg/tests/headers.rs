//! Typed headers: what they read, and what they refuse.

use hookswitch_sip_msg::{CSeq, Host, Message, Method, NameAddr, Params, Via};

fn name_addr(text: &[u8]) -> NameAddr<'_> {
    NameAddr::parse(text).unwrap_or_else(|error| panic!("{}: {error}", text.escape_ascii()))
}

fn with(lines: &str) -> Message {
    Message::parse(format!("OPTIONS sip:example.test SIP/2.0\r\n{lines}\r\n\r\n").into()).unwrap()
}

#[test]
fn addresses_with_and_without_brackets() {
    let full = name_addr(b"\"A \\\"B\\\" C\" <sip:a@example.test;lr>;tag=1;x");
    assert_eq!(full.display_text().as_deref(), Some("A \"B\" C"));
    assert_eq!((full.uri_str(), full.tag(), full.param("x")), (Some("sip:a@example.test;lr"), Some("1"), Some("")));
    let bare = name_addr(b"sip:a@example.test;tag=1");
    assert_eq!((bare.display, bare.uri_str(), bare.tag()), (None, Some("sip:a@example.test"), Some("1")));
    assert!(full.bracketed && !bare.bracketed);
    let tight = name_addr(b"words and more<sip:a@example.test> ; Tag = x");
    assert_eq!((tight.display, tight.tag()), (Some(&b"words and more"[..]), Some("x")));
    assert_eq!(name_addr(b"\"\" <sip:a@example.test>").display, Some(&b""[..]));
    assert_eq!(name_addr(b"<sip:a@example.test>").display, None);
    // The bracket belongs to a parameter of an address without brackets.
    let inside = name_addr(b"sip:a@example.test;+sip.instance=\"<urn:uuid:1>\"");
    assert_eq!((inside.uri_str(), inside.instance()), (Some("sip:a@example.test"), Some("<urn:uuid:1>")));
    // Semicolon, comma and brackets inside quotes mean nothing.
    let quoted = name_addr(b"\"a;b,<c>\" <sip:a@example.test>;tag=\"x;y\"");
    assert_eq!((quoted.display, quoted.tag()), (Some(&b"a;b,<c>"[..]), Some("x;y")));
}

#[test]
fn display_names_need_not_be_utf_8() {
    let message = Message::parse(
        b"OPTIONS sip:b@example.test SIP/2.0\r\nFrom: \"J\xfcrgen\" <sip:j@example.test>;tag=1\r\n\r\n"[..].into(),
    )
    .unwrap();
    let from = message.from().unwrap();
    assert_eq!((from.display, from.tag()), (Some(&b"J\xfcrgen"[..]), Some("1")));
    assert_eq!(from.display_text().as_deref(), Some("J\u{fffd}rgen"));
    assert_eq!(from.uri().unwrap().user, Some("j"));
}

#[test]
fn addresses_refused() {
    for text in [
        "",
        "\"open <sip:a@example.test>",
        "\"name\" sip:a@example.test",
        "<sip:a@example.test",
        "<sip:a@example.test> trailing",
        "stray\" <sip:a@example.test>",
        "sip:a@example.test?Route=x",
        "sip:a@example.test, sip:b@example.test",
        ";tag=1",
    ] {
        assert!(NameAddr::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn contact_parameters() {
    let contact = |text: &str| name_addr(format!("<sip:a@example.test>;{text}").as_bytes()).q();
    let expected = [("q=0", Some(0)), ("q=1", Some(1000)), ("q=1.000", Some(1000)), ("q=0.5", Some(500))];
    let more = [("q=0.123", Some(123)), ("q=1.001", None), ("q=0.1234", None), ("q=2", None), ("x", None)];
    for (text, q) in expected.into_iter().chain(more).chain([("q=.5", None), ("q=-0.5", None), ("q", None)]) {
        assert_eq!(contact(text), q, "{text}");
    }
    let expires = |text: &str| name_addr(format!("<sip:a@example.test>;expires={text}").as_bytes()).expires();
    assert_eq!((expires("60"), expires("\"60\""), expires("soon"), expires("-1")), (Some(60), Some(60), None, None));
    assert_eq!(expires("99999999999999999999"), Some(u32::MAX));
    assert_eq!(expires("4294967296"), Some(u32::MAX));
    let flow = name_addr(b"<sip:a@example.test>;reg-id=2;+sip.instance=\"<urn:uuid:1>\"");
    assert_eq!((flow.reg_id(), flow.instance()), (Some(2), Some("<urn:uuid:1>")));
    let star = with("m: *\r\nExpires: 0");
    assert!(star.contact_is_star());
    assert_eq!((star.contacts().count(), star.expires()), (0, Some(0)));
}

#[test]
fn vias() {
    let via = Via::parse(b"SIP/2.0/UDP host.test:5070;rport;branch=z9hG4bK1;received=192.0.2.9").unwrap();
    assert_eq!((via.transport, via.host, via.port), ("UDP", Host::Name("host.test"), Some(5070)));
    assert_eq!((via.sent_by, via.branch(), via.rport()), ("host.test:5070", Some("z9hG4bK1"), Some(None)));
    assert_eq!(via.received(), "192.0.2.9".parse().ok());
    assert!(via.has_unique_branch());
    let spaced = Via::parse(b"sip / 2.0\r\n /\tTLS  host.test : 5061 ; rport = 7 ; maddr=192.0.2.2").unwrap();
    assert_eq!((spaced.transport, spaced.port, spaced.rport()), ("TLS", Some(5061), Some(Some(7))));
    assert_eq!(spaced.maddr(), Some("192.0.2.2"));
    let port = |text: &str| Via::parse(text.as_bytes()).unwrap().port_or_default();
    assert_eq!((port("SIP/2.0/TCP a"), port("SIP/2.0/TLS a"), port("SIP/2.0/WSS a")), (5060, 5061, 443));
    assert_eq!(port("SIP/2.0/TLS [2001:db8::1]:9"), 9);
    for text in [
        "",
        "SIP/2.0",
        "SIP/3.0/UDP a",
        "HTTP/1.1/TCP a",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0/ a",
        "SIP/2.0/UDP a:x",
        "SIP/2.0/UDP a:65536",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP ;branch=1",
        "SIP/2.0/UDP 1.2.3",
    ] {
        assert!(Via::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn sequence_numbers_and_hops() {
    let read = |text: &str| CSeq::parse(text.as_bytes()).map(|cseq| (cseq.number, cseq.method));
    assert_eq!(read("0009\r\n INVITE"), Ok((9, Method::Invite)));
    assert_eq!(read("2147483647 x"), Ok((2_147_483_647, Method::Other("x".into()))));
    for text in ["", "1", "INVITE", "1 ", "-1 INVITE", "2147483648 INVITE", "1 IN VITE", "1.0 INVITE"] {
        assert!(CSeq::parse(text.as_bytes()).is_err(), "{text}");
    }
    let hops = |value: &str| with(&format!("Max-Forwards: {value}")).max_forwards().ok().flatten();
    assert_eq!((hops("70"), hops("0"), hops("0068"), hops("255")), (Some(70), Some(0), Some(68), Some(255)));
    assert_eq!((hops("256"), hops("-1"), hops(""), hops("many")), (None, None, None, None));
    assert_eq!(with("X: 1").max_forwards(), Ok(None));
}

#[test]
fn seconds_are_read_leniently() {
    let expires = |value: &str| with(&format!("Expires: {value}")).expires();
    assert_eq!((expires("60"), expires("60;x"), expires("60 (a minute)")), (Some(60), Some(60), Some(60)));
    assert_eq!((expires("soon"), expires(""), expires("60 x"), expires("-1")), (None, None, None, None));
    assert_eq!(expires("99999999999999999999999"), Some(u32::MAX));
    assert_eq!(with("X: 1").expires(), None);
}

#[test]
fn call_ids_are_single_words() {
    assert_eq!(with("i: a@b").call_id(), Ok("a@b"));
    for lines in ["X: 1", "i:", "i: a b"] {
        assert!(with(lines).call_id().is_err(), "{lines}");
    }
    let bytes = b"OPTIONS sip:example.test SIP/2.0\r\nCall-ID: \xff\xfe\r\n\r\n";
    let message = Message::parse(bytes[..].into()).unwrap();
    assert!(message.call_id().is_err());
    assert_eq!(message.header(hookswitch_sip_msg::HeaderName::CallId), Some(&b"\xff\xfe"[..]), "nothing is lost");
}

#[test]
fn parameters() {
    let params = Params::new(b";a=1; b = \"x;y\" ;c;A=2;;d=");
    let names: Vec<_> = params.iter().map(|p| p.name.to_vec()).collect();
    assert_eq!(names, [&b"a"[..], b"b", b"c", b"A", b"d"]);
    assert_eq!((params.get("A"), params.get("b"), params.get("c")), (Some("1"), Some("x;y"), Some("")));
    assert_eq!((params.find("c"), params.find("d"), params.find("e")), (Some(None), Some(Some(&b""[..])), None));
    assert!(!params.is_well_formed());
    assert!(Params::new(b";a=1;b=\"\";c").is_well_formed());
    assert!(Params::new(b"").is_well_formed());
    assert!(Params::new(b";open=\"x").get("open").is_some(), "an open quote ends with the text");
}
