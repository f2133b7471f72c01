//! What stands between this host and the Internet, as STUN servers see it, and what that means for SIP and RTP.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use hookswitch_drive::{Behaviour, Filtering, Mapping, NatQuestion, nat_behaviour};
use hookswitch_net::PortPool;

use super::check::Check;
use crate::config::{Config, SipTransport};

const AREA: &str = "nat";

/// What was found out from one port.
#[derive(Clone, Debug)]
pub struct Path {
    /// Which port, in words.
    pub name: String,
    pub what: Port,
    /// What was found, or why nothing was.
    pub found: Result<Behaviour, String>,
}

/// Which port was asked from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// One that no rule of any router speaks of.
    Any,
    /// One of `sip.listen`.
    Sip,
    /// One of `media.ports`.
    Media,
}

/// What is known of the way out.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The servers as they were named; empty: nobody to ask.
    pub servers: Vec<String>,
    /// Why the servers have no address, if so.
    pub trouble: Option<String>,
    pub paths: Vec<Path>,
}

impl Facts {
    /// The addresses at which the servers see this host.
    pub fn seen(&self) -> Vec<IpAddr> {
        let mut seen: Vec<IpAddr> =
            self.paths.iter().filter_map(|path| path.found.as_ref().ok()).map(|found| found.mapped.ip()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }
}

pub fn judge(facts: &Facts) -> Vec<Check> {
    let servers = facts.servers.join(", ");
    if facts.servers.is_empty() {
        return vec![Check::skipped(AREA, "STUN", "no server to ask: name one with --stun or in network.stun")];
    }
    if let Some(trouble) = &facts.trouble {
        let advice = "see whether the name is right, and the check of DNS";
        return vec![Check::error(AREA, "STUN", format!("{servers}: {trouble}"), advice)];
    }
    let mut checks = Vec::new();
    for path in &facts.paths {
        match (&path.found, path.what) {
            (Ok(found), Port::Any) => checks.extend(behaviour(&path.name, found)),
            (Ok(found), Port::Sip | Port::Media) => checks.push(forwarding(path, found)),
            (Err(why), Port::Any) => checks.push(Check::warning(
                AREA,
                &path.name,
                format!("{servers}: {why}"),
                "let UDP out to it, or ask another server (--stun)",
            )),
            (Err(why), Port::Sip | Port::Media) => checks.push(Check::skipped(AREA, &path.name, why)),
        }
    }
    checks
}

fn behaviour(name: &str, found: &Behaviour) -> Vec<Check> {
    let Behaviour { own, mapped, .. } = found;
    if own.ip() == mapped.ip() {
        let state = format!("none: {own} is seen as it is");
        let mut checks = vec![Check::ok(AREA, name, state)];
        if matches!(found.filtering, Some(Filtering::AddressDependent | Filtering::AddressAndPortDependent)) {
            let seen = "lets in answers only, from a port that nothing is said about";
            checks.push(Check::ok(AREA, format!("{name}, firewall"), seen));
        }
        return checks;
    }
    let kept = if own.port() == mapped.port() { "the port is kept" } else { "the port is another one" };
    let mut checks = vec![Check::ok(AREA, name, format!("{own} is seen as {mapped}: {kept}"))];
    checks.push(kind(name, found));
    if let Some(hairpin) = found.hairpin {
        let subject = format!("{name}, hairpin");
        checks.push(match hairpin {
            true => Check::ok(AREA, subject, "what is sent from inside to the outer address comes back in"),
            false => Check::ok(
                AREA,
                subject,
                "what is sent from inside to the outer address is lost: phones in the same network have to use the inner one",
            ),
        });
    }
    checks
}

/// What kind of NAT it is.
fn kind(name: &str, found: &Behaviour) -> Check {
    let subject = format!("{name}, kind");
    let filtering = match found.filtering {
        Some(Filtering::EndpointIndependent) => "; it lets in everybody (full cone)",
        Some(Filtering::AddressDependent) => "; it lets in addresses that were sent to (address-restricted)",
        Some(Filtering::AddressAndPortDependent) => "; it lets in what was sent to (port-restricted)",
        None => "",
    };
    match found.mapping {
        None => {
            let why = "the server has one address and cannot tell: name one with RFC 5780, or two servers";
            Check::skipped(AREA, subject, why)
        }
        Some(Mapping::EndpointIndependent) => {
            Check::ok(AREA, subject, format!("one outer port for every far end{filtering}"))
        }
        Some(Mapping::AddressDependent | Mapping::AddressAndPortDependent) => Check::warning(
            AREA,
            subject,
            format!("symmetric: another outer port for every far end{filtering}"),
            "forward the ports of sip.listen and media.ports unchanged; without that nobody outside is heard or reached",
        ),
    }
}

/// Whether a port that others have to reach is forwarded.
fn forwarding(path: &Path, found: &Behaviour) -> Check {
    let Behaviour { own, mapped, .. } = found;
    let port = own.port();
    let key = if path.what == Port::Sip { "sip.listen" } else { "media.ports" };
    if own.port() != mapped.port() {
        let seen = format!("leaves the NAT as {}", mapped.port());
        let advice = format!("forward the ports of {key} to this host, and have the NAT keep them when it sends");
        return Check::error(AREA, &path.name, seen, advice);
    }
    let wall = if own.ip() == mapped.ip() { "firewall" } else { "NAT" };
    match (found.filtering, found.mapping) {
        (_, Some(Mapping::AddressDependent | Mapping::AddressAndPortDependent)) => Check::error(
            AREA,
            &path.name,
            "another outer port for every far end",
            format!("forward UDP port {port} of {key} to this host, and have the NAT keep it when it sends"),
        ),
        (Some(Filtering::EndpointIndependent), _) => {
            Check::ok(AREA, &path.name, "packets of hosts that were never sent to arrive")
        }
        (Some(Filtering::AddressDependent | Filtering::AddressAndPortDependent), _) => Check::warning(
            AREA,
            &path.name,
            format!("the {wall} keeps out hosts that were never sent to"),
            format!("forward, or open, the UDP ports of {key} to this host"),
        ),
        (None, _) => {
            let why = "keeps its number; whether strangers reach it only a server with RFC 5780 can tell";
            Check::skipped(AREA, &path.name, why)
        }
    }
}

/// Asks from any port, from the SIP port and from one of the audio's, all at once. `named` are servers of the command
/// line, which come before those of the configuration.
pub fn collect(config: &Config, named: &[String], sip_is_free: bool) -> Facts {
    let servers = if named.is_empty() { &config.network.stun } else { named };
    let mut facts = Facts { servers: servers.to_vec(), trouble: None, paths: Vec::new() };
    let (addresses, trouble) = addresses(servers);
    if addresses.is_empty() {
        facts.trouble = trouble;
        return facts;
    }
    let mut questions = Vec::new();
    for v4 in [true, false] {
        let mut family = addresses.iter().filter(|address| address.is_ipv4() == v4).copied();
        let Some(server) = family.next() else { continue };
        let second = family.next();
        let from = source(config, v4);
        let name = if v4 { "IPv4" } else { "IPv6" };
        let ask = |port: u16| NatQuestion { server, second, own: SocketAddr::new(from, port) };
        questions.push((name.to_owned(), Port::Any, Ok(ask(0))));
        // Datagrams of IPv6 are not translated; one look is enough there.
        if v4 {
            questions.extend(sip_question(config, sip_is_free, ask));
            questions.push(media_question(config, ask));
        }
    }
    facts.paths = std::thread::scope(|scope| {
        let ask = |question: &Result<NatQuestion, String>| match question {
            Ok(question) => nat_behaviour(*question).map_err(|error| words(&error)),
            Err(why) => Err(why.clone()),
        };
        let asked: Vec<_> = questions.iter().map(|(_, _, question)| scope.spawn(move || ask(question))).collect();
        let found = asked.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("failed".to_owned())));
        let path = |((name, what, _), found): (&(String, Port, _), _)| Path { name: name.clone(), what: *what, found };
        questions.iter().zip(found).map(path).collect()
    });
    facts
}

type Asked = (String, Port, Result<NatQuestion, String>);

fn sip_question(config: &Config, is_free: bool, ask: impl Fn(u16) -> NatQuestion) -> Option<Asked> {
    let datagrams = |listen: &&crate::config::SipListen| {
        listen.transport == SipTransport::Udp && listen.address.is_ipv4() && !listen.address.ip().is_loopback()
    };
    let listen = config.sip.listen.iter().find(datagrams)?;
    let name = format!("UDP port {} (sip.listen)", listen.address.port());
    let question = match is_free {
        true => Ok(ask(listen.address.port())),
        false => Err("in use: whether it is forwarded can be found out while the switch is stopped".to_owned()),
    };
    Some((name, Port::Sip, question))
}

fn media_question(config: &Config, ask: impl Fn(u16) -> NatQuestion) -> Asked {
    let range = config.media.ports;
    let mut pool = PortPool::new(hookswitch_net::PortRange { first: range.first, last: range.last }, rand::random());
    match pool.take(false) {
        Some(pair) => {
            let port = pair.port;
            drop(pair);
            (format!("UDP port {port} (media.ports)"), Port::Media, Ok(ask(port)))
        }
        None => ("media.ports".to_owned(), Port::Media, Err("no port of it is free".to_owned())),
    }
}

/// From where SIP goes out.
fn source(config: &Config, v4: bool) -> IpAddr {
    let mut bound = config.sip.listen.iter().map(|listen| listen.address.ip());
    let own = bound.find(|ip| ip.is_ipv4() == v4 && !ip.is_loopback() && !ip.is_unspecified());
    let any = if v4 { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0; 16]) };
    own.unwrap_or(any)
}

fn addresses(servers: &[String]) -> (Vec<SocketAddr>, Option<String>) {
    let mut found: Vec<SocketAddr> = Vec::new();
    let mut trouble = None;
    for server in servers {
        let resolved = crate::compose::stun_server(server).and_then(|place| {
            let resolved = place.to_socket_addrs().map_err(|error| words(&error))?;
            Ok(resolved.collect::<Vec<_>>())
        });
        match resolved {
            Ok(addresses) => found.extend(addresses),
            Err(why) => trouble = Some(why),
        }
    }
    (found, trouble)
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer over UDP".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn found(mapped: &str) -> Behaviour {
        Behaviour {
            own: "10.0.0.5:5060".parse().unwrap(),
            mapped: mapped.parse().unwrap(),
            other: None,
            mapping: Some(Mapping::EndpointIndependent),
            filtering: Some(Filtering::EndpointIndependent),
            hairpin: Some(true),
        }
    }

    fn facts(what: Port, found: Result<Behaviour, String>) -> Facts {
        let path = Path { name: "IPv4".into(), what, found };
        Facts { servers: vec!["stun.example.test".into()], trouble: None, paths: vec![path] }
    }

    fn states(facts: &Facts) -> Vec<State> {
        judge(facts).iter().map(|check| check.state).collect()
    }

    #[test]
    fn without_a_server_nothing_is_said_and_one_without_address_is_an_error() {
        let none = Facts { servers: Vec::new(), trouble: None, paths: Vec::new() };
        assert_eq!(states(&none), [State::Skipped]);
        let unknown = Facts { servers: vec!["x.test".into()], trouble: Some("no such host".into()), paths: Vec::new() };
        assert_eq!(judge(&unknown)[0].seen, "x.test: no such host");
        assert_eq!(states(&unknown), [State::Error]);
        assert_eq!(states(&facts(Port::Any, Err("no answer over UDP".into()))), [State::Warning]);
        assert_eq!(states(&facts(Port::Sip, Err("in use".into()))), [State::Skipped]);
        assert!(facts(Port::Any, Ok(found("203.0.113.5:9"))).seen() == ["203.0.113.5".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_host_without_nat_is_seen_as_it_is() {
        let direct = found("10.0.0.5:5060");
        assert_eq!(judge(&facts(Port::Any, Ok(direct.clone())))[0].seen, "none: 10.0.0.5:5060 is seen as it is");
        let closed = Behaviour { filtering: Some(Filtering::AddressDependent), ..direct };
        assert!(judge(&facts(Port::Any, Ok(closed)))[1].seen.starts_with("lets in answers only"));
    }

    #[test]
    fn every_kind_of_nat_has_its_words() {
        let words = |mapping, filtering| {
            let found = Behaviour { mapping, filtering, ..found("203.0.113.5:5060") };
            let checks = judge(&facts(Port::Any, Ok(found)));
            assert_eq!(checks[0].seen, "10.0.0.5:5060 is seen as 203.0.113.5:5060: the port is kept");
            (checks[1].state, checks[1].seen.clone())
        };
        let independent = Some(Mapping::EndpointIndependent);
        for (filtering, kind) in [
            (Filtering::EndpointIndependent, "(full cone)"),
            (Filtering::AddressDependent, "(address-restricted)"),
            (Filtering::AddressAndPortDependent, "(port-restricted)"),
        ] {
            let (state, seen) = words(independent, Some(filtering));
            assert!(state == State::Ok && seen.starts_with("one outer port") && seen.ends_with(kind), "{seen}");
        }
        for mapping in [Mapping::AddressDependent, Mapping::AddressAndPortDependent] {
            let (state, seen) = words(Some(mapping), Some(Filtering::AddressAndPortDependent));
            assert!(state == State::Warning && seen.starts_with("symmetric: "), "{seen}");
        }
        assert_eq!(words(None, None).0, State::Skipped);
        let lost = Behaviour { hairpin: Some(false), ..found("203.0.113.5:5061") };
        let checks = judge(&facts(Port::Any, Ok(lost)));
        assert!(checks[0].seen.ends_with("the port is another one"));
        assert!(checks[2].seen.contains("is lost"), "{}", checks[2]);
    }

    #[test]
    fn a_port_that_is_not_forwarded_is_told() {
        let one = |found| judge(&facts(Port::Sip, Ok(found))).remove(0);
        let good = one(found("203.0.113.5:5060"));
        assert_eq!((good.state, good.seen.as_str()), (State::Ok, "packets of hosts that were never sent to arrive"));
        let other = one(found("203.0.113.5:1024"));
        assert_eq!((other.state, other.seen.as_str()), (State::Error, "leaves the NAT as 1024"));
        let symmetric = one(Behaviour { mapping: Some(Mapping::AddressAndPortDependent), ..found("203.0.113.5:5060") });
        assert_eq!(symmetric.state, State::Error);
        for (own, wall) in [("203.0.113.5:5060", "the NAT keeps out"), ("10.0.0.5:5060", "the firewall keeps out")] {
            let closed = one(Behaviour { filtering: Some(Filtering::AddressAndPortDependent), ..found(own) });
            assert!(closed.state == State::Warning && closed.seen.starts_with(wall), "{closed}");
            assert!(closed.advice.contains("sip.listen"), "{closed}");
        }
        let untold = one(Behaviour { filtering: None, mapping: None, ..found("203.0.113.5:5060") });
        assert_eq!(untold.state, State::Skipped);
    }
}
