//! What a resolver is told once: its sockets and its limits.

use core::time::Duration;
use std::net::SocketAddr;

use crate::config::Listen;
use crate::transport::Transport;

/// Default for [`ResolverConfig::max_entries`].
pub const MAX_ENTRIES: usize = 10_000;

/// Default for [`ResolverConfig::max_lookups`].
pub const MAX_LOOKUPS: usize = 1_000;

/// Default for [`ResolverConfig::max_queries`].
pub const MAX_QUERIES: usize = 20_000;

/// Most addresses that one URI leads to; further ones are left out.
pub const MAX_HOPS: usize = 16;

/// Most services of one domain that are followed (RFC 3263 4.1).
pub const MAX_SERVICES: usize = 4;

/// How long a look-up that was given up is still waited for, in turns of [`ResolverConfig::lookup_time`]: an answer
/// that comes late is kept for the next one who asks.
pub(super) const LATE_TURNS: u32 = 2;

/// Everything a [`Resolver`](super::Resolver) is told at the start.
#[derive(Debug, Clone)]
pub struct ResolverConfig {
    /// Where we can send from. Default: nowhere.
    pub reach: Reach,
    /// Whether IPv6 addresses come before IPv4 addresses of the same host, where there are sockets for both; default
    /// true (RFC 7984 4.1, RFC 6724).
    pub ipv6_first: bool,
    /// How long one look-up may take; default 5 s.
    pub lookup_time: Duration,
    /// How long all look-ups for one URI may take; default 8 s, less than a call waits to be told where to go. Then what is
    /// known by then must do.
    pub query_time: Duration,
    /// How long the rest is waited for once the first choice is known; default 200 ms.
    pub rest_time: Duration,
    /// Most answers that are kept.
    pub max_entries: usize,
    /// Shortest time an answer is kept, whatever it says; default 5 s.
    pub min_ttl: Duration,
    /// Longest time an answer is kept; default one hour.
    pub max_ttl: Duration,
    /// How long it is kept that there is nothing, where the answer does not say; default 60 s.
    pub negative_ttl: Duration,
    /// Longest time it is kept that there is nothing (RFC 2308 5); default 5 minutes.
    pub max_negative_ttl: Duration,
    /// How long it is kept that no answer came (RFC 9520 3.2: one second to five minutes); default 5 s.
    pub failure_ttl: Duration,
    /// Most look-ups in flight; whoever needs one more is refused.
    pub max_lookups: usize,
    /// Most URIs that wait for look-ups; further ones are refused.
    pub max_queries: usize,
    /// Most addresses that are remembered as out of order; default 1,000.
    pub max_shunned: usize,
}

impl Default for ResolverConfig {
    fn default() -> ResolverConfig {
        ResolverConfig {
            reach: Reach::default(),
            ipv6_first: true,
            lookup_time: Duration::from_secs(5),
            query_time: Duration::from_secs(8),
            rest_time: Duration::from_millis(200),
            max_entries: MAX_ENTRIES,
            min_ttl: Duration::from_secs(5),
            max_ttl: Duration::from_secs(3_600),
            negative_ttl: Duration::from_secs(60),
            max_negative_ttl: Duration::from_secs(300),
            failure_ttl: Duration::from_secs(5),
            max_lookups: MAX_LOOKUPS,
            max_queries: MAX_QUERIES,
            max_shunned: 1_000,
        }
    }
}

/// Which transports and address families there are sockets for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// UDP over IPv4.
    pub udp4: bool,
    /// UDP over IPv6.
    pub udp6: bool,
    /// TCP over IPv4.
    pub tcp4: bool,
    /// TCP over IPv6.
    pub tcp6: bool,
    /// TLS over IPv4.
    pub tls4: bool,
    /// TLS over IPv6.
    pub tls6: bool,
}

impl Reach {
    /// What can be reached from these sockets.
    pub fn of(listen: &[Listen]) -> Reach {
        let has = |transport, v4| listen.iter().any(|l| l.transport == transport && l.address.is_ipv4() == v4);
        Reach {
            udp4: has(Transport::Udp, true),
            udp6: has(Transport::Udp, false),
            tcp4: has(Transport::Tcp, true),
            tcp6: has(Transport::Tcp, false),
            tls4: has(Transport::Tls, true),
            tls6: has(Transport::Tls, false),
        }
    }

    // Nobody is reached by WebSocket who has not come by it (RFC 7118 5.2).
    pub(super) fn v4(self, transport: Transport) -> bool {
        match transport {
            Transport::Udp => self.udp4,
            Transport::Tcp => self.tcp4,
            Transport::Tls => self.tls4,
            Transport::Ws | Transport::Wss => false,
        }
    }

    pub(super) fn v6(self, transport: Transport) -> bool {
        match transport {
            Transport::Udp => self.udp6,
            Transport::Tcp => self.tcp6,
            Transport::Tls => self.tls6,
            Transport::Ws | Transport::Wss => false,
        }
    }

    pub(super) fn any(self, transport: Transport) -> bool {
        self.v4(transport) || self.v6(transport)
    }

    pub(super) fn to(self, transport: Transport, address: SocketAddr) -> bool {
        if address.is_ipv4() { self.v4(transport) } else { self.v6(transport) }
    }
}
