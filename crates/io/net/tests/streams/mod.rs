//! A turn after the other around [`Connections`], and certificates made on the spot.
#![allow(dead_code, reason = "every test file uses a part of this")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookswitch_net::{
    AcceptOutcome, Connections, ConnectionsConfig, HANDSHAKES_A_TURN, Listener, StreamKind, StreamSetup, TcpEvent,
    Towards,
};
use mio::{Events, Interest, Poll, Token};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

const LISTENER: Token = Token(0);
const FIRST: usize = 1;
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An authority, and what is made from it.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

pub struct Issued {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Issued {
    /// One that nobody else has signed; it may say that it is an authority.
    pub fn by_itself(name: &str, is_authority: bool) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self { chain: vec![certificate.der().clone()], key }
    }
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn issue(&self, name: &str) -> Issued {
        self.issue_with(name, |_| {})
    }

    pub fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Issued { chain: vec![certificate.der().clone()], key }
    }

    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }
}

/// TLS for whoever connects to us.
pub fn server(own: Issued, clients: Option<Arc<RootCertStore>>) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let config = match clients {
        None => config.unwrap().with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
            config.unwrap().with_client_cert_verifier(verifier)
        }
    };
    Arc::new(config.with_single_cert(own.chain, own.key).unwrap())
}

/// TLS towards others.
pub fn client(roots: Arc<RootCertStore>, own: Option<Issued>) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    Arc::new(match own {
        Some(own) => config.with_client_auth_cert(own.chain, own.key).unwrap(),
        None => config.with_no_client_auth(),
    })
}

/// A listener and its connections.
pub struct Side {
    poll: Poll,
    listener: Listener,
    pub connections: Connections,
    started: Instant,
    /// Added to the clock, to reach time-outs without waiting for them.
    pub leap: Duration,
    pub events: Vec<TcpEvent>,
}

impl Side {
    pub fn new(kind: StreamKind, setup: StreamSetup) -> Self {
        Self::with(kind, setup, ConnectionsConfig::default())
    }

    pub fn with(kind: StreamKind, setup: StreamSetup, config: ConnectionsConfig) -> Self {
        let poll = Poll::new().unwrap();
        let mut listener = Listener::bind_as(kind, any()).unwrap();
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
        let mut connections = Connections::new(config, FIRST);
        connections.set_up(setup);
        Self { poll, listener, connections, started: Instant::now(), leap: Duration::ZERO, events: Vec::new() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local()
    }

    fn now(&self) -> Duration {
        self.started.elapsed() + self.leap
    }

    /// One turn; waits for at most a few milliseconds.
    pub fn turn(&mut self) {
        let wait = if self.connections.has_more() { 0 } else { 5 };
        let mut ready = Events::with_capacity(64);
        self.poll.poll(&mut ready, Some(Duration::from_millis(wait))).unwrap();
        let now = self.now();
        let registry = self.poll.registry();
        for event in &ready {
            if event.token() == LISTENER {
                while self.connections.accept(registry, now, &self.listener) == AcceptOutcome::More {}
            } else {
                self.connections.ready(registry, now, event);
            }
        }
        self.connections.resume(registry, now);
        self.connections.handle_timeout(registry, now);
        self.connections.flush(registry, now);
        while let Some(event) = self.connections.poll_event() {
            self.events.push(event);
        }
    }

    pub fn send(&mut self, id: Option<u64>, to: Towards<'_>, bytes: impl Into<Bytes>) {
        let now = self.now();
        self.connections.send(self.poll.registry(), now, id, to, bytes.into());
    }

    pub fn close(&mut self, id: u64) {
        let now = self.now();
        self.connections.close(self.poll.registry(), now, id);
    }

    /// Turns until `found` has something to say of the events so far.
    pub fn until<T>(&mut self, mut found: impl FnMut(&[TcpEvent]) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(result) = found(&self.events) {
                return result;
            }
            assert!(Instant::now() < end, "still waiting; seen: {:?}", self.events);
            self.turn();
        }
    }

    /// Turns until no connection is left.
    pub fn emptied(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.connections.is_empty() {
            assert!(Instant::now() < end, "a connection is left");
            self.turn();
        }
    }

    pub fn opened(&mut self) -> u64 {
        self.until(opened)
    }

    pub fn received(&self) -> Vec<u8> {
        let pieces = self.events.iter().filter_map(|event| match event {
            TcpEvent::Data { bytes, .. } => Some(bytes.as_ref()),
            _ => None,
        });
        pieces.collect::<Vec<_>>().concat()
    }

    pub fn messages(&self) -> Vec<&[u8]> {
        let messages = self.events.iter().filter_map(|event| match event {
            TcpEvent::Message { bytes, .. } => Some(bytes.as_ref()),
            _ => None,
        });
        messages.collect()
    }
}

pub fn opened(events: &[TcpEvent]) -> Option<u64> {
    events.iter().find_map(|event| match event {
        TcpEvent::Opened { id, .. } => Some(*id),
        _ => None,
    })
}

/// Turns both sides until it is so.
pub fn both(one: &mut Side, other: &mut Side, mut done: impl FnMut(&Side, &Side) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done(one, other) {
        assert!(Instant::now() < end, "still waiting; seen: {:?} and {:?}", one.events, other.events);
        one.turn();
        other.turn();
    }
}

pub fn towards(remote: SocketAddr, name: &str) -> Towards<'_> {
    Towards { kind: StreamKind::Tls, local: any(), remote, peer: Some(1), name: Some(name) }
}

pub fn any() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// More than one turn may do.
pub const CROWD: usize = 5 * HANDSHAKES_A_TURN;
