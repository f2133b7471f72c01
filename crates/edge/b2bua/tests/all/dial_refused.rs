//! Addresses that would say more in a header than who is meant are not dialled.

use hookswitch_b2bua::{B2bua, B2buaConfig, Step};
use hookswitch_call::directory::Directory;
use hookswitch_call::port::Backend;
use hookswitch_call::{Address, CallId, Dial, Kind, LegId, Op, Report, Target, Time};
use hookswitch_sip::{EndpointConfig, Listen, Transport};

const NOW: Time = Time::from_secs(1_700_000_000);

/// What comes of a dial with these addresses: the kind of its failure, or `None` when it was sent.
fn dial(from: &str, to: &str, target: &str, wire_id: Option<&str>) -> Option<Kind> {
    let listen = Listen { transport: Transport::Udp, address: "10.0.0.1:5060".parse().unwrap(), advertise: None };
    let endpoint = EndpointConfig { listen: vec![listen], ..EndpointConfig::default() };
    let mut b2bua = B2bua::new(B2buaConfig { endpoint, ..B2buaConfig::default() }, Directory::new(), [3; 32]);
    let target = Target::new(Address::from(target), None, None);
    let dial = (Address::from(from), Address::from(to));
    let dial = Dial { wire_id: wire_id.map(Into::into), ..Dial::new(target, dial.0, dial.1, None) };
    b2bua.perform(NOW, Op::Dial { call: CallId(1), leg: LegId(0), dial: Box::new(dial) });
    let sent = matches!(b2bua.step(NOW), Some(Step::Send { .. }));
    match b2bua.poll_report().expect("a word about it") {
        Report::Ended { cause, .. } => {
            assert!(!sent && b2bua.live_legs() == 0, "{from} {to}");
            Some(cause.kind)
        }
        Report::Dialed { .. } => {
            assert!(sent, "{from} {to}");
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_addresses_that_are_one_uri_are_dialled() {
    let (good, target) = ("sip:a@x.test", "sip:b@10.0.0.3");
    assert_eq!(dial(good, good, target, Some("order-4711")), None);
    assert_eq!(dial("tel:+4930123", good, target, None), None);
    for bad in [
        "sip:a@x.test>;evil=1",
        "sip:a@x.test>;evil=1,<sip:b@y.test",
        "sip:a@x.test>\r\nEvil: 1\r\nX: <sip:b",
        "sip:a@x.test\r\nEvil: 1",
        "sip:a@x.test;tag=1>;tag=2",
        "\"a\" <sip:a@x.test",
        "not a uri",
        "",
    ] {
        assert_eq!(dial(bad, good, target, None), Some(Kind::BadAddress), "From {bad:?}");
        assert_eq!(dial(good, bad, target, None), Some(Kind::BadAddress), "To {bad:?}");
    }
    for bad in ["a b", "a\r\nEvil: 1", ""] {
        assert_eq!(dial(good, good, target, Some(bad)), Some(Kind::BadAddress), "Call-ID {bad:?}");
    }
    assert_eq!(dial(good, good, "sip:b@elsewhere.test;transport=tls", None), Some(Kind::Unreachable));
    assert_eq!(dial(good, good, "sips:b@10.0.0.3", None), Some(Kind::Unreachable));
    assert_eq!(dial(good, good, "sip:b@10.0.0.3\r\nEvil: 1", None), Some(Kind::Unreachable));
}
