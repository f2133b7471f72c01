//! Calls through trunks: which host is called, what it is told, and who is called when it does not take the call.

use std::time::Duration;

use crate::line::{BOB, Line, answer, bobs, flow};
use hookswitch_b2bua::B2buaConfig;
use hookswitch_b2bua::route::{Destination, Route};
use hookswitch_b2bua::trunk::{HeaderRule, NumberRule, Trunk, TrunkEvent, TrunkHost, Unproved};
use hookswitch_call::{Address, Cause, Dial, Fault, Found, Identity, Kind, LegId, Op, Orderer, Report, Target};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{ConnId, Flow, Input, Listen, Network, NoWay, Transport};
use hookswitch_sip_msg::{HeaderName, Message};

const WWW: &str = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\r\n";
const CONTACT: &str = "Contact: <sip:gw@10.0.1.1>\r\n";

/// The first trunk has the hosts 10.0.1.1 and 10.0.1.2, the second 10.0.2.1.
fn trunks() -> Vec<Trunk> {
    let mut first = Trunk::new("first", "sip:10.0.1.1");
    first.hosts.push(TrunkHost { order: 1, ..TrunkHost::new("sip:10.0.1.2") });
    first.credentials = Some(Credentials::new("us", "secret"));
    vec![first, Trunk::new("second", "sip:10.0.2.1")]
}

fn line_with(change: impl FnOnce(&mut B2buaConfig)) -> Line {
    Line::with(|config| {
        config.trusted.clear();
        config.trunks = trunks();
        config.routes = vec![Route::new("sip:*@x.test", "trunk:first,second").unwrap()];
        change(config);
    })
}

/// Where a number of ours is.
fn places(line: &mut Line) -> Vec<Target> {
    line.op(Op::Locate {
        call: BOB.0,
        to: Address::from("sip:0301234@x.test"),
        anywhere: false,
        by: Orderer::default(),
    });
    match line.reports.pop() {
        Some(Report::Located { found: Found::Targets(targets), .. }) => targets,
        other => panic!("{other:?}"),
    }
}

fn dial(line: &mut Line) {
    dial_as(line, BOB.1);
}

fn dial_as(line: &mut Line, leg: LegId) {
    let target = places(line).remove(0);
    let (from, to) = (Address::from("sip:alice@x.test"), Address::from("sip:0301234@x.test"));
    line.op(Op::Dial { call: BOB.0, leg, dial: Box::new(Dial::new(target, from, to, Some("s1".into()))) });
}

/// Whom the last INVITE went to.
fn called(line: &Line) -> (String, Message) {
    let invites = line.sent.iter().filter(|(_, message)| message.method().is_some_and(|m| m.as_str() == "INVITE"));
    invites.last().expect("no INVITE").clone()
}

fn answers(line: &mut Line, status: &str, more: &str) {
    let (host, invite) = called(line);
    line.hear(&host, &answer(&invite, status, more, ""));
}

fn ended(line: &Line) -> Option<&Cause> {
    let mut causes = line.reports.iter().filter_map(|report| match report {
        Report::Ended { cause, .. } => Some(cause),
        _ => None,
    });
    let cause = causes.next();
    assert!(causes.next().is_none(), "told once");
    cause
}

fn header(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).expect("it is there")).into_owned()
}

fn nothing_left(line: &mut Line) {
    line.pass(Duration::from_secs(400));
    assert_eq!((line.b2bua.live_legs(), line.b2bua.endpoint().counts().dialogs), (0, 0));
}

#[test]
fn a_challenged_call_is_answered_for_and_so_is_all_that_follows_in_it() {
    let mut line = line_with(|_| {});
    dial(&mut line);
    let (host, first) = called(&line);
    assert_eq!((host.as_str(), first.request_uri()), ("10.0.1.1:5060", Some("sip:0301234@10.0.1.1")));
    assert!(first.header(HeaderName::Authorization).is_none());
    answers(&mut line, "401 Unauthorized", WWW);
    let (_, second) = called(&line);
    let digest = header(&second, HeaderName::Authorization);
    assert!(digest.contains("username=\"us\"") && digest.contains("algorithm=SHA-256"), "{digest}");
    assert_eq!(header(&first, HeaderName::CallId), header(&second, HeaderName::CallId));
    assert_eq!(header(&second, HeaderName::CSeq), "2 INVITE");
    answers(&mut line, "200 OK", CONTACT);
    line.op(Op::Confirm { call: BOB.0, leg: BOB.1, sdp: None });
    let dialed = line.reports.iter().filter(|report| matches!(report, Report::Dialed { .. })).count();
    assert_eq!((dialed, ended(&line)), (1, None), "the core knows nothing of it");

    line.op(Op::Hangup { call: BOB.0, leg: BOB.1, cause: Cause::hangup() });
    let bye = line.sent("BYE");
    line.hear("10.0.1.1:5060", &answer(&bye, "401 Unauthorized", WWW, ""));
    let again = line.sent("BYE");
    assert!(header(&again, HeaderName::Authorization).contains("uri=\"sip:gw@10.0.1.1\""));
    line.hear("10.0.1.1:5060", &answer(&again, "200 OK", "", ""));
    assert!(ended(&line).is_some());
    nothing_left(&mut line);
}

#[test]
fn a_wrong_password_is_our_own_fault_and_tried_once_at_each_host() {
    let mut line = line_with(|config| {
        config.routes = vec![Route::new("sip:*@x.test", "trunk:first").unwrap()];
    });
    dial(&mut line);
    for host in ["10.0.1.1:5060", "10.0.1.2:5060"] {
        assert_eq!(called(&line).0, host);
        answers(&mut line, "401 Unauthorized", WWW);
        assert_eq!(called(&line).0, host);
        answers(&mut line, "401 Unauthorized", WWW);
    }
    let cause = ended(&line).expect("over");
    assert_eq!((cause.kind, cause.fault, cause.refusal().0), (Kind::Forbidden, Fault::Server, 403));
    assert_eq!(cause.text, "Trunk Refuses Our Password");
    assert_eq!(line.words().iter().filter(|word| *word == "INVITE").count(), 4);
    nothing_left(&mut line);
}

#[test]
fn what_says_nothing_about_the_party_leads_to_the_next_host_and_then_to_the_next_trunk() {
    let mut line = line_with(|config| config.trunks[0].fail_over = vec![403]);
    dial(&mut line);
    answers(&mut line, "503 Service Unavailable", "");
    assert_eq!(called(&line).0, "10.0.1.2:5060");
    answers(&mut line, "403 Forbidden", "");
    let (host, invite) = called(&line);
    assert_eq!((host.as_str(), invite.request_uri()), ("10.0.2.1:5060", Some("sip:0301234@10.0.2.1")));
    // To this one 403 is an answer.
    answers(&mut line, "403 Forbidden", "");
    assert_eq!(ended(&line).map(|cause| cause.code), Some(403));
    nothing_left(&mut line);
}

#[test]
fn silence_and_a_host_that_is_not_there_lead_on_too() {
    let mut line = line_with(|_| {});
    dial(&mut line);
    line.input(Input::Unreachable { flow: flow("10.0.1.1:5060") });
    assert_eq!(called(&line).0, "10.0.1.2:5060");
    line.pass(Duration::from_secs(33));
    assert_eq!(called(&line).0, "10.0.2.1:5060");
    answers(&mut line, "200 OK", CONTACT);
    assert_eq!(ended(&line), None);
    // Both were out of order and come last for a while.
    dial_as(&mut line, LegId(7));
    assert_eq!(called(&line).0, "10.0.2.1:5060");
    line.pass(Duration::from_secs(60));
    dial_as(&mut line, LegId(8));
    assert_eq!(called(&line).0, "10.0.1.1:5060");
}

#[test]
fn every_host_that_does_not_take_a_call_is_told_with_its_reason() {
    let mut line = line_with(|_| {});
    dial(&mut line);
    line.input(Input::Failed { flow: flow("10.0.1.1:5060"), why: NoWay::Refused });
    answers(&mut line, "503 No Circuits", "");
    line.pass(Duration::from_secs(33));
    assert_eq!(ended(&line).map(|cause| cause.kind), Some(Kind::NoAnswer));
    let told: Vec<_> = std::iter::from_fn(|| line.b2bua.poll_trunk_news())
        .filter_map(|news| if let TrunkEvent::Missed(missed) = news.what { Some(*missed) } else { None })
        .map(|missed| {
            assert_eq!((missed.call, missed.leg), BOB);
            (missed.trunk.to_string(), missed.host.to_string(), missed.code, missed.why.to_string())
        })
        .collect();
    let row = |trunk: &str, host: &str, code: u16, why: &str| (trunk.into(), format!("sip:{host}"), code, why.into());
    let expected: [(String, String, u16, String); 3] = [
        row("first", "10.0.1.1", 480, "refused: nobody listens there"),
        row("first", "10.0.1.2", 503, "503 No Circuits"),
        row("second", "10.0.2.1", 408, "no answer in time"),
    ];
    assert_eq!(told, expected);
    let status = line.b2bua.trunk_status(line.now + Duration::from_secs(5));
    let failure = |trunk: usize, host: usize| status[trunk].hosts[host].failure.clone().unwrap();
    assert_eq!((failure(0, 0).why.as_str(), failure(0, 1).ago), ("refused: nobody listens there", 38));
    assert_eq!(failure(1, 0).why, "no answer in time");
}

#[test]
fn what_the_party_says_is_the_end() {
    for status in ["486 Busy Here", "603 Decline", "404 Not Found", "480 Gone", "500 Server Internal Error"] {
        let mut line = line_with(|_| {});
        dial(&mut line);
        answers(&mut line, status, "");
        assert_eq!(called(&line).0, "10.0.1.1:5060");
        assert!(ended(&line).is_some_and(|cause| status.starts_with(&cause.code.to_string())), "{status}");
        nothing_left(&mut line);
    }
}

#[test]
fn once_a_phone_rings_the_call_stays_and_after_early_audio_it_may_go_on() {
    for (progress, stays) in [("180 Ringing", true), ("183 Session Progress", false)] {
        let mut line = line_with(|_| {});
        dial(&mut line);
        answers(&mut line, progress, CONTACT);
        answers(&mut line, "503 Service Unavailable", "");
        assert_eq!(called(&line).0 == "10.0.1.1:5060", stays, "{progress}");
        assert_eq!(ended(&line).is_some(), stays);
    }
}

#[test]
fn a_caller_that_gives_up_ends_it_wherever_it_is() {
    let mut line = line_with(|_| {});
    dial(&mut line);
    answers(&mut line, "503 Service Unavailable", "");
    answers(&mut line, "100 Trying", "");
    line.op(Op::Hangup { call: BOB.0, leg: BOB.1, cause: Cause::new(Kind::Cancelled, Fault::Nobody) });
    assert_eq!(line.words().last().map(String::as_str), Some("CANCEL"));
    answers(&mut line, "503 Service Unavailable", "");
    assert!(ended(&line).is_some());
    assert_eq!(called(&line).0, "10.0.1.2:5060");
    nothing_left(&mut line);
}

#[test]
fn a_trunk_that_is_full_gives_way_and_the_last_one_says_so() {
    let mut line = line_with(|config| {
        config.trunks[0].max_calls = 1;
        config.trunks[1].max_calls = 1;
    });
    dial_as(&mut line, LegId(1));
    assert_eq!(called(&line).0, "10.0.1.1:5060");
    dial_as(&mut line, LegId(2));
    assert_eq!(called(&line).0, "10.0.2.1:5060");
    dial_as(&mut line, LegId(3));
    let cause = ended(&line).expect("no room").clone();
    assert_eq!((cause.kind, cause.refusal().0), (Kind::Overloaded, 503));
    // An end makes room again.
    line.reports.clear();
    answers(&mut line, "486 Busy Here", "");
    dial_as(&mut line, LegId(4));
    assert_eq!(called(&line).0, "10.0.2.1:5060");
}

#[test]
fn weights_and_order_of_destinations_make_one_way_through_trunks() {
    let to = |to: &str, weight| Destination { weight: Some(weight), ..Destination::new(to) };
    let route = Route::to_all("sip:*", vec![to("trunk:first", 1), to("trunk:second", 1)]).unwrap();
    let mut line = line_with(|config| config.routes = vec![route]);
    let targets: Vec<Target> = (0..20).flat_map(|_| places(&mut line)).collect();
    assert_eq!(targets.len(), 20, "one place each time");
    let at_second = targets.iter().filter(|target| target.address.0.ends_with("10.0.2.1")).count();
    assert!((4..17).contains(&at_second), "{at_second}");
}

#[test]
fn what_a_trunk_wants_to_see_is_what_it_is_sent() {
    let mut line = line_with(|config| {
        let trunk = &mut config.trunks[0];
        trunk.called = vec![NumberRule::new("0*", "+49*").unwrap()];
        trunk.calling = vec![NumberRule::new("alice", "+493055521").unwrap()];
        trunk.from_domain = Some("carrier.test".into());
        trunk.trusted = true;
        trunk.headers = vec![HeaderRule::Set("X-Account".into(), "7".into())];
    });
    let target = places(&mut line).remove(0);
    assert_eq!(target.address, Address::from("sip:+49301234@10.0.1.1"));
    let asserted = Some(Address::from("sip:alice@x.test"));
    let mut dial =
        Dial::new(target, Address::from("sip:alice@x.test"), Address::from("sip:0301234@x.test"), Some("s".into()));
    dial.identity = Identity { asserted, private: true, ..Identity::default() };
    line.op(Op::Dial { call: BOB.0, leg: BOB.1, dial: Box::new(dial) });
    let (_, invite) = called(&line);
    assert_eq!(invite.request_uri(), Some("sip:+49301234@10.0.1.1"));
    assert_eq!(header(&invite, HeaderName::To), "<sip:+49301234@10.0.1.1>");
    assert!(header(&invite, HeaderName::From).contains("anonymous.invalid"));
    assert_eq!(header(&invite, HeaderName::PAssertedIdentity), "<sip:+493055521@carrier.test>");
    assert!(invite.lines().any(|(_, text)| text == b"X-Account: 7"));
    // The next one has wishes of its own.
    answers(&mut line, "503 Service Unavailable", "");
    answers(&mut line, "503 Service Unavailable", "");
    let (_, invite) = called(&line);
    assert_eq!(invite.request_uri(), Some("sip:0301234@10.0.2.1"));
    assert!(invite.header(HeaderName::PAssertedIdentity).is_none());
}

#[test]
fn what_comes_back_in_the_call_is_the_calls() {
    let mut line = line_with(|_| {});
    dial(&mut line);
    answers(&mut line, "503 Service Unavailable", "");
    let (host, invite) = called(&line);
    answers(&mut line, "200 OK", CONTACT);
    line.op(Op::Confirm { call: BOB.0, leg: BOB.1, sdp: None });
    line.hear(&host, &bobs(&invite, "BYE", 2, "", ""));
    assert_eq!(ended(&line).map(|cause| cause.kind), Some(Kind::Hangup));
    nothing_left(&mut line);
}

#[test]
fn a_password_is_never_shown() {
    let shown = format!("{:?}", trunks());
    assert!(shown.contains("\"us\"") && !shown.contains("secret"), "{shown}");
}

/// An INVITE from a trunk's host.
fn from_trunk(number: &str, more: &str) -> String {
    format!(
        "INVITE sip:{number}@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bK-{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:030777@carrier.test>;tag=t\r\nTo: <sip:{number}@x.test>\r\n\
         Call-ID: in-{number}\r\nCSeq: 1 INVITE\r\nContact: <sip:10.0.1.1>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

fn incoming(line: &mut Line) -> hookswitch_call::Incoming {
    match line.reports.pop() {
        Some(Report::Incoming(incoming)) => *incoming,
        other => panic!("{other:?} {:?}", line.words()),
    }
}

fn with_inbound(change: impl FnOnce(&mut Trunk)) -> Line {
    line_with(|config| {
        let trunk = &mut config.trunks[0];
        trunk.inbound.networks = vec![Network { addr: "10.0.1.0".parse().unwrap(), prefix: 24 }];
        change(trunk);
    })
}

#[test]
fn a_call_from_a_trunks_address_needs_no_digest_and_another_does() {
    let mut line = with_inbound(|_| {});
    line.hear("10.0.1.1:5060", &from_trunk("21", ""));
    let call = incoming(&mut line);
    assert_eq!((call.from, call.to), (Address::from("sip:030777@carrier.test"), Address::from("sip:21@10.0.0.1")));
    line.take();
    // A stranger is as before: who is none of our users may not call.
    line.hear("10.0.9.9:5060", &from_trunk("22", ""));
    assert_eq!(line.take().0, ["403"]);
}

/// A connection that somebody has opened to us over TLS, and the domains that he has proved to be.
fn connection(line: &mut Line, number: u64, remote: &str, names: &[&str]) -> Flow {
    let (local, remote) = ("10.0.0.1:5061".parse().unwrap(), remote.parse().unwrap());
    let flow = Flow::connection(Transport::Tls, local, remote, ConnId(number));
    line.input(Input::Opened { flow });
    if !names.is_empty() {
        line.input(Input::Proved { flow, names: names.iter().map(|name| (*name).into()).collect() });
    }
    flow
}

/// What becomes of a call over a connection: `None` if it is the trunk's, else how it is refused.
fn call_over(line: &mut Line, flow: Flow, number: &str) -> Option<String> {
    let invite = from_trunk(number, "").replace("SIP/2.0/UDP", "SIP/2.0/TLS");
    line.input(Input::Stream { flow, bytes: invite.into() });
    let (words, reports) = line.take();
    match &reports[..] {
        [Report::Incoming(_)] => None,
        [] => Some(words.last().expect("an answer").clone()),
        other => panic!("{other:?}"),
    }
}

fn known_by_certificate(networks: bool) -> Line {
    line_with(|config| {
        let listen = Listen { transport: Transport::Tls, address: "10.0.0.1:5061".parse().unwrap(), advertise: None };
        config.endpoint.listen.push(listen);
        let inbound = &mut config.trunks[0].inbound;
        inbound.certificates = vec!["Sip.Carrier.Test".into()];
        if networks {
            inbound.networks = vec![Network { addr: "10.0.1.0".parse().unwrap(), prefix: 24 }];
        }
    })
}

fn trunk_news(line: &mut Line) -> Vec<TrunkEvent> {
    std::iter::from_fn(|| line.b2bua.poll_trunk_news()).map(|news| news.what).collect()
}

#[test]
fn a_call_over_a_connection_with_a_trunks_certificate_is_the_trunks_and_no_other_is() {
    let mut line = known_by_certificate(false);
    let own = connection(&mut line, 1, "10.0.7.7:40000", &["other.test", "sip.carrier.test"]);
    assert_eq!(trunk_news(&mut line), [TrunkEvent::Proved("sip.carrier.test".into())]);
    assert_eq!(call_over(&mut line, own, "21"), None);
    let strangers =
        [("no certificate", &[][..]), ("another's", &["carrier.test"]), ("below it", &["a.sip.carrier.test"])];
    for ((what, names), number) in strangers.into_iter().zip(2..) {
        let flow = connection(&mut line, number, "10.0.7.7:40001", names);
        assert_eq!(call_over(&mut line, flow, &format!("2{number}")).as_deref(), Some("403"), "{what}");
    }
    assert_eq!(trunk_news(&mut line), [], "nobody has claimed to be it");
    // The same address without TLS proves nothing, nor does the connection once it is gone.
    line.hear("10.0.7.7:5060", &from_trunk("30", ""));
    assert_eq!(line.take().0, ["403"]);
    line.input(Input::Closed { flow: own });
    assert_eq!(call_over(&mut line, own, "31").as_deref(), Some("403"));
}

#[test]
fn a_trunk_with_addresses_and_certificates_is_known_by_both_at_once() {
    let mut line = known_by_certificate(true);
    let names = &["sip.carrier.test"][..];
    let (own, far) = (connection(&mut line, 1, "10.0.1.1:40000", names), connection(&mut line, 2, "10.0.7.7:1", names));
    assert_eq!(trunk_news(&mut line).len(), 1);
    assert_eq!(call_over(&mut line, own, "21"), None);
    assert_eq!(call_over(&mut line, far, "22").as_deref(), Some("403"), "the right name from elsewhere");
    assert_eq!(trunk_news(&mut line), []);
    // Who has only the address is a stranger, and once a minute somebody is told.
    line.hear("10.0.1.1:5060", &from_trunk("23", ""));
    line.hear("10.0.1.1:5060", &from_trunk("24", ""));
    assert_eq!(line.take().0, ["403", "403"]);
    assert_eq!(trunk_news(&mut line), [TrunkEvent::Unproved(Unproved::NoCertificate, vec![])]);
    line.pass(Duration::from_secs(60));
    let many: Vec<String> = (0..9).map(|n| format!("h{n}.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let other = connection(&mut line, 3, "10.0.1.1:40002", &many);
    assert_eq!(call_over(&mut line, other, "25").as_deref(), Some("403"));
    let shown = many[..3].iter().map(|name| (*name).into()).collect();
    assert_eq!(trunk_news(&mut line), [TrunkEvent::Unproved(Unproved::OtherName, shown)]);
}

#[test]
fn the_certificate_of_one_trunk_is_not_taken_for_another() {
    let mut line = line_with(|config| {
        let listen = Listen { transport: Transport::Tls, address: "10.0.0.1:5061".parse().unwrap(), advertise: None };
        config.endpoint.listen.push(listen);
        for (trunk, domain) in config.trunks.iter_mut().zip(["a.test", "b.test"]) {
            trunk.inbound.certificates = vec![domain.into()];
            trunk.inbound.domain = Some(domain.into());
        }
    });
    for (number, name) in [(1, "b.test"), (2, "a.test")] {
        let flow = connection(&mut line, number, "10.0.7.7:40000", &[name]);
        let invite = from_trunk(&format!("2{number}"), "").replace("SIP/2.0/UDP", "SIP/2.0/TLS");
        line.input(Input::Stream { flow, bytes: invite.into() });
        assert_eq!(incoming(&mut line).to.0, format!("sip:2{number}@{name}"));
        line.take();
    }
    let told = std::iter::from_fn(|| line.b2bua.poll_trunk_news()).map(|news| news.trunk.to_string());
    assert_eq!(told.collect::<Vec<_>>(), ["second", "first"]);
}

#[test]
fn a_trunk_that_is_not_trusted_proves_nothing_about_its_callers() {
    let more = "P-Asserted-Identity: <sip:boss@carrier.test>\r\n";
    for (trusted, expected) in [(false, None), (true, Some(Address::from("sip:boss@carrier.test")))] {
        let mut line = with_inbound(|trunk| trunk.trusted = trusted);
        line.hear("10.0.1.1:5060", &from_trunk("21", more));
        assert_eq!(incoming(&mut line).identity.asserted, expected);
    }
}

#[test]
fn numbers_from_a_trunk_become_ours() {
    let rules = |pattern: &str, to: &str| vec![NumberRule::new(pattern, to).unwrap()];
    let mut line = with_inbound(|trunk| {
        trunk.trusted = true;
        trunk.inbound.called = rules("4930555*", "*");
        trunk.inbound.calling = rules("0*", "+49*");
        trunk.inbound.domain = Some("x.test".into());
    });
    line.hear("10.0.1.1:5060", &from_trunk("493055521", "P-Asserted-Identity: <tel:030778>\r\n"));
    let call = incoming(&mut line);
    assert_eq!((call.from, call.to), (Address::from("sip:+4930777@carrier.test"), Address::from("sip:21@x.test")));
    assert_eq!(call.identity.asserted, Some(Address::from("tel:+4930778")));
}

#[test]
fn a_trunk_with_routes_reaches_nothing_else() {
    let mut line = with_inbound(|trunk| {
        let route = |pattern: &str, to: &str| (pattern.into(), to.into());
        trunk.inbound.routes = vec![route("100", "sip:alice@x.test"), route("2*", "sip:y.test")];
    });
    for (number, expected) in [("100", Some("sip:alice@x.test")), ("21", Some("sip:21@y.test")), ("0044", None)] {
        line.hear("10.0.1.1:5060", &from_trunk(number, ""));
        match expected {
            Some(expected) => assert_eq!(incoming(&mut line).to, Address::from(expected)),
            None => assert_eq!(line.words().last().map(String::as_str), Some("404")),
        }
        line.take();
    }
}

#[test]
fn the_number_may_stand_in_to_where_the_request_names_our_account() {
    let mut line = with_inbound(|trunk| {
        trunk.inbound.number_in_to = true;
        trunk.inbound.domain = Some("x.test".into());
    });
    let invite = from_trunk("21", "").replace("INVITE sip:21@", "INVITE sip:account7@");
    line.hear("10.0.1.1:5060", &invite);
    assert_eq!(incoming(&mut line).to, Address::from("sip:21@x.test"));
}

#[test]
fn calls_from_a_trunk_count_and_the_one_too_many_may_come_later() {
    let mut line = with_inbound(|trunk| trunk.max_calls = 1);
    line.hear("10.0.1.1:5060", &from_trunk("21", ""));
    let first = incoming(&mut line);
    line.take();
    line.hear("10.0.1.1:5060", &from_trunk("22", ""));
    assert_eq!(line.words(), ["503"]);
    assert!(line.last().header(HeaderName::RetryAfter).is_some());
    // Calls to it find no room either.
    dial(&mut line);
    assert_eq!(called(&line).0, "10.0.2.1:5060");
    line.op(Op::Refuse { handle: first.handle, cause: Cause::new(Kind::Busy, Fault::Peer) });
    line.hear("10.0.1.1:5060", &from_trunk("23", ""));
    assert_eq!(incoming(&mut line).wire_id, "in-23");
}

#[test]
fn a_call_is_explained_by_the_code_that_makes_it() {
    let mut line = line_with(|config| {
        let trunk = &mut config.trunks[0];
        trunk.called = vec![NumberRule::new("0*", "+49*").unwrap()];
        trunk.from_domain = Some("carrier.test".into());
        trunk.fail_over = vec![403];
        trunk.headers = vec![HeaderRule::Remove("Diversion".into())];
        trunk.inbound.routes = vec![("100".into(), "sip:alice@y.test".into())];
    });
    let told = line.b2bua.explain("sip:21@x.test", "sip:0301234@x.test", None).unwrap();
    let expected = "\
from sip:21@x.test
to   sip:0301234@x.test
routes[0] is the first that matches: sip:*@x.test
group 0:
  1. trunk first, host sip:10.0.1.1 (order 0, weight 1)
     INVITE sip:+49301234@10.0.1.1
     To: <sip:+49301234@10.0.1.1>
     From: <sip:21@carrier.test>
  2. trunk first, host sip:10.0.1.2 (order 1, weight 1)
     INVITE sip:+49301234@10.0.1.2
     To: <sip:+49301234@10.0.1.2>
     From: <sip:21@carrier.test>
     called: 0* -> +49*
     header: no Diversion
     the next one if it does not answer, or with 401, 403, 407, 408, 503
  3. trunk second, host sip:10.0.2.1 (order 0, weight 1)
     INVITE sip:0301234@10.0.2.1
     To: <sip:0301234@10.0.2.1>
     From: <sip:21@x.test>
     the next one if it does not answer, or with 401, 407, 408, 503
";
    assert_eq!(told, expected);
    let told = line.b2bua.explain("sip:1@c.test", "sip:100@10.0.0.1", Some("first")).unwrap();
    let expected = "\
trunk first calls sip:100@10.0.0.1 as sip:1@c.test
from sip:1@c.test
to   sip:alice@y.test
  user alice of y.test: where it has registered, else 480
";
    assert_eq!(told, expected);
    let told = line.b2bua.explain("sip:1@c.test", "sip:200@10.0.0.1", Some("first")).unwrap();
    assert!(told.ends_with("none of its routes matches: 404\n"), "{told}");
    assert!(line.b2bua.explain("sip:1@c.test", "sip:2@h", Some("third")).is_err());
    assert!(line.b2bua.explain("sip:1@c.test", "sip:echo@y.test", None).unwrap().contains("the service echo"));
}

#[test]
fn a_trunk_that_has_called_may_ask_for_the_password_when_it_is_hung_up() {
    let mut line = with_inbound(|_| {});
    line.hear("10.0.1.1:5060", &from_trunk("21", ""));
    let call = incoming(&mut line);
    line.op(Op::Adopt { handle: call.handle, call: BOB.0, leg: BOB.1 });
    line.op(Op::Answer { call: BOB.0, leg: BOB.1, sdp: hookswitch_call::Sdp::from("s1") });
    let tag = line.last().to().unwrap().tag().expect("our tag").to_owned();
    let ack =
        from_trunk("21", "").replace("INVITE", "ACK").replace("<sip:21@x.test>", &format!("<sip:21@x.test>;tag={tag}"));
    line.hear("10.0.1.1:5060", &ack);
    line.op(Op::Hangup { call: BOB.0, leg: BOB.1, cause: Cause::hangup() });
    let bye = line.sent("BYE");
    line.hear("10.0.1.1:5060", &answer(&bye, "407 Proxy Authentication Required", &WWW.replace("WWW", "Proxy"), ""));
    assert!(line.sent("BYE").header(HeaderName::ProxyAuthorization).is_some());
}
