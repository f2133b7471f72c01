//! Names: whether the name servers answer, where our domains lead, and whether the hosts of trunks can be reached.

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hookswitch_drive::{Names, SipTls, SwitchConfig};
use hookswitch_sip::Transport;
use hookswitch_sip::is_public;
use hookswitch_sip::resolve::{
    Answer, Hop, Hops, Reach as Sockets, RecordKind, Records, Resolution, Resolver, ResolverConfig, ResolverOutput,
};
use hookswitch_sip_msg::{Host, Uri};

use super::check::Check;
use crate::config::Config;

const DNS: &str = "dns";
const TRUNKS: &str = "trunks";

/// An answer that takes longer makes callers wait.
const SLOW: Duration = Duration::from_millis(500);

/// After so many questions in a row without an answer nobody is asked any more.
const SILENT: usize = 3;

/// How long a host of a trunk may take for each step.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often OPTIONS is sent over UDP, each time waiting for a part of [`PATIENCE`].
const TRIES: u32 = 3;

/// What was asked of the name servers.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Why nobody could be asked.
    pub trouble: Option<String>,
    pub questions: usize,
    pub unanswered: usize,
    pub slowest: Duration,
}

/// One of our domains.
#[derive(Clone, Debug)]
pub struct Domain {
    pub name: String,
    /// Where calls to it are led by the name servers, or why nowhere.
    pub leads: Result<Vec<SocketAddr>, String>,
    /// Records of services: SRV and NAPTR.
    pub services: usize,
}

/// One host of a trunk.
#[derive(Clone, Debug)]
pub struct TrunkHost {
    /// The key that names the trunk.
    pub trunk: String,
    pub uri: String,
    /// The places it leads to and what was found there, or why it leads nowhere.
    pub places: Result<Vec<(Hop, Reach)>, String>,
}

/// What came of reaching out for a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// It answered, with that.
    Answers(String),
    /// It refused, or something on the way did.
    Refused(String),
    /// Nothing came.
    Silent,
    /// Its certificate is not that of the name.
    Unproved(String),
}

/// Everything about names.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub asked: Asked,
    pub domains: Vec<Domain>,
    /// Addresses that lead to this host.
    pub ours: Vec<IpAddr>,
    pub hosts: Vec<TrunkHost>,
}

impl Facts {
    /// A trunk with a host on the Internet.
    pub fn far_trunk(&self) -> Option<String> {
        let far = |host: &&TrunkHost| host.places.iter().flatten().any(|(hop, _)| is_public(hop.address.ip()));
        self.hosts.iter().find(far).map(|host| host.trunk.clone())
    }
}

pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![servers(&facts.asked)];
    checks.extend(facts.domains.iter().map(|domain| one_domain(domain, &facts.ours)));
    checks.extend(facts.hosts.iter().flat_map(host));
    checks
}

fn servers(asked: &Asked) -> Check {
    let subject = "name servers";
    let advice = "see dns.servers and /etc/resolv.conf; a name server on this host is the best";
    if let Some(trouble) = &asked.trouble {
        return Check::error(DNS, subject, trouble, advice);
    }
    let Asked { questions, unanswered, slowest, .. } = asked;
    if *questions == 0 {
        return Check::skipped(DNS, subject, "no name is configured that they would have to be asked for");
    }
    let slowest = slowest.as_millis();
    if *unanswered > 0 {
        let seen = format!("{unanswered} of {questions} questions had no answer in time, or a failure");
        return Check::error(DNS, subject, seen, advice);
    }
    let seen = format!("{questions} questions, the slowest answer took {slowest} ms");
    match asked.slowest > SLOW {
        true => Check::warning(DNS, subject, seen, advice),
        false => Check::ok(DNS, subject, seen),
    }
}

fn one_domain(domain: &Domain, ours: &[IpAddr]) -> Check {
    let subject = format!("domain {}", domain.name);
    let leads = match &domain.leads {
        Ok(leads) => leads,
        Err(why) => {
            let advice = "enter it in DNS, or give phones this host as their proxy";
            return Check::warning(DNS, subject, why, advice);
        }
    };
    let strangers: Vec<String> = leads.iter().filter(|at| !ours.contains(&at.ip())).map(ToString::to_string).collect();
    let records = match domain.services {
        0 => "by its address alone (no SRV, no NAPTR)".to_owned(),
        count => format!("by {count} records of SRV and NAPTR"),
    };
    match strangers.is_empty() {
        true => Check::ok(DNS, subject, format!("leads here, {records}")),
        false => Check::warning(
            DNS,
            subject,
            format!("leads to {}, {records}, which is none of this host's addresses", strangers.join(", ")),
            "correct DNS, unless another host passes calls on to this one",
        ),
    }
}

fn host(host: &TrunkHost) -> Vec<Check> {
    let subject = format!("{} {}", host.trunk, host.uri);
    match &host.places {
        Err(why) => {
            vec![Check::error(TRUNKS, subject, why, "see the name, and whether a socket of sip.listen suits it")]
        }
        Ok(places) => places.iter().map(|(hop, reach)| place(&subject, *hop, reach)).collect(),
    }
}

fn place(subject: &str, hop: Hop, reach: &Reach) -> Check {
    let Hop { transport, address, .. } = hop;
    let at = format!("{transport} {address}");
    match reach {
        Reach::Answers(what) => Check::ok(TRUNKS, subject, format!("{at}: {what}")),
        Reach::Refused(why) => Check::error(
            TRUNKS,
            subject,
            format!("{at}: {why}"),
            "see whether port and transport are right, and whether its firewall knows this host",
        ),
        Reach::Unproved(why) => Check::error(
            TRUNKS,
            subject,
            format!("{at}: {why}"),
            "have the URI name what its certificate names, or put its authority into sip.tls.ca",
        ),
        // Some carriers answer nothing but calls.
        Reach::Silent if transport == Transport::Udp => Check::warning(
            TRUNKS,
            subject,
            format!("{at}: no answer to OPTIONS"),
            "see whether packets may leave, and whether the trunk knows this host's address; some answer no OPTIONS",
        ),
        Reach::Silent => Check::error(
            TRUNKS,
            subject,
            format!("{at}: no connection within {} s", PATIENCE.as_secs()),
            "see whether a firewall on the way lets it through",
        ),
    }
}

/// Asks for every name, and reaches out for the hosts of all trunks.
pub fn collect(config: &Config, switch: &SwitchConfig, ours: Vec<IpAddr>) -> Facts {
    let b2bua = &switch.shard.b2bua;
    let settings = ResolverConfig { reach: Sockets::of(&b2bua.endpoint.listen), ..b2bua.resolver.clone() };
    let mut facts = Facts { ours, ..Facts::default() };
    let names = match Names::new(&switch.dns) {
        Ok(names) => names,
        Err(error) => {
            facts.asked.trouble = Some(error.to_string());
            return facts;
        }
    };
    facts.asked.trouble = names.trouble().map(str::to_owned);
    let mut search = Search { names, settings, asked: std::mem::take(&mut facts.asked), row: 0, services: 0 };
    for name in config.domains.keys().filter(|name| matches!(Host::parse(name), Some(Host::Name(_)))) {
        if name == "localhost" {
            continue;
        }
        let found = search.find(&format!("sip:{name}"));
        let leads = found.map(|(hops, _)| hops.iter().map(|hop| hop.address).collect());
        facts.domains.push(Domain { name: name.clone(), leads, services: search.services });
    }
    for (name, trunk) in &config.trunks {
        let registrar = trunk.register.as_ref().and_then(|register| register.registrar.clone());
        for uri in trunk.hosts.iter().map(|host| host.uri.clone()).chain(registrar) {
            let places = search.find(&uri).map(|(hops, host)| reach_all(&hops, &host, &switch.tls));
            facts.hosts.push(TrunkHost { trunk: format!("trunks.{name}"), uri, places });
        }
    }
    facts.asked = search.asked;
    facts
}

struct Search {
    names: Names,
    settings: ResolverConfig,
    asked: Asked,
    /// Questions in a row without an answer.
    row: usize,
    /// Records of services that the last search has found.
    services: usize,
}

impl Search {
    /// Where a URI leads, found as the switch itself finds it, and the host it names.
    fn find(&mut self, text: &str) -> Result<(Hops, String), String> {
        let uri = Uri::parse(text).map_err(|error| error.to_string())?;
        let host = uri.host.to_string();
        self.services = 0;
        // Nothing gets old here: the time stands.
        let now = super::certificates::now();
        let mut resolver = Resolver::new(self.settings.clone(), rand::random());
        let words = |error: hookswitch_sip::resolve::ResolveError| error.to_string();
        if let Resolution::Ready(hops) = resolver.resolve(now, &uri).map_err(words)? {
            return Ok((hops, host));
        }
        loop {
            match resolver.poll_output() {
                Some(ResolverOutput::Lookup { id, name, kind }) => {
                    let answer = self.ask(&name, kind);
                    resolver.answer(now, id, answer);
                }
                Some(ResolverOutput::Resolved { result, .. }) => {
                    return result.map(|hops| (hops, host)).map_err(words);
                }
                None => match resolver.poll_timeout() {
                    Some(then) => resolver.handle_timeout(then),
                    None => return Err("nothing was found".to_owned()),
                },
            }
        }
    }

    fn ask(&mut self, name: &str, kind: RecordKind) -> Answer {
        if self.row >= SILENT {
            return Answer::Failed;
        }
        let start = Instant::now();
        let answer = self.names.look_up(name, kind);
        self.asked.questions += 1;
        self.asked.slowest = self.asked.slowest.max(start.elapsed());
        if answer == Answer::Failed {
            self.asked.unanswered += 1;
            self.row += 1;
        } else {
            self.row = 0;
        }
        if let Answer::Found { records: Records::Srv(_) | Records::Naptr(_), .. } = &answer {
            self.services += 1;
        }
        answer
    }
}

fn reach_all(hops: &Hops, host: &str, tls: &SipTls) -> Vec<(Hop, Reach)> {
    std::thread::scope(|scope| {
        let tried: Vec<_> = hops.iter().map(|hop| (*hop, scope.spawn(|| reach(*hop, host, tls)))).collect();
        let over = |thread: std::thread::ScopedJoinHandle<'_, Reach>| {
            thread.join().unwrap_or_else(|_| Reach::Refused("failed".to_owned()))
        };
        tried.into_iter().map(|(hop, thread)| (hop, over(thread))).collect()
    })
}

fn reach(hop: Hop, host: &str, tls: &SipTls) -> Reach {
    let found = match hop.transport {
        Transport::Udp => options(hop.address, host).map(|status| format!("answers OPTIONS with {status}")),
        Transport::Tcp => TcpStream::connect_timeout(&hop.address, PATIENCE).map(|_| "takes connections".to_owned()),
        Transport::Tls => tls.try_connect(hop.address, host, PATIENCE).map(|()| "proves its name".to_owned()),
        // Nobody is called by these.
        Transport::Ws | Transport::Wss => Err(io::ErrorKind::Unsupported.into()),
    };
    match found {
        Ok(what) => Reach::Answers(what),
        Err(error) => match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Reach::Silent,
            io::ErrorKind::InvalidData => Reach::Unproved(error.to_string()),
            _ => Reach::Refused(error.to_string()),
        },
    }
}

/// The status line of the answer to OPTIONS over UDP.
fn options(to: SocketAddr, host: &str) -> io::Result<String> {
    let any = if to.is_ipv4() { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0; 16]) };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE / TRIES))?;
    let own = socket.local_addr()?;
    let token: u64 = rand::random();
    let mut request = Vec::new();
    write!(
        request,
        "OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{token:x}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:doctor@{own}>;tag={token:x}\r\nTo: <sip:{host}>\r\nCall-ID: {token:x}\r\n\
         CSeq: 1 OPTIONS\r\nContact: <sip:doctor@{own}>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut room = [0; 4_096];
    for _ in 0..TRIES {
        socket.send(&request)?;
        match socket.recv(&mut room) {
            Ok(length) => {
                if let Some(status) = status_line(&room[..length]) {
                    return Ok(status);
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Code and words of a response, at most so many letters of them as a line takes.
fn status_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next()?.strip_prefix("SIP/2.0 ")?;
    Some(line.chars().filter(|letter| !letter.is_control()).take(60).collect())
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn asked(questions: usize, unanswered: usize, milliseconds: u64) -> Check {
        let slowest = Duration::from_millis(milliseconds);
        servers(&Asked { trouble: None, questions, unanswered, slowest })
    }

    #[test]
    fn name_servers_are_judged_by_their_answers() {
        assert_eq!(asked(3, 0, 20).state, State::Ok);
        assert_eq!(asked(3, 0, 600).state, State::Warning);
        assert_eq!(asked(3, 1, 20).state, State::Error);
        assert_eq!(asked(0, 0, 0).state, State::Skipped);
        let nobody = servers(&Asked { trouble: Some("no file".into()), ..Asked::default() });
        assert_eq!((nobody.state, nobody.seen.as_str()), (State::Error, "no file"));
    }

    #[test]
    fn a_domain_is_to_lead_here() {
        let domain = |leads: Result<&str, &str>| {
            let leads = leads.map(|at| vec![at.parse().unwrap()]).map_err(str::to_owned);
            one_domain(&Domain { name: "x.test".into(), leads, services: 2 }, &["203.0.113.5".parse().unwrap()])
        };
        let here = domain(Ok("203.0.113.5:5060"));
        assert_eq!((here.state, here.seen.as_str()), (State::Ok, "leads here, by 2 records of SRV and NAPTR"));
        assert_eq!(domain(Ok("203.0.113.6:5060")).state, State::Warning);
        assert_eq!(domain(Err("no such host")).seen, "no such host");
    }

    #[test]
    fn every_outcome_at_a_trunk_has_its_words() {
        let at = |transport, reach| {
            let hop = Hop { transport, address: "203.0.113.9:5060".parse().unwrap(), peer: None };
            place("trunks.c sip:c.test", hop, &reach)
        };
        let answers = at(Transport::Udp, Reach::Answers("answers OPTIONS with 200 OK".into()));
        assert_eq!(
            (answers.state, answers.seen.as_str()),
            (State::Ok, "UDP 203.0.113.9:5060: answers OPTIONS with 200 OK")
        );
        assert_eq!(at(Transport::Tcp, Reach::Refused("refused".into())).state, State::Error);
        assert_eq!(at(Transport::Udp, Reach::Silent).state, State::Warning);
        assert_eq!(at(Transport::Tcp, Reach::Silent).state, State::Error);
        assert!(at(Transport::Tls, Reach::Unproved("not valid".into())).advice.contains("sip.tls.ca"));
        let nowhere =
            host(&TrunkHost { trunk: "trunks.c".into(), uri: "sip:c".into(), places: Err("no such host".into()) });
        assert_eq!((nowhere[0].state, nowhere[0].seen.as_str()), (State::Error, "no such host"));
    }

    #[test]
    fn places_are_reached_for_as_they_would_be_called() {
        let loopback = |transport, address| Hop { transport, address, peer: None };
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = peer.local_addr().unwrap();
        let answers = std::thread::spawn(move || {
            let mut room = [0; 2_048];
            let (length, from) = peer.recv_from(&mut room).unwrap();
            assert!(room[..length].starts_with(b"OPTIONS sip:c.test SIP/2.0\r\n"));
            peer.send_to(b"SIP/2.0 404 Not here\r\n\r\n", from).unwrap();
        });
        let tls = SipTls::default();
        let found = reach(loopback(Transport::Udp, address), "c.test", &tls);
        assert_eq!(found, Reach::Answers("answers OPTIONS with 404 Not here".into()));
        answers.join().unwrap();
        assert!(matches!(reach(loopback(Transport::Udp, address), "c.test", &tls), Reach::Refused(_)));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(reach(loopback(Transport::Tcp, address), "c.test", &tls), Reach::Answers(_)));
        drop(listener);
        assert!(matches!(reach(loopback(Transport::Tcp, address), "c.test", &tls), Reach::Refused(_)));
    }
}
