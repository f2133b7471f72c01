//! TCP: messages cut anywhere, keep-alives, connections that come, go, and are not there.

mod support;

use bytes::Bytes;
use hookswitch_sip::{ConnId, EndpointConfig, Event, FailCause, Flow, Input, RequestOut, Response, Transport};
use hookswitch_sip_msg::{HeaderName, Method};
use support::lone::{Lone, call, invite, request, wire};
use support::{HERE, addr, config, secs};

fn feed(lone: &mut Lone, bytes: &[u8]) {
    let flow = lone.flow;
    lone.input(Input::Stream { flow, bytes: Bytes::copy_from_slice(bytes) });
}

#[test]
fn messages_may_be_cut_and_joined_anywhere() {
    let one = wire(&request("OPTIONS", "z9hG4bK-1", 1, "a", "", "Content-Type: x/y\r\nContent-Length: 4\r\n\r\nbody"));
    let two = wire(&request("OPTIONS", "z9hG4bK-2", 2, "a", "", ""));
    let both = [&one[..], &two[..]].concat();
    for size in [1, 2, 7, 100, both.len() - 1, both.len()] {
        let mut lone = Lone::new(Transport::Tcp);
        for piece in both.chunks(size) {
            feed(&mut lone, piece);
        }
        let bodies: Vec<_> = lone
            .events
            .iter()
            .map(|event| match event {
                Event::Request { request, .. } => request.body(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(bodies, [&b"body"[..], b""], "in pieces of {size}");
    }
}

#[test]
fn a_ping_gets_its_pong() {
    let mut lone = Lone::new(Transport::Tcp);
    feed(&mut lone, b"\r\n\r\n");
    assert_eq!(lone.raw, [(lone.flow, Bytes::from_static(b"\r\n"))]);
    feed(&mut lone, b"\r\n");
    assert_eq!(lone.raw.len(), 1, "a pong gets no answer");
}

#[test]
fn a_framing_error_closes_that_connection_only() {
    let mut lone = Lone::new(Transport::Tcp);
    let other = Flow { conn: Some(ConnId(2)), remote: addr("10.0.0.3:40000"), ..lone.flow };
    lone.input(Input::Opened { flow: other });
    let text = wire(&request("OPTIONS", "z9hG4bK-1", 1, "a", "", ""));
    let bad = String::from_utf8_lossy(&text).replace("Content-Length: 0\r\n", "");
    feed(&mut lone, bad.as_bytes());
    assert_eq!(lone.words(), ["400"], "as far as it could be read, it is answered");
    assert_eq!(lone.closed, [lone.flow]);
    assert!(matches!(lone.events[..], [Event::FlowClosed { flow }] if flow == lone.flow));
    assert_eq!(lone.endpoint.counts().connections, 1);
    lone.input(Input::Closed { flow: lone.flow });
    assert_eq!(lone.events.len(), 1, "told once");
    lone.hear_on(other, &request("OPTIONS", "z9hG4bK-2", 1, "a", "", ""));
    assert!(matches!(lone.events.last(), Some(Event::Request { .. })));
}

#[test]
fn another_protocol_is_hung_up_on() {
    for noise in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut lone = Lone::new(Transport::Tcp);
        feed(&mut lone, noise);
        assert_eq!(lone.closed.len(), 1);
        assert_eq!(lone.endpoint.counts().connections, 0);
    }
}

#[test]
fn half_a_message_does_not_hold_a_connection_for_ever() {
    let mut lone = Lone::new(Transport::Tcp);
    feed(&mut lone, b"OPTIONS sip:x@y SIP/2.0\r\nVia: ");
    lone.pass(secs(31));
    assert!(lone.closed.is_empty());
    lone.pass(secs(1));
    assert_eq!(lone.closed, [lone.flow]);
    lone.assert_nothing_left();
}

#[test]
fn a_message_that_arrives_slowly_but_whole_is_taken() {
    let mut lone = Lone::new(Transport::Tcp);
    let text = wire(&request("OPTIONS", "z9hG4bK-1", 1, "a", "", ""));
    let (left, right) = text.split_at(50);
    feed(&mut lone, left);
    lone.pass(secs(20));
    feed(&mut lone, right);
    lone.pass(secs(20));
    assert!(lone.closed.is_empty());
    assert_eq!(lone.endpoint.counts().connections, 1);
}

#[test]
fn what_was_sent_over_a_connection_fails_with_it() {
    let mut lone = Lone::new(Transport::Tcp);
    lone.invite();
    let order = RequestOut::new(Method::Options, "sip:b@x", "<sip:a@x>", "<sip:b@x>", lone.flow);
    lone.endpoint.request(lone.now, order).unwrap();
    lone.drain();
    lone.input(Input::Closed { flow: lone.flow });
    let failed = lone.events.iter().filter(|event| {
        matches!(
            event,
            Event::Failed { status: 503, cause: FailCause::Unreachable, .. }
                | Event::Response { status: 503, cause: FailCause::Unreachable, .. }
        )
    });
    assert_eq!(failed.count(), 2);
    lone.assert_nothing_left();
}

#[test]
fn a_host_that_is_not_there_fails_what_was_to_go_there() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut lone = Lone::new(Transport::Udp);
        let flow = Flow { transport, ..lone.flow };
        let elsewhere = Flow { remote: addr("10.0.0.3:5060"), ..flow };
        lone.endpoint.invite(lone.now, call(flow)).unwrap();
        lone.endpoint.invite(lone.now, call(elsewhere)).unwrap();
        lone.drain();
        assert_eq!(lone.last("INVITE").flow, elsewhere);
        lone.input(Input::Unreachable { flow });
        assert!(matches!(lone.events[..], [Event::Failed { status: 503, cause: FailCause::Unreachable, .. }]));
        assert_eq!(lone.endpoint.counts().dialogs, 1, "the other call goes on");
    }
}

#[test]
fn a_connection_that_opens_takes_over_what_waited_for_it() {
    let mut lone = Lone::new(Transport::Udp);
    let flow = Flow { transport: Transport::Tcp, ..lone.flow };
    lone.endpoint.invite(lone.now, call(flow)).unwrap();
    lone.drain();
    assert_eq!(lone.last("INVITE").flow.conn, None);
    let opened = Flow { conn: Some(ConnId(9)), local: addr("10.0.0.1:40001"), ..flow };
    lone.input(Input::Opened { flow: opened });
    lone.flow = opened;
    lone.answer("INVITE", 180, "bob", "Contact: <sip:bob@10.0.0.2;transport=tcp>\n");
    assert!(matches!(lone.events[..], [Event::Progress { .. }]));
    // The next request uses it, and its end is the end of both calls that have no answer.
    lone.endpoint.invite(lone.now, call(flow)).unwrap();
    lone.drain();
    assert_eq!(lone.last("INVITE").flow.conn, Some(ConnId(9)));
    lone.input(Input::Closed { flow: opened });
    assert_eq!(lone.events.iter().filter(|event| matches!(event, Event::Failed { status: 503, .. })).count(), 2);
    lone.assert_nothing_left();
}

#[test]
fn a_response_whose_connection_is_gone_goes_to_the_port_in_via() {
    let mut lone = Lone::new(Transport::Tcp);
    let flow = Flow { remote: addr("10.0.0.2:33333"), conn: Some(ConnId(5)), ..lone.flow };
    lone.input(Input::Opened { flow });
    lone.hear_on(flow, &invite("z9hG4bK-in", 1, "alice", "").replace("2.0/UDP", "2.0/TCP"));
    let id = lone.invited();
    lone.input(Input::Closed { flow });
    lone.input(Input::Closed { flow: lone.flow });
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    let sent = lone.last("200");
    assert_eq!((sent.flow.remote, sent.flow.conn), (addr("10.0.0.2:5060"), None));
}

#[test]
fn via_and_contact_name_the_listening_port_not_that_of_the_connection() {
    let mut lone = Lone::new(Transport::Tcp);
    lone.flow.local = addr("10.0.0.1:40001");
    lone.invite();
    let sent = lone.last("INVITE");
    assert!(sent.header(HeaderName::Via).starts_with("SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK"));
    assert_eq!(sent.header(HeaderName::Contact), "<sip:alice@10.0.0.1:5060;transport=tcp>");
}

#[test]
fn more_connections_than_allowed_are_closed() {
    let mut lone = Lone::with(Transport::Tcp, EndpointConfig { max_connections: 2, ..config(addr(HERE)) });
    for number in 2..5 {
        let flow = Flow { conn: Some(ConnId(number)), ..lone.flow };
        lone.input(Input::Opened { flow });
    }
    assert_eq!(lone.endpoint.counts().connections, 2);
    assert_eq!(lone.closed.len(), 2);
}

#[test]
fn a_call_whose_connection_is_gone_is_reached_at_its_contact() {
    let mut lone = Lone::new(Transport::Tcp);
    let flow = Flow { remote: addr("10.0.0.2:33333"), conn: Some(ConnId(5)), ..lone.flow };
    lone.input(Input::Opened { flow });
    let contact = "Contact: <sip:alice@10.0.0.2:5070;transport=tcp>\n";
    lone.hear_on(flow, &invite("z9hG4bK-in", 1, "alice", contact));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    let tag = lone.last("200").to_tag();
    lone.hear_on(flow, &request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.endpoint.reinvite(lone.now, id, None, Vec::new()).unwrap();
    lone.drain();
    assert_eq!(lone.last("INVITE").flow, flow, "while the connection stands, it serves");
    lone.hear_on(flow, &support::lone::response(&lone.last("INVITE").message, 488, "alice", ""));
    lone.input(Input::Closed { flow });
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    let sent = lone.last("BYE").flow;
    assert_eq!((sent.remote, sent.conn), (addr("10.0.0.2:5070"), None));
}
