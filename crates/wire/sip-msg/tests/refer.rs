//! Refer-To, Replaces, Event, Subscription-State and sipfrag bodies: the examples of the RFCs, what phones write, and
//! what nobody may write.

use bytes::Bytes;
use hookswitch_sip_msg::{
    HeaderProblem, MAX_DIALOG_NAME, MAX_FRAGMENT, Message, Method, ReferTo, Replaces, Scheme, StatusFragment,
};
use proptest::prelude::*;

fn with(headers: &str, body: &str) -> Message {
    let text = format!("REFER sip:b@h SIP/2.0\r\n{headers}\r\n\r\n{body}");
    Message::parse(Bytes::from(text)).expect("a request")
}

fn refer_to(value: &str) -> Result<ReferTo<'_>, HeaderProblem> {
    ReferTo::parse(value.as_bytes())
}

#[test]
fn refer_to_of_rfc_3515_section_2_1() {
    for (value, target, method) in [
        ("sip:alice@atlanta.example.com", "sip:alice@atlanta.example.com", Method::Invite),
        ("<sip:carol@cleveland.example.org;method=SUBSCRIBE>", "sip:carol@cleveland.example.org", Method::Subscribe),
        ("\"Bob\" <sip:bob@h;method=INVITE;user=phone;x>", "sip:bob@h;user=phone;x", Method::Invite),
        ("<sip:bob@h;x;method=invite>;a=b", "sip:bob@h;x", Method::Invite),
        ("<tel:+4930123456>", "tel:+4930123456", Method::Invite),
        ("<sip:bob@h?Subject=hi&Priority=urgent>", "sip:bob@h", Method::Invite),
    ] {
        let read = refer_to(value).unwrap_or_else(|problem| panic!("{value}: {problem}"));
        assert_eq!((read.target().as_ref(), &read.method), (target, &method), "{value}");
        assert_eq!(read.replaced(), Ok(None));
    }
    assert_eq!(refer_to("<http://www.ietf.org>").map(|read| read.uri.scheme), Ok(Scheme::Other));
}

#[test]
fn refer_to_with_replaces_of_rfc_3515_and_rfc_5589() {
    // RFC 3515 section 2.1.
    let read = refer_to(
        "<sip:bob@biloxi.example.net?Accept-Contact=sip:bobsdesk.biloxi.example.net&\
         Call-ID%3D55432%40alicepc.atlanta.example.com>",
    );
    assert_eq!(read.unwrap().replaces, None);
    let read = refer_to(
        "<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>",
    )
    .unwrap();
    assert_eq!(read.target(), "sip:dave@denver.example.org");
    let named = Replaces { call_id: "12345@192.168.118.3", to_tag: "12345", from_tag: "5FFE-3994", early_only: false };
    assert_eq!(read.replaced(), Ok(Some(named)));
    // RFC 5589 section 7.3, and a name that is escaped itself.
    for value in [
        "<sips:482n4z24kdg@chicago.example.com;gr=8594958?Replaces=090459243588173445%3B\
         to-tag%3D9m2n3wq%3Bfrom-tag%3D763231&Require=replaces>",
        "<sip:a@h?Require=replaces&%52eplaces=090459243588173445;to-tag%3d9m2n3wq;from-tag%3d763231>",
    ] {
        let read = refer_to(value).unwrap();
        let found = read.replaced().unwrap().expect("an attended transfer");
        assert_eq!((found.call_id, found.to_tag, found.from_tag), ("090459243588173445", "9m2n3wq", "763231"));
    }
}

#[test]
fn refer_to_that_cannot_be_used() {
    for value in [
        "",
        "<>",
        "<sip:a@h>, <sip:b@h>",
        "<sip:a@h",
        "sip:a@h?Replaces=x",
        "<sip:a b@h>",
        "<sip:a@h;method=\u{e9}>",
        "<sip:a@h;method=>",
        "<sip:a@h?Replaces=a&replaces=b>",
        "<sip:a@h?Replaces=%ff%fe>",
    ] {
        assert!(refer_to(value).is_err(), "{value}");
    }
    for value in ["<sip:a@h?Replaces=x>", "<sip:a@h?Replaces=>", "<sip:a@h?Replaces=x%0d%0aEvil:1%3bto-tag%3da>"] {
        assert!(refer_to(value).unwrap().replaced().is_err(), "{value}");
    }
    assert!(with("Refer-To: <sip:a@h>\r\nr: <sip:b@h>", "").refer_to().is_err());
    assert_eq!(with("Subject: none", "").refer_to(), Ok(None));
}

#[test]
fn replaces_of_rfc_3891_section_6_1() {
    for (value, expected) in [
        ("98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff", ("98732@sip.example.com", "ff87ff", "r33th4x0r")),
        ("12adf2f34456gs5;to-tag=12345;from-tag=54321", ("12adf2f34456gs5", "12345", "54321")),
        ("87134@171.161.34.23;to-tag=24796;from-tag=0", ("87134@171.161.34.23", "24796", "")),
    ] {
        let read = Replaces::parse(value.as_bytes()).unwrap();
        assert_eq!(
            (read.call_id, read.to_tag, read.from_tag, read.early_only),
            (expected.0, expected.1, expected.2, false)
        );
        assert_eq!(Replaces::parse(read.to_string().as_bytes()), Ok(read));
    }
    let early = Replaces::parse(b"a ; To-Tag = 1 ; from-tag=2 ; early-only ; x=y").unwrap();
    assert_eq!(early.to_string(), "a;to-tag=1;from-tag=2;early-only");
    assert_eq!(early.escaped(), "a%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only");
}

#[test]
fn replaces_that_names_no_dialog() {
    for value in [
        "",
        ";to-tag=1;from-tag=2",
        "a;to-tag=1",
        "a;from-tag=2",
        "a;to-tag=1;to-tag=1;from-tag=2",
        "a;to-tag;from-tag=2",
        "a;to-tag=\"1\";from-tag=2",
        "a b;to-tag=1;from-tag=2",
    ] {
        assert!(Replaces::parse(value.as_bytes()).is_err(), "{value}");
    }
    let long = |bytes: usize| ["x".repeat(bytes - 22), ";to-tag=1;from-tag=222".into()].concat();
    assert!(Replaces::parse(long(MAX_DIALOG_NAME).as_bytes()).is_ok());
    assert_eq!(Replaces::parse(long(MAX_DIALOG_NAME + 1).as_bytes()), Err(HeaderProblem::OutOfRange));
    let twice = with("Replaces: a;to-tag=1;from-tag=2\r\nReplaces: b;to-tag=1;from-tag=2", "");
    assert_eq!(twice.replaces().unwrap_err().problem, HeaderProblem::Repeated);
    assert_eq!(with("Subject: none", "").replaces(), Ok(None));
}

#[test]
fn what_is_wanted_of_a_refer_is_read() {
    assert!(with("Subject: none", "").refer_sub());
    assert!(with("Refer-Sub: true", "").refer_sub());
    assert!(!with("Refer-Sub: false", "").refer_sub());
    assert!(!with("Refer-Sub: False ;x=y", "").refer_sub());
}

#[test]
fn a_notify_says_which_subscription_and_how_it_stands() {
    let notify = with("Event: refer;id=93809824\r\nSubscription-State: terminated;reason=noresource", "");
    let event = notify.event().unwrap();
    assert_eq!((event.package, event.id), ("refer", Some("93809824")));
    let state = notify.subscription_state().unwrap();
    assert!(state.is_terminated());
    assert_eq!(state.reason, Some("noresource"));
    let notify = with("o: Refer\r\nSubscription-State: active ; expires=60", "");
    assert_eq!(notify.event().map(|event| event.id), Some(None));
    assert_eq!(notify.subscription_state().unwrap().expires, Some(60));
    for headers in ["Event: \r\nSubscription-State: ;expires=5", "Event: a b\r\nSubscription-State: a,b", "X: y"] {
        let notify = with(headers, "");
        assert_eq!((notify.event(), notify.subscription_state()), (None, None), "{headers}");
    }
}

#[test]
fn status_lines_in_fragments_are_read_as_phones_write_them() {
    for (body, status, reason) in [
        ("SIP/2.0 100 Trying\r\n", 100, "Trying"),
        ("SIP/2.0 603 Declined", 603, "Declined"),
        ("SIP/2.0 200 OK\nContact: <sip:b@h>\n", 200, "OK"),
        ("\r\nsip/2.0  503  Service Unavailable \r\n\r\n", 503, "Service Unavailable"),
        ("SIP/2.0 180", 180, ""),
    ] {
        let read = StatusFragment::parse(body.as_bytes()).unwrap_or_else(|| panic!("{body}"));
        assert_eq!((read.status, read.reason), (status, reason.as_bytes()), "{body}");
    }
    for body in [
        "",
        "\r\n",
        "SIP/2.0",
        "SIP/2.0 ",
        "SIP/2.0 99 x",
        "SIP/2.0 700 x",
        "SIP/2.0 2000 x",
        "SIP/2.0200 OK",
        "HTTP/1.1 200 OK",
        "SIP/2.0 20x OK",
    ] {
        assert_eq!(StatusFragment::parse(body.as_bytes()), None, "{body}");
    }
    let long = |bytes: usize| format!("SIP/2.0 200 {}", "x".repeat(bytes - 12));
    assert!(StatusFragment::parse(long(MAX_FRAGMENT).as_bytes()).is_some());
    assert!(StatusFragment::parse(long(MAX_FRAGMENT + 1).as_bytes()).is_none());
    let body = "SIP/2.0 200 OK\r\n";
    assert!(with("Content-Type: message/sipfrag;version=2.0", body).status_fragment().is_some());
    assert!(with("Content-Type: text/plain", body).status_fragment().is_none());
}

/// Bytes in which the words of these grammars come up often.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&str; 18] = [
        "sip:a@h",
        "<",
        ">",
        "?",
        "&",
        "Replaces=",
        "%3B",
        "%0d",
        "%",
        ";",
        "to-tag=",
        "from-tag=",
        "x",
        "0",
        "method=",
        "SIP/2.0 ",
        "200",
        "\r\n",
    ];
    let word = prop_oneof![
        6 => proptest::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn whatever_is_read_is_fit_to_be_written(bytes in noise()) {
        if let Ok(read) = ReferTo::parse(&bytes) {
            let target = read.target();
            prop_assert!(!target.bytes().any(|byte| byte <= b' ' || byte == b'>'), "{target}");
            if let Ok(Some(replaces)) = read.replaced() {
                let written = replaces.to_string();
                prop_assert_eq!(Replaces::parse(written.as_bytes()), Ok(replaces));
                let again = format!("<sip:a@h?Replaces={}>", replaces.escaped());
                let again = ReferTo::parse(again.as_bytes()).expect("what we write can be read");
                prop_assert_eq!(again.replaced(), Ok(Some(replaces)));
            }
        }
        if let Ok(read) = Replaces::parse(&bytes) {
            prop_assert!(read.escaped().bytes().all(|byte| byte.is_ascii_graphic() && !b";=&<>\"@".contains(&byte)));
        }
        if let Some(read) = StatusFragment::parse(&bytes) {
            prop_assert!((100..=699).contains(&read.status) && !read.reason.contains(&b'\n'));
        }
    }
}
