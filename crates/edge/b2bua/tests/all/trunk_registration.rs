//! Trunks that the switch registers at, and hosts that it watches.

use std::time::Duration;

use crate::line::{BOB, Line, answer};
use hookswitch_b2bua::B2buaConfig;
use hookswitch_b2bua::route::Route;
use hookswitch_b2bua::trunk::{Health, Register, Trunk, TrunkEvent, TrunkHost};
use hookswitch_call::{Address, Dial, Found, Op, Orderer, Report};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{Input, Listen, Network, Transport};
use hookswitch_sip_msg::{HeaderName, Message};

const HOST: &str = "10.0.1.1:5060";
const WWW: &str = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn register() -> Option<Register> {
    Some(Register { registrar: None, user: None, contact_user: None, expires: secs(3_600) })
}

fn health() -> Option<Health> {
    Some(Health { interval: secs(30), down_after: 2, up_after: 2, down_on: vec![404] })
}

fn line_with(change: impl FnOnce(&mut Trunk)) -> Line {
    configured(|config| change(&mut config.trunks[0]))
}

fn configured(change: impl FnOnce(&mut B2buaConfig)) -> Line {
    Line::with(|config| {
        config.trusted.clear();
        let mut trunk = Trunk::new("carrier", "sip:10.0.1.1");
        trunk.credentials = Some(Credentials::new("us", "secret"));
        trunk.from_domain = Some("carrier.test".into());
        config.trunks = vec![trunk];
        config.routes = vec![Route::new("sip:*@x.test", "trunk:carrier").unwrap()];
        change(config);
    })
}

fn header(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).expect("it is there")).into_owned()
}

/// Answers what was sent last with this method.
fn answers(line: &mut Line, method: &str, status: &str, more: &str) {
    let is_it = |message: &Message| message.method().is_some_and(|known| known.as_str() == method);
    let (host, request) = line.sent.iter().rfind(|(_, message)| is_it(message)).expect("it was sent").clone();
    line.hear(&host, &answer(&request, status, more, ""));
}

fn dial(line: &mut Line) {
    line.op(Op::Locate { call: BOB.0, to: Address::from("sip:030@x.test"), anywhere: false, by: Orderer::default() });
    let Some(Report::Located { found: Found::Targets(mut targets), .. }) = line.reports.pop() else {
        panic!("{:?}", line.reports)
    };
    let (from, to) = (Address::from("sip:alice@x.test"), Address::from("sip:030@x.test"));
    line.op(Op::Dial { call: BOB.0, leg: BOB.1, dial: Box::new(Dial::new(targets.remove(0), from, to, None)) });
}

fn why_ended(line: &mut Line) -> String {
    match line.reports.pop() {
        Some(Report::Ended { cause, .. }) => cause.to_string(),
        other => panic!("{other:?}"),
    }
}

fn news(line: &mut Line) -> Vec<TrunkEvent> {
    std::iter::from_fn(|| line.b2bua.poll_trunk_news()).map(|news| news.what).collect()
}

fn state(line: &Line) -> &'static str {
    line.b2bua.trunk_status(line.now)[0].registration.as_ref().expect("it has one").state
}

#[test]
fn the_switch_registers_with_its_password_and_keeps_it_up() {
    let mut line = line_with(|trunk| trunk.register = register());
    assert_eq!(line.b2bua.poll_timeout(), Some(Duration::ZERO), "at once");
    line.pass(secs(1));
    let first = line.sent("REGISTER");
    assert_eq!(first.request_uri(), Some("sip:10.0.1.1"));
    assert_eq!(header(&first, HeaderName::To), "<sip:us@carrier.test>");
    assert_eq!(header(&first, HeaderName::Contact), "<sip:us@10.0.0.1:5060>");
    assert_eq!((header(&first, HeaderName::Expires), state(&line)), ("3600".into(), "starting"));
    assert!(header(&first, HeaderName::Supported).contains("path"));
    answers(&mut line, "REGISTER", "401 Unauthorized", WWW);
    let second = line.sent("REGISTER");
    assert!(header(&second, HeaderName::Authorization).contains("username=\"us\""));
    answers(&mut line, "REGISTER", "200 OK", "Contact: <sip:us@10.0.0.1:5060>;expires=600\r\n");
    assert_eq!(news(&mut line), [TrunkEvent::Registered(secs(600))]);
    assert_eq!(state(&line), "registered");
    line.take();
    line.pass(secs(300));
    let refresh = line.sent("REGISTER");
    assert_eq!(header(&refresh, HeaderName::CallId), header(&first, HeaderName::CallId));
    let number = |message: &Message| message.cseq().unwrap().number;
    assert!(number(&refresh) > number(&second));
    answers(&mut line, "REGISTER", "200 OK", "Expires: 600\r\n");
    assert_eq!(news(&mut line), [], "nothing has changed");
}

#[test]
fn a_trunk_gets_no_calls_until_it_has_registered_us() {
    let mut line = line_with(|trunk| trunk.register = register());
    dial(&mut line);
    assert_eq!(why_ended(&mut line), "480 Trunk Not Registered");
    line.pass(secs(1));
    answers(&mut line, "REGISTER", "200 OK", "Expires: 600\r\nService-Route: <sip:10.0.1.9;lr>\r\n");
    dial(&mut line);
    let (host, invite) = line.sent.last().expect("an INVITE").clone();
    assert_eq!((host.as_str(), invite.request_uri()), ("10.0.1.9:5060", Some("sip:030@10.0.1.1")));
    assert_eq!(header(&invite, HeaderName::Route), "<sip:10.0.1.9;lr>");
    assert_eq!(header(&invite, HeaderName::Contact), "<sip:us@10.0.0.1:5060>");
}

#[test]
fn a_refused_registration_is_told_and_tried_again_later() {
    let mut line = line_with(|trunk| trunk.register = register());
    line.pass(secs(1));
    answers(&mut line, "REGISTER", "401 Unauthorized", WWW);
    answers(&mut line, "REGISTER", "401 Unauthorized", WWW);
    let told = news(&mut line);
    assert!(matches!(&told[..], [TrunkEvent::Refused(401, _, Some(again))] if *again >= secs(15)), "{told:?}");
    assert_eq!(state(&line), "failed");
    line.take();
    line.pass(secs(14));
    assert_eq!(line.words(), [""; 0]);
    line.pass(secs(17));
    assert_eq!(line.words()[0], "REGISTER");
    // A registrar that says nothing is a failure as well.
    line.pass(secs(33));
    assert!(matches!(&news(&mut line)[..], [TrunkEvent::Refused(408, ..)]));
    assert_eq!(line.b2bua.trunk_status(line.now)[0].registration.as_ref().unwrap().status, Some(408));
}

#[test]
fn the_registration_is_taken_back_at_the_end() {
    let mut line = line_with(|trunk| trunk.register = register());
    line.pass(secs(1));
    answers(&mut line, "REGISTER", "200 OK", "Expires: 600\r\n");
    line.take();
    line.b2bua.leave_trunks(line.now);
    // Anything lets the test see what was sent.
    line.input(Input::Datagram { flow: crate::line::flow(HOST), bytes: "\r\n\r\n".into() });
    assert!(line.b2bua.leaves_trunks());
    assert_eq!(header(&line.sent("REGISTER"), HeaderName::Expires), "0");
    answers(&mut line, "REGISTER", "200 OK", "");
    assert!(!line.b2bua.leaves_trunks());
    assert_eq!(news(&mut line).last(), Some(&TrunkEvent::Left));
}

#[test]
fn a_host_that_does_not_answer_gets_no_calls() {
    let mut line = line_with(|trunk| {
        trunk.hosts.push(TrunkHost { order: 1, ..TrunkHost::new("sip:10.0.1.2") });
        trunk.health = health();
    });
    // Only the second one answers. Silence is known after 32 s, and the first one is asked again 30 s after that.
    for _ in 0..110 {
        line.pass(secs(1));
        for (host, ping) in std::mem::take(&mut line.sent) {
            if host == "10.0.1.2:5060" {
                line.hear(&host, &answer(&ping, "200 OK", "", ""));
            }
        }
    }
    assert_eq!(news(&mut line), [TrunkEvent::Down("sip:10.0.1.1".into(), "no answer in time".into())]);
    dial(&mut line);
    let hosts: Vec<&str> = line.sent.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!((line.words(), hosts), (vec!["INVITE".to_owned()], vec!["10.0.1.2:5060"]));
    let passed_over = news(&mut line);
    let [TrunkEvent::Missed(missed)] = passed_over.as_slice() else { panic!("{passed_over:?}") };
    assert_eq!((missed.host.as_str(), missed.why.as_str()), ("sip:10.0.1.1", "Trunk Host Down: no answer in time"));
}

#[test]
fn so_many_answers_bring_a_host_down_and_up_again() {
    let mut line = line_with(|trunk| trunk.health = health());
    line.pass(secs(1));
    let mut told = Vec::new();
    for status in ["404 Not Found", "200 OK", "404 Not Found", "503 No", "200 OK", "403 No", "200 OK"] {
        answers(&mut line, "OPTIONS", status, "");
        told.push(news(&mut line));
        line.pass(secs(31));
    }
    let (down, up) = (TrunkEvent::Down("sip:10.0.1.1".into(), "503 No".into()), TrunkEvent::Up("sip:10.0.1.1".into()));
    assert_eq!(told, [vec![], vec![], vec![], vec![down], vec![], vec![up], vec![]]);
    let host = &line.b2bua.trunk_status(line.now)[0].hosts[0];
    assert!(host.up && host.failure.is_none(), "{host:?}");
}

#[test]
fn with_every_host_down_the_call_ends_at_once() {
    let mut line = line_with(|trunk| trunk.health = Some(Health { down_after: 1, ..health().unwrap() }));
    line.pass(secs(1));
    answers(&mut line, "OPTIONS", "500 No", "");
    dial(&mut line);
    assert_eq!(why_ended(&mut line), "480 Trunk Host Down");
}

#[test]
fn of_two_accounts_on_one_host_the_contact_tells_whose_call_it_is() {
    let mut line = configured(|config| {
        let mut second = Trunk { name: "other".into(), ..config.trunks[0].clone() };
        config.trunks[0].register = register();
        second.register = register();
        second.credentials = Some(Credentials::new("them", "secret"));
        for (trunk, domain) in [&mut config.trunks[0], &mut second].into_iter().zip(["x.test", "y.test"]) {
            trunk.inbound.networks = vec![Network { addr: "10.0.1.1".parse().unwrap(), prefix: 32 }];
            trunk.inbound.domain = Some(domain.into());
            trunk.inbound.number_in_to = true;
        }
        config.trunks.push(second);
    });
    for (user, expected) in [("us", "sip:21@x.test"), ("them", "sip:21@y.test"), ("else", "sip:21@x.test")] {
        line.hear(
            HOST,
            &format!(
                "INVITE sip:{user}@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bK-{user}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:1@c.test>;tag=t\r\nTo: <sip:21@c.test>\r\nCall-ID: {user}\r\n\
                 CSeq: 1 INVITE\r\nContact: <sip:10.0.1.1>\r\nContent-Length: 0\r\n\r\n"
            ),
        );
        let Some(Report::Incoming(call)) = line.reports.pop() else { panic!("{:?}", line.words()) };
        assert_eq!(call.to, Address::from(expected));
    }
}

#[test]
fn a_lost_connection_is_followed_by_another_registration() {
    let mut line = configured(|config| {
        let listen = Listen { transport: Transport::Tcp, address: "10.0.0.1:5060".parse().unwrap(), advertise: None };
        config.endpoint.listen.push(listen);
        config.trunks[0].register = register();
        config.trunks[0].hosts[0].uri = "sip:10.0.1.1;transport=tcp".into();
    });
    line.pass(secs(1));
    let mut flow = hookswitch_sip::Flow::tcp("10.0.0.1:40000".parse().unwrap(), HOST.parse().unwrap());
    flow.conn = Some(hookswitch_sip::ConnId(7));
    line.input(Input::Opened { flow });
    let reply = answer(&line.sent("REGISTER"), "200 OK", "Expires: 600\r\n", "");
    line.input(Input::Stream { flow, bytes: reply.into() });
    assert_eq!(state(&line), "registered");
    line.take();
    line.input(Input::Closed { flow });
    line.pass(secs(1));
    assert_eq!(line.words(), ["REGISTER"]);
}
