//! Packets through io_uring: whole, from the right sender, and none from a socket that is forgotten.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use hookswitch_net::{Arrival, Happened, MAX_RING_PACKET, UdpRing, connect_beside};

const PATIENCE: Duration = Duration::from_secs(5);

/// A ring, or the reason why this system has none, which is a reason to skip unless everything must run.
fn ring(slots: u32) -> Option<UdpRing> {
    match UdpRing::new(slots) {
        Ok(ring) => Some(ring),
        Err(error) => {
            println!("skipped: no io_uring here: {error}");
            None
        }
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

/// What arrives until there are so many packets.
fn arrivals(ring: &mut UdpRing, count: usize) -> Vec<Arrival> {
    let end = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while found.len() < count && Instant::now() < end {
        ring.wait(Some(Duration::from_millis(100))).unwrap();
        while let Some(happened) = ring.poll_happened() {
            if let Happened::Packet(arrival) = happened {
                found.push(arrival);
            }
        }
    }
    assert_eq!(found.len(), count);
    found
}

/// Whether nothing arrives for a moment.
fn is_quiet(ring: &mut UdpRing) -> bool {
    ring.wait(Some(Duration::from_millis(50))).unwrap();
    ring.poll_happened().is_none()
}

#[test]
fn a_packet_goes_from_one_socket_to_the_other_and_its_sender_is_known() {
    let Some(mut ring) = ring(8) else { return };
    let (near, far) = (socket(), socket());
    let (alice, bob) = (socket(), socket());
    ring.watch(3, &near).unwrap();
    ring.watch(5, &far).unwrap();
    alice.send_to(b"ninety", address(&near)).unwrap();
    let arrival = arrivals(&mut ring, 1).remove(0);
    assert_eq!((arrival.slot, arrival.from), (3, address(&alice)));
    let bytes = ring.bytes(&arrival);
    assert_eq!(bytes, b"ninety");
    bytes[0] = b'N';
    ring.send(arrival, 5, Some(address(&bob)), 4);
    ring.wait(Some(Duration::ZERO)).unwrap();
    let mut buffer = [0; 64];
    let (len, from) = bob.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], from), (&b"Nine"[..], address(&far)));
}

#[test]
fn ipv6_goes_the_same_way() {
    let Some(mut ring) = ring(1) else { return };
    let (Ok(near), Ok(alice)) = (UdpSocket::bind("[::1]:0"), UdpSocket::bind("[::1]:0")) else {
        println!("skipped: no IPv6 here");
        return;
    };
    alice.set_read_timeout(Some(PATIENCE)).unwrap();
    ring.watch(0, &near).unwrap();
    alice.send_to(b"six", address(&near)).unwrap();
    let arrival = arrivals(&mut ring, 1).remove(0);
    assert_eq!(arrival.from, address(&alice));
    let to = arrival.from;
    ring.send(arrival, 0, Some(to), 3);
    ring.wait(Some(Duration::ZERO)).unwrap();
    let mut buffer = [0; 64];
    assert_eq!(alice.recv_from(&mut buffer).unwrap(), (3, address(&near)));
}

#[test]
fn more_packets_than_buffers_wait_in_the_socket_and_none_is_lost_or_repeated() {
    let Some(mut ring) = ring(2) else { return };
    let (near, alice) = (socket(), socket());
    ring.watch(0, &near).unwrap();
    // In portions that the socket's own buffer holds, of which four are more than all buffers of the ring.
    let mut next = 0_u32;
    let mut expected = 0_u32;
    for _ in 0..4 {
        let mut held = Vec::new();
        for _ in 0..6 {
            for _ in 0..60 {
                alice.send_to(&next.to_be_bytes(), address(&near)).unwrap();
                next += 1;
            }
            held.extend(arrivals(&mut ring, 60));
        }
        for arrival in held {
            assert_eq!(*ring.bytes(&arrival), expected.to_be_bytes());
            expected += 1;
            ring.give_back(arrival);
        }
    }
    // All buffers at once, held by us: what comes then is received as soon as some are given back.
    let mut held = Vec::new();
    while held.len() < 1_023 {
        let portion = (1_023 - held.len()).min(60);
        for _ in 0..portion {
            alice.send_to(b"x", address(&near)).unwrap();
        }
        held.extend(arrivals(&mut ring, portion));
    }
    alice.send_to(b"late", address(&near)).unwrap();
    assert!(is_quiet(&mut ring));
    for arrival in held {
        ring.give_back(arrival);
    }
    let arrival = arrivals(&mut ring, 1).remove(0);
    assert_eq!(ring.bytes(&arrival), b"late");
    ring.give_back(arrival);
}

#[test]
fn a_forgotten_socket_is_silent_and_its_port_is_free_again() {
    let Some(mut ring) = ring(1) else { return };
    let alice = socket();
    for round in 0..50_u8 {
        let near = socket();
        let port = address(&near);
        ring.watch(0, &near).unwrap();
        // One before it is forgotten, of which nobody wants to know any more.
        alice.send_to(b"old", port).unwrap();
        ring.forget(0);
        drop(near);
        let again = UdpSocket::bind(port).unwrap();
        assert!(is_quiet(&mut ring), "round {round}");
        // The next in the same slot hears only what is its own.
        ring.watch(0, &again).unwrap();
        alice.send_to(&[round], port).unwrap();
        let arrival = arrivals(&mut ring, 1).remove(0);
        assert_eq!(ring.bytes(&arrival), [round]);
        ring.give_back(arrival);
        ring.forget(0);
    }
    assert!(ring.watch(1, &alice).is_err(), "there is one slot");
}

#[test]
fn a_packet_that_does_not_fit_is_dropped_and_the_next_one_is_received() {
    let Some(mut ring) = ring(1) else { return };
    let (near, alice) = (socket(), socket());
    ring.watch(0, &near).unwrap();
    for len in [MAX_RING_PACKET + 1, MAX_RING_PACKET, 0] {
        alice.send_to(&vec![7; len], address(&near)).unwrap();
    }
    let [whole, empty] = <[Arrival; 2]>::try_from(arrivals(&mut ring, 2)).unwrap();
    assert_eq!(ring.bytes(&whole).len(), MAX_RING_PACKET);
    assert!(ring.bytes(&empty).is_empty());
    ring.give_back(whole);
    ring.give_back(empty);
}

#[test]
fn waiting_ends_by_the_time_or_by_a_descriptor() {
    let Some(mut ring) = ring(1) else { return };
    let (mut here, there) = UnixStream::pair().unwrap();
    ring.watch_descriptor(&there);
    let start = Instant::now();
    assert!(is_quiet(&mut ring));
    assert!(start.elapsed() >= Duration::from_millis(50));
    here.write_all(b"!").unwrap();
    ring.wait(None).unwrap();
    assert!(matches!(ring.poll_happened(), Some(Happened::Ready)));
}

#[test]
fn an_answer_to_nowhere_costs_nothing_else() {
    let Some(mut ring) = ring(1) else { return };
    let (near, alice) = (socket(), socket());
    ring.watch(0, &near).unwrap();
    for to in ["127.0.0.1:1", "0.0.0.0:0", "[::1]:9"] {
        alice.send_to(b"x", address(&near)).unwrap();
        let arrival = arrivals(&mut ring, 1).remove(0);
        ring.send(arrival, 0, to.parse().ok(), 1);
        ring.wait(Some(Duration::from_millis(50))).unwrap();
        // An address that cannot be right fails at once, one where nobody is does not.
        let failed = ring.poll_happened().is_some_and(|happened| matches!(happened, Happened::Failed(0)));
        assert_eq!(failed, to != "127.0.0.1:1", "{to}");
        assert!(is_quiet(&mut ring), "{to}");
    }
    alice.send_to(b"y", address(&near)).unwrap();
    let arrival = arrivals(&mut ring, 1).remove(0);
    assert_eq!(ring.bytes(&arrival), b"y");
    ring.give_back(arrival);
}

#[test]
fn a_socket_that_ran_out_of_buffers_and_its_successor_both_let_go_of_their_ports() {
    let Some(mut ring) = ring(2) else { return };
    let (near, alice) = (socket(), socket());
    ring.watch(0, &near).unwrap();
    let mut held = Vec::new();
    while held.len() < 1_023 {
        let portion = (1_023 - held.len()).min(60);
        for _ in 0..portion {
            alice.send_to(b"x", address(&near)).unwrap();
        }
        held.extend(arrivals(&mut ring, portion));
    }
    alice.send_to(b"one too many", address(&near)).unwrap();
    assert!(is_quiet(&mut ring));
    // Forgotten while it waits for buffers; the next socket takes its slot before it would be watched again.
    let first = address(&near);
    ring.forget(0);
    drop(near);
    let next = socket();
    let second = address(&next);
    ring.watch(0, &next).unwrap();
    for arrival in held {
        ring.give_back(arrival);
    }
    alice.send_to(b"y", second).unwrap();
    let arrival = arrivals(&mut ring, 1).remove(0);
    assert_eq!(ring.bytes(&arrival), b"y");
    ring.give_back(arrival);
    ring.forget(0);
    drop(next);
    for port in [first, second] {
        drop(UdpSocket::bind(port).unwrap());
    }
}

#[test]
fn a_connected_socket_sends_without_an_address_and_says_when_its_peer_is_gone() {
    let Some(mut ring) = ring(2) else { return };
    let (near, alice, bob) = (socket(), socket(), socket());
    let direct = connect_beside(&near, address(&bob)).unwrap();
    ring.watch(0, &near).unwrap();
    ring.watch(1, &direct).unwrap();
    for text in [b"one", b"two"] {
        alice.send_to(text, address(&near)).unwrap();
        let arrival = arrivals(&mut ring, 1).remove(0);
        assert_eq!((arrival.slot, arrival.from), (0, address(&alice)));
        ring.send(arrival, 1, None, 3);
        ring.wait(Some(Duration::ZERO)).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(bob.recv_from(&mut buffer).unwrap(), (3, address(&near)));
        assert_eq!(&buffer[..3], text);
    }
    bob.send_to(b"mine", address(&near)).unwrap();
    let arrival = arrivals(&mut ring, 1).remove(0);
    assert_eq!((arrival.slot, arrival.from), (1, address(&bob)));
    let port = address(&bob);
    drop(bob);
    ring.send(arrival, 1, None, 4);
    let end = Instant::now() + PATIENCE;
    let mut failed = false;
    while !failed && Instant::now() < end {
        ring.wait(Some(Duration::from_millis(50))).unwrap();
        while let Some(happened) = ring.poll_happened() {
            failed |= matches!(happened, Happened::Failed(1));
        }
    }
    assert!(failed);
    // It is received at all the same: whoever comes back there is heard.
    let bob = UdpSocket::bind(port).unwrap();
    bob.send_to(b"back", address(&near)).unwrap();
    let arrival = arrivals(&mut ring, 1).remove(0);
    assert_eq!((arrival.slot, ring.bytes(&arrival).to_vec()), (1, b"back".to_vec()));
    ring.give_back(arrival);
}
