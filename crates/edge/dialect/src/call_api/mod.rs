//! The Call API dialect: JSON-RPC 2.0 over WebSocket, commands that report their progress.
//!
//! ```text
//! request ok ── Started ──┬─ progress … ── success ─────────────── Ended
//!                         └─ progress … ── Error(data, reason) ─── Ended
//! ```
//!
//! [`Hub`] holds all sessions. [`COMMANDS`] lists the commands, one file each; [`EventName`] the
//! names of all notifications. Compatibility with the original daemon and the stricter manner for
//! new clients are one [`Mode`] per session.

mod access;
mod call_id;
mod command;
mod envelope;
mod event_name;
mod follow_log;
mod headers;
mod hold;
mod holder;
mod hub;
mod idempotency;
mod ids;
mod intake;
mod mode;
mod names;
mod notice;
mod params;
mod reply;
mod task;
mod transfer;

mod call_attended_transfer;
mod call_blind_transfer;
mod call_cancel;
mod call_end;
mod call_hold;
mod call_start;
mod call_unhold;
mod echo;
mod subscribe;
mod test;
mod unsubscribe;

pub use crate::access::Pattern;
pub use access::{Access, Admission};
pub use command::{COMMANDS, CommandRow, Modes};
pub use event_name::EventName;
pub use follow_log::{LogLost, LogOrder};
pub use headers::{MAX_HEADERS, MAX_HEADERS_BYTES};
pub use hub::{Config, Counts, Hub, HubOutput, OnDisconnect, SessionId, Tag, TooManySessions};
pub use idempotency::{KEEP_KEYS, MAX_KEY};
pub use mode::{Mode, Origins, STRICT_SUBPROTOCOL};
pub use params::{Kind, Param};
pub use reply::logged;

use std::time::Duration;

/// Longest message of a client, in bytes, unless configured otherwise ([`Config::max_message`]). A
/// longer one closes its connection with [`CLOSE_TOO_BIG`]; the socket layer applies the same limit
/// while it reads.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Longest `cmd_id` of a client, in bytes: every notification repeats it.
pub const MAX_CMD_ID: usize = 1_024;

/// Most requests in one batch (`strict` only).
pub const MAX_BATCH: usize = 64;

/// How often the socket layer pings a client.
pub const PING_EVERY: Duration = Duration::from_secs(30);

/// After how many pings without an answer the socket layer closes a connection.
pub const MISSED_PONGS: u32 = 2;

/// Close code for a kind of data that is not accepted (RFC 6455 section 7.4.1).
pub const CLOSE_UNSUPPORTED: u16 = 1003;

/// Close code for a message that is not valid UTF-8 (RFC 6455 section 7.4.1).
pub const CLOSE_BAD_TEXT: u16 = 1007;

/// Close code for a message beyond [`Config::max_message`] (RFC 6455 section 7.4.1).
pub const CLOSE_TOO_BIG: u16 = 1009;
