//! Every limit, reached: 503 without a trace, errors to the user, and room again afterwards.

use crate::support::lone::{Lone, call, invite, request};
use crate::support::{HERE, addr, config};
use hookswitch_sip::{Body, Counts, EndpointConfig, Event, Network, RequestOut, Response, SipError, Transport};
use hookswitch_sip_msg::{HeaderName, Method};

fn invite_number(number: usize) -> String {
    invite(&format!("z9hG4bK-{number}"), 1, "a", "").replace("call-1", &format!("call-{number}"))
}

fn with(change: impl FnOnce(&mut EndpointConfig)) -> Lone {
    let mut config = config(addr(HERE));
    change(&mut config);
    Lone::with(Transport::Udp, config)
}

#[test]
fn too_many_transactions_are_answered_503_and_refused_to_the_user() {
    let mut lone = with(|config| config.max_transactions = 3);
    for number in 0..5 {
        lone.hear(&invite_number(number));
    }
    assert_eq!(lone.words(), ["503", "503"]);
    assert_eq!(lone.last("503").header(HeaderName::RetryAfter), "5");
    assert_eq!(lone.endpoint.dropped().overload, 2);
    assert_eq!(lone.endpoint.counts(), Counts { transactions: 3, dialogs: 3, timers: 3, connections: 0 });
    assert_eq!(lone.endpoint.invite(lone.now, call(lone.flow)), Err(SipError::TransactionLimit));
    let order = RequestOut::new(Method::Options, "sip:x@y", "<sip:a@b>", "<sip:x@y>", lone.flow);
    assert_eq!(lone.endpoint.request(lone.now, order), Err(SipError::TransactionLimit));
    // Ends must get through when everything is full.
    lone.hear(&request("CANCEL", "z9hG4bK-0", 1, "a", "", "").replace("call-1", "call-0"));
    assert_eq!(lone.words()[2..], ["200", "487"]);
    lone.settle();
    lone.assert_nothing_left();
    assert!(lone.endpoint.invite(lone.now, call(lone.flow)).is_ok());
}

#[test]
fn a_bye_gets_through_when_everything_is_full() {
    let mut lone = with(|config| config.max_transactions = 1);
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.hear(&request("INFO", "z9hG4bK-info", 2, "alice", &tag, ""));
    assert_eq!(lone.last("503").header(HeaderName::CSeq), "2 INFO");
    lone.hear(&request("BYE", "z9hG4bK-bye", 3, "alice", &tag, ""));
    assert!(matches!(lone.events.last(), Some(Event::Ended { dialog, .. }) if *dialog == id));
}

#[test]
fn too_many_dialogs_are_answered_503_and_refused_to_the_user() {
    let mut lone = with(|config| config.max_dialogs = 2);
    for number in 0..4 {
        lone.hear(&invite_number(number));
    }
    assert_eq!(lone.words(), ["503", "503"]);
    assert_eq!(lone.endpoint.invite(lone.now, call(lone.flow)), Err(SipError::DialogLimit));
}

#[test]
fn one_source_cannot_take_all_the_room() {
    let mut lone = with(|config| config.max_pending_per_source = 2);
    for number in 0..4 {
        lone.hear(&invite_number(number));
    }
    assert_eq!(lone.words(), ["503", "503"]);
    // Others are not held back by it.
    let crowd = lone.flow;
    lone.flow.remote = addr("10.0.0.3:5060");
    lone.hear(&invite_number(10).replace("UDP 10.0.0.2", "UDP 10.0.0.3"));
    assert_eq!(lone.sent.len(), 2);
    // An answer makes room for the next.
    let Some(Event::Invite { dialog, .. }) = lone.events.first() else { panic!() };
    lone.endpoint.respond(lone.now, *dialog, Response::new(486));
    lone.drain();
    lone.flow = crowd;
    lone.hear(&invite_number(20));
    assert_eq!(lone.words(), ["503", "503", "486"]);
}

#[test]
fn trusted_sources_are_not_limited() {
    let mut lone = with(|config| {
        config.max_pending_per_source = 1;
        config.trusted = vec![Network { addr: "10.0.0.0".parse().unwrap(), prefix: 24 }];
    });
    for number in 0..5 {
        lone.hear(&invite_number(number));
    }
    assert!(lone.sent.is_empty());
    assert_eq!(lone.events.len(), 5);
}

#[test]
fn zero_switches_the_limit_per_source_off() {
    let mut lone = with(|config| config.max_pending_per_source = 0);
    for number in 0..50 {
        lone.hear(&invite_number(number));
    }
    assert_eq!(lone.events.len(), 50);
}

#[test]
fn what_would_not_fit_into_a_message_is_refused() {
    let mut lone = Lone::new(Transport::Udp);
    let mut huge = call(lone.flow);
    huge.body = Some(Body::sdp(vec![b'x'; 65_000]));
    assert_eq!(lone.endpoint.invite(lone.now, huge), Err(SipError::TooLarge));
    lone.hear(&invite_number(1));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(vec![b'x'; 65_000])));
    lone.drain();
    assert_eq!(lone.words(), ["500"]);
}

#[test]
fn ten_thousand_invites_that_nobody_answers_leave_nothing() {
    let mut lone = Lone::new(Transport::Udp);
    for _ in 0..10_000 {
        lone.endpoint.invite(lone.now, call(lone.flow)).unwrap();
        lone.drain();
    }
    assert_eq!(lone.endpoint.counts().transactions, 10_000);
    lone.sent.clear();
    lone.settle();
    assert_eq!(lone.events.len(), 10_000);
    lone.assert_nothing_left();
}

#[test]
fn ten_thousand_calls_that_our_user_never_answers_leave_nothing() {
    let mut lone = with(|config| config.max_pending_per_source = 0);
    for number in 0..10_000 {
        lone.hear(&invite_number(number));
    }
    assert_eq!(lone.endpoint.counts().dialogs, 10_000);
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_flood_of_datagrams_is_thrown_away_unread_and_others_are_heard() {
    use hookswitch_sip::{Endpoint, EndpointConfig, Flow, Input, Listen, Transport};
    let local = "192.0.2.1:5060".parse().expect("an address");
    let listen = vec![Listen { transport: Transport::Udp, address: local, advertise: None }];
    let config = EndpointConfig { listen, max_rate_per_source: 100, ..EndpointConfig::default() };
    let mut endpoint = Endpoint::new(config, [1; 32]);
    let now = core::time::Duration::from_secs(1_000);
    let say = |endpoint: &mut Endpoint, from: &str| {
        let flow = Flow::udp(local, from.parse().expect("an address"));
        endpoint.handle_input(now, Input::Datagram { flow, bytes: bytes::Bytes::from_static(b"garbage\r\n\r\n") });
    };
    for _ in 0..1_000 {
        say(&mut endpoint, "192.0.2.66:5060");
    }
    say(&mut endpoint, "192.0.2.77:5060");
    assert_eq!(endpoint.dropped().flood, 800);
    assert_eq!(endpoint.dropped().garbage, 201);
}
