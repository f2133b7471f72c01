//! How a NAT before this host behaves, found out with a STUN server (RFC 5780): what it makes of our address, towards
//! whom, and whose packets it lets in.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hookswitch_sip::stun;
use rand::Rng;

/// How long an answer is waited for until the request is sent again, and how often it is sent.
const TRIES: [Duration; 3] = [Duration::from_millis(300), Duration::from_millis(500), Duration::from_millis(800)];

/// How long our own packet may take to come back through a NAT.
const HAIRPIN: Duration = Duration::from_millis(800);

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1_500;

/// What decides which port a NAT gives to packets of ours (RFC 4787 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// Our own address alone.
    EndpointIndependent,
    /// The address of the other side as well.
    AddressDependent,
    /// The address and the port of the other side as well: a symmetric NAT.
    AddressAndPortDependent,
}

/// Whose packets a NAT lets in (RFC 4787 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filtering {
    /// Everybody's.
    EndpointIndependent,
    /// Those of addresses that we have sent to.
    AddressDependent,
    /// Those of addresses and ports that we have sent to.
    AddressAndPortDependent,
}

/// What was found out from one socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Behaviour {
    /// Where the socket is, by our own account.
    pub own: SocketAddr,
    /// Where the server sees it.
    pub mapped: SocketAddr,
    /// The other address of the server; without one nothing more can be found out with it alone.
    pub other: Option<SocketAddr>,
    /// None: nobody could tell.
    pub mapping: Option<Mapping>,
    /// None: nobody could tell.
    pub filtering: Option<Filtering>,
    /// Whether our own packets come back by the address that the server sees; none where there is no NAT.
    pub hairpin: Option<bool>,
}

/// Whom to ask from which address of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// The server.
    pub server: SocketAddr,
    /// A second server, for the case that the first has one address only.
    pub second: Option<SocketAddr>,
    /// Our address and port; port 0 is any.
    pub own: SocketAddr,
}

/// Finds out what the path from `own` does. Takes up to ten seconds, for what does not come has to be waited for.
///
/// # Errors
/// The socket cannot be bound; [`io::ErrorKind::TimedOut`] where no server answers; what the system says.
pub fn nat_behaviour(question: Question) -> io::Result<Behaviour> {
    let socket = UdpSocket::bind(question.own)?;
    let first = ask(&socket, question.server, Wish::Nothing)?.ok_or(io::ErrorKind::TimedOut)?;
    let mapped = first.mapped.ok_or_else(|| io::Error::other("the answer names no address"))?;
    let own = SocketAddr::new(towards(&socket, question.server)?, socket.local_addr()?.port());
    // Before anything is sent to the other address: what was asked for by that would be let in.
    let filtering = match first.other {
        Some(_) => Some(filtering(&socket, question.server)?),
        None => None,
    };
    let mapping = match (first.other, question.second) {
        (Some(other), _) => mapping(&socket, mapped, question.server, other)?,
        (None, Some(second)) => {
            let there = ask(&socket, second, Wish::Nothing)?.and_then(|answer| answer.mapped);
            there.map(|there| match there == mapped {
                true => Mapping::EndpointIndependent,
                false => Mapping::AddressAndPortDependent,
            })
        }
        (None, None) => None,
    };
    let hairpin = if own.ip() == mapped.ip() { None } else { Some(hairpin(&socket, mapped)?) };
    Ok(Behaviour { own, mapped, other: first.other, mapping, filtering, hairpin })
}

/// RFC 5780 section 4.4, on a socket that has sent to the server's first address and nowhere else.
fn filtering(socket: &UdpSocket, server: SocketAddr) -> io::Result<Filtering> {
    if ask(socket, server, Wish::OtherAddress)?.is_some() {
        return Ok(Filtering::EndpointIndependent);
    }
    let by_port = ask(socket, server, Wish::OtherPort)?.is_some();
    Ok(if by_port { Filtering::AddressDependent } else { Filtering::AddressAndPortDependent })
}

/// RFC 5780 section 4.3.
fn mapping(
    socket: &UdpSocket,
    mapped: SocketAddr,
    server: SocketAddr,
    other: SocketAddr,
) -> io::Result<Option<Mapping>> {
    let seen = |at| ask(socket, at, Wish::Nothing).map(|answer| answer.and_then(|answer| answer.mapped));
    let Some(second) = seen(SocketAddr::new(other.ip(), server.port()))? else { return Ok(None) };
    if second == mapped {
        return Ok(Some(Mapping::EndpointIndependent));
    }
    Ok(seen(other)?.map(|third| match third == second {
        true => Mapping::AddressDependent,
        false => Mapping::AddressAndPortDependent,
    }))
}

/// RFC 5780 section 4.5: whether a packet of another socket of ours comes back in.
fn hairpin(socket: &UdpSocket, mapped: SocketAddr) -> io::Result<bool> {
    let sender = UdpSocket::bind(SocketAddr::new(socket.local_addr()?.ip(), 0))?;
    let id: [u8; 12] = rand::rng().random();
    // A NAT that says no by ICMP says no.
    let _ = sender.send_to(&stun::request(id), mapped);
    let came = receive(socket, HAIRPIN, |bytes, _| (bytes == stun::request(id)).then_some(()))?;
    Ok(came.is_some())
}

/// From where the answer is to come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Nothing,
    OtherAddress,
    OtherPort,
}

struct Answer {
    mapped: Option<SocketAddr>,
    other: Option<SocketAddr>,
}

/// Asks until there is an answer; none after the last try.
fn ask(socket: &UdpSocket, server: SocketAddr, wish: Wish) -> io::Result<Option<Answer>> {
    let id: [u8; 12] = rand::rng().random();
    for patience in TRIES {
        match wish {
            Wish::Nothing => socket.send_to(&stun::request(id), server)?,
            Wish::OtherAddress => socket.send_to(&stun::change_request(id, true), server)?,
            Wish::OtherPort => socket.send_to(&stun::change_request(id, false), server)?,
        };
        let answer = receive(socket, patience, |bytes, from| {
            // A server that ignores the wish, or refuses it, has let nobody else in.
            let as_wished = match wish {
                Wish::Nothing => true,
                Wish::OtherAddress => from.ip() != server.ip(),
                Wish::OtherPort => from.port() != server.port(),
            };
            let answer = || Answer { mapped: stun::mapped_address(bytes, id), other: stun::other_address(bytes, id) };
            (as_wished && stun::answers(bytes, id)).then(answer)
        })?;
        if answer.is_some() {
            return Ok(answer);
        }
    }
    Ok(None)
}

/// The first packet that is what is looked for, of those that come in this time.
fn receive<T>(
    socket: &UdpSocket,
    patience: Duration,
    look: impl Fn(&[u8], SocketAddr) -> Option<T>,
) -> io::Result<Option<T>> {
    let mut room = [0; MAX_ANSWER];
    let end = Instant::now() + patience;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left))?;
        match socket.recv_from(&mut room) {
            Ok((length, from)) => {
                if let Some(found) = look(&room[..length], from) {
                    return Ok(Some(found));
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The address that packets to the server leave from.
fn towards(socket: &UdpSocket, server: SocketAddr) -> io::Result<IpAddr> {
    let own = socket.local_addr()?.ip();
    if own.is_unspecified() { hookswitch_net::local_address_towards(server.ip()) } else { Ok(own) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// What a server is like, of which each of its four sockets tells another port if `symmetric`.
    #[derive(Clone, Copy)]
    struct Server {
        two_addresses: bool,
        answers_elsewhere: bool,
        symmetric: bool,
    }

    const PLAIN: Server = Server { two_addresses: false, answers_elsewhere: false, symmetric: false };

    /// OTHER-ADDRESS of IPv4.
    fn other(at: SocketAddr) -> Vec<u8> {
        let IpAddr::V4(ip) = at.ip() else { panic!("{at}") };
        [&[0x80, 0x2c, 0, 8, 0, 1][..], &at.port().to_be_bytes(), &ip.octets()].concat()
    }

    fn start(like: Server) -> SocketAddr {
        let bind = |ip: [u8; 4], port: u16| UdpSocket::bind((Ipv4Addr::from(ip), port));
        // The same two ports on both addresses.
        let sockets = loop {
            let first = [bind([127, 0, 0, 1], 0).unwrap(), bind([127, 0, 0, 1], 0).unwrap()];
            let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
            let second = (bind([127, 0, 0, 2], port(&first[0])), bind([127, 0, 0, 2], port(&first[1])));
            if let (Ok(low), Ok(high)) = second {
                let [one, two] = first;
                break [one, two, low, high];
            }
        };
        let at = sockets[0].local_addr().unwrap();
        let sockets = std::sync::Arc::new(sockets);
        for index in 0..4 {
            let sockets = std::sync::Arc::clone(&sockets);
            sockets[index].set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            std::thread::spawn(move || serve(&sockets, index, like));
        }
        at
    }

    fn serve(sockets: &[UdpSocket; 4], index: usize, like: Server) {
        let mut room = [0; 512];
        while let Ok((length, from)) = sockets[index].recv_from(&mut room) {
            let asked = &room[..length];
            let flags = if length == 28 { asked[27] } else { 0 };
            if flags != 0 && !like.answers_elsewhere {
                continue;
            }
            let port = from.port().wrapping_add(if like.symmetric { 1 + index as u16 } else { 0 });
            let seen = SocketAddr::new("203.0.113.5".parse().unwrap(), port);
            let mut plain = asked[..20].to_vec();
            plain[3] = 0;
            let mut reply = stun::answer(&plain, seen).unwrap().to_vec();
            if like.two_addresses {
                reply.extend(other(sockets[3].local_addr().unwrap()));
                reply[3] += 12;
            }
            let from_where = match flags {
                6 => index ^ 3,
                2 => index ^ 1,
                _ => index,
            };
            sockets[from_where].send_to(&reply, from).unwrap();
        }
    }

    fn found(like: Server) -> Behaviour {
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        nat_behaviour(Question { server: start(like), second: None, own }).unwrap()
    }

    #[test]
    fn a_server_with_one_address_tells_the_address_and_nothing_more() {
        let found = found(PLAIN);
        assert_eq!(found.mapped.ip(), "203.0.113.5".parse::<IpAddr>().unwrap());
        assert_eq!((found.own.port(), found.other), (found.mapped.port(), None));
        assert_eq!((found.mapping, found.filtering), (None, None));
        assert_eq!(found.hairpin, Some(false));
    }

    #[test]
    fn two_servers_together_tell_whether_the_port_depends_on_the_far_end() {
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (server, same) = (start(PLAIN), start(PLAIN));
        let other = start(Server { symmetric: true, ..PLAIN });
        let ask = |second| nat_behaviour(Question { server, second: Some(second), own }).unwrap().mapping;
        assert_eq!(ask(same), Some(Mapping::EndpointIndependent));
        assert_eq!(ask(other), Some(Mapping::AddressAndPortDependent));
    }

    #[test]
    fn a_server_with_two_addresses_tells_mapping_and_filtering() {
        let two = Server { two_addresses: true, answers_elsewhere: true, symmetric: false };
        let open = found(two);
        assert_eq!(open.mapping, Some(Mapping::EndpointIndependent));
        assert_eq!(open.filtering, Some(Filtering::EndpointIndependent));
        let closed = found(Server { answers_elsewhere: false, symmetric: true, ..two });
        assert_eq!(closed.mapping, Some(Mapping::AddressAndPortDependent));
        assert_eq!(closed.filtering, Some(Filtering::AddressAndPortDependent));
    }

    #[test]
    fn silence_is_an_error() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let question =
            Question { server: silent.local_addr().unwrap(), second: None, own: "127.0.0.1:0".parse().unwrap() };
        assert_eq!(nat_behaviour(question).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
