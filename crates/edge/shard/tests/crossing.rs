//! Messages that cross on the way, and what comes in one piece that should have come in two.

mod support;
use support::*;

use bytes::BytesMut;
use hookswitch_call::{Event as CallEvent, Limits};
use hookswitch_shard::{Counts, Input, Output, Shard};
use hookswitch_sip::{Body, ConnId, Event, Flow, Listen, Response, Transport};
use hookswitch_sip_msg::Message;

fn ends(world: &World) -> usize {
    world.told.iter().filter(|told| matches!(told.event, CallEvent::Ended { .. })).count()
}

#[test]
fn a_cancel_that_crosses_the_answer_ends_the_call_on_both_sides() {
    // Either message may be the first at the switch.
    for answer_first in [true, false] {
        let mut world = World::trusting();
        world.register(1);
        let call = world.invite(0, "sip:bob@x.test", Some("a"));
        world.respond(1, 180, None);
        let (callee, _) = world.called(1).unwrap();
        let now = world.now;
        let answer = Response::new(200).with_body(Body::sdp("b"));
        if answer_first {
            world.agents[1].endpoint.respond(now, callee, answer);
            world.run();
            world.agents[0].endpoint.cancel(now, call, None);
        } else {
            world.agents[0].endpoint.cancel(now, call, None);
            world.agents[1].endpoint.respond(now, callee, answer);
        }
        world.run();
        if answer_first {
            // The caller has been answered: its CANCEL comes too late and it hangs up.
            world.ack(0, call, None);
            world.bye(0, call);
        } else {
            assert_eq!(world.failure(0), Some(487));
        }
        assert!(world.has(1, |event| matches!(event, Event::Ended { .. })), "bob is hung up ({answer_first})");
        world.assert_clean();
        assert_eq!(ends(&world), 1);
    }
}

#[test]
fn an_answer_that_crosses_the_time_out_is_acknowledged_and_hung_up() {
    let mut config = shard_config();
    config.b2bua.trusted = vec![hookswitch_sip::Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
    config.limits = Limits { ring_time: sec(30), anchor: false, ..Limits::default() };
    let mut world = World::new(config);
    world.register(1);
    world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 180, None);
    world.pass(sec(30) - std::time::Duration::from_millis(1));
    let (callee, _) = world.called(1).unwrap();
    world.now += std::time::Duration::from_millis(1);
    let now = world.now;
    world.agents[1].endpoint.respond(now, callee, Response::new(200).with_body(Body::sdp("b")));
    world.shard.handle_timeout(now);
    world.run();
    assert_eq!(world.failure(0), Some(408));
    assert!(world.has(1, |event| matches!(event, Event::Acked { .. })));
    assert!(world.has(1, |event| matches!(event, Event::Ended { .. })));
    world.assert_clean();
    assert_eq!(ends(&world), 1);
}

/// A switch with one TCP connection to a proxy that both parties are behind.
struct Proxied {
    shard: Shard,
    flow: Flow,
    sent: Vec<Message>,
}

impl Proxied {
    fn new() -> Self {
        let mut config = shard_config();
        config.b2bua.trusted = vec![hookswitch_sip::Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
        config.b2bua.endpoint.listen = vec![Listen { transport: Transport::Tcp, address: at(SWITCH), advertise: None }];
        config.b2bua.routes =
            vec![hookswitch_b2bua::route::Route::new("sip:*", "sip:10.0.0.9:5060;transport=tcp").unwrap()];
        let flow =
            Flow { transport: Transport::Tcp, local: at(SWITCH), remote: at("10.0.0.9:5060"), conn: Some(ConnId(1)) };
        let mut proxied = Self { shard: Shard::new(config, [9; 32]), flow, sent: Vec::new() };
        proxied.hear(hookswitch_sip::Input::Opened { flow });
        proxied
    }

    fn hear(&mut self, input: hookswitch_sip::Input) {
        self.shard.handle(sec(1_700_000_000), Input::Sip(input));
        while let Some(output) = self.shard.poll_output() {
            if let Output::Send { bytes, .. } = output {
                self.sent.push(Message::parse(bytes).expect("what we write can be read"));
            }
        }
    }

    fn hear_at_once(&mut self, texts: &[String]) {
        let mut bytes = BytesMut::new();
        for text in texts {
            bytes.extend_from_slice(text.as_bytes());
        }
        let flow = self.flow;
        self.hear(hookswitch_sip::Input::Stream { flow, bytes: bytes.freeze() });
    }

    fn last(&self, method: &str) -> &Message {
        let is = |message: &&Message| message.method().is_some_and(|found| found.as_str() == method);
        self.sent.iter().rev().find(is).unwrap_or_else(|| panic!("no {method} was sent"))
    }
}

fn from_caller(method: &str, cseq: u32) -> String {
    let body = if method == "INVITE" { "v=0\r\n" } else { "" };
    format!(
        "{method} sip:bob@x.test SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bK-one\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@x.test>;tag=a\r\nTo: <sip:bob@x.test>\r\nCall-ID: one\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:alice@10.0.0.2>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(request: &Message, status: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for (name, line) in request.lines() {
        let line = String::from_utf8_lossy(line);
        match name.as_str() {
            "Via" | "From" | "Call-ID" | "CSeq" => text.push_str(&format!("{line}\r\n")),
            "To" if line.contains(";tag=") => text.push_str(&format!("{line}\r\n")),
            "To" => text.push_str(&format!("{line};tag=b\r\n")),
            _ => {}
        }
    }
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    text + &format!("Contact: <sip:bob@10.0.0.3>\r\n{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn an_answer_right_behind_a_cancel_in_one_read_is_acknowledged_and_hung_up() {
    let mut proxied = Proxied::new();
    proxied.hear_at_once(&[from_caller("INVITE", 1)]);
    let invite = proxied.last("INVITE").clone();
    proxied.hear_at_once(&[answer(&invite, "180 Ringing", "")]);
    proxied.hear_at_once(&[from_caller("CANCEL", 1), answer(&invite, "200 OK", "v=0\r\n")]);
    assert_eq!(proxied.last("ACK").to().unwrap().tag(), Some("b"));
    let bye = proxied.last("BYE").clone();
    proxied.hear_at_once(&[answer(&bye, "200 OK", "")]);
    // What is left is the transaction that absorbs repeats.
    let counts = proxied.shard.counts();
    assert_eq!(Counts { transactions: 0, sip_timers: 0, ..counts }, Counts { connections: 1, ..Counts::default() });
}

#[test]
fn two_answers_of_a_fork_in_one_read_make_one_call() {
    let mut proxied = Proxied::new();
    proxied.hear_at_once(&[from_caller("INVITE", 1)]);
    let invite = proxied.last("INVITE").clone();
    let (first, second) = (answer(&invite, "200 OK", "v=0\r\n"), answer(&invite, "200 OK", "v=0\r\n"));
    proxied.hear_at_once(&[first, second.replace(";tag=b", ";tag=c")]);
    let acks = proxied.sent.iter().filter(|message| message.method() == Some(&hookswitch_sip_msg::Method::Ack));
    let mut tags: Vec<_> = acks.map(|ack| ack.to().unwrap().tag().unwrap().to_owned()).collect();
    tags.sort();
    assert_eq!(tags, ["b", "c"]);
    assert_eq!(proxied.last("BYE").to().unwrap().tag(), Some("c"), "the second one is ended");
    assert_eq!(proxied.shard.counts().legs, 2);
}
