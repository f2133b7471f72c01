//! Datagrams in batches, their local addresses, and what the network reports about them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookswitch_net::{BATCH, MAX_DATAGRAM, MAX_SEND_QUEUE, RecvBatch, SendOutcome, SendQueue, UdpOptions, UdpSocket};

fn bind(ip: [u8; 4]) -> UdpSocket {
    UdpSocket::bind((ip, 0).into(), UdpOptions::default()).unwrap()
}

/// Receives until `count` datagrams are there; loopback delivers them before `send` returns.
fn receive(socket: &UdpSocket, count: usize) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
    let mut batch = RecvBatch::new();
    let mut all = Vec::new();
    let end = Instant::now() + Duration::from_secs(5);
    while all.len() < count && Instant::now() < end {
        socket.receive(&mut batch).unwrap();
        let seen = batch.datagrams();
        all.extend(seen.map(|datagram| (datagram.from, datagram.local, datagram.bytes.to_vec())));
    }
    all
}

#[test]
fn a_hundred_datagrams_arrive_in_order_whatever_their_size() {
    let (ours, theirs) = (bind([127, 0, 0, 1]), bind([127, 0, 0, 1]));
    let mut queue = SendQueue::new();
    let sizes: Vec<usize> = (0..100).map(|index| index * 97 % 4_000).collect();
    for (index, size) in sizes.iter().enumerate() {
        let bytes = Bytes::from(vec![index as u8; *size]);
        assert!(queue.push(ours.local(), theirs.local(), bytes));
    }
    let outcome = queue.flush(&ours, |failed| panic!("{failed:?}"));
    assert_eq!(outcome, SendOutcome::Sent);
    let received = receive(&theirs, 100);
    assert_eq!(received.len(), 100);
    for (index, (from, local, bytes)) in received.iter().enumerate() {
        assert_eq!((*from, *local), (ours.local(), theirs.local()));
        assert_eq!(*bytes, vec![index as u8; sizes[index]]);
    }
    let mut batch = RecvBatch::new();
    assert_eq!(theirs.receive(&mut batch).unwrap(), 0);
}

#[test]
fn one_call_receives_no_more_than_a_batch() {
    let (ours, theirs) = (bind([127, 0, 0, 1]), bind([127, 0, 0, 1]));
    let mut queue = SendQueue::new();
    for _ in 0..BATCH + 5 {
        assert!(queue.push(ours.local(), theirs.local(), Bytes::from_static(b"x")));
    }
    queue.flush(&ours, |failed| panic!("{failed:?}"));
    let mut batch = RecvBatch::new();
    assert_eq!(theirs.receive(&mut batch).unwrap(), BATCH);
    assert_eq!(theirs.receive(&mut batch).unwrap(), 5);
    assert_eq!(theirs.receive(&mut batch).unwrap(), 0);
}

#[test]
fn a_socket_on_all_addresses_knows_and_chooses_which_one_is_meant() {
    let all = bind([0, 0, 0, 0]);
    let peer = bind([127, 0, 0, 1]);
    let second: SocketAddr = (Ipv4Addr::new(127, 0, 0, 2), all.local().port()).into();
    let mut queue = SendQueue::new();
    assert!(queue.push(peer.local(), second, Bytes::from_static(b"to the second")));
    queue.flush(&peer, |failed| panic!("{failed:?}"));
    let (from, local, _) = receive(&all, 1).remove(0);
    assert_eq!((from, local), (peer.local(), second));
    // The answer leaves from the address that was asked.
    assert!(queue.push(local, from, Bytes::from_static(b"from the second")));
    queue.flush(&all, |failed| panic!("{failed:?}"));
    assert_eq!(receive(&peer, 1)[0].0, second);
    // Without a choice the system chooses.
    assert!(queue.push(all.local(), from, Bytes::from_static(b"from anywhere")));
    queue.flush(&all, |failed| panic!("{failed:?}"));
    assert_eq!(receive(&peer, 1)[0].0.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
}

#[test]
fn the_same_over_ipv6() {
    let any = (std::net::Ipv6Addr::UNSPECIFIED, 0).into();
    let Ok(all) = UdpSocket::bind(any, UdpOptions::default()) else {
        return; // This host has no IPv6.
    };
    let loopback = (std::net::Ipv6Addr::LOCALHOST, 0).into();
    let Ok(peer) = UdpSocket::bind(loopback, UdpOptions::default()) else {
        return;
    };
    let target: SocketAddr = (std::net::Ipv6Addr::LOCALHOST, all.local().port()).into();
    let mut queue = SendQueue::new();
    assert!(queue.push(peer.local(), target, Bytes::from_static(b"six")));
    queue.flush(&peer, |failed| panic!("{failed:?}"));
    let (from, local, bytes) = receive(&all, 1).remove(0);
    assert_eq!((from, local, &bytes[..]), (peer.local(), target, &b"six"[..]));
    assert!(queue.push(local, from, Bytes::from_static(b"back")));
    queue.flush(&all, |failed| panic!("{failed:?}"));
    assert_eq!(receive(&peer, 1)[0].0, target);
}

#[test]
fn an_unreachable_port_is_reported_for_its_own_destination() {
    let ours = bind([127, 0, 0, 1]);
    let alive = bind([127, 0, 0, 1]);
    let dead = {
        let gone = bind([127, 0, 0, 1]);
        gone.local()
    };
    let mut failed = Vec::new();
    let mut queue = SendQueue::new();
    for _ in 0..3 {
        assert!(queue.push(ours.local(), dead, Bytes::from_static(b"anybody?")));
        queue.flush(&ours, |failure| failed.push(failure.to));
        assert!(queue.push(ours.local(), alive.local(), Bytes::from_static(b"hello")));
        queue.flush(&ours, |failure| failed.push(failure.to));
    }
    // The refusal shows up neither as an error of receiving nor as a loss elsewhere.
    let mut batch = RecvBatch::new();
    assert_eq!(ours.receive(&mut batch).unwrap(), 0);
    ours.take_errors(|failure| failed.push(failure.to));
    assert!(!failed.is_empty());
    assert!(failed.iter().all(|to| *to == dead), "{failed:?}");
    assert_eq!(receive(&alive, 3).len(), 3);
}

#[test]
fn the_send_queue_has_a_limit() {
    let ours = bind([127, 0, 0, 1]);
    let mut queue = SendQueue::new();
    let bytes = Bytes::from(vec![0; MAX_DATAGRAM]);
    let fits = MAX_SEND_QUEUE / MAX_DATAGRAM;
    for _ in 0..fits {
        assert!(queue.push(ours.local(), ours.local(), bytes.clone()));
    }
    assert!(!queue.push(ours.local(), ours.local(), bytes));
    assert_eq!(queue.len(), fits);
}

#[test]
fn a_datagram_too_long_to_send_fails_alone() {
    let (ours, theirs) = (bind([127, 0, 0, 1]), bind([127, 0, 0, 1]));
    let mut queue = SendQueue::new();
    let mut failed = 0;
    for size in [10, 70_000, 20] {
        let bytes = Bytes::from(vec![0; size]);
        assert!(queue.push(ours.local(), theirs.local(), bytes));
    }
    let outcome = queue.flush(&ours, |_| failed += 1);
    assert_eq!((outcome, failed), (SendOutcome::Sent, 1));
    let sizes: Vec<_> = receive(&theirs, 2).iter().map(|got| got.2.len()).collect();
    assert_eq!(sizes, [10, 20]);
}

#[test]
fn an_address_in_use_is_named() {
    let ours = bind([127, 0, 0, 1]);
    let error = UdpSocket::bind(ours.local(), UdpOptions::default()).unwrap_err();
    assert!(error.is_in_use());
    let text = format!("udp:{} is in use by another program", ours.local());
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_connected_socket_hears_one_peer_and_learns_that_it_is_gone() {
    let (mut ours, theirs, stranger) = (bind([127, 0, 0, 1]), bind([127, 0, 0, 1]), bind([127, 0, 0, 2]));
    ours.connect(theirs.local()).unwrap();
    let mut queue = SendQueue::new();
    assert!(queue.push(stranger.local(), ours.local(), Bytes::from_static(b"stranger")));
    queue.flush(&stranger, |failed| panic!("{failed:?}"));
    assert!(queue.push(theirs.local(), ours.local(), Bytes::from_static(b"peer")));
    queue.flush(&theirs, |failed| panic!("{failed:?}"));
    ours.send(b"to the peer").unwrap();
    assert_eq!(receive(&ours, 1)[0].2, b"peer");
    assert_eq!(receive(&theirs, 1)[0].2, b"to the peer");
    let address = theirs.local();
    drop(theirs);
    let mut refused = Vec::new();
    for _ in 0..2 {
        // The second one is sent although the first one's refusal is known by then.
        ours.send(b"hello?").unwrap();
        ours.take_errors(|failed| refused.push((failed.to, failed.error.kind())));
    }
    assert_eq!(refused, [(address, std::io::ErrorKind::ConnectionRefused); 2]);
}
