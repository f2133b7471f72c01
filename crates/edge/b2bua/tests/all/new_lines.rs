//! A phone whose WebSocket has ended in the middle of a call registers by another one, and its call goes on by that.

use std::time::Duration;

use hookswitch_call::{Cause, Op, Report, Sdp};
use hookswitch_sip::auth::{Credentials, authorize};
use hookswitch_sip::{ConnId, Flow, Input, Listen, Transport};
use hookswitch_sip_msg::{Message, Method};

use crate::line::{ALICE, Line};

const CONTACT: &str = "sip:k3@h7s.invalid;transport=ws";
const PHONE: &str = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
/// No network that is trusted: who calls from there is known by its password.
const FIRST: &str = "192.0.2.2:1001";
const SECOND: &str = "192.0.2.2:1002";

fn open(line: &mut Line, remote: &str, conn: u64, transport: Transport) -> Flow {
    let flow = Flow { transport, conn: Some(ConnId(conn)), ..crate::line::flow(remote) };
    line.input(Input::Opened { flow });
    flow
}

fn exchange() -> Line {
    Line::with(|config| {
        for transport in [Transport::Ws, Transport::Wss] {
            let address = "10.0.0.1:5060".parse().unwrap();
            config.endpoint.listen.push(Listen { transport, address, advertise: None });
        }
    })
}

/// Said with a Contact by a phone that keeps several lines at once.
const SEVERAL: [&str; 2] = [";reg-id=1", ";reg-id=2"];

/// A request of alice's browser without a password, then with it.
fn ask(line: &mut Line, flow: Flow, user: &str, method: &str, number: u32, contact: &str) -> Message {
    ask_with(line, flow, (user, method, number), contact, "")
}

fn ask_with(
    line: &mut Line,
    flow: Flow,
    (user, method, number): (&str, &str, u32),
    contact: &str,
    more: &str,
) -> Message {
    let uri = "sip:x.test";
    let name = Method::from_bytes(method.as_bytes()).unwrap();
    let mut answer = String::new();
    for number in [number, number + 1] {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/WS h7s.invalid;branch=z9hG4bK-{method}-{user}-{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@x.test>;tag=a\r\nTo: <sip:{user}@x.test>\r\n\
             Call-ID: {method}-{user}\r\nCSeq: {number} {method}\r\nContact: <{contact}>;expires=600;+sip.instance=\"<{PHONE}>\"{more}\r\n\
             Supported: gruu, outbound, path\r\n{answer}"
        );
        let body = if method == "INVITE" { "a1" } else { "" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!("{text}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
        line.input(Input::Message { flow, bytes: text.into() });
        let challenge = line.last().clone();
        if matches!(challenge.status(), Some(401 | 407)) {
            let secret = Credentials::new(user, format!("{user}-pw"));
            let (header, value) = authorize(&challenge, &name, uri, body.as_bytes(), &secret, "c0ffee", 1).unwrap();
            answer = format!("{header}: {value}\r\n");
        }
    }
    line.last().clone()
}

/// Alice has called over `flow` and is talked to.
fn in_a_call(line: &mut Line, flow: Flow, contact: &str) {
    ask(line, flow, "alice", "INVITE", 1, contact);
    let Some(Report::Incoming(incoming)) = line.reports.pop() else { panic!("{:?}", line.words()) };
    line.op(Op::Adopt { handle: incoming.handle, call: ALICE.0, leg: ALICE.1 });
    line.op(Op::Answer { call: ALICE.0, leg: ALICE.1, sdp: Sdp::from("s1") });
    let tag = line.last().to().unwrap().tag().expect("our tag").to_owned();
    let ack = format!(
        "ACK sip:x.test SIP/2.0\r\nVia: SIP/2.0/WS h7s.invalid;branch=z9hG4bK-ack\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@x.test>;tag=a\r\nTo: <sip:alice@x.test>;tag={tag}\r\nCall-ID: INVITE-alice\r\n\
         CSeq: 2 ACK\r\nContent-Length: 0\r\n\r\n"
    );
    line.input(Input::Message { flow, bytes: ack.into() });
    assert!(matches!(line.reports.pop(), Some(Report::Confirmed { .. })));
    line.take();
}

/// Where the switch says to alice that the call is over, if anywhere.
fn bye(line: &mut Line) -> Option<String> {
    line.take();
    line.op(Op::Hangup { call: ALICE.0, leg: ALICE.1, cause: Cause::hangup() });
    line.pass(Duration::from_millis(1));
    line.sent.iter().find(|(_, message)| message.method() == Some(&Method::Bye)).map(|(to, _)| to.clone())
}

#[test]
fn a_call_of_a_public_address_of_the_phone_goes_on_too() {
    let mut line = exchange();
    let first = open(&mut line, FIRST, 1, Transport::Ws);
    ask(&mut line, first, "alice", "REGISTER", 1, CONTACT);
    in_a_call(&mut line, first, &format!("sip:alice@x.test;gr={PHONE}"));
    line.input(Input::Closed { flow: first });
    let second = open(&mut line, SECOND, 2, Transport::Ws);
    ask(&mut line, second, "alice", "REGISTER", 3, CONTACT);
    assert_eq!(bye(&mut line).as_deref(), Some(SECOND));
}

#[test]
fn nobody_else_gets_the_call_by_naming_its_contact() {
    let mut line = exchange();
    let first = open(&mut line, FIRST, 1, Transport::Ws);
    ask(&mut line, first, "alice", "REGISTER", 1, CONTACT);
    in_a_call(&mut line, first, CONTACT);
    line.input(Input::Closed { flow: first });
    let second = open(&mut line, SECOND, 2, Transport::Ws);
    assert_eq!(ask(&mut line, second, "bob", "REGISTER", 1, CONTACT).status(), Some(200));
    assert_ne!(bye(&mut line).as_deref(), Some(SECOND));
}

#[test]
fn another_phone_of_the_user_does_not_get_the_call() {
    let mut line = exchange();
    let first = open(&mut line, FIRST, 1, Transport::Ws);
    ask(&mut line, first, "alice", "REGISTER", 1, CONTACT);
    in_a_call(&mut line, first, CONTACT);
    line.input(Input::Closed { flow: first });
    let second = open(&mut line, SECOND, 2, Transport::Ws);
    ask(&mut line, second, "alice", "REGISTER", 3, "sip:other@q9.invalid;transport=ws");
    assert_ne!(bye(&mut line).as_deref(), Some(SECOND));
}

#[test]
fn nobody_need_say_that_the_old_line_has_ended() {
    let mut line = exchange();
    let first = open(&mut line, FIRST, 1, Transport::Ws);
    ask(&mut line, first, "alice", "REGISTER", 1, CONTACT);
    in_a_call(&mut line, first, CONTACT);
    let second = open(&mut line, SECOND, 2, Transport::Ws);
    ask(&mut line, second, "alice", "REGISTER", 3, CONTACT);
    assert_eq!(bye(&mut line).as_deref(), Some(SECOND));
}

#[test]
fn a_call_stays_with_its_line_when_a_phone_keeps_several() {
    let mut line = exchange();
    let first = open(&mut line, FIRST, 1, Transport::Ws);
    ask_with(&mut line, first, ("alice", "REGISTER", 1), CONTACT, SEVERAL[0]);
    in_a_call(&mut line, first, CONTACT);
    let second = open(&mut line, SECOND, 2, Transport::Ws);
    ask_with(&mut line, second, ("alice", "REGISTER", 3), CONTACT, SEVERAL[1]);
    assert_eq!(bye(&mut line).as_deref(), Some(FIRST));
}

#[test]
fn a_call_over_tls_does_not_go_on_in_the_open() {
    let mut line = exchange();
    let first = open(&mut line, FIRST, 1, Transport::Wss);
    ask(&mut line, first, "alice", "REGISTER", 1, CONTACT);
    in_a_call(&mut line, first, CONTACT);
    line.input(Input::Closed { flow: first });
    let second = open(&mut line, SECOND, 2, Transport::Ws);
    ask(&mut line, second, "alice", "REGISTER", 3, CONTACT);
    assert_ne!(bye(&mut line).as_deref(), Some(SECOND));
}

#[test]
fn a_call_goes_on_by_the_new_line() {
    let mut line = exchange();
    let first = open(&mut line, FIRST, 1, Transport::Ws);
    assert_eq!(ask(&mut line, first, "alice", "REGISTER", 1, CONTACT).status(), Some(200));
    // In a call its Contact has a parameter more.
    in_a_call(&mut line, first, &format!("{CONTACT};ob"));
    line.input(Input::Closed { flow: first });
    let second = open(&mut line, SECOND, 2, Transport::Ws);
    assert_eq!(ask(&mut line, second, "alice", "REGISTER", 3, CONTACT).status(), Some(200));
    assert_eq!(bye(&mut line).as_deref(), Some(SECOND));
}
