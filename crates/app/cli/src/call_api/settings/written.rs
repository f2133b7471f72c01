//! A configuration file as it is written: every section and every key may be missing or empty.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Deserialize;

use super::super::span::Span;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
pub struct Written {
    /// The WebSocket: where the daemon listens and where the client connects.
    pub ws_server: Option<WsServer>,
    /// The Management Interface of OpenSIPS.
    pub mi: Option<Mi>,
    /// Its Event Interface.
    pub evi: Option<Evi>,
    /// SIP.
    pub sip: Option<Sip>,
    /// What OpenSIPS is told about calls.
    pub opensips: Option<Opensips>,
    /// How long things may take.
    pub timeouts: Option<Timeouts>,
    /// Status pages of the daemon.
    pub http: Option<Http>,
    /// What only `call-api-client` reads.
    pub client: Option<Client>,
    /// Log lines.
    pub log: Option<LogSection>,
}

/// `ws_server`.
#[derive(Debug, Default, Deserialize)]
pub struct WsServer {
    /// Host name or address. Default `localhost`, which means 127.0.0.1 and ::1.
    pub host: Option<String>,
    /// TCP port. Default 5059.
    pub port: Option<u16>,
    /// Path of the WebSocket. Default `/call-api`.
    pub http_path: Option<String>,
    /// Makes it wss.
    pub tls: Option<Tls>,
    /// Who may use it. Without this, whoever reaches it.
    pub auth: Option<Auth>,
    /// Web pages that may connect, by Origin. Default: all in `original`, none in `strict`.
    pub allowed_origins: Option<Vec<String>>,
    /// `original` (default) or `strict`.
    pub compat: Option<String>,
    /// What a client's leaving means for the calls that it is making: `keep` (default) or `end`.
    pub on_disconnect: Option<String>,
    /// Whether errors carry the member `reason`. Default true.
    pub reason: Option<bool>,
    /// Most sessions at once. Default 1,000.
    pub max_sessions: Option<usize>,
    /// Most connections from one address. Default: 250 from other hosts, any number from this one.
    pub max_per_address: Option<NonZeroUsize>,
    /// Most commands that run at once in one session. Default 1,024.
    pub max_in_flight: Option<usize>,
    /// Most requests of one session in a second, twice as many in a burst. Default: any number.
    pub rate: Option<u32>,
    /// Longest message, in bytes. Default and most: 65,536.
    pub max_message: Option<usize>,
}

/// `ws_server.tls`.
#[derive(Debug, Deserialize)]
pub struct Tls {
    /// Certificate and its chain, in PEM.
    pub certificate: PathBuf,
    /// Private key, in PEM.
    pub key: PathBuf,
}

/// `ws_server.auth`.
#[derive(Debug, Default, Deserialize)]
pub struct Auth {
    /// Bearer tokens; a client without one of them is turned away with 401.
    pub tokens: Option<Vec<Token>>,
}

/// One of `ws_server.auth.tokens`. Exactly one of the two secrets is given.
#[derive(Debug, Deserialize)]
pub struct Token {
    /// Name for the log.
    pub name: String,
    /// The token itself.
    pub secret: Option<String>,
    /// A file that holds it.
    pub secret_file: Option<PathBuf>,
    /// Commands that it may use. Default: all.
    pub commands: Option<Vec<String>>,
    /// Patterns of callers, in which `*` stands for anything. Default: all.
    pub callers: Option<Vec<String>>,
    /// Patterns of callees and of transfer destinations. Default: all.
    pub callees: Option<Vec<String>>,
    /// Most commands that run at once.
    pub max_in_flight: Option<usize>,
    /// Most requests per second.
    pub rate: Option<u32>,
}

/// `mi`.
#[derive(Debug, Default, Deserialize)]
pub struct Mi {
    /// `HOST:PORT`; also `udp:HOST:PORT`, `unix:/PATH`, `http://[USER:PASSWORD@]HOST:PORT/mi`, `https://…`.
    pub url: Option<String>,
    /// What a `url` without a scheme means: `udp` (default), `unix`, `http` or `https`.
    pub transport: Option<String>,
    /// How long an answer may take. Default 3 s.
    pub timeout: Option<Span>,
    /// How often OpenSIPS is asked whether it is there. Default 10 s.
    pub health: Option<Span>,
    /// Where OpenSIPS answers requests over a UNIX socket: a path that it may write to. Default: a socket in a folder of
    /// our own, which suits an OpenSIPS of the same user or of root.
    pub reply: Option<PathBuf>,
    /// Certificates to trust with `https` beside those of the system, in PEM.
    pub ca: Option<PathBuf>,
}

/// `evi`.
#[derive(Debug, Default, Deserialize)]
pub struct Evi {
    /// `udp`, `udp:ADDRESS:PORT`, `unix:/PATH`, `tcp` or `tcp:ADDRESS:PORT`; port 0 is any. Default `udp`: the address from
    /// which OpenSIPS is reached.
    pub listen: Option<String>,
    /// Where OpenSIPS is told to send events, when it sees us by another address: `HOST`, `HOST:PORT`, or a whole socket
    /// as OpenSIPS writes them.
    pub advertise: Option<String>,
    /// For how long events are subscribed to. Default 120 s.
    pub expiry: Option<Span>,
    /// How often a subscription is repeated. Default 40 s.
    pub refresh: Option<Span>,
}

/// `sip`.
#[derive(Debug, Default, Deserialize)]
pub struct Sip {
    /// Where the first INVITE of a CallStart is sent, if not where the caller's address leads.
    pub uri: Option<String>,
}

/// `opensips`.
#[derive(Debug, Default, Deserialize)]
pub struct Opensips {
    /// From of the first leg. Default: the caller itself.
    pub from: Option<String>,
    /// Contact of the first leg. Default: the caller itself.
    pub contact: Option<String>,
    /// Whether to ask for the events of all dialogs. Default true.
    pub dialog_events: Option<bool>,
    /// Domains whose callers must have registered: others are refused before anybody is rung. Default: none.
    pub registered_domains: Option<Vec<String>>,
    /// Most commands that run at once. Default 10,000.
    pub max_commands: Option<usize>,
    /// How long after a message from anybody the next one is looked for without sleeping, at most 1 s. Default 0.
    pub stay_awake: Option<Span>,
}

/// `timeouts`.
#[derive(Debug, Default, Deserialize)]
pub struct Timeouts {
    /// How long a party may ring. Default 120 s.
    pub ring: Option<Span>,
    /// How long a phone may take to begin a transfer. Default 10 s.
    pub refer: Option<Span>,
    /// How long a party may take to be on hold, or off. Default 35 s.
    pub hold: Option<Span>,
    /// How long SIGTERM waits for running commands. Default 60 s.
    pub drain: Option<Span>,
}

/// `http`.
#[derive(Debug, Default, Deserialize)]
pub struct Http {
    /// `HOST:PORT` for `/health` and `/metrics`. Default: none.
    pub listen: Option<String>,
}

/// `client`.
#[derive(Debug, Default, Deserialize)]
pub struct Client {
    /// Bearer token.
    pub token: Option<String>,
    /// Certificates to trust beside those of the system, in PEM.
    pub ca: Option<PathBuf>,
    /// As `-timeout`. Default 5 minutes.
    pub timeout: Option<Span>,
}

/// `log`.
#[derive(Debug, Default, Deserialize)]
pub struct LogSection {
    /// A file instead of standard error.
    pub file_path: Option<PathBuf>,
    /// `DEBUG`, `INFO`, `WARN` or `ERROR`, in any case. Default info.
    pub level: Option<String>,
    /// Whether addresses and numbers of people are written. Default false.
    pub pii: Option<bool>,
}
