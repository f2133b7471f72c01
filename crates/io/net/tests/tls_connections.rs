//! TLS upon connections: who is let in, who is believed, and that a crowd of handshakes keeps nobody waiting.

mod streams;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_net::{CloseReason, ConnectionsConfig, Distrust, StreamKind, StreamSetup, TcpEvent};
use rcgen::{CertificateParams, SanType};
use streams::{Authority, CROWD, Issued, PATIENCE, Side, any, both, client, opened, server, towards};

const NAME: &str = "sip.example.test";

fn serving(authority: &Authority) -> StreamSetup {
    StreamSetup { server: Some(server(authority.issue(NAME), None)), ..StreamSetup::default() }
}

fn trusting(authority: &Authority) -> StreamSetup {
    StreamSetup { client: Some(client(authority.roots(), None)), ..StreamSetup::default() }
}

fn unreachable(side: &Side) -> bool {
    side.events.iter().any(|event| matches!(event, TcpEvent::Unreachable { .. }))
}

fn over(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
}

fn early(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2999, 1, 1);
    params.not_after = rcgen::date_time_ymd(3000, 1, 1);
}

fn showing(own: Issued) -> StreamSetup {
    StreamSetup { server: Some(server(own, None)), ..StreamSetup::default() }
}

/// Why a side could not reach the other.
fn distrust(side: &Side) -> Option<Distrust> {
    side.events.iter().find_map(|event| match event {
        TcpEvent::Unreachable { distrust, .. } => *distrust,
        _ => None,
    })
}

#[test]
fn what_is_sent_before_the_handshake_arrives_after_it_and_both_ways() {
    let authority = Authority::new();
    let (mut phone, mut switch) =
        (Side::new(StreamKind::Plain, trusting(&authority)), Side::new(StreamKind::Tls, serving(&authority)));
    let at = switch.address();
    phone.send(None, towards(at, NAME), &b"one "[..]);
    phone.send(None, towards(at, NAME), &b"two"[..]);
    both(&mut phone, &mut switch, |_, switch| switch.received() == b"one two");
    assert_eq!(phone.connections.len(), 1, "the second found the connection of the first");
    let id = opened(&switch.events).expect("it was told before what it brought");
    let TcpEvent::Opened { kind, peer, .. } = switch.events[0] else { panic!("{:?}", switch.events) };
    assert_eq!((kind, peer), (StreamKind::Tls, None));
    let large = vec![b'x'; 300_000];
    switch.send(Some(id), towards(any(), NAME), large.clone());
    both(&mut phone, &mut switch, |phone, _| phone.received() == large);
    let TcpEvent::Opened { kind, peer, .. } = phone.events[0] else { panic!("{:?}", phone.events) };
    assert_eq!((kind, peer), (StreamKind::Tls, Some(1)), "whom it was proved for");
    switch.close(id);
    both(&mut phone, &mut switch, |phone, _| phone.connections.is_empty());
    assert!(switch.connections.is_empty());
}

#[test]
fn whoever_cannot_prove_the_name_is_not_reached() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (setup, name, why) in [
        (serving(&authority), "other.example.test", Some(Distrust::OtherName)),
        (serving(&authority), "example.test", Some(Distrust::OtherName)),
        (serving(&stranger), NAME, Some(Distrust::UnknownAuthority)),
        (showing(authority.issue_with(NAME, over)), NAME, Some(Distrust::Expired)),
        (showing(authority.issue_with(NAME, early)), NAME, Some(Distrust::NotYet)),
        (showing(Issued::by_itself(NAME, false)), NAME, Some(Distrust::UnknownAuthority)),
        (showing(Issued::by_itself(NAME, true)), NAME, Some(Distrust::Unfit)),
        (serving(&authority), "not a name", None),
    ] {
        let mut phone = Side::new(StreamKind::Plain, trusting(&authority));
        let mut switch = Side::new(StreamKind::Tls, setup);
        phone.send(None, towards(switch.address(), name), &b"secret"[..]);
        both(&mut phone, &mut switch, |phone, _| unreachable(phone));
        assert_eq!(distrust(&phone), why, "{name}");
        assert!(opened(&phone.events).is_none() && switch.received().is_empty());
        assert!(phone.connections.is_empty());
    }
}

#[test]
fn connections_to_another_name_at_the_same_address_are_not_shared() {
    let authority = Authority::new();
    let mut phone = Side::new(StreamKind::Plain, trusting(&authority));
    let mut switch = Side::new(StreamKind::Tls, serving(&authority));
    let at = switch.address();
    phone.send(None, towards(at, NAME), &b"1"[..]);
    both(&mut phone, &mut switch, |_, switch| switch.received() == b"1");
    let other = hookswitch_net::Towards { peer: Some(2), ..towards(at, "other.example.test") };
    phone.send(None, other, &b"2"[..]);
    both(&mut phone, &mut switch, |phone, _| unreachable(phone));
    assert_eq!(switch.received(), b"1");
}

#[test]
fn a_client_certificate_is_asked_for_where_it_is_required() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let own = |issuer: &Authority, change: fn(&mut CertificateParams)| StreamSetup {
        client: Some(client(authority.roots(), Some(issuer.issue_with("phone.example.test", change)))),
        ..StreamSetup::default()
    };
    for (setup, refused) in [
        (own(&authority, |_| {}), None),
        (own(&stranger, |_| {}), Some(Distrust::UnknownAuthority)),
        (own(&authority, over), Some(Distrust::Expired)),
        (own(&authority, early), Some(Distrust::NotYet)),
        (trusting(&authority), Some(Distrust::Missing)),
    ] {
        let strict = Some(server(authority.issue(NAME), Some(authority.roots())));
        let mut phone = Side::new(StreamKind::Plain, setup);
        let mut switch = Side::new(StreamKind::Tls, StreamSetup { server: strict, ..StreamSetup::default() });
        phone.send(None, towards(switch.address(), NAME), &b"hello"[..]);
        let Some(refused) = refused else {
            both(&mut phone, &mut switch, |_, switch| switch.received() == b"hello");
            continue;
        };
        // With TLS 1.3 the client believes to be through before it hears that it is not.
        both(&mut phone, &mut switch, |phone, switch| {
            !phone.events.is_empty() && phone.connections.is_empty() && switch.connections.is_empty()
        });
        let [TcpEvent::TurnedAway { why, kind, words, .. }] = &switch.events[..] else { panic!("{:?}", switch.events) };
        assert_eq!((*why, *kind), (refused, StreamKind::Tls), "{words}");
        let heard = |event: &TcpEvent| {
            matches!(event, TcpEvent::Closed { reason: CloseReason::Distrusted(Distrust::Ours), .. })
                || matches!(event, TcpEvent::Unreachable { distrust: Some(Distrust::Ours), .. })
        };
        assert!(phone.events.iter().any(heard), "{:?}", phone.events);
    }
}

#[test]
fn each_side_is_told_for_which_domains_the_certificate_of_the_other_is() {
    let authority = Authority::new();
    let uri = |params: &mut CertificateParams| {
        params.subject_alt_names.push(SanType::URI("sip:carrier.example".try_into().unwrap()));
    };
    let strict = Some(server(authority.issue(NAME), Some(authority.roots())));
    let own = client(authority.roots(), Some(authority.issue_with("sbc.carrier.example", uri)));
    let mut phone = Side::new(StreamKind::Plain, StreamSetup { client: Some(own), ..StreamSetup::default() });
    let mut switch = Side::new(StreamKind::Tls, StreamSetup { server: strict, ..StreamSetup::default() });
    phone.send(None, towards(switch.address(), NAME), &b"hello"[..]);
    both(&mut phone, &mut switch, |_, switch| switch.received() == b"hello");
    let names = |side: &Side| match &side.events[0] {
        TcpEvent::Opened { names, .. } => names.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(names(&switch), ["carrier.example"]);
    assert_eq!(names(&phone), [NAME]);
}

#[test]
fn a_new_certificate_is_for_new_connections_and_old_ones_stay() {
    let authority = Authority::new();
    let mut switch = Side::new(StreamKind::Tls, serving(&authority));
    let mut phone = Side::new(StreamKind::Plain, trusting(&authority));
    let at = switch.address();
    phone.send(None, towards(at, NAME), &b"old "[..]);
    both(&mut phone, &mut switch, |_, switch| switch.received() == b"old ");
    let renewed = Authority::new();
    switch.connections.set_up(serving(&renewed));
    phone.send(None, towards(at, NAME), &b"goes on "[..]);
    both(&mut phone, &mut switch, |_, switch| switch.received() == b"old goes on ");
    let mut other = Side::new(StreamKind::Plain, trusting(&renewed));
    other.send(None, towards(at, NAME), &b"new"[..]);
    both(&mut other, &mut switch, |_, switch| switch.received() == b"old goes on new");
}

#[test]
fn who_is_cut_off_in_the_middle_of_tls_is_gone_at_once_and_who_says_goodbye_may_wait_for_an_answer() {
    let authority = Authority::new();
    for says_goodbye in [false, true] {
        let mut switch = Side::new(StreamKind::Tls, serving(&authority));
        let name = NAME.try_into().unwrap();
        let mut tls = rustls::ClientConnection::new(client(authority.roots(), None), name).unwrap();
        let mut peer = TcpStream::connect(switch.address()).unwrap();
        peer.set_nonblocking(true).unwrap();
        tls.writer().write_all(b"request").unwrap();
        while switch.received() != b"request" {
            // Either may have to wait for the other.
            let _ = tls.complete_io(&mut peer);
            switch.turn();
        }
        if says_goodbye {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut peer).unwrap();
            }
        }
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        for _ in 0..20 {
            switch.turn();
        }
        assert_eq!(switch.connections.len(), usize::from(says_goodbye));
    }
}

#[test]
fn garbage_and_plain_sip_are_hung_up_on() {
    let authority = Authority::new();
    for noise in [&b"OPTIONS sip:x SIP/2.0\r\n\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 70_000]] {
        let mut switch = Side::new(StreamKind::Tls, serving(&authority));
        let at = switch.address();
        let peer = std::thread::spawn(move || {
            let mut peer = TcpStream::connect(at).unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            // It may be over before everything is written, and end with an alert or with a reset.
            let _ = peer.write_all(noise);
            let mut answer = Vec::new();
            let _ = peer.read_to_end(&mut answer);
            answer.len()
        });
        while !peer.is_finished() {
            switch.turn();
        }
        assert!(peer.join().unwrap() < 100);
        switch.emptied();
        assert!(switch.events.is_empty(), "{:?}", switch.events);
    }
}

#[test]
fn who_does_not_shake_hands_in_time_is_hung_up_on() {
    let authority = Authority::new();
    let config = ConnectionsConfig { handshake_timeout: Duration::from_secs(3), ..ConnectionsConfig::default() };
    let mut switch = Side::with(StreamKind::Tls, serving(&authority), config);
    let mut peer = TcpStream::connect(switch.address()).unwrap();
    while switch.connections.is_empty() {
        switch.turn();
    }
    switch.leap = Duration::from_secs(2);
    switch.turn();
    assert_eq!(switch.connections.len(), 1);
    switch.leap = Duration::from_secs(4);
    switch.turn();
    assert!(switch.connections.is_empty());
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(peer.read(&mut [0; 1]), Ok(0) | Err(_)));
    // And who is connected to and does not.
    let silent = std::net::TcpListener::bind(any()).unwrap();
    let config = ConnectionsConfig { handshake_timeout: Duration::from_secs(3), ..ConnectionsConfig::default() };
    let mut phone = Side::with(StreamKind::Plain, trusting(&authority), config);
    phone.send(None, towards(silent.local_addr().unwrap(), NAME), &b"?"[..]);
    let _held = silent.accept().unwrap();
    phone.turn();
    phone.turn();
    phone.leap = Duration::from_secs(4);
    phone.until(|events| events.iter().any(|event| matches!(event, TcpEvent::Unreachable { .. })).then_some(()));
}

#[test]
fn who_shakes_hands_and_says_nothing_is_as_silent_as_who_only_connects() {
    let authority = Authority::new();
    let mut switch = Side::new(StreamKind::Tls, serving(&authority));
    let mut phone = Side::new(StreamKind::Plain, trusting(&authority));
    phone.send(None, towards(switch.address(), NAME), &b""[..]);
    both(&mut phone, &mut switch, |_, switch| opened(&switch.events).is_some());
    switch.leap = ConnectionsConfig::default().silent_timeout + Duration::from_secs(1);
    let silent = |event: &TcpEvent| matches!(event, TcpEvent::Closed { reason: CloseReason::Silent, .. });
    switch.until(|events| events.iter().any(silent).then_some(()));
}

#[test]
fn a_crowd_of_handshakes_takes_several_turns() {
    let authority = Authority::new();
    let mut switch = Side::new(StreamKind::Tls, serving(&authority));
    let hello = hello(&authority);
    let mut crowd: Vec<TcpStream> = (0..CROWD).map(|_| TcpStream::connect(switch.address()).unwrap()).collect();
    while switch.connections.len() < CROWD {
        switch.turn();
    }
    for peer in &mut crowd {
        peer.write_all(&hello).unwrap();
        peer.set_nonblocking(true).unwrap();
    }
    std::thread::sleep(Duration::from_millis(50));
    let mut answered = vec![false; CROWD];
    let mut turns = 0;
    let mut most = 0;
    while answered.contains(&false) {
        assert!(turns < 1_000);
        let before = answered.iter().filter(|done| **done).count();
        switch.turn();
        turns += 1;
        for (peer, done) in crowd.iter_mut().zip(&mut answered) {
            *done |= matches!(peer.read(&mut [0; 4096]), Ok(len) if len > 0);
        }
        most = most.max(answered.iter().filter(|done| **done).count() - before);
    }
    // What one turn leaves undone of its share is done at the start of the next.
    assert!(most <= 2 * hookswitch_net::HANDSHAKES_A_TURN, "{most} in one turn");
    assert!(turns >= CROWD / (2 * hookswitch_net::HANDSHAKES_A_TURN));
}

/// The first word of a client.
fn hello(authority: &Authority) -> Vec<u8> {
    let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
    let config = client(authority.roots(), None);
    let mut connection = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}
