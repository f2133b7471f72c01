//! The section `opensips`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An OpenSIPS whose calls the Call API controls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenSips {
    /// Where its Management Interface is: `udp:HOST:PORT` or `unix:/PATH` (mi_datagram), `http://HOST:PORT/mi` or
    /// `https://USER:PASSWORD@HOST/mi` (mi_http). A password is never shown again.
    pub mi: String,
    /// Where it answers requests over a UNIX socket: a path that it may write to. Default: a socket in a folder of our
    /// own, for an OpenSIPS of the same user or of root.
    pub mi_reply: Option<PathBuf>,
    /// A PEM file with certificate authorities to trust besides the system's, for `https`.
    pub mi_ca: Option<PathBuf>,
    /// Where its events arrive: `udp`, `udp:IP:PORT` or `unix:/PATH` (event_datagram), `tcp` or `tcp:IP:PORT`
    /// (event_stream). Without an address it is the one from which packets to it leave; port 0 is any free one.
    pub events: String,
    /// Where it is to send its events instead, if they have to take another way: `HOST`, `HOST:PORT`, or all of it as it
    /// writes sockets.
    pub advertise: Option<String>,
    /// The From of started calls, a SIP URI. Default: the caller's own address, so that its phone shows its owner
    /// calling.
    pub from: Option<String>,
    /// The Contact of started calls, a SIP URI. Default: the caller's own address.
    pub contact: Option<String>,
    /// Where the first INVITE of a started call is sent, a SIP URI. Default: to the caller's own address.
    pub next_hop: Option<String>,
    /// Whether it is asked for the state of every dialog. Off, started calls wait half a second before they are
    /// transferred, and calls of others go unnoticed.
    pub dialog_events: bool,
    /// Whether it is asked who talks in the calls that no command makes, once for each, for the native REST and call records.
    /// Off, they have neither caller nor callee.
    pub parties: bool,
    /// Domains whose phones register there: a call for a caller of theirs without a contact is refused at once. Empty:
    /// nobody is refused.
    pub registered_domains: Vec<String>,
    /// How long an answer to an ordinary request may take, in seconds.
    pub mi_timeout: u64,
    /// How long a party may ring, in seconds. Should be more than `fr_inv_timeout` of its tm module.
    pub ring_timeout: u64,
    /// How long a party that was asked to call somebody else may take to begin, in seconds.
    pub refer_timeout: u64,
    /// How long a party may take to answer that it is on hold, or off, in seconds.
    pub hold_timeout: u64,
    /// For how long events are subscribed to, in seconds.
    pub subscription_expiry: u64,
    /// How often a subscription is repeated, in seconds.
    pub subscription_refresh: u64,
    /// How often it is asked whether it is there, in seconds.
    pub health_time: u64,
    /// Most commands that run at once; more are refused.
    pub max_commands: usize,
    /// How long after a message from anybody the next one is looked for without sleeping, in milliseconds. Keeps a
    /// processor busy while messages come, and saves them the time that a sleeping thread takes to wake up. At most 1000.
    pub stay_awake: u64,
}

impl Default for OpenSips {
    fn default() -> Self {
        Self {
            mi: "udp:127.0.0.1:8080".into(),
            mi_reply: None,
            mi_ca: None,
            events: "udp".into(),
            advertise: None,
            from: None,
            contact: None,
            next_hop: None,
            dialog_events: true,
            parties: true,
            registered_domains: Vec::new(),
            mi_timeout: 3,
            ring_timeout: 120,
            refer_timeout: 10,
            hold_timeout: 35,
            subscription_expiry: 120,
            subscription_refresh: 40,
            health_time: 10,
            max_commands: 10_000,
            stay_awake: 0,
        }
    }
}

impl OpenSips {
    /// The address of the Management Interface without user and password.
    pub(super) fn shown_mi(&self) -> String {
        match (self.mi.split_once("://"), self.mi.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, place))) => format!("{scheme}://…@{place}"),
            _ => self.mi.clone(),
        }
    }
}
