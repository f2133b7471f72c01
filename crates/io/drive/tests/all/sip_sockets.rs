//! SIP over real sockets: answers come back the way requests came, whatever else goes on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::harness::{PATIENCE, config, options, receive, sip_address, tcp, udp};
use hookswitch_call::{Time, Told};
use hookswitch_drive::{Direction, SipListen, Switch, Tap};
use hookswitch_sip::{Flow, Transport};

#[test]
fn options_is_answered_over_udp() {
    let switch = Switch::start(config(22_200)).unwrap();
    let phone = udp();
    let request = options("UDP", phone.local_addr().unwrap(), "one");
    phone.send_to(request.as_bytes(), sip_address(&switch, Transport::Udp)).unwrap();
    let answer = receive(&phone);
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
}

#[test]
fn options_is_answered_over_tcp_in_pieces_and_in_bunches() {
    let switch = Switch::start(config(22_200)).unwrap();
    let mut phone = tcp(sip_address(&switch, Transport::Tcp));
    let from = phone.local_addr().unwrap();
    let (first, second, third) = (options("TCP", from, "a"), options("TCP", from, "b"), options("TCP", from, "c"));
    let (head, tail) = first.split_at(100);
    phone.write_all(head.as_bytes()).unwrap();
    phone.write_all(format!("{tail}{second}{third}").as_bytes()).unwrap();
    let mut heard = String::new();
    let mut buffer = [0; 4_096];
    while heard.matches("SIP/2.0 200 ").count() < 3 {
        let len = phone.read(&mut buffer).unwrap();
        assert!(len > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..len]));
    }
}

#[test]
fn options_is_answered_over_tcp_although_the_peer_says_nothing_more() {
    let switch = Switch::start(config(22_200)).unwrap();
    let mut phone = tcp(sip_address(&switch, Transport::Tcp));
    let from = phone.local_addr().unwrap();
    phone.write_all(options("TCP", from, "only").as_bytes()).unwrap();
    phone.shutdown(std::net::Shutdown::Write).unwrap();
    let mut buffer = [0; 4_096];
    let len = phone.read(&mut buffer).unwrap();
    assert!(buffer[..len].starts_with(b"SIP/2.0 200 "), "{}", String::from_utf8_lossy(&buffer[..len]));
}

#[test]
fn the_answer_leaves_from_the_address_that_was_asked() {
    let mut config = config(22_200);
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    config.sip = vec![SipListen { transport: Transport::Udp, address: everywhere }];
    let switch = Switch::start(config).unwrap();
    let port = sip_address(&switch, Transport::Udp).port();
    let asked = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), port));
    let phone = udp();
    // A connected socket hears only whom it is connected to.
    phone.connect(asked).unwrap();
    phone.send(options("UDP", phone.local_addr().unwrap(), "nine").as_bytes()).unwrap();
    assert!(receive(&phone).starts_with("SIP/2.0 200 "));
}

#[test]
fn garbage_and_floods_leave_turns_for_the_others() {
    let switch = Switch::start(config(22_200)).unwrap();
    let to = sip_address(&switch, Transport::Udp);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flood = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut sent = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = noise.send_to(&[0xFF; 300], to);
                sent += 1;
            }
            sent
        })
    };
    // Over TCP nothing is lost in a full buffer, so every request must be answered, and soon.
    let mut phone = tcp(sip_address(&switch, Transport::Tcp));
    let from = phone.local_addr().unwrap();
    let mut slowest = std::time::Duration::ZERO;
    for round in 0..50 {
        let asked = Instant::now();
        phone.write_all(options("TCP", from, &format!("f{round}")).as_bytes()).unwrap();
        let mut buffer = [0; 4_096];
        assert!(phone.read(&mut buffer).unwrap() > 0);
        slowest = slowest.max(asked.elapsed());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(flood.join().unwrap() > 100);
    assert!(slowest < std::time::Duration::from_secs(2), "{slowest:?}");
}

#[derive(Default)]
struct Watcher(Mutex<Vec<(Direction, String)>>);

impl Tap for Watcher {
    fn message(&self, _: Time, direction: Direction, _: &Flow, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().next().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((direction, line));
    }

    fn told(&self, _: &Told) {}
}

#[test]
fn a_tap_sees_every_message() {
    let watcher = Arc::new(Watcher::default());
    let mut config = config(22_200);
    config.tap = Some(Arc::clone(&watcher) as Arc<dyn Tap>);
    let switch = Switch::start(config).unwrap();
    let phone = udp();
    let request = options("UDP", phone.local_addr().unwrap(), "seen");
    phone.send_to(request.as_bytes(), sip_address(&switch, Transport::Udp)).unwrap();
    receive(&phone);
    let seen = watcher.0.lock().unwrap();
    assert_eq!(seen[0], (Direction::Received, "OPTIONS sip:localhost SIP/2.0".to_owned()));
    assert_eq!(seen[1].0, Direction::Sent);
    assert!(seen[1].1.starts_with("SIP/2.0 200"));
}

#[test]
fn a_call_to_a_port_where_nobody_is_fails_at_once() {
    let mut config = config(22_400);
    let nobody = {
        let gone = udp();
        gone.local_addr().unwrap()
    };
    let route = hookswitch_b2bua::route::Route::new("sip:nobody@*", &format!("sip:{nobody}")).unwrap();
    config.shard.b2bua.routes.push(route);
    let switch = Switch::start(config).unwrap();
    let phone = udp();
    let from = phone.local_addr().unwrap();
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
        from.port()
    );
    let invite = format!(
        "INVITE sip:nobody@localhost SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bKnobody\r\n\
         Max-Forwards: 70\r\nFrom: <sip:tester@localhost>;tag=t\r\nTo: <sip:nobody@localhost>\r\n\
         Call-ID: nobody@tester\r\nCSeq: 1 INVITE\r\nContact: <sip:tester@{from}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    let asked = Instant::now();
    phone.send_to(invite.as_bytes(), sip_address(&switch, Transport::Udp)).unwrap();
    let last = loop {
        let answer = receive(&phone);
        if !answer.starts_with("SIP/2.0 1") {
            break answer;
        }
    };
    // The network said that nobody is there; without that it would be 32 seconds.
    assert!(asked.elapsed() < PATIENCE, "{last}");
    assert!(last.starts_with("SIP/2.0 4") || last.starts_with("SIP/2.0 5"), "{last}");
}
