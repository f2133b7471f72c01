//! TCP: messages cut anywhere, keep-alives, connections that come, go, and are not there.

use crate::support;

use crate::support::lone::{Lone, call, invite, request, wire};
use crate::support::{HERE, addr, config, secs};
use bytes::Bytes;
use hookswitch_sip::{
    ConnId, EndpointConfig, Event, FailCause, Flow, Input, MAX_PROVED, MAX_PROVED_NAME, PeerId, RequestOut, Response,
    Transport,
};
use hookswitch_sip_msg::{HeaderName, Method};

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
fn what_a_connection_has_proved_to_be_is_known_as_long_as_it_stands() {
    let mut lone = Lone::new(Transport::Tls);
    let (known, other) = (lone.flow, Flow { conn: Some(ConnId(2)), ..lone.flow });
    lone.input(Input::Opened { flow: other });
    let long = "a".repeat(MAX_PROVED_NAME + 1);
    let names = (0..).map(|n| format!("h{n}.example").into()).take(MAX_PROVED + 5);
    lone.input(Input::Proved { flow: known, names: std::iter::once(long.into()).chain(names).collect() });
    let proved = lone.endpoint.proved(known);
    assert_eq!((proved.len(), proved[0].as_str()), (MAX_PROVED, "h0.example"), "the long one is left out");
    for nobody in [other, Flow { conn: None, ..known }, Flow::udp(known.local, known.remote)] {
        assert!(lone.endpoint.proved(nobody).is_empty(), "the same address is not the same connection");
    }
    lone.input(Input::Closed { flow: known });
    assert!(lone.endpoint.proved(known).is_empty());
    // What was never let in is nobody, whatever comes after.
    lone.input(Input::Proved { flow: known, names: Box::new(["h.example".into()]) });
    assert!(lone.endpoint.proved(known).is_empty());
}

#[test]
fn who_has_proved_its_name_may_be_called_back_over_its_connection() {
    let mut lone = Lone::new(Transport::Tls);
    let far = |n| Flow { conn: Some(ConnId(n)), remote: addr("10.0.0.2:40000"), ..lone.flow };
    let (proved, other, plain) = (far(2), far(3), Flow { transport: Transport::Tcp, ..far(4) });
    for flow in [proved, other, plain] {
        lone.input(Input::Opened { flow });
    }
    lone.input(Input::Proved { flow: proved, names: Box::new(["carrier.example".into()]) });
    let ask = |lone: &mut Lone, flow: Flow, sent_by: &str, more: &str| {
        let via = format!(
            "SIP/2.0/{} {sent_by};branch=z9hG4bK-{}-{sent_by}{more}",
            flow.transport.name(),
            flow.conn.map_or(0, |conn| conn.0)
        );
        let text = request("OPTIONS", "x", 1, "alice", "", "");
        let from = text.find("Via: ").expect("a Via") + 5;
        let to = from + text[from..].find('\n').expect("its end");
        lone.hear_on(flow, &format!("{}{via}{}", &text[..from], &text[to..]));
    };
    let at = addr("10.0.0.2:5061");
    ask(&mut lone, proved, "sbc.carrier.example", "");
    assert_eq!(lone.endpoint.alias(at, "carrier.example"), None, "nobody has asked for it");
    for nobody in [other, plain] {
        ask(&mut lone, nobody, "10.0.0.2:5061", ";alias");
        assert_eq!(lone.endpoint.alias(at, "carrier.example"), None, "nobody knows who that is");
    }
    ask(&mut lone, proved, "sbc2.carrier.example", ";alias");
    assert_eq!(lone.endpoint.alias(at, "Carrier.Example"), proved.conn);
    assert_eq!(lone.endpoint.alias(at, "other.example"), None, "it was not proved to be that one");
    assert_eq!(lone.endpoint.alias(addr("10.0.0.9:5061"), "carrier.example"), None);
    // It moves, and there is one of it at a time.
    ask(&mut lone, proved, "10.0.0.2:5099", ";alias");
    assert_eq!(lone.endpoint.alias(at, "carrier.example"), None);
    assert_eq!(lone.endpoint.alias(addr("10.0.0.2:5099"), "carrier.example"), proved.conn);
    lone.input(Input::Closed { flow: proved });
    assert_eq!(lone.endpoint.alias(addr("10.0.0.2:5099"), "carrier.example"), None);
}

#[test]
fn whoever_we_have_connected_to_by_name_may_call_us_back_over_that() {
    let mut lone = Lone::new(Transport::Tls);
    for (peer, expected) in [(None, false), (Some(PeerId(7)), true)] {
        let flow = Flow { conn: Some(ConnId(9)), peer, ..lone.flow };
        lone.input(Input::Opened { flow });
        lone.flow = flow;
        lone.invite();
        let via = lone.last("INVITE").header(HeaderName::Via).to_owned();
        assert_eq!(via.ends_with(";alias"), expected, "{via}");
        lone.input(Input::Closed { flow });
    }
}

#[test]
fn a_call_from_somebody_proved_goes_on_to_the_same_over_another_connection() {
    let mut lone = Lone::new(Transport::Tls);
    let flow = Flow { remote: addr("10.0.0.2:33333"), conn: Some(ConnId(5)), ..lone.flow };
    lone.input(Input::Opened { flow });
    lone.hear_on(flow, &invite("z9hG4bK-in", 1, "alice", "Contact: <sip:alice@10.0.0.2:5071;transport=tls>\n"));
    let id = lone.invited();
    lone.endpoint.set_peer(id, PeerId(3));
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    let tag = lone.last("200").to_tag();
    lone.hear_on(flow, &request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.input(Input::Closed { flow });
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    let sent = lone.last("BYE").flow;
    assert_eq!((sent.remote, sent.conn, sent.peer), (addr("10.0.0.2:5071"), None, Some(PeerId(3))));
}

#[test]
fn many_callers_over_a_trusted_connection_are_no_flood() {
    let config = EndpointConfig { max_pending_per_source: 2, ..config(addr(HERE)) };
    for (trusted, refused) in [(false, 3), (true, 0)] {
        let mut lone = Lone::with(Transport::Tls, config.clone());
        if trusted {
            lone.endpoint.trust(lone.now, lone.flow);
        }
        for n in 0..5 {
            let text = invite(&format!("z9hG4bK-{n}"), 1, &format!("tag{n}"), "");
            lone.hear(&text.replace("call-1", &format!("many-{n}")));
        }
        assert_eq!(lone.sent.iter().filter(|sent| sent.status() == 503).count(), refused);
    }
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
