//! The simulated OpenSIPS with sockets: for tests against other programs, and to try things out without an OpenSIPS.
//!
//! One thread reads requests from UDP, a UNIX socket and HTTP, and sends events to whatever was subscribed. What it says
//! is decided by [`Sim`] alone.

mod events;
mod http;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use hookswitch_net::{NetError, RecvBatch, SendQueue, UdpOptions, UdpSocket};
use hookswitch_opensips_sim::{Behaviour, PeerId, Sim, SimConfig, SimOutput};
use mio::net::UnixDatagram;
use mio::{Interest, Poll, Token};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::inbox::Inbox;
use events::EventSender;
use http::HttpServer;
pub use http::MAX_SIMULATED_REQUEST;

const WAKER: Token = Token(0);
const UDP: Token = Token(1);
const UNIX: Token = Token(2);

/// Requests over HTTP that may wait.
const MAX_QUEUE: usize = 65_536;

/// Longest request over a UNIX socket, in bytes.
const MAX_UNIX_REQUEST: usize = 65_536;

/// What a simulated OpenSIPS is told at the start.
#[derive(Clone, Debug, Default)]
pub struct SimulatorConfig {
    /// Where it takes requests as `mi_datagram` does. Default nowhere.
    pub udp: Option<SocketAddr>,
    /// The same at the path of a UNIX socket. Default nowhere.
    pub unix: Option<PathBuf>,
    /// Where it takes requests as `mi_http` does, at the path `/mi`. Default nowhere.
    pub http: Option<SocketAddr>,
    /// User and password that `mi_http` wants. Default none.
    pub user: Option<(String, String)>,
    /// How it is set up.
    pub sim: SimConfig,
    /// Its phones, by user name.
    pub phones: Vec<(String, Behaviour)>,
    /// What happens by chance follows from this.
    pub seed: [u8; 32],
}

/// What is bound, with the ports that the system chose.
#[derive(Clone, Debug, Default)]
pub struct SimulatorAddresses {
    /// `mi_datagram`.
    pub udp: Option<SocketAddr>,
    /// `mi_datagram` at a path.
    pub unix: Option<PathBuf>,
    /// `mi_http`.
    pub http: Option<SocketAddr>,
}

/// A running simulated OpenSIPS. Dropping it ends it as if it were killed: nobody is told.
pub struct Simulator {
    addresses: SimulatorAddresses,
    inbox: Arc<Inbox<Message>>,
    thread: Option<JoinHandle<()>>,
    /// Dropped last: its requests end when the thread's do.
    _http: Option<HttpServer>,
}

/// What somebody else does with the machine.
type Deed = Box<dyn FnOnce(&mut Sim, Duration) + Send>;

enum Message {
    /// A request over HTTP.
    Http {
        bytes: Bytes,
        reply: oneshot::Sender<Bytes>,
    },
    /// Something to be done with the machine.
    Do(Deed),
    Stop,
}

impl Simulator {
    /// Opens the sockets and starts.
    ///
    /// # Errors
    /// A socket cannot be opened.
    pub fn start(config: SimulatorConfig) -> io::Result<Self> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(poll.registry(), WAKER, MAX_QUEUE)?);
        let udp = match config.udp {
            Some(at) => {
                let refused = |error: NetError| io::Error::other(error.to_string());
                let mut socket = UdpSocket::bind(at, UdpOptions::default()).map_err(refused)?;
                poll.registry().register(&mut socket, UDP, Interest::READABLE | Interest::WRITABLE)?;
                Some(socket)
            }
            None => None,
        };
        let unix = match &config.unix {
            Some(path) => {
                let mut socket = UnixDatagram::bind(path)?;
                poll.registry().register(&mut socket, UNIX, Interest::READABLE)?;
                Some(socket)
            }
            None => None,
        };
        let http = config.http.map(|at| HttpServer::start(at, config.user.clone(), &inbox)).transpose()?;
        let addresses = SimulatorAddresses {
            udp: udp.as_ref().map(UdpSocket::local),
            unix: config.unix.clone(),
            http: http.as_ref().map(HttpServer::address),
        };
        let mut sim = Sim::new(config.sim, config.seed);
        for (user, behaviour) in config.phones {
            sim.phone(&user, behaviour);
        }
        let machine = SimLoop {
            poll,
            clock: Clock::start(),
            sim,
            udp,
            unix,
            unix_replies: UnixDatagram::unbound()?,
            path: config.unix,
            inbox: Arc::clone(&inbox),
            messages: VecDeque::new(),
            peers: Peers::default(),
            events: EventSender::default(),
            batch: RecvBatch::new(),
        };
        let thread = thread::Builder::new().name("opensips-sim".to_owned()).spawn(move || machine.run())?;
        Ok(Self { addresses, inbox, thread: Some(thread), _http: http })
    }

    /// What is bound.
    #[must_use]
    pub const fn addresses(&self) -> &SimulatorAddresses {
        &self.addresses
    }

    /// Does something with the machine, between two of its requests. `None` if it has ended.
    pub fn with<R: Send + 'static>(&self, deed: impl FnOnce(&mut Sim, Duration) -> R + Send + 'static) -> Option<R> {
        let (answer, answered) = sync_channel(1);
        self.inbox.push_always(Message::Do(Box::new(move |sim, now| {
            // Whoever asked waits below.
            let _ = answer.send(deed(sim, now));
        })));
        answered.recv().ok()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.inbox.push_always(Message::Stop);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the simulated OpenSIPS had panicked");
        }
    }
}

struct SimLoop {
    poll: Poll,
    clock: Clock,
    sim: Sim,
    udp: Option<UdpSocket>,
    unix: Option<UnixDatagram>,
    /// Replies leave from a socket of their own, as OpenSIPS's do.
    unix_replies: UnixDatagram,
    /// Removed at the end.
    path: Option<PathBuf>,
    inbox: Arc<Inbox<Message>>,
    messages: VecDeque<Message>,
    peers: Peers,
    events: EventSender,
    batch: RecvBatch,
}

/// Where a reply goes.
enum Peer {
    Udp(SocketAddr),
    Unix(PathBuf),
    /// Once.
    Http(oneshot::Sender<Bytes>),
}

/// Everybody who has asked something.
#[derive(Default)]
struct Peers {
    next: u64,
    by_id: HashMap<PeerId, Peer>,
    udp: HashMap<SocketAddr, PeerId>,
    unix: HashMap<PathBuf, PeerId>,
}

impl Peers {
    fn add(&mut self, peer: Peer) -> PeerId {
        self.next += 1;
        self.by_id.insert(PeerId(self.next), peer);
        PeerId(self.next)
    }

    fn udp(&mut self, from: SocketAddr) -> PeerId {
        match self.udp.get(&from) {
            Some(id) => *id,
            None => {
                let id = self.add(Peer::Udp(from));
                self.udp.insert(from, id);
                id
            }
        }
    }

    fn unix(&mut self, from: PathBuf) -> PeerId {
        match self.unix.get(&from) {
            Some(id) => *id,
            None => {
                let id = self.add(Peer::Unix(from.clone()));
                self.unix.insert(from, id);
                id
            }
        }
    }
}

impl SimLoop {
    fn run(mut self) {
        let mut events = mio::Events::with_capacity(64);
        loop {
            let wait = self.sim.poll_timeout().map(|at| at.saturating_sub(self.clock.now()));
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the simulated OpenSIPS cannot wait for requests and ends");
                break;
            }
            let now = self.clock.now();
            self.inbox.take(&mut self.messages);
            while let Some(message) = self.messages.pop_front() {
                match message {
                    Message::Http { bytes, reply } => {
                        let from = self.peers.add(Peer::Http(reply));
                        self.sim.handle_mi(now, from, &bytes);
                    }
                    Message::Do(deed) => deed(&mut self.sim, now),
                    Message::Stop => return self.end(),
                }
                self.carry_out();
            }
            self.receive_udp(now);
            self.receive_unix(now);
            self.sim.handle_timeout(now);
            self.carry_out();
        }
        self.end();
    }

    fn end(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }

    fn receive_udp(&mut self, now: Duration) {
        let Some(socket) = &self.udp else { return };
        let mut asked = Vec::new();
        // Replies to peers that are gone come back as errors, and nobody cares.
        while socket.take_errors(drop) {}
        while let Ok(received) = socket.receive(&mut self.batch) {
            asked.extend(self.batch.datagrams().map(|one| (one.from, Bytes::copy_from_slice(one.bytes))));
            if received == 0 {
                break;
            }
        }
        for (from, bytes) in asked {
            let from = self.peers.udp(from);
            self.sim.handle_mi(now, from, &bytes);
            self.carry_out();
        }
    }

    fn receive_unix(&mut self, now: Duration) {
        let mut room = [0; MAX_UNIX_REQUEST];
        loop {
            let Some(socket) = &self.unix else { return };
            let Ok((len, from)) = socket.recv_from(&mut room) else { return };
            // Without a name there is nowhere to answer to.
            let Some(from) = from.as_pathname() else { continue };
            let from = self.peers.unix(from.to_owned());
            self.sim.handle_mi(now, from, &room[..len]);
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.sim.poll_output() {
            match output {
                SimOutput::MiReply { to, bytes } => self.reply(to, bytes),
                SimOutput::Event { socket, bytes } => self.events.send(&socket, &bytes),
            }
        }
    }

    fn reply(&mut self, to: PeerId, bytes: Bytes) {
        match self.peers.by_id.get(&to) {
            Some(Peer::Udp(to)) => {
                let Some(socket) = &self.udp else { return };
                let mut queue = SendQueue::new();
                // Whatever cannot be sent at once is lost, as datagrams are.
                let _ = queue.push(socket.local(), *to, bytes);
                queue.flush(socket, drop);
            }
            Some(Peer::Unix(to)) => {
                if let Err(error) = self.unix_replies.send_to(&bytes, to) {
                    tracing::debug!(%error, "a simulated reply was lost");
                }
            }
            Some(Peer::Http(_)) => {
                if let Some(Peer::Http(reply)) = self.peers.by_id.remove(&to) {
                    // Whoever asked may have hung up.
                    let _ = reply.send(bytes);
                }
            }
            None => {}
        }
    }
}
