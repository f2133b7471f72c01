//! The control listener: the native REST, its events and its documents for whoever may use them.
//!
//! ```text
//!   request ─▶ gate: page? host? who? how often? which scope? ─▶ health, metrics, documents
//!                 │ refused: a problem document               ├─▶ events
//!                 ▼                                           └─▶ desk ─▶ the loop behind it
//!               audit log ◀──────────── what came of it ◀──────────────────┘
//! ```

mod audit;
mod carriers;
mod desk;
mod ends;
mod files;
mod gate;
mod origins;
mod own;
mod pages;
mod problem;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use compact_str::CompactString;
use hookswitch_dialect::access::Grant;

use super::accept::{PerAddress, Places, Terms};
use super::events::{self, MAX_EVENT_READERS};
use super::status::Witnesses;
use super::tls::{Identity, TlsFiles};
use super::token::{MAX_TOKENS, Token};
use super::{Door, Gateway, MAX_BODY, WebError, WebListen, http};
use crate::journal::JournalHandle;
use crate::nodes::NodesConfig;
use crate::reload::ReloadHandle;
use crate::webhook::WebhookHandle;
pub(super) use audit::Audit;
pub use audit::{AUDIT_FILE, MAX_AUDIT_QUEUE};
pub use carriers::CarrierDesk;
pub(super) use ends::follow;
pub(super) use files::Files;
pub(super) use gate::{Gate, own_host};

/// Connections at once, by default; beyond, they are closed.
pub const MAX_CONTROL_CONNECTIONS: usize = 4_096;

/// Connections from one other host, by default.
pub const MAX_CONTROL_PER_ADDRESS: usize = 1_024;

/// Longest request body by default, in bytes. Most resources take less.
pub const MAX_CONTROL_BODY: usize = MAX_BODY;

/// How long nothing may move on a connection on which something is wanted: whoever sends events sends something more often.
const STALL: Duration = Duration::from_secs(75);

/// Longest head of a request, in bytes.
pub const MAX_HEAD: usize = 32 * 1024;

/// The control listener.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Where to listen. Default `127.0.0.1:9001`.
    pub listen: WebListen,
    /// Whoever asks has to show one of these, or a certificate of [`ControlConfig::certificates`], unless there are
    /// neither. Default none. At most [`MAX_TOKENS`](crate::MAX_TOKENS).
    pub tokens: Vec<Token<Grant>>,
    /// Who is known by a name in its certificate: DNS names and addresses of mail in lower case. Default none.
    pub certificates: Vec<(CompactString, Arc<Grant>)>,
    /// What may be done by everybody where there are neither tokens nor certificates. Default everything.
    pub anybody: Arc<Grant>,
    /// Certificate and key, for `https:`. Default none: in the clear.
    pub tls: Option<TlsFiles>,
    /// PEM: the authorities that the certificates of clients are signed by. Clients are asked for one where this is set.
    /// Of no use without [`ControlConfig::tls`]. Default none.
    pub client_ca: Option<PathBuf>,
    /// The web pages of other origins that may ask; `*` means all. Default none.
    pub origins: Vec<CompactString>,
    /// Longest request body, in bytes. Default [`MAX_CONTROL_BODY`], at most [`MAX_BODY`].
    pub max_body: usize,
    /// Connections at once. Default [`MAX_CONTROL_CONNECTIONS`].
    pub max_connections: usize,
    /// Connections from one address. Default [`MAX_CONTROL_PER_ADDRESS`] from other hosts, no such limit from this one.
    pub max_per_address: Option<NonZeroUsize>,
    /// How long a connection of which nothing is wanted may stay, and how long the head of a request and the handshake of
    /// TLS may take. Default 30 s.
    pub idle_timeout: Duration,
    /// How long a body may take to arrive. Default 30 s.
    pub body_time: Duration,
    /// Where every request that changes something is noted. Default nowhere.
    pub audit: Option<PathBuf>,
    /// Who may tell something as a node of ours. Default none: nobody is listened to.
    pub nodes: Option<Door>,
    /// What can be asked about at `/v1/webhooks`. Default none.
    pub webhooks: WebhookHandle,
    /// The folder of recordings, for those who fetch them. Default none: only nodes have any.
    pub recordings: Option<PathBuf>,
    /// How media nodes are asked for recordings that they have written. Default not at all.
    pub ask_nodes: Option<NodesConfig>,
    /// Who reads the configuration again at `POST /v1/reload`. Default nobody.
    pub reload: Option<ReloadHandle>,
    /// Who answers for the calls that an OpenSIPS carries. Default nobody: there are none.
    pub beyond: Option<CarrierDesk>,
}

impl ControlConfig {
    /// Everything at its default, on this address.
    #[must_use]
    pub fn new(listen: WebListen) -> Self {
        Self {
            listen,
            tokens: Vec::new(),
            certificates: Vec::new(),
            anybody: Arc::new(Grant::everything()),
            tls: None,
            client_ca: None,
            origins: Vec::new(),
            max_body: MAX_CONTROL_BODY,
            max_connections: MAX_CONTROL_CONNECTIONS,
            max_per_address: None,
            idle_timeout: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            audit: None,
            nodes: None,
            webhooks: WebhookHandle::default(),
            recordings: None,
            ask_nodes: None,
            reload: None,
            beyond: None,
        }
    }

    /// Whether everybody who reaches it may use it.
    pub(super) fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.certificates.is_empty()
    }

    /// Whether it could be used by anybody who reaches one of these addresses from another host.
    pub(super) fn is_exposed(&self, addresses: impl IntoIterator<Item = IpAddr>) -> bool {
        self.is_open() && addresses.into_iter().any(|address| !address.to_canonical().is_loopback())
    }

    /// What can be wrong with it before anything is bound.
    pub(super) fn check(&self) -> Result<(), WebError> {
        if self.tokens.len() > MAX_TOKENS || self.certificates.len() > MAX_TOKENS {
            return Err(WebError::TooManyGrants);
        }
        if !self.certificates.is_empty() && (self.client_ca.is_none() || self.tls.is_none()) {
            return Err(WebError::NoClientAuthority);
        }
        Ok(())
    }

    pub(super) fn terms(&self, tls: Option<Arc<Identity>>) -> Terms {
        let per_address = self
            .max_per_address
            .map_or(PerAddress::Others(MAX_CONTROL_PER_ADDRESS), |limit| PerAddress::All(limit.get()));
        Terms {
            places: Places::new(self.max_connections, per_address),
            idle: STALL.max(self.body_time),
            head: self.idle_timeout,
            head_bytes: Some(MAX_HEAD),
            tls,
        }
    }
}

/// Everything that is answered on the control listener.
pub(super) fn router(
    gateway: Gateway,
    config: &ControlConfig,
    (witnesses, files): (Witnesses, Files),
    journal: Option<JournalHandle>,
    gate: Arc<Gate>,
) -> Router {
    let nodes = config.nodes.clone().map_or_else(Router::new, |door| http::nodes(&gateway, door));
    let own = own::Own { reload: config.reload.clone(), webhooks: config.webhooks.clone() };
    let desks = carriers::Desks::new(Arc::clone(&gateway.sink), config.beyond.clone());
    let max_body = config.max_body.min(MAX_BODY);
    let desk = desk::router(desk::Desk { gateway, desks, files, own, max_body, body_time: config.body_time });
    let events = journal.map_or_else(Router::new, |journal| events::router(journal, MAX_EVENT_READERS));
    pages::router(witnesses).merge(events).merge(desk).layer(from_fn_with_state(gate, gate::pass)).merge(nodes)
}
