//! Orders that cannot be carried out change nothing, and nothing in them can add lines to a message.

use crate::support;

use crate::support::lone::{Lone, call};
use hookswitch_sip::{Header, RequestOut, Response, SipError, Transport};
use hookswitch_sip_msg::{HeaderName, Method};

#[test]
fn addresses_that_cannot_be_written_are_refused() {
    let mut lone = Lone::new(Transport::Udp);
    let flow = lone.flow;
    let cases: [(&str, &str, &str, Option<&str>); 11] = [
        ("sip:b ob@x", "<sip:a@x>", "<sip:b@x>", None),
        ("nonsense", "<sip:a@x>", "<sip:b@x>", None),
        ("sip:bob@x", "<sip:a@x>\r\nX: y", "<sip:b@x>", None),
        ("sip:bob@x", "<sip:a@x>;tag=mine", "<sip:b@x>", None),
        ("sip:bob@x", "<sip:a@x>", "<sip:b@x", None),
        ("sip:bob@x", "<sip:a@x>;evil=1", "<sip:b@x>", None),
        ("sip:bob@x", "<sip:a@x>;evil=1,<sip:y>", "<sip:b@x>", None),
        ("sip:bob@x", "<sip:a@x>", "<sip:b@x>;tag=mine", None),
        ("sip:bob@x?Evil=1", "<sip:a@x>", "<sip:b@x>", None),
        ("sip:bob@x", "<sip:a@x>", "<sip:b@x>", Some("a b")),
        ("sip:bob@x", "<sip:a@x>", "<sip:b@x>", Some("")),
    ];
    for (uri, from, to, call_id) in cases {
        let mut order = call(flow);
        order.uri = uri.into();
        order.from = from.to_owned().into();
        order.to = to.to_owned().into();
        order.call_id = call_id.map(Into::into);
        assert_eq!(lone.endpoint.invite(lone.now, order), Err(SipError::Malformed), "{uri} {from} {to} {call_id:?}");
    }
    lone.drain();
    assert!(lone.sent.is_empty());
    lone.assert_nothing_left();
}

#[test]
fn values_stay_in_their_line() {
    let mut lone = Lone::new(Transport::Udp);
    let mut order = call(lone.flow);
    order.headers = vec![
        Header::new(HeaderName::Subject, "one\r\nEvil: two"),
        Header::raw("X-Name: \r\nEvil", "three\nEvil: four"),
        Header::raw("subject", "five"),
    ];
    order.contact_user = Some("al>ice\r\nEvil: 5".into());
    lone.endpoint.invite(lone.now, order).unwrap();
    lone.drain();
    let text = lone.last("INVITE").text.clone();
    assert!(!text.contains("\nEvil"), "{text}");
    assert!(text.contains("Subject: one  Evil: two\r\n") && text.contains("Subject: five\r\n"));

    lone.hear(&support::lone::invite("z9hG4bK-1", 1, "a", ""));
    let id = lone.invited();
    let response = Response { reason: Some("No\r\nEvil: x".into()), ..Response::new(480) };
    lone.endpoint.respond(lone.now, id, response);
    lone.drain();
    assert!(lone.last("480").text.starts_with("SIP/2.0 480 No  Evil: x\r\n"));
}

#[test]
fn methods_with_functions_of_their_own_are_refused() {
    let mut lone = Lone::new(Transport::Udp);
    for method in [Method::Invite, Method::Ack, Method::Cancel, Method::Bye] {
        let order = RequestOut::new(method, "sip:b@x", "<sip:a@x>", "<sip:b@x>", lone.flow);
        assert_eq!(lone.endpoint.request(lone.now, order), Err(SipError::Unsendable));
    }
    let mut order = RequestOut::new(Method::Options, "sip:b@x", "<sip:a@x>", "<sip:b@x>", lone.flow);
    order.flow = None;
    assert_eq!(lone.endpoint.request(lone.now, order), Err(SipError::Unsendable));
}

#[test]
fn orders_for_dialogs_that_are_gone_are_ignored() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.answer("INVITE", 486, "bob", "");
    lone.forget();
    lone.endpoint.cancel(lone.now, id, None);
    lone.endpoint.ack(lone.now, id, None);
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.endpoint.respond(lone.now, id, Response::new(200));
    assert_eq!(lone.endpoint.reinvite(lone.now, id, None, Vec::new()), Err(SipError::UnknownDialog));
    let info = RequestOut::inside(id, Method::Info);
    assert_eq!(lone.endpoint.request(lone.now, info), Err(SipError::UnknownDialog));
    lone.drain();
    assert!(lone.sent.is_empty() && lone.events.is_empty());
}

#[test]
fn a_call_that_is_not_established_takes_no_reinvite() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    assert_eq!(lone.endpoint.reinvite(lone.now, id, None, Vec::new()), Err(SipError::NotEstablished));
    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2>\n");
    assert_eq!(lone.endpoint.reinvite(lone.now, id, None, Vec::new()), Err(SipError::Pending), "its ACK is due");
}
