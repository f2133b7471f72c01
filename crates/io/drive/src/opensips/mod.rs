//! The Call API in front of an OpenSIPS, with sockets: requests over MI, events over EVI, applications on WebSockets.
//!
//! ```text
//!   WebSocket ─▶ ┌──────────────┐ ─ MI: UDP, UNIX, HTTP ─▶ ┌──────────┐
//!             ◀─ │ front thread │ ◀──────── replies ─────── │ OpenSIPS │
//!                └──────────────┘ ◀─ EVI: UDP, UNIX, TCP ── └──────────┘
//! ```
//!
//! Applications are served by the same thread, as tasks beside the loop: a command wakes one thread on its way in, and
//! its progress one on its way out.

mod address;
mod datagrams;
mod error;
mod events;
mod host;
mod http;
mod local;
mod report;
mod requests;
mod run;
pub mod simulator;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::CallId;
use hookswitch_dialect::call_api::{self, Mode};
use hookswitch_dialect::journal::LeftCall;
use hookswitch_net::{local_address_towards, raise_descriptor_limit};
use hookswitch_opensips::{Health, Input, MiKind};
use hookswitch_shard::{Front, FrontConfig, SessionId};
use mio::{Poll, Registry};
use rand::Rng;

use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::journal::JournalHandle;
use crate::pii::show_pii;
use crate::records::CallRecordsHandle;
use crate::status::{Phase, Status};
use crate::web::{
    ApplicationConfig, CarrierDesk, GOODBYE, Host, HttpConfig, StatusHandle, Web, WebError, WebMessage, WebSockets,
};
pub use address::{BadEventsAddress, BadMiAddress, EventsAddress, HttpAddress, MiAddress};
use datagrams::Datagrams;
pub use error::StartError;
use events::EventSocket;
pub use events::{BoundEvents, MAX_EVENT_STREAMS};
use host::{Peers, Resolver};
use http::HttpRequests;
pub(crate) use http::innermost;
use local::LocalEnd;
pub use local::LocalSession;
use run::{FrontLoop, Mi};

/// Messages that may wait for a front. Beyond, applications are turned away.
pub const MAX_FRONT_QUEUE: usize = 65_536;

/// How long somebody who asks a front how much there is waits at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// Longest [`OpenSipsFrontConfig::stay_awake`].
pub const MAX_AWAKE: Duration = Duration::from_secs(1);

/// Everything a front of OpenSIPS is told at the start.
#[derive(Clone, Debug)]
pub struct OpenSipsFrontConfig {
    /// Where requests go. Default `udp:127.0.0.1:8080`.
    pub mi: MiAddress,
    /// Where OpenSIPS answers requests over a UNIX socket: a path that it may write to. By default a socket in a folder
    /// that only this user and root can enter, which suits an OpenSIPS that runs as one of them.
    pub mi_reply: Option<PathBuf>,
    /// A file with certificate authorities to trust besides the system's, as PEM, for `https`. Default none.
    pub mi_ca: Option<PathBuf>,
    /// Where events arrive. Default `udp`: the address that packets to OpenSIPS leave from, any free port.
    pub events: EventsAddress,
    /// Where OpenSIPS is to send events instead, if it has to take another way: `HOST`, `HOST:PORT`, or all of it as
    /// OpenSIPS writes it, such as `udp:HOST:PORT`. Default none.
    pub advertise: Option<CompactString>,
    /// The backend. What it has to know of the sockets is filled in; a `first_call` of 1 or less is taken from the time.
    pub opensips: hookswitch_opensips::Config,
    /// The dialect.
    pub call_api: call_api::Config,
    /// The Call API's listener; none has sessions inside the program only.
    pub application: Option<ApplicationConfig>,
    /// Health and figures over HTTP; none switches them off.
    pub http: Option<HttpConfig>,
    /// The log of events, which is told of every call. Default none.
    pub journal: Option<JournalHandle>,
    /// Whether logs show addresses and numbers. Default false.
    pub log_pii: bool,
    /// How long after a message from anybody the thread looks for the next one without sleeping, which keeps a processor
    /// busy for as long as messages come. Waking up takes a thread longer than all else it does for a message; whoever
    /// has a processor to spare for that saves most of it. Default zero, at most [`MAX_AWAKE`].
    pub stay_awake: Duration,
    /// Whether each request of an application is logged: with [`OpenSipsFrontConfig::log_pii`] all of it, else its
    /// method and id. Default false.
    pub log_requests: bool,
    /// The calls that had not ended when the last process did: they go on by their names, or are told to be over. Where there are any,
    /// [`OpenSipsFront::keep_records`] has to follow. Default none.
    pub left: Vec<LeftCall>,
}

impl Default for OpenSipsFrontConfig {
    fn default() -> Self {
        Self {
            mi: MiAddress::Udp { host: Ipv4Addr::LOCALHOST.to_string(), port: 8080 },
            mi_reply: None,
            mi_ca: None,
            events: EventsAddress::default(),
            advertise: None,
            opensips: hookswitch_opensips::Config::default(),
            call_api: call_api::Config::default(),
            application: None,
            http: None,
            journal: None,
            log_pii: false,
            stay_awake: Duration::ZERO,
            log_requests: false,
            left: Vec::new(),
        }
    }
}

/// What is bound, with the ports that the system chose.
#[derive(Clone, Debug)]
pub struct OpenSipsAddresses {
    /// Where events arrive.
    pub events: BoundEvents,
    /// Where OpenSIPS is told to send them, as it writes sockets.
    pub event_socket: CompactString,
    /// The Call API.
    pub call_api: Vec<SocketAddr>,
    /// Health and figures.
    pub http: Vec<SocketAddr>,
}

/// How much there is, and what has happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// The backend's.
    pub opensips: hookswitch_opensips::Counts,
    /// The dialect's.
    pub call_api: call_api::Counts,
    /// Sessions.
    pub sessions: usize,
    /// Commands that run for them.
    pub commands: usize,
    /// Datagrams and connections for events that did not come from OpenSIPS's host.
    pub foreign_events: u64,
    /// Messages that wait for the front.
    pub queued: usize,
}

/// What other threads have for a front.
enum Message {
    /// Applications and HTTP requests.
    Web(WebMessage),
    /// A session inside the program begins.
    LocalOpened { session: SessionId, mode: Mode, end: LocalEnd },
    /// It says something.
    LocalText { session: SessionId, text: String },
    /// It ends.
    LocalClosed(SessionId),
    /// A reply over HTTP, or its failure.
    OpenSips(Input),
    /// OpenSIPS's name was looked up.
    Resolved(io::Result<Vec<SocketAddr>>),
    /// The records of calls go there from now on.
    Records(CallRecordsHandle),
    /// Somebody wants to know how much there is.
    Count(SyncSender<Counts>),
    /// Take no new calls.
    Drain,
    /// Tell OpenSIPS that we leave, then end.
    Stop,
}

impl From<WebMessage> for Message {
    fn from(message: WebMessage) -> Self {
        Self::Web(message)
    }
}

/// What everybody may know of a front.
struct Shared {
    status: Status,
    health: Mutex<Health>,
}

impl Shared {
    fn new() -> Self {
        Self { status: Status::new(), health: Mutex::default() }
    }

    fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// A running front. Dropping it stops it.
pub struct OpenSipsFront {
    addresses: OpenSipsAddresses,
    inbox: Arc<Inbox<Message>>,
    shared: Arc<Shared>,
    web: Option<Web>,
    thread: Option<JoinHandle<()>>,
    next_session: AtomicU64,
}

impl OpenSipsFront {
    /// Opens every socket, then starts everything. On an error nothing is left running. An OpenSIPS that does not
    /// answer is no error: it may be started later.
    ///
    /// # Errors
    /// [`StartError`] says which part and why.
    pub fn start(mut config: OpenSipsFrontConfig) -> Result<Self, StartError> {
        show_pii(config.log_pii);
        if let Err(error) = raise_descriptor_limit() {
            tracing::warn!(%error, "the limit of descriptors could not be raised");
        }
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::of_task(MAX_FRONT_QUEUE));
        let target = Target::find(&config.mi)?;
        let events = open_events(poll.registry(), &config.events, &target)?;
        let bound = events.bound();
        let event_socket = events::advertised(&bound, target.ip(), config.advertise.as_deref()).ok_or_else(|| {
            let advertise = config.advertise.clone().unwrap_or_default().into();
            StartError::Advertise { advertise, bound: bound.clone() }
        })?;
        let mi = open_mi(poll.registry(), &config, &target, &inbox)?;
        let web = WebSockets::open(config.application.take(), config.http.take(), None, None)?;
        let addresses = OpenSipsAddresses {
            events: bound,
            event_socket: event_socket.clone(),
            call_api: web.call_api(),
            http: web.http(),
        };

        let clock = Clock::start();
        complete(&mut config, event_socket, clock);
        let shared = Arc::new(Shared::new());
        let machine = FrontLoop {
            poll: Some(poll),
            clock,
            started: clock.now(),
            front: Front::new(
                FrontConfig { opensips: config.opensips, call_api: config.call_api, ..FrontConfig::default() },
                rand::rng().random(),
            ),
            mi,
            events,
            resolver: target.name.as_ref().and_then(|(host, port)| Resolver::new(host, *port, &inbox)),
            inbox: Arc::clone(&inbox),
            shared: Arc::clone(&shared),
            journal: config.journal.clone(),
            sessions: local::Sessions::default(),
            requests: run::Requests::default(),
            records: CallRecordsHandle::default(),
            early: (!config.left.is_empty()).then(Vec::new),
            left: config.left,
            log_requests: config.log_requests.then_some(config.log_pii),
            stay_awake: config.stay_awake.min(MAX_AWAKE),
            pending: run::Pending::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let host = Host::Guest(runtime.handle().clone());
        let start = |sockets| Web::start(Arc::clone(&inbox) as _, report::CARRIER, sockets, None, config.journal, host);
        let web = (!web.is_empty()).then_some(web).map(start).transpose()?;
        let goodbyes = web.as_ref().map(Web::all_ended);
        let thread = thread::Builder::new().name("front-0".to_owned()).spawn(move || {
            runtime.block_on(machine.run());
            if let Some(goodbyes) = goodbyes {
                runtime.block_on(goodbyes);
            }
            runtime.shutdown_timeout(GOODBYE);
        })?;
        let next_session = AtomicU64::new(1);
        Ok(Self { addresses, inbox, shared, web, thread: Some(thread), next_session })
    }

    /// What is bound.
    #[must_use]
    pub const fn addresses(&self) -> &OpenSipsAddresses {
        &self.addresses
    }

    /// How far the front is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.shared.status.get()
    }

    /// Takes no new commands from now on; those there are go on. [`OpenSipsFront::wait`] says when the last has ended.
    pub fn drain(&self) {
        self.inbox.push_always(Message::Drain);
    }

    /// Waits until the front has reached at least this phase, or `patience` has passed (none: for ever). Returns the
    /// phase reached.
    #[must_use]
    pub fn wait(&self, phase: Phase, patience: Option<Duration>) -> Phase {
        self.shared.status.wait(phase, patience)
    }

    /// Whether OpenSIPS answers, and whether its events reach us.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// How much there is. `None` if the front does not answer.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        let (answer, answered) = sync_channel(1);
        self.inbox.push_always(Message::Count(answer));
        answered.recv_timeout(PATIENCE).ok()
    }

    /// Asks the front how it is, for the `/health` and `/metrics` of another listener.
    #[must_use]
    pub fn status(&self) -> StatusHandle {
        let handle = StatusHandle::new(report::CARRIER, Arc::clone(&self.inbox) as _);
        match &self.web {
            Some(web) => web.counted(handle),
            None => handle,
        }
    }

    /// Answers requests of the native REST about these calls, for the control listener of our own switch.
    #[must_use]
    pub fn desk(&self) -> CarrierDesk {
        CarrierDesk::new(Arc::clone(&self.inbox) as _)
    }

    /// The records of calls that are over go there from now on; before, they go nowhere but into the log of events, or wait for this
    /// where calls were left.
    pub fn keep_records(&self, records: CallRecordsHandle) {
        self.inbox.push_always(Message::Records(records));
    }

    /// Reads certificate and key of the Call API again, without harm to any connection. Files that cannot be used are
    /// named in the log, and the old ones stay in use. Changed files are found within some seconds anyway.
    pub fn reload(&self) {
        if let Some(web) = &self.web {
            web.reload();
        }
    }

    /// Takes other tokens and origins of the Call API. Sessions that are open go on.
    ///
    /// # Errors
    /// [`WebError`], as at the start; nothing has changed then.
    pub fn reconfigure(&self, application: &ApplicationConfig) -> Result<(), WebError> {
        let Some(web) = &self.web else { return Ok(()) };
        web.check(Some(application), None)?;
        web.admit(Some(application), None);
        Ok(())
    }

    /// A session inside this program, without a socket, which may do everything.
    #[must_use]
    pub fn session(&self, mode: Mode) -> LocalSession {
        let session = local::name(self.next_session.fetch_add(1, Ordering::Relaxed));
        let (ours, end) = LocalSession::new(session, &self.inbox);
        self.inbox.push_always(Message::LocalOpened { session, mode, end });
        ours
    }

    /// Stops: OpenSIPS is told to send no more events, for as long as that takes within two seconds, then everything is
    /// closed. Calls go on. Returns whether all went well until then.
    #[must_use]
    pub fn stop(mut self) -> bool {
        self.finish();
        self.shared.status.get() == Phase::Stopped
    }

    fn finish(&mut self) {
        self.inbox.push_always(Message::Stop);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the front of OpenSIPS had panicked");
        }
    }
}

impl Drop for OpenSipsFront {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Where OpenSIPS is.
struct Target {
    /// Its host and port, unless it is reached over a UNIX socket.
    name: Option<(String, u16)>,
    /// Where that leads.
    addresses: Vec<SocketAddr>,
    peers: Peers,
}

impl Target {
    fn find(mi: &MiAddress) -> Result<Self, StartError> {
        let (host, port) = match mi {
            MiAddress::Unix(_) => return Ok(Self { name: None, addresses: Vec::new(), peers: Peers::here()? }),
            MiAddress::Udp { host, port } => (host.as_str(), *port),
            MiAddress::Http(address) => (address.host(), address.port()),
        };
        let found = host::resolve(host, port);
        let addresses = found.map_err(|source| StartError::Resolve { mi: mi.clone(), source })?;
        let peers = Peers::at(addresses.iter().map(SocketAddr::ip))?;
        Ok(Self { name: Some((host.to_owned(), port)), addresses, peers })
    }

    fn ipv4(&self) -> Option<SocketAddr> {
        self.addresses.iter().copied().find(SocketAddr::is_ipv4)
    }

    /// The address of ours that packets to OpenSIPS leave from.
    fn ours(&self, ipv4_only: bool) -> Result<Option<IpAddr>, StartError> {
        let to = if ipv4_only { self.ipv4() } else { self.addresses.first().copied() };
        match to {
            Some(to) => match local_address_towards(to.ip()) {
                Ok(ip) => Ok(Some(ip)),
                Err(source) => Err(StartError::NoWay { to, source }),
            },
            // Over a UNIX socket: OpenSIPS is on this host.
            None if self.addresses.is_empty() => Ok(Some(Ipv4Addr::LOCALHOST.into())),
            None => Ok(None),
        }
    }

    /// What to advertise when every address is bound.
    fn ip(&self) -> IpAddr {
        self.ours(true).ok().flatten().unwrap_or(Ipv4Addr::LOCALHOST.into())
    }
}

fn open_events(registry: &Registry, at: &EventsAddress, target: &Target) -> Result<EventSocket, StartError> {
    let (registry, peers) = (registry.try_clone()?, target.peers.clone());
    match at {
        EventsAddress::Udp(ip, port) => {
            let ip = match ip {
                Some(ip) => Some(*ip),
                None => target.ours(true)?,
            };
            let ip = ip.filter(IpAddr::is_ipv4).ok_or_else(|| StartError::EventsNeedIpv4(at.clone()))?;
            EventSocket::udp(registry, run::EVENTS, SocketAddr::new(ip, *port), peers)
        }
        EventsAddress::Tcp(ip, port) => {
            let ip = match ip {
                Some(ip) => *ip,
                None => target.ours(false)?.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            };
            EventSocket::tcp(registry, run::EVENTS, SocketAddr::new(ip, *port), peers)
        }
        EventsAddress::Unix(path) => EventSocket::unix(registry, run::EVENTS, path, peers),
    }
    .map_err(StartError::Events)
}

fn open_mi(
    registry: &Registry,
    config: &OpenSipsFrontConfig,
    target: &Target,
    inbox: &Arc<Inbox<Message>>,
) -> Result<Mi, StartError> {
    let registry = registry.try_clone()?;
    Ok(match &config.mi {
        MiAddress::Udp { .. } => {
            let to = target.ipv4().ok_or_else(|| StartError::MiNeedsIpv4(config.mi.clone()))?;
            Mi::Datagrams(Box::new(Datagrams::udp(registry, run::MI, to)))
        }
        MiAddress::Unix(path) => {
            let (path, reply) = (path.clone(), config.mi_reply.clone());
            let socket = Datagrams::unix(registry, run::MI, path, reply, rand::rng().random());
            Mi::Datagrams(Box::new(socket.map_err(StartError::Mi)?))
        }
        MiAddress::Http(address) => Mi::Http(Box::new(HttpRequests::new(address, config.mi_ca.as_deref(), inbox)?)),
    })
}

/// Fills in what only the sockets and the system know.
fn complete(config: &mut OpenSipsFrontConfig, event_socket: CompactString, clock: Clock) {
    let opensips = &mut config.opensips;
    opensips.event_socket = event_socket;
    opensips.mi = match config.mi {
        MiAddress::Udp { .. } | MiAddress::Unix(_) => MiKind::Datagram,
        MiAddress::Http(_) => MiKind::Http,
    };
    if opensips.first_call <= 1 {
        // A million calls fit between two starts within one millisecond.
        opensips.first_call = CallId::FIRST_BEYOND.0 | (clock.now().as_millis() as u64) << 20;
    }
}
