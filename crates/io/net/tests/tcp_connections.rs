//! TCP connections with peers that behave, and with peers that do not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookswitch_net::{AcceptOutcome, CloseReason, Connections, ConnectionsConfig, Listener, TcpEvent, Towards};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(0);
const FIRST: usize = 1;
const PATIENCE: Duration = Duration::from_secs(10);

struct Loop {
    poll: Poll,
    listener: Listener,
    connections: Connections,
    started: Instant,
    /// Added to the clock, to reach time-outs without waiting for them.
    leap: Duration,
    events: Vec<TcpEvent>,
}

impl Loop {
    fn new(config: ConnectionsConfig) -> Self {
        let poll = Poll::new().unwrap();
        let mut listener = Listener::bind(any()).unwrap();
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
        Self {
            poll,
            listener,
            connections: Connections::new(config, FIRST),
            started: Instant::now(),
            leap: Duration::ZERO,
            events: Vec::new(),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed() + self.leap
    }

    /// One turn; waits for at most a few milliseconds.
    fn turn(&mut self) {
        let wait = if self.connections.has_more() { 0 } else { 5 };
        let mut ready = Events::with_capacity(64);
        self.poll.poll(&mut ready, Some(Duration::from_millis(wait))).unwrap();
        let now = self.now();
        let registry = self.poll.registry();
        for event in &ready {
            if event.token() == LISTENER {
                while self.connections.accept(registry, now, &self.listener) == AcceptOutcome::More {}
            } else {
                self.connections.ready(registry, now, event);
            }
        }
        self.connections.resume(registry, now);
        self.connections.handle_timeout(registry, now);
        self.connections.flush(registry, now);
        while let Some(event) = self.connections.poll_event() {
            self.events.push(event);
        }
    }

    /// Turns until `found` has something to say of the events so far.
    fn until<T>(&mut self, mut found: impl FnMut(&[TcpEvent]) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(result) = found(&self.events) {
                return result;
            }
            assert!(Instant::now() < end, "still waiting; seen: {:?}", self.events);
            self.turn();
        }
    }

    fn opened(&mut self) -> u64 {
        self.until(|events| {
            events.iter().find_map(|event| match event {
                TcpEvent::Opened { id, .. } => Some(*id),
                _ => None,
            })
        })
    }

    fn closed(&mut self) -> CloseReason {
        self.until(|events| {
            events.iter().find_map(|event| match event {
                TcpEvent::Closed { reason, .. } => Some(*reason),
                _ => None,
            })
        })
    }

    fn send(&mut self, id: Option<u64>, to: SocketAddr, bytes: impl Into<Bytes>) {
        let now = self.now();
        let registry = self.poll.registry();
        self.connections.send(registry, now, id, Towards::plain(any(), to), bytes.into());
    }

    fn received(&self) -> Vec<u8> {
        let pieces = self.events.iter().filter_map(|event| match event {
            TcpEvent::Data { bytes, .. } => Some(bytes.as_ref()),
            _ => None,
        });
        pieces.collect::<Vec<_>>().concat()
    }
}

fn any() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

#[test]
fn bytes_flow_both_ways_and_the_connection_is_reused_by_its_remote_address() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let mut peer = TcpStream::connect(ours.listener.local()).unwrap();
    peer.write_all(b"hello").unwrap();
    ours.until(|events| (events.len() >= 2).then_some(()));
    assert_eq!(ours.received(), b"hello");
    // No connection is named: the accepted one serves, because its remote address matches.
    ours.send(None, peer.local_addr().unwrap(), &b"wel"[..]);
    ours.send(None, peer.local_addr().unwrap(), &b"come"[..]);
    ours.turn();
    let mut answer = [0; 7];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"welcome");
    assert_eq!(ours.connections.len(), 1);
    drop(peer);
    // It has just spoken, so it is given time to hear an answer.
    ours.leap = Duration::from_secs(6);
    assert_eq!(ours.closed(), CloseReason::Peer);
    assert!(ours.connections.is_empty());
}

#[test]
fn sending_to_a_stranger_opens_one_connection() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let stranger = TcpListener::bind(any()).unwrap();
    let address = stranger.local_addr().unwrap();
    ours.send(None, address, &b"one "[..]);
    ours.send(None, address, &b"two"[..]);
    let id = ours.opened();
    let (mut accepted, _) = stranger.accept().unwrap();
    ours.turn();
    let mut heard = [0; 7];
    accepted.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"one two");
    assert_eq!(ours.connections.len(), 1);
    let now = ours.now();
    ours.connections.close(ours.poll.registry(), now, id);
    assert_eq!(ours.closed(), CloseReason::Local);
    assert_eq!(accepted.read(&mut heard).unwrap(), 0);
}

#[test]
fn a_peer_that_ends_its_side_after_a_request_still_gets_the_answer() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let mut peer = TcpStream::connect(ours.listener.local()).unwrap();
    let remote = peer.local_addr().unwrap();
    peer.write_all(b"request").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let id = ours.opened();
    for _ in 0..20 {
        ours.turn();
    }
    assert_eq!(ours.received(), b"request");
    assert_eq!(ours.connections.len(), 1, "{:?}", ours.events);
    // What is not an answer goes another way: there nobody listens.
    ours.send(None, remote, "news");
    ours.until(|events| events.iter().any(|event| matches!(event, TcpEvent::Unreachable { .. })).then_some(()));
    // A large answer, of which only a part fits into the buffers at once.
    let answer = vec![b'a'; 900_000];
    ours.send(Some(id), remote, answer.clone());
    let reader = std::thread::spawn(move || {
        let mut all = vec![0; 900_000];
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.read_exact(&mut all).unwrap();
        (all, peer)
    });
    while !reader.is_finished() {
        ours.turn();
    }
    let (read, mut peer) = reader.join().unwrap();
    assert_eq!(read, answer);
    // After a while nobody waits any more.
    ours.leap = Duration::from_secs(6);
    assert_eq!(ours.closed(), CloseReason::Peer);
    assert!(ours.connections.is_empty());
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn whoever_we_have_connected_to_and_who_ends_is_gone_at_once() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let stranger = TcpListener::bind(any()).unwrap();
    ours.send(None, stranger.local_addr().unwrap(), &b"request"[..]);
    ours.opened();
    let (mut accepted, _) = stranger.accept().unwrap();
    ours.turn();
    // Whoever closes with something unread resets the connection.
    accepted.read_exact(&mut [0; 7]).unwrap();
    accepted.write_all(b"answer").unwrap();
    drop(accepted);
    // What is next to say to it must not be said into the void.
    assert_eq!(ours.closed(), CloseReason::Peer);
    assert_eq!(ours.received(), b"answer");
}

#[test]
fn a_peer_that_ends_after_a_silence_or_without_a_word_waits_for_nothing() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    drop(TcpStream::connect(ours.listener.local()).unwrap());
    assert_eq!(ours.closed(), CloseReason::Peer);
    ours.events.clear();
    let mut peer = TcpStream::connect(ours.listener.local()).unwrap();
    peer.write_all(b"request").unwrap();
    ours.until(|events| events.iter().any(|event| matches!(event, TcpEvent::Data { .. })).then_some(()));
    ours.leap = Duration::from_secs(6);
    drop(peer);
    assert_eq!(ours.closed(), CloseReason::Peer);
}

#[test]
fn a_peer_that_has_gone_is_found_out_by_what_is_sent_to_it() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let mut peer = TcpStream::connect(ours.listener.local()).unwrap();
    let remote = peer.local_addr().unwrap();
    peer.write_all(b"request").unwrap();
    let id = ours.opened();
    ours.until(|events| events.iter().any(|event| matches!(event, TcpEvent::Data { .. })).then_some(()));
    drop(peer);
    for _ in 0..20 {
        ours.turn();
    }
    assert_eq!(ours.connections.len(), 1);
    ours.send(Some(id), remote, "answer");
    assert!(matches!(ours.closed(), CloseReason::Failed(_)), "{:?}", ours.events);
}

#[test]
fn nobody_listening_is_unreachable() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let unused = TcpListener::bind(any()).unwrap().local_addr().unwrap();
    ours.send(None, unused, &b"?"[..]);
    let remote = ours.until(|events| {
        events.iter().find_map(|event| match event {
            TcpEvent::Unreachable { remote, .. } => Some(*remote),
            _ => None,
        })
    });
    assert_eq!(remote, unused);
    assert!(ours.connections.is_empty());
}

#[test]
fn opening_takes_no_longer_than_allowed() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    // A listener whose backlog is full does not answer.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&any().into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let fillers: Vec<_> = (0..4)
        .map(|_| {
            let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address.into());
            filler
        })
        .collect();
    ours.send(None, address, &b"?"[..]);
    ours.turn();
    assert_eq!(ours.connections.len(), 1);
    ours.leap = ConnectionsConfig::default().connect_timeout;
    let error = ours.until(|events| {
        events.iter().find_map(|event| match event {
            TcpEvent::Unreachable { error, .. } => Some(*error),
            _ => None,
        })
    });
    assert_eq!(error, std::io::ErrorKind::TimedOut);
    drop(fillers);
}

#[test]
fn a_peer_that_does_not_read_is_closed_and_the_others_do_not_notice() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let slow = TcpStream::connect(ours.listener.local()).unwrap();
    let mut other = TcpStream::connect(ours.listener.local()).unwrap();
    ours.until(|events| (events.len() == 2).then_some(()));
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let slow_address = slow.local_addr().unwrap();
    for _ in 0..1_000 {
        ours.send(None, slow_address, chunk.clone());
        ours.turn();
        if ours.events.len() > 2 {
            break;
        }
    }
    let TcpEvent::Closed { remote, reason, .. } = &ours.events[2] else {
        panic!("{:?}", ours.events);
    };
    assert_eq!((*remote, *reason), (slow_address, CloseReason::SlowPeer));
    ours.send(None, other.local_addr().unwrap(), &b"fine"[..]);
    ours.turn();
    let mut heard = [0; 4];
    other.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"fine");
}

#[test]
fn a_peer_that_stops_reading_is_closed_in_time() {
    let mut ours = Loop::new(ConnectionsConfig { max_write_queue: usize::MAX, ..ConnectionsConfig::default() });
    let slow = TcpStream::connect(ours.listener.local()).unwrap();
    let id = ours.opened();
    ours.send(Some(id), any(), vec![b'x'; 32 * 1024 * 1024]);
    ours.turn();
    assert_eq!(ours.connections.len(), 1);
    ours.leap = ConnectionsConfig::default().stall_timeout + Duration::from_secs(1);
    assert_eq!(ours.closed(), CloseReason::SlowPeer);
    drop(slow);
}

#[test]
fn silent_and_idle_connections_are_closed() {
    let config = ConnectionsConfig::default();
    let mut ours = Loop::new(config);
    let _silent = TcpStream::connect(ours.listener.local()).unwrap();
    ours.opened();
    ours.leap = config.silent_timeout;
    assert_eq!(ours.closed(), CloseReason::Silent);
    ours.events.clear();
    let mut quiet = TcpStream::connect(ours.listener.local()).unwrap();
    quiet.write_all(b"hi").unwrap();
    ours.until(|events| (events.len() >= 2).then_some(()));
    ours.leap += config.idle_timeout - Duration::from_secs(1);
    ours.turn();
    assert_eq!(ours.connections.len(), 1);
    ours.leap += Duration::from_secs(2);
    assert_eq!(ours.closed(), CloseReason::Idle);
}

#[test]
fn connections_beyond_the_limits_are_turned_away() {
    let mut ours = Loop::new(ConnectionsConfig { max: 8, max_per_source: 5, ..ConnectionsConfig::default() });
    let peers: Vec<_> = (0..20).map(|_| TcpStream::connect(ours.listener.local()).unwrap()).collect();
    let end = Instant::now() + PATIENCE;
    while ours.connections.refused() < 15 {
        assert!(Instant::now() < end);
        ours.turn();
    }
    assert_eq!(ours.connections.len(), 5);
    drop(peers);
    ours.until(|events| (events.len() == 10).then_some(()));
    assert!(ours.connections.is_empty());
    // The places are free again.
    let _again = TcpStream::connect(ours.listener.local()).unwrap();
    ours.until(|events| (events.len() == 11).then_some(()));
}

#[test]
fn a_flood_on_one_connection_leaves_turns_for_the_others() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let mut loud = TcpStream::connect(ours.listener.local()).unwrap();
    ours.opened();
    loud.set_nonblocking(true).unwrap();
    let chunk = vec![b'x'; 1024 * 1024];
    let mut sent = loud.write(&chunk).unwrap();
    while let Ok(more) = loud.write(&chunk) {
        sent += more;
    }
    let before = ours.received().len();
    ours.turn();
    let in_one_turn = ours.received().len() - before;
    assert!(in_one_turn <= 2 * 64 * 1024, "{in_one_turn}");
    let end = Instant::now() + PATIENCE;
    while ours.received().len() < sent {
        assert!(Instant::now() < end);
        ours.turn();
    }
    assert_eq!(ours.received().len(), sent);
}

#[test]
fn a_stale_name_never_reaches_a_newer_connection() {
    let mut ours = Loop::new(ConnectionsConfig::default());
    let first = TcpStream::connect(ours.listener.local()).unwrap();
    let id = ours.opened();
    drop(first);
    ours.closed();
    ours.events.clear();
    let mut second = TcpStream::connect(ours.listener.local()).unwrap();
    assert_ne!(ours.opened(), id);
    ours.send(Some(id), any(), &b"for the first"[..]);
    ours.turn();
    assert!(matches!(
        ours.events.last(),
        Some(TcpEvent::Unreachable { id: Some(stale), .. }) if *stale == id
    ));
    second.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(second.read(&mut [0; 1]).is_err());
}
