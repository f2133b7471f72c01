//! Whether every configured port can be had, and who has it where not.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use hookswitch_net::{Listener, NetError, UdpOptions, UdpSocket};

use super::check::Check;
use crate::config::{Config, SipTransport};

const AREA: &str = "ports";

/// What the switch is called in the list of processes.
const PROGRAM: &str = "hookswitch";

/// A program that has a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    pub process: u32,
    pub program: String,
}

impl Holder {
    pub fn is_switch(&self) -> bool {
        self.program == PROGRAM
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.program, self.process)
    }
}

/// What came of binding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bound {
    Free,
    /// Somebody has it; who, where the system tells us.
    Taken(Option<Holder>),
    /// No interface has the address.
    NotHere,
    /// This user may not.
    Denied,
    Failed(String),
}

/// One port that is configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// As it is configured.
    pub name: String,
    /// The key that says so.
    pub key: &'static str,
    pub bound: Bound,
}

/// Says of every port what it is like.
pub fn judge(ports: &[Port]) -> Vec<Check> {
    ports.iter().map(one).collect()
}

fn one(port: &Port) -> Check {
    let Port { name, key, bound } = port;
    let error = |seen: String, advice: String| Check::error(AREA, name, seen, advice);
    match bound {
        Bound::Free => Check::ok(AREA, name, "can be bound"),
        Bound::Taken(Some(holder)) if holder.is_switch() => Check::ok(AREA, name, format!("held by {holder}")),
        Bound::Taken(Some(holder)) => error(format!("held by {holder}"), format!("stop it, or change {key}")),
        Bound::Taken(None) => Check::warning(
            AREA,
            name,
            "held by a program of somebody else's",
            format!("run this as root to see which; unless it is {PROGRAM}, stop it or change {key}"),
        ),
        Bound::NotHere => error("no interface has this address".into(), format!("see `ip address`, and change {key}")),
        Bound::Denied => Check::warning(
            AREA,
            name,
            "this user may not bind it",
            "give the service CAP_NET_BIND_SERVICE (docs/install.md), or take a port from 1024 on",
        ),
        Bound::Failed(why) => error(why.clone(), format!("change {key}")),
    }
}

/// The running switch that has these ports, if one has some.
pub fn switch(ports: &[Port]) -> Option<u32> {
    ports.iter().find_map(|port| match &port.bound {
        Bound::Taken(Some(holder)) if holder.is_switch() => Some(holder.process),
        _ => None,
    })
}

/// Tries every port, and lets go of it at once.
pub fn collect(config: &Config, sockets: &Sockets) -> Vec<Port> {
    let mut ports = Vec::new();
    for listen in &config.sip.listen {
        let datagrams = listen.transport == SipTransport::Udp;
        let bound = bind(listen.address, datagrams, sockets);
        ports.push(Port { name: listen.to_string(), key: "sip.listen", bound });
    }
    let call_api = ("call_api.listen", &config.call_api.listen);
    let control = config.control.enabled.then_some(("control.listen", &config.control.listen));
    let channels = Some(("channels.listen", &config.channels.listen)).filter(|(_, listen)| !listen.is_empty());
    for (key, text) in [("http.listen", &config.http.listen), call_api].into_iter().chain(channels).chain(control) {
        match text.to_socket_addrs() {
            Ok(addresses) => {
                let found = addresses.map(|address| (address, bind(address, false, sockets)));
                // `localhost` has two addresses, and a host without IPv6 only one of them.
                let found = found.filter(|(at, bound)| !(at.is_ipv6() && *bound == Bound::NotHere));
                ports.extend(found.map(|(address, bound)| Port { name: format!("tcp:{address}"), key, bound }));
            }
            Err(error) => ports.push(Port { name: text.clone(), key, bound: Bound::Failed(error.to_string()) }),
        }
    }
    ports
}

fn bind(address: SocketAddr, datagrams: bool, sockets: &Sockets) -> Bound {
    let done = match datagrams {
        true => UdpSocket::bind(address, UdpOptions::default()).map(drop),
        false => Listener::bind(address).map(drop),
    };
    let error = match done {
        Ok(()) => return Bound::Free,
        Err(NetError::AddressInUse { .. }) => return Bound::Taken(sockets.holder(address, datagrams)),
        Err(error) => error,
    };
    let kind = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
    match kind.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::AddrNotAvailable) => Bound::NotHere,
        Some(std::io::ErrorKind::PermissionDenied) => Bound::Denied,
        _ => Bound::Failed(error.to_string()),
    }
}

/// The sockets of this host, and whose they are as far as this user may know.
#[derive(Clone, Default, Debug)]
pub struct Sockets {
    datagrams: Vec<(SocketAddr, u64)>,
    listeners: Vec<(SocketAddr, u64)>,
    owners: HashMap<u64, Holder>,
}

impl Sockets {
    /// Asks the system.
    pub fn look() -> Self {
        let read = |name: &str, wanted: Option<&str>| {
            let text = fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
            sockets(&text, wanted)
        };
        let datagrams: Vec<_> = [read("udp", None), read("udp6", None)].concat();
        let listeners: Vec<_> = [read("tcp", Some(LISTENS)), read("tcp6", Some(LISTENS))].concat();
        Self { datagrams, listeners, owners: owners() }
    }

    fn holder(&self, address: SocketAddr, datagrams: bool) -> Option<Holder> {
        let list = if datagrams { &self.datagrams } else { &self.listeners };
        let overlaps = |other: IpAddr| other == address.ip() || other.is_unspecified() || address.ip().is_unspecified();
        let mut same = list.iter().filter(|(at, _)| at.port() == address.port() && overlaps(at.ip()));
        same.find_map(|(_, inode)| self.owners.get(inode).cloned())
    }

    /// Ports for datagrams within a range that are not the switch's, and whose they are.
    pub fn strangers(&self, first: u16, last: u16) -> BTreeMap<u16, Option<Holder>> {
        let inside = self.datagrams.iter().filter(|(at, _)| (first..=last).contains(&at.port()));
        let owned = inside.map(|(at, inode)| (at.port(), self.owners.get(inode).cloned()));
        owned.filter(|(_, owner)| !owner.as_ref().is_some_and(Holder::is_switch)).collect()
    }
}

/// State of a TCP socket that listens, as the system writes it.
const LISTENS: &str = "0A";

/// Local addresses and inodes of a table such as /proc/net/udp.
fn sockets(table: &str, wanted: Option<&str>) -> Vec<(SocketAddr, u64)> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, state) = (words.get(1)?, words.get(3)?);
        if wanted.is_some_and(|wanted| wanted != *state) {
            return None;
        }
        Some((hex_address(local)?, words.get(9)?.parse().ok()?))
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// An address as the system writes it there: words of four bytes, each in the order of the processor.
fn hex_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match ip.len() {
        8 => Some(SocketAddr::new(Ipv4Addr::from(word(0)?).into(), port)),
        32 => {
            let bytes: [u8; 16] = [word(0)?, word(1)?, word(2)?, word(3)?].concat().try_into().ok()?;
            Some(SocketAddr::new(Ipv6Addr::from(bytes).into(), port))
        }
        _ => None,
    }
}

/// Which process has which socket, of those that this user may look into.
fn owners() -> HashMap<u64, Holder> {
    let mut owners = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(number) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let program = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        for file in files.flatten() {
            let Some(inode) = fs::read_link(file.path()).ok().and_then(|link| socket_inode(link.to_str()?)) else {
                continue;
            };
            owners.insert(inode, Holder { process: number, program: program.trim().to_owned() });
        }
    }
    owners
}

fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn port(bound: Bound) -> Check {
        one(&Port { name: "udp:0.0.0.0:5060".into(), key: "sip.listen", bound })
    }

    fn holder(program: &str) -> Holder {
        Holder { process: 7, program: program.into() }
    }

    #[test]
    fn every_outcome_of_binding_has_its_words() {
        assert_eq!(port(Bound::Free), Check::ok(AREA, "udp:0.0.0.0:5060", "can be bound"));
        let running = port(Bound::Taken(Some(holder("hookswitch"))));
        assert_eq!((running.state, running.seen.as_str()), (State::Ok, "held by hookswitch (process 7)"));
        let other = port(Bound::Taken(Some(holder("kamailio"))));
        assert_eq!((other.state, other.seen.as_str()), (State::Error, "held by kamailio (process 7)"));
        assert_eq!(other.advice, "stop it, or change sip.listen");
        let unknown = port(Bound::Taken(None));
        assert!(unknown.state == State::Warning && unknown.advice.starts_with("run this as root"), "{unknown}");
        assert_eq!(port(Bound::NotHere).state, State::Error);
        assert!(port(Bound::Denied).advice.contains("CAP_NET_BIND_SERVICE"));
        assert_eq!(port(Bound::Failed("no such family".into())).seen, "no such family");
    }

    #[test]
    fn tables_of_the_system_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            1: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0\n\
            2: broken\n";
        let expected = vec![(SocketAddr::from(([127, 0, 0, 1], 5060)), 4_711)];
        // Words are written in the order of the processor.
        if cfg!(target_endian = "little") {
            assert_eq!(sockets(table, None), expected);
        }
        assert_eq!(sockets(table, Some(LISTENS)), []);
        let v6 = hex_address("00000000000000000000000000000000:1F90").unwrap();
        assert_eq!(v6, "[::]:8080".parse().unwrap());
        assert_eq!(hex_address("0100:1F90"), None);
        assert_eq!(socket_inode("socket:[12]"), Some(12));
        assert_eq!(socket_inode("/dev/null"), None);
    }

    #[test]
    fn a_taken_port_is_traced_to_its_holder_and_a_free_one_is_free() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = socket.local_addr().unwrap();
        let sockets = Sockets::look();
        let Bound::Taken(Some(found)) = bind(taken, true, &sockets) else { panic!("who has {taken}?") };
        assert_eq!(found.process, std::process::id());
        assert!(sockets.strangers(taken.port(), taken.port()).contains_key(&taken.port()));
        drop(socket);
        assert_eq!(bind(taken, true, &sockets), Bound::Free);
        assert_eq!(bind("192.0.2.1:5060".parse().unwrap(), true, &sockets), Bound::NotHere);
        assert_eq!(bind("192.0.2.1:5060".parse().unwrap(), false, &sockets), Bound::NotHere);
    }
}
