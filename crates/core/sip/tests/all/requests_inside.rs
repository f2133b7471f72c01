//! REFER, NOTIFY, INFO, MESSAGE and SUBSCRIBE in dialogs early and established, and MESSAGE and OPTIONS outside of any.

use crate::support;

use crate::support::lone::{Lone, invite, request};
use crate::support::{HERE, addr, config, secs};
use hookswitch_sip::{
    Body, DialogId, Ender, EndpointConfig, Event, FailCause, Header, RequestOut, Response, Transport, TxnId,
};
use hookswitch_sip_msg::{HeaderName, Method};

fn open() -> EndpointConfig {
    EndpointConfig { allow: Method::KNOWN.to_vec(), ..config(addr(HERE)) }
}

fn established() -> (Lone, DialogId, String) {
    let mut lone = Lone::with(Transport::Udp, open());
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.pass(secs(33));
    lone.forget();
    (lone, id, tag)
}

fn send(lone: &mut Lone, id: DialogId, method: Method, header: Header) {
    let order = RequestOut { headers: vec![header], ..RequestOut::inside(id, method) };
    lone.endpoint.request(lone.now, order).expect("the dialog stands");
    lone.drain();
}

fn asked(lone: &Lone) -> TxnId {
    match lone.events.last() {
        Some(Event::Request { txn, .. }) => *txn,
        other => panic!("no request: {other:?}"),
    }
}

fn reply(lone: &mut Lone, txn: TxnId, response: Response) {
    lone.endpoint.reply(lone.now, txn, response);
    lone.drain();
}

fn target() -> Header {
    Header::new(HeaderName::ReferTo, "<sip:carol@10.0.0.3>")
}

#[test]
fn a_notify_that_overtakes_the_202_is_told_first() {
    let (mut lone, id, tag) = established();
    send(&mut lone, id, Method::Refer, target());
    assert!(!lone.last("REFER").header(HeaderName::Contact).is_empty());
    let body = "Event: refer\r\nSubscription-State: active\r\nContent-Type: message/sipfrag\r\nContent-Length: 18\r\n\r\n\
                SIP/2.0 100 Trying";
    lone.hear(&request("NOTIFY", "z9hG4bK-n", 2, "alice", &tag, body));
    let txn = asked(&lone);
    reply(&mut lone, txn, Response::new(200));
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "2 NOTIFY");
    lone.answer("REFER", 202, "", "");
    assert!(matches!(lone.events[1..], [Event::Response { status: 202, .. }]));
}

#[test]
fn a_refer_of_theirs_is_accepted_with_headers_and_notified_about() {
    let (mut lone, id, tag) = established();
    lone.hear(&request("REFER", "z9hG4bK-r", 2, "alice", &tag, "Refer-To: <sip:carol@10.0.0.3>\n"));
    let txn = asked(&lone);
    reply(&mut lone, txn, Response::new(202).with_header(Header::new(HeaderName::ReferSub, "true")));
    assert_eq!(lone.last("202").header(HeaderName::ReferSub), "true");
    assert!(!lone.last("202").header(HeaderName::Contact).is_empty(), "a subscription needs to know where we are");
    send(&mut lone, id, Method::Notify, Header::new(HeaderName::Event, "refer"));
    assert_eq!(lone.last("NOTIFY").to_tag(), "alice");
    lone.answer("NOTIFY", 200, "", "");
    assert!(matches!(lone.events.last(), Some(Event::Response { status: 200, .. })));
}

#[test]
fn each_kind_of_request_is_told_with_its_dialog() {
    let (mut lone, id, tag) = established();
    for (at, method) in ["INFO", "MESSAGE", "SUBSCRIBE", "NOTIFY", "OPTIONS"].into_iter().enumerate() {
        let cseq = at as u32 + 2;
        lone.hear(&request(method, &format!("z9hG4bK-{method}"), cseq, "alice", &tag, ""));
        assert!(matches!(lone.events.last(), Some(Event::Request { dialog: Some(of), .. }) if *of == id), "{method}");
        let txn = asked(&lone);
        reply(&mut lone, txn, Response::new(488).with_header(Header::raw("X-Why", method.to_owned())));
        assert!(lone.last("488").text.contains(&format!("X-Why: {method}\r\n")));
    }
}

/// RFC 5057 5: a subscription that is over takes no call with it.
#[test]
fn a_notify_or_subscribe_that_finds_no_subscription_leaves_the_call_standing() {
    for method in [Method::Notify, Method::Subscribe] {
        for status in [Some(481), Some(408), None] {
            let (mut lone, id, _) = established();
            send(&mut lone, id, method.clone(), Header::new(HeaderName::Event, "refer"));
            match status {
                Some(status) => lone.answer(method.as_str(), status, "", ""),
                None => lone.pass(secs(33)),
            }
            assert!(matches!(lone.events[..], [Event::Response { status: 481 | 408, .. }]), "{:?}", lone.events);
            assert!(lone.endpoint.dialog(id).is_some());
        }
    }
}

#[test]
fn a_request_of_ours_without_answer_when_the_call_ends_has_its_outcome_later() {
    let (mut lone, id, tag) = established();
    send(&mut lone, id, Method::Refer, target());
    lone.hear(&request("BYE", "z9hG4bK-b", 2, "alice", &tag, ""));
    assert!(matches!(lone.events[..], [Event::Ended { by: Ender::Peer, .. }]));
    lone.settle();
    assert!(matches!(lone.events[1..], [Event::Response { status: 408, cause: FailCause::Timeout, .. }]));
    lone.assert_nothing_left();
}

#[test]
fn requests_of_theirs_without_answer_when_the_call_ends_get_487_however_it_ends() {
    for ending in ["bye", "ours", "cancel", "refusal"] {
        let mut lone = Lone::with(Transport::Udp, open());
        lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
        let id = lone.invited();
        lone.endpoint.respond(lone.now, id, Response::new(180));
        lone.drain();
        let tag = lone.last("180").to_tag();
        if matches!(ending, "bye" | "ours") {
            lone.endpoint.respond(lone.now, id, Response::new(200));
            lone.drain();
            lone.hear(&request("ACK", "z9hG4bK-a", 1, "alice", &tag, ""));
        }
        lone.hear(&request("INFO", "z9hG4bK-i", 2, "alice", &tag, ""));
        lone.hear(&request("MESSAGE", "z9hG4bK-m", 3, "alice", &tag, ""));
        let txn = asked(&lone);
        match ending {
            "bye" => lone.hear(&request("BYE", "z9hG4bK-b", 4, "alice", &tag, "")),
            "cancel" => lone.hear(&invite("z9hG4bK-in", 1, "alice", "").replace("INVITE", "CANCEL")),
            "refusal" => lone.endpoint.respond(lone.now, id, Response::new(603)),
            _ => {
                lone.endpoint.bye(lone.now, id, Vec::new());
                lone.drain();
                lone.answer("BYE", 200, "", "");
            }
        }
        lone.drain();
        reply(&mut lone, txn, Response::new(200));
        for cseq in ["2 INFO", "3 MESSAGE"] {
            let answers: Vec<_> = lone
                .sent
                .iter()
                .filter(|sent| sent.header(HeaderName::CSeq) == cseq)
                .map(support::lone::Sent::status)
                .collect();
            assert_eq!(answers, [487], "{ending}: {cseq}");
        }
    }
}

#[test]
fn the_called_side_can_ask_and_be_asked_before_it_answers() {
    let mut lone = Lone::with(Transport::Udp, open());
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(180));
    lone.drain();
    let tag = lone.last("180").to_tag();
    lone.hear(&request("INFO", "z9hG4bK-i", 2, "alice", &tag, ""));
    let txn = asked(&lone);
    reply(&mut lone, txn, Response::new(200));
    send(&mut lone, id, Method::Info, Header::new(HeaderName::Subject, "hello"));
    assert_eq!((lone.last("INFO").to_tag().as_str(), lone.last("INFO").header(HeaderName::CSeq)), ("alice", "1 INFO"));
    lone.answer("INFO", 200, "", "");
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "1 INVITE");
}

#[test]
fn message_and_options_outside_of_a_dialog_are_told_and_answered_with_headers() {
    let mut lone = Lone::with(Transport::Udp, open());
    let text = "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";
    lone.hear(&request("MESSAGE", "z9hG4bK-m", 1, "alice", "", text));
    assert!(
        matches!(&lone.events[..], [Event::Request { dialog: None, request, .. }] if request.body_bytes() == b"hi")
    );
    let txn = asked(&lone);
    reply(&mut lone, txn, Response::new(202));
    assert!(lone.last("202").header(HeaderName::Contact).is_empty(), "RFC 3428 7: a MESSAGE makes no dialog");
    lone.hear(&request("OPTIONS", "z9hG4bK-o", 1, "carol", "", ""));
    let txn = asked(&lone);
    reply(&mut lone, txn, Response::new(200).with_header(Header::new(HeaderName::AllowEvents, "refer")));
    let options = lone.last("200");
    assert!(options.header(HeaderName::Allow).contains("UPDATE"));
    assert!(!options.header(HeaderName::Accept).is_empty());
    assert_eq!(options.header(HeaderName::AllowEvents), "refer");
    lone.hear(&request("MESSAGE", "z9hG4bK-x", 1, "alice", "nosuch", text));
    assert_eq!(lone.last("481").header(HeaderName::CSeq), "1 MESSAGE");
}

#[test]
fn our_message_outside_of_a_dialog_has_an_outcome() {
    let mut lone = Lone::with(Transport::Udp, open());
    let body = Body { content_type: "text/plain".into(), bytes: "hi".into() };
    let order = RequestOut::new(Method::Message, "sip:bob@10.0.0.2", "<sip:a@x>", "<sip:b@x>", lone.flow);
    lone.endpoint.request(lone.now, RequestOut { body: Some(body), ..order }).unwrap();
    lone.drain();
    assert!(lone.last("MESSAGE").text.ends_with("\r\n\r\nhi"));
    lone.answer("MESSAGE", 200, "bob", "");
    assert!(matches!(lone.events[..], [Event::Response { status: 200, .. }]));
    lone.settle();
    lone.assert_nothing_left();
}
