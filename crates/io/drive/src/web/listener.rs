//! Where the web listens.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

/// Where to listen: `HOST:PORT`. The host is an address or a name; `localhost` means both 127.0.0.1 and ::1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebListen {
    host: String,
    port: u16,
}

/// A text is not `HOST:PORT`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not HOST:PORT: {0:?}")]
pub struct BadWebListen(String);

impl FromStr for WebListen {
    type Err = BadWebListen;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadWebListen(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if host.is_empty() || (bare.is_none() && host.contains(':')) {
            return Err(bad());
        }
        Ok(Self { host: bare.unwrap_or(host).to_owned(), port: port.parse().map_err(|_| bad())? })
    }
}

impl fmt::Display for WebListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A socket that was bound and does not serve yet.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl WebListen {
    /// The same host with another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        Self { host: self.host.clone(), port }
    }

    /// The port; 0 lets the system choose.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is `localhost`, or an address that only this host reaches. Other names are not looked up.
    #[must_use]
    pub fn is_this_host(&self) -> bool {
        self.is_localhost() || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// Binds every address that is meant. A port of 0 is chosen once and used for all of them.
    pub(crate) fn bind(&self) -> Result<Vec<Bound>, (SocketAddr, io::Error)> {
        let mut bound: Vec<Bound> = Vec::new();
        for ip in self.addresses()? {
            let port = bound.first().map_or(self.port, |first| first.address.port());
            let address = SocketAddr::new(ip, port);
            match Bound::open(address) {
                Ok(socket) => bound.push(socket),
                // `localhost` on a host without IPv6, or without IPv4.
                Err(error) if self.is_localhost() && error.kind() == io::ErrorKind::AddrNotAvailable => {}
                Err(error) => return Err((address, error)),
            }
        }
        match bound.is_empty() {
            false => Ok(bound),
            true => {
                let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port);
                Err((address, io::ErrorKind::AddrNotAvailable.into()))
            }
        }
    }

    fn is_localhost(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
    }

    fn addresses(&self) -> Result<Vec<IpAddr>, (SocketAddr, io::Error)> {
        if self.is_localhost() {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), self.port);
        let found = (self.host.as_str(), self.port).to_socket_addrs().map_err(|error| (nowhere, error))?;
        let mut ips: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        ips.dedup();
        Ok(ips)
    }
}

impl Bound {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket for a runtime, within which this must be called.
    pub(super) fn into_listener(self) -> io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_read_and_written() {
        for text in ["localhost:5059", "127.0.0.1:9000", "[::1]:80", "switch.example.test:1"] {
            assert_eq!(text.parse::<WebListen>().unwrap().to_string(), text);
        }
        for bad in ["", "localhost", ":80", "::1:80", "a:b", "a:70000"] {
            assert!(bad.parse::<WebListen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn localhost_is_both_families_with_one_port() {
        let bound = "localhost:0".parse::<WebListen>().unwrap().bind().unwrap();
        assert_eq!(bound[0].address().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert!(bound.iter().all(|socket| socket.address().port() == bound[0].address().port()));
        let taken = "localhost:0".parse::<WebListen>().unwrap().with_port(bound[0].address().port());
        let (address, error) = taken.bind().unwrap_err();
        assert_eq!((address, error.kind()), (bound[0].address(), io::ErrorKind::AddrInUse));
    }
}
