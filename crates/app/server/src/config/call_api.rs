//! The section `call_api`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Call API listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallApi {
    /// `HOST:PORT`; `localhost` listens on 127.0.0.1 and ::1. Without `tokens`, whoever reaches it can end any call, and so
    /// it has to be an address of this host alone, unless `open` says otherwise.
    pub listen: String,
    /// Path of the WebSocket.
    pub path: String,
    /// `original`: as the original daemon; `strict`: JSON-RPC 2.0 to the letter, and tokens wherever other hosts can
    /// connect. A client may choose strict with the subprotocol `call-api.strict`.
    pub compat: Compat,
    /// What happens to calls that are being made when their client leaves: `keep` or `end`.
    pub on_disconnect: Disconnect,
    /// Whether errors carry the member `reason` (stage, code, text, fault).
    pub reason: bool,
    /// Web pages that may connect, by Origin. Empty: all in `original`, none in `strict`.
    pub allowed_origins: Vec<String>,
    /// Certificate and key, for `wss:`. Default: none, in the clear.
    pub tls: Option<Tls>,
    /// Who may connect: with the header `Authorization: Bearer SECRET`, or, from a web page, with the subprotocols
    /// `call-api` and `bearer.SECRET`. Empty: everybody.
    pub tokens: Vec<Token>,
    /// Whether other hosts may connect without a token, for clients of the original, which have none: only in a network
    /// of your own, and not with `compat: strict`.
    pub open: bool,
    /// Most sessions at once; more are answered 503.
    pub max_sessions: usize,
    /// Most connections from one address. Default: 250 from other hosts, no such limit from this one.
    pub max_per_address: Option<usize>,
    /// Most commands that run at once in one session.
    pub max_in_flight: usize,
    /// Most requests of one session in a second, twice as many in a burst; more are refused. Default: no limit.
    pub rate: Option<u32>,
    /// Longest message, in bytes, at most 65536; a longer one ends its session.
    pub max_message: usize,
    /// Time between two pings, in seconds; a client that leaves two unanswered is disconnected.
    pub ping_time: u64,
    /// How long a handshake may take, that of TLS and that of the WebSocket each, in seconds.
    pub handshake_time: u64,
}

impl Default for CallApi {
    fn default() -> Self {
        Self {
            listen: "localhost:5059".into(),
            path: "/call-api".into(),
            compat: Compat::Original,
            on_disconnect: Disconnect::Keep,
            reason: true,
            allowed_origins: Vec::new(),
            tls: None,
            tokens: Vec::new(),
            open: false,
            max_sessions: 1_000,
            max_per_address: None,
            max_in_flight: 1_024,
            rate: None,
            max_message: 65_536,
            ping_time: 30,
            handshake_time: 10,
        }
    }
}

/// Certificate and key. Files that change are read again within seconds, and on SIGHUP at once; connections stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file: the certificate, followed by those that lead to a root.
    pub certificate: PathBuf,
    /// PEM file: its private key.
    pub key: PathBuf,
}

/// One token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Token {
    /// What it is called in logs. All sessions with this token share its limits.
    pub name: String,
    /// The secret, or better `env:NAME` for the environment variable that holds it or `file:PATH` for the file that
    /// does: 16 to 512 letters, digits and `-._~+/=`; those with `/` or `=` cannot come from web pages. Never shown again.
    pub secret: Option<String>,
    /// A file with the secret instead, on one line.
    pub secret_file: Option<PathBuf>,
    /// The methods that its bearer may use. Default: all.
    pub commands: Option<Vec<String>>,
    /// Addresses that may be called as caller, as written in the request; `*` stands for anything:
    /// `sip:*@example.test`. Empty: anybody.
    pub callers: Vec<String>,
    /// Addresses that may be called as callee or as destination of a transfer. Empty: anybody.
    pub callees: Vec<String>,
    /// Most commands that run at once in all its sessions together. Default: no limit but that of each session.
    pub max_in_flight: Option<usize>,
    /// Most requests in a second in all its sessions together, twice as many in a burst. Default: no limit.
    pub rate: Option<u32>,
}

/// How closely the Call API follows the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// As the original daemon, wherever a client could depend on it.
    Original,
    /// JSON-RPC 2.0 to the letter.
    Strict,
}

/// What a client's leaving means for the calls it is making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Disconnect {
    /// They go on.
    Keep,
    /// They end.
    End,
}
