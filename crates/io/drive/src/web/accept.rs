//! Who gets a connection: as many as there are places, not too many from one address, and each only for as long as it
//! takes to say what it wants.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use compact_str::CompactString;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificate::names_of;
use super::connection::{Connection, Stream};
use super::tls::Identity;
use crate::pii::Pii;

/// Pause before connections are accepted again when descriptors have run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Where a request comes from; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote(pub(super) SocketAddr);

/// What holds for all connections of a listener.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) places: Places,
    /// How long a connection may stay unused.
    pub(super) idle: Duration,
    /// How long the head of a request may take to arrive, from when the connection is free for it; and a TLS handshake.
    pub(super) head: Duration,
    /// Longest head of a request, in bytes, and as much of a body is read at once; none leaves it to the library
    /// (400 KiB). At least 8 KiB.
    pub(super) head_bytes: Option<usize>,
    /// TLS, unless in the clear.
    pub(super) tls: Option<Arc<Identity>>,
}

/// The names in the certificate that a client has shown and that was found good; an extension of every request. Empty
/// without one.
#[derive(Clone, Debug, Default)]
pub(super) struct Certified(pub(super) Arc<[CompactString]>);

/// The places for connections.
#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    per_address: PerAddress,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// How many connections one address may have.
#[derive(Clone, Copy, Debug)]
pub(super) enum PerAddress {
    /// So many, wherever it is.
    All(usize),
    /// So many, but as many as it likes when it is this host: proxies and gateways come from there for everybody.
    Others(usize),
}

/// The place of one connection, given back when dropped.
pub(super) struct Place {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(all: usize, per_address: PerAddress) -> Self {
        Self { all: Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS))), per_address, taken: Arc::default() }
    }

    /// A place for a connection from there, if there is one.
    fn take(&self, address: IpAddr) -> Option<Place> {
        // One machine, whichever way it writes its address.
        let address = address.to_canonical();
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let limit = match self.per_address {
            PerAddress::Others(_) if address.is_loopback() => usize::MAX,
            PerAddress::All(limit) | PerAddress::Others(limit) => limit,
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { address, taken: Arc::clone(&self.taken), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

/// Accepts connections for as long as the runtime lives.
pub(super) async fn serve(listener: TcpListener, router: Router, terms: Terms) {
    loop {
        match listener.accept().await {
            Ok((tcp, remote)) => {
                // Without a place the stream is dropped, which closes it: better than to let it hang.
                let Some(place) = terms.places.take(remote.ip()) else {
                    tracing::debug!(remote = %Pii(remote), "no place for a connection");
                    continue;
                };
                tokio::spawn(converse(tcp, remote, place, router.clone(), terms.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a web connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn converse(tcp: TcpStream, remote: SocketAddr, place: Place, router: Router, terms: Terms) {
    let _ = tcp.set_nodelay(true);
    let stream = match secure(tcp, terms.tls.as_deref(), terms.head).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, remote = %Pii(remote), "a TLS handshake has failed");
            return;
        }
    };
    let certified = Certified(certified(&stream));
    let connection = Connection::new(stream, place, terms.idle);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Remote(remote));
        request.extensions_mut().insert(certified.clone());
        router.call(request)
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(terms.head);
    if let Some(bytes) = terms.head_bytes {
        server.max_header_size(bytes).max_buf_size(bytes);
    }
    if let Err(error) = server.serve_connection(TokioIo::new(connection), service).with_upgrades().await {
        tracing::debug!(%error, remote = %Pii(remote), "a web connection has failed");
    }
}

async fn secure(tcp: TcpStream, tls: Option<&Identity>, patience: Duration) -> io::Result<Stream> {
    match tls {
        None => Ok(Stream::Plain(tcp)),
        Some(tls) => match timeout(patience, TlsAcceptor::from(tls.server()).accept(tcp)).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream?))),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        },
    }
}

/// Who the client is by its certificate, if it has shown one.
fn certified(stream: &Stream) -> Arc<[CompactString]> {
    let Stream::Tls(tls) = stream else { return Arc::default() };
    let chain = tls.get_ref().1.peer_certificates();
    chain.and_then(<[_]>::first).map(|own| names_of(own)).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::super::http::{HttpConfig, MAX_HTTP_CONNECTIONS};
    use super::*;

    const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn one_address_has_so_many_places_and_gets_them_back() {
        let places = Places::new(10, PerAddress::Others(2));
        let first = places.take(FAR).unwrap();
        let _second = places.take("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(places.take(FAR).is_none());
        let _other = places.take("192.0.2.2".parse().unwrap()).unwrap();
        drop(first);
        let _third = places.take(FAR).unwrap();
        assert!(places.take(FAR).is_none());
    }

    #[test]
    fn this_host_is_limited_if_so_wanted_and_by_all_places() {
        let places = Places::new(3, PerAddress::Others(1));
        let here: Vec<_> = (0..3).map(|_| places.take(HERE).unwrap()).collect();
        assert!(places.take(HERE).is_none());
        drop(here);
        let places = Places::new(3, PerAddress::All(1));
        let _one = places.take(HERE).unwrap();
        assert!(places.take(HERE).is_none());
        assert!(places.taken.lock().unwrap().len() == 1);
    }

    #[test]
    fn a_stranger_has_a_quarter_of_the_places_for_directories_and_channels_and_this_host_the_rest() {
        let places = HttpConfig::new("127.0.0.1:0".parse().unwrap()).terms().places;
        let far: Vec<_> = std::iter::from_fn(|| places.take(FAR)).collect();
        assert_eq!(far.len(), MAX_HTTP_CONNECTIONS / 4);
        let here: Vec<_> = std::iter::from_fn(|| places.take(HERE)).collect();
        assert_eq!(far.len() + here.len(), MAX_HTTP_CONNECTIONS);
        assert!(places.take("192.0.2.2".parse().unwrap()).is_none(), "nobody else has one either");
        drop(far);
        assert!(places.take(FAR).is_some());
    }
}
