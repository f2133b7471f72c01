//! From a URI to questions, and from their answers to an order of addresses: RFC 3263 section 4 as a function.
//!
//! The function is asked again whenever an answer has come. It keeps nothing between two askings but the seed of the
//! query, from which chance follows, so that what has been said once is said again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use compact_str::{CompactString, format_compact};
use hookswitch_sip_msg::{Host, Scheme, Uri};

use super::config::{MAX_HOPS, MAX_SERVICES, ResolverConfig};
use super::record::{Known, Naptr, Question, RecordKind, Records, Srv, canonical};
use super::weigh::{Chance, by_weight};
use super::{Hop, ResolveError};
use crate::transport::Transport;

/// What a URI asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// The address is known: a number, or this machine.
    Here(Hop),
    /// The port is given, so the addresses of a host are wanted (RFC 3263 4.2).
    Host { name: CompactString, port: u16, transport: Transport },
    /// The transport is given, the hosts of its service are wanted (RFC 3263 4.2).
    Service { domain: CompactString, transport: Transport },
    /// Everything is open (RFC 3263 4.1), but for `sips:` only what is secure.
    Domain { domain: CompactString, sips: bool },
}

impl Goal {
    pub fn of(uri: &Uri<'_>, config: &ResolverConfig) -> Result<Goal, ResolveError> {
        let sips = match uri.scheme {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other => return Err(ResolveError::Scheme),
        };
        let reach = config.reach;
        let named = Transport::of_uri(uri).map_err(|_| ResolveError::Transport)?;
        // What RFC 3263 4 calls TARGET.
        let host = uri.param("maddr").and_then(Host::parse).unwrap_or(uri.host);
        // RFC 3263 4.1 prefers UDP where nothing says otherwise.
        let plain = named.unwrap_or(if reach.any(Transport::Udp) { Transport::Udp } else { Transport::Tcp });
        if !reach.any(plain) {
            return Err(ResolveError::NoSocket);
        }
        let port = uri.port.unwrap_or(plain.default_port());
        let here = |ip| {
            let address = SocketAddr::new(ip, port);
            let hop = Hop { transport: plain, address, peer: None };
            if reach.to(plain, address) { Ok(Goal::Here(hop)) } else { Err(ResolveError::NoSocket) }
        };
        let name = match host {
            Host::V4(ip) => return here(IpAddr::V4(ip)),
            Host::V6(ip) => return here(IpAddr::V6(ip)),
            Host::Name(name) => canonical(name).ok_or(ResolveError::NotFound)?,
        };
        // RFC 6761 6.3: this machine, whatever a server says.
        if name == "localhost" {
            let v4 = reach.v4(plain);
            return here(if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        Ok(match (uri.port, named) {
            (Some(port), _) => Goal::Host { name, port, transport: plain },
            // That `sips:` goes by TLS is known, but its domain may say so by NAPTR in a way of its own.
            (None, Some(Transport::Tls)) if sips => Goal::Domain { domain: name, sips },
            (None, Some(transport)) => Goal::Service { domain: name, transport },
            (None, None) => Goal::Domain { domain: name, sips },
        })
    }
}

impl Goal {
    /// Whether TLS may come of it.
    pub fn may_use_tls(&self, config: &ResolverConfig) -> bool {
        match self {
            Goal::Here(Hop { transport, .. }) | Goal::Host { transport, .. } | Goal::Service { transport, .. } => {
                *transport == Transport::Tls
            }
            Goal::Domain { .. } => config.reach.any(Transport::Tls),
        }
    }
}

/// One host in the order: what is known of its addresses, and whether more may come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub hops: Vec<Hop>,
    pub pending: bool,
}

impl Slot {
    fn pending() -> Slot {
        Slot { hops: Vec::new(), pending: true }
    }
}

/// What came of asking for the hosts of a service.
enum Service {
    /// These, in this order; some may still have to be looked up.
    Slots(Vec<Slot>),
    /// Nothing is known of such a service.
    Unknown,
    /// The domain says that it has no such service (RFC 2782: a target of `.`).
    Denied,
}

/// One asking: what is known goes in, what is missing comes out.
pub(super) struct Asking<'a> {
    pub config: &'a ResolverConfig,
    pub seed: u64,
    pub known: &'a [(Question, Known)],
    pub missing: Vec<Question>,
    /// Some answer has failed, so that there is nothing need not be true.
    pub failed: bool,
    /// Some question could not be asked.
    pub refused: bool,
    hosts: usize,
}

impl<'a> Asking<'a> {
    pub fn new(config: &'a ResolverConfig, seed: u64, known: &'a [(Question, Known)]) -> Asking<'a> {
        Asking { config, seed, known, missing: Vec::new(), failed: false, refused: false, hosts: 0 }
    }

    /// The hosts of a goal in the order in which they are to be tried, as far as they are known.
    pub fn slots(&mut self, goal: &Goal) -> Vec<Slot> {
        match goal {
            Goal::Here(hop) => vec![Slot { hops: vec![*hop], pending: false }],
            Goal::Host { name, port, transport } => vec![self.host(name, *port, *transport)],
            Goal::Service { domain, transport } => match self.service(&service_name(*transport, domain), *transport) {
                Service::Slots(slots) => slots,
                Service::Unknown => vec![self.host(domain, transport.default_port(), *transport)],
                Service::Denied => Vec::new(),
            },
            Goal::Domain { domain, sips } => self.domain(domain, *sips),
        }
    }

    /// RFC 3263 4.1: the services that the domain names, else those it has, else the host of that name.
    fn domain(&mut self, domain: &CompactString, sips: bool) -> Vec<Slot> {
        let found = match self.get(domain.clone(), RecordKind::Naptr) {
            None => return vec![Slot::pending()],
            Some(Known::Records(records)) => match &**records {
                Records::Naptr(all) => self.usable(all, sips),
                Records::Srv(_) | Records::A(_) | Records::Aaaa(_) => Vec::new(),
            },
            // Old name servers and small routers do not answer for records they do not know; without an answer it goes
            // on as if there were none.
            Some(Known::Nothing | Known::Failed | Known::Refused) => Vec::new(),
        };
        let services = if found.is_empty() { self.all_services(domain, sips) } else { found };
        let (mut slots, mut denied) = (Vec::new(), false);
        for (name, transport) in &services {
            match self.service(name, *transport) {
                Service::Slots(some) => slots.extend(some),
                Service::Unknown => {}
                Service::Denied => denied = true,
            }
        }
        match services.first() {
            Some((_, transport)) if slots.is_empty() && !denied => {
                vec![self.host(domain, transport.default_port(), *transport)]
            }
            Some(_) | None => slots,
        }
    }

    /// The services of NAPTR records that we speak, in the domain's order.
    fn usable(&self, records: &[Naptr], sips: bool) -> Vec<(CompactString, Transport)> {
        let mut sorted: Vec<&Naptr> = records.iter().collect();
        sorted.sort_by_key(|naptr| (naptr.order, naptr.preference));
        let ours = |naptr: &&Naptr| {
            let transport = match &*naptr.service {
                service if service.eq_ignore_ascii_case("SIP+D2U") => Transport::Udp,
                service if service.eq_ignore_ascii_case("SIP+D2T") => Transport::Tcp,
                service if service.eq_ignore_ascii_case("SIPS+D2T") => Transport::Tls,
                _ => return None,
            };
            let wanted = self.config.reach.any(transport) && (transport.secure() || !sips);
            let fits = naptr.flags.eq_ignore_ascii_case("s") && wanted;
            fits.then(|| canonical(&naptr.replacement)).flatten().map(|name| (name, transport))
        };
        sorted.iter().filter_map(ours).take(MAX_SERVICES).collect()
    }

    /// What a domain without NAPTR records may have (RFC 3263 4.1); we try UDP first.
    fn all_services(&self, domain: &str, sips: bool) -> Vec<(CompactString, Transport)> {
        let wanted = |transport: &Transport| self.config.reach.any(*transport) && (transport.secure() || !sips);
        let ours = [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().filter(wanted);
        ours.map(|transport| (service_name(transport, domain), transport)).collect()
    }

    fn service(&mut self, name: &CompactString, transport: Transport) -> Service {
        let records = match self.get(name.clone(), RecordKind::Srv) {
            None => return Service::Slots(vec![Slot::pending()]),
            Some(Known::Records(records)) => records,
            Some(Known::Nothing | Known::Failed | Known::Refused) => return Service::Unknown,
        };
        let Records::Srv(all) = &**records else { return Service::Unknown };
        if let [only] = &all[..]
            && matches!(&*only.target, "." | "")
        {
            return Service::Denied;
        }
        let ordered: Vec<&'a Srv> = by_weight(all, &mut Chance::new(self.seed, name));
        let hosts = ordered.into_iter().filter_map(|srv| Some((canonical(&srv.target)?, srv.port)));
        Service::Slots(hosts.map(|(host, port)| self.host(&host, port, transport)).collect())
    }

    /// The addresses of a host, of every family that there is a socket for.
    fn host(&mut self, name: &CompactString, port: u16, transport: Transport) -> Slot {
        self.hosts += 1;
        if self.hosts > MAX_HOPS {
            return Slot::default();
        }
        let reach = self.config.reach;
        let mut families = [(RecordKind::Aaaa, reach.v6(transport)), (RecordKind::A, reach.v4(transport))];
        if !self.config.ipv6_first {
            families.reverse();
        }
        let mut slot = Slot::default();
        for (kind, _) in families.into_iter().filter(|(_, there)| *there) {
            match self.get(name.clone(), kind) {
                None => slot.pending = true,
                Some(Known::Records(records)) => {
                    let ips: Vec<IpAddr> = match &**records {
                        Records::A(all) => all.iter().map(|ip| IpAddr::V4(*ip)).collect(),
                        Records::Aaaa(all) => all.iter().map(|ip| IpAddr::V6(*ip)).collect(),
                        Records::Naptr(_) | Records::Srv(_) => Vec::new(),
                    };
                    // A server turns its list from answer to answer to spread the load; what is kept is turned here.
                    let first = Chance::new(self.seed, name).below(ips.len());
                    let turned = ips[first..].iter().chain(&ips[..first]);
                    slot.hops.extend(turned.map(|ip| Hop {
                        transport,
                        address: SocketAddr::new(*ip, port),
                        peer: None,
                    }));
                }
                Some(Known::Nothing | Known::Failed | Known::Refused) => {}
            }
        }
        slot
    }

    fn get(&mut self, name: CompactString, kind: RecordKind) -> Option<&'a Known> {
        let question = Question { name, kind };
        match self.known.iter().find(|(asked, _)| *asked == question) {
            Some((_, known)) => {
                self.failed |= *known == Known::Failed;
                self.refused |= *known == Known::Refused;
                Some(known)
            }
            None => {
                if !self.missing.contains(&question) {
                    self.missing.push(question);
                }
                None
            }
        }
    }
}

fn service_name(transport: Transport, domain: &str) -> CompactString {
    match transport {
        Transport::Tls => format_compact!("_sips._tcp.{domain}"),
        Transport::Udp | Transport::Tcp | Transport::Ws | Transport::Wss => {
            format_compact!("_sip._{}.{domain}", transport.param())
        }
    }
}
