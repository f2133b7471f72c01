//! Refusals: the right status, with the header that tells what would be accepted, and without a trace.

use crate::support;

use crate::support::lone::{Lone, invite, request};
use crate::support::{HERE, addr, config, secs};
use hookswitch_sip::{AnswerPort, EndpointConfig, Event, Input, Response, Transport};
use hookswitch_sip_msg::HeaderName;

/// What a request gets for an answer, and that it leaves nothing behind.
#[track_caller]
fn refused(text: &str, status: u16) -> support::lone::Sent {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(text);
    assert_eq!(lone.words(), [status.to_string()]);
    assert!(lone.events.is_empty());
    lone.assert_nothing_left();
    let first = lone.last(&status.to_string()).clone();
    assert!(!first.to_tag().is_empty());
    lone.hear(text);
    assert_eq!(lone.sent[1].to_tag(), first.to_tag(), "a repeat gets the same tag");
    let method = text.split(' ').next().unwrap();
    lone.hear(&text.replace(method, "ACK"));
    assert_eq!(lone.sent.len(), 2, "an ACK is never answered");
    first
}

#[test]
fn a_method_that_is_known_but_not_allowed_gets_405_and_allow() {
    let sent = refused(&request("PUBLISH", "z9hG4bK-1", 1, "a", "", ""), 405);
    assert_eq!(sent.header(HeaderName::Allow), "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REGISTER, PRACK, UPDATE");
}

#[test]
fn an_unknown_method_gets_501() {
    refused(&request("FROBNICATE", "z9hG4bK-1", 1, "a", "", ""), 501);
}

#[test]
fn an_unknown_body_type_gets_415_and_accept() {
    let body = "Content-Type: text/html\r\nContent-Length: 2\r\n\r\nhi";
    let sent = refused(&invite("z9hG4bK-1", 1, "a", body), 415);
    assert_eq!(sent.header(HeaderName::Accept), "application/sdp");
}

#[test]
fn a_body_that_may_be_ignored_is() {
    let mut lone = Lone::new(Transport::Udp);
    let body = "Content-Type: text/html\r\nContent-Disposition: icon;handling=optional\r\nContent-Length: 2\r\n\r\nhi";
    lone.hear(&invite("z9hG4bK-1", 1, "a", body));
    assert!(matches!(lone.events[..], [Event::Invite { .. }]));
}

#[test]
fn an_encoded_body_gets_415_and_accept_encoding() {
    let body = "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi";
    let sent = refused(&invite("z9hG4bK-1", 1, "a", body), 415);
    assert_eq!(sent.header(HeaderName::AcceptEncoding), "identity");
}

#[test]
fn an_extension_we_do_not_know_gets_420_and_unsupported() {
    let sent = refused(&invite("z9hG4bK-1", 1, "a", "Require: gruu, 100rel, foo\n"), 420);
    assert_eq!(sent.header(HeaderName::Unsupported), "gruu, foo");
}

#[test]
fn an_extension_we_know_is_accepted() {
    let mut lone = Lone::with(Transport::Udp, EndpointConfig { supported: vec!["path".into()], ..config(addr(HERE)) });
    lone.hear(&invite("z9hG4bK-1", 1, "a", "Require: PATH\n"));
    assert!(matches!(lone.events[..], [Event::Invite { .. }]));
}

#[test]
fn an_unknown_scheme_gets_416() {
    refused(&invite("z9hG4bK-1", 1, "a", "").replace("INVITE sip:bob@10.0.0.1", "INVITE nobody:knows-this"), 416);
}

#[test]
fn used_up_hops_get_483_but_not_where_a_request_ends_anyway() {
    refused(&invite("z9hG4bK-1", 1, "a", "Max-Forwards: 0\n"), 483);
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&request("OPTIONS", "z9hG4bK-1", 1, "a", "", "Max-Forwards: 0\n"));
    assert!(matches!(lone.events[..], [Event::Request { .. }]));
    let mut phone = Lone::with(Transport::Udp, EndpointConfig { refuse_exhausted: false, ..config(addr(HERE)) });
    phone.hear(&invite("z9hG4bK-1", 1, "a", "Max-Forwards: 0\n"));
    assert!(matches!(phone.events[..], [Event::Invite { .. }]));
}

#[test]
fn a_copy_of_a_request_that_took_another_way_gets_482() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-1", 1, "a", ""));
    lone.hear(&invite("z9hG4bK-2", 1, "a", ""));
    assert_eq!(lone.words(), ["482"]);
    assert_eq!(lone.events.len(), 1);
    // The next request of that call, as after a challenge, is no copy.
    lone.hear(&invite("z9hG4bK-3", 2, "a", ""));
    assert_eq!(lone.events.len(), 2);
}

#[test]
fn broken_requests_get_400_with_the_reason() {
    let sent = refused(&invite("z9hG4bK-1", 1, "a", "").replace("CSeq: 1 INVITE", "CSeq: 1 OPTIONS"), 400);
    assert!(sent.text.starts_with("SIP/2.0 400 Bad Request - CSeq"), "{}", sent.text);
    refused(&invite("z9hG4bK-1", 1, "a", "").replace("Call-ID: call-1\n", ""), 400);
    refused(&invite("z9hG4bK-1", 1, "a", "").replace("Contact: <sip:alice@10.0.0.2:5060>\n", ""), 400);
    refused(&invite("z9hG4bK-1", 1, "a", "").replace("Max-Forwards: 70", "Max-Forwards: many"), 400);
    refused(&invite("z9hG4bK-1", 1, "a", "Content-Type: application/sdp\r\nContent-Length: 99\r\n\r\nshort"), 400);
}

#[test]
fn another_sip_version_gets_505() {
    refused(&invite("z9hG4bK-1", 1, "a", "").replace("10.0.0.1 SIP/2.0\n", "10.0.0.1 SIP/7.0\n"), 505);
}

#[test]
fn a_route_set_without_end_gets_400() {
    let routes: String = (0..40).map(|hop| format!("Record-Route: <sip:10.0.1.{hop};lr>\n")).collect();
    refused(&invite("z9hG4bK-1", 1, "a", &routes), 400);
}

#[test]
fn noise_is_dropped_and_counted() {
    let mut lone = Lone::new(Transport::Udp);
    for noise in ["hello", "GET / HTTP/1.1\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}\u{4}", "SIP/2.0 200 OK\r\n\r\n"] {
        lone.hear(noise);
    }
    for keep_alive in [&b""[..], b"\r\n\r\n", b"\0\0\0\0"] {
        lone.input(Input::Datagram { flow: lone.flow, bytes: keep_alive.into() });
    }
    assert!(lone.sent.is_empty(), "{:?}", lone.words());
    assert_eq!(lone.endpoint.dropped().garbage, 4);
    lone.hear("SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKnope\nCSeq: 1 INVITE\n");
    assert_eq!(lone.endpoint.dropped().stray_responses, 1);
    lone.hear(&request("ACK", "z9hG4bK-none", 1, "a", "b", ""));
    assert_eq!(lone.endpoint.dropped().stray_acks, 1);
    lone.assert_nothing_left();
}

#[test]
fn sent_by_is_a_part_of_the_transaction() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-same", 1, "a", ""));
    let other = invite("z9hG4bK-same", 1, "b", "").replace("UDP 10.0.0.2:5060", "UDP 10.0.0.3:5060");
    lone.hear(&other.replace("Call-ID: call-1", "Call-ID: call-2"));
    assert_eq!(lone.events.len(), 2, "two clients may have chosen the same branch");
}

#[test]
fn clients_older_than_rfc_3261_are_told_apart_by_the_rest() {
    let old = |call: &str, method: &str, tag: &str| {
        request(method, "1", 1, "a", tag, "").replace(";branch=1", "").replace("call-1", call)
    };
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&old("one", "INVITE", ""));
    lone.hear(&old("one", "INVITE", ""));
    lone.hear(&old("two", "INVITE", ""));
    assert_eq!(lone.events.len(), 2);
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(486));
    lone.drain();
    let tag = lone.last("486").to_tag();
    lone.hear(&old("two", "ACK", &tag));
    lone.pass(secs(3));
    assert_eq!(lone.times("486"), [0]);
}

#[test]
fn responses_go_where_rfc_3581_and_rfc_3261_say() {
    let mut lone = Lone::new(Transport::Udp);
    lone.flow.remote = addr("198.51.100.7:31000");
    lone.hear(&request("BYE", "z9hG4bK-1", 1, "a", "x", ""));
    assert_eq!(lone.last("481").flow.remote, addr("198.51.100.7:5060"), "without rport: the port in Via");
    assert!(lone.last("481").header(HeaderName::Via).ends_with(";received=198.51.100.7"));
    lone.hear(&request("BYE", "z9hG4bK-2;rport", 1, "a", "x", ""));
    assert_eq!(lone.last("481").flow.remote, addr("198.51.100.7:31000"));
    assert!(lone.last("481").header(HeaderName::Via).ends_with(";received=198.51.100.7;rport=31000"));

    // The same in answers that come from a transaction.
    lone.hear(&request("OPTIONS", "z9hG4bK-3;rport", 1, "a", "", ""));
    let Some(Event::Request { txn, .. }) = lone.events.last() else { panic!() };
    lone.endpoint.reply(lone.now, *txn, Response::new(200));
    lone.drain();
    assert_eq!(lone.last("200").flow.remote, addr("198.51.100.7:31000"));
    assert!(lone.last("200").header(HeaderName::Via).ends_with(";received=198.51.100.7;rport=31000"));
}

#[test]
fn every_via_comes_back_in_its_order() {
    let mut lone = Lone::new(Transport::Udp);
    let text = request("OPTIONS", "z9hG4bK-1", 1, "a", "", "").replace(
        "branch=z9hG4bK-1\n",
        "branch=z9hG4bK-1 , SIP/2.0/TCP one.test;branch=z9hG4bK-x\nv: SIP/2.0/UDP two.test\nVia:SIP/2.0/UDP three.test\n",
    );
    lone.hear(&text);
    let Some(Event::Request { txn, .. }) = lone.events.last() else { panic!("{:?}", lone.words()) };
    lone.endpoint.reply(lone.now, *txn, Response::new(200));
    lone.drain();
    let vias: Vec<_> = lone.last("200").message.vias().map(|via| via.unwrap().sent_by.to_owned()).collect();
    assert_eq!(vias, ["10.0.0.2:5060", "one.test", "two.test", "three.test"]);
}

#[test]
fn whoever_is_behind_a_nat_is_answered_where_it_is_seen_if_that_is_wanted() {
    // What the Via says, and who has such an answer at the source, which is 198.51.100.7:31000.
    for (via, behind_nat, always) in [
        ("192.168.1.9:5060", true, true),
        ("[2001:db8::1]:5060", true, true),
        ("df7jal23ls0d.invalid", true, true),
        ("198.51.100.7:5060", false, true),
        ("phone.example.test:5060", false, true),
    ] {
        for (answer_port, at_source) in
            [(AnswerPort::Asked, false), (AnswerPort::BehindNat, behind_nat), (AnswerPort::Always, always)]
        {
            let mut lone = Lone::with(Transport::Udp, EndpointConfig { answer_port, ..config(addr(HERE)) });
            lone.flow.remote = addr("198.51.100.7:31000");
            let expected = if at_source { "198.51.100.7:31000" } else { "198.51.100.7:5060" };
            // One that is refused without a trace, and one with a transaction.
            let seen = |text: &str| text.replace("10.0.0.2:5060;branch", &format!("{via};branch"));
            lone.hear(&seen(&request("BYE", "z9hG4bK-1", 1, "a", "x", "")));
            assert_eq!(lone.last("481").flow.remote, addr(expected), "{via} {answer_port:?}");
            assert!(!lone.last("481").header(HeaderName::Via).contains("rport"), "it did not ask for that");
            lone.hear(&seen(&request("OPTIONS", "z9hG4bK-2", 1, "a", "", "")));
            let Some(Event::Request { txn, .. }) = lone.events.last() else { panic!("{:?}", lone.events) };
            let txn = *txn;
            lone.endpoint.reply(lone.now, txn, Response::new(200));
            lone.drain();
            assert_eq!(lone.last("200").flow.remote, addr(expected), "{via} {answer_port:?}");
        }
    }
}
