//! RTP ports are handed out in pairs, once each, and come back.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::time::Duration;

use hookswitch_net::{PortPool, PortRange, connect_beside};
use socket2::{Domain, Socket, Type};

/// Tests run side by side: each has a range of its own.
fn range(first: u16, last: u16) -> PortRange {
    PortRange { first, last }
}

#[test]
fn every_pair_is_taken_once_and_then_none_is_left() {
    let mut pool = PortPool::new(range(30_001, 30_040), 7);
    assert_eq!(pool.size(), 19);
    let mut taken = Vec::new();
    while let Some(pair) = pool.take(false) {
        assert_eq!(pair.port % 2, 0);
        assert_eq!(pair.rtp.local_addr().unwrap().port(), pair.port);
        assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.port + 1);
        taken.push(pair);
    }
    let ports: HashSet<u16> = taken.iter().map(|pair| pair.port).collect();
    assert_eq!(ports.len(), 19);
    assert_eq!(pool.free(), 0);
    for pair in taken {
        let port = pair.port;
        drop(pair);
        pool.give_back(port);
    }
    assert_eq!(pool.free(), 19);
    assert!(pool.take(false).is_some());
}

#[test]
fn a_port_of_another_program_is_skipped_and_tried_again_later() {
    let mut pool = PortPool::new(range(30_100, 30_105), 1);
    let holder = UdpSocket::bind("0.0.0.0:30103").unwrap();
    let first = pool.take(false).unwrap();
    let second = pool.take(false).unwrap();
    let mut ports = [first.port, second.port];
    ports.sort_unstable();
    assert_eq!(ports, [30_100, 30_104]);
    assert!(pool.take(false).is_none());
    drop(holder);
    assert_eq!(pool.take(false).unwrap().port, 30_102);
}

#[test]
fn ten_thousand_rounds_lose_no_port_and_no_descriptor() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut pool = PortPool::new(range(30_200, 30_239), 3);
    let before = descriptors();
    for round in 0..10_000_u32 {
        let count = 1 + (round as usize * 7 % 20);
        let taken: Vec<_> = (0..count).map_while(|_| pool.take(false)).collect();
        assert_eq!(taken.len(), count);
        for pair in taken {
            let port = pair.port;
            drop(pair);
            pool.give_back(port);
        }
    }
    assert_eq!(pool.free(), pool.size());
    // Other tests of this file hold some sockets of theirs meanwhile.
    assert!(descriptors() < before + 60);
}

#[test]
fn a_port_given_back_rests_the_longest() {
    let mut pool = PortPool::new(range(30_300, 30_309), 3);
    let port = pool.take(false).unwrap().port;
    pool.give_back(port);
    let next: Vec<u16> = (0..5).map(|_| pool.take(false).unwrap().port).collect();
    assert_eq!(next.last(), Some(&port));
}

#[test]
fn pools_split_from_one_range_share_nothing() {
    let pools = PortPool::split(PortRange::default(), 3, 11);
    let sizes: Vec<usize> = pools.iter().map(PortPool::size).collect();
    assert_eq!(sizes.iter().sum::<usize>(), PortRange::default().pairs());
    assert!(sizes.iter().all(|size| size.abs_diff(sizes[0]) <= 1));
    let mut order = Vec::new();
    for seed in [1, 2] {
        let mut pool = PortPool::new(range(30_400, 30_499), seed);
        let ports: Vec<u16> = (0..8).map(|_| pool.take(false).unwrap().port).collect();
        order.push(ports);
    }
    assert_ne!(order[0], order[1]);
}

#[test]
fn ranges_are_read_from_text() {
    assert_eq!("10000-20000".parse(), Ok(PortRange::default()));
    assert_eq!(PortRange::default().to_string(), "10000-20000");
    for bad in ["", "10000", "20000-10000", "1-x", "5-5", "3-4", "70000-70002"] {
        assert!(bad.parse::<PortRange>().is_err(), "{bad}");
    }
}

#[test]
fn a_socket_beside_hears_its_peer_alone_and_the_first_one_everybody_else() {
    let mut pool = PortPool::new(range(30_200, 30_203), 3);
    let pair = pool.take(false).unwrap();
    let port = pair.port;
    let (alice, stranger) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let beside = connect_beside(&pair.rtp, alice.local_addr().unwrap()).unwrap();
    for socket in [&pair.rtp, &beside, &alice] {
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }
    for round in 0..10_u8 {
        alice.send_to(&[round], ("127.0.0.1", port)).unwrap();
        stranger.send_to(&[100 + round], ("127.0.0.1", port)).unwrap();
        let mut byte = [0];
        let (_, from) = beside.recv_from(&mut byte).unwrap();
        assert_eq!((from, byte), (alice.local_addr().unwrap(), [round]));
        let (_, from) = pair.rtp.recv_from(&mut byte).unwrap();
        assert_eq!((from, byte), (stranger.local_addr().unwrap(), [100 + round]));
        // Both speak from the same port.
        pair.rtp.send_to(&[1], alice.local_addr().unwrap()).unwrap();
        beside.send(&[2]).unwrap();
        for expected in [1, 2] {
            let (_, from) = alice.recv_from(&mut byte).unwrap();
            assert_eq!((from.port(), byte), (port, [expected]));
        }
    }
}

#[test]
fn a_port_with_a_socket_beside_it_is_still_nobody_elses() {
    let mut pool = PortPool::new(range(30_300, 30_303), 3);
    let pair = pool.take(false).unwrap();
    let address = pair.rtp.local_addr().unwrap();
    let beside = connect_beside(&pair.rtp, "127.0.0.1:9".parse().unwrap()).unwrap();
    assert!(UdpSocket::bind(address).is_err());
    // Not even one that would share it.
    let sharing = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    sharing.set_reuse_address(true).unwrap();
    assert!(sharing.bind(&address.into()).is_err());
    drop((pair, beside));
    drop(UdpSocket::bind(address).unwrap());
}
