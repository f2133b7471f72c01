//! RTP ports are handed out in pairs, once each, and come back.

use std::collections::HashSet;
use std::net::UdpSocket;

use hookswitch_net::{PortPool, PortRange};

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
