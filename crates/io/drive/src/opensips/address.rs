//! Where OpenSIPS is, and where it finds us: as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// Where requests go.
///
/// | written | module of OpenSIPS |
/// |---|---|
/// | `udp:HOST:PORT`, or `HOST:PORT` | `mi_datagram`, IPv4 only |
/// | `unix:/PATH`, or `/PATH` | `mi_datagram` |
/// | `http://[USER:PASSWORD@]HOST[:PORT]/PATH`, `https://…` | `mi_http`; `%XX` in user and password stand for a byte |
#[derive(Clone, PartialEq, Eq)]
pub enum MiAddress {
    /// Datagrams.
    Udp {
        /// A name or an IPv4 address.
        host: String,
        /// The port.
        port: u16,
    },
    /// Datagrams over a UNIX socket.
    Unix(PathBuf),
    /// Requests over HTTP.
    Http(Box<HttpAddress>),
}

/// Where `mi_http` is.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpAddress {
    /// The URL, without user and password.
    pub(super) url: reqwest::Url,
    /// For Basic authentication.
    pub(super) user: Option<(String, String)>,
}

/// A text is no address of `mi_datagram` or `mi_http`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is none of udp:HOST:PORT, unix:/PATH, http://HOST:PORT/PATH, https://HOST:PORT/PATH")]
pub struct BadMiAddress(String);

impl FromStr for MiAddress {
    type Err = BadMiAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = if let Some(path) = unix_path(text) {
            Some(Self::Unix(path))
        } else if text.starts_with("http://") || text.starts_with("https://") {
            HttpAddress::read(text).map(|address| Self::Http(Box::new(address)))
        } else {
            let pair = host_and_port(text.strip_prefix("udp:").unwrap_or(text));
            pair.filter(|(_, port)| *port != 0).map(|(host, port)| Self::Udp { host: host.to_owned(), port })
        };
        // A password that was written in a wrong place must not reach a log.
        read.ok_or_else(|| BadMiAddress(text.rsplit_once('@').map_or(text, |(_, place)| place).to_owned()))
    }
}

/// As it may be shown: without the password.
impl fmt::Display for MiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp { host, port } if host.contains(':') => write!(f, "udp:[{host}]:{port}"),
            Self::Udp { host, port } => write!(f, "udp:{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(address) => f.write_str(address.url.as_str()),
        }
    }
}

impl fmt::Debug for MiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl HttpAddress {
    fn read(text: &str) -> Option<Self> {
        let mut url = reqwest::Url::parse(text).ok()?;
        let user = decode(url.username())?;
        let password = decode(url.password().unwrap_or_default())?;
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        has_host.then_some(Self { url, user: (!user.is_empty()).then_some((user, password)) })
    }

    /// The host, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }
}

/// Undoes `%XX`. `None` if that is no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let (byte, after) = match (first, digit(0), digit(1), after.get(2..)) {
            (b'%', Some(high), Some(low), Some(after)) => ((high * 16 + low) as u8, after),
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// Where events are to arrive.
///
/// | written | module of OpenSIPS |
/// |---|---|
/// | `udp` | `event_datagram`, on the address of this host from which packets to OpenSIPS leave, any free port |
/// | `udp:IP:PORT` | the same with a chosen address, IPv4 only; `0.0.0.0` means all of them, port 0 any free one |
/// | `unix:/PATH`, or `/PATH` | `event_datagram` |
/// | `tcp`, `tcp:IP:PORT` | `event_stream` |
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventsAddress {
    /// Datagrams; without an address the one that packets to OpenSIPS leave from.
    Udp(Option<IpAddr>, u16),
    /// Datagrams over a UNIX socket, at this path.
    Unix(PathBuf),
    /// A stream that OpenSIPS opens; the address as with UDP.
    Tcp(Option<IpAddr>, u16),
}

impl Default for EventsAddress {
    fn default() -> Self {
        Self::Udp(None, 0)
    }
}

/// A text is no address for events.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is none of udp, udp:IP:PORT, unix:/PATH, tcp, tcp:IP:PORT")]
pub struct BadEventsAddress(String);

impl FromStr for EventsAddress {
    type Err = BadEventsAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadEventsAddress(text.to_owned());
        let at = |rest: &str| {
            let (ip, port) = host_and_port(rest)?;
            let ip = match ip {
                "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
                ip => ip.parse().ok()?,
            };
            Some((Some(ip), port))
        };
        match (text, unix_path(text)) {
            (_, Some(path)) => Ok(Self::Unix(path)),
            ("udp", None) => Ok(Self::Udp(None, 0)),
            ("tcp", None) => Ok(Self::Tcp(None, 0)),
            (_, None) => match text.split_once(':').ok_or_else(bad)? {
                ("udp", rest) => at(rest).map(|(ip, port)| Self::Udp(ip, port)).ok_or_else(bad),
                ("tcp", rest) => at(rest).map(|(ip, port)| Self::Tcp(ip, port)).ok_or_else(bad),
                _ => Err(bad()),
            },
        }
    }
}

impl fmt::Display for EventsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, ip, port) = match self {
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
            Self::Udp(ip, port) => ("udp", ip, port),
            Self::Tcp(ip, port) => ("tcp", ip, port),
        };
        match ip {
            Some(ip) => write!(f, "{scheme}:{}", authority(&ip.to_string(), *port)),
            None if *port == 0 => f.write_str(scheme),
            None => write!(f, "{scheme}:{}", authority(&Ipv4Addr::UNSPECIFIED.to_string(), *port)),
        }
    }
}

fn unix_path(text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix("unix:").unwrap_or(text);
    (path.starts_with('/') && path.len() > 1).then(|| PathBuf::from(path))
}

/// Splits `HOST:PORT`; an IPv6 address stands in brackets.
pub(super) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_sound = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', '@', '[', ']', ' ']),
    };
    is_sound.then_some((bare.unwrap_or(host), port.parse().ok()?))
}

/// `HOST:PORT`, with brackets where they are needed.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_requests_are_read_and_shown() {
        for (text, shown) in [
            ("udp:127.0.0.1:8080", "udp:127.0.0.1:8080"),
            ("opensips.example.test:8080", "udp:opensips.example.test:8080"),
            ("udp:[::1]:8080", "udp:[::1]:8080"),
            ("unix:/run/opensips/mi.sock", "unix:/run/opensips/mi.sock"),
            ("/run/opensips/mi.sock", "unix:/run/opensips/mi.sock"),
            ("http://127.0.0.1:8888/mi", "http://127.0.0.1:8888/mi"),
            ("https://[::1]/mi", "https://[::1]/mi"),
        ] {
            assert_eq!(text.parse::<MiAddress>().unwrap().to_string(), shown);
        }
        for bad in ["", "udp:", "udp:host", "udp:host:0", "udp::8080", "unix:", "unix:run", "/", "http://", "fifo:/x"] {
            assert!(bad.parse::<MiAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_read_and_never_shown() {
        let MiAddress::Http(address) = "http://joe:p%40ss%2F%25w%zz@host:80/mi".parse().unwrap() else { panic!() };
        assert_eq!(address.user, Some(("joe".to_owned(), "p@ss/%w%zz".to_owned())));
        assert_eq!((address.host(), address.port()), ("host", 80));
        let shown = MiAddress::Http(address);
        assert_eq!(format!("{shown} {shown:?}"), "http://host/mi http://host/mi");
        let error = "htp://joe:secret@host".parse::<MiAddress>().unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("host"), "{error}");
    }

    #[test]
    fn addresses_for_events_are_read_and_shown() {
        for (text, shown) in [
            ("udp", "udp"),
            ("tcp", "tcp"),
            ("udp:127.0.0.1:0", "udp:127.0.0.1:0"),
            ("udp:localhost:4000", "udp:127.0.0.1:4000"),
            ("tcp:[::1]:5071", "tcp:[::1]:5071"),
            ("/run/events", "unix:/run/events"),
            ("unix:/run/events", "unix:/run/events"),
        ] {
            assert_eq!(text.parse::<EventsAddress>().unwrap().to_string(), shown);
        }
        for bad in ["", "udp:", "udp:host.test:1", "tcp:127.0.0.1", "sctp:127.0.0.1:1", "unix:x"] {
            assert!(bad.parse::<EventsAddress>().is_err(), "{bad}");
        }
    }
}
