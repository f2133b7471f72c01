//! Events on their way to whoever subscribed, as `event_datagram` and `event_stream` send them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// How long a subscriber may keep the simulator waiting.
const PATIENCE: Duration = Duration::from_millis(500);

/// The sockets that events leave from.
#[derive(Default)]
pub(super) struct EventSender {
    udp: Option<UdpSocket>,
    unix: Option<UnixDatagram>,
    streams: HashMap<String, TcpStream>,
}

impl EventSender {
    /// Sends one event to a socket as OpenSIPS writes it. What cannot be sent is lost, as there.
    pub(super) fn send(&mut self, socket: &str, bytes: &[u8]) {
        let sent = match socket.split_once(':') {
            Some(("udp", at)) => self.udp(at, bytes),
            Some(("unix", path)) => self.unix(path, bytes),
            Some(("tcp", at)) => self.tcp(at, bytes),
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, socket, "a simulated event was lost");
        }
    }

    fn udp(&mut self, at: &str, bytes: &[u8]) -> io::Result<()> {
        let socket = match &mut self.udp {
            Some(socket) => socket,
            closed => closed.insert(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?),
        };
        socket.send_to(bytes, at).map(drop)
    }

    fn unix(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let socket = match &mut self.unix {
            Some(socket) => socket,
            closed => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(PATIENCE))?;
                closed.insert(socket)
            }
        };
        socket.send_to(bytes, path).map(drop)
    }

    /// Objects follow each other without anything between them.
    fn tcp(&mut self, at: &str, bytes: &[u8]) -> io::Result<()> {
        let at = at.split_once('/').map_or(at, |(at, _)| at);
        // A stream whose other end is gone says so at the first or second write; then a new one is tried, once.
        for _ in 0..2 {
            let stream = match self.streams.get_mut(at) {
                Some(stream) => stream,
                None => {
                    let stream = connect(at)?;
                    self.streams.entry(at.to_owned()).or_insert(stream)
                }
            };
            if stream.write_all(bytes).is_ok() {
                return Ok(());
            }
            self.streams.remove(at);
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

fn connect(at: &str) -> io::Result<TcpStream> {
    let at: SocketAddr = at.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
