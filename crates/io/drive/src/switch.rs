//! A whole switch: opens everything, starts the threads, and ends them again.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookswitch_dialect::journal::Entry;
use hookswitch_net::{ConnectionsConfig, NetError, UdpOptions, interfaces, raise_descriptor_limit};
use hookswitch_shard::{Counts, Shard, ShardConfig, Stored};
use hookswitch_sip::registrar::GruuKey;
use hookswitch_sip::{Interface, Listen, Network};
use hookswitch_store::{STORES, StoreError, Writer};
use mio::Poll;
use rand::Rng;

use crate::clock::Clock;
use crate::controllers::{Controllers, NoteSink};
use crate::discovery::{Discovery, StunConfig, own_addresses};
use crate::dns::{AnswerSink, Dns, DnsConfig};
use crate::effort::Efforts;
use crate::flow::{DocumentSink, FlowConfig, FlowService, FlowServiceError};
use crate::inbox::Inbox;
use crate::journal::JournalHandle;
use crate::kept::{KeptRecordings, RECORDINGS_FILE};
use crate::key;
use crate::media::{self, MediaConfig, MediaPlane, MediaTotals};
use crate::nftables::NftablesConfig;
use crate::nodes::{NodeClient, NodesConfig};
use crate::persist::{self, RestoreError};
use crate::pii::show_pii;
use crate::records::{CallRecords, CallRecordsConfig, CallRecordsHandle};
use crate::sip::{self, Desk, FIRST_SOCKET, MAX_SHARD_QUEUE, Message, ShardLoop, SipListen, SipSockets, SipTls, Watch};
use crate::status::{Phase, Status};
use crate::tap::Tap;
use crate::users::{UserService, UserServiceConfig, UserServiceError};
use crate::web::{ApplicationConfig, ControlConfig, Host, HttpConfig, TlsError, Web, WebError, WebSockets};
use crate::webhook::WebhookHandle;

/// How long somebody who asks a shard how much there is waits at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The file with the key of temporary addresses of phones, beside the store.
const GRUU_KEY: &str = "gruu.key";

/// Everything a switch is told at the start.
pub struct SwitchConfig {
    /// Sockets for SIP. Without any there has to be another way in: HTTP or the Call API.
    pub sip: Vec<SipListen>,
    /// Certificates, and who may open WebSockets.
    pub tls: SipTls,
    /// Buffers of the UDP sockets.
    pub udp: UdpOptions,
    /// Limits of the TCP connections.
    pub tcp: ConnectionsConfig,
    /// Media.
    pub media: MediaConfig,
    /// Look-ups of names.
    pub dns: DnsConfig,
    /// The sets of the packet filter that bans are put into; none by default.
    pub nftables: Option<NftablesConfig>,
    /// Who knows our public addresses.
    pub stun: StunConfig,
    /// Who is asked for users that are in no directory; to be set if and only if the directory of `shard` has such.
    pub users: Option<UserServiceConfig>,
    /// Who leads calls; to be those flows of `shard` that have a URL.
    pub flows: Vec<FlowConfig>,
    /// Where those webhooks are taken on that their documents name. Default none.
    pub webhooks: WebhookHandle,
    /// The Call API; none switches it off.
    pub application: Option<ApplicationConfig>,
    /// Directory and registrations over HTTP; none switches it off.
    pub http: Option<HttpConfig>,
    /// The log of events, which is told of everything; none by default.
    pub journal: Option<JournalHandle>,
    /// What is shown to controllers, in `Authorization: Bearer`. Default nothing.
    pub secret: Option<String>,
    /// How nodes are asked, where the machine has legs or audio on some; none by default.
    pub nodes: Option<NodesConfig>,
    /// Media channels of controllers over HTTP; none switches them off.
    pub channels: Option<HttpConfig>,
    /// The native REST and whatever else is for applications over HTTP; none switches it off.
    pub control: Option<ControlConfig>,
    /// Where to remember what outlives the process; none remembers nothing.
    pub store: Option<StoreConfig>,
    /// Where call detail records go; none writes none.
    pub call_records: Option<CallRecordsConfig>,
    /// The machine. What it has to know of the sockets is filled in: `listen` takes the order of [`SwitchConfig::sip`]
    /// and keeps what it says about advertised addresses; empty `interfaces` are read from the system; a `first_call`
    /// of 0 is taken from the time.
    pub shard: ShardConfig,
    /// Whether logs show addresses and numbers. Default false.
    pub log_pii: bool,
    /// Whoever wants to watch.
    pub tap: Option<Arc<dyn Tap>>,
}

/// Where and how to remember.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// A row of [`hookswitch_store::STORES`]. Default `redb`.
    pub kind: String,
    /// The data folder.
    pub folder: PathBuf,
}

impl SwitchConfig {
    /// A switch that listens for SIP here and has neither Call API nor HTTP nor REST nor store.
    #[must_use]
    pub fn new(sip: Vec<SipListen>, media: MediaConfig, shard: ShardConfig) -> Self {
        Self {
            sip,
            tls: SipTls::default(),
            udp: UdpOptions::default(),
            tcp: ConnectionsConfig::default(),
            media,
            dns: DnsConfig::default(),
            nftables: None,
            stun: StunConfig::default(),
            users: None,
            flows: Vec::new(),
            webhooks: WebhookHandle::default(),
            application: None,
            http: None,
            journal: None,
            secret: None,
            nodes: None,
            channels: None,
            control: None,
            store: None,
            call_records: None,
            shard,
            log_pii: false,
            tap: None,
        }
    }
}

/// Why a switch did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No socket was asked for.
    #[error("no address to listen on, for SIP or anything else")]
    NoSipSocket,
    /// More than [`MAX_SIP_SOCKETS`](crate::MAX_SIP_SOCKETS).
    #[error("more than {} addresses to listen on for SIP", sip::MAX_SIP_SOCKETS)]
    TooManySipSockets,
    /// A SIP socket.
    #[error("SIP: {0}")]
    Sip(#[from] NetError),
    /// There are no certificates for a SIP socket that needs them.
    #[error("SIP: {0} needs a certificate")]
    NoCertificate(SipListen),
    /// The certificates of SIP.
    #[error("SIP: {0}")]
    Tls(#[from] TlsError),
    /// The Call API or HTTP.
    #[error(transparent)]
    Web(#[from] WebError),
    /// The configured kind of store does not exist.
    #[error("no such store: {0}")]
    NoSuchStore(String),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// Users cannot be asked for.
    #[error("look-up of users: {0}")]
    Users(#[from] UserServiceError),
    /// Nobody who leads calls can be asked.
    #[error("call flows: {0}")]
    Flows(#[from] FlowServiceError),
    /// What was stored cannot be read.
    #[error("store: {0}")]
    Restore(#[from] RestoreError),
    /// The system does not give us threads, descriptors or memory.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// What is bound, with the ports that the system chose.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// SIP.
    pub sip: Vec<SipListen>,
    /// The Call API.
    pub call_api: Vec<SocketAddr>,
    /// Directory and registrations.
    pub http: Vec<SocketAddr>,
    /// Media channels.
    pub channels: Vec<SocketAddr>,
    /// The native REST.
    pub control: Vec<SocketAddr>,
}

impl Addresses {
    fn of(sockets: &SipSockets, web: &WebSockets) -> Self {
        Self {
            sip: sockets.addresses(),
            call_api: web.call_api(),
            http: web.http(),
            channels: web.channels(),
            control: web.control(),
        }
    }
}

/// A running switch. Dropping it stops it.
pub struct Switch {
    addresses: Addresses,
    pub(crate) inbox: Arc<Inbox<Message>>,
    status: Arc<Status>,
    media: Option<Arc<MediaPlane>>,
    pub(crate) web: Option<Web>,
    certificates: Option<Watch>,
    discovery: Option<Discovery>,
    /// Where somebody places calls by it.
    efforts: Option<Efforts>,
    records: CallRecordsHandle,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// Opens every socket and the store, then starts everything. On an error nothing is left running.
    ///
    /// # Errors
    /// [`StartError`] says which part and why.
    pub fn start(mut config: SwitchConfig) -> Result<Self, StartError> {
        check_sockets(&config)?;
        show_pii(config.log_pii);
        raise_limits();
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(poll.registry(), sip::WAKER, MAX_SHARD_QUEUE)?);
        let registry = poll.registry().try_clone()?;
        let mut sockets = SipSockets::bind(registry, FIRST_SOCKET, &config.sip, config.udp, config.tcp)?;
        sockets.set_up(config.tls.setup()?);
        sockets.watch()?;
        let has_rest = config.control.is_some();
        let web = WebSockets::open(config.application, config.http, config.channels, config.control)?;
        let (store, mut restore) = open_store(config.store.as_ref(), &inbox)?;
        if let Some(store) = &config.store {
            config.shard.b2bua.registrar.gruu_key = GruuKey(key::lasting(&store.folder, GRUU_KEY));
        }
        let addresses = Addresses::of(&sockets, &web);
        let clock = Clock::start();
        let status = Arc::new(Status::new());
        let media = Arc::new(start_media(&config.media, clock, &inbox, (&status, config.journal.clone()))?);
        let dns = start_dns(config.dns, clock, &inbox)?;
        let controllers = start_controllers(config.secret.as_deref(), &inbox)?;
        let nodes = start_nodes(config.nodes, &inbox)?;
        let users = config.users.map(|config| start_users(config, &inbox)).transpose()?;
        let flows = start_flows(config.flows, &config.webhooks, clock, &inbox)?;
        let files = config.media.files.recordings.as_deref().filter(|_| config.media.here);
        let kept = find_recordings(config.store.as_ref().filter(|_| has_rest), files, &mut restore)?;
        let records = config.call_records.map(|config| CallRecords::start(config, clock)).transpose()?;
        let shard = complete(config.shard, &addresses, clock)?;
        let mut switch = Self::opened(addresses, &inbox, &status, &media);
        switch.records = records.as_ref().map(CallRecords::handle).unwrap_or_default();
        switch.certificates = watch_certificates(config.tls, &inbox)?;
        switch.discovery = discover(config.stun, &switch.addresses, &inbox)?;
        let (tap, nftables, journal) = (config.tap, config.nftables, config.journal.clone());
        switch.thread = Some(thread::Builder::new().name("shard-0".to_owned()).spawn(move || {
            ShardLoop {
                poll,
                clock,
                started: clock.now(),
                shard: Shard::new(shard, rand::rng().random()),
                sockets,
                inbox,
                desk: Desk::new(store),
                media,
                dns,
                users,
                flows,
                records,
                kept,
                controllers,
                nodes,
                tap,
                journal,
                status,
                restore,
                nftables,
                filter: None,
                pending: sip::Pending::default(),
            }
            .run();
        })?);
        switch.serve(web, config.journal, clock)?;
        Ok(switch)
    }

    /// With its sockets, and nobody who serves them yet.
    fn opened(
        addresses: Addresses,
        inbox: &Arc<Inbox<Message>>,
        status: &Arc<Status>,
        media: &Arc<MediaPlane>,
    ) -> Self {
        Self {
            addresses,
            inbox: Arc::clone(inbox),
            status: Arc::clone(status),
            media: Some(Arc::clone(media)),
            web: None,
            certificates: None,
            discovery: None,
            efforts: None,
            records: CallRecordsHandle::default(),
            thread: None,
        }
    }

    /// Serves on the sockets of the web, if there are any.
    fn serve(&mut self, web: WebSockets, journal: Option<JournalHandle>, clock: Clock) -> io::Result<()> {
        if let Some(media) = self.media.as_ref().filter(|_| !self.addresses.channels.is_empty()) {
            self.efforts = Some(Efforts::start(Arc::downgrade(media), Arc::clone(&self.inbox), clock)?);
        }
        if !web.is_empty() {
            let (sink, media) = (Arc::clone(&self.inbox) as _, self.media.as_ref().map(Arc::downgrade));
            self.web = Some(Web::start(sink, sip::CARRIER, web, media, journal, Host::own()?)?);
        }
        Ok(())
    }

    /// Takes the call records of others than itself, for the same files.
    #[must_use]
    pub fn call_records(&self) -> CallRecordsHandle {
        self.records.clone()
    }

    /// What is bound.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How far the switch is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.get()
    }

    /// Takes no new calls from now on; those there are go on. [`Switch::wait`] says when the last one has ended.
    pub fn drain(&self) {
        self.inbox.push_always(Message::Drain);
    }

    /// Waits until the switch has reached at least this phase, or `patience` has passed (none: for ever). Returns the
    /// phase reached.
    #[must_use]
    pub fn wait(&self, phase: Phase, patience: Option<Duration>) -> Phase {
        self.status.wait(phase, patience)
    }

    /// How much the shard holds. `None` if it does not answer.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        let (answer, answered) = sync_channel(1);
        self.inbox.push_always(Message::Count(answer));
        answered.recv_timeout(PATIENCE).ok()
    }

    /// What the media threads have counted and hold, one by one.
    #[must_use]
    pub fn media(&self) -> Vec<MediaTotals> {
        self.media.as_ref().map(|media| media.totals()).unwrap_or_default()
    }

    /// Replaces the lists of networks that are never banned and never heard. Bans of those that are allowed now end.
    pub fn set_lists(&self, allow: Vec<Network>, drop: Vec<Network>) {
        self.inbox.push_always(Message::Lists { allow, drop });
    }

    /// Reads the certificates and keys of SIP, of the Call API and of the native REST again, without harm to any
    /// connection, and opens the audit log anew. Files that cannot be used are named in the log, and the old ones stay in
    /// use. Changed files are found within some seconds anyway.
    pub fn reload(&self) {
        if let Some(web) = &self.web {
            web.reload();
        }
        if let Some(certificates) = &self.certificates {
            certificates.reload();
        }
    }

    /// Stops at once: sockets are closed, calls are dropped, what is to be stored is stored. Returns whether all went
    /// well until then.
    #[must_use]
    pub fn stop(mut self) -> bool {
        self.finish();
        self.status.get() == Phase::Stopped
    }

    fn finish(&mut self) {
        drop((self.certificates.take(), self.discovery.take(), self.efforts.take()));
        self.inbox.push_always(Message::Stop);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("a shard had panicked");
        }
        if let Some(web) = self.web.take() {
            web.stop();
        }
        // The shard's thread has let go of it, so this is the last one, and dropping it joins the media threads.
        drop(self.media.take());
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.finish();
    }
}

fn raise_limits() {
    match raise_descriptor_limit() {
        Ok(limit) => tracing::debug!(limit, "descriptors"),
        Err(error) => tracing::warn!(%error, "the limit of descriptors could not be raised"),
    }
}

fn check_sockets(config: &SwitchConfig) -> Result<(), StartError> {
    let others = config.http.is_some() || config.channels.is_some() || config.control.is_some();
    if config.sip.is_empty() && !others {
        return Err(StartError::NoSipSocket);
    }
    if config.sip.len() > sip::MAX_SIP_SOCKETS {
        return Err(StartError::TooManySipSockets);
    }
    let bare = config.sip.iter().find(|at| at.transport.secure() && config.tls.identities.is_empty());
    bare.map_or(Ok(()), |at| Err(StartError::NoCertificate(*at)))
}

/// Reads certificates again when they change, if there are any.
fn watch_certificates(tls: SipTls, inbox: &Arc<Inbox<Message>>) -> io::Result<Option<Watch>> {
    if tls.identities.is_empty() {
        return Ok(None);
    }
    let inbox = Arc::clone(inbox);
    Watch::start(tls, move |setup| inbox.push_always(Message::Streams(setup))).map(Some)
}

/// Asks for our public addresses from now on, if there is whom to ask.
fn discover(config: StunConfig, addresses: &Addresses, inbox: &Arc<Inbox<Message>>) -> io::Result<Option<Discovery>> {
    if config.servers.is_empty() {
        return Ok(None);
    }
    let inbox = Arc::clone(inbox);
    let own = own_addresses(addresses.sip.iter().map(|at| at.address));
    Discovery::start(config, own, move |public| inbox.push_always(Message::PublicAddresses(public))).map(Some)
}

/// Opens the store, reads everything in it, and gives it to a thread of its own.
fn open_store(
    config: Option<&StoreConfig>,
    inbox: &Arc<Inbox<Message>>,
) -> Result<(Option<Writer>, Vec<Stored>), StartError> {
    let Some(config) = config else { return Ok((None, Vec::new())) };
    let row = STORES.iter().find(|row| row.name == config.kind);
    let row = row.ok_or_else(|| StartError::NoSuchStore(config.kind.clone()))?;
    let mut store = (row.open)(&config.folder)?;
    let restore = persist::load(&mut *store)?;
    let inbox = Arc::clone(inbox);
    let writer = Writer::start(store, move |news| inbox.push_always(Message::Committed(news)))?;
    Ok((Some(writer), restore))
}

/// Gives back the recordings that were made before, where they can be asked for.
fn find_recordings(
    config: Option<&StoreConfig>,
    files: Option<&Path>,
    restore: &mut Vec<Stored>,
) -> io::Result<Option<KeptRecordings>> {
    let Some(config) = config else { return Ok(None) };
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", config.folder.join(RECORDINGS_FILE).display()))
    };
    let (kept, known) = KeptRecordings::start(&config.folder, files).map_err(named)?;
    restore.extend(known.into_iter().map(|kept| Stored::Recording(Box::new(kept))));
    Ok(Some(kept))
}

fn start_media(
    config: &MediaConfig,
    clock: Clock,
    inbox: &Arc<Inbox<Message>>,
    (status, journal): (&Arc<Status>, Option<JournalHandle>),
) -> io::Result<MediaPlane> {
    let inbox = Arc::clone(inbox);
    let report: media::ReportSink = Arc::new(move |report| inbox.push_always(Message::Media(report)));
    let status = Arc::clone(status);
    let failed: media::FailureSink = Arc::new(move || status.set(Phase::Failed));
    let ports: media::PortsSink = Arc::new(move |thread, pairs, what| {
        if let Some(journal) = &journal {
            journal.push(Entry::Ports { at: clock.now(), thread, pairs, what });
        }
    });
    MediaPlane::start_watched(config, clock, rand::rng().random(), report, (&failed, &ports))
}

fn start_dns(config: DnsConfig, clock: Clock, inbox: &Arc<Inbox<Message>>) -> io::Result<Dns> {
    let inbox = Arc::clone(inbox);
    // As many as there are look-ups in flight, which the resolver bounds.
    let sink: AnswerSink = Arc::new(move |id, answer| inbox.push_always(Message::Answer(id, answer)));
    Dns::start(config, clock, sink)
}

fn start_controllers(secret: Option<&str>, inbox: &Arc<Inbox<Message>>) -> io::Result<Controllers> {
    let inbox = Arc::clone(inbox);
    // As many as there are notes under way, which the machine bounds.
    let sink: NoteSink = Arc::new(move |id, status| inbox.push_always(Message::Controller(id, status)));
    Controllers::start(secret, sink)
}

fn start_nodes(config: Option<NodesConfig>, inbox: &Arc<Inbox<Message>>) -> io::Result<Option<NodeClient>> {
    let Some(config) = config else { return Ok(None) };
    let inbox = Arc::clone(inbox);
    // As many as there are requests under way, which the machine bounds.
    NodeClient::start(&config, Arc::new(move |answer| inbox.push_always(Message::Node(answer)))).map(Some)
}

fn start_users(config: UserServiceConfig, inbox: &Arc<Inbox<Message>>) -> Result<UserService, UserServiceError> {
    let inbox = Arc::clone(inbox);
    // As many as there are questions under way, which the directory bounds.
    UserService::start(config, Arc::new(move |id, reply| inbox.push_always(Message::User(id, reply))))
}

/// None without a flow that has somebody to ask.
fn start_flows(
    flows: Vec<FlowConfig>,
    webhooks: &WebhookHandle,
    clock: Clock,
    inbox: &Arc<Inbox<Message>>,
) -> Result<Option<FlowService>, FlowServiceError> {
    if flows.is_empty() {
        return Ok(None);
    }
    let inbox = Arc::clone(inbox);
    // Two at most for each question under way, which are limited.
    let sink: DocumentSink = Arc::new(move |id, reply| inbox.push_always(Message::Flow(id, reply)));
    FlowService::start(flows, webhooks, clock, sink).map(Some)
}

/// Fills in what only the system knows.
fn complete(mut shard: ShardConfig, addresses: &Addresses, clock: Clock) -> io::Result<ShardConfig> {
    let endpoint = &mut shard.b2bua.endpoint;
    let known = std::mem::take(&mut endpoint.listen);
    let advertised = |index: usize| known.get(index).and_then(|listen| listen.advertise.clone());
    let listen = addresses.sip.iter().enumerate().map(|(index, at)| Listen {
        transport: at.transport,
        address: at.address,
        advertise: advertised(index),
    });
    endpoint.listen = listen.collect();
    if endpoint.addresses.interfaces.is_empty() {
        let up = interfaces()?.into_iter().filter(|interface| interface.up);
        let read = up.map(|found| Interface { addr: found.address, prefix: found.prefix, default: found.default });
        endpoint.addresses.interfaces = read.collect();
    }
    if shard.first_call == 0 {
        // A million calls fit between two starts within one millisecond.
        shard.first_call = (clock.now().as_millis() as u64) << 20;
    }
    Ok(shard)
}
