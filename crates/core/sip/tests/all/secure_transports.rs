//! TLS and WebSocket as the endpoint sees them: what it calls itself, what it keeps secret, whom it can reach.

use crate::support::lone::{Lone, call, invite, request, wire};
use crate::support::{HERE, addr, config};
use bytes::Bytes;
use hookswitch_sip::{ConnId, EndpointConfig, Event, FailCause, Flow, Input, Listen, PeerId, Response, Transport};
use hookswitch_sip_msg::HeaderName;

const STREAMS: [Transport; 3] = [Transport::Tls, Transport::Ws, Transport::Wss];

fn lone(transport: Transport) -> Lone {
    let listen = Transport::ALL.map(|transport| Listen { transport, address: addr(HERE), advertise: None });
    Lone::with(transport, EndpointConfig { listen: listen.into(), ..config(addr(HERE)) })
}

fn sips(text: &str) -> String {
    text.replace("sip:bob@10.0.0.1 SIP/2.0", "sips:bob@10.0.0.1 SIP/2.0")
}

#[test]
fn via_and_contact_name_the_transport() {
    for (transport, via, contact) in [
        (Transport::Tls, "SIP/2.0/TLS 10.0.0.1:5060;", "<sip:alice@10.0.0.1:5060;transport=tls>"),
        (Transport::Ws, "SIP/2.0/WS 10.0.0.1:5060;", "<sip:alice@10.0.0.1:5060;transport=ws>"),
        (Transport::Wss, "SIP/2.0/WSS 10.0.0.1:5060;", "<sip:alice@10.0.0.1:5060;transport=ws>"),
    ] {
        let mut lone = lone(transport);
        lone.invite();
        let sent = lone.last("INVITE");
        assert!(sent.header(HeaderName::Via).starts_with(via), "{}", sent.text);
        assert_eq!(sent.header(HeaderName::Contact), contact);
        assert_eq!(sent.flow, lone.flow);
    }
}

#[test]
fn whoever_is_called_by_sips_is_given_a_sips_contact() {
    let mut out = lone(Transport::Tls);
    let invite_out = hookswitch_sip::Invite { uri: "sips:bob@10.0.0.2".into(), ..call(out.flow) };
    out.endpoint.invite(out.now, invite_out).unwrap();
    out.drain();
    assert_eq!(out.last("INVITE").header(HeaderName::Contact), "<sips:alice@10.0.0.1:5060>");
    for (transport, text, contact) in [
        (Transport::Tls, sips(&invite("z9hG4bK-1", 1, "a", "")), "<sips:bob@10.0.0.1:5060>"),
        (Transport::Wss, sips(&invite("z9hG4bK-1", 1, "a", "")), "<sips:bob@10.0.0.1:5060;transport=ws>"),
        // RFC 3261 12.1.1: by the Contact, or the topmost Record-Route where there is one.
        (Transport::Tls, invite("z9hG4bK-1", 1, "a", "Contact: <sips:alice@10.0.0.2>\n"), "<sips:bob@10.0.0.1:5060>"),
        (Transport::Tls, invite("z9hG4bK-1", 1, "a", "Record-Route: <sips:10.0.0.2;lr>\n"), "<sips:bob@10.0.0.1:5060>"),
        (Transport::Tls, invite("z9hG4bK-1", 1, "a", ""), "<sip:bob@10.0.0.1:5060;transport=tls>"),
    ] {
        let mut lone = lone(transport);
        lone.hear(&text);
        let id = lone.invited();
        lone.endpoint.respond(lone.now, id, Response::new(200));
        lone.drain();
        assert_eq!(lone.last("200").header(HeaderName::Contact), contact, "{text}");
    }
}

#[test]
fn sips_that_came_in_the_open_is_refused() {
    for transport in Transport::ALL {
        let mut lone = lone(transport);
        lone.hear(&sips(&request("OPTIONS", "z9hG4bK-1", 1, "a", "", "")));
        if transport.secure() {
            assert!(matches!(lone.events.last(), Some(Event::Request { .. })), "{transport}");
        } else {
            assert_eq!(lone.words(), ["416"], "{transport}");
        }
    }
}

#[test]
fn a_websocket_brings_whole_messages_without_a_length() {
    for transport in [Transport::Ws, Transport::Wss] {
        let mut lone = lone(transport);
        let flow = lone.flow;
        let text = wire(&request("MESSAGE", "z9hG4bK-1", 1, "a", "", "Content-Type: text/plain\n"));
        let text = String::from_utf8_lossy(&text).replace("Content-Length: 0\r\n", "") + "hello";
        lone.input(Input::Message { flow, bytes: text.replace("MESSAGE", "OPTIONS").into() });
        let Some(Event::Request { request, .. }) = lone.events.last() else { panic!("{:?}", lone.events) };
        assert_eq!(&request.body()[..], b"hello");
        lone.input(Input::Message { flow, bytes: Bytes::from_static(b"\r\n\r\n") });
        assert_eq!(lone.raw.last(), Some(&(flow, Bytes::from_static(b"\r\n"))), "some keep it alive as a stream");
        let before = (lone.raw.len(), lone.sent.len());
        lone.input(Input::Message { flow, bytes: Bytes::from_static(b"\r\n") });
        lone.input(Input::Message { flow, bytes: Bytes::new() });
        assert_eq!((lone.raw.len(), lone.sent.len()), before);
        lone.input(Input::Message { flow, bytes: Bytes::from_static(b"INVITE nonsense") });
        assert!(lone.closed.is_empty(), "a message that is none does not break those behind it");
    }
}

#[test]
fn a_browser_is_called_back_through_its_connection_whatever_its_contact_says() {
    for transport in [Transport::Ws, Transport::Wss] {
        for contact in
            ["<sip:a@df7jal23ls0d.invalid;transport=ws>", "<sip:a@10.0.0.2:5060;transport=ws>", "<sip:a@10.9.9.9>"]
        {
            let mut lone = lone(transport);
            lone.hear(&invite("z9hG4bK-1", 1, "a", &format!("Contact: {contact}\n")));
            let id = lone.invited();
            lone.endpoint.respond(lone.now, id, Response::new(200));
            lone.drain();
            let tag = lone.last("200").to_tag();
            lone.hear(&request("ACK", "z9hG4bK-2", 1, "a", &tag, ""));
            lone.endpoint.bye(lone.now, id, Vec::new());
            lone.drain();
            if transport.secure() || contact.contains("transport=ws") {
                assert_eq!(lone.last("BYE").flow, lone.flow, "{transport} {contact}");
            }
        }
    }
}

#[test]
fn what_began_in_secret_does_not_go_on_in_the_open() {
    let mut lone = lone(Transport::Tls);
    lone.hear(&invite("z9hG4bK-1", 1, "a", "Contact: <sip:a@10.0.0.3:5060;transport=udp>\n"));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    let tag = lone.last("200").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-2", 1, "a", &tag, ""));
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    assert_eq!(lone.last("BYE").flow, lone.flow);
}

#[test]
fn a_call_over_a_stream_that_breaks_fails_at_once() {
    for transport in STREAMS {
        let mut lone = lone(transport);
        lone.invite();
        let flow = lone.flow;
        lone.input(Input::Closed { flow });
        let failed = |event: &Event| matches!(event, Event::Failed { cause: FailCause::Unreachable, .. });
        assert!(lone.events.iter().any(failed), "{transport} {:?}", lone.events);
    }
}

#[test]
fn a_connection_serves_only_whom_it_was_proved_for() {
    let mut lone = lone(Transport::Tls);
    let to = |peer| Flow { conn: None, peer, ..lone.flow };
    let (one, other) = (to(Some(PeerId(1))), to(Some(PeerId(2))));
    let proved = Flow { conn: Some(ConnId(9)), ..one };
    lone.input(Input::Opened { flow: proved });
    for (flow, expected) in [(one, proved), (other, other)] {
        lone.endpoint.invite(lone.now, call(flow)).unwrap();
        lone.drain();
        assert_eq!(lone.last("INVITE").flow, proved_or(flow, expected));
    }
}

fn proved_or(asked: Flow, expected: Flow) -> Flow {
    assert_eq!(asked.peer, expected.peer);
    expected
}
