//! Asks STUN servers at which address the Internet sees this host (RFC 8489), on a thread of its own: names may be slow,
//! and nothing else waits for them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hookswitch_sip::stun;
use rand::Rng;

/// How long a start waits for the first answer.
const FIRST: Duration = Duration::from_secs(4);

/// How long an answer is waited for until the request is sent again, and how often it is sent to one server.
const TRIES: [Duration; 3] = [Duration::from_millis(300), Duration::from_millis(600), Duration::from_millis(1_200)];

/// Where and how often to ask.
#[derive(Clone, Debug)]
pub struct StunConfig {
    /// Servers, `HOST:PORT`, asked in this order until one answers. None: nobody is asked.
    pub servers: Vec<String>,
    /// Time between two questions. Default one minute.
    pub every: Duration,
}

impl Default for StunConfig {
    fn default() -> Self {
        Self { servers: Vec::new(), every: Duration::from_secs(60) }
    }
}

/// The thread that asks; it ends when this is dropped, or at most some seconds later when it waits for an answer.
pub(crate) struct Discovery {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Discovery {
    /// Begins to ask, from these addresses of ours (unspecified: any), and waits for the first answer, at most [`FIRST`]. `tell` is told
    /// whenever the addresses are others than before.
    pub(crate) fn start(
        config: StunConfig,
        from: Vec<IpAddr>,
        tell: impl Fn(Vec<IpAddr>) + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let (first, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("stun".to_owned()).spawn(move || {
            let mut first: Option<SyncSender<()>> = Some(first);
            let mut known = Vec::new();
            let mut silent = false;
            loop {
                let found = addresses(&config.servers, &from);
                if found.is_empty() && !silent {
                    let servers = config.servers.join(", ");
                    tracing::warn!(%servers, "no STUN server answers: the address that the Internet sees stays as it was");
                }
                silent = found.is_empty();
                if !silent && found != known {
                    tracing::info!(addresses = ?found, "this is where the Internet sees us");
                    known.clone_from(&found);
                    tell(found);
                }
                drop(first.take());
                match stopped.recv_timeout(config.every) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        // It ends with an error as soon as the thread has asked once.
        let _ = asked.recv_timeout(FIRST);
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A question on its way is not waited for.
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(Err(_)) = self.thread.take().map(JoinHandle::join)
        {
            tracing::error!("the thread that asks STUN servers had panicked");
        }
    }
}

/// Our addresses as the first server of each family that answers sees them.
fn addresses(servers: &[String], from: &[IpAddr]) -> Vec<IpAddr> {
    let known: Vec<SocketAddr> = servers.iter().filter_map(|name| name.to_socket_addrs().ok()).flatten().collect();
    let seen = from.iter().filter_map(|own| {
        let family = known.iter().filter(|server| server.is_ipv4() == own.is_ipv4());
        family.into_iter().find_map(|server| ask_stun(*server, *own).ok())
    });
    seen.map(|at| at.ip()).collect()
}

/// From where a STUN server sees a new UDP socket that is bound to `own`, which may be unspecified. Waits two seconds at
/// most.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] without an answer; what the system says.
pub fn ask_stun(server: SocketAddr, own: IpAddr) -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind((own, 0))?;
    // Only that server is heard.
    socket.connect(server)?;
    let id: [u8; 12] = rand::rng().random();
    let mut room = [0; 1_024];
    for patience in TRIES {
        socket.send(&stun::request(id))?;
        let end = Instant::now() + patience;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut room) {
                Ok(length) => {
                    if let Some(at) = stun::mapped_address(&room[..length], id) {
                        return Ok(at);
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The addresses to ask from, one of each family: those that SIP sockets are bound to, or any.
pub(crate) fn own_addresses(sockets: impl Iterator<Item = SocketAddr>) -> Vec<IpAddr> {
    let mut own = Vec::new();
    for ip in sockets.map(|socket| socket.ip()).filter(|ip| !ip.is_loopback()) {
        if !own.iter().any(|known: &IpAddr| known.is_ipv4() == ip.is_ipv4()) {
            own.push(ip);
        }
    }
    if own.is_empty() {
        own.extend([IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)]);
    }
    own
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A server that says of everybody that he is where `says` has it; nothing while there is nothing in it.
    fn server(says: &Arc<Mutex<Option<SocketAddr>>>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let says = Arc::clone(says);
        std::thread::spawn(move || {
            let mut room = [0; 1_024];
            while let Ok((length, from)) = socket.recv_from(&mut room) {
                let reply = says.lock().unwrap().and_then(|says| stun::answer(&room[..length], says));
                reply.map(|reply| socket.send_to(&reply, from).unwrap());
            }
        });
        address
    }

    fn place(text: &str) -> Arc<Mutex<Option<SocketAddr>>> {
        Arc::new(Mutex::new(Some(text.parse().unwrap())))
    }

    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    #[test]
    fn an_answer_is_where_the_server_saw_it_and_silence_ends() {
        let says = place("203.0.113.5:4711");
        let server = server(&says);
        assert_eq!(ask_stun(server, ANY).unwrap(), "203.0.113.5:4711".parse().unwrap());
        *says.lock().unwrap() = None;
        assert_eq!(ask_stun(server, ANY).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn the_next_server_is_asked_where_one_cannot_be_found() {
        let servers = ["no.such.host.invalid:3478".to_owned(), server(&place("203.0.113.7:1")).to_string()];
        assert_eq!(addresses(&servers, &[ANY]), ["203.0.113.7".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn the_first_answer_is_there_at_the_start_and_another_address_is_told() {
        let says = place("203.0.113.5:4711");
        let config = StunConfig { servers: vec![server(&says).to_string()], every: Duration::from_millis(20) };
        let (tell, told) = channel();
        let _asks = Discovery::start(config, vec![ANY], move |found| tell.send(found).unwrap()).unwrap();
        assert_eq!(told.try_recv().unwrap(), ["203.0.113.5".parse::<IpAddr>().unwrap()], "before the start is over");
        *says.lock().unwrap() = Some("203.0.113.6:4711".parse().unwrap());
        let next = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(next, ["203.0.113.6".parse::<IpAddr>().unwrap()], "and nothing was told twice between");
    }

    #[test]
    fn questions_come_from_where_sip_is_bound() {
        let own = |sockets: &[&str]| own_addresses(sockets.iter().map(|at| at.parse().unwrap()));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(own(&["10.0.0.1:5060", "10.9.0.1:5060", "[fd00::1]:5060"]), [ip("10.0.0.1"), ip("fd00::1")]);
        assert_eq!(own(&["127.0.0.1:5060", "0.0.0.0:5062"]), [ip("0.0.0.0")]);
        assert_eq!(own(&["127.0.0.1:5060"]), [ip("0.0.0.0"), ip("::")]);
    }
}
