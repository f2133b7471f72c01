//! What an endpoint counts against those who write to it, and what becomes of what they say then.

use crate::support;

use crate::support::lone::{Lone, invite, request};
use crate::support::{HERE, addr, config};
use hookswitch_sip::guard::{BanWhy, GuardConfig, GuardNews, Offence};
use hookswitch_sip::{ConnId, EndpointConfig, Flow, Input, RequestOut, Transport};
use hookswitch_sip_msg::Method;

fn guarded(transport: Transport, change: impl FnOnce(&mut EndpointConfig)) -> Lone {
    let mut config = config(addr(HERE));
    config.guard = GuardConfig { enabled: true, ..GuardConfig::default() };
    change(&mut config);
    Lone::with(transport, config)
}

fn offences(lone: &Lone, offence: Offence) -> u64 {
    lone.endpoint.guard().totals().offences[offence as usize]
}

fn banned_for(lone: &Lone) -> Option<BanWhy> {
    lone.endpoint.guard().bans(lone.now).next().map(|ban| ban.why.clone())
}

#[test]
fn a_scanner_is_not_answered_and_banned_at_the_second_request() {
    let mut lone = guarded(Transport::Udp, |_| {});
    for n in 0..3 {
        let agent = "User-Agent: friendly-scanner\r\n";
        lone.hear(&request("OPTIONS", &format!("z9hG4bK-{n}"), 1, "a", "", agent));
    }
    assert!(lone.sent.is_empty() && lone.events.is_empty());
    assert_eq!(banned_for(&lone), Some(BanWhy::Offence(Offence::Scanner)));
    assert_eq!(lone.endpoint.guard().totals().dropped, 1);
    lone.hear(&invite("z9hG4bK-x", 1, "a", ""));
    assert!(lone.events.is_empty(), "not even when it calls itself otherwise");
}

#[test]
fn whoever_sends_garbage_is_banned_and_keep_alives_are_none() {
    let mut lone = guarded(Transport::Udp, |_| {});
    let say = |lone: &mut Lone, bytes: &'static [u8]| {
        let flow = lone.flow;
        lone.input(Input::Datagram { flow, bytes: bytes::Bytes::from_static(bytes) });
    };
    for _ in 0..100 {
        say(&mut lone, b"\r\n\r\n");
        say(&mut lone, b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl");
        say(&mut lone, b"SIP/2.0 200 OK\r\nVia: nonsense\r\n\r\n");
    }
    assert_eq!((offences(&lone, Offence::Malformed), banned_for(&lone)), (0, None));
    for _ in 0..50 {
        say(&mut lone, b"GET / HTTP/1.1\r\n\r\n");
    }
    assert_eq!(banned_for(&lone), Some(BanWhy::Offence(Offence::Malformed)));
}

#[test]
fn a_flood_counts_once_a_second() {
    let mut lone = guarded(Transport::Udp, |config| config.max_rate_per_source = 10);
    for n in 0..3_u64 {
        lone.now = support::START + std::time::Duration::from_secs(n);
        for _ in 0..100 {
            lone.hear(&request("OPTIONS", "z9hG4bK-1", 1, "a", "", ""));
        }
    }
    assert_eq!(offences(&lone, Offence::Flood), 3);
}

#[test]
fn a_flood_is_told_once_a_minute_also_of_who_cannot_be_banned() {
    // Who can be banned is, long before the next minute.
    for (allow, expected) in [("10.0.0.0", &[0, 60][..]), ("198.0.0.0", &[0])] {
        let mut lone = guarded(Transport::Udp, |config| {
            config.max_rate_per_source = 10;
            config.guard.allow = vec![hookswitch_sip::Network { addr: allow.parse().unwrap(), prefix: 8 }];
        });
        let mut told = Vec::new();
        for second in 0..61_u64 {
            lone.now = support::START + std::time::Duration::from_secs(second);
            for _ in 0..21 {
                lone.hear(&request("OPTIONS", "z9hG4bK-1", 1, "a", "", ""));
            }
            let news = std::iter::from_fn(|| lone.endpoint.guard_mut().poll_news());
            told.extend(news.filter(|news| matches!(news, GuardNews::Flooded { .. })).map(|_| second));
        }
        assert_eq!(told, expected, "{allow}");
    }
}

#[test]
fn the_connection_of_who_is_banned_is_closed_and_so_is_the_next() {
    let mut lone = guarded(Transport::Tcp, |_| {});
    for n in 0..2 {
        lone.hear(&request("OPTIONS", &format!("z9hG4bK-{n}"), 1, "a", "", "User-Agent: sipvicious\r\n"));
    }
    assert!(lone.closed.is_empty());
    lone.hear(&request("OPTIONS", "z9hG4bK-2", 1, "a", "", ""));
    assert_eq!(lone.closed.len(), 1);
    assert_eq!(lone.endpoint.counts().connections, 0);
    let again = Flow { conn: Some(ConnId(2)), ..lone.flow };
    lone.input(Input::Opened { flow: again });
    assert_eq!((lone.closed.len(), lone.endpoint.counts().connections), (2, 0));
    assert!(lone.sent.is_empty());
}

#[test]
fn whom_we_have_asked_is_heard_whatever_its_neighbours_do() {
    let mut lone = guarded(Transport::Udp, |_| {});
    let order = RequestOut::new(Method::Options, "sip:x@y", "<sip:a@b>", "<sip:x@y>", lone.flow);
    lone.endpoint.request(lone.now, order).expect("a request");
    lone.drain();
    let mut neighbour = lone.flow;
    neighbour.remote.set_port(9);
    for n in 0..3 {
        let agent = "User-Agent: sipvicious\r\n";
        lone.hear_on(neighbour, &request("OPTIONS", &format!("z9hG4bK-{n}"), 1, "a", "", agent));
    }
    assert_eq!(lone.endpoint.guard().totals().dropped, 1);
    lone.hear(&request("OPTIONS", "z9hG4bK-9", 1, "a", "", ""));
    assert_eq!(lone.events.len(), 1);
}

#[test]
fn trusted_networks_are_never_banned() {
    let mut lone = guarded(Transport::Udp, |config| {
        let trusted = hookswitch_sip::Network { addr: addr(support::THERE).ip(), prefix: 32 };
        config.trusted = vec![trusted];
    });
    for n in 0..9 {
        let scan = request("OPTIONS", &format!("z9hG4bK-{n}"), 1, "a", "", "User-Agent: sipvicious\r\n");
        lone.hear(&scan.replace("call-1", &format!("call-{n}")));
    }
    assert_eq!((lone.events.len(), banned_for(&lone)), (9, None));
}
