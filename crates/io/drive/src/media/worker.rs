//! The loop of one media thread.
//!
//! Per packet: with io_uring no system call, with epoll one to receive and one to send; the engine; no allocation, no
//! lock. The clock is read once per turn, which serves all packets that have arrived meanwhile.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::{MediaReport, PlayNews};
use hookswitch_media::{Engine, EngineConfig, Forward, SocketIx};
use hookswitch_net::{Happened, PortPool, UdpRing, thread_cpu_time};
use mio::{Events, Poll, Registry};

use super::direct::{Directs, Way};
use super::files::FileQueue;
use super::lateness::Lateness;
use super::moves::{Moves, Neighbour};
use super::sockets::{Sockets, Watch};
use super::{MediaIo, MediaTotals, Order, PortsSink, ReportSink};
use crate::clock::Clock;
use crate::inbox::Inbox;

/// Readiness events taken by one system call.
const EVENTS: usize = 1_024;

/// Packets read from one socket before the others get their turn.
const READ_BUDGET: usize = 32;

/// Orders carried out before packets get their turn.
const ORDER_BUDGET: usize = 64;

/// How often, while a party may be quiet, that is looked for.
const QUIET_LOOKS: u32 = 4;

/// Longest time between two such looks, at every call.
const QUIET_EVERY: Duration = Duration::from_secs(1);

/// Calls in which nobody speaks are looked for this often in the time after which they end, and at least every
/// [`IDLE_EVERY`].
const IDLE_LOOKS: u32 = 4;
const IDLE_EVERY: Duration = Duration::from_secs(10);

/// Longest packet relayed, in bytes: more than any Ethernet carries unfragmented. Longer ones are dropped.
const MAX_PACKET: usize = 2_048;

pub(super) struct Worker {
    poll: Poll,
    events: Events,
    buffer: Box<[u8; MAX_PACKET]>,
    pub(super) engine: Engine,
    pub(super) sockets: Sockets,
    pub(super) moves: Moves,
    pub(super) here: Neighbour,
    clock: Clock,
    orders: Arc<Inbox<Order>>,
    report: ReportSink,
    pub(super) files: Option<FileQueue>,
    /// Orders taken and not yet carried out.
    pub(super) taken: VecDeque<Order>,
    /// Sockets whose budget ended before their packets did.
    unfinished: Vec<SocketIx>,
    /// How long a party may be silent before that is reported; zero means for ever.
    patience: Duration,
    /// When silent parties are looked for next.
    look_at: Duration,
    /// When parties in a talk of which nothing comes are.
    quiet_at: Duration,
    /// How often those are.
    quiet_every: Duration,
    /// When calls in which nobody speaks are.
    idle_at: Duration,
    /// How often those are.
    idle_every: Duration,
    lateness: Lateness,
}

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) poll: Poll,
    pub(super) registry: Registry,
    pub(super) pool: PortPool,
    /// Port pairs of all threads: so many may come to be here.
    pub(super) pairs: usize,
    /// Which thread it is.
    pub(super) number: usize,
    pub(super) engine: EngineConfig,
    pub(super) io: MediaIo,
    pub(super) most_directs: usize,
    pub(super) seed: u64,
    pub(super) clock: Clock,
    pub(super) orders: Arc<Inbox<Order>>,
    pub(super) report: ReportSink,
    pub(super) ports: PortsSink,
    pub(super) files: Option<FileQueue>,
}

impl Worker {
    /// To be called by the thread that runs it: a ring belongs to its thread.
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { poll, registry, pool, pairs, number, engine, io, most_directs, seed, clock, .. } = parts;
        let Parts { orders, report, ports, files, .. } = parts;
        let ring = ring(io, pairs, &poll);
        let directs = Directs::new(slots(pairs), most_directs);
        let here = Neighbour { number, orders: Arc::clone(&orders) };
        let watch = ring.map_or(Watch::Epoll(registry), |ring| Watch::Ring(Box::new(ring)));
        let patience = engine.rtp_timeout;
        let quiet_every = (engine.quiet_after / QUIET_LOOKS).min(QUIET_EVERY);
        let idle_every = idle_every(&engine);
        Self {
            poll,
            events: Events::with_capacity(EVENTS),
            buffer: Box::new([0; MAX_PACKET]),
            engine: Engine::new(engine, seed),
            sockets: Sockets::new(pool, watch, directs, (here.clone(), ports)),
            moves: Moves::default(),
            here,
            clock,
            orders,
            report,
            files,
            taken: VecDeque::new(),
            unfinished: Vec::new(),
            patience,
            look_at: Duration::ZERO,
            quiet_at: Duration::ZERO,
            quiet_every,
            idle_at: Duration::ZERO,
            idle_every,
            lateness: Lateness::default(),
        }
    }

    /// Relays until it is told to stop.
    ///
    /// # Errors
    /// The system does not let it wait for packets any more.
    pub(super) fn run(mut self) -> io::Result<()> {
        while self.turn()? {}
        Ok(())
    }

    /// Waits, and does what there is to do. False when it is time to stop.
    fn turn(&mut self) -> io::Result<bool> {
        let wait = self.wait();
        self.await_something(wait)?;
        let now = self.clock.now();
        // Before the packets: a phone that was told of its answer may speak at once, and what it says has come after the
        // order that lets it be heard.
        if self.orders.has_items() {
            self.orders.take(&mut self.taken);
        }
        if !self.carry_out_orders(now) {
            return Ok(false);
        }
        match self.sockets.watch {
            Watch::Epoll(_) => self.relay_ready(now),
            Watch::Ring(_) => self.relay_arrived(now)?,
        }
        if let Some(due) = self.engine.next_tick().filter(|due| *due <= now) {
            // The packets of this turn came first, and count.
            self.lateness.note(self.clock.now().saturating_sub(due));
            let sockets = &self.sockets;
            self.engine.tick(now, &mut |socket, to, packet| {
                if let Some(socket) = sockets.get(socket) {
                    let _ = socket.send_to(packet, to);
                }
            });
        }
        self.look_for_silence(now);
        self.order_files(now);
        self.tell();
        Ok(true)
    }

    fn await_something(&mut self, wait: Option<Duration>) -> io::Result<()> {
        if let Watch::Ring(ring) = &mut self.sockets.watch {
            return ring.wait(wait);
        }
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Relays from the sockets that have something. One that was closed since that was found out has nothing, and whoever
    /// has its number now may be read as well.
    fn relay_ready(&mut self, now: Duration) {
        for socket in std::mem::take(&mut self.unfinished) {
            self.relay(now, socket);
        }
        // Taken out while its sockets are read.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for socket in events.iter().filter_map(|event| Sockets::of(event.token())) {
            self.relay(now, socket);
        }
        self.events = events;
    }

    /// Relays what has come through the ring, which forgets what came for sockets that have been closed.
    fn relay_arrived(&mut self, now: Duration) -> io::Result<()> {
        let Sockets { watch: Watch::Ring(ring), directs, open, .. } = &mut self.sockets else { return Ok(()) };
        while let Some(happened) = ring.poll_happened() {
            let arrival = match happened {
                Happened::Packet(arrival) => arrival,
                Happened::Failed(slot) => {
                    directs.give_up(slot);
                    continue;
                }
                Happened::Ready => {
                    // Only so that it wakes the ring again.
                    self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
                    continue;
                }
            };
            let (number, from) = (directs.beside(arrival.slot), arrival.from);
            let (buffer, len) = ring.room(&arrival);
            let forward = self.engine.handle_packet(now, number, from, buffer, len);
            self.engine.send_ready(&mut |socket, to, packet| {
                if let Some(socket) = open.get(socket.0 as usize) {
                    let _ = socket.send_to(packet, to);
                }
            });
            match forward {
                Forward::Send { socket, to, len } => match directs.way(socket, to) {
                    Way::Addressed => ring.send(arrival, socket.0, Some(to), len),
                    Way::Direct(slot) => ring.send(arrival, slot, None, len),
                },
                Forward::Drop(_) => ring.give_back(arrival),
            }
        }
        self.sockets.settle_directs();
        Ok(())
    }

    /// How long there is nothing to do unless something comes.
    fn wait(&self) -> Option<Duration> {
        if !self.taken.is_empty() || !self.unfinished.is_empty() || self.orders.has_items() {
            return Some(Duration::ZERO);
        }
        let look_at = self.has_calls(self.patience).then_some(self.look_at);
        let quiet_at = self.has_calls(self.quiet_every).then_some(self.quiet_at);
        let idle_at = self.has_calls(self.idle_every).then_some(self.idle_at);
        let next = [self.engine.next_tick(), look_at, quiet_at, idle_at].into_iter().flatten().min()?;
        Some(next.saturating_sub(self.clock.now()))
    }

    /// Whether there is anybody who could be silent, and that is looked for.
    fn has_calls(&self, time: Duration) -> bool {
        !time.is_zero() && !self.sockets.open.is_empty()
    }

    /// Reports parties of which nothing has been heard for too long. Looks at every call, so not often.
    fn look_for_silence(&mut self, now: Duration) {
        if now >= self.look_at && self.has_calls(self.patience) {
            self.engine.report_silence(now);
            self.look_at = now + self.patience;
        }
        if now >= self.quiet_at && self.has_calls(self.quiet_every) {
            self.engine.report_quiet(now);
            self.quiet_at = now + self.quiet_every;
        }
        if now >= self.idle_at && self.has_calls(self.idle_every) {
            self.engine.report_idle(now);
            self.idle_at = now + self.idle_every;
        }
    }

    /// Passes on what has arrived at one socket.
    #[inline]
    fn relay(&mut self, now: Duration, number: SocketIx) {
        let buffer = &mut self.buffer[..];
        for _ in 0..READ_BUDGET {
            let Some(socket) = self.sockets.get(number) else { return };
            let (len, from) = match socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            // One that fills the buffer may have lost its end.
            if len == MAX_PACKET {
                continue;
            }
            let forward = self.engine.handle_packet(now, number, from, buffer, len);
            let sockets = &self.sockets;
            // A full buffer or an unreachable phone loses the packet, as any network would.
            let send = &mut |socket: SocketIx, to: SocketAddr, packet: &[u8]| {
                if let Some(socket) = sockets.get(socket) {
                    let _ = socket.send_to(packet, to);
                }
            };
            self.engine.send_ready(send);
            if let Forward::Send { socket, to, len } = forward {
                send(socket, to, buffer.get(..len).unwrap_or_default());
            }
        }
        self.unfinished.push(number);
    }

    /// Carries out what has been ordered, up to a budget. False when it is time to stop.
    fn carry_out_orders(&mut self, now: Duration) -> bool {
        for _ in 0..ORDER_BUDGET {
            let Some(order) = self.taken.pop_front() else { return true };
            match self.moves.keep(order) {
                Some(Order::Op(op)) => self.engine.perform(now, op, &mut self.sockets),
                Some(Order::File(report)) => self.file_done(now, report),
                Some(Order::FileFor(order)) => self.order_file(now, order),
                Some(Order::FileOf(from, report)) => self.file_of(now, from, report),
                Some(Order::Expect(call)) => self.moves.expect(call),
                Some(Order::HandOver(call, to)) => {
                    // What was ordered of its files comes before what the other thread will order.
                    self.order_files(now);
                    self.hand_over(now, call, &to);
                }
                Some(Order::TakeOver(call, moved)) => self.take_over(now, call, moved),
                Some(Order::PortBack(port)) => self.sockets.give_port_back(port),
                Some(Order::Totals(answer)) => {
                    // Whoever asked may have given up meanwhile.
                    let _ = answer.send(self.totals());
                }
                Some(Order::Stats(call, answer)) => {
                    let _ = answer.send(self.engine.stats(call));
                }
                Some(Order::Stop) => return false,
                // It waits for its call.
                None => {}
            }
        }
        true
    }

    /// Passes on what is to be done with files.
    fn order_files(&mut self, now: Duration) {
        while let Some(order) = self.engine.poll_file() {
            self.order_file(now, order);
        }
    }

    fn tell(&mut self) {
        while let Some(report) = self.engine.poll_report() {
            if let MediaReport::Played { call, party, news: PlayNews::Missing { sound, why }, .. } = &report {
                tracing::warn!(%call, ?party, %sound, %why, "a sound is left out");
            }
            (self.report)(report);
        }
        while let Some(stats) = self.engine.poll_closed() {
            let (caller, callee) = (&stats.caller, &stats.callee);
            tracing::debug!(
                call = %stats.call,
                caller_received = caller.received_packets,
                caller_sent = caller.sent_packets,
                caller_dropped = caller.dropped_total(),
                callee_received = callee.received_packets,
                callee_sent = callee.sent_packets,
                callee_dropped = callee.dropped_total(),
                "media closed"
            );
        }
    }

    fn totals(&self) -> MediaTotals {
        let (ports_taken, ports) = self.sockets.usage();
        let (user, system) = thread_cpu_time();
        let direct = self.sockets.directs.len();
        MediaTotals {
            counted: self.engine.totals(),
            ports_taken,
            ports,
            ports_refused: self.sockets.refused(),
            direct,
            lateness: self.lateness,
            user,
            system,
        }
    }
}

/// Sockets of so many pairs of ports.
fn slots(pairs: usize) -> u32 {
    u32::try_from(pairs.saturating_mul(2)).unwrap_or(u32::MAX)
}

/// How often calls in which nobody speaks are looked for; zero is never.
fn idle_every(engine: &EngineConfig) -> Duration {
    let times = [engine.idle_after, engine.idle_held_after].into_iter().filter(|time| !time.is_zero());
    times.min().map_or(Duration::ZERO, |shortest| (shortest / IDLE_LOOKS).min(IDLE_EVERY))
}

/// A ring for so many pairs of ports, where that is wanted and possible.
fn ring(io: MediaIo, pairs: usize, poll: &Poll) -> Option<UdpRing> {
    if io == MediaIo::Epoll {
        return None;
    }
    let slots = slots(pairs);
    // One more for each RTP socket, where the limit of descriptors allows it.
    let with_directs = slots.saturating_add(slots / 2);
    match UdpRing::new(with_directs).or_else(|_| UdpRing::new(slots)) {
        Ok(mut ring) => {
            ring.watch_descriptor(poll);
            Some(ring)
        }
        Err(error) => {
            if io == MediaIo::Ring {
                tracing::warn!(%error, "io_uring was asked for and is not to be had: media goes through epoll");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
    use std::sync::Mutex;

    use hookswitch_call::{CallId, LegId, MediaOp, Party, Sdp, Source};
    use hookswitch_media::AddressPolicy;
    use hookswitch_net::PortRange;

    use super::super::WAKER;
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const CALL: CallId = CallId(1);
    const LEG: LegId = LegId(0);

    struct Phone(UdpSocket);

    impl Phone {
        fn new() -> Self {
            let socket = UdpSocket::bind((HERE, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            Self(socket)
        }

        fn sdp(&self) -> Sdp {
            let port = self.0.local_addr().unwrap().port();
            Sdp::from(
                format!(
                    "v=0\r\no=- 1 1 IN IP4 {HERE}\r\ns=-\r\nc=IN IP4 {HERE}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
                )
                .as_str(),
            )
        }
    }

    type Told = Arc<Mutex<Vec<MediaReport>>>;

    /// A worker whose turns the test takes.
    fn worker(io: MediaIo, ports: PortRange) -> (Worker, Told) {
        let poll = Poll::new().unwrap();
        let told = Told::default();
        let report: ReportSink = {
            let told = Arc::clone(&told);
            Arc::new(move |report| told.lock().unwrap().push(report))
        };
        let worker = Worker::new(Parts {
            registry: poll.registry().try_clone().unwrap(),
            orders: Arc::new(Inbox::new(poll.registry(), WAKER, 64).unwrap()),
            poll,
            pool: PortPool::split(ports, 1, 7).remove(0),
            pairs: 10,
            number: 0,
            engine: EngineConfig::new(AddressPolicy::Auto { fallback: HERE }),
            io,
            most_directs: 0,
            seed: 7,
            clock: Clock::start(),
            report,
            ports: Arc::new(|_, _, _| {}),
            files: None,
        });
        (worker, told)
    }

    fn order(worker: &Worker, ops: impl IntoIterator<Item = MediaOp>) {
        for op in ops {
            assert!(worker.orders.push(Order::Op(op)).is_ok());
        }
    }

    /// The port in the session description that was reported last.
    fn port_told(told: &Told) -> SocketAddr {
        let Some(MediaReport::Local { sdp, .. }) = told.lock().unwrap().pop() else { panic!("nothing was reported") };
        let port = sdp.0.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next());
        SocketAddr::new(HERE, port.unwrap().parse().unwrap())
    }

    #[test]
    fn ticks_are_counted_by_how_late_they_begin_and_a_relay_has_none() {
        let (mut worker, _) = worker(MediaIo::Epoll, PortRange { first: 28_040, last: 28_059 });
        let caller = Phone::new();
        let (offer, seat) = (Some((Party::Caller, caller.sdp())), Party::Caller.into());
        let open = MediaOp::Open { call: CALL, offer, codecs: None, near: Some(HERE), room: None };
        order(&worker, [open, MediaOp::MakeAnswer { call: CALL, seat, leg: LEG }]);
        worker.turn().unwrap();
        assert_eq!(worker.totals().lateness.ticks(), 0);
        order(&worker, [MediaOp::Hear { call: CALL, seat, source: Source::Ringback }]);
        let begun = std::time::Instant::now();
        // A turn waits for the next tick at most.
        for _ in 0..100 {
            worker.turn().unwrap();
            if worker.totals().lateness.ticks() == 3 {
                break;
            }
        }
        let lateness = worker.totals().lateness;
        assert_eq!(lateness.ticks(), 3);
        assert!(lateness.longest() <= begun.elapsed(), "none was due before that");
    }

    /// A call comes in. Returns the status with which it is refused, if it is.
    fn invite(worker: &mut Worker, told: &Told, call: u64) -> Option<u16> {
        let (call, seat) = (CallId(call), Party::Caller.into());
        let offer = Some((Party::Caller, Phone::new().sdp()));
        let open = MediaOp::Open { call, offer, codecs: None, near: Some(HERE), room: None };
        order(worker, [open, MediaOp::MakeAnswer { call, seat, leg: LEG }]);
        worker.turn().unwrap();
        match told.lock().unwrap().pop().expect("an answer") {
            MediaReport::Local { .. } => None,
            MediaReport::Refused { cause, .. } => Some(cause.code),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_call_that_finds_no_free_port_is_refused_with_503_and_the_next_one_after_an_end_is_not() {
        let (mut worker, told) = worker(MediaIo::Epoll, PortRange { first: 28_060, last: 28_061 });
        let found = [1, 2, 3].map(|call| (invite(&mut worker, &told, call), worker.totals().ports_refused));
        assert_eq!(found, [(None, 0), (Some(503), 1), (Some(503), 2)]);
        order(&worker, [1, 2, 3].map(|call| MediaOp::Close { call: CallId(call) }));
        worker.turn().unwrap();
        told.lock().unwrap().clear();
        assert_eq!(invite(&mut worker, &told, 4), None, "its port is free again");
        assert_eq!(worker.totals().ports_refused, 2);
    }

    fn a_phone_that_speaks_as_soon_as_it_is_answered_is_heard(io: MediaIo, ports: PortRange) {
        let (mut worker, told) = worker(io, ports);
        let (caller, callee) = (Phone::new(), Phone::new());
        let (offer, near) = (Some((Party::Caller, caller.sdp())), Some(HERE));
        let seat = Party::Callee.into();
        let open = MediaOp::Open { call: CALL, offer, codecs: None, near, room: None };
        order(&worker, [open, MediaOp::MakeOffer { call: CALL, seat, leg: LEG, near }]);
        worker.turn().unwrap();
        let at = port_told(&told);
        let accept = MediaOp::Accept { call: CALL, seat, leg: LEG, sdp: callee.sdp() };
        let answer = MediaOp::MakeAnswer { call: CALL, seat: Party::Caller.into(), leg: LEG };
        let hear = |party: Party| MediaOp::Hear { call: CALL, seat: party.into(), source: Source::Peer };
        order(&worker, [accept, answer, hear(Party::Caller), hear(Party::Callee)]);
        let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9][..], &[0xd5; 160]].concat();
        callee.0.send_to(&packet, at).unwrap();
        // One turn for orders and packet; by a ring, the packet leaves when it waits the next time.
        worker.turn().unwrap();
        order(&worker, [MediaOp::Close { call: CALL }]);
        worker.turn().unwrap();
        let mut heard = [0; 512];
        let (len, _) = caller.0.recv_from(&mut heard).unwrap();
        assert_eq!(heard[..len][12..], packet[12..]);
    }

    #[test]
    fn a_phone_that_speaks_as_soon_as_it_is_answered_is_heard_by_epoll() {
        a_phone_that_speaks_as_soon_as_it_is_answered_is_heard(
            MediaIo::Epoll,
            PortRange { first: 28_000, last: 28_019 },
        );
    }

    #[test]
    fn a_phone_that_speaks_as_soon_as_it_is_answered_is_heard_by_io_uring() {
        a_phone_that_speaks_as_soon_as_it_is_answered_is_heard(
            MediaIo::Auto,
            PortRange { first: 28_020, last: 28_039 },
        );
    }
}
