//! Applications on WebSockets and requests over HTTP: tasks of tokio, which only carry text to the loop behind them and
//! back, on threads of their own or on that of the loop. Nothing is decided here but who may come in.

mod accept;
mod audio;
mod certificate;
mod connection;
mod control;
mod door;
mod events;
mod figures;
mod guard;
mod health;
mod http;
mod listener;
mod log;
mod message;
mod nodes;
mod outbox;
mod process;
mod recordings;
mod session;
mod status;
pub(crate) mod tls;
mod token;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::journal::JournalHandle;
use crate::media::MediaPlane;
use accept::Terms;
use control::Audit;
pub use control::{
    AUDIT_FILE, CarrierDesk, ControlConfig, MAX_AUDIT_QUEUE, MAX_CONTROL_BODY, MAX_CONTROL_CONNECTIONS,
    MAX_CONTROL_PER_ADDRESS, MAX_HEAD,
};
pub use door::Door;
pub(crate) use figures::{
    binding_figures, dns_figures, flow_figures, record_figures, rest_figures, trunk_figures, user_figures,
};
pub(crate) use guard::{dropped_figures, filter_figures, guard_figures, toll_figures};
use health::Takes;
pub use http::{HttpConfig, MAX_BODY, MAX_HTTP_CONNECTIONS, MAX_REQUESTS};
use listener::Bound;
pub use listener::{BadWebListen, WebListen};
pub(crate) use message::{Asked, HttpAnswer, Outboxes, Sink, WebMessage};
pub(crate) use nodes::node_figures;
pub use outbox::{MAX_OUTBOX, MAX_OUTBOX_BYTES};
pub use recordings::MAX_FETCHES;
pub use session::{
    ApplicationConfig, MAX_MESSAGE, MAX_PER_ADDRESS, MAX_SESSIONS, MAX_UNHANDLED, SUBPROTOCOL, SUBPROTOCOL_STRICT,
};
pub use status::StatusHandle;
use status::Witnesses;
pub(crate) use status::{Figure, STATUS_PATIENCE, StatusReport, hub_figures, opensips_figures};
use tls::Identity;
pub use tls::{TlsError, TlsFiles, check_authorities, check_identity};
pub use token::{BadSecret, MAX_SECRET, MAX_TOKENS, MIN_SECRET, SUBPROTOCOL_BEARER, Token};

/// Threads of the runtime: it passes on what others work at.
const THREADS: usize = 2;

/// What is sent at the end of a runtime may take so long.
pub(crate) const GOODBYE: Duration = Duration::from_millis(500);

/// How often it is looked whether the certificate has changed.
const LOOK_FOR_CERTIFICATE: Duration = Duration::from_secs(2);

/// Whose socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// The Call API's WebSocket.
    CallApi,
    /// Directory and registrations.
    Http,
    /// The native REST.
    Control,
    /// Media channels.
    Channels,
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CallApi => "call_api",
            Self::Http => "http",
            Self::Control => "control",
            Self::Channels => "channels",
        })
    }
}

/// Why the web does not start.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// A socket is in use.
    #[error("{service}: tcp:{address} is in use by another program")]
    InUse {
        /// Whose socket.
        service: Service,
        /// Which address.
        address: SocketAddr,
    },
    /// A socket cannot be opened for another reason.
    #[error("{service}: cannot listen on {listen}: {source}")]
    Listen {
        /// Whose socket.
        service: Service,
        /// As configured.
        listen: WebListen,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or its key, or the authorities of clients.
    #[error("{service}: {error}")]
    Tls {
        /// Whose.
        service: Service,
        /// What is wrong with it.
        #[source]
        error: TlsError,
    },
    /// Other hosts could open sessions of the strict dialect without a token.
    #[error(
        "call_api: {0} can be reached from other hosts, and the strict dialect wants tokens there: \
         configure call_api.tokens, or listen on localhost"
    )]
    Exposed(SocketAddr),
    /// More than [`MAX_TOKENS`].
    #[error("call_api: more than {MAX_TOKENS} tokens")]
    TooManyTokens,
    /// Other hosts could command the switch without proving who they are.
    #[error(
        "control: {0} can be reached from other hosts, and whoever asks there has to prove who it is: configure \
         control.grants with tokens or certificates, or listen on 127.0.0.1"
    )]
    OpenToAll(SocketAddr),
    /// More than [`MAX_TOKENS`] tokens or certificates.
    #[error("control: more than {MAX_TOKENS} tokens or certificates")]
    TooManyGrants,
    /// There are certificates of clients, and nothing to check them by.
    #[error("control: certificates of clients need control.tls and control.client_ca")]
    NoClientAuthority,
}

/// Sockets that are bound and do not serve yet, and what is to be served on them.
pub(crate) struct WebSockets {
    application: Option<Application>,
    http: Option<Plain>,
    channels: Option<Plain>,
    control: Option<Control>,
}

impl WebSockets {
    /// Binds what is configured, and checks everything that can be wrong with it.
    pub(crate) fn open(
        application: Option<ApplicationConfig>,
        http: Option<HttpConfig>,
        channels: Option<HttpConfig>,
        control: Option<ControlConfig>,
    ) -> Result<Self, WebError> {
        let application = application.map(open_application).transpose()?;
        let http = http.map(|config| open_plain(Service::Http, config)).transpose()?;
        let channels = channels.map(|config| open_plain(Service::Channels, config)).transpose()?;
        let control = control.map(open_control).transpose()?;
        Ok(Self { application, http, channels, control })
    }

    /// Whether there is nothing to serve.
    pub(crate) const fn is_empty(&self) -> bool {
        self.application.is_none() && self.http.is_none() && self.channels.is_none() && self.control.is_none()
    }

    /// What is bound for the Call API.
    pub(crate) fn call_api(&self) -> Vec<SocketAddr> {
        let bound = self.application.as_ref().map_or(&[][..], |(_, bound, _)| bound);
        bound.iter().map(Bound::address).collect()
    }

    /// What is bound for HTTP.
    pub(crate) fn http(&self) -> Vec<SocketAddr> {
        let bound = self.http.as_ref().map_or(&[][..], |(_, bound)| bound);
        bound.iter().map(Bound::address).collect()
    }

    /// What is bound for media channels.
    pub(crate) fn channels(&self) -> Vec<SocketAddr> {
        let bound = self.channels.as_ref().map_or(&[][..], |(_, bound)| bound);
        bound.iter().map(Bound::address).collect()
    }

    /// What is bound for the native REST.
    pub(crate) fn control(&self) -> Vec<SocketAddr> {
        let bound = self.control.as_ref().map_or(&[][..], |(_, bound, _)| bound);
        bound.iter().map(Bound::address).collect()
    }
}

type Application = (ApplicationConfig, Vec<Bound>, Option<Arc<Identity>>);

fn open_application(config: ApplicationConfig) -> Result<Application, WebError> {
    if config.tokens.len() > MAX_TOKENS {
        return Err(WebError::TooManyTokens);
    }
    let identity = open_identity(Service::CallApi, config.tls.clone(), None)?;
    let bound = bind(Service::CallApi, &config.listen)?;
    if let Some(exposed) = bound.iter().map(Bound::address).find(|address| config.is_exposed([address.ip()])) {
        return Err(WebError::Exposed(exposed));
    }
    Ok((config, bound, identity))
}

type Plain = (HttpConfig, Vec<Bound>);

fn open_plain(service: Service, config: HttpConfig) -> Result<Plain, WebError> {
    let bound = bind(service, &config.listen)?;
    Ok((config, bound))
}

type Control = (ControlConfig, Vec<Bound>, Option<Arc<Identity>>);

fn open_control(config: ControlConfig) -> Result<Control, WebError> {
    config.check()?;
    let identity = open_identity(Service::Control, config.tls.clone(), config.client_ca.clone())?;
    let bound = bind(Service::Control, &config.listen)?;
    if let Some(exposed) = bound.iter().map(Bound::address).find(|address| config.is_exposed([address.ip()])) {
        return Err(WebError::OpenToAll(exposed));
    }
    Ok((config, bound, identity))
}

fn open_identity(
    service: Service,
    files: Option<TlsFiles>,
    clients: Option<PathBuf>,
) -> Result<Option<Arc<Identity>>, WebError> {
    let identity = files.map(|files| Identity::open(files, clients)).transpose();
    identity.map_err(|error| WebError::Tls { service, error })
}

fn bind(service: Service, listen: &WebListen) -> Result<Vec<Bound>, WebError> {
    listen.bind().map_err(|(address, source)| match source.kind() {
        io::ErrorKind::AddrInUse => WebError::InUse { service, address },
        _ => WebError::Listen { service, listen: listen.clone(), source },
    })
}

/// The way from the web into the loop behind it.
#[derive(Clone)]
pub(crate) struct Gateway {
    sink: Arc<dyn Sink>,
    next_session: Arc<AtomicU64>,
    sessions: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    /// Bytes of request bodies that may be held at once, in KiB.
    bodies: Arc<Semaphore>,
    /// Handshakes refused for want of a token.
    unauthorized: Arc<AtomicU64>,
    /// The log that sessions may follow.
    journal: Option<JournalHandle>,
}

/// What serves the connections.
pub(crate) enum Host {
    /// Threads of the web's own: the loop behind it has better things to do.
    Own(Runtime),
    /// The thread of the loop itself, so that no message has to wait for another thread to wake up. That thread lets the
    /// sessions say goodbye at the end ([`Web::all_ended`]).
    Guest(Handle),
}

impl Host {
    /// Threads of the web's own.
    pub(crate) fn own() -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("web").enable_all().build().map(Self::Own)
    }

    fn handle(&self) -> &Handle {
        match self {
            Self::Own(runtime) => runtime.handle(),
            Self::Guest(handle) => handle,
        }
    }
}

/// Who may come in where, and the addresses of the listeners.
#[derive(Default)]
struct Doors {
    application: Option<(Arc<session::Door>, Vec<SocketAddr>)>,
    control: Option<(Arc<control::Gate>, Vec<SocketAddr>)>,
}

/// The listeners and everything that runs for them.
pub(crate) struct Web {
    host: Option<Host>,
    sessions: Arc<Semaphore>,
    max_sessions: u32,
    identities: Vec<Arc<Identity>>,
    doors: Doors,
    unauthorized: Arc<AtomicU64>,
    /// Dropped last: what the listeners have noted is written then.
    audit: Option<Audit>,
}

impl Web {
    /// Serves on sockets that are already bound, for the loop that reads `sink` and drives the carrier of this name.
    /// The media threads are only for `/metrics`, the log of events for the control listener.
    pub(crate) fn start(
        sink: Arc<dyn Sink>,
        carrier: &'static str,
        sockets: WebSockets,
        media: Option<Weak<MediaPlane>>,
        journal: Option<JournalHandle>,
        host: Host,
    ) -> io::Result<Self> {
        let runtime = host.handle();
        let max_sessions = sockets.application.as_ref().map_or(0, |(config, ..)| config.max_sessions);
        let max_sessions = u32::try_from(max_sessions).unwrap_or(u32::MAX);
        let gateway = Gateway {
            sink: Arc::clone(&sink),
            next_session: Arc::new(AtomicU64::new(1)),
            sessions: Arc::new(Semaphore::new(max_sessions as usize)),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            bodies: Arc::new(Semaphore::new(http::MAX_BODIES_KIB)),
            unauthorized: Arc::default(),
            journal: journal.clone(),
        };
        let sessions = Arc::clone(&gateway.sessions);
        let unauthorized = Arc::clone(&gateway.unauthorized);
        let (mut identities, mut audit, mut doors) = (Vec::new(), None, Doors::default());
        let entered = runtime.enter();
        if let Some((config, bound, tls)) = sockets.application {
            let terms = config.terms(tls.clone());
            let door = Arc::new(session::Door::new(&config));
            doors.application = Some((Arc::clone(&door), bound.iter().map(Bound::address).collect()));
            serve(runtime, session::router(gateway.clone(), config, door), bound, &terms)?;
            identities.extend(tls);
        }
        let mut loops = vec![StatusHandle::new(carrier, sink).counting(&gateway.unauthorized)];
        loops.extend(sockets.http.iter().flat_map(|(config, _)| &config.also).cloned());
        let webhooks = sockets.control.as_ref().map(|(config, ..)| config.webhooks.clone());
        let witnesses = Witnesses { takes: Takes::Calls, loops, media, webhooks };
        if let Some((config, bound)) = sockets.http {
            serve(
                runtime,
                http::router(gateway.clone(), witnesses.clone(), config.door.clone()),
                bound,
                &config.terms(),
            )?;
        }
        if let Some((config, bound)) = sockets.channels {
            serve(runtime, http::channels(gateway.clone(), witnesses.clone(), config.clone()), bound, &config.terms())?;
        }
        if let Some((config, bound, tls)) = sockets.control {
            audit = config.audit.clone().map(Audit::start).transpose()?;
            let noter = audit.as_ref().map(Audit::noter);
            if let (Some(noter), Some(journal)) = (&noter, &journal) {
                runtime.spawn(control::follow(journal.clone(), noter.clone()));
            }
            let counted = Arc::clone(&gateway.unauthorized);
            let gate = Arc::new(control::Gate::new(&config, noter, Clock::start(), counted));
            doors.control = Some((Arc::clone(&gate), bound.iter().map(Bound::address).collect()));
            let files = control::Files::new(&config)?;
            let router = control::router(gateway, &config, (witnesses, files), journal, gate);
            serve(runtime, router, bound, &config.terms(tls.clone()))?;
            identities.extend(tls);
        }
        for identity in &identities {
            runtime.spawn(look_after(Arc::clone(identity)));
        }
        drop(entered);
        Ok(Self { host: Some(host), sessions, max_sessions, identities, doors, unauthorized, audit })
    }

    /// This loop as others may ask for it, with what its listener has counted.
    pub(crate) fn counted(&self, handle: StatusHandle) -> StatusHandle {
        handle.counting(&self.unauthorized)
    }

    /// Reads certificates and keys again, and opens the audit log anew. Connections stay as they are.
    pub(crate) fn reload(&self) {
        for identity in &self.identities {
            let identity = Arc::clone(identity);
            if let Some(host) = &self.host {
                host.handle().spawn_blocking(move || identity.refresh(true));
            }
        }
        if let Some(audit) = &self.audit {
            audit.reopen();
        }
    }

    /// Whether other tokens, grants and origins could be taken: as when the listeners were opened.
    pub(crate) fn check(
        &self,
        application: Option<&ApplicationConfig>,
        control: Option<&ControlConfig>,
    ) -> Result<(), WebError> {
        if let (Some((_, bound)), Some(config)) = (&self.doors.application, application) {
            if config.tokens.len() > MAX_TOKENS {
                return Err(WebError::TooManyTokens);
            }
            let exposed = bound.iter().find(|address| config.is_exposed([address.ip()]));
            exposed.map_or(Ok(()), |address| Err(WebError::Exposed(*address)))?;
        }
        if let (Some((_, bound)), Some(config)) = (&self.doors.control, control) {
            config.check()?;
            let exposed = bound.iter().find(|address| config.is_exposed([address.ip()]));
            exposed.map_or(Ok(()), |address| Err(WebError::OpenToAll(*address)))?;
        }
        Ok(())
    }

    /// Takes other tokens, grants and origins, which [`Web::check`] has found well. Connections stay as they are.
    pub(crate) fn admit(&self, application: Option<&ApplicationConfig>, control: Option<&ControlConfig>) {
        if let (Some((door, _)), Some(config)) = (&self.doors.application, application) {
            door.reload(config);
        }
        if let (Some((gate, _)), Some(config)) = (&self.doors.control, control) {
            gate.reload(config);
        }
    }

    /// Ends everything. Sessions whose outbox the loop has dropped are told that we go.
    pub(crate) fn stop(mut self) {
        self.finish();
    }

    /// Ends when every session has, or when saying goodbye has taken too long; no new ones begin after the first poll.
    pub(crate) fn all_ended(&self) -> impl Future<Output = ()> + Send + use<> {
        // Every session that ends leaves its place to us, and new ones find none.
        let (sessions, all) = (Arc::clone(&self.sessions), self.max_sessions);
        async move {
            let _ = tokio::time::timeout(GOODBYE, sessions.acquire_many(all)).await;
        }
    }

    fn finish(&mut self) {
        if let Some(Host::Own(runtime)) = self.host.take() {
            runtime.block_on(self.all_ended());
            runtime.shutdown_timeout(GOODBYE);
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.finish();
    }
}

async fn look_after(identity: Arc<Identity>) {
    loop {
        tokio::time::sleep(LOOK_FOR_CERTIFICATE).await;
        let identity = Arc::clone(&identity);
        // Files may lie far away.
        let _ = tokio::task::spawn_blocking(move || identity.refresh(false)).await;
    }
}

fn serve(runtime: &Handle, router: Router, sockets: Vec<Bound>, terms: &Terms) -> io::Result<()> {
    for socket in sockets {
        runtime.spawn(accept::serve(socket.into_listener()?, router.clone(), terms.clone()));
    }
    Ok(())
}
