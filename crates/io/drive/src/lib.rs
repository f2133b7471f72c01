//! The loops that join machines to sockets and clocks.
//!
//! Every loop is short and alike: wait, read the clock once, give what has arrived to a machine, take everything it
//! wants done, do it. All decisions are the machines'; all sockets, threads, clocks and files are here.
//!
//! ```text
//!   SIP sockets ─▶ ┌─────────────┐ ── MediaOp ──▶ ┌───────────────┐ ◀─▶ RTP sockets
//!               ◀─ │ shard thread│ ◀─ report ──── │ media threads │
//!   WebSocket,  ─▶ │             │                └───────────────┘
//!   HTTP (tokio)◀─ └─────────────┘ ── changes ──▶ store thread
//!                     │   │ └──────── events ──▶ journal thread ──▶ whoever reads them
//!                     │ look-up ▲
//!                     ▼  answer │
//!                   thread of names ◀─▶ name servers; the same for users, and for what comes next in a call, over HTTP
//! ```

#![forbid(unsafe_code)]

mod behaviour;
mod clock;
mod controllers;
mod discovery;
mod dns;
mod effort;
mod flow;
mod inbox;
pub mod journal;
mod kept;
mod key;
mod lines;
pub mod media;
mod nftables;
mod nodes;
pub mod opensips;
mod persist;
mod pii;
mod records;
mod reload;
mod sip;
mod status;
mod switch;
mod tap;
mod users;
mod web;
mod webhook;

pub use behaviour::{Behaviour, Filtering, Mapping, Question as NatQuestion, nat_behaviour};
pub use clock::Clock;
pub use controllers::MAX_CONTROLLER_REQUESTS;
pub use discovery::{StunConfig, ask_stun};
pub use dns::{DnsConfig, MAX_NAME_SERVERS, Names};
pub use flow::{FlowConfig, FlowServiceError, MAX_FLOW_QUESTIONS};
pub use hookswitch_store::{LOG_AHEAD_NAME, LOG_FILE_NAME};
pub use journal::{JournalConfig, JournalError, JournalHandle, JournalThread};
pub use kept::{MAX_UNNOTED, RECORDINGS_FILE};
pub use media::{
    BadSoundSource, FilesConfig, Lateness, MediaConfig, MediaIo, MediaPlane, MediaTotals, SoundSource, WebSoundsConfig,
    is_url,
};
pub use nftables::{MAX_FILTERED, NftablesConfig, is_nftables_name};
pub use nodes::{MAX_NODE_ANSWER, MAX_NODE_REQUESTS, NodesConfig};
pub use opensips::{LocalSession, OpenSipsFront, OpenSipsFrontConfig};
pub use persist::RestoreError;
pub use pii::{Pii, show_pii};
pub use records::{
    CallRecordsConfig, CallRecordsHandle, MAX_QUEUED, MAX_WAITING_BYTES, RETRY_AFTER, RecordFormat, SYNC_AFTER,
};
pub use reload::{ReloadError, ReloadHandle, ReloadReport, ReloadRequests, Reloaded, reload_requests};
pub use sip::{ClientCertificates, MAX_SHARD_QUEUE, MAX_SIP_SOCKETS, SipListen, SipTls};
pub use status::Phase;
pub use switch::{Addresses, StartError, StoreConfig, Switch, SwitchConfig};
pub use tap::{Direction, Tap};
pub use users::{BadUserUrl, Login, MAX_DOCUMENT, MAX_URL, UserServiceConfig, UserServiceError, UserUrl};
pub use web::{
    AUDIT_FILE, ApplicationConfig, BadSecret, BadWebListen, CarrierDesk, ControlConfig, Door, HttpConfig,
    MAX_AUDIT_QUEUE, MAX_BODY, MAX_CONTROL_BODY, MAX_CONTROL_CONNECTIONS, MAX_CONTROL_PER_ADDRESS, MAX_FETCHES,
    MAX_HEAD, MAX_HTTP_CONNECTIONS, MAX_MESSAGE, MAX_OUTBOX, MAX_OUTBOX_BYTES, MAX_PER_ADDRESS, MAX_REQUESTS,
    MAX_SECRET, MAX_SESSIONS, MAX_TOKENS, MAX_UNHANDLED, MIN_SECRET, SUBPROTOCOL, SUBPROTOCOL_BEARER,
    SUBPROTOCOL_STRICT, Service, StatusHandle, TlsError, TlsFiles, Token, WebError, WebListen, check_authorities,
    check_identity,
};
pub use webhook::{
    BadWebhookSecret, BadWebhookUrl, CallWebhookError, CallWebhooksConfig, EndpointConfig, MAX_CALL_WEBHOOKS,
    MAX_WEBHOOK_ANSWER, MAX_WEBHOOK_SECRETS, MAX_WEBHOOK_URL, MAX_WEBHOOKS, WebhookAbout, WebhookHandle, WebhookSecret,
    WebhookUrl, Webhooks, WebhooksConfig, WebhooksError,
};
