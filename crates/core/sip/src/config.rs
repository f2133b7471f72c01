//! What an endpoint is told once: its addresses, names, abilities and limits.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use compact_str::CompactString;
use hookswitch_sip_msg::{Host, Method, Via};

use crate::addresses::Addresses;
use crate::dialog::session_timer::{LEAST, Wishes};
use crate::guard::GuardConfig;
use crate::timers::Timers;
use crate::transport::Transport;

/// Default for [`EndpointConfig::max_transactions`].
pub const MAX_TRANSACTIONS: usize = 1_000_000;

/// Default for [`EndpointConfig::max_dialogs`].
pub const MAX_DIALOGS: usize = 200_000;

/// Default for [`EndpointConfig::max_connections`].
pub const MAX_CONNECTIONS: usize = 50_000;

/// Default for [`EndpointConfig::max_pending_per_source`].
pub const MAX_PENDING_PER_SOURCE: u32 = 2_000;

/// Most routes a dialog keeps. An INVITE with a longer Record-Route set is refused with 400, and such a set in a
/// response counts as none.
pub const MAX_ROUTES: usize = 32;

/// Most forks of one INVITE that are answered with ACK and BYE, and most of its early dialogs; further ones are
/// ignored.
pub const MAX_FORKS: usize = 16;

/// Most provisional responses that wait for the acknowledgement of the one before; another replaces the last of them.
pub const MAX_QUEUED_PROVISIONALS: usize = 8;

/// How long a stream may hold an unfinished message before it is closed.
pub const PARTIAL_MESSAGE_PATIENCE: Duration = Duration::from_secs(32);

/// Retry-After of a 503, in seconds.
pub const OVERLOAD_RETRY_AFTER: u32 = 5;

/// A socket messages arrive on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// How messages travel.
    pub transport: Transport,
    /// The address it is bound to; an unspecified one is replaced by that of an interface in what we send.
    pub address: SocketAddr,
    /// Host and port to put into Via and Contact instead, when a NAT stands in front.
    pub advertise: Option<(CompactString, u16)>,
}

/// A network this machine has an address in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Our address.
    pub addr: IpAddr,
    /// Length of the network prefix in bits.
    pub prefix: u8,
    /// Used where no interface shares a network with the other side.
    pub default: bool,
}

impl Interface {
    /// The network it is in.
    pub const fn network(&self) -> Network {
        Network { addr: self.addr, prefix: self.prefix }
    }
}

/// A network by address and prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Any address inside.
    pub addr: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

impl Network {
    /// True when `addr` is inside.
    pub fn contains(&self, addr: IpAddr) -> bool {
        common_bits(self.addr, addr).is_some_and(|bits| bits >= u32::from(self.prefix))
    }
}

/// How many leading bits two addresses share; `None` for different families.
pub(crate) fn common_bits(a: IpAddr, b: IpAddr) -> Option<u32> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// Who keeps a session alive (RFC 4028).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Refresher {
    /// Whoever the other side names; else the one who called.
    #[default]
    Either,
    /// We do.
    Ours,
    /// The other side, when it can.
    Theirs,
}

/// To whom a request over UDP is answered at the port it came from (RFC 3581). Its address is always answered, whatever
/// its Via says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnswerPort {
    /// To whoever asks for it with `rport`; all others at the port in their Via (RFC 3261 18.2.2). The default.
    #[default]
    Asked,
    /// Besides, to whoever is behind a NAT, as far as that is to be seen: the Via names another address than the one
    /// the request came from, or none that could be (`.invalid`).
    BehindNat,
    /// To everybody.
    Always,
}

impl AnswerPort {
    pub(crate) fn is_that_of(self, source: IpAddr, via: &Via<'_>) -> bool {
        let nat = || match via.host {
            Host::V4(_) | Host::V6(_) => via.host.ip() != Some(source),
            Host::Name(name) => name.trim_end_matches('.').to_ascii_lowercase().ends_with(".invalid"),
        };
        via.rport().is_some()
            || match self {
                AnswerPort::Asked => false,
                AnswerPort::BehindNat => nat(),
                AnswerPort::Always => true,
            }
    }
}

/// Everything an [`Endpoint`](crate::Endpoint) is told at the start.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Base values of all timers.
    pub timers: Timers,
    /// Value of User-Agent in requests and of Server in responses; left out when empty.
    pub product: CompactString,
    /// Methods accepted, which is also the value of Allow. PRACK is always one of them when `100rel` is supported.
    pub allow: Vec<Method>,
    /// Option tags understood: the value of Supported, and what a Require may ask for. Default `100rel` and `timer`,
    /// which the endpoint does itself; list others that its user does.
    pub supported: Vec<CompactString>,
    /// Option tags that a REGISTER may ask for besides: those of the registrar behind this endpoint. Default none.
    pub registrar_supports: Vec<CompactString>,
    /// Who is answered at the port that a datagram came from. Default [`AnswerPort::Asked`].
    pub answer_port: AnswerPort,
    /// Body types taken in an INVITE, PRACK or UPDATE, which is also the value of Accept.
    pub accept: Vec<CompactString>,
    /// Schemes taken in a Request-URI.
    pub schemes: Vec<CompactString>,
    /// Sockets.
    pub listen: Vec<Listen>,
    /// Our addresses, to choose the one put into Via and Contact by where the other side is.
    pub addresses: Addresses,
    /// Most transactions at a time; beyond, requests are answered 503.
    pub max_transactions: usize,
    /// Most dialogs at a time; beyond, calls are answered 503.
    pub max_dialogs: usize,
    /// Most connections at a time; beyond, new ones are closed.
    pub max_connections: usize,
    /// Most INVITEs and other requests from one address without a final answer; beyond, requests are answered 503.
    /// 0 switches it off.
    pub max_pending_per_source: u32,
    /// Most datagrams per second from one address; twice that much at once is let through, more is thrown away unread.
    /// 0, the default, lets everything through: right for a phone, whose server says a lot.
    pub max_rate_per_source: u32,
    /// Networks to which `max_pending_per_source` and `max_rate_per_source` do not apply, and which are never banned.
    pub trusted: Vec<Network>,
    /// Who is not listened to. Off by default.
    pub guard: GuardConfig,
    /// How long a session may go on without a refresh (RFC 4028), asked for and granted where nobody wants less; whole
    /// seconds, default 30 minutes. Zero switches session timers off, and so does a `supported` without `timer`.
    pub session_expires: Duration,
    /// The shortest time between refreshes that is granted, at least 90 s, which is the default.
    pub min_se: Duration,
    /// Who refreshes, where that is ours to say.
    pub refresher: Refresher,
    /// A 100 is sent when an INVITE has no other answer after this time; zero sends it at once. At most 200 ms
    /// (RFC 3261 17.2.1), the default.
    pub trying_after: Duration,
    /// How long an INVITE may go without a final answer, ringing included; default 5 minutes.
    pub max_ringing: Duration,
    /// Requests of more bytes than this go by TCP where UDP was meant (RFC 3261 18.1.1 says 1,300), if there is a TCP
    /// socket and [`Invite::may_connect`](crate::Invite::may_connect) allows it. 0, the default, switches it off.
    pub stream_above: usize,
    /// Refuse requests that have used up their Max-Forwards, as an element that passes calls on must; default true.
    pub refuse_exhausted: bool,
}

impl EndpointConfig {
    /// Session timers, within the limits of RFC 4028.
    pub(crate) fn wishes(&self) -> Wishes {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let min_se = seconds(self.min_se).max(LEAST);
        let on = self.supports("timer") && !self.session_expires.is_zero();
        let interval = if on { seconds(self.session_expires).max(min_se) } else { 0 };
        Wishes { interval, min_se, refresher: self.refresher }
    }

    /// True when that option tag is listed.
    pub(crate) fn supports(&self, tag: &str) -> bool {
        self.supported.iter().any(|known| known.eq_ignore_ascii_case(tag))
    }
}

impl Default for EndpointConfig {
    fn default() -> EndpointConfig {
        EndpointConfig {
            timers: Timers::default(),
            product: CompactString::const_new("Hookswitch"),
            allow: vec![
                Method::Invite,
                Method::Ack,
                Method::Cancel,
                Method::Bye,
                Method::Options,
                Method::Info,
                Method::Register,
                Method::Prack,
                Method::Update,
            ],
            supported: vec![CompactString::const_new("100rel"), CompactString::const_new("timer")],
            registrar_supports: Vec::new(),
            answer_port: AnswerPort::Asked,
            accept: vec![CompactString::const_new("application/sdp")],
            schemes: vec![CompactString::const_new("sip"), CompactString::const_new("sips")],
            listen: Vec::new(),
            addresses: Addresses::default(),
            max_transactions: MAX_TRANSACTIONS,
            max_dialogs: MAX_DIALOGS,
            max_connections: MAX_CONNECTIONS,
            max_pending_per_source: MAX_PENDING_PER_SOURCE,
            max_rate_per_source: 0,
            trusted: Vec::new(),
            guard: GuardConfig::default(),
            session_expires: Duration::from_secs(1_800),
            min_se: Duration::from_secs(90),
            refresher: Refresher::Either,
            trying_after: Duration::from_millis(200),
            max_ringing: Duration::from_secs(300),
            stream_above: 0,
            refuse_exhausted: true,
        }
    }
}
