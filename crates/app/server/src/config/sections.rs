//! The sections of the configuration file.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SipTls;

/// The SIP side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// Sockets, each `udp:ADDRESS:PORT`, or with `tcp`, `tls`, `ws` or `wss` in its place; IPv6 addresses in
    /// brackets. `tls` and `wss` need `tls.certificates`.
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<SipListen>,
    /// Certificates of the sockets `tls` and `wss`, and who is believed.
    pub tls: SipTls,
    /// INVITEs and UPDATEs of more bytes than this go by TCP where UDP was meant, to addresses of routes, trunks and
    /// names; where nobody takes TCP, by UDP after all. RFC 3261 wants 1300. Registered phones are always reached the
    /// way they have registered. 0 switches it off.
    pub tcp_above: usize,
    /// Web pages whose browsers may open a WebSocket to `ws` and `wss`, by Origin. Empty: all.
    pub allowed_origins: Vec<String>,
    /// Networks that may call without digest, `ADDRESS/BITS`. They may call as anybody: only for
    /// servers of your own.
    #[schemars(with = "Vec<String>")]
    pub trusted: Vec<IpNet>,
    /// Host, or host and port, put into Via and Contact when a NAT stands in front. Default: the
    /// address of the interface towards the other side.
    pub advertise: Option<String>,
    /// Digest algorithms on offer, a challenge each, in this order: `MD5`, `MD5-sess`, `SHA-256`,
    /// `SHA-512-256`. Add the stronger ones where every phone copes: many look at the first challenge
    /// only, and baresip 1.0 gives up at any that is not MD5.
    pub algorithms: Vec<String>,
    /// How long a digest nonce is good, in seconds.
    pub nonce_lifetime: u64,
    /// Lifetime of a registration whose phone asks for none, in seconds.
    pub default_expires: u64,
    /// Shortest lifetime of a registration, in seconds; less is answered 423.
    pub min_expires: u64,
    /// Longest lifetime of a registration, in seconds; more is cut down.
    pub max_expires: u64,
    /// Most contacts that one user may register.
    pub max_bindings: usize,
    /// How often every registered phone is sent OPTIONS, in seconds; 0 switches it off. It goes the way that
    /// calls go and so holds a NAT open: 20 to 30 for that.
    pub options_ping: u64,
    /// Unanswered OPTIONS in a row after which a contact is stale: called only if its user has no other.
    pub stale_after: u16,
    /// One unanswered OPTIONS makes a contact stale that was not heard for so long, in seconds.
    pub stale_time: u64,
    /// Unanswered OPTIONS in a row after which a contact is removed; 0 removes none.
    pub unreachable_after: u16,
    /// SIP URIs with `lr` that phones are told to send their requests along when they register (RFC 3608), the nearest
    /// first: ours by the name that phones reach us at, or those of proxies before us.
    pub service_route: Vec<String>,
    /// Whether a phone that does not say that it understands Path is refused (420) where a proxy has added one.
    pub strict_path: bool,
    /// Who is answered at the UDP port that a request came from: `asked`, whoever says so (`rport`, RFC 3581); `nat`,
    /// also whoever gives another address than it is seen at; `always`, everybody.
    pub force_rport: ForceRport,
    /// How often a phone that keeps its flow (RFC 5626) is asked for a sign of life over it, in seconds; 0 leaves that
    /// to the phone.
    pub flow_timer: u64,
    /// Most datagrams per second from one address that is not trusted; twice that at once is let
    /// through, more is thrown away unread. 0 switches it off.
    pub max_rate_per_source: u32,
    /// Most unanswered requests of one address that is not trusted; more are answered 503.
    /// 0 switches it off.
    pub max_pending_per_source: u32,
    /// How long a call may go on without a refresh by either phone or the switch (RFC 4028), in seconds; a
    /// phone may ask for less. A call that nobody refreshes ends. 0 switches session timers off.
    pub session_expires: u64,
    /// Shortest time between two refreshes that is granted, in seconds; whoever asks for less is answered
    /// 422. At least 90.
    pub min_se: u64,
    /// Who refreshes a session (RFC 4028) where that is the switch's to say: `either`, whoever has called;
    /// `ours`, the switch; `theirs`, the phone, if it can.
    pub refresher: Refresher,
    /// Whether early audio is described reliably (RFC 3262): `off`, only to callers that require it;
    /// `offered` (or `true`), to callers that understand it; `required`, and whoever does not understand it
    /// cannot call (421) and is not called (420).
    #[schemars(with = "String")]
    pub reliable_early_media: ReliableEarlyMedia,
}

impl Default for Sip {
    fn default() -> Self {
        let any = IpAddr::from([0, 0, 0, 0]);
        let listen = |transport| SipListen { transport, address: SocketAddr::new(any, 5060) };
        Self {
            listen: vec![listen(SipTransport::Udp), listen(SipTransport::Tcp)],
            tls: SipTls::default(),
            tcp_above: 0,
            allowed_origins: Vec::new(),
            trusted: Vec::new(),
            advertise: None,
            algorithms: vec!["MD5".into()],
            nonce_lifetime: 300,
            default_expires: 3_600,
            min_expires: 60,
            max_expires: 7_200,
            max_bindings: 10,
            options_ping: 0,
            stale_after: 2,
            stale_time: 300,
            unreachable_after: 7,
            service_route: Vec::new(),
            strict_path: false,
            force_rport: ForceRport::Nat,
            flow_timer: 0,
            max_rate_per_source: 1_000,
            max_pending_per_source: 2_000,
            session_expires: 1_800,
            min_se: 90,
            refresher: Refresher::Either,
            reliable_early_media: ReliableEarlyMedia::Off,
        }
    }
}

/// Who refreshes a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Refresher {
    /// Whoever has called.
    #[default]
    Either,
    /// The switch.
    Ours,
    /// The phone, if it can.
    Theirs,
}

/// Who is answered at the port that a request came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForceRport {
    /// Whoever says so.
    Asked,
    /// Also whoever is behind a NAT.
    #[default]
    Nat,
    /// Everybody.
    Always,
}

/// Whether early audio is described reliably.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReliableEarlyMedia {
    /// To callers that require it.
    #[default]
    Off,
    /// To callers that understand it.
    Offered,
    /// To everybody; who does not understand it cannot take part.
    Required,
}

impl<'de> Deserialize<'de> for ReliableEarlyMedia {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl serde::de::Visitor<'_> for Word {
            type Value = ReliableEarlyMedia;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off`, `offered` or `required`")
            }

            // What it was before there were three of them.
            fn visit_bool<E>(self, on: bool) -> Result<Self::Value, E> {
                Ok(if on { ReliableEarlyMedia::Offered } else { ReliableEarlyMedia::Off })
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
                match word {
                    "off" => Ok(ReliableEarlyMedia::Off),
                    "offered" => Ok(ReliableEarlyMedia::Offered),
                    "required" => Ok(ReliableEarlyMedia::Required),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Word)
    }
}

/// The HTTP listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// `HOST:PORT` for `/dir`, `/reg`, `/dialog`, `/calls`, `/trunks`, `/health` and `/metrics`. Whoever reaches it can add
    /// users and make calls: beyond this host it wants `nodes.token`.
    pub listen: String,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9000".into() }
    }
}

/// Limits of calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Most calls at once; more are answered 503.
    pub max: usize,
    /// Most calls of one user at a time, made and taken together: another one that the user makes is answered 403, and
    /// whoever calls the user is told that it is busy. 0 sets no limit.
    pub max_per_user: u32,
    /// How long a party may ring, in seconds.
    pub ring_time: u64,
    /// How long a party may be silent before it is asked whether it is still there, in seconds; where
    /// the audio does not run through this host it is asked as often. A party that does not answer
    /// ends the call. 0 never asks.
    pub probe_time: u64,
    /// Longest duration of a call from its answer, in seconds; then both parties are hung up. 0 sets
    /// no limit.
    pub max_duration: u64,
    /// What becomes of a call whose phone answers that others are to be called (3xx): `refuse` tells
    /// the caller 480; `follow` calls them, once in a call, if they are in a domain of ours or a route
    /// leads to them.
    pub redirects: Redirects,
    /// How calls are transferred where a command does not say, and where a phone asks for it: `bridge`,
    /// the switch calls the new party; `refer`, the phone does. Calls whose audio does not run through
    /// this host are always transferred by the phones.
    pub transfers: Transfers,
    /// Whether the phone that an application has rung up first, to connect it with somebody, is asked
    /// to answer by itself (click to dial).
    pub click_to_dial_auto_answer: bool,
    /// How long SIGTERM waits for calls to end before it ends them, in seconds.
    pub drain_time: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            max: 20_000,
            max_per_user: 0,
            ring_time: 120,
            probe_time: 60,
            max_duration: 0,
            redirects: Redirects::Refuse,
            transfers: Transfers::Bridge,
            click_to_dial_auto_answer: false,
            drain_time: 3_600,
        }
    }
}

/// What becomes of a call when a phone names others to be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Redirects {
    /// It has failed.
    #[default]
    Refuse,
    /// They are called.
    Follow,
}

/// How calls are transferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transfers {
    /// By the switch.
    #[default]
    Bridge,
    /// By the phones.
    Refer,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Pattern for `sip:user@host`, in which `*` stands for anything.
    #[serde(rename = "match")]
    pub pattern: String,
    /// A SIP URI. Without a user part it keeps the dialled user. One of our own users is called where it has registered.
    /// Or `trunk:NAME`, and `trunk:NAME,NAME` for trunks of which the next is called when one does not take the call.
    #[serde(default)]
    pub to: String,
    /// Several destinations, instead of `to`; at most 10.
    #[serde(default)]
    pub destinations: Vec<Destination>,
    /// Whether the destination is told who calls even if the caller wishes to stay unknown, as a server of your own is.
    #[serde(default)]
    pub trusted: bool,
}

/// One of several destinations of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// As `to` of the route.
    pub to: String,
    /// Destinations with the same number are called together, groups one after the other in ascending order.
    #[serde(default)]
    pub group: u8,
    /// How long after its group began it is called, in seconds.
    #[serde(default)]
    pub after: u64,
    /// How long it may ring, in seconds. Default: as long as its group.
    #[serde(default)]
    pub ring_time: Option<u64>,
    /// Its share of calls: where one of a group has a weight, they are called one after the other, and this is how often
    /// it is the first. Default: called together, or 1 where others have a weight.
    #[serde(default)]
    pub weight: Option<u16>,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`; or a filter such as `info,hookswitch_drive=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
    /// Whether addresses and numbers of parties are written; else they are cut short.
    pub pii: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text, pii: false }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// How SIP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
    /// Streams within TLS.
    Tls,
    /// WebSockets.
    Ws,
    /// WebSockets within TLS.
    Wss,
}

impl SipTransport {
    const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// One SIP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipListen {
    /// How messages travel.
    pub transport: SipTransport,
    /// Where.
    pub address: SocketAddr,
}

impl FromStr for SipListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("`{text}` is not a SIP socket; write udp:ADDRESS:PORT, or tcp, tls, ws or wss in its place");
        let (transport, address) = text.split_once(':').ok_or_else(expected)?;
        let transport = SipTransport::ALL.into_iter().find(|known| known.name() == transport).ok_or_else(expected)?;
        Ok(Self { transport, address: address.parse().map_err(|_| expected())? })
    }
}

impl fmt::Display for SipListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.name(), self.address)
    }
}

/// The address in session descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaAddress {
    /// That of the interface towards each party.
    Auto,
    /// Always this one.
    Fixed(IpAddr),
}

impl FromStr for MediaAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::Fixed).map_err(|_| format!("`{text}` is neither `auto` nor an IP address"))
    }
}

impl fmt::Display for MediaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(address) => address.fmt(f),
        }
    }
}

/// What a party on hold hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldMusic {
    /// Two soft notes every now and then.
    Tone,
    /// Nothing.
    Silence,
    /// A WAV file, round and round. One that has the name of another choice is written `./tone`.
    File(PathBuf),
}

impl FromStr for HoldMusic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("write `tone`, `silence` or the path of a WAV file".to_owned()),
            "tone" => Ok(Self::Tone),
            "silence" => Ok(Self::Silence),
            path => Ok(Self::File(path.into())),
        }
    }
}

impl fmt::Display for HoldMusic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tone => f.write_str("tone"),
            Self::Silence => f.write_str("silence"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not a range of ports; write FIRST-LAST");
        let (first, last) = text.split_once('-').ok_or_else(expected)?;
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| expected());
        let (first, last) = (number(first)?, number(last)?);
        if first < 1_024 {
            return Err(format!("`{text}`: the first port must be at least 1024"));
        }
        if last < first || last - first < 3 {
            return Err(format!("`{text}`: the first port must be at least three below the last"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Values that are written as one word of text.
macro_rules! as_text {
    ($($kind:ty),+) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

as_text!(SipListen, MediaAddress, PortRange, HoldMusic);
