//! What a backend is told at the start.

use std::time::Duration;

use compact_str::CompactString;

/// How requests reach OpenSIPS, as far as it matters to what is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MiKind {
    /// `mi_datagram`, over UDP or a UNIX socket: requests and replies may be lost.
    #[default]
    Datagram,
    /// `mi_http`: every request gets an answer or an error of its connection.
    Http,
}

/// What an [`OpenSips`](crate::OpenSips) is told at the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How requests travel. Datagrams by default.
    pub mi: MiKind,
    /// Where OpenSIPS sends its events, as it writes sockets: `udp:192.0.2.1:49136`,
    /// `unix:/run/hookswitch/events`, `tcp:192.0.2.1:5071`. No default that works elsewhere.
    pub event_socket: CompactString,
    /// Where the first INVITE of a started call is sent, if not to the caller's own address.
    pub next_hop: Option<CompactString>,
    /// The From of started calls. By default the caller's own address, so that its phone shows its owner calling.
    pub from: Option<CompactString>,
    /// The Contact of started calls. By default the caller's own address.
    pub contact: Option<CompactString>,
    /// Whether events about the state of every dialog are asked for. On by default; off makes a started call wait
    /// [`READY_AFTER`](crate::READY_AFTER) before its transfer, and calls of others go unnoticed.
    pub dialog_events: bool,
    /// Whether it is asked who talks in the calls that no command makes, once for each. Off by default: the Call API tells
    /// nobody's parties.
    pub parties: bool,
    /// Domains whose phones register with this OpenSIPS: a call to be started for a user of theirs who has no contact
    /// in `location` is refused before anybody is rung. Empty by default, which asks nothing: a proxy may reach callers
    /// that never registered.
    pub registered_domains: Vec<CompactString>,
    /// How long an answer to an ordinary request may take. 3 s by default.
    pub mi_timeout: Duration,
    /// How long a party may ring. 120 s by default, which is above OpenSIPS's own `fr_inv_timeout`.
    pub ring_timeout: Duration,
    /// How long a party that was asked to call somebody else may take to begin. 10 s by default.
    pub refer_timeout: Duration,
    /// How long a party may take to answer that it is on hold, or off. 35 s by default.
    pub hold_timeout: Duration,
    /// For how long events are subscribed to. 120 s by default.
    pub subscription_expiry: Duration,
    /// How often a subscription is repeated. 40 s by default.
    pub subscription_refresh: Duration,
    /// How often OpenSIPS is asked whether it is there. 10 s by default.
    pub health_every: Duration,
    /// Most commands that run at once. 10,000 by default.
    pub max_commands: usize,
    /// Most calls that are known at once, those of others included, which go unnoticed beyond that. 100,000 by default.
    pub max_calls: usize,
    /// The first of the numbers that name calls within this node. Where it has calls of its own as well:
    /// [`CallId::FIRST_BEYOND`](hookswitch_call::CallId::FIRST_BEYOND) and the time of the start, so that no two calls, also of
    /// different starts, have the same name.
    pub first_call: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mi: MiKind::Datagram,
            event_socket: CompactString::const_new("udp:127.0.0.1:0"),
            next_hop: None,
            from: None,
            contact: None,
            dialog_events: true,
            parties: false,
            registered_domains: Vec::new(),
            mi_timeout: Duration::from_secs(3),
            ring_timeout: Duration::from_secs(120),
            refer_timeout: Duration::from_secs(10),
            hold_timeout: Duration::from_secs(35),
            subscription_expiry: Duration::from_secs(120),
            subscription_refresh: Duration::from_secs(40),
            health_every: Duration::from_secs(10),
            max_commands: 10_000,
            max_calls: 100_000,
            first_call: 1,
        }
    }
}
