//! URIs: their parts, when they are the same (RFC 3261 19.1.4), and what is no URI.

use hookswitch_sip_msg::{Host, Scheme, Uri, UriError};

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn parts() {
    let all = uri("sip:al%20ice;x=1:secret@Example.test:5070;transport=TCP;lr;a=%41?Subject=hi&Route=%3Csip:x%3E");
    assert_eq!((all.scheme, all.user, all.password), (Scheme::Sip, Some("al%20ice;x=1"), Some("secret")));
    assert_eq!((all.host, all.port), (Host::Name("Example.test"), Some(5070)));
    assert_eq!((all.param("TRANSPORT"), all.param("lr"), all.param("none")), (Some("TCP"), Some(""), None));
    assert_eq!(all.headers, Some("Subject=hi&Route=%3Csip:x%3E"));
    assert_eq!(all.user_unescaped().as_deref(), Some("al ice;x=1"));
    assert_eq!(uri("SIPS:[2001:db8::1]").host, Host::V6("2001:db8::1".parse().unwrap()));
    assert_eq!(uri("sip:192.0.2.1").host, Host::V4("192.0.2.1".parse().unwrap()));
    // A star code as phones dial it.
    assert_eq!(uri("sip:*72#@example.test").user, Some("*72#"));
    let phone = uri("tel:+49-30-123;phone-context=example.test");
    assert_eq!((phone.scheme, phone.user), (Scheme::Tel, Some("+49-30-123")));
    assert_eq!(phone.param("phone-context"), Some("example.test"));
    let other = uri("urn:service:sos");
    assert_eq!((other.scheme, other.scheme_text(), other.host), (Scheme::Other, "urn", Host::Name("")));
}

#[test]
fn written_as_read() {
    for text in [
        "sip:alice@example.test",
        "sips:alice:pw@example.test:5061;transport=tcp;lr?a=b&c=d",
        "sip:[2001:db8::1]:5060;lr",
        "tel:+1-201-555-0123;ext=7",
        "mailto:a@example.test",
        "sip:example.test?subject=x",
    ] {
        assert_eq!(uri(text).to_string(), text);
        assert_eq!(uri(text).as_str(), text);
    }
}

#[test]
fn refused() {
    for (text, error) in [
        ("", UriError::Scheme),
        ("alice", UriError::Scheme),
        ("1sip:alice@example.test", UriError::Scheme),
        ("sip:", UriError::Host),
        ("sip:@example.test", UriError::Character),
        ("sip:a@b@example.test", UriError::Character),
        ("sip:alice@", UriError::Host),
        ("sip:alice@exa mple.test", UriError::Character),
        ("<sip:alice@example.test>", UriError::Character),
        ("sip:alice@example.test\r\nVia: x", UriError::Character),
        ("sip:alice@exämple.test", UriError::Host),
        ("sip:alice@192.0.2.300", UriError::Host),
        ("sip:alice@[2001:db8::1", UriError::Host),
        ("sip:alice@[2001:db8::1]x", UriError::Host),
        ("sip:alice@2001:db8::1", UriError::Host),
        ("sip:alice@example.test:", UriError::Port),
        ("sip:alice@example.test:65536", UriError::Port),
        ("sip:alice@example.test:+5060", UriError::Port),
        ("tel:", UriError::Number),
        ("tel:alice", UriError::Number),
    ] {
        assert_eq!(Uri::parse(text), Err(error), "{text}");
    }
    assert_eq!(Uri::parse_bytes(b"sip:\xff@example.test"), Err(UriError::NotUtf8));
}

/// The examples of RFC 3261 19.1.4, and some for its other sentences.
#[test]
fn same() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:alice@[2001:db8::1]", "sip:alice@[2001:0DB8:0:0::1]"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("urn:service:sos", "urn:service:sos"),
    ] {
        assert!(uri(a).equivalent(&uri(b)), "{a} = {b}");
        assert!(uri(b).equivalent(&uri(a)), "{b} = {a}");
    }
}

#[test]
fn different() {
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:biloxi.com"),
        ("sip:bob:a@biloxi.com", "sip:bob@biloxi.com"),
        ("sip:bob@biloxi.com;maddr=192.0.2.1", "sip:bob@biloxi.com"),
        ("tel:5550123;phone-context=a.test", "tel:5550123;phone-context=b.test"),
        ("tel:+15550123", "sip:+15550123@example.test"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)), "{a} and {b}");
        assert!(!uri(b).equivalent(&uri(a)), "{b} and {a}");
    }
}

#[test]
fn addresses_of_record() {
    for (text, aor) in [
        ("sip:%61lice:pw@EXAMPLE.test:5070;transport=tcp?a=b", "sip:alice@example.test"),
        ("SIPS:Alice@Example.Test", "sips:Alice@example.test"),
        ("sip:example.test;lr", "sip:example.test"),
        ("sip:bob@[2001:DB8::1]:5060", "sip:bob@[2001:db8::1]"),
        ("tel:+15550123;ext=1", "tel:+15550123"),
        ("urn:service:sos", "urn:service:sos"),
    ] {
        assert_eq!(uri(text).aor(), aor);
    }
}

#[test]
fn numeric_hosts_are_addresses_exactly_where_the_standard_library_says_so() {
    for text in [
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "256.0.0.1",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.04",
        "0.00.0.0",
        "1..2.3",
        ".1.2.3",
        "1.2.3.",
        "1.2.3.4.",
        "1000.1.1.1",
        "1.2.3.400",
        "99999999999",
        "7",
        "1.2.3.4a",
        "1.2.3.-4",
    ] {
        let address = Host::parse(text).and_then(|host| host.ip());
        assert_eq!(address, text.parse::<std::net::Ipv4Addr>().ok().map(Into::into), "{text}");
    }
}
