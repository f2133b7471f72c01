//! What relaying a packet costs: a media thread against the bare loop that it cannot be cheaper than.
//!
//! ```text
//! cargo bench -p hookswitch-drive --bench relay -- [CALLS] [SECONDS]
//! ```
//!
//! Every call has two phones that send 50 packets of 172 bytes each second over the loopback. The floor does the same
//! system calls with a table look-up in between, and nothing else. Both run on the same CPU, one after the other; the
//! phones run on another one.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hookswitch_call::{CallId, LegId, MediaOp, MediaReport, Party, Sdp, Source};
use hookswitch_drive::{Clock, MediaConfig, MediaIo, MediaPlane};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_net::{PortRange, allowed_cpus, pin_current_thread, raise_descriptor_limit, thread_cpu_time};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

const PAYLOAD: usize = 160;
const HEADER: usize = 12;
const FRAME: Duration = Duration::from_millis(20);
const LEG: LegId = LegId(0);
/// Clear of the ports that the system gives to the phones.
const PORTS: PortRange = PortRange { first: 20_000, last: 32_000 };

fn main() {
    // Cargo passes `--bench`; what is left are our own arguments.
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let calls = numbers.first().copied().unwrap_or(500) as usize;
    let time = Duration::from_secs(numbers.get(1).copied().unwrap_or(10));
    let _ = raise_descriptor_limit();
    println!("{calls} calls both ways, {} packets/s, {} s each", calls * 100, time.as_secs());
    let floor = measure(calls, time, start_floor);
    let by_epoll = measure(calls, time, |phones| start_engine(phones, MediaIo::Epoll));
    let by_ring = measure(calls, time, |phones| start_engine(phones, MediaIo::Ring));
    floor.print("bare epoll loop");
    by_epoll.print("media by epoll");
    by_ring.print("media by io_uring");
    let cpu = |measured: &Measured| (measured.user + measured.system).as_secs_f64() / measured.received as f64;
    println!(
        "CPU in parts of the bare loop's: {:.2} by epoll, {:.2} by io_uring",
        cpu(&by_epoll) / cpu(&floor),
        cpu(&by_ring) / cpu(&floor)
    );
}

/// A relay under test.
trait Relay {
    /// CPU time used so far, in user and in system mode.
    fn cpu(&self) -> (Duration, Duration);
}

struct Measured {
    sent: u64,
    received: u64,
    user: Duration,
    system: Duration,
    calls: usize,
    time: Duration,
    latencies: Vec<u32>,
}

impl Measured {
    fn print(&self, name: &str) {
        let cpu = self.user + self.system;
        let per_packet = |time: Duration| time.as_nanos() as f64 / self.received as f64;
        let per_call = cpu.as_secs_f64() / self.time.as_secs_f64() / self.calls as f64 * 100.0;
        let at = |share: f64| self.latencies[((self.latencies.len() - 1) as f64 * share) as usize];
        println!(
            "{name:17} {:6.0} ns/packet ({:5.0} user, {:5.0} system), {per_call:.4} % of a core per call, \
             lost {} of {}, latency p50 {} us, p99 {} us, max {} us",
            per_packet(cpu),
            per_packet(self.user),
            per_packet(self.system),
            self.sent - self.received,
            self.sent,
            at(0.5),
            at(0.99),
            at(1.0),
        );
    }
}

struct Phone {
    socket: UdpSocket,
    to: SocketAddr,
    number: u32,
}

fn phone_sockets(calls: usize) -> Vec<UdpSocket> {
    let bind = |_| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    (0..calls * 2).map(bind).collect()
}

/// Starts a relay for these phones and says where each of them is to send.
type Start = fn(&[UdpSocket]) -> (Box<dyn Relay>, Vec<SocketAddr>);

fn measure(calls: usize, time: Duration, start: Start) -> Measured {
    let sockets = phone_sockets(calls);
    let (relay, targets) = start(&sockets);
    let numbered = sockets.into_iter().zip(targets).zip(0..);
    let mut phones: Vec<Phone> = numbered.map(|((socket, to), number)| Phone { socket, to, number }).collect();
    if let Some(first) = allowed_cpus().first() {
        let _ = pin_current_thread(*first);
    }
    let origin = Instant::now();
    // Sources are learned and caches filled before the clock starts.
    let mut sequence = 0;
    talk(&mut phones, origin, Duration::from_secs(1), &mut sequence, &mut Vec::new());
    let before = relay.cpu();
    let mut latencies = Vec::with_capacity(calls * 100 * time.as_secs() as usize);
    let sent = talk(&mut phones, origin, time, &mut sequence, &mut latencies);
    let after = relay.cpu();
    latencies.sort_unstable();
    let received = latencies.len() as u64;
    Measured { sent, received, user: after.0 - before.0, system: after.1 - before.1, calls, time, latencies }
}

/// Lets all phones talk for a while; returns how many packets they sent. Each packet carries the time of its sending.
fn talk(phones: &mut [Phone], origin: Instant, time: Duration, sequence: &mut u16, latencies: &mut Vec<u32>) -> u64 {
    let mut poll = Poll::new().unwrap();
    for (index, phone) in phones.iter().enumerate() {
        let fd = phone.socket.as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE).unwrap();
    }
    let mut events = Events::with_capacity(1_024);
    let mut sent = 0;
    let frames = time.as_millis() / FRAME.as_millis();
    let start = Instant::now();
    for frame in 0..frames as u32 {
        *sequence = sequence.wrapping_add(1);
        // A millisecond at a time, as phones that know nothing of each other would.
        for slice in 0..20_u32 {
            let due = start + FRAME * frame + Duration::from_millis(u64::from(slice));
            for phone in phones.iter().filter(|phone| phone.number % 20 == slice) {
                let mut packet = [0_u8; HEADER + PAYLOAD];
                packet[0] = 0x80;
                packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                packet[4..8].copy_from_slice(&(u32::from(*sequence) * 160).to_be_bytes());
                packet[8..12].copy_from_slice(&phone.number.to_be_bytes());
                let at = origin.elapsed().as_nanos() as u64;
                packet[12..20].copy_from_slice(&at.to_be_bytes());
                sent += u64::from(phone.socket.send_to(&packet, phone.to).is_ok());
            }
            hear(&mut poll, &mut events, phones, origin, latencies, due + Duration::from_millis(1));
        }
    }
    let end = Instant::now() + Duration::from_millis(100);
    hear(&mut poll, &mut events, phones, origin, latencies, end);
    sent
}

/// Receives until a moment.
fn hear(
    poll: &mut Poll,
    events: &mut Events,
    phones: &[Phone],
    origin: Instant,
    latencies: &mut Vec<u32>,
    until: Instant,
) {
    let mut buffer = [0_u8; 2_048];
    loop {
        let wait = until.saturating_duration_since(Instant::now());
        poll.poll(events, Some(wait)).unwrap();
        for event in &*events {
            while let Ok((len, _)) = phones[event.token().0].socket.recv_from(&mut buffer) {
                let Some(at) = buffer[..len].get(12..20).and_then(|at| at.try_into().ok()) else { continue };
                let took = origin.elapsed().as_nanos() as u64 - u64::from_be_bytes(at);
                latencies.push(u32::try_from(took / 1_000).unwrap_or(u32::MAX));
            }
        }
        if Instant::now() >= until {
            return;
        }
    }
}

/// A media thread of the switch.
struct EngineRelay(MediaPlane);

impl Relay for EngineRelay {
    fn cpu(&self) -> (Duration, Duration) {
        let all = self.0.totals();
        (all.iter().map(|totals| totals.user).sum(), all.iter().map(|totals| totals.system).sum())
    }
}

fn start_engine(phones: &[UdpSocket], io: MediaIo) -> (Box<dyn Relay>, Vec<SocketAddr>) {
    let policy = AddressPolicy::Fixed(Ipv4Addr::LOCALHOST.into());
    let mut config = MediaConfig::new(EngineConfig::new(policy));
    config.threads = 1;
    config.ports = PORTS;
    config.io = io;
    let (tell, reports) = channel();
    let tell = Mutex::new(tell);
    let sink = Arc::new(move |report| {
        let _ = tell.lock().unwrap().send(report);
    });
    let plane = MediaPlane::start(&config, Clock::start(), 1, sink).unwrap();
    let mut targets = Vec::new();
    for (index, pair) in phones.chunks_exact(2).enumerate() {
        targets.extend(connect(&plane, &reports, CallId(index as u64), &pair[0], &pair[1]));
    }
    (Box::new(EngineRelay(plane)), targets)
}

fn connect(
    plane: &MediaPlane,
    reports: &Receiver<MediaReport>,
    call: CallId,
    caller: &UdpSocket,
    callee: &UdpSocket,
) -> [SocketAddr; 2] {
    let local = || match reports.recv_timeout(Duration::from_secs(5)).unwrap() {
        MediaReport::Local { sdp, .. } => audio_address(&sdp),
        other => panic!("{other:?}"),
    };
    plane.perform(MediaOp::Open {
        call,
        offer: Some((Party::Caller, sdp(caller))),
        codecs: None,
        near: None,
        room: None,
    });
    plane.perform(MediaOp::MakeOffer { call, seat: Party::Callee.into(), leg: LEG, near: None });
    let for_callee = local();
    plane.perform(MediaOp::Accept { call, seat: Party::Callee.into(), leg: LEG, sdp: sdp(callee) });
    plane.perform(MediaOp::MakeAnswer { call, seat: Party::Caller.into(), leg: LEG });
    let for_caller = local();
    for party in [Party::Caller, Party::Callee] {
        plane.perform(MediaOp::Hear { call, seat: party.into(), source: Source::Peer });
    }
    [for_caller, for_callee]
}

fn sdp(phone: &UdpSocket) -> Sdp {
    let port = phone.local_addr().unwrap().port();
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    Sdp::from(text.as_str())
}

fn audio_address(sdp: &Sdp) -> SocketAddr {
    let line = sdp.0.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
    (Ipv4Addr::LOCALHOST, line.split(' ').next().unwrap().parse::<u16>().unwrap()).into()
}

/// The least that a relay in user space can do with one socket per party.
struct Floor {
    stop: Arc<AtomicBool>,
    cpu: Arc<Mutex<(Duration, Duration)>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Relay for Floor {
    fn cpu(&self) -> (Duration, Duration) {
        // The thread writes it down every few milliseconds.
        thread::sleep(Duration::from_millis(50));
        *self.cpu.lock().unwrap()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn start_floor(phones: &[UdpSocket]) -> (Box<dyn Relay>, Vec<SocketAddr>) {
    let sockets = phone_sockets(phones.len() / 2);
    let targets = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    // What comes from one phone goes out of the other's socket, to the other phone.
    let other = |index: usize| index ^ 1;
    let goes_to: Vec<SocketAddr> = (0..phones.len()).map(|index| phones[other(index)].local_addr().unwrap()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let cpu = Arc::new(Mutex::new((Duration::ZERO, Duration::ZERO)));
    let (stopped, shown) = (Arc::clone(&stop), Arc::clone(&cpu));
    let thread = thread::spawn(move || {
        if let Some(last) = allowed_cpus().last() {
            let _ = pin_current_thread(*last);
        }
        let mut poll = Poll::new().unwrap();
        for (index, socket) in sockets.iter().enumerate() {
            let fd = socket.as_raw_fd();
            poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE).unwrap();
        }
        let mut events = Events::with_capacity(1_024);
        let mut buffer = [0_u8; 2_048];
        let mut shown_at = Instant::now();
        while !stopped.load(Ordering::Relaxed) {
            poll.poll(&mut events, Some(Duration::from_millis(10))).unwrap();
            for event in &events {
                let index = event.token().0;
                while let Ok((len, _)) = sockets[index].recv_from(&mut buffer) {
                    let _ = sockets[other(index)].send_to(&buffer[..len], goes_to[index]);
                }
            }
            if shown_at.elapsed() > Duration::from_millis(20) {
                shown_at = Instant::now();
                *shown.lock().unwrap() = thread_cpu_time();
            }
        }
    });
    (Box::new(Floor { stop, cpu, thread: Some(thread) }), targets)
}
